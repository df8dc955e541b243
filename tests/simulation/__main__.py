"""Command line of the simulation."""

from __future__ import annotations

from pathlib import Path

import click

from tests.simulation.page import write_page
from tests.simulation.running import play_all
from tests.simulation.scenarios import SCENARIOS


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the Markdown page goes.")
@click.option(
    "--reps", default=1000, show_default=True, type=click.IntRange(1), help="Repetitions of each case."
)
@click.option(
    "--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes beside each other."
)
@click.option("--seed", default=0, show_default=True, help="Another seed is another trial of everything.")
@click.option("--only", default="", help="Only cases whose name holds these words.")
def main(out: Path | None, reps: int, jobs: int, seed: int, only: str) -> None:
    """Try the decisions with known truth and write what was found."""
    scenarios = [scenario for name, scenario in SCENARIOS.items() if only in name]
    rows = []
    for number, (scenario, figures) in enumerate(play_all(scenarios, reps, jobs=jobs, seed=seed), start=1):
        rows.append((scenario, figures))
        said = "; ".join(
            f"{figure.what} {figure.value:.3f}" + ("" if figure.is_met else " MISSED")
            for figure in figures
            if figure.value is not None
        )
        click.echo(f"[{number}/{len(scenarios)}] {scenario.name}: {said}", err=True)
    page = write_page(rows, reps, seed)
    if out is None:
        click.echo(page)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    click.echo(
        f"{out}: {sum(not figure.is_met for _, found in rows for figure in found)} figures missed", err=True
    )


if __name__ == "__main__":
    main()
