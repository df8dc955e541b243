"""``evalkit sweep``: every configuration of a grid on the same inputs, from the command line."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.measuring_options import brand_options, split_names
from evalkit.cli.outputs import say
from evalkit.cli.settings import read_flag, read_values, split_pairs, take_pairs
from evalkit.cli.streams import INTERRUPTED, without_library_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evalkit.runs import Run, Trial
    from evalkit.sweeps.prepare import SweepPlan
    from evalkit.sweeps.run import Progress


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=V1,V2…",
    help="Values of a parameter, instead of the file's; each is YAML, and [a, b] is a list with commas in it.",
)
@click.option("--generator", help="Who makes the videos, as in 'evalkit list'.")
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    callback=take_pairs,
    help="A setting of the generator.",
)
@click.option("--portrait", "portraits", multiple=True, help="Picture of a speaker; may be given again.")
@click.option("--speech", multiple=True, help="Sound file to speak; may be given again.")
@click.option("--text", "texts", multiple=True, help="Words to speak; may be given again.")
@click.option("--seeds", help="Seeds, separated by commas.")
@click.option("--only", help="Evaluators to run, separated by commas.")
@brand_options
@click.option("--policy", help="Policy that the report judges by.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run (default: runs/NAME).")
@click.option("--workers", type=int, help="Videos made at once on one device, not timed then.")
@click.option("--executor", help="Where the work is done: processes, in_process, or a plug-in's.")
@click.option("--time-limit", type=float, metavar="S", help="Seconds for each load, video and measurement.")
@click.option("--retries", type=int, help="Further tries of a trial that fails.")
@click.option(
    "--separate-profiling-pass",
    is_flag=True,
    default=None,
    help="Make each video twice: once for its times, once for its memory.",
)
@click.option(
    "--skip-infeasible",
    is_flag=True,
    default=None,
    help="Leave out trials that cannot fit, see evalkit plan.",
)
@click.option(
    "--gpu-memory-gb", type=float, metavar="GB", help="What each GPU has for that, if not as the driver says."
)
@click.option("--retry-failed", is_flag=True, help="Do trials again that failed in an earlier call.")
@click.option(
    "--replan",
    is_flag=True,
    help="Keep finished trials that the grid has no more, in the folder and in no table.",
)
@click.option("--dry-run", is_flag=True, help="Print the trials, what is done, and the expected time.")
@click.pass_context
def sweep(
    context: click.Context,
    /,
    *,
    config: Path | None,
    out: Path | None,
    retry_failed: bool,
    replan: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Measure every configuration of a grid on the same inputs, as CONFIG.yaml or flags say.

    Without CONFIG.yaml: the bundled quickstart. The same command again goes on where it was left; what is done is
    never done again.

    Exit status: 0 all done; 1 some trials failed, or nothing more can be written; 2 wrong use; 130 interrupted.
    """
    from evalkit import api
    from evalkit.errors import EvalkitError
    from evalkit.sweeps.run import SweepError

    folder = out
    try:
        planned = api.plan(config, overrides=_read_overrides(flags))
        folder = folder or api.default_folder(config)
        for note in planned.notes:
            say(f"note: {note}", err=True)
        if dry_run:
            _print_plan(planned, folder, retry_failed=retry_failed)
            return
        with _progress() as show:
            run = api.sweep(
                planned,
                folder,
                retry_failed=retry_failed,
                replan=replan,
                on_progress=show,
                on_message=partial(say, err=True),
            )
    except EvalkitError as error:
        say(f"Error: {error}", err=True)
        context.exit(1 if isinstance(error, SweepError) else 2)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on, and evalkit report shows what there is", err=True)
        if folder is not None:
            say(str(folder))
        context.exit(INTERRUPTED)
    context.exit(_print_outcome(run))


_OPTION_OF_FLAG = {
    "generator": "generator.name",
    "policy": "policy",
    "workers": "execution.workers",
    "executor": "execution.executor",
    "time_limit": "execution.time_limit_s",
    "retries": "execution.retries",
    "separate_profiling_pass": "execution.separate_profiling_pass",
    "skip_infeasible": "execution.skip_infeasible",
    "gpu_memory_gb": "execution.gpu_memory_gb",
    "brand": "measuring.brand.file",
    "clip_model": "measuring.brand.model",
    "clip_weights": "measuring.brand.weights",
}


