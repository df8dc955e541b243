"""Where things stand in a run folder, and what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.runs.identity import measurement_identity

if TYPE_CHECKING:
    from pathlib import Path

RUN_FILE = "run.json"
SEARCH_FILE = "search.json"
"""How the configurations fared, where the run was made by a search."""
VIDEOS_FOLDER = "videos"
MEASUREMENTS_FOLDER = "measurements"
TABLE_FILES = ("results.csv", "results.parquet")
RATINGS_FOLDER = "ratings"
DECISIONS_FOLDER = "decisions"
OUTCOMES_FOLDER = "outcomes"
"""What came of live trials, a file for each source."""
LEGACY_TRIALS_FOLDER = "trials"
"""Of schema 1 and 2."""

VIDEO_FILE = "video.mp4"
GENERATION_FILE = "generation.json"
PROFILE_FILE = "profile.json"
TIMELINE_FILE = "timeline.json"
LOG_FILE = "log.txt"
EVIDENCE_FOLDER = "evidence"
"""Pictures of a video that belong to no evaluator: the timeline of its costs."""


def measurement_name(evaluator: str, content: str, version: str) -> str:
    """Return what the files of a measurement are called, less their endings."""
    return f"{evaluator}@{measurement_identity(content, evaluator, version)}"


def record_file(measurements: Path, name: str) -> Path:
    """Return the file of a measurement in the folder of a video's measurements."""
    return measurements / f"{name}.json"


def samples_file(measurements: Path, name: str) -> Path:
    """Return the file of a measurement's raw samples."""
    return measurements / f"{name}.samples.json"


def evidence_folder(measurements: Path, name: str) -> Path:
    """Return the folder of a measurement's pictures."""
    return measurements / f"{name}.evidence"
