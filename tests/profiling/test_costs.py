"""Numbers of the profile table, worked out by hand or by another implementation."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.errors import UsageError
from evalkit.profiling import reasons
from evalkit.profiling.costs import (
    METRICS,
    RESOURCE_METRICS,
    TIME_METRICS,
    clip_latencies_s,
    measure_error_rate,
    measure_resources,
    measure_times,
    percentile,
    time_notes,
)
from evalkit.profiling.profile import GpuUse, Profile, Series, TorchUse
from evalkit.types import Measurement, Reason


def event(name: str, time_s: float, **detail: Any) -> dict[str, Any]:
    return {"name": name, "time_s": time_s, "detail": detail}


WARM = [
    event("loaded", 0.0, load_s=12.5),
    event("speech", 0.5, duration_s=6.0),
    event("clip", 1.5, index=0),
    event("first_frame", 1.75),
    event("clip", 3.5, index=1),
    event("clip", 4.0, index=2),
    event("saved", 5.0),
]


def by_name(measurements: list[Measurement]) -> dict[str, Measurement]:
    return {measurement.metric.name.removeprefix("profile."): measurement for measurement in measurements}


def series(*values: float) -> Series:
    return Series(np.arange(len(values)) * 0.01, np.array(values, dtype=np.float64))


def test_times_of_a_video_made_with_a_warm_model() -> None:
    found = by_name(measure_times(WARM, n_frames=150, video_s=6.0))
    assert found["load_s"].value == 12.5
    assert found["ttff_s"].value == 1.75
    assert found["total_s"].value == 5.0
    assert found["fps"].value == 30.0  # 150 frames in 5 s
    assert found["rtf"].value == pytest.approx(5 / 6)
    # from speech to clip 0: 1.0; then 2.0 and 0.5
    assert found["clip_latency_s"].value == pytest.approx(3.5 / 3)
    assert found["clip_latency_s"].n == 3
    assert dict(found["clip_latency_s"].samples)["clip_latency_s"].tolist() == [1.0, 2.0, 0.5]
    assert found["clip_latency_p50_s"].value == 1.0
    assert found["clip_latency_p90_s"].reason is reasons.TOO_FEW_CLIPS


def test_models_loaded_within_the_request_belong_to_no_clip() -> None:
    events = [event("loaded", 8.0), event("clip", 9.0, index=0), event("saved", 9.5)]
    found = by_name(measure_times(events, n_frames=10, video_s=1.0))
    assert found["load_s"].value == 8.0
    assert found["clip_latency_s"].value == 1.0
    assert found["total_s"].value == 9.5


def test_a_clip_told_twice_counts_once() -> None:
    events = [event("clip", 1.0, index=0), event("clip", 1.0, index=0), event("clip", 3.0, index=1)]
    assert clip_latencies_s(events).tolist() == [1.0, 2.0]


def test_clips_without_numbers_all_count() -> None:
    assert clip_latencies_s([event("clip", 1.0), event("clip", 3.0)]).tolist() == [1.0, 2.0]


def test_a_failed_generation_has_the_times_it_reached() -> None:
    found = by_name(measure_times(WARM[:4], n_frames=None, video_s=None))
    assert found["ttff_s"].value == 1.75
    assert found["clip_latency_s"].value == 1.0
    for name in ("total_s", "fps", "rtf"):
        assert found[name].reason is reasons.NOT_FINISHED


def test_a_generator_that_tells_only_the_end() -> None:
    found = by_name(measure_times([event("saved", 2.0)], n_frames=50, video_s=2.0))
    assert found["rtf"].value == 1.0
    for name in ("load_s", "ttff_s", "clip_latency_s", "clip_latency_p95_s"):
        assert found[name].reason is reasons.NOT_REPORTED


def test_a_generator_that_tells_nothing_and_takes_no_time() -> None:
    found = by_name(measure_times([event("saved", 0.0)], n_frames=50, video_s=2.0))
    assert found["fps"].reason is reasons.NOT_REPORTED
    assert (
        by_name(measure_times([event("saved", 1.0)], n_frames=0, video_s=0.0))["rtf"].reason
        is Reason.NO_VIDEO
    )


def test_a_first_frame_at_the_end_is_said_so() -> None:
    assert time_notes(WARM) == ()
    (note,) = time_notes([event("first_frame", 5.0, at_end=True)])
    assert "only when the whole video is there" in note


def test_a_warning_of_the_generator_is_a_note() -> None:
    events = [event("warning", 1.0, text="compiles first"), event("warning", 2.0), event("saved", 5.0)]
    assert time_notes(events) == ("compiles first",)


@given(st.lists(st.floats(0, 100), min_size=100, max_size=300))
def test_percentiles_agree_with_the_standard_library(samples: list[float]) -> None:
    cuts = statistics.quantiles(samples, n=100, method="inclusive")
    for q in (50, 90, 95, 99):
        assert percentile(np.array(samples), q) == pytest.approx(cuts[q - 1])


@pytest.mark.parametrize(("q", "needed"), [(50, 2), (90, 10), (95, 20), (99, 100)])
def test_no_percentile_beyond_the_samples(q: int, needed: int) -> None:
    assert percentile(np.ones(needed - 1), q) is None
    assert percentile(np.ones(needed), q) == 1.0


def test_memory_of_a_tree() -> None:
    profile = Profile(0.05, 0.01, rss_mib=series(10, 50, 20, 20, 20), n_processes=series(1, 2, 1, 1, 1))
    found = by_name(measure_resources(profile))
    assert (found["peak_rss_mib"].value, found["peak_rss_mib"].n) == (50, 5)
    assert found["peak_rss_mib"].coverage == 1.0
    for name in ("peak_vram_mib", "gpu_util", "energy_j"):
        assert found[name].reason is reasons.NO_GPU


def test_nothing_seen_is_no_zero() -> None:
    found = by_name(measure_resources(Profile(0.001, 0.01)))
    assert found["peak_rss_mib"].reason is reasons.NOT_SAMPLED
    assert all(measurement.value is None for measurement in found.values())


def test_every_metric_is_there_once_and_in_order() -> None:
    times = measure_times([], n_frames=None, video_s=None)
    found = [*times, *measure_resources(Profile(0.001, 0.01))]
    assert tuple(measurement.metric for measurement in found) == TIME_METRICS + RESOURCE_METRICS
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_sum_over_gpus_is_taken_moment_by_moment() -> None:
    times_s = np.array([0.0, 0.01, 0.02])
    gpus = tuple(
        GpuUse("fake", 1000, 0, tree_mib=Series(times_s + shift_s, np.array(values)))
        for shift_s, values in ((0.0, [300.0, 100.0, 100.0]), (0.005, [50.0, 250.0, 50.0]))
    )
    profile = Profile(
        0.03, 0.01, rss_mib=series(1, 1, 1), n_processes=series(1, 1, 1), gpus=gpus, gpu_reason=None
    )
    # 300 | 300+50 | 100+50 | 100+250 | 100+250 | 100+50: never 300 and 250 at once
    assert profile.vram_mib.values.tolist() == [300, 350, 150, 350, 350, 150]
    with_torch = profile.with_torch(TorchUse((280.0, 240.0), (290.0, 245.0), 0.02))
    vram = by_name(measure_resources(with_torch))["peak_vram_mib"]
    assert vram.value == 350
    assert dict(vram.samples)["allocated_mib"].tolist() == [280.0, 240.0]
    assert Profile.from_dict(with_torch.to_dict()).torch == with_torch.torch


def test_the_fullest_gpu_in_use_counts_by_anybodys_memory() -> None:
    times_s = np.array([0.0, 0.01])

    def gpu(tree_mib: float, used_mib: float) -> GpuUse:
        own, everybody = np.array([0.0, tree_mib]), np.array([100.0, used_mib])
        return GpuUse("fake", 1000, 100, Series(times_s, everybody), Series(times_s, own))

    gpus = (gpu(300, 500), gpu(200, 970), gpu(0, 990))  # the last is somebody else's
    profile = Profile(0.02, 0.01, rss_mib=series(1, 1), n_processes=series(1, 1), gpus=gpus, gpu_reason=None)
    share = by_name(measure_resources(profile))["peak_vram_share"]
    assert share.value == 0.97
    assert {name: values.tolist() for name, values in share.samples} == {"gpu0": [0.5], "gpu1": [0.97]}
    without = by_name(measure_resources(Profile(0.02, 0.01)))
    assert without["peak_vram_share"].reason is reasons.NO_GPU


def test_a_gap_is_neither_hidden_nor_counted_after_the_end() -> None:
    times_s = np.array([0.0, 0.05, 0.45, 0.5])
    seen = Series(times_s, np.array([1.0, 1.0, 1.0, 0.0]))
    profile = Profile(1.0, 0.01, rss_mib=seen, n_processes=seen)
    assert profile.unwatched_s.tolist() == [[0.05, 0.45]]
    assert profile.coverage == pytest.approx(0.6)
    (note,) = profile.notes()
    assert "held up for up to 0.40 s" in note
    assert "40 % of the time" in note


@pytest.mark.parametrize(
    ("n_failed", "n", "low", "high"),
    [  # C. Clopper, E. Pearson 1934: the ends at which so many or more, or so few or fewer, have a chance of 2.5 %
        (0, 10, 0.0, 1 - 0.025 ** (1 / 10)),
        (10, 10, 0.025 ** (1 / 10), 1.0),
        (1, 10, 1 - 0.975 ** (1 / 10), 0.4450),
    ],
)
def test_error_rate_has_the_exact_interval(n_failed: int, n: int, low: float, high: float) -> None:
    rate = measure_error_rate(n_failed, n)
    assert (rate.value, rate.n) == (n_failed / n, n)
    assert rate.interval == pytest.approx((low, high), abs=1e-4)


def test_nothing_attempted_has_no_error_rate() -> None:
    assert measure_error_rate(0, 0).reason is reasons.NOTHING_ATTEMPTED


@pytest.mark.parametrize(("n_failed", "n"), [(3, 2), (-1, 2)])
def test_impossible_counts_are_refused(n_failed: int, n: int) -> None:
    with pytest.raises(UsageError, match="that cannot be"):
        measure_error_rate(n_failed, n)
