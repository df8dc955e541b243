"""Live Avatar's real page (gradio_app.py) under real gradio and torchrun, with the model replaced: kept warm by the driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from pipeline.adapters.live_avatar.generator import LiveAvatar
from pipeline.adapters.live_avatar.warm_beliefs import SOURCE_WARM
from pipeline.errors import GenerationError
from tests.pipeline.adapters.live_avatar.conftest import write_portrait
from tests.pipeline.conftest import tone, write_wav

from .conftest import Checkout

pytestmark = pytest.mark.slow

STUB = textwrap.dedent(
    '''
    """In front of everything: the model is replaced, and there is no GPU."""
    import importlib.abc, importlib.util, os, sys

    REPLACED = {
        "liveavatar.models.wan.causal_s2v_pipeline": "replaced_pipeline.py",
        "liveavatar.models.wan.causal_s2v_pipeline_tpp": "replaced_pipeline.py",
        "liveavatar.utils.fp8_linear": "replaced_fp8.py",
        "liveavatar.models": "replaced_package.py",
        "liveavatar.models.wan.wan_2_2": "replaced_package.py",
    }

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "liveavatar.models":
                without_gpu()
            if name not in REPLACED:
                return None
            file = os.path.join(os.path.dirname(__file__), REPLACED[name])
            package = [os.path.join(os.getcwd(), *name.split("."))] if "package" in file else None
            return importlib.util.spec_from_file_location(name, file, submodule_search_locations=package)

    def without_gpu():
        import torch
        import torch.distributed as dist
        for name in ("set_device", "empty_cache", "synchronize"):
            setattr(torch.cuda, name, lambda *words: None)
        begin = dist.init_process_group
        dist.init_process_group = lambda **given: begin(**{**given, "backend": "gloo"})

    sys.meta_path.insert(0, Finder())
    '''
)
PIPELINE = textwrap.dedent(
    '''
    """The model: notes how it was loaded and what it was asked for, draws its bars and gives a video of the right length."""
    import json, os, sys, wave
    import torch, torch.distributed as dist
    from PIL import Image
    from tqdm import tqdm

    def note(what, **values):
        if int(os.environ["RANK"]) == 0:
            with open(os.environ["NOTES"], "a") as notes:
                notes.write(json.dumps({"what": what, **values}, default=str) + "\\n")

    class WanS2V:
        def __init__(self, **given):
            note("loaded", compile=os.environ["ENABLE_COMPILE"], **given)
            self.noise_model = torch.nn.Linear(1, 1)

        def add_lora_to_model(self, model, **given):
            note("lora", **given)
            return model

        def generate(self, **given):
            note("asked", **given)
            with Image.open(given["ref_image_path"]) as picture:
                note("portrait", mode=picture.mode, size=picture.size, corner=picture.convert("RGB").getpixel((0, 0)))
            with wave.open(given["audio_path"]) as sound:
                seconds = sound.getnframes() / sound.getframerate()
            rank, n_ranks = dist.get_rank(), dist.get_world_size()
            save_rank = given["num_gpus_dit"] if given["enable_vae_parallel"] else 0
            print("complete prepare conditional inputs")
            failing = os.environ.get("FAILS", "")
            if failing == str(rank):
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.50 GiB")
            dist.barrier()
            n_clips = min(given["num_repeat"], int(seconds * 25 / given["infer_frames"]) + 1)
            for _ in range(n_clips * given["infer_frames"] // 12):
                for _ in tqdm(range(given["sampling_steps"])):
                    pass
            dist.barrier()
            if n_ranks == 1:
                print("complete full-sequence generation")
            n_frames = min(given["infer_frames"] * n_clips - 3, round(seconds * 25))
            if rank != save_rank:
                return None, {}
            return torch.zeros(3, n_frames, 256, 384), {}
    '''
)
FP8 = textwrap.dedent(
    """
    from replaced_note import note
    def replace_linear_with_scaled_fp8(model, ignore_keys):
        note("fp8")
    """
)


@pytest.fixture
def repository(checkout: Checkout, their_python: str) -> Path:
    """Give the real repository, or skip where its libraries are not at hand."""
    place = checkout(SOURCE_WARM)
    needs = "import gradio, torch, imageio, dashscope, easydict, tqdm"
    found = subprocess.run([their_python, "-c", needs], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"its page cannot start: {found.stderr.strip().splitlines()[-1]}")
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg, with which its code joins picture and sound")
    return place


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """Give a folder that goes in front of all modules."""
    folder = tmp_path / "stubs"
    folder.mkdir()
    note, model = PIPELINE.split("class WanS2V", 1)
    (folder / "sitecustomize.py").write_text(STUB)
    (folder / "replaced_note.py").write_text(note)
    (folder / "replaced_pipeline.py").write_text(f"{note}\nclass WanS2V{model}")
    (folder / "replaced_fp8.py").write_text(FP8)
    (folder / "replaced_package.py").write_text("")
    if shutil.which("ffprobe") is None:  # gradio takes one that fails for "it can be played"
        (folder / "ffprobe").write_text("#!/bin/sh\nexit 1\n")
        (folder / "ffprobe").chmod(0o755)
    return folder


Make = Callable[..., LiveAvatar]


@pytest.fixture
def make(repository: Path, their_python: str, stubs: Path, tmp_path: Path) -> Make:
    """Give a function that sets the driver up."""

    def set_up(n_gpus: int = 1, fails: str = "", **settings: Any) -> LiveAvatar:
        environment = {
            "PYTHONPATH": str(stubs),
            "PATH": f"{os.environ['PATH']}:{stubs}",
            "NOTES": str(tmp_path / "notes.jsonl"),
            "FAILS": fails,
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        return LiveAvatar(
            **{
                "repository": str(repository),
                "python": their_python,
                "gpus": list(range(n_gpus)),
                "lora_path_dmd": "ckpt/liveavatar.safetensors",
                "keep_warm": True,
                "environment": environment,
                "stall_limit_s": 120.0,
                **settings,
            }
        )

    return set_up


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Give a function that reads what the replaced model was told."""

    def read(what: str) -> list[dict[str, Any]]:
        lines = (tmp_path / "notes.jsonl").read_text().splitlines()
        return [note for note in map(json.loads, lines) if note["what"] == what]

    return read


