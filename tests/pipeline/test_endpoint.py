"""Calls to a service: what its failures are called, what is tried again, and that the key stays unseen."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.endpoint import Endpoint, EndpointSettings, ServiceError, _read_retry_after
from pipeline.errors import RequestError

KEY = "sk-Zx81very-secret-key-0923"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another-service")


def endpoint(base_url: str, **more: Any) -> Endpoint:
    return Endpoint(EndpointSettings(base_url=base_url, model="m", **{"time_limit_s": 60.0, **more}))


def ask(one: Endpoint) -> Any:
    return one.call_for_json(
        lambda client: client.chat.completions.with_streaming_response.create(
            model="m", messages=[{"role": "user", "content": "hello"}]
        )
    )


def failure(one: Endpoint) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        ask(one)
    return caught.value


def test_an_answer_comes_back(service, reply) -> None:
    service.replies = [reply({"fine": True})]
    assert ask(endpoint(service.url, key_variable="A_KEY")) == {"fine": True}
    path, headers, _ = service.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"


def test_what_belongs_to_another_service_is_not_sent(service, reply) -> None:
    service.replies = [reply({})]
    ask(endpoint(service.url))
    assert "another-service" not in str(service.requests[0][1])


@pytest.mark.parametrize(
    ("status", "kind", "again"),
    [
        (400, "refused_by_service", False),
        (401, "wrong_key", False),
        (403, "wrong_key", False),
        (404, "refused_by_service", False),
        (408, "server_error", True),
        (429, "rate_limited", True),
        (500, "server_error", True),
        (503, "server_error", True),
    ],
)
def test_a_failure_has_a_kind_and_may_pass_or_not(
    service, reply, status: int, kind: str, again: bool
) -> None:
    service.replies = [reply({"error": {"message": "so it is"}}, status)]
    error = failure(endpoint(service.url))
    assert (error.kind, error.again, error.after_s) == (kind, again, None)
    assert f"{service.url} (m) says {status}" in str(error)
    assert ("so it is" in str(error)) is (kind != "wrong_key")  # there, its words may quote parts of the key
    assert len(service.requests) == 1  # trying again is somebody else's business


def test_a_service_says_when_to_come_again(service, reply) -> None:
    service.replies = [reply({}, 429, {"retry-after": "7"})]
    assert failure(endpoint(service.url)).after_s == 7


def test_a_quota_that_is_used_up_does_not_come_back(service, reply) -> None:
    service.replies = [reply({"error": {"message": "pay", "code": "insufficient_quota"}}, 429)]
    assert not failure(endpoint(service.url)).again


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("soon", None),
        ("nan", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_the_waiting_time_is_read(value: str | None, seconds: float | None) -> None:
    assert _read_retry_after(value) == seconds


@pytest.mark.parametrize("body", ['{"choices": [{"mess', "", "<html>", b"\xff\xfe"])
def test_an_answer_that_is_no_json_may_be_better_next_time(service, reply, body: str | bytes) -> None:
    service.replies = [reply(body)]
    error = failure(endpoint(service.url))
    assert (error.kind, error.again) == ("bad_answer", True)
    assert "not complete JSON" in str(error)


def test_an_answer_that_breaks_off_may_be_better_next_time(service, reply) -> None:
    service.replies = [reply('{"a": 1', announced=100)]
    assert failure(endpoint(service.url, time_limit_s=0.5)).kind in {"unreachable", "timed_out"}


def test_a_service_that_is_not_there(free_port: int) -> None:
    error = failure(endpoint(f"http://127.0.0.1:{free_port}/v1"))
    assert (error.kind, error.again) == ("unreachable", True)
    assert "refused" in str(error)


def test_a_service_that_does_not_answer(service, reply) -> None:
    service.replies = [reply({}, before_s=30)]
    error = failure(endpoint(service.url, time_limit_s=0.2))
    assert (error.kind, error.again) == ("timed_out", False)


def test_a_service_that_answers_byte_by_byte_is_too_slow_as_well(service, reply) -> None:
    service.replies = [reply("x" * 1000, piece_s=0.05)]
    error = failure(endpoint(service.url, time_limit_s=0.3))
    assert error.kind == "timed_out"


def test_an_endless_answer_is_not_kept(service, reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.endpoint._MAX_ANSWER_BYTES", 1000)
    service.replies = [reply("x" * 200_000)]
    assert "more than 1000 bytes" in str(failure(endpoint(service.url)))


@pytest.fixture
def free_port() -> Iterator[int]:
    """Give a port of loopback that nobody listens on: it is held, so that nobody can."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield int(one.getsockname()[1])


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_the_key_is_nowhere_to_be_seen(
    service, reply, status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A service that quotes the key back in the worst place, with every logger at its most talkative."""
    caplog.set_level(logging.DEBUG)
    service.replies = [reply({"error": {"message": f"{'x' * 190}{KEY} is no key", "key": KEY}}, status)]
    if status == 200:
        service.replies = [reply(f"{KEY} is not valid JSON")]
    one = endpoint(service.url, key_variable="A_KEY")
    with pytest.raises(ServiceError) as caught:
        ask(one)
    printed = capfd.readouterr()
    told = [
        *(f"{record.getMessage()} {record.args}" for record in caplog.records),
        printed.out,
        printed.err,
        "".join(traceback.format_exception(caught.value)),
        repr(caught.value),
        repr(one),
        str(vars(one)),
    ]
    assert caplog.records  # the loggers did talk
    assert KEY in str(service.requests)  # and the key was used
    for text in told:
        assert KEY not in text
        assert KEY[:12] not in text


@pytest.mark.parametrize("value", [f"{KEY}\n", f"Bearer {KEY}", f"{KEY}\u200b"])
def test_what_cannot_be_sent_as_a_key_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("A_KEY", value)
    with pytest.raises(RequestError, match="A_KEY holds no key") as caught:
        endpoint("http://localhost/v1", key_variable="A_KEY")
    assert KEY not in str(caught.value)


def test_a_key_in_place_of_its_name_is_refused_unseen() -> None:
    with pytest.raises(RequestError, match="must be the NAME of an environment variable") as caught:
        endpoint("http://localhost/v1", key_variable=KEY)
    assert KEY not in str(caught.value)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(RequestError, match="the environment variable NO_SUCH_KEY is not set"):
        endpoint("http://localhost/v1", key_variable="NO_SUCH_KEY")


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://localhost/v1",
        "file:///etc/passwd",
        "localhost:8000/v1",
        "http://",
        "http://[",
        "x",
        "http://h:99999",
    ],
)
def test_only_addresses_of_the_web_are_called(base_url: str) -> None:
    with pytest.raises(RequestError, match="must begin with http:// or https://"):
        endpoint(base_url)


@pytest.mark.parametrize(
    "base_url", [f"https://me:{KEY}@host/v1", f"https://host/v1?key={KEY}", f"https://h/v1#{KEY}"]
)
def test_an_address_with_a_secret_in_it_is_refused_unseen(base_url: str) -> None:
    with pytest.raises(RequestError, match="no user, password, query or fragment") as caught:
        endpoint(base_url)
    assert KEY not in str(caught.value)
