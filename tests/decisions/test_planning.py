"""What a plan can show: units, differences and gates, by hand, against statsmodels' numbers, and by simulation."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from evalkit.decisions.planning import (
    Design,
    EvidencePlan,
    GatePlan,
    Spread,
    describe_brief,
    describe_needs,
    learn_spreads,
    plan_evidence,
)
from evalkit.decisions.policy import Policy, load_policy
from evalkit.errors import UsageError
from evalkit.runs import Run
from evalkit.stats.means import fit_mean
from evalkit.testing.runs import write_grid
from evalkit.types import FloatArray

RULES = """
name: planned
title: Planned
quality: lip_sync.error
costs: [profile.total_s]
rules:
  - {metric: lip_sync.error, at_most: 0.3, margin: 0.05, why: gate}
  - {metric: lip_sync.error, bad_beyond: 0.5, at_most: 0.1, why: few bad clips}
  - {metric: profile.error_rate, at_most: 0.005, why: it works}
  - {metric: profile.ttff_s, at_most: 3, per: clip, judged_by: value, why: at once}
  - {metric: rating.mos, at_least: 4, judged_by: value, min_n: 20, why: raters}
  - {metric: rating.mos, at_most: 0.1, bad_beyond: 3, min_n: 12, kind: soft, why: raters}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    """Give a policy with a gate of each kind."""
    path = tmp_path / "planned.yaml"
    path.write_text(RULES, "utf-8")
    return load_policy(str(path))


def gate(plan: EvidencePlan, name: str) -> GatePlan:
    return next(gate for gate in plan.gates if gate.name == name)


@pytest.mark.parametrize(
    ("design", "n_clips", "n_distinct", "n_units", "reason"),
    [
        (Design(9, 4, 15), 60, 60, 4, None),
        (Design(1, 1, 20), 20, 20, 20, None),
        (Design(1, 1, 20, 3), 60, 20, 20, None),  # further seeds are further draws of the same 20
        (Design(1, 1, 20, 5), 100, 100, 5, None),
        (Design(1, 12, 5), 60, 60, 5, None),
        (Design(1, 2, 15), 30, 30, 2, "cannot be known from 2 portraits"),
        (Design(1, 2, 15, given=("portrait",)), 30, 15, 15, None),
        (Design(1, 3, 3), 9, 9, 3, "cannot be known from 3 portraits and 3 pieces of speech"),
        (Design(1, 1, 1, 4), 4, 4, 4, "4 of the 5"),
        (Design(), 1, 1, 1, "1 of the 5"),
    ],
)
def test_what_clips_count_for(
    design: Design, n_clips: int, n_distinct: int, n_units: int, reason: str | None
) -> None:
    assert (design.n_clips, design.n_distinct, design.n_units) == (n_clips, n_distinct, n_units)
    assert design.reason is None if reason is None else reason in (design.reason or "")


def test_the_difference_is_found_with_as_many_as_statsmodels_says(policy: Policy) -> None:
    """TTestPower().solve_power(0.05 / 0.08, alpha=0.04, power=0.8) is 23.66, and two more; with 0.05 / 0.04 it is 8.2."""
    plan = plan_evidence(policy, spreads={"lip_sync.error": Spread(0.08, 0.08, 0, "given")})
    assert (plan.difference.metric, plan.difference.effect) == ("lip_sync.error", 0.05)  # the policy's margin
    assert plan.difference.n_needed == 26
    plan = plan_evidence(policy, spreads={"lip_sync.error": Spread(0.04, 0.04, 0, "given")})
    assert plan.difference.n_needed == 20  # fewer claim nothing
    assert plan.difference.n_by_size == {"0.2": 214, "0.5": 38, "0.8": 20}
    assert plan.difference.n_planned is None


def find(values: FloatArray, alpha: float) -> float:
    """Return how often the product's own test finds the mean of rows to differ from 0."""
    return float(np.mean([fit_mean(row).p_value() <= alpha for row in values]))


