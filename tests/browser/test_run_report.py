"""The report of a run in a real browser: nothing leaves the page, and what it offers works."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evalkit.reports.run_report import write_report
from evalkit.testing.runs import write_grid
from evalkit.visuals.page import PageFrame

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
        page.evaluate(
            "[...document.querySelectorAll('#side-by-side .stage video')].map((video) => video.currentTime)"
        )
    )


def wait_for(page: Any, condition: str) -> None:
    """Wait until a condition holds; playwright's own waiting evaluates text, which the page forbids."""
    for _ in range(1200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"after a minute it still does not hold: {condition}")


def wait_until_loaded(page: Any) -> None:
    wait_for(
        page,
        "[...document.querySelectorAll('#side-by-side .stage video')].every((video) => video.readyState > 0)",
    )


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
    assert page.locator("script").count() == 2  # light and dark; the page's own


def test_a_head_sorts_its_column_both_ways(opened: Opened) -> None:
    page = opened.page
    head = page.locator("#configurations th", has=page.locator("[title='lip_sync.error']"))
    column = head.evaluate("(head) => head.cellIndex")
    read = f"[...document.querySelectorAll('#configurations tbody tr')].map((row) => Number(row.cells[{column}].dataset.v))"
    head.locator("button").click()
    rising = page.evaluate(read)
    assert len(rising) == 9
    assert rising == sorted(rising)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").press("Enter")
    assert page.evaluate(read) == sorted(rising, reverse=True)


GRADED = """
name: graded
title: Every way in which a metric can be better
min_coverage: 0.5
quality: lip_sync.error
primary: [lip_sync.error]
costs: [profile.total_s]
rules:
  - {metric: lip_sync.error, at_most: 0.9, judged_by: value, why: lower}
  - {metric: lip_sync.offset_ms, at_least: -125, at_most: 45, judged_by: value, why: zero}
  - {metric: technical.sharpness, at_least: 0.01, judged_by: value, why: higher}
  - {metric: motion.amount_deg_s, at_least: 2.0, at_most: 9.0, judged_by: value, why: band}
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run without videos whose table has a column for every way in which a metric can be better."""
    folder = tmp_path_factory.mktemp("graded")
    (folder / "policy.yaml").write_text(GRADED, "utf-8")
    run = write_grid(folder / "run", sizes=("384*256",), policy=str(folder / "policy.yaml"))
    write_report(run)
    return run


