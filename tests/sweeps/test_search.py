"""A search: what it makes, in whatever order results come, and what it says of what it did not make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.evaluators.session import evaluator
from evalkit.runs import MetricResults, MetricValue, Trial, TrialFailure
from evalkit.runs.search import read_search
from evalkit.sweeps.config import build_sweep
from evalkit.sweeps.plan import PlannedTrial
from evalkit.sweeps.prepare import SweepPlan, plan_sweep
from evalkit.sweeps.search import Search
from evalkit.testing.planted import Planted

QUALITY = Planted.metrics[0].name
POLICY = f"""
name: planted
title: The planted error
quality: {QUALITY}
costs: [profile.total_s]
rules:
  - metric: {QUALITY}
    at_most: 5.0
    judged_by: interval
    why: a test
"""


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SESSION", {})
    evaluator(Planted)


@pytest.fixture
def searched(tmp_path: Path, stand_in: dict[str, Any]) -> dict[str, Any]:
    """Give plain data of a search: 6 configurations on 20 texts."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, "utf-8")
    return stand_in | {
        "grid": {"sample_steps": [2, 3, 4], "sample_guide_scale": [1.0, 2.0]},
        "inputs": {"speech": [{"text": f"word {k}"} for k in range(20)]},
        "evaluators": ["planted"],
        "policy": str(policy),
    }


def plan_of(data: Mapping[str, Any], **changes: Any) -> SweepPlan:
    return plan_sweep(build_sweep({**data, **changes}, "test"))


def error_of(trial: PlannedTrial) -> float:
    """Return a planted error: 4 steps and a guidance of 2 are best by far; the text and chance bear on it too."""
    steps, guidance = trial.params["sample_steps"], trial.params["sample_guide_scale"]
    assert trial.speech is not None
    text = int(trial.speech.content[:8], 16) / 2**32
    noise = np.random.default_rng(int(trial.id[:12], 16)).normal(0.0, 0.05)
    return float(abs(steps - 4) + 0.5 * abs(guidance - 2.0) + text + noise)


def result_of(
    trial: PlannedTrial, error: float | None, *, failure: str | None = None, seconds: float = 36.0
) -> Trial:
    values = {} if error is None else {QUALITY: MetricValue(error, "1", n=1)}
    return Trial(
        id=trial.id,
        params=trial.params,
        portrait=trial.portrait,
        speech=trial.speech,
        seed=trial.seed,
        status="ok" if failure is None else "failed",
        failure=None if failure is None else TrialFailure("generate", failure, failure),
        quality=None if failure is not None else MetricResults(values),
        profile=MetricResults({}),
        generation=None,
        events=[],
        attempts=[],
        started_at="2026-01-02T03:04:05Z",
        generate_s=seconds,
        measure_s=0.0,
    )


Outcome = Callable[[PlannedTrial], Trial]


def planted_outcome(trial: PlannedTrial) -> Trial:
    return result_of(trial, error_of(trial))


def drive(
    plan: SweepPlan,
    folder: Path,
    outcome: Outcome = planted_outcome,
    *,
    known: Mapping[str, Trial] | None = None,
    n_slots: int = 3,
    order: int = 0,
    at_most: int | None = None,
) -> tuple[Search, dict[str, Trial]]:
    """Do what a sweep does with a search: several at a time, which end in any order; give it up after so many."""
    folder.mkdir(exist_ok=True)
    trials = {trial.id: trial for trial in plan.trials}
    search, done = Search(plan, folder), dict(known or {})
    rng = np.random.default_rng(order)
    queue = [name for name in search.begin(done, {}) if name not in done]
    n_made = 0
    while queue and (at_most is None or n_made < at_most):
        name = queue.pop(int(rng.integers(min(n_slots, len(queue)))))
        done[name] = outcome(trials[name])
        n_made += 1
        queue += [more for more in search.hear(done[name]) if more not in done]
    return search, done


def left(search: Search) -> list[dict[str, Any]]:
    return [one.params for one in search.record().configurations if one.fate == "racing"]


