"""What making a video cost, as metrics: from the profile and the events that came back with the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from evalkit.profiling import reasons
from evalkit.profiling.costs import (
    RESOURCE_METRICS,
    TIME_METRICS,
    clip_edges_s,
    measure_error_rate,
    measure_resources,
    measure_times,
    time_notes,
)
from evalkit.profiling.spill import find_spill
from evalkit.runs.measured import store_measurements
from evalkit.runs.schema import SpillAlarm
from evalkit.types import Measurement
from pipeline.events import FIRST_FRAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.profiling.profile import Profile
    from evalkit.profiling.spill import Spill
    from evalkit.runs import MetricResults
    from evalkit.runs.schema import Samples


class Costs(NamedTuple):
    """What goes into a trial, and what goes beside it."""

    profile: MetricResults
    samples: Samples
    spill: SpillAlarm | None


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
        Of the last try; None where nothing was sampled.
    events : sequence of dict
        Of the last try.
    generation : dict or None
        The generator's result; None where it gave none.
    alone : bool
        Whether nothing else of the sweep used the device meanwhile. If not, times are absent.
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
    spill = None
    if profile is not None and alone:  # beside others, steps are slow for other reasons
        spill = _find_spill(profile, (generation or {}).get("events", events))
    notes = [*(() if profile is None else profile.notes()), *time_notes(events)]
    notes += [] if spill is None else [spill.text()]
    rate = measure_error_rate(n_failed, n_attempted)
    results, samples = store_measurements([*times, *resources, rate], notes=notes)
    return Costs(results, samples, None if spill is None else SpillAlarm(**spill._asdict()))


def _find_spill(profile: Profile, events: Sequence[dict[str, Any]]) -> Spill | None:
    """Look for a jump of the time per clip: clips are the smallest steps of which every driver tells."""
    return find_spill(clip_edges_s(events), {index: gpu.share for index, gpu in profile.used_gpus})
