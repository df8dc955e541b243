"""What the commands that make a run have in common: the options that say what is planned, progress, the outcome."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.executor_options import chosen_executor, executor_options
from evalkit.cli.measuring_options import brand_options, split_names
from evalkit.cli.outputs import say
from evalkit.cli.settings import read_flag, read_values, split_pairs, take_pairs
from evalkit.cli.streams import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evalkit.runs import Run, Trial
    from evalkit.sweeps.prepare import SweepPlan
    from evalkit.sweeps.run import Progress

_OPTIONS = (
    click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="NAME=V1,V2…",
        help="Values of a parameter, instead of the file's; each is YAML, and [a, b] is a list with commas in it.",
    ),
    click.option("--generator", help="Who makes the videos, as in 'evalkit list'."),
    click.option(
        "--setting",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        callback=take_pairs,
        help="A setting of the generator.",
    ),
    click.option("--portrait", "portraits", multiple=True, help="Picture of a speaker; may be given again."),
    click.option("--speech", multiple=True, help="Sound file to speak; may be given again."),
    click.option("--text", "texts", multiple=True, help="Words to speak; may be given again."),
    click.option("--seeds", help="Seeds, separated by commas."),
    click.option("--only", help="Evaluators to run, separated by commas."),
    brand_options,
    click.option("--policy", help="Policy that the report judges by."),
    click.option("--out", type=click.Path(path_type=Path), help="Folder of the run (default: runs/NAME)."),
    click.option("--workers", type=int, help="Videos made at once on one device, not timed then."),
    executor_options,
    click.option(
        "--time-limit", type=float, metavar="S", help="Seconds for each load, video and measurement."
    ),
    click.option("--retries", type=int, help="Further tries of a trial that fails."),
    click.option(
        "--separate-profiling-pass",
        is_flag=True,
        default=None,
        help="Make each video twice: once for its times, once for its memory.",
    ),
    click.option(
        "--skip-infeasible",
        is_flag=True,
        default=None,
        help="Leave out trials that cannot fit, see evalkit plan.",
    ),
    click.option(
        "--gpu-memory-gb",
        type=float,
        metavar="GB",
        help="What each GPU has for that, if not as the driver says.",
    ),
    click.option("--retry-failed", is_flag=True, help="Do trials again that failed in an earlier call."),
    click.option(
        "--replan",
        is_flag=True,
        help="Keep finished trials that the grid has no more, in the folder and in no table.",
    ),
)


def sweep_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which grid is made, with what, and where the run goes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTION_OF_FLAG = {
    "generator": "generator.name",
    "policy": "policy",
    "workers": "execution.workers",
    "time_limit": "execution.time_limit_s",
    "retries": "execution.retries",
    "separate_profiling_pass": "execution.separate_profiling_pass",
    "skip_infeasible": "execution.skip_infeasible",
    "gpu_memory_gb": "execution.gpu_memory_gb",
    "brand": "measuring.brand.file",
    "clip_model": "measuring.brand.model",
    "clip_weights": "measuring.brand.weights",
}


def read_overrides(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the flags say otherwise than the file, by the options' dotted names."""
    overrides = {option: flags[flag] for flag, option in _OPTION_OF_FLAG.items() if flags[flag] is not None}
    overrides |= {f"generator.settings.{name}": value for name, value in flags["settings"].items()}
    executor, settings = chosen_executor(flags["executor"], flags["ray_address"])
    overrides |= {} if executor is None else {"execution.executor.name": executor}
    overrides |= {f"execution.executor.settings.{name}": value for name, value in settings.items()}
    sets = split_pairs(flags["sets"], read_values, form="NAME=VALUE,VALUE…", flag="--set")
    overrides |= {f"grid.{name}": values for name, values in sets.items()}
    if flags["portraits"]:
        overrides["inputs.portraits"] = list(flags["portraits"])
    if flags["speech"] or flags["texts"]:
        overrides["inputs.speech"] = [*flags["speech"], *({"text": text} for text in flags["texts"])]
    if flags["seeds"] is not None:
        overrides["seeds"] = read_flag(flags["seeds"], read_values, "--seeds")
    if flags["only"] is not None:
        overrides["evaluators"] = split_names(flags["only"])
    return overrides


