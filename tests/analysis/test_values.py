"""What a metric's value is for a configuration: which clips count, how they become one value, how sure."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from evalkit.analysis.reducers import Percentile, ReductionContext, load_reducer, mean, worst
from evalkit.analysis.table import ClipRecord, ResultTable
from evalkit.analysis.values import summarise
from evalkit.errors import UsageError
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.means import estimate_mean
from evalkit.testing.tables import ERROR, FPS, OFFSET, RSS, SHARPNESS, make_table
from evalkit.types import Metric


def with_failure(table: ResultTable, cost: dict[str, float]) -> ResultTable:
    """Append an attempt that ran out of memory after it had cost something."""
    broken = ClipRecord("broken", "p9", "s9", 1, values=cost, failure="generate failed: out_of_memory")
    return replace(table, rows=(*table.rows, broken))


def test_what_a_failed_attempt_cost_is_in_no_mean() -> None:
    table = with_failure(make_table({"profile.peak_rss_mib": [1020.0] * 5}), {"profile.peak_rss_mib": 9000.0})
    summary = summarise(RSS, table.rows)
    assert (summary.value, summary.interval, summary.n) == (1020.0, None, 5)
    assert summary.n_attempted == 6
    assert summary.absences == {"generate failed: out_of_memory": 1}


def test_the_error_rate_counts_every_attempt() -> None:
    table = with_failure(make_table({"profile.peak_rss_mib": [1020.0] * 5}), {})
    summary = summarise(ERROR_RATE, table.rows)
    low, high = scipy.stats.beta.ppf([0.025, 0.975], [1, 2], [6, 5])  # Clopper & Pearson by their definition
    assert (summary.value, summary.n) == (1 / 6, 6)
    assert summary.interval == pytest.approx((low, high))
    assert summarise(ERROR_RATE, ()).estimate.reason == "nothing was attempted"


def test_reasons_are_counted_most_frequent_first_and_written_in_words() -> None:
    table = make_table({"lip_sync.error": [None, 0.1, None, 0.2]})
    rows = (*table.rows, replace(table.rows[0], absent={"lip_sync.error": "too_short"}))
    summary = summarise(ERROR, rows)
    assert summary.absences == {"no_face": 2, "too_short": 1}
    assert summary.why_absent == "no face was found in enough frames (2); too short to measure (1)"


def test_the_mean_is_that_of_the_shared_estimate_with_its_own_factors() -> None:
    values = np.random.default_rng(5).random(24)
    table = make_table(
        {"lip_sync.error": values}, n_portraits=4
    )  # 4 portraits crossed with 6 pieces of speech
    factors = {"portrait": [row.portrait for row in table.rows], "speech": [row.speech for row in table.rows]}
    found = summarise(ERROR, table.rows).estimate
    assert found.interval is not None
    assert found == estimate_mean(values, factors, bounds=ERROR.bounds)


def test_a_summary_is_computed_once() -> None:
    (configuration,) = make_table({"lip_sync.error": [0.1, 0.2]}).configurations
    first = configuration.summary(ERROR)
    assert configuration.summaries["lip_sync.error"] is first
    assert configuration.summary(ERROR, "mean", (0.0, 0.3)) is first  # limits do not change a mean
    assert configuration.summary(ERROR, "worst") is not first


@pytest.mark.parametrize(
    ("metric", "values", "limits", "expected"),
    [
        (ERROR, [0.1, 0.4, 0.2], None, 0.4),
        (SHARPNESS, [0.1, 0.4, 0.2], None, 0.1),
        (OFFSET, [-90.0, 40.0, 10.0], None, -90.0),
        (
            OFFSET,
            [-90.0, 40.0, 10.0],
            (-125.0, 45.0),
            40.0,
        ),  # 5 ms inside its limit, the other is 35 ms inside
        (FPS, [24.0, 25.0, 31.0], (20.0, 30.0), 31.0),
    ],
)
def test_the_worst_clip_is_the_one_furthest_the_wrong_way(
    metric: Metric, values: list[float], limits: tuple[float, float] | None, expected: float
) -> None:
    found = worst(np.array(values), ReductionContext(metric, limits))
    assert (found.value, found.interval, found.n) == (expected, None, 3)


def test_a_band_without_limits_has_no_worst_clip() -> None:
    found = worst(np.array([1.0, 2.0]), ReductionContext(FPS))
    assert found.value is None
    assert found.reason == "no end of technical.fps is bad: the worst value needs limits"


def test_no_value_is_no_value_in_any_reducer() -> None:
    for name in ("mean", "worst", "p10", "p90"):
        found = load_reducer(name)(np.array([]), ReductionContext(ERROR, (0.0, 0.3)))
        assert (found.value, found.n, found.reason) == (None, 0, "nothing was measured")


def test_a_percentile_by_hand() -> None:
    values = np.array([3.0, 1.0, 2.0, 5.0, 4.0])  # sorted 1 to 5; 90 % of 4 steps is 3.6: 4 + 0.6
    assert Percentile(90)(values, ReductionContext(ERROR)).value == pytest.approx(4.6)
    assert Percentile(10)(values, ReductionContext(ERROR)).value == pytest.approx(1.4)


@pytest.mark.parametrize(("n", "has_interval"), [(35, False), (36, True)])
def test_the_interval_of_a_percentile_needs_clips_beyond_it(n: int, has_interval: bool) -> None:
    # all n below the 90th percentile: 0.9 ** 36 = 0.0225 <= 0.025 < 0.9 ** 35 = 0.0250...
    found = Percentile(90)(np.random.default_rng(1).random(n), ReductionContext(ERROR))
    assert (found.interval is not None) is has_interval
    assert has_interval or found.reason == "35 clips are too few for an interval of the 90th percentile"


def test_the_interval_of_a_percentile_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    truth, held = scipy.stats.expon.ppf(0.9), 0
    for _ in range(400):
        interval = Percentile(90)(rng.exponential(size=80), ReductionContext(ERROR)).interval
        assert interval is not None
        held += interval.low <= truth <= interval.high
    assert 0.93 <= held / 400 <= 1.0


def test_clips_that_share_inputs_give_a_percentile_no_interval() -> None:
    values = np.random.default_rng(2).random(48)
    shared = ReductionContext(ERROR, factors={"speech": [index // 4 for index in range(48)]})
    alone = ReductionContext(ERROR, factors={"speech": list(range(48))})
    assert Percentile(90)(values, shared).reason == "clips that share inputs give a percentile no interval"
    assert Percentile(90)(values, alone).interval is not None


def test_an_unknown_reducer_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no reducer is named 'p91'; did you mean 'p90'"):
        summarise(ERROR, make_table({"lip_sync.error": [0.1]}).rows, reducer="p91")


_PLUGIN = """
import numpy as np
from evalkit.stats.means import Estimate

