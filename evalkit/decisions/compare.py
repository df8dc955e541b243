"""Which of two is better: clip by clip, metric by metric, and how sure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from evalkit.analysis.table import shared_factors
from evalkit.errors import UsageError
from evalkit.formatting import three_digits
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.bootstrap import MIN_LEVELS, Estimate, estimate_mean
from evalkit.stats.power import effect_size, fewest_pairs, minimum_detectable_effect, n_pairs_needed
from evalkit.stats.randomisation import holm, sign_flip_test

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from evalkit.analysis.table import ClipRecord, ResultTable
    from evalkit.decisions.policy import Policy
    from evalkit.types import FloatArray, Metric

ALPHA = 0.05
_PLURALS = {"portrait": "portraits", "piece of speech": "pieces of speech"}


class Conclusion(StrEnum):
    """What is known of B beside A in one metric."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference"
    NOT_WORSE = "not worse"
    NOT_ENOUGH = "not enough evidence"
    NOT_JUDGED = "no better or worse"
    NOT_COMPARED = "not compared"

    @property
    def symbol(self) -> str:
        """One sign, for those who see no colour."""
        return _SYMBOLS[self]


_SYMBOLS = {
    Conclusion.BETTER: "▲",
    Conclusion.WORSE: "▼",
    Conclusion.NO_DIFFERENCE: "=",
    Conclusion.NOT_WORSE: "≥",
    Conclusion.NOT_ENOUGH: "?",
    Conclusion.NOT_JUDGED: "~",
    Conclusion.NOT_COMPARED: "–",
}


@dataclass(frozen=True)
class MetricComparison:
    """One metric of B against A, over pairs that share input and seed.

    Parameters
    ----------
    metric : Metric
    finding : Conclusion
    text : str
        The finding in words.
    mean_a, mean_b : float or None
        Plain means over the pairs.
    difference : Estimate
        B minus A of what is judged: the value; its size where 0 is best; its distance from the policy's band where
        there is one. n counts pairs.
    moved : Estimate
        B minus A of the plain value.
    p, p_holm : float or None
        Two-sided sign-flip test; corrected for all metrics tested. None where nothing was tested.
    effect_size : float or None
        Mean difference in standard deviations of the differences.
    margin : float or None
        The smallest difference that matters.
    detectable : float or None
        True difference found with 80 % chance by so many pairs.
    n_more : int or None
        About how many more pairs would settle it; None where that is unknown or nothing is open.
    scored_a, scored_b, attempted_a, attempted_b : int
        Clips with a value, and all, on each side, paired or not.
    absent : mapping of str to int
        Reason codes of pairs in which either side has no value, with their number.
    """

    metric: Metric
    finding: Conclusion
    text: str
    mean_a: float | None
    mean_b: float | None
    difference: Estimate
    moved: Estimate
    p: float | None
    p_holm: float | None
    effect_size: float | None
    margin: float | None
    detectable: float | None
    n_more: int | None
    scored_a: int
    scored_b: int
    attempted_a: int
    attempted_b: int
    absent: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "better": self.metric.better,
            "finding": self.finding.value,
            "text": self.text,
            "mean_a": self.mean_a,
            "mean_b": self.mean_b,
            "difference": _plain(self.difference),
            "moved": _plain(self.moved),
            "p": self.p,
            "p_holm": self.p_holm,
            "effect_size": self.effect_size,
            "margin": self.margin,
            "detectable": self.detectable,
            "n_more": self.n_more,
            "scored": {"a": self.scored_a, "b": self.scored_b},
            "attempted": {"a": self.attempted_a, "b": self.attempted_b},
            "absent": dict(self.absent),
        }


