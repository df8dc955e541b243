"""Sign-off: what passes, what fails closed, who may waive, and what is left behind."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from evalkit.analysis.table import ResultTable
from evalkit.decisions.judge import Grade, RuleResult, Status
from evalkit.decisions.ledger import ledger_entry
from evalkit.decisions.policy import Policy, load_policy
from evalkit.decisions.signoff import Decision, Signoff, sign_off
from evalkit.decisions.waivers import RUN_COMPLETE, Waiver
from evalkit.errors import UsageError
from evalkit.reports.junit import junit_xml
from evalkit.reports.signoff_page import render_signoff
from evalkit.runs.ratings.records import Origin
from evalkit.testing.ratings import with_scores
from evalkit.testing.tables import make_table
from evalkit.views.signoff import signoff_view
from evalkit.visuals.page import theme_script

NOW = dt.datetime(2026, 2, 1, 12, 0, tzinfo=dt.UTC)
GOOD = np.linspace(0.1, 0.2, 20)


def table_of(values: Sequence[float | None] | np.ndarray, **more: Any) -> ResultTable:
    return make_table({"lip_sync.error": list(values)}, n_portraits=1, **more)


def policy_of(*rules: dict[str, Any]) -> Policy:
    filled = [{"why": "a gate", **rule} for rule in rules]
    return Policy.model_validate(
        {
            "name": "p",
            "title": "P",
            "quality": "lip_sync.error",
            "costs": ["profile.total_s"],
            "rules": filled,
        }
    )


def judge_one(values: Sequence[float | None] | np.ndarray, **rule: Any) -> RuleResult:
    policy = policy_of({"metric": "lip_sync.error", **rule})
    (line,) = sign_off(table_of(values), policy, now=NOW).lines
    return line


def test_a_run_within_its_limits_passes() -> None:
    line = judge_one(GOOD, at_most=0.3)
    assert (line.status, line.evidence) == (Status.PASS, "met")
    assert line.value == pytest.approx(0.15)
    assert (line.n, line.n_attempted) == (20, 20)


@pytest.mark.parametrize(
    ("values", "rule", "evidence"),
    [
        (GOOD + 0.3, {"at_most": 0.3}, "the value is beyond the limit"),
        (GOOD, {"at_least": 0.16, "at_most": 0.9}, "the value is beyond the limit"),
        (GOOD, {"at_most": 0.16}, "20 clips cannot exclude that it is as high as 0.165"),
        (GOOD, {"at_least": 0.14, "at_most": 0.9}, "20 clips cannot exclude that it is as low as 0.135"),
        (
            GOOD,
            {"at_most": 0.16, "dead_band": 0.02},
            "closer to the limit than the dead band of 0.02: too close",
        ),
        (GOOD, {"at_most": 0.3, "min_n": 21}, "20 of the 21 clips needed"),
        (GOOD[:4], {"at_most": 0.3}, "the interval must pass, and there is none: 4 of the 5 values"),
        (GOOD, {"at_most": 0.199, "per": "clip"}, "missed by 1 of 20 clips: p0 × s19"),
        ([None] * 6, {"at_most": 0.3}, "not measured: no face was found in enough frames (6)"),
        (
            [*GOOD, None, None],
            {"at_most": 0.3},
            "only 20 of 22 clips have a value: no face was found in enough frames (2)",
        ),
    ],
)
def test_each_way_to_fail(values: Any, rule: dict[str, Any], evidence: str) -> None:
    line = judge_one(values, **rule)
    assert line.status is Status.FAIL
    assert evidence in line.evidence


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (GOOD, {"at_most": 0.155, "judged_by": "value"}),
        (GOOD[:19], {"at_most": 0.3, "judged_by": "value"}),
        (GOOD, {"at_most": 0.2, "per": "clip"}),
        ([*GOOD, None, None], {"at_most": 0.3, "min_coverage": 0.9}),
        (GOOD, {"at_most": 0.3, "dead_band": 0.1}),
        (np.full(20, 0.1), {"at_most": 0.3}),
    ],
)
def test_what_a_rule_allows_passes(values: Any, rule: dict[str, Any]) -> None:
    assert judge_one(values, **rule).status is Status.PASS


def test_a_soft_rule_warns_and_does_not_fail() -> None:
    policy = policy_of(
        {"metric": "lip_sync.error", "at_most": 0.1, "kind": "soft"},
        {"metric": "lip_sync.error", "at_most": 0.3},
    )
    verdict = sign_off(table_of(GOOD), policy, now=NOW)
    assert {line.kind: line.status for line in verdict.lines} == {"soft": Status.WARN, "hard": Status.PASS}
    assert verdict.decision is Decision.PASS
    assert verdict.answer == "PASS: 1 of 1 gate passes; 1 warning."


def test_the_error_rate_is_that_of_the_attempts() -> None:
    table = table_of(np.full(598, 0.1))
    broken = replace(table.rows[0], values={}, failure="generate failed: hang")
    policy = policy_of({"metric": "profile.error_rate", "at_most": 0.005})
    assert sign_off(table, policy, now=NOW).decision is Decision.PASS
    (line,) = sign_off(replace(table, rows=(broken, *table.rows[1:])), policy, now=NOW).lines
    assert (line.grade, line.value) == (Grade.TOO_FEW_CLIPS, 1 / 598)
    # rule of three: no failure in 598 attempts leaves up to 0.6 % possible (two-sided: 1 - 0.025 ** (1 / 598))
    interval = sign_off(table, policy, now=NOW).lines[0].interval
    assert interval == pytest.approx((0.0, 0.00615), abs=1e-5)
    (short,) = sign_off(replace(table, rows=table.rows[:50]), policy, now=NOW).lines
    assert short.evidence == "50 of the 598 attempts that can show 0.5 %"


def test_opinions_have_raters_as_their_n_and_simulated_ones_are_called_so() -> None:
    policy = policy_of({"metric": "rating.mos", "at_least": 4.0, "judged_by": "value", "min_n": 20})
    table = table_of(GOOD)
    for n, status in ((20, Status.PASS), (19, Status.FAIL)):
        rated = with_scores(table, np.full((len(GOOD), n), 4.1), origins=[Origin.SIMULATED] * 3)
        signoff = sign_off(rated, policy, now=NOW)
        (line,) = signoff.lines
        assert (line.status, line.n) == (status, n)
        assert line.evidence.endswith(f"by {n} raters (3 simulated)")
        assert ledger_entry(signoff)["gates"][0]["raters"] == f"{n} raters (3 simulated)"


def test_customer_service_fails_closed_on_what_is_not_measured() -> None:
    verdict = sign_off(table_of(GOOD), load_policy("customer_service"), now=NOW)
    assert verdict.decision is Decision.FAIL
    lines = {line.metric: line for line in verdict.lines}
    assert lines["lip_sync.error"].status is Status.PASS
    for metric in ("brand.fidelity", "profile.peak_vram_share"):
        assert lines[metric].evidence == "not measured: not in the run (20)"
    assert (
        lines["rating.mos"].evidence
        == "not measured: nobody has rated it; evalkit rate serve RUN asks people"
    )
    assert (
        verdict.answer == "FAIL: 1 of 10 gates passes, 2 have too few clips, 7 are not measured; 1 warning."
    )


def test_an_unfinished_run_fails() -> None:
    table = table_of(GOOD, missing=("trial ab has no result yet",))
    verdict = sign_off(table, policy_of({"metric": "lip_sync.error", "at_most": 0.3}), now=NOW)
    assert verdict.decision is Decision.FAIL
    assert verdict.lines[0].metric == RUN_COMPLETE
    assert "1 without one: trial ab has no result yet" in verdict.lines[0].evidence


def test_nothing_to_judge_is_refused() -> None:
    policy = policy_of({"metric": "lip_sync.error", "at_most": 0.3})
    with pytest.raises(UsageError, match="nothing to judge, it has no clip"):
        sign_off(ResultTable("empty", (), {}), policy)


def test_several_configurations_are_refused() -> None:
    parts = [table_of(GOOD, params={"steps": steps}) for steps in (3, 4)]
    table = replace(parts[0], rows=parts[0].rows + parts[1].rows)
    with pytest.raises(UsageError, match=r"holds 2 configurations .* --where steps=3"):
        sign_off(table, policy_of({"metric": "lip_sync.error", "at_most": 0.3}))


def waiver(
    policy: Policy,
    metric: str = "lip_sync.error",
    expires: str = "2026-03-01",
    value: float | None = 1.0,
    run: str = "run",
) -> Waiver:
    return Waiver(
        metric=metric,
        run=run,
        policy=policy.content_hash[:8],
        value=value,
        name="Ann",
        reason="pilot",
        expires=dt.date.fromisoformat(expires),
    )


TWO_GATES = policy_of(
    {"metric": "lip_sync.error", "at_most": 0.3}, {"metric": "technical.sharpness", "at_least": 0.5}
)


def waived(*waivers: Waiver, level: float = 0.5) -> Signoff:
    columns = {"lip_sync.error": GOOD + level, "technical.sharpness": GOOD + 0.7}
    return sign_off(make_table(columns, n_portraits=1), TWO_GATES, waivers, now=NOW)


def test_a_waiver_lets_a_miss_pass_and_says_so() -> None:
    verdict = waived(waiver(TWO_GATES))
    assert verdict.decision is Decision.PASS_WITH_WAIVERS
    assert "waived by Ann until 2026-03-01: pilot" in verdict.lines[0].evidence
    assert verdict.answer == "PASS WITH WAIVERS: 1 of 2 gates passes, 1 is waived by Ann."


def test_an_expired_waiver_is_none() -> None:
    verdict = waived(waiver(TWO_GATES, expires="2026-01-31"))
    assert verdict.decision is Decision.FAIL
    assert "the waiver of Ann does not hold: it expired on 2026-01-31" in verdict.lines[0].evidence


def test_a_waiver_holds_through_its_last_day() -> None:
    assert waived(waiver(TWO_GATES, expires="2026-02-01")).decision is Decision.PASS_WITH_WAIVERS


def test_a_waiver_that_is_not_needed_is_listed() -> None:
    verdict = waived(waiver(TWO_GATES), level=0.0)
    assert verdict.decision is Decision.PASS
    assert verdict.unused_waivers == (waiver(TWO_GATES),)


def test_all_gates_waived_is_no_pass() -> None:
    policy = policy_of({"metric": "lip_sync.error", "at_most": 0.3})
    verdict = sign_off(table_of(GOOD + 0.5), policy, [waiver(policy)], now=NOW)
    assert verdict.answer == (
        "FAIL: 0 of 1 gate passes, 1 is waived by Ann: where every gate is waived nothing was shown."
    )


def test_a_policy_without_a_hard_rule_passes_nothing() -> None:
    policy = policy_of({"metric": "lip_sync.error", "at_most": 0.3})
    soft = tuple(rule.model_copy(update={"kind": "soft"}) for rule in policy.rules)
    verdict = sign_off(table_of(GOOD), policy.model_copy(update={"rules": soft}), now=NOW)
    assert verdict.answer == "FAIL: the policy has no hard rule, so nothing was shown."


def test_what_made_it_stricter_is_noted() -> None:
    policy = policy_of({"metric": "lip_sync.error", "at_most": 0.3})
    table = replace(table_of(GOOD), look=2, n_candidates=9, notes=("a note of the run",))
    notes = sign_off(table, policy, now=NOW).notes
    assert [note.partition(":")[0] for note in notes] == [
        "speaks of 1 portrait, 20 pieces of speech, 1 seed; of no other portrait or seed",
        "Look 2 at this run",
        "One of 9 configurations",
        "a note of the run",
    ]
    assert len(sign_off(table_of(GOOD), policy, now=NOW).notes) == 1


def hostile() -> Signoff:
    """Judge a run whose names are written to break out of XML and HTML."""
    table = table_of(GOOD, title="<script>alert(1)</script>")
    rows = tuple(replace(row, name='<b a="&\x00\x1b">') for row in table.rows)
    policy = policy_of(
        {"metric": "lip_sync.error", "at_most": 0.15, "per": "clip", "why": "]]> & <x>"},
        {"metric": "lip_sync.error", "at_most": 0.1, "kind": "soft"},
        {"metric": "rating.mos", "at_least": 4},
        {"metric": "technical.sharpness", "at_least": 0.5},
    )
    granted = waiver(policy, "rating.mos", value=None, run=table.title)
    return sign_off(replace(table, rows=rows), policy, [granted], now=NOW)


def test_junit_is_valid_whatever_the_names() -> None:
    root = ET.fromstring(junit_xml(signoff_view(hostile())))  # noqa: S314 - our own
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert len(cases) == 4
    failure = cases["lip_sync.error at most 0.15 in every clip"].find("failure")
    assert failure is not None
    assert '<b a="&\ufffd\ufffd">' in str(failure.get("message"))
    assert (failure.get("type"), failure.text) == ("fails", "]]> & <x>")
    absent = cases["technical.sharpness at least 0.5"].find("failure")
    assert absent is not None
    assert absent.get("type") == "not measured"
    assert cases["rating.mos at least 4"].find("skipped") is not None
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["judged"] == "<script>alert(1)</script>"


def test_the_page_escapes_names_and_needs_nothing_from_outside() -> None:
    text = render_signoff(signoff_view(hostile())).replace(f"<script>{theme_script()}</script>", "")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "http:" not in text
    assert "https:" not in text
    assert text.count("<tr>") == 5
    assert "FAIL" in text


def test_json_is_plain_data_with_evidence() -> None:
    plain = json.loads(signoff_view(hostile()).to_json())
    assert plain["decision"] == "FAIL"
    assert {gate["status"] for gate in plain["gates"]} == {"fail", "warn", "waived"}


def test_the_frame_has_a_row_a_rule_and_the_page_in_a_notebook_is_escaped() -> None:
    verdict = hostile()
    frame = verdict.frame()
    assert frame["metric"].tolist() == [line.metric for line in verdict.lines]
    assert set(frame["grade"]) == {"fails", "not measured"}
    assert frame.set_index("metric").loc["technical.sharpness", "n"] == 0
    html = verdict._repr_html_()
    assert "<b a=" not in html
    assert "&lt;b a=" in html
    assert len(repr(verdict)) < 200
