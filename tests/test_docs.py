"""What is installed is what is documented."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from evalkit.analysis.catalogue import known_metrics
from evalkit.cli import main
from evalkit.evaluators.load import load_evaluators

ROOT = Path(__file__).parents[1]
METRICS = [metric for evaluator in load_evaluators() for metric in evaluator.metrics]
COMMANDS = main.list_commands(click.Context(main))


def test_every_family_stands_in_the_readme_and_every_link_of_it_leads_somewhere() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for family in {name.partition(".")[0] for name in known_metrics()}:
        assert f"\n| `{family}` |" in readme
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / target).exists(), target


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
