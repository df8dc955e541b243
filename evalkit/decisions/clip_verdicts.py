"""One clip beside a policy: which rules speak of a single clip, how its values lie to them, and one sentence.

A policy is about a release: means over many clips, shares of bad ones, opinions of many people. Of these, a single clip can be held
against the limits themselves: the value that the mean has to keep, the value beyond which a clip is bad. What needs many clips,
attempts or people does not apply, and is said not to. A clip passes where every hard rule that applies is met; what is not known does
not pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from evalkit.analysis.catalogue import is_rating, reason_text
from evalkit.analysis.reducers import BAD_SHARE, MEAN, WORST
from evalkit.errors import ClipError
from evalkit.profiling.costs import ERROR_RATE
from evalkit.words.language import LANGUAGES, read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evalkit.decisions.policy import Policy, Rule
    from evalkit.measuring.results import ClipResult

_OF_ONE_CLIP = {MEAN, WORST, BAD_SHARE}
"""Reducers whose limit says something of a clip alone; a percentile allows some clips to lie beyond."""
_MAKING = "profile"


class ClipGrade(StrEnum):
    """How a clip's value lies to a rule."""

    WITHIN = "within the limit"
    BEYOND = "beyond the limit"
    NOT_MEASURED = "not measured"


class ClipDecision(StrEnum):
    """How a clip came out, the worst first."""

    NOT_OPENED = "could not be measured"
    FAILS = "does not pass"
    NOT_KNOWN = "cannot be told"
    WARNS = "passes with a warning"
    PASSES = "passes"


class NotOfAClip(StrEnum):
    """Why a rule does not apply to a single clip."""

    ATTEMPTS = "attempts"
    """A share of many attempts."""
    RATERS = "raters"
    """What many people say."""
    MANY_CLIPS = "many_clips"
    """Of many clips, some of which may lie beyond."""
    MAKING = "making"
    """Of how the video was made, which its file does not tell."""


@dataclass(frozen=True)
class ClipLimit:
    """A rule that applies to a single clip, and how its value lies to it.

    Parameters
    ----------
    rule : Rule
    grade : ClipGrade
    value : float or None
        In the metric's unit; None where it was not measured.
    reason : str
        Code of why it was not measured; empty where it was, and where nobody asked.
    coverage : float or None
        Share of the clip that was measured, where that is too little to rely on the value.
    overshoot : float
        How far beyond the limit, as a part of the limit's size; 0 within it.
    """

    rule: Rule
    grade: ClipGrade
    value: float | None
    reason: str = ""
    coverage: float | None = None
    overshoot: float = 0.0

    def why_absent(self, tag: str = LANGUAGES[0]) -> str:
        """Say why it was not measured, or cannot be relied on; empty where it was and can."""
        if self.coverage is not None:
            return read_words(tag, "clips")("clip_fragment", percent=f"{100 * self.coverage:.0f}")
        if self.grade is ClipGrade.NOT_MEASURED and not self.reason:
            return read_words(tag, "clips")("clip_not_asked")
        return reason_text(self.reason, tag)

    def text(self, tag: str = LANGUAGES[0]) -> str:
        """Say in words how it lies: name, value, what was asked; or why it was not measured."""
        say, words, metric = read_words(tag, "clips"), metric_words(tag), self.rule.metric
        name = words.name(metric.name)
        if self.value is None:
            return say("clip_limit_absent", name=name, reason=self.why_absent(tag))
        value = words.value(metric.name, self.value, metric.unit)
        if self.grade is ClipGrade.NOT_MEASURED:
            return say("clip_limit_doubtful", name=name, value=value, reason=self.why_absent(tag))
        return say("clip_limit", name=name, value=value, asked=describe_limit(self.rule, tag))


