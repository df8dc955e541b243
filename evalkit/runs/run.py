"""A run folder as it is read: the manifest, its trials, and everything beside them."""

from __future__ import annotations

import html
import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from evalkit.errors import UsageError
from evalkit.formatting import encodable
from evalkit.frames import csv_text
from evalkit.runs.attempts import ERROR_RATE, agree, count_attempts
from evalkit.runs.files import write_atomically
from evalkit.runs.identity import FILE_PARAMETERS, plan_hash, video_id, with_contents
from evalkit.runs.layout import (
    EVIDENCE_FOLDER,
    LEGACY_TRIALS_FOLDER,
    RUN_FILE,
    TABLE_FILES,
    TIMELINE_FILE,
    VIDEO_FILE,
    VIDEOS_FOLDER,
)
from evalkit.runs.legacy import list_legacy_trials, manifest_of, read_legacy_samples, read_legacy_trial
from evalkit.runs.looks import read_looks, state_of
from evalkit.runs.machines import kind_of
from evalkit.runs.outcomes import Outcomes, list_outcome_files, read_outcomes
from evalkit.runs.ratings.opinions import Opinions, count_answers
from evalkit.runs.ratings.records import Ratings
from evalkit.runs.ratings.schema import database_of
from evalkit.runs.ratings.store import read_ratings
from evalkit.runs.records import DamagedFileError, read_json, to_record
from evalkit.runs.schema import (
    REFUSED,
    SCHEMA,
    PlanRecord,
    RunManifest,
    Samples,
    SearchRecord,
    SkippedTrial,
    Trial,
)
from evalkit.runs.search import read_search
from evalkit.runs.store import (
    StoredVideo,
    list_evidence,
    list_videos,
    make_trial,
    read_measurements,
    read_samples,
    read_video,
    read_video_records,
)
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from evalkit.runs.schema import VideoRecord
else:
    from evalkit.frames import pd

LEGACY_SCHEMA = 2
"""Up to this one, a trial is one file that cannot grow: the folder can only be read."""
_INDEX_FILE = "index.json"
_ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Damage:
    """A trial of which a file cannot be read.

    Parameters
    ----------
    trial_id : str
        Name of its folder.
    text : str
        What is wrong with which file.
    """

    trial_id: str
    text: str


class Evidence(NamedTuple):
    """A picture, or another file, that shows what was measured on a trial.

    Parameters
    ----------
    evaluator : str or None
        Whose it is; None where it belongs to none, or where that was not recorded.
    path : Path
    caption : str or None
        What it shows, where the evaluator said so.
    """

    evaluator: str | None
    path: Path
    caption: str | None


@dataclass(frozen=True, slots=True)
class _Contents:
    """Everything that was read at one time."""

    trials: list[Trial]
    damage: list[Damage]
    without_result: list[str]
    videos: dict[str, StoredVideo]


