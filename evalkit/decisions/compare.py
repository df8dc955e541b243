"""Which of two is better: clip by clip, metric by metric, and how sure."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtrit

from evalkit.analysis.pairs import describe_reach, pair_clips
from evalkit.analysis.values import describe_absences
from evalkit.decisions.comparison import (
    Comparison,
    Conclusion,
    DifferenceTest,
    MetricComparison,
    PairedChange,
    describe_change,
)
from evalkit.errors import UsageError
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.means import Estimate, estimate_mean, fit_mean
from evalkit.stats.power import effect_size, fewest_pairs, minimum_detectable_effect, n_pairs_needed
from evalkit.stats.randomisation import holm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalkit.analysis.pairs import Pairing
    from evalkit.analysis.table import ClipRecord, ResultTable
    from evalkit.decisions.policy import Policy
    from evalkit.types import FloatArray, Interval, Metric

ALPHA = 0.05


@dataclass(frozen=True)
class _TestedChange:
    """A metric's difference and test, before the correction for the number of tests."""

    metric: Metric
    change: PairedChange
    is_judged: bool
    p: float | None
    effect_size: float | None


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

    A metric is better or worse when the sign-flip test, after Holm's correction for all metrics tested, and the
    95 % interval both say so and the difference is not all within the margin. It shows no difference when the whole
    interval lies within the margin, or every pair is equal; it is not worse when the worse end of the interval lies
    within the margin. Everything else is not enough evidence.

    Parameters
    ----------
    a, b : ResultTable
    policy : Policy, optional
        Gives the margins, and the bands of metrics in which neither end is good.
    margins : mapping of str to float, optional
        Take precedence over the policy's.
    ignore_params : sequence of str
        Parameters that are what is compared: pairs may differ in them.

    Raises
    ------
    UsageError
        If two clips on one side are the same input, seed and parameters, or a margin is of an unknown metric.
    """
    metrics = {**a.metrics, **b.metrics, ERROR_RATE.name: ERROR_RATE}
    margins = _margins(metrics, policy, margins)
    keys = [name for name in dict.fromkeys((*a.swept, *b.swept)) if name not in ignore_params]
    pairing = pair_clips(a.rows, b.rows, keys, (a.title, b.title))
    refused = _refuse_versions(a, b, metrics)
    changes = [
        _test_change(metric, pairing, policy) for metric in metrics.values() if metric.name not in refused
    ]
    corrected = iter(holm([tested.p for tested in changes if tested.p is not None]))
    n_tested = sum(tested.p is not None for tested in changes)
    compared = []
    for tested in changes:
        p_holm = None if tested.p is None else next(corrected)
        margin = margins.get(tested.metric.name)
        compared.append(_conclude(tested, (a, b), p_holm, margin, ALPHA / max(1, n_tested)))
    notes = [f"{text}: not compared, measure one of them again" for text in dict.fromkeys(refused.values())]
    return Comparison(
        a=a.title,
        b=b.title,
        metrics=tuple(compared),
        n_pairs=len(pairing.pairs),
        unpaired_a=tuple(_name(row, keys) for row in pairing.unpaired_a),
        unpaired_b=tuple(_name(row, keys) for row in pairing.unpaired_b),
        failed_a=tuple(f"{_name(row, keys)}: {row.failure}" for row in a.rows if row.failure),
        failed_b=tuple(f"{_name(row, keys)}: {row.failure}" for row in b.rows if row.failure),
        notes=(*notes, *a.missing, *b.missing, *describe_reach([first for first, _ in pairing.pairs])),
    )


def _refuse_versions(a: ResultTable, b: ResultTable, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Say of each metric that different versions of an evaluator measured on the two sides why it is not compared."""
    refused = {}
    for name in metrics:
        family = name.partition(".")[0]
        versions = a.evaluators.get(family), b.evaluators.get(family)
        if None not in versions and versions[0] != versions[1]:
            refused[name] = f"{family}: version {versions[0]} measured A and version {versions[1]} measured B"
    return refused


def _test_change(metric: Metric, pairing: Pairing, policy: Policy | None) -> _TestedChange:
    """Compute everything about one metric that does not depend on the others."""
    pairs = pairing.values(metric.name)
    judged = _judged_values(metric, policy)
    moved = difference = estimate_mean(pairs.b - pairs.a, pairs.factors)
    p = size = None
    if judged is not None and pairs.a.size:
        change = judged(pairs.b) - judged(pairs.a)
        if (change != pairs.b - pairs.a).any():
            difference = estimate_mean(change, pairs.factors)
        size = effect_size(change)
        if change.any():  # where all pairs are equal there is nothing to flip, and nothing to correct for
            p = fit_mean(change, pairs.factors).p_value()
    mean_a, mean_b = (float(side.mean()) if side.size else None for side in (pairs.a, pairs.b))
    paired = PairedChange(mean_a, mean_b, moved, difference, pairs.absences)
    return _TestedChange(metric, paired, judged is not None, p, size)


