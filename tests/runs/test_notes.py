"""Notes and tags of a run: whole, bounded, and never in the way of who writes at the same time."""

from __future__ import annotations

import datetime as dt
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.runs.notes import MOST_NOTES, Notes, add_note, read_notes, remove_note, set_tags
from evalkit.runs.records import DamagedFileError


def test_nothing_is_written_on_a_run_at_first(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == Notes()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    when = dt.datetime(2026, 11, 30, 10, tzinfo=dt.timezone(dt.timedelta(hours=8)))
    add_note(tmp_path, " two\r\nlines \n", "  Jo\tX ", now=when)
    set_tags(tmp_path, [" a ", "b", "a", ""])
    found = read_notes(tmp_path)
    assert [(note.text, note.author, note.at) for note in found.notes] == [
        ("two\nlines", "Jo X", "2026-11-30T02:00:00+00:00")
    ]
    assert found.tags == ("a", "b")
    assert remove_note(tmp_path, found.notes[0]).notes == ()
    assert remove_note(tmp_path, found.notes[0]).tags == ("a", "b")


def test_nothing_turns_the_text_around_or_moves_a_cursor(tmp_path: Path) -> None:
    (note,) = add_note(tmp_path, "a\x1b[2J\u202eb\x00c").notes
    assert note.text == "a [2J b c"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("{", "cannot be read"),
        ("[]", "damaged"),
        ('{"format": 1, "tags": [5], "notes": []}', "damaged"),
        ('{"format": 1, "tags": [], "notes": [{"text": 1, "author": "", "at": ""}]}', "damaged"),
        ('{"format": 1, "tags": []}', "damaged"),
        ('{"format": 1, "tags": "abc", "notes": []}', "damaged"),
        ('{"format": 1, "tags": [], "notes": {}}', "damaged"),
    ],
)
def test_a_damaged_file_is_told_and_kept(tmp_path: Path, content: str, error: str) -> None:
    (tmp_path / "notes.json").write_text(content, "utf-8")
    with pytest.raises(DamagedFileError, match=error):
        read_notes(tmp_path)
    with pytest.raises(DamagedFileError):
        add_note(tmp_path, "x")
    assert (tmp_path / "notes.json").read_text("utf-8") == content


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text('{"format": 2}', "utf-8")
    with pytest.raises(UsageError, match="newer"):
        read_notes(tmp_path)


def test_there_is_an_end_to_notes(tmp_path: Path) -> None:
    one = {"text": "x", "author": "", "at": ""}
    (tmp_path / "notes.json").write_text(
        json.dumps({"format": 1, "tags": [], "notes": [one] * MOST_NOTES}), "utf-8"
    )
    with pytest.raises(UsageError, match="at most"):
        add_note(tmp_path, "one more")


def test_a_pipe_is_no_file_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "notes.json")
    with pytest.raises(DamagedFileError, match="no file"):
        read_notes(tmp_path)


@pytest.mark.parametrize("tags", [["x" * 41], [f"t{number}" for number in range(21)], ["a,b"]])
def test_tags_are_short_and_few(tmp_path: Path, tags: list[str]) -> None:
    with pytest.raises(UsageError):
        set_tags(tmp_path, tags)
    assert not (tmp_path / "notes.json").exists()


def test_two_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_note(tmp_path, f"note {number}"), range(24)))
    assert sorted(note.text for note in read_notes(tmp_path).notes) == sorted(
        f"note {number}" for number in range(24)
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.json"]
