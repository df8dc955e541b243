"""Means of clips with intervals and p values: of independent clips, and of clips that share portraits, speech or seeds.

Everything is a closed form of the values: nothing is drawn at random, and one clip more changes little.

References
----------
- P. Hall, "On the removal of skewness by transformation", Journal of the Royal Statistical Society B 54, 1992.
- A. C. Cameron, J. B. Gelbach, D. L. Miller, "Robust inference with multiway clustering", Journal of Business &
  Economic Statistics 29, 2011; F. E. Satterthwaite, Biometrics Bulletin 2, 1946 (degrees of freedom).
- A. V. Carter, K. T. Schnepel, D. G. Steigerwald, Review of Economics and Statistics 99, 2017 (effective clusters).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import cbrt, inf, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from evalkit.formatting import count_levels
from evalkit.stats.randomisation import sign_flip_p
from evalkit.types import Interval

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from evalkit.types import FloatArray

    Bounds = tuple[float | None, float | None]
    Codes = NDArray[np.intp]

MIN_UNITS = 5
"""With fewer independent units there is no interval: the spread of four says next to nothing about the fifth."""
MIN_LEVELS = 4
"""Levels that a factor crossed with others needs before anything can be known beyond the levels seen."""
NESTED = "seed"
"""The factor that counts as another draw of the same input where it has fewer than `MIN_LEVELS` levels."""
_SKEWNESS_FACTOR = 1.2
"""A small sample shows less skewness than its source has; with this the intervals cover what they promise (docs/statistics.md)."""
_CONSTANT = 1e-9
"""Values within this share of the largest are equal: what spreads less is rounding."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, or the reason for what is missing.

    Parameters
    ----------
    value : float or None
        None without any value.
    interval : Interval or None
        None where the values are too few, or are all equal and nothing bounds what was not seen.
    n : int
        Number of values.
    reason : str or None
        Why the value or the interval is missing; None when neither is.
    """

    value: float | None
    interval: Interval | None
    n: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class MeanFit:
    """A mean, and what is known of its error.

    Parameters
    ----------
    mean : float
    n : int
        Values.
    units : FloatArray, shape (n_units,)
        One pseudo-value for each independent unit, whose mean is `mean`; empty where factors cross.
    n_units : int
        Independent units: of the coarsest factor where one nests the others, of the factor with the fewest levels
        where they cross.
    standard_error : float
        0 where all units are equal.
    df : float
        Degrees of freedom of the standard error.
    reason : str or None
        Why nothing can be said of the error; the figures about it are then without meaning.
    """

    mean: float
    n: int
    units: FloatArray
    n_units: int
    standard_error: float
    df: float
    reason: str | None = None

    @property
    def is_constant(self) -> bool:
        """Whether all units are equal, so that their spread says nothing."""
        return self.standard_error == 0.0

    def bounds(self, alpha: float, values: Bounds = (None, None)) -> tuple[float, float]:
        """Return a lower and an upper bound of the true mean, each wrong with a chance of at most `alpha`.

        Parameters
        ----------
        alpha : float
            Of one side: 0.025 for the ends of a 95 % interval.
        values : tuple of float or None
            Lowest and highest value that there can be; None where open. They decide where all units are equal: so many equal ones leave
            room for a share of others of 1 - alpha^(1/n), and these can lie anywhere within `values`.
        """
        from evalkit.stats.special import stdtrit

        if self.reason is not None:
            return -inf, inf
        least, most = (-inf if values[0] is None else values[0], inf if values[1] is None else values[1])
        if self.is_constant:
            unseen = 1.0 - alpha ** (1.0 / self.n_units)
            return self.mean - unseen * (self.mean - least), self.mean + unseen * (most - self.mean)
        quantile = float(stdtrit(self.df, 1.0 - alpha))
        reach = quantile * self.standard_error
        low, high = self.mean - reach, self.mean + reach
        skewness = self._skewness
        if skewness:
            scale = self.standard_error * sqrt(self.n_units)
            u = quantile / sqrt(self.n_units)
            low = min(low, self.mean - scale * _inverse(u, skewness, self.n_units))
            high = max(high, self.mean - scale * _inverse(-u, skewness, self.n_units))
        return max(low, least), min(high, most)

    def p_value(self) -> float:
        """Return the two-sided p of a true mean of 0: the largest of Student's, Hall's and the sign-flip test's.

        1 where nothing can be known. Where all units are equal, that of so many having the same sign, as in `sign`.
        """
        from evalkit.stats.special import stdtr

        if self.reason is not None:
            return 1.0
        if self.is_constant:
            return min(1.0, 2.0 * self._chance_of_one_sign)
        t = self.mean / self.standard_error
        found = 2.0 * float(stdtr(self.df, -abs(t)))
        skewness = self._skewness
        if skewness:
            w = t / sqrt(self.n_units)
            shifted = w + skewness * w**2 / 3 + skewness**2 * w**3 / 27 + skewness / (6 * self.n_units)
            same_side = shifted * w > 0
            hall = 2.0 * float(stdtr(self.df, -sqrt(self.n_units) * abs(shifted))) if same_side else 1.0
            found = max(found, hall)
        return max(found, sign_flip_p(self.units)) if self.units.size else found

    def sign(self, alpha: float) -> int:
        """Return 1 or -1 where the true mean is shown to be above or below 0, each wrong with a chance of at most `alpha`; else 0.

        Units that are all equal have no spread to judge by, but a sign: were either as likely, n would have the same one with a
        chance of 2^-n (the sign test).
        """
        if self.reason is None and self.is_constant:
            return int(np.sign(self.mean)) if self._chance_of_one_sign <= alpha else 0
        low, high = self.bounds(alpha)
        return int(low > 0) - int(high < 0)

    @property
    def _chance_of_one_sign(self) -> float:
        """The chance of so many equal units on the side of 0 where they are; 1 where they are 0."""
        return float(0.5**self.n_units) if self.mean else 1.0

    @property
    def _skewness(self) -> float:
        """The sample skewness of the units, raised for its shortfall; 0 where they are too few or factors cross."""
        n = self.units.size
        if n < 3:
            return 0.0
        centred = self.units - self.units.mean()
        centred /= float(np.abs(centred).max()) or 1.0  # what is tiny has no square
        spread = sqrt(float((centred**2).sum()) / (n - 1))
        skewness = float(((centred / spread) ** 3).sum()) * n / ((n - 1) * (n - 2))
        return _SKEWNESS_FACTOR * skewness if abs(skewness) > 1e-8 else 0.0


def estimate_mean(
    values: FloatArray,
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    given: Collection[str] = (),
    bounds: Bounds = (None, None),
) -> Estimate:
    """Return the mean with its 95 % interval, which suits what the values share.

    Parameters
    ----------
    values, factors, given
        As in `fit_mean`.
    bounds : tuple of float or None
        Lowest and highest value that there can be; None where open.

    Returns
    -------
    Estimate
        Without value where there is none; without interval, and with the reason, where the error cannot be known.

    Notes
    -----
    Coverage by simulation stands in docs/statistics.md: 93 to 97 %; about 90 % for log-normal values below 12 units.
    """
    values = finite(values)
    if not values.size:
        return Estimate(None, None, 0, "nothing was measured")
    return estimate_of(fit_mean(values, factors, given=given), bounds)


def estimate_of(fit: MeanFit, bounds: Bounds = (None, None)) -> Estimate:
    """Return a mean with its 95 % interval, or the reason why there is none; `bounds` as in `estimate_mean`."""
    if fit.reason is not None:
        return Estimate(fit.mean, None, fit.n, fit.reason)
    low, high = fit.bounds(0.025, bounds)
    if not (isfinite(low) and isfinite(high)):
        words = f"all {fit.n_units} are equal, which leaves no spread to judge by"
        return Estimate(fit.mean, None, fit.n, words)
    return Estimate(fit.mean, Interval(low, high), fit.n)


def fit_difference(a: FloatArray, b: FloatArray) -> MeanFit:
    """Return the mean of one sample less that of another, and what is known of its error; values are independent.

    Parameters
    ----------
    a, b : FloatArray
        Finite values, at least one each. The difference is that of `b` less that of `a`; its n is that of the smaller.

    References
    ----------
    B. L. Welch, Biometrika 34, 1947 (unequal spreads; degrees of freedom).

    >>> fit = fit_difference(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 4.0, 6.0, 8.0, 10.0]))
    >>> fit.mean, round(fit.standard_error, 4), round(fit.df, 3)
    (3.0, 1.5811, 5.882)
    """
    n = min(a.size, b.size)
    mean = float(b.mean() - a.mean())
    nothing = np.empty(0, dtype=np.float64)
    if n < MIN_UNITS:
        few = f"this cannot be known from {n} values: {MIN_UNITS} or more are needed"
        return MeanFit(mean, n, nothing, n, 0.0, 1.0, few)
    parts = [float(side.var(ddof=1)) / side.size for side in (a, b)]
    variance = sum(parts)
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()))
    if sqrt(variance) <= _CONSTANT * scale:
        return MeanFit(mean, n, nothing, n, 0.0, float(n - 1))
    df = variance**2 / sum(part**2 / (side.size - 1) for part, side in zip(parts, (a, b), strict=True))
    return MeanFit(mean, n, nothing, n, sqrt(variance), df)


def fit_mean(
    values: FloatArray,
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    given: Collection[str] = (),
) -> MeanFit:
    """Return the mean of values and what is known of its error.

    Factors that split the values alike are one; of two where one nests the other the coarser counts; all others are
    taken as crossed. A factor with a single level, or one that is `given`, is what the answer speaks of.

    Parameters
    ----------
    values : FloatArray, shape (n,)
        Finite, at least one.
    factors : mapping of str to sequence of length n, optional
        Which level of each factor (portrait, speech, seed) a value belongs to. Without any the values are independent;
        values alike in all factors are draws of one unit.
    given : collection of str
        Factors whose levels are all that matter: the answer speaks of these alone.
    """
    values = finite(values)
    n, mean = values.size, float(values.mean())
    residuals = values - mean
    if np.ptp(values) <= _CONSTANT * np.abs(values).max():
        residuals = np.zeros(n)
    codes = independent_factors(factors or {}, given)
    if factors and not codes:  # one level of everything: all values are draws of one unit
        codes = {"input": np.zeros(n, dtype=np.intp)}
    if len(codes) <= 1:
        name, code = next(iter(codes.items()), ("", np.arange(n)))
        return _fit_units(mean, residuals, code, name if len(set(code.tolist())) < n else "")
    return _fit_crossed(mean, residuals, codes)


def independent_factors(
    factors: Mapping[str, Sequence[Hashable]], given: Collection[str] = ()
) -> dict[str, Codes]:
    """Return the factors that count, as codes from 0, in order: less those with one level, alike, nested or given.

    >>> [*independent_factors({"portrait": "aabbcc", "speech": "uvwxyz"})]
    ['portrait']
    >>> [*independent_factors({"portrait": "aabb", "speech": "uvuv"})]
    ['portrait', 'speech']
    """
    codes = {name: code_levels(levels) for name, levels in factors.items() if name not in given}
    codes = {name: code for name, code in codes.items() if code.size and code.max() > 0}
    others = [name for name in codes if name != NESTED]
    if others and NESTED in codes and codes[NESTED].max() + 1 < MIN_LEVELS:
        del codes[NESTED]
    for fine, coarse in permutations(tuple(codes), 2):
        if fine in codes and coarse in codes and _is_nested(codes[fine], codes[coarse]):
            alike = _is_nested(codes[coarse], codes[fine])
            del codes[coarse if alike and list(codes).index(coarse) > list(codes).index(fine) else fine]
    return codes


def code_levels(levels: Sequence[Hashable]) -> Codes:
    """Give levels numbers, from 0, in their order of appearance.

    >>> code_levels(["ann", "bo", "ann"]).tolist()
    [0, 1, 0]
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(level, len(numbers)) for level in levels], dtype=np.intp)