def median(values, context):
    return Estimate(float(np.median(values)), None, values.size, "a median of its own")
"""


def test_a_reducer_of_another_distribution_judges_a_rule(tmp_path: Path) -> None:
    (tmp_path / "medians.py").write_text(_PLUGIN)
    info = tmp_path / "evalkit_medians-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evalkit-medians\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[evalkit.reducers]\nmedian = medians:median\n")
    code = """
from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.judge import judge
from evalkit.decisions.policy import Policy, Rule
from evalkit.testing.tables import make_table
rule = Rule.model_validate({"metric": "lip_sync.error", "at_most": 0.3, "reducer": "median", "judged_by": "value",
                            "min_n": 3, "why": "a gate"})
policy = Policy.model_validate({"name": "p", "title": "P", "quality": "lip_sync.error", "costs": ["profile.total_s"],
                                "rules": [rule]})
line = judge(rule, make_table({"lip_sync.error": [0.1, 0.2, 0.9]}).pooled(), policy, ErrorBudget())
print(line.value, line.status, line.limit)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        timeout=120,
    )
    assert done.stdout == "0.2 pass at most 0.3 (median)\n", done.stderr


def test_the_mean_is_the_plain_mean() -> None:
    found = mean(np.array([0.1, 0.2, 0.6]), ReductionContext(ERROR))
    assert found.value == pytest.approx(0.3)
