"""Blind copies in Chromium: they can be played through, and every frame is where it was."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.rating.blind import make_blind_copy, make_broken_copy
from evalkit.testing.media import tone, write_clip

pytestmark = pytest.mark.browser

N_FRAMES, FPS, N_BITS = 40, 20, 6

_READ = """
async ([source, times, n_bits, speed]) => {
  const video = document.createElement("video");
  video.muted = true;
  const until = name => new Promise((done, fail) => {
    video.addEventListener(name, done, {once: true});
    video.addEventListener("error", () => fail(new Error(video.error.message)), {once: true});
  });
  const ready = until("canplaythrough");
  video.src = source;
  await ready;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const look = () => {
    const picture = new VideoFrame(video);  // with its time: what the video shows may be another one a moment later
    const time = picture.timestamp / 1e6;
    pen.drawImage(picture, 0, 0);
    picture.close();
    let number = 0;
    for (let bit = 0; bit < n_bits; bit++) {
      const x = Math.floor((bit + 0.5) * canvas.width / n_bits);
      if (pen.getImageData(x, canvas.height / 2, 1, 1).data[1] > 128) number += 2 ** bit;
    }
    return [time, number];
  };
  const seen = [];
  for (const time of times) {
    const arrived = until("seeked");
    video.currentTime = time;
    await arrived;
    const give_up = performance.now() + 30000;
    while (Math.abs(look()[0] - time) > 0.04 && performance.now() < give_up)
      await new Promise((done) => { setTimeout(done, 10); });  // a picture may come after its seek
    seen.push(look()[1]);
  }
  const played = [];
  const note = () => {
    played.push(look());
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
  video.currentTime = 0;
  video.playbackRate = speed;
  const ended = until("ended");
  await video.play();
  await ended;
  return {seen, played, duration: video.duration, width: video.videoWidth, height: video.videoHeight};
}
"""


def numbered_frames() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Draw frames that show their number: a column for each bit, white or black."""
    return [
        np.tile(
            np.repeat([230 if number >> bit & 1 else 20 for bit in range(N_BITS)], 24)[None, :, None],
            (80, 1, 3),
        ).astype(np.uint8)
        for number in range(N_FRAMES)
    ]


def read_in(chromium: Any, clip: Path, times_s: list[float], speed: float = 4.0) -> dict[str, Any]:
    page = chromium.new_page()
    try:
        page.goto("about:blank")
        source = f"data:video/mp4;base64,{base64.b64encode(clip.read_bytes()).decode('ascii')}"
        found: dict[str, Any] = page.evaluate(_READ, [source, times_s, N_BITS, speed])
    finally:
        page.close()
    return found


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".avi", ".mpg"])
def test_every_frame_of_a_copy_is_shown_when_it_was(suffix: str, chromium: Any, tmp_path: Path) -> None:
    fps = 25 if suffix == ".mpg" else FPS
    sound = tone(N_FRAMES / fps)
    video = write_clip(tmp_path / f"v{suffix}", numbered_frames(), fps=fps, sound=sound)
    clip = make_blind_copy(video, tmp_path / "copy.mp4")

    found = read_in(chromium, tmp_path / "copy.mp4", [(n + 0.5) / fps for n in range(N_FRAMES)])

    assert found["seen"] == list(range(N_FRAMES))
    assert (found["width"], found["height"]) == (clip.width, clip.height)
    assert found["duration"] == pytest.approx(clip.duration_s, abs=0.05)


def test_a_variable_frame_rate_is_shown_as_it_is(chromium: Any, tmp_path: Path) -> None:
    times_s = np.cumsum([0, *np.tile([0.04, 0.08, 0.12], 13)]).tolist()
    video = write_clip(tmp_path / "v.mp4", numbered_frames(), times_s=times_s)
    make_blind_copy(video, tmp_path / "copy.mp4")

    found = read_in(chromium, tmp_path / "copy.mp4", [], speed=0.5)

    # Played, not searched: in MP4 a frame's length is known in the order of decoding alone, and Chromium searches by it.
    assert len({number for _, number in found["played"]}) > N_FRAMES / 4
    assert [times_s[number] for _, number in found["played"]] == pytest.approx(
        [time_s for time_s, _ in found["played"]], abs=0.002
    )


def test_a_broken_copy_can_be_played_through(chromium: Any, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "v.mp4", numbered_frames(), fps=FPS, sound=tone(N_FRAMES / FPS))
    make_broken_copy(video, tmp_path / "broken.mp4", seed=1)

    found = read_in(chromium, tmp_path / "broken.mp4", [0.525, 0.975, 1.525, 1.975])

    # Half a second moves, half a second stands still: at 10 frames, and again at 30.
    assert found["seen"][0] == found["seen"][1]
    assert found["seen"][2] == found["seen"][3] != found["seen"][0]
    assert found["duration"] == pytest.approx(2.0, abs=0.06)


@pytest.mark.media
@pytest.mark.parametrize(
    "name",
    [
        "talking_generated/linly-talker_example_answer4.mp4",
        "talking_real/video-retalking_face_1.mp4",
        "talking_real/lipnet_bbaf2n.mpg",
    ],
)
def test_copies_of_real_clips_can_be_played_through(
    name: str, chromium: Any, media_folder: Path, tmp_path: Path
) -> None:
    clip = make_blind_copy(media_folder / name, tmp_path / "copy.mp4")

    found = read_in(chromium, tmp_path / "copy.mp4", [])

    assert (found["width"], found["height"]) == (clip.width, clip.height)
    assert found["duration"] == pytest.approx(clip.duration_s, abs=0.05)