def test_what_is_planned_is_found_as_often_as_promised(policy: Policy) -> None:
    spread = Spread(0.08, 0.1, 40, "from 40 clips")
    plan = plan_evidence(policy, Design(2, 1, 30), effect=0.05, spreads={"lip_sync.error": spread})
    difference = plan.difference
    rng = np.random.default_rng(0)
    assert find(rng.normal(difference.detectable, 0.1, (1500, 30)), 0.04) == pytest.approx(0.8, abs=0.03)
    assert find(rng.normal(0.05, 0.1, (1500, 30)), 0.04) == pytest.approx(difference.power_planned, abs=0.03)
    assert find(rng.normal(0.05, 0.1, (1500, difference.n_needed or 0)), 0.04) == pytest.approx(0.8, abs=0.03)
    few = plan_evidence(policy, Design(2, 1, 19), spreads={"lip_sync.error": spread})
    assert few.difference.detectable is None
    assert "no difference between two configurations is claimed: 19 of the 20" in " ".join(
        describe_brief(few)
    )


def test_another_metric_than_the_policy_asks_first_is_exploratory(policy: Policy) -> None:
    plan = plan_evidence(policy, metric="profile.ttff_s", effect=0.1)
    assert not plan.difference.is_primary
    spreads = {"profile.ttff_s": Spread(0.2, 0.2, 0, "given")}
    said = describe_needs(plan_evidence(policy, metric="profile.ttff_s", effect=0.1, spreads=spreads))[0]
    assert "a difference of 0.1 s is found" in said
    assert "tested together with all other metrics" in said


def test_a_mean_gate_passes_as_often_as_planned_and_nine_configurations_need_more(policy: Policy) -> None:
    spreads = {"lip_sync.error": Spread(0.07, 0.07, 0, "given")}
    plan = plan_evidence(policy, Design(9, 1, 20), spreads=spreads, quality={"lip_sync.error": 0.25})
    mean = gate(plan, "lip_sync.error")
    assert (mean.kind, mean.fewest, mean.n_needed_alone) == (
        "mean",
        19,
        25,
    )  # 22.9 of statsmodels, and two more
    assert mean.n_needed is not None
    rng = np.random.default_rng(1)
    for n, alpha, chance in (
        (mean.n_needed, 0.025 / 9, 0.9),
        (20, 0.025 / 9, mean.power_planned),
        (25, 0.025, 0.9),
    ):
        values = rng.normal(0.25, 0.07, (1500, n))
        passed = np.mean([fit_mean(row).bounds(alpha)[1] <= 0.3 for row in values])
        assert passed == pytest.approx(chance, abs=0.03)
    assert "in a run of one configuration with 25" in " ".join(describe_needs(plan))
    beyond = gate(plan_evidence(policy, spreads=spreads, quality={"lip_sync.error": 0.31}), "lip_sync.error")
    assert beyond.n_needed is None


def test_gates_on_shares_by_hand(policy: Policy) -> None:
    quality = {"lip_sync.error.bad": 0.0, "profile.error_rate": 0.0}
    plan = plan_evidence(policy, Design(1, 1, 30), quality=quality)
    bad, failed = gate(plan, "lip_sync.error.bad"), gate(plan, "profile.error_rate")
    assert (bad.fewest, bad.n_needed, bad.can_pass, bad.power_planned) == (
        29,
        29,
        True,
        1.0,
    )  # .9 ** 29 < .05
    assert (failed.fewest, failed.n_needed, failed.can_pass, failed.power_planned) == (598, 598, False, 0.0)
    of_two = gate(plan_evidence(policy, Design(2, 1, 30), quality=quality), "lip_sync.error.bad")
    assert (of_two.fewest, of_two.fewest_alone, of_two.can_pass) == (36, 29, False)  # .9 ** 36 < .025
    assert list(of_two.n_by_quality) == ["0", "0.01", "0.025"]


