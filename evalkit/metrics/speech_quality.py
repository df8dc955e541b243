"""How a voice sounds to people: what DNSMOS (ITU-T P.835) and PLCMOS are given, and what their answers mean.

References
----------
C. K. A. Reddy, V. Gopal, R. Cutler: DNSMOS P.835, ICASSP 2022. L. Diener et al.: PLCMOS, Interspeech 2023. Their models, and the
code that this follows to 1e-4, are those of Microsoft's package speechmos 0.0.1.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.checks import require_finite, require_shape
from evalkit.types import FloatArray

RATE_HZ = 16_000
WINDOW_S = 9.01
"""What DNSMOS is asked about at once."""
WINDOW_SAMPLES = 144_160
HOP_S = 1
"""From one window to the next in sound of up to `SHORT_S`."""
SHORT_S = 30
"""Sound of up to this length is measured as the reference does. In longer sound windows touch each other and do not overlap, as
nine times the work would tell little more."""
N_RATERS = 15
"""Imagined raters of PLCMOS; the score is their mean."""
RATER_VALUES = 64
_FRAME = 512
_HOP = 256
_SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
_BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)
_FLOOR_DB = -120.0


def repeat_to_window(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Double a sound until it fills a window, as the reference does.

    Parameters
    ----------
    samples : float32 array, shape (n,), n >= 1
        At `RATE_HZ`.

    Returns
    -------
    float32 array, shape (m,)
        As given, where it is long enough.

    Raises
    ------
    ValueError
        For an array of another shape, or an empty one.

    Examples
    --------
    >>> repeat_to_window(np.ones(16_000, np.float32)).size  # 1 s becomes 16 s
    256000
    """
    require_shape("samples", samples, (None,))
    if not samples.size:
        raise ValueError("samples is empty; there is nothing to repeat")
    while samples.size < WINDOW_SAMPLES:
        samples = np.concatenate([samples, samples])
    return samples


def count_windows(n_samples: int) -> int:
    """Return how many windows of the reference, one a second, a sound has that fills at least one.

    A window counts only once the whole second in which it ends has passed, and the first one always.

    Examples
    --------
    >>> [count_windows(round(16_000 * length_s)) for length_s in (9.01, 10.5, 11, 30)]
    [1, 1, 2, 21]
    """
    if n_samples < WINDOW_SAMPLES:
        raise ValueError(f"{n_samples} samples are no window of {WINDOW_SAMPLES}")
    return max(1, n_samples // RATE_HZ - 9)


def mean_opinions(answers: FloatArray) -> FloatArray:
    """Return what answers of DNSMOS mean on the scale of people's opinions.

    Parameters
    ----------
    answers : FloatArray, shape (n, 3)
        Of the network: signal, background, overall.

    Returns
    -------
    FloatArray, shape (n, 3)
        About 1 to 5, higher is better; by the polynomials that the authors fitted.

    Raises
    ------
    ValueError
        For arrays of another shape, or values that are not finite.

    Examples
    --------
    >>> mean_opinions(np.array([[3.0, 3.0, 3.0]])).round(3).tolist()  # 0.005 + 1.221 * 3 - 0.084 * 9 ...
    [[2.912, 3.246, 2.783]]
    """
    require_shape("answers", answers, (None, 3))
    require_finite("answers", answers)
    columns = zip((_SIGNAL, _BACKGROUND, _OVERALL), answers.T.astype(np.float64), strict=True)
    return np.stack([np.polyval(curve, column) for curve, column in columns], axis=1)


def log_power_spectrum(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what PLCMOS is given.

    Frames of 32 ms every 16 ms under a Hamming window, the first one ending with the first 16 ms of the sound; the natural
    logarithm of their power, divided by 20. Where there is no power at all it is 120 dB below the least that there is.

    Parameters
    ----------
    samples : float32 array, shape (n,), n >= 1
        At `RATE_HZ`.

    Returns
    -------
    float32 array, shape (n_frames, 257)

    Raises
    ------
    ValueError
        For an array of another shape, or an empty one.
    """
    require_shape("samples", samples, (None,))
    if not samples.size:
        raise ValueError("samples is empty; it has no spectrum")
    n_frames = -(-(samples.size + _FRAME - _HOP) // _HOP)
    padded = np.zeros((n_frames - 1) * _HOP + _FRAME, dtype=np.float64)
    padded[_HOP : _HOP + samples.size] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    # the reference takes the magnitude first; its square differs from the power by rounding alone
    power = np.square(np.abs(np.fft.rfft(frames * np.hamming(_FRAME + 1)[:-1], axis=1)))
    silent = power == 0
    if silent.all():
        return np.full(power.shape, -80 / 10 * np.log(10) / 20, dtype=np.float32)
    least = np.log(power[~silent].min()) + _FLOOR_DB / 10 * np.log(10)
    spectrum = np.where(silent, least, np.log(np.where(silent, 1.0, power)))
    return np.asarray(spectrum / 20, dtype=np.float32)


def imagine_raters() -> NDArray[np.float32]:
    """Return the raters of PLCMOS, always the same; shape (`N_RATERS`, 1, `RATER_VALUES`).

    The reference draws new ones for each sound, by which its score of the same sound moves by a few hundredths. These are the ones
    that it draws after ``numpy.random.seed(0)``.
    """
    drawn = np.random.RandomState(0)
    raters: NDArray[np.float32] = drawn.normal(size=(N_RATERS, 1, RATER_VALUES)).astype(np.float32)
    return raters
