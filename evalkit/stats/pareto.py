"""Which points of several costs no other point beats (the Pareto front)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.stats.means import finite

if TYPE_CHECKING:
    from evalkit.types import BoolArray, FloatArray


def pareto_front(costs: FloatArray) -> BoolArray:
    """Say which points no other point beats.

    A point is beaten by one that is nowhere worse and somewhere better. Equal points do not beat each other.

    Parameters
    ----------
    costs : FloatArray, shape (n, n_goals)
        Lower is better in every column; finite. n may be 0.

    Returns
    -------
    BoolArray, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> pareto_front(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [3.0, 2.0]])).tolist()
    [True, True, True, False]
    """
    finite(costs.ravel())
    nowhere_worse = (costs[:, None, :] <= costs[None, :, :]).all(axis=2)
    somewhere_better = (costs[:, None, :] < costs[None, :, :]).any(axis=2)
    beaten: BoolArray = (nowhere_worse & somewhere_better).any(axis=0)
    return ~beaten