def test_the_best_is_found_with_half_of_the_trials(tmp_path: Path, searched: dict[str, Any]) -> None:
    plan = plan_of(searched)
    search, done = drive(plan, tmp_path / "run")
    assert left(search) == [{"sample_steps": 4, "sample_guide_scale": 2.0}]
    assert len(done) <= 60
    n_best = sum(trial.params == left(search)[0] for trial in done.values())
    assert n_best == 20  # all of its blocks, so that its gates can be judged
    beaten = [one for one in search.record().configurations if one.fate == "beaten"]
    assert beaten
    for one in beaten:
        assert one.defeat is not None
        assert one.defeat.value - one.defeat.value_by >= one.defeat.at_least > 0


def test_the_order_in_which_results_come_decides_nothing(tmp_path: Path, searched: dict[str, Any]) -> None:
    plan = plan_of(searched)
    found = [
        drive(plan, tmp_path / f"{n_slots}-{order}", n_slots=n_slots, order=order)
        for n_slots, order in ((1, 0), (2, 1), (7, 2), (50, 3))
    ]
    assert len({frozenset(done) for _, done in found}) == 1
    records = [search.record().configurations for search, _ in found]
    assert all(record == records[0] for record in records)


@pytest.mark.parametrize("at_most", [1, 17, 30])
def test_a_search_that_goes_on_does_what_one_does_that_was_never_interrupted(
    tmp_path: Path, searched: dict[str, Any], at_most: int
) -> None:
    plan = plan_of(searched)
    whole, done = drive(plan, tmp_path / "whole")
    _, part = drive(plan, tmp_path / "run", at_most=at_most)
    resumed, rest = drive(plan, tmp_path / "run", known=part, order=5)
    assert rest.keys() == done.keys()
    assert resumed.record().configurations == whole.record().configurations
    (tmp_path / "killed").mkdir()  # what it knew of its own course is gone with it
    again, rest = drive(plan, tmp_path / "killed", known=part, order=6)
    assert rest.keys() == done.keys()
    assert again.record().configurations == whole.record().configurations


def test_a_swept_grid_is_searched_without_making_anything(tmp_path: Path, searched: dict[str, Any]) -> None:
    plan = plan_of(searched)
    known = {trial.id: planted_outcome(trial) for trial in plan.trials}
    search, done = drive(plan, tmp_path / "run", known=known)
    assert done == known
    assert left(search) == [{"sample_steps": 4, "sample_guide_scale": 2.0}]
    assert search.left_out() == {}


def test_every_trial_that_was_not_made_says_why(tmp_path: Path, searched: dict[str, Any]) -> None:
    plan = plan_of(searched, search={"trials": 36})
    search, done = drive(plan, tmp_path / "run")
    reasons = search.left_out()
    assert reasons.keys() == {trial.id for trial in plan.trials} - done.keys()
    assert len(done) <= 36
    known = {
        "beaten by sample_steps 4, sample_guide_scale 2.0 after ",
        "others were as good or better in the first ",
        "not proposed before the budget of 36 trials was spent",
        "the budget of 36 trials was spent",
    }
    assert {reason for reason in reasons.values() if not reason.startswith(tuple(known))} == set()


def test_an_interrupted_search_leaves_open_what_it_had_not_decided(
    tmp_path: Path, searched: dict[str, Any]
) -> None:
    search, _ = drive(plan_of(searched), tmp_path / "run", at_most=10)
    assert search.left_out() == {}
    record = read_search(tmp_path / "run")
    assert record is not None
    assert record.ending is None


def test_a_greater_budget_goes_on_with_those_that_were_proposed(
    tmp_path: Path, searched: dict[str, Any]
) -> None:
    grid = {"sample_steps": list(range(1, 9)), "sample_guide_scale": [1.0, 2.0, 3.0]}
    first, done = drive(plan_of(searched, grid=grid, search={"trials": 40}), tmp_path / "run")
    more, rest = drive(plan_of(searched, grid=grid, search={"trials": 80}), tmp_path / "run", known=done)
    proposed = [one.params for one in first.record().configurations if one.fate != "not proposed"]
    assert [one.params for one in more.record().configurations][: len(proposed)] == proposed
    assert len(rest) <= 80
    assert len(rest) > len(done)


