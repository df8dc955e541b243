"""How often figures of agreement hold the truth: ``python -m tests.agreement_simulation`` writes the tables of docs/agreement.md."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import asin, atanh, pi, sqrt, tanh
from typing import TYPE_CHECKING

import click
import numpy as np

from evalkit.stats.rank_correlation import (
    Coefficient,
    compare_correlations,
    estimate_correlation,
    pool_correlations,
    split_half_reliability,
)
from evalkit.stats.threshold import LEVEL, find_break

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalkit.types import FloatArray

BREAK = 90.0
_SHARED = 0.4


@dataclass(frozen=True)
class Design:
    """Clips that cross portraits, speech and configurations; with none of them, independent ones.

    Parameters
    ----------
    portraits, speeches, configurations : int
    clips : int
        Of each cell.
    """

    portraits: int
    speeches: int
    configurations: int
    clips: int = 1

    @property
    def name(self) -> str:
        """In words."""
        if self.portraits * self.speeches * self.configurations == 1:
            return f"{self.clips} independent clips"
        return f"{self.portraits} portraits x {self.speeches} speech x {self.configurations} configurations"

    @property
    def factors(self) -> dict[str, list[int]]:
        """What the clips share."""
        names = {"portrait": self.portraits, "speech": self.speeches, "configuration": self.configurations}
        cells = list(itertools.product(*map(range, names.values()), range(self.clips)))
        return {name: [cell[place] for cell in cells] for place, name in enumerate(names) if names[name] > 1}

    @property
    def n(self) -> int:
        """Clips."""
        return self.portraits * self.speeches * self.configurations * self.clips

    def noise(self, rng: np.random.Generator, own: float, shared: float = _SHARED) -> FloatArray:
        """Return noise of which clips share a part with others of their levels."""
        total: FloatArray = own * rng.normal(size=self.n)
        for levels in self.factors.values():
            total = total + shared * rng.normal(size=max(levels) + 1)[levels]
        return total


DESIGNS = (
    Design(1, 1, 1, 20),
    Design(1, 1, 1, 120),
    Design(4, 4, 4),
    Design(6, 5, 6),
    Design(8, 6, 10),
)


@click.command()
@click.option("--reps", default=400, show_default=True, type=click.IntRange(1), help="Worlds of each case.")
@click.option("--seed", default=0, show_default=True, help="Another seed is another trial of everything.")
def main(reps: int, seed: int) -> None:
    """Play worlds with known truth and print what was found, as Markdown."""
    for part in (play_correlations, play_pairs, play_runs, play_reliability, play_breaks):
        click.echo(f"\n{part.__doc__}\n")
        for place, row in enumerate(part(reps, seed)):
            click.echo(f"| {' | '.join(row)} |")
            if place == 0:
                click.echo(f"|{' --- |' * len(row)}")


def play_correlations(reps: int, seed: int) -> Iterator[tuple[str, ...]]:
    """**Intervals of a correlation**: in how many of 100 worlds they hold the true one, and how wide they are."""
    yield "clips", "true Spearman", "Spearman holds", "width", "Kendall holds"
    for design, r in itertools.product(DESIGNS, (0.0, 0.5, 0.8)):
        truths = {Coefficient.SPEARMAN: 6 / pi * asin(r / 2), Coefficient.KENDALL: 2 / pi * asin(r)}
        held: dict[Coefficient, list[bool]] = {coefficient: [] for coefficient in Coefficient}
        widths = []
        for rng in _worlds(reps, seed):
            a, b = design.noise(rng, 0.5), design.noise(rng, 0.5)
            for coefficient, truth in truths.items():
                y = r * a + sqrt(1 - r**2) * b
                interval = estimate_correlation(
                    a, y, design.factors, coefficient=coefficient
                ).estimate.interval
                held[coefficient].append(interval is not None and interval.low <= truth <= interval.high)
                if coefficient is Coefficient.SPEARMAN and interval is not None:
                    widths.append(interval.high - interval.low)
        spearman, kendall = (_percent(held[coefficient]) for coefficient in Coefficient)
        yield design.name, f"{truths[Coefficient.SPEARMAN]:.2f}", spearman, f"{np.mean(widths):.2f}", kendall


def play_pairs(reps: int, seed: int) -> Iterator[tuple[str, ...]]:
    """**Two metrics**: how often one is said to agree more, where both agree as much, and where one is four times as noisy."""
    yield "clips", "alike", "unlike"
    for design in DESIGNS:
        found: dict[float, list[bool]] = {0.7: [], 2.8: []}
        for rng in _worlds(reps, seed):
            truth = design.noise(rng, 0.5)
            first = truth + 0.7 * rng.normal(size=design.n)
            for scale, told in found.items():
                second = truth + scale * rng.normal(size=design.n)
                told.append(compare_correlations(first, second, truth, design.factors).p <= LEVEL)
        yield design.name, _percent(found[0.7]), _percent(found[2.8])


def play_runs(reps: int, seed: int) -> Iterator[tuple[str, ...]]:
    """**Several runs** of 60 clips, whose true correlations differ around 0.48: how often the interval holds that."""
    yield "runs", "spread of the runs (Fisher's z)", "holds"
    for n_runs, spread in itertools.product((3, 6), (0.0, 0.2)):
        held = []
        for rng in _worlds(reps, seed):
            ones = []
            for z in atanh(0.5) + spread * rng.normal(size=n_runs):
                x, y = rng.normal(size=(2, 60))
                ones.append(estimate_correlation(x, tanh(z) * x + sqrt(1 - tanh(z) ** 2) * y))
            interval = pool_correlations(ones).estimate.interval
            held.append(interval is not None and interval.low <= 6 / pi * asin(0.25) <= interval.high)
        yield str(n_runs), f"{spread}", _percent(held)


def play_reliability(reps: int, seed: int) -> Iterator[tuple[str, ...]]:
    """**The ceiling**: reliability of mean opinions of 60 clips, planted and found (mean and spread over worlds)."""
    yield "raters", "planted", "found", "spread"
    for n_raters in (8, 20):
        values = []
        for rng in _worlds(min(reps, 100), seed):
            clips, raters = np.repeat(np.arange(60), n_raters), np.tile(np.arange(n_raters), 60)
            scores = 0.5 * rng.normal(size=60)[clips] + 0.3 * rng.normal(size=n_raters)[raters]
            scores += 0.8 * rng.normal(size=clips.size)
            values.append(split_half_reliability(scores, clips.tolist(), raters.tolist(), n_splits=50).value)
        known = np.array([value for value in values if value is not None])
        planted = 0.25 / (0.25 + 0.64 / n_raters)
        yield str(n_raters), f"{planted:.2f}", f"{known.mean():.2f}", f"{known.std():.2f}"


def play_breaks(reps: int, seed: int) -> Iterator[tuple[str, ...]]:
    """**Where raters begin to object**: how often it is told, and how often its interval and that of its cost hold the truth."""
    yield "clips", "values differ by", "opinions", "told", "place holds", "cost holds"
    cases = itertools.product(DESIGNS[1:], ("clip", "configuration"), ("flat", "straight", "break"))
    for design, differ, fall in cases:
        if differ == "configuration" and not design.factors:
            continue
        told, places, costs = [], [], []
        for rng in _worlds(reps, seed):
            x, y, true_fall = _break_world(rng, design, differ, fall)
            found = find_break(x, y, design.factors)
            told.append(found.p <= LEVEL)
            if fall != "break" or not told[-1] or found.place is None or found.interval is None:
                continue
            places.append(found.interval.low <= BREAK <= found.interval.high)
            is_beyond = x > found.place
            cost, interval = true_fall[is_beyond].mean() - true_fall[~is_beyond].mean(), found.cost.interval
            costs.append(interval is not None and bool(interval.low <= cost <= interval.high))
        yield design.name, differ, fall, _percent(told), _percent(places), _percent(costs)


def _break_world(
    rng: np.random.Generator, design: Design, differ: str, fall: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return delays up to some 200 ms, opinions, and what the delays cost."""
    settings = np.array(design.factors.get("configuration", [0] * design.n))
    if differ == "clip":
        x = np.abs(90.0 + 60.0 * rng.normal(size=design.n) + 15.0 * design.noise(rng, 0.0, 1.0))
    else:
        x = np.abs(200.0 * settings / settings.max() + 5.0 * rng.normal(size=design.n))
    cost = {
        "flat": np.zeros(design.n),
        "straight": 0.008 * x,
        "break": 0.015 * np.maximum(0.0, x - BREAK),
    }[fall]
    return x, 4.2 - cost + design.noise(rng, 0.3, 0.15), cost


def _worlds(reps: int, seed: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng([seed, world]) for world in range(reps))


def _percent(found: list[bool]) -> str:
    return f"{100 * sum(found) / len(found):.0f} %" if found else ""


if __name__ == "__main__":
    main()
