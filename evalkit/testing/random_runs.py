"""Runs that nobody would plan: failures that cost, absences, gaps, one clip, nothing measured at all."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs import Run
from evalkit.runs.identity import machine_key
from evalkit.runs.layout import DECISIONS_FOLDER
from evalkit.runs.looks import LOOKS_FILE
from evalkit.runs.ratings.records import (
    QUESTIONS,
    Choice,
    Origin,
    RaterRecord,
    Ratings,
    Role,
    Score,
    StudyKind,
    StudyRecord,
)
from evalkit.testing.ratings import write_ratings
from evalkit.testing.runs import installed_version, make_trial, write_run
from evalkit.types import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evalkit.runs import Trial

ERROR = Metric("lip_sync.error", "1", "lower", "chance that other words fit better", (0.0, 1.0))
OFFSET = Metric("lip_sync.offset_ms", "ms", "zero", "positive: the audio leads")
SHARPNESS = Metric("technical.sharpness", "1", "higher", "one minus blur", (0.0, 1.0))
AMOUNT = Metric("motion.amount_deg_s", "deg/s", "band", "how much the body moves")
TOTAL = Metric("profile.total_s", "s", "lower", "until the video is there")
RSS = Metric("profile.peak_rss_mib", "MiB", "lower", "memory")
METRICS = (ERROR, OFFSET, SHARPNESS, AMOUNT, TOTAL, RSS, ERROR_RATE)

POLICY = """
name: random
title: For runs that nobody would plan
min_coverage: 0.8
quality: lip_sync.error
costs: [profile.total_s, profile.peak_rss_mib]
rules:
  - {metric: lip_sync.error, at_most: 0.3, why: a gate}
  - {metric: lip_sync.error, bad_beyond: 0.5, at_most: 0.25, why: a share of bad clips}
  - {metric: technical.sharpness, at_least: 0.4, reducer: p10, judged_by: value, why: a gate}
  - {metric: motion.amount_deg_s, at_least: 2, at_most: 30, why: a band}
  - {metric: profile.total_s, at_most: 20, reducer: p90, judged_by: value, min_n: 3, why: a gate}
  - {metric: profile.peak_rss_mib, at_most: 2000, judged_by: value, why: a gate}
  - {metric: profile.error_rate, at_most: 0.1, judged_by: value, why: a gate}
  - {metric: rating.mos, at_least: 4, kind: soft, judged_by: value, min_n: 3, why: people}
  - {metric: rating.motion, at_least: 3.5, kind: soft, why: the bound of what people say}
  - {metric: lip_sync.offset_ms, at_least: -125, at_most: 45, per: clip, kind: soft, why: a limit of each clip}
