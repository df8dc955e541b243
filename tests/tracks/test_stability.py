"""The stability track: planted movements, colours and flicker, with a person whose place is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from evalkit.metrics.color import lab_of
from evalkit.testing.talking_face import talking_frames
from evalkit.tracks.person_mask import HEIGHT_PX, WIDTH_PX, PersonSegmenter
from evalkit.tracks.stability import STILL_CHANGE, StabilityTracker
from evalkit.types import FrameChunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.types import Track

FPS = 25
WIDTH, HEIGHT = 480, 360
PERSON = np.s_[120:, 160:320]


_FIND = PersonSegmenter.find


@pytest.fixture(autouse=True)
def known_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the person be the block in the lower middle."""
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    mask[HEIGHT_PX // 3 :, WIDTH_PX // 3 : 2 * WIDTH_PX // 3] = 1.0
    monkeypatch.setattr(PersonSegmenter, "find", lambda *_: mask)


def texture(seed: int = 0) -> np.ndarray:
    """Return a larger picture than the clip's, of patches as large as a hand."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(60, 190, (20, 26, 3)).astype(np.float32)
    return cv2.resize(coarse, (WIDTH + 80, HEIGHT + 80), interpolation=cv2.INTER_CUBIC)


def shown(wall: np.ndarray, x: float = 0.0, y: float = 0.0, grow: float = 1.0) -> np.ndarray:
    """Return the middle of a texture, moved to the right and down by pixels, and grown about the middle."""
    to_wall = np.array(
        [
            [1 / grow, 0, 40 + WIDTH / 2 - (x + WIDTH / 2) / grow],
            [0, 1 / grow, 40 + HEIGHT / 2 - (y + HEIGHT / 2) / grow],
        ]
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.clip(cv2.warpAffine(wall, to_wall, (WIDTH, HEIGHT), flags=flags) + 0.5, 0, 255)


def with_person(wall: np.ndarray, person: np.ndarray) -> np.ndarray:
    frame = wall.copy()
    frame[PERSON] = person[PERSON]
    return frame.astype(np.uint8)


def follow(frames: Sequence[np.ndarray], fps: float = FPS, chunk: int = 10) -> Track:
    tracker = StabilityTracker()
    for first in range(0, len(frames), chunk):
        some = list(frames[first : first + chunk])
        tracker.update(FrameChunk(first, (first + np.arange(len(some))) / fps, some))
    return tracker.finish()


@pytest.mark.parametrize(("x", "y"), [(2.0, 0.0), (-3.0, 1.0), (0.0, 4.0)])
def test_a_person_who_moves_before_a_wall_at_rest(x: float, y: float) -> None:
    wall, person = texture(0), texture(1)
    track = follow([with_person(shown(wall), shown(person, k * x, k * y)) for k in range(4)])
    assert track["person_x_px"][1:] == pytest.approx(x, abs=0.15 * abs(x) + 0.1)
    assert track["person_y_px"][1:] == pytest.approx(y, abs=0.15 * abs(y) + 0.1)
    assert track.select("background_x_px", "background_y_px")[1:] == pytest.approx(0, abs=0.1)
    assert track.select("person_l_step", "person_a_step", "person_b_step")[1:] == pytest.approx(0, abs=0.6)


def test_a_camera_that_moves_takes_both_along() -> None:
    wall, person = texture(0), texture(1)
    track = follow([with_person(shown(wall, 2 * k), shown(person, 2 * k)) for k in range(4)])
    assert track["background_x_px"][1:] == pytest.approx(2, abs=0.3)
    assert track["person_x_px"][1:] == pytest.approx(2, abs=0.3)


def test_growth_is_told_from_movement() -> None:
    wall = texture(0)
    track = follow([with_person(shown(wall, grow=1.01**k), shown(wall, grow=1.01**k)) for k in range(4)])
    assert track["background_growth"][1:] == pytest.approx(0.01, abs=0.002)
    assert track["background_turn_rad"][1:] == pytest.approx(0, abs=0.001)


def test_a_step_of_color_is_told_from_movement() -> None:
    wall, person = texture(0), texture(1)
    frames = []
    for k in range(6):
        light = 1.0 if k < 3 else 1.03
        frames.append(with_person(shown(wall) * light, shown(person, 2 * k) * light))
    track = follow(frames)
    truth = lab_of(frames[3][:80].reshape(-1, 3)).mean(axis=0) - lab_of(frames[2][:80].reshape(-1, 3)).mean(
        axis=0
    )
    for region, accuracy in (("background", 0.1), ("person", 0.5)):
        steps = track[f"{region}_l_step"]
        assert steps[3] == pytest.approx(truth[0], abs=accuracy), region
        assert np.delete(steps, [0, 3]) == pytest.approx(0, abs=accuracy), region


def test_the_mean_colours_are_those_of_the_regions() -> None:
    frame = with_person(
        np.full((HEIGHT, WIDTH, 3), (40, 90, 160.0)), np.full((HEIGHT, WIDTH, 3), (200, 150, 120.0))
    )
    track = follow([frame])
    assert track.select("person_l", "person_a", "person_b")[0] == pytest.approx(
        lab_of([200, 150, 120]), abs=0.5
    )
    assert track.select("background_l", "background_a", "background_b")[0] == pytest.approx(
        lab_of([40, 90, 160]), abs=0.5
    )
    assert track["person_share"][0] == pytest.approx(2 / 9, abs=0.04)


def test_a_wall_that_boils_flickers_and_a_wall_that_a_camera_passes_does_not() -> None:
    wall = texture(0)
    random = np.random.default_rng(5)
    boiling = []
    for _ in range(12):
        noise = cv2.resize(
            random.normal(0, 5.0, (12, 16, 1)).astype(np.float32),
            (WIDTH, HEIGHT),
            interpolation=cv2.INTER_CUBIC,
        )
        boiling.append(with_person(np.clip(shown(wall) + noise[..., None], 0, 255), shown(wall)))
    passing = [with_person(shown(wall, 1.5 * k, 0.7 * (k % 3)), shown(wall)) for k in range(12)]
    still = [with_person(shown(wall), shown(wall, 2 * k)) for k in range(12)]
    flicker = {
        name: float(np.nanmean(follow(frames)["flicker_percent"]))
        for name, frames in (("boiling", boiling), ("passing", passing), ("still", still))
    }
    assert flicker["boiling"] > 0.3
    assert flicker["passing"] < 0.2 * flicker["boiling"]
    assert flicker["still"] < 0.02


def test_light_that_goes_up_and_down_flickers_by_what_it_goes() -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 119.0)  # L* = 50.0
    bright = np.full((HEIGHT, WIDTH, 3), 124.0)  # L* = 52.0
    track = follow([with_person(frame, texture(1)[:HEIGHT, :WIDTH]) for frame in (grey, bright) * 5])
    expected = float(lab_of([124, 124, 124])[0] - lab_of([119, 119, 119])[0])
    assert track["flicker_percent"][2:] == pytest.approx(expected, rel=0.02)


def test_a_repeated_picture_is_left_out_and_the_next_is_compared_with_the_last_that_differed() -> None:
    wall, person = texture(0), texture(1)
    first, second = (with_person(shown(wall), shown(person, x)) for x in (0, 3))
    track = follow([first, first, first, second])
    assert (track["change"][1:3] < STILL_CHANGE).all()
    assert np.isnan(track["person_x_px"][:3]).all()
    assert track["person_x_px"][3] == pytest.approx(3, abs=0.5)


def test_chunks_decide_nothing() -> None:
    wall, person = texture(0), texture(1)
    frames = [with_person(shown(wall, 0.3 * k), shown(person, 2 * np.sin(k / 3))) for k in range(24)]
    whole, cut = follow(frames, chunk=24), follow(frames, chunk=3)
    np.testing.assert_array_equal(whole.values, cut.values)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (40, 30)])
def test_tiny_pictures_have_a_track(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    track = follow([random.integers(0, 255, (*size, 3)).astype(np.uint8) for _ in range(5)])
    assert len(track) == 5


def test_a_picture_that_changes_its_size_begins_anew() -> None:
    wall = texture(0)
    track = follow([wall[:HEIGHT, :WIDTH].astype(np.uint8), wall[:200, :WIDTH].astype(np.uint8)])
    assert np.isnan(track["change"]).all()


@pytest.fixture
def real_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PersonSegmenter, "find", _FIND)


@pytest.mark.usefixtures("real_mask")
def test_the_person_is_found_by_the_network() -> None:
    (frame,) = talking_frames(np.zeros(1), width=480, height=360)
    mask = PersonSegmenter().find(frame)
    assert mask.shape == (HEIGHT_PX, WIDTH_PX)
    assert mask[HEIGHT_PX // 2, WIDTH_PX // 2] > 0.9  # the face
    assert mask[:20, :20].max() < 0.1


@pytest.mark.usefixtures("real_mask")
def test_nobody_is_found_before_an_empty_wall() -> None:
    track = follow([np.clip(shown(texture(0), k), 0, 255).astype(np.uint8) for k in range(3)])
    assert track["person_share"].max() < 0.03
    assert np.isnan(track["person_l"]).all()
    assert np.isfinite(track["background_l"][0])
