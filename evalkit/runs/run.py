"""Reading a run folder, and rebuilding what is derived from it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from evalkit.errors import EvalkitError, UsageError
from evalkit.runs.files import write_atomically
from evalkit.runs.schema import SCHEMA, RunManifest, SkippedTrial, Trial

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter

Facts = TypeVar("Facts", RunManifest, Trial)

RUN_FILE = "run.json"
TRIAL_FILE = "trial.json"
SAMPLES_FILE = "samples.json"
VIDEO_FILE = "video.mp4"
TIMELINE_FILE = "timeline.json"
LOG_FILE = "log.txt"
EVIDENCE_FOLDER = "evidence"
TRIALS_FOLDER = "trials"


class DamagedFileError(EvalkitError):
    """A file of a run folder that cannot be read as what it should be."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A trial whose file cannot be read.

    Parameters
    ----------
    trial_id : str
        Name of its folder.
    text : str
        What is wrong with which file.
    """

    trial_id: str
    text: str


@dataclass(frozen=True)
class Run:
    """A run folder, read.

    Parameters
    ----------
    folder : Path
    facts : RunManifest
        What ``run.json`` says.
    """

    folder: Path
    facts: RunManifest

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a run folder.

        Raises
        ------
        UsageError
            If it is none, was written by a newer evalkit, or its ``run.json`` is damaged.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder")
        path = folder / RUN_FILE
        if not path.is_file():
            raise UsageError(f"{folder} is no run folder: it has no {RUN_FILE} (evalkit sweep makes one)")
        try:
            return cls(folder, read_file(path, RunManifest))
        except DamagedFileError as error:
            raise UsageError(str(error)) from None

    def trials(self) -> list[Trial]:
        """Read the trials of the present grid that are finished, ok or failed, in the order of the plan."""
        return self._read()[0]

    def damage(self) -> list[Damage]:
        """List the trials of the present grid whose files cannot be read."""
        return self._read()[1]

    def unfinished(self) -> list[str]:
        """List the ids of the present grid that have no result yet and were not skipped."""
        return [one for one in self._without_result() if one not in self.facts.skipped]

    def skipped(self) -> dict[str, SkippedTrial]:
        """Return the trials of the present grid that were skipped, by id; none that have a result."""
        return {one: self.facts.skipped[one] for one in self._without_result() if one in self.facts.skipped}

    def former(self) -> list[str]:
        """List the ids that are in the folder but not in the present grid: kept, and in no table."""
        inside = (path.parent.name for path in (self.folder / TRIALS_FOLDER).glob(f"*/{TRIAL_FILE}"))
        return sorted({name for name in inside if not name.startswith(".")} - set(self.facts.planned))

    def folder_of(self, trial_id: str) -> Path:
        """Return the folder of a trial: ``video.mp4``, ``log.txt``, ``evidence/``."""
        return self.folder / TRIALS_FOLDER / trial_id

    def video_of(self, trial_id: str) -> Path | None:
        """Return a trial's video, or None where there is none."""
        path = self.folder_of(trial_id) / VIDEO_FILE
        return path if path.is_file() else None

    def samples_of(self, trial_id: str) -> dict[str, dict[str, Any]]:
        """Read a trial's raw samples: metric, then sample name, then (nested) lists of numbers.

        A sample that is no number is None. Empty where nothing was stored.

        Raises
        ------
        DamagedFileError
            If the file cannot be read.
        """
        path = self.folder_of(trial_id) / SAMPLES_FILE
        if not path.is_file():
            return {}
        samples: dict[str, dict[str, Any]] = read_json(path)["samples"]
        return samples

    def timeline_of(self, trial_id: str) -> dict[str, Any] | None:
        """Read a trial's timeline of memory and GPUs, the plain data of a profile; None where nobody watched.

        Raises
        ------
        DamagedFileError
            If the file cannot be read.
        """
        path = self.folder_of(trial_id) / TIMELINE_FILE
        return dict(read_json(path)["profile"]) if path.is_file() else None

    def frame(self) -> pd.DataFrame:
        """Return one row a finished trial.

        Columns: ``trial``; ``param.NAME`` for each parameter; ``portrait``, ``speech``, ``seed``; ``status``,
        ``failure``, ``failure_text``; a column a metric, missing where absent; ``METRIC.absent`` with the reason
        code, where a metric is absent in any trial.
        """
        import pandas as pd

        trials = self.trials()
        params = list(dict.fromkeys(name for trial in trials for name in trial.params))
        found = dict.fromkeys(name for trial in trials for name in (*trial.metrics, *trial.absent))
        known = [name for name in self.facts.metrics if name in found]
        metrics = list(dict.fromkeys((*known, *found)))
        columns: dict[str, list[Any]] = {"trial": [trial.id for trial in trials]}
        for name in params:
            columns[f"param.{name}"] = [_cell(trial.params.get(name)) for trial in trials]
        columns["portrait"] = [trial.portrait.name if trial.portrait else None for trial in trials]
        columns["speech"] = [trial.speech.name if trial.speech else None for trial in trials]
        columns["seed"] = [trial.seed for trial in trials]
        columns["status"] = [trial.status for trial in trials]
        columns["failure"] = [trial.failure.code if trial.failure else None for trial in trials]
        columns["failure_text"] = [trial.failure.text if trial.failure else None for trial in trials]
        for name in metrics:
            values = [trial.metrics.get(name) for trial in trials]
            columns[name] = [math.nan if value is None else value.value for value in values]
            reasons = [trial.absent.get(name) for trial in trials]
            if any(reasons):
                columns[f"{name}.absent"] = reasons
        return pd.DataFrame(columns)

    def write_tables(self) -> list[Path]:
        """Rebuild ``results.csv`` and ``results.parquet`` and return their paths."""
        table = self.frame()
        csv, parquet = self.folder / "results.csv", self.folder / "results.parquet"
        write_atomically(csv, table.to_csv(index=False))
        write_atomically(parquet, table.to_parquet(None, index=False))
        return [csv, parquet]

    def _without_result(self) -> list[str]:
        return [trial_id for trial_id in self.facts.planned if not self._trial_file(trial_id).exists()]

    def _trial_file(self, trial_id: str) -> Path:
        return self.folder_of(trial_id) / TRIAL_FILE

    def _read(self) -> tuple[list[Trial], list[Damage]]:
        trials, damage = [], []
        for trial_id in self.facts.planned:
            try:
                trial = read_trial(self.folder_of(trial_id))
            except DamagedFileError as error:
                damage.append(Damage(trial_id, str(error)))
                continue
            if trial is not None:
                trials.append(trial)
        return trials, damage


