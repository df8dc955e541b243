"""Similarity fits and head angles."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pipeline.reference.alignment import fit_similarity, head_angles, head_rotation

angle = st.floats(-60, 60)


@given(yaw=angle, pitch=angle, roll=angle)
def test_angles_of_a_rotation_made_from_angles_are_those_angles(
    yaw: float, pitch: float, roll: float
) -> None:
    np.testing.assert_allclose(head_angles(head_rotation(yaw, pitch, roll)), [yaw, pitch, roll], atol=1e-8)


@given(yaw=angle, pitch=angle, roll=angle)
def test_head_rotation_agrees_with_scipy(yaw: float, pitch: float, roll: float) -> None:
    expected = Rotation.from_euler("ZXY", [roll, pitch, -yaw], degrees=True).as_matrix()
    np.testing.assert_allclose(head_rotation(yaw, pitch, roll), expected, atol=1e-12)


def test_positive_yaw_takes_the_nose_to_the_right() -> None:
    nose = np.array([0.0, 0.0, -1.0])  # towards the viewer
    assert (head_rotation(20, 0, 0) @ nose)[0] > 0.3


def test_positive_pitch_lowers_the_nose() -> None:
    nose = np.array([0.0, 0.0, -1.0])
    assert (head_rotation(0, 20, 0) @ nose)[1] > 0.3  # y grows downwards


def test_fit_finds_the_similarity_that_was_applied() -> None:
    points = np.random.default_rng(0).normal(size=(12, 3))
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 1.1]).as_matrix()
    fit = fit_similarity(points, 2.5 * points @ turn.T + [1.0, -2.0, 3.0])
    assert np.isclose(fit.scale, 2.5)
    np.testing.assert_allclose(fit.rotation, turn, atol=1e-9)
    np.testing.assert_allclose(fit.invert(fit.apply(points)), points, atol=1e-9)
