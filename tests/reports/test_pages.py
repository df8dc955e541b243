"""Pages without a script: one look for all, nothing from elsewhere, and texts that cannot become markup."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from evalkit.api import compare, signoff
from evalkit.reports.compare_page import render_comparison
from evalkit.reports.signoff_page import render_signoff
from evalkit.reports.transcript_page import transcript_page
from evalkit.testing.runs import write_grid
from evalkit.types import ClipFacts, ClipIntent, Track
from evalkit.views.comparison import comparison_view
from evalkit.views.signoff import signoff_view
from evalkit.visuals.page import style_sheet

VOID = {"meta", "link", "br", "line", "rect", "circle", "img", "wbr"}


class Outline(HTMLParser):
    """Checks that every tag is closed, and that nothing asks for anything."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        assert not {"src", "href", "onclick"} & dict(attrs).keys()
        assert tag != "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Forget it."""
        if tag not in VOID:
            assert self.open.pop() == tag


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
    return transcript_page(ClipFacts("a.mp4", None, None, None, ClipIntent(script, language)), track)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("runs") / "a <b> run", sizes=["384*256"], failing=[1])


def comparison(run: Path) -> str:
    return render_comparison(comparison_view(compare(run, split={"sample_steps": (2, 4)})))


def decision(run: Path) -> str:
    return render_signoff(signoff_view(signoff(run, "customer_service", where={"sample_steps": 4})))


def words(_: Path) -> str:
    return transcript(["good <b>evening</b>", ""], "Good morning", "en")


@pytest.mark.parametrize("make", [comparison, decision, words])
def test_a_page_has_the_one_look_and_is_well_formed(make: Callable[[Path], str], run: Path) -> None:
    page = make(run)
    Outline(page)
    assert f"<style>{style_sheet()}</style>" in page
    assert page.count("<style") == 1
    assert "style=" not in page
    assert '<section class="answer' in page
    assert "<b>" not in page


def test_every_difference_is_marked_in_its_place() -> None:
    page = transcript(["good evening to all you"], "Good morning to you", "en")
    assert "good <del>morning</del> <ins>evening</ins> to <ins>all</ins> you" in page
    assert "Error rate 0.5: 2 words wrong, left out or added, and 4 in the script" in page


def test_chinese_is_marked_by_the_character() -> None:
    page = transcript(["你好世间"], "你好,世界!", "cmn")
    assert "你好世<del>界</del> <ins>间</ins>" in page
    assert "1 character wrong" in page
