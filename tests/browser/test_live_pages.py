"""The live pages in Chromium: filter, compare, watch, write; nothing asks elsewhere, and nothing that people write is run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.runs.notes import add_note, set_tags
from evalkit.testing.live_server import LiveServer
from evalkit.testing.runs import write_grid

SCRIPT = "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'>"
PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Iterator[LiveServer]:
    """Return a server of two runs, with notes and a name that are scripts."""
    home = tmp_path_factory.mktemp("live")
    write_grid(home / "runs" / "older", sizes=("384*256",), steps=(2, 4), video=clip)
    shutil.copytree(home / "runs" / "older", home / "runs" / "<b onclick=x>newer")
    add_note(home / "runs" / "older", SCRIPT, SCRIPT[:70])
    set_tags(home / "runs" / "older", ["<i>tag"])
    with LiveServer(home / "runs", home / "cache") as server:
        yield server


@pytest.fixture
def page(server: LiveServer, chromium: Any) -> Iterator[Any]:
    """Return a page that was opened by the link, and whose requests and complaints are kept."""
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(server.link)
    yield page
    assert [url for url in page.asked if not url.startswith((server.address, "data:"))] == []
    assert page.complaints == []
    assert page.evaluate("window.hit") is None
    context.close()


def test_the_list_is_filtered_while_one_types(page: Any) -> None:
    page.locator("ul.runs > li").nth(1).wait_for()
    page.fill("#f-text", "newer")
    assert page.locator("ul.runs > li:visible").count() == 1
    assert "1 of 2" in page.inner_text("#count")
    page.fill("#f-text", "")
    assert page.locator("ul.runs > li:visible").count() == 2


def test_two_runs_are_chosen_and_compared(page: Any) -> None:
    boxes = page.locator("input[name=run]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Compare the two").click()
    page.locator(".answer .headline").wait_for()
    assert "/compare?a=" in page.url


def test_a_video_of_a_run_plays_and_seeks(page: Any) -> None:
    page.get_by_role("link", name="older", exact=True).click()
    page.locator("video").first.wait_for(state="attached")
    page.locator(".answer .headline").wait_for()
    seeks = """async (video) => {
      video.muted = true;
      video.preload = "auto";
      video.load();
      await new Promise((done) => { video.onloadedmetadata = done; if (video.readyState > 0) done(); });
      await new Promise((done) => { video.onseeked = done; video.currentTime = video.duration - 0.5; });
      return [video.currentTime, video.duration, video.error];
    }"""
    now, duration, error = page.locator("video").first.evaluate(seeks)
    assert error is None
    assert now == pytest.approx(duration - 0.5, abs=0.1)


def test_notes_and_tags_are_written_and_shown(page: Any, server: LiveServer) -> None:
    page.goto(f"{server.address}/notes/older/")
    assert SCRIPT in page.inner_text(".notes")
    page.fill("#tags", "release, <u>one")
    page.get_by_role("button", name="Save tags").click()
    page.fill("#text", "looked at the worst clips\nfine")
    page.fill("#author", "Jo")
    page.get_by_role("button", name="Add the note").click()
    page.get_by_text("looked at the worst clips").wait_for()
    page.goto(f"{server.address}/runs/?tag=release")
    page.locator("ul.runs > li").wait_for()
    assert page.locator("ul.runs .tag").all_inner_texts() == ["release", "<u>one"]


@pytest.mark.parametrize("path", ["/runs/", "/trend", "/compare", "/notes/older/", "/runs/gone/"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_for_everybody(server: LiveServer, chromium: Any, path: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = chromium.new_context(
        color_scheme=scheme, bypass_csp=True, viewport={"width": 390, "height": 844}
    )
    page = context.new_page()
    page.goto(server.link)
    page.goto(f"{server.address}{path}")
    page.locator("h1").wait_for()
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_without_a_script_runs_can_be_filtered(server: LiveServer, chromium: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.link)
    page.fill("#f-text", "newer")
    page.get_by_role("button", name="Filter").click()
    page.locator("ul.runs > li").wait_for()
    assert page.locator("ul.runs > li").count() == 1
    context.close()
