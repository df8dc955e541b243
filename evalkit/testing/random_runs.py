"""Runs that nobody would plan: failures that cost, absences, gaps, one clip, nothing measured at all."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs.layout import DECISIONS_FOLDER
from evalkit.runs.looks import LOOKS_FILE
from evalkit.testing.runs import installed_version, make_trial, write_run
from evalkit.types import Metric

if TYPE_CHECKING:
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
  - {metric: rating.mos, at_least: 4, kind: soft, why: nobody measures it here}
  - {metric: lip_sync.offset_ms, at_least: -125, at_most: 45, per: clip, kind: soft, why: a limit of each clip}
"""
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
        )
        seen = [json.dumps({"state": f"{look:064d}"}) for look in range(1, self.looks)]
        decisions = folder / DECISIONS_FOLDER
        decisions.mkdir()
        (decisions / LOOKS_FILE).write_text("\n".join(seen), "utf-8")
        return folder

    def _trial(self, rng: np.random.Generator, place: tuple[int, str, int, int, int]) -> Trial:
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
