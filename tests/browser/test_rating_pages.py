"""The raters' pages in a real browser: the whole way with the keyboard alone, and nothing but what was watched is rated."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.rating.desk import Desk
from evalkit.rating.study import Design
from evalkit.runs.ratings.records import Origin, StudyKind
from evalkit.testing.media import tone, write_clip
from evalkit.testing.runs import write_grid

pytestmark = pytest.mark.browser
pytest.importorskip("uvicorn", reason="evalkit[rate] is not installed")

FPS = {"acr": 25, "one": 25, "step": 5}
"""In step, a pause in the middle has to be met: four seconds are enough for it on a slow machine too."""
N_FRAMES = 20
DESIGNS = {
    "acr": Design(clips_per_rater=2, n_repeats=0, n_training=1),
    "one": Design(kind=StudyKind.PAIRS, clips_per_rater=1, n_repeats=0, n_training=1),
    "step": Design(kind=StudyKind.PAIRS, clips_per_rater=1, n_repeats=0, n_training=1, in_step=True),
}
DESKTOP = {"viewport": {"width": 1200, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
FOCUSED = "document.readyState === 'complete' && document.activeElement.matches('button')"
"""The page listens: it has run its script, and a key reaches its button."""
READ_FRAMES = """() => [...document.querySelectorAll('video')].map((video) => {
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  let number = 0;
  for (let bit = 0; bit < 5; bit += 1) number += (context.getImageData(16 + 32 * bit, 48, 1, 1).data[0] > 127) << bit;
  return number;
})"""


def numbered_frames() -> Iterator[Any]:
    """Give frames with their number in them: five bars, white for a 1, the lowest bit on the left."""
    for number in range(N_FRAMES):
        frame = np.zeros((96, 160, 3), np.uint8)
        for bit in range(5):
            frame[:, 32 * bit : 32 * bit + 32] = 255 * (number >> bit & 1)
        yield frame


@pytest.fixture(scope="session")
def numbered_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a run of each kind of study, whose clips say which frame is seen."""
    folder = tmp_path_factory.mktemp("numbered")
    made = {}
    for name, design in DESIGNS.items():
        fps = FPS[name]
        sound = tone(N_FRAMES / fps)
        video = write_clip(folder / f"{name}.mp4", numbered_frames(), fps=fps, sound=sound, quality=5)
        run = write_grid(
            folder / name,
            sizes=("384*256",),
            steps=(2, 4),
            portraits=("anna",),
            speech=("welcome",),
            video=video,
        )
        with Desk.open(run) as desk:
            desk.begin_study(design)
        made[name] = run
    return made


@dataclass
class Opened:
    """A rater's browser, and what it complained about."""

    desk: Desk
    rater: str
    page: Any
    errors: list[str] = field(default_factory=list)

    def wait_for(self, condition: str) -> None:
        """Wait until a condition holds; playwright's own waiting evaluates text, which the page forbids."""
        from playwright.sync_api import Error

        for _ in range(1200):
            try:
                if self.page.evaluate(condition):
                    return
            except Error as error:
                if "navigation" not in str(error):
                    raise
            self.page.wait_for_timeout(50)
        state = "['currentTime', 'duration', 'paused', 'ended', 'seeking', 'readyState', 'networkState']"
        seen = self.page.evaluate(
            f"[...document.querySelectorAll('video')].map((video) => {state}.map((name) => [name, video[name]]))"
        )
        pytest.fail(
            f"after a minute it still does not hold: {condition}; videos: {seen}; errors: {self.errors}"
        )

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def wait_for_item(self, position: int) -> None:
        """Wait until a presentation is shown, and its clips are there."""
        self.wait_for(f"document.querySelector('.progress progress')?.value === {position - 1}")
        self.wait_for("[...document.querySelectorAll('video')].every((video) => video.readyState >= 3)")
        self.wait_for(FOCUSED)

    def wait_until_open(self) -> None:
        """Wait until the answers are open."""
        self.wait_for("!document.querySelector('.answers').disabled")

    def is_closed(self) -> bool:
        """Say whether no answer can be given yet."""
        return bool(self.page.evaluate("document.querySelector('.answers').disabled"))

    def answers(self) -> list[Any]:
        """Return what is stored, in the order in which it was asked."""
        return [one["answer"] for one in self.desk.export_rater(self.rater)["presentations"]]


def watch(browser: Any, options: dict[str, Any]) -> tuple[Any, Any, list[str]]:
    context = browser.new_context(**options)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return context, page, errors


