"""Pairs: the clips of two sides that share input, seed and the parameters that are not what is compared."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.catalogue import is_rating
from evalkit.analysis.factors import shared_factors
from evalkit.analysis.machines import could_have
from evalkit.analysis.scores import fit_score_change, shares_of
from evalkit.analysis.values import count_absences
from evalkit.errors import UsageError
from evalkit.formatting import count_levels
from evalkit.runs.ratings.records import PREFERENCE
from evalkit.stats.means import fit_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from evalkit.analysis.table import ClipRecord
    from evalkit.stats.means import MeanFit
    from evalkit.types import BoolArray, FloatArray

    _Pair = tuple[ClipRecord, ClipRecord]


@dataclass(frozen=True)
class Pairing:
    """The clips of two sides, paired.

    Parameters
    ----------
    pairs : tuple of (ClipRecord, ClipRecord)
        First side, second side; failed attempts are paired too.
    unpaired_a, unpaired_b : tuple of ClipRecord
        Those without a partner.
    copies : tuple of (ClipRecord, ClipRecord)
        Pairs of which a side is the same video as in an earlier pair; they are not among `pairs`.
    """

    pairs: tuple[tuple[ClipRecord, ClipRecord], ...]
    unpaired_a: tuple[ClipRecord, ...]
    unpaired_b: tuple[ClipRecord, ...]
    copies: tuple[tuple[ClipRecord, ClipRecord], ...] = ()

    def values(self, metric: str) -> PairedValues:
        """Return the values of a metric in all pairs that could have one.

        Of what depends on the machine, these are the pairs of the main kinds; of ratings, those of which people were shown
        both clips, or the only one that there is: whom nobody was asked about is not missing. A preference is the share of the
        raters' choices between the two.
        """
        pairs = [pair for pair in self.pairs if _could_differ(metric, pair)]
        a, b = (
            (
                np.array([np.nan if value is None else value for value in side], dtype=np.float64)
                for side in zip(*(_values_of(metric, pair) for pair in pairs), strict=True)
            )
            if pairs
            else (np.empty(0), np.empty(0))
        )
        return PairedValues(
            metric=metric,
            pairs=tuple(pairs),
            all_a=a,
            all_b=b,
            all_factors=shared_factors([first for first, _ in pairs]),
            absences=count_absences(metric, [row for pair in pairs for row in pair]),
        )


@dataclass(frozen=True, eq=False)
class PairedValues:
    """One metric in the pairs of two sides.

    Parameters
    ----------
    metric : str
    pairs : tuple of (ClipRecord, ClipRecord)
        Those that could have a value, length n_pairs.
    all_a, all_b : FloatArray, shape (n_pairs,)
        Not a number where a clip has no value.
    all_factors : mapping of str to sequence of length n_pairs
        What the pairs share, see `evalkit.analysis.values.shared_factors`.
    absences : mapping of str to int
        Reason codes of the clips, in any pair, without a value.
    """

    metric: str
    pairs: tuple[_Pair, ...]
    all_a: FloatArray
    all_b: FloatArray
    all_factors: Mapping[str, Sequence[Hashable]]
    absences: Mapping[str, int]

    @property
    def has_a(self) -> BoolArray:
        """Which pairs have a value on the first side."""
        return ~np.isnan(self.all_a)

    @property
    def has_b(self) -> BoolArray:
        """Which pairs have a value on the second side."""
        return ~np.isnan(self.all_b)

    @property
    def a(self) -> FloatArray:
        """The first side's values, of the pairs that have both."""
        return self.all_a[self.has_a & self.has_b]

    @property
    def b(self) -> FloatArray:
        """The second side's values, of the pairs that have both."""
        return self.all_b[self.has_a & self.has_b]

    @property
    def factors(self) -> dict[str, list[Hashable]]:
        """What the pairs share that have both values."""
        has_both = (self.has_a & self.has_b).tolist()
        return {
            name: [level for level, is_in in zip(levels, has_both, strict=True) if is_in]
            for name, levels in self.all_factors.items()
        }

    def fit(self, change: FloatArray, given: Collection[str] = ()) -> MeanFit:
        """Return the mean of what is judged of B less that of A, and what is known of its error.

        Parameters
        ----------
        change : FloatArray
            Of the pairs that have both values. Of ratings it is `b` less `a`, and raters are a sample too.
        given : collection of str
            Factors (portrait, speech, seed) whose levels are all that matter.
        """
        if is_rating(self.metric) and change.size:
            has_both = (self.has_a & self.has_b).tolist()
            first, second = zip(
                *(pair for pair, is_in in zip(self.pairs, has_both, strict=True) if is_in), strict=True
            )
            return fit_score_change(self.metric, first, second, given)
        return fit_mean(change, self.factors, given=given)


