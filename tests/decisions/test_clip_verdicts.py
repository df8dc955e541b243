"""One clip beside a policy: what applies to it, how it comes out, and in which order clips are shown."""

from __future__ import annotations

from typing import Any

import pytest

from evalkit.analysis.catalogue import reason_text
from evalkit.decisions.clip_verdicts import (
    ClipDecision,
    ClipGrade,
    NotOfAClip,
    judge_clip,
    judge_result,
    worst_first,
)
from evalkit.decisions.policy import Policy, load_policy
from evalkit.errors import ClipError
from evalkit.measuring.results import ClipResult
from evalkit.types import Measurement, Reason
from evalkit.words.language import LANGUAGES

BUNDLED = load_policy("customer_service")
GOOD = {
    "lip_sync.error": 0.1,
    "brand.fidelity": 0.95,
    "brand.color_delta_e": 2.0,
    "motion.sparc": -3.5,
    "motion.amount_deg_s": 8.0,
    "lip_sync.offset_ms": -12.0,
}


def policy(*rules: dict[str, Any]) -> Policy:
    return Policy.model_validate(
        {
            "name": "own",
            "title": "own",
            "quality": "lip_sync.error",
            "costs": ["profile.total_s"],
            "rules": [{"why": "as asked", **rule} for rule in rules],
        }
    )


def test_what_needs_many_clips_attempts_or_people_does_not_apply() -> None:
    verdict = judge_clip(BUNDLED, "a.mp4", GOOD, {})
    assert verdict.not_of_a_clip == {
        "rating.mos": NotOfAClip.RATERS,
        "profile.ttff_s": NotOfAClip.MAKING,
        "profile.error_rate": NotOfAClip.ATTEMPTS,
        "profile.peak_vram_share": NotOfAClip.MAKING,
    }
    own = policy({"metric": "lip_sync.error", "at_most": 0.3, "reducer": "p90"})
    assert judge_clip(own, "a.mp4", GOOD, {}).not_of_a_clip == {"lip_sync.error": NotOfAClip.MANY_CLIPS}
    assert judge_clip(own, "a.mp4", GOOD, {}).decision is ClipDecision.NOT_KNOWN
    assert "No hard rule" in judge_clip(own, "a.mp4", GOOD, {}).sentence()


def test_every_rule_applies_or_is_said_not_to() -> None:
    verdict = judge_clip(BUNDLED, "a.mp4", GOOD, {})
    applied = [limit.rule for limit in verdict.limits]
    assert len(applied) + len(verdict.not_of_a_clip) == len(BUNDLED.rules)


@pytest.mark.parametrize(
    ("changed", "decision"),
    [
        ({}, ClipDecision.PASSES),
        ({"lip_sync.offset_ms": 200.0}, ClipDecision.WARNS),
        ({"lip_sync.error": 0.31}, ClipDecision.FAILS),
        ({"motion.amount_deg_s": 0.0}, ClipDecision.FAILS),
        ({"brand.fidelity": None}, ClipDecision.NOT_KNOWN),
        ({"brand.fidelity": None, "lip_sync.error": 0.9}, ClipDecision.FAILS),
        ({"lip_sync.offset_ms": None}, ClipDecision.PASSES),
    ],
)
def test_the_worst_of_the_rules_decides(changed: dict[str, float | None], decision: ClipDecision) -> None:
    values = {name: value for name, value in (GOOD | changed).items() if value is not None}
    verdict = judge_clip(BUNDLED, "a.mp4", values, {"brand.fidelity": "no_brand"})
    assert verdict.decision is decision
    assert verdict.is_passed == (decision in {ClipDecision.PASSES, ClipDecision.WARNS})


def test_the_sentence_names_the_worst_in_plain_words() -> None:
    verdict = judge_clip(BUNDLED, "a.mp4", GOOD | {"lip_sync.error": 0.62, "motion.amount_deg_s": 1.9}, {})
    assert [verdict.sentence(tag) for tag in LANGUAGES] == [
        "Does not pass. Lips fit the words: other words fit better in 62 %; asked is at most 30 %; and one more.",
        "不通过。口型与台词相符：62 % 更像别的台词；要求不超过 30 %；另有 1 项。",
    ]
    absent = {name: value for name, value in GOOD.items() if name != "brand.fidelity"}
    unknown = judge_clip(BUNDLED, "a.mp4", absent, {"brand.fidelity": "no_brand"})
    assert (
        unknown.sentence()
        == "Cannot be told. The brand mark looks right: not measured, no brand was given; see --brand."
    )
    assert judge_clip(BUNDLED, "a.mp4", GOOD, {}).sentence() == (
        "Passes: all 7 gates that speak of a single clip are met."
    )


