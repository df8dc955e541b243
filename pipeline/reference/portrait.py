"""A portrait: read, the face found in it, framed to the picture size, cut out from what is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import RequestError
from pipeline.faces import NO_FACE, locate_faces
from pipeline.partial_import import load_solution
from pipeline.reference import topology
from pipeline.reference.alignment import Similarity, fit_similarity, head_angles
from pipeline.reference.background import widen
from pipeline.reference.matting import Cutout, cut_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]

MIN_FACE_PX = 40
MAX_YAW_DEG = 40.0
_RIVAL = 0.6  # a second face this large beside the first makes it unclear who speaks
_FACE_SHARE = (0.42, 0.62)  # face height over picture height: wanted, and at most
_EYE_LINE = 0.42  # where the middle of the face stands, from the top


@dataclass(frozen=True)
class Framed:
    """A portrait at the picture size.

    Attributes
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB.
    points : FloatArray, shape (478, 3)
        Face points, pixels; z away from the viewer.
    matte : float32 array, shape (height, width)
        1 where the person is, 0 where it is not.
    person : uint8 array, shape (height, width, 3)
        Colour of the person alone, RGB: along the outline without what is behind it.
    pose : Similarity
        Brings the mean face onto the points.
    """

    picture: Picture
    points: FloatArray
    matte: Float32Array
    person: Picture
    pose: Similarity

    @property
    def face_height_px(self) -> float:
        """Forehead to chin."""
        return _face_height_px(self.points)


def warm_up() -> None:
    """Bring the face finder and the segmentation into memory."""
    face_detection, face_mesh, selfie_segmentation = (
        load_solution(name) for name in ("face_detection", "face_mesh", "selfie_segmentation")
    )
    empty = np.zeros((64, 64, 3), np.uint8)
    with (
        face_detection.FaceDetection() as faces,
        face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh,
        selfie_segmentation.SelfieSegmentation() as people,
    ):
        for finder in (faces, mesh, people):
            finder.process(empty)


def find_face(picture: Picture, name: str) -> FloatArray:
    """Find the one face of a portrait: its 478 points in pixels, shape (478, 3).

    Parameters
    ----------
    picture : uint8 array, shape (height, width, 3)
        RGB.
    name : str
        What to call the picture in errors.

    Raises
    ------
    RequestError
        If there is no face, more than one of similar size, or one that is too small.
    """
    boxes = locate_faces(picture)
    if not boxes:
        raise RequestError(
            f"image {name!r}: no face found; use a picture of one face seen from the front", NO_FACE
        )
    sides = [box[2] for box in boxes]
    if len(boxes) > 1 and sides[1] > _RIVAL * sides[0]:
        n = sum(side > _RIVAL * sides[0] for side in sides)
        raise RequestError(f"image {name!r}: {n} faces of similar size; crop it to the person who speaks")
    points = _mesh_in(picture, boxes[0])
    if points is None:
        raise RequestError(
            f"image {name!r}: a face, but not all of it can be seen; use one seen from the front, uncovered"
        )
    height = float(np.linalg.norm(points[topology.CHIN] - points[topology.FOREHEAD]))
    if height < MIN_FACE_PX:
        raise RequestError(
            f"image {name!r}: the face is {height:.0f} px high, at least {MIN_FACE_PX} are needed; "
            f"use a larger picture or crop it to the face"
        )
    return points


def refuse_profile(points: FloatArray, mean_face: FloatArray, name: str) -> None:
    """Refuse a face that is turned away too far.

    Raises
    ------
    RequestError
        If it is turned further than `MAX_YAW_DEG`.
    """
    pose = fit_similarity(mean_face[topology.RIGID], points[topology.RIGID])
    yaw = abs(float(head_angles(pose.rotation)[0]))
    if yaw > MAX_YAW_DEG:
        raise RequestError(
            f"image {name!r}: the face is turned {yaw:.0f}° away, at most {MAX_YAW_DEG:.0f}° can be animated; "
            f"use one seen from the front"
        )


def cut_out_person(picture: Picture, points: FloatArray) -> Cutout:
    """Cut the person out of a portrait whose face points are known, see `cut_out`."""
    return cut_out(picture, _face_height_px(points))


def frame_portrait(
    picture: Picture,
    points: FloatArray,
    mean_face: FloatArray,
    width: int,
    height: int,
    *,
    cutout: Cutout | None = None,
) -> Framed:
    """Crop and scale a portrait to the picture size, the face well placed, and the person in it cut out.

    What the portrait does not show (a wide picture from a tall portrait) is filled up with its own background, and
    shoulders that it cuts off go on. The person is cut out here unless that is given.
    """
    import cv2

    face = _face_height_px(points)
    matte, person = cutout or cut_out_person(picture, points)
    left, top, crop_height = _choose_crop(picture, points, matte, width / height)
    factor = height / crop_height
    n_left = max(0, int(np.ceil(-left)))
    n_right = max(0, int(np.ceil(left + crop_height * width / height - picture.shape[1])))
    if n_left or n_right:
        picture, matte, person = widen(picture, Cutout(matte, person), n_left, n_right, face)
    corner = np.array([left + n_left, top])
    matrix = np.array([[factor, 0, -factor * corner[0]], [0, factor, -factor * corner[1]]])
    matrix[:, 2] += (factor - 1) / 2  # pixel centres
    layers = [picture, person, matte]
    if factor < 1:  # blur away what the smaller picture cannot hold
        sigma = 0.45 * np.sqrt(1 / factor**2 - 1)
        layers = [cv2.GaussianBlur(layer, (0, 0), sigma) for layer in layers]
    framed, alone, cover = (
        cv2.warpAffine(layer, matrix, (width, height), flags=flag, borderMode=cv2.BORDER_REPLICATE)
        for layer, flag in zip(layers, (cv2.INTER_CUBIC, cv2.INTER_CUBIC, cv2.INTER_LINEAR), strict=True)
    )
    moved = points * factor
    moved[:, :2] += matrix[:, 2] + factor * np.array([n_left, 0])
    pose = fit_similarity(mean_face[topology.RIGID], moved[topology.RIGID])
    return Framed(framed, moved, np.clip(cover, 0, 1), alone, pose)


def _face_height_px(points: FloatArray) -> float:
    """Return the distance from forehead to chin in the picture, pixels."""
    return float(np.linalg.norm(points[topology.CHIN, :2] - points[topology.FOREHEAD, :2]))


def _mesh_in(picture: Picture, box: tuple[float, float, float]) -> FloatArray | None:
    import cv2

    x, y, side = box
    room = round(side)
    padded = cv2.copyMakeBorder(picture, room, room, room, room, cv2.BORDER_REPLICATE)
    left, top = max(0, round(x)), max(0, round(y))  # in the padded picture: centre minus one side
    crop = np.ascontiguousarray(padded[top : top + 2 * room, left : left + 2 * room])
    with load_solution("face_mesh").FaceMesh(
        static_image_mode=True, refine_landmarks=True, max_num_faces=1
    ) as mesh:
        faces = mesh.process(crop).multi_face_landmarks
    if not faces:
        return None
    height, width = crop.shape[:2]
    points = np.array([(p.x * width, p.y * height, p.z * width) for p in faces[0].landmark])
    points[:, :2] += [left - room, top - room]
    return points


def _choose_crop(
    picture: Picture, points: FloatArray, matte: Float32Array, aspect: float
) -> tuple[float, float, float]:
    """Return left, top and height of the part to show; it may reach over the sides, never over top or bottom."""
    height, width = picture.shape[:2]
    face = _face_height_px(points)
    wanted, most = (face / share for share in _FACE_SHARE)
    crop = min(wanted, height)
    top = float(np.clip(points[topology.NOSE_TIP, 1] - _EYE_LINE * crop - 0.1 * face, 0, height - crop))
    if crop * aspect > width:  # too narrow: come closer, and as little wider than the portrait as may be
        rows = slice(int(top), int(top + crop))
        touches = max(matte[rows, :2].mean(), matte[rows, -2:].mean()) > 0.15
        crop = max(width / aspect, min(crop, most if touches else 0.5 * (wanted + most)))
        crop = min(crop, height)
        top = float(np.clip(points[topology.NOSE_TIP, 1] - _EYE_LINE * crop - 0.1 * face, 0, height - crop))
    middle = points[topology.FACE_OVAL, 0].mean()
    slack = width - crop * aspect
    left = slack / 2 if slack < 0 else float(np.clip(middle - crop * aspect / 2, 0, slack))
    return left, top, crop
