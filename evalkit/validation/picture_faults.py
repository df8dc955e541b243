"""Faults of the picture: each takes the chunks of a clip and gives damaged ones, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from evalkit.metrics.color_difference import delta_e
from evalkit.types import FrameChunk
from evalkit.validation.material import Unplantable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evalkit.types import BoolArray
    from evalkit.validation.material import Material

    Picture: TypeAlias = NDArray[np.uint8]
    Change: TypeAlias = Callable[[float, int, Picture], Picture]
    """Gives a frame, by its time, its number and its pixels, as it is to be."""

Transform: TypeAlias = "Callable[[Iterable[FrameChunk]], Iterator[FrameChunk]]"

TREMOR_HZ = 8.0
"""In the middle of what `motion.jitter_ratio` calls tremor."""
JUMP = 0.01
"""A jump at a border moves the picture by this share of its shorter side, and brightens it by `FLASH`."""
FLASH = 1.03
_SEED = 12
_SAMPLED_PX = 64
_LARGEST_TINT = 0.5
_ROUNDING = 1e-6


def as_shown(clip: Material, _dose: float) -> Transform:
    """Change nothing."""
    _require_picture(clip)
    return iter


def dropped(clip: Material, dose_percent: float) -> Transform:
    """Leave frames out, one here and one there: the frame before is shown for longer."""
    lost = _choose_frames(clip, dose_percent / 100.0)

    def change(chunks: Iterable[FrameChunk]) -> Iterator[FrameChunk]:
        for chunk in chunks:
            kept = [k for k in range(len(chunk.frames)) if not _is_in(lost, chunk.first_index + k)]
            if kept:
                frames = [chunk.frames[k] for k in kept]
                yield replace(chunk, times_s=chunk.times_s[kept], frames=frames)

    return change


def repeated(clip: Material, dose_percent: float) -> Transform:
    """Show the frame before again, here and there, in place of the frame."""
    lost = _choose_frames(clip, dose_percent / 100.0)
    shown: list[Picture] = []

    def change(_time_s: float, index: int, frame: Picture) -> Picture:
        if not (shown and _is_in(lost, index)):
            shown[:] = [frame]
        return shown[0]

    return each_frame(change)


def slowed(clip: Material, dose_percent: float) -> Transform:
    """Show every frame for longer: the picture falls behind the sound, and ends after it."""
    _require_picture(clip)
    factor = 1.0 + dose_percent / 100.0

    def change(chunks: Iterable[FrameChunk]) -> Iterator[FrameChunk]:
        for chunk in chunks:
            end_s = None if chunk.end_s is None else chunk.end_s * factor
            yield replace(chunk, times_s=chunk.times_s * factor, end_s=end_s)

    return change


def trembling(clip: Material, dose_deg: float) -> Transform:
    """Turn the picture to and fro about its middle, so many degrees to each side, eight times a second."""
    _require_picture(clip)

    def change(time_s: float, _index: int, frame: Picture) -> Picture:
        import cv2

        height, width = frame.shape[:2]
        angle_deg = dose_deg * np.sin(2 * np.pi * TREMOR_HZ * time_s)
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
        turned = cv2.warpAffine(
            frame, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        return np.asarray(turned, np.uint8)

    return each_frame(change)


def blurred(clip: Material, dose_permille: float) -> Transform:
    """Blur: the standard deviation in thousandths of the longer side."""
    _require_picture(clip)

    def change(_time_s: float, _index: int, frame: Picture) -> Picture:
        import cv2

        return np.asarray(
            cv2.GaussianBlur(frame, (0, 0), dose_permille / 1000.0 * max(frame.shape[:2])), np.uint8
        )

    return each_frame(change)


def jumping(clip: Material, dose_per_min: float) -> Transform:
    """Let the picture jump at even intervals, as where clips are joined: to one side and back, brighter and back."""
    _require_picture(clip)
    period_s = 60.0 / dose_per_min

    def change(time_s: float, _index: int, frame: Picture) -> Picture:
        if int(time_s / period_s + 1e-6) % 2 == 0:
            return frame
        import cv2

        height, width = frame.shape[:2]
        by = JUMP * min(height, width)
        moved = cv2.warpAffine(
            frame,
            np.array([[1, 0, by], [0, 1, by]], np.float32),
            (width, height),
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(np.clip(moved.astype(np.float32) * FLASH + 0.5, 0, 255), np.uint8)

    return each_frame(change)


def drifting_in_colour(clip: Material, dose_per_min: float) -> Transform:
    """Let the colours become warmer and warmer: more red and less blue, so many ΔE00 a minute."""
    _require_picture(clip)
    tints = np.linspace(0.0, _LARGEST_TINT, 51)
    distances: list[NDArray[np.float64]] = []

    def change(time_s: float, _index: int, frame: Picture) -> Picture:
        if not distances:
            step = max(1, max(frame.shape[:2]) // _SAMPLED_PX)
            sampled = frame[::step, ::step].reshape(-1, 3)
            own = _lab_of(sampled)
            distances.append(np.array([delta_e(own, _lab_of(_tint(sampled, k))).mean() for k in tints]))
        return _tint(frame, float(np.interp(dose_per_min * time_s / 60.0, distances[0], tints)))

    return each_frame(change)


def _lab_of(pixels: Picture) -> NDArray[np.float64]:
    import cv2  # scikit-image comes with an extra, and faults of the picture need none

    scaled_to_one = pixels.reshape(1, -1, 3).astype(np.float32) / np.float32(255.0)
    return np.asarray(cv2.cvtColor(scaled_to_one, cv2.COLOR_RGB2Lab)[0], np.float64)


def cropped(clip: Material, dose_percent: float) -> Transform:
    """Cut the borders off: a share of width and height, the same on both sides."""
    _require_picture(clip)

    def change(_time_s: float, _index: int, frame: Picture) -> Picture:
        (top, left) = (round(side * dose_percent / 200.0) for side in frame.shape[:2])
        return frame[top : frame.shape[0] - top, left : frame.shape[1] - left]

    return each_frame(change)


def scaled(clip: Material, dose_percent: float) -> Transform:
    """Make the picture smaller: to a share of its width and height."""
    _require_picture(clip)

    def change(_time_s: float, _index: int, frame: Picture) -> Picture:
        import cv2

        height, width = (max(2, round(side * dose_percent / 100.0)) for side in frame.shape[:2])
        return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    return each_frame(change)


def at_another_rate(clip: Material, dose_hz: float) -> Transform:
    """Show so many frames a second: at each moment the frame that is nearest to it, so that nothing comes late.

    The end is rounded too, as converters do.
    """
    _require_picture(clip)

    def change(chunks: Iterable[FrameChunk]) -> Iterator[FrameChunk]:
        n_shown = 0
        held: tuple[float, Picture] | None = None
        for chunk in chunks:
            times_s: list[float] = []
            frames: list[Picture] = []
            first = n_shown
            for time_s, frame in zip(chunk.times_s.tolist(), chunk.frames, strict=True):
                if held is None:
                    n_shown = first = int(np.ceil(time_s * dose_hz - _ROUNDING))
                else:
                    before_s, before = held
                    while n_shown / dose_hz <= (before_s + time_s) / 2 + _ROUNDING:
                        times_s.append(n_shown / dose_hz)
                        frames.append(before)
                        n_shown += 1
                held = time_s, frame
            if chunk.end_s is not None and held is not None:
                while (n_shown + 0.5) / dose_hz <= chunk.end_s + _ROUNDING:
                    times_s.append(n_shown / dose_hz)
                    frames.append(held[1])
                    n_shown += 1
            if frames:
                end_s = None if chunk.end_s is None else n_shown / dose_hz
                yield FrameChunk(first, np.array(times_s), frames, end_s)

    return change


def each_frame(change: Change) -> Transform:
    """Return what changes a picture frame by frame."""

    def transform(chunks: Iterable[FrameChunk]) -> Iterator[FrameChunk]:
        for chunk in chunks:
            frames = [
                change(time_s, chunk.first_index + k, frame)
                for k, (time_s, frame) in enumerate(zip(chunk.times_s.tolist(), chunk.frames, strict=True))
            ]
            yield replace(chunk, frames=frames)

    return transform


def _require_picture(clip: Material) -> None:
    if not clip.survey.n_frames:
        raise Unplantable("the file has no picture")


def _choose_frames(clip: Material, share: float) -> BoolArray:
    """Choose a share of the frames, without the first and the last; a larger share holds a smaller one."""
    n = clip.survey.n_frames
    if n < 3:
        raise Unplantable("too few frames to measure")
    chosen = np.zeros(n, bool)
    order = 1 + np.random.default_rng(_SEED).permutation(n - 2)
    chosen[order[: max(1, round(share * n))]] = True
    return chosen


def _is_in(chosen: BoolArray, index: int) -> bool:
    return bool(index < chosen.size and chosen[index])


def _tint(colors: NDArray[np.uint8], tint: float) -> NDArray[np.uint8]:
    gains = np.array([1.0 + tint, 1.0, 1.0 - tint], np.float32)
    return np.asarray(np.clip(colors.astype(np.float32) * gains + 0.5, 0, 255), np.uint8)
