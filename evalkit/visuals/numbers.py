"""Numbers as people read them: three significant digits, units, arrows that say which way is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalkit.formatting import three_digits

if TYPE_CHECKING:
    from evalkit.types import Better

ARROWS: dict[Better, str] = {"lower": "↓", "higher": "↑", "zero": "→0", "band": "~"}
"""Which way is better, as signs."""
ARROW_WORDS: dict[Better, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "zero": "0 is best",
    "band": "best in a band",
}


def signed(value: float) -> str:
    """Write a change: three significant digits and its sign.

    >>> signed(0.0612), signed(-24.0), signed(0.0)
    ('+0.0612', '-24', '0')
    """
    text = three_digits(abs(value))
    return text if value == 0 else f"{'+' if value > 0 else '-'}{text}"


def percent(share: float) -> str:
    """Write a relative change in whole percent, with its sign.

    >>> percent(-0.243), percent(0.001)
    ('-24 %', '0 %')
    """
    whole = round(100 * share)
    return f"{'+' if whole > 0 else '-' if whole < 0 else ''}{abs(whole)} %"


def unit_suffix(unit: str) -> str:
    """Return what follows a value of this unit; nothing for a pure number.

    >>> unit_suffix("ms"), unit_suffix("1")
    (' ms', '')
    """
    return "" if unit in {"", "1"} else f" {unit}"


def bracket(interval: Any) -> str:
    """Write an interval; nothing where there is none.

    >>> bracket((0.02, 0.1)), bracket(None)
    ('[0.02, 0.1]', '')
    """
    return f"[{three_digits(interval[0])}, {three_digits(interval[1])}]" if interval else ""
