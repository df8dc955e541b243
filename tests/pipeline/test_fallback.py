"""Backends in order: who is asked, how often, how long, and what is written down of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.endpoint import NO_KEY, ServiceError
from pipeline.errors import GenerationError, RequestError
from pipeline.fallback import BackendSettings, FallbackChain

UNREACHABLE = ServiceError("nobody there", "unreachable", again=True)
WRONG_KEY = ServiceError("who are you", "wrong_key")


class Scripted:
    """Does in turn what it is told: raises an error, calls a function, or returns a value."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)

    def ask(self) -> Any:
        """Do the next step."""
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step


Make = Callable[..., FallbackChain[Scripted]]


@pytest.fixture
def waited() -> list[float]:
    """Give the pauses that were made."""
    return []


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch, waited: list[float]) -> Make:
    """Give a maker of chains: pairs of settings and a script."""

    def make(*links: tuple[dict[str, Any], list[Any]]) -> FallbackChain[Scripted]:
        scripts = {f"b{number}": script for number, (_, script) in enumerate(links)}
        monkeypatch.setattr("pipeline.fallback.load_plugin", lambda _, name: lambda: Scripted(*scripts[name]))
        chosen = [BackendSettings(name=f"b{number}", **given) for number, (given, _) in enumerate(links)]
        return FallbackChain("group", chosen, wait=waited.append)

    return make


def outcomes(attempts: Any) -> list[tuple[str, str, int]]:
    return [(attempt.backend, attempt.outcome, attempt.n_tries) for attempt in attempts]


def test_the_first_that_answers_is_used_and_the_rest_is_not_asked(chain: Make) -> None:
    result, attempts = chain(({}, ["one"]), ({}, ["two"])).call(Scripted.ask)
    assert result == "one"
    assert outcomes(attempts) == [("b0", "used", 1)]
    assert attempts[0].reason == ""


def test_a_failure_that_may_pass_is_tried_again_after_longer_and_longer_pauses(
    chain: Make, waited: list[float]
) -> None:
    both = chain(({"retries": 3, "backoff_s": 0.5}, [UNREACHABLE]), ({}, ["two"]))
    result, attempts = both.call(Scripted.ask)
    assert result == "two"
    assert outcomes(attempts) == [("b0", "unreachable", 4), ("b1", "used", 1)]
    assert attempts[0].reason == "nobody there"
    assert waited == [0.5, 1.0, 2.0]


def test_a_try_that_works_ends_the_trying(chain: Make) -> None:
    result, attempts = chain(({"retries": 3}, [UNREACHABLE, UNREACHABLE, "one"])).call(Scripted.ask)
    assert (result, outcomes(attempts)) == ("one", [("b0", "used", 3)])


def test_a_wrong_key_is_not_tried_again(chain: Make, waited: list[float]) -> None:
    _, attempts = chain(({"retries": 5}, [WRONG_KEY]), ({}, ["two"])).call(Scripted.ask)
    assert outcomes(attempts) == [("b0", "wrong_key", 1), ("b1", "used", 1)]
    assert waited == []


def test_the_service_says_how_long_to_wait(chain: Make, waited: list[float]) -> None:
    limited = ServiceError("slowly", "rate_limited", again=True, after_s=7.0)
    result, _ = chain(({"backoff_s": 0.1}, [limited, "one"])).call(Scripted.ask)
    assert result == "one"
    assert waited == [7.0]


def test_nobody_waits_beyond_the_time_limit(chain: Make, waited: list[float]) -> None:
    limited = ServiceError("slowly", "rate_limited", again=True, after_s=60.0)
    _, attempts = chain(({"time_limit_s": 8.0}, [limited]), ({}, ["two"])).call(Scripted.ask)
    assert outcomes(attempts) == [("b0", "rate_limited", 1), ("b1", "used", 1)]
    assert "60 s later, would be beyond its 8 s" in attempts[0].reason
    assert waited == []


def test_one_that_is_slow_is_left_and_not_asked_again_while_it_works(chain: Make) -> None:
    free = threading.Event()
    both = chain(({"time_limit_s": 2.0}, [free.wait, "one"]), ({}, ["two"]))
    result, attempts = both.call(Scripted.ask)
    assert (result, outcomes(attempts)) == ("two", [("b0", "timed_out", 1), ("b1", "used", 1)])
    _, attempts = both.call(Scripted.ask)
    assert outcomes(attempts) == [("b0", "busy", 1), ("b1", "used", 1)]
    free.set()
    for thread in threading.enumerate():
        if thread.name == "asks b0":
            thread.join()
    assert both.call(Scripted.ask)[0] == "one"


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (RequestError("not that language"), "refused", "not that language"),
        (GenerationError("too big", "out_of_memory"), "out_of_memory", "too big"),
        (KeyError("a bug"), "crashed", "KeyError: 'a bug'"),
    ],
)
def test_whatever_one_fails_of_the_next_is_asked(
    chain: Make, error: Exception, outcome: str, reason: str
) -> None:
    result, attempts = chain(({}, [error]), ({}, ["two"])).call(Scripted.ask)
    assert result == "two"
    assert (attempts[0].outcome, attempts[0].reason) == (outcome, reason)


