"""One attempted trial: what came of it, its figures beside the limits, and where its files are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from evalkit.analysis.catalogue import reason_text
from evalkit.analysis.configurations import describe
from evalkit.analysis.table import level_text
from evalkit.decisions.clip_verdicts import why_not_of_a_clip
from evalkit.profiling.costs import PEAK_VRAM_SHARE
from evalkit.profiling.spill import ADVICE, Spill
from evalkit.runs.layout import GENERATION_FILE, LOG_FILE, PROFILE_FILE, VIDEO_FILE
from evalkit.runs.legacy import TRIAL_FILE
from evalkit.runs.records import DamagedFileError
from evalkit.views.figure import FigureView, MomentView, figure_of_clip, figure_of_scores
from evalkit.views.view import Plain, View, plain_param

if TYPE_CHECKING:
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.analysis.table import ClipRecord
    from evalkit.decisions.policy import Policy, Rule
    from evalkit.runs import Run, Trial, TrialFailure

DEFAULT_FPS = 25.0
_PICTURES = {".png", ".jpg", ".jpeg", ".svg", ".webp"}
_PAGES = {".html"}
_FILES = (GENERATION_FILE, PROFILE_FILE, TRIAL_FILE, LOG_FILE)
_DRAWN_BY_OLDER_REPORTS = "timeline.svg"
POSTERS_FOLDER = "report/posters"
"""In the run's folder: a still of some of its videos each, ``<trial>.jpg``, which can be made again at any time."""


@dataclass(frozen=True)
class FailureView(View):
    """Why a try gave no result.

    Parameters
    ----------
    stage, code, text : str
    """

    stage: str
    code: str
    text: str


@dataclass(frozen=True)
class ClipLimitView(View):
    """The limit of a policy beside the value of one clip.

    Parameters
    ----------
    limit : str
        In words.
    kind : {"hard", "soft"}
    is_met : bool
    at_least, at_most : float or None
        The limits themselves; None where open.
    unit : str
        Theirs.
    """

    limit: str
    kind: Literal["hard", "soft"]
    is_met: bool
    at_least: float | None
    at_most: float | None
    unit: str


@dataclass(frozen=True)
class EvidenceView(View):
    """A picture or a page that shows what was measured.

    Parameters
    ----------
    path : str
        Relative to the run folder, with slashes.
    caption : str
    is_picture : bool
        False for a page.
    """

    path: str
    caption: str
    is_picture: bool


@dataclass(frozen=True)
class SpillView(View):
    """Work that became several-fold slower while a GPU was full: its driver may have moved memory to the host.

    Parameters
    ----------
    factor : float
        How many times as long as before, or as the others.
    fullness : float
        Share of the GPU's memory in use, 0 to 1.
    beside : {"earlier steps", "other trials"}
        What it was slower than: the trial's own steps, or the other trials of its configuration.
    at_s : float or None
        When it began, seconds since the request; None beside other trials.
    text : str
        In words.
    """

    factor: float
    fullness: float
    beside: Literal["earlier steps", "other trials"]
    at_s: float | None
    text: str


@dataclass(frozen=True)
class TrialView(View):
    """One trial.

    Parameters
    ----------
    id, label : str
        The label names swept parameters, inputs and seed.
    configuration : str
        Label of its configuration.
    params : mapping
        All parameters of the request.
    portrait, speech : str or None
        Names.
    seed : int or None
    status : {"ok", "failed"}
    failure : FailureView or None
    attempts : tuple of FailureView
        Earlier tries that failed.
    notes : tuple of str
    figures : mapping of str to FigureView
        By metric, absent ones with their reason.
    limits : mapping of str to ClipLimitView
        Of the measured metrics that the policy limits.
    video : str or None
        Relative to the run folder.
    fps : float
        Of the video, as its generator reports it; `DEFAULT_FPS` where unknown.
    moments : tuple of MomentView
        The worst moments of its metrics, in the order of time; empty without a video.
    evidence : tuple of EvidenceView
    files : tuple of str
        What was written down and logged, relative to the run folder.
    machine : str or None
        Its kind, and its name where that was recorded; None where nothing is known of it.
    is_elsewhere : bool
        Whether that is another kind than times and memory of the run are of: its own are in no other figure.
    spill : SpillView or None
    poster : str or None
        A still of the video, relative to the run folder; None where none was made.
    """

    id: str
    label: str
    configuration: str
    params: Mapping[str, Plain]
    portrait: str | None
    speech: str | None
    seed: int | None
    status: Literal["ok", "failed"]
    failure: FailureView | None
    attempts: tuple[FailureView, ...]
    notes: tuple[str, ...]
    figures: Mapping[str, FigureView]
    limits: Mapping[str, ClipLimitView]
    video: str | None
    fps: float
    moments: tuple[MomentView, ...]
    evidence: tuple[EvidenceView, ...]
    files: tuple[str, ...]
    machine: str | None
    is_elsewhere: bool
    spill: SpillView | None
    poster: str | None = None

    @property
    def measured(self) -> list[FigureView]:
        """The figures that have a value."""
        return [figure for figure in self.figures.values() if figure.value is not None]

    @property
    def absent(self) -> dict[str, list[str]]:
        """The metrics without a value, by the reason in words."""
        found: dict[str, list[str]] = {}
        for name, figure in self.figures.items():
            if figure.value is None:
                found.setdefault(figure.why_absent, []).append(name)
        return found

    @property
    def beyond(self) -> tuple[str, ...]:
        """Metrics beyond a hard limit."""
        return tuple(name for name, limit in self.limits.items() if limit.kind == "hard" and not limit.is_met)


