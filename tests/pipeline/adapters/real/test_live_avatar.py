"""Live Avatar's own code, run as the driver runs it: only CUDA and the numbers of its networks are replaced.

Its entry scripts, its pipelines of one GPU and of five, its sound encoder, its picture decoder, LoRA, fp8 and the writing
of the video are the real ones; the text encoder and the transformer are small, and the decoder has few channels.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.live_avatar.beliefs import SOURCE
from pipeline.adapters.live_avatar.estimates import count_cache_mib, count_tokens
from pipeline.adapters.live_avatar.generator import LiveAvatar
from pipeline.adapters.live_avatar.limits import SIZES, count_clips, fit_size
from pipeline.adapters.live_avatar.log import LogReader
from pipeline.errors import GenerationError
from pipeline.events import Timeline
from pipeline.process import run_program
from pipeline.request import build_request
from tests.pipeline.adapters.live_avatar.conftest import free_port, left_of, write_portrait
from tests.pipeline.conftest import tone, write_wav

from .conftest import Checkout

NETWORKS = Path(__file__).parents[3] / "stand_ins" / "live_avatar_networks"
MODULES = (
    "torch",
    "transformers",
    "diffusers",
    "peft",
    "decord",
    "imageio_ffmpeg",
    "dashscope",
    "easydict",
    "einops",
)

Ask = Callable[[str, Any], Any]


@pytest.fixture(scope="module")
def environment(their_python: str) -> dict[str, str]:
    """Give what its programs need beside the inherited variables: the networks, an ffmpeg, and one thread a rank."""
    search = f"{Path(their_python).parent}{os.pathsep}{os.environ['PATH']}"
    if shutil.which("ffmpeg", path=search) is None:
        pytest.skip("no ffmpeg on the path, nor beside EVALKIT_SOURCES_PYTHON")
    script = (
        "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n) is None])"
    )
    asked = subprocess.run([their_python, "-c", script, *MODULES], check=True, capture_output=True, text=True)
    if asked.stdout.strip():
        pytest.skip(f"{their_python} has no {asked.stdout.strip()}")
    return {
        "PATH": search,
        "PYTHONPATH": str(NETWORKS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "HF_HUB_OFFLINE": "1",
    }


@pytest.fixture(scope="module")
def repository(
    checkout: Checkout,
    their_python: str,
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Give a copy of its code with small weights, as its README has them."""
    source = checkout(SOURCE)
    place = tmp_path_factory.mktemp("real") / "LiveAvatar"
    for name in ("liveavatar", "minimal_inference"):
        shutil.copytree(source / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [their_python, str(NETWORKS / "prepare.py"), str(place / "ckpt")],
        check=True,
        env={**os.environ, **environment},
    )
    return place


@pytest.fixture(scope="module")
def ask(repository: Path, their_python: str, environment: dict[str, str]) -> Ask:
    """Give a function that asks one of its own functions."""

    def question(name: str, given: Any) -> Any:
        asked = subprocess.run(
            [their_python, str(NETWORKS / "ask.py"), name],
            input=json.dumps(given),
            cwd=repository,
            env={**os.environ, **environment},
            check=False,
            capture_output=True,
            text=True,
        )
        assert asked.returncode == 0, asked.stderr[-3000:]
        return json.loads(asked.stdout.splitlines()[-1])

    return question


