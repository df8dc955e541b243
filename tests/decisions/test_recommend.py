"""Which configuration: planted winners, ties, nothing good enough, and what nobody measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.analysis.table import ResultTable
from evalkit.decisions.judge import Grade
from evalkit.decisions.policy import Policy
from evalkit.decisions.recommend import recommend
from evalkit.decisions.recommendation import Outcome, Recommendation
from evalkit.errors import UsageError
from evalkit.testing.ratings import with_scores
from evalkit.testing.tables import draw_sweep, make_table

GATE = {"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"}
COSTS = ["profile.total_s", "profile.peak_vram_mib", "profile.peak_rss_mib"]


def policy_of(*rules: dict[str, Any], costs: Sequence[str] = COSTS) -> Policy:
    return Policy.model_validate(
        {"name": "p", "title": "P", "quality": "lip_sync.error", "costs": costs, "rules": rules}
    )


def sweep(
    levels: Sequence[tuple[int, float, float]], n: int = 24, *, seed: int = 0, spread: float = 0.01
) -> ResultTable:
    """Plant the error and the time of each number of steps; the same inputs everywhere, a piece of speech each."""
    rng = np.random.default_rng(seed)
    parts = [
        make_table(
            {
                "lip_sync.error": error + rng.normal(0, spread, n),
                "profile.total_s": seconds + rng.normal(0, 0.1, n),
                "profile.peak_rss_mib": np.full(n, 900.0),
            },
            n_portraits=1,
            params={"sample_steps": steps, "size": "384*256"},
        )
        for steps, error, seconds in levels
    ]
    rows = tuple(row for part in parts for row in part.rows)
    return replace(parts[0], rows=rows, n_candidates=len(levels))


def without(table: ResultTable, steps: int, *metrics: str) -> ResultTable:
    """Take metrics away from one number of steps."""
    rows = tuple(
        replace(
            row,
            values={name: value for name, value in row.values.items() if name not in metrics},
            absent=dict.fromkeys(metrics, "no_face"),
        )
        if row.params["sample_steps"] == steps
        else row
        for row in table.rows
    )
    return replace(table, rows=rows)


def names(found: Recommendation) -> list[str]:
    return [one.name for one in found.tied]


def chosen(found: Recommendation) -> Any:
    return None if found.chosen is None else found.chosen.params


def test_the_cheapest_that_passes_is_recommended_and_what_it_gives_up_is_said() -> None:
    found = recommend(sweep([(2, 0.4, 10.0), (3, 0.25, 15.0), (4, 0.2, 20.0)]), policy_of(GATE))
    assert found.outcome is Outcome.RECOMMENDED
    assert chosen(found) == {"sample_steps": 3}
    assert [axis.name for axis in found.axes] == [
        "lip_sync.error",
        "profile.total_s",
        "profile.peak_rss_mib",
    ]
    assert [one.grade for one in found.candidates] == [Grade.FAILS, Grade.PASSES, Grade.PASSES]
    assert found.headline == (
        "Use sample_steps 3: 2 of 3 configurations pass every gate, and of these it costs least "
        "(profile.total_s 15 s)."
    )
    assert found.other is not None
    assert found.other.params == {"sample_steps": 4}
    assert found.details[0].startswith("Beside sample_steps 4, the best in quality: lip_sync.error +0.05")
    saved = next(one for one in found.tradeoffs if one.metric.name == "profile.total_s")
    assert saved.change.value == pytest.approx(-5.0, abs=0.1)
    assert saved.change.interval is not None
    assert saved.change.interval.high < -4.8


def test_costs_that_cannot_be_told_apart_have_no_winner_and_are_named() -> None:
    found = recommend(sweep([(2, 0.2, 10.0), (3, 0.2, 10.0), (4, 0.2, 20.0)]), policy_of(GATE))
    assert (found.outcome, found.chosen, found.nearest) == (Outcome.TIED, None, None)
    assert names(found) == ["sample_steps 2", "sample_steps 3"]
    assert found.headline == (
        "None is clearly the cheapest: 3 of 3 configurations pass every gate, and of these sample_steps 2 and "
        "sample_steps 3 cannot be told apart in profile.total_s over 24 pairs."
    )
    assert found.subject.name == "sample_steps 2"


def test_exact_ties_are_said_to_be_exact() -> None:
    table = sweep([(2, 0.2, 10.0)])
    copy = tuple(replace(row, params={**row.params, "sample_steps": 3}) for row in table.rows)
    found = recommend(replace(table, rows=(*table.rows, *copy), n_candidates=2), policy_of(GATE))
    assert found.outcome is Outcome.TIED
    assert "sample_steps 2 and sample_steps 3 are exactly alike in profile.total_s." in found.headline


def test_a_difference_below_the_policys_margin_is_a_tie() -> None:
    table = sweep([(2, 0.2, 10.0), (3, 0.2, 10.5)])
    cost = {"metric": "profile.total_s", "at_most": 60, "why": "patience"}
    assert chosen(recommend(table, policy_of(GATE, cost))) == {"sample_steps": 2}
    assert recommend(table, policy_of(GATE, {**cost, "margin": 1.0})).outcome is Outcome.TIED


def test_a_cost_nobody_knows_leaves_a_tie() -> None:
    found = recommend(
        sweep([(2, 0.2, 10.0), (3, 0.2, 12.0)]), policy_of(GATE, costs=["profile.peak_rss_mib"])
    )
    assert found.outcome is Outcome.TIED


def test_what_costs_the_same_more_in_every_clip_is_dearer() -> None:
    table = sweep([(2, 0.2, 10.0)])
    dearer = tuple(
        replace(
            row,
            params={**row.params, "sample_steps": 3},
            values={**row.values, "profile.total_s": row.values["profile.total_s"] + 2.0},
        )
        for row in table.rows
    )
    found = recommend(replace(table, rows=(*table.rows, *dearer), n_candidates=2), policy_of(GATE))
    assert chosen(found) == {"sample_steps": 2}


def test_without_a_cost_of_all_the_quality_decides_by_the_same_rule() -> None:
    policy = policy_of(GATE, costs=["profile.peak_vram_mib"])
    found = recommend(sweep([(2, 0.25, 10.0), (3, 0.2, 15.0)]), policy)
    assert found.headline == (
        "Use sample_steps 3: 2 of 2 configurations pass every gate, and of these it is best in lip_sync.error "
        "(lip_sync.error 0.201)."
    )
    found = recommend(sweep([(2, 0.2, 10.0), (3, 0.2, 15.0)]), policy)
    assert found.headline.startswith("None is clearly the best in lip_sync.error: ")


def test_means_over_different_inputs_are_not_compared() -> None:
    """The dear configuration lacks its cost on the long texts: over what both have, it is the dearer one."""
    table = sweep([(2, 0.2, 10.0), (3, 0.2, 12.0)])
    length = {row.speech: 1.0 + place for place, row in enumerate(table.rows[:24])}
    rows = []
    for row in table.rows:
        values = {**row.values, "profile.total_s": row.values["profile.total_s"] * length[row.speech]}
        if row.params["sample_steps"] == 3 and length[row.speech] > 8:
            del values["profile.total_s"]
        rows.append(replace(row, values=values))
    found = recommend(replace(table, rows=tuple(rows)), policy_of(GATE))
    assert found.decided_by is not None
    assert found.decided_by.n_common == 8
    means = [one.configuration.summary(found.policy.costs[0]).value for one in found.candidates]
    assert means[1] < means[0]  # type: ignore[operator]
    assert chosen(found) == {"sample_steps": 2}


def test_a_configuration_without_all_inputs_is_not_comparable() -> None:
    table = sweep([(2, 0.2, 10.0), (3, 0.2, 20.0)])
    found = recommend(replace(table, rows=table.rows[3:]), policy_of(GATE))
    assert [one.n_lacking for one in found.candidates] == [3, 0]
    assert chosen(found) == {"sample_steps": 3}
    assert found.details[-1] == "Whether sample_steps 2 would pass is not known."


def test_nothing_is_recommended_of_a_run_that_is_not_finished() -> None:
    table = replace(sweep([(2, 0.2, 10.0), (3, 0.2, 20.0)]), missing=("trial abc has no result yet",))
    found = recommend(table, policy_of(GATE))
    assert (found.outcome, found.chosen) == (Outcome.NOT_MEASURED, None)
    assert "run.complete" in found.headline
    assert "trial abc has no result yet" in found.headline


def test_what_is_beaten_everywhere_is_not_on_the_front() -> None:
    found = recommend(sweep([(2, 0.2, 10.0), (3, 0.25, 15.0)]), policy_of(GATE))
    assert [one.on_front for one in found.candidates] == [True, False]
    assert chosen(found) == {"sample_steps": 2}
    assert (found.other, found.tradeoffs) == (None, ())


def test_none_passes_and_the_nearest_is_named() -> None:
    found = recommend(sweep([(2, 0.6, 10.0), (3, 0.4, 15.0), (4, 0.45, 20.0)]), policy_of(GATE))
    assert (found.outcome, found.chosen) == (Outcome.NONE, None)
    assert found.nearest is not None
    assert found.nearest.params == {"sample_steps": 3}
    assert found.nearest.distance == pytest.approx(1 / 3, abs=0.05)
    assert found.headline == "None of 3 configurations passes."
    assert found.details[0].startswith("By its values sample_steps 3 comes nearest: lip_sync.error 0.")


@pytest.mark.parametrize(
    ("n_dropped", "headline"),
    [
        (1, "None of 2 configurations that the search kept passes; 1 more was dropped by it."),
        (2, "The only configuration that the search kept does not pass; 2 more were dropped by it."),
    ],
)
def test_where_a_search_kept_nothing_that_passes_the_rest_is_counted(n_dropped: int, headline: str) -> None:
    found = recommend(sweep([(2, 0.5, 3.0), (3, 0.5, 4.0), (4, 0.5, 5.0)]), policy_of(GATE))
    candidates = tuple(
        replace(one, is_dropped=place < n_dropped) for place, one in enumerate(found.candidates)
    )
    assert replace(found, candidates=candidates).headline == headline


def test_fewer_misses_are_nearer_than_smaller_ones() -> None:
    policy = policy_of(GATE, {"metric": "profile.total_s", "at_most": 12, "why": "patience"})
    found = recommend(sweep([(2, 0.9, 10.0), (3, 0.31, 12.5)]), policy)
    assert found.nearest is not None
    assert found.nearest.params == {"sample_steps": 2}


def test_nothing_is_recommended_while_a_gate_is_unmeasured_and_what_is_known_is_said() -> None:
    policy = policy_of(GATE, {"metric": "rating.mos", "at_least": 4.0, "why": "people"})
    found = recommend(sweep([(2, 0.4, 10.0), (3, 0.2, 15.0), (4, 0.2, 15.0)]), policy)
    assert (found.outcome, found.chosen, found.tied) == (Outcome.NOT_MEASURED, None, ())
    assert found.unmeasured == ("rating.mos",)
    assert found.headline == "Nothing is recommended: rating.mos is not measured."
    assert found.details == (
        "1 of 3 fail a gate: lip_sync.error (1). None is failed by sample_steps 3 and sample_steps 4.",
        "Of these sample_steps 3 and sample_steps 4 cannot be told apart in profile.total_s over 24 pairs.",
    )


def test_no_winner_is_named_while_a_gate_is_unmeasured() -> None:
    policy = policy_of(GATE, {"metric": "rating.mos", "at_least": 4.0, "why": "people"})
    found = recommend(sweep([(3, 0.2, 10.0), (4, 0.2, 20.0)]), policy)
    assert found.answer == "Nothing is recommended: rating.mos is not measured."


def test_what_one_configuration_lacks_counts_against_it() -> None:
    table = sweep([(2, 0.2, 10.0), (3, 0.25, 15.0)])
    rows = tuple(
        replace(row, values={}, failure="generate failed: out_of_memory")
        if row.params["sample_steps"] == 2
        else row
        for row in table.rows
    )
    found = recommend(replace(table, rows=rows), policy_of(GATE))
    assert chosen(found) == {"sample_steps": 3}
    assert (found.candidates[0].grade, found.candidates[0].n_failed) == (Grade.NOT_MEASURED, 24)
    assert found.candidates[0].on_front is False


def test_too_few_clips_are_no_recommendation_and_how_many_are_missing_is_said() -> None:
    found = recommend(sweep([(3, 0.25, 15.0), (4, 0.24, 15.0)], n=5), policy_of({**GATE, "min_n": 19}))
    assert (found.outcome, found.chosen) == (Outcome.TOO_FEW_CLIPS, None)
    assert found.headline == (
        "Nothing is recommended: which of 2 configurations passes cannot be told from 5 clips each."
    )
    assert found.details == (
        "sample_steps 3 and sample_steps 4 cannot be told apart in profile.total_s over 5 pairs.",
        "lip_sync.error needs 19 different clips, and there are 5: add 14 pieces of speech.",
    )


def test_how_many_raters_are_missing_is_said_of_raters() -> None:
    table = with_scores(sweep([(3, 0.25, 15.0)], n=6), np.full((6, 12), 5.0))
    rule = {"metric": "rating.mos", "at_least": 4, "judged_by": "value", "min_n": 20, "why": "a gate"}
    found = recommend(table, policy_of({**GATE, "judged_by": "value", "min_n": 6}, rule))
    assert found.outcome is Outcome.TOO_FEW_CLIPS
    assert "rating.mos needs 20 raters, and there are 12: evalkit rate invite asks 8 more." in found.details


def test_enough_clips_that_are_too_near_the_limit_are_too_few_as_well() -> None:
    found = recommend(sweep([(3, 0.29, 15.0)], n=24, spread=0.08), policy_of(GATE))
    assert found.outcome is Outcome.TOO_FEW_CLIPS
    assert found.details[0].startswith("lip_sync.error: 24 clips cannot exclude")
    assert found.chances["one configuration"] < 0.5


def test_soft_rules_do_not_decide() -> None:
    found = recommend(sweep([(3, 0.35, 15.0)]), policy_of({**GATE, "kind": "soft"}, {**GATE, "at_most": 0.5}))
    assert found.outcome is Outcome.RECOMMENDED
    assert found.headline == (
        "Use one configuration: the only configuration, and it passes every gate (profile.total_s 15 s)."
    )


def test_no_clip_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to recommend"):
        recommend(ResultTable("empty", (), {}), policy_of(GATE))


def test_the_same_input_twice_is_refused() -> None:
    table = sweep([(2, 0.2, 10.0), (3, 0.2, 15.0)])
    with pytest.raises(UsageError, match=r"sample_steps 2: .* are the same input, seed and parameters"):
        recommend(replace(table, rows=(*table.rows, table.rows[0])), policy_of(GATE))


def test_a_prompt_with_full_stops_stays_whole() -> None:
    table = sweep([(3, 0.25, 15.0), (4, 0.2, 20.0)])
    prompts = {3: "A woman smiles. She nods", 4: "A man. Waits: 3 s; then <b>"}
    rows = tuple(
        replace(row, params={"prompt": prompts[int(str(row.params["sample_steps"]))]}) for row in table.rows
    )
    found = recommend(replace(table, rows=rows), policy_of(GATE))
    assert found.headline == (
        "Use prompt A woman smiles. She nods: 2 of 2 configurations pass every gate, and of these it costs least "
        "(profile.total_s 15 s)."
    )
    assert found.details[0].startswith(
        "Beside prompt A man. Waits: 3 s; then <b>, the best in quality: lip_sync"
    )
    assert found.answer == " ".join((found.headline, *found.details))
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>" not in found._repr_html_()


def test_a_configuration_that_lacks_values_says_which_and_why() -> None:
    table = sweep([(3, 0.25, 15.0)])
    lacking = tuple(replace(row, values={}, absent={"lip_sync.error": "no_face"}) for row in table.rows[:3])
    found = recommend(replace(table, rows=(*lacking, *table.rows[3:])), policy_of(GATE))
    assert found.outcome is Outcome.TOO_FEW_CLIPS
    assert "only 21 of 24 clips have a value: no face was found in enough frames (3)" in found.answer


def test_the_frame_has_a_row_a_configuration() -> None:
    found = recommend(sweep([(2, 0.4, 10.0), (3, 0.25, 15.0), (4, 0.2, 20.0)]), policy_of(GATE))
    frame = found.frame()
    assert frame["param.sample_steps"].tolist() == [2, 3, 4]
    assert frame["grade"].tolist() == ["fails", "passes", "passes"]
    assert frame["chosen"].tolist() == [False, True, False]
    assert frame["tied"].tolist() == [False, False, False]
    assert frame["fails"].tolist() == ["lip_sync.error", "", ""]
    assert frame["lip_sync.error"].tolist() == pytest.approx([0.4, 0.25, 0.2], abs=0.01)
    assert frame["lip_sync.error.n"].tolist() == [24, 24, 24]
    assert repr(found) == "<Recommendation among 3 configurations, recommended: sample_steps 3>"


def outcomes(
    n_configurations: int, n_inputs: int, n_sweeps: int, error: float, save: float = 0.0
) -> list[Any]:
    """Recommend in sweeps drawn by chance, all alike but for what the second saves: what came out, and which."""
    rng, policy = np.random.default_rng(7), policy_of(GATE, costs=["profile.total_s"])
    found = []
    for _ in range(n_sweeps):
        table = draw_sweep(n_configurations, n_inputs, rng, error=error)
        rows = tuple(
            replace(
                row,
                values={**row.values, "profile.total_s": row.values["profile.total_s"] * (1 - save)},
            )
            if row.params["sample_steps"] == 1
            else row
            for row in table.rows
        )
        one = recommend(replace(table, rows=rows), policy)
        found.append((one.outcome, None if one.chosen is None else one.chosen.params["sample_steps"]))
    return found


@pytest.mark.parametrize(
    ("n_configurations", "n_inputs", "n_sweeps"), [(9, 5, 100), (50, 5, 30), (9, 20, 100), (9, 40, 60)]
)
def test_of_equals_that_are_all_bad_hardly_one_is_recommended(
    n_configurations: int, n_inputs: int, n_sweeps: int
) -> None:
    found = outcomes(n_configurations, n_inputs, n_sweeps, error=0.34)
    n_wrong = sum(outcome in {Outcome.RECOMMENDED, Outcome.TIED} for outcome, _ in found)
    assert n_wrong <= 0.05 * n_sweeps


@pytest.mark.parametrize(("n_configurations", "n_sweeps"), [(2, 300), (9, 100), (50, 20)])
def test_of_equals_that_are_all_good_hardly_a_single_one_is_named(
    n_configurations: int, n_sweeps: int
) -> None:
    found = outcomes(n_configurations, 20, n_sweeps, error=0.15)
    assert {outcome for outcome, _ in found} <= {Outcome.RECOMMENDED, Outcome.TIED}
    assert sum(outcome is Outcome.RECOMMENDED for outcome, _ in found) <= 0.05 * n_sweeps


def test_one_that_really_costs_a_tenth_less_is_found() -> None:
    found = outcomes(9, 20, 60, error=0.15, save=0.1)
    assert sum(outcome is Outcome.RECOMMENDED for outcome, _ in found) >= 0.75 * 60
    assert {place for outcome, place in found if outcome is Outcome.RECOMMENDED} == {1}
