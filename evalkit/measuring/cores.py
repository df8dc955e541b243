"""Which processor cores measure: one share of them for each worker process."""

from __future__ import annotations

import logging
import os

from evalkit.arguments import wrong_argument
from evalkit.errors import UsageError

log = logging.getLogger(__name__)

WORKER_BYTES = 800 * 10**6
"""Memory of a worker with the models of all evaluators loaded."""


def require_jobs(jobs: int | None) -> None:
    """Refuse what is no number of cores.

    Raises
    ------
    UsageError
        If it is less than 1, or neither a whole number nor None.
    """
    if jobs is None:
        return
    if type(jobs) is not int:
        raise wrong_argument("jobs", jobs, "a whole number, or None for all cores,")
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}; at least 1 core measures")


def share_cores(jobs: int | None, n_clips: int) -> list[list[int]]:
    """Share out the cores that measure.

    Each clip keeps one core busy while there are at least as many clips as cores, and none waits for another's threads;
    fewer clips have several cores each.

    Parameters
    ----------
    jobs : int or None
        How many of the cores that this process may use; all of them where there are fewer. None for all, with a worker
        for every 0.8 GB of free memory at most.
    n_clips : int
        At least 1.

    Returns
    -------
    list of list of int
        The cores of each worker. Their numbers differ by one at most.

    Raises
    ------
    UsageError
        As `require_jobs`.
    """
    require_jobs(jobs)
    cores = sorted(os.sched_getaffinity(0))[:jobs]
    n_workers = min(len(cores), n_clips)
    if jobs is None and n_workers > 1:
        import psutil

        n_fit = max(1, psutil.virtual_memory().available // WORKER_BYTES)
        if n_fit < n_workers:
            log.info("memory is short: %d clips are measured at once instead of %d", n_fit, n_workers)
            n_workers = n_fit
    return [cores[place::n_workers] for place in range(n_workers)]
