"""``evalkit doctor``: what would stop a generator on this machine, and what to do about it.

What holds for every generator is looked at here; what only one of them needs, its own ``diagnose`` says, if it has one.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.outputs import name_outputs, write_outputs
from evalkit.cli.settings import read_pairs, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = click.Path(path_type=Path)
_LEVELS = {"stop": ("✗ stop", "red"), "warning": ("! warning", "yellow"), "fine": ("✓ fine", "green")}
_MIB = 1024 * 1024
_LITTLE_SPACE_MIB = 1024
"""A sweep of short clips takes less, a sweep of long ones more."""


@click.command()
@click.option("--generator", "name", required=True, help="Which one, as in 'evalkit list'.")
@click.option("--settings", type=_FILE, callback=read_settings, help="YAML file that sets the generator up.")
@click.option(
    "--set", "changes", multiple=True, callback=read_pairs, help="NAME=VALUE, one of those settings."
)
@click.option("--json", "json_path", type=_FILE, help="Write the findings as JSON.")
@click.pass_context
def doctor(
    context: click.Context,
    *,
    name: str,
    settings: dict[str, Any],
    changes: dict[str, Any],
    json_path: Path | None,
) -> None:
    """Say what would stop a generator on this machine, each finding with its cure. Nothing is changed or loaded.

    Exit status: 0 nothing stops it; 1 something does; 2 wrong use.
    """
    from evalkit import registry
    from evalkit.errors import EvalkitError

    try:
        factory = registry.load(registry.GENERATORS, name)
    except registry.PluginError as error:
        findings = [_finding("stop", "plug-in", str(error), "install what it misses, or install it again")]
    except EvalkitError as error:
        raise click.UsageError(str(error)) from None
    else:
        findings = [
            *_look_at_generator(factory, {**settings, **changes}),
            _look_at_gpus(),
            _look_at_disk(),
        ]
    findings.sort(key=lambda finding: list(_LEVELS).index(finding["level"]))
    answer = _answer(name, findings)
    _show(answer, findings)
    n_stops = sum(finding["level"] == "stop" for finding in findings)
    report = {"generator": name, "answer": answer, "stops": n_stops, "findings": findings}
    name_outputs(write_outputs((json_path, lambda: json.dumps(report, indent=2, ensure_ascii=False) + "\n")))
    context.exit(1 if n_stops else 0)


def _look_at_generator(factory: Any, settings: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Set it up and ask it."""
    try:
        generator = factory(**settings)
    except ValueError as error:
        if not hasattr(error, "kind"):  # no refusal but a fault in the program
            raise
        yield _finding("stop", "settings", str(error), "give them with --settings FILE or --set NAME=VALUE")
        return
    description = generator.describe().to_dict()
    yield _finding(
        "fine", "plug-in", f"{description['name']} {description['version']} loads: {description['summary']}"
    )
    yield _finding("fine", "settings", ", ".join(sorted(settings)) or "none given, none needed")
    try:
        own = [finding.to_dict() for finding in getattr(generator, "diagnose", tuple)()]
    except Exception as error:  # noqa: BLE001 - whatever it is, the other findings stand
        told = f"they broke off: {type(error).__name__}: {error}"
        own = [_finding("warning", "own checks", told, f"tell those who make {description['name']}")]
    yield from own
    if not own:
        yield _finding("fine", "own checks", "it has none: only what holds for every generator was looked at")


def _look_at_gpus() -> dict[str, str]:
    """Say which GPUs the driver lists, and whether CUDA_VISIBLE_DEVICES hides or invents some."""
    from evalkit.profiling.nvml import Gpus

    gpus = Gpus()
    gpus.close()
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = ", ".join(f"{index} {gpu['name']}" for index, gpu in enumerate(gpus.described))
    seen = names or f"none seen ({gpus.text})"
    if given is None:
        return _finding("fine", "GPUs here", seen)
    found = f"{seen}; CUDA_VISIBLE_DEVICES is {given!r}"
    unknown = [
        word for word in given.split(",") if word.strip().isdecimal() and int(word) >= len(gpus.described)
    ]
    if unknown:
        cure = "unset it, or name GPUs that are there" if names else "unset it, or mend the NVIDIA driver"
        return _finding("warning", "GPUs here", f"{found}, and there is no GPU {', '.join(unknown)}", cure)
    if names and not given.strip():
        return _finding("warning", "GPUs here", f"{found}: all are hidden", "unset it, or name those to use")
    return _finding("fine", "GPUs here", found)


def _look_at_disk() -> dict[str, str]:
    """Say whether videos and results can be written where evalkit runs."""
    folder = Path.cwd()
    if not os.access(folder, os.W_OK):
        return _finding(
            "warning", "this folder", f"nothing may be written into {folder}", "give --out a folder elsewhere"
        )
    free_mib = shutil.disk_usage(folder).free / _MIB
    found = f"{free_mib / 1024:.1f} GiB free in {folder}"
    if free_mib < _LITTLE_SPACE_MIB:
        return _finding("warning", "this folder", found, "make room, or give --out a folder elsewhere")
    return _finding("fine", "this folder", found)


def _finding(level: str, about: str, found: str, cure: str = "") -> dict[str, str]:
    return {"level": level, "about": about, "found": found, "cure": cure}


def _answer(name: str, findings: list[dict[str, str]]) -> str:
    """Say it in one sentence."""
    counts = {level: sum(finding["level"] == level for finding in findings) for level in _LEVELS}
    warned = f", {counts['warning']} warning{'s' * (counts['warning'] != 1)}" if counts["warning"] else ""
    if not counts["stop"]:
        return f"nothing that was looked at stops {name} here{warned}"
    things = "one thing stops" if counts["stop"] == 1 else f"{counts['stop']} things stop"
    return f"{things} {name} here{warned}"


def _show(answer: str, findings: list[dict[str, str]]) -> None:
    """Print the answer, then the findings, the worst first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(answer, style="bold"))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(max_width=20)
    table.add_column(overflow="fold")
    for finding in findings:
        word, color = _LEVELS[finding["level"]]
        told = Text(finding["found"])
        if finding["cure"]:
            told.append(f"\n→ {finding['cure']}", style="bold")
        table.add_row(Text(word, style=color), finding["about"], told)
    console.print(table)
