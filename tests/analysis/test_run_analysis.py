"""What the report says, against figures worked out from the files themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evalkit.analysis.catalogue import reason_text
from evalkit.analysis.direction import is_better
from evalkit.analysis.run_analysis import RunAnalysis
from evalkit.decisions.analyse import analyse_run
from evalkit.decisions.policy import load_policy
from evalkit.runs import Run
from evalkit.testing.runs import write_grid
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
