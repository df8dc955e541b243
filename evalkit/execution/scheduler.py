"""What each slot does next. A pure state machine: it knows ids and slots, no files, no processes and no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.execution.jobs import Slot, Stage
from evalkit.execution.slots import is_alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Task:
    """One stage of one video in one slot."""

    video_id: str
    stage: Stage
    slot: Slot


class Scheduler:
    """Gives slots their tasks: each makes one video at a time and measures one at a time.

    Where a video is timed on the processor, nothing else goes on in its slot: making and measuring take turns. On
    any other device a video is measured while the next one is made. What waits to be measured goes first.

    Parameters
    ----------
    slots : sequence of Slot
    to_make : iterable of str
        Ids of videos, in the order in which they are made.
    to_measure : iterable of str
        Ids of videos that are there already.
    """

    def __init__(self, slots: Sequence[Slot], to_make: Iterable[str], to_measure: Iterable[str] = ()) -> None:
        self._slots = tuple(slots)
        self._to_make = deque(to_make)
        self._to_measure = deque(to_measure)
        self._at_work: dict[tuple[str, Stage], Task] = {}
        self._takes_turns = {slot.name: _takes_turns(slot, self._slots) for slot in self._slots}

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        return not (self._at_work or self._to_make or self._to_measure)

    @property
    def at_work(self) -> tuple[Task, ...]:
        """What is under way, in the order in which it was begun."""
        return tuple(self._at_work.values())

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the videos that are still to be made, in order."""
        return tuple(self._to_make)

    def next_tasks(self) -> list[Task]:
        """Return what begins now; each is under way until `finish` or `repeat`."""
        begun = []
        for slot in self._slots:
            for stage, queue in ((Stage.MEASURE, self._to_measure), (Stage.GENERATE, self._to_make)):
                if queue and self._is_free(slot, stage):
                    task = Task(queue.popleft(), stage, slot)
                    self._at_work[slot.name, stage] = task
                    begun.append(task)
        return begun

    def finish(self, task: Task, *, measure: bool = False) -> None:
        """Note that a task is over.

        Parameters
        ----------
        task : Task
        measure : bool
            Whether the video that was made is to be measured.
        """
        del self._at_work[task.slot.name, task.stage]
        if measure:
            self._to_measure.append(task.video_id)

    def repeat(self, task: Task) -> None:
        """Note that a task failed and is tried again before anything else of its kind."""
        self.finish(task)
        (self._to_make if task.stage is Stage.GENERATE else self._to_measure).appendleft(task.video_id)

    def _is_free(self, slot: Slot, stage: Stage) -> bool:
        if (slot.name, stage) in self._at_work:
            return False
        other = Stage.GENERATE if stage is Stage.MEASURE else Stage.MEASURE
        return not (self._takes_turns[slot.name] and (slot.name, other) in self._at_work)


def disturb_each_other(slots: Sequence[Slot]) -> bool:
    """Return whether a generator that makes several videos ahead could disturb, or be disturbed by, something else."""
    return len(slots) > 1 or any(_takes_turns(slot, slots) for slot in slots)


def _takes_turns(slot: Slot, slots: Sequence[Slot]) -> bool:
    return slot.device == "cpu" and is_alone(slot, slots)
