"""Where runs are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.decisions.run_list import find_run_folders
from evalkit.errors import UsageError


def put_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}", "utf-8")
    return folder


def test_runs_are_found_three_levels_down_and_not_inside_each_other(tmp_path: Path) -> None:
    wanted = [put_run(tmp_path / place) for place in ("a", "b/c", "d/e/f")]
    for place in ("a/inside", "g/h/i/too_deep", ".hidden/run", "b/.part"):
        put_run(tmp_path / place)
    (tmp_path / "file").touch()
    assert find_run_folders(tmp_path) == wanted


def test_a_run_is_its_own_only_one(tmp_path: Path) -> None:
    put_run(tmp_path / "a" / "inside")
    put_run(tmp_path / "b")
    (tmp_path / "run.json").touch()
    assert find_run_folders(tmp_path) == [tmp_path]


def test_a_link_to_above_ends(tmp_path: Path) -> None:
    put_run(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    assert find_run_folders(tmp_path) == [tmp_path / "a"]


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        find_run_folders(tmp_path / "gone")