@pytest.fixture
def open_study(
    chromium: Any, numbered_runs: dict[str, Path], tmp_path: Path
) -> Iterator[Callable[..., Opened]]:
    """Return what serves a study and opens a rater's link."""
    import uvicorn

    from evalkit.app.serve import listen
    from evalkit.app.server import create_app

    started: list[Any] = []

    def open_one(kind: str, **options: Any) -> Opened:
        desk = Desk.open(shutil.copytree(numbered_runs[kind], tmp_path / kind))
        listening = listen("127.0.0.1", 0)
        app = create_app(desk, admin_token=secrets.token_urlsafe())
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        context, page, errors = watch(chromium, options or DESKTOP)
        started.append((context, server, thread, listening, desk))
        [(rater, token)] = desk.invite(1, 1)
        page.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/r/{token}")
        opened = Opened(desk, rater, page, errors)
        opened.wait_for(FOCUSED)
        return opened

    yield open_one
    for context, server, thread, listening, desk in started:
        context.close()
        server.should_exit = True
        thread.join()
        listening.close()
        desk.close()


def is_within_the_window(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


# --- the whole way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{**DESKTOP, "locale": "en-GB"}, {**PHONE, "locale": "zh-CN", "color_scheme": "dark"}],
    ids=["desktop", "phone"],
)
def test_scores_with_the_keyboard_alone(open_study: Callable[..., Opened], options: dict[str, Any]) -> None:
    opened = open_study("acr", **options)
    language = "zh-CN" if options["locale"] == "zh-CN" else "en"
    assert opened.page.evaluate("document.documentElement.lang") == language
    opened.press("Enter")  # Start has the focus
    for position in range(1, 5):
        opened.wait_for_item(position)
        assert is_within_the_window(opened.page)
        opened.press("Space")  # Play has the focus
        opened.wait_until_open()
        opened.press("4", "3", "5", str(position), "Enter")
    opened.wait_for("document.querySelector('.item') === null")
    assert opened.page.inner_text("h1") == {"en": "Thank you!", "zh-CN": "谢谢您！"}[language]
    assert opened.answers() == [
        {"overall": 4, "lip_sync": 3, "expression": 5, "motion": position} for position in range(1, 5)
    ]
    assert opened.errors == []


def test_pairs_one_after_the_other_with_tab_and_arrows(open_study: Callable[..., Opened]) -> None:
    opened = open_study("one", **PHONE)
    opened.press("Enter")
    given = []
    for position, (steps, name) in enumerate([(0, "first"), (1, "none"), (2, "second")], 1):
        opened.wait_for_item(position)
        opened.press("Space")
        opened.wait_for("document.querySelectorAll('video')[0].ended")
        assert opened.is_closed()
        opened.press("Tab", "Space")  # from Play A to Play B
        opened.wait_until_open()
        opened.press("Tab", "Space", *["ArrowRight"] * steps, "Enter")
        given.append(name)
    opened.wait_for("document.querySelector('.item') === null")
    assert opened.answers() == given
    assert opened.errors == []


def test_pairs_in_step_with_the_keyboard_alone(open_study: Callable[..., Opened]) -> None:
    opened = open_study("step")
    opened.press("Enter")
    for position in range(1, 4):
        opened.wait_for_item(position)
        opened.press("Space")
        opened.wait_until_open()
        opened.press(str(position), "Enter")
    opened.wait_for("document.querySelector('.item') === null")
    assert opened.answers() == ["first", "none", "second"]
    assert opened.errors == []


def test_a_link_in_a_mail_on_another_site_leads_in_and_later_on(open_study: Callable[..., Opened]) -> None:
    """Chromium sends a strict cookie neither with such a link nor after our redirect: the page asks once more as itself."""
    opened = open_study("acr")
    page, home = opened.page, opened.page.url.removesuffix("/rate")
    [(opened.rater, token)] = opened.desk.invite(1, 1)
    mail = f"<a href='{home}/r/{token}'>rate</a>"
    page.context.clear_cookies()
    page.goto("about:blank")
    page.set_content(mail)
    page.locator("a").click()
    opened.wait_for("document.querySelector('h1')?.textContent === 'How good are these videos?'")
    opened.wait_for(FOCUSED)
    opened.press("Enter")
    opened.wait_for_item(1)
    page.goto("about:blank")
    page.set_content(mail)
    page.locator("a").click()
    opened.wait_for_item(1)
    assert page.locator(".players video").count() == 1


