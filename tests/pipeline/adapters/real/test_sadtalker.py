"""SadTalker's own inference.py, whole, with its networks and the libraries that only they need replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.adapters.sadtalker import SOURCE, SadTalker
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

NET = "import torch\n\n\nclass Net(torch.nn.Module):\n    def __init__(self, *_, **__):\n        super().__init__()\n\n"
MODULES = {
    "facexlib": "",
    "facexlib.alignment": "def landmark_98_to_68(points):\n    return points\n",
    "facexlib.utils": "import os\n\ndef load_file_from_url(**_):\n    return os.environ['ALIGNMENT']\n",
    "facexlib.detection": """
import os
import numpy as np

class Detector:
    n_asked = 0

    def detect_faces(self, picture, threshold):
        mode, self.n_asked = os.environ["MODE"], self.n_asked + 1
        if mode == "out of memory" or (mode == "out of memory while looking" and self.n_asked > 1):
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        if mode == "no face" or (mode == "no face in the crop" and self.n_asked > 1):
            return np.zeros((0, 15))
        height, width = np.asarray(picture).shape[:2]
        return np.array([[0.2 * width, 0.1 * height, 0.8 * width, 0.8 * height, 0.99, *[0.0] * 10]])

def init_detection_model(*_, **__):
    return Detector()
""",
    "gfpgan": """
class GFPGANer:
    def __init__(self, **_):
        pass

    def enhance(self, picture, **_):
        return None, None, picture
""",
    "src.face3d.util.my_awing_arch": NET
    + """
class FAN(Net):
    def get_landmarks(self, picture):
        import numpy as np

        height, width = picture.shape[:2]
        angle = np.linspace(0, np.pi, 17)
        jaw = np.stack([0.5 - 0.45 * np.cos(angle), 0.4 + 0.55 * np.sin(angle)], 1)

        def line(x0, x1, y, n):
            return np.stack([np.linspace(x0, x1, n), np.full(n, y)], 1)

        nose = np.stack([np.full(4, 0.5), np.linspace(0.38, 0.58, 4)], 1)
        points = [jaw, line(0.15, 0.42, 0.27, 5), line(0.58, 0.85, 0.27, 5), nose, line(0.42, 0.58, 0.62, 5)]
        points += [line(0.22, 0.4, 0.37, 6), line(0.6, 0.78, 0.37, 6), line(0.33, 0.67, 0.75, 12), line(0.37, 0.63, 0.75, 8)]
        return np.concatenate(points) * [width, height]
""",
    "src.face3d.models.networks": NET
    + """    def forward(self, pictures):
        return torch.zeros(len(pictures), 257)

def define_net_recon(**_):
    return Net()
""",
    "src.audio2pose_models.audio2pose": NET
    + """
class Audio2Pose(Net):
    def test(self, batch):
        return {"pose_pred": batch["ref"][:, :, -6:]}
""",
    "src.audio2exp_models.networks": NET
    + """
class SimpleWrapperV2(Net):
    def forward(self, sound, reference, ratio):
        assert sound.shape[1:] == (1, 80, 16)
        return reference
""",
    "src.facerender.modules.keypoint_detector": NET
    + """
class KPDetector(Net):
    def forward(self, pictures):
        return {"value": torch.zeros(len(pictures), 15, 3)}

HEEstimator = Net
""",
    "src.facerender.modules.mapping": NET
    + """
class MappingNet(Net):
    def forward(self, semantics):
        n = len(semantics)
        pose = {name: torch.zeros(n, 66) for name in ("yaw", "pitch", "roll")}
        return {**pose, "t": torch.zeros(n, 3), "exp": torch.zeros(n, 45)}
""",
    "src.facerender.modules.generator": NET
    + """
class OcclusionAwareSPADEGenerator(Net):
    def forward(self, picture, kp_source, kp_driving):
        return {"prediction": picture}

OcclusionAwareGenerator = OcclusionAwareSPADEGenerator
""",
}
NEWER_NUMPY = """
import numpy

numpy.float = float  # as it was before 1.24, as are arrays of unequal rows
array = numpy.array

def array_of_unequal_rows(data, *more, **named):
    try:
        return array(data, *more, **named)
    except ValueError:
        return array(data, dtype=object)

numpy.array = array_of_unequal_rows
"""
SAVE = """
import os, sys, torch
from safetensors.torch import save_file

folder = sys.argv[1]
for size in (256, 512):
    save_file({"nothing": torch.zeros(1)}, os.path.join(folder, f"SadTalker_V0.0.2_{size}.safetensors"))
for name in ("mapping_00109-model.pth.tar", "mapping_00229-model.pth.tar"):
    torch.save({"mapping": {}, "epoch": 0}, os.path.join(folder, name))
