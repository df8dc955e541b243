"""``evalkit profile -- CMD…``: what any program costs, watched from outside."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import shutil
import signal
import subprocess
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalkit.measuring.results import ClipResult
    from evalkit.profiling.profile import Profile

_PICTURES = (".png", ".svg", ".pdf")
_FILE = click.Path(path_type=Path, dir_okay=False)


class _NotStarted(click.ClickException):
    """A program that cannot be run; the exit codes are those of shells."""

    exit_code = 126


class _NotFound(_NotStarted):
    """A program that is not there."""

    exit_code = 127


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.option("--json", "json_path", type=_FILE, help="Write the figures and the whole timeline as JSON.")
@click.option("--plot", "plot_path", type=_FILE, help="Draw the timeline: FILE.png, .svg or .pdf.")
@click.option(
    "--interval",
    "interval_ms",
    type=click.FloatRange(min=1),
    default=10.0,
    show_default=True,
    help="Milliseconds between two looks.",
)
@click.pass_context
def profile(
    context: click.Context,
    command: tuple[str, ...],
    json_path: Path | None,
    plot_path: Path | None,
    interval_ms: float,
) -> None:
    """Run CMD and measure its time, memory and GPUs, all its child processes included.

    CMD runs as without evalkit: no shell, its own input and output. The figures go to the error output.

    Exit code: that of CMD (128 + the signal that ended it); 127 no such program, 126 no program, 2 for wrong use.
    """
    _check_targets(json_path, plot_path)
    program = _find(command[0])

    from evalkit.cli.table import show

    code, total_s, seen = _run(program, command, interval_ms / 1000)
    result = _judge(command, code, total_s, seen)
    show([result], stderr=True)
    if json_path is not None:
        _write_json(json_path, command, code, result, seen)
    if plot_path is not None:
        from evalkit.reports.timeline_plot import draw_timeline

        draw_timeline(seen).savefig(plot_path)
    for path in filter(None, (json_path, plot_path)):
        click.echo(f"wrote {path}", err=True)
    context.exit(code if code >= 0 else 128 - code)


def _check_targets(json_path: Path | None, plot_path: Path | None) -> None:
    """Check, before the program is run, that what is seen of it can be written."""
    for option, path in (("--json", json_path), ("--plot", plot_path)):
        if path is None:
            continue
        folder = path.absolute().parent
        if not folder.is_dir():
            raise click.UsageError(f"{option} {path}: there is no folder {folder}; make it first")
        if not os.access(folder, os.W_OK):
            raise click.UsageError(f"{option} {path}: nothing may be written into {folder}")
    if plot_path is not None and plot_path.suffix.lower() not in _PICTURES:
        raise click.UsageError(f"--plot {plot_path}: a picture ends in {', '.join(_PICTURES)}")


def _find(name: str) -> str:
    found = shutil.which(name)
    if found is not None:
        return found
    path = Path(name)
    if path.is_dir():
        raise _NotStarted(f"{name} is a folder, not a program")
    if path.is_file() and os.sep in name:
        raise _NotStarted(f"{name} may not be executed; allow it with chmod +x")
    raise _NotFound(f"there is no program {name!r}{_hint(name)}")


def _hint(name: str) -> str:
    if os.sep in name:
        return "; check the path"
    known = {
        path.name
        for folder in os.environ.get("PATH", "").split(os.pathsep)
        if Path(folder).is_dir()
        for path in Path(folder).iterdir()
    }
    near = difflib.get_close_matches(name, known, n=1)
    return f" on the search path; did you mean {near[0]!r}?" if near else " on the search path"


def _run(program: str, command: tuple[str, ...], interval_s: float) -> tuple[int, float, Profile]:
    from evalkit.profiling.profile import ProfileError
    from evalkit.profiling.profiler import Profiler

    try:
        with Profiler(interval_s=interval_s) as profiler:
            start_s = time.monotonic()
            try:
                process = subprocess.Popen(command, executable=program)  # noqa: S603 - the user's own command
            except OSError as error:
                raise _NotStarted(f"{command[0]} cannot be run: {error.strerror}") from None
            with _passing_on(process):
                profiler.watch(process.pid)
                code = process.wait()
            return code, time.monotonic() - start_s, profiler.slice(start_s)
    except ProfileError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave signals to the program: the keyboard's reach it anyway, others are handed on."""

    def hand_on(number: int, _frame: Any) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    former = {
        number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _judge(command: tuple[str, ...], code: int, total_s: float, seen: Profile) -> ClipResult:
    """Put the figures together with what a person should know."""
    from evalkit.measuring.results import ClipResult
    from evalkit.profiling.costs import TOTAL, measure_resources
    from evalkit.profiling.out_of_memory import is_out_of_memory
    from evalkit.types import Measurement

    ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    notes = [f"the program ended with {ended}"] if code else []
    if is_out_of_memory(ended, seen.n_oom_kills):
        notes.append("the system ended it for want of memory; the peak is the highest seen until then")
    n_left = seen.n_processes.values[-1] if len(seen.n_processes) else 0
    if n_left:
        notes.append(f"{n_left:.0f} of its processes go on")
    measurements = (Measurement(TOTAL, total_s, n=1), *measure_resources(seen))
    return ClipResult(_title(command), measurements, notes=(*notes, *seen.notes()))


def _title(command: tuple[str, ...]) -> str:
    return textwrap.shorten(shlex.join(command), 76, placeholder=" …")


def _write_json(path: Path, command: tuple[str, ...], code: int, result: ClipResult, seen: Profile) -> None:
    plain = result.as_json()
    data = {
        "command": list(command),
        "exit_code": code if code >= 0 else None,
        "signal": signal.Signals(-code).name if code < 0 else None,
        **{name: value for name, value in plain.items() if name != "clip"},
        "timeline": seen.to_dict(),
    }
    path.write_text(json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
