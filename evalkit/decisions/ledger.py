"""The ledger: every verdict ever given, one line each, chained by hashes.

Each line of JSON carries the SHA-256 of the line before, so that a line that is changed, moved or taken out shows. What a
chain alone cannot show, its end and the whole of it written anew, shows against an anchor that is kept elsewhere, see
`evalkit.decisions.anchor`. `read_ledger` is the one reader: it says what is there and what is wrong with it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import hashlib
import json
import math
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from evalkit.decisions.anchor import Head, read_anchor_file, write_anchor_file
from evalkit.errors import UsageError
from evalkit.formatting import count
from evalkit.runs.files import sync_folder
from evalkit.runs.layout import DECISIONS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from evalkit.decisions.signoff import Signoff

LEDGER_NAME = "ledger.jsonl"
_FORMAT = 2
_DEEPEST = 30
_GATE_FIELDS = (
    "metric",
    "reducer",
    "limit",
    "kind",
    "grade",
    "status",
    "value",
    "ci95",
    "n",
    "attempted",
    "raters",
)


class ProblemKind(StrEnum):
    """What can be wrong with a ledger."""

    GONE = "gone"
    EMPTY = "empty"
    BLANK = "blank line"
    NO_ENTRY = "no entry"
    BROKEN_LINK = "broken link"
    HALF_LINE = "half a line"
    TOO_SHORT = "shorter than its anchor"
    DIFFERS = "differs from its anchor"
    ANCHORS_DIFFER = "anchors contradict each other"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a ledger.

    Parameters
    ----------
    kind : ProblemKind
    text : str
        In words, with numbers of lines.
    line : int or None
        From 1; None where it belongs to no line.
    """

    kind: ProblemKind
    text: str
    line: int | None = None


@dataclass(frozen=True)
class LedgerLine:
    """One whole line.

    Parameters
    ----------
    number : int
        From 1.
    sha256 : str
        Of its bytes, without the end.
    entry : mapping or None
        What it says; None where it is no entry. Anybody may have written it: trust no type in it.
    """

    number: int
    sha256: str
    entry: Mapping[str, Any] | None


@dataclass(frozen=True)
class Ledger:
    """What a ledger holds, and what is wrong with it.

    Parameters
    ----------
    lines : tuple of LedgerLine
        The whole ones.
    problems : tuple of Problem
        None of an intact ledger.
    anchors : tuple of Head
        What it was held against.
    half_line : bytes
        What stands behind the last whole line.
    """

    lines: tuple[LedgerLine, ...]
    problems: tuple[Problem, ...]
    anchors: tuple[Head, ...] = ()
    half_line: bytes = b""

    @property
    def head(self) -> Head | None:
        """Number and hash of the last whole line; None without any."""
        return Head(self.lines[-1].number, self.lines[-1].sha256) if self.lines else None

    @property
    def n_proven(self) -> int:
        """Number of lines that an anchor proves, where there is no problem."""
        return max((anchor.n_lines for anchor in self.anchors), default=0)


def ledger_entry(signoff: Signoff) -> dict[str, Any]:
    """Return what is remembered of a verdict: what was judged, by what, with which values and outcome."""
    provenance = signoff.provenance
    return {
        "format": _FORMAT,
        "judged_at": signoff.judged_at.isoformat(timespec="seconds"),
        "judged": signoff.title,
        "run": {name: provenance.get(name) for name in ("run", "created_at", "results")},
        "configuration": dict(signoff.configuration),
        "look": signoff.look,
        **(
            {}
            if signoff.baseline is None
            else {"baseline": {"judged": signoff.baseline.title, "run": signoff.baseline.run_id}}
        ),
        "decision": signoff.decision.value,
        "policy": {"name": signoff.policy.name, "sha256": signoff.policy.content_hash},
        "attempted": signoff.n_attempted,
        "gates": [
            {name: value for name, value in line.to_dict().items() if name in _GATE_FIELDS}
            for line in signoff.lines
        ],
        "not_met": [line.metric for line in signoff.lines if line.status == "fail"],
        "waivers": [
            line.waiver.model_dump(mode="json")
            for line in signoff.lines
            if line.waiver is not None and line.status == "waived"
        ],
        "sha256": {
            **({"ratings": ratings} if (ratings := provenance.get("ratings")) else {}),
            "config": provenance.get("config"),
            "inputs": content_hash(provenance.get("inputs")),
            "weights": content_hash(provenance.get("weights")),
            "environment": content_hash(provenance.get("environment")),
            "lines": content_hash([line.to_dict() for line in signoff.lines]),
        },
    }


