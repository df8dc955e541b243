"""Reading the file that a sampler writes: `evalkit.profiling.sampler` says what its lines are."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.profiling import reasons
from evalkit.profiling.profile import GpuUse, Profile, ProfileError, Series
from evalkit.profiling.sampler import RECORD_FORMAT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

_NEAR_BYTES = 8192
"""How near to a moment reading begins: a piece of work that takes milliseconds is not to read minutes of lines."""


@dataclass
class _Record:
    """The lines of a sampler's file that belong to a time."""

    head: dict[str, Any]
    before: dict[str, Any]
    looks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def n_oom_kills(self) -> int | None:
        """Processes ended for want of memory between the last line before the time and the last line in it."""
        first, last = (line["oom_kills"] for line in (self.before, (self.looks or [self.before])[-1]))
        return None if first is None or last is None else last - first


def read_profile(
    path: Path, start_s: float | None = None, end_s: float | None = None, *, sampler_error: str = ""
) -> Profile:
    """Cut a profile out of a sampler's file, while it is being written or after everybody has died.

    Parameters
    ----------
    path : Path
        The file.
    start_s, end_s : float or None
        On the clock of ``time.monotonic()``, which all processes of a machine share; ``None`` for the beginning and
        the end of what was seen.
    sampler_error : str
        What happened to the sampler, if anything.

    Raises
    ------
    ProfileError
        If the file is missing or was not written by a sampler.
    """
    try:
        with path.open("rb") as file:
            record = _read(file, path, start_s, end_s)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}; is it the file of a profiler?") from None
    first_s = start_s if start_s is not None else (record.looks[0] if record.looks else record.head)["t"]
    last_s = end_s if end_s is not None else (record.looks[-1]["t"] if record.looks else first_s)
    head, looks = record.head, record.looks
    times_s = [look["t"] - first_s for look in looks]

    def series(values: Sequence[float | None], scale: float = 1.0) -> Series:
        return Series.of(
            [
                (time_s, None if value is None else value * scale)
                for time_s, value in zip(times_s, values, strict=True)
            ]
        )

    return Profile(
        duration_s=max(0.0, last_s - first_s),
        interval_s=head["interval_s"],
        rss_mib=series([look["rss_kib"] for look in looks], 1 / 1024),
        pss_mib=series([look.get("pss_kib") for look in looks], 1 / 1024),
        n_processes=series([look["n"] for look in looks]),
        gpus=tuple(
            _read_gpu(gpu, times_s, [look["gpus"][index] for look in looks])
            for index, gpu in enumerate(head["gpus"])
        ),
        gpu_reason=None if head["gpu_reason"] is None else reasons.reason_of(head["gpu_reason"]),
        gpu_text=next((look["gpu_text"] for look in looks if "gpu_text" in look), head["gpu_text"]),
        n_oom_kills=record.n_oom_kills,
        sampler_error=sampler_error,
    )


def read_last_piece(path: Path, *, wait_s: float = 0.0) -> Profile | None:
    """Read what was seen of the piece of work that a program was at when it died: all since the last mark.

    Parameters
    ----------
    path : Path
        The file of a sampler whose profiler is gone.
    wait_s : float
        How long to wait for the sampler's last words: it notices the death of who started it, and looks once more.

    Returns
    -------
    Profile or None
        None where nothing was marked, or there is no such file.

    Raises
    ------
    ProfileError
        If the file was not written by a sampler.
    """
    give_up_s = time.monotonic() + wait_s
    while True:
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            return None
        if (lines and b'"end"' in lines[-1]) or time.monotonic() > give_up_s:
            break
        time.sleep(0.01)
    start_s = next((json.loads(line)["t"] for line in reversed(lines) if b'"mark"' in line), None)
    return None if start_s is None else read_profile(path, start_s)


def _read_gpu(head: dict[str, Any], times_s: list[float], readings: list[list[float | None]]) -> GpuUse:
    def column(index: int) -> Series:
        return Series.of([(time_s, row[index]) for time_s, row in zip(times_s, readings, strict=True)])

    energy_j, power_w = column(3), column(4)
    if not len(energy_j) and len(power_w):  # the device does not count: add its power up
        steps_j = np.diff(power_w.times_s) * (power_w.values[1:] + power_w.values[:-1]) / 2
        energy_j = Series(power_w.times_s, np.concatenate(([0.0], np.cumsum(steps_j))))
    return GpuUse(
        head["name"], head["total_mib"], head["baseline_mib"], column(0), column(1), column(2), energy_j
    )


def _read(file: BinaryIO, path: Path, start_s: float | None, end_s: float | None) -> _Record:
    first = file.readline()
    try:
        head = json.loads(first)
        if head["format"] != RECORD_FORMAT:
            raise ProfileError(
                f"{path}: a record of format {head['format']!r}; this version reads {RECORD_FORMAT}"
            )
    except (ValueError, KeyError, TypeError):
        raise ProfileError(
            f"{path} is not a record of a profiler: its first line is {first[:60]!r}"
        ) from None
    record = _Record(head, before=head)
    if start_s is not None:
        _seek(file, file.tell(), start_s)
    for line in file:
        if not line.endswith(b"\n"):  # cut off with the sampler
            break
        try:
            look = json.loads(line)
            time_s = look["t"]
        except (ValueError, KeyError, TypeError):
            raise ProfileError(f"{path} is damaged: one of its lines is {line[:60]!r}") from None
        if "end" in look or (end_s is not None and time_s > end_s):
            break
        if start_s is not None and time_s < start_s:
            record.before = look
        else:
            record.looks.append(look)
    return record


def _seek(file: BinaryIO, first: int, start_s: float) -> None:
    """Go to a line a little before a moment, in steps of halves: a record may be hours long."""
    low, high = first, file.seek(0, 2)
    while high - low > _NEAR_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        at, line = file.tell(), file.readline()
        if not line.endswith(b"\n") or json.loads(line)["t"] >= start_s:
            high = middle
        else:
            low = at
    file.seek(low)