def read_trial(folder: Path) -> Trial | None:
    """Read the trial in a folder; None where it has no result.

    Raises
    ------
    DamagedFileError
        If its file is damaged, or belongs to another trial than the folder's name says.
    """
    path = folder / TRIAL_FILE
    if not path.exists():
        return None
    trial = read_file(path, Trial)
    if trial.id != folder.name:
        raise DamagedFileError(
            f"{path}: it is the result of trial {trial.id!r} and lies in folder {folder.name!r}"
        )
    if (trial.status == "failed") != (trial.failure is not None):
        raise DamagedFileError(f"{path}: status is {trial.status!r} and failure is {trial.failure!r}")
    return trial


def read_file(path: Path, kind: type[Facts]) -> Facts:
    """Read a file of a run folder.

    Raises
    ------
    UsageError
        If a newer evalkit wrote it.
    DamagedFileError
        If it is not what it should be.
    """
    from pydantic import ValidationError

    data = read_json(path)
    try:
        facts: Facts = _adapter(kind).validate_json(
            json.dumps({name: value for name, value in data.items() if name != "schema"}), strict=True
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DamagedFileError(f"{path} is damaged: {where}: {first['msg']}") from None
    return facts


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run folder, whatever its shape, and check its schema; raise as `read_file`."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int) or schema < 1:
        raise DamagedFileError(f"{path} is damaged: it states no schema")
    if schema > SCHEMA:
        raise UsageError(
            f"{path} has schema {schema}, and this evalkit reads up to {SCHEMA}: it was written by a newer one"
        )
    return dict(data)


def write_file(path: Path, facts: RunManifest | Trial) -> None:
    """Write a file of a run folder, atomically."""
    plain = _adapter(type(facts)).dump_python(facts, mode="json")
    write_json(path, plain)


def write_json(path: Path, plain: dict[str, Any], *, indent: int | None = 2) -> None:
    """Write plain data with its schema, atomically."""
    text = json.dumps({"schema": SCHEMA, **plain}, indent=indent, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")


def _adapter(kind: type[RunManifest | Trial]) -> TypeAdapter[Any]:
    return _adapters()[kind]


@cache
def _adapters() -> dict[type[RunManifest | Trial], TypeAdapter[Any]]:
    from pydantic import TypeAdapter

    return {RunManifest: TypeAdapter(RunManifest), Trial: TypeAdapter(Trial)}


def _cell(value: Any) -> Any:
    """Return a value as a table can hold it: lists and mappings as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
