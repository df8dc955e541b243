"""Runs that raters have scored, with a planted truth: from which offset on they object, and which metrics they agree with."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from evalkit.runs.ratings.records import Origin, RaterRecord, Ratings, Score, StudyKind, StudyRecord
from evalkit.testing.ratings import write_ratings
from evalkit.testing.runs import make_trial, write_run
from evalkit.types import Metric

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.runs import Trial

OFFSET = Metric("lip_sync.offset_ms", "ms", "zero", "positive: the audio leads")
ERROR = Metric("lip_sync.error", "1", "lower", "chance that other words fit better", (0.0, 1.0))
SHARPNESS = Metric("technical.sharpness", "1", "higher", "one minus blur", (0.0, 1.0))
AMOUNT = Metric("motion.amount_deg_s", "deg/s", "band", "how much the body moves")
BREAK_MS, POINTS_PER_MS = 90.0, 0.015
"""Raters object to offsets beyond the one, so much for each millisecond more."""
_BEST, _POINTS_OF_ERROR = 4.3, 1.5


def write_rated_run(
    folder: Path,
    *,
    seed: int = 0,
    n_raters: int = 20,
    n_portraits: int = 5,
    n_speeches: int = 5,
    objects: bool = True,
    origin: Origin = Origin.SIMULATED,
    evaluators: dict[str, int] | None = None,
) -> Path:
    """Write a run of six configurations that everybody scored, overall and for lip sync, and return its folder.

    Sharpness and the amount of motion mean nothing to the raters; the error of lip sync does, a little.

    Parameters
    ----------
    folder : Path
    seed, n_raters, n_portraits, n_speeches : int
    objects : bool
        Whether raters object to offsets at all.
    origin : Origin
        Of all raters.
    evaluators : dict of str to int, optional
        As of `evalkit.testing.runs.write_run`.
    """
    rng = np.random.default_rng(seed)
    trials = [
        _trial(rng, steps, size, f"portrait {seed}.{portrait}", f"speech {seed}.{speech}")
        for steps, size, portrait, speech in itertools.product(
            (2, 3, 4), ("384*256", "688*368"), range(n_portraits), range(n_speeches)
        )
    ]
    metrics = (OFFSET, ERROR, SHARPNESS, AMOUNT)
    return write_ratings(
        write_run(folder, trials, metrics, evaluators=evaluators),
        _rate(rng, trials, n_raters, origin, objects=objects),
    )


def _trial(rng: np.random.Generator, steps: int, size: str, portrait: str, speech: str) -> Trial:
    return make_trial(
        params={"sample_steps": steps, "size": size},
        portrait=portrait,
        speech=speech,
        seed=1,
        values={
            OFFSET.name: rng.choice([-1.0, 1.0]) * abs(60.0 * (4 - steps) + 40.0 * rng.normal()),
            ERROR.name: float(np.clip(0.25 + 0.15 * rng.normal(), 0.0, 1.0)),
            SHARPNESS.name: float(np.clip(0.6 + 0.1 * rng.normal(), 0.0, 1.0)),
            AMOUNT.name: abs(10.0 + 3.0 * rng.normal()),
        },
    )


def _rate(
    rng: np.random.Generator, trials: list[Trial], n_raters: int, origin: Origin, *, objects: bool
) -> Ratings:
    raters = [
        RaterRecord(f"r{place:02}", 1, origin, "en", len(trials), len(trials))
        for place in range(1, n_raters + 1)
    ]
    biases = 0.3 * rng.normal(size=n_raters)
    scores = []
    for trial in trials:
        truth = _true_opinion(trial, objects=objects) + 0.15 * rng.normal()
        for rater, bias in zip(raters, biases, strict=True):
            for question in ("overall", "lip_sync"):
                given = float(np.clip(round(truth + bias + 0.6 * rng.normal()), 1, 5))
                scores.append(Score(rater.id, trial.id, None, question, given))
    study = StudyRecord(1, StudyKind.ACR, ("overall", "lip_sync"), "2026-11-22T02:00:00+00:00", "0" * 64)
    return Ratings((study,), tuple(raters), tuple(scores))


def _true_opinion(trial: Trial, *, objects: bool) -> float:
    offset, error = (abs(trial.metrics[metric.name].value or 0.0) for metric in (OFFSET, ERROR))
    objection = POINTS_PER_MS * max(0.0, offset - BREAK_MS) if objects else 0.0
    return _BEST - objection - _POINTS_OF_ERROR * error