def trial_views(analysis: RunAnalysis, policy: Policy | None) -> tuple[TrialView, ...]:
    """Return the trials of a run beside the limits of a policy."""
    limits = {} if policy is None else _clip_limits(policy)
    unmeasured: dict[tuple[str, str], FigureView] = {}
    posters = {path.stem for path in (analysis.run.folder / POSTERS_FOLDER).glob("*.jpg")}
    return tuple(
        _trial(analysis, row, row.trial, limits, unmeasured, posters=posters)
        for row in analysis.table.rows
        if row.trial is not None
    )


def _trial(
    analysis: RunAnalysis,
    row: ClipRecord,
    trial: Trial,
    limits: Mapping[str, _ClipLimit],
    unmeasured: dict[tuple[str, str], FigureView],
    *,
    posters: Collection[str],
) -> TrialView:
    run = analysis.run
    swept = {name: plain_param(trial.params.get(name)) for name in analysis.levels}
    names = [part.name for part in (trial.portrait, trial.speech) if part is not None]
    seed = [] if trial.seed is None else [f"seed {trial.seed}"]
    words = [describe({name: level_text(value) for name, value in swept.items()})] if swept else []
    files = run.files_of(trial.id)
    folder = _inside(run, run.folder_of(trial.id))
    has_video = VIDEO_FILE in files
    evidence: tuple[EvidenceView, ...] = ()
    damage = []
    try:
        evidence = evidence_views(run, trial.id)
    except DamagedFileError as error:
        damage.append(str(error))
    metrics = trial.metrics
    spill = _spill_view(analysis, trial)
    return TrialView(
        id=trial.id,
        label=", ".join((*words, *names, *seed)) or trial.id,
        configuration=describe(swept),
        params={name: plain_param(value) for name, value in trial.params.items()},
        portrait=trial.portrait.name if trial.portrait else None,
        speech=trial.speech.name if trial.speech else None,
        seed=trial.seed,
        status=trial.status,
        failure=None if trial.failure is None else failure_view(trial.failure),
        attempts=tuple(failure_view(attempt) for attempt in trial.attempts),
        notes=(*trial.notes, *_more_notes(row, spill), *damage),
        figures=_figures(analysis, row, trial, unmeasured),
        limits={name: limits[name].beside(value.value) for name, value in metrics.items() if name in limits},
        video=f"{folder}/{VIDEO_FILE}" if has_video else None,
        fps=_fps(trial),
        moments=_moments(trial) if has_video else (),
        evidence=evidence,
        files=tuple(f"{folder}/{name}" for name in _FILES if name in files),
        machine=_name_machine(row, run.manifest.machines.get(trial.machine, {})),
        is_elsewhere=row.is_elsewhere,
        spill=spill,
        poster=f"{POSTERS_FOLDER}/{trial.id}.jpg" if has_video and trial.id in posters else None,
    )


def _name_machine(row: ClipRecord, machine: Mapping[str, Any]) -> str | None:
    return f"{row.kind} ({machine['host']})" if row.kind is not None and "host" in machine else row.kind


def _more_notes(row: ClipRecord, spill: SpillView | None) -> list[str]:
    """Say what the trial alone could not know."""
    notes = []
    if row.is_elsewhere:
        notes.append(f"made on {row.kind}: its times and memory are in no figure of a configuration")
    if spill is not None and spill.beside == "other trials":
        notes.append(spill.text)
    return notes


