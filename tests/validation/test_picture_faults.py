"""Faults of the picture and the mouth: what is planted is what the dose says, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from skimage.color import deltaE_ciede2000, rgb2lab

from evalkit.types import FrameChunk
from evalkit.validation import mouth_faults, picture_faults
from evalkit.validation.material import INNER_LIPS, STEADY_POINTS, Unplantable

FPS, N = 25.0, 100
SIZE = (60, 80)


def numbered(n: int = N, chunk: int = 16) -> list[FrameChunk]:
    """Return frames of which each has a grey of its own: its number and a hundred."""
    chunks = []
    for first in range(0, n, chunk):
        numbers = range(first, min(n, first + chunk))
        frames = [np.full((*SIZE, 3), 100 + k, np.uint8) for k in numbers]
        end_s = n / FPS if numbers[-1] == n - 1 else None
        chunks.append(FrameChunk(first, np.array(list(numbers)) / FPS, frames, end_s))
    return chunks


def shown(transform, chunks: list[FrameChunk]) -> tuple[np.ndarray, list[int], float | None]:
    """Return when which frame is shown, and until when the last one is."""
    out = list(transform(iter(chunks)))
    times_s = np.concatenate([chunk.times_s for chunk in out])
    numbers = [int(frame[0, 0, 0]) - 100 for chunk in out for frame in chunk.frames]
    assert len(times_s) == len(numbers)
    return times_s, numbers, out[-1].end_s


def test_dropped_frames_leave_the_others_where_they_were(make_material) -> None:
    material = make_material(n_frames=N)
    times_s, numbers, end_s = shown(picture_faults.dropped(material, 20.0), numbered())
    assert len(numbers) == 80
    assert times_s * FPS == pytest.approx(numbers)
    assert (numbers[0], numbers[-1], end_s) == (0, 99, 4.0)
    fewer = shown(picture_faults.dropped(material, 5.0), numbered())[1]
    assert set(numbers) < set(fewer)


def test_repeated_frames_show_the_one_before_again(make_material) -> None:
    times_s, numbers, _ = shown(picture_faults.repeated(make_material(n_frames=N), 20.0), numbered())
    assert len(times_s) == N
    again = np.flatnonzero(np.diff(numbers) == 0) + 1
    assert len(again) == 20
    assert all(numbers[k] <= k for k in range(N))
    assert [numbers[k] for k in range(N) if k not in again] == [k for k in range(N) if k not in again]


def test_a_slowed_picture_ends_later(make_material) -> None:
    times_s, numbers, end_s = shown(picture_faults.slowed(make_material(n_frames=N), 4.0), numbered())
    assert numbers == list(range(N))
    assert times_s == pytest.approx(np.arange(N) / FPS * 1.04)
    assert end_s == pytest.approx(4.16)


@pytest.mark.parametrize("rate_hz", [24.0, 25.0, 30.0, 50.0])
def test_another_rate_shows_the_nearest_frame_and_is_never_late_on_the_average(
    make_material, rate_hz: float
) -> None:
    times_s, numbers, end_s = shown(
        picture_faults.at_another_rate(make_material(n_frames=N), rate_hz), numbered()
    )
    assert times_s == pytest.approx(np.arange(len(times_s)) / rate_hz)
    assert len(times_s) == round(4.0 * rate_hz)
    assert end_s == pytest.approx(4.0)
    off_s = np.array(numbers) / FPS - times_s
    assert np.abs(off_s[times_s <= 3.95]).max() <= 0.5 / FPS + 1e-9
    assert abs(off_s[times_s <= 3.95].mean()) <= 0.25 / FPS  # of ties, as at 50 Hz, the earlier one is shown


def test_crop_scale_and_size(make_material) -> None:
    material = make_material(n_frames=N)
    (chunk,) = picture_faults.cropped(material, 10.0)(iter(numbered(10)[:1]))
    assert chunk.frames[0].shape == (54, 72, 3)
    (chunk,) = picture_faults.scaled(material, 50.0)(iter(numbered(10)[:1]))
    assert chunk.frames[0].shape == (30, 40, 3)


def test_the_colours_drift_by_the_distance_that_another_library_measures(make_material) -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(60, 180, (*SIZE, 3)).astype(np.uint8)
    chunks = [FrameChunk(k, np.array([float(k)]), [frame]) for k in (0, 15, 30)]
    out = list(picture_faults.drifting_in_colour(make_material(n_frames=N), 10.0)(iter(chunks)))
    lab = [rgb2lab(chunk.frames[0]) for chunk in out]
    distances = [float(deltaE_ciede2000(lab[0], own).mean()) for own in lab]
    assert np.array_equal(out[0].frames[0], frame)
    assert distances[1:] == pytest.approx([2.5, 5.0], rel=0.1)  # 10 a minute, after 15 s and 30 s


def test_jumps_come_at_even_intervals(make_material) -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(60, 180, (*SIZE, 3)).astype(np.uint8)
    times_s = np.arange(N) / FPS
    (out,) = picture_faults.jumping(make_material(n_frames=N), 60.0)(
        iter([FrameChunk(0, times_s, [frame] * N)])
    )
    changes = [k for k in range(1, N) if not np.array_equal(out.frames[k], out.frames[k - 1])]
    assert [times_s[k] for k in changes] == [1.0, 2.0, 3.0]


def test_a_tremor_turns_the_picture_about_its_middle(make_material) -> None:
    frame = np.zeros((101, 101, 3), np.uint8)
    frame[48:53, 90:95] = 255
    times_s = np.array([0.0, 1 / 32])  # a quarter of the eighth of a second: the largest angle
    (out,) = picture_faults.trembling(make_material(n_frames=N), 5.0)(
        iter([FrameChunk(0, times_s, [frame, frame])])
    )
    light = out.frames[1][..., 0].astype(float)
    down, across = ((light * places).sum() / light.sum() - 50 for places in np.indices(light.shape))
    assert np.array_equal(out.frames[0], frame)
    assert np.degrees(np.arctan2(-down, across)) == pytest.approx(5.0, abs=0.2)


# A face drawn with its mouth: eyes 100 pixels apart, the mouth 40 wide and open by 20.
FACE = {33: (50.0, 60.0), 263: (150.0, 60.0), 152: (100.0, 180.0), 2: (100.0, 100.0)}
FACE |= dict.fromkeys(STEADY_POINTS, (100.0, 70.0)) | {33: (50.0, 60.0), 263: (150.0, 60.0)}
for (upper, lower), x, gap in zip(INNER_LIPS, (80, 90, 100, 110, 120), (0, 15, 20, 15, 0), strict=True):
    FACE |= {upper: (float(x), 130.0), lower: (float(x), 130.0 + gap)}


def mouth() -> np.ndarray:
    frame = np.full((220, 200, 3), 200, np.uint8)
    for x in range(80, 121):
        gap = np.interp(x, (80, 90, 100, 110, 120), (0, 15, 20, 15, 0))
        frame[130 : 130 + round(gap), x] = 0
    return frame


def opening_once(share: float) -> dict[int, ArrayLike]:
    """Return landmarks of ten frames: of the mouth above in the first, of one open by a share of it in the others."""
    marks: dict[int, ArrayLike] = dict(FACE)
    for upper, lower in INNER_LIPS:
        top, gap = np.array(FACE[upper]), np.array([0.0, FACE[lower][1] - FACE[upper][1]])
        marks[lower] = np.vstack([top + gap, *[top + share * gap] * 9])
    return marks


@pytest.mark.parametrize(("dose", "gap_px"), [(20.0, 16), (60.0, 8), (95.0, 1)])
def test_a_damped_mouth_opens_by_what_is_left(make_material, dose: float, gap_px: int) -> None:
    material = make_material(n_frames=10, landmarks=opening_once(0.0))
    (chunk,) = mouth_faults.damped(material, dose)(iter([FrameChunk(0, np.arange(2) / FPS, [mouth()] * 2)]))
    assert (chunk.frames[0][:, 100, 0] < 100).sum() == pytest.approx(gap_px, abs=1)
    assert np.array_equal(chunk.frames[0][:129], mouth()[:129])
    assert np.array_equal(chunk.frames[0][:, :40], mouth()[:, :40])
    assert np.array_equal(chunk.frames[1], mouth())  # whose landmarks have it shut


def test_a_damped_mouth_comes_near_what_the_clip_shows_as_least_open(make_material) -> None:
    material = make_material(n_frames=10, landmarks=opening_once(0.5))  # 10 px in all other frames
    for dose, gap_px in ((40.0, 16), (95.0, 10.5)):
        (chunk,) = mouth_faults.damped(material, dose)(iter([FrameChunk(0, np.zeros(1), [mouth()])]))
        assert (chunk.frames[0][:, 100, 0] < 100).sum() == pytest.approx(gap_px, abs=1)


def test_the_skin_under_a_damped_mouth_is_not_torn(make_material) -> None:
    material = make_material(n_frames=10, landmarks=opening_once(0.0))
    slope = np.repeat(np.arange(220, dtype=np.uint8)[:, None, None], 200, axis=1).repeat(3, axis=2)
    (chunk,) = mouth_faults.damped(material, 95.0)(iter([FrameChunk(0, np.zeros(1), [slope])]))
    lift_px = chunk.frames[0][145:, :, 0].astype(int) - slope[145:, :, 0]  # well below the lips
    assert lift_px.max() >= 8
    assert np.abs(np.diff(lift_px, axis=1)).max() <= 1


def test_a_frozen_mouth_stays_as_it_was_in_the_middle_of_the_clip(make_material) -> None:
    material = make_material(n_frames=N, landmarks=FACE)
    frames = [np.roll(mouth(), k, axis=0) if k >= 100 else mouth() // (1 + k % 3) for k in range(N)]
    (chunk,) = mouth_faults.frozen(material, 40.0)(iter([FrameChunk(0, np.arange(N) / FPS, frames)]))
    dark = np.array([frame[135, 100, 0] for frame in chunk.frames])
    skin = np.array([frame[160, 100, 0] for frame in chunk.frames])
    eyes = np.array([frame[60, 50, 0] for frame in chunk.frames])
    held = (np.arange(N) / FPS >= 0.3 * 3.96) & (np.arange(N) / FPS <= 0.7 * 3.96)
    assert len(set(skin[held])) == 1
    assert len(set(skin[~held])) == 3
    assert len(set(eyes[held])) == 3  # all but the lower face goes on
    assert set(dark) == {0}


def test_what_a_clip_lacks_is_a_reason(make_material) -> None:
    with pytest.raises(Unplantable, match="no picture"):
        picture_faults.blurred(make_material(np.zeros((10, 1))), 1.0)
    with pytest.raises(Unplantable, match="no face"):
        mouth_faults.damped(make_material(n_frames=10), 20.0)
    with pytest.raises(Unplantable, match="too few frames"):
        picture_faults.dropped(make_material(n_frames=2), 20.0)
