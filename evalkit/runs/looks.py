"""How often a run was looked at while it grew: who looks again until it passes has to be judged more strictly.

A look is a set of results, trials with their status, that a decision was shown of. The same results again, by whatever
command and with whatever measured on them, are the same look. RUN/decisions/looks.jsonl has one line a look.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from evalkit.runs.layout import DECISIONS_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.runs.run import Run

LOOKS_FILE = "looks.jsonl"


@dataclass(frozen=True, slots=True)
class Looks:
    """What is recorded of the looks at a run.

    Parameters
    ----------
    states : tuple of str
        Hashes of the results that were looked at, in the order of the first time.
    n_damaged : int
        Lines that cannot be read; they count for nothing.
    """

    states: tuple[str, ...]
    n_damaged: int

    def number(self, state: str) -> int:
        """Return which look a state is, from 1: the one it was, or else the next."""
        return self.states.index(state) + 1 if state in self.states else len(self.states) + 1


def state_of(run: Run) -> str:
    """Return the hash of a run's results: ids and status, not what was measured on them."""
    results = sorted((trial.id, trial.status) for trial in run.trials())
    return hashlib.sha256(json.dumps(results).encode()).hexdigest()


def read_looks(folder: Path) -> Looks:
    """Read what is recorded in a run folder; nothing where there is no file, or none that can be read."""
    try:
        with (folder / DECISIONS_FOLDER / LOOKS_FILE).open("rb") as file:
            return _read(file)
    except OSError:
        return Looks((), 0)


def record_look(run: Run) -> None:
    """Put on record that a decision about a run was shown; nothing happens where this state is on record already.

    A folder that cannot be written is left as it is: the next look at the same results has the same number all the same.
    """
    if not run.trials():
        return
    path = run.folder / DECISIONS_FOLDER / LOOKS_FILE
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            state = state_of(run)
            if state in _read(file).states:
                return
            now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            line = json.dumps({"state": state, "at": now, "n": len(run.trials())}).encode() + b"\n"
            os.write(file.fileno(), line if _ends_whole(file) else b"\n" + line)
            os.fsync(file.fileno())


def _read(file: IO[bytes]) -> Looks:
    states: dict[str, None] = {}
    n_damaged = 0
    for line in file.read().splitlines():
        if not line.strip():
            continue
        try:
            state = json.loads(line)["state"]
        except (ValueError, KeyError, TypeError):
            state = None
        if isinstance(state, str):
            states[state] = None
        else:
            n_damaged += 1
    return Looks(tuple(states), n_damaged)


def _ends_whole(file: IO[bytes]) -> bool:
    """Say whether the last line ends; a writer that was killed leaves half of one."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return True
    file.seek(size - 1)
    return file.read(1) == b"\n"
