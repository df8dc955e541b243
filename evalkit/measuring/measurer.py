"""Where videos are measured: tasks in, what was measured out as it comes. One way is here; executors are another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from evalkit.isolation import Failure, run_isolated
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.cores import share_cores
from evalkit.measuring.video import MeasuredVideo, MeasureVideo
from evalkit.profiling.machine import describe_machine
from evalkit.runs import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from evalkit.measuring.video import VideoTask

    OnPosition = Callable[[int, tuple[float, float | None]], None]
    """Called with a task's index, and the seconds of its video that are measured, and of the whole video where known."""


class Measurer(Protocol):
    """Measures videos somewhere."""

    def __call__(
        self, tasks: Iterable[VideoTask], n_tasks: int, on_progress: OnPosition
    ) -> Generator[tuple[int, MeasuredVideo]]:
        """Measure, and give what was measured as it comes; whoever stops early closes it, which ends the work.

        Parameters
        ----------
        tasks : iterable of VideoTask
            With absolute paths; each is taken when there is a place for it.
        n_tasks : int
            How many there are; at least 1.
        on_progress : callable

        Yields
        ------
        index : int
            Of the task.
        measured : MeasuredVideo
            With pictures in the task's folder. A video that could not be measured has an error.
        """
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """Measures in worker processes of this machine, which are bound to their cores.

    Parameters
    ----------
    jobs : int or None
        Processor cores that measure, see `share_cores`.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is given up.
    """

    jobs: int | None = None
    stall_limit_s: float = STALL_LIMIT_S

    def __call__(
        self, tasks: Iterable[VideoTask], n_tasks: int, on_progress: OnPosition
    ) -> Generator[tuple[int, MeasuredVideo]]:
        """Measure; see `Measurer`."""
        outcomes = run_isolated(
            MeasureVideo(),
            tasks,
            cores=share_cores(self.jobs, n_tasks),
            stall_limit_s=self.stall_limit_s,
            on_progress=on_progress,
        )
        for index, outcome in outcomes:
            if isinstance(outcome, Failure):
                error = MeasurementError(outcome.code, outcome.text)
                yield index, MeasuredVideo({}, error, 0.0, describe_machine())
            elif isinstance(outcome, MeasuredVideo):
                yield index, outcome
            else:
                raise TypeError(f"a worker returned {outcome!r}")
