"""The presets with programs that stand in for the real ones: same flags, names, messages and failures."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from pipeline.adapters.musetalk.generator import MuseTalk
from pipeline.adapters.preset import Preset
from pipeline.adapters.sadtalker import SadTalker
from pipeline.adapters.wav2lip import Wav2Lip
from pipeline.errors import GenerationError, RequestError
from pipeline.result import GenerationResult
from pipeline.testing import GeneratorContract
from tests.pipeline.adapters.media import draw_face, film
from tests.pipeline.conftest import tone, write_wav

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
            "src/config/facerender.yaml",
        ],
    ),
    "musetalk": (
        MuseTalk,
        "scripts/inference.py",
        [
            "models/musetalkV15/unet.pth",
            "models/musetalkV15/musetalk.json",
            "models/musetalk/pytorch_model.bin",
            "models/musetalk/musetalk.json",
            "models/whisper/config.json",
        ],
    ),
}
Make = Callable[..., Preset]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Give a function that makes a checkout with a stand-in and a preset for it."""

    def build(name: str, mode: str = "good", **settings: Any) -> Preset:
        kind, script, others = PRESETS[name]
        repository = tmp_path / "a checkout.v1 {x}"  # a space, a dot and braces: people have such folders
        for file in (script, *others):
            (repository / file).parent.mkdir(parents=True, exist_ok=True)
            (repository / file).write_text("weights")
        shutil.copyfile(STAND_INS / f"{name}.py", repository / script)
        environment = {
            "STAND_IN": mode,
            "PYTHONPATH": str(STAND_INS),
            "SEEN": str(tmp_path / "seen.json"),
            "PATH": f"{STAND_INS}:{os.environ['PATH']}",
        }
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
    return draw_face(path)


@pytest.fixture
def filmed(tmp_path: Path) -> Path:
    """Give a video of a person, 2 s at 25 fps, 160*160."""
    return film(tmp_path / "anna.mp4", [draw_face(tmp_path / "anna.png")] * 50)


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


class TestMuseTalkInBatches(GeneratorContract):
    """Keeps the contract."""

    @pytest.fixture
    def generator(self, make: Make) -> Preset:
        """Give the driver."""
        return make("musetalk", batch=True)


def said(preset: Preset, parameters: dict[str, Any], out: Path) -> dict[str, Any]:
    """Make a video and return the arguments as the program understood them."""
    preset.generate(preset.request(**parameters), out)
    seen: dict[str, Any] = json.loads((out.parent / "seen.json").read_text())
    return seen


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("wav2lip", {"pads": [0, 20, 0, -5]}, {"pads": [0, 20, 0, -5], "nosmooth": False}),
        ("wav2lip", {"wav2lip_batch_size": 8}, {"wav2lip_batch_size": 8, "face": "face.png"}),
        ("wav2lip", {"box": [20, 140, 30, 130]}, {"box": [20, 140, 30, 130]}),
        (
            "sadtalker",
            {"size_of_image": 512, "preprocess": "full", "still": True, "enhancer": "gfpgan"},
            {"size": 512, "preprocess": "full", "still": True, "enhancer": "gfpgan"},
        ),
        ("sadtalker", {"expression_scale": 0, "pose_style": 45}, {"expression_scale": 0.0, "pose_style": 45}),
        (
            "sadtalker",
            {"input_yaw": [-20, 30, 10], "input_pitch": [0], "input_roll": [5, -5]},
            {"input_yaw": [-20, 30, 10], "input_pitch": [0], "input_roll": [5, -5]},
        ),
        ("musetalk", {"use_float16": True, "extra_margin": 0}, {"use_float16": True, "extra_margin": 0}),
        (
            "musetalk",
            {"left_cheek_width": 70, "right_cheek_width": 60, "parsing_mode": "jaw"},
            {"left_cheek_width": 70, "right_cheek_width": 60, "parsing_mode": "jaw"},
        ),
        ("musetalk", {"parsing_mode": "neck"}, {"parsing_mode": "neck", "left_cheek_width": 90}),
    ],
)
def test_options_reach_the_program(
    *,
    name: str,
    options: dict[str, Any],
    expected: dict[str, Any],
    make: Make,
    parameters: dict[str, Any],
    tmp_path: Path,
) -> None:
    seen = said(make(name), {**parameters, "options": options}, tmp_path / "out.mp4")
    assert {option: seen[option] for option in expected} == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"nosmooth": True, "static": True}, {"nosmooth": True, "static": True}),
        ({"static": False}, {"static": False}),
        ({"resize_factor": 2}, {"resize_factor": 2}),
        ({"crop": [0, 150, 4, -1]}, {"crop": [0, 150, 4, -1]}),
    ],
)
def test_options_of_videos_reach_wav2lip(
    options: dict[str, Any],
    expected: dict[str, Any],
    make: Make,
    parameters: dict[str, Any],
    filmed: Path,
    tmp_path: Path,
) -> None:
    request = {**parameters, "image": str(filmed), "options": options}
    seen = said(make("wav2lip"), request, tmp_path / "out.mp4")
    assert {option: seen[option] for option in expected} == expected


