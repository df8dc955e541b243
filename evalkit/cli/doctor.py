"""``evalkit doctor``: what would stop a generator on this machine, and what to do about it.

What holds for every generator is looked at here; what only one of them needs, its own ``diagnose`` says.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.outputs import name_outputs, refuse_unwritten, write_outputs
from evalkit.cli.settings import take_pairs, take_settings
from evalkit.formatting import count
from pipeline.diagnosis import fine, stop, warning
from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.diagnosis import Diagnosis

_FILE = click.Path(path_type=Path)
_LEVELS = {"stop": ("✗ stop", "red"), "warning": ("! warning", "yellow"), "fine": ("✓ fine", "green")}
_MIB = 1024 * 1024
_LITTLE_SPACE_MIB = 1024
"""A sweep of short clips takes less, a sweep of long ones more."""


@click.command()
@click.option("--generator", "name", required=True, help="Which one, as in 'evalkit list'.")
@click.option("--settings", type=_FILE, callback=take_settings, help="YAML file that sets the generator up.")
@click.option(
    "--set", "changes", multiple=True, callback=take_pairs, help="NAME=VALUE, one of those settings."
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
    """Say what would stop a generator on this machine, each finding with its cure.

    Nothing is changed, loaded or fetched; it is tried whether hosts answer from which something would be fetched.

    Exit status: 0 nothing stops it; 1 something does; 2 wrong use.
    """
    from pipeline import plugins

    try:
        factory = plugins.load_plugin(plugins.GENERATORS, name)
    except plugins.PluginError as error:
        findings = [stop("plug-in", str(error), "install what it misses, or install it again")]
    except RequestError as error:
        raise click.UsageError(str(error)) from None
    else:
        findings = [
            *_look_at_generator(factory, name, {**settings, **changes}),
            _look_at_gpus(),
            _look_at_disk(),
        ]
    findings.sort(key=lambda finding: list(_LEVELS).index(finding.level))
    answer = _answer(name, findings)
    _show(answer, findings)
    n_stops = sum(finding.level == "stop" for finding in findings)
    report = {
        "generator": name,
        "answer": answer,
        "stops": n_stops,
        "findings": [finding.to_dict() for finding in findings],
    }
    written = write_outputs((json_path, lambda: json.dumps(report, indent=2, ensure_ascii=False) + "\n"))
    name_outputs(written.paths)
    refuse_unwritten(written)
    context.exit(1 if n_stops else 0)


def _look_at_generator(factory: Any, name: str, settings: dict[str, Any]) -> Iterator[Diagnosis]:
    """Set it up and have it look at what it needs."""
    from pipeline.generator import build_generator
    from pipeline.plugins import PluginError

    try:
        generator = build_generator(factory, name, settings)
    except PluginError as error:
        yield stop("plug-in", str(error), "install a version of it that fits this evalkit")
        return
    except RequestError as error:
        yield stop("settings", str(error), "give them with --settings FILE or --set NAME=VALUE")
        return
    described = generator.describe()
    yield fine("plug-in", f"{described.name} {described.version} loads: {described.summary}")
    yield fine("settings", ", ".join(sorted(settings)) or "none given, none needed")
    try:
        own = list(generator.diagnose())
    except Exception as error:  # noqa: BLE001 - whatever it is, the other findings stand
        own = [
            warning(
                "own checks",
                f"they broke off: {type(error).__name__}: {error}",
                f"report it to the authors of {described.name}",
            )
        ]
    yield from own
    if not own:
        yield fine("own checks", "it has none: only what holds for every generator was looked at")


def _look_at_gpus() -> Diagnosis:
    """Say which GPUs the driver lists, and whether CUDA_VISIBLE_DEVICES hides or invents some."""
    from pipeline.gpus import read_gpus

    gpus, why = read_gpus()
    about = "GPUs here"
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = ", ".join(f"{gpu.index} {gpu.name}" for gpu in gpus)
    seen = names or f"none seen ({why})"
    if given is None:
        return fine(about, seen)
    found = f"{seen}; CUDA_VISIBLE_DEVICES is {given!r}"
    unknown = [word for word in given.split(",") if word.strip().isdecimal() and int(word) >= len(gpus)]
    if unknown:
        cure = "unset it, or name GPUs that are there" if names else "unset it, or mend the NVIDIA driver"
        return warning(about, f"{found}, and there is no GPU {', '.join(unknown)}", cure)
    if names and not given.strip():
        return warning(about, f"{found}: all are hidden", "unset it, or name those to use")
    return fine(about, found)


def _look_at_disk() -> Diagnosis:
    """Say whether videos and results can be written where evalkit runs."""
    about, cure = "this folder", "give --out a folder elsewhere"
    folder = Path.cwd()
    if not os.access(folder, os.W_OK):
        return warning(about, f"nothing may be written into {folder}", cure)
    free_mib = shutil.disk_usage(folder).free / _MIB
    found = f"{free_mib / 1024:.1f} GiB free in {folder}"
    if free_mib < _LITTLE_SPACE_MIB:
        return warning(about, found, f"make room, or {cure}")
    return fine(about, found)


def _answer(name: str, findings: list[Diagnosis]) -> str:
    """Say it in one sentence."""
    counts = {level: sum(finding.level == level for finding in findings) for level in _LEVELS}
    warned = f", {count(counts['warning'], 'warning')}" if counts["warning"] else ""
    if not counts["stop"]:
        return f"nothing that was looked at stops {name} here{warned}"
    things = "one thing stops" if counts["stop"] == 1 else f"{counts['stop']} things stop"
    return f"{things} {name} here{warned}"


def _show(answer: str, findings: list[Diagnosis]) -> None:
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
        word, color = _LEVELS[finding.level]
        text = Text(finding.found)
        if finding.cure:
            text.append(f"\n→ {finding.cure}", style="bold")
        table.add_row(Text(word, style=color), finding.about, text)
    console.print(table)
