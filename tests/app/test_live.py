"""The live pages: who gets in, what is shown of a folder, what never leaves it, and what is written."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import psutil
import pytest
from starlette.testclient import TestClient

from evalkit.app.live.jobs import Site, Wish, draw
from evalkit.app.live.server import LiveApp, Settings
from evalkit.app.live.work import Bench
from evalkit.decisions.policy import policy_text
from evalkit.runs.notes import read_notes
from evalkit.scores import Definitions, MetricDefinition, import_scores
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.runs import write_grid
from tests.app.conftest import finish

TOKEN = "the-token"  # noqa: S105 - of a server of the tests
SITE = "http://localhost:8764"
SCRIPT = "<script>window.hit = 1</script>"
HTML = "<b>&\"'x"
SECRET = "nothing of this may ever be seen"  # noqa: S105 - it is none
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the served one and, beside it, a file that is nobody's business."""
    home = tmp_path_factory.mktemp("home")
    (home / "secret.json").write_text(json.dumps({"schema": 3, "text": SECRET}), "utf-8")
    clip = write_clip(home / "clip.mp4", moving_pattern(0.4, width=96, height=64), sound=tone(0.4))
    served = home / "runs"
    write_grid(served / "first", sizes=("384*256",), video=clip)
    write_grid(served / "week 1" / "second", sizes=("384*256",), steps=(2, 4), unfinished=(7,))
    write_grid(served / HTML, sizes=("384*256",), steps=(2,))
    return home


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    """Return a copy of the served folder that a test may change."""
    return shutil.copytree(home / "runs", tmp_path / "runs", symlinks=True)


class Reader:
    """A browser that was given the link.

    Parameters
    ----------
    folder : Path
        What is served.
    """

    def __init__(self, folder: Path, *, is_in: bool = True, token: str = TOKEN) -> None:
        self.app = LiveApp(Settings(folder, token), clock=lambda: math.inf)  # no look holds
        self.client = TestClient(self.app, base_url=SITE)
        if is_in and token:
            self.client.get(f"/?token={token}")

    def page(self, path: str) -> str:
        """Return a page, however long it takes to be worked out."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = self.client.get(path)
            if found.status_code != 202 and "eing worked out" not in found.text:
                assert found.status_code == 200, found.text
                return found.text
            time.sleep(0.2)
        raise AssertionError(f"{path} is still being worked out")

    def ask(self, raw_path: bytes) -> tuple[int, bytes]:
        """Ask for a path exactly as it is written; return status and body."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        return finish(_ask(self.app, raw_path, cookies))


async def _ask(app: LiveApp, raw_path: bytes, cookies: str) -> tuple[int, bytes]:
    from urllib.parse import unquote

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(raw_path.decode("latin-1")),
        "raw_path": raw_path,
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost:8764"), (b"cookie", cookies.encode())],
        "client": ("127.0.0.1", 5),
        "server": ("localhost", 8764),
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    return sent[0]["status"], body


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let results be kept in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("cache")
        patch.setenv("EVALKIT_CACHE_DIR", str(place))
        yield place


@pytest.fixture(scope="module")
def shared(home: Path, cache: Path) -> Iterator[Reader]:  # noqa: ARG001 - the cache is set before
    """Return a reader of runs that nobody changes."""
    reader = Reader(home / "runs")
    yield reader
    reader.app.close()


@pytest.fixture
def reader(folder: Path, cache: Path) -> Iterator[Reader]:  # noqa: ARG001 - as above
    """Return a reader of runs that the test changes."""
    reader = Reader(folder)
    yield reader
    reader.app.close()


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- who gets in


@pytest.mark.parametrize(
    "path", ["/", "/runs/", "/trend", "/compare", "/runs/first/", "/runs/first/run.json", "/x"]
)
def test_without_the_token_nothing_is_seen(shared: Reader, path: str) -> None:
    stranger = TestClient(shared.app, base_url=SITE)
    for asked in (path, f"{path}?token=", f"{path}?token=wrong"):
        found = stranger.get(asked)
        assert found.status_code == 401
        assert "made up" not in found.text
        assert "/first" not in found.text