def _read_overrides(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the flags say otherwise than the file, by the options' dotted names."""
    overrides = {option: flags[flag] for flag, option in _OPTION_OF_FLAG.items() if flags[flag] is not None}
    overrides |= {f"generator.settings.{name}": value for name, value in flags["settings"].items()}
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


def _print_plan(plan: SweepPlan, folder: Path, *, retry_failed: bool) -> None:
    from evalkit.cli.evidence import design_of, print_lines
    from evalkit.decisions import DEFAULT_POLICY
    from evalkit.decisions.planning import describe_brief, plan_evidence
    from evalkit.decisions.policy import load_policy
    from evalkit.formatting import count, describe_duration
    from evalkit.sweeps.infeasible import find_infeasible
    from evalkit.sweeps.prepare import find_refusals
    from evalkit.sweeps.status import expected_s, load_run_status

    status = load_run_status(plan, folder)

    to_make = status.to_make(retry_failed=retry_failed)
    skipped = find_infeasible(plan, folder, to_make)
    to_make = [trial for trial in to_make if trial.id not in skipped]
    with without_library_words():
        refused = find_refusals(plan, to_make)
    states = {trial.id: status.state_of(trial) for trial in plan.trials} | dict.fromkeys(skipped, "skip")
    for trial in plan.trials:
        say(f"{trial.id}  {states[trial.id]:7}  {_describe(trial)}")
    found = list(states.values())
    counts = [count(len(plan.trials), "trial"), f"{found.count('done')} done"]
    for state, words in (
        ("failed", "failed"),
        ("damaged", "damaged"),
        ("skip", "skipped"),
        ("measure", "to measure"),
    ):
        counts += [f"{found.count(state)} {words}"] if state in found else []
    say(f"{', '.join(counts)}, {len(to_make)} pending")
    reasons = list(refused.values())
    for reason in dict.fromkeys(reasons):
        print_lines([f"{reasons.count(reason)} of the pending will be refused by the generator: {reason}"])
    policy = load_policy(plan.config.policy or DEFAULT_POLICY)
    print_lines(describe_brief(plan_evidence(policy, design_of(plan, policy))))
    to_make = [trial for trial in to_make if trial.id not in refused]
    if to_make:
        rest_s = expected_s(plan, status, to_make)
        say(
            "expected time: not known until a first trial is done"
            if rest_s is None
            else f"expected time: {describe_duration(rest_s)}"
        )
    say(str(folder))


def _print_outcome(run: Run) -> int:
    from evalkit.formatting import count, in_one_line
    from evalkit.reports.run_report import HTML_NAME

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
    reasons = [skipped.reason for skipped in run.skipped().values()]
    for reason in dict.fromkeys(reasons):
        say(f"{reasons.count(reason)} skipped, which cannot fit: {reason}", err=True)
    for (stage, code), some in kinds.items():
        first = some[0].failure
        said = "" if first is None else in_one_line(first.text)
        say(f"{len(some)} failed ({stage}: {code}): {said}", err=True)
        say(f"  see {run.folder_of(some[0].id) / 'log.txt'}; --retry-failed does them again", err=True)
    say(str(run.folder / HTML_NAME))
    return 1 if failed else 0


def _describe(trial: Any) -> str:
    words = [f"{name}={value}" for name, value in trial.params.items()]
    words += [given.name for given in (trial.portrait, trial.speech) if given is not None]
    words += [f"seed {trial.seed}"] if trial.seed is not None else []
    return " ".join(words)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Show a bar with the time left on a terminal; a line a trial elsewhere."""
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
        return f"{_describe(trial)}: ok, {spent_s:.1f} s"
    from evalkit.formatting import in_one_line

    said = in_one_line(trial.failure.text)
    return f"{_describe(trial)}: failed ({trial.failure.stage}: {trial.failure.code}): {said}"
