"""``evalkit compare``: which of two is better."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.measuring_options import brand_options, brand_settings, split_names
from evalkit.cli.outputs import name_outputs, refuse_unwritten, say, write_outputs
from evalkit.cli.page_options import language_option, page_with_videos, single_file_option
from evalkit.cli.settings import read_where, split_pairs
from evalkit.decisions import DEFAULT_POLICY

if TYPE_CHECKING:
    from collections.abc import Hashable


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path(), required=False)
@click.option("--split", help="NAME=A,B: compare two values of a parameter within one run.")
@click.option("--where", multiple=True, help="NAME=VALUE: only clips with this parameter, on both sides.")
@click.option(
    "--policy",
    "policy_name",
    help="Bundled name or file: what is asked first, margins, limits, bands. Default: the one that both runs name, "
    f"else {DEFAULT_POLICY}.",
)
@click.option("--margin", multiple=True, help="METRIC=SIZE: the smallest difference that matters.")
@click.option("--only", help="Evaluators to run on folders of videos, separated by commas.")
@brand_options
@click.option("--jobs", type=click.IntRange(min=1), help="Processor cores that measure (default: all).")
@click.option("--json", "json_path", type=_FILE, help="Write the comparison as JSON.")
@click.option("--html", "html_path", type=_FILE, help="Write the comparison as a page.")
@single_file_option
@language_option
@click.pass_context
def compare(
    context: click.Context,
    *,
    a: str,
    b: str | None,
    split: str | None,
    where: tuple[str, ...],
    policy_name: str | None,
    margin: tuple[str, ...],
    only: str | None,
    brand: str | None,
    clip_model: str | None,
    clip_weights: str | None,
    jobs: int | None,
    json_path: Path | None,
    html_path: Path | None,
    single_file: bool,
    language: str,
) -> None:
    """Compare B with A: two runs, two folders of videos, or one run with --split.

    Clips are paired by input, seed and the parameters that vary on either side; videos by their path in the folder.

    Exit code: 0 compared, whatever came out; 2 wrong use, or no pair to compare.
    """
    from rich.console import Console

    from evalkit.api import verdicts as api
    from evalkit.cli.progress import clip_progress
    from evalkit.errors import EvalkitError
    from evalkit.reports.compare_page import render_comparison
    from evalkit.reports.terminal import print_comparison
    from evalkit.views.comparison import comparison_view

    if (b is None) == (split is None):
        raise click.UsageError("give either a second run or folder, or --split NAME=A,B within one run")
    try:
        with clip_progress() as on_progress:
            comparison = api.compare(
                a,
                b,
                split=_read_split(split),
                where=read_where(where),
                policy=policy_name,
                margins=_read_margins(margin),
                evaluators=split_names(only),
                settings=brand_settings(brand, clip_model, clip_weights),
                jobs=jobs,
                isolate=True,
                on_progress=on_progress,
                on_message=partial(say, err=True),
            )
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    view = comparison_view(comparison)
    videos = [clip.video for pair in view.pairs for clip in (pair.a, pair.b)]
    written = write_outputs(
        (json_path, view.to_json),
        (
            html_path,
            lambda: page_with_videos(
                lambda frame: render_comparison(view, frame=frame),
                html_path or Path(),
                language,
                videos if single_file else None,
            ),
        ),
    )
    print_comparison(Console(highlight=False), view)
    name_outputs(written.paths)
    refuse_unwritten(written)
    context.exit(0 if comparison.n_pairs else 2)


def _read_split(split: str | None) -> dict[str, tuple[Hashable, Hashable]] | None:
    if split is None:
        return None
    ((name, levels),) = split_pairs(
        [split], lambda text: text.split(","), form="NAME=A,B", flag="--split"
    ).items()
    if len(set(levels)) != 2 or len(levels) != 2:
        raise click.UsageError(f"--split {split!r} is not NAME=A,B with two different values")
    return {name: (levels[0], levels[1])}


def _read_margins(pairs: tuple[str, ...]) -> dict[str, float]:
    return split_pairs(pairs, float, form="METRIC=NUMBER", flag="--margin")
