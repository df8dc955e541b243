"""Its page kept warm: one load for all videos of a configuration, times apart, and no process left whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from pipeline.adapters.live_avatar.generator import LiveAvatar
from pipeline.errors import GenerationError, RequestError
from pipeline.testing import GeneratorContract
from tests.fixtures.processes import command_line
from tests.pipeline.conftest import tone, write_wav

from .conftest import left_of, write_portrait

if TYPE_CHECKING:
    from pipeline.result import GenerationResult
    from tests.pipeline.adapters.live_avatar.conftest import Driver


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder for temporary files that is looked into."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class TestContract(GeneratorContract):
    """It keeps the contract of all generators."""

    @pytest.fixture
    def generator(self, driver: Driver) -> LiveAvatar:
        """Give the driver with its page kept warm."""
        return driver(keep_warm=True)

    @pytest.fixture
    def parameters(self, portrait: Path) -> dict[str, Any]:
        """Give words to speak."""
        return {"image": str(portrait), "text": "Good morning", "num_clip": 1, "prompt": "smiles"}


@pytest.fixture
def loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that counts how often the model was loaded."""
    monkeypatch.setenv("STAND_IN_LOADS", str(tmp_path / "loads"))
    return lambda: len((tmp_path / "loads").read_text().split())


@pytest.fixture
def given(tmp_path: Path, portrait: Path) -> dict[str, Any]:
    """Give the parameters of a video of one clip."""
    return {"image": portrait, "audio": write_wav(tmp_path / "short.wav", tone(1.5)), "prompt": "smiles"}


def make(live: LiveAvatar, out: Path, **parameters: Any) -> GenerationResult:
    return live.generate(live.request(**parameters), out)


def loading_s(result: GenerationResult) -> Any:
    (load_s,) = (event.detail["load_s"] for event in result.events if event.name == "loaded")
    return load_s


@pytest.mark.parametrize("n_gpus", [1, 5])
def test_one_load_for_all_and_times_apart(
    n_gpus: int, driver: Driver, given: dict[str, Any], tmp_path: Path, out: Path, scratch: Path, loads: Any
) -> None:
    other = write_portrait(tmp_path / "upright.png", 400, 720)
    long = write_wav(tmp_path / "long.wav", tone(3.0))
    with driver("load_s:0.5", keep_warm=True, n_gpus=n_gpus) as live:
        asked = [
            given,
            {**given, "image": other, "base_seed": 2**32 - 1},
            {**given, "audio": long, "prompt": "nods:\n'yes' / no", "base_seed": 0},
            {**given, "audio": long, "num_clip": 1},
        ]
        results = []
        for number, one in enumerate(asked):
            results.append(make(live, out.with_name(f"{number}.mp4"), **one))
            gone = [path for path in scratch.rglob("*") if path.suffix in {".mp4", ".wav"}]
            assert gone == []  # neither sounds nor videos heap up
    assert loads() == 1
    assert [(result.width, result.height) for result in results] == [
        (384, 256),
        (256, 384),
        (384, 256),
        (384, 256),
    ]
    assert [result.n_frames for result in results] == [38, 38, 75, 45]
    assert [result.n_clips for result in results] == [1, 1, 2, 1]
    assert len({loading_s(result) for result in results}) == 1
    assert loading_s(results[0]) > 0.5
    for result in results:
        names = [event.name for event in result.events if event.name != "warning"]
        denoised = ["denoised"] if n_gpus == 1 else []  # several GPUs do not say it
        assert names[:3] == ["began", "loaded", "speech"]
        assert sorted(names[3:-2]) == sorted(
            ["prepared", "first_block", *denoised, *["clip"] * (result.n_clips or 0)]
        )
        assert names[-2:] == ["first_frame", "saved"]
        assert result.events[0].time_s == 0
        assert result.events[-2].detail == {"at_end": True}
    began = [float(str(result.events[0].detail["monotonic_s"])) for result in results]
    for before, after, result in zip(began, began[1:], results, strict=False):
        assert before + float(result.time_of("saved") or 0) <= after
    compiles = [any("compiles the model" in str(event.detail) for event in one.events) for one in results]
    assert compiles == [True, True, False, False]  # once for each size that comes out
    assert left_of(tmp_path) == []
    assert list(scratch.iterdir()) == []


