"""What making a video cost: the lanes' processes are watched from outside, the generator's events are read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from evalkit.profiling import reasons
from evalkit.profiling.costs import (
    RESOURCE_METRICS,
    TIME_METRICS,
    measure_error_rate,
    measure_resources,
    measure_times,
)
from evalkit.profiling.profile import Profile, ProfileError, TorchUse
from evalkit.profiling.profiler import Profiler
from evalkit.runs.measured import store_measurements
from evalkit.types import Measurement
from pipeline.events import FIRST_FRAME, WARNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.runs import MetricResults
    from evalkit.runs.schema import Samples


class Costs(NamedTuple):
    """What goes into a trial, and what goes beside it."""

    profile: MetricResults
    samples: Samples


class Watch:
    """Watches the process that makes videos in one lane.

    Started before anything is loaded, since GPU memory counts from there.

    Attributes
    ----------
    error : str
        Why nothing is watched; empty when something is.
    """

    def __init__(self) -> None:
        self.error = ""
        self._pid: int | None = None
        self._profiler: Profiler | None = Profiler()
        try:
            self._profiler.start()
        except ProfileError as error:
            self.error, self._profiler = str(error), None

    def follow(self, pid: int | None) -> None:
        """Watch this process from now on; None where it is on another machine."""
        if self._profiler is not None and pid is not None and pid != self._pid:
            self._profiler.watch(pid)
        self._pid = pid

    def rest(self) -> None:
        """Look at nothing until the next `follow`."""
        if self._profiler is not None:
            self._profiler.rest()
        self._pid = None

    def cut(self, start_s: float, end_s: float | None = None) -> Profile | None:
        """Return what was seen between two moments of ``time.monotonic()``; None where nobody watched.

        Parameters
        ----------
        start_s, end_s : float or None
            None for now.
        """
        if self._profiler is None or self._pid is None:
            return None
        try:
            return self._profiler.cut(start_s, time.monotonic() if end_s is None else end_s)
        except ProfileError as error:
            self.error, self._profiler = str(error), None
            return None

    def close(self) -> None:
        """End the watching."""
        if self._profiler is not None:
            self._profiler.stop()


def measure_costs(
    profile: Profile | None,
    events: Sequence[dict[str, Any]],
    generation: dict[str, Any] | None,
    *,
    alone: bool,
    n_failed: int,
    n_attempted: int,
) -> Costs:
    """Return every metric of the profile of one trial.

    Parameters
    ----------
    profile : Profile or None
        Of the last try; None where nobody watched.
    events : sequence of dict
        Of the last try.
    generation : dict or None
        The generator's result; None where it gave none.
    alone : bool
        Whether nothing else of the sweep ran on the device meanwhile. If not, times are absent: they would measure
        the company.
    n_failed, n_attempted : int
        Tries of this trial.
    """
    timed = any(event["name"] == FIRST_FRAME for event in events)
    if not alone:
        times = [Measurement.absent(metric, reasons.SHARED_DEVICE) for metric in TIME_METRICS]
    elif generation is not None and not timed:
        times = [Measurement.absent(metric, reasons.NOT_TIMED) for metric in TIME_METRICS]
    else:
        times = measure_times(
            events,
            n_frames=generation["n_frames"] if generation is not None else None,
            video_s=generation["duration_s"] if generation is not None else None,
        )
    if profile is None:
        resources = [Measurement.absent(metric, reasons.NOT_SAMPLED) for metric in RESOURCE_METRICS]
    else:
        resources = measure_resources(profile)
    notes = [] if profile is None else list(profile.notes())
    if any(event["name"] == FIRST_FRAME and event["detail"].get("at_end") for event in events):
        notes.append("the first frame can be shown only when the whole video is there")
    notes += [
        str(event["detail"]["text"])
        for event in events
        if event["name"] == WARNING and "text" in event["detail"]
    ]
    rate = measure_error_rate(n_failed, n_attempted)
    return Costs(*store_measurements([*times, *resources, rate], notes=notes))


def with_torch(profile: Profile | None, told: dict[str, Any] | None) -> Profile | None:
    """Add what torch said of the work, where it said something."""
    if profile is None or told is None:
        return profile
    return profile.with_torch(TorchUse.from_dict(told))
