"""Which of two is better: clip by clip, metric by metric, and how sure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import ceil, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from evalkit.analysis.catalogue import is_rating
from evalkit.analysis.pairs import count_distinct, describe_reach, pair_clips
from evalkit.analysis.values import count_absences, describe_absences, score
from evalkit.decisions.budget import MIN_PAIRS, MIN_PAIRS_ALIKE, ErrorBudget
from evalkit.decisions.comparison import (
    ComparedPair,
    Comparison,
    Conclusion,
    DifferenceTest,
    Family,
    LimitChange,
    MetricComparison,
    MissingValues,
    PairedChange,
    describe_change,
)
from evalkit.errors import UsageError
from evalkit.formatting import count
from evalkit.profiling.costs import ERROR_RATE, MACHINE_METRICS
from evalkit.runs.ratings.records import PREFERENCE
from evalkit.stats.means import Estimate, MeanFit, estimate_of, fit_difference, fit_mean
from evalkit.stats.power import effect_size, minimum_detectable_effect
from evalkit.stats.randomisation import holm
from evalkit.stats.shares import ShareChange, compare_shares
from evalkit.visuals.numbers import signed, unit_suffix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalkit.analysis.pairs import PairedValues, Pairing
    from evalkit.analysis.table import ClipRecord, ResultTable
    from evalkit.decisions.policy import Policy
    from evalkit.types import BoolArray, FloatArray, Metric

    Bounds = tuple[float | None, float | None]

_MEAN_PART = 0.95
"""Part of a metric's chance of a false claim that its mean has where its limits are compared as well."""
_EQUAL = 1e-9
"""Values that differ by less than this share of the larger are equal: it is rounding."""
_POWER = 0.8


@dataclass(frozen=True)
class _Scale:
    """What is judged of a metric's values, and when a clip is within the policy's limits.

    Parameters
    ----------
    kind : {"value", "size", "distance", None}
        The value; its size where 0 is best; its distance from the policy's band. None where nothing says what is good.
    limits : tuple of float or None
        Lowest and highest value that pass in a single clip.
    words : str
        The limits in words.
    """

    metric: Metric
    kind: str | None
    limits: tuple[float, float] | None
    words: str

    def judged(self, values: FloatArray) -> FloatArray:
        """Return what is judged of each value."""
        if self.kind == "size":
            return np.abs(values)
        if self.kind == "distance" and self.limits is not None:
            return np.maximum(0.0, np.maximum(self.limits[0] - values, values - self.limits[1]))
        return values

    def within(self, values: FloatArray) -> BoolArray:
        """Say which values are within the limits."""
        low, high = self.limits or (-np.inf, np.inf)
        return (values >= low) & (values <= high)

    @property
    def sign(self) -> int:
        """1 where more of what is judged is better, else -1."""
        return 1 if self.kind == "value" and self.metric.better == "higher" else -1

    def bounds(self) -> Bounds:
        """Return the lowest and highest judged value that there can be; None where open."""
        low, high = self.metric.bounds
        if self.kind == "value":
            return low, high
        ends = None if low is None or high is None else self.judged(np.array([low, high], dtype=np.float64))
        return 0.0, None if ends is None else float(ends.max())