@pytest.mark.parametrize(
    ("metric", "badness"),
    [
        ("lip_sync.error", "(value) => value"),
        ("lip_sync.offset_ms", "Math.abs"),
        ("technical.sharpness", "(value) => -value"),
        ("motion.amount_deg_s", "(value) => Math.max(2 - value, value - 9, 0)"),
    ],
)
def test_the_first_click_puts_the_best_first_whichever_way_is_better(
    chromium: Any, graded: Path, metric: str, badness: str
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto((graded / "report.html").as_uri())
    head = page.locator("#trials table.sortable th", has=page.locator(f"[title='{metric}']"))
    column = head.evaluate("(head) => head.cellIndex")
    read = (
        "[...document.querySelectorAll('#trials table.sortable tbody tr')].map((row) => row.cells"
        f"[{column}].dataset.v).filter((value) => value !== undefined).map(Number).map({badness})"
    )
    head.locator("button").click()
    shown = page.evaluate(read)
    assert len(shown) == 12
    assert len(set(shown)) > 1
    assert shown == sorted(shown)
    head.locator("button").click()
    assert page.evaluate(read) == sorted(shown, reverse=True)
    context.close()


def test_rows_without_a_value_stay_at_the_end(opened: Opened) -> None:
    head = opened.page.locator(
        "#trials table.sortable th", has=opened.page.locator("[title='profile.total_s']")
    )
    for _ in range(2):
        head.locator("button").click()
        last = opened.page.locator("#trials table.sortable tbody tr").last
        assert "out of memory" in last.inner_text()


def test_one_button_plays_all_and_one_has_the_sound(opened: Opened) -> None:
    page = opened.page
    wait_until_loaded(page)
    playing = "[...document.querySelectorAll('#side-by-side .stage video')].map((video) => !video.paused)"
    muted = "[...document.querySelectorAll('#side-by-side .stage video')].map((video) => video.muted)"
    assert page.evaluate(playing) == [False, False]
    page.get_by_role("button", name="Play all").click()
    wait_for(
        page,
        "[...document.querySelectorAll('#side-by-side .stage video')].every((v) => !v.paused && !v.seeking && v.currentTime > 0.3)",
    )
    assert page.evaluate(muted) == [False, True]
    page.locator("#side-by-side .stage figure").nth(1).get_by_label("sound").check()
    assert page.evaluate(muted) == [True, False]
    page.get_by_role("button", name="Pause all").click()
    first, second = times_s(page)
    assert page.evaluate(playing) == [False, False]
    assert first == pytest.approx(second, abs=0.2)


def test_keys_step_by_one_frame_and_play(opened: Opened) -> None:
    page = opened.page
    wait_until_loaded(page)
    page.locator("#side-by-side .stage").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert times_s(page) == pytest.approx([0.12, 0.12], abs=1e-3)  # three frames at 25 a second
    page.keyboard.press("ArrowLeft")
    assert times_s(page) == pytest.approx([0.08, 0.08], abs=1e-3)
    page.keyboard.press(" ")
    wait_for(
        page, "[...document.querySelectorAll('#side-by-side .stage video')].every((video) => !video.paused)"
    )
    page.keyboard.press(" ")
    wait_for(
        page, "[...document.querySelectorAll('#side-by-side .stage video')].every((video) => video.paused)"
    )


def test_all_go_to_a_worst_moment(opened: Opened) -> None:
    page = opened.page
    wait_until_loaded(page)
    button = page.locator("#side-by-side .stage figure").first.get_by_role(
        "button", name="Lips fit the words: other words fit better in 82 %, from 1.5 s to 3.0 s", exact=True
    )
    button.focus()
    page.keyboard.press("Enter")
    assert times_s(page) == pytest.approx([1.5, 1.5], abs=1e-3)


def test_the_bar_shows_where_in_the_video_the_moments_are(opened: Opened) -> None:
    page = opened.page
    wait_until_loaded(page)
    bar = page.locator("#side-by-side .stage figure").first.locator(".bar")
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
    details.get_by_role("button", name="The brightness flickers").click()
    wait_for(page, "document.querySelector('details.trial[open] video').currentTime === 2")
    assert times_s(page) == pytest.approx([0.0, 0.0], abs=1e-3)


def test_a_chosen_trial_brings_its_moments(opened: Opened) -> None:
    page = opened.page
    page.locator("#trials table .pick:not(:checked)").first.check()
    joined = page.locator("#side-by-side .stage figure").nth(2)
    assert joined.locator(".bar span").count() == 3
    assert (
        joined.locator(".moments button").all_inner_texts()[1]
        == "Lips fit the words: other words fit better in 82 %, from 1.5 s to 3.0 s"
    )


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
    joined = page.locator(f"#side-by-side .stage figure[data-trial='{trial}']")
    assert joined.count() == 1
    assert page.locator("#side-by-side .stage figure").count() == 3
    joined.get_by_role("button", name="take away").click()
    assert page.locator("#side-by-side .stage figure").count() == 2
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
    assert page.locator("#side-by-side .stage video[controls]").count() == 2
    assert page.locator(".controls").all() != []
    assert not any(one.is_visible() for one in page.locator(".controls, button").all())
    listed = page.locator("#side-by-side .stage figure").first.locator(".moments li")
    assert (
        listed.nth(1).inner_text()
        == "Lips fit the words: other words fit better in 82 %, from 1.5 s to 3.0 s"
    )
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
        const probe = document.body.appendChild(document.createElement('i'));
        const colour = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
        return Object.fromEntries(['ink', 'muted', 'accent', 'pass', 'warn', 'fail', 'paper', 'card'].map((name) => [name, colour(name)]));
    }""")
    for ground in ("paper", "card"):
        for text in ("ink", "muted", "accent", "pass", "warn", "fail"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    context.close()


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(channel) / 255 for channel in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("width_px", "height_px"), [(1440, 900), (390, 844)])
def test_the_sentence_and_the_clip_are_on_the_first_screen(
    chromium: Any, run_folder: Path, width_px: int, height_px: int
) -> None:
    context = chromium.new_context(viewport={"width": width_px, "height": height_px})
    page = context.new_page()
    page.goto((run_folder / "report.html").as_uri())
    for shown in (page.locator(".answer .headline"), page.locator(".answer video").first):
        box = shown.bounding_box()
        assert box is not None
        assert box["height"] > 20
        assert box["y"] + box["height"] <= height_px
    video = page.locator(".answer video").first
    assert video.evaluate("(video) => [video.autoplay, video.muted && !video.paused]") == [False, False]
    page.locator(".answer .play").click()
    wait_for(page, "document.querySelector('.answer video').currentTime > 0.2")
    context.close()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_no_dotted_name_stands_on_the_first_screen(
    chromium: Any, run_folder: Path, tmp_path: Path, language: str
) -> None:
    folder = Path(shutil.copytree(run_folder, tmp_path / "run"))
    write_report(folder, frame=PageFrame(language))
    context = chromium.new_context()
    page = context.new_page()
    page.goto((folder / "report.html").as_uri())
    told = page.locator(".answer").inner_text()
    assert re.findall(r"\b(?:lip_sync|profile|run|brand|motion|rating|technical)\.\w+", told) == []
    assert not re.search(r"[→↓↑~]\d|\bn = |\[-?\d", told)
    names = page.locator(".gates .metric").all_inner_texts()
    assert len(names) >= 10
    gate = page.locator(".gates details").first
    gate.locator("summary").click()
    assert gate.locator("dl").is_visible()
    assert page.locator("html").get_attribute("lang") == language
    if language == "zh-CN":
        assert all(re.search(r"[\u4e00-\u9fff]", name) for name in names)
    context.close()


def test_on_a_phone_rows_are_cards_that_name_their_cells(chromium: Any, run_folder: Path) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto((run_folder / "report.html").as_uri())
    row = page.locator("#configurations tbody tr").first
    cell = row.locator("td[data-v]").last
    head = page.locator("#configurations thead").locator("th, td").last
    assert cell.get_attribute("data-label") == head.inner_text().strip()
    for box in (one.bounding_box() for one in row.locator("td").all()):
        assert box is None or box["x"] + box["width"] <= 390
    scrolled = page.evaluate(
        "[...document.querySelectorAll('.wide')].filter((one) => one.querySelector('.cards') && one.scrollWidth > one.clientWidth + 1).length"
    )
    assert scrolled == 0
    choice = page.locator("#configurations .sort-by select")
    choice.select_option(label=head.inner_text().strip())
    values = page.evaluate(
        "[...document.querySelectorAll('#configurations tbody tr')].map((row) => [...row.cells].at(-1).dataset.v).filter(Boolean).map(Number)"
    )
    assert values == sorted(values)
    context.close()