def test_one_that_never_gives_a_value_ends_early(tmp_path: Path, searched: dict[str, Any]) -> None:
    def outcome(trial: PlannedTrial) -> Trial:
        broken = trial.params["sample_steps"] == 4
        return result_of(trial, None, failure="crashed") if broken else planted_outcome(trial)

    plan = plan_of(searched)
    search, done = drive(plan, tmp_path / "run", outcome)
    fates = {one.fate for one in search.record().configurations if one.params["sample_steps"] == 4}
    assert fates <= {"without values", "beaten"}
    n_broken = sum(trial.failure is not None for trial in done.values())
    assert n_broken < 2 * 20
    assert left(search) == [{"sample_steps": 3, "sample_guide_scale": 2.0}]
    assert any("no value of planted.error" in reason for reason in search.left_out().values())


@pytest.mark.parametrize(("budget", "price"), [({"hours": 0.3}, {}), ({"money": 0.6}, {"default": 2.0})])
def test_hours_and_money_are_not_overspent(
    tmp_path: Path, searched: dict[str, Any], budget: dict[str, float], price: dict[str, float]
) -> None:
    execution = {"executor": "in_process", "price_per_hour": price}
    plan = plan_of(searched, search=budget, execution=execution)
    search, done = drive(plan, tmp_path / "run")  # 36 s each: 0.3 hours are 30 trials
    assert 15 <= len(done) <= 30
    assert search.record().n_affordable == 30
    assert left(search)


def test_a_budget_of_hours_for_the_whole_grid_leaves_nobody_out(
    tmp_path: Path, searched: dict[str, Any]
) -> None:
    """As one of so many trials does."""
    speech = [{"text": f"word {k}"} for k in range(3)]
    plan = plan_of(searched, inputs={"speech": speech}, search={"hours": 0.19})  # 36 s each: 19 of 18 trials
    search, done = drive(plan, tmp_path / "run")
    assert {one.fate for one in search.record().configurations} == {"racing"}
    assert (len(done), search.left_out()) == (18, {})


def test_a_budget_that_is_not_spent_is_not_called_spent(tmp_path: Path, searched: dict[str, Any]) -> None:
    speech = [{"text": f"word {k}"} for k in range(6)]
    plan = plan_of(searched, inputs={"speech": speech}, search={"trials": 22})
    search, done = drive(plan, tmp_path / "run")
    assert len(done) == 21
    assert search.record().ending == "too little was left of the budget for another round"
    assert {reason.removesuffix("too little was left of the budget of 22 trials") for reason in search.left_out().values()} == {
        "not proposed before ",
        "others were as good or better in the first 3 blocks, and ",
    }  # fmt: skip


def test_one_that_is_left_without_a_value_is_not_called_the_best(
    tmp_path: Path, searched: dict[str, Any]
) -> None:
    speech = [{"text": f"word {k}"} for k in range(12)]
    plan = plan_of(searched, inputs={"speech": speech}, search={"hours": 0.49})
    search, _ = drive(plan, tmp_path / "run", lambda trial: result_of(trial, None))
    assert set(search.left_out().values()) == {
        "no value of planted.error in the first 8 blocks",
        "no configuration had a value of planted.error by then",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grid": {"sample_steps": [2]}}, "the grid has one configuration"),
        ({"evaluators": ["technical"]}, "searches for the best planted.error, which is not measured here"),
        ({"search": {"trials": 3}}, "a race needs 6 trials to compare any two configurations, not 3"),
        ({"search": {"money": 3}}, "a budget of money needs a price"),
        (
            {"inputs": {"speech": [{"text": "a"}, {"text": "b"}]}},
            "no configuration could ever be dropped, so this search would make the whole grid",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_sentence(
    tmp_path: Path, searched: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Search(plan_of(searched, **changes), tmp_path)


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        ("technical.fps", "the best technical.fps, of which neither more nor less is better"),
        ("rating.mos", "the best rating.mos, which people give when the videos are made"),
    ],
)
def test_what_has_no_best_or_no_value_yet_is_not_searched_for(
    tmp_path: Path, searched: dict[str, Any], quality: str, words: str
) -> None:
    policy = tmp_path / "other.yaml"
    policy.write_text(POLICY.replace(f"quality: {QUALITY}", f"quality: {quality}"), "utf-8")
    plan = plan_of(searched, policy=str(policy), evaluators=["planted", "technical"])
    with pytest.raises(UsageError, match=words):
        Search(plan, tmp_path)
