"""What proves a ledger from outside: its head, kept in a file, in a git note, or by a person."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from evalkit.errors import UsageError
from evalkit.formatting import printable
from evalkit.runs.code import run_git
from evalkit.runs.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

NOTES_REF = "refs/notes/evalkit-ledger"
"""Where the git notes are, in the user's own repository."""

_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)
_FORM = "the number of lines, a colon and 64 hexadecimal digits, as `evalkit signoff` and `evalkit ledger verify` print"


@dataclass(frozen=True)
class Head:
    """How far a ledger has come; each line holds the hash of the one before, so this proves all lines up to it.

    Parameters
    ----------
    n_lines : int
    sha256 : str
        Of the last line, without its end.
    """

    n_lines: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.n_lines}:{self.sha256}"

    @classmethod
    def read(cls, text: str, source: str = "the anchor") -> Self:
        """Read what `str` writes.

        Raises
        ------
        UsageError
            If it is something else.

        >>> Head.read("2:" + 64 * "0").n_lines
        2
        """
        found = _HEAD.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"{source}: {printable(text)[:80]!r} is not the head of a ledger ({_FORM})")
        return cls(int(found[1]), found[2])


def read_anchor(named: str) -> tuple[Head, ...]:
    """Read a head, or a file with one or several of them, one a line.

    Raises
    ------
    UsageError
        If it is neither, or the file holds something else or nothing.
    """
    from pathlib import Path

    if _HEAD.fullmatch(named.strip()):
        return (Head.read(named),)
    path = Path(named)
    if not path.is_file():
        raise UsageError(f"{printable(named)!r} is neither a file nor the head of a ledger ({_FORM})")
    return read_anchor_file(path)


def read_anchor_file(path: Path) -> tuple[Head, ...]:
    """Read the heads in a file, one a line.

    Raises
    ------
    UsageError
        If it cannot be read, or holds something else or nothing.
    """
    try:
        lines = path.read_text("utf-8", errors="backslashreplace").splitlines()
    except OSError as error:
        raise UsageError(f"the anchor {path} cannot be read: {error.strerror}") from None
    heads = tuple(
        Head.read(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()
    )
    if not heads:
        raise UsageError(f"the anchor {path} is empty: it should hold the head of a ledger ({_FORM})")
    return heads


def write_anchor_file(path: Path, head: Head) -> None:
    """Write a head in place of what an anchor held.

    Raises
    ------
    OSError
        If it cannot be written; the old one is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, f"{head}\n")


def read_notes(ledger: Path, folder: Path) -> tuple[Head, ...]:
    """Read what the git notes of a repository say of a ledger, which is known by its path.

    Parameters
    ----------
    ledger : Path
    folder : Path
        In the repository.

    Raises
    ------
    UsageError
        If git is missing, the folder is in no repository, or no note names the ledger.
    """
    name = _name_in(ledger, folder)
    heads = []
    for item in _git(folder, "notes", f"--ref={NOTES_REF}", "list").splitlines():
        blob = item.split()[0]
        for line in _git(folder, "cat-file", "blob", blob).splitlines():
            token, _, named = line.partition(" ")
            if named == name:
                heads.append(Head.read(token, f"git note {blob[:12]}"))
    if not heads:
        raise UsageError(
            f"no git note of {NOTES_REF} is about {name}: `evalkit ledger anchor --git-note` writes one; "
            f"in a fresh clone, fetch that ref first"
        )
    return tuple(dict.fromkeys(heads))


def write_note(ledger: Path, folder: Path, head: Head) -> str:
    """Add a head to the git note of the commit that is checked out, and return that commit.

    Raises
    ------
    UsageError
        If git is missing or refuses, or there is no commit.
    """
    name = _name_in(ledger, folder)
    commit = _git(folder, "rev-parse", "--verify", "HEAD").strip()
    _git(folder, "notes", f"--ref={NOTES_REF}", "append", "--file=-", commit, given=f"{head} {name}\n")
    return commit


def _name_in(ledger: Path, folder: Path) -> str:
    """Name a ledger by its path: inside the repository without the repository's own."""
    from pathlib import Path

    top = Path(_git(folder, "rev-parse", "--show-toplevel").removesuffix("\n")).resolve()
    path = ledger.resolve()
    return printable(str(path.relative_to(top) if path.is_relative_to(top) else path))


def _git(folder: Path, *words: str, given: str = "") -> str:
    try:
        return run_git(folder, *words, given=given)
    except subprocess.CalledProcessError as error:
        said = printable(" ".join(error.stderr.split()))
        raise UsageError(f"git {words[0]} in {folder.absolute()}: {said}") from None
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        raise UsageError(f"git cannot be asked in {folder.absolute()}: {error}") from None
