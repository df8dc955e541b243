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
    from evalkit.evaluators.load import evaluator_class
    from evalkit.visuals.numbers import ARROW_WORDS
    from pipeline import plugins
    from pipeline.extras import find_obstacle

    groups = {
        "generators": plugins.GENERATORS,
        "recognisers": plugins.RECOGNISERS,
        "answerers": plugins.ANSWERERS,
        "speech engines": plugins.SPEECH_ENGINES,
        "executors": registry.EXECUTORS,
        "reducers": registry.REDUCERS,
    }
    obstacles: dict[str, list[str]] = {}

    def note(obstacle: str, kind: str, name: str) -> None:
        if obstacle:
            obstacles.setdefault(obstacle, []).append(f"{kind} {name}")

    for title, group in groups.items():
        names = registry.names(group)
        say(f"{title}: {', '.join(names) or 'none installed'}")
        for name in names:
            try:
                note(find_obstacle(registry.load(group, name)), title.removesuffix("s"), name)
            except registry.PluginError as error:
                note(str(error), title.removesuffix("s"), name)
    try:
        evaluators = [evaluator_class(name) for name in registry.names(registry.EVALUATORS)]
    except EvalkitError as error:
        raise click.ClickException(str(error)) from None
    say(f"policies: {', '.join(bundled_policies())}")
    say("evaluators:")
    for evaluator in evaluators:
        note(find_obstacle(evaluator), "evaluator", evaluator.name)
        say(f"{evaluator.name} (version {evaluator.version})")
        for metric in evaluator.metrics:
            unit = "" if metric.unit == "1" else f" [{metric.unit}]"
            say(f"  {metric.name}{unit}: {metric.meaning}; {ARROW_WORDS[metric.better]}")
    for obstacle, lacking in obstacles.items():
        say(f"cannot be used: {', '.join(lacking)}; {obstacle}")
