"""The ledger: every verdict ever given, one line each, chained by hashes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.decisions.signoff import Signoff


def ledger_entry(signoff: Signoff) -> dict[str, Any]:
    """Return what is remembered of a verdict: what was judged, by what, with which outcome."""
    provenance = signoff.provenance
    return {
        "judged_at": signoff.judged_at.isoformat(timespec="seconds"),
        "judged": signoff.title,
        "decision": signoff.decision.value,
        "policy": {"name": signoff.policy.name, "sha256": signoff.policy.content_hash},
        "attempted": signoff.n_attempted,
        "not_met": [line.metric for line in signoff.lines if line.status == "fail"],
        "waivers": [
            line.waiver.model_dump(mode="json")
            for line in signoff.lines
            if line.waiver is not None and line.status == "waived"
        ],
        "sha256": {
            "config": provenance.get("config"),
            "inputs": content_hash(provenance.get("inputs")),
            "weights": content_hash(provenance.get("weights")),
            "environment": content_hash(provenance.get("environment")),
            "lines": content_hash([line.to_dict() for line in signoff.lines]),
        },
    }


def append_to_ledger(path: Path, signoff: Signoff) -> dict[str, Any]:
    """Append a verdict as one line of JSON, whole or not at all, and return it.

    Each line carries the hash of the one before, so a line that is changed or taken out later shows.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            content = file.read()
            lines = content.splitlines()
            entry = {**ledger_entry(signoff), "previous": line_hash(lines[-1]) if lines else None}
            text = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode() + b"\n"
            if content and not content.endswith(
                b"\n"
            ):  # a writer died in the middle: leave its trace, start anew
                text = b"\n" + text
            os.write(file.fileno(), text)
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(f"the ledger {path} cannot be written: {error.strerror}") from None
    return entry


def broken_links(path: Path) -> list[int]:
    """Return the numbers, from 1, of the lines that do not continue the line before them."""
    broken = []
    before: bytes | None = None
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            previous = json.loads(line)["previous"]
        except (ValueError, KeyError, TypeError):
            broken.append(number)
        else:
            if previous != (None if before is None else line_hash(before)):
                broken.append(number)
        before = line
    return broken


def line_hash(line: bytes) -> str:
    """Return the SHA-256 of a line without its end."""
    return hashlib.sha256(line).hexdigest()


def content_hash(value: Any) -> str | None:
    """Return the SHA-256 of a value's canonical JSON; None of nothing."""
    if not value:
        return None
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
