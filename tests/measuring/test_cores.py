"""Cores are shared out to workers, each once, and values do not depend on how."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import evalkit
from evalkit.measuring.cores import WORKER_BYTES, share_cores
from evalkit.testing.talking_face import TalkingFace


@pytest.fixture(autouse=True)
def five_cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be bound to five cores, with much memory, where a test does not measure."""
    if "talking_face" not in request.fixturenames:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {9, 1, 3, 4, 6})
        _have(monkeypatch, 100)


def _have(monkeypatch: pytest.MonkeyPatch, n_workers: float) -> None:
    free = SimpleNamespace(available=int(n_workers * WORKER_BYTES))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)


@pytest.mark.parametrize(
    ("jobs", "n_clips", "shares"),
    [
        (None, 20, [[1], [3], [4], [6], [9]]),
        (None, 1, [[1, 3, 4, 6, 9]]),
        (None, 2, [[1, 4, 9], [3, 6]]),
        (3, 20, [[1], [3], [4]]),
        (3, 1, [[1, 3, 4]]),
        (1, 20, [[1]]),
        (64, 20, [[1], [3], [4], [6], [9]]),
    ],
)
def test_every_core_belongs_to_one_worker(jobs: int | None, n_clips: int, shares: list[list[int]]) -> None:
    assert share_cores(jobs, n_clips) == shares


@pytest.mark.parametrize(
    ("fit", "shares"), [(2.5, [[1, 4, 9], [3, 6]]), (0.1, [[1, 3, 4, 6, 9]]), (5, [[1], [3], [4], [6], [9]])]
)
def test_where_memory_is_short_fewer_workers_have_more_cores(
    fit: float, shares: list[list[int]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _have(monkeypatch, fit)
    with caplog.at_level(logging.INFO, "evalkit.measuring.cores"):
        assert share_cores(None, 20) == shares
    assert ("memory is short" in caplog.text) == (len(shares) < 5)
    assert len(share_cores(5, 20)) == 5  # as asked


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_values_do_not_depend_on_cores_and_workers(
    talking_face: TalkingFace, late_talking_face: TalkingFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, made in (("a", talking_face), ("b", late_talking_face)):
        shutil.copy(made.path, tmp_path / f"{name}.mp4")
    plain = []
    for jobs, clips in ((1, "?.mp4"), (2, "?.mp4"), (2, "a.mp4")):
        monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / f"{jobs}{clips[0]}"))
        only = ["lip_sync", "technical", "expression"]
        plain.append(evalkit.evaluate(tmp_path / clips, evaluators=only, jobs=jobs, isolate=True).to_json())
    one_core, two_workers, both_cores = plain
    assert two_workers == one_core
    assert both_cores.strip("[]\n ") in one_core
    assert all(clip.is_dir() for clip in tmp_path.iterdir() if not clip.suffix)
