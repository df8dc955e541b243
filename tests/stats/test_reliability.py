"""Krippendorff's alpha: his own example, and an interval that behaves."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.stats.reliability import Reliability, krippendorff_alpha

ROWS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, section D."""


def _long(rows: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    said = [(r, c, float(x)) for r, row in enumerate(rows) for c, x in enumerate(row.split()) if x != "."]
    raters, clips, scores = zip(*said, strict=True)
    return np.array(raters), np.array(clips), np.array(scores)


@pytest.mark.parametrize(("level", "alpha"), [("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorffs_own_example(level, alpha):
    found = krippendorff_alpha(*_long(ROWS), level=level)
    assert found.alpha == pytest.approx(alpha, abs=5e-4)
    assert (found.n_raters, found.n_clips, found.n) == (4, 11, 40)
    assert found.reason == "4 of the 5 raters an interval needs"
    assert found.words == "agree well"


def test_more_noise_agrees_less_and_the_interval_narrows_with_raters():
    rng = np.random.default_rng(0)
    quality = np.linspace(1.5, 4.5, 24)

    def ask(n_raters: int, noise: float) -> Reliability:
        scores = np.clip(np.round(quality + noise * rng.standard_normal((n_raters, 24))), 1, 5)
        raters, clips = np.indices(scores.shape)
        return krippendorff_alpha(raters.ravel(), clips.ravel(), scores.ravel())

    exact, usual, wild = ask(20, 0.2), ask(20, 0.7), ask(20, 2.0)
    assert exact.alpha > 0.8 > usual.alpha > wild.alpha > 0.0
    assert usual.interval.low < usual.alpha < usual.interval.high
    many = ask(80, 0.7)
    assert np.diff(many.interval) < 0.7 * np.diff(usual.interval)
    assert wild.words.startswith("hardly agree")


def test_what_cannot_be_said_has_a_reason():
    equal = krippendorff_alpha(np.repeat(np.arange(5), 4), np.tile(np.arange(4), 5), np.full(20, 3.0))
    assert (equal.alpha, equal.reason) == (None, "all scores are equal")
    alone = krippendorff_alpha(np.arange(5), np.arange(5), np.arange(1.0, 6.0))
    assert (alone.alpha, alone.reason) == (None, "no clip was scored by two raters")
    assert alone.words == "agreement unknown: no clip was scored by two raters"
    one = krippendorff_alpha(np.arange(5), np.zeros(5, dtype=np.intp), np.arange(1.0, 6.0))
    assert (one.alpha, one.reason) == (None, "one clip alone was scored by two raters")


def test_a_repeated_answer_is_no_second_rater():
    raters, clips, scores = _long(ROWS)
    once = krippendorff_alpha(raters, clips, scores)
    again = krippendorff_alpha(*(np.concatenate([values, values]) for values in (raters, clips, scores)))
    assert again.alpha == pytest.approx(once.alpha)
    assert again.n == once.n
