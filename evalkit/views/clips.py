"""Clips that were measured by themselves: a verdict or what stands out, one sentence each, the worst first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evalkit.analysis.catalogue import reason_text
from evalkit.decisions.clip_verdicts import (
    ClipDecision,
    ClipGrade,
    NotOfAClip,
    describe_limit,
    judge_result,
    tell_error,
)
from evalkit.decisions.usual import N_REAL, USUAL, Standing, standing_of, tone_of
from evalkit.formatting import label
from evalkit.measuring.evidence import clip_folder
from evalkit.runs.records import DamagedFileError
from evalkit.runs.run import list_exhibits
from evalkit.views.figure import MomentView
from evalkit.views.gate import PolicyView, policy_view
from evalkit.views.trial import EvidenceView
from evalkit.views.view import View
from evalkit.words.language import LANGUAGES, read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evalkit.decisions.clip_verdicts import ClipLimit, ClipVerdict
    from evalkit.decisions.policy import Policy
    from evalkit.decisions.usual import UsualRange
    from evalkit.measuring.results import ClipResult
    from evalkit.types import Measurement

_PICTURES = {".png", ".jpg", ".jpeg", ".svg", ".webp"}
_PAGES = {".html"}


class Standout(StrEnum):
    """How a clip came out without a policy, the worst first: no verdict."""

    NOT_OPENED = "could not be measured"
    STANDS_OUT = "stands out"
    AS_USUAL = "nothing stands out"


Outcome = ClipDecision | Standout


@dataclass(frozen=True)
class ClipRuleView(View):
    """A rule of a policy that applies to a single clip.

    Parameters
    ----------
    metric : str
        Full name.
    name : str
        For people.
    kind : {"hard", "soft"}
    grade : ClipGrade
    told : str
        The value in words, or why there is none.
    asked : str
        The limit in words.
    why : str
        Where the limit comes from.
    """

    metric: str
    name: str
    kind: Literal["hard", "soft"]
    grade: ClipGrade
    told: str
    asked: str
    why: str


@dataclass(frozen=True)
class UsualView(View):
    """Where a metric usually lies.

    Parameters
    ----------
    low, high : float or None
        In the metric's unit; None where open.
    text : str
        In words.
    source : str
        What it rests on.
    real : tuple of float or None
        The least and the most that recordings of real speakers showed.
    real_text : str
        In words; empty where that was not measured.
    """

    low: float | None
    high: float | None
    text: str
    source: str
    real: tuple[float, float] | None
    real_text: str


@dataclass(frozen=True)
class ClipValueView(View):
    """A value of a clip.

    Parameters
    ----------
    metric, unit : str
        Full name; the unit is ``"1"`` for a pure number.
    name, told : str
        For people.
    value : float
        In `unit`.
    interval : tuple of float or None
        95 %, low and high.
    n : int
        Samples behind it.
    coverage : float or None
        Share of the clip that was measured, 0 to 1.
    usual : UsualView or None
    stands_out : bool
        Whether it, and its interval, lies outside of what is usual.
    """

    metric: str
    unit: str
    name: str
    told: str
    value: float
    interval: tuple[float, float] | None
    n: int
    coverage: float | None
    usual: UsualView | None
    stands_out: bool


@dataclass(frozen=True)
class AbsentView(View):
    """What was not measured for one reason.

    Parameters
    ----------
    reason : str
        In words.
    metrics : mapping of str to str
        Names for people, by full name.
    """

    reason: str
    metrics: Mapping[str, str]


@dataclass(frozen=True)
class JudgedClipView(View):
    """One clip.

    Parameters
    ----------
    id : str
        Of its place on a page.
    path : str
        As the user names it.
    name : str
        Of its file, with as much of its folder as tells it from the others.
    outcome : Outcome
        By the policy, or by what is usual.
    sentence : str
    remarks : tuple of str
        What may be behind it.
    notes : tuple of str
        What a person should know of the file, in English.
    rules : tuple of ClipRuleView
        The worst first; empty without a policy.
    values : tuple of ClipValueView
        What stands out first.
    absent : tuple of AbsentView
    moments : tuple of MomentView
        In the order of time.
    moment_texts : tuple of str
        The same in words.
    evidence : tuple of EvidenceView
        Their paths are those of the files.
    has_video : bool
        Whether it could be opened.
    """

    id: str
    path: str
    name: str
    outcome: Outcome
    sentence: str
    remarks: tuple[str, ...]
    notes: tuple[str, ...]
    rules: tuple[ClipRuleView, ...]
    values: tuple[ClipValueView, ...]
    absent: tuple[AbsentView, ...]
    moments: tuple[MomentView, ...]
    moment_texts: tuple[str, ...]
    evidence: tuple[EvidenceView, ...]
    has_video: bool


@dataclass(frozen=True)
class ClipsView(View):
    """Clips, the worst first.

    Parameters
    ----------
    language : str
        Of every text in it.
    headline : str
        One sentence.
    policy : PolicyView or None
    clips : tuple of JudgedClipView
    counts : mapping of str to int
        Clips by outcome, the worst first.
    not_of_a_clip : mapping of str to str
        Rules of the policy that say nothing of a single clip, by name for people, and why.
    """

    language: str
    headline: str
    policy: PolicyView | None
    clips: tuple[JudgedClipView, ...]
    counts: Mapping[str, int]
    not_of_a_clip: Mapping[str, str]


@dataclass(frozen=True)
class _Judged:
    result: ClipResult
    standing: Standing
    verdict: ClipVerdict | None

    @property
    def outcome(self) -> Outcome:
        if self.verdict is not None:
            return self.verdict.decision
        if self.result.error is not None:
            return Standout.NOT_OPENED
        return Standout.STANDS_OUT if self.standing.outliers else Standout.AS_USUAL

    @property
    def order(self) -> tuple[float, ...]:
        """Sorts clips: the worst has the least; by the policy first, then by what stands out."""
        place = list(type(self.outcome)).index(self.outcome)
        by_policy = () if self.verdict is None else self.verdict.severity
        return (place, *by_policy, *self.standing.severity)

    def sentence(self, tag: str) -> str:
        if self.verdict is not None:
            return self.verdict.sentence(tag)
        if self.result.error is not None:
            return read_words(tag, "clips")("clip_not_opened", error=tell_error(self.result.error, tag))
        return self.standing.sentence(tag)


def clips_view(
    results: Iterable[ClipResult],
    policy: Policy | None = None,
    *,
    language: str = LANGUAGES[0],
    evidence: Path | None = None,
) -> ClipsView:
    """Return clips with what is said of them, the worst first.

    Parameters
    ----------
    results : iterable of ClipResult
    policy : Policy, optional
        Without one there is no verdict: what is usual of real speakers says what stands out.
    language : str
        One of `evalkit.words.language.LANGUAGES`.
    evidence : Path, optional
        The folder that their pictures were written into.
    """
    judged = [
        _Judged(
            result,
            standing_of(result.measurements),
            None if policy is None else judge_result(policy, result),
        )
        for result in results
    ]
    judged.sort(key=lambda one: one.order)
    names = name_clips([one.result.clip for one in judged])
    clips = tuple(
        _clip_view(one, f"c{n}", name, language, evidence)
        for n, (one, name) in enumerate(zip(judged, names, strict=True), 1)
    )
    outcomes: type[ClipDecision | Standout] = Standout if policy is None else ClipDecision
    counts = {
        str(outcome): n for outcome in outcomes if (n := sum(clip.outcome is outcome for clip in clips))
    }
    return ClipsView(
        language=language,
        headline=clips[0].sentence if len(clips) == 1 else _headline(counts, outcomes, language),
        policy=None if policy is None else policy_view(policy),
        clips=clips,
        counts=counts,
        not_of_a_clip=_not_of_a_clip(judged, language),
    )


def _headline(counts: Mapping[str, int], outcomes: Iterable[Outcome], tag: str) -> str:
    say = read_words(tag, "clips")
    parts = [
        say(f"clip_count_{outcome.name.lower()}", n=counts[outcome])
        for outcome in outcomes
        if outcome in counts
    ]
    return say("clip_headline", n=sum(counts.values()), parts=say("clip_between").join(parts))


def _not_of_a_clip(judged: Iterable[_Judged], tag: str) -> dict[str, str]:
    say, words = read_words(tag, "clips"), metric_words(tag)
    found: dict[str, NotOfAClip] = {}
    for one in judged:
        if one.verdict is not None and not one.verdict.error:
            found |= one.verdict.not_of_a_clip
    return {words.name(name): say(f"clip_not_of_a_clip_{why}") for name, why in found.items()}


def _clip_view(one: _Judged, place: str, name: str, tag: str, evidence: Path | None) -> JudgedClipView:
    result = one.result
    moments = sorted(
        (MomentView(*moment) for moment in result.moments), key=lambda at: (at.start_s, at.end_s, at.metric)
    )
    pictures, damage = _evidence(result, evidence)
    outliers = [outlier.metric.name for outlier in one.standing.outliers]
    values = [_value_view(m, m.value, m.metric.name in outliers, tag) for m in result if m.value is not None]
    values.sort(key=lambda value: outliers.index(value.metric) if value.metric in outliers else len(outliers))
    return JudgedClipView(
        id=place,
        path=result.clip,
        name=name,
        outcome=one.outcome,
        sentence=one.sentence(tag),
        remarks=tuple(one.standing.remarks(tag)),
        notes=(*([] if result.error is None else [result.error.text]), *result.notes, *damage),
        rules=() if one.verdict is None else tuple(_rule_view(limit, tag) for limit in one.verdict.limits),
        values=tuple(values),
        absent=_absent(result, tag),
        moments=tuple(moments),
        moment_texts=tuple(_tell_moment(moment, tag) for moment in moments),
        evidence=pictures,
        has_video=result.error is None,
    )


def _rule_view(limit: ClipLimit, tag: str) -> ClipRuleView:
    say, words, metric = read_words(tag, "clips"), metric_words(tag), limit.rule.metric
    told = "" if limit.value is None else words.value(metric.name, limit.value, metric.unit)
    if limit.grade is ClipGrade.NOT_MEASURED:
        reason = limit.why_absent(tag)
        told = say("clip_doubtful", value=told, reason=reason) if told else reason
    return ClipRuleView(
        metric=limit.rule.name,
        name=words.name(metric.name),
        kind=limit.rule.kind,
        grade=limit.grade,
        told=told,
        asked=describe_limit(limit.rule, tag),
        why=limit.rule.why,
    )


def _value_view(measurement: Measurement, value: float, stands_out: bool, tag: str) -> ClipValueView:
    metric, words = measurement.metric, metric_words(tag)
    usual = USUAL.get(metric.name)
    tone = "bad" if stands_out else tone_of(metric.name, value)
    if tone == "bad" and not stands_out:  # it may lie inside, as its interval does
        tone = None
    interval = measurement.interval
    return ClipValueView(
        metric=metric.name,
        unit=metric.unit,
        name=words.name(metric.name),
        told=words.value(metric.name, value, metric.unit, tone),
        value=value,
        interval=None if interval is None else (interval.low, interval.high),
        n=measurement.n,
        coverage=measurement.coverage,
        usual=None if usual is None else _usual_view(measurement, usual, tag),
        stands_out=stands_out,
    )


def _usual_view(measurement: Measurement, usual: UsualRange, tag: str) -> UsualView:
    metric, words = measurement.metric, metric_words(tag)
    real_text = ""
    if usual.real is not None:
        shown = words.limit(metric.name, *usual.real, metric.unit)
        real_text = read_words(tag, "clips")("clip_real", n=N_REAL, shown=shown)
    return UsualView(
        low=usual.low if math.isfinite(usual.low) else None,
        high=usual.high if math.isfinite(usual.high) else None,
        text=usual.text(metric, tag),
        source=words.usual(metric.name),
        real=None if usual.real is None else (usual.real.least, usual.real.most),
        real_text=real_text,
    )


def _absent(result: ClipResult, tag: str) -> tuple[AbsentView, ...]:
    words = metric_words(tag)
    found: dict[str, dict[str, str]] = {}
    for one in result.measurements:
        if one.reason is not None:
            found.setdefault(one.reason.code, {})[one.metric.name] = words.name(one.metric.name)
    return tuple(AbsentView(reason_text(code, tag), metrics) for code, metrics in found.items())


def _tell_moment(moment: MomentView, tag: str) -> str:
    words = metric_words(tag)
    return read_words(tag, "clips")(
        "clip_moment",
        name=words.name(moment.metric),
        value=words.value(moment.metric, moment.value, moment.unit),
        start=f"{moment.start_s:.1f}",
        end=f"{moment.end_s:.1f}",
    )


def _evidence(result: ClipResult, folder: Path | None) -> tuple[tuple[EvidenceView, ...], list[str]]:
    """Return the pictures and pages of a clip, and what cannot be read of them."""
    if folder is None or result.error is not None:
        return (), []
    own = clip_folder(folder, result.clip)
    found: list[EvidenceView] = []
    damage = []
    for evaluator in sorted(path for path in own.iterdir() if path.is_dir()) if own.is_dir() else ():
        try:
            kept = list_exhibits(evaluator.name, evaluator)
        except DamagedFileError as error:
            damage.append(str(error))
            continue
        found += [
            EvidenceView(
                str(one.path),
                one.caption or one.path.stem.replace("_", " "),
                is_picture=one.path.suffix.lower() in _PICTURES,
            )
            for one in kept
            if one.path.suffix.lower() in _PICTURES | _PAGES
        ]
    return tuple(found), damage


def name_clips(clips: Sequence[str]) -> list[str]:
    """Call each clip by the name of its file, with as many folders before it as tell it from the others.

    >>> name_clips(["a/x.mp4", "b/x.mp4", "b/y.mp4"])
    ['a/x.mp4', 'b/x.mp4', 'y.mp4']
    """
    parts = [Path(clip).parts for clip in clips]
    n_named = [1] * len(parts)
    while True:
        n_alike = Counter(own[-n:] for own, n in zip(parts, n_named, strict=True))
        more = [n + (n_alike[own[-n:]] > 1 and n < len(own)) for own, n in zip(parts, n_named, strict=True)]
        if more == n_named:
            return [label(str(Path(*own[-n:]))) for own, n in zip(parts, n_named, strict=True)]
        n_named = more
