"""Reading what is written, on words set in a typeface that comes with matplotlib."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from evalkit.errors import UsageError
from evalkit.tracks import lettering
from evalkit.tracks.lettering import DETECTOR, RECOGNISER, Reader, models_folder, unknown_letters

FOLDER = models_folder()
needs_networks = pytest.mark.skipif(FOLDER is None, reason=f"nothing reads text: {lettering.HOW_TO_INSTALL}")


def set_words(*words: tuple[str, tuple[int, int]], size_px: int = 28) -> np.ndarray:
    """Set words on a grey wall, dark, each with its upper left corner."""
    page = Image.new("RGB", (420, 240), (205, 200, 190))
    font = ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf"), size_px)
    for word, at in words:
        ImageDraw.Draw(page).text(at, word, font=font, fill=(20, 40, 90))
    return np.asarray(page)


@pytest.fixture(scope="module")
def reader() -> Reader:
    assert FOLDER is not None
    return Reader(FOLDER)


@needs_networks
def test_words_are_read_where_they_are(reader: Reader) -> None:
    lines = reader.read(set_words(("Norrvik", (250, 30)), ("Open 24", (40, 150))))
    assert {line.text for line in lines} == {"Norrvik", "Open 24"}
    norrvik = next(line for line in lines if line.text == "Norrvik")
    (left, top), (right, bottom) = norrvik.corners.min(0), norrvik.corners.max(0)
    assert left == pytest.approx(252, abs=8)
    assert right == pytest.approx(370, abs=10)
    assert (top + bottom) / 2 == pytest.approx(46, abs=5)
    assert norrvik.confidence > 0.9
    assert norrvik.corners[0].sum() == min(norrvik.corners.sum(1))  # the upper left one comes first


@needs_networks
def test_a_wall_says_nothing(reader: Reader) -> None:
    assert reader.read(set_words()) == []


@needs_networks
def test_reading_imports_neither_the_package_nor_another_opencv() -> None:
    program = (
        "import sys, cv2, numpy\nbefore = cv2.__file__\n"
        "from evalkit.tracks.lettering import Reader, models_folder\n"
        "Reader(models_folder()).read(numpy.full((64, 96, 3), 200, numpy.uint8))\n"
        "print(cv2.__file__ == before, 'rapidocr' in sys.modules, hasattr(cv2, 'xfeatures2d'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "True"]


@needs_networks
def test_letters_of_a_script_that_is_not_read_are_named() -> None:
    assert unknown_letters(FOLDER, "Norrvik 24") == ""
    assert unknown_letters(FOLDER, "华为") == ""
    assert unknown_letters(FOLDER, "ⵣ ok ⵣ") == "ⵣ"


def test_without_the_package_there_are_no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "find_spec", lambda _: None)
    assert models_folder() is None


@needs_networks
@pytest.mark.parametrize("kind", ["damaged", "exchanged"])
def test_networks_of_another_kind_are_refused(tmp_path: Path, kind: str) -> None:
    names = (DETECTOR, RECOGNISER)
    for name, source in zip(names, names[::-1] if kind == "exchanged" else names, strict=True):
        shutil.copy(FOLDER / source, tmp_path / name)
    if kind == "damaged":
        (tmp_path / RECOGNISER).write_bytes(b"not a network")
    with pytest.raises(UsageError, match=r"network.*--force-reinstall rapidocr"):
        Reader(tmp_path)
