"""The brand track: colours that are planted, through a real encoder; and what is kept of what a finder says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evalkit.brands.guidelines import read_brand
from evalkit.media import Reader, probe
from evalkit.metrics.color import lab_of, linear_of, rgb_of
from evalkit.metrics.color_difference import delta_e
from evalkit.testing.media import write_clip
from evalkit.tracks.brand import N_BEST, BrandTracker, read_colors, track_name
from evalkit.tracks.mark import Candidate
from evalkit.types import FrameChunk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evalkit.types import Track

BLUE, AMBER = (20, 86, 160), (242, 169, 0)
COLORS = lab_of(np.array([BLUE, AMBER], dtype=float))
WHITE_LIGHT = np.ones(3)
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 40">
<path fill="#1456a0" d="M0 0h40l-20 40z"/><circle fill="#f2a900" cx="48" cy="28" r="12"/></svg>"""
LEFT, TOP, WIDTH, HEIGHT = 60, 40, 90, 60
CORNERS = np.array(
    [(LEFT, TOP), (LEFT + WIDTH, TOP), (LEFT + WIDTH, TOP + HEIGHT), (LEFT, TOP + HEIGHT)], dtype=float
)


@pytest.fixture
def brand_file(tmp_path: Path) -> Path:
    (tmp_path / "kite.svg").write_text(SVG, "utf-8")
    (tmp_path / "kite.yaml").write_text(
        "name: Kite\nlogos: [kite.svg]\ncolors: ['#1456a0', '#f2a900']\n", "utf-8"
    )
    return tmp_path / "kite.yaml"


@pytest.fixture
def logo(brand_file: Path) -> np.ndarray:
    return read_brand(brand_file).logos[0]