torch.save({"state_dict": {}}, os.path.join(folder, "alignment.pth"))
"""
Make = Callable[..., SadTalker]


@pytest.fixture
def make(checkout: Checkout, their_python: str, tmp_path: Path) -> Make:
    """Give a function that makes the driver of the real program, in a copy into which it writes for a while."""
    source, repository = checkout(SOURCE), tmp_path / "SadTalker"
    need_modules(
        their_python, *("torch", "cv2", "librosa", "scipy", "skimage", "imageio", "imageio_ffmpeg", "yaml"),
        *("yacs", "kornia", "pydub", "safetensors", "tqdm", "PIL"),
    )  # fmt: skip
    shutil.copytree(source / "src", repository / "src")
    shutil.copy(source / "inference.py", repository)
    weights = tmp_path / "weights"
    weights.mkdir()
    run_python(their_python, SAVE, str(weights))
    path = write_substitutes(tmp_path / "substitutes", MODULES, NEWER_NUMPY)

    def build(mode: str = "good", **environment: str) -> SadTalker:
        more = {"ALIGNMENT": str(weights / "alignment.pth"), **environment}
        return SadTalker(
            repository=str(repository),
            python=their_python,
            checkpoints=str(weights),
            environment=their_environment(their_python, path, mode, **more),
            time_limit_s=300,
        )

    return build


@pytest.fixture
def parameters(tmp_path: Path) -> dict[str, Any]:
    """Give a picture of odd sides and a sound of 1.3 s."""
    return {
        "image": str(draw_face(tmp_path / "anna.jpg", 321, 323)),
        "audio": str(write_wav(tmp_path / "hello.wav", tone(1.3))),
    }


def test_a_run_with_its_own_defaults(make: Make, parameters: dict[str, Any], tmp_path: Path) -> None:
    driver = make()
    repository = Path(driver._own.repository)
    before = sorted(repository.rglob("*"))
    result = driver.generate(driver.request(**parameters), tmp_path / "out.mp4")
    assert (result.n_frames, result.fps) == (32, pytest.approx(25))  # 1.3 s hold 32 whole frames
    assert result.audio_duration_s == pytest.approx(1.28, abs=0.1)
    assert sorted(repository.rglob("*")) == before


def test_a_run_with_everything(make: Make, parameters: dict[str, Any], tmp_path: Path) -> None:
    driver = make()
    poses = film(tmp_path / "poses.mp4", [draw_face(tmp_path / "other.png", 320, 320)] * 6)
    options = {
        "preprocess": "full",
        "size_of_image": 512,
        "batch_size": 3,
        "ref_pose": str(poses),
        "ref_eyeblink": str(poses),
        "input_yaw": [-10, 20, 5],
        "input_roll": [3],
        "enhancer": "gfpgan",
        "expression_scale": 1.2,
    }
    result = driver.generate(driver.request(**parameters, options=options), tmp_path / "out.mp4")
    assert result.n_frames == 32
    assert (result.width % 2, result.height % 2) == (0, 0)
    assert result.width > 256  # the whole picture


@pytest.mark.parametrize("still", [False, True])
def test_the_whole_picture_of_odd_sides(
    *, still: bool, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    driver = make()
    request = driver.request(**parameters, options={"preprocess": "full", "still": still})
    result = driver.generate(request, tmp_path / "out.mp4")
    assert (result.width, result.height, result.n_frames) == (320, 322, 32)


@pytest.mark.parametrize(
    ("mode", "kind", "message"),
    [
        ("no face", "no_face", "exceptions must derive from BaseException"),
        ("no face in the crop", "no_face", "index 0 is out of bounds for axis 0 with size 0"),
        ("out of memory", "out_of_memory", "exit status 1"),
        (
            "out of memory while looking",
            "out_of_memory",
            "said a second time: Warning: out of memory, sleep for 1s",
        ),
    ],
)
def test_how_it_fails_is_understood(
    *, mode: str, kind: str, message: str, make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    driver = make(mode)
    with pytest.raises(GenerationError, match=message) as caught:
        driver.generate(driver.request(**parameters), tmp_path / "out.mp4")
    assert caught.value.kind == kind
    assert not (tmp_path / "out.mp4").exists()


def test_the_lengths_that_are_refused_are_those_that_fail(
    make: Make, parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make()
    monkeypatch.setattr(SadTalker, "_look", lambda *_: None)
    for n_frames, fault in (
        (2, "polyorder must be less than window_length"),
        (21, "Cannot choose from an empty"),
    ):
        sound = write_wav(tmp_path / f"{n_frames}.wav", tone(n_frames / 25 + 0.01))
        with pytest.raises(GenerationError, match=fault):
            driver.generate(driver.request(**{**parameters, "audio": str(sound)}), tmp_path / "out.mp4")


def test_without_ffmpeg_it_fails_and_the_reason_is_found(
    make: Make, parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make(PATH="/nowhere")
    monkeypatch.setattr(SadTalker, "_has_ffmpeg", lambda _: True)
    with pytest.raises(GenerationError, match="FileNotFoundError") as caught:
        driver.generate(driver.request(**parameters), tmp_path / "out.mp4")
    assert caught.value.kind == "no_ffmpeg"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pose_style": 45, "batch_size": 1, "expression_scale": 0.5, "preprocess": "extcrop"},
        {
            "still": True,
            "preprocess": "extfull",
            "enhancer": "RestoreFormer",
            "background_enhancer": "realesrgan",
        },
        {"input_yaw": [-30, 0, 30], "input_pitch": [-5], "input_roll": [0, -10], "preprocess": "resize"},
    ],
)
def test_its_parser_takes_every_command_line(
    *, options: dict[str, Any], make: Make, parameters: dict[str, Any], tmp_path: Path
) -> None:
    driver = make()
    parsed = parse(driver.dry_run(driver.request(**parameters, options=options), tmp_path / "out.mp4"))
    assert {name: parsed[name] for name in options} == options
    assert parsed["checkpoint_dir"] == str(tmp_path / "weights")
