"""Where the joints of the body are, frame by frame, from BlazePose.

The model is the full one of the MediaPipe wheel (BlazePose GHUM, complexity 1), tracking from frame to frame.
Its own one-euro smoothing is off: it would hide the tremor that `motion.jitter_ratio` is there to find. OpenVINO runs
it (`evalkit.tracks.blazepose`), or MediaPipe itself where there is no OpenVINO, at half the speed: the values differ a
little, so the tracks have names of their own.

Three decisions make the numbers comparable:

- Pictures are area-averaged down to a short side of 256 pixels, about what the model sees anyway. The model's own
  reduction picks single pixels, so that the noise of its landmarks would depend on the resolution of the clip.
- A picture that repeats the last one takes over its landmarks. The model would go on settling for some frames, and
  a freeze would look like movement.
- A joint outside of the picture, or nearer to its edge than `EDGE` of the shorter side, is a guess of the model from
  half of what it needs to see, and trembles by degrees: its visibility is written as 0.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.tracks.base import TrackBuilder, load_library
from evalkit.types import FrameChunk, Track
from pipeline.partial_import import load_solution

RUNTIMES = {"openvino": "pose", "mediapipe": "pose_mediapipe"}
"""What can run the model, and the name of the track that it makes."""

JOINTS = {
    "nose": 0,
    "left_ear": 7,
    "right_ear": 8,
    "left_shoulder": 11,
    "right_shoulder": 12,
    "left_elbow": 13,
    "right_elbow": 14,
    "left_wrist": 15,
    "right_wrist": 16,
    "left_hip": 23,
    "right_hip": 24,
    "left_knee": 25,
    "right_knee": 26,
    "left_ankle": 27,
    "right_ankle": 28,
}
"""Joint names and their index among the model's 33 landmarks. Left and right are the person's own."""

COLUMNS = ("change", *(f"{joint}_{what}" for joint in JOINTS for what in ("x_px", "y_px", "visibility")))
"""``change`` as in `picture_change`; then, a joint, its place in pixels of the clip and its visibility in [0, 1]."""

STILL_CHANGE = 1.0
"""A `picture_change` below this, in grey levels, is a repeated picture: real pictures of people reach 1.3 and more,
repeated ones stay below even after a second encoding at ordinary quality."""

EDGE = 0.08
"""Share of the picture's shorter side."""

_SHORT_SIDE_PX = 256
_BLOCK_PX = 8
_VISIBLE = 0.5


def picture_change(picture: NDArray[np.uint8], previous: NDArray[np.uint8]) -> float:
    """Return how much two grey pictures differ where they differ most.

    Parameters
    ----------
    picture, previous : uint8 arrays, shape (height, width)

    Returns
    -------
    float
        The largest mean absolute difference among blocks of 8x8 pixels, in grey levels from 0 to 255. A small
        moving mouth in a still picture counts in full, unlike in a mean over the picture.
    """
    import cv2

    n_rows, n_columns = (max(1, side // _BLOCK_PX) for side in picture.shape)
    height, width = (
        n * min(_BLOCK_PX, side) for n, side in zip((n_rows, n_columns), picture.shape, strict=True)
    )
    difference = cv2.absdiff(picture[:height, :width], previous[:height, :width]).astype(np.float32)
    return float(cv2.resize(difference, (n_columns, n_rows), interpolation=cv2.INTER_AREA).max())


class PoseTracker:
    """Makes the track of a runtime. One small row a frame; invalid where no body is found.

    Parameters
    ----------
    runtime : str
        One of `RUNTIMES`.
    """

    version = 3

    def __init__(self, runtime: str = "openvino") -> None:
        self.name = RUNTIMES[runtime]
        self._rows = TrackBuilder(self.name, COLUMNS)
        self._runtime = runtime
        self._model: _Model | None = None
        self._seen: NDArray[np.uint8] | None = None
        self._joints: NDArray[np.float32] | None = None

    def update(self, chunk: FrameChunk) -> list[NDArray[np.float32] | None]:
        """Take the next frames; return, a frame, the visible joints in pixels, shape (n, 2), or None."""
        return [self._look(time_s, frame) for time_s, frame in zip(chunk.times_s, chunk.frames, strict=True)]

    def finish(self) -> Track:
        """Return the whole track and release the model."""
        if self._model is not None:
            self._model.close()
            self._model = None
        return self._rows.track({"model": f"blazepose, complexity 1, by {self._runtime}"})

    def _look(self, time_s: float, frame: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        import cv2

        height, width = frame.shape[:2]
        scale = min(1.0, _SHORT_SIDE_PX / min(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else frame
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        change = 255.0
        if self._seen is not None and self._seen.shape == grey.shape:
            change = picture_change(grey, self._seen)
        if change >= STILL_CHANGE:
            self._seen = grey
            self._joints = self._detect(small, width, height)
        if self._joints is None:
            self._rows.append(time_s, None)
            return None
        self._rows.append(time_s, np.concatenate([[change], self._joints.ravel()]))
        return self._joints[self._joints[:, 2] >= _VISIBLE, :2].copy()

    def _detect(self, picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32] | None:
        """Return x, y in pixels of a frame of this width and height, and visibility; shape (n_joints, 3)."""
        if self._model is None:
            self._model = _open_model(self._runtime)
        landmarks = self._model.find(picture)
        if landmarks is None:
            return None
        joints = landmarks[list(JOINTS.values())] * np.array([width, height, 1.0], np.float32)
        edge_px = EDGE * min(width, height)
        near = np.minimum(joints[:, :2], (width, height) - joints[:, :2]).min(axis=1) < edge_px
        joints[near, 2] = 0.0
        return joints


def track_of(runtime: str) -> str:
    """Return the name of the track that a runtime makes.

    Raises
    ------
    UsageError
        If it is none of `RUNTIMES`.
    """
    if not isinstance(runtime, str) or runtime not in RUNTIMES:
        raise UsageError(
            f"the setting runtime, which runs the pose network, is {runtime!r}; give {' or '.join(RUNTIMES)}"
        )
    return RUNTIMES[runtime]


def refuse_missing(runtime: str) -> None:
    """Refuse a runtime that is not installed.

    Parameters
    ----------
    runtime : str
        One of `RUNTIMES`.

    Raises
    ------
    UsageError
        If it is missing.
    """
    if find_spec(runtime) is None:
        other = next(other for other in RUNTIMES if other != runtime)
        raise UsageError(
            f"{runtime}, which runs the pose network, is not installed; run pip install {runtime}, or let {other} do it: "
            f"give the evaluators motion and brand the setting runtime: {other}"
        )


class _Model(Protocol):
    """Finds the landmarks of one person, picture by picture."""

    def find(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the 33 landmarks: x and y as shares of width and height, and visibility; shape (33, 3)."""
        ...

    def close(self) -> None: ...


class _MediapipePose:
    def __init__(self) -> None:
        self._solution = load_solution("pose").Pose(
            static_image_mode=False, model_complexity=1, smooth_landmarks=False
        )

    def find(self, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        found = self._solution.process(picture).pose_landmarks
        if found is None:
            return None
        return np.array([(mark.x, mark.y, mark.visibility) for mark in found.landmark], np.float32)

    def close(self) -> None:
        self._solution.close()


def _open_model(runtime: str) -> _Model:
    refuse_missing(runtime)
    if runtime == "mediapipe":
        return _MediapipePose()
    model: _Model = load_library("evalkit.tracks.blazepose").BlazePose()
    return model