@pytest.fixture
def live(
    repository: Path, their_python: str, environment: dict[str, str]
) -> Iterator[Callable[..., LiveAvatar]]:
    """Give a function that sets the driver up; all that is not given is its default."""
    made: list[LiveAvatar] = []

    def make(n_gpus: int = 1, **settings: Any) -> LiveAvatar:
        variables = {**environment, **settings.pop("environment", {})}
        made.append(
            LiveAvatar(
                repository=str(repository),
                python=their_python,
                gpus=list(range(n_gpus)),
                master_port=free_port(),
                environment=variables,
                **settings,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    """Give a small portrait, of which it makes a small video, and a sound of two clips."""
    portrait = write_portrait(tmp_path / "portrait.png", 64, 64)
    return {
        "image": portrait,
        "audio": write_wav(tmp_path / "sound.wav", tone(3.0)),
        "prompt": "A woman speaks",
    }


# --- videos


@pytest.mark.parametrize("online", [False, True])
def test_a_video_on_one_gpu(
    online: bool, live: Callable[..., LiveAvatar], inputs: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    driver = live()
    result = driver.generate(driver.request(**inputs, enable_online_decode=online), out)
    check_video(result)
    names = [event.name for event in result.events if event.name != "warning"]
    assert names[0] == "speech"
    assert sorted(names[1:-2]) == ["clip", "clip", "denoised", "first_block", "loaded", "prepared"]
    assert left_of(tmp_path) == []


def test_a_video_on_five_gpus(
    live: Callable[..., LiveAvatar], inputs: dict[str, Any], tmp_path: Path
) -> None:
    driver = live(5)
    result = driver.generate(driver.request(**inputs), tmp_path / "out.mp4")
    check_video(result)
    assert [event.name for event in result.events].count("clip") == 2
    assert left_of(tmp_path) == []


@pytest.mark.parametrize("n_gpus", [1, 5])
def test_videos_of_one_batch(
    n_gpus: int, live: Callable[..., LiveAvatar], inputs: dict[str, Any], tmp_path: Path
) -> None:
    short = {**inputs, "audio": write_wav(tmp_path / "short.wav", tone(1.5)), "prompt": "smiles: 'yes'"}
    driver = live(n_gpus, batch=True)
    requests = [driver.request(**inputs), driver.request(**short)]
    results = []
    for number, request in enumerate(requests):
        driver.announce_upcoming(requests[number:], tmp_path)
        results.append(driver.generate(request, tmp_path / f"{number}.mp4"))
    check_video(results[0])
    assert (results[1].n_clips, results[1].n_frames) == (1, 38)  # as long as the sound
    loads = [event.detail["load_s"] for each in results for event in each.events if event.name == "loaded"]
    assert len(set(loads)) == 1
    assert left_of(tmp_path) == []


def check_video(result: Any) -> None:
    assert (result.width, result.height, result.fps) == (64, 64, 25)
    assert (result.n_clips, result.n_frames) == (2, 75)  # as long as the sound of 3 s
    assert result.audio_duration_s == pytest.approx(3.0, abs=0.05)


# --- what fails


def run_changed(
    driver: LiveAvatar, inputs: dict[str, Any], out: Path, changes: dict[str, str]
) -> tuple[int, LogReader]:
    """Run its command line with words exchanged, past what the driver refuses."""
    plan = driver.dry_run(driver.request(**inputs), out)
    assert changes.keys() <= set(plan.argv)
    log = LogReader(Timeline(), n_ranks=1, last_rank=0, infer_frames=48, sample_steps=4, n_clips=2)
    finished = run_program(
        [changes.get(word, word) for word in plan.argv],
        on_line=log.hear,
        folder=plan.folder,
        environment=plan.environment,
        time_limit_s=600.0,
    )
    return finished.returncode, log


@pytest.mark.parametrize("batch", [False, True])
def test_without_offloading_one_gpu_fails_after_all_clips_are_denoised(
    batch: bool, live: Callable[..., LiveAvatar], inputs: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    driver = live(batch=batch)
    if batch:
        from pipeline.adapters.live_avatar.batch import list_samples
        from pipeline.adapters.live_avatar.sample import prepare_sample

        request = driver.request(**inputs)
        sample = prepare_sample(request, *driver._check(request), tmp_path)
        (folder / "samples.yaml").write_text(list_samples([sample]), "utf-8")
    returncode, log = run_changed(
        driver, inputs, folder / "out.mp4", {"--offload_model=True": "--offload_model=False"}
    )
    assert returncode != 0
    assert log.n_clips_done == 2
    trouble = log.trouble()
    assert trouble is not None
    assert trouble[0] == "decoder_on_processor"
    assert not list(folder.rglob("*.mp4"))


@pytest.mark.parametrize(
    "variables", [{"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}]
)
def test_distilled_weights_that_cannot_be_fetched(
    variables: dict[str, str], repository: Path, their_python: str, environment: dict[str, str]
) -> None:
    script = "import sys, json; sys.path.insert(0, '.'); from liveavatar.utils.load_weight_utils import load_state_dict; "
    log = LogReader(Timeline(), n_ranks=1, last_rank=0, infer_frames=48, sample_steps=4, n_clips=2)
    finished = run_program(
        [their_python, "-c", script + "load_state_dict('Quark-Vision/Live-Avatar')"],
        on_line=log.hear,
        folder=repository,
        environment={**environment, **variables},
    )
    assert finished.returncode != 0
    trouble = log.trouble()
    assert trouble is not None
    assert trouble[0] == "weights_missing"
    assert (
        finished.tail[-1]
        == "FileNotFoundError: [Errno 2] No such file or directory: 'Quark-Vision/Live-Avatar'"
    )


def test_a_folder_without_weights(
    live: Callable[..., LiveAvatar], inputs: dict[str, Any], tmp_path: Path
) -> None:
    driver = live(ckpt_dir=str(tmp_path / "nothing"))
    with pytest.raises(GenerationError, match="weights are not where they were sought") as caught:
        driver.generate(driver.request(**inputs), tmp_path / "out.mp4")
    assert caught.value.kind == "weights_missing"


# --- what is reckoned


def test_its_parsers_take_every_command_line(
    live: Callable[..., LiveAvatar], inputs: dict[str, Any], tmp_path: Path, ask: Ask
) -> None:
    asked: list[tuple[dict[str, Any], list[str]]] = []
    sizes = ["384*256", "688*368", "704*384", "720*400"]
    for n_gpus, batch, size in itertools.product([1, 5], [False, True], sizes):
        driver = live(n_gpus, batch=batch)
        for steps, infer_frames, offload in itertools.product(
            [1, 4] if n_gpus == 1 else [4], [24, 48], [None, True]
        ):
            parameters = {
                "size": size,
                "sample_steps": steps,
                "infer_frames": infer_frames,
                "offload_model": offload,
                "num_clip": 3,
                "base_seed": 7,
            }
            options = {"offload_kv_cache": True} if n_gpus == 1 else {}
            request = driver.request(**inputs, **parameters, options=options)
            words = list(driver.dry_run(request, tmp_path / "out.mp4").argv)
            entry = next(index for index, word in enumerate(words) if word.startswith("minimal_inference/"))
            expected = {
                **parameters,
                "offload_model": n_gpus == 1 or bool(offload),
                "num_gpus_dit": 1 if n_gpus == 1 else 4,
            }
            if batch:
                del expected["num_clip"]  # stands in the list of samples
            asked.append((expected, words[entry:]))
    parsed = ask("parse", [words for _, words in asked])
    for (expected, _), found in zip(asked, parsed, strict=True):
        assert {name: found[name] for name in expected} == expected


def test_clips_are_counted_as_it_counts_them(ask: Ask) -> None:
    drawn = random.Random(14)  # noqa: S311 - lengths, no secrets
    lengths = [[drawn.randrange(1600, 320000), drawn.choice([24, 48, 96])] for _ in range(1500)]
    for infer_frames in (24, 48, 96):
        for n_clips in range(1, 6):
            whole = n_clips * infer_frames * 640
            lengths += [[whole + delta, infer_frames] for delta in range(-640, 1280, 20)]
    theirs = ask("clips", lengths)
    ours = [count_clips(n_samples / 16000, infer_frames, None) for n_samples, infer_frames in lengths]
    assert ours == theirs
    naive = [int(n_samples / 640 / infer_frames) + 1 for n_samples, infer_frames in lengths]
    assert sum(one != other for one, other in zip(naive, theirs, strict=True)) > 100


def test_sizes_come_out_as_reckoned(ask: Ask) -> None:
    drawn = random.Random(4)  # noqa: S311 - sides, no secrets
    areas = [int(size.split("*")[0]) * int(size.split("*")[1]) for size in SIZES]
    portraits = [
        [drawn.randrange(64, 3000), drawn.randrange(64, 3000), drawn.choice(areas)] for _ in range(3000)
    ]
    ours = [fit_size(*portrait) for portrait in portraits]
    assert [[size.width, size.height] for size in ours] == ask("sizes", portraits)


@pytest.mark.parametrize("infer_frames", [48, 96])
def test_its_caches_are_as_large_as_estimated(infer_frames: int, ask: Ask) -> None:
    n_tokens = count_tokens(build_request({"size": "704*384", "infer_frames": infer_frames}))
    assert ask("caches", {"n_tokens": n_tokens}) == round(4 * count_cache_mib(n_tokens) * 2**20)
