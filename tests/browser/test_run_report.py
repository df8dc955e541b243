"""The report of a run in a real browser: nothing leaves the page, and what it offers works."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser


@dataclass
class Opened:
    """A page, and what it said and asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def opened(chromium: Any, run_folder: Path) -> Iterator[Opened]:
    context = chromium.new_context()
    seen = Opened(context.new_page())
    seen.page.on(
        "console", lambda message: seen.errors.append(message.text) if message.type == "error" else None
    )
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto((run_folder / "report.html").as_uri())
    yield seen
    context.close()


def times_s(page: Any) -> list[float]:
    return list(
        page.evaluate("[...document.querySelectorAll('.stage video')].map((video) => video.currentTime)")
    )


def wait_for(page: Any, condition: str) -> None:
    """Wait until a condition holds; playwright's own waiting evaluates text, which the page forbids."""
    for _ in range(1200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"after a minute it still does not hold: {condition}")


def wait_until_loaded(page: Any) -> None:
    wait_for(page, "[...document.querySelectorAll('.stage video')].every((video) => video.readyState > 0)")


def test_nothing_is_asked_of_the_network_and_nothing_complains(opened: Opened, run_folder: Path) -> None:
    page = opened.page
    wait_until_loaded(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.wait_for_timeout(300)
    inside = run_folder.as_uri() + "/"
    assert [url for url in opened.requests if not url.startswith((inside, "data:"))] == []
    assert any(url.endswith("video.mp4") for url in opened.requests)
    assert opened.errors == []


def test_the_page_forbids_itself_the_network(opened: Opened) -> None:
    outcome = opened.page.evaluate("fetch('https://example.invalid/').then(() => 'sent', () => 'refused')")
    assert outcome == "refused"
    for _ in range(600):  # what the console says may come after the outcome
        if opened.errors:
            break
        opened.page.wait_for_timeout(50)
    assert "Content Security Policy" in " ".join(opened.errors)
    assert [url for url in opened.requests if "example.invalid" in url] == []


def test_a_name_with_a_script_does_nothing(opened: Opened) -> None:
    page = opened.page
    assert page.evaluate("typeof window.hit") == "undefined"
    assert page.locator("#trials td", has_text="<script>window.hit = 1</script>").count() > 0
    assert page.locator("script").count() == 1


def test_a_head_sorts_its_column_both_ways(opened: Opened) -> None:
    page = opened.page
    head = page.locator("#configurations th", has_text="lip_sync.error")
    column = head.evaluate("(head) => head.cellIndex")
    read = f"[...document.querySelectorAll('#configurations tbody tr')].map((row) => Number(row.cells[{column}].dataset.v))"
    head.locator("button").click()
    rising = page.evaluate(read)
    assert len(rising) == 9
    assert rising == sorted(rising)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").press("Enter")
    assert page.evaluate(read) == sorted(rising, reverse=True)


def test_rows_without_a_value_stay_at_the_end(opened: Opened) -> None:
    head = opened.page.locator("#trials table.sortable th", has_text="profile.total_s").first
    for _ in range(2):
        head.locator("button").click()
        last = opened.page.locator("#trials table.sortable tbody tr").last
        assert "out of memory" in last.inner_text()


def test_one_button_plays_all_and_one_has_the_sound(opened: Opened) -> None:
    page = opened.page
    wait_until_loaded(page)
    playing = "[...document.querySelectorAll('.stage video')].map((video) => !video.paused)"
    muted = "[...document.querySelectorAll('.stage video')].map((video) => video.muted)"
    assert page.evaluate(playing) == [False, False]
    page.get_by_role("button", name="Play all").click()
    wait_for(
        page,
        "[...document.querySelectorAll('.stage video')].every((v) => !v.paused && !v.seeking && v.currentTime > 0.3)",
    )
    assert page.evaluate(muted) == [False, True]
    page.locator(".stage figure").nth(1).get_by_label("sound").check()
    assert page.evaluate(muted) == [True, False]
    page.get_by_role("button", name="Pause all").click()
    first, second = times_s(page)
    assert page.evaluate(playing) == [False, False]
    assert first == pytest.approx(second, abs=0.2)


def test_keys_step_by_one_frame_and_play(opened: Opened) -> None:
    page = opened.page
    wait_until_loaded(page)
    page.locator(".stage").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert times_s(page) == pytest.approx([0.12, 0.12], abs=1e-3)  # three frames at 25 a second
    page.keyboard.press("ArrowLeft")
    assert times_s(page) == pytest.approx([0.08, 0.08], abs=1e-3)
    page.keyboard.press(" ")
    wait_for(page, "[...document.querySelectorAll('.stage video')].every((video) => !video.paused)")
    page.keyboard.press(" ")
    wait_for(page, "[...document.querySelectorAll('.stage video')].every((video) => video.paused)")


def test_all_go_to_a_worst_moment(opened: Opened) -> None:
    page = opened.page
    wait_until_loaded(page)
    button = page.locator(".stage figure").first.get_by_role(
        "button", name="lip_sync.error 0.82, 1.5 s to 3.0 s", exact=True
    )
    button.focus()
    page.keyboard.press("Enter")
    assert times_s(page) == pytest.approx([1.5, 1.5], abs=1e-3)


def test_the_bar_shows_where_in_the_video_the_moments_are(opened: Opened) -> None:
    page = opened.page
    wait_until_loaded(page)
    bar = page.locator(".stage figure").first.locator(".bar")
    whole = bar.bounding_box()
    marks = [bar.locator("span").nth(at).bounding_box() for at in range(3)]
    placed = [(mark["x"] - whole["x"]) / whole["width"] * 4.0 for mark in marks]  # the clip lasts 4 s
    assert placed == pytest.approx([0.2, 1.5, 2.0], abs=0.05)
    assert marks[1]["width"] / whole["width"] * 4.0 == pytest.approx(1.5, abs=0.05)
    bar.locator("span").nth(2).click()
    assert times_s(page) == pytest.approx([2.0, 2.0], abs=1e-3)


def test_the_moments_of_details_move_their_own_video(opened: Opened) -> None:
    page = opened.page
    page.locator("#trials table a").nth(2).click()
    details = page.locator("details.trial[open]").first
    details.get_by_role("button", name="technical.flicker").click()
    wait_for(page, "document.querySelector('details.trial[open] video').currentTime === 2")
    assert times_s(page) == pytest.approx([0.0, 0.0], abs=1e-3)


def test_a_chosen_trial_brings_its_moments(opened: Opened) -> None:
    page = opened.page
    page.locator("#trials table .pick:not(:checked)").first.check()
    joined = page.locator(".stage figure").nth(2)
    assert joined.locator(".bar span").count() == 3
    assert joined.locator(".moments button").all_inner_texts()[1] == "lip_sync.error 0.82, 1.5 s to 3.0 s"


def test_chromium_reads_the_text_track(chromium: Any, run_folder: Path) -> None:
    """A browser's own parser gives the cues that were written."""
    text = next((run_folder / "report" / "moments").glob("*.vtt")).read_text("utf-8")
    context = chromium.new_context()
    page = context.new_page()
    page.set_content("<video></video>")
    cues = page.evaluate(
        """async (text) => {
            const track = document.createElement("track");
            track.kind = "metadata";
            track.src = "data:text/vtt," + encodeURIComponent(text);
            document.querySelector("video").append(track);
            track.track.mode = "hidden";
            await new Promise((done, failed) => { track.onload = done; track.onerror = () => failed("refused"); });
            return [...track.track.cues].map((cue) => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent]);
        }""",
        text,
    )
    assert cues == [
        [0.2, 0.9, "lip_sync.error 0.41, 0.2 s to 0.9 s"],
        [1.5, 3.0, "lip_sync.error 0.82, 1.5 s to 3.0 s"],
        [2.0, 2.6, "technical.flicker 3.1 %, 2.0 s to 2.6 s"],
    ]
    context.close()


def test_a_chosen_trial_joins_and_leaves(opened: Opened) -> None:
    page = opened.page
    box = page.locator("#trials table .pick:not(:checked)").first
    trial = box.get_attribute("value")
    box.check()
    joined = page.locator(f".stage figure[data-trial='{trial}']")
    assert joined.count() == 1
    assert page.locator(".stage figure").count() == 3
    joined.get_by_role("button", name="take away").click()
    assert page.locator(".stage figure").count() == 2
    assert not box.is_checked()


def test_a_link_opens_the_details_of_its_trial(opened: Opened) -> None:
    page = opened.page
    page.locator("#trials table a").first.click()
    target = page.locator("details.trial").first
    wait_for(page, "document.querySelector('details.trial').open")
    assert target.locator("table tbody tr").count() > 10


def test_it_reads_without_javascript(chromium: Any, run_folder: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((run_folder / "report.html").as_uri())
    assert "Nothing is recommended" in page.locator(".headline").inner_text()
    assert page.locator("#configurations tbody tr").count() == 9
    assert page.locator(".stage video[controls]").count() == 2
    assert page.locator(".controls").is_hidden()
    listed = page.locator(".stage figure").first.locator(".moments li")
    assert listed.nth(1).inner_text() == "lip_sync.error 0.82, 1.5 s to 3.0 s"
    assert page.locator(".moments button").count() == 0
    assert page.get_by_text("1 of 35 attempted failed").is_visible()
    context.close()


@pytest.mark.parametrize("width_px", [360, 800, 1400])
def test_nothing_is_wider_than_the_screen(chromium: Any, run_folder: Path, width_px: int) -> None:
    context = chromium.new_context(viewport={"width": width_px, "height": 800})
    page = context.new_page()
    page.goto((run_folder / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(chromium: Any, run_folder: Path, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 for text."""
    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto((run_folder / "report.html").as_uri())
    colours = page.evaluate("""() => {
        const style = getComputedStyle(document.documentElement);
        return Object.fromEntries(['ink', 'muted', 'accent', 'pass', 'warn', 'fail', 'paper', 'card']
            .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    }""")
    for ground in ("paper", "card"):
        for text in ("ink", "muted", "accent", "pass", "warn", "fail"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    context.close()


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
