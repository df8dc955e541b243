"""What was seen of a piece of work: memory, GPUs and processes over time, and the peaks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.profiling import reasons

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from evalkit.types import FloatArray, Reason

PROFILE_FORMAT = 1
"""Of what `Profile.to_dict` gives."""
SHORT_PEAK_S = 0.1
"""A peak this long, seconds, is seen where the watching had no longer gap."""
FULL = 0.95
"""Share of a GPU's memory above which a warning is due."""

_NOTABLE_MIB, _NOTABLE_SHARE = 32, 0.1


class ProfileError(EvalkitError):
    """A record of a profile that cannot be read, or a profiler that could not start."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One quantity over time, at the moments at which it was read.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Seconds since the start of the profile, increasing.
    values : FloatArray, shape (n,)
        Always numbers; a moment at which nothing could be read is not there.
    """

    times_s: FloatArray
    values: FloatArray

    def __len__(self) -> int:
        return int(self.times_s.size)

    @property
    def peak(self) -> float | None:
        """The highest value; ``None`` where nothing was read."""
        return float(self.values.max()) if len(self) else None

    @property
    def peak_time_s(self) -> float | None:
        """When the highest value was first reached; ``None`` where nothing was read."""
        return float(self.times_s[self.values.argmax()]) if len(self) else None

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float | None]]) -> Series:
        """Make one from moments and what was read at them, if anything."""
        known = [(time_s, value) for time_s, value in pairs if value is not None]
        array = np.array(known, dtype=np.float64).reshape(-1, 2)
        return cls(array[:, 0], array[:, 1])

    def to_lists(self) -> dict[str, list[float]]:
        """Return JSON-able data."""
        return {"times_s": self.times_s.tolist(), "values": self.values.tolist()}

    @classmethod
    def from_lists(cls, data: Mapping[str, Sequence[float]]) -> Series:
        """Read what `to_lists` gave."""
        return cls(np.array(data["times_s"], dtype=np.float64), np.array(data["values"], dtype=np.float64))