def count_distinct(factors: Mapping[str, Sequence[Hashable]]) -> int:
    """Count the pairs that are not draws of the same input with the same seed again.

    >>> count_distinct({"portrait": ["ann", "ann", "bo"], "seed": [1, 1, 1]})
    2
    """
    return len(set(zip(*factors.values(), strict=True)))


def pair_clips(
    rows_a: Sequence[ClipRecord],
    rows_b: Sequence[ClipRecord],
    params: Sequence[str] = (),
    titles: tuple[str, str] = ("A", "B"),
) -> Pairing:
    """Pair clips by input, seed and parameters.

    Parameters
    ----------
    rows_a, rows_b : sequence of ClipRecord
    params : sequence of str
        Names of the parameters that both clips of a pair must have alike.
    titles : tuple of str
        What the sides are called in an error.

    Raises
    ------
    UsageError
        If two clips of one side agree in all of them: which of them to pair is not known.
    """
    by_key_a, by_key_b = (
        key_clips(rows, params, title) for rows, title in zip((rows_a, rows_b), titles, strict=True)
    )
    pairs, copies = _part_copies([(row, by_key_b[key]) for key, row in by_key_a.items() if key in by_key_b])
    return Pairing(
        pairs=pairs,
        copies=copies,
        unpaired_a=tuple(row for key, row in by_key_a.items() if key not in by_key_b),
        unpaired_b=tuple(row for key, row in by_key_b.items() if key not in by_key_a),
    )


def key_clips(rows: Sequence[ClipRecord], params: Sequence[str], title: str) -> dict[Hashable, ClipRecord]:
    """Return clips by input, seed and parameters.

    Raises
    ------
    UsageError
        If two agree in all of them; `title` says whose they are.
    """
    found: dict[Hashable, ClipRecord] = {}
    for row in rows:
        key = (row.input, row.seed, tuple(row.params.get(name) for name in params))
        if key in found:
            raise UsageError(
                f"{title}: {_name(found[key])} and {_name(row)} are the same input, seed and parameters; which of "
                f"them to pair is not known: leave one of them out"
            )
        found[key] = row
    return found


def describe_reach(rows: Sequence[ClipRecord], given: Collection[str] = ()) -> list[str]:
    """Say of which portraits, pieces of speech and seeds an answer from these clips speaks.

    Parameters
    ----------
    rows : sequence of ClipRecord
        May be empty: nothing is said then.
    given : collection of str
        Factors (portrait, speech, seed) whose levels are all that matter.
    """
    if not rows:
        return []
    if all(row.portrait is None and row.speech is None for row in rows):
        return ["which clips share a portrait or speech is not known: they are taken as independent"]
    numbers = {
        "portrait": len({row.portrait for row in rows}),
        "speech": len({row.speech for row in rows}),
        "seed": len({row.seed for row in rows}),
    }
    words = ", ".join(count_levels(name, n) for name, n in numbers.items())
    single = [name for name, n in numbers.items() if n == 1 and name not in given]
    if single:
        words += f"; of no other {' or '.join(single)}"
    if given:
        words += f"; by the policy no other {' or '.join(given)} matters"
    return [f"speaks of {words}"]


def _part_copies(found: list[_Pair]) -> tuple[tuple[_Pair, ...], tuple[_Pair, ...]]:
    """Return the pairs whose videos are both new, and those of which one is the same as in an earlier pair."""
    seen: tuple[set[str], set[str]] = (set(), set())
    pairs: list[_Pair] = []
    copies: list[_Pair] = []
    for pair in found:
        contents = [row.content for row in pair]
        is_copy = any(content in known for content, known in zip(contents, seen, strict=True))
        (copies if is_copy else pairs).append(pair)
        for content, known in zip(contents, seen, strict=True):
            known.update([content] if content else [])
    return tuple(pairs), tuple(copies)


def _could_differ(metric: str, pair: _Pair) -> bool:
    if not is_rating(metric):
        return len(could_have(metric, pair)) == len(pair)
    first, second = pair
    if metric == PREFERENCE:
        return bool(shares_of(first, second))
    is_rated = [row.value(metric) is not None for row in pair]
    return any(is_rated) and all(
        rated or row.failure is not None for rated, row in zip(is_rated, pair, strict=True)
    )


def _values_of(metric: str, pair: _Pair) -> tuple[float | None, float | None]:
    first, second = pair
    if metric == PREFERENCE:
        share = fmean(shares_of(first, second).values())
        return share, 1.0 - share
    return first.value(metric), second.value(metric)


def _name(row: ClipRecord) -> str:
    return f"{row.name!r}" + (f" (trial {row.trial.id})" if row.trial is not None else "")
