"""Counts as people read them, and text as files hold it."""

from __future__ import annotations

import unicodedata


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Write how many there are.

    >>> count(1, "clip"), count(2, "clip"), count(0, "box", "boxes")
    ('1 clip', '2 clips', '0 boxes')
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def encodable(text: str) -> str:
    r"""Return text that any file can hold: the bytes of a file name that is not UTF-8 become escapes.

    >>> encodable("caf\udce9 é")
    'caf\\udce9 é'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(text: str) -> str:
    r"""Write every character that moves a cursor, turns the direction of writing or cannot be seen as an escape.

    >>> printable("a\x1b[2Jb\u202ec é")
    'a\\x1b[2Jb\\u202ec é'
    """
    return "".join(
        letter
        if letter.isprintable()
        or unicodedata.category(letter) == "Zs"  # spaces, also those that break no line
        else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in text
    )


def printable_lines(text: str) -> str:
    r"""Write text of several lines, each as `printable`.

    >>> printable_lines("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    return "\n".join(map(printable, text.split("\n")))


def label(name: str) -> str:
    r"""Return the name of a file as people read it and tables know it: on one line, accents composed (NFC).

    Two systems that write one name in two ways, as macOS and Linux do, give one label.

    >>> label("cafe\u0301"), label("new\nline"), label("caf\udce9")
    ('café', 'new\\nline', 'caf\\udce9')
    """
    return printable(unicodedata.normalize("NFC", name))
