"""Text that may be handed to Linly-Talker's speech service, which puts it between double quotes of a shell.

EdgeTTS and PaddleTTS are started so, whoever wrote the text: the user, a table, a language model. What may pass is
listed, not what may not: letters, digits and the signs of ordinary writing. Nothing that passes means anything to a POSIX
shell or to ``cmd`` between double quotes, and nothing turns into such a sign when it is brought to its plain form.
"""

from __future__ import annotations

import re
import unicodedata

from pipeline.errors import RequestError

_PLAIN_SIGNS = frozenset(" .,;:?!'()[]-+/&*=#@_~")
"""Signs of ASCII that may pass; a percent sign only where it is `_PERCENT`."""
_READ_AS = str.maketrans(
    {'"': "”", "`": "’"}
    | dict.fromkeys("\n\r\t\u2028\u2029\u00a0", " ")
    | dict.fromkeys("\u00ad\u200b\ufeff", "")
)
"""Signs that are written in another way, or not at all, and sound the same."""
_WRITING = ("L", "M", "N", "P", "S", "Zs")
"""Classes of Unicode, beyond ASCII: letters, marks, numbers, punctuation, symbols, spaces."""
_JOINERS = frozenset("\u200c\u200d")
_PERCENT = re.compile(r"(?<=[0-9])%(?![A-Za-z0-9_%~*:])")
"""Behind a digit and before no name: ``cmd`` has none to put in its place."""


def clean_text(text: str) -> str:
    r"""Return a text as it can be handed over; it sounds as before.

    Raises
    ------
    RequestError
        Naming the signs that cannot be handed over.

    Examples
    --------
    >>> clean_text('It is "new".\nReally.')
    'It is ”new”. Really.'
    >>> clean_text("It costs $5")
    Traceback (most recent call last):
    pipeline.errors.RequestError: the text has '$', and the service puts it on a command line: write it in words
    """
    text = text.translate(_READ_AS)
    refused = sorted({sign for sign in _PERCENT.sub("", text) if not _may_pass(sign)})
    if refused:
        raise RequestError(
            f"the text has {', '.join(map(repr, refused))}, and the service puts it on a command line: "
            "write it in words"
        )
    return f" {text}" if text.startswith("-") else text  # else it would be read as an option


def _may_pass(sign: str) -> bool:
    if sign.isascii():
        return sign.isalnum() or sign in _PLAIN_SIGNS
    if sign in _JOINERS:
        return True
    plain = unicodedata.normalize("NFKC", sign)
    return unicodedata.category(sign).startswith(_WRITING) and all(
        not part.isascii() or part.isalnum() or part in _PLAIN_SIGNS or part == "%" for part in plain
    )