@dataclass(frozen=True)
class ClipVerdict:
    """How one clip lies to a policy.

    Parameters
    ----------
    clip : str
        As the user names it.
    limits : tuple of ClipLimit
        The rules that apply, the worst first.
    not_of_a_clip : mapping of str to NotOfAClip
        The other rules, by name, and why they do not apply.
    error : ClipError or None
        Why the clip could not be measured at all.
    """

    clip: str
    limits: tuple[ClipLimit, ...]
    not_of_a_clip: Mapping[str, NotOfAClip] = field(default_factory=dict)
    error: ClipError | None = None

    @property
    def decision(self) -> ClipDecision:
        """The worst that follows from any rule; what is not known does not pass."""
        if self.error is not None:
            return ClipDecision.NOT_OPENED
        hard = {limit.grade for limit in self.limits if limit.rule.kind == "hard"}
        if ClipGrade.BEYOND in hard:
            return ClipDecision.FAILS
        if ClipGrade.NOT_MEASURED in hard or not hard:
            return ClipDecision.NOT_KNOWN
        soft = any(limit.grade is ClipGrade.BEYOND for limit in self.limits)
        return ClipDecision.WARNS if soft else ClipDecision.PASSES

    @property
    def is_passed(self) -> bool:
        """Whether every hard rule that applies is met."""
        return self.decision in {ClipDecision.PASSES, ClipDecision.WARNS}

    @property
    def severity(self) -> tuple[int, int, float]:
        """Sorts clips: the worst has the least."""
        hard = [one for one in self.limits if one.rule.kind == "hard" and one.grade is ClipGrade.BEYOND]
        beyond = [one.overshoot for one in self.limits if one.grade is ClipGrade.BEYOND]
        return list(ClipDecision).index(self.decision), -len(hard), -max(beyond, default=0.0)

    def sentence(self, tag: str = LANGUAGES[0]) -> str:
        """Say in one sentence how it came out, and at what.

        Parameters
        ----------
        tag : str
            One of `evalkit.words.language.LANGUAGES`.
        """
        say, decision = read_words(tag, "clips"), self.decision
        if self.error is not None:
            return say("clip_not_opened", error=tell_error(self.error, tag))
        if decision is ClipDecision.PASSES:
            open_ones = self._culprits("soft", ClipGrade.NOT_MEASURED)
            if not open_ones:
                return say("clip_passes", n=len(self.limits))
            n_met = len(self._culprits("hard", ClipGrade.WITHIN))
            return say("clip_passes_unsure", n=n_met, **_name_culprits(open_ones, tag))
        key, culprits = {
            ClipDecision.FAILS: ("clip_fails", self._culprits("hard", ClipGrade.BEYOND)),
            ClipDecision.NOT_KNOWN: ("clip_not_known", self._culprits("hard", ClipGrade.NOT_MEASURED)),
            ClipDecision.WARNS: ("clip_warns", self._culprits("soft", ClipGrade.BEYOND)),
        }[decision]
        if not culprits:
            return say("clip_no_rule")
        return say(key, **_name_culprits(culprits, tag))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the decision, one sentence, each rule that applies, and the others with why they do not."""
        return {
            "decision": self.decision.value,
            "sentence": self.sentence(),
            "rules": [
                {
                    "metric": one.rule.name,
                    "kind": one.rule.kind,
                    "grade": one.grade.value,
                    "value": one.value,
                    "limit": one.rule.text(),
                    "reason": one.reason or None,
                    "coverage": one.coverage,
                }
                for one in self.limits
            ],
            "not_of_a_clip": {name: why.value for name, why in self.not_of_a_clip.items()},
        }

    def _culprits(self, kind: str, grade: ClipGrade) -> list[ClipLimit]:
        return [one for one in self.limits if one.rule.kind == kind and one.grade is grade]


def _name_culprits(culprits: Sequence[ClipLimit], tag: str) -> dict[str, str]:
    """Return the first in words, and of how many other metrics there are more: what sentences have places for."""
    more = len({one.rule.metric.name for one in culprits}) - 1
    return {
        "what": culprits[0].text(tag),
        "more": read_words(tag, "clips")("clip_and_more", n=more) if more else "",
    }


def tell_error(error: ClipError, tag: str = LANGUAGES[0]) -> str:
    """Say why a clip could not be measured at all: in words for its code where there are any, else as the error has it."""
    told = read_words(tag, "clips").sentences.get(f"clip_error_{error.code}")
    return told if isinstance(told, str) else error.text


def why_not_of_a_clip(rule: Rule) -> NotOfAClip | None:
    """Return why a rule says nothing of a single clip; None where it does."""
    if rule.metric.name == ERROR_RATE.name:
        return NotOfAClip.ATTEMPTS
    if is_rating(rule.metric.name):
        return NotOfAClip.RATERS
    if rule.reduction not in _OF_ONE_CLIP:
        return NotOfAClip.MANY_CLIPS
    return None


def overshoot_of_clip(rule: Rule, value: float) -> float:
    """Return how far a clip's value lies beyond a rule that applies to it, in the metric's unit: positive is a miss.

    Of a rule on the share of bad clips it is the value beyond which a clip is bad that counts.
    """
    if rule.bad_beyond is None:
        return rule.overshoot(value)
    low, high = rule.clip_limits
    return max(low - value, value - high)


def describe_limit(rule: Rule, tag: str = LANGUAGES[0]) -> str:
    """Write what a rule asks of a single clip, in a language."""
    low, high = rule.clip_limits
    told = metric_words(tag).limit(rule.metric.name, low, high, rule.metric.unit)
    return told if rule.bad_beyond is None else read_words(tag, "clips")("clip_is_bad", limit=told)


def judge_clip(
    policy: Policy,
    clip: str,
    values: Mapping[str, float],
    absent: Mapping[str, str],
    *,
    coverages: Mapping[str, float | None] | None = None,
    error: ClipError | None = None,
) -> ClipVerdict:
    """Hold one clip against a policy.

    Parameters
    ----------
    policy : Policy
    clip : str
    values : mapping of str to float
        By full name of the metric, in its unit.
    absent : mapping of str to str
        Codes of why others have no value.
    coverages : mapping of str to float or None
        Share of the clip that a value speaks of, 0 to 1, where known.
    error : ClipError, optional
        Why the clip could not be measured at all.
    """
    found: list[ClipLimit] = []
    others: dict[str, NotOfAClip] = {}
    for rule in policy.rules:
        why_not = why_not_of_a_clip(rule)
        metric = rule.metric
        if why_not is None and metric.family == _MAKING and metric.name not in {*values, *absent}:
            why_not = NotOfAClip.MAKING
        if why_not is not None:
            others[rule.name] = why_not
        elif metric.name in values:
            found.append(_grade(rule, values[metric.name], (coverages or {}).get(metric.name), policy))
        else:
            found.append(ClipLimit(rule, ClipGrade.NOT_MEASURED, None, absent.get(metric.name, "")))
    order = [ClipGrade.BEYOND, ClipGrade.NOT_MEASURED, ClipGrade.WITHIN]
    found.sort(key=lambda one: (one.rule.kind != "hard", order.index(one.grade), -one.overshoot))
    return ClipVerdict(clip, tuple(found), others, error)


def judge_result(policy: Policy, result: ClipResult) -> ClipVerdict:
    """Hold what was measured on one clip against a policy."""
    measured = {m.metric.name: m for m in result.measurements}
    return judge_clip(
        policy,
        result.clip,
        {name: m.value for name, m in measured.items() if m.value is not None},
        {name: m.reason.code for name, m in measured.items() if m.value is None and m.reason is not None},
        coverages={name: m.coverage for name, m in measured.items()},
        error=result.error,
    )


def worst_first(verdicts: Iterable[ClipVerdict]) -> list[ClipVerdict]:
    """Return verdicts in the order in which somebody should look at the clips; alike ones keep their order."""
    return sorted(verdicts, key=lambda verdict: verdict.severity)


def _grade(rule: Rule, value: float, coverage: float | None, policy: Policy) -> ClipLimit:
    least = policy.min_clip_coverage
    beyond = overshoot_of_clip(rule, value)
    if beyond > 0:
        return ClipLimit(rule, ClipGrade.BEYOND, value, overshoot=beyond / _size_of(rule))
    if coverage is not None and coverage < least:
        return ClipLimit(rule, ClipGrade.NOT_MEASURED, value, coverage=coverage)
    return ClipLimit(rule, ClipGrade.WITHIN, value)


def _size_of(rule: Rule) -> float:
    """Return the size of a limit, by which misses of different metrics are put in order."""
    low, high = rule.clip_limits
    if math.isfinite(low) and math.isfinite(high):
        return (high - low) or 1.0
    return abs(low if math.isfinite(low) else high) or 1.0
