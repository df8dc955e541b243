"""State of the user's own git repository, read without running anything of it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from evalkit.runs.schema import CodeVersion

if TYPE_CHECKING:
    from pathlib import Path

_TIME_LIMIT_S = 5.0
# A repository may name programs that git runs: hooks, a file system monitor. None of them is run to read a commit.
_QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "--no-optional-locks")
_WHO = ("GIT_AUTHOR_", "GIT_COMMITTER_")


def read_code_version(folder: Path) -> CodeVersion | None:
    """Return commit and state of the git repository around a folder; None where there is none, or no git.

    Files that git does not track, and submodules, do not make it dirty.
    """
    commit = _ask(folder, "rev-parse", "--verify", "HEAD")
    status = _ask(folder, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
    if commit is None or status is None:
        return None
    return CodeVersion(commit.strip(), bool(status.strip()))


def run_git(folder: Path, *words: str, given: str = "") -> str:
    """Run git in a folder, and nothing of the repository, and return what it says.

    Parameters
    ----------
    folder : Path
    words : str
        Command and arguments.
    given : str
        Its standard input.

    Raises
    ------
    OSError, subprocess.SubprocessError, UnicodeDecodeError
        If there is no git, it fails or takes too long, or answers with something that is no text.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_WHO)
    }
    return subprocess.run(  # noqa: S603 - no shell
        ["git", *_QUIET, *words],  # noqa: S607 - the git that the user would run
        cwd=folder,
        env={**environment, "GIT_TERMINAL_PROMPT": "0"},
        input=given,
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=True,
    ).stdout


def _ask(folder: Path, *words: str) -> str | None:
    try:
        return run_git(folder, *words)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
