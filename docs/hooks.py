"""What the site takes from the code when it is built: facts of each metric, the list of them, the help of each command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import evalkit
from evalkit.analysis.catalogue import known_metrics
from evalkit.cli import main
from evalkit.decisions.policy import bundled_policies, load_policy
from evalkit.decisions.usual import USUAL
from evalkit.visuals.numbers import ARROW_WORDS
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

    from evalkit.types import Metric

FAMILIES = {
    "lip_sync": "Does the mouth say what is heard?",
    "motion": "Does the body move like a body?",
    "expression": "Is the face alive?",
    "stability": "Does it hold over minutes?",
    "technical": "Would a broadcaster accept the file?",
    "speech": "Can it be understood, and how does it sound?",
    "brand": "Is the brand there, and right?",
    "rating": "What do people say?",
    "profile": "What did it cost?",
}
FOLDER = "metrics"


def page_of(metric: str) -> str:
    """Return the path of a metric's page, from the folder of the documentation."""
    return f"{FOLDER}/{metric}.md"


def by_family() -> dict[str, list[Metric]]:
    """Return every metric by its family, in the order in which the families are told."""
    found: dict[str, list[Metric]] = {family: [] for family in FAMILIES}
    for name, metric in known_metrics().items():
        found.setdefault(name.partition(".")[0], []).append(metric)
    return found


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page for each metric into the navigation, and every guide that it does not name among the how-tos."""
    words = metric_words("en")
    pages: list[Any] = [f"{FOLDER}/index.md"]
    pages += [
        {family: [{words.name(metric.name): page_of(metric.name)} for metric in metrics]}
        for family, metrics in by_family().items()
    ]
    nav: list[Any] = config.nav or []
    named = set(_pages_in(nav))
    guides = [path.name for path in sorted(Path(config.docs_dir).glob("*.md")) if path.name not in named]
    config.nav = [
        {"Metrics": pages} if "Metrics" in part else
        {"How-tos": [*part["How-tos"], *guides]} if "How-tos" in part else part
        for part in nav
    ]  # fmt: skip
    return config


def _pages_in(nav: Any) -> Iterator[str]:
    """Give the pages that a part of the navigation names."""
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _pages_in(part)


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what the code knows."""
    del config, files
    path = Path(page.file.src_uri)
    if path.parent.name == FOLDER and path.stem != "index":
        return with_facts(markdown, path.stem)
    if path.as_posix() == f"{FOLDER}/index.md":
        return markdown + "\n".join(_list_metrics())
    if path.as_posix() == "commands.md":
        return markdown + "\n".join(_list_commands())
    if path.as_posix() == "api.md":
        return markdown + "\n".join(_list_names())
    return markdown


def with_facts(markdown: str, name: str) -> str:
    """Put a metric's heading before what was written about it, and its facts behind the first paragraph."""
    metric, english, chinese = known_metrics()[name], metric_words("en"), metric_words("zh-CN")
    unit = "none" if metric.unit == "1" else metric.unit
    rows = [
        ("in Chinese", chinese.name(name)),
        ("says", metric.meaning),
        ("unit", unit),
        ("better", ARROW_WORDS[metric.better]),
    ]
    low, high = metric.bounds or (None, None)
    if low is not None or high is not None:
        ends = [f"from {low:g}" if low is not None else "", f"to {high:g}" if high is not None else ""]
        rows.append(("possible", " ".join(end for end in ends if end)))
    if (usual := USUAL.get(name)) is not None:
        rows.append(("usual", usual.text(metric)))
        if usual.real is not None:
            rows.append(("real speakers", f"{usual.real.least:g} to {usual.real.most:g}"))
    rows += [(f"gate of `{policy}`", gate) for policy, gate in _gates(name)]
    table = [f"| name in files | `{name}` |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)]
    first, _, rest = markdown.partition("\n\n")
    return "\n".join([f"# {english.name(name)}", "", first, "", *table, "", rest])


def _gates(name: str) -> list[tuple[str, str]]:
    """Say what each bundled policy asks of a metric."""
    return [
        (policy, f"{rule.requirement()}{'' if rule.kind == 'hard' else ' (warns only)'}: {rule.why}")
        for policy in bundled_policies()
        for rule in load_policy(policy).rules
        if rule.metric.name == name
    ]


def _list_metrics() -> list[str]:
    words, lines = metric_words("en"), []
    for family, metrics in by_family().items():
        lines += ["", f"## {family}: {FAMILIES.get(family, '')}", "", "| | says |", "|---|---|"]
        for metric in metrics:
            unit = "" if metric.unit == "1" else f" [{metric.unit}]"
            lines.append(
                f"| [{words.name(metric.name)}]({metric.name}.md)<br>`{metric.name}`{unit} | "
                f"{metric.meaning}; {ARROW_WORDS[metric.better]} |"
            )
    return lines


def _list_names() -> list[str]:
    """Ask mkdocstrings for everything public, what is done before what comes back."""
    public = [name for name in evalkit.__all__ if not name.startswith("_")]
    done = [name for name in public if name[0].islower()]
    back = [name for name in public if name[0].isupper()]
    lines: list[str] = []
    for title, names in (("What is done", done), ("What comes back", back)):
        lines += ["", f"## {title}", ""]
        for name in names:
            lines += [f"::: evalkit.{name}", "    options: {heading_level: 3}", ""]
    return lines


def _list_commands() -> list[str]:
    """Write the help of each command, as the terminal shows it."""
    lines: list[str] = []
    waiting: list[tuple[str, click.Command]] = [("evalkit", main)]
    while waiting:
        called, command = waiting.pop(0)
        context = click.Context(command, info_name=called, max_content_width=100, terminal_width=100)
        lines += ["", f"## {called}", "", "```text", command.get_help(context), "```"]
        if isinstance(command, click.Group):
            below = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
            waiting = [*((f"{called} {name}", one) for name, one in below if one is not None), *waiting]
    return lines
