"""Make runs and let them grow: plan, sweep, search, measure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from evalkit import registry
from evalkit.api.clips import Settings, find_measurer, with_brand
from evalkit.arguments import read_path
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator
from evalkit.evaluators.load import load_evaluators, prepare_evaluators
from evalkit.evaluators.session import installed_names, require_installed
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.pool import BatchProgress, ClipPath
from evalkit.measuring.run import MeasuringOutcome, measure_run
from evalkit.reports.run_report import HTML_NAME, write_report
from evalkit.runs import Run
from evalkit.sweeps.config import resolve_sweep
from evalkit.sweeps.prepare import HERE, SweepPlan, plan_sweep
from evalkit.sweeps.proposer import require_optuna
from evalkit.sweeps.run import Progress, SweepError, run_sweep
from evalkit.sweeps.search import Search
from evalkit.sweeps.status import check_plan
from pipeline.errors import RequestError
from pipeline.extras import require_extra

log = logging.getLogger(__name__)

IN_PROCESS = "in_process"
"""The executor whose work is done in this process."""


def sweep(
    config: str | Path | Mapping[str, Any] | SweepPlan | None = None,
    out: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    replan: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Run:
    """Measure every configuration of a grid on the same inputs, and write the report.

    Parameters
    ----------
    config : path, mapping or SweepPlan, optional
        A sweep's YAML file, or the same as plain data (`evalkit.sweeps.config.SweepConfig` says what may be in it), or
        what `plan` made of either; the bundled quickstart unless given.
    out : path, optional
        Folder of the run; ``runs/NAME`` unless given, for a file. One that is there is gone on with: what is done is
        not done again.
    overrides : mapping, optional
        What shall be otherwise than in `config`, by dotted name: ``{"grid.sample_steps": [2, 4], "seeds": [1]}``.
    retry_failed : bool
        Do failed trials again.
    replan : bool
        Let another grid take the place of the folder's, though finished trials then stand in no table.
    on_progress : callable, optional
        Called when something begins or ends.
    on_message : callable, optional
        Called with a line for the person who waits; logged otherwise.

    Returns
    -------
    Run
        Its ``frame()`` has one row a trial. Failed trials are in it, with their reasons.

    Raises
    ------
    UsageError
        If the configuration is not valid, or `out` is something else than a run.
    SweepError
        If the results cannot be written.
    """
    report_message = on_message or log.info
    planned = _read_plan(config, overrides, report_message)
    folder = Path(read_path(out, "out")) if out is not None else default_folder(config)
    _prepare(planned, folder, report_message, replan=replan)
    run = run_sweep(planned, folder, retry_failed=retry_failed, replan=replan, on_progress=on_progress)
    return _reported(run)


def search(
    config: str | Path | Mapping[str, Any] | SweepPlan | None = None,
    out: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    replan: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Run:
    """Find the best configuration of a grid without making all of its trials, and write the report.

    Optuna proposes configurations; one that is clearly beaten on the policy's quality is dropped, by a paired rule that may
    drop the best with a chance of 5 % at most over all looks, unless what sets it apart is rare. The run is one as of
    `sweep`, which can complete it.

    Parameters
    ----------
    config : path, mapping or SweepPlan, optional
        As for `sweep`. Its group ``search`` says how much may be spent: ``trials``, ``hours``, ``money``; what was done
        before counts too.
    out, overrides, retry_failed, replan, on_progress, on_message
        As for `sweep`. A run of the same plan, searched or swept, is gone on with.

    Returns
    -------
    Run
        Its ``skipped()`` says of every trial that was not made why.

    Raises
    ------
    UsageError
        As for `sweep`; if Optuna is not installed, there is nothing to search for, or the budget is too small.
    SweepError
        If the results cannot be written.
    """
    require_optuna()
    report_message = on_message or log.info
    planned = _read_plan(config, overrides, report_message)
    folder = Path(read_path(out, "out")) if out is not None else default_folder(config)
    feed = Search(planned, folder)
    for note in feed.notes:
        report_message(f"note: {note}")
    _prepare(planned, folder, report_message, replan=replan)
    run = run_sweep(
        planned, folder, retry_failed=retry_failed, replan=replan, feed=feed, on_progress=on_progress
    )
    return _reported(run)


def _read_plan(
    config: str | Path | Mapping[str, Any] | SweepPlan | None,
    overrides: Mapping[str, Any] | None,
    report_message: Callable[[str], None],
) -> SweepPlan:
    if isinstance(config, SweepPlan):
        if overrides:
            raise UsageError("a plan is made already; give overrides to evalkit.plan")
        return config
    planned = plan(config, overrides=overrides)
    for note in planned.notes:
        report_message(f"note: {note}")
    return planned


def _prepare(
    planned: SweepPlan, folder: Path, report_message: Callable[[str], None], *, replan: bool
) -> None:
    """Refuse what cannot be done before anything is, and get ready what measures."""
    if planned.config.execution.executor.name in HERE:
        _require_generator(planned.config.generator.name)
    if planned.config.execution.executor.name != IN_PROCESS:
        require_installed(planned.config.evaluators or ())
    check_plan(planned, folder, replan=replan)
    prepare_evaluators(load_evaluators(planned.config.evaluators, planned.config.measuring), report_message)


def _reported(run: Run) -> Run:
    """Write the report of a run, and return the run."""
    try:
        write_report(run.folder)
    except OSError as error:
        raise SweepError(f"the trials are done and the report cannot be written: {error}") from error
    return run


def _require_generator(name: str) -> None:
    """Refuse a generator that lacks its extra, before any trial fails for it."""
    try:
        require_extra(registry.load(registry.GENERATORS, name), f"the generator {name!r}")
    except RequestError as error:
        raise UsageError(str(error)) from None


def plan(
    config: str | Path | Mapping[str, Any] | None = None, *, overrides: Mapping[str, Any] | None = None
) -> SweepPlan:
    """List the trials of a sweep, checked: no model is loaded and no video is made.

    Parameters
    ----------
    config, overrides
        As for `sweep`.

    Raises
    ------
    UsageError
        If the configuration is not valid.
    """
    return plan_sweep(resolve_sweep(config, overrides))


def default_folder(config: object) -> Path:
    """Return the folder of a sweep's run unless one is given: ``runs/NAME`` of a file, and of the quickstart.

    Raises
    ------
    UsageError
        For a configuration without a name.
    """
    if config is None:
        return Path("runs") / "quickstart"
    if isinstance(config, str | Path):
        return Path("runs") / Path(config).stem
    raise UsageError("say where the run goes: a configuration that is not a file has no name (out=…)")


def measure(
    run: Run | str | Path,
    *,
    evaluators: str | type[Evaluator] | Iterable[str | type[Evaluator]] | None = None,
    settings: Settings | None = None,
    brand: ClipPath | None = None,
    retry_failed: bool = False,
    evidence: bool = True,
    jobs: int | None = None,
    stall_limit_s: float = STALL_LIMIT_S,
    executor: str | None = None,
    executor_settings: Mapping[str, Any] | None = None,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Run:
    """Measure what the videos of a run lack, and write its tables and report again. No video is ever made.

    What is measured stays measured: a call that was ended goes on where it was left.

    Parameters
    ----------
    run : Run or path
    evaluators : str or class, or iterable of these, optional
        Installed evaluators; those of the run unless given.
    settings : mapping of str to mapping, optional
        Settings of evaluators by name, in place of those that the run recorded.
    brand : path, optional
        A brand's YAML file; short for ``settings={"brand": {"file": …}}``.
    retry_failed : bool
        Measure again what crashed or failed.
    evidence : bool
        Draw what is measured, beside the measurements.
    jobs : int or None
        Processor cores that measure, as for `evaluate`; all that this process may use, or the executor finds, unless
        given.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is ended; that costs its video.
    executor, executor_settings : optional
        Who measures, as for `evaluate`; a run may go on with another one than it began with.
    on_progress : callable, optional
        Called with how far it is.
    on_message : callable, optional
        Called with a line for the person who waits, and with what could not be measured; logged otherwise.

    Returns
    -------
    Run
        As it is now.

    Raises
    ------
    UsageError
        For an unknown evaluator or setting, one that is not installed, a run of schema 1 or 2, or where another
        process writes.
    OSError
        If something cannot be written; what was measured before stays.
    """
    report_message = on_message or log.info
    outcome = fill_gaps(
        run,
        evaluators=evaluators,
        settings=with_brand(settings, brand),
        retry_failed=retry_failed,
        evidence=evidence,
        jobs=jobs,
        stall_limit_s=stall_limit_s,
        executor=executor,
        executor_settings=executor_settings,
        on_progress=on_progress,
        on_message=report_message,
    )
    for line in (*outcome.notes, *(f"{video}: {text}" for video, text in outcome.problems.items())):
        report_message(line)
    return outcome.run


def fill_gaps(
    run: Run | str | Path,
    *,
    evaluators: str | type[Evaluator] | Iterable[str | type[Evaluator]] | None = None,
    settings: Settings | None = None,
    retry_failed: bool = False,
    evidence: bool = True,
    jobs: int | None = None,
    stall_limit_s: float = STALL_LIMIT_S,
    executor: str | None = None,
    executor_settings: Mapping[str, Any] | None = None,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> MeasuringOutcome:
    """Do what `measure` does, and return what came of it in numbers; parameters and errors as there."""
    outcome = measure_run(
        run if isinstance(run, Run) else read_path(run, "run", "a run, or the path of its folder,"),
        only=None if evaluators is None else installed_names(evaluators),
        settings=settings,
        retry_failed=retry_failed,
        evidence=evidence,
        jobs=jobs,
        stall_limit_s=stall_limit_s,
        measurer=find_measurer(executor, executor_settings, jobs, stall_limit_s),
        on_progress=on_progress,
        on_message=on_message,
    )
    if outcome.has_changed or not outcome.run.is_derived(HTML_NAME):
        write_report(outcome.run.folder)
    return outcome
