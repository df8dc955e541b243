"""Tell out of memory from other failures."""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"\bMemoryError\b|OutOfMemoryError|out of memory|cannot allocate memory|bad_alloc|_ALLOC_FAILED|"
    r"can't allocate memory|failed to allocate memory",
    re.IGNORECASE,
)
_KILLED = re.compile(r"\bSIGKILL\b|exit code (-9|137)\b")


def is_out_of_memory(words: str, n_oom_kills: int | None = None) -> bool:
    """Whether a failure was for want of memory, of a GPU or of the machine.

    Parameters
    ----------
    words : str
        What the failure said: error, log, or how the process ended.
    n_oom_kills : int or None
        Processes the machine ended for want of memory meanwhile (`Profile.n_oom_kills`); then a process ended by
        SIGKILL counts, and only then: a kill alone is anybody's.

    Examples
    --------
    >>> is_out_of_memory("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB")
    True
    >>> is_out_of_memory("crashed (signal SIGKILL)"), is_out_of_memory("crashed (signal SIGKILL)", n_oom_kills=1)
    (False, True)
    """
    return bool(_WORDS.search(words)) or bool(n_oom_kills and _KILLED.search(words))
