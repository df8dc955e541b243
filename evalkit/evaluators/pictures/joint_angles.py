"""A picture of how the joints move: one small panel a joint, over the same time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from evalkit.metrics.motion import MAX_GAP_S
from evalkit.plot_style import BLUE, GREY, lay_out, new_figure, style_axes
from evalkit.types import BoolArray, FloatArray

_N_COLUMNS = 2
_LEAST_SPAN_DEG = 10.0


def draw_joint_angles(times_s: FloatArray, angles: Mapping[str, tuple[FloatArray, BoolArray]]) -> Figure:
    """Draw joint angles over time, each about its own mean, all to the same scale.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
    angles : mapping of str to (FloatArray, BoolArray), each of shape (n,)
        By joint: the angle in degrees, and whether it was seen; from `evalkit.evaluators.motion.joint_angles`.

    Returns
    -------
    Figure
        One panel a joint that was seen; a line is open where the joint was not seen for longer than can be bridged.
        A single panel that says so when no joint was seen.
    """
    curves = {}
    for name, (angles_deg, usable) in angles.items():
        unwrapped = np.unwrap(angles_deg[usable], period=360.0)
        curves[name] = _open_gaps(times_s[usable], unwrapped - unwrapped.mean())
    n_rows = max(1, -(-len(curves) // _N_COLUMNS))
    figure = new_figure(10, 0.7 + 1.2 * n_rows)
    grid = figure.add_gridspec(n_rows, _N_COLUMNS)
    lay_out(figure, grid, left=0.75, right=0.15, bottom=0.5, top=0.65, across=0.3, down=0.35)
    axes = grid.subplots(sharex=True, sharey=True, squeeze=False).ravel()
    half_deg = max([_LEAST_SPAN_DEG / 2, *(1.05 * float(np.nanmax(np.abs(a))) for _, a in curves.values())])
    for index, axis in enumerate(axes):
        if index >= len(curves):
            axis.set_visible(False)
            continue
        name = list(curves)[index]
        seen_s, about_mean = curves[name]
        axis.axhline(0.0, color=GREY, linewidth=0.6)
        axis.plot(seen_s, about_mean, color=BLUE, linewidth=1.2)
        axis.set_ylim(-half_deg, half_deg)
        is_lowest = index >= len(curves) - _N_COLUMNS
        axis.tick_params(labelbottom=is_lowest)
        style_axes(
            axis,
            title=f"{name.replace('_', ' ')}, ±{np.nanstd(about_mean):.3g}°",
            x="time (s)" if is_lowest else "",
        )
    figure.supylabel("angle about its mean (degrees)", fontsize=9)
    if curves:
        widest = max(curves, key=lambda name: float(np.nanstd(curves[name][1])))
        figure.suptitle(f"The {widest.replace('_', ' ')} moves most", x=0.01, ha="left", weight="bold")
    else:
        figure.suptitle("No joint was seen", x=0.01, ha="left", weight="bold")
    return figure


def _open_gaps(times_s: FloatArray, angles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Put a NaN into every gap, so that no line is drawn over it."""
    gaps = np.flatnonzero(np.diff(times_s) > MAX_GAP_S) + 1
    return np.insert(times_s, gaps, times_s[gaps]), np.insert(angles, gaps, np.nan)
