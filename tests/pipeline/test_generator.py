"""Plans are lines to paste; timelines run forward."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import plugins
from pipeline.diagnosis import fine
from pipeline.errors import GenerationError, RequestError
from pipeline.estimates import ResourceEstimate
from pipeline.events import Timeline
from pipeline.generator import DelegatingGenerator, Description, Generator, Plan, load_generator
from pipeline.plugins import PluginError
from pipeline.request import GenerationRequest

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


PUBLIC = sorted(
    name for name in dir(Generator) if not name.startswith("_") or name in {"__enter__", "__exit__"}
)
OWN = {
    "__enter__",
    "__exit__",
    "extra",
}  # built on load and close, which are forwarded; taken over with the name


class _Recording(Generator):
    """Answers each call in a way of its own and remembers it."""

    name, version, extra = "recording", "7", "generate"

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def _note(self, name: str, *given: Any, **named: Any) -> Any:
        self.calls.append((name, given, named))
        return ANSWERS[name]

    def describe(self) -> Any:
        return self._note("describe")

    def request(self, /, **parameters: Any) -> Any:
        return self._note("request", **parameters)

    def estimate(self, request: Any) -> Any:
        return self._note("estimate", request)

    def check(self, request: Any) -> None:
        self._note("check", request)

    def dry_run(self, request: Any, out_path: Any) -> Any:
        return self._note("dry_run", request, out_path)

    def diagnose(self) -> Any:
        return self._note("diagnose")

    def load(self) -> None:
        self._note("load")

    @property
    def makes_batches(self) -> bool:
        return bool(self._note("makes_batches"))

    @property
    def follows_gpus(self) -> bool:
        return bool(self._note("follows_gpus"))

    def take_gpu(self, index: int) -> None:
        self._note("take_gpu", index)

    def announce_upcoming(self, requests: Any, folder: Any) -> None:
        self._note("announce_upcoming", requests, folder)

    def generate(self, request: Any, out_path: Any, on_event: Any = None) -> Any:
        return self._note("generate", request, out_path, on_event)

    def close(self) -> None:
        self._note("close")


REQUEST = GenerationRequest(prompt="a request like no other")
ANSWERS: dict[str, Any] = {
    "describe": Description(name="a", version="b", summary="c", parameters={}),
    "request": REQUEST,
    "estimate": ResourceEstimate(n_gpus=5),
    "check": None,
    "dry_run": Plan(steps=("d",)),
    "diagnose": [fine("e", "f")],
    "load": None,
    "makes_batches": True,
    "follows_gpus": False,
    "take_gpu": None,
    "announce_upcoming": None,
    "generate": object(),
    "close": None,
}
GIVEN: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "request": ((), {"prompt": "x"}),
    "estimate": ((REQUEST,), {}),
    "check": ((REQUEST,), {}),
    "dry_run": ((REQUEST, "out"), {}),
    "announce_upcoming": (([REQUEST], "folder"), {}),
    "take_gpu": ((3,), {}),
    "generate": ((REQUEST, "out", print), {}),
}


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in OWN])
def test_a_generator_in_front_forwards_everything(name: str) -> None:
    """A method that is added to `Generator` and not forwarded fails here, also when it has a default."""
    inner = _Recording()
    outer = DelegatingGenerator(inner)
    given, named = GIVEN.get(name, ((), {}))
    answer = getattr(outer, name)
    answer = answer(*given, **named) if callable(answer) else answer
    assert inner.calls == [(name, given, named)]
    assert answer is ANSWERS[name]


def test_a_generator_in_front_has_the_name_and_loads_and_closes_the_one_behind() -> None:
    inner = _Recording()
    with DelegatingGenerator(inner) as outer:
        assert (outer.name, outer.version, outer.extra) == ("recording", "7", "generate")
    assert [name for name, _, _ in inner.calls] == ["load", "close"]


def test_a_generator_that_lacks_a_method_cannot_be_made() -> None:
    class Half(Generator):
        name, version = "half", "1"

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


def test_what_is_no_generator_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.generator.load_plugin", lambda *_: dict)
    with pytest.raises(PluginError, match=r"generator 'odd' is a dict, which does not derive from"):
        load_generator("odd", {})


def test_ours_are_generators() -> None:
    for name in plugins.list_plugins(plugins.GENERATORS):
        assert issubclass(plugins.load_plugin(plugins.GENERATORS, name), Generator)
