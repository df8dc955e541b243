"""A file is whole or not there; a folder has one writer."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.runs.files import only_writer, write_atomically

HOLDS = """
import sys, time
from pathlib import Path
from evalkit.runs.files import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, "old")
    write_atomically(path, "新")
    assert path.read_text("utf-8") == "新"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, "old")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text("utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_a_second_writer_is_refused_until_the_first_is_gone_even_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == b"held\n"
            with (
                pytest.raises(UsageError, match=rf"another process \({first.pid}\) writes into"),
                only_writer(tmp_path),
            ):
                pass
        finally:
            first.kill()
    with only_writer(tmp_path):
        assert (tmp_path / ".lock").read_text("ascii") == str(os.getpid())
