"""A release beside the last one: found when planted, silent when not, and honest about what cannot be compared."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from evalkit.analysis.table import ResultTable
from evalkit.decisions.baseline import RUN_BASELINE, Baseline, compare_with_baseline
from evalkit.decisions.comparison import Conclusion
from evalkit.decisions.judge import Grade, Status
from evalkit.decisions.ledger import ledger_entry
from evalkit.decisions.policy import Policy
from evalkit.decisions.signoff import Decision, Signoff, sign_off
from evalkit.errors import UsageError
from evalkit.reports.junit import junit_xml
from evalkit.reports.signoff_page import render_signoff
from evalkit.testing.tables import make_table
from evalkit.views.signoff import signoff_view
from evalkit.visuals.page import PageFrame
from evalkit.words.language import LANGUAGES

NOW = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
N = 40
POLICY = Policy.model_validate(
    {
        "name": "p",
        "title": "P",
        "quality": "lip_sync.error",
        "costs": ["profile.total_s"],
        "rules": [
            {"metric": "lip_sync.error", "at_most": 0.5, "why": "a gate"},
            {"metric": "technical.sharpness", "at_least": 0.2, "why": "a gate"},
            {
                "metric": "lip_sync.offset_ms",
                "at_least": -125,
                "at_most": 45,
                "kind": "soft",
                "why": "BT.1359",
            },
        ],
    }
)


def table(title: str, *, worse: float = 0.0, seed: int = 1, others: bool = False, **more: Any) -> ResultTable:
    rng = np.random.default_rng(seed)
    columns = {
        "lip_sync.error": rng.uniform(0.05, 0.2, N) + worse,
        "technical.sharpness": rng.uniform(0.4, 0.9, N),
        "lip_sync.offset_ms": rng.normal(0, 8, N),
    }
    made = make_table(columns, title=title, n_portraits=N, **more)
    if not others:
        return made

    rows = tuple(replace(row, name=f"new {row.name}", portrait=f"new {row.portrait}") for row in made.rows)
    return replace(made, rows=rows)


def beside(now: ResultTable, before: ResultTable, *, fails: bool = False) -> tuple[Baseline, Signoff]:
    found = compare_with_baseline(now, before, POLICY, fails=fails)
    return found, sign_off(now, POLICY, now=NOW, baseline=found)


def test_worse_than_the_last_release_is_a_warning_though_the_gate_passes() -> None:
    found, verdict = beside(table("now", worse=0.1, seed=2), table("before"))
    assert found.n_pairs == N
    assert [one.metric.name for one in found.found(Conclusion.WORSE)] == ["lip_sync.error"]
    assert found.headline == "Against before, over 40 pairs: worse in lip_sync.error."
    assert verdict.decision is Decision.PASS
    (line,) = [line for line in verdict.lines if line.metric == "lip_sync.error.baseline"]
    assert (line.status, line.kind, line.grade) == (Status.WARN, "soft", Grade.FAILS)
    assert line.evidence.startswith("worse: +0.101 [")
    gate = next(line for line in verdict.lines if line.metric == "lip_sync.error")
    assert gate.grade is Grade.PASSES


def test_what_is_worse_by_the_same_in_every_clip_is_worse() -> None:
    """Equal differences have no spread; forty with one sign are no chance all the same."""
    found, verdict = beside(table("now", worse=0.05), table("before"))
    (line,) = [line for line in verdict.lines if line.metric == "lip_sync.error.baseline"]
    assert (found.n_pairs, line.status) == (N, Status.WARN)
    assert line.evidence.startswith("worse: +0.05 in each of 40 pairs")


def test_it_fails_the_release_where_that_is_asked_and_no_waiver_is_offered() -> None:
    _, verdict = beside(table("now", worse=0.1, seed=2), table("before"), fails=True)
    assert verdict.decision is Decision.FAIL
    assert verdict.waiver_form() == "waivers: []\n"


def test_the_same_values_again_are_no_finding() -> None:
    found, verdict = beside(table("now"), table("before"))
    assert found.found(Conclusion.WORSE) == []
    assert verdict.lines == sign_off(table("now"), POLICY, now=NOW).lines


def test_the_gates_are_judged_as_without_a_baseline() -> None:
    now = table("now", worse=0.1, seed=2)
    _, verdict = beside(now, table("before"))
    alone = sign_off(now, POLICY, now=NOW)
    assert [line for line in verdict.lines if line.rule is not None] == list(alone.lines)


def test_what_became_better_is_no_warning() -> None:
    found, verdict = beside(table("now", seed=2), table("before", worse=0.1))
    assert [one.metric.name for one in found.found(Conclusion.BETTER)] == ["lip_sync.error"]
    assert verdict.decision is Decision.PASS
    assert not any(line.metric.endswith(".baseline") for line in verdict.lines)


def test_without_a_shared_input_the_intervals_are_compared_and_it_is_said() -> None:
    found, verdict = beside(table("now", worse=0.1, seed=2, others=True), table("before"))
    assert found.n_pairs == 0
    assert "by intervals, as no input is shared" in found.headline
    assert [one.metric.name for one in found.found(Conclusion.WORSE)] == ["lip_sync.error"]
    (offset,) = [one for one in found.findings if one.metric.name == "lip_sync.offset_ms"]
    assert offset.finding is Conclusion.NOT_COMPARED
    assert "takes pairs" in offset.text
    assert any(line.metric == "lip_sync.error.baseline" for line in verdict.lines)


def test_intervals_that_overlap_show_nothing() -> None:
    found, _ = beside(table("now", seed=2, others=True), table("before"))
    assert found.found(Conclusion.WORSE, Conclusion.BETTER) == []
    assert found.found(Conclusion.NOT_ENOUGH)


@pytest.mark.parametrize("others", [False, True])
def test_false_alarms_over_200_null_releases(*, others: bool) -> None:
    n_alarms = 0
    for seed in range(200):
        now, before = table("now", seed=2 * seed, others=others), table("before", seed=2 * seed + 1)
        n_alarms += bool(compare_with_baseline(now, before, POLICY).found(Conclusion.WORSE))
    assert n_alarms <= 10  # 4 % of both directions: 8 in 200 are expected at most, 2 % for the worse


def test_versions_that_differ_are_not_compared() -> None:
    old = {"lip_sync": "1", "technical": "1"}
    found, verdict = beside(table("now"), table("before", evaluators=old))
    assert not found.is_compared
    assert all(one.finding is Conclusion.NOT_COMPARED for one in found.findings)
    (line,) = [line for line in verdict.lines if line.metric == RUN_BASELINE]
    assert (line.status, line.grade) == (Status.WARN, Grade.NOT_MEASURED)
    assert "version" in line.evidence
    assert beside(table("now"), table("before", evaluators=old), fails=True)[1].decision is Decision.FAIL


def test_what_could_not_be_compared_is_in_the_sentence() -> None:
    now = table("now")
    found, _ = beside(now, table("before", evaluators={**now.evaluators, "lip_sync": "1"}))
    n_open = len(found.found(Conclusion.NOT_COMPARED))
    assert 0 < n_open < len(found.findings)
    assert f"{n_open} of {len(found.findings)} metrics could not be compared." in found.headline


def test_what_is_no_last_release_is_refused() -> None:
    with pytest.raises(UsageError, match="is what is judged"):
        compare_with_baseline(table("same"), table("same"), POLICY)
    with pytest.raises(UsageError, match="has no clip"):
        compare_with_baseline(table("now"), ResultTable("empty", (), {}), POLICY)


def test_it_is_in_every_record_of_the_verdict() -> None:
    _, verdict = beside(table("now", worse=0.1, seed=2), table("before"))
    assert ledger_entry(verdict)["baseline"] == {"judged": "before", "run": "before"}
    view = signoff_view(verdict)
    plain = json.loads(view.to_json())["baseline"]
    assert plain["findings"][0]["finding"] == "worse"
    assert plain["findings"][0]["difference"]["value"] == pytest.approx(0.101, abs=0.001)
    assert "3 metrics asked at once, with a chance of 4 %" in plain["spent"]
    suite = ET.fromstring(junit_xml(view))  # noqa: S314 - our own
    names = [case.get("name", "") for case in suite.iter("testcase")]
    assert "lip_sync.error.baseline not worse than before (soft)" in names
    assert "baseline" not in ledger_entry(sign_off(table("now"), POLICY, now=NOW))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_it_in_words(language: str) -> None:
    _, verdict = beside(table("now", worse=0.1, seed=2), table("<b>before</b>"))
    page = render_signoff(signoff_view(verdict), frame=PageFrame(language))
    assert {"en": "One thing became worse.", "zh-CN": "有 1 项变差。"}[language] in page
    first = page.partition('class="baseline"')[0]
    assert {
        "en": "Worse than the last release: Lips fit the words.",
        "zh-CN": "比上次发布差：口型与台词相符。",
    }[language] in first
    assert "<b>before</b>" not in page
    assert "&lt;b&gt;before" in page
    assert 'class="baseline"' not in render_signoff(signoff_view(sign_off(table("now"), POLICY, now=NOW)))