@dataclass(frozen=True, repr=False)
class Run:
    """A run folder, read.

    The records are read when they are first asked for, each file once, and kept: a run shows the folder as it was
    then. Open it again to see what was added since.

    Parameters
    ----------
    folder : Path
    manifest : RunManifest
        What ``run.json`` says.
    schema : int
        Of the folder. Up to `LEGACY_SCHEMA` it can only be read.
    """

    folder: Path
    manifest: RunManifest
    schema: int = SCHEMA

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Refuse a folder alone: `open` reads one."""
        if len(args) + len(kwargs) == 1:
            given = next(iter((*args, *kwargs.values())))
            raise UsageError(
                f"a run is opened with evalkit.Run.open({given!r}); Run(…) itself reads no folder"
            )
        return super().__new__(cls)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a run folder.

        Raises
        ------
        UsageError
            If it is not a run folder, was written by a newer evalkit, or its ``run.json`` is damaged.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder")
        path = folder / RUN_FILE
        if not path.is_file():
            raise UsageError(f"{folder} is not a run folder: it has no {RUN_FILE} (evalkit sweep makes one)")
        try:
            return cls(folder, *read_manifest(path))
        except DamagedFileError as error:
            raise UsageError(str(error)) from None

    def __repr__(self) -> str:
        """Say what it is, from the manifest alone."""
        generator = self.manifest.generator.get("name", "an unknown generator")
        return f"Run({str(self.folder)!r}: {len(self.manifest.planned)} planned trials of {generator})"

    def _repr_html_(self) -> str:
        """Show the table in a notebook."""
        table = self.frame().to_html(index=False, max_rows=20, na_rep="")
        return f"<p>{html.escape(repr(self))}</p>\n{table}"

    def load(self) -> Self:
        """Read all records now, and return this run."""
        _ = self._contents, self._earlier, self._search, self._ratings, self._outcomes
        return self

    def trials(self) -> list[Trial]:
        """Return the trials of the present grid that are finished, ok or failed, in the order of the plan."""
        return list(self._contents.trials)

    def damage(self) -> list[Damage]:
        """List the trials of the present grid of which a file cannot be read."""
        return list(self._contents.damage)

    def unfinished(self) -> list[str]:
        """List the ids of the present grid that have no result yet and were not skipped."""
        return [
            trial_id for trial_id in self._contents.without_result if trial_id not in self.manifest.skipped
        ]

    def skipped(self) -> dict[str, SkippedTrial]:
        """Return the trials of the present grid that were skipped, by id; none that have a result."""
        skipped = self.manifest.skipped
        return {
            trial_id: skipped[trial_id] for trial_id in self._contents.without_result if trial_id in skipped
        }

    def search(self) -> SearchRecord | None:
        """Return how configurations fared in a search that made this run; None once its grid was completed, or changed."""
        found = self._search
        if found is None or not self.skipped() or not self.plans or self.plans[-1].hash != found.plan:
            return None
        return found

    def ratings(self) -> Ratings:
        """Return what people said of the videos; empty where nobody was asked, with the damage where it cannot be read."""
        return self._ratings

    def opinions(self) -> Opinions:
        """Return the answers that count, with what they say of each trial; see `evalkit.runs.ratings.opinions`."""
        return self._opinions

    def outcomes(self) -> Outcomes:
        """Return what came of live trials, session by session; empty where none were imported."""
        return self._outcomes

    @property
    def id(self) -> str:
        """What names this run among others: a hash of its configuration and the time of its begin."""
        return hash_of([self.manifest.config_hash, self.manifest.created_at])[:_ID_DIGITS]

    def orphaned(self) -> list[str]:
        """List the ids that are in the folder but not in the present grid.

        They are kept, and in no table; their attempts count for the error rate all the same, see `earlier`.
        """
        listed = list_legacy_trials(self.folder) if self._is_legacy else list_videos(self.folder)
        return sorted(set(listed) - set(self.manifest.planned))

    def look(self) -> int:
        """Return which look at this run it is, from 1: how many sets of results decisions were shown of, see `looks`."""
        return read_looks(self.folder).number(state_of(self))

    def earlier(self) -> list[Trial]:
        """Return the trials of earlier grids, see `orphaned`, whether their video file is still there or not.

        Their attempts count. Only what another generator, or one with other settings, refused to begin is not among
        them: that was no attempt to make anything that this run makes.
        """
        return [trial for trial in self._earlier.trials if not self._was_refused_elsewhere(trial)]

    def forgotten(self) -> dict[str, int]:
        """Return how many failed attempts are missing from the records of a video, by its id.

        The manifest counts them as well: so a trial that failed and was removed from the folder, or whose record was
        edited, shows.
        """
        trials = {trial.id: trial.n_failures for trial in (*self._contents.trials, *self._earlier.trials)}
        lacking = {video_id: n - trials.get(video_id, 0) for video_id, n in self.manifest.failures.items()}
        return {video_id: n for video_id, n in lacking.items() if n > 0}

    def earlier_damage(self) -> list[Damage]:
        """List the trials of earlier grids whose attempts cannot be counted, as a file cannot be read."""
        return list(self._earlier.damage)

    @cached_property
    def _outcomes(self) -> Outcomes:
        return read_outcomes(self.folder)

    @cached_property
    def _ratings(self) -> Ratings:
        return read_ratings(self.folder)

    @cached_property
    def _opinions(self) -> Opinions:
        return count_answers(self._ratings, self._contents.trials, self.id)

    @cached_property
    def _search(self) -> SearchRecord | None:
        return read_search(self.folder)

    @property
    def plans(self) -> tuple[PlanRecord, ...]:
        """Every plan that was worked on, the present one last; empty in a run that is older than their record."""
        return tuple(self.manifest.plans)

    def planned_hash(self) -> str | None:
        """Return the hash of the plan as the manifest has it now; None in a run without a record of plans.

        It is that of the last of `plans`, or else the plan was edited. The policy is that of the plan: whether the file
        of that name says something else by now is not looked at.
        """
        manifest = self.manifest
        if not manifest.plans:
            return None
        evaluators = manifest.config.get("evaluators") or ()
        return plan_hash(manifest.planned, manifest.generator, evaluators, manifest.plans[-1].policy)

    def misnamed(self) -> list[str]:
        """List the trials of the present grid whose id is not that of what they say of themselves.

        An id is made of generator, parameters, inputs and seed. So a record that was copied under another id, or whose
        parameters, inputs or seed were edited, shows. Empty up to schema 2, where more than these made an id; a trial
        that names a file whose content was not recorded is passed over.
        """
        if self._is_legacy:
            return []
        videos = self._contents.videos.values()
        return [video.record.id for video in videos if _is_misnamed(video.record, self.manifest.generator)]

    def folder_of(self, trial_id: str) -> Path:
        """Return the folder of a trial's video: ``video.mp4``, ``log.txt``, ``timeline.json``."""
        return self.folder / (LEGACY_TRIALS_FOLDER if self._is_legacy else VIDEOS_FOLDER) / trial_id

    def video_of(self, trial_id: str) -> Path | None:
        """Return a trial's video, or None where there is none."""
        path = self.folder_of(trial_id) / VIDEO_FILE
        return path if path.is_file() else None

    def files_of(self, trial_id: str) -> frozenset[str]:
        """Return the names of the files beside a trial's video, and of the video; none where there is no folder."""
        try:
            with os.scandir(self.folder_of(trial_id)) as entries:
                return frozenset(entry.name for entry in entries if entry.is_file())
        except FileNotFoundError:
            return frozenset()

    def samples_of(self, trial_id: str, metric: str | None = None) -> Samples:
        """Read a trial's raw samples: metric, then sample name, then (nested) lists of numbers.

        A sample that is not a number is None. Empty where nothing was stored.

        Parameters
        ----------
        trial_id : str
        metric : str, optional
            The one that is asked for: only the file that can hold its samples is read. All are unless given.

        Raises
        ------
        DamagedFileError
            If a file cannot be read.
        """
        if self._is_legacy:
            return read_legacy_samples(self.folder, trial_id)
        video = self._contents.videos.get(trial_id)
        if video is None:
            return {}
        evaluators = self.manifest.evaluators
        info = None if metric is None else self.manifest.metrics.get(metric)
        if info is not None and info.evaluator is not None:
            evaluators = {name: version for name, version in evaluators.items() if name == info.evaluator}
        return read_samples(self.folder, video, evaluators)

    def timeline_of(self, trial_id: str) -> dict[str, Any] | None:
        """Read what was sampled while a trial's video was made, as `evalkit.profiling.profile.Profile.to_dict` gave it.

        None where nothing was sampled.

        Raises
        ------
        DamagedFileError
            If the file cannot be read.
        """
        path = self.folder_of(trial_id) / TIMELINE_FILE
        return dict(read_json(path)["profile"]) if path.is_file() else None

    def evidence_of(self, trial_id: str) -> list[Evidence]:
        """List the pictures that show what was measured on a trial, by evaluator and name.

        Raises
        ------
        DamagedFileError
            If an index of captions cannot be read.
        """
        folders: list[tuple[str | None, Path]] = []
        video = None if self._is_legacy else self._contents.videos.get(trial_id)
        if video is not None:
            folders += list_evidence(self.folder, video.record, self.manifest.evaluators)
        own = self.folder_of(trial_id) / EVIDENCE_FOLDER
        return [
            evidence
            for evaluator, folder in [*folders, *([(None, own)] if own.is_dir() else [])]
            for evidence in list_exhibits(evaluator, folder)
        ]

    def frame(self) -> pd.DataFrame:
        """Return one row per finished trial.

        Columns: ``trial``; ``param.NAME`` for each parameter; ``portrait``, ``speech``, ``seed``; ``status``,
        ``failure``, ``failure_text``; ``attempts`` and ``failed_attempts``, those of earlier calls included; ``machine``,
        its kind, missing where nothing is known of it: times of different kinds are not to be pooled; a column per metric, missing where absent; ``METRIC.absent`` with the reason code, where a metric is absent in any trial.
        ``profile.error_rate`` is that of the trial's configuration: failed of all attempts, those of earlier grids
        included, as every report and verdict has it. Where people were asked, a column for each question (``rating.mos`` …) and
        ``rating.raters``: who scored the trial, in words.
        """
        trials = self.trials()
        params = list(dict.fromkeys(name for trial in trials for name in trial.params))
        found = dict.fromkeys(name for trial in trials for name in (*trial.metrics, *trial.absent))
        known = [name for name in self.manifest.metrics if name in found]
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
        columns["attempts"] = [trial.n_attempts for trial in trials]
        columns["failed_attempts"] = [trial.n_failures for trial in trials]
        columns["machine"] = [kind_of(trial.machine, self.manifest.machines) for trial in trials]
        for name in metrics:
            if name == ERROR_RATE:
                columns[name] = _error_rates(trials, self.earlier(), self.manifest.swept)
                continue
            values = [trial.metrics.get(name) for trial in trials]
            columns[name] = [math.nan if value is None else value.value for value in values]
            reasons = [trial.absent.get(name) for trial in trials]
            if any(reasons):
                columns[f"{name}.absent"] = reasons
        opinions = self.opinions()
        for name in opinions.scores:
            columns[name] = [opinions.score(name, trial.id) for trial in trials]
        if opinions.scores:
            panels = [opinions.panel_of(trial.id) for trial in trials]
            columns["rating.raters"] = [panel.text if panel.n else None for panel in panels]
        return pd.DataFrame(
            {
                encodable(name): [encodable(cell) if isinstance(cell, str) else cell for cell in cells]
                for name, cells in columns.items()
            }
        )

    def is_derived(self, name: str) -> bool:
        """Return whether a file of the folder that is made from its records is there and not older than these.

        Whoever adds to a run writes ``run.json`` before and after, so an older table or report lacks something; so does one
        that is older than the last answer of a rater, or the last outcome of a live trial.
        """
        path, ratings = self.folder / name, database_of(self.folder)
        database = (ratings, ratings.with_name(f"{ratings.name}-wal"))
        sources = (self.folder / RUN_FILE, *database, *list_outcome_files(self.folder))
        changed = max(source.stat().st_mtime_ns for source in sources if source.exists())
        return path.is_file() and path.stat().st_mtime_ns >= changed

    def has_tables(self) -> bool:
        """Return whether ``results.csv`` and ``results.parquet`` show the run as it is."""
        return all(self.is_derived(name) for name in TABLE_FILES)

    def write_tables(self) -> list[Path]:
        """Rebuild ``results.csv`` and ``results.parquet`` and return their paths."""
        table = self.frame()
        csv, parquet = (self.folder / name for name in TABLE_FILES)
        write_atomically(csv, csv_text(table))
        write_atomically(parquet, table.to_parquet(None, index=False))
        return [csv, parquet]

    @property
    def _is_legacy(self) -> bool:
        return self.schema <= LEGACY_SCHEMA

    def _was_refused_elsewhere(self, trial: Trial) -> bool:
        video = self._earlier.videos.get(trial.id)
        if video is None or trial.failure is None or trial.failure.code != REFUSED:
            return False
        return _is_misnamed(video.record, self.manifest.generator)

    @cached_property
    def _contents(self) -> _Contents:
        return self._read_trials(self.manifest.planned, with_file=True)

    @cached_property
    def _earlier(self) -> _Contents:
        return self._read_trials(self.orphaned(), with_file=False)

    def _read_trials(self, ids: list[str], *, with_file: bool) -> _Contents:
        """Read trials; one whose video file is gone is damage where it is to be there."""
        contents = _Contents([], [], [], {})
        for trial_id in ids:
            try:
                trial = self._read_trial(trial_id, contents.videos, with_file=with_file)
            except DamagedFileError as error:
                contents.damage.append(Damage(trial_id, str(error)))
                continue
            if trial is None:
                contents.without_result.append(trial_id)
            else:
                contents.trials.append(trial)
        return contents

    def _read_trial(self, trial_id: str, videos: dict[str, StoredVideo], *, with_file: bool) -> Trial | None:
        if self._is_legacy:
            return read_legacy_trial(self.folder, trial_id)
        video = (read_video if with_file else read_video_records)(self.folder, trial_id)
        if video is None:
            return None
        videos[trial_id] = video
        evaluators = self.manifest.evaluators
        measurements = read_measurements(self.folder, video.record, evaluators)
        return make_trial(video, measurements, evaluators, self.manifest.metrics)


