"""How often a configuration would pass again, held to new clips of the same kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.analysis.table import ResultTable
from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.policy import Policy
from evalkit.decisions.recommend import recommend
from evalkit.decisions.recommendation import Outcome
from evalkit.decisions.redraws import share_of_passes
from evalkit.testing.tables import draw_sweep, make_table

GATES = [
    {"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"},
    {"metric": "technical.sharpness", "at_least": 0.5, "why": "another"},
]


def policy_of(*rules: dict[str, object]) -> Policy:
    return Policy.model_validate(
        {"name": "p", "title": "P", "quality": "lip_sync.error", "costs": ["profile.total_s"], "rules": rules}
    )


def table_of(errors: object, sharpness: object, *, n_portraits: int = 1) -> ResultTable:
    return make_table(
        {"lip_sync.error": errors, "technical.sharpness": sharpness},  # type: ignore[dict-item]
        n_portraits=n_portraits,
    )


def share(table: ResultTable, policy: Policy) -> float | None:
    (configuration,) = table.configurations
    return share_of_passes(configuration, policy, ErrorBudget())


def test_clips_far_within_the_limits_always_pass_and_those_beyond_never() -> None:
    near = np.linspace(0.1, 0.12, 20)
    assert share(table_of(near, near + 0.7), policy_of(*GATES)) == 1.0
    assert share(table_of(near + 0.5, near + 0.7), policy_of(*GATES)) == 0.0


def test_the_share_is_near_the_rate_at_which_new_samples_pass() -> None:
    """Planted: error .26 with sd .07 on 24 clips; averaged over samples, redraws pass about as often as new samples."""
    rng, policy = np.random.default_rng(5), policy_of(GATES[0])
    shares, passes = [], []
    for _ in range(25):
        table = draw_sweep(1, 24, rng, error=0.26, spread=0.07)
        shares.append(share(table, policy))
        passes.append(recommend(table, policy).outcome is Outcome.RECOMMENDED)
    assert np.mean(shares) == pytest.approx(np.mean(passes), abs=0.2)  # type: ignore[arg-type]
    assert 0.2 < np.mean(shares) < 0.9  # type: ignore[arg-type]


def test_the_values_of_a_clip_are_drawn_together() -> None:
    """Two gates on the same values pass and fail together: not the product of two chances."""
    values = draw_sweep(1, 24, np.random.default_rng(1), error=0.26, spread=0.07).rows
    errors = np.array([row.values["lip_sync.error"] for row in values])
    alone = share(table_of(errors, 0.8 - errors), policy_of(GATES[0]))
    both = share(table_of(errors, 0.8 - errors), policy_of(*GATES))
    assert alone is not None
    assert 0.2 < alone < 0.95
    assert both == alone


def test_it_is_the_same_every_time() -> None:
    table = draw_sweep(1, 24, np.random.default_rng(1), error=0.26, spread=0.07)
    assert share(table, policy_of(GATES[0])) == share(table, policy_of(GATES[0]))


def test_clips_of_one_portrait_stay_together() -> None:
    """40 clips of 20 portraits, two alike each: 20 units, and redrawing clips one by one would be too sure."""
    errors = np.random.default_rng(4).normal(0.262, 0.07, 20)
    table = make_table({"lip_sync.error": np.repeat(errors, 2)})
    rows = tuple(
        replace(row, portrait=f"p{place // 2}", speech=f"s{place}") for place, row in enumerate(table.rows)
    )
    paired = share(replace(table, rows=rows), policy_of(GATES[0]))
    alone = share(make_table({"lip_sync.error": errors}, n_portraits=1), policy_of(GATES[0]))
    assert paired is not None
    assert paired == pytest.approx(alone, abs=0.05)


def test_too_few_clips_and_crossed_factors_have_none() -> None:
    near = np.linspace(0.1, 0.12, 20)
    assert share(table_of(near[:18], near[:18] + 0.7), policy_of(*GATES)) is None
    assert share(table_of(near, near + 0.7, n_portraits=4), policy_of(*GATES)) is None


def test_the_answer_says_it_with_what_it_means() -> None:
    table = draw_sweep(1, 24, np.random.default_rng(1), error=0.15)
    found = recommend(table, policy_of(GATES[0]))
    assert found.chances == {"one configuration": pytest.approx(1.0, abs=0.02)}
    assert found.details[-1] == (
        "Of 200 redraws of the clips it passes in 100 %: so often would as many new clips pass, were these all there "
        "is to know."
    )
