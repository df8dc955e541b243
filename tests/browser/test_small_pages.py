"""Comparison, sign-off and transcript in a browser: on a phone, and without anything from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.api.verdicts import compare, signoff
from evalkit.evaluators.pictures.transcript import transcript_page
from evalkit.evaluators.speech import compare as compare_speech
from evalkit.reports.compare_page import render_comparison
from evalkit.reports.signoff_page import render_signoff
from evalkit.types import ClipIntent, Track
from evalkit.views.comparison import comparison_view
from evalkit.views.signoff import signoff_view

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write all three."""
    folder = tmp_path_factory.mktemp("pages")
    long = "word " * 200
    heard = {"texts": [long + "other"], "recogniser": "fake", "version": "1", "language": "en"}
    track = Track(
        "transcript-x", ("duration_s",), np.zeros(1), np.ones((1, 1), np.float32), np.ones(1, bool), heard
    )
    texts = {
        "compare": render_comparison(comparison_view(compare(run_folder, split={"sample_steps": (2, 4)}))),
        "signoff": render_signoff(
            signoff_view(
                signoff(run_folder, "customer_service", where={"sample_steps": 4, "size": "384*256"})
            )
        ),
        "transcript": transcript_page(compare_speech(ClipIntent(long, "en"), track)),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize("width_px", [360, 1400])
@pytest.mark.parametrize("name", ["compare", "signoff", "transcript"])
def test_a_page_fits_the_screen_and_asks_for_nothing(
    chromium: Any, pages: Path, name: str, width_px: int
) -> None:
    context = chromium.new_context(viewport={"width": width_px, "height": 800})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((pages / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.locator(".answer .headline").is_visible()
    assert page.evaluate("window.hit") is None
    videos = {url for url in asked if url.endswith("/video.mp4")}
    assert [url for url in asked if url not in videos and not url.startswith("data:")] == [
        (pages / f"{name}.html").as_uri()
    ]
    assert all(url.startswith("file:///") for url in videos)
    context.close()
