"""Language codes as people write them."""

from __future__ import annotations

import pytest

from evalkit.metrics.speech import is_written_with_spaces
from pipeline.languages import primary_language
from pipeline.speech.sphinx import Pocketsphinx


@pytest.mark.parametrize(
    ("code", "primary"),
    [("en", "en"), ("en-GB", "en"), ("zh_CN", "zh"), ("zh-Hans-CN", "zh"), (" PT_br ", "pt"), ("cmn", "cmn")],
)
def test_the_primary_language(code: str, primary: str) -> None:
    assert primary_language(code) == primary


def test_recognisers_and_metrics_read_a_code_alike() -> None:
    assert Pocketsphinx().serves("en_US")
    assert not is_written_with_spaces("zh_CN")