def _spill_view(analysis: RunAnalysis, trial: Trial) -> SpillView | None:
    alarm = trial.spill
    if alarm is not None:
        words = Spill(alarm.step, alarm.at_s, alarm.factor, alarm.gpu, alarm.fullness).text()
        return SpillView(alarm.factor, alarm.fullness, "earlier steps", alarm.at_s, words)
    factor, share = analysis.slow_while_full.get(trial.id), trial.profile.metrics.get(PEAK_VRAM_SHARE.name)
    if factor is None or share is None:
        return None
    words = (
        f"warning: it took {factor:.0f} times as long for a second of video as the other trials of its configuration while a "
        f"GPU was at {100 * share.value:.0f} % of its memory: {ADVICE}"
    )
    return SpillView(factor, share.value, "other trials", None, words)


def failure_view(failure: TrialFailure) -> FailureView:
    """Return why a try gave no result."""
    return FailureView(failure.stage, failure.code, failure.text)


def evidence_views(run: Run, trial_id: str) -> tuple[EvidenceView, ...]:
    """List the pictures and pages that were kept of a trial, with their captions.

    Raises
    ------
    DamagedFileError
        If an index of captions cannot be read.
    """
    return tuple(
        EvidenceView(
            _inside(run, kept.path),
            kept.caption or kept.path.stem.replace("_", " "),
            is_picture=kept.path.suffix.lower() in _PICTURES,
        )
        for kept in run.evidence_of(trial_id)
        if kept.path.suffix.lower() in _PICTURES | _PAGES and kept.path.name != _DRAWN_BY_OLDER_REPORTS
    )


def _figures(
    analysis: RunAnalysis,
    row: ClipRecord,
    trial: Trial,
    unmeasured: dict[tuple[str, str], FigureView],
) -> dict[str, FigureView]:
    """Return the figures of a trial; those without a value are shared by all trials that have the same reason."""
    metrics, absent = trial.metrics, row.absent
    found = {}
    for name, metric in analysis.metrics.items():
        if name in metrics:
            found[name] = figure_of_clip(metric, metrics[name])
            continue
        if name in row.scores:
            found[name] = figure_of_scores(metric, row.values[name], row.scores[name])
            continue
        reason = _why_absent(trial, absent.get(name, "not measured"))
        if (name, reason) not in unmeasured:
            unmeasured[name, reason] = figure_of_clip(metric, None, reason)
        found[name] = unmeasured[name, reason]
    return found


def _why_absent(trial: Trial, code: str) -> str:
    return reason_text(code) if trial.failure is None else trial.failure.code.replace("_", " ")


@dataclass(frozen=True, slots=True)
class _ClipLimit:
    """A rule, and what is said of a clip that meets it and of one that does not."""

    rule: Rule
    met: ClipLimitView
    missed: ClipLimitView

    def beside(self, value: float) -> ClipLimitView:
        return self.met if self.rule.overshoot(value) <= 0 else self.missed


def _clip_limits(policy: Policy) -> dict[str, _ClipLimit]:
    """Return the limits that a single clip can be held against: not those that need many clips or people."""
    rules = {rule.name: policy.rule_for(rule.name) for rule in policy.rules}
    return {
        name: _ClipLimit(rule, _limit_view(rule, is_met=True), _limit_view(rule, is_met=False))
        for name, rule in rules.items()
        if rule is not None and why_not_of_a_clip(rule) is None
    }


def _limit_view(rule: Rule, *, is_met: bool) -> ClipLimitView:
    return ClipLimitView(rule.text(), rule.kind, is_met, rule.at_least, rule.at_most, rule.metric.unit)


def _fps(trial: Trial) -> float:
    reported = (trial.generation or {}).get("fps")
    return float(reported) if isinstance(reported, (int, float)) and reported > 0 else DEFAULT_FPS


def _moments(trial: Trial) -> tuple[MomentView, ...]:
    found = [
        MomentView(name, value.unit, moment.start_s, moment.end_s, moment.value)
        for name, value in trial.metrics.items()
        for moment in value.moments
    ]
    return tuple(sorted(found, key=lambda one: (one.start_s, one.end_s, one.metric)))


def _inside(run: Run, path: Path) -> str:
    return str(PurePosixPath(path.relative_to(run.folder)))
