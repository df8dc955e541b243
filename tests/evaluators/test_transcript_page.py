"""The page with script and transcript: every difference marked, and texts that cannot become markup."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from evalkit.evaluators.pictures.transcript import transcript_page
from evalkit.evaluators.speech import compare
from evalkit.types import ClipIntent, Track


def transcript(texts: list[str], script: str, language: str) -> str:
    n = len(texts)
    track = Track(
        "transcript-fake-0",
        ("duration_s",),
        np.arange(n) * 30.0,
        np.full((n, 1), 30.0, np.float32),
        np.ones(n, dtype=bool),
        {"texts": texts, "recogniser": "<fake>", "version": "1", "language": language},
    )
    return transcript_page(compare(ClipIntent(script, language), track))


class Tags(HTMLParser):
    """Collects tags and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        named = dict(attrs)
        assert not {"src", "onclick"} & named.keys()
        assert (named.get("href") or "#").startswith("#")
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Forget it."""
        assert self.open.pop() == tag


def test_a_page_is_well_formed_needs_nothing_else_and_shows_texts_as_texts() -> None:
    page = transcript(["good <b>evening</b>", "<script>"], "Good morning", "en")
    tags = Tags(page)
    assert tags.open == []
    assert not {"b", "link", "fake"} & tags.seen
    assert page.count("<script") == transcript([""], "Good morning", "en").count("<script")
    assert "good &lt;b&gt;evening" in page
    assert "Heard by &lt;fake&gt; 1 as en." in page


def test_every_difference_is_marked_in_its_place() -> None:
    page = transcript(["good evening to all you"], "Good morning to you", "en")
    assert "good <del>morning</del> <ins>evening</ins> to <ins>all</ins> you" in page
    assert "Error rate 0.5: 2 words wrong, left out or added, and 4 in the script" in page


def test_chinese_is_marked_by_the_character() -> None:
    page = transcript(["你好世间"], "你好,世界!", "cmn")
    assert "你好世<del>界</del> <ins>间</ins>" in page
    assert "1 character wrong" in page
