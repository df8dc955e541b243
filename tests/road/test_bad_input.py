"""What only a real server and a real disk show of bad input; `tests/app` says what each request is answered by."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from evalkit.runs import Run
from evalkit.runs.ratings.schema import database_of
from evalkit.testing.opened_key import OpenedKey
from evalkit.testing.rater_pages import Page, read_page
from evalkit.testing.rating_server import RatingServer
from tests.road.conftest import CLIP_S

QUESTIONS = ("overall", "lip_sync", "expression", "motion")
GOOD = dict.fromkeys(QUESTIONS, "4")


@pytest.fixture(scope="module")
def server(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RatingServer]:
    run = Path(shutil.copytree(contest, tmp_path_factory.mktemp("attacked") / "run"))
    with RatingServer(run, ["--simulated", "--raters", "30"]) as server:
        yield server


class Browser:
    """A rater's browser, by hand."""

    def __init__(self, server: RatingServer, link: str | None = None) -> None:
        self.http = httpx2.Client(base_url=server.address, trust_env=False, timeout=60)
        self._server = server
        if link is not None:
            assert self.http.get(link).status_code == 303
            assert self.http.post("/start", data={"language": "en"}).status_code == 303

    def page(self) -> Page:
        """Return the page of the present step."""
        response = self.http.get("/rate")
        assert response.status_code == 200
        return read_page(response.text)

    def play(self) -> str:
        """Play the present clip through, and return the nonce of the presentation."""
        page = self.page()
        for video in page.videos:
            assert self.http.get(video).status_code == 200
            time.sleep(CLIP_S)
        form = page.form("/answer")
        assert form is not None
        return form.hidden["presentation"]

    def answer(self, data: dict[str, str]) -> httpx2.Response:
        """Send an answer, right or wrong."""
        return self.http.post("/answer", data=data)

    def n_stored(self) -> int:
        """Return how many answers the store has, of all raters."""
        return len(OpenedKey(self._server.run_folder).answers())


@pytest.fixture
def browser(server: RatingServer) -> Iterator[Browser]:
    """Return the browser of a rater of one's own, at the first clip."""
    links = server.links
    used = getattr(server, "n_used", 0)
    server.n_used = used + 1  # type: ignore[attr-defined]
    browser = Browser(server, links[used])
    yield browser
    browser.http.close()


def says(response: httpx2.Response) -> str:
    """Return what a page says to people, and check that it says nothing of the program."""
    text = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", response.text, flags=re.DOTALL)
    assert not re.search(r"Traceback|sqlite|Error\b|\.py\b", text)
    return " ".join(text.split())


@pytest.mark.parametrize("score", ["6", "5; drop table answers"])
def test_an_answer_that_was_not_offered_is_refused(browser: Browser, score: str) -> None:
    nonce = browser.play()
    n_before = browser.n_stored()
    response = browser.answer({**GOOD, "overall": score, "presentation": nonce})
    assert 400 <= response.status_code < 500
    assert says(response)
    assert browser.n_stored() == n_before
    assert browser.answer({**GOOD, "presentation": nonce}).status_code == 303  # and the rater can go on
    assert browser.n_stored() == n_before + 1


@pytest.mark.parametrize(
    "path",
    [
        "/clip/..%2f..%2frun.json",
        "/clip/../../run.json",
        "/clip/%2e%2e/%2e%2e/run.json",
        "/clip//etc/passwd",
        "/clip/..\\..\\run.json",
        "/clip/%00",
        "/clip/ratings.sqlite",
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/run.json",
        "/ratings/ratings.sqlite",
        "/.git/config",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_leads_out(server: RatingServer, browser: Browser, path: str) -> None:
    """Sent as it stands: a client would tidy it up."""
    ((name, value),) = browser.http.cookies.items()
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {name}={value}\r\nConnection: close\r\n\r\n"
    status, body = exchange(server, head.encode())
    assert 400 <= status < 500
    assert b"schema" not in body
    assert b"root:" not in body
    assert b"import " not in body


def exchange(server: RatingServer, data: bytes) -> tuple[int, bytes]:
    """Send bytes as they are, and return the status and the rest of the response."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(data)
        received = b""
        while part := connection.recv(65536):
            received += part
    status = re.match(rb"HTTP/1\.1 (\d+)", received)
    assert status is not None, received[:200]
    return int(status[1]), received.partition(b"\r\n\r\n")[2]


def test_ten_megabytes_are_not_read(server: RatingServer, browser: Browser) -> None:
    ((name, value),) = browser.http.cookies.items()
    head = (
        f"POST /answer HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {name}={value}\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10000000\r\n\r\n"
    )
    status, _ = exchange(server, head.encode() + b"overall=" + b"5" * 20_000)  # and the rest never comes
    assert status == 413
    assert browser.http.get("/rate").status_code == 200


def evalkit(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evalkit", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_a_damaged_database_costs_no_measurement(contest: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(contest, tmp_path / "run"))
    with RatingServer(run, ["--simulated", "--raters", "1"]):
        pass
    database = database_of(run)
    data = bytearray(database.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    database.write_bytes(data)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    served = evalkit("rate", "serve", run, "--port", "0")
    assert served.returncode == 2
    assert "ratings.sqlite" in served.stderr.replace("\n", "")
    assert "damaged" in served.stderr or "cannot be read" in served.stderr
    assert "Traceback" not in served.stderr
    assert Run.open(run).trials()
    reported = evalkit("report", run)
    assert reported.returncode == 0, reported.stderr
    assert "ratings" in (run / "report.md").read_text("utf-8")


def test_a_full_disk_is_said_and_loses_nothing(contest: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full: writing fails in the same way."""
    run = Path(shutil.copytree(contest, tmp_path / "run"))
    with RatingServer(run, ["--simulated", "--raters", "2"]) as server:
        browser = Browser(server, server.links[0])
        first = browser.play()
        assert browser.answer({**GOOD, "presentation": first}).status_code == 303
        second = browser.play()
        server.limit_files(0)
        refused = browser.answer({**GOOD, "presentation": second})
        assert refused.status_code in {500, 503, 507}
        assert says(refused)
        assert OpenedKey(run).answers().keys() == {first}
        server.limit_files(None)
        assert browser.answer({**GOOD, "presentation": second}).status_code == 303
        assert OpenedKey(run).answers().keys() == {first, second}
        browser.http.close()