def test_a_plan_says_in_a_few_lines_what_it_can_show(policy: Policy) -> None:
    brief = describe_brief(plan_evidence(policy, Design(2, 2, 15)))
    assert brief[0] == (
        "what this can show: 30 clips for each of 2 configurations (2 portraits x 15 pieces of speech x 1 seed)"
    )
    assert brief[1].startswith(
        "nothing can be known beyond these inputs: this cannot be known from 2 portraits"
    )
    assert "under `given`" in brief[1]
    assert brief[2].startswith("1 of 4 gates can pass with so many; needed are")  # that of the worst clip
    assert "598 attempts" not in brief[2]  # of two configurations more are needed
    brief = describe_brief(plan_evidence(policy, Design(1, 4, 15)))
    assert brief[1] == (
        "lip_sync.error: two configurations that differ by 0.39 spreads are told apart in 80 %; by 2.3 if it is the "
        "portraits that differ: they are 4"
    )
    assert brief[2] == "3 of 4 gates can pass with so many; needed are 598 attempts for profile.error_rate"
    assert describe_brief(plan_evidence(policy)) == []


def test_what_is_not_known_is_said(policy: Policy) -> None:
    said = describe_needs(plan_evidence(policy, quality={"lip_sync.error": 0.25}))
    assert "the spread of the differences is not known" in said[0]
    assert "with 214, 38, 20 inputs for each configuration" in said[0]
    assert "how much clips differ is not known" in said[1]
    assert any("rating.mos at least 4: 20 raters at least" in line for line in said)
    assert any("10 % of clips below 3: 12 raters at least; evalkit rate plan" in line for line in said)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"quality": {"lip_sync.eror": 0.2}}, "has no rule for 'lip_sync.eror'"),
        ({"quality": {"lip_sync.error": 1.2}}, "outside of the metric's bounds"),
        ({"quality": {"lip_sync.error.bad": 5}}, "a share, from 0 to 1"),
        ({"quality": {"profile.error_rate": -0.1}}, "a share, from 0 to 1"),
        ({"quality": {"profile.ttff_s": 1}}, "judged by its value alone"),
        ({"metric": "lip_sync.eror"}, "did you mean 'lip_sync.error'"),
    ],
)
def test_what_cannot_be_is_refused(policy: Policy, asked: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_evidence(policy, **asked)  # type: ignore[arg-type]


def test_spreads_come_from_finished_runs(tmp_path: Path) -> None:
    """Pooled by hand: between clips of each configuration, and between pairs on the same input and seed."""
    speech = [f"text {k}" for k in range(12)]
    run = Run.open(
        write_grid(tmp_path / "past", sizes=["384*256"], steps=[2, 4], portraits=["ann"], speech=speech)
    )
    values = {
        step: np.array(
            [
                trial.metrics["lip_sync.error"].value
                for name in speech
                for trial in run.trials()
                if trial.params["sample_steps"] == step
                and trial.speech is not None
                and trial.speech.name == name
            ]
        )
        for step in (2, 4)
    }
    found = learn_spreads([run], ["lip_sync.error", "motion.nothing"])
    assert list(found) == ["lip_sync.error"]
    between = sqrt((values[2].var(ddof=1) + values[4].var(ddof=1)) / 2)
    assert found["lip_sync.error"].between == pytest.approx(between)
    assert found["lip_sync.error"].paired == pytest.approx((values[4] - values[2]).std(ddof=1))
    assert (found["lip_sync.error"].n, found["lip_sync.error"].mean) == (12, None)


def test_one_configuration_tells_its_own_spread_and_mean(tmp_path: Path, policy: Policy) -> None:
    speech = [f"text {k}" for k in range(12)]
    run = Run.open(
        write_grid(tmp_path / "past", sizes=["384*256"], steps=[2], portraits=["ann"], speech=speech)
    )
    spread = learn_spreads([run], ["lip_sync.error"])["lip_sync.error"]
    values = [trial.metrics["lip_sync.error"].value for trial in run.trials()]
    assert spread.between == pytest.approx(np.std(values, ddof=1))
    assert spread.paired == pytest.approx(sqrt(2) * np.std(values, ddof=1))
    assert "nothing in common" in spread.source
    plan = plan_evidence(policy, spreads={"lip_sync.error": spread})
    assert gate(plan, "lip_sync.error").quality == pytest.approx(np.mean(values))
