"""Which frames are worth a closer look: the first, those after a change, and at least one a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST_GAP_S = 1.0
SHORTEST_GAP_S = 0.25
"""Whatever happens: so the work in a second of video is bounded."""
LEAST_CHANGE = 12.0
"""Mean absolute difference to the last key frame, in levels of 255: a cut, a pan, a light; not somebody talking."""
_BLOCKS = 24
_ENOUGH_PX = 90
_SLACK_S = 1e-6


class KeyFrames:
    """Chooses while the frames go by. What is chosen depends on the frames and their times alone."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._seen: NDArray[np.float32] | None = None

    def choose(self, time_s: float, frame: NDArray[np.uint8]) -> bool:
        """Say whether this frame, the next one, is a key frame."""
        if self._last_s is not None and time_s - self._last_s < SHORTEST_GAP_S - _SLACK_S:
            return False
        import cv2

        step = max(1, min(frame.shape[:2]) // _ENOUGH_PX)
        thinned = np.ascontiguousarray(frame[::step, ::step])
        seen = cv2.resize(thinned, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._last_s is not None and self._seen is not None:
            due = time_s - self._last_s >= LONGEST_GAP_S - _SLACK_S
            if not due and float(np.abs(seen - self._seen).mean()) < LEAST_CHANGE:
                return False
        self._last_s, self._seen = time_s, np.asarray(seen, dtype=np.float32)
        return True