@dataclass(frozen=True)
class Comparison:
    """B against A.

    Parameters
    ----------
    a, b : str
        Titles.
    metrics : tuple of MetricComparison
    n_pairs : int
        Clips on both sides with the same input, seed and swept parameters.
    unpaired_a, unpaired_b : tuple of str
        Clips without a partner, by name.
    failed_a, failed_b : tuple of str
        Attempts that gave no clip, with the reason.
    notes : tuple of str
        What limits the answer.
    """

    a: str
    b: str
    metrics: tuple[MetricComparison, ...]
    n_pairs: int
    unpaired_a: tuple[str, ...]
    unpaired_b: tuple[str, ...]
    failed_a: tuple[str, ...]
    failed_b: tuple[str, ...]
    notes: tuple[str, ...]

    def __getitem__(self, metric: str) -> MetricComparison:
        """Return the comparison of a metric by its full name."""
        for one in self.metrics:
            if one.metric.name == metric:
                return one
        raise KeyError(metric)

    def found(self, finding: Conclusion) -> list[MetricComparison]:
        """Return the metrics with this finding."""
        return [one for one in self.metrics if one.finding is finding]

    @property
    def answer(self) -> str:
        """One sentence that a manager can repeat."""
        better, worse = self.found(Conclusion.BETTER), self.found(Conclusion.WORSE)
        open_ones = self.found(Conclusion.NOT_ENOUGH)
        if better or worse:
            parts = [f"better in {_names(better)}"] if better else []
            parts += [f"worse in {_names(worse)}"] if worse else []
            return f"B is {' and '.join(parts)}, over {_count(self.n_pairs)}."
        if not self.n_pairs:
            return "Nothing can be compared: no clip of A has a partner in B."
        settled = self.found(Conclusion.NO_DIFFERENCE) + self.found(Conclusion.NOT_WORSE)
        if not open_ones:
            return (
                f"No difference between A and B, over {_count(self.n_pairs)}."
                if settled
                else "Nothing could be compared."
            )
        more = [one.n_more for one in open_ones if one.n_more is not None]
        need = f"; about {min(more)} more would settle the first of them" if more else ""
        return (
            f"Not enough evidence for a difference in {_names(open_ones)}, over {_count(self.n_pairs)}{need}."
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain data, as written by ``--json``."""
        return {
            "a": self.a,
            "b": self.b,
            "answer": self.answer,
            "pairs": self.n_pairs,
            "unpaired": {"a": list(self.unpaired_a), "b": list(self.unpaired_b)},
            "failed": {"a": list(self.failed_a), "b": list(self.failed_b)},
            "notes": list(self.notes),
            "metrics": [one.as_json() for one in self.metrics],
        }


def compare_tables(
    a: ResultTable,
    b: ResultTable,
    *,
    policy: Policy | None = None,
    margins: Mapping[str, float] | None = None,
    ignore_params: Sequence[str] = (),
    seed: int = 0,
) -> Comparison:
    """Compare two tables of clips, paired by input, seed and the parameters that vary within either.

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
    apart_from : sequence of str
        Parameters that are what is compared: pairs may differ in them.
    seed : int
        Of bootstrap and random signs.

    Raises
    ------
    UsageError
        If two clips on one side are the same input, seed and parameters, or a margin is of an unknown metric.
    """
    metrics = {**a.metrics, **b.metrics, ERROR_RATE.name: ERROR_RATE}
    margins = _margins(metrics, policy, margins)
    keys = [name for name in dict.fromkeys((*a.swept, *b.swept)) if name not in ignore_params]
    rows_a, rows_b = _by_key(a, keys), _by_key(b, keys)
    pairs = [(row, rows_b[key]) for key, row in rows_a.items() if key in rows_b]
    found, refused = [], []
    for metric in metrics.values():
        family = metric.name.partition(".")[0]
        versions = a.evaluators.get(family), b.evaluators.get(family)
        if None not in versions and versions[0] != versions[1]:
            refused.append(f"{family}: version {versions[0]} measured A and version {versions[1]} measured B")
            continue
        one = _compare_metric(metric, pairs, policy, margins.get(metric.name), seed)
        found.append(
            replace(
                one,
                scored_a=sum(row.value(metric.name) is not None for row in a.rows),
                scored_b=sum(row.value(metric.name) is not None for row in b.rows),
                attempted_a=len(a.rows),
                attempted_b=len(b.rows),
            )
        )
    notes = [f"{text}: not compared, measure one of them again" for text in dict.fromkeys(refused)]
    return Comparison(
        a=a.title,
        b=b.title,
        metrics=tuple(_decide(found)),
        n_pairs=len(pairs),
        unpaired_a=tuple(_name(row, keys) for key, row in rows_a.items() if key not in rows_b),
        unpaired_b=tuple(_name(row, keys) for key, row in rows_b.items() if key not in rows_a),
        failed_a=tuple(f"{_name(row, keys)}: {row.failure}" for row in a.rows if row.failure),
        failed_b=tuple(f"{_name(row, keys)}: {row.failure}" for row in b.rows if row.failure),
        notes=(*notes, *a.missing, *b.missing, *_reach([first for first, _ in pairs])),
    )


def _compare_metric(
    metric: Metric,
    pairs: Sequence[tuple[ClipRecord, ClipRecord]],
    policy: Policy | None,
    margin: float | None,
    seed: int,
) -> MetricComparison:
    """Compute everything about one metric that does not depend on the others."""
    values = [(first, first.value(metric.name), second.value(metric.name)) for first, second in pairs]
    scored = [(row, one, two) for row, one, two in values if one is not None and two is not None]
    absent = Counter(
        row.why_absent(metric.name) for pair in pairs for row in pair if row.value(metric.name) is None
    )
    before = np.array([one for _, one, _ in scored])
    after = np.array([two for _, _, two in scored])
    factors = shared_factors([row for row, _, _ in scored])
    judged = _judged_values(metric, policy)
    moved = difference = estimate_mean(after - before, factors, seed=seed)
    p = size = None
    finding = Conclusion.NOT_ENOUGH
    if not scored:
        finding = Conclusion.NOT_COMPARED
    elif judged is None:
        finding = Conclusion.NOT_JUDGED
    else:
        change = judged(after) - judged(before)
        if (change != after - before).any():
            difference = estimate_mean(change, factors, seed=seed)
        size = effect_size(change)
        if change.any():  # where all pairs are equal there is nothing to flip, and nothing to correct for
            p = sign_flip_test(change, factors, seed=seed).p
    return MetricComparison(
        metric=metric,
        finding=finding,
        text="",
        mean_a=float(before.mean()) if scored else None,
        mean_b=float(after.mean()) if scored else None,
        difference=difference,
        moved=moved,
        p=p,
        p_holm=None,
        effect_size=size,
        margin=margin,
        detectable=_detectable(difference, judged=judged is not None),
        n_more=None,
        scored_a=0,
        scored_b=0,
        attempted_a=0,
        attempted_b=0,
        absent=dict(absent),
    )


def _decide(found: Sequence[MetricComparison]) -> list[MetricComparison]:
    """Correct for the number of tests, and say what follows."""
    tested = [one for one in found if one.p is not None]
    corrected = dict(
        zip(
            (one.metric.name for one in tested),
            holm([one.p for one in tested if one.p is not None]),
            strict=True,
        )
    )
    return [_find(one, corrected.get(one.metric.name), ALPHA / max(1, len(tested))) for one in found]


def _find(one: MetricComparison, p_holm: float | None, alpha: float) -> MetricComparison:
    """Say what follows for one metric; `alpha` is what is left for each test."""
    change, interval = one.difference.value, one.difference.interval
    if change is None:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in one.absent.items())
        return replace(one, text=f"no pair has it on both sides ({reasons or 'no pair'})")
    if one.finding is Conclusion.NOT_JUDGED:
        return replace(one, text=f"moved by {signed(one.moved, one.metric)}; no band says what is good")
    if one.p is None:
        return replace(one, finding=Conclusion.NO_DIFFERENCE, text="equal in every pair")
    sign = 1 if one.metric.better == "higher" else -1
    words = signed(one.difference, one.metric)
    if one.metric.better in {"zero", "band"}:
        words += f" away from {'0' if one.metric.better == 'zero' else 'its band'}"
    margin = one.margin
    finding, text, n_more = Conclusion.NOT_ENOUGH, words, None
    if interval is not None:
        worst = min(sign * interval.low, sign * interval.high)
        best = max(sign * interval.low, sign * interval.high)
        beyond = p_holm is not None and p_holm <= ALPHA and (worst > 0 or best < 0)
        if margin is not None and -margin <= worst and best <= margin:
            finding, text = Conclusion.NO_DIFFERENCE, f"{words}: all within the margin of {margin:g}"
        elif beyond:
            finding = Conclusion.BETTER if worst > 0 else Conclusion.WORSE
        elif margin is not None and worst >= -margin:
            finding, text = Conclusion.NOT_WORSE, f"{words}: at worst within the margin of {margin:g}"
    if finding is Conclusion.NOT_ENOUGH:
        n_more = _pairs_missing(one, alpha)
        need = (
            f"about {n_more} more pairs needed"
            if n_more is not None
            else "no number of pairs is likely to show more"
        )
        text = f"{words}: {need}"
    return replace(one, finding=finding, text=text, p_holm=p_holm, n_more=n_more)


def _pairs_missing(one: MetricComparison, alpha: float) -> int | None:
    """Return about how many more pairs would settle it with a chance of 80 %."""
    n, change = one.difference.n, one.difference.value
    spread = _spread(one.difference)
    if spread is None or change is None:  # too few for a guess: what the test needs at least
        return max(1, fewest_pairs(alpha) - n)
    if one.margin is not None and abs(change) < one.margin:
        room = one.margin - abs(change)
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


def _detectable(difference: Estimate, *, judged: bool) -> float | None:
    spread = _spread(difference)
    return minimum_detectable_effect(spread, difference.n) if judged and spread is not None else None


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
    margins = {rule.metric: rule.margin for rule in rules if rule.margin is not None}
    for name, margin in (given or {}).items():
        if name not in metrics:
            near = get_close_matches(name, metrics, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"a margin is given for {name!r}, which neither side has{hint}")
        if not margin > 0:
            raise UsageError(f"the margin of {name} must be greater than 0, not {margin}")
        margins[name] = margin
    return margins


def _by_key(table: ResultTable, keys: Sequence[str]) -> dict[Hashable, ClipRecord]:
    rows: dict[Hashable, ClipRecord] = {}
    for row in table.rows:
        key = (row.input, row.seed, tuple(row.params.get(name) for name in keys))
        if key in rows:
            raise UsageError(
                f"{table.title}: {row.name!r} and {rows[key].name!r} are the same input, seed and parameters; "
                f"which of them to pair is not known"
            )
        rows[key] = row
    return rows


def _name(row: ClipRecord, keys: Sequence[str]) -> str:
    seed = [] if row.seed is None else [f"seed {row.seed}"]
    params = [f"{name} {row.params[name]}" for name in keys if name in row.params]
    return ", ".join([row.name, *seed, *params])


def _reach(rows: Sequence[ClipRecord]) -> list[str]:
    """Say of whom the answer speaks."""
    if not rows:
        return []
    if all(row.portrait is None and row.speech is None for row in rows):
        return ["which clips share a portrait or speech is not known: they are taken as independent"]
    counts = {
        "portrait": len({row.portrait for row in rows}),
        "piece of speech": len({row.speech for row in rows}),
    }
    few = [f"{n} {name if n == 1 else _PLURALS[name]}" for name, n in counts.items() if n < MIN_LEVELS]
    if not few:
        return []
    return [f"speaks only of the {' and '.join(few)} seen here: with {MIN_LEVELS} or more, of others too"]


def signed(estimate: Estimate, metric: Metric) -> str:
    """Write a change with its sign, unit and interval, for people."""
    if estimate.value is None:
        return "unknown"
    unit = "" if metric.unit == "1" else f" {metric.unit}"
    words = f"{'+' if estimate.value > 0 else ''}{three_digits(estimate.value)}{unit}"
    if estimate.interval is None:
        return words
    return f"{words} [{three_digits(estimate.interval.low)}, {three_digits(estimate.interval.high)}]"


def _count(n: int) -> str:
    return f"{n} pair{'s' * (n != 1)}"


def _names(found: Sequence[MetricComparison]) -> str:
    """List metrics, the first three in full."""
    names = [one.metric.name for one in found]
    if len(names) <= 3:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def _plain(estimate: Estimate) -> dict[str, Any]:
    plain: dict[str, Any] = {"value": estimate.value, "n": estimate.n}
    plain["ci95"] = None if estimate.interval is None else list(estimate.interval)
    if estimate.reason is not None:
        plain["reason"] = estimate.reason
    return plain
