"""Command line of the replays."""

from __future__ import annotations

from pathlib import Path

import click

from tests.search_replay.scenarios import SCENARIOS
from tests.simulation.page import write_page
from tests.simulation.running import play_all

MADE = (
    "Made by `python -m tests.search_replay --out docs/search.md --reps {reps} --seed {seed}`; the same command gives the same "
    "figures. Stored grids are whole sweeps of the reference generator (`tests/search_replay/make_grids.py`), drawn again each "
    "time: portraits, speech and seeds with replacement, and a quarter of the values from another block of the same "
    "configuration. The full grid is that of the same draw; not distinguishable is what `rank_first`, by which a recommendation "
    "ranks, does not tell apart on it. What that is worth stands in the last table: where nearly any that is picked at random is an "
    "answer, finding one shows little. How much of the grid's trials the budget is stands over the table. Configurations are proposed "
    "at random unless Optuna is named."
)


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the Markdown page goes.")
@click.option("--reps", default=1000, show_default=True, type=click.IntRange(1), help="Races in each world.")
@click.option(
    "--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes beside each other."
)
@click.option("--seed", default=0, show_default=True, help="Another seed is another trial of everything.")
@click.option("--only", default="", help="Only worlds whose name holds these words.")
def main(out: Path | None, reps: int, jobs: int, seed: int, only: str) -> None:
    """Race in every world and write what was found."""
    scenarios = [scenario for name, scenario in SCENARIOS.items() if only in name]
    rows = []
    for scenario, figures in play_all(
        scenarios, reps, jobs=jobs, seed=seed, home="tests.search_replay.scenarios"
    ):
        rows.append((scenario, figures))
        said = "; ".join(
            f"{figure.what} {figure.value:.3f}" + ("" if figure.is_met else " MISSED")
            for figure in figures
            if figure.value is not None
        )
        click.echo(f"{scenario.name}: {said}", err=True)
    page = write_page(rows, reps, seed, title="Races tried on stored grids and planted worlds", made=MADE)
    if out is None:
        click.echo(page)
    else:
        out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