"""
MACHINES = (
    {"processor": "slow", "n_cores": 4, "host": "a"},
    {"processor": "fast", "n_cores": 4, "host": "b"},
    {"processor": "fast", "n_cores": 4, "host": "c"},
)
_TYPICAL = {ERROR: 0.9, OFFSET: 200.0, SHARPNESS: 1.0, AMOUNT: 40.0, TOTAL: 30.0, RSS: 3000.0}
_GOOD = {
    ERROR: (0.0, 0.2),
    OFFSET: (-50.0, 20.0),
    SHARPNESS: (0.6, 1.0),
    AMOUNT: (5.0, 20.0),
    TOTAL: (5.0, 15.0),
    RSS: (500.0, 1500.0),
}
"""Lowest and highest values of runs that are good enough, where there are enough clips."""


_ASKED = ("overall", "motion")


def _draw_scores(
    rng: np.random.Generator, rater: str, trial: Trial, bias: float, *, good: bool
) -> list[Score]:
    """Draw an answer, now and then of another video or with another purpose."""
    content = "0" * 64 if not good and rng.random() < 0.1 else trial.content
    role = Role.RATING if good else Role(rng.choice(["rating"] * 8 + ["check", "repeat"]))
    level = 4.6 if good else 3.0 + bias
    return [
        Score(rater, trial.id, content, name, float(np.clip(round(rng.normal(level, 0.4)), 1, 5)), role)
        for name in _ASKED
    ]


def _draw_choice(rng: np.random.Generator, rater: str, one: Trial, other: Trial) -> Choice:
    preferred = [one.id, other.id, None][int(rng.integers(3))]
    return Choice(rater, one.id, other.id, (one.content, other.content), preferred)


@dataclass(frozen=True)
class RandomRun:
    """What a run is made from; the numbers follow from the seed.

    Parameters
    ----------
    seed : int
    steps, sizes : int
        Levels of two parameters.
    portraits, speeches, seeds : int
    failing, absent, missing : float
        Shares of trials that fail, of metrics that are absent in a trial, of planned trials without a result.
    levels : int
        Values are drawn from so many different ones; 1 makes all clips equal.
    n_metrics : int
        How many of `METRICS` the evaluators know.
    good : bool
        Whether all values are within the limits of `POLICY`.
    looks : int
        Which look at the run it is.
    machines : int
        Machines that took turns, up to as many as there are in `MACHINES`; the last two are of one kind.
    raters : int
        Each scores some of the clips and chooses between some; some of their answers are of other videos, checks or repeats.
    """

    seed: int
    steps: int
    sizes: int
    portraits: int
    speeches: int
    seeds: int
    failing: float
    absent: float
    missing: float
    levels: int
    n_metrics: int
    good: bool = False
    looks: int = 1
    machines: int = 1
    raters: int = 0

    def trials(self) -> list[Trial]:
        """Make the trials that have a result; at least one."""
        rng = np.random.default_rng(self.seed)
        grid = itertools.product(
            range(2, 2 + self.steps),
            ("384*256", "688*368")[: self.sizes],
            range(self.portraits),
            range(self.speeches),
            range(self.seeds),
        )
        found = [self._trial(rng, place) for place in grid if rng.random() >= self.missing]
        return found or [self._trial(rng, (2, "384*256", 0, 0, 0))]

    def write(self, folder: Path, policy: Path) -> Path:
        """Write the run and return its folder."""
        made = self.trials()
        # up to two of an earlier grid
        n_planned = len(made) if self.good else max(1, len(made) - self.seed % 3)
        trials, earlier = made[:n_planned], made[n_planned:]
        versions = (
            {name: installed_version(name) for name in ("lip_sync", "technical", "motion")}
            if self.good
            else {"lip_sync": 1 + self.seed % 3, "technical": 2, "motion": 1}
        )
        write_run(
            folder,
            trials,
            METRICS[: self.n_metrics] if self.n_metrics else (),
            unfinished=["0" * 16] if self.missing else (),
            earlier=earlier,
            evaluators=versions,
            policy=str(policy),
            machines=MACHINES[: self.machines],
        )
        seen = [json.dumps({"state": f"{look:064d}"}) for look in range(1, self.looks)]
        decisions = folder / DECISIONS_FOLDER
        decisions.mkdir()
        (decisions / LOOKS_FILE).write_text("\n".join(seen), "utf-8")
        return write_ratings(folder, self.ratings(Run.open(folder).trials())) if self.raters else folder

    def ratings(self, trials: Sequence[Trial]) -> Ratings:
        """Draw what raters say of trials, and of some that are not there."""
        rng = np.random.default_rng([self.seed, self.raters])
        raters, scores, choices = [], [], []
        for place in range(self.raters):
            name, bias = f"r{place + 1:02}", 0.0 if self.good else rng.normal(0.0, 0.7)
            for trial in trials:
                if self.good or rng.random() < 0.7:
                    scores += _draw_scores(rng, name, trial, bias, good=self.good)
            for one, other in itertools.combinations(trials, 2):
                if one.speech == other.speech and one.params != other.params and rng.random() < 0.5:
                    choices.append(_draw_choice(rng, name, one, other))
            origin = list(Origin)[int(rng.integers(3))]
            raters.append(RaterRecord(name, 1, origin, n_assigned=1, n_answered=1))
        told = {score.rater for score in scores} | {choice.rater for choice in choices}
        return Ratings(
            (StudyRecord(1, StudyKind.ACR, QUESTIONS, "2026-01-01T00:00:00+00:00", "0" * 64),),
            tuple(rater for rater in raters if rater.id in told),
            tuple(scores),
            tuple(choices),
        )

    def _trial(self, rng: np.random.Generator, place: tuple[int, str, int, int, int]) -> Trial:
        made = self._draw(rng, place)
        machine = MACHINES[rng.integers(self.machines)]
        return replace(made, machine=machine_key(machine))

    def _draw(self, rng: np.random.Generator, place: tuple[int, str, int, int, int]) -> Trial:
        steps, size, portrait, speech, seed = place
        values, absent = {}, {}
        failed = rng.random() < self.failing
        for metric in METRICS[: self.n_metrics]:
            draw = rng.integers(self.levels) / max(1, self.levels - 1)
            if metric.name == ERROR_RATE.name:
                values[metric.name] = float(failed)
            elif rng.random() < self.absent:
                absent[metric.name] = str(rng.choice(["no_face", "too_short", "not_measured"]))
            else:
                low, high = _GOOD[metric]
                if not self.good:
                    shift = 0.5 if metric is OFFSET else 0.0
                    low, high = (end * _TYPICAL[metric] for end in (-shift, 1.0 - shift))
                factor = 10.0 if failed else 1.0  # what a failed attempt cost until then is another size
                values[metric.name] = float(low + draw * (high - low)) * factor
        return make_trial(
            params={"sample_steps": steps, "size": size},
            portrait=f"p{portrait}",
            speech=f"s{speech}",
            seed=seed,
            values=values,
            absent=absent,
            failure="out_of_memory" if failed else None,
            attempts=["crashed"] * int(rng.geometric(1 - self.failing / 2) - 1),
        )
