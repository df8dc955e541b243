"""Wav2Lip's own inference.py, whole, with its network and its face detector's network replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from pipeline.adapters.wav2lip import SOURCE, Wav2Lip
from pipeline.errors import GenerationError
from tests.pipeline.adapters.media import draw_face, film
from tests.pipeline.adapters.real.substitutes import (
    need_modules,
    parse,
    run_python,
    their_environment,
    write_substitutes,
)
from tests.pipeline.conftest import tone, write_wav

if TYPE_CHECKING:
    from tests.pipeline.adapters.real.conftest import Checkout

MODULES = {
    "models": """
import torch

class Wav2Lip(torch.nn.Module):
    def forward(self, mels, images):
        assert mels.shape[1:] == (1, 80, 16) and images.shape[1:] == (6, 96, 96)
        return images[:, 3:]
""",
    "face_detection.detection.sfd.sfd_detector": """
import os
from face_detection.detection.core import FaceDetector

class SFDDetector(FaceDetector):
    def __init__(self, device, verbose=False):
        super().__init__(device, verbose)

    def detect_from_batch(self, images):
        mode = os.environ["MODE"]
        if mode == "out of memory":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.37 GiB")
        if mode == "broken driver":
            raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")
        height, width = images.shape[1:3]
        face = (0.3 * width, 0.2 * height, 0.7 * width, 0.6 * height, 0.99)
        return [[] if mode == "no face" else [face] for _ in images]

    reference_scale = reference_x_shift = reference_y_shift = 0
""",
}
NEWER_LIBROSA = """
import librosa.filters

mel = librosa.filters.mel
librosa.filters.mel = lambda sr, n_fft, **more: mel(sr=sr, n_fft=n_fft, **more)  # as it was before 0.10
"""
Make = Callable[..., Wav2Lip]


@pytest.fixture
def make(checkout: Checkout, their_python: str, tmp_path: Path) -> Make:
    """Give a function that makes the driver of the real program."""
    repository = checkout(SOURCE)
    need_modules(their_python, "torch", "cv2", "librosa", "scipy", "tqdm")
    path = write_substitutes(tmp_path / "substitutes", MODULES, NEWER_LIBROSA)
    weights = tmp_path / "wav2lip_gan.pth"
    run_python(their_python, "import sys, torch; torch.save({'state_dict': {}}, sys.argv[1])", str(weights))

    def build(mode: str = "good", **environment: str) -> Wav2Lip:
        return Wav2Lip(
            repository=str(repository),
            python=their_python,
            checkpoint=str(weights),
            environment=their_environment(their_python, path, mode, **environment),
        )

    return build


@pytest.fixture
def parameters(tmp_path: Path) -> dict[str, Any]:
    """Give a picture of odd sides and a sound of 1.3 s."""
    return {
        "image": str(draw_face(tmp_path / "anna.jpg", 161, 163)),
        "audio": str(write_wav(tmp_path / "hello.wav", tone(1.3))),
    }


@pytest.mark.parametrize("fps", [25.0, 12.5, 60.0])
def test_a_picture_of_odd_sides_speaks_as_long_as_was_reckoned(
    *, fps: float, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    driver = make()
    request = driver.request(**parameters, fps=fps)
    result = driver.generate(request, tmp_path / "out.mp4")
    assert result.n_frames == driver._count_frames(request, 1.3)
    assert result.fps == pytest.approx(fps)
    assert (result.width, result.height) == (160, 162)
    assert result.audio_duration_s == pytest.approx(1.3, abs=0.1)
    assert result.version.startswith("5c90fa9")


def test_a_video_that_is_reduced_and_cropped_and_a_sound_that_is_no_wav(make: Make, tmp_path: Path) -> None:
    anna = draw_face(tmp_path / "anna.png", 320, 320)
    driver = make()
    request = driver.request(
        image=str(film(tmp_path / "anna.mp4", [anna] * 20, fps=30)),
        audio=str(film(tmp_path / "sound.mp4", [anna] * 60, sound_s=2.0)),
        options={"resize_factor": 2, "crop": [0, 151, 0, -1], "nosmooth": True, "wav2lip_batch_size": 7},
    )
    result = driver.generate(request, tmp_path / "out.mp4")
    assert (result.width, result.height) == (160, 150)
    assert abs(result.n_frames - driver._count_frames(request, 2.0)) <= 1
    assert result.fps == pytest.approx(30)


def test_a_box_needs_no_detector(make: Make, parameters: dict[str, Any], tmp_path: Path) -> None:
    driver = make("no face")
    result = driver.generate(
        driver.request(**parameters, options={"box": [20, 140, 30, 161]}), tmp_path / "out.mp4"
    )
    assert result.n_frames == 30


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("no face", "no_face"), ("out of memory", "out_of_memory"), ("broken driver", "crashed")],
)
def test_how_it_fails_is_understood(
    *, mode: str, kind: str, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    driver = make(mode)
    with pytest.raises(GenerationError, match="exit status 1") as caught:
        driver.generate(driver.request(**parameters), tmp_path / "out.mp4")
    assert caught.value.kind == kind
    assert not (tmp_path / "out.mp4").exists()


def test_a_turn_needs_an_older_opencv(
    make: Make, their_python: str, parameters: dict[str, Any], tmp_path: Path
) -> None:
    if run_python(their_python, "import cv2; print(hasattr(cv2, 'cv2'))").strip() == "True":
        pytest.skip(f"the OpenCV of {their_python} still has cv2.cv2")
    lying = tmp_path / "lying.png"
    with Image.open(draw_face(tmp_path / "anna.png")) as picture:
        picture.rotate(90).save(lying)
    driver = make()
    request = {**parameters, "image": str(film(tmp_path / "lying.mp4", [lying] * 5))}
    with pytest.raises(GenerationError, match=r"(?s)wav2lip failed .*module 'cv2' has no attribute 'cv2'"):
        driver.generate(driver.request(**request, options={"rotate": True}), tmp_path / "out.mp4")


def test_an_ffmpeg_that_fails_is_no_video_though_it_ends_well(
    make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    broken = tmp_path / "bin" / "ffmpeg"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    broken.chmod(0o755)
    driver = make(PATH=str(broken.parent))
    with pytest.raises(
        GenerationError, match=r"ended without an error, but the file it should have written"
    ) as no:
        driver.generate(driver.request(**parameters), tmp_path / "out.mp4")
    assert no.value.kind == "no_output"


@pytest.mark.parametrize(
    ("video", "options"),
    [
        (False, {}),
        (False, {"pads": [0, -10, 5, 5], "wav2lip_batch_size": 3, "face_det_batch_size": 4}),
        (False, {"box": [20, 140, 30, 150]}),
        (True, {"static": True, "rotate": False, "resize_factor": 2}),
        (True, {"static": False, "nosmooth": True, "crop": [0, -1, 4, 150]}),
    ],
)
def test_its_parser_takes_every_command_line(
    *, video: bool, options: dict[str, Any], make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    if video:
        anna = draw_face(tmp_path / "anna.png")
        parameters = {**parameters, "image": str(film(tmp_path / "anna.mp4", [anna] * 5))}
    driver = make()
    parsed = parse(driver.dry_run(driver.request(**parameters, options=options), tmp_path / "out.mp4"))
    assert {name: parsed[name] for name in options} == options
    assert (parsed["fps"], parsed["outfile"]) == (25.0, "result.mp4")
