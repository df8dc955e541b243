"""The picture of the lip sync."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.evaluators.lip_sync import Curves
from evalkit.evaluators.pictures.lip_sync import draw_lip_sync
from evalkit.metrics import lip_sync


def curves(n_windows: int) -> Curves:
    n = 400
    rng = np.random.default_rng(1)
    lips = np.cumsum(rng.normal(size=(n, 6)), axis=0)
    scores = lip_sync.WindowScores(np.arange(float(n_windows)), np.full(n_windows, 0.02), np.ones(n_windows))
    everywhere = np.ones(n, dtype=bool)
    return Curves(lips, lips, everywhere, everywhere, None, scores, scores, mouth_moves=True)


@pytest.mark.parametrize("n_windows", [1, 4, 300])
def test_no_name_is_struck_through_by_its_own_line(n_windows: int) -> None:
    figure = draw_lip_sync(curves(n_windows))
    figure.canvas.draw()
    named = {text.get_text(): (text, axes) for axes in figure.axes for text in axes.texts}
    assert {"chance", "pass mark", "seen", "expected"} <= named.keys()
    for name in ("chance", "pass mark"):
        text, axes = named[name]
        assert text.get_window_extent().x0 > axes.get_window_extent().x1  # lines end where the axes do
        assert text.get_window_extent().x1 < figure.bbox.x1
    boxes = [text.get_window_extent() for text, _ in named.values()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
