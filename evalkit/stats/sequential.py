"""Whether one is worse than another, looked at again and again while pairs come in.

The rule
--------
A *look* is a number of pairs, fixed before anything is known, with a share of the error of its own. At a look the first
so many pairs are compared, one-sided. The shares of all looks add up to the error of the pair, so that by the union bound
the error holds however often is looked, and whether looks were left out.

A comparison claims that a mean difference is above 0 where two things say so:

- the lower bound of `evalkit.stats.means`, which counts what the pairs share (portraits, speech, seeds);
- the sign-flip test of the differences. If nothing distinguishes the two, either sign of each difference is equally
  likely, whatever the values look like: ties, outliers, two heaps. Its error is exact then.

The sign-flip test of `n` differences has no p below 2^-n, nor has any other test that holds for all such values. So fewer
than `fewest_pairs` pairs can show nothing, however far apart the two are.

Its sides were tried alone, and beside them the mixture of sign-flip e-processes that is looked at after every pair, on 4,000
series of 40 pairs with an error of 0.42 % asked:

====================================  ========  ===========  =========  ==========
what is wrong of nothing to find      the rule  bounds only  e-process  signs only
====================================  ========  ===========  =========  ==========
normal                                0.3 %     0.2 %        0.2 %      0.5 %
two heaps                             0.2 %     2.9 %        0.1 %      0.2 %
log-normal differences                1.6 %     2.6 %        3.5 %      4.0 %
4 portraits, 30 % of the variance     0.0 %     0.0 %        3.2 %      4.5 %
6 portraits, 60 % of the variance     0.2 %     0.2 %        5.7 %      7.2 %
pairs until 1 spread is shown         21.8      21.2         20.0       19.8
====================================  ========  ===========  =========  ==========

None of them holds where what is bad is rare and was not seen yet, see docs/search.md.

References
----------
- K. K. G. Lan, D. L. DeMets, Biometrika 70, 1983 (spending an error over looks).
- R. A. Fisher, The Design of Experiments, 1935, sec. 21 (sign-flip test); M. Pagano, D. Tritchler, "On obtaining permutation
  distributions in polynomial time", Journal of the American Statistical Association 78, 1983 (its exact distribution).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, log, log2
from typing import TYPE_CHECKING

import numpy as np

from evalkit.stats.means import MIN_UNITS, finite, fit_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from evalkit.types import FloatArray

    Bounds = tuple[float | None, float | None]

_AT_FIRST = 0.5
"""Share of the error that the first look has; the others share the rest alike."""
_GROWTH = 1.4
"""From look to look the pairs grow about so much."""
_STEPS = 8192
"""Into so many steps the sum of all sizes is divided for the sign-flip test, or into `_STEPS_EACH` for each."""
_STEPS_EACH = 64


@dataclass(frozen=True, slots=True)
class Look:
    """A planned comparison.

    Parameters
    ----------
    n : int
        Pairs: the first so many.
    alpha : float
        Chance, one-sided, that it claims what is not so.
    """

    n: int
    alpha: float


def fewest_pairs(alpha: float) -> int:
    """Return the fewest pairs in which a one-sided comparison of this error can show anything.

    >>> fewest_pairs(0.05), fewest_pairs(0.05 / 48)
    (5, 10)
    """
    return max(MIN_UNITS, ceil(log2(1.0 / alpha)))


def plan_looks(n_pairs: int, alpha: float) -> tuple[Look, ...]:
    """Share an error among looks at growing numbers of pairs, the last at all of them.

    The first look is as early as it can show anything; it has half of the error, and all later ones share the rest.

    Parameters
    ----------
    n_pairs : int
        All that there will be.
    alpha : float
        One-sided, of all looks together; above 0, below 1.

    Returns
    -------
    tuple of Look
        In order; none where even all pairs could show nothing.

    Examples
    --------
    >>> [(look.n, round(look.alpha, 5)) for look in plan_looks(20, 0.05 / 12)]
    [(9, 0.00208), (13, 0.00104), (20, 0.00104)]
    >>> plan_looks(7, 0.05 / 12)
    ()
    """
    first = fewest_pairs(_AT_FIRST * alpha)
    if n_pairs <= first:
        return (Look(n_pairs, alpha),) if n_pairs >= fewest_pairs(alpha) else ()
    n_later = max(1, round(log(n_pairs / first) / log(_GROWTH)))
    numbers = dict.fromkeys(round(first * (n_pairs / first) ** (k / n_later)) for k in range(1, n_later + 1))
    numbers.pop(first, None)
    later = (1.0 - _AT_FIRST) * alpha / len(numbers)
    return (Look(first, _AT_FIRST * alpha), *(Look(n, later) for n in numbers))


def least_difference(
    differences: FloatArray,
    alpha: float,
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    given: Collection[str] = (),
    bounds: Bounds = (None, None),
) -> float:
    """Return what the true mean of paired differences is at least; above 0 with a chance of at most `alpha` if it is not.

    Parameters
    ----------
    differences : FloatArray, shape (n,)
        Finite; may be empty.
    alpha : float
        One-sided.
    factors, given
        What the pairs share, as in `evalkit.stats.means.fit_mean`.
    bounds : tuple of float or None
        Lowest and highest difference that there can be; None where open.

    Returns
    -------
    float
        ``-inf`` where the signs alone leave it open, or nothing can be known (no pairs, too few levels of a factor).

    Examples
    --------
    >>> float(round(least_difference(np.array([2.0, 3.0, 2.5, 3.5, 2.0, 3.0]), 0.05), 2))
    2.17
    >>> least_difference(np.array([2.0, 3.0, 2.5, 3.5, 2.0, 3.0]), 0.01)
    -inf
    """
    differences = finite(differences)
    if differences.size < fewest_pairs(alpha) or float(differences.mean()) <= 0.0:
        return -inf
    fit = fit_mean(differences, factors, given=given)
    least = fit.bounds(alpha, bounds)[0]
    if least <= 0.0:
        return least
    return least if sign_flip_tail(differences) <= alpha else -inf


def sign_flip_tail(differences: FloatArray) -> float:
    """Return the one-sided, exact p of differences of which either sign is equally likely being as high as they are.

    Parameters
    ----------
    differences : FloatArray, shape (n,)
        Finite. Their sizes are rounded, and patterns that are as far by that alone count, so that p is never too small.

    Returns
    -------
    float
        From 2^-n to 1; 1 for none, or where all are 0.

    Examples
    --------
    >>> sign_flip_tail(np.array([1.0, 2.0, 3.0, 4.0])) * 2**4
    1.0
    >>> sign_flip_tail(np.array([-1.0, 2.0, 3.0, 4.0])) * 2**4
    2.0
    """
    sizes = np.abs(finite(differences))
    total = float(sizes.sum())
    if total == 0.0:
        return 1.0
    steps = np.rint(sizes / total * max(_STEPS, _STEPS_EACH * sizes.size)).astype(np.intp)
    observed = int(steps[differences > 0].sum()) - sizes.size // 2  # what rounding can do
    chances = np.zeros(int(steps.sum()) + 1)
    chances[0] = 1.0
    for step in steps.tolist():  # chances[k]: that the positive ones add up to k steps
        moved = chances[: chances.size - step].copy()
        chances *= 0.5
        chances[step:] += 0.5 * moved
    return float(min(1.0, chances[max(0, observed) :].sum()))
