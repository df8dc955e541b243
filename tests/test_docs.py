"""What is installed is what is documented."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from evalkit.cli import main
from evalkit.evaluators.load import load_evaluators

ROOT = Path(__file__).parents[1]
METRICS = [metric for evaluator in load_evaluators() for metric in evaluator.metrics]
COMMANDS = main.list_commands(click.Context(main))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_stands_in_the_readme_with_its_meaning(metric) -> None:
    unit = "–" if metric.unit == "1" else metric.unit
    readme = (ROOT / "README.md").read_text("utf-8")
    (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{metric.name}` |")]
    assert f"| {unit} |" in row
    assert metric.meaning in row


def test_metric_names_are_unique() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert f"evalkit {name}" in (ROOT / "README.md").read_text("utf-8")
