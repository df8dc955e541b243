"""Memory and GPUs over time, with what the generator was doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evalkit.plot_style import GREY, SERIES, TEXT_COLOUR, VERMILION, new_figure, style_axes
from evalkit.profiling.profile import FULL, Series
from pipeline.events import CLIP, FIRST_FRAME, LOADED, SAVED, SPEECH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from evalkit.profiling.costs import Event
    from evalkit.profiling.profile import GpuUse, Profile

_N_DRAWN = 1500
_WIDTH = 0.0085
_ABOVE_IN, _BELOW_IN, _BETWEEN_IN = 0.32, 0.5, 0.5
"""Room for titles and for the time."""
_WORDS = {LOADED: "models loaded", SPEECH: "speech ready"}
_FIRST_NAMED = {FIRST_FRAME: 0, SAVED: 1, LOADED: 2}


def draw_timeline(profile: Profile, events: Sequence[Event] = ()) -> Figure:
    """Draw the memory of the process tree, and memory and load of each GPU in use, under the generator's events.

    Parameters
    ----------
    profile : Profile
        Its time runs from the request, or from the start of the program.
    events : sequence of mapping
        Of the generator, as written down: ``name``, ``time_s``, ``detail``.
    """
    gpus = profile.used_gpus
    heights = [1.0, *([1.0, 0.5] * len(gpus))]
    height_in = 0.9 + 2.1 * sum(heights)
    figure = new_figure(9, height_in)
    figure.set_layout_engine(None)  # to work out what is known takes as long as to draw
    panel_in = (height_in - _ABOVE_IN - _BELOW_IN - _BETWEEN_IN * (len(heights) - 1)) / len(heights)
    figure.subplots_adjust(
        left=0.09,
        right=0.985,
        top=1 - _ABOVE_IN / height_in,
        bottom=_BELOW_IN / height_in,
        hspace=_BETWEEN_IN / panel_in,
    )
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _draw_memory(panels[0], profile.rss_mib, f"Memory {_finding(profile.rss_mib, events)}", SERIES[0])
    for place, (index, gpu) in enumerate(gpus):
        memory, load = panels[1 + 2 * place : 3 + 2 * place]
        colour = SERIES[(1 + place) % len(SERIES)]
        _draw_memory(memory, gpu.memory_mib, f"GPU {index} memory {_finding(gpu.memory_mib, events)}", colour)
        _draw_limit(memory, gpu)
        _draw_load(load, gpu, index, colour)
    for panel in panels:
        for start_s, end_s in profile.unwatched_s:
            panel.axvspan(start_s, end_s, color=GREY, alpha=0.15, linewidth=0)
        for event in events:
            panel.axvline(event["time_s"], color=GREY, linewidth=0.8, linestyle=":")
    panels[0].set_xlim(0, max([profile.duration_s, *(event["time_s"] for event in events)]) or 1.0)
    _name_events(panels[0], events)
    grey = " (grey: not sampled)" if len(profile.unwatched_s) else ""
    panels[-1].set_xlabel(f"time (s){grey}", fontsize=9, color=TEXT_COLOUR)
    return figure


def thin(series: Series, n_most: int = _N_DRAWN) -> Series:
    """Return fewer points of a curve that look the same: the lowest and highest of each stretch.

    Parameters
    ----------
    series : Series
        Any length.
    n_most : int
        Points to keep at most; a series no longer than that comes back as it is.
    """
    n = len(series)
    if n <= n_most:
        return series
    kept = set()
    for stretch in np.array_split(np.arange(n), n_most // 2):
        values = series.values[stretch]
        kept |= {int(stretch[values.argmin()]), int(stretch[values.argmax()])}
    places = np.array(sorted(kept))
    return Series(series.times_s[places], series.values[places])


def _draw_memory(axes: Axes, series: Series, title: str, colour: str) -> None:
    style_axes(axes, title=title, y="MiB")
    drawn = thin(series)
    axes.fill_between(drawn.times_s, drawn.values, color=colour, alpha=0.15, linewidth=0, step="post")
    axes.step(drawn.times_s, drawn.values, color=colour, linewidth=1.5, where="post")
    if series.peak is not None and series.peak_time_s is not None:
        axes.plot([series.peak_time_s], [series.peak], "o", color=colour, markersize=5)
    axes.set_ylim(0, 1.18 * (series.peak or 1.0))


def _draw_limit(axes: Axes, gpu: GpuUse) -> None:
    """Draw the line that no GPU should reach, where the curve comes near it."""
    limit_mib = FULL * gpu.total_mib
    if gpu.memory_mib.peak is not None and gpu.memory_mib.peak > 0.7 * limit_mib:
        axes.axhline(limit_mib, color=VERMILION, linewidth=1, linestyle="--")
        axes.text(
            0.005, limit_mib, f"{100 * FULL:.0f} % of the device", fontsize=8, color=VERMILION, va="bottom",
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
        axes.set_ylim(0, 1.18 * max(limit_mib, gpu.memory_mib.peak))


def _draw_load(axes: Axes, gpu: GpuUse, index: int, colour: str) -> None:
    if not len(gpu.util):
        style_axes(axes, title=f"GPU {index} load: not reported by the driver")
        return
    drawn = thin(gpu.util)
    axes.step(drawn.times_s, 100 * drawn.values, color=colour, linewidth=1.2, where="post")
    axes.set_ylim(0, 105)
    style_axes(axes, title=f"GPU {index} at work {100 * gpu.util.values.mean():.0f} % of the time", y="%")


def _finding(series: Series, events: Sequence[Event]) -> str:
    if series.peak is None or series.peak_time_s is None:
        return "was not sampled: it ended before the first sample"
    when = f"peaks at {series.peak:.0f} MiB after {series.peak_time_s:.2f} s"
    before = [event for event in events if event["time_s"] <= series.peak_time_s]
    after = [event for event in events if event["time_s"] > series.peak_time_s]
    if before and after:
        return f"{when}, between {_word(before[-1])} and {_word(after[0])}"
    return when


def _name_events(axes: Axes, events: Sequence[Event]) -> None:
    """Write what happened along the top, as far as there is room; what people ask for first goes first."""
    left, right = axes.get_xlim()
    taken: list[tuple[float, float]] = []
    for event in sorted(events, key=lambda event: _FIRST_NAMED.get(event["name"], len(_FIRST_NAMED))):
        place = (event["time_s"] - left) / (right - left)
        word = _word(event)
        width = _WIDTH * (len(word) + 1)
        ends = place > 1 - width
        begin = place - width if ends else place
        if any(begin < other_end and other < begin + width for other, other_end in taken):
            continue
        taken.append((begin, begin + width))
        axes.text(
            place, 0.99, f"{word} " if ends else f" {word}", fontsize=8, color=GREY, va="top",
            ha="right" if ends else "left", transform=axes.transAxes,
        )  # fmt: skip


def _word(event: Event) -> str:
    name = str(event["name"])
    if name == CLIP:
        index = event["detail"].get("index")
        return "clip done" if index is None else f"clip {index + 1} done"
    return _WORDS.get(name, name.replace("_", " "))