def read_manifest(path: Path) -> tuple[RunManifest, int]:
    """Read ``run.json`` and the schema of its folder; raise as `evalkit.runs.records.find_record`."""
    data = read_json(path)
    schema = data["schema"]
    plain = manifest_of(data) if schema <= LEGACY_SCHEMA else data
    return to_record(path, json.dumps(plain), RunManifest), schema


def _is_misnamed(record: VideoRecord, generator: Mapping[str, Any]) -> bool:
    if record.files is None and any(name in record.params for name in FILE_PARAMETERS):
        return False
    return record.id != video_id(
        generator,
        with_contents(record.params, record.files or {}),
        portrait=record.portrait.content if record.portrait is not None else None,
        speech=record.speech.content if record.speech is not None else None,
        seed=record.seed,
    )


def _error_rates(
    trials: Sequence[Trial], earlier: Sequence[Trial], swept: Sequence[str]
) -> list[float | None]:
    """Return the share of failed attempts of the configuration of each trial."""
    keys = [json.dumps([trial.params.get(name) for name in swept], sort_keys=True) for trial in trials]
    together: dict[str, list[Trial]] = {}
    for key, trial in zip(keys, trials, strict=True):
        together.setdefault(key, []).append(trial)
    rates = {}
    for key, group in together.items():
        before = [trial for trial in earlier if agree(trial.params, group[0].params)]
        rates[key] = count_attempts([*group, *before]).share_failed
    return [rates[key] for key in keys]


def list_exhibits(evaluator: str | None, folder: Path) -> list[Evidence]:
    """List the files of a folder of evidence: those of its index in that order, then others by name.

    Raises
    ------
    DamagedFileError
        If the index of captions cannot be read.
    """
    index = folder / _INDEX_FILE
    captions: dict[str, str] = {}
    if index.is_file():
        try:
            captions = dict(json.loads(index.read_text("utf-8"))["captions"])
        except (OSError, ValueError, KeyError, TypeError):
            raise DamagedFileError(f"{index} cannot be read: it is not an index of captions") from None
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {_INDEX_FILE}
    ordered = [*(name for name in captions if name in names), *sorted(names - captions.keys())]
    return [Evidence(evaluator, folder / name, captions.get(name)) for name in ordered]


def _cell(value: Any) -> Any:
    """Return a value as a table can hold it: lists and mappings as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