def ledger_of_run(folder: Path) -> Path:
    """Return the ledger of a run folder: ``decisions/ledger.jsonl``, or ``ledger.jsonl`` of old where that is all."""
    place, old = _places(folder)
    return old if old.exists() and not place.exists() else place


def note_on_place(folder: Path) -> str | None:
    """Say what is unusual about where the ledger of a run folder is; None for nothing."""
    place, old = _places(folder)
    if not old.exists():
        return None
    if place.exists():
        return f"{old} is there beside {place} and is not looked at; name it to see it"
    return f"the ledger goes on in {old}, where earlier versions began it"


def read_ledger(path: Path, anchors: Sequence[Head] = ()) -> Ledger:
    """Read a ledger and check it: each line against the one before, and those that an anchor tells of against it.

    Parameters
    ----------
    path : Path
    anchors : sequence of Head
        Each proves the lines up to its own; all have to hold.

    Raises
    ------
    UsageError
        If the file cannot be read. That it is gone is a problem of the ledger, no error.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"the ledger {path} is not a file")
    try:
        with _locked(path, "rb", fcntl.LOCK_SH) as file:
            content: bytes | None = file.read()
    except (FileNotFoundError, NotADirectoryError):
        content = None
    except OSError as error:
        raise UsageError(f"the ledger {path} cannot be read: {error.strerror}") from None
    return check_ledger(content, anchors)


def check_ledger(content: bytes | None, anchors: Sequence[Head] = ()) -> Ledger:
    """Check the content of a ledger as `read_ledger` does; None of a file that is not there."""
    heads = tuple(dict.fromkeys(anchors))
    if not content:
        told = f"; an anchor tells of {count(max(head.n_lines for head in heads), 'line')}" if heads else ""
        if content is None:
            gone = Problem(
                ProblemKind.GONE, f"there is no ledger: it was taken away, or the path is wrong{told}"
            )
            return Ledger((), (gone,), heads)
        empty = Problem(ProblemKind.EMPTY, f"the file is empty, and no ledger is without a line{told}")
        return Ledger((), (empty,), heads)
    *whole, half_line = content.split(b"\n")
    lines = tuple(
        LedgerLine(number, line_hash(line), _read_entry(line)) for number, line in enumerate(whole, start=1)
    )
    problems = [*_check_chain(lines, whole)]
    if half_line:
        number = len(lines) + 1
        words = f"line {number} has no end: a writer died in the middle, or it was cut"
        problems.append(Problem(ProblemKind.HALF_LINE, words, number))
    problems += _check_anchors(heads, lines)
    return Ledger(lines, tuple(problems), heads, half_line)


def check_before_appending(path: Path, anchor: Path | None = None) -> None:
    """Refuse to go on with a ledger that is broken or does not continue its anchor; writes nothing.

    Raises
    ------
    UsageError
        With what is wrong and what to do.
    """
    _refuse_broken(path, read_ledger(path, _heads_of(path, anchor)), anchor)


def append_to_ledger(path: Path, signoff: Signoff, anchor: Path | None = None) -> Head:
    """Append a verdict as one line of JSON, whole or not at all.

    Parameters
    ----------
    path : Path
    signoff : Signoff
    anchor : Path, optional
        A file that holds the head of this ledger. The ledger has to continue it, and it then holds the new head.

    Returns
    -------
    Head
        With the new line.

    Raises
    ------
    UsageError
        If the ledger is broken or does not continue its anchor, and nothing is written; or if it or the anchor cannot be
        written.
    """
    check_before_appending(path, anchor)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, "a+b", fcntl.LOCK_EX) as file:
            file.seek(0)
            ledger = check_ledger(file.read(), _heads_of(path, anchor))
            _refuse_broken(path, ledger, anchor)
            head = _append(file, ledger.head, ledger_entry(signoff))
            sync_folder(path.parent)
            if anchor is not None:
                _move_anchor(anchor, head, path)
    except OSError as error:
        raise UsageError(f"the ledger {path} cannot be written: {error.strerror}") from None
    return head


def mend_ledger(path: Path, anchors: Sequence[Head] = (), *, now: dt.datetime | None = None) -> Head | None:
    """Make whole what a writer that died left: the end of its line, or a line that keeps what it had written.

    Returns
    -------
    Head or None
        None where nothing is to mend.

    Raises
    ------
    UsageError
        If anything else is wrong with the ledger, and nothing is written; or if it cannot be written.
    """
    if not read_ledger(path, anchors).problems:
        return None
    try:
        with _locked(path, "r+b", fcntl.LOCK_EX) as file:
            content = file.read()
            ledger = check_ledger(content, anchors)
            completed = check_ledger(content + b"\n", anchors)
            if ledger.half_line and not completed.problems:
                _write(file, b"\n")
                return completed.head
            kept = check_ledger(content[: len(content) - len(ledger.half_line)], anchors)
            if not ledger.half_line or kept.problems:
                raise UsageError(
                    f"only half a line behind whole and intact ones can be mended, and nothing was written to {path}: "
                    f"{read_problems(ledger.problems)}. To go on: {_cure(ledger)}"
                )
            file.truncate(len(content) - len(ledger.half_line))
            when = (now or dt.datetime.now(dt.UTC)).isoformat(timespec="seconds")
            text = ledger.half_line.decode("utf-8", "backslashreplace")
            return _append(file, kept.head, {"format": _FORMAT, "mended_at": when, "half_line": text})
    except OSError as error:
        raise UsageError(f"the ledger {path} cannot be written: {error.strerror}") from None


def read_problems(problems: Sequence[Problem]) -> str:
    """Write problems as one sentence."""
    return "; ".join(problem.text for problem in problems)


def line_hash(line: bytes) -> str:
    """Return the SHA-256 of a line without its end."""
    return hashlib.sha256(line).hexdigest()


def content_hash(value: Any) -> str | None:
    """Return the SHA-256 of a value's canonical JSON; None of nothing."""
    if not value:
        return None
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


