"""Limits: names, methods, sizes, times and numbers of requests."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient

from evalkit.app import guard
from evalkit.app.guard import Allowance, Problem, read_form
from tests.app.conftest import SCORES, Clock, Rater, finish


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1:1", "[::1]:8765", "LOCALHOST"])
def test_the_server_answers_to_its_own_names(rater: Rater, host: str) -> None:
    assert rater.client.get("/rate", headers={"host": host}).status_code == 401


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8765", "127.0.0.2", "x@localhost"],
)
def test_the_server_answers_to_no_other_name(rater: Rater, host: str) -> None:
    rater.begin()
    response = rater.client.get("/rate", headers={"host": host})
    assert response.status_code == 421
    assert "does not go by that name" in response.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
@pytest.mark.parametrize("path", ["/rate", "/answer", "/r/x"])
def test_pages_are_asked_for_or_sent_to_and_nothing_else(rater: Rater, method: str, path: str) -> None:
    assert rater.client.request(method, path).status_code == 405


def test_a_page_is_not_asked_for_in_the_wrong_way(rater: Rater) -> None:
    assert rater.client.get("/answer").status_code == 405
    assert rater.client.post("/rate").status_code == 405


def test_a_form_of_another_site_is_refused(rater: Rater) -> None:
    nonce = rater.watch(rater.begin())
    form = {"presentation": nonce, **SCORES}
    assert (
        rater.client.post("/answer", data=form, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    )
    assert (
        rater.client.post("/answer", data=form, headers={"sec-fetch-site": "same-origin"}).status_code == 200
    )


def test_a_large_form_is_not_read_to_its_end(rater: Rater) -> None:
    rater.begin()
    sent = []

    def body() -> object:
        for _ in range(10_000):
            sent.append(1)
            yield b"x" * 1024

    response = rater.client.post("/answer", content=body())  # type: ignore[arg-type]
    assert response.status_code == 413
    assert "more than an answer can be" in response.text


def test_a_form_stops_being_read_where_it_is_too_large() -> None:
    n_read = 0

    async def receive() -> dict[str, object]:
        nonlocal n_read
        n_read += 1
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    with pytest.raises(Problem, match="too_large"):
        finish(read_form(Request({"type": "http", "method": "POST", "headers": []}, receive)))
    assert n_read == guard.MOST_BYTES // 1024 + 1


def test_a_form_that_does_not_arrive_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LONGEST_ARRIVAL_S", 0.01)

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Problem, match="too_slow"):
        finish(read_form(Request({"type": "http", "method": "POST", "headers": []}, receive)))


@pytest.mark.parametrize(
    "body", [b"\xff=1", b"a", b"&".join(b"a%d=1" % number for number in range(20)), b"a=%ff"]
)
def test_what_is_no_form_is_refused(rater: Rater, body: bytes) -> None:
    rater.begin()
    assert rater.client.post("/answer", content=body).status_code == 400


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_a_problem(body: bytes) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    found: object
    try:
        found = finish(read_form(request))
    except Problem as problem:
        found = problem.status
    assert found == 400 or isinstance(found, dict)


def test_an_allowance_fills_up_with_time() -> None:
    clock = Clock()
    allowance = Allowance(at_once=3, per_s=2, clock=clock)
    assert [allowance.take("a") for _ in range(4)] == [True, True, True, False]
    assert allowance.take("b")
    clock.now += 0.5  # one more
    assert [allowance.take("a") for _ in range(2)] == [True, False]
    clock.now += 3600  # no more than at once
    assert [allowance.take("a") for _ in range(4)] == [True, True, True, False]


def test_an_allowance_forgets_who_came_long_ago() -> None:
    allowance = Allowance(at_once=1, per_s=0, clock=Clock(), n_visitors=2)
    assert [allowance.take(visitor) for visitor in "abc"] == [True] * 3
    assert allowance.take("a")  # forgotten for c
    assert not allowance.take("c")


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    clock = Clock()
    allowance = Allowance(at_once=2, per_s=1, clock=clock)
    assert allowance.take("a")
    clock.now -= 3600
    assert [allowance.take("a") for _ in range(2)] == [True, False]


def test_too_many_requests_of_a_rater_are_refused_and_of_another_not(rater: Rater) -> None:
    rater.begin()
    other = Rater(rater.desk, rater.clock)
    statuses = [rater.client.get("/rate").status_code for _ in range(130)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert "Please wait a minute" in rater.client.get("/rate").text
    rater.clock.now += 60
    assert rater.client.get("/rate").status_code == 200
    assert other.client.get(f"/r/{other.token}").status_code == 200


def test_guessing_links_is_slowed_down(rater: Rater) -> None:
    stranger = TestClient(rater.client.app, base_url="http://localhost")
    statuses = {stranger.get(f"/r/guess{number}").status_code for number in range(700)}
    assert statuses == {404, 429}
    assert rater.client.get("/a/guess").status_code == 429
