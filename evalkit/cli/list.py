"""``evalkit list``: what is installed, what each of it is for, what it lacks and how to get that."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KINDS = {
    "generators": ("evalkit.generators", "make talking videos"),
    "evaluators": ("evalkit.evaluators", "measure videos"),
    "metrics": ("", "what is measured, of a video, of making it and by asking people"),
    "policies": ("", "what a release has to pass"),
    "recognisers": ("evalkit.recognisers", "hear what is said"),
    "answerers": ("evalkit.answerers", "answer questions"),
    "voices": ("evalkit.speech_engines", "speak"),
    "executors": ("evalkit.executors", "do the work of a sweep"),
    "reducers": ("evalkit.reducers", "make one value of many clips"),
    "exporters": ("evalkit.exporters", "put a run where experiments are tracked"),
}
"""By name: the entry-point group, and what they do."""
_ANOTHER_NAME = {"speech-engines": "voices"}
_NO_BREAK = "\N{NO-BREAK SPACE}"
_WIDEST = 100
_NARROWEST = 40


@dataclass(frozen=True)
class _Item:
    """Something that is installed.

    Parameters
    ----------
    name : str
    meaning : str
        In one line.
    obstacle : str
        What it lacks, and how to get it; empty where nothing is known to be missing.
    facts : dict
        What else is told in JSON, by name.
    """

    name: str
    meaning: str
    obstacle: str
    facts: dict[str, Any]


@click.command("list")
@click.argument("kind", required=False, type=click.Choice([*_KINDS, *_ANOTHER_NAME]), metavar="[KIND]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(kind: str | None, as_json: bool) -> None:
    """List what is installed: an overview, or all of one KIND with a line on each.

    Kinds: generators, evaluators, metrics, policies, recognisers, answerers, voices, executors, reducers, exporters.

    What cannot be used is named with the reason and the cure.
    """
    from evalkit.errors import EvalkitError

    kind = _ANOTHER_NAME.get(kind or "", kind)
    try:
        found = {name: list(_items_of(name)) for name in ([kind] if kind else _KINDS)}
    except EvalkitError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        plain = {
            name: [{"name": item.name, "meaning": item.meaning, "obstacle": item.obstacle, **item.facts} for item in items]
            for name, items in found.items()
        }  # fmt: skip
        click.echo(json.dumps(plain, indent=2))
    elif kind:
        _say_each(kind, found[kind])
    else:
        _say_overview(found)


def _items_of(kind: str) -> Iterator[_Item]:
    special: dict[str, Callable[[], Iterator[_Item]]] = {
        "metrics": _metrics,
        "policies": _policies,
        "evaluators": _evaluators,
    }
    yield from special[kind]() if kind in special else _plugins(_KINDS[kind][0])


def _plugins(group: str) -> Iterator[_Item]:
    from evalkit import registry
    from pipeline.extras import find_obstacle

    for name in registry.names(group):
        try:
            plugin = registry.load(group, name)
        except registry.PluginError as error:
            yield _Item(name, "", str(error), {})
            continue
        yield _Item(name, _first_sentence(plugin), find_obstacle(plugin), {})


def _evaluators() -> Iterator[_Item]:
    from evalkit import registry
    from evalkit.evaluators.load import evaluator_class
    from pipeline.extras import find_obstacle

    for name in registry.names(registry.EVALUATORS):
        kind = evaluator_class(name)
        metrics = [metric.name for metric in kind.metrics]
        facts = {"version": str(kind.version), "metrics": metrics, "settings": list(kind.setting_names())}
        yield _Item(name, _first_sentence(kind), find_obstacle(kind), facts)


def _metrics() -> Iterator[_Item]:
    from evalkit.analysis.catalogue import known_metrics
    from evalkit.evaluators.load import evaluator_class, find_incomplete
    from evalkit.registry import EVALUATORS, names
    from evalkit.words.metrics import metric_words

    words, incomplete = metric_words("en"), find_incomplete(names(EVALUATORS))
    obstacles = {
        metric.name: obstacle
        for evaluator, obstacle in incomplete.items()
        for metric in evaluator_class(evaluator).metrics
    }
    for name, metric in sorted(known_metrics().items()):
        facts = {"called": words.name(name), "unit": metric.unit, "better": metric.better}
        yield _Item(name, metric.meaning, obstacles.get(name, ""), facts)


def _policies() -> Iterator[_Item]:
    from evalkit.decisions.policy import bundled_policies, load_policy

    for name in bundled_policies():
        yield _Item(name, load_policy(name).title, "", {})


def _first_sentence(plugin: object) -> str:
    """Return what the first paragraph of a docstring says, on one line, without references and the marks of code."""
    said = " ".join((inspect.getdoc(plugin) or "").split("\n\n")[0].split())
    said = re.sub(r" \((see )?`[^`]*`\)", "", said).replace("`", "").removesuffix(".")
    return said.removeprefix("Return ")


def _width() -> int:
    return max(_NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST))


def _say_wrapped(text: str, first: str = "", rest: str = "") -> None:
    """Say it within the terminal's width; a command in it stays on one line."""
    kept = re.sub(r"pip install \S+", lambda command: command[0].replace(" ", _NO_BREAK), text)
    wrapper = textwrap.TextWrapper(
        _width(),
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )
    say("\n".join(wrapper.wrap(kept)).replace(_NO_BREAK, " "))


