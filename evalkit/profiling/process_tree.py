"""A process with all its descendants, and the memory they hold. Cheap enough to be asked a hundred times a second.

New processes are found without listing all of them: Linux reports the newest process id, so that only ids handed out
since the last look need one. A process that left the tree on purpose (its parent ended before it was seen once) is
not found.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024 if hasattr(os, "sysconf") else 4
_YOUNG_S = 0.1
_SAME_SIZE = 0.01


class ProcessTree(Protocol):
    """A root process and its descendants."""

    def find(self) -> None:
        """Look for processes that were started since the last look."""
        ...

    def pids(self) -> set[int]:
        """Return the members that were alive at the last look."""
        ...

    def rss_kib(self) -> tuple[int, int]:
        """Return resident memory summed over the members, and the number of those alive.

        A page that several members share counts once for each.
        """
        ...

    def pss_kib(self) -> int | None:
        """Return proportional memory: a page that k processes share counts 1/k for each.

        ``None`` where the system does not tell.
        """
        ...

    def close(self) -> None:
        """Let go of what is held open."""
        ...


def open_process_tree(root_pid: int) -> ProcessTree:
    """Start to watch a process, with those it has started already."""
    if Path("/proc/self/statm").exists() and Path("/proc/loadavg").exists():
        return ProcfsTree(root_pid)
    return PsutilTree(root_pid)


def _family(root_pid: int) -> list[psutil.Process]:
    """List a process and its descendants, the process that asks left out."""
    try:
        root = psutil.Process(root_pid)
        found = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    return [process for process in found if process.pid != os.getpid()]


@dataclass
class _Member:
    """A process of the tree. The open file belongs to this very process, even when its id is handed out again."""

    statm: int
    parent: int
    seen_s: float
    size: int = 0


class ProcfsTree:
    """The tree on Linux, read from /proc."""

    def __init__(self, root_pid: int) -> None:
        self._members: dict[int, _Member] = {}
        self._root_pid = root_pid
        self._loadavg = os.open("/proc/loadavg", os.O_RDONLY)
        self._newest = self._newest_pid()
        self._scan()

    def find(self) -> None:
        """Look for processes that were started since the last look."""
        newest = self._newest_pid()
        if newest < self._newest:  # the ids have started again from below
            self._scan()
        for pid in range(self._newest + 1, newest + 1):
            parent = _parent(pid)
            if parent in self._members and pid != os.getpid() and _is_process(pid):
                self._add(pid, parent)
        self._newest = newest

    def pids(self) -> set[int]:
        """Return the members that were alive at the last look."""
        return set(self._members)

    def rss_kib(self) -> tuple[int, int]:
        """Return resident memory summed over the members, and how many are alive."""
        pages = n_alive = 0
        now_s = time.monotonic()
        for pid, member in list(self._members.items()):
            try:
                size, resident, _ = os.pread(member.statm, 128, 0).split(b" ", 2)
            except OSError:  # it has ended
                os.close(self._members.pop(pid).statm)
                continue
            member.size = int(size)
            if member.size:  # a zombie has none
                n_alive += 1
                pages += 0 if self._is_copy(member, now_s) else int(resident)
        return pages * _PAGE_KIB, n_alive

    def pss_kib(self) -> int | None:
        """Return proportional memory, where the system reports it."""
        total = 0
        for pid, member in self._members.items():
            if not member.size:
                continue
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError:  # another user's, or an old kernel
                return None
            at = rollup.find(b"\nPss:")
            total += int(rollup[at + 5 :].split(None, 1)[0]) if at >= 0 else 0
        return total

    def close(self) -> None:
        """Let go of what is held open."""
        for member in self._members.values():
            os.close(member.statm)
        self._members.clear()
        os.close(self._loadavg)

    def _is_copy(self, member: _Member, now_s: float) -> bool:
        """Whether a process is a moment old and still shows the memory of its parent.

        Between vfork and exec a child *is* its parent's memory: counted, a program of 10 GB that starts a small one
        would be seen with 20 GB.
        """
        if now_s - member.seen_s > _YOUNG_S:
            return False
        parent = self._members.get(member.parent)
        return parent is not None and abs(member.size - parent.size) <= _SAME_SIZE * parent.size

    def _newest_pid(self) -> int:
        return int(os.pread(self._loadavg, 128, 0).rsplit(None, 1)[1])

    def _scan(self) -> None:
        for process in _family(self._root_pid):
            if process.pid not in self._members:
                parent = _parent(process.pid)
                if parent is not None:
                    self._add(process.pid, parent)

    def _add(self, pid: int, parent: int) -> None:
        with contextlib.suppress(OSError):  # ended already
            self._members[pid] = _Member(os.open(f"/proc/{pid}/statm", os.O_RDONLY), parent, time.monotonic())


def _parent(pid: int) -> int | None:
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        # "pid (name) state parent …", and a name may hold anything
        return int(os.read(handle, 1024).rsplit(b")", 1)[1].split(None, 2)[1])
    except (OSError, IndexError):
        return None
    finally:
        os.close(handle)


def _is_process(pid: int) -> bool:
    """Whether an id is a process and no thread of one."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False
    return int(status.partition(b"\nTgid:")[2].split(None, 1)[0]) == pid


class PsutilTree:
    """The tree on systems without /proc; each look lists all processes."""

    def __init__(self, root_pid: int) -> None:
        self._root_pid = root_pid
        self._members: dict[int, psutil.Process] = {}
        self.find()

    def find(self) -> None:
        """Look for processes that were started since the last look."""
        for process in _family(self._root_pid):
            self._members.setdefault(process.pid, process)

    def pids(self) -> set[int]:
        """Return the members that were alive at the last look."""
        return set(self._members)

    def rss_kib(self) -> tuple[int, int]:
        """Return resident memory summed over the members, and how many are alive."""
        total = n_alive = 0
        for pid, process in list(self._members.items()):
            try:
                if not process.is_running():
                    raise psutil.NoSuchProcess(pid)
                rss = process.memory_info().rss
            except psutil.Error:
                del self._members[pid]
                continue
            total += rss // 1024
            n_alive += rss > 0
        return total, n_alive

    def pss_kib(self) -> int | None:
        """Return proportional memory, where the system reports it."""
        return None

    def close(self) -> None:
        """Let go of what is held open."""
        self._members.clear()
