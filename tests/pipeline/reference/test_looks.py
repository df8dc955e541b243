"""Faults that a person sees at once, measured: stripes, smeared lids, loose teeth, a black mouth, halos, cut shoulders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from pipeline.faces import read_picture
from pipeline.reference import topology
from pipeline.reference.background import widen
from pipeline.reference.face import Expression, FacePoints
from pipeline.reference.matting import Cutout, cut_out
from pipeline.reference.portrait import find_face, frame_portrait
from pipeline.reference.renderer import Renderer
from tests.pipeline.reference import looks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.reference.face import FaceModel
    from pipeline.reference.portrait import Framed

    Picture = NDArray[np.uint8]

SIZES = ((384, 256), (688, 368), (256, 384))
MADE = ("astronaut", "close", "dark", "officer")
SHARED = (
    "linly-talker_girl.png",
    "liveavatar_livestream_1.png",
    "sadtalker_happy.png",
    "sadtalker_sad.png",
    "thqa_thqa_2.png",
    "thqa_thqa_3.png",
    "thqa_thqa_4.png",
)
NOD = [
    Expression(np.zeros(8), angles_deg=(yaw, pitch, roll), travel=(right, down), zoom=zoom, breath=0.012)
    for yaw, pitch, roll, right, down, zoom in (
        (0, 4, 0, 0, 0.05, 0),
        (5, 8, -3, 0.05, 0.12, -0.02),
        (-6, 10, 4, -0.1, 0.2, 0.03),
        (0, 12, 0, 0, 0.22, -0.05),
        (4, -8, 3, 0.1, -0.15, 0.04),
        (0, -10, 0, 0, -0.22, -0.05),
    )
]


def opened(amount: float, **more: float) -> Expression:
    return Expression(np.array([amount, 0, 0, 0, 0, 0, 0, 0.0]), **more)


@pytest.fixture(scope="module")
def portraits(astronaut: Picture) -> dict[str, Picture]:
    """Pictures that anybody may show: of NASA, of the US Navy, and made of the first."""
    officer = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return {
        "astronaut": astronaut,
        "close": np.ascontiguousarray(astronaut[14:300, 90:350]),  # the hair is cut off at the top
        "dark": (255 * (astronaut[:, ::-1] / 255) ** 1.8).astype(np.uint8),
        "officer": read_picture(officer, "image"),
    }


@pytest.fixture(scope="module")
def frame(portraits: dict[str, Picture], face: FaceModel) -> object:
    """Frame a portrait once for each size."""
    made: dict[tuple[str, tuple[int, int]], Framed] = {}

    def do(name: str, size: tuple[int, int]) -> Framed:
        if (name, size) not in made:
            picture = portraits[name]
            made[name, size] = frame_portrait(picture, find_face(picture, name), face.mean, *size)
        return made[name, size]

    return do


def check_looks(framed: Framed, face: FaceModel) -> None:
    """Hold one portrait to all that can be measured on any."""
    renderer, points = Renderer(framed, face), FacePoints(framed, face)
    allowed = [
        looks.n_repeated_rows(framed.picture, framed, at_bottom=bottom) + 1 for bottom in (False, True)
    ]
    for expression in NOD:
        picture = renderer.render(expression)
        for bottom in (False, True):
            assert looks.n_repeated_rows(picture, framed, at_bottom=bottom) <= allowed[bottom]
    for blink in (0.8, 1.0):
        shut = Expression(np.zeros(8), blink=blink)
        assert looks.lid_distance(renderer.render(shut), points.move(shut), framed) < 26
    for mouth in (opened(2.4), opened(3.2), opened(2.0, smile=0.8)):
        black, flat = looks.mouth_shares(renderer.render(mouth), points.move(mouth))
        assert black < 0.02
        assert flat < 0.35
    rows, floors = [], []
    for mouth in (opened(1.8), opened(2.4), opened(3.2)):
        rows.append(looks.tooth_edge_row(renderer.render(mouth), points.move(mouth), framed.pose.scale))
        floors.append(points.move(mouth)[14, 1])
    assert np.ptp(floors) > 0.03 * framed.pose.scale  # the lower lip comes down
    assert np.ptp(rows) <= 1  # the upper teeth do not


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MADE)
def test_portraits_of_our_own_look_right(
    name: str, size: tuple[int, int], frame: object, face: FaceModel
) -> None:
    assert callable(frame)
    check_looks(frame(name, size), face)


@pytest.mark.media
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SHARED)
def test_shared_portraits_look_right(
    name: str, size: tuple[int, int], media_folder: Path, face: FaceModel
) -> None:
    picture = read_picture(media_folder / "portrait" / name, "image")
    check_looks(frame_portrait(picture, find_face(picture, name), face.mean, *size), face)


@pytest.fixture(scope="module")
def cut(portraits: dict[str, Picture]) -> tuple[Picture, NDArray[np.float32], float]:
    """Put the astronaut, cut out along a known outline, before a green wall: picture, what is person, face height."""
    person = portraits["astronaut"]
    points = find_face(person, "astronaut")
    height = float(np.linalg.norm(points[topology.CHIN, :2] - points[topology.FOREHEAD, :2]))
    inside = (cut_out(person, height).matte > 0.9).astype(np.uint8)
    inside = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    truth = cv2.GaussianBlur(cv2.erode(inside, np.ones((5, 5), np.uint8)).astype(np.float32), (0, 0), 1.2)
    wall = np.full_like(person, (30, 170, 60))
    return cv2.blendLinear(person, wall, truth, 1 - truth), truth, height


def test_the_outline_is_found_to_the_pixel(cut: tuple[Picture, NDArray[np.float32], float]) -> None:
    picture, truth, height = cut
    matte = cut_out(picture, height).matte
    along = cv2.dilate(truth, np.ones((15, 15))) - cv2.erode(truth, np.ones((15, 15))) > 0.5
    assert np.abs(matte - truth)[along].mean() < 0.06
    assert np.abs(matte - truth).mean() < 0.01


def test_nothing_of_the_old_background_surrounds_the_person_in_a_scene(
    cut: tuple[Picture, NDArray[np.float32], float], face: FaceModel
) -> None:
    """A halo: pixels along the outline, before a white scene, that are green as the old wall was, or dark beside it."""
    picture, _, _ = cut
    framed = frame_portrait(picture, find_face(picture, "it"), face.mean, 384, 256)
    shown = Renderer(framed, face, np.full((256, 384, 3), 235, np.uint8)).render(Expression(np.zeros(8)))
    rim = (framed.matte > 0.02) & (framed.matte < 0.98)
    greenness = shown.astype(float)[..., 1] - shown.astype(float)[..., [0, 2]].max(2)
    assert greenness[rim].mean() < 3
    assert np.quantile(greenness[rim], 0.95) < 25
    outline = sum(
        len(c) for c in cv2.findContours((framed.matte > 0.5).astype(np.uint8), 0, cv2.CHAIN_APPROX_NONE)[0]
    )
    assert rim.sum() / outline < 4  # pixels across


@pytest.mark.parametrize("side", ["left", "right"])
def test_shoulders_that_a_narrow_portrait_cuts_go_on(
    side: str, portraits: dict[str, Picture], face: FaceModel
) -> None:
    officer = portraits["officer"]
    narrow = np.ascontiguousarray(officer[:, 75:445])
    framed = frame_portrait(narrow, find_face(narrow, "it"), face.mean, 688, 368)
    top, bottom = framed.points[topology.CHIN, 1] + 0.5 * framed.face_height_px, 368
    rows = slice(min(round(top), bottom - 20), bottom)
    scale = framed.face_height_px / np.linalg.norm(np.diff(find_face(narrow, "it")[[10, 152], :2], axis=0))
    nose = find_face(narrow, "it")[1, 0]
    border = framed.points[1, 0] + scale * ((0 if side == "left" else narrow.shape[1] - 1) - nose)
    column = round(float(border))
    assert 15 < column < 673
    beyond = slice(column - 12, column - 2) if side == "left" else slice(column + 2, column + 12)
    assert framed.matte[rows, column].mean() > 0.5  # a shoulder is cut here
    assert framed.matte[rows.stop - 8 : rows.stop, beyond].mean() > 0.8
    assert looks.border_step(framed.picture, column, rows) < 3


def test_a_shoulder_comes_down_and_hair_is_rounded() -> None:
    matte = np.zeros((200, 120), np.float32)
    for x in range(120):
        matte[140 - max(0, 80 - x) // 4 :, x] = 1  # a shoulder that runs down to the right
    matte[30:90, 60:] = 1  # hair, cut off by the border
    person = np.full((200, 120, 3), 90, np.uint8)
    picture = np.where(matte[..., None] > 0, person, np.uint8(220)).astype(np.uint8)
    wide, wider_matte, _ = widen(picture, Cutout(matte, person), 0, 150, 100.0)
    assert wide.shape == (200, 270, 3)
    np.testing.assert_array_equal(wide[:, :120], picture)
    beyond = wider_matte[:, 120:]
    shoulder = np.array([np.flatnonzero(column[100:] > 0.5)[:1].sum() for column in beyond[:, :60].T])
    assert np.all(np.diff(shoulder) >= 0)
    assert 40 <= shoulder[0] <= 44
    assert shoulder[50] > shoulder[0] + 20
    assert beyond[:, 100:].max() == 0
    hair = (beyond[:100] > 0.5).sum(0)
    assert np.all(np.diff(hair) <= 0)
    assert 50 <= hair[0] <= 60
    assert hair[14:].max() == 0


def test_a_portrait_that_cuts_nothing_gets_background_only() -> None:
    picture = np.full((80, 60, 3), 130, np.uint8)
    matte = np.zeros((80, 60), np.float32)
    matte[20:, 20:40] = 1
    _, wider, _ = widen(picture, Cutout(matte, picture), 25, 30, 40.0)
    assert wider.shape == (80, 115)
    assert wider[:, :25].max() == wider[:, 85:].max() == 0
