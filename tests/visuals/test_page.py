"""The frame of every page: what is missing is an error, texts are text, and a page asks for nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from typing import Any

import pytest
from jinja2 import UndefinedError

from evalkit.visuals.page import label_cells, render_page, theme_script

TRANSCRIPT: dict[str, Any] = {
    "title": "<script>alert(1)</script>",
    "headline": "1 of 1 words is heard & more",
    "recogniser": "a recogniser",
    "language": "en",
    "pieces": [],
    "between": " ",
    "heard": [],
}


def render(**context: Any) -> str:
    return render_page("evalkit.evaluators.pictures", "transcript.html.j2", **{**TRANSCRIPT, **context})


def security_policy(html: str) -> str:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert found is not None
    return unescape(found.group(1))


def test_texts_are_text() -> None:
    html = render().replace(f"<script>{theme_script()}</script>", "")
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2  # title and heading
    assert "1 of 1 words is heard &amp; more" in html


def test_a_name_that_is_not_given_is_an_error() -> None:
    context = {name: value for name, value in TRANSCRIPT.items() if name != "recogniser"}
    with pytest.raises(UndefinedError, match="recogniser"):
        render_page("evalkit.evaluators.pictures", "transcript.html.j2", **context)


def digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def test_a_page_without_a_script_allows_only_the_one_that_switches_light_and_dark() -> None:
    assert f"script-src 'sha256-{digest(theme_script())}';" in security_policy(render())


def test_a_page_allows_its_own_script_and_no_other() -> None:
    script = "document.title = 'a < b';"
    html = render(script=script)
    expected = f"script-src 'sha256-{digest(theme_script())}' 'sha256-{digest(script)}';"
    assert expected in security_policy(html)
    assert f"<script>{script}</script>" in html
    assert html.count("<script") == 2


def test_a_cell_is_named_by_the_head_of_its_column() -> None:
    table = (
        '<thead><tr><th scope="col"><span title="a.b">Size</span> (px) ↓</th><th></th><th>a "b"</th></tr></thead>'
        '<tbody><tr class="x"><th scope="row">1</th><td>2</td><td class="n">3</td><td>4</td></tr></tbody>'
    )
    rows = str(label_cells(table)).partition("<tbody>")[2]
    assert rows == (
        '<tr class="x"><th data-label="Size (px) ↓" scope="row">1</th><td>2</td>'
        '<td data-label="a &#34;b&#34;" class="n">3</td><td>4</td></tr></tbody>'
    )
