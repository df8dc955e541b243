"""The page of clips in a browser: moments, one outcome alone, without JavaScript, on a phone, and clean by axe."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from evalkit.analysis.catalogue import known_metrics
from evalkit.cli.page_options import frame_beside
from evalkit.decisions.policy import load_policy
from evalkit.errors import ClipError
from evalkit.measuring.results import ClipResult
from evalkit.reports.clips_page import render_clips
from evalkit.types import Interval, Measurement, Moment, Reason
from evalkit.views.clips import clips_view
from evalkit.words.language import LANGUAGES

METRICS = known_metrics()
WIDTHS = (1440, 1024, 390)


def _measured(path: Path, error: float) -> ClipResult:
    return ClipResult(
        str(path),
        (
            Measurement(METRICS["lip_sync.error"], error, n=3, moments=(Moment(1.0, 2.0, error),)),
            Measurement(METRICS["lip_sync.offset_ms"], 12.0, n=1, interval=Interval(-20.0, 40.0)),
            Measurement(METRICS["expression.blink_per_min"], None, reason=Reason.NO_FACE),
        ),
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> dict[str, Path]:
    """Return the page in each language, beside three videos and a file that is none."""
    folder = tmp_path_factory.mktemp("clips")
    names = ("fine.mp4", "bad 坏 #1.mp4", "<img src=x onerror='window.hit = 1'>.mp4")
    for name in names:
        shutil.copy(clip, folder / name)
    results = [_measured(folder / name, error) for name, error in zip(names, (0.1, 0.9, 0.5), strict=True)]
    broken = folder / "broken.mp4"
    results.append(ClipResult(str(broken), error=ClipError("empty_file", str(broken), "is empty")))
    whole = load_policy("customer_service")
    policy = whole.model_copy(update={"rules": whole.rules[:2]})
    found = {}
    for language in LANGUAGES:
        found[language] = folder / f"page.{language}.html"
        view = clips_view(results, policy, language=language)
        found[language].write_text(render_clips(view, frame=frame_beside(found[language], language)), "utf-8")
    return found


@pytest.fixture
def page(chromium: Any) -> Any:
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    yield page
    page.close()


def test_a_worst_moment_is_a_click_away_and_one_video_plays_at_a_time(
    page: Any, pages: dict[str, Path]
) -> None:
    page.goto(pages["en"].as_uri())
    worst = page.locator("article.clip").nth(1)
    assert "bad 坏 #1.mp4" in worst.inner_text()
    worst.get_by_role("button", name="1.0 s to 2.0 s").click()
    page.wait_for_function("() => Math.abs(document.querySelector('#c2 video').currentTime - 1) < 0.05")
    assert worst.locator(".moments .bar span").count() == 1
    page.evaluate("document.querySelector('#c2 video').play()")
    page.wait_for_function("() => document.querySelector('#c2 video').currentTime > 1.1")
    page.evaluate("document.querySelector('#c3 video').play()")
    page.wait_for_function(
        "() => document.querySelector('#c2 video').paused && !document.querySelector('#c3 video').paused"
    )


def test_one_outcome_alone(page: Any, pages: dict[str, Path]) -> None:
    page.goto(pages["en"].as_uri())
    assert page.locator("article.clip:visible").count() == 4
    page.locator("#outcome").select_option("does not pass")
    page.wait_for_function("() => document.querySelectorAll('article.clip:not([hidden])').length === 2")
    assert page.locator("article.clip:visible").count() == 2
    assert page.locator("ol.clips li:visible").count() == 2
    page.locator("#outcome").select_option("")
    page.wait_for_function("() => document.querySelectorAll('article.clip:not([hidden])').length === 4")


def test_a_name_is_never_run_and_nothing_is_asked_of_elsewhere(page: Any, pages: dict[str, Path]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages["en"].as_uri())
    page.locator("article.clip").last.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => [...document.querySelectorAll('video')].every(video => video.readyState > 0)"
    )
    assert page.evaluate("window.hit") is None
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}


def test_it_is_read_without_javascript(chromium: Any, pages: dict[str, Path]) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["en"].as_uri())
    text = page.locator("body").inner_text()
    assert "Of 4 clips, 1 could not be measured, 2 do not pass, 1 passes." in text
    assert "Lips fit the words" in text
    assert not page.locator("#outcome").is_visible()
    assert page.locator("video[controls]").count() == 3
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_and_is_clean_by_axe(
    chromium: Any, pages: dict[str, Path], language: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    for width in WIDTHS:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
        )
        page = context.new_page()
        page.goto(pages[language].as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for details in page.locator("article.clip details").all():
            details.evaluate("one => { one.open = true; }")
        violations = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
        context.close()
