"""The plain data that flows through everything: what it refuses, how it compares, what it shows."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import typing

import numpy as np
import pytest

import evalkit
from evalkit.types import (
    GENERAL_REASONS,
    FloatArray,
    FrameChunk,
    Interval,
    Measurement,
    Metric,
    Moment,
    Reason,
    Track,
)

SHARE = Metric("a.share", "1", "higher", "a share", (0, 1))
DEPTH = Metric("a.depth_mm", "mm", "lower", "a depth", (None, 0))


@pytest.mark.parametrize(
    ("metric", "value", "message"),
    [
        (SHARE, 1.01, r"a\.share: 1\.01 is outside of the metric's bounds \(0 to 1\); is its unit '1'"),
        (SHARE, -0.001, r"-0\.001 is outside"),
        (DEPTH, 3.0, r"a\.depth_mm: 3\.0 is outside of the metric's bounds \(open to 0\); is its unit 'mm'"),
        (SHARE, float("inf"), "not a finite number"),
    ],
)
def test_a_value_outside_of_the_bounds_is_refused(metric: Metric, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Measurement(metric, value)


@pytest.mark.parametrize("value", [0.0, 1.0, 1 + 5e-7, -5e-7])
def test_rounding_is_not_outside(value: float) -> None:
    assert Measurement(SHARE, value).value == value


def make(values: FloatArray, **changes: object) -> Measurement:
    return dataclasses.replace(Measurement(SHARE, 0.5, n=3, samples=(("rank", values),)), **changes)


def test_measurements_compare_by_everything_they_hold() -> None:
    values = np.array([0.25, np.nan, 0.75])
    one = make(values)
    assert one == make(values.copy())
    assert hash(one) == hash(make(values.copy()))
    assert one == pickle.loads(pickle.dumps(one))  # noqa: S301 - our own bytes
    for other in (
        make(values + 1),
        make(values[:2]),
        make(values, value=0.6),
        make(values, n=4),
        make(values, interval=Interval(0.1, 0.9)),
        make(values, samples=()),
        make(values, samples=(("other", values),)),
        Measurement.absent(SHARE, Reason.NO_FACE),
        "a.share",
    ):
        assert one != other
    assert Measurement.absent(SHARE, Reason.NO_FACE) != Measurement.absent(SHARE, Reason.NO_VIDEO)


def test_reasons_are_told_apart_by_their_code_and_come_back_from_pickle() -> None:
    assert Reason("no_face", "in other words") == Reason.NO_FACE
    assert Reason("no_faces", Reason.NO_FACE.text) != Reason.NO_FACE
    assert pickle.loads(pickle.dumps(Reason.NO_FACE)) == Reason.NO_FACE  # noqa: S301 - as above
    assert str(Reason.NO_FACE) == "no_face"
    assert len({reason.code for reason in GENERAL_REASONS}) == len(GENERAL_REASONS)


@pytest.mark.parametrize("code", ["", "No Face", "no-face", "1st"])
def test_the_code_of_a_reason_is_checked(code: str) -> None:
    with pytest.raises(ValueError, match="not the code of a reason: use small letters"):
        Reason(code, "…")


def test_what_is_shown_is_short() -> None:
    track = Track(
        "face", ("x", "y"), np.arange(4.0), np.zeros((4, 2), np.float32), np.array([1, 1, 1, 0], bool)
    )
    assert repr(track) == "Track('face', 4 moments x 2 columns, 75 % observed)"
    assert repr(make(np.zeros(10_000))) == "Measurement(a.share = 0.5, n=3)"
    assert repr(
        Measurement(Metric("a.b_ms", "ms", "zero", "…"), -12.34567, interval=Interval(-20, 3), n=1)
    ) == ("Measurement(a.b_ms = -12.35 ms [-20, 3], n=1)")
    assert repr(Measurement.absent(SHARE, Reason.NO_FACE)) == "Measurement(a.share absent: no_face)"
    assert len(repr(FrameChunk(0, np.zeros(2), [np.zeros((999, 999, 3), np.uint8)] * 2))) < 100


def test_plain_data_of_a_measurement() -> None:
    measured = Measurement(SHARE, np.float64(0.5), n=3, coverage=0.25, interval=Interval(0.25, 0.75))
    assert measured.to_dict() == {
        "value": 0.5, "unit": "1", "n": 3, "coverage": 0.25, "ci95": [0.25, 0.75]
    }  # fmt: skip
    assert Measurement.absent(SHARE, Reason.NO_FACE).to_dict() == {"reason": "no_face"}


TYPED = ("evaluators", "measuring", "metrics", "tracks", "models", "brands")


def public_classes() -> list[type]:
    modules = ["evalkit.types"]
    for package in TYPED:
        root = importlib.import_module(f"evalkit.{package}")
        modules += [f"evalkit.{package}"]
        modules += [found.name for found in pkgutil.walk_packages(root.__path__, f"evalkit.{package}.")]
    return [
        kind
        for module in modules
        for name, kind in inspect.getmembers(importlib.import_module(module), inspect.isclass)
        if kind.__module__ == module and not name.startswith("_")
    ]


@pytest.mark.parametrize("kind", public_classes(), ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_annotations_resolve_at_run_time(kind: type) -> None:
    public = {
        name: member
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if member.__module__ == kind.__module__ and (not name.startswith("_") or name == "__init__")
    }
    hints = {name: typing.get_type_hints(member) for name, member in public.items()}  # a NameError fails it
    assert typing.get_type_hints(kind).keys() == {
        name for parent in kind.__mro__ for name in inspect.get_annotations(parent)
    }
    assert hints.keys() == public.keys()


def test_arrays_have_types_at_run_time() -> None:
    assert typing.get_args(evalkit.types.FloatArray)
    assert typing.get_args(evalkit.types.BoolArray)


SHARE = Metric("a.share", "1", "lower", "a share", (0, 1))


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ((Moment(2.0, 1.0, 0.5),), "does not end after it begins"),
        ((Moment(1.0, 1.0, 0.5),), "does not end after it begins"),
        ((Moment(0.0, float("nan"), 0.5),), "not finite"),
        ((Moment(0.0, 1.0, float("inf")),), "not finite"),
        ((Moment(0.0, 1.0, 1.5),), r"1\.5 is outside of the metric's bounds \(0 to 1\)"),
        ((Moment(4.0, 6.0, 0.5), Moment(1.0, 5.0, 0.4)), "overlap; join them to one"),
    ],
)
def test_moments_that_cannot_be_are_refused(moments: tuple[Moment, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"a.share: .*{message}"):
        Measurement(SHARE, 0.5, moments=moments)


def test_what_could_not_be_measured_has_no_moments() -> None:
    with pytest.raises(ValueError, match="could not be measured has no worst moments"):
        Measurement(SHARE, None, Reason.TOO_SHORT, moments=(Moment(0.0, 1.0, 0.5),))


def test_moments_stand_in_the_plain_data_where_there_are_any() -> None:
    moments = (Moment(4.0, 6.0, np.float64(0.5)), Moment(1.0, 4.0, 0.4))
    assert Measurement(SHARE, 0.5, moments=moments).to_dict()["moments"] == [
        {"start_s": 4.0, "end_s": 6.0, "value": 0.5},
        {"start_s": 1.0, "end_s": 4.0, "value": 0.4},
    ]
    assert "moments" not in Measurement(SHARE, 0.5).to_dict()
