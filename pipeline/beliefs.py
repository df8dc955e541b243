"""What a driver takes for granted about a program, and where in its source that is written.

Each belief names a file, a line and what stands on it, at the commit that was read. A test holds every belief to the real
source where that is at hand; `check_beliefs` looks at a user's own checkout, which may be older or newer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.diagnosis import Diagnosis, fine, warning
from pipeline.formatting import count

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Belief:
    """One thing that a driver takes for granted.

    Parameters
    ----------
    what : str
        What is believed, as the end of "its code was read to …".
    file : str
        Where it is written, from the root of the checkout.
    line : int
        On which line, from 1, at the commit that was read.
    text : str
        A few words of that line that would change if the belief no longer held.
    """

    what: str
    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A program as it was read.

    Parameters
    ----------
    home : str
        ``owner/repository`` on GitHub.
    commit : str
        At least the first seven digits.
    beliefs : tuple of Belief
        What its driver takes for granted.
    """

    home: str
    commit: str
    beliefs: tuple[Belief, ...]


def check_beliefs(checkout: Path, source: Source) -> Diagnosis:
    """Say whether a checkout still says what the driver takes for granted.

    Parameters
    ----------
    checkout : Path
        Folder of the program.
    source : Source
        As it was read.
    """
    about = "its code"
    commit = read_commit(checkout)
    at = "of an unknown commit" if commit is None else f"at {commit}"
    changed = [belief for belief in source.beliefs if not _still_says(checkout, belief)]
    if not changed:
        return fine(about, f"{at}, and all {count(len(source.beliefs), 'thing')} relied on stand in it")
    first = changed[0]
    others = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return warning(
        about,
        f"{at}; at {source.commit} it was read to {first.what}{others}, and {first.file} no longer has {first.text!r}",
        f"check out {source.commit} of https://github.com/{source.home}, or look at the first video with care",
    )


def read_commit(repository: Path) -> str | None:
    """Return the first digits of the commit of a repository, without asking git; None where it cannot be read."""
    git = repository / ".git"
    try:
        head = (git / "HEAD").read_text("utf-8").strip()
        if head.startswith("ref: "):
            name = head.removeprefix("ref: ")
            loose = git / name
            if loose.is_file():
                head = loose.read_text("utf-8").strip()
            else:
                packed = (git / "packed-refs").read_text("utf-8").splitlines()
                head = next(line.split()[0] for line in packed if line.endswith(f" {name}"))
    except (OSError, UnicodeDecodeError, StopIteration):
        return None
    return head[:10]


def _still_says(checkout: Path, belief: Belief) -> bool:
    try:
        return belief.text in (checkout / belief.file).read_text("utf-8", "replace")
    except OSError:
        return False