def test_another_configuration_starts_it_anew_and_ends_the_one_before(
    driver: Driver, given: dict[str, Any], out: Path, tmp_path: Path, loads: Any
) -> None:
    def n_pages() -> int:
        return sum("torch.distributed.run" in words for words in command_lines_of(tmp_path))

    with driver(keep_warm=True) as live:
        for number, change in enumerate(
            [{}, {"sample_steps": 3}, {"sample_steps": 3}, {"options": {"fp8": False}}, {}], start=1
        ):
            make(live, out, **given, **change)
            assert n_pages() == 1, number
    assert loads() == 4
    assert left_of(tmp_path) == []


@pytest.mark.parametrize(
    ("n_gpus", "faults", "settings", "kind", "words"),
    [
        (1, ("oom:0", "at:2"), {}, "out_of_memory", "out of GPU memory"),
        (5, ("oom:3", "at:2"), {}, "out_of_memory", "rank 3 of 5: out of GPU memory"),
        (1, ("crash", "at:2"), {}, "crashed", r"its page says: ❌ .*KeyError: 'cond_shape'"),
        (1, ("die:2", "at:2"), {}, "crashed", "its page ended with status 1"),
        (1, ("hang", "at:2"), {"stall_limit_s": 8.0}, "stalled", "its page printed nothing for 8 s"),
        (1, ("hang", "at:2"), {"time_limit_s": 8.0}, "timed_out", "its page took longer than 8 s"),
        (1, ("no_file", "at:2"), {}, "no_output", "video file .* does not exist"),
    ],
)
def test_a_failure_ends_it_and_the_next_request_gets_another(
    n_gpus: int,
    faults: tuple[str, ...],
    settings: dict[str, Any],
    kind: str,
    words: str,
    driver: Driver,
    given: dict[str, Any],
    out: Path,
    tmp_path: Path,
    scratch: Path,
    loads: Any,
) -> None:
    with driver(*faults, keep_warm=True, n_gpus=n_gpus) as live:
        make(live, out, **given)
        before = out.read_bytes()
        assert live._warm is not None
        live._warm._settings = live._warm._settings.model_copy(update=settings)  # not while it loads
        with pytest.raises(GenerationError, match=words) as caught:
            make(live, out, **given, base_seed=1)
        assert caught.value.kind == kind
        assert out.read_bytes() == before
        assert left_of(tmp_path) == []
        assert list(scratch.iterdir()) == []
        make(live, out, **given, base_seed=2)
    assert loads() == 2
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("pointer", "a file of weights holds something else"),
        ("no_ffprobe", "with ffprobe, and there is none"),
        ("other_page", "is not Live Avatar's page as it was read"),
    ],
)
def test_a_start_that_fails_says_why(
    fault: str, words: str, driver: Driver, given: dict[str, Any], out: Path, tmp_path: Path, scratch: Path
) -> None:
    with driver(fault, keep_warm=True) as live, pytest.raises(GenerationError, match=words):
        make(live, out, **given)
    assert left_of(tmp_path) == []
    assert list(scratch.iterdir()) == []


def test_a_silent_video_is_one_failure_and_the_page_is_kept(
    driver: Driver, given: dict[str, Any], out: Path, loads: Any
) -> None:
    with driver("silent", "at:1", keep_warm=True) as live:
        with pytest.raises(GenerationError, match="could not join picture and sound") as caught:
            make(live, out, **given)
        make(live, out, **given)
    assert caught.value.kind == "bad_output"
    assert loads() == 1


def test_one_that_was_killed_while_it_waited_is_started_anew(
    driver: Driver, given: dict[str, Any], out: Path, tmp_path: Path, loads: Any
) -> None:
    with driver(keep_warm=True) as live:
        make(live, out, **given)
        for name in left_of(tmp_path):
            if "torch.distributed.run" in command_line(pid := int(name.split()[0])):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        while any("gradio_app" in words for words in command_lines_of(tmp_path)):
            time.sleep(0.05)
        make(live, out, **given)
    assert loads() == 2


