"""Sign-flip tests of paired differences, and corrections for many tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit.stats.bootstrap import code_levels, finite, random_factors

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from evalkit.types import FloatArray

MAX_EXACT_UNITS = 14
"""Up to here all 2**n patterns of signs are tried; beyond, random ones."""
N_PATTERNS = 9999
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class FlipTest:
    """What a sign-flip test says.

    Parameters
    ----------
    p : float or None
        Two-sided; None where nothing can be said.
    n_units : int
        Number of signs that were flipped.
    exact : bool
        Whether all patterns of signs were tried.
    reason : str or None
        Why there is no p.
    """

    p: float | None
    n_units: int
    exact: bool
    reason: str | None = None


def sign_flip_test(
    differences: FloatArray, factors: Mapping[str, Sequence[Hashable]] | None = None, *, seed: int = 0
) -> FlipTest:
    """Test whether paired differences are centred on zero.

    If A and B are alike, a difference is as likely to have the other sign. The share of sign patterns that give a
    mean at least as far from zero is p. Differences that share the levels of a factor (a portrait, a piece of
    speech) change their signs together; with two such factors the mean is put in relation to its two-way clustered
    standard error, the signs are flipped by either, and the larger p counts. Factors with too few levels are taken
    as given, see `random_factors`.

    Parameters
    ----------
    differences : FloatArray, shape (n,)
    factors : mapping of str to sequence of length n, optional
        At most two of them with enough levels.
    seed : int
        Makes the random patterns repeatable.

    Returns
    -------
    FlipTest
        n = 0: no p, with a reason. One unit gives p = 1, two give 0.5 or 1.

    References
    ----------
    R. A. Fisher, The Design of Experiments, 1935, sec. 21; Phipson & Smyth, Statistical Applications in Genetics
    and Molecular Biology 9, 2010 (never p = 0); MacKinnon, Nielsen & Webb, Journal of Business & Economic
    Statistics 39, 2021 (two-way clusters); Cameron, Gelbach & Miller, ibid. 29, 2011 (their standard error).
    """
    differences = finite(differences)
    if differences.size == 0:
        return FlipTest(None, 0, exact=True, reason="no pair was measured on both sides")
    codes = [code_levels(levels) for levels in random_factors(factors or {}).values()]
    if len(codes) > 2:
        raise ValueError(f"at most two factors can be tested together, not {len(codes)}")
    if len(codes) < 2:
        units = codes[0] if codes else np.arange(differences.size)
        sums: FloatArray = np.bincount(units, weights=differences).astype(np.float64)
        return _flip(sums[:, None], seed)
    table = np.zeros((int(codes[0].max()) + 1, int(codes[1].max()) + 1))
    np.add.at(table, (codes[0], codes[1]), differences)
    either = (_flip(table, seed), _flip(table.T, seed))
    return max(either, key=lambda test: (test.p, -test.n_units))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, so that one false alarm among all stays as rare as promised.

    Parameters
    ----------
    p_values : sequence of float
        Any order; may be empty.

    Returns
    -------
    list of float
        In the order given, each at most 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    References
    ----------
    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.
    """
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def _flip(table: FloatArray, seed: int) -> FlipTest:
    """Flip the signs of whole rows of a table of sums: units by levels of the other factor, if there is one."""
    n_units = table.shape[0]
    exact = n_units <= MAX_EXACT_UNITS
    signs = _all_patterns(n_units) if exact else _random_patterns(n_units, seed)
    observed = _distances(np.ones((1, n_units)), table)[0]
    n_as_far = int(np.count_nonzero(_distances(signs, table) >= observed * (1 - _TIE)))
    p = n_as_far / len(signs) if exact else (n_as_far + 1) / (len(signs) + 1)
    return FlipTest(float(p), n_units, exact)


def _all_patterns(n: int) -> FloatArray:
    """Return half of the patterns: the other half are their negatives and as far from zero."""
    bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
    patterns: FloatArray = 1.0 - 2.0 * bits
    return patterns


def _random_patterns(n: int, seed: int) -> FloatArray:
    bits: NDArray[np.int64] = np.random.default_rng(seed).integers(2, size=(N_PATTERNS, n))
    patterns: FloatArray = 1.0 - 2.0 * bits
    return patterns


def _distances(signs: FloatArray, table: FloatArray) -> FloatArray:
    """Return how far each pattern moves the total from zero; in two-way clustered standard errors for two factors.

    The squared sums of units and of cells are the same for every pattern, only those of the other factor change. With
    one factor nothing changes, and dividing by it would change nothing either.
    """
    columns = signs @ table
    totals: FloatArray = np.abs(columns.sum(axis=1))
    if table.shape[1] == 1:
        return totals
    of_units, of_cells = (table.sum(axis=1) ** 2).sum(), (table**2).sum()
    of_others = (columns**2).sum(axis=1)
    variances = of_units + of_others - of_cells
    variances = np.where(variances > 0, variances, np.maximum(of_units, of_others))
    distances: FloatArray = np.divide(
        totals, np.sqrt(variances), out=np.zeros_like(totals), where=variances > 0
    )
    return distances
