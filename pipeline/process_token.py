"""Processes that belong together: those that inherited the same token in their environment.

A token is inherited by all descendants, also by those whose parent has ended and who have another one by now.
"""

from __future__ import annotations

import os

import psutil


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
    return [process for process in psutil.process_iter() if _belongs(process, variable, token, session)]


def _belongs(process: psutil.Process, variable: str, token: str, session: int | None) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        in_session = session is not None and os.getsid(process.pid) == session
        return in_session or process.environ().get(variable) == token
    except (psutil.Error, OSError):  # it has ended meanwhile, or belongs to somebody else
        return False
