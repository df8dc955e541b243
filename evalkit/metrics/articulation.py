"""Articulation: how far the mouth opens, and how much of its movement the sound explains.

A speaker who is in sync may still mumble, shout, or move the lips at will. Two numbers tell, both from lips that are seen and lips
that the sound lets expect (`evalkit.metrics.lip_sync`), the constant offset taken out:

- *articulation*: the opening seen, as a multiple of the one expected. It is a ratio of spreads, each taken by itself, so a poor fit does
  not lower it as it lowers the slope of a regression; that the fit is poor is what the other number says.
- *explained variance*: the share of the movement that the sound explains, with the best scale for each lip signal.

The expected lips have no absolute size: the predictor learned from speakers of standard deviation 1. `USUAL_OPENING` gives them one,
calibrated on real speakers, who differ by a fifth either way (evalkit/models/lip_sync/card.md).

References
----------
- C. G. Fisher, "Confusions among visually perceived consonants", JSHR 11, 1968, and M. McGrath, Q. Summerfield, JASA 77, 1985: the lips'
  opening is what is read most of all.
- S. Wright, "Correlation and causation", J. Agricultural Research 20, 1921 (the squared correlation as a share of variance).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evalkit.metrics.checks import require_finite, require_mask, require_same_length, require_shape
from evalkit.metrics.lip_sync import GRID_HZ, N_SIGNALS, WEIGHTS, WINDOW_HOP_S, WINDOW_S
from evalkit.types import BoolArray, FloatArray

USUAL_OPENING = 0.34
"""Range of the opening of real speakers, in eye distances, where the expected lip gap deviates by 1 on average."""
RANGE_PERCENT = (5.0, 95.0)
"""Between these percentiles lies the range of the opening: neither a yawn nor a slip of the landmarks sets it."""
FEWEST_S = 0.8
"""Less speech than this has no range."""
WINDOW_SPEECH = 0.4
"""Share of a window in which somebody must speak, and be seen, for it to count."""
MUMBLES, SHOUTS = 0.5, 1.8
"""A window beyond these opens less, or more, than 99 of 100 windows of real speakers."""
UNEXPLAINED = 0.1
"""Explained variance of a window below which the sound explains no more than a stranger's would."""

_GAP, _UPPER, _LOWER = 0, 3, 4


def opening(lips: FloatArray) -> FloatArray:
    """Return how far the mouth is open, but for a constant: the mean of the inner-lip gap and the distance of the lips' middles.

    Parameters
    ----------
    lips : FloatArray, shape (n, 6)
        Lip trajectory in eye distances, not filtered.

    Returns
    -------
    FloatArray, shape (n,)

    Raises
    ------
    ValueError
        For arrays of another shape, or values that are not finite.

    Examples
    --------
    The gap is 0.1, the lower lip 0.3 below the upper one:

    >>> opening(np.array([[0.1, 0.5, 0.9, 0.6, 0.9, 0.0]])).round(6)
    array([0.2])
    """
    _require_lips("lips", lips)
    return np.asarray((lips[:, _GAP] + lips[:, _LOWER] - lips[:, _UPPER]) / 2)


def articulation(lips: FloatArray, expected: FloatArray, spoken: BoolArray) -> float | None:
    """Compare the opening of the mouth with the one that the sound lets expect: the metric ``lip_sync.articulation``.

    Parameters
    ----------
    lips : FloatArray, shape (n, 6)
        Seen, in eye distances, on the grid, not filtered.
    expected : FloatArray, shape (n, 6)
        From the sound, in the speech band, the offset taken out; in standard deviations.
    spoken : BoolArray, shape (n,)
        Where somebody speaks and the lips are seen.

    Returns
    -------
    float or None
        1 for an opening as wide as real speakers', 0.5 for mumbling, 1.5 for shouting, 0 for a still mouth. ``None`` with less than
        `FEWEST_S` of speech, or where the sound lets expect no movement.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.

    Examples
    --------
    The mouth opens and closes as it should; half as wide is half the value:

    >>> swing = np.sin(np.linspace(0, 60, 500))[:, None] * np.ones(6)
    >>> lips = np.zeros((500, 6))
    >>> lips[:, 0] = lips[:, 4] = 0.05 * swing[:, 0]
    >>> everywhere = np.ones(500, dtype=bool)
    >>> full, half = articulation(lips, swing, everywhere), articulation(lips / 2, swing, everywhere)
    >>> half == full / 2
    True
    """
    opened = opening(lips)
    _require_lips("expected", expected)
    require_mask("spoken", spoken)
    require_same_length({"lips": lips, "expected": expected, "spoken": spoken})
    return _ratio(opened[spoken], expected[spoken, _GAP])