def wall(logo: np.ndarray | None, *, width: int = 320, height: int = 240) -> np.ndarray:
    """Return a grey wall with things of every grey on it, and a mark."""
    import cv2

    random = np.random.default_rng(1)
    frame = cv2.resize(random.uniform(90, 200, (6, 8)).astype(np.float32), (width, height))[
        ..., None
    ] * np.ones(3)
    if logo is not None:
        cover = logo[..., 3:] / 255.0
        small = cv2.resize(
            np.concatenate([logo[..., :3] * cover, cover], axis=2),
            (WIDTH, HEIGHT),
            interpolation=cv2.INTER_AREA,
        )
        place = frame[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
        place[:] = place * (1 - small[..., 3:]) + small[..., :3]
    return np.clip(frame, 0, 255).astype(np.uint8)


def encoded(tmp_path: Path, frame: np.ndarray, quality: int = 23) -> np.ndarray:
    path = write_clip(tmp_path / "clip.mp4", [frame] * 5, quality=quality)
    (chunk,) = [chunk for chunk in Reader(probe(str(path))) if isinstance(chunk, FrameChunk)]
    return chunk.frames[-1]


def recoloured(logo: np.ndarray, rgb: tuple[int, int, int]) -> np.ndarray:
    """Return the drawing with another colour instead of blue."""
    other = logo.copy()
    other[np.abs(logo[..., :3].astype(int) - BLUE).max(axis=2) < 60, :3] = rgb
    return other


@pytest.mark.parametrize("quality", [18, 23, 28])
def test_exact_colours_have_no_distance_worth_mentioning(
    tmp_path: Path, logo: np.ndarray, quality: int
) -> None:
    frame = encoded(tmp_path, wall(logo), quality)
    reading = read_colors(frame, CORNERS, logo, COLORS, WHITE_LIGHT)
    assert reading is not None
    assert reading.delta_e < 2
    assert reading.delta_e_balanced == reading.delta_e
    assert np.abs(reading.seen - [BLUE, AMBER]).max() < 6


@pytest.mark.parametrize("shift", [(12, 0, 0), (0, 20, 0), (30, 10, -40), (60, -40, 10)])
def test_a_known_shift_has_its_distance(
    tmp_path: Path, logo: np.ndarray, shift: tuple[int, int, int]
) -> None:
    wrong = tuple(int(level) for level in np.array(BLUE) + shift)
    expected = float(delta_e(lab_of(np.array(wrong, dtype=float)), COLORS[0]))
    frame = encoded(tmp_path, wall(recoloured(logo, wrong)))
    reading = read_colors(frame, CORNERS, logo, COLORS, WHITE_LIGHT)
    assert reading is not None
    assert reading.delta_e == pytest.approx(expected, abs=1.5)


def under_warm_light(frame: np.ndarray) -> np.ndarray:
    light = np.array([1.1, 1.0, 0.62])
    return np.round(rgb_of(linear_of(frame) * light / (light @ (0.2126, 0.7152, 0.0722)))).astype(np.uint8)


def tracked(
    brand_file: Path, frames: list[np.ndarray], finder: Any, *, chunk: int = 7, model: Any = None
) -> Track:
    tracker = BrandTracker(read_brand(brand_file), model or Model(), lambda: finder)
    times_s = np.arange(len(frames)) / 25
    for first in range(0, len(frames), chunk):
        tracker.update(FrameChunk(first, times_s[first : first + chunk], frames[first : first + chunk]))
    return tracker.finish()


class Model:
    """A model that knows how bright a picture is."""

    name, weights_hash = "brightness", "0" * 64

    def __init__(self, *, general: bool = False) -> None:
        self.general = general

    def embed(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Return brightness and what is left of a unit vector."""
        level = np.array([picture.mean() / 255 for picture in pictures], dtype=np.float32)
        return np.stack([level, np.sqrt(1 - level**2)], axis=1)


def candidate(fidelity: float = 0.9, left: float = LEFT, top: float = TOP) -> Candidate:
    corners = tuple((x - LEFT + left, y - TOP + top) for x, y in CORNERS.tolist())
    box = (left, top, left + WIDTH, top + HEIGHT)
    return Candidate(box, fidelity, 0.8, 3.0, 0.9, 0.9, 1.0, 0.0, corners, 0)


class Finder:
    """A finder that says the same of every frame, and counts."""

    def __init__(self, *candidates: Candidate) -> None:
        self._candidates = candidates
        self.n_asked = 0
        self.reads: list[bool] = []

    def find(self, frame: np.ndarray, n_best: int = 5, *, read: bool = True) -> list[Candidate]:
        """Return the same places again."""
        assert frame.ndim == 3
        self.n_asked += 1
        self.reads.append(read)
        return list(self._candidates[:n_best])


def test_a_warm_light_over_everything_is_taken_out_and_a_wrong_colour_is_not(
    tmp_path: Path, brand_file: Path, logo: np.ndarray
) -> None:
    right = encoded(tmp_path, under_warm_light(wall(logo)))
    wrong = encoded(tmp_path, under_warm_light(wall(recoloured(logo, (120, 40, 160)))))
    for frame, low, high in ((right, 0, 3), (wrong, 15, 100)):
        track = tracked(brand_file, [frame], Finder(candidate()))
        assert low <= track["place0_delta_e_balanced"][0] <= high
        assert track["place0_delta_e"][0] > 5


def test_a_turned_mark_is_read_where_it_lies(logo: np.ndarray) -> None:
    import cv2

    turn = cv2.getRotationMatrix2D((LEFT + WIDTH / 2, TOP + HEIGHT / 2), 12, 0.9)
    frame = cv2.warpAffine(wall(logo), turn, (320, 240), flags=cv2.INTER_AREA)
    corners = CORNERS @ turn[:, :2].T + turn[:, 2]
    reading = read_colors(frame, corners, logo, COLORS, WHITE_LIGHT)
    assert reading is not None
    assert reading.delta_e < 1


def test_a_version_without_brand_colours_has_no_distance(logo: np.ndarray) -> None:
    white = logo.copy()
    white[..., :3] = 255
    assert read_colors(wall(white), CORNERS, white, COLORS, WHITE_LIGHT) is None


def test_a_mark_of_a_few_pixels_has_no_distance(logo: np.ndarray) -> None:
    assert read_colors(wall(logo), LEFT + (CORNERS - LEFT) / 30, logo, COLORS, WHITE_LIGHT) is None


def test_a_mark_over_the_edge_is_read_as_far_as_it_is_seen(logo: np.ndarray) -> None:
    reading = read_colors(wall(logo)[:, LEFT + 20 :], CORNERS - (LEFT + 20, 0), logo, COLORS, WHITE_LIGHT)
    assert reading is not None
    assert reading.seen[1] == pytest.approx(AMBER, abs=2)


def test_every_key_frame_is_a_row_with_its_places(brand_file: Path, logo: np.ndarray) -> None:
    finder = Finder(candidate(0.9), candidate(0.3, 200, 150), candidate(0.1, 10, 150))
    track = tracked(brand_file, [wall(logo)] * 60, finder)
    assert track.times_s.tolist() == pytest.approx([0, 1, 2])
    assert finder.n_asked == 3
    assert track.valid.all()
    assert track.select("place0_x0_px", "place0_y0_px", "place0_x1_px", "place0_y1_px")[1].tolist() == [
        60,
        40,
        150,
        100,
    ]
    assert track["place1_fidelity"] == pytest.approx([0.3] * 3)
    assert np.isfinite(track["place1_delta_e"]).all()
    assert np.isnan(track["place2_delta_e"]).all()  # not worth a look
    assert np.isnan(track[f"place{N_BEST - 1}_fidelity"]).all()
    assert track.facts["end_s"] == pytest.approx(60 / 25)
    assert (track.facts["width_px"], track.facts["height_px"]) == (320, 240)
    assert 0 < track["scene_0"][0] < 0.1


def test_text_is_read_every_three_seconds_and_after_a_change(brand_file: Path) -> None:
    finder = Finder()
    track = tracked(brand_file, [wall(None)] * 120 + [255 - wall(None)] * 30, finder)
    assert track.times_s.tolist() == pytest.approx([0, 1, 2, 3, 4, 4.8, 5.8])
    assert finder.reads == [True, False, False, True, False, True, False]


@pytest.mark.parametrize("chunk", [1, 13, 60])
def test_no_value_depends_on_the_chunks(brand_file: Path, logo: np.ndarray, chunk: int) -> None:
    frames = [wall(logo if n < 40 else None) for n in range(60)]
    whole = tracked(brand_file, frames, Finder(candidate()), chunk=30)
    pieces = tracked(brand_file, frames, Finder(candidate()), chunk=chunk)
    assert np.array_equal(whole.values, pieces.values, equal_nan=True)
    assert whole.facts == pieces.facts


def test_a_general_model_sees_the_whole_picture(brand_file: Path) -> None:
    frame = np.full((60, 80, 3), 204, np.uint8)
    track = tracked(brand_file, [frame], Finder(), model=Model(general=True))
    assert track.select("embedding_0", "embedding_1")[0] == pytest.approx([0.8, 0.6])


def test_a_clip_without_frames_has_an_empty_track(brand_file: Path) -> None:
    assert len(tracked(brand_file, [], Finder())) == 0


def test_the_name_tells_brands_and_models_apart(brand_file: Path) -> None:
    guidelines, model = read_brand(brand_file), Model()
    name = track_name(guidelines, model)  # type: ignore[arg-type]
    other_model = Model()
    other_model.weights_hash = "1" * 64
    assert track_name(guidelines, other_model) != name  # type: ignore[arg-type]
    brand_file.write_text(brand_file.read_text("utf-8") + "worn: true\n", "utf-8")
    assert track_name(read_brand(brand_file), model) != name  # type: ignore[arg-type]


def test_memory_does_not_grow_with_the_clip(brand_file: Path) -> None:
    frame = wall(None)

    def frames() -> Iterator[FrameChunk]:
        for n in range(400):
            yield FrameChunk(n, np.array([n / 25]), [frame])

    tracker = BrandTracker(read_brand(brand_file), Model(), Finder)  # type: ignore[arg-type]
    for chunk in frames():
        tracker.update(chunk)
    assert len(tracker._times_s) <= 2
    assert len(tracker.finish()) == 16