def test_the_link_lets_in_and_the_token_leaves_the_address(shared: Reader) -> None:
    browser = TestClient(shared.app, base_url=SITE)
    led = browser.get(f"/trend?token={TOKEN}&language=en", follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (303, "/trend?language=en")
    cookie = led.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert TOKEN not in cookie
    assert browser.get("/runs/").status_code == 200


def test_no_link_leads_to_another_site(shared: Reader) -> None:
    status, page = shared.ask(b"//elsewhere.example/x")
    assert status == 404
    assert b'"//elsewhere' not in page
    found = TestClient(shared.app, base_url=SITE).get(
        f"{SITE}//elsewhere.example/?token={TOKEN}", follow_redirects=False
    )
    assert found.headers["location"].startswith("/elsewhere")


def test_who_asks_for_no_study_sees_nothing_of_these_pages(shared: Reader) -> None:
    found = TestClient(shared.app, base_url=SITE).get("/rate/none/")
    assert found.status_code == 404
    assert "/runs/" not in found.text
    assert "/trend" not in found.text


def test_a_session_ends_with_the_server(shared: Reader, home: Path) -> None:
    after = Reader(home / "runs", is_in=False)
    after.client.cookies.update(shared.client.cookies)
    assert after.client.get("/runs/").status_code == 401
    after.app.close()


def test_without_a_token_all_may_read(home: Path, cache: Path) -> None:  # noqa: ARG001 - as above
    reader = Reader(home / "runs", token="")
    assert reader.client.get("/runs/").status_code == 200
    reader.app.close()


def test_another_name_of_the_server_is_refused(shared: Reader) -> None:
    assert shared.client.get("/runs/", headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_from_elsewhere_writes_nothing(reader: Reader, folder: Path, headers: dict[str, str]) -> None:
    found = reader.client.post("/notes/first/add", data={"text": "hello"}, headers=headers)
    assert found.status_code == 403
    assert read_notes(folder / "first").notes == ()


# --- what is shown


def test_the_list_says_what_there_is(shared: Reader) -> None:
    page = shared.page("/runs/")
    for words in ("all 12 clips are done", "week 1/second", "3 configurations", "2 configurations"):
        assert words in page
    assert "7 of 8 clips are done" in page
    assert "&lt;b&gt;&amp;" in page
    assert HTML not in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("text=second", {"week%201/second"}),
        ("text=no+such+run", set()),
        ("generator=made+up", {"first", "week%201/second", "%3Cb%3E%26%22%27x"}),
        ("generator=other", set()),
        ("since=2100-01-01", set()),
        ("until=2100-01-01&text=first", {"first"}),
        ("verdict=unreadable", set()),
        ("tag=none", set()),
    ],
)
def test_the_list_is_filtered_without_a_script(shared: Reader, query: str, shown: set[str]) -> None:
    page = shared.page(f"/runs/?{query}")
    assert set(re.findall(r'<h2><a href="/runs/([^"]+)/">', page)) == shown


def test_the_page_of_a_run_is_its_report(shared: Reader) -> None:
    page = shared.page("/runs/week%201/second/")
    assert "Sweep of made up: second" in page
    assert 'href="/notes/week%201/second/"' in page
    assert (
        shared.client.get("/runs/week%201/second", follow_redirects=False)
        .headers["location"]
        .endswith("/second/")
    )


