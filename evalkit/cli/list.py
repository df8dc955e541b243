"""``evalkit list``: what is installed: evaluators with their metrics, generators and other plug-ins by name."""

from __future__ import annotations

import click

from evalkit.cli.outputs import say


@click.command("list")
def list_plugins() -> None:
    """List the installed generators and other plug-ins, and the evaluators with their metrics."""
    from evalkit import registry
    from evalkit.decisions.policy import bundled_policies
    from evalkit.errors import EvalkitError
    from evalkit.evaluators.load import load_evaluators
    from evalkit.visuals.numbers import ARROW_WORDS
    from pipeline import plugins

    groups = {
        "generators": plugins.GENERATORS,
        "recognisers": plugins.RECOGNISERS,
        "answerers": plugins.ANSWERERS,
        "speech engines": plugins.SPEECH_ENGINES,
        "executors": registry.EXECUTORS,
        "reducers": registry.REDUCERS,
    }
    for title, group in groups.items():
        say(f"{title}: {', '.join(registry.names(group)) or 'none installed'}")
    say(f"policies: {', '.join(bundled_policies())}")
    say("evaluators:")
    try:
        evaluators = load_evaluators()
    except EvalkitError as error:
        raise click.ClickException(str(error)) from None
    for evaluator in evaluators:
        say(f"{evaluator.name} (version {evaluator.version})")
        for metric in evaluator.metrics:
            unit = "" if metric.unit == "1" else f" [{metric.unit}]"
            say(f"  {metric.name}{unit}: {metric.meaning}; {ARROW_WORDS[metric.better]}")
