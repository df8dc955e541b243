"""What the stability numbers stand on, as one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evalkit.evaluators.stability import Course
from evalkit.formatting import count
from evalkit.metrics.color_difference import delta_e
from evalkit.metrics.stability import EXPECTED_SEAM_SCORE, SEAM_SCORE, VISIBLE_FLICKER_PERCENT, Drift
from evalkit.plot_style import (
    BLUE,
    GREY,
    ORANGE,
    VERMILION,
    label_at_end,
    lay_out,
    new_figure,
    style_axes,
)

_MOST_DRAWN = 20.0


def draw_stability(course: Course) -> Figure:
    """Draw how far each picture jumps, the same folded at the period, and the courses of flicker, colours and sharpness.

    What the clip is too short for, or does not show, is not drawn.

    Parameters
    ----------
    course : Course
        From `evalkit.evaluators.stability.Stability.measure`.
    """
    drifts = course.drifts
    below = [
        draw
        for draw, has_something in (
            (_draw_folded, course.period is not None and course.seams.size > 0),
            (_draw_flicker, course.flicker[1].size > 0),
            (_draw_colors, drifts.person is not None or drifts.background is not None),
            (_draw_sharpness, drifts.sharpness is not None),
        )
        if has_something
    ]
    n_rows = 1 + -(-len(below) // 2)
    figure = new_figure(10, 0.4 + 2.6 * n_rows)
    grid = figure.add_gridspec(n_rows, 2)
    lay_out(figure, grid, left=0.9, right=1.0, bottom=0.6, top=0.4, across=1.75, down=0.85)
    _draw_jumps(figure.add_subplot(grid[0, :]), course)
    for place, draw in enumerate(below):
        draw(figure.add_subplot(grid[1 + place // 2, place % 2]), course)
    return figure


def _strengths(course: Course) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    highest = np.max(list(course.scores.values()), axis=0)
    return np.asarray(np.minimum(highest, _MOST_DRAWN))


def _draw_jumps(axes: Axes, course: Course) -> None:
    strengths = _strengths(course)
    axes.vlines(course.times_s, 0, strengths, colors=GREY, linewidth=0.6)
    seams = course.seams
    axes.vlines(course.times_s[seams], 0, strengths[seams], colors=VERMILION, linewidth=1.5)
    axes.scatter(course.times_s[seams], strengths[seams], color=VERMILION, s=16, zorder=3)
    axes.set_ylim(0, max(1.3 * SEAM_SCORE, 1.1 * float(strengths.max(initial=0.0))))
    axes.axhline(SEAM_SCORE, color=GREY, linewidth=1, linestyle="--")
    if course.times_s.size:
        axes.set_xlim(course.times_s[0], course.times_s[-1])
        label_at_end(axes, float(course.times_s[-1]), SEAM_SCORE, "a seam", GREY)
    found = count(seams.size, "seam") if seams.size else "No seam"
    style_axes(
        axes,
        title=f"{found}{_describe_period(course)}",
        x="time (s)",
        y=f"jump over its surroundings\n(at most {_MOST_DRAWN:g})",
    )


def _describe_period(course: Course) -> str:
    if course.period is None:
        return ""
    often = f", one every {course.period.period_s:.2f} s"
    if course.piece_s is None:
        return often
    is_asked = abs(course.period.period_s - course.piece_s) < course.frame_s
    return (
        f"{often}, as the generator was asked for"
        if is_asked
        else f"{often}; the generator was asked for {course.piece_s:.2f} s"
    )


def _draw_folded(axes: Axes, course: Course) -> None:
    if course.period is None:
        return
    period_s = course.period.period_s
    phase_s = (course.times_s - course.times_s[course.seams[0]] + period_s / 2) % period_s - period_s / 2
    strengths = _strengths(course)
    axes.scatter(phase_s, strengths, color=GREY, s=5, linewidths=0)
    axes.scatter(phase_s[course.seams], strengths[course.seams], color=VERMILION, s=14, zorder=3)
    axes.axhline(EXPECTED_SEAM_SCORE, color=GREY, linewidth=1, linestyle="--")
    axes.set_xlim(-period_s / 2, period_s / 2)
    axes.set_ylim(0, None)
    label_at_end(axes, period_s / 2, EXPECTED_SEAM_SCORE, "a seam, if due", GREY)
    frames = period_s / course.frame_s
    style_axes(
        axes,
        title=f"Folded at {period_s:.2f} s: {frames:.3g} frames at {1 / course.frame_s:.3g} a second",
        x="time from where a seam is due (s)",
        y="jump",
    )


def _draw_flicker(axes: Axes, course: Course) -> None:
    starts_s, flicker = course.flicker
    axes.step(starts_s, flicker, where="post", color=BLUE, linewidth=1.2)
    axes.axhline(VISIBLE_FLICKER_PERCENT, color=GREY, linewidth=1, linestyle="--")
    axes.set_xlim(float(starts_s[0]), max(float(starts_s[-1]), float(starts_s[0]) + 1.0))
    axes.set_ylim(0, max(1.3 * VISIBLE_FLICKER_PERCENT, 1.1 * float(flicker.max())))
    label_at_end(axes, axes.get_xlim()[1], VISIBLE_FLICKER_PERCENT, "seen", GREY)
    style_axes(
        axes,
        title=f"Background flickers by {flicker.mean():.2g} %",
        x="time (s)",
        y="flicker (% of full scale)",
    )


def _draw_colors(axes: Axes, course: Course) -> None:
    for drift, name, color in (
        (course.drifts.background, "background", BLUE),
        (course.drifts.person, "person", ORANGE),
    ):
        if drift is None:
            continue
        first = np.median(drift.block_values[: max(1, drift.n_blocks // 5)], axis=0)
        away = delta_e(drift.block_values, first)
        axes.plot(drift.block_times_s, away, color=color, linewidth=1.5)
        label_at_end(axes, float(drift.block_times_s[-1]), float(away[-1]), name, color)
    axes.set_ylim(0, max(2.0, axes.get_ylim()[1]))
    style_axes(axes, title="Mean colours, from the first fifth on", x="time (s)", y="ΔE00")


def _draw_sharpness(axes: Axes, course: Course) -> None:
    drift: Drift | None = course.drifts.sharpness
    if drift is None:
        return
    sharpness = np.exp(drift.block_values[:, 0])
    axes.plot(drift.block_times_s, sharpness, color=BLUE, linewidth=1.5)
    axes.set_ylim(0, 1)
    rise = 100 * float(np.expm1(drift.slopes[0]))
    style_axes(
        axes, title=f"Sharpness changes by {rise:+.2g} % a minute", x="time (s)", y="1 - perceptual blur"
    )
