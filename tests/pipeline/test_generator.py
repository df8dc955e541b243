"""Plans are lines to paste; timelines run forward."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import GenerationError, RequestError
from pipeline.events import Timeline
from pipeline.generator import Plan

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.events import Event

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)


@given(words=st.lists(WORDS, min_size=1, max_size=5))
def test_a_shell_reads_the_plan_as_the_same_words(words: list[str]) -> None:
    assert shlex.split(Plan(argv=tuple(words)).text()) == words


def test_a_pasted_plan_does_what_it_says(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['MODE'], sys.argv[1:])"
    plan = Plan(
        steps=("first this",),
        argv=(sys.executable, "-c", code, "a b", "$HOME", "it's"),
        folder=str(tmp_path),
        environment={"MODE": "x y"},
    )
    done = subprocess.run(["/bin/sh", "-c", plan.text()], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{tmp_path} x y {['a b', '$HOME', chr(39).join(('it', 's'))]}"


def test_a_plan_without_a_program_is_only_its_steps() -> None:
    assert Plan(steps=("copies a to b",)).text() == "# copies a to b"


def test_a_timeline_keeps_and_tells_events_in_order() -> None:
    told: list[Event] = []
    timeline = Timeline(told.append)
    timeline.mark("loaded")
    timeline.mark("clip", index=0, name="the detail may have any name")
    assert [event.name for event in timeline.events] == ["loaded", "clip"]
    assert tuple(told) == timeline.events
    assert timeline.events[1].detail == {"index": 0, "name": "the detail may have any name"}
    assert 0 <= timeline.events[0].time_s <= timeline.events[1].time_s


@pytest.mark.parametrize(
    ("error", "base", "kind"),
    [
        (RequestError("no"), ValueError, "refused"),
        (GenerationError("no", "timed_out"), RuntimeError, "timed_out"),
    ],
)
def test_errors_are_told_apart_without_importing_them(
    error: Exception, base: type[Exception], kind: str
) -> None:
    assert isinstance(error, base)
    assert getattr(error, "kind", None) == kind


def test_a_failure_goes_to_another_process_whole() -> None:
    import pickle

    again = pickle.loads(pickle.dumps(GenerationError("no memory", "out_of_memory")))  # noqa: S301 - just made here
    assert (str(again), again.kind) == ("no memory", "out_of_memory")