def command_lines_of(folder: Path) -> list[str]:
    return [command_line(int(name.split(maxsplit=1)[0])) for name in left_of(folder)]


PARENT = """
import json, sys, tempfile
from pathlib import Path
from pipeline.adapters.live_avatar.generator import LiveAvatar
settings, request, out, tempfile.tempdir = json.loads(sys.argv[1])
live = LiveAvatar(**settings)
live.generate(live.request(**request), Path(out))
print("made", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_keeps_it(
    sign: signal.Signals,
    driver: Driver,
    given: dict[str, Any],
    out: Path,
    tmp_path: Path,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import json

    kept: dict[str, Any] = {}
    monkeypatch.setattr(LiveAvatar, "__init__", lambda _self, **settings: kept.update(settings))
    driver(keep_warm=True)
    words = json.dumps([kept, given, str(out), str(scratch)], default=str)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "made\n"
        assert any("gradio_app" in words for words in command_lines_of(tmp_path))
        os.kill(parent.pid, sign)
        parent.wait()
        while left_of(tmp_path) or list(scratch.iterdir()):  # they notice by themselves
            time.sleep(0.05)


def test_the_pixels_that_its_script_would_read_are_sent(
    driver: Driver, given: dict[str, Any], out: Path, tmp_path: Path
) -> None:
    """Gradio would turn a picture that is not RGB as a camera noted; its script reads it as it is stored."""
    turned = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(given["image"]) as picture:
        picture.convert("RGBA").save(turned, exif=exif)
    with driver(keep_warm=True) as live:
        result = make(live, out, **{**given, "image": turned})
    assert (result.width, result.height) == (384, 256)


@pytest.mark.parametrize(
    ("settings", "parameters", "message"),
    [
        ({"batch": True}, {}, "keep_warm: its page is neither its batch script"),
        ({"script": ["bash", "x.sh"]}, {}, "nor a script of yours"),
        ({}, {"prompt": ""}, "prompt is empty; .* or set keep_warm to false"),
        ({}, {"enable_online_decode": True}, "its page decodes at the end, or set keep_warm"),
        ({}, {"infer_frames": 12}, "infer_frames is 12; its page takes 16 to 160"),
        ({}, {"infer_frames": 168}, "infer_frames is 168; its page takes 16 to 160"),
        ({}, {"num_clip": 10001}, "num_clip is 10001; its page takes 1 to 10000"),
    ],
)
def test_what_its_page_cannot_do_is_refused(
    settings: dict[str, Any],
    parameters: dict[str, Any],
    message: str,
    driver: Driver,
    given: dict[str, Any],
) -> None:
    def attempt() -> None:
        live = driver(keep_warm=True, **settings)
        live.check(live.request(**{**given, **parameters}))

    with pytest.raises(RequestError, match=message):
        attempt()


def test_a_folder_for_temporary_files_that_its_code_would_misread_is_refused(
    driver: Driver, given: dict[str, Any], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a+b"))
    with driver(keep_warm=True) as live, pytest.raises(RequestError, match="set TMPDIR to another"):
        make(live, out, **given)


def test_the_command_line_of_its_page(
    driver: Driver, given: dict[str, Any], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "intranet")
    live = driver(keep_warm=True)
    plan = live.dry_run(live.request(**given), out)
    assert "minimal_inference/gradio_app.py" in plan.argv
    assert {"--fp8", "--server_name=127.0.0.1", "--num_clip=10000"} <= set(plan.argv)
    assert not [
        word for word in plan.argv if word.startswith(("--prompt", "--image", "--audio", "--save_file"))
    ]
    assert plan.environment["ENABLE_COMPILE"] == "true"
    assert plan.environment["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert plan.environment["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert list(out.parent.iterdir()) == []
    assert "enable_online_decode" not in live.describe().parameters
    assert live.makes_batches
