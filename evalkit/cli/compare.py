"""``evalkit compare``: which of two is better."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.brand_options import brand_options, brand_settings
from evalkit.cli.load import as_in, load_table, read_where, write_outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.analysis.table import ResultTable

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path(), required=False)
@click.option("--split", help="NAME=A,B: compare two values of a parameter within one run.")
@click.option("--where", multiple=True, help="NAME=VALUE: only clips with this parameter, on both sides.")
@click.option(
    "--policy",
    "policy_name",
    default="customer_service",
    show_default=True,
    help="Bundled name or file; gives margins and bands.",
)
@click.option("--margin", multiple=True, help="METRIC=SIZE: the smallest difference that matters.")
@click.option("--only", help="Evaluators to run on folders of videos, separated by commas.")
@brand_options
@click.option("--jobs", type=click.IntRange(min=1), help="Videos measured at once.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap and the random signs.")
@click.option("--json", "json_path", type=_FILE, help="Write the comparison as JSON.")
@click.option("--html", "html_path", type=_FILE, help="Write the comparison as a page.")
@click.pass_context
def compare(
    context: click.Context,
    *,
    a: str,
    b: str | None,
    split: str | None,
    where: tuple[str, ...],
    policy_name: str,
    margin: tuple[str, ...],
    only: str | None,
    brand: str | None,
    clip_model: str | None,
    clip_weights: str | None,
    jobs: int | None,
    seed: int,
    json_path: Path | None,
    html_path: Path | None,
) -> None:
    """Compare B with A: two runs, two folders of videos, or one run with --split.

    Clips are paired by input, seed and the parameters that vary on either side; videos by their path in the folder.

    Exit code: 0 compared, whatever came out; 2 wrong use, or no pair to compare.
    """
    from evalkit.decisions.compare import compare_tables
    from evalkit.decisions.policy import load_policy
    from evalkit.errors import EvalkitError

    if (b is None) == (split is None):
        raise click.UsageError("give either a second run or folder, or --split NAME=A,B within one run")
    try:
        margins = _read_margins(margin)
        settings = brand_settings(brand, clip_model, clip_weights)
        load = partial(load_table, only=only, jobs=jobs, settings=settings)
        policy = load_policy(policy_name)
        tables, ignore_params = _tables(load, a, b, split, where)
        comparison = compare_tables(
            *tables, policy=policy, margins=margins, ignore_params=ignore_params, seed=seed
        )
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None

    from rich.console import Console

    from evalkit.reports.compare_page import render_comparison
    from evalkit.reports.terminal import print_comparison
    from evalkit.views.comparison import comparison_view

    view = comparison_view(comparison)
    print_comparison(Console(highlight=False), view)
    write_outputs((json_path, view.to_json), (html_path, lambda: render_comparison(view)))
    context.exit(0 if comparison.n_pairs else 2)


def _tables(
    load: Callable[[str], ResultTable], a: str, b: str | None, split: str | None, where: tuple[str, ...]
) -> tuple[tuple[ResultTable, ResultTable], tuple[str, ...]]:
    table = load(a)
    table = table.where(read_where(where, table))
    if split is None:
        other = load(str(b))
        return (table, other.where(read_where(where, other))), ()
    name, equals, values = split.partition("=")
    levels = values.split(",")
    if not equals or len(levels) != 2 or levels[0] == levels[1]:
        raise click.UsageError(f"--split {split!r} is not NAME=A,B with two different values")
    first, second = (table.where({name: as_in(table, name, level)}) for level in levels)
    return (first, second), (name,)


def _read_margins(pairs: tuple[str, ...]) -> dict[str, float]:
    margins = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            margins[name] = float(text)
        except ValueError:
            raise click.UsageError(f"--margin {pair!r} is not METRIC=NUMBER") from None
    return margins
