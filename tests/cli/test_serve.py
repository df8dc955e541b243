"""``evalkit serve`` as a command: what it refuses, and how it ends."""

from __future__ import annotations

import signal
import urllib.error
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.testing.live_server import LiveServer
from evalkit.testing.runs import write_grid

PATIENCE_S = 60


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--no-token", "--host", "0.0.0.0"], "--no-token is for a server that this machine alone can reach"),  # noqa: S104
        (["--policy", "no_such.yaml"], "does not exist"),
        (["--host", "no.such.host.invalid"], "cannot listen"),
    ],
)
def test_wrong_use_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["serve", str(tmp_path), "--port", "0", *arguments])
    assert done.exit_code == 2
    assert said in done.output


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["serve", str(tmp_path / "gone")])
    assert done.exit_code == 2
    assert "does not exist" in done.output


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_all_that_works_for_it(tmp_path: Path, how: signal.Signals) -> None:
    write_grid(tmp_path / "runs" / "one", sizes=("384*256",), steps=(2,))
    server = LiveServer(tmp_path / "runs", tmp_path / "cache", "--no-token")
    server.wait_for("/runs/one/", lambda status, _: status == 200)
    workers = psutil.Process(server.pid).children(recursive=True)
    assert workers
    code = server.end(how)
    assert code == (-signal.SIGKILL if how is signal.SIGKILL else 0)
    assert psutil.wait_procs(workers, PATIENCE_S)[1] == []


def test_the_link_opens_the_pages_and_nothing_else_does(tmp_path: Path) -> None:
    write_grid(tmp_path / "runs" / "one", sizes=("384*256",), steps=(2,))
    with LiveServer(tmp_path / "runs", tmp_path / "cache") as server:
        assert "?token=" in server.link
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.get("/runs/")
        assert refused.value.code == 401
        refused.value.close()
