"""Run folders of schema 1 and 2: a trial was one folder with one file, evaluators and all. They can only be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalkit.runs.identity import machine_key
from evalkit.runs.layout import LEGACY_TRIALS_FOLDER
from evalkit.runs.records import DamagedFileError, find_record, read_json
from evalkit.runs.schema import Trial

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.runs.schema import Samples

TRIAL_FILE = "trial.json"
SAMPLES_FILE = "samples.json"


def manifest_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of schema 1 or 2 as one of today; fields it should not have stay, to be refused."""
    manifest = dict(data)
    if isinstance(manifest.get("evaluators"), dict):
        manifest["evaluators"] = {name: str(version) for name, version in manifest["evaluators"].items()}
    if isinstance(machine := manifest.pop("machine", None), dict):
        manifest["machines"] = {machine_key(machine): machine}
    config = manifest.get("config")
    manifest["measuring"] = dict(config.get("measuring") or {}) if isinstance(config, dict) else {}
    manifest["code"] = None
    return manifest


def read_legacy_trial(folder: Path, trial_id: str) -> Trial | None:
    """Read a trial of a run folder; None where it has no result.

    Raises
    ------
    DamagedFileError
        If its file is damaged, or belongs to another trial than the folder's name says.
    """
    path = folder / LEGACY_TRIALS_FOLDER / trial_id / TRIAL_FILE
    trial = find_record(path, Trial)
    if trial is None:
        return None
    if trial.id != trial_id:
        raise DamagedFileError(
            f"{path}: it is the result of trial {trial.id!r} and lies in folder {trial_id!r}"
        )
    if (trial.status == "failed") != (trial.failure is not None):
        raise DamagedFileError(f"{path}: status is {trial.status!r} and failure is {trial.failure!r}")
    return trial


def read_legacy_samples(folder: Path, trial_id: str) -> Samples:
    """Read a trial's raw samples; empty where nothing was stored."""
    path = folder / LEGACY_TRIALS_FOLDER / trial_id / SAMPLES_FILE
    return dict(read_json(path)["samples"]) if path.is_file() else {}


def list_legacy_trials(folder: Path) -> list[str]:
    """List the ids of the trials that have a result."""
    return [path.parent.name for path in (folder / LEGACY_TRIALS_FOLDER).glob(f"*/{TRIAL_FILE}")]
