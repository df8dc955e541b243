"""What every executor must keep, as a test class to subclass: ours and those of plug-ins pass the same one."""

# ruff: noqa: S101 - these are pytest's asserts

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from evalkit.execution.executors import Executor, Finished, Job, Limits, Message, Started, Told
from evalkit.isolation import Failure
from evalkit.testing.tasks import Counting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMITS = Limits(time_s=120.0, stall_s=120.0)
_PATIENCE_S = 300.0


class ExecutorContract:
    """Subclass it under a name that begins with ``Test``, with a fixture ``make``: the entry point."""

    def test_a_job_is_started_told_of_and_finished(self, make: Callable[..., Executor]) -> None:
        """The messages of a job come in that order and carry the job and plain data."""
        job = Job(0, {"stage": "generate"})
        started, told, finished = _run(make, [job])
        assert isinstance(started, Started)
        assert isinstance(told, Told)
        assert isinstance(finished, Finished)
        assert [message.job for message in (started, told, finished)] == [job] * 3
        assert told.value == {"at": 0}
        assert finished.outcome == {"n_before": 0, "stage": "generate"}

    def test_what_is_loaded_stays_loaded_for_the_next_job_of_the_place(
        self, make: Callable[..., Executor]
    ) -> None:
        """The same work, with its state, does the next job of a lane and stage."""
        outcomes = _outcomes(_run(make, [Job(0, {"stage": "generate"})] * 3))
        assert [outcome["n_before"] for outcome in outcomes] == [0, 1, 2]

    def test_an_exception_is_the_failure_of_its_job_alone(self, make: Callable[..., Executor]) -> None:
        """Its words are told, and the next job is done."""
        raising = Job(0, {"stage": "generate", "do": "raise", "value": "no luck"})
        failure, outcome = _outcomes(_run(make, [raising, Job(0, {"stage": "generate"})]))
        assert isinstance(failure, Failure)
        assert (failure.code, failure.text) == ("raised", "ValueError: no luck")
        assert outcome["stage"] == "generate"

    def test_closing_twice_is_once(self, make: Callable[..., Executor]) -> None:
        """Neither complains the second time, whatever was done before."""
        executor = make(Counting(), LIMITS)
        executor.close()
        executor.close()


def _run(make: Callable[..., Executor], jobs: Sequence[Job]) -> list[Message]:
    """Do jobs one after the other and return every message."""
    executor = make(Counting(), LIMITS)
    messages: list[Message] = []
    try:
        for n_done, job in enumerate(jobs, start=1):
            executor.submit(job)
            give_up_s = time.monotonic() + _PATIENCE_S
            while sum(isinstance(message, Finished) for message in messages) < n_done:
                assert time.monotonic() < give_up_s, f"no end of {job}"
                messages += executor.wait(0.2)
    finally:
        executor.close()
    return messages


def _outcomes(messages: Sequence[Message]) -> list[Any]:
    return [message.outcome for message in messages if isinstance(message, Finished)]
