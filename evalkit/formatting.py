"""Numbers as people read them."""

from __future__ import annotations


def three_digits(value: float) -> str:
    """Write a number with three significant digits, without an exponent.

    >>> three_digits(0.01234), three_digits(-123.4), three_digits(12345.6), three_digits(1e-9)
    ('0.0123', '-123', '12346', '0')
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    text = f"{value:.3g}"
    if "e" in text:
        text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