def finite(values: FloatArray) -> FloatArray:
    """Return values as a float array, all finite.

    Raises
    ------
    ValueError
        Otherwise: a missing value has to be left out, with its reason, before it comes here.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"finite values in one row are needed, not {values!r}; leave out what is missing")
    return values


def _inverse(u: float, skewness: float, n: int) -> float:
    """Invert Hall's monotone cubic w + s w²/3 + s² w³/27 + s/6n, s the skewness, at u."""
    return 3.0 / skewness * (cbrt(1.0 + skewness * (u - skewness / (6.0 * n))) - 1.0)


def _is_nested(fine: Codes, coarse: Codes) -> bool:
    """Say whether every level of the one lies within a single level of the other."""
    n_pairs = len(set(zip(fine.tolist(), coarse.tolist(), strict=True)))
    return n_pairs == int(fine.max()) + 1


def _fit_units(mean: float, residuals: FloatArray, code: Codes, name: str) -> MeanFit:
    n = residuals.size
    sizes = np.bincount(code)
    n_units = sizes.size
    units = mean + np.bincount(code, weights=residuals) * n_units / n
    effective = n**2 / float((sizes**2).sum())
    error = float(units.std(ddof=1)) / sqrt(n_units) if n_units > 1 else 0.0
    if error <= _CONSTANT * abs(mean):
        error = 0.0
    reason = None
    if effective < MIN_UNITS - 0.5:
        reason = (
            f"this cannot be known from {count_levels(name, n_units)}: an interval needs {MIN_UNITS}"
            if name
            else f"{n_units} of the {MIN_UNITS} values an interval needs"
        )
    return MeanFit(mean, n, units, n_units, error, max(effective - 1.0, 1.0), reason)


