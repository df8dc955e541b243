"""Two configurations without a true difference, compared: how often a difference is claimed, and intervals hold 0.

``python -m tests.rating_simulation.comparisons`` gives the table of docs/rating.md.
"""

from __future__ import annotations

import click
import numpy as np

from evalkit.analysis.table import ResultTable
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.comparison import Comparison, Conclusion
from evalkit.testing.ratings import with_scores
from evalkit.testing.tables import make_table

N_CLIPS, N_RATERS = 24, 12


def rated_pair(
    rng: np.random.Generator, *, difference: float = 0.0, taste: float = 0.4, shown: float = 1.0
) -> tuple[ResultTable, ResultTable]:
    """Draw two configurations scored by the same raters, each with a taste for either that has nothing to do with clips.

    Parameters
    ----------
    rng : numpy.random.Generator
    difference : float
        True, in points.
    taste : float
        Standard deviation over raters, of each side.
    shown : float
        Chance that a rater is shown a clip.
    """
    bias, tastes = rng.normal(0.0, 0.4, N_RATERS), rng.normal(0.0, taste, (2, N_RATERS))
    inputs = rng.normal(0.0, 0.3, N_CLIPS)
    sides = []
    for place in (0, 1):
        level = 3.0 + place * difference + inputs[:, None] + bias + tastes[place]
        scores = np.clip(np.round(level + rng.normal(0.0, 0.6, (N_CLIPS, N_RATERS))), 1, 5)
        scores[rng.random(scores.shape) >= shown] = np.nan
        columns = {"lip_sync.error": np.full(N_CLIPS, 0.2)}
        table = make_table(columns, n_portraits=1, params={"steps": place}, provenance={"run": "one"})
        sides.append(with_scores(table, scores))
    return sides[0], sides[1]


def compare_pair(sides: tuple[ResultTable, ResultTable]) -> Comparison:
    """Compare two configurations of one run."""
    return compare_tables(*sides, ignore_params=["steps"])


def claims_difference(comparison: Comparison) -> bool:
    """Say whether one is claimed to be better in the mean opinion."""
    return comparison["rating.mos"].finding in {Conclusion.BETTER, Conclusion.WORSE}


@click.command()
@click.option("--reps", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=11, show_default=True)
def main(reps: int, seed: int) -> None:
    """Print how often a difference is claimed that is not there."""
    for shown in (1.0, 0.5):
        rng = np.random.default_rng(seed)
        found = [compare_pair(rated_pair(rng, shown=shown)) for _ in range(reps)]
        intervals = [one["rating.mos"].difference.interval for one in found]
        held = sum(one is not None and one.low <= 0.0 <= one.high for one in intervals)
        claimed = sum(map(claims_difference, found))
        click.echo(
            f"{shown:.0%} of the clips shown: {claimed / reps:.1%} claims, {held / reps:.1%} intervals hold 0"
        )


if __name__ == "__main__":
    main()
