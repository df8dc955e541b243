"""The library: what a script or a notebook calls. The command line only parses arguments and calls the same."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.analysis.table import rows_of_clips, rows_of_run
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.policy import load_policy, load_waivers
from evalkit.decisions.signoff import sign_off
from evalkit.errors import UsageError
from evalkit.evaluators.brand import calibrate_before
from evalkit.evaluators.load import load_evaluators
from evalkit.measuring.results import Report
from evalkit.measuring.runner import try_measure
from evalkit.reports.run_report import write_report
from evalkit.runs import Run
from evalkit.sweeps.config import build_sweep, read_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import run_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from evalkit.analysis.table import ResultTable
    from evalkit.decisions.comparison import Comparison
    from evalkit.decisions.signoff import Signoff
    from evalkit.sweeps.run import Progress
    from evalkit.types import ClipIntent

log = logging.getLogger(__name__)

DEFAULT_POLICY = "customer_service"


def open_table(path: str | Path) -> ResultTable:
    """Read a run folder, or measure the videos of a folder, one after the other, in this process.

    Raises
    ------
    UsageError
        If it is neither.
    """
    folder = Path(path)
    if (folder / "run.json").is_file():
        return rows_of_run(Run.open(folder))
    videos = sorted(str(video) for video in folder.rglob("*.mp4")) if folder.is_dir() else []
    if not videos:
        raise UsageError(f"{folder} is neither a run folder nor a folder of videos (*.mp4)")
    return rows_of_clips(folder, evaluate(videos).clips)


def compare(
    a: str | Path,
    b: str | Path | None = None,
    *,
    split: Mapping[str, tuple[Hashable, Hashable]] | None = None,
    policy: str = DEFAULT_POLICY,
    margins: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare B with A: two run folders or folders of videos, or one run split by a parameter.

    Parameters
    ----------
    a, b : path
    split : mapping, optional
        One parameter and its two values, ``{"sample_steps": (4, 3)}``, in place of `b`.
    policy : str
        Bundled name or file; gives margins and bands.
    margins : mapping of str to float, optional
        The smallest differences that matter, by metric.

    Raises
    ------
    UsageError
        As `evalkit.decisions.compare.compare_tables`.
    """
    if (b is None) == (not split) or (split and len(split) != 1):
        raise UsageError("give either a second run or folder, or split={name: (value, value)} with one name")
    first = open_table(a)
    names = tuple(split or ())
    if split:
        (name, (before, after)) = next(iter(split.items()))
        first, second = first.where({name: before}), first.where({name: after})
    else:
        second = open_table(b or "")
    rules = load_policy(policy, (*first.metrics.values(), *second.metrics.values()))
    return compare_tables(first, second, policy=rules, margins=margins, ignore_params=names)


def signoff(
    run: str | Path,
    policy: str,
    *,
    where: Mapping[str, Hashable] | None = None,
    waivers: str | Path | None = None,
) -> Signoff:
    """Judge a run folder, or a folder of videos, by a policy; nothing is written.

    Parameters
    ----------
    run : path
    policy : str
        Bundled name or file.
    where : mapping, optional
        Parameters of the configuration to release, where the run has several.
    waivers : path, optional
        YAML file.

    Raises
    ------
    UsageError
        As `evalkit.decisions.signoff.sign_off`.
    """
    table = open_table(run)
    rules = load_policy(policy, table.metrics.values())
    granted = load_waivers(waivers, rules) if waivers is not None else ()
    return sign_off(table.where(where or {}), rules, granted)


def evaluate(
    clips: str | Sequence[str],
    *,
    audio: str | None = None,
    only: Iterable[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    asked: ClipIntent | None = None,
) -> Report:
    """Measure clips, one after the other, in this process.

    Parameters
    ----------
    clips : str or sequence of str
        Paths of video files.
    audio : str, optional
        A separate sound file for a single clip.
    only : iterable of str, optional
        Names of the evaluators to run; all that are installed unless given.
    settings : mapping of str to mapping, optional
        Settings of evaluators, by the evaluator's name.
    asked : ClipIntent, optional
        What the clips were asked to say and to show.

    Returns
    -------
    Report
        A clip that cannot be measured has its `ClipResult.error` set; nothing is raised for it.

    Raises
    ------
    UsageError
        For an unknown evaluator, settings that make no sense, or one sound for several clips.
    """
    paths = [clips] if isinstance(clips, str) else [str(clip) for clip in clips]
    if audio is not None and len(paths) != 1:
        raise UsageError(f"one separate sound cannot belong to {len(paths)} clips")
    evaluators = load_evaluators(only, settings)
    return Report(tuple(try_measure(path, evaluators, audio_path=audio, asked=asked) for path in paths))


def sweep(
    config: str | Path | Mapping[str, Any],
    out: str | Path,
    *,
    retry_failed: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Measure every configuration of a grid on the same inputs, and write the report.

    Parameters
    ----------
    config : path or mapping
        A sweep's YAML file, or the same as plain data; `evalkit.options.SweepConfig` says what may be in it.
    out : path
        Folder of the run. One that is there is gone on with: what is done is not done again.
    retry_failed : bool
        Do failed trials again.
    on_progress : callable, optional
        Called when something begins or ends.

    Returns
    -------
    Run
        Its ``frame()`` has one row a trial. Failed trials are in it, with their reasons.

    Raises
    ------
    UsageError
        If the configuration makes no sense, or `out` is something else than a run.
    SweepError
        If the results cannot be written.

    Notes
    -----
    Worker processes import the main module anew: in a script, call it below ``if __name__ == "__main__":``.
    """
    options = read_sweep(config) if isinstance(config, (str, Path)) else build_sweep(config, "config")
    preparation = plan_sweep(options)
    calibrate_before(preparation.config.measuring, log.info)
    run = run_sweep(preparation, Path(out), retry_failed=retry_failed, on_progress=on_progress)
    write_report(run.folder)
    return run
