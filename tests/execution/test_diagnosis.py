"""What would stop work where a process runs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from evalkit.execution.diagnosis import diagnose_generator, diagnose_temporary_folder
from pipeline.errors import RequestError


def test_temporary_files_are_written_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = diagnose_temporary_folder()
    assert found.level == "fine"
    assert found.found.endswith(f"GiB free in {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_temporary_file_is_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    found = diagnose_temporary_folder()
    assert found.level == "stop"
    assert str(tmp_path / "gone") in found.found
    assert "TMPDIR" in found.cure


def test_little_room_for_temporary_files_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**20))
    found = diagnose_temporary_folder()
    assert (found.level, found.found.partition(" free")[0]) == ("warning", "0.1 GiB")


def test_a_generator_that_only_takes_part_in_planning_looks_at_nothing_itself() -> None:
    planning = {finding.about for finding in diagnose_generator("reference", {}, own_checks=False)}
    working = {finding.about for finding in diagnose_generator("reference", {})}
    assert {"plug-in", "settings"} <= planning < working


def test_a_generator_that_there_is_not() -> None:
    with pytest.raises(RequestError, match="did you mean 'reference'"):
        list(diagnose_generator("referense", {}))
