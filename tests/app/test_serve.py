"""The command: what it prints, and where it does not start."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from evalkit.app.serve import find_place, listen
from evalkit.cli import main
from evalkit.errors import UsageError
from evalkit.runs.files import only_writer


@pytest.fixture
def folder(runs: dict[str, Path], tmp_path: Path) -> Path:
    """Return a run that nobody was asked about yet, but whose blind copies are there."""
    return shutil.copytree(runs["acr"], tmp_path / "run")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["rate", "serve", *arguments])


@contextmanager
def served(
    *arguments: str, program: str = "from evalkit.cli import main\nmain()"
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start the command, and give what it says until it serves."""
    command = [sys.executable, "-c", program, "rate", "serve", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("serving at"):
                break
        try:
            yield process, lines
        finally:
            process.kill()


def test_links_are_printed_and_lead_to_the_first_page_until_ctrl_c(folder: Path) -> None:
    with served(str(folder), "--raters", "2", "--clips-per-rater", "4") as (process, lines):
        links = [line.split()[1] for line in lines if re.match(r"r\d+  ", line)]
        assert len(links) == 2
        with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(links[0]) as page:
            assert b"How good are these videos?" in page.read()
        admin = next(line.split()[-1] for line in lines if "/a/" in line)
        with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(admin) as page:
            assert b"0 of 2 raters finished" in page.read()
        assert any(re.search(r"\(SHA-256\): [0-9a-f]{64}$", line) for line in lines)
        second = call(str(folder), "--port", "0")
        assert second.exit_code == 2
        assert f"another process ({process.pid}) writes into this folder" in second.stderr
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints
        assert rest.strip().endswith(f"stopped; 0 answers in {folder}")
        assert complaints.startswith("note: study 1 asks something else")
        assert complaints.count("\n") == 1


def test_the_same_command_goes_on_with_the_raters_there_are(folder: Path) -> None:
    with served(str(folder), "--clips-per-rater", "4", "--raters", "3") as (_, first):
        assert sum("/r/" in line for line in first) == 3
    with served(str(folder), "--clips-per-rater", "4") as (_, again):
        assert sum("/r/" in line for line in again) == 0
        assert any(line.startswith("3 raters invited before") for line in again)
        assert again[:2] == first[:2]  # the same study with the same key


def test_a_rater_is_not_troubled_by_who_no_longer_reads_the_output(folder: Path) -> None:
    with served(str(folder), "--raters", "1", "--clips-per-rater", "4") as (process, lines):
        assert process.stdout is not None
        process.stdout.close()
        link = next(line.split()[1] for line in lines if "/r/" in line)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.open(link).close()
        begin = link.partition("/r/")[0] + "/start"
        with browser.open(begin, data=b"language=en") as page:
            assert b"1 of 8" in page.read()


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    result = call(str(tmp_path), "--port", "0")
    assert (result.exit_code, "is not a run folder" in result.stderr) == (2, True)


def test_a_port_that_is_taken(folder: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = call(str(folder), "--port", str(port))
    assert result.exit_code == 2
    assert f"cannot listen at 127.0.0.1, port {port}: Address already in use" in result.stderr


def test_a_run_that_is_written_to_by_another(folder: Path) -> None:
    with only_writer(folder / "ratings"):
        result = call(str(folder), "--port", "0")
    assert result.exit_code == 2
    assert f"another process ({os.getpid()})" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pairs", "one", "--questions", "motion"], "--questions belongs to scores"),
        (["--questions", "smile"], "smile"),
        (["--pairs", "three"], "'three' is not one of"),
        (["--base-url", "https://rate.example.org/here"], "without a path"),
        (["--base-url", "rate.example.org"], "is no address of a site"),
    ],
)
def test_wrong_use(folder: Path, options: list[str], said: str) -> None:
    result = call(str(folder), "--port", "0", *options)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    "url",
    ["https://[::1", "https://a:70000", "https://a:0", "https://a b", "https://me:secret@a", "ftp://a", ""],
)
def test_what_is_no_site_is_refused_by_whoever_prints_links(folder: Path, url: str) -> None:
    with pytest.raises(UsageError, match="is no address of a site"):
        find_place("127.0.0.1", 8765, url)
    result = CliRunner().invoke(main, ["rate", "invite", str(folder), "--base-url", url])
    assert (result.exit_code, "is no address of a site" in result.stderr) == (2, True)


def test_nobody_else_reaches_it_unless_told_so() -> None:
    place = find_place("127.0.0.1", 8765, None)
    assert (place.url, place.is_private, place.is_secure) == ("http://127.0.0.1:8765", True, False)
    assert set(place.hosts) == {"localhost", "127.0.0.1", "[::1]"}
    assert not find_place("0.0.0.0", 80, None).is_private  # noqa: S104 - what is tested
    assert find_place("::1", 80, None).url == "http://[::1]:80"


def test_everywhere_is_every_address_of_this_machine_and_no_other_name() -> None:
    place = find_place("0.0.0.0", 80, None)  # noqa: S104 - what is tested
    assert {"127.0.0.1", "localhost"} < set(place.hosts)
    assert "evil.example" not in place.hosts


def test_behind_a_proxy_links_have_its_name() -> None:
    place = find_place("127.0.0.1", 8765, "https://rate.example.org/")
    assert (place.url, place.is_secure) == ("https://rate.example.org", True)
    assert "rate.example.org" in place.hosts
    assert not place.is_private
    assert find_place("127.0.0.1", 8765, "http://localhost:80").is_private


@pytest.mark.parametrize("host", ["localhost", "::", "0.0.0.0"])  # noqa: S104 - what is tested
def test_the_link_leads_to_where_it_listens(host: str) -> None:
    if host == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine speaks no IPv6")
    with listen(host, 0) as listening:
        site = urlsplit(find_place(host, listening.getsockname()[1], None).url)
        assert site.hostname is not None
        with socket.create_connection((site.hostname, site.port or 0), timeout=20):
            listening.accept()[0].close()


def test_an_address_that_this_machine_has_not() -> None:
    with pytest.raises(UsageError, match="cannot listen at 203\\.0\\.113\\.1"):
        listen("203.0.113.1", 0)
    with pytest.raises(UsageError, match="cannot listen at"):
        listen("a" * 70, 0)


def test_a_connection_that_sends_no_whole_request_is_closed(folder: Path) -> None:
    """Less than the headers of a request, however slowly it comes, holds no connection for ever."""
    program = (
        "import evalkit.app.connections as c; c.LONGEST_HEAD_S = 2.0\nfrom evalkit.cli import main\nmain()"
    )
    with served(str(folder), "--raters", "0", program=program) as (_, lines):
        port = int(lines[-1].partition(";")[0].rpartition(":")[2])
        for begun in (b"", b"GET /rate HT"):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(begun)
                assert connection.recv(1) == b""  # closed by the server
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"GET /rate HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 401"
            connection.sendall(b"GET /rate HTTP/1.1\r\n")
            while connection.recv(65536):
                pass
