"""Tracks on disk: what comes back is what went in, or nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evalkit.tracks.cache import TrackCache, cache_folder, content_hash
from evalkit.types import Track


@pytest.fixture
def track() -> Track:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    return Track(
        "face", ("a", "b"), np.array([0.0, 0.04, 0.1]), values, np.array([True, False, True]), {"n": 3}
    )


def test_a_stored_track_comes_back(tmp_path: Path, track: Track) -> None:
    cache = TrackCache(tmp_path)
    cache.store("abc", 1, track)
    again = cache.load("abc", "face", 1)
    assert again is not None
    assert again.columns == track.columns
    assert np.array_equal(again.values, track.values)
    assert np.array_equal(again.times_s, track.times_s)
    assert np.array_equal(again.valid, track.valid)
    assert again.facts == {"n": 3}


def test_another_content_or_version_is_another_track(tmp_path: Path, track: Track) -> None:
    cache = TrackCache(tmp_path)
    cache.store("abc", 1, track)
    assert cache.load("abd", "face", 1) is None
    assert cache.load("abc", "face", 2) is None
    assert cache.load("abc", "pose", 1) is None


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_a_damaged_entry_counts_as_none(tmp_path: Path, track: Track, damage: bytes | None) -> None:
    cache = TrackCache(tmp_path)
    cache.store("abc", 1, track)
    entry = next(tmp_path.rglob("*.npz"))
    entry.write_bytes(entry.read_bytes()[:-40] if damage is None else damage)
    assert cache.load("abc", "face", 1) is None


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path, track: Track) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache = TrackCache(blocked)
    cache.store("abc", 1, track)
    assert cache.load("abc", "face", 1) is None


def test_nothing_temporary_is_left(tmp_path: Path, track: Track) -> None:
    TrackCache(tmp_path).store("abc", 1, track)
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npz"]


def test_the_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"


def test_content_not_name_makes_the_hash(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    a, b, c = (content_hash(str(tmp_path / name)) for name in "abc")
    assert a == b != c
