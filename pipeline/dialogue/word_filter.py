"""Words that are never spoken."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from pipeline.errors import RequestError
from pipeline.options import PlainData

MASK, REPLACE, REFUSE = "mask", "replace", "refuse"

# Scripts that are written without spaces, or whose words take on endings: there a listed word counts anywhere.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
# Accents on Latin, Greek and Cyrillic letters; points of Hebrew and Arabic.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0640\u1ab0-\u1aff\u1dc0-\u1dff]"
)
_PAUSE = "…"


class FilterSettings(PlainData):
    """Which words, and what is done about them.

    Attributes
    ----------
    path : str
        UTF-8 text, a word or phrase a line; ``word = replacement`` for one of its own; ``#`` begins a comment.
    action : str
        ``mask``: a pause instead; ``replace``: another word instead; ``refuse``: nothing of the text is spoken.
    replacement : str
        For ``replace``, where the list gives none.
    instead : str or None
        For ``refuse``: a sentence that is spoken instead; ``None``: there is no video, but an error.
    """

    path: str = Field(min_length=1, description="path of a text file, a word or phrase a line")
    action: str = Field(
        default=MASK, pattern="^(mask|replace|refuse)$", description="mask, replace or refuse"
    )
    replacement: str = Field(default=_PAUSE, description="text")
    instead: str | None = Field(default=None, min_length=1, description="a sentence")


class Filtered(NamedTuple):
    """A text that may be spoken, and how many places of it were not.

    ``text`` is ``None`` where it is refused.
    """

    text: str | None
    n_found: int


class WordFilter:
    """Finds listed words whatever their case, accents and width, and with invisible signs between their letters.

    Whole words; anywhere in Chinese, Japanese, Korean and other scripts without spaces between words. The longest
    entry counts where two begin at one place. It does not see through letters put in place of others.

    Raises
    ------
    RequestError
        If the list cannot be read or has nothing in it.
    """

    def __init__(self, settings: FilterSettings) -> None:
        self._settings = settings
        self._replacements: dict[str, str] = {}
        try:
            lines = Path(settings.path).read_text("utf-8-sig").splitlines()
        except FileNotFoundError:
            raise RequestError(
                f"words {settings.path!r}: there is no such file; write the list, or leave words out"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(f"words {settings.path!r} cannot be read as UTF-8 text: {error}") from None
        for number, line in enumerate(lines, 1):
            entry, equals, replacement = line.partition("#")[0].partition("=")
            folded = " ".join(_fold_all(entry).split())
            if folded:
                self._replacements[folded] = replacement.strip() if equals else settings.replacement
            elif equals:
                raise RequestError(f"words {settings.path!r}: line {number} has no word before its =")
        if not self._replacements:
            raise RequestError(
                f"words {settings.path!r}: there is no word in it; write one word or phrase a line"
            )
        entries = sorted(self._replacements, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_as_pattern, entries)))

    def clean(self, text: str) -> Filtered:
        """Return what may be spoken of a text. Where nothing is found, the text is as it was."""
        plain = unicodedata.normalize("NFC", text)
        folded, places = [], []
        for place, character in enumerate(plain):
            letters = _fold(character)
            folded.append(letters)
            places += [place] * len(letters)
        spoken, end, n_found = [], 0, 0
        for match in self._pattern.finditer("".join(folded)):
            start = places[match.start()]
            spoken += [plain[end:start], self._instead_of(match[0])]
            end = places[match.end() - 1] + 1
            n_found += 1
        if not n_found:
            return Filtered(text, 0)
        if self._settings.action == REFUSE:
            return Filtered(self._settings.instead, n_found)
        return Filtered("".join([*spoken, plain[end:]]), n_found)

    def _instead_of(self, found: str) -> str:
        return self._replacements[" ".join(found.split())] if self._settings.action == REPLACE else _PAUSE


def _fold(character: str) -> str:
    """Return a sign as it is compared: without case, width and accents; nothing for one that is not seen."""
    if unicodedata.category(character) == "Cf":
        return ""
    plain = unicodedata.normalize("NFKD", character).casefold()
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain))


def _fold_all(text: str) -> str:
    return "".join(map(_fold, unicodedata.normalize("NFC", text)))


def _as_pattern(entry: str) -> str:
    words = r"\s+".join(map(re.escape, entry.split()))
    before = "" if _UNSPACED.match(entry[0]) else rf"(?<![^\W_{_UNSPACED.pattern[1:-1]}])"
    after = "" if _UNSPACED.match(entry[-1]) else rf"(?![^\W_{_UNSPACED.pattern[1:-1]}])"
    return before + words + after