@contextlib.contextmanager
def _locked(path: Path, mode: str, lock: int) -> Iterator[IO[bytes]]:
    """Open a ledger, without a buffer, for as long as nobody else has it who must not."""
    with path.open(mode, buffering=0) as file:
        fcntl.flock(file, lock)
        yield file


def _append(file: IO[bytes], before: Head | None, entry: Mapping[str, Any]) -> Head:
    linked = {**entry, "previous": None if before is None else before.sha256}
    # a name that is not UTF-8 holds lone surrogates: written as the escapes that JSON reads back
    line = json.dumps(linked, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
    _write(file, line + b"\n")
    return Head(1 if before is None else before.n_lines + 1, line_hash(line))


def _write(file: IO[bytes], text: bytes) -> None:
    """Add to the end in one call, and leave nothing of it where the disk is full."""
    size = file.seek(0, os.SEEK_END)
    if file.write(text) < len(text):
        file.truncate(size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def _places(folder: Path) -> tuple[Path, Path]:
    return folder / DECISIONS_FOLDER / LEDGER_NAME, folder / LEDGER_NAME


def _heads_of(ledger: Path, anchor: Path | None) -> tuple[Head, ...]:
    if anchor is None:
        return ()
    if anchor.resolve() == ledger.resolve():
        raise UsageError(f"{anchor} cannot be ledger and anchor at once; keep the anchor elsewhere")
    return read_anchor_file(anchor) if anchor.exists() else ()


def _move_anchor(anchor: Path, head: Head, ledger: Path) -> None:
    try:
        write_anchor_file(anchor, head)
    except OSError as error:
        raise UsageError(
            f"line {head.n_lines} is in the ledger {ledger}, but the anchor {anchor} cannot be written "
            f"({error.strerror}): keep the head yourself, {head}"
        ) from None


def _refuse_broken(path: Path, ledger: Ledger, anchor: Path | None) -> None:
    if anchor is not None and not ledger.anchors and ledger.lines:
        raise UsageError(
            f"there is no anchor {anchor} yet, and the ledger {path} has {count(len(ledger.lines), 'line')}: look at "
            f"it with `evalkit ledger verify`, then begin the anchor with `evalkit ledger anchor --to`"
        )
    problems = ledger.problems
    if not ledger.anchors:  # without a line yet: it begins
        problems = tuple(one for one in problems if one.kind not in {ProblemKind.GONE, ProblemKind.EMPTY})
    if not problems:
        return
    raise UsageError(
        f"nothing is appended to the ledger {path}, because it is broken: {read_problems(problems)}. "
        f"To go on: {_cure(ledger)}"
    )


def _cure(ledger: Ledger) -> str:
    kinds = {problem.kind for problem in ledger.problems}
    lacks_its_end_only = _read_entry(ledger.half_line) is not None
    if kinds == {ProblemKind.HALF_LINE} and not ledger.lines and not lacks_its_end_only:
        return "move the file away, it holds no verdict yet"
    if kinds == {ProblemKind.HALF_LINE} or (
        lacks_its_end_only and kinds == {ProblemKind.HALF_LINE, ProblemKind.TOO_SHORT}
    ):
        return "`evalkit ledger mend` makes it whole"
    return "put the whole ledger back, or keep this one as evidence and begin another (--ledger FILE)"


def _check_chain(lines: Sequence[LedgerLine], raw: Sequence[bytes]) -> Iterator[Problem]:
    """Find lines that are no entries, and links that do not lead to the line before."""
    number_of = {line.sha256: line.number for line in lines}
    before: LedgerLine | None = None
    for line, text in zip(lines, raw, strict=True):
        if not text.strip():
            yield Problem(ProblemKind.BLANK, f"line {line.number} is blank", line.number)
        elif line.entry is None:
            yield Problem(
                ProblemKind.NO_ENTRY,
                f"line {line.number} is no entry of a ledger: it was changed",
                line.number,
            )
        elif line.entry["previous"] != (None if before is None else before.sha256):
            words = _describe_link(line, number_of.get(line.entry["previous"]))
            yield Problem(ProblemKind.BROKEN_LINK, words, line.number)
        before = line


def _describe_link(line: LedgerLine, to: int | None) -> str:
    number, previous = line.number, line.entry["previous"] if line.entry else None
    if to is not None:
        return (
            f"line {number} continues line {to}, which is not the one before it: lines were put in, or moved"
        )
    if previous is None:
        return f"line {number} says that it is the first: lines were put in before it, or moved"
    if number == 1:
        return "line 1 continues a line that is not there: lines before it were taken out"
    return (
        f"line {number} does not continue line {number - 1}: line {number - 1} was changed, or lines between them "
        f"were taken out"
    )


def _check_anchors(heads: Sequence[Head], lines: Sequence[LedgerLine]) -> Iterator[Problem]:
    hash_at: dict[int, str] = {}
    for head in heads:
        if hash_at.setdefault(head.n_lines, head.sha256) != head.sha256:
            words = f"two anchors tell of {count(head.n_lines, 'line')} and contradict each other: one is of another ledger"
            yield Problem(ProblemKind.ANCHORS_DIFFER, words)
        if head.n_lines > len(lines):
            words = f"the anchor tells of {count(head.n_lines, 'line')}, and there are {len(lines)}: the last were taken off"
            yield Problem(ProblemKind.TOO_SHORT, words)
        elif lines[head.n_lines - 1].sha256 != head.sha256:
            words = (
                f"line {head.n_lines} is not the one that the anchor tells of: it was changed, or lines before it were "
                f"put in or taken out, or the ledger was written anew, or it is another ledger"
            )
            yield Problem(ProblemKind.DIFFERS, words, head.n_lines)


def _read_entry(line: bytes) -> dict[str, Any] | None:
    """Read one line; None of what no ledger holds, such as numbers that are none, or depths without end."""
    try:
        entry = json.loads(line.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("previous", 0), str | None):
        return None
    return entry if _is_shallow(entry, _DEEPEST) else None


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _is_shallow(value: Any, room: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return room > 0 and all(_is_shallow(item, room - 1) for item in inside)