@pytest.mark.parametrize("kind", DESIGNS)
def test_no_button_can_be_pressed_before_the_script_has_come(
    open_study: Callable[..., Opened], kind: str
) -> None:
    opened = open_study(kind)
    held: list[Any] = []
    opened.page.route("**/static/*.js", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks the function
    opened.press("Enter")
    opened.wait_for("document.querySelector('.keys') !== null")
    disabled = "[...document.querySelectorAll('.players button')].map((button) => button.disabled)"
    assert set(opened.page.evaluate(disabled)) == {True}
    for _ in range(600):
        if held:
            break
        opened.page.wait_for_timeout(50)
    held[0].continue_()
    opened.wait_for_item(1)
    assert set(opened.page.evaluate(disabled)) == {False}
    opened.press("Space")  # Play has the focus, as if it had been enabled from the beginning
    opened.wait_for("document.querySelector('video').played.length > 0")


# --- what is watched -------------------------------------------------------------------------------------------------


def test_a_clip_that_was_skipped_is_not_rated(open_study: Callable[..., Opened]) -> None:
    opened = open_study("acr")
    opened.press("Enter")
    opened.wait_for_item(1)
    opened.page.evaluate("document.querySelector('video').currentTime = 0.6")
    opened.wait_for("!document.querySelector('video').seeking")
    opened.press("Space")
    opened.wait_for("document.querySelector('video').ended")
    opened.wait_for("document.querySelector('.state').classList.contains('trouble')")
    assert "skipped" in opened.page.inner_text(".state")
    opened.press("4", "4", "4", "4", "Enter")  # Play again has the focus
    opened.wait_until_open()
    assert opened.page.locator("input:checked").count() == 0
    assert opened.answers() == [None] * 4


def test_a_clip_that_cannot_be_played_is_said(open_study: Callable[..., Opened]) -> None:
    opened = open_study("acr")
    for clip in (opened.desk.run_folder / "ratings" / "clips").glob("*.mp4"):
        clip.write_bytes(b"no video")
    opened.press("Enter")
    opened.wait_for("document.querySelector('.state')?.classList.contains('trouble')")
    assert "cannot be played here" in opened.page.inner_text(".state")
    assert opened.is_closed()


def test_a_clip_that_did_not_arrive_is_asked_for_again(open_study: Callable[..., Opened]) -> None:
    opened = open_study("acr")
    opened.page.route("**/clip/*", lambda route: route.abort())
    opened.press("Enter")
    opened.wait_for("document.querySelector('.state')?.classList.contains('trouble')")
    opened.wait_for(FOCUSED)
    opened.page.unroute("**/clip/*")
    opened.press("Space")  # Play has the focus
    opened.wait_until_open()
    opened.press("4", "3", "5", "1", "Enter")
    opened.wait_for_item(2)
    assert len([answer for answer in opened.answers() if answer is not None]) == 1


def test_one_clip_plays_at_a_time(open_study: Callable[..., Opened]) -> None:
    opened = open_study("one")
    opened.press("Enter")
    opened.wait_for_item(1)
    opened.page.evaluate(
        "document.querySelectorAll('video').forEach((video) => { video.playbackRate = 0.0625; })"
    )
    buttons = opened.page.locator("button.play")  # and neither ends by itself before it is looked at
    buttons.nth(0).click()
    opened.wait_for("!document.querySelectorAll('video')[0].paused")
    buttons.nth(1).click()
    opened.wait_for("!document.querySelectorAll('video')[1].paused")
    assert opened.page.evaluate("document.querySelectorAll('video')[0].paused")


def test_in_step_both_show_the_same_frame_and_one_is_heard(open_study: Callable[..., Opened]) -> None:
    opened = open_study("step")
    opened.press("Enter")
    opened.wait_for_item(1)
    muted = "[...document.querySelectorAll('video')].map((video) => video.muted)"
    assert opened.page.evaluate(muted) == [False, True]
    opened.press("s")
    assert opened.page.evaluate(muted) == [True, False]

    def frames() -> list[int]:
        opened.wait_for(
            "[...document.querySelectorAll('video')].every((video) => video.paused && !video.seeking)"
        )
        seen, before = list(opened.page.evaluate(READ_FRAMES)), None
        while seen != before:  # a picture may come after its seek
            opened.page.wait_for_timeout(200)
            seen, before = list(opened.page.evaluate(READ_FRAMES)), seen
        return seen

    opened.press("Space")
    opened.wait_for(f"Math.min(...({READ_FRAMES})()) > 4")  # shown, not only due: a busy browser shows late
    opened.press("Space")
    first, second = frames()
    assert first == second
    assert first > 0
    shown = [frames() for _ in range(3) if opened.press("ArrowLeft") is None]
    assert shown == [[max(0, first - n)] * 2 for n in (1, 2, 3)]
    opened.press(*["ArrowLeft"] * N_FRAMES)
    assert frames() == [0, 0]
    opened.press("ArrowRight", "ArrowRight")
    assert frames() == [2, 2]
    opened.press(*["ArrowRight"] * N_FRAMES)
    assert frames() == [N_FRAMES - 1] * 2
    assert opened.is_closed()  # stepping is no watching
    assert opened.errors == []


# --- for everybody ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DESIGNS)
def test_a_thumb_can_press_everything(open_study: Callable[..., Opened], kind: str) -> None:
    opened = open_study(kind, **PHONE)
    small = """[...document.querySelectorAll('button, .choices label, .languages a, a.button')].filter((one) => {
      const { width, height } = one.getBoundingClientRect(); return width < 44 || height < 44; }).map((one) => one.outerHTML)"""
    assert opened.page.evaluate(small) == []
    opened.press("Enter")
    opened.wait_for_item(1)
    assert opened.page.evaluate(small) == []
    assert is_within_the_window(opened.page)


@pytest.mark.parametrize("kind", DESIGNS)
def test_a_screen_reader_hears_what_everything_is(open_study: Callable[..., Opened], kind: str) -> None:
    opened = open_study(kind)
    opened.press("Enter")
    opened.wait_for_item(1)
    tree = opened.page.locator("main").aria_snapshot()
    groups = {"acr": ["Overall, how good is this video?", "How natural is the face?"]}.get(
        kind, ["Which video is better?"]
    )
    radios = {"acr": ["1 Bad", "5 Excellent"]}.get(kind, ["A is better", "No difference", "B is better"])
    buttons = {"acr": ["Play"], "one": ["Play A", "Play B"], "step": ["Play both", "One frame back"]}[kind]
    for role, names in (("group", groups), ("radio", radios), ("button", buttons), ("heading", ["1 of "])):
        for name in names:
            assert f'{role} "{name}' in tree
    assert "status" in tree
    assert 'progressbar "1 of' in tree


def test_without_javascript_a_rater_reads_why_nothing_opens(open_study: Callable[..., Opened]) -> None:
    opened = open_study("acr", java_script_enabled=False)
    why = opened.page.locator("noscript strong")  # which playwright's search for text leaves out
    assert why.is_visible()
    assert "JavaScript" in why.inner_text()
    opened.page.get_by_role("button", name="Start").click()
    choice = opened.page.get_by_role("radio", name="5 Excellent").first
    choice.wait_for()  # the click does not wait for the page that it leads to
    assert choice.is_disabled()
    assert why.is_visible()


# --- without a server ------------------------------------------------------------------------------------------------


def test_the_offline_page_keeps_answers_over_a_closed_tab_and_saves_them(
    chromium: Any, numbered_runs: dict[str, Path], tmp_path: Path
) -> None:
    from evalkit.app.offline import write_pages
    from evalkit.rating.answers_file import import_answers

    desk = Desk.open(shutil.copytree(numbered_runs["acr"], tmp_path / "run"))
    [written] = write_pages(desk, 1, 1, tmp_path, Origin.PERSON)
    context, page, errors = watch(chromium, {**PHONE, "accept_downloads": True})
    requests: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    opened = Opened(desk, written.rater, page, errors)
    page.goto(written.path.as_uri())
    opened.wait_for(FOCUSED)
    opened.press("Enter")
    for position in (1, 2):
        opened.wait_for_item(position)
        opened.press("Space")
        opened.wait_until_open()
        opened.press("4", "3", "5", str(position), "Enter")
    page.close()
    opened.page = page = context.new_page()
    page.goto(written.path.as_uri())
    page.get_by_text("2 answers are in this browser.").wait_for()
    opened.wait_for(FOCUSED)
    opened.press("Enter")
    for position in (3, 4):
        opened.wait_for_item(position)
        opened.press("Space")
        opened.wait_until_open()
        opened.press("4", "3", "5", str(position), "Enter")
    with page.expect_download() as download:
        opened.press("Enter")  # Save has the focus
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    context.close()
    assert import_answers(desk.run_folder, file).n_new == 4
    assert [one["motion"] for one in opened.answers()] == [1, 2, 3, 4]
    assert all(0 <= one["took_s"] < 60 for one in json.loads(file.read_text())["answers"])
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
