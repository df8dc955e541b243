"""What the pages look like, as far as it can be reckoned: contrast, and that nothing is said by a style in a page."""

from __future__ import annotations

import re

import pytest

from evalkit.app import pages
from evalkit.runs.ratings.records import QUESTIONS, StudyKind
from evalkit.words.language import LANGUAGES, read_words

STUDIES = [
    pages.Asked(StudyKind.ACR, QUESTIONS, in_step=False, n_total=20, n_training=2, minutes=9),
    pages.Asked(StudyKind.PAIRS, ("overall",), in_step=False, n_total=20, n_training=2, minutes=9),
    pages.Asked(StudyKind.PAIRS, ("overall",), in_step=True, n_total=20, n_training=0, minutes=1),
]
READ_ON = [
    ("ink", "paper"),
    ("ink", "card"),
    ("muted", "paper"),
    ("muted", "card"),
    ("accent", "paper"),
    ("paper", "accent"),
    ("pass", "paper"),
    ("fail", "paper"),
]


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), READ_ON)
def test_text_stands_out_as_wcag_aa_asks(scheme: str, text: str, ground: str) -> None:
    found = re.findall(r"--([a-z]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", pages.style())
    colours = {name: dark if scheme == "dark" else light for name, light, dark in found}
    lighter, darker = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.parametrize("tag", LANGUAGES)
@pytest.mark.parametrize("asked", STUDIES, ids=["acr", "one", "step"])
def test_pages_are_whole_in_every_language(tag: str, asked: pages.Asked) -> None:
    say = read_words(tag, "rating")
    clips = [pages.ShownClip("/clip/x", 25.0)] * (2 if asked.kind is StudyKind.PAIRS else 1)
    texts = [
        pages.start_page(say, asked),
        pages.item_page(say, asked, clips, nonce="n", position=3, is_training=True),
        pages.thanks_page(say),
        *(pages.message_page(say, say("problem_heading"), say(key)) for key in ("used", "too_early")),
    ]
    for text in texts:
        assert f'<html lang="{tag}">' in text
        assert re.findall(r"\son\w+=|\sstyle=|<script>|\{\w+\}", text) == []
        assert len(re.findall("<h1>", text)) == 1


def test_what_is_asked_is_what_the_study_asks() -> None:
    asked = pages.Asked(StudyKind.ACR, ("motion",), in_step=False, n_total=1, n_training=0, minutes=1)
    text = pages.item_page(
        read_words("en", "rating"),
        asked,
        [pages.ShownClip("/clip/x", 25.0)],
        nonce="n",
        position=1,
        is_training=False,
    )
    assert set(re.findall('type="radio" name="([^"]+)"', text)) == {"motion"}
    assert re.findall('name="motion" value="([^"]+)"', text) == list("12345")


def test_what_is_inserted_is_escaped() -> None:
    text = pages.message_page(read_words("en", "rating"), "<script>", "&", again_at='"><script>')
    assert "<script>" not in text
