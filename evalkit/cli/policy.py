"""``evalkit policy``: show, begin and check what a release has to pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from rich.table import Table

    from evalkit.decisions.policy import Policy


@click.group()
def policy() -> None:
    """Show, begin and check a policy: what a release has to pass."""


@policy.command()
@click.argument("name_or_file")
def show(name_or_file: str) -> None:
    """Show the rules of a policy, bundled or in a file, and how many clips each needs to pass.

    Exit code: 0 when shown, 2 where there is none or it cannot be used.
    """
    from rich.console import Console

    found = _load(name_or_file)
    console = Console(highlight=False)
    console.print(f"{found.title} ({found.name}, {found.content_hash[:12]})", markup=False, soft_wrap=True)
    console.print(_table_of(found))
    for line in (*_describe(found), *(f"warning: {text}" for text in found.warnings)):
        console.print(line, markup=False, soft_wrap=True)


@policy.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "source", default="customer_service", help="Policy to begin with, bundled or a file.")
def new(file: Path, source: str) -> None:
    """Write FILE: a policy with comments, to be changed. What is there already is never overwritten.

    Exit code: 0 when written, 2 for wrong use.
    """
    from evalkit.decisions.policy import new_policy_text

    _load(source)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(new_policy_text(source, file.stem))
    except FileExistsError:
        raise click.UsageError(f"{file} is there already; name another file") from None
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {error.strerror}") from None
    say(f"wrote {file}")


@policy.command()
@click.argument("file")
@click.pass_context
def check(context: click.Context, file: str) -> None:
    """Say everything that is wrong with a policy, or may mislead.

    Exit code: 0 when there is nothing, 1 with warnings, 2 where it cannot be used.
    """
    found = _load(file)
    for text in found.warnings:
        say(f"warning: {text}")
    if found.warnings:
        context.exit(1)
    gates = sum(rule.kind == "hard" for rule in found.rules)
    say(f"{file}: nothing is wrong with it; {gates} of its {len(found.rules)} rules are gates")


def _load(name_or_file: str) -> Policy:
    from evalkit.decisions.policy import load_policy
    from evalkit.errors import EvalkitError

    try:
        return load_policy(name_or_file)
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None


def _table_of(found: Policy) -> Table:
    from rich.table import Table

    from evalkit.visuals.markup import escape
    from evalkit.visuals.numbers import unit_suffix

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("rule", overflow="fold")
    table.add_column("asked", overflow="fold")
    table.add_column("kind")
    table.add_column("needs", justify="right")
    for rule in found.rules:
        of = {"profile.error_rate": "attempts"}.get(
            rule.metric.name, "raters" if rule.metric.family == "rating" else "clips"
        )
        unit = "" if rule.is_share else unit_suffix(rule.metric.unit)
        table.add_row(
            escape(rule.name),
            escape(rule.requirement().replace(rule.text(), rule.text() + unit, 1)),
            rule.kind,
            f"{rule.fewest_raters if of == 'raters' else rule.fewest} {of}",
        )
    return table


def _describe(found: Policy) -> tuple[str, ...]:
    from evalkit.formatting import count

    reach = found.reach
    given = f"the only {' and '.join(found.given)}s that matter are those tried; " if found.given else ""
    inputs = f"{count(reach.portraits, 'portrait')}, {count(reach.speech, 'text')} and {count(reach.seeds, 'seed')}"
    shares = f"{100 * found.min_coverage:g} % of the clips, each from {100 * found.min_clip_coverage:g} % of a clip"
    return (
        f"asked first in a comparison: {', '.join(metric.name for metric in found.primary)}",
        f"{given}tried on at least {inputs}",
        f"values of at least {shares}; waivers last at most {found.max_waiver_days} days",
        "needed is what passes where nothing is bad, at the first look at one configuration",
    )
