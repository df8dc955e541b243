"""Sign-flip tests of paired differences, and corrections for many tests."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evalkit.types import FloatArray

MAX_EXACT_UNITS = 14
"""Up to here all 2**n patterns of signs are tried; beyond, random ones."""
N_PATTERNS = 9999
_TIE = 1e-9


def sign_flip_p(differences: FloatArray) -> float:
    """Return the two-sided p of independent differences being centred on zero.

    If A and B are alike, a difference is as likely to have the other sign. The share of sign patterns that give a
    mean at least as far from zero is p.

    Parameters
    ----------
    differences : FloatArray, shape (n,)
        One an independent unit, at least one, finite.

    Returns
    -------
    float
        Never 0. One unit gives 1, two give 0.5 or 1. Beyond `MAX_EXACT_UNITS` from random patterns, always the same.

    References
    ----------
    R. A. Fisher, The Design of Experiments, 1935, sec. 21; B. Phipson, G. K. Smyth, Statistical Applications in
    Genetics and Molecular Biology 9, 2010 (never p = 0).

    Examples
    --------
    >>> sign_flip_p(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    0.03125
    """
    exact = differences.size <= MAX_EXACT_UNITS
    signs = _all_patterns(differences.size) if exact else _random_patterns(differences.size)
    observed = abs(float(differences.sum()))
    n_as_far = int(np.count_nonzero(np.abs(signs @ differences) >= observed * (1 - _TIE)))
    return n_as_far / len(signs) if exact else (n_as_far + 1) / (len(signs) + 1)


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


@lru_cache(maxsize=4)
def _all_patterns(n: int) -> FloatArray:
    """Return half of the patterns: the other half are their negatives and as far from zero."""
    bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
    patterns: FloatArray = 1.0 - 2.0 * bits
    return patterns


@lru_cache(maxsize=4)
def _random_patterns(n: int) -> FloatArray:
    bits: NDArray[np.int64] = np.random.default_rng(0).integers(2, size=(N_PATTERNS, n))
    patterns: FloatArray = 1.0 - 2.0 * bits
    return patterns
