"""The timeline says its finding in words and loses no peak."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.profiling.profile import GpuUse, Profile, Series
from evalkit.reports.timeline_plot import draw_timeline, thin


def event(name: str, time_s: float, **detail: Any) -> dict[str, Any]:
    return {"name": name, "time_s": time_s, "detail": detail}


EVENTS = [
    event("loaded", 0.0, load_s=3.0),
    event("speech", 0.5),
    event("clip", 2.0, index=0),
    event("first_frame", 2.1),
    event("clip", 4.0, index=1),
    event("saved", 5.0),
]


def ramp(peak: float, peak_s: float) -> Series:
    times_s = np.arange(0, 5.01, 0.01)
    return Series(times_s, peak * np.exp(-((times_s - peak_s) ** 2)))


def profile_of(*gpus: GpuUse, rss_mib: Series) -> Profile:
    alive = Series(rss_mib.times_s, np.ones(len(rss_mib)))
    return Profile(5.0, 0.01, rss_mib=rss_mib, n_processes=alive, gpus=gpus, gpu_reason=None)


def titles(profile: Profile, events: list[dict[str, Any]]) -> list[str]:
    return [axes.get_title(loc="left") for axes in draw_timeline(profile, events).axes]


def test_the_title_says_how_much_and_when() -> None:
    (title,) = titles(profile_of(rss_mib=ramp(700.0, 3.0)), EVENTS)
    assert title == "Memory peaks at 700 MiB after 3.00 s, between first frame and clip 2 done"


def test_without_events_there_is_no_between() -> None:
    assert titles(profile_of(rss_mib=ramp(700.0, 3.0)), []) == ["Memory peaks at 700 MiB after 3.00 s"]


def test_each_gpu_in_use_has_memory_and_load_and_its_limit() -> None:
    load = Series(np.array([0.0, 2.0]), np.array([0.5, 1.0]))
    used = GpuUse("fake", 1000, 0, used_mib=ramp(930.0, 1.0), tree_mib=ramp(930.0, 1.0), util=load)
    idle = GpuUse("fake", 1000, 500, used_mib=Series(np.array([0.0]), np.array([500.0])))
    figure = draw_timeline(profile_of(idle, used, rss_mib=ramp(700.0, 3.0)), EVENTS)
    assert [axes.get_title(loc="left").partition(" after")[0] for axes in figure.axes] == [
        "Memory peaks at 700 MiB",
        "GPU 1 memory peaks at 930 MiB",
        "GPU 1 at work 75 % of the time",
    ]
    assert "95 % of the device" in [text.get_text() for text in figure.axes[1].texts]


def test_an_unwatched_stretch_is_said_to_be_one() -> None:
    seen = Series(np.array([0.0, 0.05, 2.0, 2.05]), np.array([10.0, 10.0, 20.0, 20.0]))
    figure = draw_timeline(profile_of(rss_mib=seen), EVENTS)
    assert figure.axes[-1].get_xlabel() == "time (s) (grey: not sampled)"


def test_nothing_seen_is_said() -> None:
    assert titles(Profile(0.001, 0.01), []) == ["Memory was not sampled: it ended before the first sample"]


def test_many_events_do_not_cover_each_other() -> None:
    clips = [event("clip", 0.05 * k, index=k) for k in range(100)]
    figure = draw_timeline(profile_of(rss_mib=ramp(700.0, 3.0)), [*clips, event("first_frame", 0.07)])
    figure.draw_without_rendering()
    words = sorted(figure.axes[0].texts, key=lambda text: text.get_position()[0])
    boxes = [text.get_window_extent() for text in words]
    assert len(boxes) > 5
    assert " first frame" in [text.get_text() for text in words]
    assert all(left.x1 <= right.x0 + 1 for left, right in pairwise(boxes))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.integers(4, 60))
def test_thinning_keeps_extremes_order_and_size(values: list[float], n_most: int) -> None:
    series = Series(np.arange(len(values), dtype=np.float64), np.array(values))
    thinned = thin(series, n_most)
    assert len(thinned) <= max(n_most, 1)
    assert thinned.peak == series.peak
    assert thinned.values.min() == series.values.min()
    assert (np.diff(thinned.times_s) > 0).all()


def test_a_short_curve_is_left_alone() -> None:
    series = ramp(1.0, 1.0)
    assert thin(series, len(series)) is series


@pytest.mark.parametrize("place_s", [0.0, 2.5, 4.99])
def test_events_after_the_last_look_are_on_the_picture(place_s: float) -> None:
    figure = draw_timeline(profile_of(rss_mib=ramp(10.0, 1.0)), [event("saved", 5.0 + place_s)])
    assert figure.axes[0].get_xlim() == (0, 5.0 + place_s)
