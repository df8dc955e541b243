"""Who may work while who works: nothing beside a timed video on its own device."""

from __future__ import annotations

import pytest
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
    assert list(scheduler.waiting) == []
    assert not scheduler.is_over


def halves(slot: Slot) -> list[Slot]:
    return [Slot(f"{slot.name}.{part}") for part in range(2)]


def test_a_round_of_videos_is_made_then_measured_two_at_once() -> None:
    scheduler = Scheduler([CPU], "abcdefghij", (), halves)
    for name in "abcdefgh":
        (task,) = scheduler.next_tasks()
        assert names([task]) == [("cpu", name, G)]
        assert scheduler.next_tasks() == []
        scheduler.finish(task, measure=True)
    one, two = scheduler.next_tasks()
    assert names([one, two]) == [("cpu.0", "a", M), ("cpu.1", "b", M)]
    for name in "cdefgh":
        scheduler.finish(one)
        one, two = two, *scheduler.next_tasks()
        assert two.video_id == name
    scheduler.finish(one)
    assert scheduler.next_tasks() == []  # the last one of a round is still being measured
    scheduler.finish(two)
    assert names(scheduler.next_tasks()) == [("cpu", "i", G)]


def test_the_last_round_is_measured_though_it_is_not_full() -> None:
    scheduler = Scheduler([CPU], "abc", (), halves)
    for _ in "abc":
        (task,) = scheduler.next_tasks()
        scheduler.finish(task, measure=task.video_id != "b")  # b failed
    assert names(scheduler.next_tasks()) == [("cpu.0", "a", M), ("cpu.1", "c", M)]


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


def test_where_there_is_a_pool_the_slots_only_make_videos() -> None:
    pool = [Slot("p"), Slot("q")]
    scheduler = Scheduler([CPU], "abc", "z", halves, pool)
    measure, make = scheduler.next_tasks()
    assert names([measure, make]) == [("p", "z", M), ("cpu", "a", G)]
    scheduler.finish(make, measure=True)
    assert names(scheduler.next_tasks()) == [("q", "a", M), ("cpu", "b", G)]
    assert scheduler.next_tasks() == []
    scheduler.finish(measure)
    assert scheduler.next_tasks() == []


def test_videos_may_come_while_others_are_made() -> None:
    scheduler = Scheduler([CPU], "a")
    (task,) = scheduler.next_tasks()
    scheduler.add("bc")
    assert list(scheduler.waiting) == ["b", "c"]
    scheduler.finish(task)
    assert not scheduler.is_over
    assert names(scheduler.next_tasks()) == [("cpu", "b", G)]


@pytest.mark.parametrize("stage", [G, M])
def test_what_lost_its_place_goes_to_another_that_is_free(stage: Stage) -> None:
    pool = [Slot("x"), Slot("y")]
    slots = pool if stage is G else [CPU]
    scheduler = Scheduler(
        slots, "a" if stage is G else "", "a" if stage is M else "", pool=pool * (stage is M)
    )
    (task,) = scheduler.next_tasks()
    scheduler.move(task)
    (again,) = scheduler.next_tasks()
    assert names([task, again]) == [("x", "a", stage), ("y", "a", stage)]


def test_what_lost_the_only_place_goes_to_it_again() -> None:
    scheduler = Scheduler([CPU], "ab")
    (task,) = scheduler.next_tasks()
    scheduler.move(task)
    assert names(scheduler.next_tasks()) == [("cpu", "a", G)]


SLOTS = st.lists(
    st.tuples(st.sampled_from(["cpu", "cuda", "cuda:0", "cuda:1"]), st.sampled_from([None, 1])),
    min_size=1,
    max_size=4,
)


@given(
    SLOTS,
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 20),
    st.integers(0, 20),
    st.randoms(use_true_random=False),
)
def test_everything_is_done_once_and_a_timed_video_is_alone(
    kinds: list[tuple[str, int | None]],
    n_places: int,
    n_pool: int,
    n_make: int,
    n_measure: int,
    chance: object,
) -> None:
    slots = [Slot(str(k), device, cores, k) for k, (device, cores) in enumerate(kinds)]
    make, measure = [f"new {k}" for k in range(n_make)], [f"old {k}" for k in range(n_measure)]
    scheduler = Scheduler(
        slots,
        make[: n_make // 2],
        measure,
        lambda slot: [Slot(f"{slot.name}.{place}") for place in range(n_places)],
        [Slot(f"pool {place}") for place in range(n_pool)],
    )
    scheduler.add(make[n_make // 2 :])
    done: list[tuple[str, Stage]] = []
    while not scheduler.is_over:
        scheduler.next_tasks()
        assert scheduler.at_work, "it stands still"
        busy = [(task.slot.name, task.stage) for task in scheduler.at_work]
        assert len(set(busy)) == len(busy)
        for task in scheduler.at_work:
            if task.stage is G and task.slot.device == "cpu" and is_alone(task.slot, slots):
                at_measuring = {name.partition(".")[0] for name, stage in busy if stage is M}
                assert task.slot.name not in at_measuring
        task = chance.choice(scheduler.at_work)  # type: ignore[attr-defined]
        if chance.random() < 0.2:  # type: ignore[attr-defined]
            chance.choice([scheduler.repeat, scheduler.move])(task)  # type: ignore[attr-defined]
            continue
        scheduler.finish(task, measure=task.stage is G)
        done.append((task.video_id, task.stage))
    assert sorted(done) == sorted([*((v, s) for v in make for s in (G, M)), *((v, M) for v in measure)])
