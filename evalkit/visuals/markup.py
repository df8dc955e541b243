"""Text in a terminal."""

from __future__ import annotations

from rich import markup

from evalkit.formatting import printable_lines


def escape(text: str) -> str:
    r"""Return text as a terminal of rich shows it: nothing in it is taken for a style, and nothing moves a cursor.

    >>> escape("[red]a\x1b[2J")
    '\\[red]a\\x1b[2J'
    """
    return markup.escape(printable_lines(text))
