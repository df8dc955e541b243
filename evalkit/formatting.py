"""Numbers, counts and times as people read them."""

from __future__ import annotations

from pipeline.formatting import count, encodable, label, printable, printable_lines

__all__ = [
    "count",
    "count_levels",
    "describe_duration",
    "encodable",
    "in_one_line",
    "label",
    "moment_text",
    "name_factor",
    "printable",
    "printable_lines",
    "three_digits",
]


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


def moment_text(metric: str, unit: str, start_s: float, end_s: float, value: float) -> str:
    """Write a worst moment of a metric for people.

    >>> moment_text("lip_sync.error", "1", 3.0, 6.04, 0.8249), moment_text("lip_sync.offset_ms", "ms", 0, 2, 240)
    ('lip_sync.error 0.825, 3.0 s to 6.0 s', 'lip_sync.offset_ms 240 ms, 0.0 s to 2.0 s')
    """
    of_unit = "" if unit == "1" else f" {unit}"
    return f"{metric} {three_digits(value)}{of_unit}, {start_s:.1f} s to {end_s:.1f} s"


def describe_duration(seconds: float) -> str:
    """Write a time for people.

    >>> describe_duration(4.2), describe_duration(75), describe_duration(7300)
    ('4 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def in_one_line(text: str) -> str:
    r"""Cut a text of several lines to one: its first, and its last too where the first announces what follows.

    >>> in_one_line("it failed; it said at last:\n  loading\n  ValueError: no face"), in_one_line("it failed\nso")
    ('it failed; it said at last: ValueError: no face', 'it failed')
    """
    first, _, rest = text.strip().partition("\n")
    last = rest.strip().rpartition("\n")[2].strip()
    return f"{first} {last}" if first.endswith(":") and last else first


_FACTORS = {"speech": ("piece of speech", "pieces of speech")}


def name_factor(factor: str, n: int) -> str:
    """Name what n levels of a factor (portrait, speech, seed, input) are, for people.

    >>> name_factor("speech", 2), name_factor("portrait", 1)
    ('pieces of speech', 'portrait')
    """
    one, more = _FACTORS.get(factor, (factor, f"{factor}s"))
    return one if n == 1 else more


def count_levels(factor: str, n: int) -> str:
    """Count the levels of a factor, for people.

    >>> count_levels("speech", 1)
    '1 piece of speech'
    """
    return f"{n} {name_factor(factor, n)}"
