"""The mouth where p, b and m are spoken, as one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evalkit.evaluators.lip_sync import SeenClosures
from evalkit.metrics.closures import CLOSED_OPENNESS
from evalkit.plot_style import BLUE, GREEN, GREY, VERMILION, lay_out, new_figure, style_axes
from evalkit.types import FloatArray

SHOWN_S = 9.0
"""In the strip: the stretch with most misses, from the start where nothing is missed."""
AROUND_S = 0.3
_STEP_S = 0.01


def draw_closures(seen: SeenClosures) -> Figure:
    """Draw the openness over time with the closures as bands, the contrast by offset, and the mouth about all closures.

    Parameters
    ----------
    seen : SeenClosures
        From `evalkit.evaluators.lip_sync.see_closures`.
    """
    figure = new_figure(10, 6.5)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.1, 1))
    lay_out(figure, grid, left=0.7, right=0.4, bottom=0.6, top=0.4, across=1.0, down=0.9)
    _draw_strip(figure.add_subplot(grid[0, :]), seen)
    _draw_around(figure.add_subplot(grid[1, 0]), seen)
    _draw_contrast(figure.add_subplot(grid[1, 1]), seen)
    return figure


def _draw_strip(axes: Axes, seen: SeenClosures) -> None:
    missed_s = seen.closures.starts_s[seen.judgement.is_missed] + seen.judged_at_s
    first_s = _busiest(missed_s, float(seen.times_s[-1]))
    last_s = min(first_s + SHOWN_S, float(seen.times_s[-1]))
    shown = (seen.times_s >= first_s) & (seen.times_s <= last_s)
    line = np.where(seen.valid, seen.openness, np.nan)[shown]
    for symbol, start_s, end_s, is_judged, is_missed in zip(
        seen.closures.symbols,
        seen.closures.starts_s + seen.judged_at_s,
        seen.closures.ends_s + seen.judged_at_s,
        seen.judgement.is_judged,
        seen.judgement.is_missed,
        strict=True,
    ):
        if end_s < first_s or start_s > last_s:
            continue
        colour = VERMILION if is_missed else GREEN if is_judged else GREY
        axes.axvspan(start_s, end_s, color=colour, alpha=0.35, linewidth=0)
        text = f"{symbol} missed" if is_missed else symbol
        axes.text(
            (start_s + end_s) / 2,
            1.05,
            text,
            color=colour,
            fontsize=8,
            ha="center",
            va="bottom",
            rotation=90 if is_missed else 0,
        )
    axes.plot(seen.times_s[shown], line, color=BLUE, linewidth=1.2, marker=".", markersize=3)
    axes.axhline(CLOSED_OPENNESS, color=GREY, linewidth=1, linestyle="--")
    axes.set_xlim(first_s, last_s)
    axes.set_ylim(-0.03, 1.55)
    axes.set_yticks([0, CLOSED_OPENNESS, 1], ["closed", "limit", "open"])
    n, n_missed = int(seen.judgement.is_judged.sum()), int(seen.judgement.is_missed.sum())
    moved = f", moved by {1000 * seen.judged_at_s:+.0f} ms" if seen.offset.is_clear else ""
    style_axes(
        axes,
        title=f"The lips miss {n_missed} of {n} closures (bands: p, b, m as heard{moved})",
        x="time (s)",
        y="mouth",
    )


def _busiest(missed_s: FloatArray, end_s: float) -> float:
    """Return where the stretch of `SHOWN_S` with most misses begins; early ones first."""
    starts_s = np.clip(missed_s - 1.0, 0.0, max(0.0, end_s - SHOWN_S))
    if not starts_s.size:
        return 0.0
    counts = ((missed_s >= starts_s[:, None]) & (missed_s <= starts_s[:, None] + SHOWN_S)).sum(axis=1)
    return float(starts_s[counts.argmax()])


def _draw_around(axes: Axes, seen: SeenClosures) -> None:
    """Draw the mouth about every closure, as delivered, and the median of them."""
    around_s = np.arange(-AROUND_S, AROUND_S + _STEP_S / 2, _STEP_S)
    middles_s = (seen.closures.starts_s + seen.closures.ends_s) / 2
    judged = seen.judgement.is_judged
    courses = np.interp(
        middles_s[judged, None] + around_s, seen.times_s[seen.valid], seen.openness[seen.valid]
    )
    for course, is_missed in zip(courses, seen.judgement.is_missed[judged], strict=True):
        axes.plot(
            1000 * around_s,
            course,
            color=VERMILION if is_missed else GREY,
            linewidth=1 if is_missed else 0.6,
            alpha=0.8 if is_missed else 0.4,
        )
    axes.plot(1000 * around_s, np.median(courses, axis=0), color=BLUE, linewidth=2)
    half_ms = 500 * float(np.median(seen.closures.ends_s - seen.closures.starts_s))
    axes.axvspan(-half_ms, half_ms, color=GREEN, alpha=0.25, linewidth=0)
    axes.set_ylim(-0.03, 1.05)
    axes.set_yticks([0, 1], ["closed", "open"])
    style_axes(
        axes,
        title="About each closure (band: as heard; red: missed)",
        x="time from the middle of the closure (ms)",
        y="mouth",
    )


def _draw_contrast(axes: Axes, seen: SeenClosures) -> None:
    offset = seen.offset
    axes.axvspan(
        1000 * offset.interval_s.low, 1000 * offset.interval_s.high, color=BLUE, alpha=0.2, linewidth=0
    )
    axes.plot(1000 * offset.offsets_s, offset.contrast, color=BLUE, linewidth=1.5)
    axes.axvline(1000 * offset.offset_s, color=BLUE, linewidth=1)
    axes.set_xlim(1000 * offset.offsets_s[0], 1000 * offset.offsets_s[-1])
    who = "leads" if offset.offset_s > 0 else "lags"
    interval = f"[{1000 * offset.interval_s.low:.0f}, {1000 * offset.interval_s.high:.0f}]"
    title = f"By closures the audio {who} by {abs(1000 * offset.offset_s):.0f} ms {interval}"
    style_axes(
        axes,
        title=title if offset.is_clear else "The closures agree on no offset",
        x="offset (ms); positive: the audio leads",
        y="more closed in closures",
    )