def test_headers_allow_exactly_the_script_of_the_page(shared: Reader) -> None:
    shared.page("/runs/first/")
    found = shared.client.get("/runs/first/")
    script = re.search(r"<script>(.*?)</script>", found.text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = found.headers["content-security-policy"]
    assert f"'sha256-{digest}'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_videos_are_sent_in_parts(shared: Reader, home: Path) -> None:
    video = next((home / "runs" / "first" / "videos").glob("*/video.mp4"))
    path = f"/runs/first/{video.relative_to(home / 'runs' / 'first').as_posix()}"
    found = shared.client.get(path, headers={"range": "bytes=10-19"})
    assert found.status_code == 206
    assert found.content == video.read_bytes()[10:20]
    assert found.headers["content-type"] == "video/mp4"
    assert "sandbox" in found.headers["content-security-policy"]


def test_two_runs_are_compared(shared: Reader) -> None:
    chosen = shared.client.get("/compare?run=first&run=week%201%2Fsecond", follow_redirects=False)
    assert chosen.status_code == 303
    page = shared.page(chosen.headers["location"])
    assert "Comparison" in page
    for wrong in ("a=first&b=first", "a=first&b=gone", "run=first", "a=first&split=x"):
        found = shared.client.get(f"/compare?{wrong}")
        assert found.status_code == 422
        assert "<select" in found.text


def test_a_run_is_compared_with_itself_by_a_parameter(shared: Reader) -> None:
    assert "Comparison" in shared.page("/compare?a=first&split=sample_steps%3D2%2C4")


def test_a_sign_off_is_tried_and_nothing_is_written(reader: Reader, folder: Path) -> None:
    before = snapshot(folder)
    page = reader.page("/signoff/first/?where=sample_steps%3D4")
    assert "Nothing is written to the ledger" in page
    assert "FAIL" in page
    assert snapshot(folder) == before


def test_every_language(shared: Reader) -> None:
    for path in ("/runs/", "/trend", "/compare", "/notes/first/"):
        assert '<html lang="zh-CN">' in shared.page(f"{path}?language=zh-CN")
        assert '<html lang="en">' in shared.page(f"{path}?language=en")
    kept = TestClient(shared.app, base_url=SITE, cookies=shared.client.cookies)
    kept.get("/runs/?language=zh-CN")
    assert '<html lang="zh-CN">' in kept.get("/trend").text


def release(folder: Path, name: str, created_at: str, decision: str = "PASS") -> None:
    """Let a run be of a day, with a ledger that lets its configuration of four steps out."""
    manifest = json.loads((folder / name / "run.json").read_text("utf-8"))
    (folder / name / "run.json").write_text(json.dumps({**manifest, "created_at": created_at}), "utf-8")
    entry = {
        "decision": decision,
        "judged_at": created_at,
        "policy": {"name": "customer_service", "sha256": "0"},
        "configuration": {"sample_steps": 4},
        "previous": None,
    }
    (folder / name / "decisions").mkdir(exist_ok=True)
    (folder / name / "decisions" / "ledger.jsonl").write_text(json.dumps(entry) + "\n", "utf-8")


def test_the_last_release_is_the_baseline_of_trend_and_sign_off(reader: Reader, folder: Path) -> None:
    release(folder, "first", "2026-10-01T00:00:00+00:00")
    release(folder, "week 1/second", "2026-11-01T00:00:00+00:00", decision="FAIL")
    listed = reader.page("/runs/?verdict=released")
    assert set(re.findall(r'<h2><a href="/runs/([^"]+)/">', listed)) == {"first"}
    assert "Signed off 2026-10-01: PASS" in listed
    assert re.search(r"Signed off 2026-11-01( \(sample_steps 4\))?: FAIL", reader.page("/runs/?text=second"))
    trend = reader.page("/trend")
    assert "the last release, first" in trend
    assert 'href="/compare?a=first&amp;b=' in trend
    assert "Held beside the last release, first" in reader.page(
        "/signoff/week%201/second/?where=sample_steps%3D4"
    )
    assert "Held beside" not in reader.page("/signoff/first/?where=sample_steps%3D4")


def test_a_filter_that_leaves_nothing_is_said(shared: Reader) -> None:
    found = shared.page("/trend?tag=nobody+gave+it")
    assert "No run fits the filter." in found
    assert "nothing to draw" not in found


def test_a_configuration_that_is_gone_is_no_release(reader: Reader, folder: Path) -> None:
    release(folder, "first", "2026-10-01T00:00:00+00:00")
    ledger = folder / "first" / "decisions" / "ledger.jsonl"
    entry = json.loads(ledger.read_text("utf-8"))
    ledger.write_text(json.dumps({**entry, "configuration": {"sample_steps": 9}}) + "\n", "utf-8")
    listed = reader.page("/runs/")
    assert "of a configuration that is not found in this run any more" in listed
    assert "Released" not in listed
    assert "No run here was released yet" in reader.page("/trend")


def test_a_last_release_that_cannot_be_compared_is_told(folder: Path) -> None:
    site = Site(folder.resolve())
    levels = {"sample_steps": "4"}
    first = folder.resolve() / "first"
    page = draw(site, Wish("signoff", (first,), "en", where=levels, baseline=first, baseline_where=levels))
    assert "is what is judged" in page.not_beside
    assert "last release" not in page.text


def test_a_comparison_says_which_policy_judges_and_why(folder: Path, tmp_path: Path) -> None:
    """The policies that the runs name decide, as in `evalkit compare`; what takes their place is no secret."""
    site = Site(folder.resolve())
    runs = (folder.resolve() / "first", folder.resolve() / "week 1" / "second")
    inside, outside = str(folder.resolve() / "ours.yaml"), str(tmp_path / "ours.yaml")
    Path(inside).write_text(policy_text("customer_service"), "utf-8")

    def note(*names: str | None) -> str:
        for run, name in zip(runs, names, strict=True):
            manifest = json.loads((run / "run.json").read_text("utf-8"))
            (run / "run.json").write_text(json.dumps({**manifest, "policy": name}), "utf-8")
        return draw(site, Wish("compare", runs, "en")).text

    assert "judged by the policy" not in note(inside, inside)
    different = note(inside, "customer_service")
    assert "judged by the policy customer_service: they name different ones" in different
    assert "judged by the policy customer_service: no policy was named" in note(None, None)
    hidden = note(outside, outside)
    assert "judged by the policy customer_service: the policy" in hidden
    assert "is not in the folder that is served, so it is not read" in hidden


def test_a_page_follows_what_stands_beside_the_records(reader: Reader, folder: Path) -> None:
    """Outcomes of a live trial, looks, ratings and policies change a page, and none of them is a record of a video."""
    before = reader.page("/runs/first/")
    scores = folder.parent / "live.csv"
    scores.write_text("session,sample_steps,minutes\na,4,5\nb,4,6\n", "utf-8")
    meaning = MetricDefinition(
        better="higher", meaning="how long people stayed", unit="min", column="minutes"
    )
    import_scores(
        folder / "first", scores, definitions=Definitions(metrics={"live.minutes": meaning}, version="1")
    )
    assert "live.minutes" not in before
    assert "live.minutes" in reader.page("/runs/first/")


@pytest.mark.parametrize(
    "query", ["where=steps", "where=%3D4", "where=sample_steps%3D", "split=x%3D1", "split=x"]
)
def test_what_cannot_be_meant_is_not_left_out(shared: Reader, query: str) -> None:
    """A condition that is dropped would show other clips than were asked for."""
    found = shared.client.get(f"/compare?a=first&b=week%201%2Fsecond&{query}")
    assert found.status_code == 422
    assert "is not NAME=VALUE" in found.text
    if query.startswith("where"):
        found = shared.client.get(f"/signoff/first/?{query}")
        assert found.status_code == 422
        assert "is not NAME=VALUE" in found.text


@pytest.mark.parametrize("n", ["²", "9" * 5000, "-1", "x"])
def test_a_number_of_raters_that_is_none_is_refused(reader: Reader, folder: Path, n: str) -> None:
    (folder / "first" / "ratings").mkdir()
    (folder / "first" / "ratings" / "ratings.sqlite").touch()
    assert reader.client.post("/notes/first/invite", data={"n": n}).status_code == 422


# --- what never leaves the folder


@pytest.mark.parametrize(
    "path",
    [
        b"/runs/../secret.json",
        b"/runs/first/../../../secret.json",
        b"/runs/%2e%2e/secret.json",
        b"/runs/first/%2e%2e/%2e%2e/secret.json",
        b"/runs/first/..%2f..%2fsecret.json",
        b"/runs/first/%2e%2e%2f%2e%2e%2fsecret.json",
        b"/runs/first/..%5c..%5csecret.json",
        b"/runs/first/..\\..\\secret.json",
        b"/runs/first//secret.json",
        b"/runs//etc/passwd",
        b"/runs/%2fetc%2fpasswd",
        b"/runs/first/%00.json",
        b"/runs/first/run.json%00.txt",
        b"/runs/first/" + b"a/" * 500 + b"x.json",
        b"/runs/first/" + b"a" * 5000,
        b"/runs/first/%c0%ae%c0%ae/secret.json",
        b"/runs/first/%252e%252e/secret.json",
        b"/runs/first/.lock",
        b"/thumb/../secret.json",
        b"/notes/../first/",
        b"/signoff/..%2f",
        b"/runs/first/run.json/",
        b"/runs/first/videos/",
    ],
)
def test_no_path_leads_out(shared: Reader, path: bytes) -> None:
    status, body = shared.ask(path)
    assert status == 404
    assert SECRET.encode() not in body
    assert b"root:" not in body


def test_no_link_leads_out(reader: Reader, folder: Path, home: Path) -> None:
    (folder / "first" / "out.json").symlink_to(home / "secret.json")
    (folder / "first" / "in.json").symlink_to(folder / "first" / "run.json")
    (folder / "first" / "up").symlink_to(home)
    (folder / "away").symlink_to(home / "runs" / "first")
    (folder / "shell").mkdir()
    (folder / "shell" / "run.json").symlink_to(home / "secret.json")
    assert reader.client.get("/runs/first/in.json").status_code == 200
    for path in (
        "first/out.json",
        "first/up/secret.json",
        "away/",
        "away/run.json",
        "shell/",
        "shell/run.json",
    ):
        found = reader.client.get(f"/runs/{path}")
        assert found.status_code == 404, path
        assert SECRET not in found.text
    listed = reader.page("/runs/")
    assert listed.count("Leads outside") == 2
    assert SECRET not in listed


def test_a_run_whose_records_lead_out_is_not_read(reader: Reader, folder: Path, home: Path) -> None:
    video = next((folder / "first" / "videos").iterdir())
    shutil.rmtree(video)
    video.symlink_to(home / "runs" / "first" / "videos" / video.name)
    end = time.monotonic() + PATIENCE_S
    found = reader.client.get("/runs/first/")
    while found.status_code == 202 and time.monotonic() < end:
        time.sleep(0.2)
        found = reader.client.get("/runs/first/")
    assert found.status_code == 422
    assert "leads out of the folder" in found.text


def test_a_policy_outside_is_not_read(home: Path, folder: Path, cache: Path) -> None:  # noqa: ARG001 - as above
    policy = home / "own.yaml"
    policy.write_text(f"# {SECRET}\nname: x\n", "utf-8")
    manifest = json.loads((folder / "first" / "run.json").read_text("utf-8"))
    manifest["policy"] = str(policy)
    (folder / "first" / "run.json").write_text(json.dumps(manifest), "utf-8")
    reader = Reader(folder)
    page = reader.page("/runs/first/")
    assert "is not in the folder that is served" in page
    assert SECRET not in page
    reader.app.close()


def test_what_raters_must_not_know_is_not_sent(reader: Reader, folder: Path) -> None:
    place = folder / "first" / "ratings" / "clips"
    place.mkdir(parents=True)
    (place / "copy.mp4").write_bytes(b"x")
    (folder / "first" / "way.mp4").symlink_to(place / "copy.mp4")
    for path in ("ratings/clips/copy.mp4", "way.mp4", "ratings/ratings.sqlite", "decisions/ledger.jsonl"):
        assert reader.client.get(f"/runs/first/{path}").status_code == 404


def test_a_page_among_the_files_runs_no_script(reader: Reader, folder: Path) -> None:
    (folder / "first" / "evil.html").write_text(SCRIPT, "utf-8")
    (folder / "first" / "evil.svg").write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg'>{SCRIPT}</svg>", "utf-8"
    )
    for name in ("evil.html", "evil.svg"):
        found = reader.client.get(f"/runs/first/{name}")
        assert found.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert found.headers["x-content-type-options"] == "nosniff"