@pytest.fixture
def turned(tmp_path: Path) -> Path:
    """Give a portrait with a camera's note to turn it: its code reads it as it is stored, gradio as it is noted."""
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(write_portrait(tmp_path / "upright.png", 720, 400)) as picture:
        picture.convert("RGBA").save(path, exif=exif)
    return path


def left(folder: Path) -> list[int]:
    """List the processes that still have this test's folder in their variables."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and str(folder) in process.environ().get("NOTES", ""):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("n_gpus", [1, 5])
def test_two_videos_of_one_load(
    n_gpus: int,
    make: Make,
    notes: Callable[[str], list[dict[str, Any]]],
    turned: Path,
    tmp_path: Path,
) -> None:
    sounds = [write_wav(tmp_path / f"{seconds}.wav", tone(seconds)) for seconds in (1.0, 3.0)]
    with make(n_gpus) as live:
        results = [
            live.generate(
                live.request(
                    image=turned,
                    audio=sound,
                    prompt="a/b 'c' \n \u4f60\u597d",
                    base_seed=seed,
                    offload_model=n_gpus == 1,
                ),
                tmp_path / f"{seed}.mp4",
            )
            for sound, seed in zip(sounds, (7, 2**32 - 1), strict=True)
        ]
    assert [result.n_frames for result in results] == [25, 75]
    assert [result.n_clips for result in results] == [1, 2]
    loaded, asked = notes("loaded"), notes("asked")
    assert len(loaded) == len(notes("lora")) == len(notes("fp8")) == 1
    assert loaded[0]["compile"] == "true"
    assert [(one["seed"], one["num_repeat"], one["generate_size"]) for one in asked] == [
        (7, 10000, "384*256"),
        (2**32 - 1, 10000, "384*256"),
    ]
    assert {one["input_prompt"] for one in asked} == {"a/b 'c' \n \u4f60\u597d"}
    for portrait in notes("portrait"):  # as stored, as its script reads it; gradio alone would turn it
        assert (portrait["mode"], portrait["size"]) == ("RGB", [720, 400])
    for result in results:
        names = [event.name for event in result.events if event.name != "warning"]
        assert names[:3] == ["began", "loaded", "speech"]
        assert names[-2:] == ["first_frame", "saved"]
        assert {"prepared", "first_block", "clip"} <= set(names)
        assert result.events[-2].detail == {"at_end": True}
    assert (
        len(
            {
                event.detail["load_s"]
                for result in results
                for event in result.events
                if event.name == "loaded"
            }
        )
        == 1
    )
    assert left(tmp_path) == []


@pytest.mark.parametrize(("n_gpus", "fails"), [(1, "0"), (5, "2")])
def test_a_rank_that_fails(n_gpus: int, fails: str, make: Make, turned: Path, tmp_path: Path) -> None:
    """Its page goes on after a failure, and on several GPUs it hangs: it is ended, and the cause is named."""
    sound = write_wav(tmp_path / "sound.wav", tone(1.0))
    with make(n_gpus, fails=fails) as live:
        request = live.request(image=turned, audio=sound, prompt="x", offload_model=n_gpus == 1)
        with pytest.raises(GenerationError, match="out of GPU memory") as caught:
            live.generate(request, tmp_path / "out.mp4")
        assert caught.value.kind == "out_of_memory"
        assert left(tmp_path) == []
