"""Sentences of pages, in every language that there is: ``sentences/<topic>.<language>.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_CHINESE = "[\u4e00-\u9fff]"
LANGUAGES = ("en", "zh-CN")
"""As BCP 47 has them. The first is for those who ask for none of them."""


@dataclass(frozen=True)
class Words:
    """Sentences of one language.

    Parameters
    ----------
    tag : str
        Of BCP 47.
    sentences : mapping
        By key: a sentence with places to fill, or one for each number (``one``, ``other``).
    """

    tag: str
    sentences: Mapping[str, str | Mapping[str, str]]

    def __call__(self, key: str, **filled: object) -> str:
        """Return a sentence with its places filled.

        Raises
        ------
        KeyError
            For a sentence, or something to fill in, that there is not.
        """
        sentence = self.sentences[key]
        if isinstance(sentence, Mapping):
            sentence = sentence["one" if filled["n"] == 1 else "other"]
        return sentence.format(**filled)


@cache
def read_words(tag: str, *topics: str) -> Words:
    """Return the sentences of some topics in one of `LANGUAGES`.

    Parameters
    ----------
    tag : str
    *topics : str
        Such as ``pages`` and ``rating``: files of ``sentences/``.

    Raises
    ------
    ValueError
        If two topics have a key in common: which of them is meant could not be told.
    """
    sentences: dict[str, str | Mapping[str, str]] = {}
    for topic in topics:
        name = f"{topic}.{tag}.yaml"
        own = _read((files(__package__) / "sentences" / name).read_text("utf-8"), name)
        if twice := sentences.keys() & own.keys():
            raise ValueError(f"{', '.join(topics)} share the keys {', '.join(sorted(twice))}")
        sentences |= own
    return Words(tag, sentences)


@cache
def translated_reasons(tag: str) -> Mapping[str, str]:
    """Return why values are absent, by code, as ``reasons/<language>.yaml`` says it; empty for the first of `LANGUAGES`.

    In that language each reason is told where it is declared.
    """
    if tag == LANGUAGES[0]:
        return {}
    name = f"{tag}.yaml"
    told: dict[str, str] = _read((files(__package__) / "reasons" / name).read_text("utf-8"), name)
    return told


def space_out(text: str, tag: str) -> str:
    """Return a text that was put together with the spaces that its language has: in Chinese about numbers, and nowhere else.

    It is for words of these files and numbers alone: what users name stays as it is.

    >>> space_out("不超过 每分钟14 次", "zh-CN"), space_out("at most 14 a minute", "en")
    ('不超过每分钟 14 次', 'at most 14 a minute')
    """
    if not tag.startswith("zh"):
        return text
    text = re.sub(rf"(?<={_CHINESE}) +(?={_CHINESE})", "", text)
    return re.sub(rf"(?<={_CHINESE})(?=-?\d)|(?<=[\d%°])(?={_CHINESE})", " ", text)


def choose_language(accepted: str) -> str:
    """Return the language of `LANGUAGES` that somebody likes best.

    Parameters
    ----------
    accepted : str
        As the header ``Accept-Language`` says it (RFC 9110, 12.5.4).

    >>> choose_language("zh-TW,zh;q=0.9,en;q=0.8"), choose_language("de, en;q=0.3, zh;q=0.1"), choose_language("")
    ('zh-CN', 'en', 'en')
    """
    liked: dict[str, float] = {}
    for place, part in enumerate(accepted[:1000].split(",")):
        name, _, weight = part.partition(";q=")
        known = next((tag for tag in LANGUAGES if tag[:2] == name.strip().lower()[:2]), None)
        try:
            value = float(weight or 1) - place * 1e-6
        except ValueError:
            continue
        if known is not None and value > 0:
            liked[known] = max(value, liked.get(known, 0.0))
    return max(liked, key=liked.__getitem__, default=LANGUAGES[0])


def _read(text: str, source: str) -> Any:
    """Read YAML, by a library that a command's help does not need."""
    from evalkit.options import parse_yaml

    return parse_yaml(text, source)
