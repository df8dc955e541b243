"""What a video cost: the measurements of the ``profile`` family, from a profile and the generator's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.errors import UsageError
from evalkit.profiling import reasons
from evalkit.types import Measurement, Metric, Reason
from pipeline.events import CLIP, FIRST_FRAME, LOADED, SAVED, SPEECH, WARNING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalkit.profiling.profile import Profile, Series
    from evalkit.types import FloatArray

    Event = Mapping[str, Any]
    """``name``, ``time_s`` since the request, and ``detail``: as the events of a generator are written down."""

LOAD = Metric("profile.load_s", "s", "lower", "time to load the models, apart from generation", (0, None))
TTFF = Metric(
    "profile.ttff_s", "s", "lower", "from the request until the first frame can be shown", (0, None)
)
CLIP_LATENCY = Metric(
    "profile.clip_latency_s", "s", "lower", "time to make one clip, mean over clips", (0, None)
)
CLIP_LATENCY_P = {
    q: Metric(
        f"profile.clip_latency_p{q}_s",
        "s",
        "lower",
        f"time within which {q} % of the clips are made",
        (0, None),
    )
    for q in (50, 90, 95)
}
TOTAL = Metric("profile.total_s", "s", "lower", "from the request until the video is there", (0, None))
FPS = Metric("profile.fps", "1/s", "higher", "frames made in a second of work", (0, None))
RTF = Metric("profile.rtf", "1", "lower", "seconds of work for a second of video", (0, None))
PEAK_VRAM = Metric(
    "profile.peak_vram_mib",
    "MiB",
    "lower",
    "highest GPU memory of the process tree, summed over GPUs",
    (0, None),
)
PEAK_VRAM_SHARE = Metric(
    "profile.peak_vram_share",
    "1",
    "lower",
    "fullest moment of the fullest GPU in use, by anybody, of its memory",
    (0, 1),
)
PEAK_RSS = Metric(
    "profile.peak_rss_mib", "MiB", "lower", "highest resident memory summed over the process tree", (0, None)
)
GPU_UTIL = Metric(
    "profile.gpu_util", "1", "higher", "share of time in which the GPUs in use were at work", (0, 1)
)
ENERGY = Metric("profile.energy_j", "J", "lower", "energy taken by the GPUs in use, whole devices", (0, None))
ERROR_RATE = Metric("profile.error_rate", "1", "lower", "failed of attempted", (0, 1))

TIME_METRICS = (LOAD, TTFF, CLIP_LATENCY, *CLIP_LATENCY_P.values(), TOTAL, FPS, RTF)
RESOURCE_METRICS = (PEAK_VRAM, PEAK_VRAM_SHARE, PEAK_RSS, GPU_UTIL, ENERGY)
METRICS = (*TIME_METRICS, *RESOURCE_METRICS, ERROR_RATE)
MACHINE_METRICS = frozenset(metric.name for metric in (*TIME_METRICS, *RESOURCE_METRICS))
"""Names of what depends on the kind of machine. Times, load and energy do so plainly. GPU memory does, since context,
workspaces and chosen kernels differ with the GPU and its driver, and a share is one of another whole; resident memory,
since threads and their buffers follow the cores. The error rate does not: an attempt that failed is never set aside."""


def measure_times(
    events: Sequence[Event], *, n_frames: int | None, video_s: float | None
) -> list[Measurement]:
    """Return the metrics of `TIME_METRICS`, each with a value or a reason.

    Parameters
    ----------
    events : sequence of mapping
        Of the generator, in the order in which they happened; those up to the end where it failed.
    n_frames : int or None
        Frames in the finished video, counted; ``None`` where there is none.
    video_s : float or None
        Length of the finished video, seconds; ``None`` where there is none.

    Notes
    -----
    Where the models were loaded within the request, `TTFF` and `TOTAL` include that, as the user waits for it too.
    """
    missing = reasons.NOT_REPORTED if _time_of(events, SAVED) is not None else reasons.NOT_FINISHED
    total_s = _time_of(events, SAVED)
    return [
        _measure(LOAD, _load_s(events), reasons.NOT_REPORTED),
        _measure(TTFF, _time_of(events, FIRST_FRAME), missing),
        *_measure_clips(clip_latencies_s(events), missing),
        _measure(TOTAL, total_s, missing),
        _measure(FPS, n_frames / total_s if total_s and n_frames else None, _no_ratio(total_s)),
        _measure(RTF, total_s / video_s if total_s and video_s else None, _no_ratio(total_s)),
    ]


def time_notes(events: Sequence[Event]) -> tuple[str, ...]:
    """Return what a reader of the times must know: how the first frame came, and the generator's own warnings."""
    notes = []
    if any(event["name"] == FIRST_FRAME and event["detail"].get("at_end") for event in events):
        notes.append("the first frame can be shown only when the whole video is there")
    notes += [
        str(event["detail"]["text"])
        for event in events
        if event["name"] == WARNING and "text" in event["detail"]
    ]
    return tuple(notes)