def _say_each(kind: str, items: list[_Item]) -> None:
    """Say a line on each, and what it lacks."""
    from evalkit.visuals.numbers import ARROW_WORDS

    if not items:
        say(f"no {kind} are installed")
        return
    if kind == "metrics":
        for item in items:
            unit = "" if item.facts["unit"] == "1" else f" [{item.facts['unit']}]"
            say(f"{item.name}{unit}: {item.facts['called']}")
            _say_wrapped(f"{item.meaning}; {ARROW_WORDS[item.facts['better']]}", "  ", "  ")
    else:
        column = max(len(item.name) for item in items) + 2
        for item in items:
            version = f" (version {item.facts['version']})" if "version" in item.facts else ""
            _say_wrapped(
                f"{item.meaning}{version}" if item.meaning else "-", f"{item.name:{column}}", " " * column
            )
            if names := item.facts.get("metrics"):
                _say_wrapped(", ".join(names), " " * column, " " * column)
    _say_obstacles({kind: items})
    if kind == "generators":
        say("evalkit doctor --generator NAME says what one of them lacks on this machine")


def _say_overview(found: dict[str, list[_Item]]) -> None:
    """Say the names of each kind, and what cannot be used."""
    for kind, items in found.items():
        say(f"{kind}: {_KINDS[kind][1]}")
        if kind == "metrics":
            families: dict[str, int] = {}
            for item in items:
                family = item.name.partition(".")[0]
                families[family] = families.get(family, 0) + 1
            names = [f"{family} ({count})" for family, count in sorted(families.items())]
        else:
            names = [item.name for item in items]
        _say_wrapped(", ".join(names) or "none installed", "  ", "  ")
    _say_obstacles({kind: items for kind, items in found.items() if kind != "metrics"})
    say("evalkit list KIND says what each is; evalkit list metrics, what is measured")


def _say_obstacles(found: dict[str, list[_Item]]) -> None:
    """Name together what one thing stops."""
    lacking: dict[str, list[str]] = {}
    for kind, items in found.items():
        one = {"policies": "policy"}.get(kind, kind.removesuffix("s"))
        for item in items:
            if item.obstacle:
                lacking.setdefault(item.obstacle, []).append(f"{one} {item.name}")
    for obstacle, names in lacking.items():
        _say_wrapped(f"cannot be used: {', '.join(names)}; {obstacle}", "", "  ")
