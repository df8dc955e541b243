"""Pages without a script: one look for all, nothing from elsewhere, and texts that cannot become markup."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evalkit.api.verdicts import compare, signoff
from evalkit.reports.compare_page import render_comparison
from evalkit.reports.signoff_page import render_signoff
from evalkit.reports.stage import player_style
from evalkit.testing.runs import write_grid
from evalkit.views.comparison import comparison_view
from evalkit.views.signoff import signoff_view
from evalkit.visuals.page import style_sheet, theme_script

VOID = {"meta", "input", "link", "br", "line", "rect", "circle", "img", "wbr"}


class Outline(HTMLParser):
    """Checks that every tag is closed, and that nothing asks for anything."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        assert not {"src", "onclick"} & dict(attrs).keys()
        assert (dict(attrs).get("href") or "#").startswith(("#", "data:"))
        assert tag != "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Forget it."""
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("runs") / "a <b> run", sizes=["384*256"], failing=[1])


def comparison(run: Path) -> str:
    return render_comparison(comparison_view(compare(run, split={"sample_steps": (2, 4)})))


def decision(run: Path) -> str:
    return render_signoff(signoff_view(signoff(run, "customer_service", where={"sample_steps": 4})))


@pytest.mark.parametrize("make", [comparison, decision])
def test_a_page_has_the_one_look_and_is_well_formed(make: Callable[[Path], str], run: Path) -> None:
    page = make(run)
    Outline(page.replace(f"<script>{theme_script()}</script>", ""))
    assert f"<style>{style_sheet()}{player_style()}</style>" in page
    assert page.count("<style") == 1
    assert "style=" not in page
    assert '<section class="answer' in page
    assert "<b>" not in page
