"""Videos side by side show the same moment: measured by what they show, not by a clock of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.reports.run_report import write_report
from evalkit.testing.media import tone, write_clip
from evalkit.testing.runs import write_grid

pytestmark = pytest.mark.browser

LENGTH_S = 32.0
WATCHED_S = 30.0
FPS = (25.0, 24.0, 30.0, 30000 / 1001)
"""Of the videos of the runs below, in the order in which they are shown."""

# At every refresh of the screen: the frame that each video shows, and where it is between this frame and the next by when the
# frame was due. Two videos cannot show the same time more closely than their frames allow; the second figure knows no frames.
WATCH = """() => {
  window.seen = [];
  const latest = new Map();
  const videos = [...document.querySelectorAll('#side-by-side .stage video')];
  for (const video of videos) {
    const onFrame = (_now, { mediaTime, expectedDisplayTime }) => {
      latest.set(video, [mediaTime, expectedDisplayTime]);
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  }
  const sample = (now) => { // comes after the callbacks of the frames of the same refresh
    if (latest.size === videos.length && videos.every((one) => !one.paused && !one.seeking && !one.ended))
      window.seen.push(videos.map((one) => {
        const [shown_s, due_ms] = latest.get(one);
        return [shown_s, shown_s + one.playbackRate * (now - due_ms) / 1000, one.currentTime];
      }));
    requestAnimationFrame(sample);
  };
  requestAnimationFrame(sample);
}"""


BY_FRAMES, BY_CLOCK = 1, 2
"""Places in what is seen: by the frames that are shown and when they were due; by what a video says of itself."""


def counting(fps: float, length_s: float, seed: int) -> Iterator[Any]:
    """Draw the number of the frame as a row of black and white fields."""
    for number in range(round(length_s * fps)):
        frame = np.full((72, 96, 3), 40 + 20 * seed, np.uint8)
        for bit in range(12):
            frame[8:24, 8 * bit : 8 * bit + 8] = 255 if number >> bit & 1 else 0
        yield frame


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of four configurations with videos of 32 s, of other frame rates and lengths each."""
    folder = write_grid(
        tmp_path_factory.mktemp("long") / "run",
        sizes=("384*256",),
        steps=(1, 2, 3, 4),
        portraits=("anna",),
        speech=("greeting",),
        video=write_clip(tmp_path_factory.mktemp("one") / "one.mp4", counting(25, 1, 0)),
    )
    write_report(folder)
    for number, (place, fps) in enumerate(
        zip(sorted((folder / "videos").glob("*/video.mp4")), FPS, strict=True)
    ):
        length_s = LENGTH_S + number
        made = write_clip(
            tmp_path_factory.mktemp("clip") / "clip.mp4",
            counting(fps, length_s, number),
            fps=Fraction(fps).limit_denominator(1001),
            sound=tone(length_s, frequency_hz=300.0 + 50 * number),
        )
        shutil.copy(made, place)  # under the page as it is written: the run itself would call it damage
    return folder


@pytest.fixture
def page(chromium: Any, long_run: Path) -> Iterator[Any]:
    context = chromium.new_context()
    page = context.new_page()
    page.goto((long_run / "report.html").as_uri())
    yield page
    context.close()


def wait_for(page: Any, condition: str, *, n: int = 2400) -> None:
    for _ in range(n):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"it still does not hold: {condition}; {page.evaluate(STATES)}")


VIDEOS = "[...document.querySelectorAll('#side-by-side .stage video')]"
MOST_DROPPED = 0.02
DROPPED = (
    f"Math.max(...{VIDEOS}.map((v) => v.getVideoPlaybackQuality())"
    ".map((q) => q.droppedVideoFrames / Math.max(1, q.totalVideoFrames)))"
)
STATES = f"JSON.stringify({VIDEOS}.map((v) => [v.currentTime, v.readyState, v.paused, v.seeking, v.ended]))"


def add(page: Any, n: int) -> None:
    boxes = page.locator("#trials .pick:not(:checked)")
    for _ in range(n):
        boxes.first.check()


def play(page: Any) -> None:
    page.locator("#side-by-side .controls .play").click()
    wait_for(page, f"{VIDEOS}.every((v) => !v.paused && v.currentTime > 0.05)")


def watch(page: Any, until_s: float) -> Any:
    """Return what was seen until a moment: array (refreshes, videos, 3) of seconds, see `WATCH`."""
    wait_for(page, f"{VIDEOS}.every((v) => v.currentTime >= {until_s} || v.ended)")
    return np.array(page.evaluate("window.seen"))


def share_within_a_frame(seen: Any, of: int) -> float:
    """Return in which share of the refreshes no two videos were further apart than a frame of the slowest."""
    return float(np.mean(np.ptp(seen[:, :, of], axis=1) <= 1 / min(FPS)))


