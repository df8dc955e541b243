"""The process that watches: ``python -m evalkit.profiling.sampler FILE INTERVAL_S keep|remove``.

It writes a line of JSON for each look, ten times a second: when the program it watches is killed, or the one that
started it, the lines stay and the last ones follow. Lines on its standard input are commands, each answered with an
empty line when it is done: ``watch PID``, ``look``, ``mark`` (a look at which a piece of work begins), ``pause``. At
the end of its input it looks once more and ends. It imports little, so that it is at work soon.

The first line of the file describes the GPUs; the next ones are looks:

``t`` seconds on the system's monotonic clock, ``rss_kib`` resident memory of the tree, ``n`` processes alive, ``pss_kib``
proportional memory (now and then, at new peaks that last), ``gpus`` (`evalkit.profiling.nvml.GpuReading`, a list each),
``oom_kills`` processes of the machine that were ended for want of memory since it was started, as of the last second,
``mark`` where a piece of work begins. The last line is ``{"t": …, "end": true}``.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.profiling.nvml import Gpus
from evalkit.profiling.process_tree import open_process_tree

if TYPE_CHECKING:
    from evalkit.profiling.process_tree import ProcessTree

RECORD_FORMAT = 1
_STDIN, _STDOUT = 0, 1
_CPU_SHARE = 0.015
_BURST_S = 0.015
_LONGEST_REST_S = 0.05
_PSS_SHARE = 0.003
_PSS_LIMIT_KIB = 8 * 1024 * 1024
_NEW_PEAK = 1.02
_LASTING_S = 0.1
_OOM_INTERVAL_S = 1.0
_WRITE_INTERVAL_S = 0.1
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class Allowance:
    """Processor time that may be spent: a share of the time that goes by, with a little saved up for bursts.

    Parameters
    ----------
    share : float
        Of one core, from 0 to 1.
    burst_s : float
        Processor time that can be saved up, seconds.
    """

    def __init__(self, share: float, burst_s: float) -> None:
        self._share, self._burst_s = share, burst_s
        self._left_s = burst_s
        self._now_s = time.monotonic()

    def spend(self, cpu_s: float, now_s: float) -> float:
        """Take off what was spent and return how long to rest, seconds; 0 while something is left."""
        self._left_s = min(self._burst_s, self._left_s + self._share * (now_s - self._now_s)) - cpu_s
        self._now_s = now_s
        return max(0.0, -self._left_s / self._share)


class Sampler:
    """Looks at a process tree and the GPUs and writes down what it sees.

    Parameters
    ----------
    path : Path
        Where to; replaced if it is there.
    interval_s : float
        Time between two looks, seconds; up to 50 ms where less would cost more than 1.5 % of one core.
    """

    def __init__(self, path: Path, interval_s: float) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._interval_s = interval_s
        self._tree: ProcessTree | None = None
        self._gpus = Gpus()
        self._pss_peak_kib = 0.0
        self._pss_rest_until_s = 0.0
        self._pss_cpu_s = 0.0
        self._level = (0, 0, 0.0)
        self._oom_kills = count_oom_kills()
        self._oom_due_s = 0.0
        self._write_due_s = 0.0
        self._unwritten: list[dict[str, Any]] = [
            {
                "format": RECORD_FORMAT,
                "t": time.monotonic(),
                "interval_s": interval_s,
                "gpus": self._gpus.described,
                "gpu_reason": self._gpus.reason,
                "gpu_text": self._gpus.text,
                "oom_kills": self._oom_kills,
            }
        ]

    def run(self) -> None:
        """Look until the input ends."""
        allowance = Allowance(_CPU_SHARE, _BURST_S)
        cpu_s = self._cpu_s()
        next_s: float | None = None
        while True:
            now_s = time.monotonic()
            timeout_s = None if next_s is None else max(0.0, next_s - now_s)
            if select.select([_STDIN], [], [], timeout_s)[0]:
                commands = os.read(_STDIN, 4096)
                if not commands:
                    self._end()
                    return
                for line in commands.decode().splitlines():
                    next_s = self._obey(line)
                self._write()
                os.write(_STDOUT, b"\n")
                continue
            alive = self._look()
            before_s, cpu_s = cpu_s, self._cpu_s()
            now_s = time.monotonic()
            rest_s = min(allowance.spend(cpu_s - before_s, now_s), _LONGEST_REST_S)
            due_s = (next_s or now_s) + self._interval_s
            if due_s <= now_s:  # late: what was missed is not made up for
                due_s = now_s + self._interval_s
            next_s = max(due_s, now_s + rest_s) if alive else None

    def _obey(self, line: str) -> float | None:
        """Carry out a command; return when the next look is due, ``None`` for never."""
        if self._tree is not None and line not in {"look", "mark"}:
            self._tree.close()
            self._tree = None
        if line.startswith("watch "):
            self._tree = open_process_tree(int(line.removeprefix("watch ")))
        if line != "look":
            self._pss_peak_kib = 0.0
        self._oom_due_s = 0.0
        alive = self._look(closely=True, mark=line == "mark")
        return time.monotonic() + self._interval_s if alive else None

    def _end(self) -> None:
        """Look once more: who closed the input may have been ended for want of memory."""
        self._oom_due_s = 0.0
        self._look(closely=True)
        self._unwritten.append({"t": time.monotonic(), "end": True})
        self._write()

    def _look(self, *, closely: bool = False, mark: bool = False) -> bool:
        """Look once; return whether there is anybody left to look at."""
        if self._tree is None:
            return False
        self._tree.find()
        look: dict[str, Any] = {"t": time.monotonic()}
        rss_kib, n_alive = self._tree.rss_kib()
        look.update(rss_kib=rss_kib, n=n_alive)
        look.update(self._read_pss(self._tree, rss_kib, n_alive))
        if self._gpus.described:
            readings = self._gpus.read(self._tree.pids(), closely=closely)
            look["gpus"] = [astuple(reading) for reading in readings]
            if self._gpus.text:
                look["gpu_text"], self._gpus.text = self._gpus.text, ""
        if look["t"] > self._oom_due_s:
            self._oom_kills, self._oom_due_s = count_oom_kills(), look["t"] + _OOM_INTERVAL_S
        look["oom_kills"] = self._oom_kills
        if mark:
            look["mark"] = True
        self._unwritten.append(look)
        if look["t"] > self._write_due_s or not n_alive:
            self._write()
        return n_alive > 0

    def _read_pss(self, tree: ProcessTree, rss_kib: int, n_alive: int) -> dict[str, int | None]:
        """Read proportional memory where it may be a new peak. It costs more the more memory there is.

        That is: at a new peak of several processes that has lasted a moment, and not too often.
        """
        now_s = time.monotonic()
        n_before, before_kib, since_s = self._level
        if n_alive != n_before or abs(rss_kib - before_kib) > (_NEW_PEAK - 1) * before_kib:
            self._level = (n_alive, rss_kib, now_s)
            return {}
        new = _NEW_PEAK * self._pss_peak_kib < rss_kib < _PSS_LIMIT_KIB
        if n_alive < 2 or not new or now_s < max(since_s + _LASTING_S, self._pss_rest_until_s):
            return {}
        start_s = time.process_time()
        pss_kib = tree.pss_kib()
        cost_s = time.process_time() - start_s
        self._pss_cpu_s += cost_s
        self._pss_rest_until_s = now_s + cost_s / _PSS_SHARE
        self._pss_peak_kib = rss_kib
        return {"pss_kib": pss_kib}

    def _cpu_s(self) -> float:
        """Return the processor time spent so far, apart from proportional memory with its own allowance."""
        return time.process_time() - self._pss_cpu_s

    def _write(self) -> None:
        """Write down what was seen: several looks at once, as each would cost as much as all."""
        os.write(self._file, "".join(f"{_ENCODE(line)}\n" for line in self._unwritten).encode())
        self._unwritten.clear()
        self._write_due_s = time.monotonic() + _WRITE_INTERVAL_S


def count_oom_kills() -> int | None:
    """Count the processes this machine ended for want of memory since it was started; ``None`` if it does not tell."""
    try:
        counters = Path("/proc/vmstat").read_text("ascii")
    except OSError:
        return None
    found = counters.partition("\noom_kill ")[2]
    return int(found.split(None, 1)[0]) if found else None


if __name__ == "__main__":
    _path, _interval_s, _then = sys.argv[1:]
    Sampler(Path(_path), float(_interval_s)).run()
    if _then == "remove":  # here, so that nothing is left when whoever asked was killed
        Path(_path).unlink(missing_ok=True)
