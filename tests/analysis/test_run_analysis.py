"""What the report says, against figures worked out from the files themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.analysis.catalogue import reason_text
from evalkit.analysis.direction import is_better
from evalkit.analysis.effects import measure_effects
from evalkit.analysis.fronts import find_front
from evalkit.analysis.run_analysis import RunAnalysis
from evalkit.analysis.table import ClipRecord
from evalkit.decisions.analyse import analyse_run
from evalkit.decisions.policy import load_policy
from evalkit.runs import Run
from evalkit.stats.means import estimate_mean
from evalkit.testing.runs import write_grid
from evalkit.testing.tables import ERROR, TOTAL, make_table
from evalkit.types import Metric


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("tables") / "run", failing=(0,), unfinished=(35,))


@pytest.fixture(scope="module")
def tables(folder: Path) -> RunAnalysis:
    return analyse_run(Run.open(folder), load_policy("customer_service"))


def values(tables: RunAnalysis, metric: str, **params: object) -> dict[tuple[str, str], float]:
    """Read a metric from the trials of one configuration, by input."""
    found = {}
    for trial in tables.trials:
        if trial.status == "ok" and all(trial.params[name] == value for name, value in params.items()):
            assert trial.portrait is not None
            assert trial.speech is not None
            found[trial.portrait.name, trial.speech.name] = trial.metrics[metric].value
    return found


def test_a_configuration_has_the_mean_of_its_clips(tables: RunAnalysis) -> None:
    one = next(one for one in tables.configurations if one.params == {"size": "688*368", "sample_steps": 3})
    expected = list(values(tables, "lip_sync.error", size="688*368", sample_steps=3).values())
    summary = one.summaries["lip_sync.error"]
    assert len(expected) == summary.estimate.n == summary.n_attempted == 4
    assert summary.estimate.value == pytest.approx(np.mean(expected))


def test_a_failed_trial_counts_as_attempted_and_says_why(tables: RunAnalysis) -> None:
    first = tables.configurations[0]
    summary = first.summaries["lip_sync.error"]
    assert (summary.estimate.n, summary.n_attempted, first.n_failed) == (3, 4, 1)
    assert summary.absences == {"generate failed: out_of_memory": 1}
    rate = first.summaries["profile.error_rate"].estimate
    assert (rate.value, rate.n) == (0.25, 4)


def test_what_was_never_measured_says_why_in_words(tables: RunAnalysis) -> None:
    summary = tables.configurations[1].summaries["profile.peak_vram_mib"]
    assert summary.estimate.value is None
    assert summary.why_absent == "there is no NVIDIA GPU (4)"


def test_an_effect_is_the_mean_difference_over_pairs(tables: RunAnalysis) -> None:
    steps = [effect for metric, effect in tables.effects["sample_steps"] if metric == "profile.total_s"]
    assert [(effect.before, effect.after) for effect in steps] == [(2, 3), (3, 4)]
    differences = [
        after - before
        for size in ("384*256", "688*368", "704*384")
        for before, after in [
            (values(tables, "profile.total_s", size=size, sample_steps=3).get(key), value)
            for key, value in values(tables, "profile.total_s", size=size, sample_steps=4).items()
        ]
        if before is not None
    ]
    assert steps[1].change.n == len(differences) == 11
    assert steps[1].change.value == pytest.approx(np.mean(differences))
    assert steps[1].n_unpaired == 1


def test_the_front_holds_what_no_other_beats(tables: RunAnalysis) -> None:
    front = next(front for front in tables.fronts if front.cost == "profile.total_s")
    points = [
        (one.summaries["lip_sync.error"].value, one.summaries["profile.total_s"].value)
        for one in (tables.configurations[place] for place in front.places)
    ]
    for place, is_best in enumerate(front.is_best):
        beaten = any(
            other[0] <= points[place][0] and other[1] <= points[place][1] and other != points[place]
            for other in points
        )
        assert is_best is not beaten


@pytest.mark.parametrize(("gap", "is_beaten"), [(0.0, False), (0.05, True)])
def test_on_a_front_only_what_is_apart_for_sure_is_beaten(gap: float, is_beaten: bool) -> None:
    rng = np.random.default_rng(3)
    columns = [
        {
            "lip_sync.error": error + rng.normal(0, 0.01, 12),
            "profile.total_s": seconds + rng.normal(0, 0.01, 12),
        }
        for error, seconds in ((0.2, 5.0), (0.2 + gap, 5.0 + gap), (0.1, 9.0))
    ]
    parts = [
        make_table(values, n_portraits=1, params={"steps": place}) for place, values in enumerate(columns)
    ]
    table = replace(parts[0], rows=tuple(row for part in parts for row in part.rows))
    front = find_front(table.configurations, ERROR, TOTAL)
    assert front.is_beaten[2] is False
    assert any(front.is_beaten) is is_beaten
    assert not any(best and beaten for best, beaten in zip(front.is_best, front.is_beaten, strict=True))


def test_sizes_that_share_a_seed_are_one_draw_in_an_effect() -> None:
    """Six pieces of speech at four sizes: 24 pairs whose noise is the seed's are six units, not 24."""
    rng = np.random.default_rng(8)
    draws = rng.normal(0, 0.1, 6)
    rows = [
        ClipRecord(
            f"s{speech}", "p", f"s{speech}", 1, {"size": size, "steps": steps}, {"lip_sync.error": value}
        )
        for size in range(4)
        for steps in (1, 2)
        for speech in range(6)
        for value in [0.3 + draws[speech] * (steps - 1) + rng.normal(0, 1e-4)]
    ]
    effects = measure_effects(ERROR, rows, ["size", "steps"])
    (step,) = [effect for effect in effects if effect.parameter == "steps"]
    alone = estimate_mean(draws, {"speech": list(range(6))})
    assert step.change.n == 24
    assert step.change.interval is not None
    assert alone.interval is not None
    assert step.change.interval.high - step.change.interval.low == pytest.approx(
        alone.interval.high - alone.interval.low, rel=0.02
    )


def test_the_policy_says_what_is_shown_first(tables: RunAnalysis) -> None:
    assert tables.main[0] == tables.quality == "lip_sync.error"
    assert tables.costs == ["profile.total_s", "profile.peak_rss_mib"]
    without = RunAnalysis.of(tables.run)
    assert without.main[:2] == ["lip_sync.error", "lip_sync.offset_ms"]


@pytest.mark.parametrize(
    ("better", "change", "expected"),
    [
        ("lower", -1.0, True),
        ("lower", 1.0, False),
        ("higher", 1.0, True),
        ("zero", -1.0, True),
        ("band", 1.0, None),
    ],
)
def test_better_follows_the_direction(better: str, change: float, expected: bool | None) -> None:
    assert is_better(Metric("a.b", "1", better, ""), change) is expected  # type: ignore[arg-type]


def test_a_reason_is_told_in_words() -> None:
    assert reason_text("no_face") == "no face was found in enough frames"
    assert reason_text("a reason of tomorrow") == "a reason of tomorrow"
