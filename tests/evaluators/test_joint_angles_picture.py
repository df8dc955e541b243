"""The picture of the joint angles."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from evalkit.evaluators.motion import joint_angles
from evalkit.evaluators.pictures.joint_angles import draw_joint_angles
from evalkit.testing.stick_figure import face_track, pose_track
from evalkit.types import Track

TIMES_S = np.arange(250) / 25.0


def draw(pose: Track, face: Track) -> Figure:
    return draw_joint_angles(pose.times_s, joint_angles(pose, face))


def test_one_panel_a_joint_named_with_its_spread():
    wave = 20.0 * np.sin(2 * np.pi * 0.5 * TIMES_S)
    visible = ("left_shoulder", "right_shoulder", "left_elbow")
    figure = draw(
        pose_track(TIMES_S, upper_arm_deg=wave, visible=visible), face_track(TIMES_S, seen=TIMES_S < 0)
    )
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.get_visible()]
    assert titles == ["shoulders, ±0°", "left shoulder, ±14.1°"]
    assert figure.get_suptitle() == "The left shoulder moves most"


def test_a_gap_is_left_open():
    seen = (TIMES_S < 3.0) | (TIMES_S > 5.0)
    figure = draw(pose_track(TIMES_S, seen=seen), face_track(TIMES_S, seen=~seen))
    curve = next(axis.lines[-1] for axis in figure.axes if axis.get_title(loc="left").startswith("neck"))
    assert np.isnan(curve.get_ydata()).sum() == 1


def test_nobody_is_said():
    nobody = np.zeros(250, dtype=bool)
    figure = draw(pose_track(TIMES_S, seen=nobody), face_track(TIMES_S, seen=nobody))
    assert figure.get_suptitle() == "No joint was seen"
    assert not any(axis.get_visible() for axis in figure.axes)
