"""Live Avatar's own page under gradio's and torchrun's own code, kept warm by the driver; the networks are small.

What is replaced is said in `test_live_avatar`. Needs gradio 5 or later beside the rest in EVALKIT_SOURCES_PYTHON.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.adapters.live_avatar.generator import LiveAvatar
from pipeline.errors import GenerationError
from tests.pipeline.adapters.live_avatar.conftest import left_of, write_portrait
from tests.pipeline.conftest import tone, write_wav

from . import test_live_avatar as cold

pytestmark = pytest.mark.slow

environment, repository, live = cold.environment, cold.repository, cold.live

NOTING = textwrap.dedent(
    """
    import os, runpy, sys
    sys.path.insert(0, os.environ["NETWORKS"])
    runpy.run_path(os.path.join(os.environ["NETWORKS"], "sitecustomize.py"))
    if "RANK" in os.environ:
        import small_networks

        def change(module):
            build, make = module.WanS2V.__init__, module.WanS2V.generate

            def noted(self, **given):
                if os.environ["RANK"] == "0":
                    with open(os.environ["LOADS"], "a") as notes:
                        notes.write("loaded\\\\n")
                build(self, **given)

            def failing(self, **given):
                if os.environ["RANK"] == os.environ.get("FAILS"):
                    raise RuntimeError("CUDA out of memory. Tried to allocate 2.50 GiB")
                return make(self, **given)

            module.WanS2V.__init__, module.WanS2V.generate = noted, failing

        for name in ("causal_s2v_pipeline", "causal_s2v_pipeline_tpp"):
            small_networks._CHANGES[f"liveavatar.models.wan.{name}"] = change
    """
).replace("\\\\n", "\\n")

Warm = Callable[..., LiveAvatar]


@pytest.fixture
def warm(
    live: Callable[..., LiveAvatar], environment: dict[str, str], their_python: str, tmp_path: Path
) -> Warm:
    """Give a function that sets the driver up; each load of the model is noted in the file ``loads``."""
    asked = subprocess.run([their_python, "-c", "import gradio"], capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip(f"{their_python} cannot import gradio: {asked.stderr.strip().splitlines()[-1]}")
    folder = tmp_path / "in_front"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(NOTING)
    path = environment["PATH"]
    if shutil.which("ffprobe", path=path) is None:  # gradio takes one that fails for "it can be played"
        (folder / "ffprobe").write_text("#!/bin/sh\nexit 1\n")
        (folder / "ffprobe").chmod(0o755)
        path = f"{path}{os.pathsep}{folder}"
    variables = {
        "PYTHONPATH": str(folder),
        "PATH": path,
        "NETWORKS": str(cold.NETWORKS),
        "LOADS": str(tmp_path / "loads"),
    }

    def make(n_gpus: int = 1, keep_warm: bool = True, **more: str) -> LiveAvatar:
        return live(n_gpus, keep_warm=keep_warm, environment={**variables, **more}, stall_limit_s=240.0)

    return make


def read_frames(path: Path) -> NDArray[np.uint8]:
    """Return shape (n, height, width, 3)."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def noted(portrait: Path) -> Path:
    """Give a portrait the note of a camera to turn it, and a mode that gradio would convert."""
    exif = Image.Exif()
    exif[274] = 6
    path = portrait.with_name(f"noted-{portrait.name}")
    with Image.open(portrait) as picture:
        picture.convert("RGBA").save(path, exif=exif)
    return path


@pytest.mark.parametrize("n_gpus", [1, 5])
def test_a_video_of_a_warm_page_is_that_of_its_script_whatever_was_made_before(
    n_gpus: int, warm: Warm, tmp_path: Path
) -> None:
    """Nothing of one video is left in the next: caches, decoder and schedule begin anew, also at another size."""
    tall = write_portrait(tmp_path / "tall.png", 64, 128)
    wide = noted(write_portrait(tmp_path / "wide.png", 128, 64))
    short, long = (write_wav(tmp_path / f"{seconds}.wav", tone(seconds)) for seconds in (1.0, 3.0))
    first = {"image": tall, "audio": short, "prompt": "x", "base_seed": 2**32 - 1}
    second = {"image": wide, "audio": long, "prompt": "a/b 'c'\n\u4f60\u597d", "base_seed": 7}
    with warm(n_gpus) as page:
        results = [
            page.generate(page.request(**given), tmp_path / f"{name}.mp4")
            for name, given in (("first", first), ("second", second), ("third", second))
        ]
    assert (tmp_path / "loads").read_text().split() == ["loaded"]
    assert left_of(tmp_path / "in_front") == []
    assert [(result.width, result.height) for result in results] == [(64, 128), (128, 64), (128, 64)]
    assert [result.n_clips for result in results] == [1, 2, 2]
    assert [result.n_frames for result in results] == [25, 75, 75]
    for result in results:
        names = [event.name for event in result.events if event.name != "warning"]
        assert names[:3] == ["began", "loaded", "speech"]
        assert {"prepared", "first_block", "clip"} < set(names)
        assert result.events[-2].detail == {"at_end": True}
    with warm(n_gpus, keep_warm=False) as script:
        script.generate(script.request(**second), tmp_path / "cold.mp4")
    expected = read_frames(tmp_path / "cold.mp4")
    assert expected.std() > 1
    for name in ("second", "third"):
        np.testing.assert_array_equal(read_frames(tmp_path / f"{name}.mp4"), expected)


@pytest.mark.parametrize(("n_gpus", "fails"), [(1, "0"), (5, "2")])
def test_a_rank_that_fails(n_gpus: int, fails: str, warm: Warm, tmp_path: Path) -> None:
    """Its page goes on after a failure, and on several GPUs it waits for ever: it is ended, and the cause is named."""
    portrait = write_portrait(tmp_path / "portrait.png", 64, 64)
    sound = write_wav(tmp_path / "sound.wav", tone(1.0))
    with warm(n_gpus, FAILS=fails) as page:
        with pytest.raises(GenerationError, match="out of GPU memory") as caught:
            page.generate(page.request(image=portrait, audio=sound, prompt="x"), tmp_path / "out.mp4")
        assert caught.value.kind == "out_of_memory"
        assert left_of(tmp_path / "in_front") == []