@dataclass(frozen=True)
class _Evidence:
    """Everything about one metric that does not depend on the others.

    Parameters
    ----------
    fits : tuple of MeanFit
        Of the judged difference: over the pairs that have both values, then with the missing ones as low, and as high,
        as can be, where that is asked.
    shares : tuple of ShareChange
        Of the clips within the limits, likewise.
    n_distinct : int
        Pairs with both values, less those that are draws of the same input and seed again.
    p_plain : float
        Of the mean, over the pairs that have both values.
    p_mean, p_share : float or None
        In the worst case; None where no claim can be made.
    n_better, n_worse : int
        Pairs.
    is_inside : bool
        Whether a band leaves nothing to judge: all values of both sides are within.
    counted : {"pair", "session a side"}
        What its numbers count: sessions of live trials are no pairs, but where each saw both sides.
    """

    scale: _Scale
    family: Family
    change: PairedChange
    missing: MissingValues
    refusal: str = ""
    fits: tuple[MeanFit, ...] = ()
    shares: tuple[ShareChange, ...] = ()
    n_distinct: int = 0
    p_plain: float = 1.0
    p_mean: float | None = None
    p_share: float | None = None
    n_better: int = 0
    n_worse: int = 0
    is_inside: bool = False
    counted: Literal["pair", "session a side"] = "pair"

    @property
    def metric(self) -> Metric:
        return self.scale.metric

    @property
    def gives_gains(self) -> bool:
        """Whether it can be compared, and something says what is better."""
        return not self.refusal and self.scale.kind is not None

    @property
    def weighed_mean(self) -> float:
        """The p of the mean, of its part of the metric's chance."""
        if self.p_mean is None:
            return np.inf
        return self.p_mean if self.p_share is None else self.p_mean / _MEAN_PART

    @property
    def weighed_share(self) -> float:
        """The p of the limits, of their part of the metric's chance."""
        if self.p_share is None:
            return np.inf
        return self.p_share if self.p_mean is None else self.p_share / (1.0 - _MEAN_PART)

    @property
    def p(self) -> float | None:
        """The metric's p before the correction for its family; None where no claim can be made."""
        found = min(self.weighed_mean, self.weighed_share)
        return min(1.0, found) if np.isfinite(found) else None

    @property
    def limits(self) -> LimitChange | None:
        """How many clips leave and enter the limits."""
        if not self.shares:
            return None
        share = self.shares[0]
        return LimitChange(self.scale.words, share.n, share.n_lost, share.n_gained, share.p)

    def direction(self, alpha: float) -> int:
        """Return 1 or -1 where more or less is shown of what is judged, in every case of what is missing, `alpha` one-sided."""
        signs = {fit.sign(alpha) for fit in self.fits}
        return signs.pop() if len(signs) == 1 else 0

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Return bounds of the mean difference in every case of what is missing, `alpha` one-sided."""
        least, most = _bounds_of_change(self.scale)
        ends = [fit.bounds(alpha, (least, most)) for fit in self.fits]
        return min(low for low, _ in ends), max(high for _, high in ends)


def compare_tables(
    a: ResultTable,
    b: ResultTable,
    *,
    policy: Policy | None = None,
    margins: Mapping[str, float] | None = None,
    ignore_params: Sequence[str] = (),
) -> Comparison:
    """Compare two tables of clips, paired by input, seed and the parameters that vary within either.

    Each side's value is that over all its clips, as a report shows it; the difference is that over the pairs.

    The policy's primary metrics are one family of tests (Holm), all others a second: seen, not asked beforehand. Without
    a policy all are asked. A family has a chance of `ErrorBudget.claim_alpha` to claim anything false.

    - *better*, *worse*: of the mean, with `MIN_PAIRS` pairs or more, where the test and its bounds both say so. Or of the
      share of clips within the policy's limits, compared exactly (McNemar), with any number of pairs.
    - *no difference*: with `MIN_PAIRS_ALIKE` pairs or more, the difference lies within the margin, or every pair is equal.
    - *not worse*: likewise, its worse end lies within the margin.
    - *not enough evidence*: everything else.

    Where a value is missing on one side, or on any in a primary metric, the same must follow whatever the missing values
    would have been.

    Parameters
    ----------
    a, b : ResultTable
    policy : Policy, optional
        Gives the primary metrics, margins, limits and bands: where it has a band, the distance from it is judged.
    margins : mapping of str to float, optional
        Take precedence over the policy's.
    ignore_params : sequence of str
        Parameters that are what is compared: pairs may differ in them.

    Raises
    ------
    UsageError
        If two clips on one side are the same input, seed and parameters, or a margin is of an unknown metric.

    References
    ----------
    S. Holm, Scandinavian Journal of Statistics 6, 1979; C. F. Manski, "Nonparametric bounds on treatment effects",
    American Economic Review 80, 1990 (missing values in the worst case).
    """
    given = () if policy is None else tuple(policy.given)
    a, b = replace(a, given=given), replace(b, given=given)
    asked = () if policy is None else policy.primary
    metrics = {metric.name: metric for metric in asked} | dict(a.metrics) | dict(b.metrics)
    metrics[ERROR_RATE.name] = ERROR_RATE
    margins = _margins(metrics, policy, margins)
    keys = [name for name in dict.fromkeys((*a.swept, *b.swept)) if name not in ignore_params]
    pairing = pair_clips(a.rows, b.rows, keys, (a.title, b.title))
    refused = why_not_compared(a, b, metrics)
    is_one_run = a.provenance is b.provenance
    look = a.look if is_one_run else a.look + b.look - 1
    alpha = ErrorBudget(look).claim_alpha
    evidence = []
    for metric in metrics.values():
        is_asked = policy is None or metric.name in {one.name for one in asked}
        family = Family.PRIMARY if is_asked else Family.EXPLORATORY
        scale = _scale(metric, policy)
        if metric.name in refused:
            nothing = Estimate(None, None, 0, refused[metric.name])
            change = PairedChange(None, None, nothing, nothing, {})
            missing = MissingValues(len(pairing.pairs))
            evidence.append(_Evidence(scale, family, change, missing, refused[metric.name]))
        elif metric.name in a.sessions.metrics or metric.name in b.sessions.metrics:
            evidence.append(_weigh_sessions(scale, family, a, b))
        else:
            evidence.append(_weigh(scale, family, pairing, given))
    compared = []
    for family in Family:
        members = [one for one in evidence if one.family is family]
        tested = iter(holm([one.p for one in members if one.p is not None]))
        n_margins = sum(one.metric.name in margins and bool(one.fits) for one in members)
        for one in members:
            p_holm = None if one.p is None else next(tested)
            margin = margins.get(one.metric.name)
            asks = _Asks(alpha, alpha / 2 / max(1, n_margins), p_holm, margin)
            compared.append(_conclude(one, (a, b), asks))
    return Comparison(
        a=a.title,
        b=b.title,
        metrics=tuple(compared),
        n_pairs=len(pairing.pairs),
        unpaired_a=tuple(_name(row, keys) for row in pairing.unpaired_a),
        unpaired_b=tuple(_name(row, keys) for row in pairing.unpaired_b),
        failed_a=tuple(f"{_name(row, keys)}: {row.failure}" for row in a.rows if row.failure),
        failed_b=tuple(f"{_name(row, keys)}: {row.failure}" for row in b.rows if row.failure),
        absent_a=a.missing,
        absent_b=b.missing,
        notes=(
            *describe_reach([first for first, _ in pairing.pairs], given),
            *(
                f"{_name(first, keys)} is a copy of a video in another pair and does not count"
                for first, _ in pairing.copies
            ),
            *_note_machines(a, b),
            *_note_ratings(a, b),
            *([f"look {look} at these results: a claim needs p {alpha:.2g} or less"] if look > 1 else []),
        ),
        alpha=alpha,
        pairs=tuple(_describe_pairs(pairing, keys, [one.scale for one in evidence if one.gives_gains])),
    )


def _describe_pairs(
    pairing: Pairing, keys: Sequence[str], scales: Sequence[_Scale]
) -> Iterator[ComparedPair]:
    """Give every pair, with by how much B is better in each metric."""
    for a, b in pairing.pairs:
        gains = {}
        for scale in scales:
            first, second = a.value(scale.metric.name), b.value(scale.metric.name)
            if first is not None and second is not None:
                judged = scale.judged(np.array([first, second], dtype=np.float64))
                gains[scale.metric.name] = scale.sign * float(_subtract(judged[:1], judged[1:])[0])
        yield ComparedPair(_name(a, keys), a, b, gains)


def why_not_compared(a: ResultTable, b: ResultTable, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Say of each metric whose values of two tables must not be held against each other why not."""
    return (
        _refuse_versions(a, b, metrics) | _refuse_machines(a, b, metrics) | _refuse_preferences(a, b, metrics)
    )


