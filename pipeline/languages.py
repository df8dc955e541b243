"""Language codes."""

from __future__ import annotations


def primary_language(language: str) -> str:
    """Return the first part of a language code, in small letters.

    >>> primary_language("en-GB"), primary_language("zh_CN")
    ('en', 'zh')
    """
    return language.strip().lower().replace("_", "-").partition("-")[0]
