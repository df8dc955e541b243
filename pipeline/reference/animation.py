"""The motion of one video, clip by clip, drawn frame by frame."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.events import CLIP, FIRST_FRAME, Timeline
from pipeline.reference import features
from pipeline.reference.channels import N_MOUTH, STYLES
from pipeline.reference.face import Expression

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor, Future
    from fractions import Fraction

    from numpy.typing import NDArray

    from pipeline.reference.encoder import VideoWriter
    from pipeline.reference.motion import MotionStream
    from pipeline.reference.renderer import Renderer
    from pipeline.request import GenerationRequest

    FloatArray = NDArray[np.float64]


_N_PAINTERS = 2
"""Pictures drawn at once; each is drawn mostly by libraries that use one core and let the others work."""
_SMILE, _FROWN = 0.5, 0.25  # of a full smile, for a standard deviation of the style up or down
_BREATHS_PER_S = 0.26
_BREATH = 0.012  # eye distances


@dataclass(frozen=True)
class Stage:
    """All that is fixed for one video.

    Parameters
    ----------
    renderer : Renderer
    stream : MotionStream
    rate : Fraction
        Frames a second.
    n_frames, infer_frames : int
        Of the video; of a clip.
    smile : float
        Share of a full smile, below 0 for a frown.
    """

    renderer: Renderer
    stream: MotionStream
    rate: Fraction
    n_frames: int
    infer_frames: int
    smile: float

    @property
    def n_clips(self) -> int:
        """Clips of the video."""
        return math.ceil(self.n_frames / self.infer_frames)


def count_frames(request: GenerationRequest, audio_s: float) -> int:
    """Count the frames of the video: all clips but for what of the last would run past the sound."""
    needed = max(1, math.ceil(audio_s * request.fps - 1e-6))
    return min(needed, request.n_clips(audio_s) * request.infer_frames)


def make_clips(stage: Stage, writer: VideoWriter, timeline: Timeline, *, online: bool) -> None:
    """Make the motion clip by clip and draw it: each clip at once, or all after the last."""
    waiting: list[list[Expression]] = []
    shown = False

    def draw(clip: list[Expression]) -> None:
        nonlocal shown
        for picture in _render_ahead(stage.renderer, clip, painters):
            writer.write(picture)
            if not shown and writer.n_coded:
                timeline.mark(FIRST_FRAME, at_end=not online)
                shown = True

    with ThreadPoolExecutor(_N_PAINTERS) as painters:
        for index, clip in enumerate(_move(stage)):
            if online:
                draw(clip)
            else:
                waiting.append(clip)
            timeline.mark(CLIP, index=index, n_clips=stage.n_clips)
        for clip in waiting:
            draw(clip)
    if not shown:  # shorter than what the encoder looks ahead
        timeline.mark(FIRST_FRAME, at_end=not online)


def _render_ahead(
    renderer: Renderer, clip: list[Expression], painters: Executor
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of a clip in order; a few are drawn while the one before them is encoded."""
    coming: deque[Future[NDArray[np.uint8]]] = deque()
    for expression in clip:
        coming.append(painters.submit(renderer.render, expression))
        if len(coming) > _N_PAINTERS:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def _move(stage: Stage) -> Iterator[list[Expression]]:
    """Yield the expressions of each clip's frames, interpolated from 25 a second to the frame rate."""
    rate_hz = features.MOTION_RATE_HZ
    motion = np.zeros((0, 0))
    first = 0  # number of the first motion frame held
    for clip in range(stage.n_clips):
        frames = np.arange(clip * stage.infer_frames, min((clip + 1) * stage.infer_frames, stage.n_frames))
        times_s = frames / float(stage.rate)
        end = math.floor(times_s[-1] * rate_hz) + 3
        new = stage.stream.advance(end)
        motion = np.concatenate([motion, new]) if len(motion) else new
        values = interpolate(motion, times_s * rate_hz - first)
        breath = _BREATH * np.sin(2 * np.pi * _BREATHS_PER_S * times_s)
        yield [
            Expression(
                mouth=v[:N_MOUTH],
                blink=float(v[N_MOUTH]),
                brow=float(v[N_MOUTH + 1]),
                angles_deg=v[N_MOUTH + 2 : N_MOUTH + 5],
                travel=v[N_MOUTH + 5 : N_MOUTH + 7],
                zoom=float(v[N_MOUTH + 7]),
                smile=stage.smile,
                breath=float(b),
            )
            for v, b in zip(values, breath, strict=True)
        ]
        keep = min(4, len(motion))
        first += len(motion) - keep
        motion = motion[-keep:]


def smile_of(style: FloatArray) -> float:
    """Return the share of a full smile that a style asks for, below 0 for a frown."""
    wanted = float(style[STYLES.index("smile")])
    return wanted * (_SMILE if wanted > 0 else _FROWN)


def interpolate(values: FloatArray, places: FloatArray) -> FloatArray:
    """Interpolate rows at fractional places by Catmull-Rom cubics; a whole place gives its row.

    Parameters
    ----------
    values : FloatArray, shape (n, columns)
    places : FloatArray, shape (m,)
        From 0 to n - 1; beyond either end, the row at the end is taken for those that are missing.
    """
    low = np.floor(places).astype(int)
    t = (places - low)[:, None]
    a, b, c, d = (values[np.clip(low + k, 0, len(values) - 1)] for k in (-1, 0, 1, 2))
    slope_b, slope_c = (c - a) / 2, (d - b) / 2
    between: FloatArray = (
        b
        + slope_b * t
        + (3 * (c - b) - 2 * slope_b - slope_c) * t**2
        + (2 * (b - c) + slope_b + slope_c) * t**3
    )
    return between
