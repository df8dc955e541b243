"""Exact bounds of a share, at any strictness.

References
----------
C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika
26, 1934; E. L. Korn, B. I. Graubard, Survey Methodology 24, 1998 (an effective number that is not whole).
"""

from __future__ import annotations

from scipy.special import betaincinv


def share_bounds(hits: float, n: float, alpha: float) -> tuple[float, float]:
    """Return a lower and an upper bound of a true share, each wrong with a chance of at most `alpha`.

    Parameters
    ----------
    hits, n : float
        Counts, `n` above 0; not whole where draws that resemble each other count for fewer.
    alpha : float
        Of one side.

    Examples
    --------
    >>> share_bounds(0, 598, 0.05)[1] < 0.005 < share_bounds(0, 597, 0.05)[1]
    True
    """
    low = float(betaincinv(hits, n - hits + 1, alpha)) if hits > 0 else 0.0
    return low, float(betaincinv(hits + 1, n - hits, 1 - alpha)) if hits < n else 1.0