def clip_latencies_s(events: Sequence[Event]) -> FloatArray:
    """Return the time each clip took: from the end of the one before, see `clip_edges_s`.

    Returns
    -------
    FloatArray, shape (n,)
        Seconds; empty where the generator reports no clips.
    """
    return np.diff(clip_edges_s(events))


def clip_edges_s(events: Sequence[Event]) -> FloatArray:
    """Return when the work on the first clip began, and when each clip was done, each index once.

    It began when models and speech were there.

    Returns
    -------
    FloatArray, shape (n + 1,)
        Seconds since the request, increasing; empty where the generator reports no clips.
    """
    ends_s: dict[Any, float] = {}
    for place, event in enumerate(events):
        if event["name"] == CLIP:
            ends_s.setdefault(event["detail"].get("index", f"place {place}"), event["time_s"])
    if not ends_s:
        return np.empty(0)
    first_s = min(ends_s.values())
    ready_s = [event["time_s"] for event in events if event["name"] in {LOADED, SPEECH}]
    start_s = max((time_s for time_s in ready_s if time_s <= first_s), default=0.0)
    return np.array([start_s, *sorted(ends_s.values())])


def percentile(samples: FloatArray, q: int) -> float | None:
    """Return a percentile, linear between ranks; ``None`` unless at least one sample can lie beyond it.

    So the 90th needs 10 samples, the 95th 20 and the 99th 100.

    Parameters
    ----------
    samples : FloatArray, shape (n,)
        In any order.
    q : int
        From 1 to 99.

    Examples
    --------
    >>> percentile(np.arange(1.0, 12.0), 90)
    10.0
    >>> percentile(np.arange(1.0, 12.0), 99) is None
    True
    """
    return float(np.percentile(samples, q)) if samples.size * (100 - q) >= 100 else None


def measure_resources(profile: Profile) -> list[Measurement]:
    """Return the metrics of `RESOURCE_METRICS`.

    Without a GPU, or where none was used, its metrics are absent. What else a reader must know is in
    `Profile.notes`. Named samples of peak_vram_mib: ``gpu0_mib`` and so on, the peak of each GPU in use;
    ``allocated_mib`` and ``reserved_mib``, the peaks of torch's allocator by GPU. Of peak_rss_mib: ``pss_mib``, the
    highest memory read with each shared page counted once.
    """
    return [
        _measure_vram(profile),
        _measure_vram_share(profile),
        _measure_rss(profile),
        _measure_util(profile),
        _measure_energy(profile),
    ]


def measure_error_rate(n_failed: int, n_attempted: int) -> Measurement:
    """Return failed over attempted, with its exact 95 % interval; absent where nothing was attempted.

    Raises
    ------
    UsageError
        If more failed than were attempted, or a count is negative.
    """
    if not 0 <= n_failed <= n_attempted:
        raise UsageError(f"{n_failed} failed of {n_attempted} attempted: that cannot be")
    if n_attempted == 0:
        return Measurement.absent(ERROR_RATE, reasons.NOTHING_ATTEMPTED)
    from evalkit.stats.intervals import share_interval

    interval = share_interval(n_failed, n_attempted)
    return Measurement(ERROR_RATE, n_failed / n_attempted, n=n_attempted, interval=interval)


def _measure(metric: Metric, value: float | None, reason: Reason) -> Measurement:
    return Measurement.absent(metric, reason) if value is None else Measurement(metric, value, n=1)


def _no_ratio(total_s: float | None) -> Reason:
    if total_s is None:
        return reasons.NOT_FINISHED
    return Reason.NO_VIDEO if total_s else reasons.NOT_REPORTED


def _time_of(events: Sequence[Event], name: str) -> float | None:
    return next((float(event["time_s"]) for event in events if event["name"] == name), None)


def _load_s(events: Sequence[Event]) -> float | None:
    loaded = next((event for event in events if event["name"] == LOADED), None)
    if loaded is None:
        return None
    return float(loaded["detail"].get("load_s", loaded["time_s"]))


