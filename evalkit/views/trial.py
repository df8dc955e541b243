"""One attempted trial: what came of it, its figures beside the limits, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from evalkit.analysis.catalogue import reason_text
from evalkit.analysis.configurations import describe
from evalkit.analysis.direction import loss
from evalkit.analysis.table import level_text
from evalkit.runs.layout import GENERATION_FILE, LOG_FILE, PROFILE_FILE, VIDEO_FILE
from evalkit.runs.legacy import TRIAL_FILE
from evalkit.runs.records import DamagedFileError
from evalkit.views.figure import FigureView, figure_of_clip
from evalkit.views.view import Plain, View, plain_param

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.decisions.policy import Policy, Rule
    from evalkit.runs import Run, Trial, TrialFailure

DEFAULT_FPS = 25.0
_WINDOW_START = "window_start_s"
"""Name of the sample that says where each window of a metric begins; a metric with one has one other, its values."""
_PICTURES = {".png", ".jpg", ".jpeg", ".svg", ".webp"}
_PAGES = {".html"}
_FILES = (GENERATION_FILE, PROFILE_FILE, TRIAL_FILE, LOG_FILE)
_DRAWN_BY_OLDER_REPORTS = "timeline.svg"


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
    """

    limit: str
    kind: Literal["hard", "soft"]
    is_met: bool


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
    worst_s : float or None
        Where in the video the window begins that is worst in the run's quality metric.
    evidence : tuple of EvidenceView
    files : tuple of str
        What was written down and logged, relative to the run folder.
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
    worst_s: float | None
    evidence: tuple[EvidenceView, ...]
    files: tuple[str, ...]

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


def trial_view(analysis: RunAnalysis, trial: Trial, policy: Policy | None) -> TrialView:
    """Return one trial of a run beside the limits of a policy."""
    run = analysis.run
    swept = {name: plain_param(trial.params.get(name)) for name in analysis.levels}
    names = [part.name for part in (trial.portrait, trial.speech) if part is not None]
    seed = [] if trial.seed is None else [f"seed {trial.seed}"]
    words = [describe({name: level_text(value) for name, value in swept.items()})] if swept else []
    has_video = run.video_of(trial.id) is not None
    evidence: tuple[EvidenceView, ...] = ()
    worst_s: float | None = None
    damage = []
    try:
        evidence = evidence_views(run, trial.id)
        worst_s = _worst_s(analysis, trial) if has_video else None
    except DamagedFileError as error:
        damage.append(str(error))
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
        notes=(*trial.notes, *damage),
        figures=_figures(analysis, trial),
        limits=_limits(trial, policy),
        video=_inside(run, run.folder_of(trial.id) / VIDEO_FILE) if has_video else None,
        fps=_fps(trial),
        worst_s=worst_s,
        evidence=evidence,
        files=tuple(
            _inside(run, path)
            for path in (run.folder_of(trial.id) / name for name in _FILES)
            if path.is_file()
        ),
    )


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


def _figures(analysis: RunAnalysis, trial: Trial) -> dict[str, FigureView]:
    found = {}
    for name, metric in analysis.metrics.items():
        if name in trial.metrics:
            found[name] = figure_of_clip(metric, trial.metrics[name])
        else:
            found[name] = figure_of_clip(metric, None, _why_absent(trial, name))
    return found


def _why_absent(trial: Trial, metric: str) -> str:
    if trial.failure is not None:
        return trial.failure.code.replace("_", " ")
    return reason_text(trial.absent.get(metric, "not measured"))


def _limits(trial: Trial, policy: Policy | None) -> dict[str, ClipLimitView]:
    """Return the limits that a single clip can be held against: not those that need many clips."""
    found = {}
    for name, value in trial.metrics.items():
        rule: Rule | None = policy.rule_for(name) if policy is not None else None
        if rule is not None and (rule.min_n or 1) <= 1:
            found[name] = ClipLimitView(rule.text(), rule.kind, rule.overshoot(value.value) <= 0)
    return found


def _fps(trial: Trial) -> float:
    reported = (trial.generation or {}).get("fps")
    return float(reported) if isinstance(reported, (int, float)) and reported > 0 else DEFAULT_FPS


def _worst_s(analysis: RunAnalysis, trial: Trial) -> float | None:
    """Return where the worst window of the quality metric begins; None without windows, or where all are alike."""
    if analysis.quality is None:
        return None
    metric = analysis.metrics[analysis.quality]
    samples: dict[str, Sequence[Any]] = dict(analysis.run.samples_of(trial.id).get(metric.name, {}))
    starts_s = samples.pop(_WINDOW_START, ())
    windows = [
        (loss(metric, value), start_s)
        for values in samples.values()
        for value, start_s in zip(values, starts_s, strict=False)
        if value is not None and start_s is not None
    ]
    if not windows or min(windows)[0] == max(windows)[0]:
        return None
    return float(max(windows)[1])


def _inside(run: Run, path: Path) -> str:
    return str(PurePosixPath(path.relative_to(run.folder)))
