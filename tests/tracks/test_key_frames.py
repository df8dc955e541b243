"""Key frames of clips whose changes are planted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.tracks.key_frames import LONGEST_GAP_S, SHORTEST_GAP_S, KeyFrames

WALL = np.full((90, 160, 3), 120, np.uint8)
OTHER_WALL = np.full((90, 160, 3), 60, np.uint8)


def chosen(times_s: list[float], frames: list[np.ndarray]) -> list[float]:
    key_frames = KeyFrames()
    return [t for t, frame in zip(times_s, frames, strict=True) if key_frames.choose(t, frame)]


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 60])
def test_a_still_picture_has_one_a_second(fps: int) -> None:
    times_s = [n / fps for n in range(5 * fps)]
    assert chosen(times_s, [WALL] * len(times_s)) == pytest.approx([0, 1, 2, 3, 4])


def test_a_cut_is_one_and_the_second_counts_from_it() -> None:
    times_s = [n / 25 for n in range(75)]
    frames = [WALL if t < 1.52 else OTHER_WALL for t in times_s]
    assert chosen(times_s, frames) == pytest.approx([0, 1, 1.52, 2.52])


def test_a_flickering_picture_has_four_a_second_at_most() -> None:
    times_s = [n / 50 for n in range(100)]
    assert len(chosen(times_s, [(WALL, OTHER_WALL)[n % 2] for n in range(100)])) <= 2 / SHORTEST_GAP_S


def test_somebody_talking_is_no_change() -> None:
    times_s = [n / 25 for n in range(26)]
    frames = []
    for n in range(26):
        frame = WALL.copy()
        frame[50 : 50 + n % 8, 70:90] = 20  # a mouth
        frames.append(frame)
    assert chosen(times_s, frames) == pytest.approx([0, 1])


def test_slow_frames_are_all_looked_at() -> None:
    assert chosen([0, 2, 4.5], [WALL] * 3) == [0, 2, 4.5]


@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_no_moment_is_further_than_a_second_and_a_frame_from_a_key_frame(
    steps_s: list[float], seed: int
) -> None:
    random = np.random.default_rng(seed)
    times_s = np.cumsum(steps_s).tolist()
    frames = [(WALL, OTHER_WALL)[int(random.integers(2))] for _ in times_s]
    found = chosen(times_s, frames)
    assert found[0] == times_s[0]
    assert max(np.diff(found), default=0) <= LONGEST_GAP_S + max(steps_s) + 1e-6
    assert min(np.diff(found), default=1) >= SHORTEST_GAP_S - 1e-5
