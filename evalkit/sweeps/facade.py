"""A sweep as a function, for notebooks and scripts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.config import build_sweep, read_sweep
from evalkit.evaluators.brand import calibrate_before
from evalkit.reports.run_report import write_report
from evalkit.sweeps.prepare import prepare_sweep
from evalkit.sweeps.run import run_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evalkit.runs import Run
    from evalkit.sweeps.run import Progress

log = logging.getLogger(__name__)


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
        A sweep's YAML file, or the same as plain data; `evalkit.config.SweepConfig` says what may be in it.
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
    preparation = prepare_sweep(options)
    calibrate_before(preparation.config.measuring, log.info)
    run = run_sweep(preparation, Path(out), retry_failed=retry_failed, on_progress=on_progress)
    write_report(run.folder)
    return run
