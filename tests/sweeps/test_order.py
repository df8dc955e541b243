"""In which order trials are done: whole blocks, at random, the same again, and no drift looks like a difference."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
import scipy.signal
import scipy.stats

from evalkit.runs import Input
from evalkit.sweeps.order import order_trials, seed_of_order
from evalkit.sweeps.plan import PlannedInput, PlannedTrial, expand_grid, plan_trials

GENERATOR = {"name": "reference", "version": "1", "settings": {}}


def a_plan(n_configurations: int, n_portraits: int, n_speech: int, n_seeds: int = 1) -> list[PlannedTrial]:
    portraits = [PlannedInput(Input(f"p{k}", f"p{k}"), {}) for k in range(n_portraits)]
    speech = [PlannedInput(Input(f"s{k}", f"s{k}"), {}) for k in range(n_speech)]
    return plan_trials(
        expand_grid({"sample_steps": list(range(n_configurations))}),
        portraits,
        speech,
        list(range(n_seeds)),
        generator=GENERATOR,
        contents={},
    )


def block_of(trial: PlannedTrial) -> tuple[object, ...]:
    return trial.portrait, trial.speech, trial.seed


def steps_of(trial: PlannedTrial) -> int:
    return int(trial.params["sample_steps"])


def test_every_block_is_whole_and_every_trial_is_done_once() -> None:
    plan = a_plan(3, 2, 4, 2)
    ordered = order_trials(plan, 7)
    assert sorted(trial.id for trial in ordered) == sorted(trial.id for trial in plan)
    blocks = [ordered[start : start + 3] for start in range(0, len(ordered), 3)]
    assert [len({block_of(trial) for trial in block}) for block in blocks] == [1] * 16
    assert [{steps_of(trial) for trial in block} for block in blocks] == [{0, 1, 2}] * 16
    # so a sweep that is ended anywhere has all configurations on all inputs it has, but for one block
    for n_done in range(len(ordered)):
        n_each = Counter(steps_of(trial) for trial in ordered[:n_done])
        assert max(n_each.values(), default=0) - min(n_each[steps] for steps in range(3)) <= 1


def test_the_order_is_that_of_the_plan_and_its_seed() -> None:
    plan = a_plan(3, 2, 4)
    ids = [trial.id for trial in plan]
    assert seed_of_order(ids) == seed_of_order(reversed(ids))
    assert seed_of_order(ids) != seed_of_order(ids[1:])
    assert order_trials(plan, 7) == order_trials(plan, 7) != order_trials(plan, 8)


def test_each_configuration_comes_first_as_often_as_any_and_so_does_each_input() -> None:
    plan = a_plan(4, 1, 5)
    firsts = [[order_trials(plan, seed)[start] for start in range(0, 20, 4)] for seed in range(1000)]
    n_first = Counter(steps_of(trial) for first in firsts for trial in first)
    # 5000 draws of one of four: 1250 each, 4 standard deviations are 122
    assert all(abs(n_first[steps] - 1250) < 122 for steps in range(4))
    n_input = Counter(first[0].speech for first in firsts)
    assert all(abs(n - 200) < 51 for n in n_input.values())  # 1000 draws of one of five, likewise
    # what comes first in one block says nothing of the next: 4000 pairs, a quarter of them alike
    alike = sum(steps_of(a) == steps_of(b) for first in firsts for a, b in pairwise(first))
    assert abs(alike - 1000) < 110


def test_trials_that_are_made_together_stay_together_inside_their_seed() -> None:
    plan = a_plan(3, 1, 4, 2)
    ordered = order_trials(plan, 7, batches=True)
    batches = [ordered[start : start + 4] for start in range(0, len(ordered), 4)]
    assert [len({(steps_of(trial), trial.seed) for trial in batch}) for batch in batches] == [1] * 6
    assert [len({trial.seed for trial in ordered[start : start + 12]}) for start in (0, 12)] == [1, 1]
    orders = {
        tuple(steps_of(trial) for trial in order_trials(plan, seed, batches=True)[:12:4])
        for seed in range(99)
    }
    assert len(orders) == 6


@pytest.mark.parametrize("n_configurations", [2, 9])
def test_a_machine_that_drifts_makes_no_equal_configurations_differ(n_configurations: int) -> None:
    """Load of 5 %, AR(1) with .98: two equal configurations, 30 inputs, a plain paired t-test."""
    plan = a_plan(n_configurations, 1, 30)
    place = {trial.id: k for k, trial in enumerate(plan)}
    rng = np.random.default_rng(20261129)
    n_runs, rho = 1000, 0.98
    false = dict.fromkeys(("interleaved", "one after the other"), 0)
    for seed in range(n_runs):
        innovations = rng.normal(0, 0.05 * np.sqrt(1 - rho**2), len(plan))
        innovations[0] = rng.normal(0, 0.05)  # begins where it may be at any moment
        load = scipy.signal.lfilter([1], [1, -rho], innovations)
        for name, ordered in (("interleaved", order_trials(plan, seed)), ("one after the other", plan)):
            times_s = np.empty(len(plan))
            times_s[[place[trial.id] for trial in ordered]] = 10 * (1 + load)
            first, second = times_s.reshape(n_configurations, 30)[:2]
            false[name] += scipy.stats.ttest_rel(first, second).pvalue < 0.05
    assert false["interleaved"] / n_runs <= 0.06
    assert false["one after the other"] / n_runs > 0.40


def test_a_block_needs_neither_portrait_nor_speech_nor_seed() -> None:
    for portrait, speech in product((None, PlannedInput(Input("a", "a"), {})), repeat=2):
        plan = plan_trials(
            expand_grid({"sample_steps": [0, 1]}),
            [] if portrait is None else [portrait],
            [] if speech is None else [speech],
            [None, 1],
            generator=GENERATOR,
            contents={},
        )
        ordered = order_trials(plan, 3)
        assert [len({trial.seed for trial in ordered[k : k + 2]}) for k in (0, 2)] == [1, 1]
