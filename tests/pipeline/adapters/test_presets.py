"""The presets with programs that stand in for the real ones: same flags, names, messages and failures."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.musetalk import MuseTalk
from pipeline.adapters.preset import Preset
from pipeline.adapters.sadtalker import SadTalker
from pipeline.adapters.wav2lip import Wav2Lip
from pipeline.errors import GenerationError, RequestError
from pipeline.testing import GeneratorContract

STAND_INS = Path(__file__).parents[2] / "stand_ins"
PRESETS: dict[str, tuple[type[Preset], str, list[str]]] = {
    "wav2lip": (Wav2Lip, "inference.py", ["checkpoints/wav2lip_gan.pth"]),
    "sadtalker": (
        SadTalker,
        "inference.py",
        [
            "checkpoints/SadTalker_V0.0.2_256.safetensors",
            "checkpoints/SadTalker_V0.0.2_512.safetensors",
            "checkpoints/mapping_00109-model.pth.tar",
            "checkpoints/mapping_00229-model.pth.tar",
            "src/config/a",
        ],
    ),
    "musetalk": (
        MuseTalk,
        "scripts/inference.py",
        ["models/musetalkV15/unet.pth", "models/musetalkV15/musetalk.json", "models/whisper/config.json"],
    ),
}
Make = Callable[..., Preset]


@pytest.fixture
def make(tmp_path: Path, video: Path, silent_film: Path) -> Make:
    """Give a function that makes a checkout with a stand-in and a preset for it."""

    def build(name: str, mode: str = "good", **settings: Any) -> Preset:
        kind, script, others = PRESETS[name]
        repository = tmp_path / "a checkout.v1 {x}"  # a space, a dot and braces: people have such folders
        for file in (script, *others):
            (repository / file).parent.mkdir(parents=True, exist_ok=True)
            (repository / file).write_text("weights")
        shutil.copyfile(STAND_INS / f"{name}.py", repository / script)
        environment = {"STAND_IN": mode, "VIDEO": str(video), "SILENT": str(silent_film)}
        return kind(
            **{
                "repository": str(repository),
                "python": sys.executable,
                "environment": environment,
                **settings,
            }
        )

    return build


@pytest.fixture
def face(tmp_path: Path) -> Path:
    """Give a portrait whose path has dots and a space before its suffix."""
    path = tmp_path / "my.portraits v1" / "anna.b.png"
    path.parent.mkdir()
    path.write_bytes(b"\x89PNG\r\n")
    return path


@pytest.fixture
def parameters(face: Path, spoken: Path) -> dict[str, Any]:
    """Give what every preset makes a video of."""
    return {"image": str(face), "audio": str(spoken)}


class TestWav2Lip(GeneratorContract):
    """Keeps the contract."""

    @pytest.fixture
    def generator(self, make: Make) -> Preset:
        """Give the driver."""
        return make("wav2lip")


class TestSadTalker(GeneratorContract):
    """Keeps the contract."""

    @pytest.fixture
    def generator(self, make: Make) -> Preset:
        """Give the driver."""
        return make("sadtalker")


class TestMuseTalk(GeneratorContract):
    """Keeps the contract."""

    @pytest.fixture
    def generator(self, make: Make) -> Preset:
        """Give the driver."""
        return make("musetalk")


def said(preset: Preset, parameters: dict[str, Any], out: Path) -> str:
    """Make a video and return the arguments as the program understood them."""
    preset._settings = preset._settings.model_copy(
        update={"events": {**preset._settings.events, "args": r"args Namespace(?P<args>.*)"}}
    )
    result = preset.generate(preset.request(**parameters), out)
    return next(str(event.detail["args"]) for event in result.events if event.name == "args")


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("wav2lip", {"pads": [0, 20, 0, 0], "nosmooth": True}, ["pads=[0, 20, 0, 0]", "nosmooth=True"]),
        ("wav2lip", {"wav2lip_batch_size": 8}, ["wav2lip_batch_size=8", "face='face.png'"]),
        (
            "sadtalker",
            {"size_of_image": 512, "preprocess": "full", "still": True, "enhancer": "gfpgan"},
            ["size=512", "preprocess='full'", "still=True", "enhancer='gfpgan'"],
        ),
        ("sadtalker", {"expression_scale": 0, "pose_style": 45}, ["expression_scale=0.0", "pose_style=45"]),
        ("musetalk", {"use_float16": True, "extra_margin": 0}, ["use_float16=True", "extra_margin=0"]),
    ],
)
def test_options_reach_the_program(
    *,
    name: str,
    options: dict[str, Any],
    expected: list[str],
    make: Make,
    parameters: dict[str, Any],
    tmp_path: Path,
) -> None:
    text = said(make(name), {**parameters, "options": options}, tmp_path / "out.mp4")
    assert [word for word in expected if word not in text] == []


def test_options_that_are_not_given_are_left_to_the_program(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    text = said(make("wav2lip"), parameters, tmp_path / "out.mp4")
    assert "pads=[0, 10, 0, 0]" in text
    assert "wav2lip_batch_size=128" in text


def test_frame_rate_and_video_as_a_face(
    make: Make, parameters: dict[str, Any], tmp_path: Path, video: Path
) -> None:
    assert "fps=30" in said(make("musetalk"), {**parameters, "fps": 30}, tmp_path / "out.mp4")
    assert "face='face.mp4'" in said(
        make("wav2lip"), {**parameters, "image": str(video)}, tmp_path / "out.mp4"
    )


def test_nothing_is_left_in_the_checkout(make: Make, parameters: dict[str, Any], tmp_path: Path) -> None:
    for name in PRESETS:
        preset = make(name)
        repository = Path(preset._own.repository)
        before = files_of(repository)
        preset.generate(preset.request(**parameters), tmp_path / "out.mp4")
        assert files_of(repository) == before


def files_of(repository: Path) -> list[Path]:
    """List a checkout, less what Python keeps of modules that it has read."""
    return sorted(path for path in repository.rglob("*") if "__pycache__" not in path.parts)


@pytest.mark.parametrize(
    ("name", "mode", "kind", "message"),
    [
        ("wav2lip", "no face", "no_face", "exit status 1.*Face not detected"),
        ("wav2lip", "no ffmpeg", "no_output", "without an error, but the file it should have written"),
        ("wav2lip", "out of memory", "out_of_memory", "Image too big"),
        ("wav2lip", "lfs", "bad_weights", "invalid load key"),
        ("wav2lip", "silent", "bad_output", "no sound, and sound was asked for"),
        ("sadtalker", "no face", "no_face", "never said where it saved"),
        ("sadtalker", "loses it", "no_output", "the file it said it saved, .* is not there"),
        ("sadtalker", "out of memory", "out_of_memory", "exit status 1"),
        ("sadtalker", "silent", "bad_output", "no sound, and sound was asked for"),
        ("musetalk", "no face", "no_output", "without an error.*integer modulo by zero"),
        ("musetalk", "out of memory", "out_of_memory", "without an error"),
        ("musetalk", "silent", "bad_output", "no sound, and sound was asked for"),
    ],
)
def test_every_failure_is_a_clear_error_and_leaves_nothing(
    *, name: str, mode: str, kind: str, message: str, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    preset = make(name, mode)
    folder = tmp_path / "videos"
    folder.mkdir()
    with pytest.raises(GenerationError, match=f"(?s){message}") as caught:
        preset.generate(preset.request(**parameters), folder / "out.mp4")
    assert caught.value.kind == kind
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", PRESETS)
def test_a_hang_is_ended(name: str, make: Make, parameters: dict[str, Any], tmp_path: Path) -> None:
    preset = make(name, "hangs", time_limit_s=1.0)
    with pytest.raises(GenerationError, match="did not end within 1 s") as caught:
        preset.generate(preset.request(**parameters), tmp_path / "out.mp4")
    assert caught.value.kind == "timed_out"


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("wav2lip", {"image": None}, "needs an image"),
        ("wav2lip", {"audio": None}, r"needs audio \(a sound file\) or text"),
        ("wav2lip", {"options": {"pads": [1, 2]}}, "pads is .*allowed: four whole numbers"),
        ("wav2lip", {"sample_steps": 3}, "sample_steps is 3, but the command .* would never see it"),
        ("wav2lip", {"size": "512*512"}, "size is '512\\*512', but the command"),
        ("sadtalker", {"options": {"size_of_image": 384}}, "size_of_image is 384; allowed: 256 or 512"),
        ("sadtalker", {"fps": 30}, "fps is 30"),
        ("musetalk", {"options": {"bbox_shift": 5}}, "bbox_shift has no effect with model v15"),
        ("musetalk", {"fps": 12.5}, "takes whole numbers"),
    ],
)
def test_what_it_cannot_do_is_refused(
    *, name: str, changes: dict[str, Any], message: str, make: Make, parameters: dict[str, Any]
) -> None:
    preset = make(name)
    with pytest.raises(RequestError, match=message):
        preset.check(preset.request(**{**parameters, **changes}))


def test_pictures_are_told_by_their_names(
    make: Make, parameters: dict[str, Any], tmp_path: Path, video: Path
) -> None:
    picture = tmp_path / "anna.webp"
    picture.write_bytes(b"RIFF")
    with pytest.raises(
        RequestError, match=r"wav2lip knows files by their names, and takes \.jpg, \.jpeg, \.png, \.mp4"
    ):
        make("wav2lip").check(make("wav2lip").request(**{**parameters, "image": str(picture)}))
    with pytest.raises(
        RequestError, match=r"sadtalker knows files by their names, and takes \.jpg, \.jpeg, \.png$"
    ):
        make("sadtalker").check(make("sadtalker").request(**{**parameters, "image": str(video)}))
    with pytest.raises(RequestError, match="gives a video the frame rate it has"):
        make("musetalk").check(make("musetalk").request(**{**parameters, "image": str(video), "fps": 30}))


@pytest.mark.parametrize(
    ("name", "file", "setting", "gone"),
    [
        ("wav2lip", "checkpoints/wav2lip_gan.pth", "checkpoint", "is not there"),
        ("musetalk", "models/musetalkV15/unet.pth", "unet_model_path", "is not there"),
        ("musetalk", "models/whisper/config.json", "whisper_dir", "is empty"),
    ],
)
def test_missing_files_and_lfs_pointers(
    *, name: str, file: str, setting: str, gone: str, make: Make, parameters: dict[str, Any]
) -> None:
    preset = make(name)
    path = Path(preset._own.repository) / file
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(
        RequestError, match=f"setting {setting}: .*a git-lfs pointer is in place of the weights"
    ):
        preset.check(preset.request(**parameters))
    path.unlink()
    with pytest.raises(RequestError, match=f"setting {setting}: .* {gone}"):
        preset.check(preset.request(**parameters))


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ({"size_of_image": 512}, "SadTalker_V0.0.2_512.safetensors"),
        ({"preprocess": "extfull"}, "mapping_00109-model.pth.tar"),
        ({}, "mapping_00229-model.pth.tar"),
    ],
)
def test_sadtalker_has_weights_for_each_size_and_manner(
    options: dict[str, Any], file: str, make: Make, parameters: dict[str, Any]
) -> None:
    preset = make("sadtalker")
    request = preset.request(**parameters, options=options)
    preset.check(request)
    (Path(preset._own.repository) / "checkpoints" / file).unlink()
    with pytest.raises(RequestError, match=f"needs {file}, which is not in "):
        preset.check(request)


@pytest.mark.parametrize("name", PRESETS)
def test_a_folder_that_is_no_checkout(name: str, make: Make, parameters: dict[str, Any]) -> None:
    preset = make(name)
    (Path(preset._own.repository) / preset.script).unlink()
    with pytest.raises(RequestError, match=r"setting repository: there is no file .*inference\.py"):
        preset.check(preset.request(**parameters))


def test_the_plan_says_how_the_folder_is_prepared(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    preset = make("musetalk")
    plan = preset.dry_run(preset.request(**parameters), tmp_path / "out.mp4")
    text = plan.text()
    assert f"copies {parameters['image']} to " in text
    assert '"task_0": {"video_path": ' in text
    assert plan.argv[1:4] == ("-m", "scripts.inference", "--inference_config")
