"""A small part of the simulation, with bounds that a fault breaks; the whole of it: docs/statistics.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evalkit.decisions.policy import Rule
from evalkit.stats import means
from tests.simulation.figures import COVERED, RARE, largest_steps, share, shares
from tests.simulation.page import write_page
from tests.simulation.running import Asked, Figure, Scenario, play, play_all
from tests.simulation.scenarios import SCENARIOS

INDEPENDENT = "Compare: independent pairs, nothing to find: "
SHARED = "Compare: clips that share portraits, texts or seeds, nothing to find: "
FIND = "Compare: something to find: "
GATE = "Sign-off: a gate on the mean (at most 0.30): "


def rate(name: str, outcome: str, n: int = 150) -> float:
    """Return the share of repetitions with an outcome, among those to which it applies."""
    values = play(SCENARIOS[name], range(n))[outcome]
    return float(np.nanmean(values))


@pytest.mark.parametrize("case", ["normal, 20 pairs", "log-normal, 28 pairs", "tied, 20 pairs"])
def test_false_claims_and_coverage_of_independent_pairs(case: str) -> None:
    assert rate(INDEPENDENT + case, "claim") <= 0.08
    assert 0.91 <= rate(INDEPENDENT + case, "covered") <= 0.99


@pytest.mark.parametrize("case", ["4 portraits × 15 texts", "1 portrait × 24 texts × 5 sizes"])
def test_false_claims_and_coverage_of_shared_portraits_and_seeds(case: str) -> None:
    assert rate(SHARED + case, "claim") <= 0.09
    assert rate(SHARED + case, "covered") >= 0.91


def test_a_fault_that_takes_rows_as_independent_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def every_row_its_own(factors: dict, _: object = ()) -> dict:
        n = len(next(iter(factors.values())))
        return {"input": np.arange(n)}

    monkeypatch.setattr(means, "independent_factors", every_row_its_own)
    assert rate(SHARED + "4 portraits × 15 texts", "claim") >= 0.15
    assert rate(SHARED + "4 portraits × 15 texts", "covered") <= 0.85


@pytest.mark.parametrize(
    "case",
    ["2 × 2 inputs × 9 configurations sharing a seed", "3 portraits × 4 texts × 5 seeds"],
)
def test_where_few_inputs_cannot_tell_nothing_is_claimed_and_the_reason_is_said(case: str) -> None:
    outcomes = play(SCENARIOS[SHARED + case], range(40))
    assert not outcomes["claim"].any()
    assert outcomes["reason"].all()


def test_a_planted_difference_is_found() -> None:
    assert rate(FIND + "all of 8 clips leave the policy's limit", "found", 40) == 1.0


def test_a_gate_without_its_fewest_clips_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    name = GATE + "10 % ruined, 8 clips"
    assert rate(name, "passes", 60) == 0.0
    monkeypatch.setattr(Rule, "fewest", property(lambda _: 1))
    assert rate(name, "passes", 60) >= 0.25


@pytest.mark.parametrize(
    ("case", "low", "high"),
    [
        ("normal, mean at the limit, 20 clips", 0.0, 0.06),
        ("34 % at 0.9, 40 clips", 0.0, 0.07),
        ("good (0.25, spread 0.07), 20 clips", 0.75, 1.0),
    ],
)
def test_releases_pass_a_gate_as_often_as_they_should(case: str, low: float, high: float) -> None:
    assert low <= rate(GATE + case, "passes", 250) <= high


def test_equal_and_bad_configurations_are_not_recommended() -> None:
    name = "Recommend: all equal and bad (0.34, limit 0.30), 9 configurations, 20 inputs"
    assert rate(name, "one is recommended", 60) <= 0.07


# the machinery


@pytest.mark.parametrize("section", dict.fromkeys(scenario.section for scenario in SCENARIOS.values()))
def test_every_case_can_be_played(section: str) -> None:
    for scenario in SCENARIOS.values():
        if scenario.section == section:
            figures = scenario.figures(play(scenario, range(2)))
            assert figures
            assert all(figure.n <= 2 for figure in figures)


def test_figures_are_the_same_however_many_processes_share_the_work() -> None:
    names = [INDEPENDENT + "normal, 8 pairs", SHARED + "4 portraits × 15 texts"]
    scenarios = [SCENARIOS[name] for name in names]
    alone, beside = (list(play_all(scenarios, 60, jobs=jobs)) for jobs in (1, 2))
    assert alone == beside
    assert [scenario.name for scenario, _ in alone] == names
    (_, reversed_first), _ = play_all(scenarios[::-1], 60)
    assert reversed_first == alone[1][1]


def test_another_seed_is_another_trial() -> None:
    scenario = Scenario("section", "case", lambda rng: {"drawn": rng.random()}, lambda _: [])
    first, again, other = (play(scenario, range(5), seed)["drawn"] for seed in (0, 0, 1))
    assert (first == again).all()
    assert not (first == other).any()
    assert len(set(first)) == 5


def test_a_share_by_hand() -> None:
    """2 of 10: Clopper-Pearson 2.5 to 55.6 %, as in the tables; what does not apply is not counted."""
    figure = share("claims", np.array([1.0, 1.0, *[0.0] * 8, np.nan]), RARE)
    assert (figure.value, figure.n, figure.is_met) == (0.2, 10, False)
    assert (figure.low, figure.high) == pytest.approx((0.0252, 0.5561), abs=1e-4)
    nothing = share("claims", np.array([np.nan]), RARE)
    assert (nothing.value, nothing.is_met) == (None, True)


def test_the_largest_step_is_found() -> None:
    """Widths 10, 9, 8, 4 from 9 to 12 pairs; power 0, 0, 1, 1."""
    sizes = range(9, 13)
    outcomes = {f"width {n}": np.full(6, w) for n, w in zip(sizes, [10.0, 9.0, 8.0, 4.0], strict=True)}
    outcomes |= {f"claim {n}": np.full(6, c) for n, c in zip(sizes, [0.0, 0.0, 1.0, 1.0], strict=True)}
    figures = largest_steps(sizes)(outcomes)
    assert [(figure.what, figure.value, figure.is_met) for figure in figures[:2]] == [
        ("largest change of the width, from 11 to 12 pairs", -0.5, False),
        ("largest change of power (d = 0.8), from 10 to 11 pairs", 1.0, False),
    ]


def test_the_page_says_what_is_missed_and_why() -> None:
    scenario = Scenario("Section", "a case", lambda _: {}, shares({}))
    asked = Asked(0.0, 0.06, "≤ 6 %")
    met = Figure("claims", 0.06, 0.01, 0.1, 100, asked, "never shown")
    missed = Figure("claims", 0.0601, 0.01, 0.1, 100, asked, "the reason")
    page = write_page([(scenario, [met, missed])], 100, 0)
    assert "**1 of 2 figures are as asked; 1 are missed.**" in page
    assert page.count("**MISSED**: the reason") == 2  # in the list of misses and in its section
    assert "never shown" not in page
    too_wide = Figure("covered", 0.99, 0.98, 1.0, 100, COVERED, "the reason")
    page_of_wide = write_page([(scenario, [too_wide])], 100, 0)
    assert page_of_wide.count("**MISSED**: the interval is wider than it need be") == 2
    assert "| a case | claims | 6.0 % | 1.0 % to 10.0 % | 100 | ≤ 6 % | met |" in page


def test_the_table_in_the_documentation_has_every_case() -> None:
    page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text("utf-8")
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        *(["## Missed"] if "## Missed" in page else []),
        *dict.fromkeys(f"## {scenario.section}" for scenario in SCENARIOS.values()),
    ]
    assert all(f"| {scenario.case} |" in page for scenario in SCENARIOS.values())
