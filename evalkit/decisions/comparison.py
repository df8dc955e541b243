"""What a comparison of A and B finds; `evalkit.views.comparison` shows it as page and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING

from evalkit.formatting import count
from evalkit.profiling.costs import ERROR_RATE
from evalkit.visuals.numbers import bracket, signed, unit_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from evalkit.analysis.table import ClipRecord
    from evalkit.analysis.values import Summary
    from evalkit.stats.means import Estimate
    from evalkit.types import Metric
else:
    from evalkit.frames import pd


class Family(StrEnum):
    """Whether a metric was asked about beforehand, or only looked at."""

    PRIMARY = "primary"
    EXPLORATORY = "exploratory"


class Conclusion(StrEnum):
    """What is known of B beside A in one metric, in the order in which it is shown."""

    BETTER = "better"
    WORSE = "worse"
    NOT_WORSE = "not worse"
    NOT_ENOUGH = "not enough evidence"
    NOT_JUDGED = "no better or worse"
    NOT_COMPARED = "not compared"
    NO_DIFFERENCE = "no difference"


_HEADLINES = {
    Conclusion.NO_DIFFERENCE: "No difference between A and B in",
    Conclusion.NOT_WORSE: "B is not worse than A in",
    Conclusion.NOT_ENOUGH: "Not enough evidence for a difference in",
    Conclusion.NOT_JUDGED: "Neither better nor worse is known of",
}


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
class MissingValues:
    """In how many pairs a metric has no value, which is an outcome like any other.

    Parameters
    ----------
    n_pairs : int
        All pairs, failed attempts included.
    n_a, n_b : int
        Pairs without a value in A, in B.
    p : float
        Two-sided exact test of as many missing on both sides (McNemar).
    bounds : tuple of float or None
        Lowest and highest mean difference of what is judged over all pairs, whatever is missing would have been: within
        the metric's bounds, else within all values of both sides. None where nothing is missing or nothing is known.
    """

    n_pairs: int
    n_a: int = 0
    n_b: int = 0
    p: float = 1.0
    bounds: tuple[float, float] | None = None

    @property
    def text(self) -> str:
        """What is missing, in words; empty where nothing is."""
        if not self.n_a and not self.n_b:
            return ""
        if self.n_a == self.n_b:
            return f"no value in {self.n_a} of {count(self.n_pairs, 'clip')} of A and as many of B"
        more, fewer = sorted((("A", self.n_a), ("B", self.n_b)), key=lambda side: -side[1])
        rest = f"{fewer[1] or 'none'} of {fewer[0]}"
        return f"no value in {more[1]} of {count(self.n_pairs, 'clip')} of {more[0]} and {rest}"


@dataclass(frozen=True)
class LimitChange:
    """How many clips keep the policy's limits on one side only.

    Parameters
    ----------
    limits : str
        In words.
    n : int
        Pairs that have a value on both sides.
    n_leaving, n_entering : int
        Pairs within the limits in A and not in B; in B and not in A.
    p : float
        Two-sided exact test (McNemar), of independent units.
    """

    limits: str
    n: int
    n_leaving: int
    n_entering: int
    p: float

    @property
    def text(self) -> str:
        """The change in words.

        >>> LimitChange("at most 0.3", 8, 8, 0, 0.0078).text
        '8 of 8 clips leave at most 0.3, none enters'
        """
        leave = f"{self.n_leaving or 'none'} of {count(self.n, 'clip')} {_verb(self.n_leaving, 'leave')} {self.limits}"
        return f"{leave}, {self.n_entering or 'none'} {_verb(self.n_entering, 'enter')}"


@dataclass(frozen=True)
class DifferenceTest:
    """Whether a difference is more than chance, and what could have been found.

    Parameters
    ----------
    p : float or None
        Two-sided, of the mean difference over the pairs that have both values. None where nothing is judged.
    p_holm : float or None
        Of the mean or the limits, whichever decides, in the worst case of missing values, corrected for all tests of the
        family. None where no claim can be made.
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
    family : Family
    finding : Conclusion
    text : str
        The finding in words.
    a, b : Summary
        The value of each side over all its clips, paired or not: what a report shows of the configuration.
    change : PairedChange
        The difference over the pairs.
    test : DifferenceTest
    missing : MissingValues
    limits : LimitChange or None
        None where the policy has no limits for it.
    margin : float or None
        The smallest difference that matters.
    n_more : int or None
        With about how many more pairs it is settled in 80 %, whether it is beyond the margin or not; None without a
        margin and where nothing is open.
    """

    metric: Metric
    family: Family
    finding: Conclusion
    text: str
    a: Summary
    b: Summary
    change: PairedChange
    test: DifferenceTest
    missing: MissingValues
    limits: LimitChange | None = None
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
        if self.a.n == self.b.n == n_pairs and self.a.counts_clips:
            return ""
        what = self.a.counted if self.a.counts_clips else "rater"
        sides = f"A over {count(self.a.n, what)}, B over {count(self.b.n, what)}"
        if what == "session":
            return sides
        return f"{sides}, the difference over {count(n_pairs, 'pair')}"


@dataclass(frozen=True)
class ComparedPair:
    """Two clips that share input, seed and parameters.

    Parameters
    ----------
    name : str
        Of what they share.
    a, b : ClipRecord
    gains : mapping of str to float
        By how much B is better than A, by metric: negative where it is worse. Of the metrics that are judged, and have a value
        on both sides.
    """

    name: str
    a: ClipRecord
    b: ClipRecord
    gains: Mapping[str, float]

    def differs(self, metric: str) -> bool:
        """Say whether both sides have a value of a metric, and not the same."""
        a, b = self.a.value(metric), self.b.value(metric)
        return a is not None and b is not None and a != b


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
    absent_a, absent_b : tuple of str
        Planned clips without a result, one line each.
    notes : tuple of str
        What limits the answer.
    alpha : float
        Chance of a false claim in each family, two-sided.
    pairs : tuple of ComparedPair
        All `n_pairs`.
    """

    a: str
    b: str
    metrics: tuple[MetricComparison, ...]
    n_pairs: int
    unpaired_a: tuple[str, ...]
    unpaired_b: tuple[str, ...]
    failed_a: tuple[str, ...]
    failed_b: tuple[str, ...]
    absent_a: tuple[str, ...]
    absent_b: tuple[str, ...]
    notes: tuple[str, ...]
    alpha: float
    pairs: tuple[ComparedPair, ...] = ()

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

    def found(self, finding: Conclusion, family: Family | None = None) -> list[MetricComparison]:
        """Return the metrics with this finding; of one family where it is named."""
        return [
            compared
            for compared in self.metrics
            if compared.finding is finding and family in {None, compared.family}
        ]

    @property
    def answer(self) -> str:
        """What was asked beforehand, in sentences that a manager can repeat; then what was lost on the way."""
        if not self.n_pairs:
            return "Nothing can be compared: no clip of A has a partner in B."
        return " ".join((*self._answers(), *self._losses()))

    def _answers(self) -> list[str]:
        """Say what is known of the primary metrics, what was not compared first."""
        asked = {finding: self.found(finding, Family.PRIMARY) for finding in Conclusion}
        said = []
        if lost := asked[Conclusion.NOT_COMPARED]:
            why = f": {lost[0].text}" if len(lost) == 1 else ""
            said.append(f"{_names(lost)} {'was' if len(lost) == 1 else 'were'} not compared{why}.")
        better, worse = asked[Conclusion.BETTER], asked[Conclusion.WORSE]
        if better or worse:
            parts = [f"better in {_names(better)}"] if better else []
            parts += [f"worse in {_names(worse)}"] if worse else []
            said.append(f"B is {' and '.join(parts)}, over {self._pairs_of(better + worse)}.")
        for finding, words in _HEADLINES.items():
            found = [one for one in asked[finding] if not _says_nothing(one)]
            if found and not (finding is Conclusion.NOT_JUDGED and said):
                why = f": {found[0].text}" if len(found) == 1 else ""
                said.append(f"{words} {_names(found)}, over {self._pairs_of(found)}{why}.")
        said += [
            f"{one.metric.name} has {one.missing.text}."
            for one in self.metrics
            if one.family is Family.PRIMARY and one.difference.n and one.missing.text
        ]
        return said or ["Nothing could be compared."]

    def _losses(self) -> list[str]:
        """Say which clips are in no pair, or in none with a value."""
        lost = (
            ("Without a partner", self.unpaired_a, self.unpaired_b),
            ("Failed", self.failed_a, self.failed_b),
            ("Planned and without a result", self.absent_a, self.absent_b),
        )
        return [
            f"{words}: {len(in_a) or 'none'} of A, {len(in_b) or 'none'} of B."
            for words, in_a, in_b in lost
            if in_a or in_b
        ]

    def _pairs_of(self, found: list[MetricComparison]) -> str:
        """Write over how many pairs these metrics are compared."""
        by_sessions = [compared for compared in found if compared.a.counted == "session"]
        sessions = " and ".join(
            dict.fromkeys(f"{one.a.n} and {count(one.b.n, 'session')}" for one in by_sessions)
        )
        numbers = sorted({compared.difference.n for compared in found if compared not in by_sessions})
        if not numbers:
            return sessions
        if by_sessions:
            return f"{self._pairs_of([one for one in found if one not in by_sessions])}, and {sessions}"
        if numbers == [self.n_pairs]:
            return count(self.n_pairs, "pair")
        return f"{' to '.join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))} of {count(self.n_pairs, 'pair')}"

    def frame(self) -> pd.DataFrame:
        """Return one row a metric: both sides, the difference over pairs with its interval, and the finding."""
        rows = []
        for compared in self.metrics:
            low, high = compared.difference.interval or (None, None)
            rows.append(
                {
                    "metric": compared.metric.name,
                    "unit": compared.metric.unit,
                    "family": compared.family.value,
                    "finding": compared.finding.value,
                    "a": compared.a.value,
                    "n_a": compared.a.n,
                    "b": compared.b.value,
                    "n_b": compared.b.n,
                    "difference": compared.difference.value,
                    "low": low,
                    "high": high,
                    "n_pairs": compared.difference.n,
                    "missing_a": compared.missing.n_a,
                    "missing_b": compared.missing.n_b,
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


def _says_nothing(compared: MetricComparison) -> bool:
    """Say whether it is an error rate without any error, which is in every table and answers no question."""
    return compared.metric.name == ERROR_RATE.name and not compared.a.value and not compared.b.value


def _verb(n: int, verb: str) -> str:
    return verb if n > 1 else f"{verb}s"


def _names(found: Sequence[MetricComparison]) -> str:
    """List metrics, the first three in full."""
    names = [compared.metric.name for compared in found]
    if len(names) <= 3:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{', '.join(names[:3])} and {len(names) - 3} more"
