"""Batches of clips: which files are meant, and measuring them, in this process or in isolated workers.

A clip that crashes or stalls its worker costs that clip and nothing else.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from evalkit.arguments import read_paths
from evalkit.errors import ClipError, UsageError
from evalkit.evaluators.base import Evaluator
from evalkit.formatting import label
from evalkit.isolation import Failure, require_importable, run_isolated
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.cores import require_jobs, share_cores
from evalkit.measuring.results import ClipResult
from evalkit.types import ClipIntent

VIDEO_SUFFIXES = (".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
"""What counts as a video where a folder is given; a file that is named is tried whatever it is called."""

ClipPath = str | os.PathLike[str]
"""What was measured of a clip, beside its evidence."""
NOT_REACHED = "not_reached"
"""Code of the error of a clip that was not measured, because the batch was interrupted or those who measured were lost."""

UNWRITTEN = "its pictures could not be written"
"""Begins the note of a clip that was measured and whose evidence could not be written."""

_MOST_NAMED = 5
"""Things passed over that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is.

    Parameters
    ----------
    n_clips, n_over : int
        All of them, and those that have a result by now.
    share : float
        Of the whole work that is done, from 0 to 1, as far as the lengths of the clips are known.
    result : ClipResult or None
        What has just been measured, where it is not stored in a run.
    """

    n_clips: int
    n_over: int
    share: float
    result: ClipResult | None


@dataclass(frozen=True, slots=True)
class ClipTask:
    """One clip to measure, as plain data for a worker.

    Parameters
    ----------
    path : str
    audio_path : str or None
        A separate sound file that replaces the clip's own.
    intent : ClipIntent or None
        What it was asked to say and to show.
    evidence_folder : str or None
        Gets a folder of pictures of what was measured.
    """

    path: str
    audio_path: str | None = None
    intent: ClipIntent | None = None
    evidence_folder: str | None = None


def expand_paths(
    given: ClipPath | Iterable[ClipPath],
    name: str = "clips",
    on_message: Callable[[str], None] | None = None,
) -> list[str]:
    """Turn files, folders and patterns into files, in a stable order, each once.

    Parameters
    ----------
    given : path or iterable of paths
        Of files, of folders (searched with all folders in them for `VIDEO_SUFFIXES`), or patterns as in
        ``videos/*.mp4``. A file that is not there is kept, to be reported beside the others.
    name : str
        Of the argument, for errors.
    on_message : callable, optional
        Called with one line for all that is called like a video in a folder or by a pattern and is none: hidden files as
        systems leave them, folders, links to nothing, pipes.

    Raises
    ------
    UsageError
        For a folder without a video, a pattern that nothing matches, nothing at all, or something that is no path.
    """
    paths: list[str] = []
    passed_over: dict[str, str] = {}
    for path in read_paths(
        given, name, "a path of a video, a folder of them or a pattern, or a list of these,"
    ):
        if Path(path).is_dir():
            found, what = _files_in(Path(path), passed_over), f"the folder {label(path)} holds"
        elif Path(path).exists() or not glob.has_magic(path):
            paths.append(path)
            continue
        else:
            matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
            if not matches:
                raise UsageError(f"nothing matches {label(path)}")
            found, what = matches, f"what {label(path)} matches holds"
        clips = [file for file in found if not _is_passed_over(file, passed_over)]
        if not clips and Path(path).suffix.lower() in VIDEO_SUFFIXES:
            _is_passed_over(
                path, passed_over
            )  # a shell puts folders of that name among the files of a pattern
        elif not clips:
            others = f"; {_describe(passed_over)}" if passed_over else ""
            raise UsageError(f"{what} no video ({', '.join(VIDEO_SUFFIXES)}){others}")
        paths += clips
    if not paths:
        others = f"; {_describe(passed_over)}" if passed_over else ""
        raise UsageError(f"no clip was given; name video files, folders of them, or patterns{others}")
    if passed_over and on_message is not None:
        on_message(_describe(passed_over))
    once: dict[Path, str] = {}
    for path in paths:
        once.setdefault(Path(path).absolute(), path)
    return list(once.values())


def _files_in(folder: Path, passed_over: dict[str, str]) -> list[str]:
    """List what is called like a video in a folder and all folders in it, less hidden folders."""

    def note(error: OSError) -> None:
        passed_over[str(error.filename)] = f"a folder that cannot be read: {error.strerror}"

    found = []
    for here, folders, files in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(here, file) for file in (*folders, *files)]  # noqa: PTH118 - as the user wrote it
    return sorted(str(Path(file)) for file in found if Path(file).suffix.lower() in VIDEO_SUFFIXES)


def _is_passed_over(path: str, passed_over: dict[str, str]) -> bool:
    """Say whether something that was found, and not named, is no clip; note why."""
    place = Path(path)
    if place.name.startswith("."):
        why = "hidden"
    elif place.is_file():
        return False
    elif place.is_dir():
        why = "a folder"
    else:
        why = "a link to nothing" if place.is_symlink() else "no file"
    passed_over[path] = why
    return True


def _describe(passed_over: dict[str, str]) -> str:
    """Say what was passed over, in one line."""
    named = [f"{label(path)} ({why})" for path, why in passed_over.items()]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return f"passed over: {', '.join(named[:_MOST_NAMED])}{more}"


def measure_clips(
    tasks: Sequence[ClipTask],
    evaluators: Sequence[Evaluator],
    *,
    jobs: int | None = 1,
    isolate: bool = False,
    stall_limit_s: float = STALL_LIMIT_S,
    on_progress: Callable[[BatchProgress], None] | None = None,
) -> list[ClipResult]:
    """Measure clips; results are in the order of the tasks.

    Parameters
    ----------
    tasks : sequence of ClipTask
    evaluators : sequence of Evaluator
    jobs : int or None
        Processor cores that measure, in worker processes that are bound to them, see `share_cores`; None for all that this
        process may use. 1 without `isolate` is this process itself, which is bound to nothing.
    isolate : bool
        Measure in a worker process also where `jobs` is 1: a crash or a hang costs one clip.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is given up.
    on_progress : callable, optional
        Called now and then with a `BatchProgress`.

    Raises
    ------
    UsageError
        If `jobs` is less than 1, or an evaluator cannot be sent to a worker.
    """
    require_jobs(jobs)
    results: dict[int, ClipResult] = {}
    tally = Tally(len(tasks), on_progress)
    if tasks and (isolate or jobs != 1):
        for evaluator in evaluators:
            require_importable(evaluator, f"the evaluator {evaluator.name!r}")
        outcomes = run_isolated(
            MeasureClip(evaluators),
            tasks,
            cores=share_cores(jobs, len(tasks)),
            stall_limit_s=stall_limit_s,
            on_progress=tally.update,
        )
        for index, outcome in outcomes:
            results[index] = _result_of(tasks[index], outcome)
            tally.finish(index, results[index])
    else:
        measure_clip = MeasureClip(evaluators)
        for index, task in enumerate(tasks):
            results[index] = measure_clip(task, partial(tally.update, index))
            tally.finish(index, results[index])
    return [results[index] for index in range(len(tasks))]


class MeasureClip:
    """Measures one clip a call. A worker keeps it, with what the evaluators have loaded, from clip to clip."""

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        self._evaluators = evaluators

    def __call__(self, task: ClipTask, report: Callable[[Any], None]) -> ClipResult:
        """Measure; report the seconds done, and of the whole clip where they are known."""
        from evalkit.measuring.evidence import EvidenceWriter, clip_folder, write_result
        from evalkit.measuring.runner import (
            try_measure,
        )  # what it imports, decoders above all, belongs to the worker

        folder = None if task.evidence_folder is None else clip_folder(Path(task.evidence_folder), task.path)

        def measure(observer: EvidenceWriter | None) -> ClipResult:
            return try_measure(
                task.path,
                self._evaluators,
                audio_path=task.audio_path,
                intent=task.intent,
                progress=lambda *at: report(at),
                observer=observer,
            )

        if folder is None:
            return measure(None)
        try:
            result = measure(EvidenceWriter(folder))
            write_result(folder, result)
        except OSError as error:  # what was measured does not depend on it
            return note_unwritten(measure(None), error)
        return result


def not_reached(path: str, why: str) -> ClipResult:
    """Return the result of a clip that was not measured, with the reason."""
    return ClipResult(path, error=ClipError(NOT_REACHED, path, why))


def note_unwritten(result: ClipResult, error: OSError) -> ClipResult:
    """Note that the evidence of a clip could not be written."""
    return replace(result, notes=(*result.notes, f"{UNWRITTEN}: {error.strerror or error}"))


def _result_of(task: ClipTask, outcome: object) -> ClipResult:
    if isinstance(outcome, Failure):
        return ClipResult(task.path, error=ClipError(outcome.code, task.path, outcome.text))
    if not isinstance(outcome, ClipResult):
        raise TypeError(f"a worker returned {outcome!r} for {task.path}")
    return outcome


class Tally:
    """Turns what workers report of single clips into the progress of the batch.

    Parameters
    ----------
    n_clips : int
    on_progress : callable or None
        Called with a `BatchProgress`.
    """

    def __init__(self, n_clips: int, on_progress: Callable[[BatchProgress], None] | None) -> None:
        self._n_clips = n_clips
        self._on_progress = on_progress
        self._shares: dict[int, float] = {}  # of those under way
        self._n_over = 0

    def update(self, index: int, position: tuple[float, float | None]) -> None:
        """Note the seconds of a clip that are done, and of the whole clip where they are known."""
        position_s, length_s = position
        if length_s:
            share = min(0.99, position_s / length_s)
            self._shares[index] = max(self._shares.get(index, 0.0), share)
            self._show(None)

    def finish(self, index: int, result: ClipResult | None = None) -> None:
        """Note that a clip is over."""
        self._shares.pop(index, None)
        self._n_over += 1
        self._show(result)

    def _show(self, result: ClipResult | None) -> None:
        if self._on_progress is not None:
            share = (self._n_over + sum(self._shares.values())) / self._n_clips
            self._on_progress(BatchProgress(self._n_clips, self._n_over, share, result))
