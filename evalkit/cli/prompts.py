"""``evalkit prompts``: templates for prompts, and what a prompt leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say
from evalkit.cli.settings import split_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalkit.prompts.check import PromptCheck

_FILES = (".txt", ".yaml", ".yml", ".json")


@click.group()
def prompts() -> None:
    """Templates for prompts, and which of person, action, surroundings and style a prompt leaves out."""


@prompts.command("list")
def list_templates() -> None:
    """List the templates and their slots."""
    from evalkit.prompts.templates import load_template, template_names

    for name in template_names():
        template = load_template(name)
        slots = ", ".join(f"{slot}={usual['en']}" for slot, usual in template.slots.items())
        say(f"{name}: {template.title}\n  {slots}")


@prompts.command()
@click.argument("name")
@click.option(
    "--set", "pairs", multiple=True, metavar="SLOT=TEXT", help="What to put into a slot (see `list`)."
)
@click.option("--language", default="en", show_default=True, help="en or zh.")
def show(name: str, pairs: tuple[str, ...], language: str) -> None:
    """Print the prompt of the template NAME, ready for `evalkit generate --prompt`."""
    from evalkit.errors import UsageError
    from evalkit.prompts.templates import load_template

    values = split_pairs(pairs, str, form="SLOT=TEXT", flag="--set")
    try:
        say(load_template(name).fill(values, language))
    except UsageError as error:
        raise click.UsageError(str(error)) from None


@prompts.command()
@click.argument("named", nargs=-1, required=True, metavar="TEXT|FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
@click.pass_context
def check(context: click.Context, named: tuple[str, ...], as_json: bool) -> None:
    """Say which parts each prompt names, by which words, and which it leaves out.

    A prompt is a TEXT, or stands in a FILE: a text file with a prompt a line, or a sweep's YAML file. The words of
    English and Chinese prompts are looked up; their meaning is not understood.

    Exit code: 0 when every prompt names all four, 1 when one leaves something out, 2 for wrong use.
    """
    from evalkit.errors import EvalkitError
    from evalkit.prompts.check import check_prompt

    try:
        found = [check_prompt(text) for name in named for text in _prompts_in(name)]
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps([check.to_dict() for check in found], indent=2, ensure_ascii=False))
    else:
        say("\n\n".join(_describe(check) for check in found))
    context.exit(1 if any(check.missing for check in found) else 0)


def _prompts_in(named: str) -> Iterator[str]:
    """Give the prompts of a file, or the text itself."""
    from evalkit.errors import UsageError

    path = Path(named)
    looks_like_a_file = path.suffix.lower() in _FILES and not any(map(str.isspace, named))
    if not named.strip():
        raise UsageError("a prompt is empty; give its text, or a file with prompts")
    if not looks_like_a_file and not _is_file(path):
        yield named
        return
    if not path.is_file():
        raise UsageError(f"there is no file {named}")
    if path.suffix.lower() in {".yaml", ".yml"}:
        yield from _prompts_of_sweep(path)
        return
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{named} cannot be read as text: {error}") from None
    if not lines:
        raise UsageError(f"{named} has no prompt in it; write one a line")
    yield from lines


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a prompt can be too long for a name
        return False


def _prompts_of_sweep(path: Path) -> Iterator[str]:
    from evalkit.errors import UsageError
    from evalkit.options import read_group, read_yaml
    from evalkit.sweeps.config import SweepConfig

    config = read_group(SweepConfig, read_yaml(path), str(path))
    values = config.grid.get("prompt", [config.parameters["prompt"]] if "prompt" in config.parameters else [])
    if not values:
        raise UsageError(f"{path} asks for no prompt; give one under parameters.prompt or grid.prompt")
    for value in values:
        if not isinstance(value, str):
            raise UsageError(f"{path}: the prompt {value!r} is not text; put it in quotes")
        yield value


def _describe(found: PromptCheck) -> str:
    """Say what was found, part by part."""
    lines = [f"“{found.text}”"]
    for part in found.parts:
        if part.found:
            lines.append(f"  ✓ {part.name}: {', '.join(part.found)}")
        else:
            lines.append(f"  ✗ {part.name} ({part.asks}): missing; for example “{part.example}”")
    return "\n".join(lines)
