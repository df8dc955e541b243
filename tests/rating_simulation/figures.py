"""What is counted in the simulated studies: how often intervals hold the truth, and who is screened."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import krippendorff
import numpy as np

from evalkit.stats.choice_screening import screen_choices
from evalkit.stats.intervals import share_interval
from evalkit.stats.means import code_levels, estimate_mean
from evalkit.stats.opinion_planning import Spread, half_width
from evalkit.stats.opinions import fit_raters, mean_opinions, mean_quality
from evalkit.stats.preferences import fit_preferences
from evalkit.stats.reliability import krippendorff_alpha
from evalkit.stats.screening import bt500_outliers, screen_scores
from tests.rating_simulation.choices import PairDesign, choose, true_shares
from tests.rating_simulation.worlds import (
    CONFIGURATIONS,
    Design,
    Study,
    conduct,
    expected_scores,
    normal_quantiles,
    score_clips,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Count = Callable[[str, "Iterable[bool] | np.ndarray"], None]

HOLDS = (0.93, 0.97)
FOUND = (0.95, 1.0)
LOST = (0.0, 0.05)
CONFIGURATION = "MOS of a configuration holds the truth"
CLIP = "MOS of a clip holds the truth"
QUALITY = "P.910 quality of a clip holds the truth"
QUALITIES = "P.910 quality of a configuration holds the truth"
BIAS = "P.910 bias of a rater holds the truth"
INCONSISTENCY = "P.910 inconsistency of a rater holds the truth"
ALPHA = "Krippendorff's alpha holds the truth"
SHARE = "share of pairs won holds the truth"
HONEST = "honest raters lost"
BT500 = "honest raters lost by BT.500 alone"
_INPUT_SPREAD = 0.3


@dataclass(frozen=True)
class Figure:
    """A share of the repetitions, and what was asked of it."""

    case: str
    what: str
    n_hits: int
    n: int
    asked: tuple[float, float] | None

    @property
    def value(self) -> float:
        """The share."""
        return self.n_hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the share, were the repetitions' parts independent."""
        return share_interval(self.n_hits, self.n)

    @property
    def is_met(self) -> bool:
        """Whether the share is what was asked; True where nothing was."""
        return self.asked is None or self.asked[0] <= self.value <= self.asked[1]


def play_scores(case: str, design: Design, reps: int, seed: int) -> list[Figure]:
    """Conduct studies with scores and count: intervals of what is kept, and who was screened."""
    rng = np.random.default_rng(seed)
    tally = _Tally()
    for _ in range(reps):
        study = conduct(design, rng, input_spread=_INPUT_SPREAD)
        screening = screen_scores(
            study.raters,
            study.clips,
            study.scores,
            n_raters=design.n_raters,
            checks=study.checks,
            repeats=study.repeats,
        )
        lost = ~screening.kept
        for rater, cheat in enumerate(design.cheats):
            tally.count(f"found: {cheat}", [lost[rater]])
        tally.count(HONEST, lost[len(design.cheats) :])
        by_bt500 = bt500_outliers(study.raters, study.clips, study.scores).rejected
        tally.count(BT500, by_bt500[len(design.cheats) :])
        _count_intervals(design, study, screening.kept, tally.count)
        if not design.cheats:
            _count_raters(conduct(design, rng, whole=False, input_spread=_INPUT_SPREAD), tally.count)
    return tally.figures(case)


def play_choices(case: str, design: PairDesign, reps: int, seed: int) -> list[Figure]:
    """Let raters choose and count: intervals of the shares, and who was screened."""
    rng = np.random.default_rng(seed)
    truth = true_shares(design.quality)
    tally = _Tally()
    for _ in range(reps):
        said = choose(design, rng)
        found = screen_choices(
            said.raters,
            said.firsts,
            said.seconds,
            said.outcomes,
            n_raters=design.n_raters,
            checks=said.checks,
        )
        for rater, cheat in enumerate(design.cheats):
            tally.count(f"found: {cheat}", [not found.kept[rater]])
        tally.count(HONEST, ~found.kept[len(design.cheats) :])
        counts = found.kept[said.raters]
        fitted = fit_preferences(
            said.firsts[counts],
            said.seconds[counts],
            said.outcomes[counts],
            {"rater": said.raters[counts].tolist(), "portrait": said.inputs[counts].tolist()},
            n_options=len(design.quality),
        )
        tally.count(
            SHARE, [holds(share.interval, true) for share, true in zip(fitted.shares, truth, strict=True)]
        )
    return tally.figures(case)


def holds(interval: tuple[float, float] | None, truth: float) -> bool:
    """Say whether an interval holds the truth; one that is missing does not."""
    return interval is not None and interval[0] <= truth <= interval[1]


