"""Who is screened of those who chose between two clips."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.stats.choice_screening import screen_choices
from tests.rating_simulation.choices import CHEATS, Choices, PairDesign, choose


def _ask(design: PairDesign, seed: int = 0) -> Choices:
    return choose(design, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (np.ones_like, "chose the one shown first in 48 of 48 pairs"),
        (np.zeros_like, "chose the one shown second in 48 of 48 pairs"),
        (lambda own: 1.0 - own, "chooses as the others would in "),
    ],
)
def test_a_cheat_is_told_with_the_figure(change, reason):
    said = _ask(PairDesign(12, (2.0, 3.0, 4.0), n_pairs=48))
    mine = said.raters == 5
    said.outcomes[mine] = change(said.outcomes[mine])
    found = screen_choices(said.raters, said.firsts, said.seconds, said.outcomes)
    assert np.flatnonzero(~found.kept).tolist() == [5]
    assert any(words.startswith(reason) for words in found.reasons[5])


def test_a_failed_check_is_forgiven_where_the_choices_are_like_the_others():
    said = _ask(PairDesign(12, (2.0, 3.0, 4.0), n_pairs=48))
    checks = (np.array([3, 3, 4, 4]), np.array([0.0, 1.0, 0.5, 0.0]))
    found = screen_choices(said.raters, said.firsts, said.seconds, said.outcomes, checks=checks)
    assert found.reasons[3] == ()
    assert found.reasons[4] == ("did not prefer the intact clip to the broken one in 2 of 2 checks",)


def test_a_failed_check_is_not_forgiven_where_nothing_speaks_for_the_rater():
    said = _ask(PairDesign(6, n_pairs=4))
    checks = (np.array([3, 3]), np.array([0.0, 1.0]))
    found = screen_choices(said.raters, said.firsts, said.seconds, said.outcomes, n_raters=7, checks=checks)
    assert found.kept.tolist() == [True, True, True, False, True, True, True]
    assert found.agreement == (None,) * 7
    assert found.note == "7 of 7 raters chose too seldom to be compared with the others"


def test_configurations_that_are_alike_convict_nobody():
    said = _ask(PairDesign(16, (3.0, 3.0, 3.0), n_pairs=24), seed=2)
    assert screen_choices(said.raters, said.firsts, said.seconds, said.outcomes).kept.all()


def test_cheats_are_found_and_honest_raters_kept():
    found, lost = np.zeros(5), 0
    for seed in range(10):
        said = _ask(PairDesign(20, n_pairs=48, cheats=CHEATS), seed)
        kept = screen_choices(said.raters, said.firsts, said.seconds, said.outcomes, checks=said.checks).kept
        found += ~kept[:5]
        lost += int((~kept[5:]).sum())
    assert found[0] >= 8
    assert (found[1:4] >= 9).all()
    assert lost <= 8  # of 150


def test_nobody_at_all():
    none = np.empty(0, dtype=int)
    assert screen_choices(none, none, none, np.empty(0)).kept.size == 0
