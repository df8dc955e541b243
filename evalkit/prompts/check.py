"""Does a prompt name the person, the action, the surroundings and the style? Known by words, not by meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from evalkit.options import parse_yaml

PARTS = ("person", "action", "surroundings", "style")
"""In the order in which they are shown."""
LANGUAGES = ("en", "zh")
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the four parts, as found in a prompt.

    Parameters
    ----------
    name : str
        One of `PARTS`.
    asks : str
        What belongs to it, for people.
    found : tuple of str
        The words that name it, as written, each once; empty where it is missing.
    example : str
        What could be added, in the prompt's language.
    """

    name: str
    asks: str
    found: tuple[str, ...]
    example: str


@dataclass(frozen=True, slots=True)
class PromptCheck:
    """What a prompt names.

    Parameters
    ----------
    text : str
    parts : tuple of Part
        In the order of `PARTS`.
    """

    text: str
    parts: tuple[Part, ...]

    @property
    def missing(self) -> tuple[Part, ...]:
        """The parts that nothing names."""
        return tuple(part for part in self.parts if not part.found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "prompt": self.text,
            "complete": not self.missing,
            "missing": [part.name for part in self.missing],
            "found": {part.name: list(part.found) for part in self.parts},
            "add": {part.name: part.example for part in self.missing},
        }


def check_prompt(text: str) -> PromptCheck:
    """Say which of the four parts a prompt names, by the words of the lexicon, in English and Chinese.

    Words are looked up, their meaning is not understood: what is named to be left out ("no logo") counts as named,
    and so does a word that means something else in a phrase the lexicon does not know.

    Parameters
    ----------
    text : str
        Of any length; an empty one names nothing.

    Examples
    --------
    >>> found = check_prompt("A young man nods in an office.")
    >>> [part.name for part in found.missing]
    ['style']
    >>> found.parts[0].found, found.parts[1].found, found.parts[2].found
    (('young',), ('nods',), ('office',))
    """
    language = "zh" if _CHINESE.search(text) else "en"
    parts = []
    for name, entry in _lexicon().items():
        matches = (match["word"] for match in _pattern(name).finditer(text))
        found = tuple(dict.fromkeys(word for word in matches if word is not None))
        parts.append(Part(name, entry["asks"], found, entry["example"][language]))
    return PromptCheck(text, tuple(parts))


@cache
def _lexicon() -> dict[str, Any]:
    lexicon = parse_yaml((files(__package__) / "lexicon.yaml").read_text("utf-8"), "lexicon.yaml")
    return {name: lexicon[name] for name in PARTS}


@cache
def _pattern(part: str) -> re.Pattern[str]:
    """Return what finds the words of a part in the group ``word``, and steps over what means something else."""
    entry = _lexicon()[part]
    words, elsewhere = (_one_of(entry[key]) for key in ("words", "elsewhere"))
    return re.compile(rf"(?:{elsewhere})|(?P<word>{words})", re.IGNORECASE)


def _one_of(rows: list[list[str]]) -> str:
    """Return an expression for any of the words, the longest first; English ones only where they stand alone."""
    words = sorted((str(word) for row in rows for word in row), key=len, reverse=True)
    english = [_expression(word) for word in words if not _CHINESE.search(word)]
    chinese = [_expression(word) for word in words if _CHINESE.search(word)]
    return rf"(?<![a-z0-9])(?:{'|'.join(english)})(?![a-z])|{'|'.join(chinese)}"


def _expression(word: str) -> str:
    """Turn a word of the lexicon into a regular expression.

    >>> [bool(re.fullmatch(_expression("nod~"), form)) for form in ("nod", "nods", "nodding", "nodule")]
    [True, True, True, False]
    >>> [bool(re.fullmatch(_expression("smile~"), form)) for form in ("smile", "smiled", "smiling", "smilax")]
    [True, True, True, False]
    """
    if word.startswith("/"):
        return word.strip("/")
    if _CHINESE.search(word):
        return re.escape(word)
    stem = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]", word.rstrip("~*"))))
    if word.endswith("*"):
        return rf"{stem}[a-z]*"
    if not word.endswith("~"):
        return rf"{stem}(?:s|es)?"
    if stem.endswith("e"):
        return rf"{stem[:-1]}(?:e|es|ed|ing|ingly)"
    return rf"{stem}{stem[-1]}?(?:s|es|ed|ing|ingly)?"