def _refuse_versions(a: ResultTable, b: ResultTable, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Say of each metric that was not measured by one version of its evaluator why it is not compared."""
    refused = {}
    for name, metric in metrics.items():
        versions = a.evaluators.get(metric.family), b.evaluators.get(metric.family)
        if versions[0] != versions[1] and name in a.metrics and name in b.metrics:
            words = [
                "an unknown version" if version is None else f"version {version}" for version in versions
            ]
            refused[name] = (
                f"{metric.family}: {words[0]} measured A and {words[1]} measured B; measure one of them again"
            )
    return refused


def _refuse_machines(a: ResultTable, b: ResultTable, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Say that nothing that depends on the machine is compared, where the two sides were made on different kinds."""
    if not _are_on_different_kinds(a, b):
        return {}
    return {
        name: "A and B were made on different kinds of machine"
        for name in metrics
        if name in MACHINE_METRICS and all(_has_values(side, name) for side in (a, b))
    }


def _refuse_preferences(a: ResultTable, b: ResultTable, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Say that preferences of two runs are not compared: nobody chose between their clips."""
    if a.run_id == b.run_id or PREFERENCE not in metrics:
        return {}
    return {
        PREFERENCE: "each run's preferences are among its own configurations; nobody chose between A and B"
    }


def _are_on_different_kinds(a: ResultTable, b: ResultTable) -> bool:
    return None not in (a.main_kind, b.main_kind) and a.main_kind != b.main_kind


def _has_values(table: ResultTable, metric: str) -> bool:
    return any(row.value(metric) is not None for row in table.rows)


def _note_machines(a: ResultTable, b: ResultTable) -> list[str]:
    """Say which kinds of machine times and memory are of, where there are several."""
    notes = []
    if _are_on_different_kinds(a, b):
        notes.append(
            f"A was made on {a.main_kind} and B on {b.main_kind}: make both on one kind of machine to compare times and memory"
        )
    for side, table in (("A", a), ("B", b)):
        if n := sum(row.is_elsewhere for row in table.rows):
            notes.append(
                f"{side}: times and memory are of {table.main_kind}; {count(n, 'clip')} made on other kinds of machine "
                f"{'is' if n == 1 else 'are'} not in them"
            )
    return notes


def _note_ratings(a: ResultTable, b: ResultTable) -> list[str]:
    """Say whose the ratings are, and where not the same people judged both sides."""
    if a.run_id == b.run_id:
        return list(a.opinions.notes)
    notes = [f"{side}: {note}" for side, table in (("A", a), ("B", b)) for note in table.opinions.notes]
    if a.opinions.raters and b.opinions.raters:
        notes.append(
            "A and B were rated by different raters: how severe these are is part of every difference"
        )
    return notes


def _scale(metric: Metric, policy: Policy | None) -> _Scale:
    """Return what is judged of a metric."""
    if metric.name == ERROR_RATE.name:
        return _Scale(metric, "value", (0.0, 0.0), "the attempts that succeed")
    rule = policy.rule_for(metric.name) if policy is not None and not is_rating(metric.name) else None
    kind = {"lower": "value", "higher": "value", "zero": "size"}.get(metric.better)
    if rule is None:
        return _Scale(metric, kind, None, "")
    is_band = rule.at_least is not None and rule.at_most is not None
    return _Scale(metric, "distance" if is_band or kind is None else kind, rule.clip_limits, rule.text())


def _weigh(scale: _Scale, family: Family, pairing: Pairing, given: Sequence[str]) -> _Evidence:
    """Compute what the pairs show of one metric."""
    pairs = pairing.values(scale.metric.name)
    n_pairs, n = pairs.all_a.size, pairs.a.size
    n_a, n_b = int((~pairs.has_a).sum()), int((~pairs.has_b).sum())
    moved = _estimate(_subtract(pairs.a, pairs.b), pairs, given, _bounds_of_move(scale.metric))
    mean_a, mean_b = (float(side.mean()) if side.size else None for side in (pairs.a, pairs.b))
    if not n or scale.kind is None:
        missing = MissingValues(n_pairs, n_a, n_b, _test_missing(pairs, given))
        return _Evidence(scale, family, PairedChange(mean_a, mean_b, moved, moved, pairs.absences), missing)
    judged_a, judged_b = scale.judged(pairs.all_a), scale.judged(pairs.all_b)
    has_both = pairs.has_a & pairs.has_b
    differs = bool((pairs.has_a != pairs.has_b).any())
    asks_all = differs or (family is Family.PRIMARY and not has_both.all())
    change = _subtract(judged_a[has_both], judged_b[has_both])
    filled = _fill(judged_a, judged_b, scale.bounds()) if asks_all else ()
    fits = [pairs.fit(change, given)]
    fits += [fit_mean(one, pairs.all_factors, given=given) for one in filled]
    shares = _compare_limits(scale, pairs, given, asks_all=asks_all) if scale.limits is not None else ()
    n_distinct = count_distinct(pairs.factors)
    p_values = [fit.p_value() for fit in fits]
    changes = [share.n_gained - share.n_lost for share in shares]
    is_mean_tested = n_distinct >= MIN_PAIRS and scale.metric.name != ERROR_RATE.name
    bounds = (float(filled[0].mean()), float(filled[1].mean())) if filled else None
    return _Evidence(
        scale,
        family,
        PairedChange(
            mean_a, mean_b, moved, _estimate(change, pairs, given, _bounds_of_change(scale)), pairs.absences
        ),
        MissingValues(n_pairs, n_a, n_b, _test_missing(pairs, given), bounds),
        fits=tuple(fits),
        shares=shares,
        n_distinct=n_distinct,
        p_plain=p_values[0],
        p_mean=_worst_p(p_values, [fit.mean for fit in fits]) if is_mean_tested else None,
        p_share=_worst_p([share.p for share in shares], changes) if shares else None,
        n_better=int((scale.sign * change > 0).sum()),
        n_worse=int((scale.sign * change < 0).sum()),
        is_inside=scale.kind == "distance" and not judged_a[has_both].any() and not judged_b[has_both].any(),
    )


def _weigh_sessions(scale: _Scale, family: Family, a: ResultTable, b: ResultTable) -> _Evidence:
    """Compute what the sessions of live trials show of one metric.

    Sessions that each saw both sides are pairs; else the two sides are samples of different people (Welch).
    """
    name = scale.metric.name
    rows = [table.sessions.by_metric.get(name, ()) for table in (a, b)]
    who = [{row.name for row in side} for side in rows]
    if (
        who[0]
        and who[0] == who[1]
        and all(len(names) == len(side) for names, side in zip(who, rows, strict=True))
    ):
        return _weigh(scale, family, pair_clips(rows[0], rows[1]), ())
    (values_a, scored_a), (values_b, scored_b) = (score(name, side) for side in rows)
    absences = count_absences(name, [row for side in rows for row in side])
    n_a, n_b = len(rows[0]) - len(scored_a), len(rows[1]) - len(scored_b)
    missing = MissingValues(min(map(len, rows)), min(n_a, len(rows[0])), min(n_b, len(rows[1])))
    means = [float(values.mean()) if values.size else None for values in (values_a, values_b)]
    if not scored_a or not scored_b:
        nothing = Estimate(None, None, 0, "one side has no session with a value")
        change = PairedChange(means[0], means[1], nothing, nothing, absences)
        return _Evidence(scale, family, change, missing, nothing.reason or "")
    moved = estimate_of(fit_difference(values_a, values_b), _bounds_of_move(scale.metric))
    if scale.kind is None:
        change = PairedChange(means[0], means[1], moved, moved, absences)
        return _Evidence(scale, family, change, missing, counted="session a side")
    fit = fit_difference(scale.judged(values_a), scale.judged(values_b))
    judged = estimate_of(fit, _bounds_of_change(scale))
    return _Evidence(
        scale,
        family,
        PairedChange(means[0], means[1], moved, judged, absences),
        missing,
        fits=(fit,),
        n_distinct=fit.n,
        p_plain=fit.p_value(),
        p_mean=fit.p_value() if fit.n >= MIN_PAIRS else None,
        n_better=int(scale.sign * fit.mean > 0),
        n_worse=int(scale.sign * fit.mean < 0),
        counted="session a side",
    )


def _subtract(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return B minus A, 0 where they differ by rounding."""
    change = b - a
    change[np.abs(change) <= _EQUAL * np.maximum(np.abs(a), np.abs(b))] = 0.0
    return change


def _estimate(change: FloatArray, pairs: PairedValues, given: Sequence[str], bounds: Bounds) -> Estimate:
    """Estimate a mean difference; one that is the same in every pair has a sign, which an interval around 0 would deny."""
    if not change.size:
        return Estimate(None, None, 0, "nothing was measured")
    fit = pairs.fit(change, given)
    return estimate_of(fit) if fit.is_constant and fit.mean else estimate_of(fit, bounds)


def _bounds_of_change(scale: _Scale) -> Bounds:
    return _bounds_of_difference(scale.bounds())


def _bounds_of_move(metric: Metric) -> Bounds:
    return _bounds_of_difference(metric.bounds)


def _bounds_of_difference(bounds: Bounds) -> Bounds:
    low, high = bounds
    return (None, None) if low is None or high is None else (low - high, high - low)


def _fill(a: FloatArray, b: FloatArray, bounds: Bounds) -> tuple[FloatArray, FloatArray]:
    """Return B minus A with the missing values such that it is as low, and as high, as can be."""
    known = np.concatenate([a[~np.isnan(a)], b[~np.isnan(b)]])
    least = float(known.min()) if bounds[0] is None else bounds[0]
    most = float(known.max()) if bounds[1] is None else bounds[1]

    def difference(missing_a: float, missing_b: float) -> FloatArray:
        return _subtract(np.where(np.isnan(a), missing_a, a), np.where(np.isnan(b), missing_b, b))

    return difference(most, least), difference(least, most)


def _compare_limits(
    scale: _Scale, pairs: PairedValues, given: Sequence[str], *, asks_all: bool
) -> tuple[ShareChange, ...]:
    """Compare how many clips are within the limits; with the missing ones on either side of them where asked."""
    within_a, within_b = scale.within(pairs.all_a), scale.within(pairs.all_b)
    has_both = pairs.has_a & pairs.has_b
    found = [compare_shares(within_a[has_both], within_b[has_both], pairs.factors, given=given)]
    if asks_all:
        for is_in_b in (True, False):
            a = np.where(pairs.has_a, within_a, not is_in_b)
            b = np.where(pairs.has_b, within_b, is_in_b)
            found.append(compare_shares(a, b, pairs.all_factors, given=given))
    return tuple(found)


def _test_missing(pairs: PairedValues, given: Sequence[str]) -> float:
    return (
        compare_shares(pairs.has_a, pairs.has_b, pairs.all_factors, given=given).p
        if pairs.has_a.size
        else 1.0
    )


def _worst_p(ps: Sequence[float], changes: Sequence[float]) -> float:
    """Return the largest p of all cases; 1 where their changes go both ways."""
    goes_one_way = all(change > 0 for change in changes) or all(change < 0 for change in changes)
    return max(ps) if goes_one_way else 1.0


@dataclass(frozen=True)
class _Asks:
    """What a claim about one metric has to show: two-sided for a difference, one-sided for a margin."""

    alpha: float
    margin_alpha: float
    p_holm: float | None
    margin: float | None


def _conclude(one: _Evidence, tables: tuple[ResultTable, ResultTable], asks: _Asks) -> MetricComparison:
    """Say what follows for one metric."""
    finding, text, n_more = _find(one, asks)
    side_a, side_b = (table.pooled().summary(one.metric) for table in tables)
    p = size = detectable = None
    if one.fits:
        fit = one.fits[0]
        p = None if one.metric.name == ERROR_RATE.name else one.p_plain
        size = effect_size(fit.units) if fit.units.size else None
        detectable = _detectable(fit, asks.alpha)
    test = DifferenceTest(p, asks.p_holm, size, detectable)
    return MetricComparison(
        one.metric,
        one.family,
        finding,
        text,
        side_a,
        side_b,
        one.change,
        test,
        one.missing,
        one.limits,
        asks.margin,
        n_more,
    )


_Found = tuple[Conclusion, str, int | None]


def _find(one: _Evidence, asks: _Asks) -> _Found:
    """Return the conclusion, its words, and how many more pairs would settle what is open."""
    if one.refusal:
        return Conclusion.NOT_COMPARED, one.refusal, None
    if one.change.moved.value is None:
        return Conclusion.NOT_COMPARED, _why_no_pair(one), None
    if not one.fits:
        words = f"moved by {describe_change(one.change.moved, one.metric)}; no band says what is good"
        return Conclusion.NOT_JUDGED, words, None
    claim = _claim(one, asks)
    if claim is not None:
        return *claim, None
    reason, n_more = _why_open(one, asks)
    return Conclusion.NOT_ENOUGH, f"{_describe(one)}{reason}", n_more


def _why_no_pair(one: _Evidence) -> str:
    missing = one.missing
    if not missing.n_pairs:
        return "there is no pair"
    reasons = describe_absences(one.change.absences)
    for words, n in (
        ("neither side has a value", min(missing.n_a, missing.n_b)),
        ("A has no value", missing.n_a),
        ("B has no value", missing.n_b),
    ):
        if n == missing.n_pairs:
            return f"{words} in any of {count(n, 'pair')}: {reasons}"
    return f"no pair has it on both sides: {reasons}"


def _claim(one: _Evidence, asks: _Asks) -> tuple[Conclusion, str] | None:
    """Return what is shown of B, with its words; None where it is not enough.

    What changes at the policy's limits counts however small the move is beside the margin.
    """
    limits, words = one.limits, _describe(one)
    correction = np.inf
    if asks.p_holm is not None and one.p is not None:  # Holm's factor, of both tests of the metric
        correction = max(1.0, asks.p_holm / one.p) if one.p else 1.0
    by_limits = 0 if limits is None else limits.n_entering - limits.n_leaving
    has_moved = limits is not None and limits.p <= asks.alpha
    by_mean = one.scale.sign * one.direction(asks.alpha / 2)
    is_clear = one.weighed_mean * correction <= asks.alpha and by_mean != 0
    is_contrary = by_limits * one.scale.sign * one.fits[0].mean < 0
    if one.weighed_share * correction <= asks.alpha and limits is not None:
        if is_contrary and one.p_plain <= asks.alpha:
            return Conclusion.NOT_JUDGED, f"{words}: the mean and the limits speak against each other"
        words = f"{limits.text}; {_describe(one, with_limits=False)}"
        return Conclusion.BETTER if by_limits > 0 else Conclusion.WORSE, words
    if is_clear and has_moved and is_contrary:
        return Conclusion.NOT_JUDGED, f"{words}: the mean and the limits speak against each other"
    alike = _claim_alike(one, asks, words) if not has_moved else None
    if is_clear and (alike is None or alike[0] is not Conclusion.NO_DIFFERENCE):
        return Conclusion.BETTER if by_mean > 0 else Conclusion.WORSE, words
    return alike


def _claim_alike(one: _Evidence, asks: _Asks, words: str) -> tuple[Conclusion, str] | None:
    """Say whether B differs by no more than the margin, or is at most by so much worse."""
    if one.n_distinct < MIN_PAIRS_ALIKE or any(fit.reason is not None for fit in one.fits):
        return None
    if asks.margin is not None:
        worst, best = sorted(one.scale.sign * end for end in one.bounds(asks.margin_alpha))
        if -asks.margin <= worst and best <= asks.margin:
            return Conclusion.NO_DIFFERENCE, f"{words}: all within the margin of {asks.margin:g}"
        if worst >= -asks.margin:
            return Conclusion.NOT_WORSE, f"{words}: at worst within the margin of {asks.margin:g}"
        is_within = all(fit.is_constant and abs(fit.mean) <= asks.margin for fit in one.fits)
        if is_within and (one.n_better or one.n_worse):
            return Conclusion.NO_DIFFERENCE, f"{words}: within the margin of {asks.margin:g}"
    is_equal = not one.n_better and not one.n_worse and len(one.fits) == 1
    return (Conclusion.NO_DIFFERENCE, words) if is_equal else None


def _describe(one: _Evidence, *, with_limits: bool = True) -> str:
    """Write the plain difference, and what is judged of it where that is something else."""
    moved, n = one.change.moved, one.change.judged.n
    if one.metric.name == ERROR_RATE.name:
        return _describe_failures(one)
    is_equal = moved.value == 0 and not one.n_better and not one.n_worse
    words = f"equal in all {n} {_several(one)}" if is_equal and n > 1 else describe_change(moved, one.metric)
    if not is_equal and _is_same_throughout(one):
        words += f" in each of {count(n, 'pair')}"
    elif one.is_inside:
        words += f", both within {one.scale.words}"
    elif one.scale.kind != "value" and not is_equal:
        away = "0" if one.scale.kind == "size" else one.scale.words
        words += f"; the distance from {away} changes by {describe_change(one.change.judged, one.metric)}"
    limits = one.limits
    if with_limits and limits is not None and (limits.n_leaving or limits.n_entering):
        words += f"; {limits.text}"
    return words


def _is_same_throughout(one: _Evidence) -> bool:
    """Say whether the plain difference is the same in every one of several pairs."""
    fit = next(iter(one.fits), None)
    is_plain = one.scale.kind == "value" and one.counted == "pair"
    return fit is not None and is_plain and fit.reason is None and fit.is_constant


def _describe_failures(one: _Evidence) -> str:
    limits = one.limits
    if limits is None or not (limits.n_leaving or limits.n_entering):
        return f"equal in all {one.change.judged.n} pairs"
    return f"{limits.n_leaving} of {count(limits.n, 'pair')} fail in B alone, {limits.n_entering} in A alone"


def _why_open(one: _Evidence, asks: _Asks) -> tuple[str, int | None]:
    """Say why nothing is claimed, and with about how many more pairs it is settled beside the margin."""
    n, fit = one.change.judged.n, one.fits[0]
    is_equal = not one.n_better and not one.n_worse
    missing = ""
    if one.missing.bounds is not None:
        low, high = (signed(end) + unit_suffix(one.metric.unit) for end in one.missing.bounds)
        missing = f"; with what is missing, anything from {low} to {high} is possible"
    distinct = f": there are {one.n_distinct} different inputs and seeds" if one.n_distinct < n else ""
    if one.n_distinct < (MIN_PAIRS_ALIKE if is_equal else MIN_PAIRS):
        fewest = MIN_PAIRS_ALIKE if is_equal else MIN_PAIRS
        unseen = "that 10 % are ruined" if is_equal else "rare ruined clips"
        signs = "" if is_equal or one.counted != "pair" else f"; {_count_signs(one)}"
        return (
            f"{signs}{missing}; fewer than {fewest} {_several(one)} cannot exclude {unseen}{distinct}",
            None,
        )
    reason = next((each.reason for each in one.fits if each.reason), None)
    if reason is not None:
        return f"{missing}; {reason}", None
    if missing:
        return missing, None
    if fit.is_constant:
        return (
            f"; {count(fit.n_units, 'independent input')} with the same difference are too few to judge by",
            None,
        )
    if asks.margin is None:
        return "; that can be chance", None
    n_more = _pairs_missing(one, asks)
    more = (
        ""
        if n_more is None
        else f"; about {n_more} more {_several(one)} settle whether that is beyond the margin"
    )
    return f"; neither beyond nor within the margin of {asks.margin:g}{more}", n_more


def _several(one: _Evidence) -> str:
    return {"pair": "pairs", "session a side": "sessions a side"}[one.counted]


def _count_signs(one: _Evidence) -> str:
    n = one.change.judged.n
    counts = [
        f"{word} in {number}" for word, number in (("better", one.n_better), ("worse", one.n_worse)) if number
    ]
    return f"{' and '.join(counts)} of {count(n, 'pair')}"


def _pairs_missing(one: _Evidence, asks: _Asks) -> int | None:
    """Return with about how many more pairs it is settled, whatever the true difference is, in 80 %.

    It is settled where the interval is all beyond 0 or all within the margin. That fails most often for a true
    difference of half the margin: then the estimate has to miss the gap that the interval leaves. The spread is taken
    at its upper 80 % bound, as the pairs at hand may show too little of it.
    """
    from evalkit.stats.special import chdtri, ndtri, stdtrit

    fit, margin = one.fits[0], asks.margin
    if margin is None or not fit.units.size or is_rating(one.metric.name):
        return None  # it depends on which factor grows
    df = fit.n_units - 1
    spread = fit.standard_error * sqrt(fit.n_units * df / float(chdtri(df, _POWER)))
    gap = 2 * float(ndtri(0.5 + (1 - _POWER) / 2))
    n_units = fit.n_units
    for _ in range(20):
        quantile = float(stdtrit(max(2, n_units - 1), 1 - asks.margin_alpha))
        n_units = ceil((spread * (2 * quantile - gap) / margin) ** 2)
    n_pairs = max(MIN_PAIRS_ALIKE, ceil(n_units * fit.n / fit.n_units))
    return _about(n_pairs - fit.n) if n_pairs > fit.n else None


def _about(n: int) -> int:
    """Round up to two digits: more would promise too much.

    >>> _about(9), _about(4321)
    (9, 4400)
    """
    step = int(10 ** max(0, len(str(n)) - 2))
    return step * ceil(n / step)


def _detectable(fit: MeanFit, alpha: float) -> float | None:
    """Return the true difference that so many pairs find in 80 %."""
    if fit.reason is not None or fit.is_constant:
        return None
    n = round(fit.df) + 1
    return minimum_detectable_effect(fit.standard_error * sqrt(n), n, power=_POWER, alpha=alpha)


def _margins(
    metrics: Mapping[str, Metric], policy: Policy | None, given: Mapping[str, float] | None
) -> dict[str, float]:
    rules = policy.rules if policy is not None else ()
    margins = {rule.metric.name: rule.margin for rule in rules if rule.margin is not None}
    for name, margin in (given or {}).items():
        if name not in metrics:
            near = get_close_matches(name, metrics, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"a margin is given for {name!r}, which neither side has{hint}")
        if not margin > 0:
            raise UsageError(f"the margin of {name} must be greater than 0, not {margin}")
        margins[name] = margin
    return margins


def _name(row: ClipRecord, keys: Sequence[str]) -> str:
    seed = [] if row.seed is None else [f"seed {row.seed}"]
    params = [f"{name} {row.params[name]}" for name in keys if name in row.params]
    return ", ".join([row.name, *seed, *params])
