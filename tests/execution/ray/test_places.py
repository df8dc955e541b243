"""Which actor does which job: no cluster, places come and go as a test says."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evalkit.execution.executors import ExecutorError
from evalkit.execution.jobs import Finished, JobFailure, Slot, Stage
from evalkit.execution.ray import cluster, executor
from evalkit.execution.ray.cluster import ClusterError
from evalkit.execution.ray.executor import RayExecutor, RaySettings
from evalkit.execution.ray.host import Greeting
from evalkit.execution.worker import DISK_FULL
from evalkit.options import ConfigError, read_group
from evalkit.testing.executor import LIMITS, generate_job


class Drawn(RayExecutor):
    """Asks for places and gives jobs to them on paper."""

    def __init__(self, *names: str) -> None:
        self.asked: list[str] = []
        self.given: list[tuple[str, str]] = []
        super().__init__([Slot(name, own_device=True) for name in names], LIMITS, RaySettings())

    def _open(self, home: str, needs: Any) -> Any:
        self.asked.append(home)
        place = self._places[home] = executor._Place(home, needs, None)
        return place

    def _begin(self, carried: Any, place: Any) -> None:
        carried.place = place
        place.jobs[carried.job.id] = carried
        self.given.append((carried.job.id, place.slot))

    def come(self, home: str) -> None:
        """Have the place of a slot be there."""
        self._places[home].greeting = Greeting("node", "10.0.0.7", "/s", "/s/own", frozenset(), "1", "3")
        self._dispatch()

    def does_not_come(self, home: str) -> None:
        """Have the place of a slot be long in coming."""
        self._places[home].asked_s -= 60.0

    def go(self, home: str) -> None:
        """Have the place of a slot be lost."""
        place = self._places.pop(home)
        for job_id in list(place.jobs):
            self.end(job_id)

    def end(self, job_id: str) -> None:
        """Have a job be over."""
        carried = self._under_way.pop(job_id)
        del carried.place.jobs[job_id]  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    connection = SimpleNamespace(check=lambda: None, close=lambda: None, answers=lambda: True)
    monkeypatch.setattr(cluster, "connect", lambda _: connection)
    monkeypatch.setattr(cluster, "list_nodes", list)


def test_no_place_is_asked_for_while_the_head_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Drawn("one")
    monkeypatch.setattr(drawn._connection, "answers", lambda: False)
    drawn.submit(generate_job(tmp_path, "a", "one"))
    assert drawn.asked == []
    monkeypatch.setattr(drawn._connection, "answers", lambda: True)
    drawn._dispatch()
    assert drawn.asked == ["one"]


def test_a_job_waits_for_the_place_of_its_slot_before_it_goes_to_another(
    tmp_path: Path,
) -> None:
    drawn = Drawn("one", "two")
    drawn.submit(generate_job(tmp_path, "a", "one"))
    drawn.submit(generate_job(tmp_path, "b", "two"))
    assert drawn.asked == ["one", "two"]
    drawn.come("one")
    assert drawn.given == [("a", "one")]
    drawn.end("a")
    drawn._dispatch()
    assert drawn.given == [("a", "one")]
    drawn.does_not_come("two")
    drawn._dispatch()
    assert drawn.given == [("a", "one"), ("b", "one")]


def test_a_place_that_is_lost_is_asked_for_again_though_its_slot_works_in_another(
    tmp_path: Path,
) -> None:
    drawn = Drawn("one", "two")
    drawn.submit(generate_job(tmp_path, "a", "one"))
    drawn.come("one")
    drawn.end("a")
    drawn.submit(generate_job(tmp_path, "b", "two"))
    drawn.does_not_come("two")
    drawn._dispatch()
    assert drawn.given[-1] == ("b", "one")  # in the place of the other slot
    drawn.come("two")
    drawn.go("two")
    drawn.submit(generate_job(tmp_path, "c", "one"))
    assert drawn.asked == ["one", "two", "two"]
    drawn.come("two")
    assert drawn.given[-1] == ("c", "two")


def test_one_place_works_for_one_slot_at_a_time(tmp_path: Path) -> None:
    drawn = Drawn("one", "two")
    drawn.submit(generate_job(tmp_path, "a", "one"))
    drawn.come("one")
    drawn.submit(generate_job(tmp_path, "b", "two"))
    drawn.does_not_come("two")
    drawn._dispatch()
    assert drawn.given == [("a", "one")]
    drawn.end("a")
    drawn._dispatch()
    assert drawn.given == [("a", "one"), ("b", "one")]


def test_a_job_that_was_cancelled_on_its_way_is_cancelled_where_it_arrives(tmp_path: Path) -> None:
    drawn, told = Drawn("one"), []
    drawn.submit(generate_job(tmp_path, "a", "one"))
    drawn.come("one")
    drawn._places["one"].actor = SimpleNamespace(cancel=SimpleNamespace(remote=told.append))
    drawn.cancel("a")
    drawn._take_note(drawn._under_way["a"], ())  # the host heard of the end of the job before it had it
    assert told == ["a", "a"]


def test_a_full_disk_is_said_of_its_node(tmp_path: Path) -> None:
    drawn = Drawn("one")
    drawn.submit(generate_job(tmp_path, "a", "one"))
    drawn.come("one")
    drawn._at_node["node"] = {}
    drawn._hear(Finished("a", JobFailure(Stage.GENERATE, DISK_FULL, "no space left")))
    (end,) = drawn._news
    assert isinstance(end, Finished)
    assert isinstance(end.result, JobFailure)
    assert end.result.text == "node 10.0.0.7: no space left"


def test_what_came_before_the_end_of_the_cluster_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Drawn("one")
    drawn.submit(generate_job(tmp_path, "a", "one"))
    drawn.come("one")
    drawn._at_node["node"] = {}
    end = Finished("a", JobFailure(Stage.GENERATE, "raised", "a fault"))
    drawn._hear(end)

    def check() -> None:
        raise ClusterError("it is gone", "start one")

    monkeypatch.setattr(drawn._connection, "check", check)
    assert drawn.wait(0.0) == [end]
    with pytest.raises(ExecutorError, match="it is gone; start one"):
        drawn.wait(0.0)


@pytest.mark.parametrize(("text", "is_over"), [("its node has died", False), ("no such module", True)])
def test_places_that_go_with_a_node_are_no_sign_that_nothing_starts(
    text: str, is_over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "explain_failed_start", lambda *_: "nothing starts")
    monkeypatch.setattr("ray.kill", lambda _: None)
    drawn = Drawn(*"abcd")
    drawn._connection.address = "head:1"  # type: ignore[misc]  # it is drawn too
    for name in "abcd":
        drawn.submit(generate_job(tmp_path, name, name))
    with pytest.raises(ExecutorError, match="nothing starts") if is_over else nullcontext():
        for place in list(drawn._places.values()):
            drawn._lose(place, RuntimeError(text))
    assert drawn._places == {} or is_over


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("patience_s", 0, "seconds, above 0"),
        ("gpus_per_slot", 0, "a whole number of GPUs of a slot, from 1"),
        ("cpus_per_slot", 0, "a whole number of processor cores of a slot, from 1"),
        ("cpus_per_measuring", 0.5, "a whole number of processor cores where videos are measured, from 1"),
    ],
)
def test_a_setting_that_cannot_be_says_what_can(name: str, value: float, allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}; allowed: {allowed}"):
        read_group(RaySettings, {name: value}, "here")