def test_when_all_fail_each_says_why(chain: Make) -> None:
    both = chain(({"retries": 0}, [UNREACHABLE]), ({"label": "ours"}, [WRONG_KEY]))
    with pytest.raises(GenerationError) as caught:
        both.call(Scripted.ask)
    assert caught.value.kind == "no_backend"
    assert str(caught.value) == "b0: nobody there (unreachable); ours: who are you (wrong_key)"


def test_a_result_that_is_not_enough_counts_where_there_is_no_better_one(chain: Make) -> None:
    three = chain(({}, ["poor"]), ({}, ["poorer"]), ({}, [WRONG_KEY]))
    result, attempts = three.call(Scripted.ask, lambda result: result == "good")
    assert result == "poorer"
    assert outcomes(attempts) == [("b0", "unsatisfactory", 1), ("b1", "used", 1), ("b2", "wrong_key", 1)]


def test_a_better_result_further_down_is_taken(chain: Make) -> None:
    result, attempts = chain(({}, ["poor"]), ({}, ["good"])).call(
        Scripted.ask, lambda result: result == "good"
    )
    assert result == "good"
    assert outcomes(attempts) == [("b0", "unsatisfactory", 1), ("b1", "used", 1)]


def test_what_all_refuse_is_refused_with_all_reasons(chain: Make) -> None:
    def check(one: Scripted) -> None:
        if one.script[0] != "fine":
            raise RequestError(f"{one.script[0]} is bad")

    chain(({}, ["a"]), ({}, ["fine"])).check(check)
    with pytest.raises(RequestError, match=r"b0: a is bad\nb1: b is bad"):
        chain(({}, ["a"]), ({}, ["b"])).check(check)
    with pytest.raises(RequestError, match=r"^a is bad$"):
        chain(({}, ["a"])).check(check)


def test_a_backend_is_called_by_its_label_or_its_name_and_model() -> None:
    assert BackendSettings(name="openai").called == "openai"
    assert BackendSettings(name="openai", settings={"model": "qwen-plus"}).called == "openai qwen-plus"
    assert BackendSettings(name="openai", settings={"model": "x"}, label="cloud").called == "cloud"


def test_refused_settings_are_told_with_the_backend_s_name() -> None:
    with pytest.raises(RequestError, match=r"^documents: min_score is 2; allowed: a share"):
        FallbackChain("evalkit.answerers", [BackendSettings(name="documents", settings={"min_score": 2})])


def test_an_unknown_backend_is_named_with_the_nearest() -> None:
    with pytest.raises(RequestError, match="no answerer is named 'opnai'; did you mean 'openai'"):
        FallbackChain("evalkit.answerers", [BackendSettings(name="opnai")])


def without_key(monkeypatch: pytest.MonkeyPatch, *scripts: list[Any] | None) -> FallbackChain[Scripted]:
    """Make a chain whose backends with None for a script refuse, as a service whose key is not there."""

    def build(name: str) -> Scripted:
        script = scripts[int(name[1:])]
        if script is None:
            raise RequestError("the environment variable A_KEY is not set", NO_KEY)
        return Scripted(*script)

    monkeypatch.setattr("pipeline.fallback.load_plugin", lambda _, name: lambda: build(name))
    return FallbackChain("group", [BackendSettings(name=f"b{number}") for number in range(len(scripts))])


def test_a_service_without_its_key_is_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = without_key(monkeypatch, None, ["two"])
    result, attempts = chain.call(Scripted.ask)
    assert result == "two"
    assert outcomes(attempts) == [("b0", NO_KEY, 0), ("b1", "used", 1)]
    assert attempts[0].reason == "the environment variable A_KEY is not set"
    assert len(chain.backends) == 1


def test_where_every_key_is_missing_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match=r"(?s)b0: the environment variable A_KEY is not set.*b1: the env"):
        without_key(monkeypatch, None, None)


def test_what_ran_out_of_time_names_the_setting_that_gives_it_more(chain: Make) -> None:
    stop = threading.Event()
    _, attempts = chain(({"time_limit_s": 0.05}, [stop.wait]), ({}, ["two"])).call(Scripted.ask)
    stop.set()
    assert attempts[0].reason == "did not finish within 0.05 s; its time_limit_s allows more"
