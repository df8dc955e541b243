"""Where values usually lie, in sentences."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from evalkit.decisions.usual import USUAL, standing_of, tone_of
from evalkit.evaluators.load import load_evaluators
from evalkit.types import Interval, Measurement, Metric
from evalkit.words.language import LANGUAGES
from evalkit.words.metrics import metric_words

METRICS = {metric.name: metric for evaluator in load_evaluators() for metric in evaluator.metrics}
GAP = METRICS["technical.av_duration_gap_ms"]
ERROR = METRICS["lip_sync.error"]
BLINKS = METRICS["expression.blink_per_min"]


def test_every_range_is_of_an_installed_metric_and_has_a_source() -> None:
    assert USUAL.keys() <= METRICS.keys()
    for name, usual in USUAL.items():
        assert usual.low < usual.high
        assert math.isfinite(usual.low) or math.isfinite(usual.high)
        assert all(metric_words(tag).usual(name) for tag in LANGUAGES), name
    named = {name for name, entry in metric_words("en").entries.items() if "usual" in entry}
    assert named == USUAL.keys()


def test_what_is_usual_lies_where_values_can() -> None:
    for name, usual in USUAL.items():
        low, high = METRICS[name].bounds
        assert low is None or usual.high > low, name
        assert high is None or usual.low < high, name
        assert usual.real is None or (
            METRICS[name].allows(usual.real.least) and METRICS[name].allows(usual.real.most)
        )


def test_a_clip_in_which_nothing_stands_out_is_one_sentence() -> None:
    found = standing_of([Measurement(ERROR, 0.1, n=3), Measurement(GAP, 20.0)])
    assert found.sentence() == "Nothing stands out: all 2 values with a usual range lie in it, or may."
    assert found.sentence("zh-CN") == "没有异常：有常见范围的 2 个数值都在范围内，或可能在范围内。"
    assert found.remarks() == []


@pytest.mark.parametrize(
    ("gap_ms", "said"),
    [
        (-7300.0, "The sound runs 7.3 s past the picture: cut off, or the wrong file?"),
        (2000.0, "The picture runs 2.0 s past the sound: cut off, or the wrong file?"),
    ],
)
def test_sound_far_past_its_picture_is_said(gap_ms: float, said: str) -> None:
    found = standing_of([Measurement(ERROR, 0.1), Measurement(GAP, gap_ms)])
    assert found.n_known == 2
    assert [one.metric.name for one in found.outliers] == ["technical.av_duration_gap_ms"]
    assert found.remarks() == [said]


def test_what_may_lie_inside_does_not_stand_out() -> None:
    few = Measurement(BLINKS, 0.0, n=1, interval=Interval(0.0, 12.0))
    none = Measurement(BLINKS, 0.0, n=1, interval=Interval(0.0, 2.0))
    assert standing_of([few]).outliers == ()
    assert standing_of([none]).sentence() == ("Stands out. Blinks: 0 a minute; usual is 5 to 30 a minute.")


@pytest.mark.parametrize(("rate", "is_said"), [(0.95, True), (0.8, True), (0.7, False), (0.1, False)])
def test_a_script_of_which_hardly_anything_is_heard_may_be_another_clip_s(rate: float, is_said: bool) -> None:
    """One run of errors has a wide interval, which reaches into what is usual; it is said all the same."""
    words = METRICS["speech.word_error_rate"]
    found = standing_of([Measurement(words, rate, n=20, interval=Interval(0.02, 5.0))])
    said = "Hardly anything of the script is heard: is it this clip's, and in this language?"
    assert (said in found.remarks()) is is_said
    assert bool(found.outliers) is is_said


def test_without_a_usual_range_nothing_is_said() -> None:
    found = standing_of([Measurement(Metric("mine.own", "1", "band", "…"), 3.0)])
    assert (found.n_known, found.outliers) == (0, ())
    assert found.sentence() == "No value has a usual range to be held against."


def test_the_farthest_is_named_first_and_the_clip_with_most_is_the_worst() -> None:
    near, far = Measurement(ERROR, 0.4), Measurement(GAP, 9000.0)
    both = standing_of([near, far])
    assert [one.metric for one in both.outliers] == [GAP, ERROR]
    assert both.sentence().endswith("; and one more.")
    assert (
        both.severity < standing_of([far]).severity < standing_of([near]).severity < standing_of([]).severity
    )


def test_the_tone_of_a_value_is_what_is_usual_of_it() -> None:
    assert [tone_of("expression.blink_per_min", value) for value in (0.0, 14.0, 60.0)] == [
        "bad",
        "good",
        "bad",
    ]
    assert tone_of("mine.own", 1.0) is None


def test_the_documentation_names_every_range() -> None:
    text = (Path(__file__).parents[2] / "docs" / "clips.md").read_text("utf-8")
    for name, usual in USUAL.items():
        (row,) = [line for line in text.splitlines() if f"| `{name}` |" in line]
        ends = [f"{end:.3g}" for end in (usual.low, usual.high) if math.isfinite(end)]
        assert all(end in row for end in ends), row
        assert metric_words("en").usual(name) in row
