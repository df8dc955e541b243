"""Which configuration: planted winners, nothing good enough, and what nobody measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.analysis.table import ResultTable
from evalkit.decisions.policy import Policy
from evalkit.decisions.recommend import Outcome, Recommendation, recommend
from evalkit.errors import UsageError
from evalkit.testing.tables import make_table

GATE = {"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"}


def policy_of(*rules: dict[str, Any]) -> Policy:
    return Policy.model_validate(
        {
            "name": "p",
            "title": "P",
            "quality": "lip_sync.error",
            "costs": ["profile.total_s", "profile.peak_vram_mib", "profile.peak_rss_mib"],
            "rules": rules,
        }
    )


def sweep(levels: Sequence[tuple[int, float, float]], n: int = 8) -> ResultTable:
    """Plant the error and the time of each number of steps; the same inputs everywhere."""
    spread = np.linspace(-0.01, 0.01, n)
    parts = [
        make_table(
            {
                "lip_sync.error": error + spread,
                "profile.total_s": seconds + spread,
                "profile.peak_rss_mib": np.full(n, 900.0),
            },
            params={"sample_steps": steps, "size": "384*256"},
        )
        for steps, error, seconds in levels
    ]
    return replace(parts[0], rows=tuple(row for part in parts for row in part.rows))


def chosen(found: Recommendation) -> Any:
    return None if found.chosen is None else found.chosen.params


def test_the_cheapest_that_is_good_enough_is_recommended() -> None:
    table = sweep([(2, 0.4, 10.0), (3, 0.25, 15.0), (4, 0.2, 20.0)])
    found = recommend(table, policy_of(GATE))
    assert found.outcome is Outcome.RECOMMENDED
    assert chosen(found) == {"sample_steps": 3}
    assert found.other is not None
    assert found.other.params == {"sample_steps": 4}
    assert [axis.name for axis in found.axes] == [
        "lip_sync.error",
        "profile.total_s",
        "profile.peak_rss_mib",
    ]
    assert [one.on_front for one in found.candidates] == [True, True, True]
    assert found.answer == (
        "Use sample_steps 3: 2 of 3 configurations keep every limit, and of these it costs least "
        "(profile.total_s 15 s). Beside sample_steps 4, the best in quality: "
        "lip_sync.error +0.05 [0.05, 0.05] (+25 %); profile.total_s -5 s [-5, -5] (-25 %); "
        "profile.peak_rss_mib 0 MiB [0, 0] (0 %)."
    )


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
    assert found.nearest.distance == pytest.approx(1 / 3)
    assert found.answer == (
        "None of 3 configurations passes. Nearest is sample_steps 3: lip_sync.error 0.4 instead of at most 0.3."
    )


def test_fewer_misses_are_nearer_than_smaller_ones() -> None:
    policy = policy_of(GATE, {"metric": "profile.total_s", "at_most": 12, "why": "patience"})
    found = recommend(sweep([(2, 0.9, 10.0), (3, 0.31, 12.5)]), policy)
    assert found.nearest is not None
    assert found.nearest.params == {"sample_steps": 2}


def test_what_nobody_measured_makes_it_provisional_and_is_named() -> None:
    policy = policy_of(GATE, {"metric": "rating.mos", "at_least": 4.0, "why": "people"})
    found = recommend(sweep([(3, 0.25, 15.0), (4, 0.2, 20.0)]), policy)
    assert found.outcome is Outcome.PROVISIONAL
    assert found.unmeasured == ("rating.mos",)
    assert "keep every limit that was measured" in found.answer
    assert found.answer.endswith("Not measured in any configuration, so not yet to be released: rating.mos.")


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
    assert (found.candidates[0].absent, found.candidates[0].n_failed) == (("lip_sync.error",), 8)
    assert found.candidates[0].on_front is False


def test_with_nothing_measured_nothing_is_recommended() -> None:
    found = recommend(
        sweep([(3, 0.25, 15.0)]), policy_of({"metric": "rating.mos", "at_least": 4, "why": "people"})
    )
    assert (found.outcome, found.chosen) == (Outcome.NONE, None)
    assert found.answer == (
        "The only configuration does not pass. Not measured in any configuration: rating.mos."
    )


def test_few_clips_do_not_keep_a_sweep_from_choosing() -> None:
    found = recommend(sweep([(3, 0.25, 15.0)], n=2), policy_of({**GATE, "min_n": 20}))
    assert found.answer == (
        "Use one configuration: the only configuration, and it keeps every limit (profile.total_s 15 s). "
        "Sign-off needs more clips to judge lip_sync.error."
    )


def test_soft_rules_do_not_decide() -> None:
    found = recommend(sweep([(3, 0.35, 15.0)]), policy_of({**GATE, "kind": "soft"}, {**GATE, "at_most": 0.5}))
    assert found.outcome is Outcome.RECOMMENDED


def test_no_clip_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to recommend"):
        recommend(ResultTable("empty", (), {}), policy_of(GATE))


def test_a_prompt_with_full_stops_stays_whole() -> None:
    table = sweep([(3, 0.25, 15.0), (4, 0.2, 20.0)])
    prompts = {3: "A woman smiles. She nods", 4: "A man. Waits: 3 s; then <b>"}
    rows = tuple(
        replace(row, params={"prompt": prompts[int(str(row.params["sample_steps"]))]}) for row in table.rows
    )
    found = recommend(replace(table, rows=rows), policy_of(GATE))
    assert found.headline == (
        "Use prompt A woman smiles. She nods: 2 of 2 configurations keep every limit, and of these it costs least "
        "(profile.total_s 15 s)."
    )
    assert len(found.details) == 1
    assert found.details[0].startswith(
        "Beside prompt A man. Waits: 3 s; then <b>, the best in quality: lip_sync"
    )
    assert found.answer == " ".join((found.headline, *found.details))
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>" not in found._repr_html_()


def test_a_configuration_that_lacks_values_says_which_and_why() -> None:
    table = sweep([(3, 0.25, 15.0)])
    lacking = replace(table.rows[0], values={}, absent={"lip_sync.error": "no_face"})
    found = recommend(replace(table, rows=(lacking, *table.rows[1:])), policy_of(GATE))
    assert found.answer == (
        "The only configuration does not pass. Nearest is one configuration: "
        "lip_sync.error: only 7 of 8 clips have a value: no face was found in enough frames (1)."
    )


def test_the_frame_has_a_row_a_configuration() -> None:
    found = recommend(sweep([(2, 0.4, 10.0), (3, 0.25, 15.0), (4, 0.2, 20.0)]), policy_of(GATE))
    frame = found.frame()
    assert frame["param.sample_steps"].tolist() == [2, 3, 4]
    assert frame["chosen"].tolist() == [False, True, False]
    assert frame["passing"].tolist() == [False, True, True]
    assert frame["missed"].tolist() == ["lip_sync.error", "", ""]
    assert frame["lip_sync.error"].tolist() == pytest.approx([0.4, 0.25, 0.2])
    assert frame["lip_sync.error.n"].tolist() == [8, 8, 8]
    assert repr(found) == "<Recommendation among 3 configurations, recommended: sample_steps 3>"