def _conclude(
    tested: _TestedChange,
    tables: tuple[ResultTable, ResultTable],
    p_holm: float | None,
    margin: float | None,
    alpha: float,
) -> MetricComparison:
    """Say what follows for one metric; `alpha` is what is left for each test."""
    finding, text, n_more = _find(tested, p_holm, margin, alpha)
    side_a, side_b = (table.pooled().summary(tested.metric) for table in tables)
    detectable = _detectable(tested.change.judged) if tested.is_judged else None
    test = DifferenceTest(tested.p, p_holm, tested.effect_size, detectable)
    return MetricComparison(tested.metric, finding, text, side_a, side_b, tested.change, test, margin, n_more)


class _Found(NamedTuple):
    finding: Conclusion
    text: str
    n_more: int | None = None


def _find(tested: _TestedChange, p_holm: float | None, margin: float | None, alpha: float) -> _Found:
    """Return the conclusion, its words, and how many more pairs would settle what is open."""
    difference = tested.change.judged
    if difference.value is None:
        reasons = describe_absences(tested.change.absences) or "there is no pair"
        return _Found(Conclusion.NOT_COMPARED, f"no pair has it on both sides: {reasons}")
    if not tested.is_judged:
        words = f"moved by {describe_change(tested.change.moved, tested.metric)}; no band says what is good"
        return _Found(Conclusion.NOT_JUDGED, words)
    if tested.p is None:
        return _Found(Conclusion.NO_DIFFERENCE, "equal in every pair")
    words = describe_change(difference, tested.metric)
    if tested.metric.better in {"zero", "band"}:
        words += f" away from {'0' if tested.metric.better == 'zero' else 'its band'}"
    if difference.interval is not None:
        settled = _settle(difference.interval, tested.metric, p_holm, margin)
        if settled is not None:
            return _Found(settled.finding, words + settled.text)
    n_more = _pairs_missing(difference, margin, alpha)
    need = (
        f"about {n_more} more pairs needed"
        if n_more is not None
        else "no number of pairs is likely to show more"
    )
    return _Found(Conclusion.NOT_ENOUGH, f"{words}: {need}", n_more)


def _settle(interval: Interval, metric: Metric, p_holm: float | None, margin: float | None) -> _Found | None:
    """Return what an interval of the judged difference settles, with what to add to the words; None if nothing."""
    sign = 1 if metric.better == "higher" else -1
    worst, best = sorted(sign * end for end in interval)
    if margin is not None and -margin <= worst and best <= margin:
        return _Found(Conclusion.NO_DIFFERENCE, f": all within the margin of {margin:g}")
    if p_holm is not None and p_holm <= ALPHA and (worst > 0 or best < 0):
        return _Found(Conclusion.BETTER if worst > 0 else Conclusion.WORSE, "")
    if margin is not None and worst >= -margin:
        return _Found(Conclusion.NOT_WORSE, f": at worst within the margin of {margin:g}")
    return None


def _pairs_missing(difference: Estimate, margin: float | None, alpha: float) -> int | None:
    """Return about how many more pairs would settle it with a chance of 80 %."""
    n, change = difference.n, difference.value
    spread = _spread(difference)
    if spread is None or change is None:  # too few for a guess: what the test needs at least
        return max(1, fewest_pairs(alpha) - n)
    if margin is not None and abs(change) < margin:
        room = margin - abs(change)
        needed: int | None = max(fewest_pairs(alpha), ceil((2 * spread / room) ** 2))
    else:
        needed = n_pairs_needed(spread, change, alpha=alpha)
    return None if needed is None else _about(max(1, needed - n))


def _about(n: int) -> int:
    """Round up to two digits: more would promise too much.

    >>> _about(9), _about(4321)
    (9, 4400)
    """
    step = int(10 ** max(0, len(str(n)) - 2))
    return step * ceil(n / step)


def _spread(difference: Estimate) -> float | None:
    """Return the standard deviation that independent pairs would need for an interval as wide as this."""
    if difference.interval is None:
        return None
    half_width = (difference.interval.high - difference.interval.low) / 2
    return float(half_width / stdtrit(difference.n - 1, 1 - ALPHA / 2) * sqrt(difference.n))


def _detectable(difference: Estimate) -> float | None:
    spread = _spread(difference)
    return None if spread is None else minimum_detectable_effect(spread, difference.n)


def _judged_values(metric: Metric, policy: Policy | None) -> Callable[[FloatArray], FloatArray] | None:
    """Return what is judged of a value, or None where neither end is good and no band is known."""
    if metric.better in {"lower", "higher"}:
        return lambda values: values
    if metric.better == "zero":
        return np.abs
    rule = policy.rule_for(metric.name) if policy is not None else None
    if rule is None:
        return None
    low, high = rule.limits
    return lambda values: np.maximum(0.0, np.maximum(low - values, values - high))


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
