"""Live Avatar's driver against a stand-in that prints, writes and fails as Live Avatar does."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.errors import GenerationError, RequestError
from pipeline.testing import GeneratorContract

from .conftest import left_of

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.adapters.live_avatar.generator import LiveAvatar
    from pipeline.events import Event
    from tests.pipeline.adapters.live_avatar.conftest import Driver

OLD = b"the video of yesterday"


@pytest.fixture
def inputs(portrait: Path, spoken: Path) -> dict[str, Any]:
    """Give a portrait of 720*400 pixels and two seconds of sound."""
    return {"image": portrait, "audio": spoken, "prompt": "A woman smiles at a desk"}


class TestContract(GeneratorContract):
    """It keeps the contract of all generators."""

    @pytest.fixture
    def generator(self, driver: Driver) -> LiveAvatar:
        """Give the driver on one GPU."""
        return driver()

    @pytest.fixture
    def parameters(self, portrait: Path) -> dict[str, Any]:
        """Give words to speak."""
        return {"image": str(portrait), "text": "Good morning", "num_clip": 1}


# --- what goes well


@pytest.mark.parametrize(("n_gpus", "steps"), [(1, 4), (1, 2), (5, 4)])
def test_a_video_is_made_verified_and_described(
    n_gpus: int, steps: int, driver: Driver, inputs: dict[str, Any], out: Path, tmp_path: Path
) -> None:
    told: list[Event] = []
    with driver(n_gpus=n_gpus) as live:
        result = live.generate(live.request(**inputs, sample_steps=steps), out, told.append)
    assert list(out.parent.iterdir()) == [out]
    assert (result.width, result.height, result.fps) == (384, 256, pytest.approx(25))
    assert result.n_frames == 50  # two clips would be 93, the sound ends before
    assert result.audio_duration_s == pytest.approx(2.0, abs=0.05)
    assert (result.n_clips, result.seed, result.generator) == (2, 420, "live_avatar")
    names = [event.name for event in result.events if event.name != "warning"]
    assert names == [
        "speech",
        "loaded",
        "prepared",
        "first_block",
        "clip",
        "clip",
        "denoised",
        "first_frame",
        "saved",
    ]
    assert [event.detail for event in result.events if event.name == "clip"] == [
        {"index": 0, "n_clips": 2},
        {"index": 1, "n_clips": 2},
    ]
    (first,) = [event for event in result.events if event.name == "first_frame"]
    assert first.detail == {"at_end": True}
    compiling, leading = [str(event.detail["text"]) for event in result.events if event.name == "warning"]
    assert "its times include compiling the model" in compiling
    assert "picture may lead by up to 120 ms" in leading
    assert tuple(told) == result.events
    assert left_of(tmp_path) == []


def test_fewer_clips_lose_three_frames(driver: Driver, inputs: dict[str, Any], out: Path) -> None:
    with driver() as live:
        result = live.generate(live.request(**inputs, num_clip=1), out)
    assert (result.n_frames, result.n_clips) == (45, 1)


def test_text_is_spoken_first(driver: Driver, portrait: Path, out: Path) -> None:
    with driver() as live:
        result = live.generate(live.request(image=portrait, text="Hello", prompt="x"), out)
    assert "espeak-ng" in result.versions
    assert list(out.parent.iterdir()) == [out]


def test_a_slow_decoder_is_told(driver: Driver, inputs: dict[str, Any], out: Path) -> None:
    with driver("bottleneck", n_gpus=5) as live:
        result = live.generate(live.request(**inputs), out)
    (told,) = [event.detail for event in result.events if "could not keep up" in str(event.detail)]
    assert told["count"] == 8  # two clips of four blocks


def test_what_compiles_nothing_is_not_told_to(driver: Driver, inputs: dict[str, Any], out: Path) -> None:
    with driver(enable_compile=False, fp8=False) as live:
        result = live.generate(live.request(**inputs), out)
    assert not any("compiling" in str(event.detail) for event in result.events)


def test_online_decoding_on_one_gpu(driver: Driver, inputs: dict[str, Any], out: Path) -> None:
    with driver() as live:
        result = live.generate(live.request(**inputs, enable_online_decode=True), out)
    assert (result.n_frames, result.n_clips) == (50, 2)


def test_another_size_than_expected_is_told(driver: Driver, inputs: dict[str, Any], out: Path) -> None:
    with driver("other_size") as live:
        result = live.generate(live.request(**inputs), out)
    assert result.width == 320
    assert any("320*256 where its code was read to make 384*256" in str(e.detail) for e in result.events)


@pytest.mark.parametrize("fault", ["elsewhere", "hidden"])
@pytest.mark.parametrize("n_gpus", [1, 5])
def test_a_video_that_was_put_elsewhere_is_found(
    fault: str, n_gpus: int, driver: Driver, inputs: dict[str, Any], out: Path, repository: Path
) -> None:
    old = repository / "output" / "old.mp4"
    old.parent.mkdir()
    old.write_bytes(OLD)
    with driver(fault, n_gpus=n_gpus) as live:
        result = live.generate(live.request(**inputs), out)
    assert result.n_frames == 50
    assert any("instead of the place given" in str(event.detail) for event in result.events)
    assert list(old.parent.iterdir()) == [old]
    assert old.read_bytes() == OLD


# --- what goes wrong


@pytest.mark.parametrize(
    ("fault", "n_gpus", "settings", "kind", "words"),
    [
        ("no_file", 1, {}, "no_output", "could not write the picture.*No space left on device"),
        ("no_file", 5, {}, "no_output", "rank 4 of 5: its code could not write the picture"),
        ("silent", 1, {}, "bad_output", "could not join picture and sound.*no sound"),
        ("hidden,two", 5, {}, "no_output", "2 videos are new in"),
        ("cut", 1, {"num_clip": 6}, "bad_output", "holds 66 frames where 200 were to come"),
        ("crash", 1, {}, "crashed", "ended with status 1.*KeyError: 'cond_shape'"),
        ("pointer", 1, {}, "weights_broken", "a file of weights holds something else"),
        ("offline", 1, {"lora_path_dmd": "Quark-Vision/Live-Avatar"}, "weights_missing", "give local paths"),
        ("old_gpu", 1, {}, "fp8_unsupported", "set fp8 to false.*_scaled_mm is only supported"),
        ("oom:0", 1, {}, "out_of_memory", "rank 0 of 1: out of GPU memory"),
        ("oom:3", 5, {}, "out_of_memory", "rank 3 of 5: out of GPU memory.*22.15 GiB"),
        pytest.param(
            "oom:4", 5, {}, "out_of_memory", "rank 4 of 5: out of GPU memory", marks=pytest.mark.slow
        ),
        (
            "oom_hang:2",
            5,
            {"stall_limit_s": 20.0},  # five that start on one core are silent for a while, too
            "out_of_memory",
            "rank 2 of 5: .*printed nothing for 20 s",
        ),
        pytest.param(
            "hang",
            1,
            {"stall_limit_s": 10.0},
            "stalled",
            "printed nothing for 10 s and was ended",
            marks=pytest.mark.slow,
        ),
        ("hang", 5, {"stall_limit_s": 10.0}, "stalled", "printed nothing for 10 s and was ended"),
        pytest.param(
            "hang",
            5,
            {"time_limit_s": 4.0},
            "timed_out",
            "did not end within 4 s and was ended",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_failure_is_a_clear_error_and_leaves_nothing(
    fault: str,
    n_gpus: int,
    settings: dict[str, Any],
    kind: str,
    words: str,
    driver: Driver,
    inputs: dict[str, Any],
    out: Path,
    tmp_path: Path,
) -> None:
    out.write_bytes(OLD)
    settings = dict(settings)
    n_clips = settings.pop("num_clip", None)
    if n_clips is not None:
        inputs = {**inputs, "audio": _eight_seconds(tmp_path)}
    with driver(fault, n_gpus=n_gpus, **settings) as live, pytest.raises(GenerationError) as caught:
        live.generate(live.request(**inputs, num_clip=n_clips), out)
    assert caught.value.kind == kind
    assert re.search(words, str(caught.value), re.DOTALL), str(caught.value)
    assert list(out.parent.iterdir()) == [out]
    assert out.read_bytes() == OLD
    assert left_of(tmp_path) == []


def _eight_seconds(folder: Path) -> Path:
    from tests.pipeline.conftest import tone, write_wav

    return write_wav(folder / "eight.wav", tone(8.0))


@pytest.mark.slow  # waits for five seconds whether it ends by itself
def test_a_process_that_it_leaves_is_ended(
    driver: Driver, inputs: dict[str, Any], out: Path, tmp_path: Path
) -> None:
    with driver("leaves") as live, pytest.raises(GenerationError, match="left processes running") as caught:
        live.generate(live.request(**inputs), out)
    assert caught.value.kind == "left_processes"
    assert left_of(tmp_path) == []


def test_a_port_that_somebody_has(driver: Driver, inputs: dict[str, Any], out: Path) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        with driver(master_port=listener.getsockname()[1]) as live, pytest.raises(GenerationError) as caught:
            live.generate(live.request(**inputs), out)
    assert caught.value.kind == "port_in_use"
    assert "master_port is taken" in str(caught.value)


def test_a_size_beyond_the_cache_is_a_failure_of_its_own(
    driver: Driver, inputs: dict[str, Any], out: Path, repository: Path
) -> None:
    model = repository / "minimal_inference" / "model.py"
    text = model.read_text("utf-8").replace(
        '((720, 400), "384*256"): (384, 256)', '((720, 400), "384*256"): (832, 448)'
    )
    model.write_text(text, "utf-8")
    with driver() as live, pytest.raises(GenerationError, match="condition cache holds") as caught:
        live.generate(live.request(**inputs), out)
    assert caught.value.kind == "kv_cache_size"


# --- what is refused before anything runs


@pytest.mark.parametrize(
    ("n_gpus", "parameters", "message"),
    [
        (1, {"sample_steps": 5}, "on one GPU its code has caches for 1 to 4 steps"),
        (5, {"sample_steps": 3}, "exactly num_gpus_dit, 4: with more it crashes, with fewer it hangs"),
        (5, {"sample_steps": 5}, "exactly num_gpus_dit, 4"),
        (1, {"size": "832*480"}, r"768\*448, which takes 3360 tokens where its condition cache holds 2800"),
        (5, {"size": "1280*720"}, "condition cache holds 3000"),
        (1, {"size": "640*360"}, r"720\*400, 704\*384, 688\*368, 384\*256 run"),
        (1, {"sample_guide_scale": 3.0}, "sample_guide_scale is 3; its code never uses it"),
        (1, {"fps": 16.0}, "its code always makes 25"),
        (1, {"infer_frames": 80}, "take a multiple of 12"),
        (1, {"offload_model": False}, "would fail after all clips are denoised: leave it out"),
        (5, {"infer_frames": 12}, "take 24 or more"),
        (5, {"enable_online_decode": True}, "no effect on several GPUs"),
        (5, {"options": {"offload_kv_cache": True}}, "no effect on several GPUs"),
        (1, {"brand_mark": "{image}"}, "places no marks"),
        (1, {"image": None}, "give the portrait"),
        (1, {"image": "{audio}"}, "is not a picture"),
        (1, {"audio": None}, "the request has neither"),
        (1, {"audio": "{image}"}, "has no sound|cannot be read"),
        (1, {"options": {"fp9": True}}, "there is no option 'fp9'; did you mean 'fp8'"),
    ],
)
def test_what_its_code_cannot_do_is_refused(
    n_gpus: int,
    parameters: dict[str, Any],
    message: str,
    driver: Driver,
    inputs: dict[str, Any],
    out: Path,
    repository: Path,
) -> None:
    paths = {name: str(inputs[name]) for name in ("image", "audio")}
    given = {k: v.format(**paths) if isinstance(v, str) else v for k, v in parameters.items()}
    live = driver("crash", n_gpus=n_gpus)
    request = live.request(**{**inputs, **given})
    for attempt in (
        lambda: live.check(request),
        lambda: live.dry_run(request, out),
        lambda: live.generate(request, out),
    ):
        with pytest.raises(RequestError, match=message):
            attempt()
    assert list(out.parent.iterdir()) == []
    assert not (repository / "output").exists()


def test_a_portrait_without_a_face_is_refused_before_anything_runs(
    driver: Driver, inputs: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    from PIL import Image

    plain = tmp_path / "plain.png"
    Image.new("RGB", (720, 400), (200, 160, 140)).save(plain)
    for live in (
        driver("crash"),
        driver(batch=True),
        driver(n_gpus=4, script=["bash", "{image}", "{audio}"]),
    ):
        with pytest.raises(RequestError, match=r"plain\.png.*no face found") as caught:
            live.generate(live.request(**{**inputs, "image": plain, "prompt": ""}), out)
        assert caught.value.kind == "no_face"
    with driver(require_face=False) as live:  # its code looks for none
        assert live.generate(live.request(**{**inputs, "image": plain}), out).n_frames == 50


def test_all_reasons_are_told_at_once(driver: Driver, inputs: dict[str, Any]) -> None:
    live = driver()
    with pytest.raises(RequestError) as caught:
        live.check(live.request(**inputs, sample_steps=8, fps=16.0, sample_guide_scale=5.0))
    assert len(str(caught.value).splitlines()) == 3


def test_a_plus_in_a_path_would_be_two_speakers(
    driver: Driver, inputs: dict[str, Any], tmp_path: Path
) -> None:
    sound = tmp_path / "a+b.wav"
    sound.write_bytes(inputs["audio"].read_bytes())
    live = driver()
    with pytest.raises(RequestError, match=r"takes \+ for a second speaker"):
        live.check(live.request(**{**inputs, "audio": sound}))


def test_a_folder_that_is_no_repository(driver: Driver, inputs: dict[str, Any], tmp_path: Path) -> None:
    for folder, message in ((tmp_path / "gone", "no such folder"), (tmp_path, "has no minimal_inference")):
        live = driver(repository=str(folder))
        with pytest.raises(RequestError, match=message):
            live.check(live.request(**inputs))


def test_a_secret_among_the_settings_is_refused(driver: Driver) -> None:
    with pytest.raises(RequestError, match="environment may not hold HF_TOKEN"):
        driver(environment={"HF_TOKEN": "hf_abc123"})


def test_a_python_that_is_not_there(driver: Driver, inputs: dict[str, Any], tmp_path: Path) -> None:
    live = driver(python=str(tmp_path / "python"))
    with pytest.raises(RequestError, match="there is no such program"):
        live.check(live.request(**inputs))


# --- a script of one's own


SCRIPT = """\
export CUDA_VISIBLE_DEVICES=$1
python -m torch.distributed.run --nproc_per_node=4 --master_port=$2 minimal_inference/own.py \\
  --task s2v-14B --size "$3" --ckpt_dir ckpt --training_config x --lora_path_dmd "$4" --infer_frames 48 --sample_steps $5 \\
  --num_gpus_dit 3 --enable_vae_parallel --image "$6" --audio "$7" --prompt "$8"