def _fit_crossed(mean: float, residuals: FloatArray, codes: Mapping[str, Codes]) -> MeanFit:
    """Add up the variances of all factors less what they count more than once, and at least the largest of them."""
    n = residuals.size
    cell = code_levels(list(zip(*(code.tolist() for code in codes.values()), strict=True)))
    cells = np.bincount(cell, weights=residuals) * (int(cell.max()) + 1) / n
    first = np.unique(cell, return_index=True)[1]
    rank, errors = _fit_sum(cells, [code[first] for code in codes.values()])
    df_rest = cells.size - rank
    rest = float((errors**2).sum()) / df_rest / cells.size if df_rest > 0 else 0.0
    variances, dfs, few = [], [], []
    for name, code in codes.items():
        sizes = np.bincount(code)
        totals = np.bincount(code, weights=residuals)
        variances.append(float((totals**2).sum()) / n**2 * sizes.size / (sizes.size - 1))
        effective = n**2 / float((sizes**2).sum())
        dfs.append(max(effective - 1.0, 1.0))
        if effective < MIN_LEVELS - 0.5:
            few.append(count_levels(name, sizes.size))
    total = sum(variances) - (len(variances) - 1) * rest
    largest = int(np.argmax(variances))
    if total <= variances[largest]:
        total, df = variances[largest], dfs[largest]
    else:
        parts = sum(variance**2 / df for variance, df in zip(variances, dfs, strict=True))
        parts += ((len(variances) - 1) * rest) ** 2 / max(df_rest, 1)
        df = max(total**2 / parts, min(dfs))
    n_units = min(int(code.max()) + 1 for code in codes.values())
    reason = (
        f"this cannot be known from {' and '.join(few)}: {MIN_LEVELS} or more are needed" if few else None
    )
    error = sqrt(total)
    if error <= _CONSTANT * abs(mean):
        error = 0.0
    return MeanFit(mean, n, np.empty(0), n_units, error, df, reason)


def _fit_sum(values: FloatArray, codes: Sequence[Codes]) -> tuple[int, FloatArray]:
    """Fit values by a sum of one effect of each factor, by least squares: the rank, and what is left of each value.

    By the normal equations, which are as small as the factors have levels: thousands of values cost next to nothing.
    """
    sizes = [int(code.max()) + 1 for code in codes]
    met = [
        [
            np.bincount(one * n_others + other, minlength=n_own * n_others).reshape(n_own, n_others)
            for other, n_others in zip(codes, sizes, strict=True)
        ]
        for one, n_own in zip(codes, sizes, strict=True)
    ]
    sums = np.concatenate([np.bincount(code, weights=values) for code in codes])
    effects, _, rank, _ = np.linalg.lstsq(np.block(met).astype(np.float64), sums, rcond=None)
    parts = np.split(effects, np.cumsum(sizes)[:-1])
    return int(rank), values - sum(part[code] for part, code in zip(parts, codes, strict=True))
