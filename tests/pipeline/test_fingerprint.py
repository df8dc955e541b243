"""Short names for the content of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.fingerprint import fingerprint

MIB = 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, 4 * MIB, 4 * MIB + 1, 9 * MIB])
def test_it_changes_with_content_size_and_name_and_with_nothing_else(size: int, tmp_path: Path) -> None:
    one, other = tmp_path / "one" / "model.bin", tmp_path / "other" / "model.bin"
    for path in (one, other):
        path.parent.mkdir()
        path.write_bytes(bytes(size))
    assert fingerprint([one]) == fingerprint([other])
    assert len(fingerprint([one])) == 12
    other.write_bytes(bytes(size + 1))
    assert fingerprint([one]) != fingerprint([other])
    other.write_bytes(bytes([7]) * size)
    assert (fingerprint([one]) != fingerprint([other])) == (size > 0)
    assert fingerprint([one]) != fingerprint([one.rename(one.with_name("weights.bin"))])


def test_the_ends_of_a_large_file_count(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    found = set()
    for place in (None, 0, 20 * MIB - 1):
        content = bytearray(20 * MIB)
        if place is not None:
            content[place] = 1
        path.write_bytes(content)
        found.add(fingerprint([path]))
    assert len(found) == 3


def test_the_order_of_files_does_not_count(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_text(path.name)
    assert fingerprint(paths) == fingerprint(reversed(paths))
