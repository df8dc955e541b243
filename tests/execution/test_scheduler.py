"""Who may work while who works: nothing beside a timed video on its own device."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evalkit.execution.jobs import Slot, Stage
from evalkit.execution.scheduler import Scheduler, Task
from evalkit.execution.slots import is_alone

G, M = Stage.GENERATE, Stage.MEASURE
CPU, GPU = Slot("cpu"), Slot("cuda", "cuda")


def names(tasks: list[Task]) -> list[tuple[str, str, Stage]]:
    return [(task.slot.name, task.video_id, task.stage) for task in tasks]


def test_on_the_processor_making_and_measuring_take_turns() -> None:
    scheduler = Scheduler([CPU], "ab")
    (task,) = scheduler.next_tasks()
    assert names([task]) == [("cpu", "a", G)]
    assert scheduler.next_tasks() == []
    scheduler.finish(task, measure=True)
    (task,) = scheduler.next_tasks()
    assert names([task]) == [("cpu", "a", M)]
    assert scheduler.next_tasks() == []
    scheduler.finish(task)
    assert names(scheduler.next_tasks()) == [("cpu", "b", G)]
    assert scheduler.waiting == ()
    assert not scheduler.is_over


def test_on_a_gpu_a_video_is_measured_while_the_next_is_made() -> None:
    scheduler = Scheduler([GPU], "ab")
    (task,) = scheduler.next_tasks()
    scheduler.finish(task, measure=True)
    assert names(scheduler.next_tasks()) == [("cuda", "a", M), ("cuda", "b", G)]


def test_slots_that_share_a_device_do_everything_beside_each_other() -> None:
    scheduler = Scheduler([Slot("x"), Slot("y")], "abc", "z")
    assert names(scheduler.next_tasks()) == [("x", "z", M), ("x", "a", G), ("y", "b", G)]


def test_slots_with_cores_of_their_own_take_turns_each_by_itself() -> None:
    slots = [Slot("x", "cpu", 1, 0), Slot("y", "cpu", 1, 1)]
    scheduler = Scheduler(slots, "abc")
    first, second = scheduler.next_tasks()
    scheduler.finish(second, measure=True)
    assert names(scheduler.next_tasks()) == [("y", "b", M)]
    scheduler.finish(first)
    assert names(scheduler.next_tasks()) == [("x", "c", G)]


def test_what_failed_is_tried_again_before_what_comes_next() -> None:
    scheduler = Scheduler([CPU], "ab")
    (task,) = scheduler.next_tasks()
    scheduler.repeat(task)
    assert names(scheduler.next_tasks()) == [("cpu", "a", G)]


def test_videos_that_are_there_are_measured_without_making_any() -> None:
    scheduler = Scheduler([CPU], (), "ab")
    for video in "ab":
        (task,) = scheduler.next_tasks()
        assert names([task]) == [("cpu", video, M)]
        scheduler.finish(task)
    assert scheduler.is_over


SLOTS = st.lists(
    st.tuples(st.sampled_from(["cpu", "cuda", "cuda:0", "cuda:1"]), st.sampled_from([None, 1])),
    min_size=1,
    max_size=4,
)


@given(SLOTS, st.integers(0, 8), st.integers(0, 4), st.randoms(use_true_random=False))
def test_everything_is_done_once_and_a_timed_video_is_alone(
    kinds: list[tuple[str, int | None]], n_make: int, n_measure: int, chance: object
) -> None:
    slots = [Slot(str(k), device, cores, k) for k, (device, cores) in enumerate(kinds)]
    make, measure = [f"new {k}" for k in range(n_make)], [f"old {k}" for k in range(n_measure)]
    scheduler = Scheduler(slots, make, measure)
    done: list[tuple[str, Stage]] = []
    while not scheduler.is_over:
        scheduler.next_tasks()
        assert scheduler.at_work, "it stands still"
        busy = [(task.slot.name, task.stage) for task in scheduler.at_work]
        assert len(set(busy)) == len(busy)
        for task in scheduler.at_work:
            if task.stage is G and task.slot.device == "cpu" and is_alone(task.slot, slots):
                assert (task.slot.name, M) not in busy
        task = chance.choice(scheduler.at_work)  # type: ignore[attr-defined]
        if chance.random() < 0.2:  # type: ignore[attr-defined]
            scheduler.repeat(task)
            continue
        scheduler.finish(task, measure=task.stage is G)
        done.append((task.video_id, task.stage))
    assert sorted(done) == sorted([*((v, s) for v in make for s in (G, M)), *((v, M) for v in measure)])
