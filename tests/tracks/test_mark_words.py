"""Marks that are words: found as drawn, and by what is written where they are not."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from evalkit.metrics.brand import FOUND, NAMED, PASS
from evalkit.tracks import mark_scenes as scenes
from evalkit.tracks.clip import load_clip
from evalkit.tracks.drawing import trace_logo
from evalkit.tracks.lettering import Line
from evalkit.tracks.mark import MarkFinder, calibrate, overlap
from evalkit.tracks.mark_words import WordSeeker, read_drawing

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
GREEN, RED = (10, 110, 60), (190, 20, 40)
BOX = (40.0, 30.0, 120.0, 46.0)


def set_word(
    word: str, color: tuple[int, int, int] = GREEN, face: str = "DejaVuSans-BoldOblique"
) -> np.ndarray:
    """Set a word in type, RGBA."""
    font = ImageFont.truetype(str(FONTS / f"{face}.ttf"), 90)
    left, top, right, bottom = font.getbbox(word)
    alpha = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(alpha).text((-left, -top), word, font=font, fill=255)
    return np.dstack([np.full((*np.shape(alpha), 3), color, np.uint8), np.asarray(alpha)])


def show(logo: np.ndarray) -> np.ndarray:
    """Show a logo on a wall, a tenth of its width, as filmed."""
    wall = np.full((368, 688, 3), (222, 219, 210), np.uint8)
    wall[:, :, :] -= np.linspace(0, 40, 688, dtype=np.uint8)[None, :, None]
    placed = scenes.place_mark(wall, logo, left_px=BOX[0], top_px=BOX[1], width_px=BOX[2] - BOX[0])
    return scenes.film(placed, np.random.default_rng(3))


class Reads:
    """Reads the same lines in every picture."""

    def __init__(self, *lines: tuple[str, tuple[float, float, float, float]]) -> None:
        self.lines = [
            Line(text, 0.9, np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float))
            for text, (x0, y0, x1, y1) in lines
        ]

    def read(self, picture: np.ndarray) -> list[Line]:
        """Return the lines, whatever is shown."""
        del picture
        return self.lines


@pytest.fixture(scope="module")
def logo() -> np.ndarray:
    return set_word("Veltrano")


@pytest.fixture(scope="module")
def finder(logo: np.ndarray) -> MarkFinder:
    return MarkFinder([logo], load_clip(device="cpu"), calibrate([logo], load_clip(device="cpu")))


def test_a_wordmark_of_a_few_pixels_passes(finder: MarkFinder, logo: np.ndarray) -> None:
    found = finder.find(show(logo), 1)[0]
    tall = 80 * logo.shape[0] / logo.shape[1]
    assert found.fidelity >= PASS
    assert overlap(found.box, (BOX[0], BOX[1], BOX[2], BOX[1] + tall)) > 0.7


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(set_word("Monteiro"), id="another word in the same type"),
        pytest.param(set_word("Veltrano", RED), id="another colour"),
        pytest.param(set_word("Veltrano", face="DejaVuSerif"), id="the same word in other type"),
        pytest.param(np.ascontiguousarray(set_word("Veltrano")[:, ::-1]), id="mirrored"),
        pytest.param(set_word("Velt"), id="half of it"),
    ],
)
def test_what_is_not_the_wordmark_fails(finder: MarkFinder, shown: np.ndarray) -> None:
    assert max(one.fidelity for one in finder.find(show(shown))) <= FOUND


def test_the_name_in_other_type_is_worth_something_but_is_not_the_mark(
    finder: MarkFinder, logo: np.ndarray
) -> None:
    picture = show(set_word("Veltrano", face="DejaVuSerif"))
    reader = Reads(("VELTRANO", BOX), ("Exit", (300.0, 100.0, 340.0, 112.0)))
    reading = MarkFinder(
        [logo], load_clip(device="cpu"), finder.calibration, load_reader=lambda: reader, words=["Veltrano"]
    )
    best = reading.find(picture, 1)[0]
    assert best.fidelity == pytest.approx(max(0.9 * NAMED, finder.find(picture, 1)[0].fidelity))
    assert NAMED < FOUND
    assert overlap(best.box, BOX) > 0.5


def test_what_was_read_holds_until_it_is_read_again(finder: MarkFinder, logo: np.ndarray) -> None:
    reader = Reads(("Veltrano", BOX))
    reading = MarkFinder(
        [logo], load_clip(device="cpu"), finder.calibration, load_reader=lambda: reader, words=["Veltrano"]
    )
    wall = np.full((368, 688, 3), 215, np.uint8)
    first = reading.find(wall, 1, read=False)  # nothing was read before
    reader.lines = []
    assert reading.find(wall, 1, read=False) == first
    assert first[0].fidelity == pytest.approx(0.9 * NAMED)
    assert reading.find(wall, 1) == []


def test_a_mark_that_is_seen_is_not_read(finder: MarkFinder, logo: np.ndarray) -> None:
    def refuse() -> Reads:
        raise AssertionError

    reading = MarkFinder([logo], load_clip(device="cpu"), finder.calibration, load_reader=refuse)
    assert reading.find(show(logo)) == finder.find(show(logo))


def test_a_drawing_is_laid_onto_its_words(logo: np.ndarray) -> None:
    height, width = logo.shape[:2]
    drawing = trace_logo(logo)
    scale = 320 / width
    drawn = Reads(("Veltrano", (48.0, 48.0, 48.0 + 320, 48.0 + height * scale)))
    own = read_drawing(drawn, logo, drawing)[0]
    size = np.array(drawing.size_px)
    assert own.corners[0] == pytest.approx([drawing.margin_px] * 2, abs=1)
    assert own.corners[2] == pytest.approx(size + drawing.margin_px, abs=1)
    seeker = WordSeeker(drawn, [], [logo], [drawing])
    seeker._reader = Reads(("veltrano!", BOX))
    written = seeker.find(np.zeros((90, 160, 3), np.uint8))[0]
    (index, laid), *_ = written.laid
    assert index == 0
    assert laid @ [*own.corners[2], 1] == pytest.approx([BOX[2], BOX[3], 1], abs=0.1)


def test_letters_around_a_badge_make_its_word(logo: np.ndarray) -> None:
    letters = [
        (text, (x, y, x + 8.0, y + 8.0)) for text, x, y in (("M", 50, 20), ("B", 30, 40), ("M", 70, 40))
    ]
    seeker = WordSeeker(Reads(), ["BMW"], [logo], [trace_logo(logo)])
    seeker._reader = Reads(*letters)
    found = seeker.find(np.zeros((90, 160, 3), np.uint8))
    assert found[0].likeness == pytest.approx(0.9)
    assert found[0].box == (30, 20, 78, 48)
    seeker._reader = Reads(*letters[:1], ("Q", (60.0, 30.0, 68.0, 38.0)))
    assert seeker.find(np.zeros((90, 160, 3), np.uint8)) == []
