"""What is said of a version is what the real code does with the version that is there: it fails where doctor says so."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pipeline.adapters.preset import Preset
from pipeline.adapters.sadtalker import SadTalker
from pipeline.adapters.wav2lip import Wav2Lip
from pipeline.python_checks import IMAGEIO_FFMPEG, check_python

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.adapters.real.conftest import Checkout

PIECES: list[tuple[type[Preset], str, str, str, str]] = [
    # program, a piece of its code, the module that is judged, words of the reason, words of the failure
    (
        Wav2Lip,
        "import audio, numpy; audio.melspectrogram(numpy.zeros(16000, 'float32'))",
        "librosa",
        "without names",
        "mel() takes 0 positional arguments",
    ),
    (
        SadTalker,
        (
            "import numpy; from src.face3d.util.my_awing_arch import calculate_points\n"
            "calculate_points(numpy.random.default_rng(0).random((1, 2, 64, 64)))"
        ),
        "numpy",
        "np.float",
        "has no attribute 'float'",
    ),
    (
        SadTalker,
        (
            "import numpy; from PIL import Image; from src.face3d.util.preprocess import align_img\n"
            "points = numpy.random.default_rng(0).random((5, 3))\n"
            "align_img(Image.new('RGB', (256, 256)), points[:, :2] * 200, points)"
        ),
        "numpy",
        "inhomogeneous shape",
        "inhomogeneous",
    ),
    (
        SadTalker,
        "from PIL import Image; Image.ANTIALIAS",
        "PIL",
        "Image.ANTIALIAS",
        "has no attribute 'ANTIALIAS'",
    ),
]


def run(python: str, code: str, folder: Path) -> str:
    """Run a piece of code in a checkout and return its error output."""
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.dont_write_bytecode = True\n"
    done = subprocess.run([python, "-c", start + code], cwd=folder, capture_output=True, check=False)
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode and "No module named" in said:
        pytest.skip(said.strip().splitlines()[-1])
    return said if done.returncode else ""


@pytest.mark.parametrize(
    ("kind", "code", "module", "reason", "failure"),
    PIECES,
    ids=[f"{row[0].name}: {row[3]}" for row in PIECES],
)
def test_it_fails_where_it_is_said_to(
    kind: type[Preset],
    code: str,
    module: str,
    reason: str,
    failure: str,
    checkout: Checkout,
    their_python: str,
) -> None:
    folder = checkout(kind.source)
    said = run(their_python, code, folder)
    findings = {finding.about: finding for finding in check_python(their_python, kind.modules, folder, "-")}
    is_judged = module in findings and reason in findings[module].found
    assert is_judged == (failure in said), said[-500:]
    assert is_judged == bool(said), said[-500:]


def test_frames_cannot_be_written_without_what_imageio_writes_them_with(
    their_python: str, tmp_path: Path
) -> None:
    code = (
        "sys.modules['imageio_ffmpeg'] = None\n"
        "import imageio, numpy\n"
        "imageio.mimsave('x.mp4', [numpy.zeros((64, 64, 3), 'uint8')] * 3, fps=25.0)"
    )
    assert run(their_python, code, tmp_path)
    assert IMAGEIO_FFMPEG.name == "imageio_ffmpeg"