def carry_out(
    context: click.Context,
    work: Callable[..., Run],
    config: Path | None,
    out: Path | None,
    flags: Mapping[str, Any],
    *,
    overrides: Mapping[str, Any],
    print_plan: Callable[[SweepPlan, Path], None] | None,
    **how: bool,
) -> Run | None:
    """Plan a grid and do it; or print the plan alone, and return None. What stops it ends the command with its status.

    Parameters
    ----------
    context : click.Context
    work : callable
        `evalkit.sweep` or `evalkit.search`.
    config, out
        As these take them.
    flags : mapping
        Options of `sweep_options`.
    overrides : mapping
        What else shall be otherwise, as they take it.
    print_plan : callable or None
        What to do instead of the work.
    **how
        Further options of `work`.
    """
    from evalkit.api import runs as api
    from evalkit.errors import EvalkitError
    from evalkit.sweeps.run import SweepError

    folder = out
    try:
        planned = api.plan(config, overrides={**read_overrides(flags), **overrides})
        folder = folder or api.default_folder(config)
        for note in planned.notes:
            say(f"note: {note}", err=True)
        if print_plan is not None:
            print_plan(planned, folder)
            return None
        with show_progress() as show:
            return work(planned, folder, on_progress=show, on_message=partial(say, err=True), **how)
    except EvalkitError as error:
        say(f"Error: {error}", err=True)
        context.exit(1 if isinstance(error, SweepError) else 2)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on, and evalkit report shows what there is", err=True)
        if folder is not None:
            say(str(folder))
        context.exit(INTERRUPTED)


def print_outcome(run: Run) -> int:
    """Say how many trials there are, what failed and why, and where the report is; return the exit status."""
    from evalkit.formatting import count, in_one_line
    from evalkit.reports.run_report import HTML_NAME
    from evalkit.views.run import skipped_views

    trials = run.trials()
    failed = [trial for trial in trials if trial.failure is not None]
    orphaned = run.orphaned()
    say(f"{len(trials) - len(failed)} of {count(len(run.manifest.planned), 'trial')} done")
    if orphaned:
        verb = "is" if len(orphaned) == 1 else "are"
        say(
            f"{count(len(orphaned), 'trial')} of an earlier grid {verb} kept in the folder and in no table; "
            f"their attempts count in the error rate"
        )
    kinds: dict[tuple[str, str], list[Trial]] = {}
    for trial in failed:
        if trial.failure is not None:
            kinds.setdefault((trial.failure.stage, trial.failure.code), []).append(trial)
    for skipped in skipped_views(run):
        say(f"{skipped.n} skipped: {skipped.reason}", err=True)
    for (stage, code), some in kinds.items():
        first = some[0].failure
        said = "" if first is None else in_one_line(first.text)
        say(f"{len(some)} failed ({stage}: {code}): {said}", err=True)
        say(f"  see {run.folder_of(some[0].id) / 'log.txt'}; --retry-failed does them again", err=True)
    say(str(run.folder / HTML_NAME))
    return 1 if failed else 0


def describe_trial(trial: Any) -> str:
    """Name a trial by parameters, inputs and seed."""
    words = [f"{name}={value}" for name, value in trial.params.items()]
    words += [given.name for given in (trial.portrait, trial.speech) if given is not None]
    words += [f"seed {trial.seed}"] if trial.seed is not None else []
    return " ".join(words)


@contextlib.contextmanager
def show_progress() -> Iterator[Callable[[Progress], None]]:
    """Give what shows how far it is: a bar with the time left on a terminal, a line a trial elsewhere."""
    if not sys.stderr.isatty():
        yield _print_trial
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from evalkit.visuals.markup import escape

    columns = (BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def show(progress: Any) -> None:
            bar.update(
                task,
                total=progress.n_trials,
                completed=progress.n_over,
                description=escape(" · ".join(progress.at_work)),
            )
            if progress.trial is not None and progress.trial.failure is not None:
                bar.console.print(f"[red]✗[/] {escape(_describe_outcome(progress.trial))}", soft_wrap=True)

        yield show


def _print_trial(progress: Progress) -> None:
    if progress.trial is not None:
        say(f"{progress.n_over}/{progress.n_trials}  {_describe_outcome(progress.trial)}", err=True)


def _describe_outcome(trial: Trial) -> str:
    spent_s = (trial.generate_s or 0.0) + (trial.measure_s or 0.0)
    if trial.failure is None:
        return f"{describe_trial(trial)}: ok, {spent_s:.1f} s"
    from evalkit.formatting import in_one_line

    said = in_one_line(trial.failure.text)
    return f"{describe_trial(trial)}: failed ({trial.failure.stage}: {trial.failure.code}): {said}"
