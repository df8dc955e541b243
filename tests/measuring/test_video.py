"""Measuring one video where nothing was prepared before, and reading back what is stored of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.evaluators import load
from evalkit.evaluators.base import Evaluator, Measured
from evalkit.measuring.video import MeasureVideo, VideoTask
from evalkit.runs.measured import restore_measurements, store_measurements
from evalkit.runs.schema import MetricResults
from evalkit.testing.media import moving_pattern, write_clip
from evalkit.types import ClipIntent, Interval, Measurement, Metric, Moment, Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OWN = Reason("own", "a reason of the evaluator")
METRICS = tuple(Metric(f"any.m{number}", "px", "band", "any") for number in range(4))


class Careful(Evaluator):
    """Says when it is prepared, and measures only then."""

    name, version, metrics = "careful", 1, METRICS[:1]

    def __init__(self) -> None:
        self.n_prepared = 0

    def prepare(self, notify: Callable[[str], None]) -> None:
        """Take long, and say so."""
        self.n_prepared += 1
        notify("half done")
        notify("done")

    def measure(self, facts: Any, tracks: Any) -> Measured:
        """Measure how often it was prepared."""
        del facts, tracks
        return Measured((Measurement(METRICS[0], float(self.n_prepared)),))


def test_a_worker_prepares_its_evaluators_once_and_shows_that_it_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "evaluator_class", lambda _: Careful)
    clip = write_clip(tmp_path / "a.mp4", moving_pattern(0.4))
    task = VideoTask(str(clip), None, {"careful": "1"}, {}, ClipIntent(), None)
    reports: list[Any] = []
    measure = MeasureVideo()
    for n_reports in (2, 2):
        measured = measure(task, reports.append)
        results, _ = measured.measured["careful"]
        assert results.metrics["any.m0"].value == 1.0
        assert reports == [(0.0, None)] * n_reports


numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
arrays = st.lists(numbers | st.just(np.nan), max_size=4).map(np.array)
moments = st.lists(numbers, max_size=4).map(
    lambda values: tuple(Moment(2.0 * place, 2.0 * place + 1.5, value) for place, value in enumerate(values))
)
absent = st.sampled_from([Reason.NO_FACE, OWN, Reason("unheard_of", "of nobody")])


@st.composite
def measurements(draw: st.DrawFn) -> list[Measurement]:
    """Draw a measurement of each metric."""
    made = []
    for metric in METRICS:
        samples = tuple(draw(st.dictionaries(st.sampled_from("ab"), arrays)).items())
        if draw(st.booleans()):
            reason = draw(absent)
            made.append(Measurement(metric, None, reason, samples=samples))
        else:
            interval = draw(st.none() | st.tuples(numbers, numbers).map(lambda pair: Interval(*sorted(pair))))
            coverage = draw(st.none() | st.floats(0, 1))
            n = draw(st.integers(0, 9))
            made.append(
                Measurement(
                    metric,
                    draw(numbers),
                    n=n,
                    coverage=coverage,
                    interval=interval,
                    samples=samples,
                    moments=draw(moments),
                )
            )
    return made


@given(made=measurements())
def test_measurements_come_back_from_storage_bit_for_bit(made: list[Measurement]) -> None:
    results, samples = store_measurements(made)
    carried = json.loads(json.dumps([results.to_dict(), samples], allow_nan=False))
    back = restore_measurements(MetricResults.from_dict(carried[0]), carried[1], METRICS, [OWN])
    for one, other in zip(made, back, strict=True):
        assert (other.metric, other.value, other.reason, other.n, other.coverage, other.interval) == (
            one.metric,
            one.value,
            one.reason,
            one.n,
            one.coverage,
            one.interval,
        )
        assert other.to_dict() == one.to_dict()
        assert other.moments == one.moments
        assert [name for name, _ in other.samples] == [name for name, _ in one.samples]
        for (_, mine), (_, theirs) in zip(one.samples, other.samples, strict=True):
            np.testing.assert_array_equal(theirs, mine)
    known = [reason.text for measurement in back if (reason := measurement.reason) == OWN]
    assert set(known) <= {OWN.text}
