"""``evalkit doctor``: what would stop a generator, here or where an executor works, and what to do about it.

What holds for every generator is looked at by `evalkit.execution.diagnosis`; what only one of them needs, its own
``diagnose`` says; what stops work on other machines, the executor's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.executor_options import chosen_executor, executor_options
from evalkit.cli.outputs import name_outputs, refuse_unwritten, write_outputs
from evalkit.cli.settings import take_pairs, take_settings
from evalkit.formatting import count
from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalkit.options import Document
    from pipeline.diagnosis import Diagnosis

_FILE = click.Path(path_type=Path)
_LEVELS = {"stop": ("✗ stop", "red"), "warning": ("! warning", "yellow"), "fine": ("✓ fine", "green")}


@click.command()
@click.option("--generator", "name", help="Which one, as in 'evalkit list'.")
@click.option("--settings", type=_FILE, callback=take_settings, help="YAML file that sets the generator up.")
@click.option(
    "--set", "changes", multiple=True, callback=take_pairs, help="NAME=VALUE, one of those settings."
)
@executor_options
@click.option("--json", "json_path", type=_FILE, help="Write the findings as JSON.")
@click.pass_context
def doctor(
    context: click.Context,
    *,
    name: str | None,
    settings: Document,
    changes: dict[str, Any],
    executor: str | None,
    ray_address: str | None,
    json_path: Path | None,
) -> None:
    """Say what would stop a generator on this machine, or on every node of a cluster, each finding with its cure.

    Nothing is changed, loaded or fetched; it is tried whether hosts answer from which something would be fetched.

    Exit status: 0 nothing stops it; 1 something does; 2 wrong use.
    """
    from evalkit.errors import UsageError

    executor, where = chosen_executor(executor, ray_address)
    if name is None and executor is None:
        raise click.UsageError("give --generator NAME, --executor NAME or both")
    try:
        findings = _look(name, settings.changed_by(changes), executor, where)
    except (RequestError, UsageError) as error:
        raise click.UsageError(str(error)) from None
    findings.sort(key=lambda finding: list(_LEVELS).index(finding.level))
    answer = _answer(
        name or "work", "here" if executor is None else f"with the executor {executor}", findings
    )
    _show(answer, findings)
    n_stops = sum(finding.level == "stop" for finding in findings)
    report = {
        "generator": name,
        "executor": executor,
        "answer": answer,
        "stops": n_stops,
        "findings": [finding.to_dict() for finding in findings],
    }
    written = write_outputs((json_path, lambda: json.dumps(report, indent=2, ensure_ascii=False) + "\n"))
    name_outputs(written.paths)
    refuse_unwritten(written)
    context.exit(1 if n_stops else 0)


def _look(
    name: str | None, settings: Mapping[str, Any], executor: str | None, where: Mapping[str, Any]
) -> list[Diagnosis]:
    """Look at everything that is asked about."""
    from evalkit import registry
    from evalkit.execution.diagnosis import diagnose_generator, diagnose_gpus, diagnose_run_folder
    from evalkit.execution.executors import load_executor
    from pipeline.diagnosis import fine, stop
    from pipeline.extras import find_obstacle, how_to_install

    findings: list[Diagnosis] = []
    is_elsewhere = False
    if executor is not None:
        try:
            kind = registry.load(registry.EXECUTORS, executor)
        except registry.PluginError as error:
            return [stop("plug-in", str(error), "install what it misses, or install it again")]
        is_elsewhere = kind.places_slots
        if obstacle := find_obstacle(kind):
            findings.append(stop("libraries", obstacle, how_to_install(kind.extra)))
        else:
            choice = load_executor(executor, where, "--executor")
            findings += kind.diagnose(choice.settings, name or "", settings)
            if not is_elsewhere:
                places = ", ".join(f"{choice.count_places(device)} on {device}" for device in ("cpu", "cuda"))
                findings.append(fine("places", f"{places}: so many videos at once, each timed"))
    if name is not None:  # a sweep is planned here, wherever it is done
        findings += diagnose_generator(name, settings, own_checks=not is_elsewhere)
    if not is_elsewhere:
        findings.append(diagnose_gpus())
    return [*findings, diagnose_run_folder()]


def _answer(name: str, where: str, findings: list[Diagnosis]) -> str:
    """Say it in one sentence."""
    counts = {level: sum(finding.level == level for finding in findings) for level in _LEVELS}
    warned = f", {count(counts['warning'], 'warning')}" if counts["warning"] else ""
    if not counts["stop"]:
        return f"nothing that was looked at stops {name} {where}{warned}"
    things = "one thing stops" if counts["stop"] == 1 else f"{counts['stop']} things stop"
    return f"{things} {name} {where}{warned}"


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
