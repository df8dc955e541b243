"""How far metrics agree with people: planted truths of whole runs are found, and what cannot be known has a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from evalkit.analysis.agreement import Agreement, MetricAgreement, agreement_of_run, measure_agreement
from evalkit.analysis.table import ResultTable, rows_of_run
from evalkit.runs import Run
from evalkit.testing.rated_runs import AMOUNT, BREAK_MS, ERROR, OFFSET, SHARPNESS, write_rated_run
from evalkit.testing.runs import make_trial, write_run


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ResultTable:
    return rows_of_run(Run.open(write_rated_run(tmp_path_factory.mktemp("rated") / "run")))


@pytest.fixture(scope="module")
def found(table: ResultTable) -> Agreement:
    return measure_agreement([table])


def of(found: Agreement, metric: str, rating: str = "rating.mos") -> MetricAgreement:
    (rating_found,) = (one for one in found.runs[0].ratings if one.rating.name == rating)
    (metric_found,) = (one for one in rating_found.metrics if one.metric.name == metric)
    return metric_found


def test_the_overall_opinion_is_held_against_all_metrics_and_others_against_their_own(
    found: Agreement,
) -> None:
    names = {one.rating.name: {metric.metric.name for metric in one.metrics} for one in found.runs[0].ratings}
    assert names == {
        "rating.mos": {OFFSET.name, ERROR.name, SHARPNESS.name, AMOUNT.name},
        "rating.lip_sync": {OFFSET.name, ERROR.name},
    }


def test_the_coefficients_are_scipys_of_size_and_mean_opinion(found: Agreement, table: ResultTable) -> None:
    offsets = [abs(row.values[OFFSET.name]) for row in table.rows]
    opinions = [np.mean(list(row.scores["rating.mos"].values())) for row in table.rows]
    one = of(found, OFFSET.name)
    assert one.spearman.estimate.value == pytest.approx(-scipy.stats.spearmanr(offsets, opinions).statistic)
    assert one.kendall.estimate.value == pytest.approx(-scipy.stats.kendalltau(offsets, opinions).statistic)


def test_positive_means_that_better_values_go_with_better_opinions(found: Agreement) -> None:
    assert of(found, ERROR.name).agrees
    assert (of(found, ERROR.name).spearman.estimate.value or 0.0) > 0.3
    sharpness = of(found, SHARPNESS.name)
    assert not sharpness.agrees
    assert abs(sharpness.spearman.estimate.value or 1.0) < 0.3


def test_a_metric_that_is_best_in_a_band_is_not_ranked_and_has_two_sides(found: Agreement) -> None:
    one = of(found, AMOUNT.name)
    assert not one.has_direction
    assert not one.agrees
    assert [side.side for side in one.objections] == ["above", "below"]
    assert found.runs[0].ratings[0].metrics[-1] is one
    assert all(AMOUNT.name not in {pair.a, pair.b} for pair in found.runs[0].ratings[0].pairs)


def test_raters_object_where_it_was_planted_and_nowhere_else(found: Agreement) -> None:
    (side,) = of(found, OFFSET.name).objections
    assert side.is_claimed
    assert side.interval is not None
    assert side.interval[0] <= BREAK_MS <= side.interval[1]
    others = [side for name in (ERROR, SHARPNESS, AMOUNT) for side in of(found, name.name).objections]
    assert not any(side.is_claimed for side in others)


def test_no_threshold_is_told_where_raters_do_not_object(tmp_path: Path) -> None:
    claims = 0
    for seed in range(5):
        folder = write_rated_run(tmp_path / str(seed), seed=seed, objects=False, n_raters=4)
        run = agreement_of_run(rows_of_run(Run.open(folder)))
        claims += any(
            side.is_claimed for rating in run.ratings for one in rating.metrics for side in one.objections
        )
    assert claims <= 1  # each of 7 limits in at most 5 of 100, all of a question together


def test_the_ceiling_is_below_one_and_above_every_coefficient(found: Agreement) -> None:
    for rating in found.runs[0].ratings:
        assert rating.ceiling is not None
        assert rating.ceiling < 1.0
        assert all((one.spearman.estimate.value or 0.0) < rating.ceiling for one in rating.metrics)


def test_fewer_raters_lower_the_ceiling(table: ResultTable, found: Agreement) -> None:
    few = tuple(
        replace(row, scores={name: dict(list(given.items())[:4]) for name, given in row.scores.items()})
        for row in table.rows
    )
    ceiling = agreement_of_run(replace(table, rows=few)).ratings[0].ceiling
    assert ceiling is not None
    assert ceiling < (found.runs[0].ratings[0].ceiling or 0.0) - 0.02


def test_a_below_side_is_in_the_metrics_own_unit(table: ResultTable) -> None:
    offsets = {OFFSET.name: replace(table.metrics[OFFSET.name], better="higher")}
    rows = tuple(
        replace(row, values={**row.values, OFFSET.name: -abs(row.values[OFFSET.name])}) for row in table.rows
    )
    turned = measure_agreement([replace(table, rows=rows, metrics={**table.metrics, **offsets})])
    (side,) = of(turned, OFFSET.name).objections
    assert side.side == "below"
    assert side.is_claimed
    assert side.interval is not None
    assert side.interval[0] <= -BREAK_MS <= side.interval[1]


def test_costs_are_no_metrics_that_people_see(table: ResultTable) -> None:
    rows = tuple(replace(row, values={**row.values, "profile.total_s": 3.0}) for row in table.rows)
    run = agreement_of_run(replace(table, rows=rows))
    assert all(one.metric.family != "profile" for rating in run.ratings for one in rating.metrics)


# what cannot be known


def test_nobody_asked_is_no_agreement(tmp_path: Path) -> None:
    trial = make_trial(
        params={"steps": 1}, portrait="a", speech="b", seed=1, values={ERROR.name: 0.2}, failure=None
    )
    folder = write_run(tmp_path / "run", [trial], [ERROR])
    assert agreement_of_run(rows_of_run(Run.open(folder))).ratings == ()


def test_two_portraits_leave_coefficients_without_intervals_and_no_threshold(tmp_path: Path) -> None:
    folder = write_rated_run(tmp_path / "run", n_portraits=2, n_raters=6)
    one = of(measure_agreement([rows_of_run(Run.open(folder))]), OFFSET.name)
    assert one.spearman.estimate.value is not None
    assert one.spearman.estimate.interval is None
    assert "2 portraits" in str(one.spearman.estimate.reason)
    assert not one.agrees
    assert "2 portraits" in str(one.objections[0].found.reason)


def test_given_portraits_are_all_that_the_answer_speaks_of(tmp_path: Path) -> None:
    folder = write_rated_run(tmp_path / "run", n_portraits=2, n_speeches=8, n_raters=6)
    table = replace(rows_of_run(Run.open(folder)), given=("portrait",))
    run = agreement_of_run(table)
    assert run.factors == ("speech", "configuration")
    assert all(one.spearman.estimate.interval for one in run.ratings[0].metrics)


def test_three_configurations_are_all_that_the_answer_speaks_of(table: ResultTable) -> None:
    rows = tuple(row for row in table.rows if row.params["size"] == "384*256")
    run = agreement_of_run(replace(table, rows=rows))
    assert run.n_configurations == 3
    assert run.factors == ("portrait", "speech")


# over runs


def test_runs_are_pooled_where_the_same_versions_measured_them(tmp_path: Path) -> None:
    def made(seed: int, evaluators: dict[str, int] | None = None) -> ResultTable:
        folder = write_rated_run(
            tmp_path / f"{seed} {evaluators}", seed=seed, n_raters=6, evaluators=evaluators
        )
        return rows_of_run(Run.open(folder))

    tables = [made(seed) for seed in range(3)]
    same = measure_agreement(tables)
    pooled = {(one.rating.name, one.metric.name): one for one in same.pooled}
    assert set(pooled) >= {("rating.mos", ERROR.name), ("rating.lip_sync", ERROR.name)}
    one = pooled["rating.mos", ERROR.name]
    assert one.spearman.estimate.n == one.n_runs == 3
    assert one.spearman.estimate.interval is not None
    own = [run.ratings[0].metrics for run in same.runs]
    singles = [
        metric.spearman.estimate.value or 0.0
        for metrics in own
        for metric in metrics
        if metric.metric.name == ERROR.name
    ]
    assert min(singles) <= (one.spearman.estimate.value or 0.0) <= max(singles)

    others = {"lip_sync": 99, "technical": 4, "motion": 4}
    mixed = measure_agreement([tables[0], made(1, others)])
    reasons = {(one.rating.name, one.metric.name): one.spearman.estimate for one in mixed.pooled}
    assert reasons["rating.mos", ERROR.name].value is None
    assert "not comparable" in str(reasons["rating.mos", ERROR.name].reason)


def test_of_fewer_than_four_raters_the_figures_stand_and_nothing_is_claimed(tmp_path: Path) -> None:
    table = rows_of_run(Run.open(write_rated_run(tmp_path / "run", n_raters=3)))
    found = measure_agreement([table])
    (mos, _) = found.runs[0].ratings
    assert of(found, OFFSET.name).spearman.estimate.value is not None
    assert {one.spearman.estimate.reason for one in mos.metrics} == {
        "this cannot be known from 3 raters: 4 or more are needed"
    }
    assert not any(one.agrees or any(side.is_claimed for side in one.objections) for one in mos.metrics)
    assert mos.pairs == ()