def test_reference_videos_are_given_to_sadtalker_under_plain_names(
    make: Make, parameters: dict[str, Any], filmed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(filmed.parent)
    preset = make("sadtalker")
    options = {"ref_pose": filmed.name, "ref_eyeblink": str(filmed)}
    seen = said(preset, {**parameters, "options": options}, tmp_path / "out.mp4")
    assert Path(seen["ref_pose"]).name == "ref_pose.mp4"
    assert Path(seen["ref_eyeblink"]).name == "ref_eyeblink.mp4"
    faceless = film(tmp_path / "b.mp4", [tmp_path / "anna.png", *[None] * 40])
    for options, message in (
        ({"ref_pose": "gone.mp4"}, "option ref_pose is 'gone.mp4': there is no such file"),
        ({"ref_pose": parameters["image"]}, "takes a video for it"),
        ({"ref_eyeblink": str(faceless)}, "no face found in the frame at 0.40 s"),
    ):
        with pytest.raises(RequestError, match=message):
            preset.check(preset.request(**parameters, options=options))


def test_options_that_are_not_given_are_left_to_the_program(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    seen = said(make("wav2lip"), parameters, tmp_path / "out.mp4")
    assert (seen["pads"], seen["wav2lip_batch_size"]) == ([0, 10, 0, 0], 128)


def test_frame_rate_and_video_as_a_face(
    make: Make, parameters: dict[str, Any], tmp_path: Path, filmed: Path
) -> None:
    assert said(make("musetalk"), {**parameters, "fps": 30}, tmp_path / "out.mp4")["fps"] == 30
    seen = said(make("wav2lip"), {**parameters, "image": str(filmed)}, tmp_path / "out.mp4")
    assert seen["face"] == "face.mp4"


def test_a_picture_of_odd_sides_is_made_even_before_musetalk_starts(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    preset = make("musetalk")
    picture = draw_face(tmp_path / "odd.jpg", 161, 163)
    request = preset.request(**{**parameters, "image": str(picture)})
    result = preset.generate(request, tmp_path / "out.mp4")
    assert (result.width, result.height) == (160, 162)
    notes = [event.detail["text"] for event in result.events if event.name == "warning"]
    assert notes == [
        "the program was given the image less its last row or column, so that both sides are even"
    ]
    assert "so that both sides are even" in preset.dry_run(request, tmp_path / "out.mp4").text()


def test_a_video_of_odd_sides_is_refused_by_musetalk(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    odd = film(tmp_path / "odd.mkv", [draw_face(tmp_path / "odd.png", 161, 160)] * 10, codec="ffv1")
    preset = make("musetalk")
    request = preset.request(**{**parameters, "image": str(odd)})
    with pytest.raises(RequestError, match=r"the frames would be 161\*160, and .* takes even sides only"):
        preset.check(request)
    with pytest.raises(RequestError, match="takes even sides only"):
        preset.generate(request, tmp_path / "out.mp4")


@pytest.mark.parametrize("name", PRESETS)
def test_a_portrait_without_a_face_is_told_before_anything_starts(
    name: str, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    preset = make(name)
    coffee = tmp_path / "coffee.png"
    Image.fromarray(data.coffee()).save(coffee)
    request = preset.request(**{**parameters, "image": str(coffee)})
    for attempt in (
        lambda: preset.check(request),
        lambda: preset.dry_run(request, tmp_path / "out.mp4"),
        lambda: preset.generate(request, tmp_path / "out.mp4"),
    ):
        with pytest.raises(RequestError, match=r"coffee\.png.*no face found") as refusal:
            attempt()
        assert refusal.value.kind == "no_face"
    assert not (tmp_path / "seen.json").exists()


def test_a_video_in_which_the_face_is_gone_for_a_while(
    make: Make, parameters: dict[str, Any], filmed: Path, tmp_path: Path
) -> None:
    anna = tmp_path / "anna.png"
    gap = film(tmp_path / "gap.mp4", [anna] * 20 + [None] * 20 + [anna] * 20)
    late = film(tmp_path / "late.mp4", [anna] * 50 + [None] * 50)  # the sound ends before the face does
    for name, image, options, message in (
        ("musetalk", gap, {}, "no face found in the frame at 1.16 s"),
        ("musetalk", late, {}, "no face found in the frame at 2.96 s"),
        ("wav2lip", gap, {}, "no face found in the frame at 0.96 s"),
        ("wav2lip", filmed, {"crop": [100, -1, 100, -1]}, "no face found in the frame at 0.00 s"),
        ("wav2lip", late, {}, None),
        ("wav2lip", gap, {"static": True}, None),
        ("wav2lip", gap, {"box": [20, 140, 30, 130]}, None),
    ):
        preset = make(name)
        request = preset.request(**{**parameters, "image": str(image), "options": options})
        if message is None:
            preset.check(request)
        else:
            with pytest.raises(RequestError, match=message) as refusal:
                preset.check(request)
            assert refusal.value.kind == "no_face"


def test_the_face_is_looked_for_in_a_video_that_wav2lip_turns(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    lying = tmp_path / "lying.png"
    with Image.open(draw_face(tmp_path / "anna.png")) as picture:
        picture.rotate(90).save(lying)
    video = film(tmp_path / "lying.mp4", [lying] * 10)
    preset = make("wav2lip")
    preset.check(preset.request(**{**parameters, "image": str(video), "options": {"rotate": True}}))


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
        (
            "wav2lip",
            "no ffmpeg",
            "no_ffmpeg",
            "without an error, but the file it should have written.*not found",
        ),
        ("wav2lip", "out of memory", "out_of_memory", "Image too big"),
        ("wav2lip", "broken driver", "crashed", "Image too big"),
        ("wav2lip", "cut off", "bad_output", "lasts 0.92 s where 1.88 s belong to this sound"),
        ("wav2lip", "lfs", "bad_weights", "invalid load key"),
        ("wav2lip", "silent", "bad_output", "no sound, and sound was asked for"),
        ("sadtalker", "no face", "no_face", "exceptions must derive from BaseException"),
        ("sadtalker", "no face in the crop", "no_face", "index 0 is out of bounds"),
        (
            "sadtalker",
            "out of memory while looking",
            "out_of_memory",
            "tries the same for ever, and was ended when it said a second time: Warning: out of memory, sleep for 1s",
        ),
        ("sadtalker", "crashes after a warning", "crashed", "something else"),
        ("sadtalker", "no ffmpeg", "no_ffmpeg", r"FileNotFoundError: .*\.mp4"),
        ("sadtalker", "cut off", "bad_output", "lasts 1.00 s where 2.00 s belong to this sound"),
        ("sadtalker", "loses it", "no_output", "the file it said it saved, .* is not there"),
        ("sadtalker", "out of memory", "out_of_memory", "exit status 1"),
        ("sadtalker", "silent", "bad_output", "no sound, and sound was asked for"),
        ("musetalk", "no face", "no_face", "without an error.*division by zero"),
        ("musetalk", "cut off", "bad_output", "lasts 1.00 s where 2.00 s belong to this sound"),
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
        ("wav2lip", {"options": {"crop": [0, 100, 0, -1]}}, "crop has no effect on a picture"),
        ("wav2lip", {"options": {"static": True}}, "static has no effect on a picture"),
        (
            "wav2lip",
            {"options": {"box": [20, 10, 0, 9]}},
            r"box is \[20, 10, 0, 9\]: .* a picture of 160\*160",
        ),
        ("wav2lip", {"options": {"box": [0, 161, 0, 9]}}, "must enclose something of a picture of"),
        ("wav2lip", {"options": {"box": [1, 9, 1, 9], "pads": [0, 0, 0, 0]}}, "pads has no effect where box"),
        ("sadtalker", {"options": {"still": True, "pose_style": 3}}, "pose_style has no effect with still"),
        ("sadtalker", {"options": {"background_enhancer": "realesrgan"}}, "has no effect without enhancer"),
        ("sadtalker", {"options": {"input_yaw": [10, 10]}}, "divides by the difference"),
        ("sadtalker", {"options": {"input_roll": []}}, "input_roll is .*allowed: whole numbers of degrees"),
        ("musetalk", {"options": {"bbox_shift": 5}}, "bbox_shift has no effect with model v15"),
        (
            "musetalk",
            {"options": {"left_cheek_width": 5, "parsing_mode": "raw"}},
            "left_cheek_width has no effect with parsing_mode raw",
        ),
        ("musetalk", {"fps": 50}, "would have 50 fps, and MuseTalk makes 1 to 49"),
        ("musetalk", {"fps": 12.5}, "takes whole numbers"),
    ],
)
def test_what_it_cannot_do_is_refused(
    *, name: str, changes: dict[str, Any], message: str, make: Make, parameters: dict[str, Any]
) -> None:
    preset = make(name)
    with pytest.raises(RequestError, match=message):
        preset.check(preset.request(**{**parameters, **changes}))


@pytest.mark.parametrize(
    ("name", "sound_s", "message"),
    [
        ("wav2lip", 0.18, "lasts 0.18 s, and Wav2Lip needs 0.19 s"),
        ("sadtalker", 0.1, "2 frames of SadTalker, which fails for fewer than 3"),
        ("sadtalker", 0.85, "21 frames of SadTalker, which fails .* for exactly 21"),
        ("musetalk", 0.03, "less than one frame at 25 fps"),
    ],
)
def test_a_sound_of_a_length_with_which_it_fails(
    *, name: str, sound_s: float, message: str, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    preset = make(name)
    sound = write_wav(tmp_path / "short.wav", tone(sound_s))
    request = preset.request(**{**parameters, "audio": str(sound)})
    with pytest.raises(RequestError, match=message):
        preset.check(request)
    with pytest.raises(RequestError, match=message):
        preset.generate(request, tmp_path / "out.mp4")


def test_musetalk_takes_no_sound_with_a_picture(make: Make, parameters: dict[str, Any], video: Path) -> None:
    preset = make("musetalk")
    with pytest.raises(RequestError, match="holds a picture too, which MuseTalk may take"):
        preset.check(preset.request(**{**parameters, "audio": str(video)}))


def test_a_video_of_a_broken_rate_is_noted_by_musetalk(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    preset = make("musetalk")
    anna = draw_face(tmp_path / "anna.png")
    slow = film(tmp_path / "a.mp4", [anna] * 30, fps=Fraction(30000, 1001))
    result = preset.generate(preset.request(**{**parameters, "image": str(slow)}), tmp_path / "out.mp4")
    (note,) = [event.detail["text"] for event in result.events if event.name == "warning"]
    assert str(note).startswith(
        "its code hears 29 frames a second and shows 29.97: the mouth gains 32 ms on the sound"
    )
    fast = film(tmp_path / "b.mp4", [anna] * 30, fps=60)
    with pytest.raises(RequestError, match="would have 60 fps, and MuseTalk makes 1 to 49"):
        preset.check(preset.request(**{**parameters, "image": str(fast)}))


@pytest.mark.parametrize("name", ["sadtalker", "musetalk"])
def test_a_temporary_folder_that_a_shell_would_misread(
    name: str, make: Make, parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a $(touch x)"
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    preset = make(name)
    with pytest.raises(RequestError, match="hands paths as they are: set TMPDIR to another one"):
        preset.check(preset.request(**parameters))


def test_each_model_of_musetalk_has_weights_of_its_own(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    seen = said(
        make("musetalk", model="v1"), {**parameters, "options": {"bbox_shift": -7}}, tmp_path / "out.mp4"
    )
    assert (seen["version"], seen["unet_model_path"]) == ("v1", "models/musetalk/pytorch_model.bin")
    assert (seen["unet_config"], seen["bbox_shift"]) == ("models/musetalk/musetalk.json", -7)
    seen = said(make("musetalk"), parameters, tmp_path / "out.mp4")
    assert (seen["version"], seen["unet_model_path"]) == ("v15", "models/musetalkV15/unet.pth")
    assert seen["unet_config"] == "models/musetalkV15/musetalk.json"
    for model, name, given in (
        ("v1", "unet_model_path", "models/musetalkV15/unet.pth"),
        ("v1", "unet_config", "/weights/musetalkV15/musetalk.json"),
        ("v15", "unet_model_path", "/elsewhere/pytorch_model.bin"),
    ):
        with pytest.raises(RequestError, match=f"{name} is .* of the other model: model {model} needs"):
            make("musetalk", model=model, **{name: given})


@pytest.mark.parametrize("name", PRESETS)
def test_the_version_is_the_commit_where_none_is_given(name: str, make: Make) -> None:
    preset = make(name)
    assert preset.version == "unknown"
    git = Path(preset._own.repository) / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(
        "# pack-refs\n0123456789abcdef0123456789abcdef01234567 refs/heads/main\n"
    )
    assert make(name).version == "0123456789"
    assert make(name, version="mine").version == "mine"


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
def test_without_ffmpeg_nothing_is_begun(
    name: str, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    preset = make(name, environment={"PATH": str(tmp_path)})
    with pytest.raises(RequestError, match=f"there is no ffmpeg, with which {name} joins picture and sound"):
        preset.check(preset.request(**parameters))
    if name == "musetalk":
        own = Path(preset._own.repository) / "ffmpeg-4.4-amd64-static" / "ffmpeg"
        own.parent.mkdir()
        own.write_text("ffmpeg")
        preset.check(preset.request(**parameters))


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


# --- several tasks of MuseTalk a load


def load_s(result: GenerationResult) -> float:
    """Return what the result says of the loading: the same number is the same run of the program."""
    (loaded,) = [event for event in result.events if event.name == "loaded"]
    return float(str(loaded.detail["load_s"]))


@pytest.fixture
def three(parameters: dict[str, Any], filmed: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """Give the parameters of three videos: of an odd picture, of a video and of a text."""
    odd = draw_face(tmp_path / "odd.jpg", 161, 163)
    shorter = write_wav(tmp_path / "shorter.wav", tone(1.0))
    return [
        {**parameters, "image": str(odd)},
        {"image": str(filmed), "audio": str(shorter)},
        {"image": parameters["image"], "text": "Good morning"},
    ]


def test_videos_that_were_announced_are_made_by_one_run_each_with_its_own_times(
    make: Make, three: list[dict[str, Any]], tmp_path: Path
) -> None:
    driver = make("musetalk", batch=True)
    assert driver.makes_batches
    requests = [driver.request(**one) for one in three]
    folder = tmp_path / "videos"
    folder.mkdir()
    results = []
    with driver:
        for number, request in enumerate(requests):
            driver.announce_upcoming(requests[number:], folder)
            results.append(driver.generate(request, folder / f"{number}.mp4"))
    assert [(result.width, result.height) for result in results] == [(160, 162), (160, 160), (160, 160)]
    assert [result.n_frames for result in results[:2]] == [50, 25]
    assert len({load_s(result) for result in results}) == 1
    for result in results:
        names = [event.name for event in result.events]
        assert [name for name in names if name != "warning"] == [
            "began",
            "loaded",
            "speech",
            "rendering",
            "first_frame",
            "saved",
        ]
    begins = [float(str(result.events[0].detail["monotonic_s"])) for result in results]
    ends = [begin + result.events[-1].time_s for begin, result in zip(begins, results, strict=True)]
    assert begins[1] == pytest.approx(ends[0], abs=1e-6)  # a task begins where the one before ended
    assert begins[2] == pytest.approx(ends[1], abs=1e-6)
    assert sorted(path.name for path in folder.iterdir()) == ["0.mp4", "1.mp4", "2.mp4"]


def test_a_task_that_fails_costs_no_other(make: Make, three: list[dict[str, Any]], tmp_path: Path) -> None:
    driver = make("musetalk", "out of memory in the second", batch=True)
    requests = [driver.request(**one) for one in three]
    driver.announce_upcoming(requests, tmp_path)
    first = driver.generate(requests[0], tmp_path / "0.mp4")
    with pytest.raises(GenerationError, match=r"0002\.mp4, is not there") as caught:
        driver.generate(requests[1], tmp_path / "1.mp4")
    assert caught.value.kind == "out_of_memory"
    third = driver.generate(requests[2], tmp_path / "2.mp4")
    assert load_s(first) == load_s(third)
    assert list(tmp_path.glob(".batch*")) == []


def test_one_without_a_face_ends_no_run_that_is_under_way(
    make: Make, three: list[dict[str, Any]], tmp_path: Path
) -> None:
    driver = make("musetalk", batch=True)
    cup = tmp_path / "cup.png"
    Image.fromarray(data.coffee()).save(cup)
    requests = [driver.request(**one) for one in (three[0], {**three[1], "image": str(cup)}, three[2])]
    driver.announce_upcoming(requests, tmp_path)
    first = driver.generate(requests[0], tmp_path / "0.mp4")
    with pytest.raises(RequestError, match="no face found"):
        driver.generate(requests[1], tmp_path / "1.mp4")
    assert load_s(driver.generate(requests[2], tmp_path / "2.mp4")) == load_s(first)


def test_other_options_are_another_run_and_closing_ends_one(
    make: Make, three: list[dict[str, Any]], tmp_path: Path
) -> None:
    driver = make("musetalk", batch=True)
    requests = [
        driver.request(**three[0]),
        driver.request(**three[1]),
        driver.request(**three[2], options={"extra_margin": 5}),
    ]
    driver.announce_upcoming(requests, tmp_path)
    first, second = (driver.generate(one, tmp_path / "out.mp4") for one in requests[:2])
    driver.announce_upcoming(requests[2:], tmp_path)
    third = driver.generate(requests[2], tmp_path / "out.mp4")
    assert load_s(first) == load_s(second) != load_s(third)
    driver.announce_upcoming(requests[:2], tmp_path)
    driver.generate(requests[0], tmp_path / "out.mp4")
    driver.close()
    assert list(tmp_path.glob(".batch*")) == []


def test_a_run_that_hangs_is_ended_and_told(make: Make, three: list[dict[str, Any]], tmp_path: Path) -> None:
    driver = make("musetalk", "hangs in the second", batch=True, time_limit_s=8.0)
    requests = [driver.request(**one) for one in three[:2]]
    driver.announce_upcoming(requests, tmp_path)
    driver.generate(requests[0], tmp_path / "0.mp4")
    with pytest.raises(GenerationError, match="did not end within 16 s") as caught:
        driver.generate(requests[1], tmp_path / "1.mp4")
    assert caught.value.kind == "timed_out"
    assert list(tmp_path.glob(".batch*")) == []
