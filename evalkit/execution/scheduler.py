"""What each slot does next. A pure state machine: it knows ids and slots, no files, no processes and no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.execution.jobs import Slot, Stage
from evalkit.execution.slots import is_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Task:
    """One stage of one video in one slot."""

    video_id: str
    stage: Stage
    slot: Slot


_ROUND = 4
"""Videos that are made one after the other, for each that is measured at once: then few cores wait for the last one."""


class Scheduler:
    """Gives slots their tasks: each makes one video at a time.

    Where a video is timed on the processor, nothing else goes on in its slot: it makes a round of videos, then measures
    them, as many at once as it has places for that. On any other device a video is measured while the next one is made,
    and what waits to be measured goes first. Where there is a pool for measuring, videos are measured there alone, at
    any time, and the slots only make them.

    Parameters
    ----------
    slots : sequence of Slot
    to_make : iterable of str
        Ids of videos, in the order in which they are made.
    to_measure : iterable of str
        Ids of videos that are there already.
    places : callable, optional
        Returns where videos are measured at once while a slot makes none, see
        `evalkit.execution.executors.Executor.measuring_slots`; in the slot itself unless given.
    pool : sequence of Slot
        See `evalkit.execution.executors.Executor.measuring_pool`.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        to_make: Iterable[str],
        to_measure: Iterable[str] = (),
        places: Callable[[Slot], Sequence[Slot]] = lambda slot: (slot,),
        pool: Sequence[Slot] = (),
    ) -> None:
        self._slots = list(slots)
        self._pool = list(pool)
        self._to_make = deque(to_make)
        self._to_measure = deque(to_measure)
        self._at_work: dict[tuple[Slot, Stage], Task] = {}
        self._places = {} if pool else {slot: places(slot) for slot in slots if _takes_turns(slot, slots)}
        self._measuring: set[Slot] = set()
        """Slots that take turns and are at measuring."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        return not (self._at_work or self._to_make or self._to_measure)

    @property
    def at_work(self) -> tuple[Task, ...]:
        """What is under way, in the order in which it was begun."""
        return tuple(self._at_work.values())

    @property
    def waiting(self) -> Iterator[str]:
        """Ids of the videos that are still to be made, in order."""
        return iter(self._to_make)

    def add(self, video_ids: Iterable[str]) -> None:
        """Have more videos made, after those that wait."""
        self._to_make.extend(video_ids)

    def next_tasks(self) -> list[Task]:
        """Return what begins now; each is under way until `finish` or `repeat`."""
        begun = [task for place in self._pool for task in self._begin(Stage.MEASURE, place)]
        for slot in self._slots:
            if self._pool:
                begun += self._begin(Stage.GENERATE, slot)
            elif slot in self._places:
                begun += self._take_turn(slot)
            else:
                begun += [*self._begin(Stage.MEASURE, slot), *self._begin(Stage.GENERATE, slot)]
        return begun

    def _take_turn(self, slot: Slot) -> list[Task]:
        """Begin what a slot does in which a video is alone when it is made."""
        if (slot, Stage.GENERATE) in self._at_work:
            return []
        places = self._places[slot]
        a_round = _ROUND * len(places) if len(places) > 1 else 1
        if len(self._to_measure) >= a_round or not self._to_make:
            self._measuring.add(slot)
        if slot in self._measuring:
            begun = [task for place in places for task in self._begin(Stage.MEASURE, place)]
            if begun or any((place, Stage.MEASURE) in self._at_work for place in places):
                return begun
            self._measuring.remove(slot)
        return self._begin(Stage.GENERATE, slot)

    def _begin(self, stage: Stage, slot: Slot) -> list[Task]:
        """Begin the next task of a kind, if there is one and the slot is at none."""
        queue = self._to_make if stage is Stage.GENERATE else self._to_measure
        if not queue or (slot, stage) in self._at_work:
            return []
        task = self._at_work[slot, stage] = Task(queue.popleft(), stage, slot)
        return [task]

    def finish(self, task: Task, *, measure: bool = False) -> None:
        """Note that a task is over.

        Parameters
        ----------
        task : Task
        measure : bool
            Whether the video that was made is to be measured.
        """
        del self._at_work[task.slot, task.stage]
        if measure:
            self._to_measure.append(task.video_id)

    def repeat(self, task: Task) -> None:
        """Note that a task failed and is tried again before anything else of its kind."""
        self.finish(task)
        (self._to_make if task.stage is Stage.GENERATE else self._to_measure).appendleft(task.video_id)

    def move(self, task: Task) -> None:
        """Note that the place of a task went away: it goes to another slot that is free, if there is one."""
        self.repeat(task)
        for slots in (self._slots, self._pool):
            if task.slot in slots:
                slots.remove(task.slot)
                slots.append(task.slot)


def disturb_each_other(slots: Sequence[Slot]) -> bool:
    """Return whether a generator that makes several videos ahead could disturb, or be disturbed by, something else."""
    return len(slots) > 1 or any(_takes_turns(slot, slots) for slot in slots)


def _takes_turns(slot: Slot, slots: Sequence[Slot]) -> bool:
    return slot.device == "cpu" and is_alone(slot, slots)