EMPTY = Series(np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class GpuUse:
    """One GPU over time.

    Parameters
    ----------
    name : str
        As the driver calls it.
    total_mib : float
        Memory of the device.
    baseline_mib : float
        In use by anybody when the watching began, before the first piece of work.
    used_mib : Series
        In use by anybody.
    tree_mib : Series
        In use by the watched processes, where the driver reports it.
    util : Series
        Share of time at work, from 0 to 1, of the whole device.
    energy_j : Series
        Energy of the whole device since some moment in the past.
    """

    name: str
    total_mib: float
    baseline_mib: float
    used_mib: Series = EMPTY
    tree_mib: Series = EMPTY
    util: Series = EMPTY
    energy_j: Series = EMPTY

    @property
    def is_read_by_process(self) -> bool:
        """Whether the driver reports the memory of single processes; if not, the device's growth stands for it."""
        return len(self.tree_mib) > 0

    @property
    def memory_mib(self) -> Series:
        """The memory of the watched processes, or the growth of the device's since the baseline."""
        if self.is_read_by_process:
            return self.tree_mib
        return Series(self.used_mib.times_s, np.maximum(self.used_mib.values - self.baseline_mib, 0.0))

    @property
    def is_used(self) -> bool:
        """Whether the watched processes held any of its memory."""
        return (self.memory_mib.peak or 0.0) > 0

    @property
    def share(self) -> Series:
        """Share of its memory in use by anybody, from 0 to 1."""
        return Series(self.used_mib.times_s, self.used_mib.values / self.total_mib)

    @property
    def fullness(self) -> float | None:
        """Highest share of its memory in use by anybody, from 0 to 1; ``None`` where it was not read."""
        return None if self.used_mib.peak is None else self.used_mib.peak / self.total_mib


@dataclass(frozen=True, slots=True)
class TorchUse:
    """What torch says of a piece of work in its own process.

    Parameters
    ----------
    allocated_mib, reserved_mib : tuple of float
        Peaks of the CUDA allocator, a value for each GPU: held by tensors, and taken from the device for them.
    device_s : float or None
        From first to last operation on the current device, by CUDA events; ``None`` where CUDA was not running
        when the work began.
    """

    allocated_mib: tuple[float, ...]
    reserved_mib: tuple[float, ...]
    device_s: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data, to travel from the process that did the work."""
        return {
            "allocated_mib": list(self.allocated_mib),
            "reserved_mib": list(self.reserved_mib),
            "device_s": self.device_s,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TorchUse:
        """Read what `to_dict` gave."""
        return cls(tuple(data["allocated_mib"]), tuple(data["reserved_mib"]), data["device_s"])


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What was seen of one piece of work. Plain data; times are seconds since its start.

    Parameters
    ----------
    duration_s : float
        Length of the watched time.
    interval_s : float
        Intended time between two looks.
    rss_mib : Series
        Resident memory summed over the process tree. A page that k processes share counts k times.
    pss_mib : Series
        Proportional memory of the tree (such a page counts once), read now and then at new peaks that last, while
        there are several processes; empty where the system does not tell.
    n_processes : Series
        Processes alive; at the moments of `rss_mib`.
    gpus : tuple of GpuUse
        All GPUs of the machine, used or not.
    gpu_reason : Reason or None
        Why there are none.
    gpu_text : str
        The driver's own words, where it said something.
    n_oom_kills : int or None
        Processes that this machine ended for want of memory in the time; ``None`` where it does not tell.
    sampler_error : str
        What happened to the sampler; empty when nothing did. What was seen before stays.
    torch : TorchUse or None
        What torch measured, where the work was done by it on CUDA.
    """

    duration_s: float
    interval_s: float
    rss_mib: Series = EMPTY
    pss_mib: Series = EMPTY
    n_processes: Series = EMPTY
    gpus: tuple[GpuUse, ...] = ()
    gpu_reason: Reason | None = reasons.NO_GPU
    gpu_text: str = ""
    n_oom_kills: int | None = None
    sampler_error: str = ""
    torch: TorchUse | None = None

    @property
    def unwatched_s(self) -> FloatArray:
        """Stretches longer than `SHORT_PEAK_S` without a sample although a watched process was alive.

        Returns
        -------
        FloatArray, shape (n, 2)
            Begin and end of each.
        """
        edges_s = np.concatenate(([0.0], self.rss_mib.times_s, [self.duration_s]))
        stretches_s: FloatArray = np.stack([edges_s[:-1], edges_s[1:]], axis=1)
        watched = np.diff(edges_s) <= SHORT_PEAK_S
        watched[1:] |= self.n_processes.values == 0  # after the last process has ended nothing can be missed
        return np.compress(~watched, stretches_s, axis=0)

    @property
    def coverage(self) -> float:
        """Share of the time, from 0 to 1, in which a peak of `SHORT_PEAK_S` could not have been missed."""
        if self.duration_s <= 0 or not len(self.rss_mib):
            return 0.0
        return max(0.0, 1.0 - float(np.diff(self.unwatched_s).sum()) / self.duration_s)

    @property
    def used_gpus(self) -> tuple[tuple[int, GpuUse], ...]:
        """The GPUs whose memory the watched processes held, with their indices."""
        return tuple((index, gpu) for index, gpu in enumerate(self.gpus) if gpu.is_used)

    @property
    def vram_mib(self) -> Series:
        """GPU memory of the watched processes, summed over the GPUs; the last value read of each holds on."""
        memories_mib = [gpu.memory_mib for _, gpu in self.used_gpus]
        if not memories_mib:
            return EMPTY
        times_s = np.unique(np.concatenate([memory_mib.times_s for memory_mib in memories_mib]))
        total = np.zeros_like(times_s)
        for memory_mib in memories_mib:
            last = np.searchsorted(memory_mib.times_s, times_s, side="right") - 1
            total += np.where(last >= 0, memory_mib.values[np.maximum(last, 0)], 0.0)
        return Series(times_s, total)

    def notes(self) -> tuple[str, ...]:
        """Say what a reader must know of these numbers, and what went near the limit."""
        return (*self._gpu_notes(), *self._memory_notes(), *self._sampler_notes())

    def _gpu_notes(self) -> Iterator[str]:
        for index, gpu in enumerate(self.gpus):
            if gpu.fullness is not None and gpu.fullness > FULL:
                yield (
                    f"warning: GPU {index} ({gpu.name}) was at {100 * gpu.fullness:.0f} % of its "
                    f"{gpu.total_mib:.0f} MiB; the limit is {100 * FULL:.0f} %"
                )
        for index, gpu in self.used_gpus:
            if not gpu.is_read_by_process:
                yield (
                    f"GPU {index}: the driver does not report the memory of single processes here; "
                    f"given is the growth of the whole device since {gpu.baseline_mib:.0f} MiB"
                )
        if self.gpus and self.gpu_text:
            yield f"the GPU driver could not tell everything: {self.gpu_text}"

    def _memory_notes(self) -> Iterator[str]:
        if self.n_oom_kills:
            yield f"warning: this machine ended {self.n_oom_kills} process(es) for want of memory in this time"
        if self.pss_mib.peak is not None and self.pss_mib.peak_time_s is not None:
            at = int(np.searchsorted(self.rss_mib.times_s, self.pss_mib.peak_time_s))
            resident_mib = float(self.rss_mib.values[at])
            if resident_mib - self.pss_mib.peak > max(_NOTABLE_MIB, _NOTABLE_SHARE * resident_mib):
                yield (
                    f"the processes share memory: {resident_mib:.0f} MiB resident are "
                    f"{self.pss_mib.peak:.0f} MiB when each shared page counts once"
                )

    def _sampler_notes(self) -> Iterator[str]:
        if self.sampler_error:
            yield f"warning: {self.sampler_error}; what was seen before is kept"
        elif self.coverage < 1 and len(self.rss_mib):
            yield (
                f"the sampler was held up for up to {np.diff(self.unwatched_s).max():.2f} s; "
                f"a shorter peak can have been missed in {100 * (1 - self.coverage):.0f} % of the time"
            )

    def restricted_to(self, gpus: Collection[int]) -> Profile:
        """Return the same without the readings of other GPUs, on which somebody else was at work."""
        return replace(
            self,
            gpus=tuple(
                gpu if index in gpus else GpuUse(gpu.name, gpu.total_mib, gpu.baseline_mib)
                for index, gpu in enumerate(self.gpus)
            ),
        )

    def with_torch(self, torch: TorchUse | None) -> Profile:
        """Return the same with what torch said."""
        return replace(self, torch=torch)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data, the whole timeline included."""
        return {
            "format": PROFILE_FORMAT,
            "duration_s": self.duration_s,
            "interval_s": self.interval_s,
            "rss_mib": self.rss_mib.to_lists(),
            "pss_mib": self.pss_mib.to_lists(),
            "n_processes": self.n_processes.to_lists(),
            "gpus": [
                {
                    "name": gpu.name,
                    "total_mib": gpu.total_mib,
                    "baseline_mib": gpu.baseline_mib,
                    **{name: getattr(gpu, name).to_lists() for name in _GPU_SERIES},
                }
                for gpu in self.gpus
            ],
            "gpu_reason": None if self.gpu_reason is None else str(self.gpu_reason),
            "gpu_text": self.gpu_text,
            "n_oom_kills": self.n_oom_kills,
            "sampler_error": self.sampler_error,
            "torch": None if self.torch is None else self.torch.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """Read what `to_dict` gave, through JSON or not.

        Raises
        ------
        ProfileError
            If the data has another format.
        """
        if data.get("format") != PROFILE_FORMAT:
            raise ProfileError(
                f"a profile of format {data.get('format')!r}; this version reads {PROFILE_FORMAT}"
            )
        return cls(
            duration_s=data["duration_s"],
            interval_s=data["interval_s"],
            rss_mib=Series.from_lists(data["rss_mib"]),
            pss_mib=Series.from_lists(data["pss_mib"]),
            n_processes=Series.from_lists(data["n_processes"]),
            gpus=tuple(
                GpuUse(
                    gpu["name"],
                    gpu["total_mib"],
                    gpu["baseline_mib"],
                    **{name: Series.from_lists(gpu[name]) for name in _GPU_SERIES},
                )
                for gpu in data["gpus"]
            ),
            gpu_reason=None if data["gpu_reason"] is None else reasons.reason_of(data["gpu_reason"]),
            gpu_text=data["gpu_text"],
            n_oom_kills=data["n_oom_kills"],
            sampler_error=data["sampler_error"],
            torch=None if data["torch"] is None else TorchUse.from_dict(data["torch"]),
        )


_GPU_SERIES = ("used_mib", "tree_mib", "util", "energy_j")
