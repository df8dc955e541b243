"""Processes that belong together: those that inherited the same token in their environment.

A token is inherited by all descendants, also by those whose parent has ended and who have another one by now.
"""

from __future__ import annotations

import os
import time

import psutil

_N_LOOKS = 10
_BETWEEN_LOOKS_S = 0.02


def find_marked(variable: str, token: str, session: int | None = None) -> list[psutil.Process]:
    """Find the other processes with a token in their environment, or of a session.

    Parameters
    ----------
    variable : str
        Environment variable that holds the token.
    token : str
        Its value.
    session : int, optional
        Id of a session whose processes count too.

    Returns
    -------
    list of psutil.Process
        Neither this process nor any that has ended; those of other users cannot be seen.
    """
    for _ in range(_N_LOOKS):
        looks = [(process, _belongs(process, variable, token, session)) for process in psutil.process_iter()]
        found = [process for process, belongs in looks if belongs]
        if found or all(belongs is not None for _, belongs in looks):
            return found
        time.sleep(_BETWEEN_LOOKS_S)
    return []


def _belongs(process: psutil.Process, variable: str, token: str, session: int | None) -> bool | None:
    """Say whether a process belongs; None where it may, or may have left one that does: look again."""
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        if session is not None and os.getsid(process.pid) == session:
            return True
        environment = process.environ()
        if not environment and not process.cmdline():
            return None  # its program has just been started: it has neither for a moment
        return (environment or process.environ()).get(variable) == token
    except (psutil.NoSuchProcess, ProcessLookupError):  # it has ended, and may have started another
        return False if _is_of_kernel(process) else None
    except (psutil.Error, OSError):  # it belongs to somebody else
        return False


def _is_of_kernel(process: psutil.Process) -> bool:
    """Say whether it is a thread of Linux's kernel, which has no environment at any time."""
    try:
        return process.pid == 2 or process.ppid() == 2
    except psutil.Error:
        return False
