"""What the lip-sync numbers stand on, as one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evalkit.evaluators.lip_sync import Curves
from evalkit.metrics import lip_sync
from evalkit.plot_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    label_at_end,
    lay_out,
    new_figure,
    style_axes,
)

SHOWN_S = 8.0
_LABEL_GAP = 0.45  # standard deviations: two labels do not lie over each other


def draw_lip_sync(curves: Curves) -> Figure:
    """Draw lips seen over lips expected, the offset curve, and the error along the clip.

    Parameters
    ----------
    curves : Curves
        From `evalkit.evaluators.lip_sync.LipSync.compare`.
    """
    figure = new_figure(10, 6.5)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.1, 1))
    lay_out(figure, grid, left=0.7, right=0.85, bottom=0.6, top=0.6, across=0.95, down=0.9)
    _draw_lips(figure.add_subplot(grid[0, :]), curves)
    _draw_offset(figure.add_subplot(grid[1, 0]), curves)
    _draw_error(figure.add_subplot(grid[1, 1]), curves)
    return figure


def _draw_lips(axes: Axes, curves: Curves) -> None:
    offset_s = curves.offset.offset_s if curves.offset else 0.0
    expected = lip_sync.shift(curves.predicted, offset_s)[:, 0]
    seen = np.where(curves.usable, curves.observed[:, 0], np.nan)
    first = 0
    if curves.delivered.ranks.size:
        worst_s = float(curves.delivered.starts_s[curves.delivered.ranks.argmax()])
        last = max(0, seen.size - int(SHOWN_S * lip_sync.GRID_HZ))
        first = min(last, max(0, int((worst_s - (SHOWN_S - lip_sync.WINDOW_S) / 2) * lip_sync.GRID_HZ)))
    rows = slice(first, first + int(SHOWN_S * lip_sync.GRID_HZ))
    times_s = np.arange(seen.size)[rows] / lip_sync.GRID_HZ
    ends: list[float] = []
    for signal, name, colour in ((expected, "expected", ORANGE), (seen, "seen", BLUE)):
        spread = np.nanstd(signal[rows])
        line = signal[rows] / (spread if spread > 0 else 1.0)
        axes.plot(times_s, line, color=colour, linewidth=1.5)
        known = np.flatnonzero(np.isfinite(line))
        if known.size:
            end = float(line[known[-1]])
            if ends and abs(end - ends[0]) < _LABEL_GAP:
                end = ends[0] + (_LABEL_GAP if end >= ends[0] else -_LABEL_GAP)
            ends.append(end)
            label_at_end(axes, times_s[known[-1]], end, name, colour)
    silent = ~curves.speech[rows]
    low, high = axes.get_ylim()
    axes.fill_between(times_s, low, high, where=silent, color=GREY, alpha=0.12, linewidth=0)
    axes.set_ylim(low, high)
    moved = f", moved by {1000 * offset_s:+.0f} ms" if curves.offset else ""
    where = "around the worst window" if curves.delivered.ranks.size and first else "from the start"
    style_axes(
        axes,
        title=f"Inner-lip gap: seen, and expected from the sound{moved} ({where}; grey: nobody speaks)"
        + _articulation_of(curves),
        x="time (s)",
        y="gap (standard deviations)",
    )


def _articulation_of(curves: Curves) -> str:
    found = curves.articulation
    if found is None or found.articulation is None or found.explained_variance is None:
        return ""
    return (
        f"\nThe mouth opens {found.articulation:.2f} times as wide as expected; "
        f"the sound explains {found.explained_variance:.0%} of the lips' movement"
    )


def _draw_offset(axes: Axes, curves: Curves) -> None:
    found = curves.offset
    if found is None:
        style_axes(axes, title="No offset: too little to compare")
        axes.set_axis_off()
        return
    offsets_ms = 1000 * found.offsets_s
    axes.axvspan(-125, 45, color=GREEN, alpha=0.10, linewidth=0)
    axes.text(
        -140,
        0.98,
        "not noticed (BT.1359)",
        color=GREEN,
        fontsize=8,
        ha="right",
        va="top",
        transform=axes.get_xaxis_transform(),
    )
    axes.axvspan(
        1000 * found.interval_s.low, 1000 * found.interval_s.high, color=BLUE, alpha=0.2, linewidth=0
    )
    axes.plot(offsets_ms, found.correlation, color=BLUE, linewidth=1.5)
    axes.axvline(1000 * found.offset_s, color=BLUE, linewidth=1)
    axes.text(
        0.99,
        0.98,
        f"speakers in sync\ndiffer by ±{lip_sync.SPEAKER_SPREAD_MS:.0f} ms",
        color=GREY,
        fontsize=8,
        ha="right",
        va="top",
        transform=axes.transAxes,
    )
    offset_ms = 1000 * found.offset_s
    who = "The audio leads by" if offset_ms > 0 else "The audio lags by"
    style_axes(
        axes,
        title=f"{who} {abs(offset_ms):.0f} ms [{1000 * found.interval_s.low:.0f}, {1000 * found.interval_s.high:.0f}]",
        x="offset (ms); positive: the audio leads",
        y="correlation",
    )


def _draw_error(axes: Axes, curves: Curves) -> None:
    scores = curves.delivered
    if scores.ranks.size == 0:
        style_axes(axes, title="No error: no window with speech and a face")
        axes.set_axis_off()
        return
    middles_s = scores.starts_s + lip_sync.WINDOW_S / 2
    colours = [BLUE if rank <= lip_sync.PASS else VERMILION for rank in scores.ranks]
    axes.vlines(middles_s, 0, scores.ranks, colors=colours, linewidth=2)
    axes.scatter(middles_s, scores.ranks, color=colours, s=18, zorder=3)
    axes.axhline(lip_sync.PASS, color=GREY, linewidth=1, linestyle="--")
    axes.axhline(0.5, color=GREY, linewidth=1, linestyle=":")
    axes.set_ylim(-0.03, 1.03)
    right = float(middles_s[-1]) + lip_sync.WINDOW_HOP_S / 2
    axes.set_xlim(
        float(middles_s[0]) - lip_sync.WINDOW_HOP_S / 2, right
    )  # the lines end where they are named
    label_at_end(axes, right, lip_sync.PASS, "pass mark", GREY)
    label_at_end(axes, right, 0.5, "chance", GREY)
    style_axes(
        axes,
        title=f"Error {scores.ranks.mean():.2f} as delivered, {curves.aligned.ranks.mean():.2f} without the offset"
        if curves.aligned.ranks.size
        else f"Error {scores.ranks.mean():.2f} as delivered",
        x="time (s), 3 s windows",
        y="chance that other words fit better",
    )
