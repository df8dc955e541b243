"""Trials of a sweep that cannot fit this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.forecast.needs import forecast_trials, read_available_memory
from evalkit.runs import Run, SkippedTrial
from evalkit.runs.layout import RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evalkit.sweeps.plan import PlannedTrial
    from evalkit.sweeps.prepare import SweepPlan


def find_infeasible(plan: SweepPlan, folder: Path, trials: Sequence[PlannedTrial]) -> dict[str, SkippedTrial]:
    """Return the trials that cannot fit, by id; none unless ``execution.skip_infeasible`` says so.

    Parameters
    ----------
    plan : SweepPlan
    folder : Path
        Of the run: what was measured in it counts for more than known estimates.
    trials : sequence of PlannedTrial
        Those that are to be done.
    """
    execution = plan.config.execution
    if not execution.skip_infeasible:
        return {}
    runs = [Run.open(folder)] if (folder / RUN_FILE).is_file() else []
    available = read_available_memory(execution.gpu_memory_gb)
    forecast = forecast_trials(plan.generator, trials, runs, available)
    return {
        found.trial.id: SkippedTrial(dict(found.trial.params), found.why)
        for found in forecast.trials
        if found.is_infeasible
    }
