"""Damaged copies of files: a result or a reason for every one; no crash, no hang, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.mutation import mutate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONTAINERS = (".mp4", ".mov", ".avi", ".mpg", ".webm")


def measure_damaged(folder: Path, sources: Sequence[Path], n_copies: int, only: str) -> list[dict]:
    """Measure `n_copies` damaged copies of the sources, in turn, with the command line."""
    for seed in range(n_copies):
        source = sources[seed // 6 % len(sources)]  # every kind of damage for every source
        (folder / f"{seed:03d}{source.suffix}").write_bytes(mutate(source.read_bytes(), seed))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from evalkit.cli import main; main()",
            "evaluate",
            folder,
            "--only",
            only,
            "--json",
            folder / "results.json",
        ],
        capture_output=True,
        text=True,
        timeout=60 + 10 * n_copies,
        check=False,
        env=os.environ | {"COLUMNS": "100"},
    )
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert len(results) == n_copies
    return results


def check(results: list[dict]) -> None:
    for result in results:
        code = result.get("error", {}).get("code")
        assert code not in {"crashed", "stalled", "raised"}, result
        assert "evaluator_failed" not in result["absent"].values(), result
        if code is None:
            assert result["metrics"] or result["absent"]
        else:
            assert "\n" not in result["error"]["text"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("whole")
    return [
        write_clip(folder / f"clip{suffix}", moving_pattern(1.2, width=128, height=96), sound=tone(1.2))
        for suffix in CONTAINERS
    ]


def test_damaged_clips_are_measured_or_refused(tmp_path: Path, clips: list[Path]) -> None:
    results = measure_damaged(tmp_path, clips, 30, "technical")
    check(results)
    assert sum(bool(result["metrics"]) for result in results) >= 10  # most damage leaves something to see


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_damaged_clips_are_measured_or_refused(tmp_path: Path, clips: list[Path]) -> None:
    check(measure_damaged(tmp_path, clips, 200, "technical"))


@pytest.mark.slow
@pytest.mark.media
@pytest.mark.timeout(3600)
def test_two_hundred_damaged_real_clips_are_measured_or_refused(tmp_path: Path, media_folder: Path) -> None:
    real = media_folder / "talking_real"
    names = (
        "lipnet_bbaf2n.mpg",
        "evalcrafter_mmaction_test_occluded.avi",
        "talking-face_pc-avs_Audio_Source_00373.mp4",
        "liveportrait_d20.mp4",
        "video-retalking_face_2.mp4",
    )
    check(measure_damaged(tmp_path, [real / name for name in names], 200, "technical,lip_sync"))
