"""A portrait: read, the face found in it, framed to the picture size, cut out from what is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import RequestError
from pipeline.faces import NO_FACE, locate_faces
from pipeline.reference import topology
from pipeline.reference.alignment import Similarity, fit_similarity, head_angles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    FloatArray = NDArray[np.float64]
    Float32Array = NDArray[np.float32]

MIN_FACE_PX = 40
MAX_YAW_DEG = 40.0
_CUT_SIDE_PX = 360  # the edge of the person is sought at this size
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
    pose : Similarity
        Brings the mean face onto the points.
    """

    picture: Picture
    points: FloatArray
    matte: Float32Array
    pose: Similarity

    @property
    def face_height_px(self) -> float:
        """Forehead to chin."""
        return float(np.linalg.norm(self.points[topology.CHIN, :2] - self.points[topology.FOREHEAD, :2]))


def warm_up() -> None:
    """Bring the face finder and the segmentation into memory."""
    from mediapipe.python.solutions import face_detection, face_mesh, selfie_segmentation

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


def frame_portrait(
    picture: Picture, points: FloatArray, mean_face: FloatArray, width: int, height: int
) -> Framed:
    """Crop and scale a portrait to the picture size, the face well placed; cut the person out.

    What the portrait does not show (a wide picture from a tall portrait) is filled up with its own background.
    """
    import cv2

    matte = cut_out(picture)
    left, top, crop_height = _choose_crop(picture, points, matte, width / height)
    factor = height / crop_height
    n_left = max(0, int(np.ceil(-left)))
    n_right = max(0, int(np.ceil(left + crop_height * width / height - picture.shape[1])))
    if n_left or n_right:
        picture, matte = _widen(picture, matte, n_left, n_right)
    corner = np.array([left + n_left, top])
    matrix = np.array([[factor, 0, -factor * corner[0]], [0, factor, -factor * corner[1]]])
    matrix[:, 2] += (factor - 1) / 2  # pixel centres
    if factor < 1:  # blur away what the smaller picture cannot hold
        sigma = 0.45 * np.sqrt(1 / factor**2 - 1)
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    flags = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    framed = cv2.warpAffine(picture, matrix, (width, height), **flags)
    small_matte = cv2.warpAffine(
        matte, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    moved = points * factor
    moved[:, :2] += matrix[:, 2] + factor * np.array([n_left, 0])
    pose = fit_similarity(mean_face[topology.RIGID], moved[topology.RIGID])
    return Framed(framed, moved, np.clip(small_matte, 0, 1), pose)


def cut_out(picture: Picture) -> Float32Array:
    """Return how much of each pixel is person, from 0 to 1.

    A segmentation says where about the person is, the colours inside and outside where exactly its edge runs (Rother
    et al., "GrabCut", SIGGRAPH 2004), and a guided filter how soft it is (He et al., ECCV 2010).
    """
    import cv2
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    with SelfieSegmentation(model_selection=0) as segmentation:
        rough = segmentation.process(picture).segmentation_mask
    factor = min(1.0, _CUT_SIDE_PX / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    guess = cv2.resize(rough, small.shape[1::-1])
    marks = np.where(guess > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[guess > 0.92] = cv2.GC_FGD
    marks[guess < 0.03] = cv2.GC_BGD
    if {cv2.GC_FGD, cv2.GC_BGD} <= set(np.unique(marks).tolist()):
        cv2.setRNGSeed(0)  # the colour clusters begin at random
        cv2.grabCut(small, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    inside = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    shape = cv2.resize(cv2.medianBlur(inside, 5), picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    guide = picture.astype(np.float32) / 255
    radius = max(2, min(picture.shape[:2]) // 80)
    fitted = cv2.ximgproc.guidedFilter(guide, shape.astype(np.float32) / 255, radius, 1e-4)
    matte: Float32Array = np.clip((fitted - 0.25) / 0.5, 0, 1).astype(np.float32)
    return matte


def _mesh_in(picture: Picture, box: tuple[float, float, float]) -> FloatArray | None:
    import cv2
    from mediapipe.python.solutions.face_mesh import FaceMesh

    x, y, side = box
    room = round(side)
    padded = cv2.copyMakeBorder(picture, room, room, room, room, cv2.BORDER_REPLICATE)
    left, top = max(0, round(x)), max(0, round(y))  # in the padded picture: centre minus one side
    crop = np.ascontiguousarray(padded[top : top + 2 * room, left : left + 2 * room])
    with FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1) as mesh:
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
    face = float(np.linalg.norm(points[topology.CHIN, :2] - points[topology.FOREHEAD, :2]))
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


def _widen(picture: Picture, matte: Float32Array, n_left: int, n_right: int) -> tuple[Picture, Float32Array]:
    """Add columns of mirrored, blurred background on both sides."""
    import cv2

    plate = background_plate(picture, matte)
    wide = cv2.copyMakeBorder(plate, 0, 0, n_left, n_right, cv2.BORDER_REFLECT_101)
    soft = cv2.GaussianBlur(wide, (0, 0), picture.shape[1] / 50)
    columns = np.arange(wide.shape[1])
    outside = np.maximum(n_left - columns, columns - (n_left + picture.shape[1] - 1)).astype(np.float32)
    blend = np.clip(outside / (0.05 * picture.shape[1]), 0, 1)[None, :, None]
    wide = (wide * (1 - blend) + soft * blend).astype(np.uint8)
    wide[:, n_left : n_left + picture.shape[1]] = picture
    return wide, cv2.copyMakeBorder(matte, 0, 0, n_left, n_right, cv2.BORDER_CONSTANT, value=0)


def background_plate(picture: Picture, matte: Float32Array) -> Picture:
    """Return the picture with the person painted over by what surrounds it; unchanged away from the person."""
    import cv2

    reach = max(3, round(0.012 * min(picture.shape[:2]))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    covered = cv2.dilate((matte > 0.02).astype(np.float32), kernel)
    return fill_from_outside(picture, covered)


def fill_from_outside(picture: Picture, covered: Float32Array) -> Picture:
    """Fill covered pixels with colours of the uncovered ones, the nearer the more; smooth at every scale."""
    import cv2

    weight = 1 - covered
    colours = picture.astype(np.float32) * weight[..., None]
    filled, done = colours, weight
    levels = [(filled, done)]
    while min(filled.shape[:2]) > 3:
        filled, done = cv2.pyrDown(filled), cv2.pyrDown(done)
        levels.append((filled, done))
    filled, done = levels[-1]
    guess = filled / np.maximum(done, 1e-4)[..., None]
    for filled, done in reversed(levels[:-1]):
        guess = cv2.pyrUp(guess, dstsize=(filled.shape[1], filled.shape[0]))
        share = np.clip(done, 0, 1)[..., None]
        guess = np.where(share > 0.999, filled, filled + (1 - share) * guess)
    return np.clip(np.where(weight[..., None] == 1, picture, guess), 0, 255).astype(np.uint8)