def assert_in_step(page: Any, seen: Any) -> None:
    """Hold what was seen to a frame of the slowest: half of it anyhow, nearly all where the machine shows the frames in time."""
    assert np.median(np.ptp(seen[:, :, BY_CLOCK], axis=1)) <= 0.5 / min(FPS)
    assert np.median(np.ptp(seen[:, :, BY_FRAMES], axis=1)) <= 1 / min(FPS)
    if page.evaluate(DROPPED) <= MOST_DROPPED:
        assert share_within_a_frame(seen, BY_FRAMES) >= 0.9
        assert share_within_a_frame(seen, BY_CLOCK) >= 0.95


@pytest.mark.parametrize("n", [2, 4])
def test_videos_stay_within_a_frame_of_each_other(page: Any, n: int, record_property: Any) -> None:
    add(page, n - 2)
    page.evaluate(WATCH)
    play(page)
    seen = watch(page, WATCHED_S)
    for name, of in (("frames", BY_FRAMES), ("clocks", BY_CLOCK)):
        apart_ms = 1000 * np.ptp(seen[:, :, of], axis=1)
        record_property(f"{name}_apart_ms", np.percentile(apart_ms, [50, 95, 99, 100]).round(1).tolist())
    assert np.ptp(seen[:, 0, 0]) > WATCHED_S - 2
    assert_in_step(page, seen)


def test_a_video_added_while_paused_stands_where_the_others_stand(page: Any) -> None:
    wait_for(page, f"{VIDEOS}.every((v) => v.readyState > 0)")
    for _ in range(5):
        page.locator("#side-by-side .controls .on").click()
    page.locator("#side-by-side .controls input[type=range]").fill("7.04")
    add(page, 2)
    wait_for(page, f"{VIDEOS}.length === 4 && {VIDEOS}.every((v) => !v.seeking && v.readyState >= 2)")
    assert page.evaluate(f"{VIDEOS}.map((v) => v.currentTime)") == pytest.approx([7.04] * 4, abs=1e-3)
    assert page.evaluate(f"{VIDEOS}.every((v) => v.paused)")


def test_a_video_added_while_playing_joins_in_step(page: Any) -> None:
    play(page)
    wait_for(page, f"{VIDEOS}.every((v) => v.currentTime > 2)")
    add(page, 1)
    wait_for(page, f"{VIDEOS}.length === 3 && {VIDEOS}.every((v) => !v.paused && v.currentTime > 2.5)")
    page.evaluate(WATCH)
    seen = watch(page, 8)
    assert seen.shape[1] == 3
    assert seen[0, :, 0].min() > 2
    assert_in_step(page, seen)


def test_a_pause_leaves_all_on_one_moment(page: Any) -> None:
    add(page, 2)
    play(page)
    wait_for(page, f"{VIDEOS}.every((v) => v.currentTime > 1)")
    page.locator("#side-by-side .controls .play").click()
    wait_for(page, f"{VIDEOS}.every((v) => v.paused && !v.seeking)")
    assert np.ptp(page.evaluate(f"{VIDEOS}.map((v) => v.currentTime)")) < 1e-3


def test_shorter_ones_end_and_the_others_go_on(page: Any) -> None:
    page.locator("#side-by-side .controls input[type=range]").fill("31.5")
    play_button = page.locator("#side-by-side .controls .play")
    play_button.click()
    wait_for(page, f"{VIDEOS}.every((v) => v.paused && v.currentTime > v.duration - 0.01)")
    lengths = page.evaluate(f"{VIDEOS}.map((v) => v.currentTime)")
    assert max(lengths) - min(lengths) > 0.5
    wait_for(page, "document.querySelector('#side-by-side .play').getAttribute('aria-pressed') === 'false'")
    play_button.click()
    wait_for(page, f"{VIDEOS}.every((v) => !v.paused && v.currentTime < 20)")


def test_a_step_shows_the_next_frame(chromium: Any, run_folder: Path) -> None:
    """At 25 frames a second: each step shows one more of them, or one less."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto((run_folder / "report.html").as_uri())
    page.evaluate("""() => {
      const video = document.querySelector('#side-by-side .stage video');
      const onFrame = (_now, { mediaTime }) => { window.shown = mediaTime; video.requestVideoFrameCallback(onFrame); };
      video.requestVideoFrameCallback(onFrame);
    }""")
    wait_for(page, f"{VIDEOS}.every((v) => v.readyState > 0)")
    page.locator("#side-by-side .controls input[type=range]").fill("2.0")
    on, back = page.locator("#side-by-side .controls .on"), page.locator("#side-by-side .controls .back")
    for number, button in ((51, on), (52, on), (53, on), (52, back), (51, back), (50, back)):
        button.click()
        wait_for(page, f"Math.round(25 * window.shown) === {number} && !{VIDEOS}[0].seeking")
    context.close()
