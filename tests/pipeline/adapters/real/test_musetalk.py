"""MuseTalk's own scripts/inference.py, whole, with its networks and the libraries that only they need replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.adapters.musetalk.beliefs import SOURCE
from pipeline.adapters.musetalk.generator import MuseTalk
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
    "mmpose": "",
    "mmpose.apis": """
import numpy as np

def init_model(*_, **__):
    return None

def inference_topdown(model, picture):
    height, width = picture.shape[:2]
    points = np.zeros((1, 133, 2))
    points[0, 23:91, 0] = np.linspace(0.3, 0.7, 68) * width
    points[0, 23:91, 1] = np.linspace(0.25, 0.7, 68) * height
    return points
""",
    "mmpose.structures": """
from types import SimpleNamespace

def merge_data_samples(points):
    return SimpleNamespace(pred_instances=SimpleNamespace(keypoints=points))
""",
    "face_detection.detection.sfd.sfd_detector": """
import os
from face_detection.detection.core import FaceDetector

class SFDDetector(FaceDetector):
    def __init__(self, device, verbose=False):
        super().__init__(device, verbose)

    def detect_from_batch(self, images):
        height, width = images.shape[1:3]
        face = (0.3 * width, 0.2 * height, 0.7 * width, 0.7 * height, 0.99)
        return [[] if os.environ["MODE"] == "no face" or picture.std() < 5 else [face] for picture in images]

    reference_scale = reference_x_shift = reference_y_shift = 0
""",
    "musetalk.models.vae": """
import numpy as np
import torch

class VAE:
    def __init__(self, model_path):
        self.vae = torch.nn.Identity()

    def get_latents_for_unet(self, picture):
        assert picture.shape == (256, 256, 3)
        return torch.zeros(1, 8, 32, 32)

    def decode_latents(self, latents):
        return np.full((len(latents), 256, 256, 3), 90, np.uint8)
""",
    "musetalk.models.unet": """
import json, os
from types import SimpleNamespace
import torch

class Model(torch.nn.Module):
    dtype = torch.float32
    n_runs = 0

    def forward(self, latents, steps, encoder_hidden_states):
        assert encoder_hidden_states.shape[1] == 10 * 2  # ten pieces of sound, of as many layers as whisper has
        Model.n_runs += 1
        if os.environ["MODE"] == "out of memory" or (
            os.environ["MODE"] == "out of memory in the second" and Model.n_runs == 6
        ):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 512.00 MiB")
        return SimpleNamespace(sample=latents[:, :4])

class UNet:
    def __init__(self, unet_config, model_path, device):
        with open(unet_config) as file:
            json.load(file)
        torch.load(model_path)
        self.model = Model()

class PositionalEncoding(torch.nn.Module):
    def __init__(self, d_model):
        super().__init__()

    def forward(self, sound):
        return sound
""",
    "musetalk.utils.face_parsing.model": """
import torch

class BiSeNet(torch.nn.Module):
    def __init__(self, path):
        super().__init__()

    def forward(self, pictures):
        parts = torch.zeros(len(pictures), 19, 512, 512)
        parts[:, 1, 100:400, 100:400] = 1
        return [parts]
""",
}
SAVE = """
import os, sys, torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

folder = sys.argv[1]
for model, file in (("musetalkV15", "unet.pth"), ("musetalk", "pytorch_model.bin"), ("face-parse-bisent", "79999_iter.pth")):
    os.makedirs(os.path.join(folder, model))
    torch.save({}, os.path.join(folder, model, file))
    with open(os.path.join(folder, model, "musetalk.json"), "w") as file:
        file.write("{}")
small = dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
small |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
small |= dict.fromkeys(("d_model", "encoder_ffn_dim", "decoder_ffn_dim"), 16)
small |= dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 1)
WhisperModel(WhisperConfig(vocab_size=8, **small)).save_pretrained(os.path.join(folder, "whisper"))
WhisperFeatureExtractor().save_pretrained(os.path.join(folder, "whisper"))
"""
Make = Callable[..., MuseTalk]


@pytest.fixture(scope="session")
def weights(their_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of weights of networks that do nothing, and of a whisper of one layer."""
    need_modules(
        their_python, *("torch", "torchvision", "cv2", "librosa", "transformers", "omegaconf"),
        *("einops", "tqdm", "PIL", "diffusers"),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("weights")
    run_python(their_python, SAVE, str(folder))
    return folder


@pytest.fixture
def make(checkout: Checkout, their_python: str, tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Give a function that makes the driver of the real program, in a copy with weights."""
    source, repository = checkout(SOURCE), tmp_path / "MuseTalk"
    for folder in ("musetalk", "scripts"):
        shutil.copytree(source / folder, repository / folder)
    (repository / "models").symlink_to(request.getfixturevalue("weights"))
    path = write_substitutes(tmp_path / "substitutes", MODULES)

    def build(mode: str = "good", **settings: Any) -> MuseTalk:
        return MuseTalk(
            repository=str(repository),
            python=their_python,
            environment=their_environment(their_python, path, mode),
            **settings,
        )

    return build


@pytest.fixture
def parameters(tmp_path: Path) -> dict[str, Any]:
    """Give a picture of odd sides and a sound of 1.3 s."""
    return {
        "image": str(draw_face(tmp_path / "anna.jpg", 161, 163)),
        "audio": str(write_wav(tmp_path / "hello.wav", tone(1.3))),
    }


@pytest.mark.parametrize("fps", [25.0, 49.0])
def test_a_picture_of_odd_sides_with_its_own_defaults(
    *, fps: float, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    driver = make()
    result = driver.generate(driver.request(**parameters, fps=fps), tmp_path / "out.mp4")
    assert (result.width, result.height) == (160, 162)
    assert result.n_frames == int(1.3 * fps)
    assert result.fps == pytest.approx(fps)
    assert result.audio_duration_s == pytest.approx(1.3, abs=0.1)


def test_a_video_of_a_broken_rate_and_the_older_model(make: Make, tmp_path: Path) -> None:
    from fractions import Fraction

    anna = draw_face(tmp_path / "anna.png")
    driver = make(model="v1")
    request = driver.request(
        image=str(film(tmp_path / "anna.mov", [anna] * 20, fps=Fraction(30000, 1001))),
        audio=str(write_wav(tmp_path / "hello.wav", tone(2.0))),
        options={"bbox_shift": -3, "batch_size": 5},
    )
    result = driver.generate(request, tmp_path / "out.mp4")
    assert result.n_frames == 58  # it hears 29 a second
    assert result.fps == pytest.approx(29.97, abs=0.01)


@pytest.mark.parametrize(
    ("mode", "kind", "message"),
    [
        ("no face", "no_face", "Error occurred during processing: division by zero"),
        ("out of memory", "out_of_memory", "Error occurred during processing: CUDA out of memory"),
    ],
)
def test_how_it_fails_is_understood_though_it_ends_well(
    *, mode: str, kind: str, message: str, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    driver = make(mode)
    with pytest.raises(GenerationError, match=f"(?s)ended without an error, but .*{message}") as caught:
        driver.generate(driver.request(**parameters), tmp_path / "out.mp4")
    assert caught.value.kind == kind


@pytest.mark.parametrize("mode", ["good", "out of memory in the second"])
def test_three_tasks_a_load(mode: str, make: Make, parameters: dict[str, Any], tmp_path: Path) -> None:
    driver = make(mode, batch=True)
    anna = draw_face(tmp_path / "anna.png")
    longer = str(write_wav(tmp_path / "longer.wav", tone(2.0)))
    requests = [
        driver.request(**parameters),
        driver.request(image=str(film(tmp_path / "anna.mp4", [anna] * 10, fps=20)), audio=longer),
        driver.request(image=str(anna), audio=longer),
    ]
    driver.announce_upcoming(requests, tmp_path)
    made: list[tuple[int, int, object] | str] = []
    for number, request in enumerate(requests):
        try:
            result = driver.generate(request, tmp_path / f"{number}.mp4")
            load_s = next(event.detail["load_s"] for event in result.events if event.name == "loaded")
            made.append((result.n_frames, result.height, load_s))
        except GenerationError as error:
            made.append(error.kind)
    driver.close()
    (n_frames, height, load_s), second, third = made
    assert (n_frames, height) == (32, 162)
    assert second == ((40, 160, load_s) if mode == "good" else "out_of_memory")
    assert third == (50, 160, load_s)
    assert list(tmp_path.glob(".batch*")) == []


def test_what_is_refused_is_what_it_spoils(
    make: Make, parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make()
    monkeypatch.setattr(MuseTalk, "_look", lambda *_: None)
    monkeypatch.setattr(MuseTalk, "_is_to_be_cut", lambda *_: False)
    monkeypatch.setattr("pipeline.adapters.musetalk.generator._MAX_FPS", 100)
    anna = draw_face(tmp_path / "anna.png")
    gap = film(tmp_path / "gap.mp4", [anna] * 10 + [None] * 5 + [anna] * 10)
    for changes, kind, fault in (
        ({}, "no_output", "moov atom not found"),
        ({"image": str(anna), "fps": 50}, "no_output", r"frame_index: \d+, audio_index"),
        ({"image": str(gap)}, "bad_output", r"lasts 0\.40 s where 1\.28 s belong to this sound"),
    ):
        with pytest.raises(GenerationError, match=f"(?s)ended without an error, but .*{fault}") as caught:
            driver.generate(driver.request(**{**parameters, **changes}), tmp_path / "out.mp4")
        assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("v15", {}),
        ("v15", {"extra_margin": 0, "parsing_mode": "jaw", "left_cheek_width": 80, "right_cheek_width": 256}),
        ("v15", {"parsing_mode": "neck", "use_float16": True, "batch_size": 2}),
        ("v1", {"bbox_shift": -7}),
    ],
)
def test_its_parser_takes_every_command_line(
    *, model: str, options: dict[str, Any], make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    driver = make(model=model)
    parsed = parse(driver.dry_run(driver.request(**parameters, options=options), tmp_path / "out.mp4"))
    assert {name: parsed[name] for name in options} == options
    assert (parsed["version"], parsed["fps"]) == (model, 25)
