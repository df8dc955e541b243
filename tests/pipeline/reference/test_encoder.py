"""Picture and sound as they come out of the file again."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from pipeline.reference.encoder import SOUND_RATE_HZ, VideoWriter, frame_rate, settle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(25.0, Fraction(25)), (29.97, Fraction(2997, 100)), (30000 / 1001, Fraction(30000, 1001))],
)
def test_frame_rates_become_the_fractions_they_stand_for(fps: float, expected: Fraction) -> None:
    assert frame_rate(fps) == expected


@pytest.mark.parametrize("fps", [16, 24, 60])
def test_a_flash_and_a_click_stay_together(fps: int, tmp_path: Path) -> None:
    """A white frame and a click 0.5 s into the file are 0.5 s into what comes out."""
    n = fps
    sound = np.zeros(SOUND_RATE_HZ, np.float32)
    sound[SOUND_RATE_HZ // 2 :][:480] = 0.8
    pieces = np.array_split(sound, 37)
    with VideoWriter(tmp_path / "draft.mp4", 64, 64, Fraction(fps), pieces) as writer:
        for i in range(n):
            writer.write(np.full((64, 64, 3), 255 if i >= n // 2 else 0, np.uint8))
    settle(tmp_path / "draft.mp4", tmp_path / "x.mp4")
    with av.open(str(tmp_path / "x.mp4")) as container:
        light = [(f.time, f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    with av.open(str(tmp_path / "x.mp4")) as container:
        frames = [(f.time, f.to_ndarray()[0]) for f in container.decode(audio=0)]
    heard = np.concatenate([samples for _, samples in frames])
    times = frames[0][0] + np.arange(len(heard)) / SOUND_RATE_HZ
    flash_s = next(t for t, level in light if level > 128)
    click_s = times[np.abs(heard) > 0.3][0]
    assert len(light) == n
    assert flash_s == pytest.approx(0.5, abs=1e-6)
    assert click_s == pytest.approx(0.5, abs=0.004)


def test_what_is_written_so_far_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "draft.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (60, 64, 64, 3), dtype=np.uint8)
    with VideoWriter(path, 64, 64, Fraction(10), [np.zeros(6 * SOUND_RATE_HZ, np.float32)]) as writer:
        for picture in noise:
            writer.write(picture)
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 10


def test_sound_shorter_than_the_picture_ends_before_it(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "d.mp4", 64, 64, Fraction(10), [np.zeros(4800, np.float32)]) as writer:
        for _ in range(10):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    with av.open(str(tmp_path / "d.mp4")) as container:
        lengths = {s.type: float(s.duration * s.time_base) for s in container.streams}
    assert lengths["video"] == pytest.approx(1.0)
    assert lengths["audio"] < 0.2


def test_a_video_does_not_depend_on_the_cores_of_its_machine(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("there is one processor core")
    noise = np.random.default_rng(0).integers(0, 256, (256, 296, 3), dtype=np.uint8)
    pictures = [np.ascontiguousarray(noise[:, place : place + 256]) for place in range(40)]
    found = []
    for own in (cores[:1], cores):
        os.sched_setaffinity(0, own)
        try:
            with VideoWriter(tmp_path / "video.mp4", 256, 256, Fraction(25), []) as writer:
                for picture in pictures:
                    writer.write(picture)
        finally:
            os.sched_setaffinity(0, cores)
        found.append((tmp_path / "video.mp4").read_bytes())
    assert found[0] == found[1]
