"""The picture of the closures: what it says, and that nothing lies over anything else."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.evaluators.lip_sync import SeenClosures
from evalkit.evaluators.pictures.closures import SHOWN_S, draw_closures
from evalkit.metrics.closures import ClosureOffset, Closures, Judgement
from evalkit.types import Interval


def seen(length_s: float, missed: tuple[int, ...], *, is_clear: bool = True) -> SeenClosures:
    times_s = np.arange(0, length_s, 0.04)
    starts_s = np.arange(0.5, length_s - 0.3, 0.6)
    n = starts_s.size
    closures = Closures(("p", "b", "m") * n, starts_s, starts_s + 0.06)
    closures = closures._replace(symbols=closures.symbols[:n])
    is_missed = np.isin(np.arange(n), missed)
    lags_s = np.arange(-0.4, 0.4025, 0.005)
    offset = ClosureOffset(
        -0.05, Interval(-0.07, -0.03), is_clear, lags_s, np.exp(-((lags_s + 0.05) ** 2) / 0.002)
    )
    openness = 0.5 + 0.5 * np.sin(7 * times_s)
    everywhere = np.ones(times_s.size, dtype=bool)
    return SeenClosures(
        times_s,
        openness,
        everywhere,
        closures,
        offset,
        Judgement(np.ones(n, dtype=bool), is_missed * 0.6, is_missed),
    )


@pytest.mark.parametrize(("length_s", "missed"), [(4.0, ()), (6.0, (1, 4)), (60.0, (70, 71, 72))])
def test_misses_are_marked_and_shown(length_s: float, missed: tuple[int, ...]) -> None:
    figure = draw_closures(seen(length_s, missed))
    figure.canvas.draw()
    strip, _, contrast = figure.axes
    assert f"miss {len(missed)} of " in strip.get_title(loc="left") + strip.get_title()
    marks = [text for text in strip.texts if "missed" in text.get_text()]
    assert len(marks) == len(missed)
    low_s, high_s = strip.get_xlim()
    assert high_s - low_s <= SHOWN_S + 1e-9
    assert all(low_s <= mark.get_position()[0] <= high_s for mark in marks)
    assert "lags by 50 ms" in contrast.get_title(loc="left") + contrast.get_title()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_an_unclear_offset_is_called_so() -> None:
    figure = draw_closures(seen(6.0, (), is_clear=False))
    titles = [axes.get_title(loc="left") + axes.get_title() for axes in figure.axes]
    assert titles[2] == "The closures agree on no offset"
    assert "moved" not in titles[0]
