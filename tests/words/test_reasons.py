"""Every reason for an absent value is told in every language."""

from __future__ import annotations

import pytest

from evalkit.analysis.catalogue import _reason_texts, reason_text
from evalkit.words.language import LANGUAGES, translated_reasons


@pytest.mark.parametrize("tag", LANGUAGES[1:])
def test_every_reason_has_its_words_and_no_other(tag: str) -> None:
    assert translated_reasons(tag).keys() == _reason_texts().keys()


def test_what_nothing_declares_stays_as_it_is() -> None:
    assert reason_text("generate failed: out_of_memory", "zh-CN") == "generate failed: out_of_memory"
