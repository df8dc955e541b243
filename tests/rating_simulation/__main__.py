"""Command line of the simulation."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from tests.rating_simulation.cases import (
    CHOICES_WITH_CHEATS,
    HONEST_CHOICES,
    HONEST_SCORES,
    SCORES_WITH_CHEATS,
)
from tests.rating_simulation.figures import planned_and_found, play_choices, play_scores
from tests.rating_simulation.page import write_page


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the Markdown page goes.")
@click.option("--reps", default=500, show_default=True, type=click.IntRange(1), help="Studies of each case.")
@click.option(
    "--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes beside each other."
)
@click.option("--seed", default=0, show_default=True, help="Another seed is another trial of everything.")
def main(out: Path | None, reps: int, jobs: int, seed: int) -> None:
    """Try what raters' answers are worth with known truth, and write what was found."""
    plays = {
        "Scores: all raters honest": (play_scores, HONEST_SCORES),
        "Scores: five cheats among the raters": (play_scores, SCORES_WITH_CHEATS),
        "Pairs: all raters honest": (play_choices, HONEST_CHOICES),
        "Pairs: five cheats among the raters": (play_choices, CHOICES_WITH_CHEATS),
    }
    with ProcessPoolExecutor(jobs) as pool:
        running = {
            name: [pool.submit(play, case, design, reps, seed) for case, design in designs.items()]
            for name, (play, designs) in plays.items()
        }
        plans = [
            (case, pool.submit(planned_and_found, design, 50, seed)) for case, design in HONEST_SCORES.items()
        ]
        groups = {name: [figure for job in jobs for figure in job.result()] for name, jobs in running.items()}
        planned = [(case, *job.result()) for case, job in plans]
    command = f"python -m tests.rating_simulation --out docs/rating_statistics.md --reps {reps} --seed {seed}"
    page = write_page(groups, planned, command)
    if out is None:
        click.echo(page)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    click.echo(
        f"{out}: {sum(not found.is_met for figures in groups.values() for found in figures)} figures missed"
    )


if __name__ == "__main__":
    main()
