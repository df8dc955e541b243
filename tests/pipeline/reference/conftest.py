"""One portrait, one renderer, one generator for all tests: loading them is what takes time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from pipeline.reference.face import FaceModel
    from pipeline.reference.generator import ReferenceGenerator
    from pipeline.reference.motion import MotionModel
    from pipeline.reference.portrait import Framed


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    from skimage import data

    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def face() -> FaceModel:
    from pipeline.reference.generator import _load_face

    return _load_face()


@pytest.fixture(scope="session")
def framed(astronaut: NDArray[np.uint8], face: FaceModel) -> Framed:
    from pipeline.reference.portrait import find_face, frame_portrait

    return frame_portrait(astronaut, find_face(astronaut, "astronaut"), face.mean, 320, 256)


@pytest.fixture(scope="session")
def model() -> MotionModel:
    from pipeline.reference.generator import WEIGHTS
    from pipeline.reference.motion import MotionModel

    return MotionModel(WEIGHTS, "cpu")


@pytest.fixture(scope="session")
def generator() -> Iterator[ReferenceGenerator]:
    from pipeline.reference.generator import ReferenceGenerator

    with ReferenceGenerator() as loaded:
        yield loaded


@pytest.fixture(scope="session")
def see_face() -> Iterator[Callable[[NDArray[np.uint8]], NDArray[np.float64]]]:
    """Find the 478 points of a face in a picture, in pixels, as somebody would who never saw the renderer."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    with FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1) as mesh:

        def see(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
            found = mesh.process(np.ascontiguousarray(picture)).multi_face_landmarks
            assert found, "no face in the picture"
            height, width = picture.shape[:2]
            return np.array([(p.x * width, p.y * height, p.z * width) for p in found[0].landmark])

        yield see
