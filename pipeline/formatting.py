"""Counts as people read them."""

from __future__ import annotations


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Write how many there are.

    >>> count(1, "clip"), count(2, "clip"), count(0, "box", "boxes")
    ('1 clip', '2 clips', '0 boxes')
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