# --- runs as they are


def test_a_run_that_vanishes_is_told(reader: Reader, folder: Path) -> None:
    reader.page("/runs/first/")
    reader.page("/runs/")
    shutil.rmtree(folder / "first")
    for path in ("/runs/first/", "/signoff/first/", "/notes/first/", "/runs/first/run.json", "/thumb/first"):
        found = reader.client.get(path)
        assert found.status_code == 404, path
    found = reader.client.post("/notes/first/add", data={"text": "x"})
    assert found.status_code == 404


@pytest.mark.parametrize(
    "content", ['{"schema": 3', "", "[]", '{"schema": 99}', '{"schema": 3, "created_at": 5}', "\x00"]
)
def test_a_damaged_run_is_shown_as_damaged(reader: Reader, folder: Path, content: str) -> None:
    (folder / "first" / "run.json").write_text(content, "utf-8")
    listed = reader.page("/runs/")
    assert "Cannot be read" in listed
    assert str(folder) not in listed
    found = reader.client.get("/runs/first/")
    assert found.status_code == 422
    assert "run.json" in found.text


def test_a_run_that_is_being_made_is_shown_as_that(reader: Reader, folder: Path) -> None:
    place = folder / "week 1" / "second"
    (place / ".lock").write_text(str(os.getpid()), "ascii")
    since = psutil.Process().create_time() + 1
    os.utime(place / ".lock", (since, since))
    for video in (place / "videos").iterdir():
        os.utime(video)
    page = reader.page("/runs/?text=second")
    assert "Being made" in page
    assert "7 of 8 clips are done" in page
    assert "left at the pace" in page
    assert 'http-equiv="refresh"' in page
    assert "This run is being made" in reader.page("/runs/week%201/second/")
    (place / ".lock").write_text("99999999", "ascii")  # whoever held it was killed
    (place / "run.json").touch()
    reader.client.post("/notes/first/tags", data={"tags": "looked"})
    assert "Being made" not in reader.client.get("/runs/?text=second").text


