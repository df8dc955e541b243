"""Where the person is in a picture, from the selfie segmentation network of the MediaPipe wheel.

MediaPipe itself runs it: the network has an operation of MediaPipe's own that OpenVINO does not know.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.partial_import import load_solution

WIDTH_PX, HEIGHT_PX = 256, 144
"""What the network sees of a picture, whatever its shape; its mask has the same size."""


class PersonSegmenter:
    """Says how likely each place of a picture belongs to a person. Each picture is looked at by itself."""

    def __init__(self) -> None:
        self._solution: Any = None

    def find(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of a person at each place.

        Parameters
        ----------
        picture : uint8 array, shape (height, width, 3)
            RGB, of any size.

        Returns
        -------
        float32 array, shape (`HEIGHT_PX`, `WIDTH_PX`)
            From 0 to 1.
        """
        import cv2

        if self._solution is None:
            self._solution = load_solution("selfie_segmentation").SelfieSegmentation(model_selection=1)
        seen = cv2.resize(picture, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
        return np.array(self._solution.process(seen).segmentation_mask, np.float32)

    def close(self) -> None:
        """Release the model."""
        if self._solution is not None:
            self._solution.close()
            self._solution = None
