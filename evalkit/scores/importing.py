"""A file of scores, from its bytes to measurements of a run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.delimited import decode, read_bytes, read_table
from evalkit.errors import UsageError
from evalkit.formatting import count, label
from evalkit.runs import MeasurementRecord, MetricInfo, MetricResults, MetricValue, Run, RunWriter
from evalkit.runs.clip_names import ClipNames
from evalkit.runs.identity import measurement_identity
from evalkit.runs.outcomes import outcome_file
from evalkit.runs.records import DamagedFileError, find_record
from evalkit.runs.schema import OutcomeRecord, OutcomeSession
from evalkit.runs.store import read_measurement
from evalkit.runs.writer import refuse_legacy
from evalkit.scores.definitions import Definitions, is_source
from evalkit.scores.tables import read_scores
from evalkit.scores.tools import (
    FASTVIDEO,
    SYNCNET,
    VBENCH,
    is_fastvideo,
    is_syncnet,
    is_vbench,
    read_fastvideo,
    read_syncnet,
    read_vbench,
)
from evalkit.types import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evalkit.runs import Trial
    from evalkit.scores.given import Given, GivenScore

CSV = "csv"
FORMATS = (CSV, VBENCH, FASTVIDEO, SYNCNET)
UNVERSIONED = "imported"
"""Version of a tool that nobody told."""
N_SHOWN = 20
"""Problems, as far as they are named one by one."""
_TAKEN = {"profile": "what videos cost", "rating": "what people say (evalkit rate import)"}
_PARTS = ("portrait", "speech", "seed")


@dataclass(frozen=True, slots=True)
class ImportedScores:
    """What became of a file of scores.

    Parameters
    ----------
    format : str
        Of `FORMATS`.
    source, version : str
        The tool.
    metrics : tuple of str
        Full names.
    n_scores : int
        Values that it holds.
    n_clips : int
        Videos with any; 0 for outcomes.
    n_without : int
        Videos of the run with none: their metrics are absent as ``not_scored``.
    n_sessions : int
        Sessions of a live trial; 0 for scores of videos.
    notes : tuple of str
        One line for people each.
    """

    format: str
    source: str
    version: str
    metrics: tuple[str, ...]
    n_scores: int
    n_clips: int
    n_without: int
    n_sessions: int
    notes: tuple[str, ...]


def import_scores(
    run_folder: Path,
    file: Path,
    *,
    definitions: Definitions | None = None,
    format: str = "auto",  # noqa: A002 - the flag's name
    clips: Sequence[str] | None = None,
    replace_all: bool = False,
    dry_run: bool = False,
) -> ImportedScores:
    """Store the scores of a file as metrics of a run.

    Metrics that the file has take the place of those of the same names; others of the same tool and version stay. A line with
    a session is an outcome of a live trial, and belongs to a configuration.

    Parameters
    ----------
    run_folder : Path
    file : Path
        It is read alone: nothing that it names is opened.
    definitions : Definitions, optional
        What its numbers mean, as far as the file's format does not say.
    format : str
        Of `FORMATS`, or ``auto``: found by the content.
    clips : sequence of str, optional
        Names of the videos in the order of the lines, for SyncNet's.
    replace_all : bool
        Forget other metrics of the same tool.
    dry_run : bool
        Read and check alone.

    Raises
    ------
    UsageError
        If the file cannot be read as scores of this run: with its name, and each place that is wrong. Nothing is stored then.
    """
    said = definitions or Definitions()
    run = Run.open(run_folder)
    refuse_legacy(run.folder)
    content = read_bytes(file, "is it a file of scores?")
    try:
        found, given = _parse(content, format, said, run, clips)
        source = _source_of(given)
        version = _version_of(given, said)
    except UsageError as error:
        raise UsageError(f"{label(str(file))}: {error}") from None
    import_ = _Import(run, label(file.name), hashlib.sha256(content).hexdigest(), source, version, given)
    is_outcome = any(score.session is not None for score in given.scores)
    by_key = import_.sessions() if is_outcome else import_.by_trial(ClipNames(run.trials(), {}, said.clips))
    import_.kept(is_outcome=is_outcome, replace_all=replace_all)
    if given.problems:
        raise UsageError(_refusal(file, given.problems))
    if all(score.value is None for score in given.scores):
        raise UsageError(f"{label(str(file))}: holds no score" + "".join(f"\n{note}" for note in given.notes))
    if not dry_run:
        with RunWriter(run.folder) as writer:
            import_.run = Run.open(run.folder)  # somebody may have measured or imported since it was read
            kept = import_.kept(is_outcome=is_outcome, replace_all=replace_all)
            if given.problems:
                raise UsageError(_refusal(file, given.problems))
            if is_outcome:
                import_.store_outcomes(writer, by_key, kept)
            else:
                import_.store_scores(writer, by_key, kept)
    with_value = [score for score in given.scores if score.value is not None]
    n_clips = (
        0
        if is_outcome
        else sum(any(s.value is not None for s in scores.values()) for scores in by_key.values())
    )
    return ImportedScores(
        format=found,
        source=source,
        version=version,
        metrics=tuple(given.metrics),
        n_scores=len(with_value),
        n_clips=n_clips,
        n_without=0 if is_outcome else len(import_.videos) - n_clips,
        n_sessions=len(by_key) if is_outcome else 0,
        notes=tuple(given.notes),
    )


@dataclass
class _Import:
    """One call of `import_scores`: what the file says, put to the run.

    Parameters
    ----------
    run : Run
    file, sha256 : str
        Name and content of the file.
    source, version : str
    given : Given
    params : dict of str to dict
        Of the configuration of each session, see `sessions`.
    """

    run: Run
    file: str
    sha256: str
    source: str
    version: str
    given: Given
    params: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def infos(self) -> dict[str, MetricInfo]:
        """What the run says of the metrics."""
        return {
            name: MetricInfo(metric.unit, metric.better, metric.meaning, self.source, metric.bounds)
            for name, metric in self.given.metrics.items()
        }

    @property
    def videos(self) -> list[Trial]:
        """The trials that there is a video of."""
        return [trial for trial in self.run.trials() if trial.status == "ok" and trial.content is not None]

    def by_trial(self, names: ClipNames) -> dict[str, dict[str, GivenScore]]:
        """Return the scores by trial and metric; what fits none, or is there twice, becomes a problem."""
        found: dict[str, dict[str, GivenScore]] = {}
        for score in self.given.scores:
            try:
                trial = names.find(score.clip).trial
            except ValueError as error:
                self.given.problems.append(f"{score.place}: {error}")
                continue
            self._take(found.setdefault(trial, {}), score, f"trial {trial}")
        return found

    def sessions(self) -> dict[str, dict[str, GivenScore]]:
        """Return the outcomes by configuration and session, and by metric; problems as of `by_trial`."""
        found: dict[str, dict[str, GivenScore]] = {}
        for score in self.given.scores:
            try:
                params = self._configuration(score.clip)
            except ValueError as error:
                self.given.problems.append(f"{score.place}: {error}")
                continue
            key = json.dumps([score.session, params], sort_keys=True)
            self.params[key] = params
            self._take(found.setdefault(key, {}), score, f"session {label(score.session or '')}")
        return found

    def _take(self, own: dict[str, GivenScore], score: GivenScore, what: str) -> None:
        if score.metric in own:
            first = own[score.metric].place
            self.given.problems.append(f"{score.place}: {score.metric} of {what} is there twice: see {first}")
        own.setdefault(score.metric, score)

    def _configuration(self, wanted: object) -> dict[str, Any]:
        """Return the parameters of the configuration that a line describes.

        Raises
        ------
        ValueError
            If no trial has them, or those of several configurations do.
        """
        described = {name: str(text).strip() for name, text in dict(wanted).items()}  # type: ignore[call-overload]
        swept = self.run.manifest.swept
        found: list[dict[str, Any]] = []
        for trial in self.run.trials():
            own = {name: trial.params.get(name) for name in swept}
            if own not in found and all(
                _alike(trial.params.get(name), text) for name, text in described.items()
            ):
                found.append(own)
        told = ", ".join(f"{label(name)} {label(text)}" for name, text in described.items()) or "no parameter"
        if not found:
            raise ValueError(f"the run has no configuration with {told}")
        if len(found) > 1:
            raise ValueError(
                f"the run has {len(found)} configurations with {told}: name what tells them apart, in columns ({', '.join(swept)})"
            )
        return found[0]

    def kept(self, *, is_outcome: bool, replace_all: bool) -> dict[str, MetricInfo]:
        """Return other metrics of the same tool that stay; what the run has and these cannot stand beside becomes a problem."""
        if not is_outcome and outcome_file(self.run.folder, self.source).exists():
            self.given.problems.append(
                f"{self.source} has outcomes of sessions in this run; scores of videos need another family"
            )
        if is_outcome and self.source in self.run.manifest.evaluators:
            self.given.problems.append(
                f"{self.source} has scores of videos in this run; outcomes need another family"
            )
        return {} if replace_all else self._others(is_outcome=is_outcome)

    def _others(self, *, is_outcome: bool) -> dict[str, MetricInfo]:
        """Return other metrics of the same tool that the run has; of another version they are a problem."""
        if is_outcome:
            record = self._stored_outcomes()
            present = {} if record is None else record.metrics
            before = None if record is None else record.version
        else:
            manifest = self.run.manifest
            present = {name: info for name, info in manifest.metrics.items() if info.evaluator == self.source}
            before = manifest.evaluators.get(self.source)
        rest = {name: info for name, info in present.items() if name not in self.infos}
        if rest and before != self.version:
            self.given.problems.append(
                f"the run has {', '.join(rest)} of {self.source} {before}, and these scores are of {self.version}: two "
                f"versions stand in no table. Import all of the new ones together, or --replace the old ones"
            )
        return rest

    def store_scores(
        self,
        writer: RunWriter,
        by_trial: Mapping[str, Mapping[str, GivenScore]],
        kept: Mapping[str, MetricInfo],
    ) -> None:
        """Write a measurement of every video, then let manifest and tables show it."""
        manifest = self.run.manifest
        writer.write_manifest(manifest)  # makes the tables older than it, should this be killed
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for trial in self.videos:
            content = str(trial.content)
            scores = by_trial.get(trial.id, {})
            results = MetricResults(
                versions={self.source: self.version, f"{self.source} scores": self._told_of_file}
            )
            old = self._stored(trial.id, content)
            for name in kept:
                if old is not None and name in old.metrics:
                    results.metrics[name] = old.metrics[name]
                else:
                    results.absent[name] = str(Reason.NOT_SCORED)
            for name, info in self.infos.items():
                score = scores.get(name)
                if score is None or score.value is None:
                    results.absent[name] = str(Reason.NOT_SCORED)
                else:
                    results.metrics[name] = MetricValue(score.value, info.unit, score.n)
            record = MeasurementRecord(
                video_id=trial.id,
                content=content,
                evaluator=self.source,
                version=self.version,
                identity=measurement_identity(content, self.source, self.version),
                results=results,
                error=None,
                measured_at=now,
                measure_s=None,
                machine="",
            )
            writer.put_measurement(record, {})
        others = {name: info for name, info in manifest.metrics.items() if info.evaluator != self.source}
        costs = {name: info for name, info in others.items() if info.evaluator is None}
        quality = {name: info for name, info in others.items() if info.evaluator is not None}
        manifest = replace(
            manifest,
            evaluators={**manifest.evaluators, self.source: self.version},
            metrics={**quality, **kept, **self.infos, **costs},
            versions={
                **manifest.versions,
                self.source: self.version,
                f"{self.source} scores": self._told_of_file,
            },
        )
        writer.write_manifest(manifest)
        Run(self.run.folder, manifest).write_tables()

    def store_outcomes(
        self,
        writer: RunWriter,
        by_key: Mapping[str, Mapping[str, GivenScore]],
        kept: Mapping[str, MetricInfo],
    ) -> None:
        """Write the outcomes, in place of those of the same metrics."""
        values: dict[str, dict[str, float]] = {}
        params = dict(self.params)
        old = self._stored_outcomes() if kept else None
        for session in [] if old is None else old.sessions:
            key = json.dumps([session.session, session.params], sort_keys=True)
            params[key] = session.params
            values[key] = {name: value for name, value in session.values.items() if name in kept}
        for key, scores in by_key.items():
            own = values.setdefault(key, {})
            own |= {name: score.value for name, score in scores.items() if score.value is not None}
        record = OutcomeRecord(
            source=self.source,
            version=self.version,
            metrics={**kept, **self.infos},
            sessions=[OutcomeSession(json.loads(key)[0], params[key], own) for key, own in values.items()],
            imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            file=self.file,
            sha256=self.sha256,
        )
        writer.put_outcomes(record)

    @property
    def _told_of_file(self) -> str:
        return f"{self.file}, sha256 {self.sha256[:12]}"

    def _stored(self, trial_id: str, content: str) -> MetricResults | None:
        version = self.run.manifest.evaluators.get(self.source)
        if version is None:
            return None
        try:
            record = read_measurement(self.run.folder, trial_id, content, self.source, version)
        except DamagedFileError:
            return None
        return None if record is None else record.results

    def _stored_outcomes(self) -> OutcomeRecord | None:
        try:
            return find_record(outcome_file(self.run.folder, self.source), OutcomeRecord)
        except DamagedFileError:
            return None


def _parse(
    content: bytes, format_: str, said: Definitions, run: Run, clips: Sequence[str] | None
) -> tuple[str, Given]:
    """Return the format of a file, and what it says."""
    text = decode(content)
    if format_ in {VBENCH, FASTVIDEO} or (format_ == "auto" and text.lstrip()[:1] in {"[", "{"}):
        data = _json(text)
        if format_ in {VBENCH, "auto"} and is_vbench(data):
            return VBENCH, read_vbench(data, said.metrics)
        if format_ in {FASTVIDEO, "auto"} and is_fastvideo(data):
            return FASTVIDEO, read_fastvideo(data, said.metrics)
        raise UsageError(
            "is JSON, and neither VBench's …_eval_results.json (dimension to average and videos) nor a list of videos with "
            "their scores from `fastvideo eval run`"
        )
    if format_ == SYNCNET or (format_ == "auto" and is_syncnet(text)):
        return SYNCNET, read_syncnet(text, clips)
    params = list(dict.fromkeys(name for trial in run.trials() for name in trial.params))
    return CSV, read_scores(read_table(text), said, params, _PARTS)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"line {error.lineno} is not valid JSON: {error.msg}") from None
    except ValueError as error:  # a number of thousands of digits
        raise UsageError(f"is no JSON that can be read: {error}") from None
    except RecursionError:
        raise UsageError("is nested too deeply to be scores") from None


def _source_of(given: Given) -> str:
    """Return the tool that the metrics are of."""
    families = list(dict.fromkeys(metric.family for metric in given.metrics.values()))
    if len(families) > 1:
        raise UsageError(f"has metrics of {' and '.join(families)}: import each tool's on their own")
    if not families:
        if given.problems:
            raise UsageError("\n".join(given.problems[:N_SHOWN]))
        raise UsageError("holds no score that can be read" + "".join(f"; {note}" for note in given.notes))
    (source,) = families
    if source in _TAKEN:
        raise UsageError(
            f"{source} is the family of {_TAKEN[source]}; name the metric by the tool that scored"
        )
    if source in registry.names(registry.EVALUATORS):
        raise UsageError(
            f"{source} is an evaluator that is installed here; name the metric by the tool that scored, as in other_tool.quantity"
        )
    if not is_source(source):
        raise UsageError(f"{source!r} is no name of a tool")
    return source


def _version_of(given: Given, said: Definitions) -> str:
    versions = given.versions | ({said.version} if said.version is not None else set())
    if len(versions) > 1:
        raise UsageError(
            f"has scores of the versions {' and '.join(sorted(versions))}: results of different versions stand in no table; "
            f"import those of one"
        )
    if versions:
        return label(versions.pop())
    given.notes.append(
        "no version of the tool is known (--tool-version): scores count as of one and the same"
    )
    return UNVERSIONED


def _alike(value: object, text: str) -> bool:
    """Say whether a parameter's value is what a cell says; a number is the same however it is written."""
    plain = "" if value is None else str(value)
    if plain.casefold() == text.casefold():
        return True
    try:
        return float(plain) == float(text)
    except ValueError:
        return False


def _refusal(file: Path, problems: list[str]) -> str:
    lines = [f"{label(str(file))}: {problem}" for problem in dict.fromkeys(problems)]
    more = [f"… and {len(lines) - N_SHOWN} more"] if len(lines) > N_SHOWN else []
    end = f"nothing was imported: {count(len(lines), 'place')} cannot be used"
    return "\n".join([*lines[:N_SHOWN], *more, end])