def test_a_folder_without_a_run(tmp_path: Path, cache: Path) -> None:  # noqa: ARG001 - as above
    reader = Reader(tmp_path)
    assert "There is no run here yet" in reader.page("/runs/")
    assert "nothing to draw" in reader.page("/trend")
    reader.app.close()


def test_a_folder_that_is_a_run_itself(home: Path, cache: Path) -> None:  # noqa: ARG001 - as above
    reader = Reader(home / "runs" / "first")
    assert 'href="/runs/first/"' in reader.page("/runs/")
    assert "made up: first" in reader.page("/runs/first/")
    reader.app.close()


# --- what is written


def test_notes_and_tags(reader: Reader, folder: Path) -> None:
    long_ago = snapshot(folder)
    reader.client.post("/notes/first/add", data={"text": SCRIPT, "author": HTML})
    reader.client.post("/notes/first/add", data={"text": "second\nline", "author": ""})
    reader.client.post("/notes/first/tags", data={"tags": f"a, {HTML}, a,, ünï 中文"})
    written = read_notes(folder / "first")
    assert [note.text for note in written.notes] == [SCRIPT, "second\nline"]
    assert written.tags == ("a", HTML, "ünï 中文")
    for path in ("/notes/first/", "/runs/", "/runs/first/", "/runs/?tag=a"):
        page = reader.page(path)
        assert SCRIPT not in page
        assert HTML not in page
    assert "ünï 中文" in reader.page("/runs/first/")
    assert set(re.findall(r'<h2><a href="/runs/([^"]+)/">', reader.page("/runs/?tag=a"))) == {"first"}
    page = reader.page("/notes/first/")
    name = re.findall(r'name="note" value="([^"]+)"', page)[-1]
    reader.client.post("/notes/first/remove", data={"note": name})
    assert [note.text for note in read_notes(folder / "first").notes] == ["second\nline"]
    changed = {
        path for path in {**snapshot(folder), **long_ago} if snapshot(folder).get(path) != long_ago.get(path)
    }
    assert changed == {"first/notes.json"}


