"""Plant every dose in every clip and measure it, on all cores; what a fault does not touch is not measured again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.errors import ClipError
from evalkit.evaluators.load import evaluator_class
from evalkit.isolation import Failure, require_importable, run_isolated
from evalkit.measuring.cores import share_cores
from evalkit.measuring.pool import Tally
from evalkit.validation.faults import BASES, Fault, bases_of, fault_named
from evalkit.validation.material import Material, Survey, Surveyor, Unplantable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evalkit.evaluators.base import Evaluator
    from evalkit.measuring.pool import BatchProgress
    from evalkit.measuring.results import ClipResult
    from evalkit.types import ClipIntent, Metric

ORIGINAL = "original"
"""What the clip as it was given is called among what was measured."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured of one clip with one dose of a fault in it.

    Parameters
    ----------
    clip, fault : str
    dose : float
    values : dict of str to float
        By the full name of the metric.
    reasons : dict of str to str
        Why other metrics have none, in words.
    error : str
        Why nothing could be measured at all; empty otherwise.
    """

    clip: str
    fault: str
    dose: float
    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class SurveyTask:
    """A clip to be measured as it is."""

    path: str
    folder: str
    intent: ClipIntent | None
    brand_file: str | None


@dataclass(frozen=True, slots=True)
class PlantTask:
    """A dose to be planted in a clip and measured."""

    survey: Survey
    fault: str
    dose: float
    evaluators: tuple[str, ...]
    folder: str
    keep: str | None
    intent: ClipIntent | None


class SurveyClip:
    """Measures a clip as it is, and keeps what planting needs to know of it."""

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        self._evaluators = evaluators

    def __call__(self, task: SurveyTask, report: Callable[[Any], None]) -> tuple[Reading, Survey | None]:
        """Measure; report the seconds done, and of the whole clip where they are known."""
        from evalkit.measuring.runner import measure
        from evalkit.media import probe

        surveyor = Surveyor()
        try:
            result = measure(
                task.path,
                self._evaluators,
                intent=task.intent,
                progress=lambda *at: report(at),
                observer=surveyor,
            )
            survey = surveyor.survey(probe(task.path), Path(task.folder), task.brand_file)
        except ClipError as error:
            return Reading(task.path, ORIGINAL, 0.0, error=error.text), None
        return _read(result, task.path, ORIGINAL, 0.0), survey


class MeasurePlanted:
    """Plants a dose, measures it and removes it again. A worker keeps it, with what the evaluators have loaded."""

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        self._evaluators = {evaluator.name: evaluator for evaluator in evaluators}

    def __call__(self, task: PlantTask, report: Callable[[Any], None]) -> Reading:
        """Plant and measure; report half the seconds of the clip while it is written, the others while it is measured."""
        from evalkit.measuring.runner import try_measure
        from evalkit.tracks.cache import TrackCache
        from evalkit.validation.planting import plant

        class ReadOnly(TrackCache):
            """Tracks of the clip itself are taken from the cache; those of a planted one are seen once."""

            def store(self, *_: object) -> None:
                """Keep nothing."""

        survey = task.survey
        length_s = max(survey.end_s, survey.n_samples / max(1, survey.sound_rate_hz)) or None
        keep = None if task.keep is None else Path(task.keep)
        with tempfile.TemporaryDirectory(dir=task.folder) as folder:
            try:
                planted = plant(
                    _material(survey),
                    fault_named(task.fault),
                    task.dose,
                    Path(folder),
                    keep=keep,
                    on_position=lambda at_s: report((0.5 * at_s, length_s)),
                )
            except Unplantable as error:
                return Reading(survey.path, task.fault, task.dose, error=str(error))
            result = try_measure(
                planted.path,
                [self._evaluators[name] for name in task.evaluators],
                audio_path=planted.audio_path,
                intent=task.intent,
                cache=ReadOnly(),
                progress=lambda at_s, of_s: report((0.5 * (at_s + (of_s or at_s)), of_s)),
            )
        return _read(result, survey.path, task.fault, task.dose)


@lru_cache(maxsize=2)
def _material(survey: Survey) -> Material:
    return Material(survey)


def _read(result: ClipResult, clip: str, fault: str, dose: float) -> Reading:
    if result.error is not None:
        return Reading(clip, fault, dose, error=result.error.text)
    values = {m.metric.name: float(m.value) for m in result.measurements if m.value is not None}
    reasons = {m.metric.name: m.reason.text for m in result.measurements if m.reason is not None}
    return Reading(clip, fault, dose, values, reasons)


def metrics_of(faults: Sequence[Fault]) -> tuple[str, ...]:
    """List the metrics that see faults, are shown beside them or must not move, each once."""
    return tuple(
        dict.fromkeys(name for fault in faults for name in (fault.sees, *fault.steady, *fault.also) if name)
    )


def installed_metrics() -> dict[str, tuple[Metric, str]]:
    """Return every metric that an installed evaluator measures, with the evaluator's name, by the metric's."""
    return {
        metric.name: (metric, name)
        for name in registry.names(registry.EVALUATORS)
        for metric in evaluator_class(name).metrics
    }


def evaluators_for(fault: Fault, watched: Sequence[str]) -> tuple[str, ...]:
    """Name the evaluators that a dose of a fault is measured with: of its own metrics, or, of harmless ones, of all watched."""
    known = installed_metrics()
    names = watched if fault.is_harmless else metrics_of([fault])
    return tuple(dict.fromkeys(known[name][1] for name in names if name in known))


def measure_faults(
    clips: Sequence[str],
    faults: Sequence[Fault],
    evaluators: Sequence[Evaluator],
    *,
    intent: ClipIntent | None,
    brand_file: str | None,
    keep: Path | None,
    jobs: int | None,
    stall_limit_s: float,
    on_progress: Callable[[BatchProgress], None] | None,
) -> Iterator[Reading]:
    """Plant and measure; give what was measured as it comes.

    Parameters
    ----------
    clips : sequence of str
    faults : sequence of Fault
    evaluators : sequence of Evaluator
        All that measure; each dose is measured with those that its fault needs.
    intent : ClipIntent or None
    brand_file : str or None
        Of the brand whose mark is planted; harmless changes are then made to the picture with it.
    keep : Path or None
        Folder for the planted clips; without it each is removed when it is measured.
    jobs : int or None
        Processor cores, as of `evalkit.measuring.cores.share_cores`.
    stall_limit_s : float
    on_progress : callable or None

    Yields
    ------
    Reading
        Of the clip as it is first; a clip that cannot be measured has that one alone.
    """
    for evaluator in evaluators:
        require_importable(evaluator, f"the evaluator {evaluator.name!r}")
    # What is harmless first: should it be interrupted, nothing is surely seen without it.
    planted = (*bases_of(faults), *sorted(faults, key=lambda fault: not fault.is_harmless))
    n_doses = sum(len(fault.doses) for fault in planted)
    tally = Tally(len(clips) * (1 + n_doses), on_progress)
    with tempfile.TemporaryDirectory(prefix="evalkit-validate-") as folder:
        surveys: dict[int, Survey] = {}
        tasks = []
        for index, path in enumerate(clips):
            own = Path(folder) / str(index)
            own.mkdir()
            tasks.append(SurveyTask(path, str(own), intent, brand_file))
        limits = _Limits(jobs, stall_limit_s)
        for index, reading, survey in _survey(tasks, evaluators, limits, tally):
            if survey is not None:
                surveys[index] = survey
            else:
                for k in range(n_doses):
                    tally.finish(len(clips) + index * n_doses + k)
            yield reading
        doses = [
            _Dose(index, fault, dose)
            for index in sorted(surveys)
            for fault in planted
            for dose in fault.doses
        ]
        kept = [] if keep is None else _kept_folders(keep, clips)
        watched, known = metrics_of(faults), {evaluator.name for evaluator in evaluators}
        to_plant = [
            PlantTask(
                surveys[one.clip],
                one.fault.name,
                one.dose,
                tuple(name for name in evaluators_for(one.fault, watched) if name in known),
                tasks[one.clip].folder,
                None if keep is None else str(_kept_file(kept[one.clip], one)),
                intent,
            )
            for one in doses
        ]
        yield from _plant(to_plant, evaluators, limits, tally, first=len(clips))


@dataclass(frozen=True, slots=True)
class _Limits:
    """What measuring may use: processor cores, and seconds without a word."""

    jobs: int | None
    stall_limit_s: float


@dataclass(frozen=True, slots=True)
class _Dose:
    """A dose that is to be planted, in which clip."""

    clip: int
    fault: Fault
    dose: float


def _survey(
    tasks: Sequence[SurveyTask], evaluators: Sequence[Evaluator], limits: _Limits, tally: Tally
) -> Iterator[tuple[int, Reading, Survey | None]]:
    outcomes = run_isolated(
        SurveyClip(evaluators),
        tasks,
        cores=share_cores(limits.jobs, len(tasks)),
        stall_limit_s=limits.stall_limit_s,
        on_progress=tally.update,
    )
    for index, outcome in outcomes:
        tally.finish(index)
        if isinstance(outcome, Failure):
            yield index, Reading(tasks[index].path, ORIGINAL, 0.0, error=outcome.text), None
        else:
            yield index, *outcome


def _plant(
    tasks: Sequence[PlantTask],
    evaluators: Sequence[Evaluator],
    limits: _Limits,
    tally: Tally,
    *,
    first: int,
) -> Iterator[Reading]:
    """Plant and measure; `first` is the number of the first task in the tally."""
    if not tasks:
        return
    outcomes = run_isolated(
        MeasurePlanted(evaluators),
        tasks,
        cores=share_cores(limits.jobs, len(tasks)),
        stall_limit_s=limits.stall_limit_s,
        on_progress=lambda index, at: tally.update(first + index, at),
    )
    for index, outcome in outcomes:
        tally.finish(first + index)
        if isinstance(outcome, Failure):
            task = tasks[index]
            yield Reading(task.survey.path, task.fault, task.dose, error=outcome.text)
        else:
            yield outcome


def _kept_folders(keep: Path, clips: Sequence[str]) -> list[Path]:
    """Name a folder for each clip, each its own and inside of `keep`.

    >>> [folder.name for folder in _kept_folders(Path("kept"), ["a.mp4", "b/a.mp4", "a-2.mp4", "...mp4"])]
    ['a', 'a-2', 'a-2-2', 'clip']
    """
    names: dict[str, None] = {}
    for clip in clips:
        stem = Path(clip).stem.strip(".") or "clip"
        numbered = chain([stem], (f"{stem}-{number}" for number in count(2)))
        names[next(name for name in numbered if name not in names)] = None
    return [keep / name for name in names]


def _kept_file(folder: Path, one: _Dose) -> Path:
    """Name the file of a planted clip; its folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    name = one.fault.name if one.fault in BASES else f"{one.fault.name}-{one.dose:g}"
    return folder / f"{name}.mp4"
