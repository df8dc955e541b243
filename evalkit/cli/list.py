"""``evalkit list``: what can be measured."""

from __future__ import annotations

import click

_ARROWS = {"lower": "lower is better", "higher": "higher is better", "zero": "0 is best", "band": "in a band"}


@click.command("list")
def list_metrics() -> None:
    """List the installed evaluators and their metrics."""
    from evalkit.errors import EvalkitError
    from evalkit.evaluators.load import load_evaluators

    try:
        evaluators = load_evaluators()
    except EvalkitError as error:
        raise click.ClickException(str(error)) from None
    for evaluator in evaluators:
        click.echo(f"{evaluator.name} (version {evaluator.version})")
        for metric in evaluator.metrics:
            unit = "" if metric.unit == "1" else f" [{metric.unit}]"
            click.echo(f"  {metric.name}{unit}: {metric.meaning}; {_ARROWS[metric.better]}")
