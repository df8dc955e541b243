"""How far each metric agrees with what people say, and where they begin to object: sentences first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalkit.formatting import count, name_factor, three_digits
from evalkit.runs.ratings.opinions import Panel
from evalkit.stats.threshold import LEVEL
from evalkit.views.figure import MetricView, metric_view
from evalkit.views.gate import RuleView, policy_view
from evalkit.views.view import View
from evalkit.visuals.numbers import unit_suffix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalkit.analysis.agreement import (
        Agreement,
        MetricAgreement,
        MetricPair,
        Objection,
        PooledAgreement,
        RatingAgreement,
        RunAgreement,
    )
    from evalkit.decisions.policy import Policy
    from evalkit.runs.ratings.opinions import Opinions
    from evalkit.stats.means import Estimate
    from evalkit.stats.rank_correlation import Correlation
    from evalkit.types import Metric

Side = Literal["beyond", "above", "below"]


@dataclass(frozen=True)
class CoefficientView(View):
    """A correlation.

    Parameters
    ----------
    value : float or None
        Positive: better values go with better opinions.
    interval : tuple of float or None
        95 %, of clips that share portraits, speech, seeds and configurations.
    n : int
        Clips; of a pooled one, runs.
    reason : str or None
        Why value or interval is missing.
    """

    value: float | None
    interval: tuple[float, float] | None
    n: int
    reason: str | None

    @property
    def text(self) -> str:
        """The value with its interval, or why there is none."""
        if self.value is None:
            return self.reason or "not known"
        return f"{self.value:.2f}{_bracket(self.interval, '.2f')}"


@dataclass(frozen=True)
class ObjectionView(View):
    """Where raters may begin to object.

    Parameters
    ----------
    side : {"beyond", "above", "below"}
        ``beyond`` is of the size, where 0 is best.
    is_claimed : bool
        Whether opinions fall from a place on, and neither a flat nor a straight line will do.
    place : float or None
        The best fit, in the metric's unit; also where it is not claimed.
    place_interval : tuple of float or None
    level, slope : float or None
        Opinion on the good side of `place`, and its change for each unit of the metric's value (its size) beyond.
    cost : float or None
        Mean opinion of the clips on the good side less that of those on the other, in points.
    cost_interval : tuple of float or None
    n, n_beyond : int
        Clips, and those on the bad side.
    p : float
        Corrected for everything that was looked at.
    reason : str or None
        Why it could not be tested.
    limit : str or None
        What the policy allows, in words; None where it says nothing.
    text : str
        The sentence; empty where nothing is claimed.
    """

    side: Side
    is_claimed: bool
    place: float | None
    place_interval: tuple[float, float] | None
    level: float | None
    slope: float | None
    cost: float | None
    cost_interval: tuple[float, float] | None
    n: int
    n_beyond: int
    p: float
    reason: str | None
    limit: str | None
    text: str


@dataclass(frozen=True)
class MetricAgreementView(View):
    """One metric.

    Parameters
    ----------
    metric : MetricView
    has_direction : bool
        False where a metric is best in a band: then it cannot agree, and `spearman` says which way opinions go.
    agrees : bool
        Whether it is sure that better values go with better opinions.
    spearman, kendall : CoefficientView
    p : float
        Of no agreement, corrected for all metrics of the question.
    objections : tuple of ObjectionView
    limits : tuple of float
        Of the policy, on the metric or, where 0 is best, on its size.
    points : tuple of tuple of float
        Value (size, where 0 is best) and mean opinion of each clip.
    """

    metric: MetricView
    has_direction: bool
    agrees: bool
    spearman: CoefficientView
    kendall: CoefficientView
    p: float
    objections: tuple[ObjectionView, ...]
    limits: tuple[float, ...]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PairView(View):
    """Whether one metric agrees more than another.

    Parameters
    ----------
    a, b : str
    difference : float
        Spearman's of a less that of b.
    interval : tuple of float or None
    steiger_z : float
        Of the ranks, as if clips were independent.
    p : float
        The larger of Steiger's and the clustered one, corrected for all pairs.
    is_clear : bool
    """

    a: str
    b: str
    difference: float
    interval: tuple[float, float] | None
    steiger_z: float
    p: float
    is_clear: bool


@dataclass(frozen=True)
class RatingAgreementView(View):
    """One question.

    Parameters
    ----------
    rating : MetricView
    raters : str
        Who scored, in words: simulated ones are called so.
    n_raters, n_simulated, n_clips : int
    reliability, ceiling : float or None
        How far the mean opinions would agree with those of as many others, and the most agreement a perfect metric could show.
    why_no_ceiling : str or None
    metrics : tuple of MetricAgreementView
        Those that agree most first.
    pairs : tuple of PairView
    """

    rating: MetricView
    raters: str
    n_raters: int
    n_simulated: int
    n_clips: int
    reliability: float | None
    ceiling: float | None
    why_no_ceiling: str | None
    metrics: tuple[MetricAgreementView, ...]
    pairs: tuple[PairView, ...]


@dataclass(frozen=True)
class RunAgreementView(View):
    """One run.

    Parameters
    ----------
    title : str
    headline : str
        What a manager repeats.
    details : tuple of str
        Where raters begin to object, and what cannot be said; a sentence each.
    notes : tuple of str
        What limits the answer.
    ratings : tuple of RatingAgreementView
    """

    title: str
    headline: str
    details: tuple[str, ...]
    notes: tuple[str, ...]
    ratings: tuple[RatingAgreementView, ...]


@dataclass(frozen=True)
class PooledView(View):
    """One metric over several runs.

    Parameters
    ----------
    rating, metric : str
    spearman : CoefficientView
        n counts the runs behind it.
    n_runs : int
        Runs that have both.
    """

    rating: str
    metric: str
    spearman: CoefficientView
    n_runs: int


@dataclass(frozen=True)
class AgreementView(View):
    """One run, or several.

    Parameters
    ----------
    headline : str
    policy : str or None
        Title of the policy whose limits stand beside; None without one.
    runs : tuple of RunAgreementView
    pooled : tuple of PooledView
    """

    headline: str
    policy: str | None
    runs: tuple[RunAgreementView, ...]
    pooled: tuple[PooledView, ...]


def agreement_view(agreement: Agreement, policy: Policy | None) -> AgreementView:
    """Return agreement with the limits of a policy beside it."""
    runs = tuple(run_agreement_view(run, policy) for run in agreement.runs)
    pooled = tuple(map(_pooled, agreement.pooled))
    headline = runs[0].headline if len(runs) == 1 else _describe_pooled(agreement, pooled)
    return AgreementView(headline, None if policy is None else policy.title, runs, pooled)


def run_agreement_view(run: RunAgreement, policy: Policy | None) -> RunAgreementView:
    """Return the agreement of one run with the limits of a policy beside it."""
    rules = {} if policy is None else _hardest(policy_view(policy).rules)
    ratings = tuple(_rating(rating, rules) for rating in run.ratings)
    return RunAgreementView(
        title=run.table.title,
        headline=f"{_describe_best(ratings[0])}{_describe_costs(ratings[0])}."
        if ratings
        else _describe_nobody(run.table.opinions),
        details=tuple(_describe_details(ratings)),
        notes=tuple(_describe_limits(run)),
        ratings=ratings,
    )


def _describe_nobody(opinions: Opinions) -> str:
    unknown = "how far its metrics agree with people is not known"
    if opinions.damage:
        return f"What people said of this run cannot be read: {unknown}."
    if opinions.n_answered:
        return f"No score of a clip of this run counts: {unknown}."
    return f"Nobody has rated clips of this run: {unknown} (evalkit rate serve asks)."


def _hardest(rules: Sequence[RuleView]) -> Mapping[str, RuleView]:
    """Return the rule of each metric, the hard one where there are two."""
    return {rule.metric: rule for rule in sorted(rules, key=lambda rule: rule.kind, reverse=True)}


def _rating(found: RatingAgreement, rules: Mapping[str, RuleView]) -> RatingAgreementView:
    return RatingAgreementView(
        rating=metric_view(found.rating),
        raters=found.panel.text,
        n_raters=found.panel.n,
        n_simulated=found.panel.n_simulated,
        n_clips=found.n_clips,
        reliability=found.reliability.value,
        ceiling=found.ceiling,
        why_no_ceiling=found.reliability.reason,
        metrics=tuple(_metric(found.rating, one, rules.get(one.metric.name)) for one in found.metrics),
        pairs=tuple(map(_pair, found.pairs)),
    )


def _metric(rating: Metric, found: MetricAgreement, rule: RuleView | None) -> MetricAgreementView:
    edges = () if rule is None else tuple(edge for edge in (rule.at_least, rule.at_most) if edge is not None)
    is_size = found.metric.better == "zero"
    return MetricAgreementView(
        metric=metric_view(found.metric),
        has_direction=found.has_direction,
        agrees=found.agrees,
        spearman=_coefficient(found.spearman),
        kendall=_coefficient(found.kendall),
        p=found.p,
        objections=tuple(_objection(rating, found.metric, side, rule) for side in found.objections),
        limits=tuple(sorted({abs(edge) for edge in edges} if is_size else edges)),
        points=tuple(zip(found.values.tolist(), found.opinions.tolist(), strict=True)),
    )


def _objection(rating: Metric, metric: Metric, found: Objection, rule: RuleView | None) -> ObjectionView:
    fit = found.found
    return ObjectionView(
        side=found.side,
        is_claimed=found.is_claimed,
        place=found.place,
        place_interval=found.interval,
        level=fit.level,
        slope=None if fit.slope is None else (-fit.slope if found.side == "below" else fit.slope),
        cost=fit.cost.value,
        cost_interval=_ends(fit.cost),
        n=fit.cost.n,
        n_beyond=fit.n_beyond,
        p=found.p,
        reason=fit.reason,
        limit=None if rule is None else f"{rule.limit}{unit_suffix(metric.unit)}",
        text=_describe_objection(rating, metric, found, rule) if found.is_claimed else "",
    )


def _describe_objection(rating: Metric, metric: Metric, found: Objection, rule: RuleView | None) -> str:
    """Say what it costs, and beside it what the policy allows."""
    place, cost = found.place or 0.0, found.found.cost
    where = f"{found.side} {three_digits(place)}{unit_suffix(metric.unit)}{_bracket(found.interval)}"
    points = f"{cost.value or 0.0:.1f} points{_bracket(_ends(cost), '.1f')} of {rating.name}"
    return f"Here, {metric.name} {where} costs {points}{_describe_policy(metric, found, rule)}."


def _describe_policy(metric: Metric, found: Objection, rule: RuleView | None) -> str:
    """Say what the policy allows, and whether raters object sooner or later than it."""
    if rule is None:
        return ""
    words = f"; the policy allows {rule.limit}{unit_suffix(metric.unit)}"
    low, high = (None, None) if found.interval is None else found.interval
    edges = [edge for edge in _edges_on_side(found, rule) if edge is not None]
    if low is None or high is None or not edges:
        return words
    is_below = found.side == "below"
    sooner = low > max(edges) if is_below else high < min(edges)
    later = high < min(edges) if is_below else low > max(edges)
    return words + (", so raters object sooner" if sooner else ", so raters object later" if later else "")


def _edges_on_side(found: Objection, rule: RuleView) -> tuple[float | None, ...]:
    """Return the limits that stand on the side where raters object; of a size both."""
    if found.side == "beyond":
        return tuple(None if edge is None else abs(edge) for edge in (rule.at_least, rule.at_most))
    return (rule.at_most if found.side == "above" else rule.at_least,)


def _pair(pair: MetricPair) -> PairView:
    difference = pair.found.difference
    return PairView(
        a=pair.a,
        b=pair.b,
        difference=difference.value or 0.0,
        interval=_ends(difference),
        steiger_z=pair.found.z,
        p=pair.p,
        is_clear=pair.p <= LEVEL,
    )


def _pooled(found: PooledAgreement) -> PooledView:
    return PooledView(found.rating.name, found.metric.name, _coefficient(found.spearman), found.n_runs)


def _coefficient(found: Correlation) -> CoefficientView:
    estimate = found.estimate
    return CoefficientView(estimate.value, _ends(estimate), estimate.n, estimate.reason)


def _describe_best(rating: RatingAgreementView) -> str:
    """Say which metric agrees best with people, and how sure that is."""
    known = [one for one in rating.metrics if one.has_direction and one.spearman.value is not None]
    if not known:
        why = next(
            (one.spearman.reason for one in rating.metrics if one.spearman.reason), "none was measured"
        )
        return f"How far metrics agree with {rating.raters} cannot be said: {why}"
    best = known[0]
    most = "" if rating.ceiling is None else f" of at most {rating.ceiling:.2f}"
    if best.agrees:
        return f"{best.metric.name} agrees best with {rating.raters} ({best.spearman.value or 0.0:.2f}{most})"
    why = "" if best.spearman.reason is None else f": {best.spearman.reason}"
    return f"No metric agrees for sure with {rating.raters}{why}"


def _describe_costs(rating: RatingAgreementView) -> str:
    """Say what raters object to most, less the intervals."""
    claimed = [(side, one) for one in rating.metrics for side in one.objections if side.is_claimed]
    if not claimed:
        return ""
    side, one = max(claimed, key=lambda found: found[0].cost or 0.0)
    return f", and {one.metric.name} {_where(side, one)} costs {side.cost or 0.0:.1f} points"


def _where(side: ObjectionView, one: MetricAgreementView) -> str:
    return f"{side.side} {three_digits(side.place or 0.0)}{unit_suffix(one.metric.unit)}"


def _describe_details(ratings: Sequence[RatingAgreementView]) -> Iterator[str]:
    """Say where raters begin to object, what cannot be told apart, and what is not known."""
    if not ratings:
        return
    for rating in ratings:
        yield from (side.text for one in rating.metrics for side in one.objections if side.text)
        against = [
            one.metric.name
            for one in rating.metrics
            if one.has_direction and one.p <= LEVEL and (one.spearman.value or 0.0) < 0
        ]
        if against:
            yield f"Better values of {', '.join(against)} go with a worse {rating.rating.name}."
    first = ratings[0]
    yield from _describe_ties(first)
    sides = [side for one in first.metrics for side in one.objections]
    n_open = sum(not side.is_claimed for side in sides)
    if n_open:
        reasons = list(dict.fromkeys(side.reason for side in sides if side.reason))
        words = f" ({'; '.join(reasons)})" if reasons else ""
        yield f"From where on raters object is not known of {n_open} of {count(len(sides), 'limit')} looked for{words}."


def _describe_ties(rating: RatingAgreementView) -> Iterator[str]:
    """Say which metrics agree clearly less than the best one."""
    known = [one for one in rating.metrics if one.has_direction and one.spearman.value is not None]
    if len(known) < 2 or not known[0].agrees:
        return
    best = known[0].metric.name
    less = {
        pair.b if pair.difference > 0.0 else pair.a
        for pair in rating.pairs
        if pair.is_clear and best in {pair.a, pair.b}
    }
    n_less, n_others = len(less - {best}), len(known) - 1
    if not n_less:
        yield f"Whether {best} agrees more than {_others(n_others)} cannot be told."
    elif n_less == n_others:
        yield f"{best} agrees clearly more than {_others(n_others)}."
    else:
        yield f"{best} agrees clearly more than {n_less} of {_others(n_others)}; the rest may agree as much."


def _others(n: int) -> str:
    return "the other metric" if n == 1 else f"the {n} other metrics"


def _describe_limits(run: RunAgreement) -> Iterator[str]:
    if not run.ratings:
        yield from run.table.opinions.notes
        return
    if run.factors:
        *names, last = (name_factor(name, 2) for name in run.factors)
        yield f"Intervals allow for other {', '.join(names)}{' and ' if names else ''}{last}."
    if "configuration" not in run.factors and run.n_configurations > 1:
        yield (
            f"This speaks of the {run.n_configurations} configurations of the run: others may agree otherwise."
        )
    yield (
        "What goes together here need not be the cause: a setting that spoils several things at once makes all of their "
        "metrics agree."
    )
    if any(one.metric.better == "zero" for rating in run.ratings for one in rating.metrics):
        yield "Where 0 is best the size counts, whichever its sign."
    if any(not one.has_direction for rating in run.ratings for one in rating.metrics):
        yield "A metric that is best in a band is not ranked: its correlation says whether higher values go with better opinions."
    yield from run.table.opinions.notes


def _describe_pooled(agreement: Agreement, pooled: Sequence[PooledView]) -> str:
    """Say which metric agrees best over all runs, whose opinion it is, and whether that is sure."""
    n_runs, known = len(agreement.runs), [one for one in pooled if one.spearman.value is not None]
    if not known:
        why = next(
            (one.spearman.reason for one in pooled if one.spearman.reason), "no two runs have been rated"
        )
        return f"Over {n_runs} runs nothing can be said: {why}."
    best = max(known, key=lambda one: one.spearman.value or 0.0)
    why = "" if best.spearman.interval else f" ({best.spearman.reason})"
    panel = Panel.of_runs(run.table.opinions.panel for run in agreement.runs)
    where, found = (
        f"Over {count(best.spearman.n, 'run')}",
        f"{best.rating} by {panel.text}: {best.spearman.text}{why}.",
    )
    if best.spearman.interval is None or best.spearman.interval[0] <= 0.0:
        return f"{where} no metric agrees for sure; nearest comes {best.metric} with {found}"
    return f"{where} {best.metric} agrees best with {found}"


def _ends(estimate: Estimate) -> tuple[float, float] | None:
    return None if estimate.interval is None else (estimate.interval.low, estimate.interval.high)


def _bracket(interval: tuple[float, float] | None, form: str = "") -> str:
    if interval is None:
        return ""
    low, high = (format(end, form) if form else three_digits(end) for end in interval)
    return f" [{low}, {high}]"