def planned_and_found(design: Design, reps: int, seed: int) -> tuple[float, float]:
    """Return the expected half width of a configuration's mean opinion score, and the mean of those found.

    The plan knows the raters' true spread: 0.5 cut at ±1, and that of noise, rounding and what is cut at the ends of the scale.
    """
    rng = np.random.default_rng(seed)
    spread = Spread(0.47, np.hypot(_INPUT_SPREAD, _INPUT_SPREAD / 2), np.sqrt(0.52 + 1 / 12))
    planned = half_width(
        spread,
        n_raters=design.n_raters,
        n_clips=design.n_inputs,
        clips_a_rater=design.share * design.n_inputs,
    )
    widths = []
    for _ in range(reps):
        study = conduct(design, rng, input_spread=_INPUT_SPREAD)
        for k in (1, 2):  # away from the ends of the scale
            interval = _mean_of_configuration(design, study, study.clips // design.n_inputs == k)
            widths.append((interval[1] - interval[0]) / 2.0)
    return planned, float(np.mean(widths))


class _Tally:
    """Hits and tries of each figure."""

    def __init__(self) -> None:
        self._seen: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def count(self, what: str, hits: Iterable[bool] | np.ndarray) -> None:
        hits = np.asarray(hits, dtype=bool)
        self._seen[what][0] += int(hits.sum())
        self._seen[what][1] += hits.size

    def figures(self, case: str) -> list[Figure]:
        return [Figure(case, what, *seen, asked=_asked(what)) for what, seen in self._seen.items() if seen[1]]


def _asked(what: str) -> tuple[float, float] | None:
    if what == HONEST:
        return LOST
    if what.startswith("found"):
        return FOUND
    return None if what == BT500 else HOLDS


def _count_intervals(design: Design, study: Study, kept: np.ndarray, count: Count) -> None:
    """Count which intervals of the answers of who is kept hold the truth: what all honest raters would say on average."""
    among = kept[study.raters]
    raters, clips, scores = study.raters[among], study.clips[among], study.scores[among]
    if np.unique(clips).size < design.n_clips:
        return
    codes, truth, of_all = code_levels(raters.tolist()), expected_scores(study.quality), _true_means()
    opinions = mean_opinions(codes, clips, scores)
    count(
        CLIP, [holds(o.interval, t) for o, t in zip(opinions, truth, strict=True) if o.interval is not None]
    )
    model = fit_raters(codes, clips, scores)
    count(QUALITY, (model.quality_low <= truth) & (truth <= model.quality_high))
    for k in range(CONFIGURATIONS.size):
        mine = np.flatnonzero(clips // design.n_inputs == k)
        part = Study(
            raters, clips, scores, study.checks, study.repeats, study.quality, study.bias, study.noise
        )
        count(CONFIGURATION, [holds(_mean_of_configuration(design, part, mine), of_all[k])])
        inputs = np.arange(design.n_inputs)
        quality = mean_quality(model, inputs + k * design.n_inputs, {"portrait": inputs.tolist()})
        count(QUALITIES, [holds(quality.interval, of_all[k])])
    if not design.cheats:
        found = krippendorff_alpha(codes, clips, scores)
        count(ALPHA, [holds(found.interval, _true_alpha(study.quality, np.random.default_rng(clips.size)))])


def _count_raters(study: Study, count: Count) -> None:
    """Count the intervals of bias and inconsistency, on scores that nothing rounds or cuts."""
    model = fit_raters(study.raters, study.clips, study.scores)
    bias = study.bias - study.bias.mean()
    count(BIAS, (model.bias_low <= bias) & (bias <= model.bias_high))
    count(INCONSISTENCY, (model.inconsistency_low <= study.noise) & (study.noise <= model.inconsistency_high))


def _mean_of_configuration(design: Design, study: Study, rows: np.ndarray) -> tuple[float, float] | None:
    factors = {
        "portrait": (study.clips[rows] % design.n_inputs).tolist(),
        "rater": study.raters[rows].tolist(),
    }
    return estimate_mean(study.scores[rows], factors, bounds=(1.0, 5.0)).interval


@cache
def _true_means() -> np.ndarray:
    """Return what all honest raters say of all clips of a configuration, on average."""
    inputs = np.hypot(_INPUT_SPREAD, _INPUT_SPREAD / 2) * normal_quantiles(101)
    return np.array([expected_scores(quality + inputs).mean() for quality in CONFIGURATIONS])


def _true_alpha(quality: np.ndarray, rng: np.random.Generator) -> float:
    """Return the alpha of very many honest raters on the same clips."""
    scores = score_clips(quality, 400, rng).astype(int)
    counts = np.stack([(scores == score).sum(axis=0) for score in range(1, 6)], axis=1)
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="ordinal"))