"""


@pytest.fixture
def own(driver: Driver, repository: Path, monkeypatch: pytest.MonkeyPatch) -> LiveAvatar:
    """Give the driver over a 4-GPU script that is not told where to write, and whose code allows three steps."""
    import sys
    from pathlib import Path

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    (repository / "run_4gpu_tpp.sh").write_text(SCRIPT)
    code = (repository / "minimal_inference" / "s2v_streaming_interact.py").read_text("utf-8")
    (repository / "minimal_inference" / "own.py").write_text(code)
    model = repository / "minimal_inference" / "model.py"
    lines = model.read_text("utf-8").splitlines(keepends=True)
    model.write_text(
        "".join(line for line in lines if "At least 5" not in line and "Only 4 GPUs" not in line)
    )
    words = [
        "{gpus}",
        "{master_port}",
        "{size}",
        "{lora_path_dmd}",
        "{sample_steps}",
        "{image}",
        "{audio}",
        "{prompt}",
    ]
    return driver(n_gpus=4, script=["bash", "run_4gpu_tpp.sh", *words])


def test_a_script_of_ones_own(own: LiveAvatar, inputs: dict[str, Any], out: Path, repository: Path) -> None:
    with own:
        result = own.generate(own.request(**inputs, sample_steps=3), out)
    assert (result.n_frames, result.n_clips) == (50, 2)
    assert [event.name for event in result.events].count("clip") == 2  # though nobody tells the ranks apart
    assert list((repository / "output").iterdir()) == []


def test_a_script_is_not_asked_for_what_it_never_sees(own: LiveAvatar, inputs: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"no \{infer_frames\} and would never see it"):
        own.check(own.request(**inputs, infer_frames=24))
    with pytest.raises(RequestError, match="would never see the option 'fp8'"):
        own.check(own.request(**inputs, options={"fp8": False}))


def test_a_script_that_is_not_there(own: LiveAvatar, inputs: dict[str, Any], repository: Path) -> None:
    (repository / "run_4gpu_tpp.sh").unlink()
    with pytest.raises(RequestError, match=r"'run_4gpu_tpp\.sh' is not in"):
        own.check(own.request(**inputs))
