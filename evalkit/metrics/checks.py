"""Checks of arrays that people pass in: each refuses with the name, the shape or value, and the likely mistake."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROUNDING = 1e-6


def require_shape(name: str, array: ArrayLike, shape: tuple[int | None, ...]) -> None:
    """Refuse an array of another shape.

    Parameters
    ----------
    name : str
        What the caller calls it.
    array : array
    shape : tuple of int or None
        None for a length that may be anything.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> require_shape("lips", np.zeros((6, 200)), (None, 6))
    Traceback (most recent call last):
    ...
    ValueError: lips has shape (6, 200) instead of (n, 6); is it transposed?
    """
    found = np.shape(array)
    if _fits(found, shape):
        return
    wanted = (
        f"({', '.join('n' if size is None else str(size) for size in shape)}{',' if len(shape) == 1 else ''})"
    )
    hint = "; is it transposed?" if len(shape) == 2 and _fits(found[::-1], shape) else ""
    raise ValueError(f"{name} has shape {found} instead of {wanted}{hint}")


def _fits(found: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(found) == len(shape) and all(
        size is None or size == n for n, size in zip(found, shape, strict=True)
    )


def require_same_length(arrays: Mapping[str, ArrayLike]) -> int:
    """Return the length that arrays share along their first axis.

    Raises
    ------
    ValueError
        Without an array, or with several lengths.

    Examples
    --------
    >>> require_same_length({"predicted": [1, 2, 3], "observed": [1, 2]})
    Traceback (most recent call last):
    ...
    ValueError: predicted has 3 rows and observed has 2; are they of the same clip, on the same time axis?
    """
    if not arrays:
        raise ValueError("at least one array is needed")
    lengths = {name: np.shape(array)[0] if np.ndim(array) else 0 for name, array in arrays.items()}
    (first, n), *others = lengths.items()
    for name, length in others:
        if length != n:
            raise ValueError(
                f"{first} has {n} rows and {name} has {length}; are they of the same clip, on the same time axis?"
            )
    return n


def require_finite(name: str, array: ArrayLike) -> None:
    """Refuse NaN and infinity.

    Raises
    ------
    ValueError
        With the number of such values.

    Examples
    --------
    >>> require_finite("level_db", [0.0, float("nan")])
    Traceback (most recent call last):
    ...
    ValueError: level_db has 1 value that is not finite; leave out what was not observed
    """
    n = int(np.count_nonzero(~np.isfinite(np.asarray(array, dtype=np.float64))))
    if n:
        values = "1 value that is" if n == 1 else f"{n} values that are"
        raise ValueError(f"{name} has {values} not finite; leave out what was not observed")


def require_increasing(name: str, times_s: NDArray[np.float64]) -> None:
    """Refuse times that are not one row of strictly increasing, finite numbers.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> require_increasing("times_s", np.array([0.0, 0.04, 0.04]))
    Traceback (most recent call last):
    ...
    ValueError: times_s does not increase from its value 1 to value 2 (0.04 s, 0.04 s); are the frames sorted?
    """
    require_shape(name, times_s, (None,))
    require_finite(name, times_s)
    stuck = np.flatnonzero(np.diff(times_s) <= 0)
    if stuck.size:
        at = int(stuck[0])
        raise ValueError(
            f"{name} does not increase from its value {at} to value {at + 1} "
            f"({times_s[at]:g} s, {times_s[at + 1]:g} s); are the frames sorted?"
        )


def require_signal(name: str, times_s: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Refuse anything but one finite value for each of increasing times.

    Raises
    ------
    ValueError
        For the first thing that is wrong.

    Examples
    --------
    >>> require_signal("pitch_deg", np.array([0.0, 0.04]), np.array([1.0]))
    Traceback (most recent call last):
    ...
    ValueError: times_s has 2 rows and pitch_deg has 1; are they of the same clip, on the same time axis?
    """
    require_increasing("times_s", times_s)
    require_shape(name, values, (None,))
    require_same_length({"times_s": times_s, name: values})
    require_finite(name, values)


def require_mask(name: str, mask: ArrayLike) -> None:
    """Refuse what is not one row of booleans: numbers would be taken for indices.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> require_mask("usable", np.array([1, 0, 1]))
    Traceback (most recent call last):
    ...
    ValueError: usable holds int64 instead of booleans; compare it with something, as in usable > 0
    """
    require_shape(name, mask, (None,))
    dtype = np.asarray(mask).dtype
    if dtype != np.bool_:
        raise ValueError(
            f"{name} holds {dtype} instead of booleans; compare it with something, as in {name} > 0"
        )


def require_share(name: str, shares: ArrayLike) -> None:
    """Refuse one row of numbers of which any lies outside of 0 to 1; NaN is left alone.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> require_share("black_share", [0.5, 98.0])
    Traceback (most recent call last):
    ...
    ValueError: black_share has values from 0.5 to 98; shares lie between 0 and 1: are these percent?
    """
    require_shape(name, shares, (None,))
    known = np.asarray(shares, dtype=np.float64)
    known = known[~np.isnan(known)]
    if known.size and (known.min() < -_ROUNDING or known.max() > 1 + _ROUNDING):
        raise ValueError(
            f"{name} has values from {known.min():g} to {known.max():g}; shares lie between 0 and 1: are these percent?"
        )


def require_positive(name: str, value: float) -> None:
    """Refuse what is not a finite number above 0.

    Raises
    ------
    ValueError
    """
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value!r}; a finite number above 0 is needed")
