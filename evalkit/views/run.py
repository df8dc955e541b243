"""A run: the answer, what it rests on, every configuration and every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evalkit.analysis.catalogue import reason_text
from evalkit.analysis.configurations import describe
from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.gates import describe_budget
from evalkit.decisions.judge import Grade
from evalkit.decisions.recommend import recommend
from evalkit.decisions.recommendation import Outcome
from evalkit.formatting import count
from evalkit.runs.layout import RUN_FILE
from evalkit.runs.ratings.records import PREFERENCE
from evalkit.views.configuration import (
    ConfigurationView,
    FrontView,
    MapView,
    configuration_views,
    front_views,
    map_views,
)
from evalkit.views.effect import EffectView, effect_views
from evalkit.views.figure import MetricView, metric_view
from evalkit.views.gate import PolicyView, policy_view
from evalkit.views.ratings import describe_people
from evalkit.views.search import SearchView, search_view
from evalkit.views.spending import KindView, kind_views
from evalkit.views.trial import TrialView, trial_views
from evalkit.views.view import Plain, View, plain_param

if TYPE_CHECKING:
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.decisions.policy import Policy
    from evalkit.decisions.recommendation import Recommendation
    from evalkit.runs import Run


@dataclass(frozen=True)
class AnswerView(View):
    """What a manager repeats.

    Parameters
    ----------
    outcome : Outcome or None
        None where nothing could be judged: there is no result, or no policy.
    headline : str
        One sentence.
    details : tuple of str
        What it rests on, what it leaves open and what to do next, a sentence each.
    configuration : str or None
        Label of the configuration whose evidence is shown: the recommended one, the first of those that cannot be told
        apart, or what comes nearest.
    other : str or None
        Label of the one it was weighed against.
    tied : tuple of str
        Labels of those that pass and cannot be told apart.
    n_weighed, n_passing : int
        Configurations that were weighed, less those that a search dropped; those of them that pass every hard rule.
    decided_by : str or None
        The metric that decided between those that pass.
    by_cost : bool
        Whether that is a cost.
    n_clips : int
        Attempts of `configuration`.
    unmeasured : tuple of str
        Rules and lines about the run by which `configuration` cannot be judged, as nothing was measured.
    n_lacking : int
        Inputs that others have and `configuration` has not.
    """

    outcome: Outcome | None
    headline: str
    details: tuple[str, ...]
    configuration: str | None = None
    other: str | None = None
    tied: tuple[str, ...] = ()
    n_weighed: int = 0
    n_passing: int = 0
    decided_by: str | None = None
    by_cost: bool = False
    n_clips: int = 0
    unmeasured: tuple[str, ...] = ()
    n_lacking: int = 0


BEATEN = "the search found them clearly beaten by another"
"""Reason of all trials that a search did not make as their configurations were beaten."""


@dataclass(frozen=True)
class SkippedView(View):
    """Planned trials that were never attempted, for one reason.

    Parameters
    ----------
    reason : str
    n : int
    configurations : tuple of str
        In words, once each.
    """

    reason: str
    n: int
    configurations: tuple[str, ...]


@dataclass(frozen=True)
class CoverageView(View):
    """What was attempted, and what is not there.

    Parameters
    ----------
    n_planned, n_attempted, n_ok : int
        Trials.
    failures : mapping of str to int
        Codes of those that failed.
    n_retried : int
        Trials that needed more than one attempt.
    n_unfinished : int
        Planned trials without a result.
    n_orphaned : int
        Trials in the folder that are not in the plan.
    skipped : tuple of SkippedView
    damage : tuple of str
        What cannot be read.
    kind : str or None
        Kind of machine that times and memory are of; None where none is known.
    n_elsewhere : int
        Trials made on other kinds: what depends on the machine is in no figure of a configuration.
    n_spilled : int
        Trials that became several-fold slower while a GPU was full.
    """

    n_planned: int
    n_attempted: int
    n_ok: int
    failures: Mapping[str, int]
    n_retried: int
    n_unfinished: int
    n_orphaned: int
    skipped: tuple[SkippedView, ...]
    damage: tuple[str, ...]
    kind: str | None = None
    n_elsewhere: int = 0
    n_spilled: int = 0


@dataclass(frozen=True)
class AbsenceView(View):
    """A metric that is missing in trials that did not fail.

    Parameters
    ----------
    metric : str
    n, n_attempted : int
        Trials with a value, and all.
    reasons : mapping of str to int
        In words, and how often.
    """

    metric: str
    n: int
    n_attempted: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class RunView(View):
    """Everything that is shown of a run.

    Parameters
    ----------
    name : str
        Of its folder.
    created_at : str
        ISO 8601.
    generator : mapping
        ``name``, ``version``, ``settings``.
    kinds : tuple of KindView
        Of machine, that of the times first.
    n_inputs, n_seeds : int
    policy : PolicyView or None
    answer : AnswerView
    coverage : CoverageView
    absences : tuple of AbsenceView
    metrics : mapping of str to MetricView
        Every metric that any trial speaks of, in order.
    main : tuple of str
        Those shown first.
    levels : mapping of str to tuple
        The swept parameters with their values.
    configurations : tuple of ConfigurationView
    fronts : tuple of FrontView
    effects : tuple of EffectView
    maps : tuple of MapView
    trials : tuple of TrialView
    notes : tuple of str
    files : tuple of str
        Tables and the manifest, relative to the run folder.
    provenance : mapping
        Configuration, versions, weights, machines: all that was written down.
    search : SearchView or None
        Of a run that a search made and nobody completed.
    people : tuple of str
        What raters say, or how to ask them; a sentence each.
    """

    name: str
    created_at: str
    generator: Mapping[str, Any]
    kinds: tuple[KindView, ...]
    n_inputs: int
    n_seeds: int
    policy: PolicyView | None
    answer: AnswerView
    coverage: CoverageView
    absences: tuple[AbsenceView, ...]
    metrics: Mapping[str, MetricView]
    main: tuple[str, ...]
    levels: Mapping[str, tuple[Plain, ...]]
    configurations: tuple[ConfigurationView, ...]
    fronts: tuple[FrontView, ...]
    effects: tuple[EffectView, ...]
    maps: tuple[MapView, ...]
    trials: tuple[TrialView, ...]
    notes: tuple[str, ...]
    files: tuple[str, ...]
    provenance: Mapping[str, Any]
    search: SearchView | None = None
    people: tuple[str, ...] = ()

    @property
    def answered(self) -> ConfigurationView | None:
        """The configuration whose evidence is shown."""
        return next(
            (
                configuration
                for configuration in self.configurations
                if configuration.label == self.answer.configuration
            ),
            None,
        )

    @property
    def failed(self) -> list[TrialView]:
        """The trials that gave no result."""
        return [trial for trial in self.trials if trial.failure is not None]


def run_view(analysis: RunAnalysis, policy: Policy | None, *, note: str = "") -> RunView:
    """Return what is shown of a run.

    Parameters
    ----------
    analysis : RunAnalysis
    policy : Policy or None
        What to judge by; without one nothing is judged.
    note : str
        What a reader should know of the choice of the policy.
    """
    run, manifest = analysis.run, analysis.run.manifest
    found = recommend(analysis.table, policy) if policy is not None and analysis.table.rows else None
    trials = trial_views(analysis, policy)
    return RunView(
        name=run.folder.resolve().name,
        created_at=manifest.created_at,
        generator=manifest.generator,
        kinds=kind_views(analysis),
        n_inputs=len({row.input for row in analysis.table.rows}),
        n_seeds=len({row.seed for row in analysis.table.rows}),
        policy=None if policy is None else policy_view(policy),
        answer=_answer(analysis, found, note),
        coverage=_coverage(analysis, trials),
        search=search_view(analysis),
        people=_people(analysis),
        absences=_absences(analysis),
        metrics={name: metric_view(metric) for name, metric in analysis.metrics.items()},
        main=tuple(analysis.main),
        levels={
            name: tuple(plain_param(level) for level in levels) for name, levels in analysis.levels.items()
        },
        configurations=configuration_views(analysis, policy),
        fronts=front_views(analysis),
        effects=effect_views(analysis),
        maps=map_views(analysis),
        trials=trials,
        notes=tuple(manifest.notes),
        files=tuple(
            name for name in ("results.csv", "results.parquet", RUN_FILE) if (run.folder / name).is_file()
        ),
        provenance={
            "configuration": manifest.config,
            "configuration hash": manifest.config_hash,
            "generator": manifest.generator,
            "evaluators": manifest.evaluators,
            "settings of evaluators": manifest.measuring,
            "versions": manifest.versions,
            "weights": manifest.weights,
            "machines": manifest.machines,
            "code": None if manifest.code is None else asdict(manifest.code),
        },
    )


def _answer(analysis: RunAnalysis, found: Recommendation | None, note: str) -> AnswerView:
    """Say which configuration to use."""
    notes = (note,) if note else ()
    if not analysis.table.rows:
        return AnswerView(None, "No trial of this run has a result yet.", notes)
    if found is None:
        n = len(analysis.configurations)
        words = f"Nothing is recommended: there is no policy to judge {count(n, 'configuration')} by."
        return AnswerView(None, words, notes)
    other = found.other or next(iter(found.tied[1:]), None)
    decider = None if found.decided_by is None else found.decided_by.metric
    return AnswerView(
        found.outcome,
        found.headline,
        (*found.details, *describe_budget(ErrorBudget.of(analysis.table)), *analysis.table.notes, *notes),
        found.subject.name,
        None if other is None else other.name,
        tuple(one.name for one in found.tied),
        n_weighed=len(found.kept),
        n_passing=len(found.passing),
        decided_by=None if decider is None else decider.name,
        by_cost=decider in found.policy.costs,
        n_clips=found.subject.n_clips,
        unmeasured=tuple(line.metric for line in found.subject.lines_with(Grade.NOT_MEASURED)),
        n_lacking=found.subject.n_lacking,
    )


def _people(analysis: RunAnalysis) -> tuple[str, ...]:
    if not analysis.trials:
        return ()
    said = describe_people(analysis.run, analysis.table)
    if not analysis.table.opinions.raters:
        return (said,)
    return said, f"evalkit rate results {analysis.run.folder} says how far to believe them."


def _coverage(analysis: RunAnalysis, views: Sequence[TrialView]) -> CoverageView:
    run, trials = analysis.run, analysis.trials
    failures: dict[str, int] = {}
    for trial in trials:
        if trial.failure is not None:
            failures[trial.failure.code] = failures.get(trial.failure.code, 0) + 1
    return CoverageView(
        n_planned=len(run.manifest.planned),
        n_attempted=len(trials),
        n_ok=sum(trial.status == "ok" for trial in trials),
        failures=failures,
        n_retried=sum(bool(trial.attempts) for trial in trials),
        n_unfinished=len(run.unfinished()),
        n_orphaned=len(run.orphaned()),
        skipped=skipped_views(run),
        damage=tuple(damage.text for damage in analysis.damage),
        kind=analysis.table.main_kind,
        n_elsewhere=sum(view.is_elsewhere for view in views),
        n_spilled=sum(view.spill is not None for view in views),
    )


def skipped_views(run: Run) -> tuple[SkippedView, ...]:
    """Return the planned trials that were never attempted, by their reasons; what a search found beaten is one reason.

    By what each was beaten, and by how much, says `evalkit.views.search.SearchView`.
    """
    search = run.search()
    beaten = [one.params for one in search.configurations if one.fate == "beaten"] if search else []
    by_reason: dict[str, list[str]] = {}
    for trial in run.skipped().values():
        swept = {name: value for name, value in trial.params.items() if name in run.manifest.swept}
        reason = BEATEN if trial.params in beaten else trial.reason
        by_reason.setdefault(reason, []).append(describe(swept or trial.params))
    return tuple(
        SkippedView(reason, len(labels), tuple(dict.fromkeys(labels))) for reason, labels in by_reason.items()
    )


def _absences(analysis: RunAnalysis) -> tuple[AbsenceView, ...]:
    """List the metrics that are missing in trials that did not fail; those that failed are listed by themselves."""
    n_attempted = len(analysis.trials)
    found = []
    for metric in analysis.metrics:
        if metric != PREFERENCE and any(
            row.failure is None and metric not in row.values for row in analysis.table.rows
        ):
            reasons = analysis.absences_of(metric)
            n = n_attempted - sum(reasons.values())
            words = {reason_text(code): count for code, count in reasons.items()}
            found.append(AbsenceView(metric, n, n_attempted, words))
    return tuple(found)
