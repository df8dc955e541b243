"""Which runs are releases: by the last line of an intact ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.decisions.ledger import line_hash
from evalkit.decisions.releases import last_verdict
from evalkit.errors import UsageError

LEDGER = Path("decisions") / "ledger.jsonl"


def write_ledger(folder: Path, *entries: dict[str, Any]) -> Path:
    """Write a ledger whose chain holds."""
    path = folder / LEDGER
    path.parent.mkdir(parents=True, exist_ok=True)
    previous, lines = None, []
    for entry in entries:
        line = json.dumps({**entry, "previous": previous}).encode()
        lines.append(line + b"\n")
        previous = line_hash(line)
    path.write_bytes(b"".join(lines))
    return path


def verdict(decision: str, **more: Any) -> dict[str, Any]:
    return {
        "decision": decision,
        "judged_at": "2026-11-01T10:00:00+00:00",
        "policy": {"name": "p", "sha256": "ab"},
        "configuration": {"steps": 4},
        **more,
    }


def test_a_run_that_was_never_signed_off_has_no_verdict(tmp_path: Path) -> None:
    assert last_verdict(tmp_path) is None


@pytest.mark.parametrize(
    ("decisions", "is_release"),
    [
        (["PASS"], True),
        (["PASS WITH WAIVERS"], True),
        (["FAIL"], False),
        (["FAIL", "PASS"], True),
        (["PASS", "FAIL"], False),  # what was let out and then failed is no release any more
    ],
)
def test_the_last_verdict_decides(tmp_path: Path, decisions: list[str], is_release: bool) -> None:
    write_ledger(tmp_path, *map(verdict, decisions))
    found = last_verdict(tmp_path)
    assert found is not None
    assert (found.decision, found.is_release) == (decisions[-1], is_release)
    assert (found.policy, dict(found.configuration)) == ("p", {"steps": 4})


def test_what_is_no_verdict_is_passed_over(tmp_path: Path) -> None:
    write_ledger(tmp_path, verdict("PASS"), {"mended_at": "2026-11-02", "half_line": "{"})
    found = last_verdict(tmp_path)
    assert found is not None
    assert found.is_release


def test_a_broken_ledger_makes_no_release(tmp_path: Path) -> None:
    path = write_ledger(tmp_path, verdict("FAIL"), verdict("PASS"))
    path.write_bytes(path.read_bytes().replace(b'"FAIL"', b'"PASS"', 1))
    found = last_verdict(tmp_path)
    assert found is not None
    assert not found.is_release
    assert "line 1 was changed" in found.problems


def test_a_ledger_without_a_verdict_that_is_broken_is_told(tmp_path: Path) -> None:
    (tmp_path / LEDGER).parent.mkdir()
    (tmp_path / LEDGER).write_text("no json\n", "utf-8")
    with pytest.raises(UsageError, match="no entry"):
        last_verdict(tmp_path)


def test_what_anybody_may_have_written_is_no_trouble(tmp_path: Path) -> None:
    write_ledger(tmp_path, verdict("PASS", policy=5, configuration=[1], judged_at=None))
    found = last_verdict(tmp_path)
    assert found is not None
    assert (found.policy, dict(found.configuration)) == ("", {})