def test_what_only_warns_and_was_not_measured_is_not_said_to_be_met() -> None:
    absent = {name: value for name, value in GOOD.items() if name != "lip_sync.offset_ms"}
    verdict = judge_clip(BUNDLED, "a.mp4", absent, {"lip_sync.offset_ms": Reason.NO_FACE.code})
    assert [verdict.sentence(tag) for tag in LANGUAGES] == [
        (
            "Passes: all 6 gates that decide are met. A rule that only warns cannot be told. "
            f"Lips follow the sound: not measured, {Reason.NO_FACE.text}."
        ),
        (
            "通过：起决定作用的 6 道门槛全部通过。有只作提醒的规则无法判断。"
            f"口型与声音同步：没有测量，{reason_text(Reason.NO_FACE.code, 'zh-CN')}。"
        ),
    ]


def test_a_clip_is_bad_from_the_value_on_at_which_the_share_counts_it() -> None:
    own = policy({"metric": "lip_sync.error", "at_most": 0.1, "bad_beyond": 0.5})
    assert judge_clip(own, "a", {"lip_sync.error": 0.4}, {}).decision is ClipDecision.PASSES
    found = judge_clip(own, "a", {"lip_sync.error": 0.75}, {})
    assert found.decision is ClipDecision.FAILS
    assert found.limits[0].overshoot == pytest.approx(0.5)
    assert "asked is at most 50 %" in found.sentence()


def test_a_value_of_a_fragment_is_not_relied_on_and_a_miss_in_it_is_a_miss() -> None:
    own = policy({"metric": "lip_sync.error", "at_most": 0.3})
    (limit,) = judge_clip(own, "a", {"lip_sync.error": 0.1}, {}, coverages={"lip_sync.error": 0.2}).limits
    assert limit.grade is ClipGrade.NOT_MEASURED
    assert "only 20 % of the clip" in limit.text()
    assert (
        judge_clip(own, "a", {"lip_sync.error": 0.4}, {}, coverages={"lip_sync.error": 0.2}).decision
        is ClipDecision.FAILS
    )


def test_the_worst_is_shown_first() -> None:
    clips = {
        "fine": GOOD,
        "a little beyond": GOOD | {"lip_sync.error": 0.35},
        "two beyond": GOOD | {"lip_sync.error": 0.35, "brand.fidelity": 0.8},
        "far beyond": GOOD | {"lip_sync.error": 0.9},
        "warned": GOOD | {"lip_sync.offset_ms": 90.0},
        "unknown": {name: value for name, value in GOOD.items() if name != "motion.sparc"},
    }
    verdicts = [judge_clip(BUNDLED, name, values, {}) for name, values in clips.items()]
    verdicts.append(judge_clip(BUNDLED, "broken", {}, {}, error=ClipError("not_media", "broken", "…")))
    assert [verdict.clip for verdict in worst_first(verdicts)] == [
        "broken",
        "far beyond",
        "two beyond",
        "a little beyond",
        "unknown",
        "warned",
        "fine",
    ]


def test_what_was_measured_on_a_clip() -> None:
    metric = next(rule.metric for rule in BUNDLED.rules if rule.metric.name == "lip_sync.error")
    verdict = judge_result(BUNDLED, ClipResult("a.mp4", (Measurement(metric, None, reason=Reason.NO_FACE),)))
    assert verdict.decision is ClipDecision.NOT_KNOWN
    assert verdict.limits[0].why_absent() == Reason.NO_FACE.text
    broken = judge_result(
        BUNDLED, ClipResult("b.mp4", error=ClipError("mine", "b.mp4", "it holds no picture"))
    )
    assert broken.decision is ClipDecision.NOT_OPENED
    assert broken.sentence() == "Could not be measured: it holds no picture"
    known = judge_result(BUNDLED, ClipResult("b.mp4", error=ClipError("empty_file", "b.mp4", "is empty")))
    assert known.sentence("zh-CN") == "无法测量：文件是空的"