def _measure_clips(samples: FloatArray, missing: Reason) -> Iterator[Measurement]:
    n = int(samples.size)
    if not n:
        yield from (
            Measurement.absent(metric, missing) for metric in (CLIP_LATENCY, *CLIP_LATENCY_P.values())
        )
        return
    yield Measurement(CLIP_LATENCY, float(samples.mean()), n=n, samples=(("clip_latency_s", samples),))
    for q, metric in CLIP_LATENCY_P.items():
        value = percentile(samples, q)
        yield (
            Measurement.absent(metric, reasons.TOO_FEW_CLIPS)
            if value is None
            else Measurement(metric, value, n=n)
        )


def _gpu_absence(profile: Profile) -> Reason | None:
    """Return why no metric of GPUs can be measured; ``None`` where one can."""
    if not profile.gpus:
        return profile.gpu_reason or reasons.NO_GPU
    if profile.used_gpus:
        return None
    unread = all(not len(gpu.memory_mib) for gpu in profile.gpus)
    return reasons.GPU_UNREADABLE if unread else reasons.GPU_NOT_USED


def _measure_vram(profile: Profile) -> Measurement:
    peak_mib, reason = profile.vram_mib.peak, _gpu_absence(profile)
    if reason is not None or peak_mib is None:
        return Measurement.absent(PEAK_VRAM, reason or reasons.GPU_UNREADABLE)
    samples = [(f"gpu{index}_mib", _peaks(gpu.memory_mib)) for index, gpu in profile.used_gpus]
    if profile.torch is not None:
        samples.append(("allocated_mib", np.array(profile.torch.allocated_mib)))
        samples.append(("reserved_mib", np.array(profile.torch.reserved_mib)))
    return Measurement(
        PEAK_VRAM, peak_mib, n=len(profile.vram_mib), coverage=profile.coverage, samples=tuple(samples)
    )


def _measure_vram_share(profile: Profile) -> Measurement:
    reason = _gpu_absence(profile)
    shares = [gpu.fullness for _, gpu in profile.used_gpus if gpu.fullness is not None]
    if reason is not None or not shares:
        return Measurement.absent(PEAK_VRAM_SHARE, reason or reasons.GPU_UNREADABLE)
    samples = tuple(
        (f"gpu{index}", np.array([gpu.fullness]))
        for index, gpu in profile.used_gpus
        if gpu.fullness is not None
    )
    return Measurement(
        PEAK_VRAM_SHARE,
        max(shares),
        n=max(len(gpu.used_mib) for _, gpu in profile.used_gpus),
        coverage=profile.coverage,
        samples=samples,
    )


def _measure_rss(profile: Profile) -> Measurement:
    peak_mib = profile.rss_mib.peak
    if not peak_mib:
        return Measurement.absent(PEAK_RSS, reasons.NOT_SAMPLED)
    samples = (("pss_mib", _peaks(profile.pss_mib)),) if len(profile.pss_mib) else ()
    return Measurement(PEAK_RSS, peak_mib, n=len(profile.rss_mib), coverage=profile.coverage, samples=samples)


def _peaks(series: Series) -> FloatArray:
    return np.array([series.peak], dtype=np.float64)


def _measure_util(profile: Profile) -> Measurement:
    reason = _gpu_absence(profile)
    if reason is not None:
        return Measurement.absent(GPU_UTIL, reason)
    means = [(f"gpu{index}", gpu.util.values.mean()) for index, gpu in profile.used_gpus if len(gpu.util)]
    if not means:
        return Measurement.absent(GPU_UTIL, reasons.GPU_UNREADABLE)
    return Measurement(
        GPU_UTIL,
        float(np.mean([mean for _, mean in means])),
        n=sum(len(gpu.util) for _, gpu in profile.used_gpus),
        samples=tuple((name, np.array([mean])) for name, mean in means),
    )


def _measure_energy(profile: Profile) -> Measurement:
    reason = _gpu_absence(profile)
    if reason is not None:
        return Measurement.absent(ENERGY, reason)
    counters = [gpu.energy_j for _, gpu in profile.used_gpus]
    if any(len(counter) < 2 for counter in counters):
        return Measurement.absent(ENERGY, reasons.GPU_UNREADABLE)
    seen_s = min(float(counter.times_s[-1] - counter.times_s[0]) for counter in counters)
    return Measurement(
        ENERGY,
        float(sum(counter.values[-1] - counter.values[0] for counter in counters)),
        n=sum(len(counter) for counter in counters),
        coverage=min(1.0, seen_s / profile.duration_s) if profile.duration_s > 0 else None,
    )