@pytest.mark.parametrize(
    ("what", "form"),
    [
        ("add", {"text": ""}),
        ("add", {"text": " \n "}),
        ("add", {"text": "x" * 4001}),
        ("add", {"text": "x", "author": "y" * 81}),
        ("tags", {"tags": "x" * 41}),
        ("tags", {"tags": ",".join(f"t{i}" for i in range(21))}),
    ],
)
def test_what_is_no_note_is_refused(reader: Reader, folder: Path, what: str, form: dict[str, str]) -> None:
    before = snapshot(folder)
    assert reader.client.post(f"/notes/first/{what}", data=form).status_code == 422
    assert snapshot(folder) == before


def test_a_form_that_is_too_large_is_refused(reader: Reader) -> None:
    assert reader.client.post("/notes/first/add", data={"text": "x" * 100_000}).status_code == 413


def test_notes_that_cannot_be_read_are_kept(reader: Reader, folder: Path) -> None:
    (folder / "first" / "notes.json").write_text("{", "utf-8")
    assert "left as it is" in reader.page("/notes/first/")
    assert reader.client.post("/notes/first/add", data={"text": "x"}).status_code == 422
    assert (folder / "first" / "notes.json").read_text("utf-8") == "{"


def test_reading_writes_nothing(reader: Reader, folder: Path) -> None:
    before = snapshot(folder)
    for path in (
        "/runs/",
        "/runs/first/",
        "/runs/week%201/second/",
        "/trend",
        "/trend?runs=all",
        "/compare?a=first&b=week%201%2Fsecond",
        "/signoff/first/?where=sample_steps%3D2",
        "/notes/first/",
    ):
        reader.page(path)
    assert snapshot(folder) == before


def test_a_process_that_was_ended_is_no_result_for_the_next_server(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object) -> Future[Any]:
        lost: Future[Any] = Future()
        lost.set_exception(BrokenProcessPool("killed"))
        return lost

    before = set((cache / "serve").glob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "submit", lose)
        reader = Reader(folder)
        reader.client.get("/runs/")
        assert "perhaps for want of memory" in reader.page("/runs/")
        reader.app.close()
    assert set((cache / "serve").glob("*")) == before
    again = Reader(folder)
    assert "perhaps for want of memory" not in again.page("/runs/")
    again.app.close()


def test_what_was_worked_out_is_kept_for_the_next_server(folder: Path, cache: Path) -> None:
    first = Reader(folder)
    first.page("/runs/")
    first.app.close()
    assert list((cache / "serve").glob("*.json"))
    second = Reader(folder)
    assert "Being worked out" not in second.client.get("/runs/").text
    second.app.close()
