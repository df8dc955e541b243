"""A file is whole or not there; a folder has one writer."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.runs.files import only_writer, remove, write_atomically

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


def test_what_another_process_removes_or_fills_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers of a killed process clean up after themselves: each step here comes second, or too early."""
    folder = tmp_path / "left.part"
    (folder / "inner").mkdir(parents=True)
    for name in ("a", "b", "inner/c"):
        (folder / name).touch()
    (tmp_path / "kept").touch()
    (folder / "link").symlink_to(tmp_path / "kept")
    unlink, rmdir = os.unlink, os.rmdir
    late = iter(("log", "inner/d"))

    def quicker(name: str, **place: int) -> None:
        unlink(name, **place)
        unlink(name, **place)

    def filled(name: str, **place: int) -> None:
        if (more := next(late, None)) is not None and (folder / more).parent.exists():
            (folder / more).touch()
        rmdir(name, **place)

    monkeypatch.setattr(os, "unlink", quicker)
    monkeypatch.setattr(os, "rmdir", filled)
    remove(folder)
    monkeypatch.undo()
    remove(folder)
    remove(tmp_path / "dangling")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_must_not_be_removed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_path: Path, **_options: bool) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    (tmp_path / "a").touch()
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OSError, match="Permission denied"):
        remove(tmp_path / "a")


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
