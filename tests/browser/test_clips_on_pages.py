"""Compare and sign-off show the clips that they speak of: they play, each stage by itself, and print as stills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.api.verdicts import compare, signoff
from evalkit.reports.compare_page import render_comparison
from evalkit.reports.signoff_page import render_signoff
from evalkit.testing.runs import write_grid
from evalkit.views.comparison import comparison_view
from evalkit.views.signoff import signoff_view
from evalkit.visuals.page import PageFrame, link_from

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write both in both languages beside a run of theirs."""
    folder = tmp_path_factory.mktemp("beside")
    run = write_grid(folder / "run", sizes=("384*256",), steps=(1, 2, 4), seeds=(1, 2, 3), video=clip)
    compared = comparison_view(compare(run, split={"sample_steps": (2, 4)}))
    judged = signoff_view(signoff(run, "customer_service", where={"sample_steps": 1}))
    for language in ("en", "zh-CN"):
        frame = PageFrame(language, link=link_from(folder))
        (folder / f"compare.{language}.html").write_text(render_comparison(compared, frame=frame), "utf-8")
        (folder / f"signoff.{language}.html").write_text(render_signoff(judged, frame=frame), "utf-8")
    return folder


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context()
    page = context.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    yield page
    assert page.complaints == []
    context.close()


def wait_for(page: Any, condition: str) -> None:
    for _ in range(1200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"after a minute it still does not hold: {condition}")


def playing(place: int) -> str:
    return (
        f"[...document.querySelectorAll('.stage')[{place}].querySelectorAll('video')].map((v) => !v.paused)"
    )


def test_the_pair_that_differs_most_comes_first_and_plays(page: Any, pages: Path) -> None:
    page.goto((pages / "compare.en.html").as_uri())
    first = page.locator(".answer .stage")
    assert first.locator("video").count() == 2
    assert first.bounding_box()["y"] < 720
    page.locator(".answer .play").click()
    wait_for(page, f"{playing(0)}.every(Boolean)")
    sounds = "[...document.querySelectorAll('video')].filter((v) => !v.muted && !v.paused).length"
    assert page.evaluate(sounds) == 1


def test_starting_one_stage_pauses_the_other(page: Any, pages: Path) -> None:
    page.goto((pages / "compare.en.html").as_uri())
    page.locator(".play").nth(0).click()
    wait_for(page, f"{playing(0)}.every(Boolean)")
    page.locator(".play").nth(1).click()
    wait_for(page, f"{playing(1)}.every(Boolean)")
    assert page.evaluate(playing(0)) == [False, False]
    assert page.locator(".play").nth(0).get_attribute("aria-pressed") == "false"


def test_a_radio_of_one_stage_leaves_the_others_alone(page: Any, pages: Path) -> None:
    page.goto((pages / "compare.en.html").as_uri())
    page.locator(".stage").nth(1).get_by_label("sound").nth(1).check()
    muted = "[...document.querySelectorAll('.stage')].slice(0, 2).map((s) => [...s.querySelectorAll('video')].map((v) => v.muted))"
    assert page.evaluate(muted) == [[False, True], [True, False]]
    assert page.locator(".stage").nth(0).get_by_label("sound").nth(0).is_checked()


def test_the_clip_that_fails_stands_beside_the_verdict(page: Any, pages: Path) -> None:
    page.goto((pages / "signoff.en.html").as_uri())
    video = page.locator(".answer .stage video")
    assert video.count() == 1
    page.locator(".answer .moments button").first.click()
    start_s = float(page.locator(".answer .moments li").first.get_attribute("data-start"))
    wait_for(page, f"Math.abs(document.querySelector('.answer video').currentTime - {start_s}) < 0.001")
    page.locator(".answer .play").click()
    wait_for(page, f"document.querySelector('.answer video').currentTime > {start_s} + 0.2")


@pytest.mark.parametrize("name", ["compare", "signoff"])
def test_no_dotted_name_is_on_the_first_screen(page: Any, pages: Path, name: str) -> None:
    for language in ("en", "zh-CN"):
        page.goto((pages / f"{name}.{language}.html").as_uri())
        shown = page.locator(".answer").inner_text()
        assert "lip_sync." not in shown
        assert "profile." not in shown
        assert page.locator("html").get_attribute("lang") == language


@pytest.mark.parametrize("name", ["compare", "signoff"])
def test_paper_has_stills_in_place_of_videos(page: Any, pages: Path, name: str) -> None:
    page.goto((pages / f"{name}.en.html").as_uri())
    wait_for(page, "[...document.images].every((one) => one.complete)")
    assert not page.locator(".answer img.still").first.is_visible()
    page.emulate_media(media="print")
    stills = page.locator(".stage figure:has(video) img.still")
    assert stills.count() == page.locator(".stage video").count() > 0
    assert all(stills.nth(place).is_visible() for place in range(stills.count()))
    assert not page.locator(".stage video").first.is_visible()
    assert page.evaluate("[...document.querySelectorAll('img.still')].every((one) => one.naturalWidth > 0)")


@pytest.mark.parametrize("width_px", [390, 1024])
@pytest.mark.parametrize("name", ["compare", "signoff"])
def test_nothing_is_wider_than_the_screen(chromium: Any, pages: Path, name: str, width_px: int) -> None:
    context = chromium.new_context(viewport={"width": width_px, "height": 800})
    page = context.new_page()
    for language in ("en", "zh-CN"):
        page.goto((pages / f"{name}.{language}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    context.close()
