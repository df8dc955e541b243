"""What is commanded is found again in the pictures, by a face finder that knows nothing of the renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.reference import topology
from pipeline.reference.alignment import fit_similarity, head_angles
from pipeline.reference.face import Expression, FacePoints
from pipeline.reference.mesh import FaceMesh
from pipeline.reference.pose import PoseField
from pipeline.reference.renderer import Renderer
from tests.pipeline.reference import former

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pipeline.reference.face import FaceModel
    from pipeline.reference.portrait import Framed

    See = Callable[[NDArray[np.uint8]], NDArray[np.float64]]

SHUT = np.zeros(8)


def opened(amount: float) -> NDArray[np.float64]:
    return np.array([amount, 0, 0, 0, 0, 0, 0, 0])


def gap(points: NDArray[np.float64]) -> float:
    """Lip opening over the distance of the outer eye corners."""
    eyes = np.linalg.norm(points[263, :2] - points[33, :2])
    return float(np.linalg.norm(points[13, :2] - points[14, :2]) / eyes)


def eye_opening(points: NDArray[np.float64]) -> float:
    lids = [np.linalg.norm(points[a, :2] - points[b, :2]) for a, b in ((159, 145), (386, 374))]
    return float(np.mean(lids) / np.linalg.norm(points[263, :2] - points[33, :2]))


@pytest.fixture(scope="module")
def renderer(framed: Framed, face: FaceModel) -> Renderer:
    return Renderer(framed, face)


def test_mouth_opens_as_commanded(renderer: Renderer, see_face: See) -> None:
    commanded = np.array([0.0, 0.4, 1.2, 2.0, 1.4, 0.6, 0.0, 1.0, 2.4, 0.2])
    seen = [gap(see_face(renderer.render(Expression(opened(c))))) for c in commanded]
    assert np.corrcoef(commanded, seen)[0, 1] >= 0.9


def test_lips_meet_though_the_portrait_smiles_with_open_mouth(
    renderer: Renderer, framed: Framed, see_face: See
) -> None:
    assert gap(see_face(framed.picture)) > 0.06
    assert gap(see_face(renderer.render(Expression(SHUT)))) < 0.025


@pytest.mark.parametrize("amount", [6.0, 30.0, -30.0])
def test_no_command_opens_the_mouth_beyond_the_face(face: FaceModel, framed: Framed, amount: float) -> None:
    for direction in np.eye(8):
        points = FacePoints(framed, face).move(Expression(amount * direction))
        across = points[topology.LOWER_INNER_LIP[1:-1], :2] - points[topology.UPPER_INNER_LIP[1:-1], :2]
        assert np.linalg.norm(across, axis=1).max() < 0.5 * framed.face_height_px


def test_chin_does_not_fold_when_the_mouth_opens_wide(face: FaceModel, framed: Framed) -> None:
    points = FacePoints(framed, face).move(Expression(opened(3.5)))
    column = [0, 17, 18, 200, 199, 175, 152]  # from the upper lip down to the tip of the chin
    before, after = np.diff(framed.points[column, 1]), np.diff(points[column, 1])
    assert np.all(after > 0.1 * before)


def test_eyes_shut_as_commanded(renderer: Renderer, see_face: See) -> None:
    awake = eye_opening(see_face(renderer.render(Expression(SHUT))))
    shut = eye_opening(see_face(renderer.render(Expression(SHUT, blink=1.0))))
    assert shut < 0.5 * awake


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_head_turns_as_commanded(axis: int, renderer: Renderer, see_face: See) -> None:
    seen = []
    for amount in (-6.0, 6.0):
        angles = [0.0, 0.0, 0.0]
        angles[axis] = amount
        seen.append(see_face(renderer.render(Expression(SHUT, angles_deg=angles))))
    turn = fit_similarity(seen[0][topology.RIGID], seen[1][topology.RIGID])
    found = head_angles(turn.rotation)[axis]
    assert 5 < found < 18  # 12 commanded


def test_head_travels_as_commanded(renderer: Renderer, framed: Framed, see_face: See) -> None:
    left, right = (see_face(renderer.render(Expression(SHUT, travel=(x, 0.0)))) for x in (-0.08, 0.08))
    moved = (right[topology.RIGID, 0] - left[topology.RIGID, 0]).mean() / framed.pose.scale
    assert 0.11 < moved < 0.2


def test_a_smile_widens_the_mouth_and_lifts_its_corners(renderer: Renderer, see_face: See) -> None:
    plain, smile = (see_face(renderer.render(Expression(SHUT, smile=s))) for s in (-0.5, 0.8))
    assert np.linalg.norm(smile[61] - smile[291]) > 1.04 * np.linalg.norm(plain[61] - plain[291])
    assert smile[[61, 291], 1].mean() < plain[[61, 291], 1].mean()


def test_background_far_from_the_person_stays_exactly(renderer: Renderer, framed: Framed) -> None:
    picture = renderer.render(
        Expression(opened(2.0), blink=1.0, angles_deg=(10, 5, 5), travel=(0.1, 0.1), zoom=0.03, breath=0.02)
    )
    nobody = framed.matte < 0.02
    edge = int(0.45 * framed.face_height_px)
    far = nobody.copy()
    for _ in range(edge):  # an erosion by one pixel a turn
        far[1:] &= far[:-1]
        far[:-1] &= far[1:]
        far[:, 1:] &= far[:, :-1]
        far[:, :-1] &= far[:, 1:]
    assert far.mean() > 0.05
    np.testing.assert_array_equal(picture[far], framed.picture[far])
    assert np.abs(picture.astype(int) - framed.picture).max() > 50


def test_a_still_face_is_the_portrait_away_from_the_lips(renderer: Renderer, framed: Framed) -> None:
    picture = renderer.render(Expression(SHUT))
    above_nose = int(framed.points[topology.NOSE_TIP, 1]) - 4
    difference = np.abs(picture[:above_nose].astype(int) - framed.picture[:above_nose])
    assert difference.max() <= 2


def test_a_scene_is_shown_behind_the_person(framed: Framed, face: FaceModel) -> None:
    scene = np.zeros_like(framed.picture)
    scene[..., 1] = 200
    picture = Renderer(framed, face, scene).render(Expression(SHUT))
    np.testing.assert_array_equal(picture[framed.matte == 0], scene[framed.matte == 0])
    brow = framed.points[9, :2].astype(int)  # between the brows
    near = (slice(brow[1] - 3, brow[1] + 4), slice(brow[0] - 3, brow[0] + 4))
    assert np.abs(picture[near].astype(int) - framed.picture[near]).max() <= 3


def test_teeth_are_lit_by_the_portrait(framed: Framed, face: FaceModel) -> None:
    """In a picture at a third of the light, what shows between the lips is darker by about as much."""
    from dataclasses import replace

    dark = replace(framed, picture=(framed.picture / 3).astype(np.uint8))
    lips = FacePoints(framed, face).move(Expression(opened(2.5)))[topology.INNER_LIPS, :2]
    low, high = lips.min(0).astype(int), lips.max(0).astype(int)
    inside = (slice(low[1], high[1]), slice(low[0], high[0]))
    light, dim = (Renderer(f, face).render(Expression(opened(2.5)))[inside].mean() for f in (framed, dark))
    assert 0.2 < dim / light < 0.5


@pytest.mark.parametrize("in_scene", [False, True])
def test_pictures_are_those_that_were_drawn_all_at_once(
    *, in_scene: bool, framed: Framed, face: FaceModel
) -> None:
    """Only what can move is drawn anew, colour by colour: to the last bit what came of drawing everything."""
    scene = np.full_like(framed.picture, (60, 140, 90)) if in_scene else None
    renderer = Renderer(framed, face, scene)
    chance = np.random.default_rng(3)
    for blink in (0.0, 0.0, 0.4, 1.0):
        expression = Expression(
            opened(chance.uniform(0, 2.5)) + chance.normal(0, 0.5, 8),
            blink=blink,
            angles_deg=chance.normal(0, 6, 3),
            travel=chance.normal(0, 0.08, 2),
            zoom=chance.normal(0, 0.03),
            smile=chance.normal(0, 0.5),
            breath=0.01,
        )
        expected = former.render(framed, face, expression, scene)
        np.testing.assert_array_equal(renderer.render(expression), expected)


def test_what_always_stays_is_not_drawn_anew(framed: Framed) -> None:
    """The bands hold every pixel that moves, and leave out some of what never does."""
    pose = PoseField(framed, carry_background=True, face=FaceMesh(framed.points, (320, 256)).region)
    drawn = np.zeros(framed.picture.shape[:2], int)
    for band in pose.bands:
        drawn[pose.part][band] += 1
    assert drawn.max() == 1
    assert drawn.mean() < 0.9
    ys, xs = np.mgrid[:256, :320]
    for angles in ((16, 0, 0), (0, 12, 5), (-16, -12, -12)):
        x, y = former.trace_back(
            pose, Expression(SHUT, angles_deg=angles, travel=(0.2, -0.2), breath=0.02), (320, 256)
        )
        assert drawn[(x != xs) | (y != ys)].all()
