"""What a comparison of A and B finds; `evalkit.views.comparison` shows it as page and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING

from evalkit.formatting import count
from evalkit.visuals.numbers import bracket, signed, unit_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from evalkit.analysis.values import Summary
    from evalkit.stats.means import Estimate
    from evalkit.types import Metric
else:
    from evalkit.frames import pd


class Conclusion(StrEnum):
    """What is known of B beside A in one metric."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference"
    NOT_WORSE = "not worse"
    NOT_ENOUGH = "not enough evidence"
    NOT_JUDGED = "no better or worse"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class PairedChange:
    """How one metric differs over the pairs that have it on both sides.

    Parameters
    ----------
    mean_a, mean_b : float or None
        Plain means over these pairs; None without any.
    moved : Estimate
        B minus A of the plain value. n counts pairs.
    judged : Estimate
        B minus A of what is judged: the value; its size where 0 is best; its distance from the policy's band where
        there is one.
    absences : mapping of str to int
        Reason codes of the clips, in any pair, without a value.
    """

    mean_a: float | None
    mean_b: float | None
    moved: Estimate
    judged: Estimate
    absences: Mapping[str, int]


@dataclass(frozen=True)
class DifferenceTest:
    """Whether a difference is more than chance, and what could have been found.

    Parameters
    ----------
    p, p_holm : float or None
        Two-sided sign-flip test; corrected for all metrics tested. None where nothing was tested.
    effect_size : float or None
        Mean difference in standard deviations of the differences.
    detectable : float or None
        True difference found with 80 % chance by so many pairs.
    """

    p: float | None = None
    p_holm: float | None = None
    effect_size: float | None = None
    detectable: float | None = None


@dataclass(frozen=True)
class MetricComparison:
    """One metric of B against A.

    Parameters
    ----------
    metric : Metric
    finding : Conclusion
    text : str
        The finding in words.
    a, b : Summary
        The value of each side over all its clips, paired or not: what a report shows of the configuration.
    change : PairedChange
        The difference over the pairs.
    test : DifferenceTest
    margin : float or None
        The smallest difference that matters.
    n_more : int or None
        About how many more pairs would settle it; None where that is unknown or nothing is open.
    """

    metric: Metric
    finding: Conclusion
    text: str
    a: Summary
    b: Summary
    change: PairedChange
    test: DifferenceTest
    margin: float | None = None
    n_more: int | None = None

    @property
    def difference(self) -> Estimate:
        """What is judged, B minus A."""
        return self.change.judged

    @property
    def coverage(self) -> str:
        """What the three figures cover, in words; empty where all three cover the same clips."""
        n_pairs = self.change.judged.n
        if self.a.n == self.b.n == n_pairs:
            return ""
        sides = f"A over {count(self.a.n, 'clip')}, B over {count(self.b.n, 'clip')}"
        return f"{sides}, the difference over {count(n_pairs, 'pair')}"


@dataclass(frozen=True, repr=False)
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
        for compared in self.metrics:
            if compared.metric.name == metric:
                return compared
        raise KeyError(metric)

    def __repr__(self) -> str:
        return f"<Comparison of {self.a} and {self.b}: {len(self.metrics)} metrics. {self.answer}>"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.answer)}</p>{self.frame().to_html(index=False, na_rep='')}"

    def found(self, finding: Conclusion) -> list[MetricComparison]:
        """Return the metrics with this finding."""
        return [compared for compared in self.metrics if compared.finding is finding]

    @property
    def answer(self) -> str:
        """One sentence that a manager can repeat."""
        pairs = count(self.n_pairs, "pair")
        better, worse = self.found(Conclusion.BETTER), self.found(Conclusion.WORSE)
        undecided = self.found(Conclusion.NOT_ENOUGH)
        if better or worse:
            parts = [f"better in {_names(better)}"] if better else []
            parts += [f"worse in {_names(worse)}"] if worse else []
            return f"B is {' and '.join(parts)}, over {pairs}."
        if not self.n_pairs:
            return "Nothing can be compared: no clip of A has a partner in B."
        settled = self.found(Conclusion.NO_DIFFERENCE) + self.found(Conclusion.NOT_WORSE)
        if not undecided:
            return (
                f"No difference between A and B, over {pairs}." if settled else "Nothing could be compared."
            )
        more = [compared.n_more for compared in undecided if compared.n_more is not None]
        need = f"; about {min(more)} more would settle the first of them" if more else ""
        return f"Not enough evidence for a difference in {_names(undecided)}, over {pairs}{need}."

    def frame(self) -> pd.DataFrame:
        """Return one row a metric: both sides, the difference over pairs with its interval, and the finding."""
        rows = []
        for compared in self.metrics:
            low, high = compared.difference.interval or (None, None)
            rows.append(
                {
                    "metric": compared.metric.name,
                    "unit": compared.metric.unit,
                    "finding": compared.finding.value,
                    "a": compared.a.value,
                    "n_a": compared.a.n,
                    "b": compared.b.value,
                    "n_b": compared.b.n,
                    "difference": compared.difference.value,
                    "low": low,
                    "high": high,
                    "n_pairs": compared.difference.n,
                    "moved": compared.change.moved.value,
                    "p": compared.test.p,
                    "p_holm": compared.test.p_holm,
                    "effect_size": compared.test.effect_size,
                    "margin": compared.margin,
                    "detectable": compared.test.detectable,
                    "n_more": compared.n_more,
                    "text": compared.text,
                }
            )
        return pd.DataFrame(rows)


def describe_change(estimate: Estimate, metric: Metric) -> str:
    """Write a change with its sign, unit and interval, for people."""
    if estimate.value is None:
        return "unknown"
    words = f"{signed(estimate.value)}{unit_suffix(metric.unit)}"
    return f"{words} {bracket(estimate.interval)}".rstrip()


def _names(found: Sequence[MetricComparison]) -> str:
    """List metrics, the first three in full."""
    names = [compared.metric.name for compared in found]
    if len(names) <= 3:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{', '.join(names[:3])} and {len(names) - 3} more"
