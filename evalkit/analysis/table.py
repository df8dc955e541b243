"""What decisions are made of: one row an attempted clip, from a run folder or from measured videos."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.analysis.catalogue import OF_A_CONFIGURATION, known_metrics
from evalkit.analysis.configurations import Configuration, describe
from evalkit.analysis.machines import count_kinds, set_apart
from evalkit.analysis.opinions import metrics_of_opinions, with_opinions
from evalkit.analysis.outcomes import NO_SESSIONS, Sessions, sessions_of
from evalkit.analysis.preferences import Preferences
from evalkit.analysis.spending import list_makings, share_loads
from evalkit.errors import UsageError
from evalkit.formatting import count, label
from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs.attempts import agree
from evalkit.runs.looks import read_looks, state_of
from evalkit.runs.machines import kind_of
from evalkit.runs.ratings.opinions import Opinions
from evalkit.types import Metric, Moment
from pipeline.options import canonical_json, hash_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from evalkit.analysis.spending import Making
    from evalkit.measuring.results import ClipResult
    from evalkit.runs import Run, SearchRecord, Trial
    from evalkit.runs.looks import Looks
    from evalkit.runs.ratings.opinions import Rater
    from evalkit.runs.schema import Searched

_ID_DIGITS = 12


@dataclass(frozen=True)
class ClipRecord:
    """One attempted clip.

    Parameters
    ----------
    name : str
        For people: the trial's inputs, or the file's name.
    portrait, speech : str or None
        What identifies their contents; None where unknown or not given.
    seed : int or None
        None where none was given.
    params : mapping
        Parameters of the configuration; values are hashable.
    values : mapping of str to float
        Measured metrics by full name.
    absent : mapping of str to str
        Reason code of each metric that could not be measured.
    failure : str or None
        Why there is no clip to measure.
    trial : Trial or None
        What a row of a run was read from.
    content : str or None
        SHA-256 of the video, where known: rows of the same content are copies.
    coverages : mapping of str to float
        Share of the clip behind each value, where it was recorded.
    units : mapping of str to str
        Stored unit of each value, where there is one.
    kind : str or None
        Kind of the machine that made it, see `evalkit.runs.machines.machine_kind`; None where that is not known.
    is_elsewhere : bool
        Whether that is another kind than the run's main one: it has no value then that depends on the machine.
    makings : tuple of Making
        Every attempt to make it, with what it took.
    video_s : float or None
        Length of the video, as its generator reports it; None where there is none, or it was not reported.
    scores : mapping of str to mapping of Rater to float
        What raters gave it, by metric: the value is their mean.
    choices : mapping of str to mapping of Rater to float
        Who preferred it to another clip, by the other's trial: 1, or 0; a half for no difference.
    video : Path or None
        The file to look at, where there is one.
    moments : mapping of str to tuple of Moment
        The worst moments of each value, where they were recorded.
    """

    name: str
    portrait: str | None = None
    speech: str | None = None
    seed: int | None = None
    params: Mapping[str, Hashable] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None
    trial: Trial | None = field(default=None, repr=False, compare=False)
    content: str | None = None
    coverages: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None
    is_elsewhere: bool = False
    makings: tuple[Making, ...] = ()
    video_s: float | None = None
    scores: Mapping[str, Mapping[Rater, float]] = field(default_factory=dict)
    choices: Mapping[str, Mapping[Rater, float]] = field(default_factory=dict)
    video: Path | None = field(default=None, repr=False, compare=False)
    moments: Mapping[str, tuple[Moment, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_attempts(self) -> int:
        """Attempts to make it, those of earlier calls included; 1 for a video that was given."""
        return 1 if self.trial is None else self.trial.n_attempts

    @property
    def n_failures(self) -> int:
        """Those of `n_attempts` that failed."""
        return int(self.failure is not None) if self.trial is None else self.trial.n_failures

    @property
    def input(self) -> Hashable:
        """What both sides of a pair share beside the seed."""
        if self.portrait is None and self.speech is None:
            return self.name
        return self.portrait, self.speech

    def value(self, metric: str) -> float | None:
        """Return the value of a clip that there is; the error rate is the share of its own attempts that failed."""
        if metric == ERROR_RATE.name:
            return self.n_failures / self.n_attempts
        return None if self.failure is not None else self.values.get(metric)

    def why_absent(self, metric: str) -> str:
        """Say why a metric has no value here."""
        return self.failure or self.absent.get(metric, "not in the run")


@dataclass(frozen=True)
class ResultTable:
    """The rows of a run, or of a part of it.

    Parameters
    ----------
    title : str
        For people.
    rows : tuple of ClipRecord
        Every attempted clip, failed ones included.
    metrics : mapping of str to Metric
        By full name, in order.
    evaluators : mapping of str to str
        Name to version: values of different versions are not comparable.
    missing : tuple of str
        Planned clips without a readable result, one line each.
    provenance : mapping
        Which run it is of and when it began, hashes of its results, of the answers of raters that count, of
        configuration, inputs, weights and environment. JSON-able.
    planned_sweep : tuple of str
        Parameters with more than one value in the plan: they name a configuration also where a single value has a result.
    given : tuple of str
        Factors (portrait, speech, seed) whose levels are all that matter; a policy says so.
    look : int
        Which look at the run's data this is, from 1.
    n_candidates : int
        Configurations of the run among which one may be picked; a part of the table keeps the number.
    notes : tuple of str
        Sentences: what a reader should know of where the rows come from.
    copies : tuple of ClipRecord
        Clips of the run that are the same video as one of `rows` with the same parameters: each video counts once.
    plan_faults : tuple of str
        What shows that the run is not the one that was planned.
    earlier : tuple of ClipRecord
        Trials of earlier grids, which are in no plan any more: their attempts count for the error rate, and for nothing
        else.
    kinds : mapping of str to int
        Kinds of machine with their number of clips in the run, the main one first: times are of that one alone. A part of
        the table keeps them.
    search : SearchRecord or None
        How the configurations fared in the search that chose which trials were made; None where all of them are.
    opinions : Opinions
        What raters said of the whole run; a part of the table keeps it.
    preferences : Preferences or None
        How the configurations of the whole run fare in blind pairs; a part of the table keeps them.
    sessions : Sessions
        What came of live trials of these configurations.
    """

    title: str
    rows: tuple[ClipRecord, ...]
    metrics: Mapping[str, Metric]
    evaluators: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    planned_sweep: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    look: int = 1
    n_candidates: int = 1
    notes: tuple[str, ...] = ()
    copies: tuple[ClipRecord, ...] = ()
    plan_faults: tuple[str, ...] = ()
    earlier: tuple[ClipRecord, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    search: SearchRecord | None = None
    opinions: Opinions = field(default_factory=Opinions)
    preferences: Preferences | None = None
    sessions: Sessions = NO_SESSIONS

    def __repr__(self) -> str:
        return f"<ResultTable {self.title}: {len(self.rows)} clips, {len(self.metrics)} metrics>"

    @property
    def run_id(self) -> str:
        """Which run it is of, as a waiver names it; the title where nothing tells."""
        return str(self.provenance.get("run") or self.title)

    @cached_property
    def swept(self) -> dict[str, list[Hashable]]:
        """The parameters that take more than one value, with their values in order of appearance."""
        names = dict.fromkeys(name for row in self.rows for name in row.params)
        levels = {name: list(dict.fromkeys(row.params.get(name) for row in self.rows)) for name in names}
        return {name: values for name, values in levels.items() if len(values) > 1}

    def read_levels(self, wanted: Mapping[str, Hashable]) -> dict[str, Hashable]:
        """Return wanted parameters for `where`: a text stands for the value of the table that is written so."""
        known = {
            name: {str(row.params[name]): row.params[name] for row in self.rows if name in row.params}
            for name in wanted
        }
        return {
            name: known[name].get(value, value) if isinstance(value, str) else value
            for name, value in wanted.items()
        }

    def where(self, wanted: Mapping[str, Hashable]) -> ResultTable:
        """Return the rows with these parameters.

        Raises
        ------
        UsageError
            If a parameter or its value does not occur; the message names those that do.
        """
        if not wanted:
            return self
        rows = self.rows
        for name, value in wanted.items():
            known = list(dict.fromkeys(row.params[name] for row in self.rows if name in row.params))
            if not known:
                names = ", ".join(dict.fromkeys(name for row in self.rows for name in row.params)) or "none"
                raise UsageError(f"{self.title} has no parameter {name!r} (there are: {names})")
            if value not in known:
                raise UsageError(
                    f"{self.title} has no clip with {name}={value!r} (there are: {', '.join(map(str, known))})"
                )
            rows = tuple(row for row in rows if row.params.get(name) == value)
        if not rows:
            raise UsageError(f"{self.title} has no clip with {describe(wanted)} together")
        earlier = tuple(row for row in self.earlier if agree(row.params, wanted))
        title = f"{self.title}, {describe(wanted)}"
        return replace(self, title=title, rows=rows, earlier=earlier, sessions=self.sessions.where(wanted))

    @property
    def main_kind(self) -> str | None:
        """The kind of machine that times are of; None where none is known."""
        return next(iter(self.kinds), None)

    @cached_property
    def configurations(self) -> list[Configuration]:
        """Every combination of swept parameters that occurs, in order of appearance."""
        known = {name for row in self.rows for name in row.params}
        swept = list(dict.fromkeys((*self.swept, *(name for name in self.planned_sweep if name in known))))
        grouped: dict[tuple[Hashable, ...], list[ClipRecord]] = {}
        for row in self.rows:
            grouped.setdefault(tuple(row.params.get(name) for name in swept), []).append(row)
        return [
            Configuration(
                dict(zip(swept, setting, strict=True)),
                tuple(rows),
                self.metrics,
                self.given,
                tuple(row for row in self.earlier if agree(row.params, rows[0].params)),
                self.main_kind,
                self.preferences,
                self.sessions.where(dict(zip(swept, setting, strict=True))),
            )
            for setting, rows in grouped.items()
        ]

    def searched(self, configuration: Configuration) -> Searched | None:
        """Return how a configuration fared in the search; None where there was none, and for several together."""
        found = [dict(row.params) for row in configuration.rows]
        if self.search is None or any(params != found[0] for params in found):
            return None
        for one in self.search.configurations:
            if {name: _hashable(value) for name, value in one.params.items()} == found[0]:
                return one
        return None

    def pooled(self, params: Mapping[str, Hashable] | None = None) -> Configuration:
        """Return the configurations with these values of swept parameters as one; all of them without any.

        Where a single configuration has them, it is that one.
        """
        wanted = dict(params or {})
        found = [
            configuration
            for configuration in self.configurations
            if all(configuration.params[name] == value for name, value in wanted.items())
        ]
        if len(found) == 1:
            return found[0]
        key = tuple(wanted.items())
        if key not in self._pooled:
            rows = tuple(row for configuration in found for row in configuration.rows)
            own = {id(row) for configuration in found for row in configuration.earlier}
            earlier = tuple(row for row in self.earlier if id(row) in own)
            self._pooled[key] = Configuration(
                wanted,
                rows,
                self.metrics,
                self.given,
                earlier,
                self.main_kind,
                self.preferences,
                self.sessions.where(wanted),
            )
        return self._pooled[key]

    @cached_property
    def _pooled(self) -> dict[tuple[tuple[str, Hashable], ...], Configuration]:
        return {}


def level_text(value: Hashable) -> str:
    """Write the value of a parameter."""
    return "not set" if value is None else str(value)


def metrics_of_run(run: Run) -> dict[str, Metric]:
    """Return the metrics that a run folder describes, whether their evaluators are installed or not."""
    known = known_metrics()
    outcomes = {
        name: Metric(name, info.unit, info.better, info.meaning, info.bounds)
        for record in run.outcomes().records
        for name, info in record.metrics.items()
    }
    return outcomes | {
        name: Metric(
            name, info.unit, info.better, info.meaning, known[name].bounds if name in known else info.bounds
        )
        for name, info in run.manifest.metrics.items()
    }


def rows_of_run(run: Run, title: str | None = None) -> ResultTable:
    """Return the finished trials of a run folder as rows, ok and failed."""
    trials = run.trials()
    missing = [f"trial {trial_id} has no result yet" for trial_id in run.unfinished()]
    search = run.search()
    if search is None:  # what a search leaves out says something of its own configuration alone
        missing += [
            f"trial {trial_id} was skipped: {skipped.reason}" for trial_id, skipped in run.skipped().items()
        ]
    missing += [damage.text for damage in run.damage()]
    missing += run.outcomes().damage
    looks = read_looks(run.folder)
    missing += [
        f"{damage.text} (of an earlier grid: its attempts cannot be counted)"
        for damage in run.earlier_damage()
    ]
    missing += [
        f"trial {trial_id}: run.json counts {count(n, 'failed attempt')} more than its record"
        for trial_id, n in run.forgotten().items()
    ]
    machines, prices = run.manifest.machines, _prices_of(run)
    found = [
        replace(
            _row_of_trial(trial),
            kind=kind_of(trial.machine, machines),
            video=run.video_of(trial.id),
            makings=list_makings(trial, machines, prices),
        )
        for trial in trials
    ]
    opinions = run.opinions()
    found = with_opinions(found, opinions)
    sessions = sessions_of(
        run.outcomes(),
        lambda name, params: ClipRecord(
            name, params={key: _hashable(value) for key, value in params.items()}
        ),
    )
    of_sessions = dict.fromkeys(sessions.metrics, OF_A_CONFIGURATION.code)
    found = [replace(row, absent={**row.absent, **of_sessions}) for row in found] if of_sessions else found
    found, kinds = share_loads(found), count_kinds(found)
    rows, copies = _split_copies(set_apart(found, next(iter(kinds), None)))
    inputs = {part.name: part.content for trial in trials for part in (trial.portrait, trial.speech) if part}
    provenance = {
        "run": run.id,
        "created_at": run.manifest.created_at,
        "results": hash_of(sorted((trial.id, trial.status) for trial in trials)),
        "ratings": opinions.sha256,
        "config": run.manifest.config_hash,
        "inputs": inputs,
        "weights": run.manifest.weights,
        "environment": {"versions": run.manifest.versions, "machines": run.manifest.machines},
    }
    return ResultTable(
        label(title or str(run.folder)),
        rows,
        metrics_of_run(run) | metrics_of_opinions(opinions),
        {**run.manifest.evaluators, **sessions.versions},
        tuple(missing),
        provenance,
        tuple(run.manifest.swept),
        look=looks.number(state_of(run)),
        n_candidates=max(1, len({canonical_json(trial.params) for trial in trials})),
        notes=(*_describe_damage(looks), *opinions.notes),
        copies=copies,
        plan_faults=tuple(_find_plan_faults(run)),
        earlier=tuple(map(_row_of_trial, run.earlier())),
        kinds=kinds,
        search=search,
        opinions=opinions,
        preferences=Preferences.of(rows),
        sessions=sessions,
    )


def _split_copies(
    rows: Iterable[ClipRecord],
) -> tuple[tuple[ClipRecord, ...], tuple[ClipRecord, ...]]:
    """Return rows without those that are the same video as one before them with the same parameters, and these."""
    kept: list[ClipRecord] = []
    copies: list[ClipRecord] = []
    seen = set()
    for row in rows:
        key = row.content, canonical_json(dict(row.params))
        (copies if row.content is not None and key in seen else kept).append(row)
        seen.add(key)
    return tuple(kept), tuple(copies)


def _find_plan_faults(run: Run) -> Iterator[str]:
    if run.plans and run.planned_hash() != run.plans[-1].hash:
        yield "the plan in run.json is not the one that was fixed before the first video: it was changed since"
    for trial_id in run.misnamed():
        yield (
            f"trial {trial_id} is not what its id stands for: it was copied, or its parameters, inputs or seed changed"
        )


def _prices_of(run: Run) -> dict[str, float]:
    execution = run.manifest.config.get("execution")
    return dict(execution.get("price_per_hour") or {}) if isinstance(execution, dict) else {}


def _row_of_trial(trial: Trial) -> ClipRecord:
    portrait, speech = trial.portrait, trial.speech
    parts = [part.name for part in (portrait, speech) if part is not None]
    return ClipRecord(
        name=" × ".join(parts) or trial.id,
        portrait=portrait.content if portrait else None,
        speech=speech.content if speech else None,
        seed=trial.seed,
        params={name: _hashable(value) for name, value in trial.params.items()},
        values={name: value.value for name, value in trial.metrics.items()},
        absent=trial.absent,
        failure=f"{trial.failure.stage} failed: {trial.failure.code}" if trial.failure else None,
        trial=trial,
        content=trial.content,
        coverages={
            name: value.coverage for name, value in trial.metrics.items() if value.coverage is not None
        },
        units={name: value.unit for name, value in trial.metrics.items()},
        video_s=(trial.generation or {}).get("duration_s"),
        moments={
            name: tuple(Moment(one.start_s, one.end_s, one.value) for one in value.moments)
            for name, value in trial.metrics.items()
            if value.moments
        },
    )


def rows_of_clips(folder: str | Path, clips: Iterable[ClipResult]) -> ResultTable:
    """Return measured videos as rows, known by their path in the folder less its suffix."""
    rows, metrics = [], {}
    evaluators: dict[str, str] = {}
    versions: dict[str, str] = {}
    weights: dict[str, str] = {}
    for clip in clips:
        path = Path(clip.clip)
        name = path.relative_to(folder) if path.is_relative_to(folder) else path
        values, absent, coverages = {}, {}, {}
        for measurement in clip.measurements:
            metrics[measurement.metric.name] = measurement.metric
            if measurement.value is None:
                absent[measurement.metric.name] = str(measurement.reason)
            else:
                values[measurement.metric.name] = measurement.value
                if measurement.coverage is not None:
                    coverages[measurement.metric.name] = measurement.coverage
        failure = f"not measured: {clip.error.code}" if clip.error else None
        rows.append(
            ClipRecord(
                label(str(name.with_suffix(""))),
                values=values,
                absent=absent,
                failure=failure,
                coverages=coverages,
                video=None if clip.error else path.absolute(),
                moments={one.metric.name: one.moments for one in clip.measurements if one.moments},
            )
        )
        versions |= clip.versions
        weights |= clip.weights
        evaluators |= clip.evaluators
    run_id = hash_of([[row.name, dict(row.values), row.failure] for row in rows])[:_ID_DIGITS]
    provenance = {
        "run": run_id,
        "config": None,
        "inputs": {},
        "weights": weights,
        "environment": {"versions": versions},
    }
    return ResultTable(label(str(folder)), tuple(rows), metrics, evaluators, (), provenance)


def _describe_damage(looks: Looks) -> tuple[str, ...]:
    if not looks.n_damaged:
        return ()
    lines = count(looks.n_damaged, "line")
    return (f"{lines} of the record of looks cannot be read: there may have been more looks at this run.",)


def _hashable(value: Any) -> Hashable:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