def explained_variance(expected: FloatArray, observed: FloatArray, spoken: BoolArray) -> float | None:
    """Return the share of the lips' movement that the sound explains: the metric ``lip_sync.explained_variance``.

    For each lip signal, the squared correlation where it is positive: what the best scale of the expected movement leaves nothing of.
    Signals count by `evalkit.metrics.lip_sync.WEIGHTS`.

    Parameters
    ----------
    expected, observed : FloatArray, shape (n, 6)
        On the grid, in the speech band, the offset taken out.
    spoken : BoolArray, shape (n,)
        Where somebody speaks and the lips are seen.

    Returns
    -------
    float or None
        0 to 1, higher is better. ``None`` with less than `FEWEST_S` of speech.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.

    Examples
    --------
    Movement of equal size that has nothing to do with the sound leaves half:

    >>> t = np.arange(1000)[:, None] / GRID_HZ * np.ones(6)
    >>> own, other = np.sin(2 * np.pi * 2 * t), np.sin(2 * np.pi * 3 * t)
    >>> everywhere = np.ones(1000, dtype=bool)
    >>> [round(explained_variance(own, lips, everywhere), 3) for lips in (own, own + other, other, -own)]
    [1.0, 0.5, 0.0, 0.0]
    """
    _require_lips("expected", expected)
    _require_lips("observed", observed)
    require_mask("spoken", spoken)
    require_same_length({"expected": expected, "observed": observed, "spoken": spoken})
    return _explained(expected[spoken], observed[spoken])


class Articulation(NamedTuple):
    """How a clip articulates, as a whole and along its windows.

    Parameters
    ----------
    articulation, explained_variance : float or None
        See the functions of these names.
    starts_s : FloatArray, shape (n_windows,)
        Of the windows with enough speech, `window_s` long.
    articulations, explained_variances : FloatArray, shape (n_windows,)
        Within each; they scatter more than the clip's.
    window_s : float
        `evalkit.metrics.lip_sync.WINDOW_S`, or the clip where it is shorter.
    """

    articulation: float | None
    explained_variance: float | None
    starts_s: FloatArray
    articulations: FloatArray
    explained_variances: FloatArray
    window_s: float


def measure_articulation(
    lips: FloatArray, expected: FloatArray, observed: FloatArray, spoken: BoolArray
) -> Articulation:
    """Measure `articulation` and `explained_variance` of a clip, and of its windows with enough speech.

    Parameters
    ----------
    lips, observed : FloatArray, shape (n, 6)
        Seen, on the grid: in eye distances and not filtered; and in the speech band.
    expected : FloatArray, shape (n, 6)
        From the sound, in the speech band, the offset taken out.
    spoken : BoolArray, shape (n,)
        Where somebody speaks and the lips are seen.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    whole = articulation(lips, expected, spoken), explained_variance(expected, observed, spoken)
    n = require_same_length({"lips": lips, "observed": observed})
    opened = opening(lips)
    length, hop = min(n, int(WINDOW_S * GRID_HZ)), int(WINDOW_HOP_S * GRID_HZ)
    starts, ratios, shares = [], [], []
    for first in range(0, n - length + 1, hop) if length else ():
        rows = first + np.flatnonzero(spoken[first : first + length])
        if rows.size < WINDOW_SPEECH * length:
            continue
        ratio, share = _ratio(opened[rows], expected[rows, _GAP]), _explained(expected[rows], observed[rows])
        if ratio is not None and share is not None:
            starts.append(first / GRID_HZ)
            ratios.append(ratio)
            shares.append(share)
    return Articulation(*whole, np.array(starts), np.array(ratios), np.array(shares), length / GRID_HZ)


def _ratio(opened: FloatArray, expected_gap: FloatArray) -> float | None:
    if opened.size < FEWEST_S * GRID_HZ:
        return None
    deviation = float(np.abs(expected_gap - expected_gap.mean()).mean())
    if deviation < 1e-6:
        return None
    low, high = np.percentile(opened, RANGE_PERCENT)
    return float(high - low) / (USUAL_OPENING * deviation)


def _explained(expected: FloatArray, observed: FloatArray) -> float | None:
    if expected.shape[0] < FEWEST_S * GRID_HZ:
        return None
    a, b = expected - expected.mean(axis=0), observed - observed.mean(axis=0)
    energy = (a * a).sum(axis=0) * (b * b).sum(axis=0)
    correlation = (a * b).sum(axis=0) / np.sqrt(np.where(energy > 0, energy, np.inf))
    share = float((WEIGHTS * np.maximum(correlation, 0.0) ** 2).sum() / WEIGHTS.sum())
    return min(share, 1.0)  # rounding goes beyond


def _require_lips(name: str, lips: FloatArray) -> None:
    require_shape(name, lips, (None, N_SIGNALS))
    require_finite(name, lips)
