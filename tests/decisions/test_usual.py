"""Where values usually lie, in sentences."""

from __future__ import annotations

import math

import pytest

from evalkit.decisions.usual import USUAL, describe_clip
from evalkit.evaluators.load import load_evaluators
from evalkit.types import Interval, Measurement, Metric

METRICS = {metric.name: metric for evaluator in load_evaluators() for metric in evaluator.metrics}
GAP = METRICS["technical.av_duration_gap_ms"]
ERROR = METRICS["lip_sync.error"]
BLINKS = METRICS["expression.blink_per_min"]


def test_every_range_is_of_an_installed_metric_and_has_a_source() -> None:
    assert USUAL.keys() <= METRICS.keys()
    assert all(usual.source and usual.low < usual.high for usual in USUAL.values())
    assert all(math.isfinite(usual.low) or math.isfinite(usual.high) for usual in USUAL.values())


def test_a_clip_in_which_nothing_stands_out_is_one_sentence() -> None:
    found = describe_clip([Measurement(ERROR, 0.1, n=3), Measurement(GAP, 20.0)])
    assert found == ["nothing stands out: 2 values with a usual range, all in it"]


@pytest.mark.parametrize(
    ("gap_ms", "said"),
    [
        (-7300.0, "the sound runs 7.3 s past the picture: cut off, or the wrong file?"),
        (2000.0, "the picture runs 2.0 s past the sound: cut off, or the wrong file?"),
    ],
)
def test_sound_far_past_its_picture_is_said(gap_ms: float, said: str) -> None:
    lines = describe_clip([Measurement(ERROR, 0.1), Measurement(GAP, gap_ms)])
    assert lines[0] == "1 of 2 values with a usual range lie in it; not these:"
    assert lines[1].strip().startswith("technical.av_duration_gap_ms: ")
    assert lines[2].strip() == said


def test_what_may_lie_inside_does_not_stand_out() -> None:
    few = Measurement(BLINKS, 0.0, n=1, interval=Interval(0.0, 12.0))
    none = Measurement(BLINKS, 0.0, n=1, interval=Interval(0.0, 2.0))
    assert len(describe_clip([few])) == 1
    assert describe_clip([none])[1].strip() == "expression.blink_per_min: 0 1/min, usual 5 to 30"


@pytest.mark.parametrize(("rate", "is_said"), [(0.95, True), (0.8, True), (0.7, False), (0.1, False)])
def test_a_script_of_which_hardly_anything_is_heard_may_be_another_clip_s(rate: float, is_said: bool) -> None:
    """One run of errors has a wide interval, which reaches into what is usual; it is said all the same."""
    words = METRICS["speech.word_error_rate"]
    lines = describe_clip([Measurement(words, rate, n=20, interval=Interval(0.02, 5.0))])
    said = "hardly anything of the script is heard: is it this clip's, and in this language?"
    assert (said in [line.strip() for line in lines]) is is_said
    assert ("nothing stands out" in lines[0]) is not is_said


def test_without_a_usual_range_nothing_is_said() -> None:
    assert describe_clip([Measurement(Metric("mine.own", "1", "band", "…"), 3.0)]) == []
