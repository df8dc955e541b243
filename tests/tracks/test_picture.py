"""The picture track: planted defects, and two other implementations."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from skimage.measure import blur_effect

from evalkit.media import Reader, probe
from evalkit.metrics.technical import (
    STILL_CHANGE,
    black_ratio,
    frame_durations_s,
    freeze_ratio,
    frozen_spans_s,
)
from evalkit.testing.media import moving_pattern, write_clip
from evalkit.testing.talking_face import talking_frames
from evalkit.tracks.picture import PictureTracker
from evalkit.types import FrameChunk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from evalkit.types import Track

ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on this machine")


def follow(frames: Iterable[np.ndarray], fps: float = 25, chunk: int = 10) -> Track:
    tracker = PictureTracker()
    pictures = list(frames)
    for first in range(0, len(pictures), chunk):
        some = pictures[first : first + chunk]
        tracker.update(FrameChunk(first, (first + np.arange(len(some))) / fps, some))
    return tracker.finish()


def follow_file(path: Path) -> Track:
    tracker = PictureTracker()
    for chunk in Reader(probe(str(path))):
        assert isinstance(chunk, FrameChunk)
        tracker.update(chunk)
    return tracker.finish()


def plain(*levels: float, size: tuple[int, int] = (90, 160)) -> list[np.ndarray]:
    return [np.full((*size, 3), level, np.uint8) for level in levels]


def test_brightness_and_blackness_are_those_of_the_pixels() -> None:
    half = np.zeros((90, 160, 3), np.uint8)
    half[:, 80:] = 200
    track = follow([*plain(0, 25, 26, 255), half])
    np.testing.assert_allclose(track["luma_mean"], [0, 25, 26, 255, 100], atol=1e-4)
    np.testing.assert_allclose(track["black_share"], [1, 1, 0, 0, 0.5])


def test_luma_weighs_the_colours_as_bt_601_does() -> None:
    red, green, blue = (np.zeros((8, 8, 3), np.uint8) for _ in range(3))
    red[..., 0], green[..., 1], blue[..., 2] = 255, 255, 255
    expected = [76, 150, 29]  # 0.299, 0.587, 0.114 of 255, rounded
    np.testing.assert_allclose(follow([red, green, blue])["luma_mean"], expected)


def test_an_exact_repeat_differs_by_exactly_nothing() -> None:
    first, second = list(moving_pattern(0.08))
    track = follow([first, first, second])
    assert np.isnan(track["difference"][0])
    assert track["difference"][1] == 0.0
    assert track["difference"][2] > 1.0


def test_difference_is_in_levels() -> None:
    assert follow(plain(100, 107))["difference"][1] == pytest.approx(7.0)


def test_the_cut_into_chunks_changes_nothing() -> None:
    frames = list(moving_pattern(2, frozen=[(0.5, 1.2)], black=[(1.6, 1.8)], width=161, height=97))
    whole = follow(frames, chunk=len(frames))
    for chunk in (1, 7):
        cut = follow(frames, chunk=chunk)
        np.testing.assert_allclose(cut.values, whole.values, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(cut.times_s, whole.times_s)


def test_slow_motion_adds_up_at_any_frame_rate() -> None:
    for fps in (16, 60):
        brighter = plain(*np.arange(100, 220, 20 / fps))  # 20 levels a second, a fraction of one in a frame
        assert freeze_ratio(follow(brighter, fps)["change"], np.arange(len(brighter)) / fps) < 0.05


def test_a_moving_mouth_before_a_still_background_is_no_freeze() -> None:
    opening = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * np.arange(75) / 25)
    track = follow(talking_frames(opening, width=688, height=368))
    assert freeze_ratio(track["change"], track.times_s) == 0.0


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mpg", ".webm"])
def test_a_still_picture_stays_still_through_any_codec(tmp_path: Path, suffix: str) -> None:
    portrait = next(talking_frames(np.zeros(1), width=352, height=288))
    track = follow_file(write_clip(tmp_path / f"still{suffix}", [portrait] * 60))
    assert np.nanmax(track["change"]) <= STILL_CHANGE
    assert freeze_ratio(track["change"], track.times_s) == pytest.approx(1.0)


@pytest.mark.parametrize(("suffix", "settling_s"), [(".mp4", 0.0), (".mpg", 0.4), (".webm", 0.4)])
def test_planted_defects_are_found_where_they_are(tmp_path: Path, suffix: str, settling_s: float) -> None:
    frames = moving_pattern(6, black=[(1.0, 1.4)], frozen=[(3.0, 4.0)], width=320, height=240)
    track = follow_file(write_clip(tmp_path / f"defects{suffix}", frames))
    black_s = track.times_s[track["black_share"] >= 0.98]
    np.testing.assert_allclose([black_s[0], black_s[-1]], [1.0, 1.36], atol=1e-3)
    # frame 74, shown at 2.96 s, is held until 4 s; some codecs go on refining it for a while
    ((start_s, end_s),) = frozen_spans_s(track["change"], track.times_s)
    assert 2.96 - 1e-3 <= start_s <= 2.96 + settling_s + 1e-3
    assert end_s == pytest.approx(4.0, abs=1e-3)


def test_sharpness_agrees_with_scikit_image() -> None:
    for size in ((512, 288), (300, 512)):
        picture = next(moving_pattern(0.04, width=size[0], height=size[1]))
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(float)
        assert follow([picture])["sharpness"][0] == pytest.approx(1 - blur_effect(luma), abs=1e-5)


def test_more_blur_is_less_sharp() -> None:
    portrait = next(talking_frames(np.zeros(1), width=688, height=368))
    blurred = [cv2.GaussianBlur(portrait, (0, 0), sigma) for sigma in (0.5, 1, 2, 4, 8)]
    sharpness = follow([portrait, *blurred])["sharpness"]
    assert (np.diff(sharpness) < 0).all()


def test_a_small_picture_is_less_sharp_than_a_large_one_of_the_same_scene() -> None:
    large = next(talking_frames(np.zeros(1), width=512, height=512))
    small = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    blown_up = cv2.resize(small, (512, 512), interpolation=cv2.INTER_LINEAR)
    seen_large, seen_small, seen_blown_up = (
        follow([picture])["sharpness"][0] for picture in (large, small, blown_up)
    )
    assert seen_small < seen_large - 0.1
    assert seen_blown_up == pytest.approx(
        seen_small, abs=0.01
    )  # more pixels without more detail gain nothing


def test_contrast_is_not_sharpness() -> None:
    portrait = next(talking_frames(np.zeros(1), width=512, height=512))
    pale = (portrait * 0.5 + 60).astype(np.uint8)
    first, second = follow([portrait, pale])["sharpness"]
    assert second == pytest.approx(first, abs=0.02)


def test_an_empty_picture_has_no_sharpness() -> None:
    assert np.isnan(follow(plain(0, 128))["sharpness"]).all()


def test_no_frames_give_an_empty_track() -> None:
    assert len(PictureTracker().finish()) == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (719, 3)])
def test_pictures_of_odd_shapes_are_measured(size: tuple[int, int]) -> None:
    track = follow(plain(10, 200, size=size))
    np.testing.assert_allclose(track["luma_mean"], [10, 200])
    assert track["change"][1] == pytest.approx(190)


def detected(path: Path, kind: str, *options: str) -> list[tuple[float, float]]:
    said = subprocess.run(
        [
            "ffmpeg",
            "-hide_banner",
            "-nostats",
            "-i",
            path,
            "-an",
            "-vf",
            f"{kind}={':'.join(options)}",
            "-f",
            "null",
            "-",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    starts, ends = (re.findall(rf"{kind[:-6]}_{edge}: ?(\S+)", said) for edge in ("start", "end"))
    return [(float(start), float(end)) for start, end in zip(starts, ends, strict=True)]


@ffmpeg
def test_black_time_agrees_with_blackdetect(tmp_path: Path) -> None:
    frames = moving_pattern(5, black=[(0.8, 1.6), (3.2, 3.6)], width=320, height=240)
    path = write_clip(tmp_path / "black.mp4", frames)
    spans = detected(path, "blackdetect", "d=0.1")
    assert len(spans) == 2
    track = follow_file(path)
    ratio = black_ratio(track["black_share"], frame_durations_s(track.times_s))
    assert ratio * 5 == pytest.approx(
        sum(end - start for start, end in spans), abs=0.09
    )  # it ends spans a frame early


@ffmpeg
def test_frozen_time_agrees_with_freezedetect(tmp_path: Path) -> None:
    frames = moving_pattern(8, frozen=[(1.0, 2.0), (4.0, 5.6)], width=320, height=240)
    path = write_clip(tmp_path / "frozen.mp4", frames)
    spans = detected(path, "freezedetect", "n=-45dB", "d=0.5")
    assert len(spans) == 2
    track = follow_file(path)
    np.testing.assert_allclose(frozen_spans_s(track["change"], track.times_s), spans, atol=0.05)
