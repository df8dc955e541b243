"""Outlines of persons whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.metrics.person import Outline, outline_person, share_inside

HEAD = {"centre_x_px": 200.0, "centre_y_px": 100.0, "scale_px": 40.0, "yaw_deg": 0.0, "roll_deg": 0.0}
SHOULDERS = {"left_shoulder": (260.0, 220.0), "right_shoulder": (140.0, 220.0)}


def box(x: float, y: float, half: float = 5.0) -> np.ndarray:
    return np.array([x - half, y - half, x + half, y + half])


def test_nobody_covers_nothing() -> None:
    assert share_inside(box(10, 10), Outline()) == 0
    assert share_inside(box(10, 10), outline_person(None, {}, 400)) == 0


def test_a_head_is_an_ellipse() -> None:
    outline = Outline(heads=[(100, 100, 30, 60, 0)])
    # the share of the bounding box that an ellipse covers is π/4; the grid of 16 points is good to a few per cent
    assert share_inside(np.array([70, 40, 130, 160]), outline) == pytest.approx(np.pi / 4, abs=0.03)
    turned = Outline(heads=[(100, 100, 30, 60, 90)])
    assert share_inside(box(100, 150), outline) == 1
    assert share_inside(box(100, 150), turned) == 0
    assert share_inside(box(150, 100), turned) == 1


def test_the_face_lies_in_the_head_and_the_wall_does_not() -> None:
    outline = outline_person(HEAD, {}, 400, body=False)
    assert share_inside(box(200, 120), outline) == 1
    assert share_inside(box(40, 40), outline) == 0
    assert share_inside(box(200, 350), outline) == 0


def test_a_turned_head_lies_behind_the_face() -> None:
    behind, before = box(150, 120), box(242, 120)
    to_the_right = outline_person({**HEAD, "yaw_deg": 45.0}, {}, 400, body=False)
    assert share_inside(behind, to_the_right) == 1
    assert share_inside(before, to_the_right) < 0.1


def test_a_body_without_hips_goes_down_to_the_edge() -> None:
    outline = outline_person(HEAD, SHOULDERS, 400)
    assert share_inside(box(200, 390), outline) == 1
    assert share_inside(box(60, 390), outline) == 0


def test_a_body_with_hips_ends_there() -> None:
    hips = {"left_hip": (240.0, 300.0), "right_hip": (160.0, 300.0)}
    outline = outline_person(HEAD, SHOULDERS | hips, 400)
    assert share_inside(box(200, 280), outline) == 1
    assert share_inside(box(200, 360), outline) == 0


def test_an_arm_reaches_out() -> None:
    arm = {"left_elbow": (340.0, 260.0), "left_wrist": (360.0, 180.0)}
    outline = outline_person(HEAD, SHOULDERS | arm, 400)
    assert share_inside(box(350, 220), outline) == 1
    assert share_inside(box(350, 330), outline) == 0


def test_a_head_alone_has_a_body_below_it() -> None:
    outline = outline_person(HEAD, {}, 400)
    assert share_inside(box(200, 380), outline) == 1
    assert share_inside(box(30, 380), outline) == 0
    assert share_inside(box(60, 60), outline) == 0


def test_both_ends_of_a_limb_at_one_point_make_a_disc() -> None:
    outline = Outline(limbs=[(np.array([50.0, 50.0]), np.array([50.0, 50.0]), 10.0)])
    assert share_inside(box(50, 50, 10), outline) == pytest.approx(np.pi / 4, abs=0.03)
