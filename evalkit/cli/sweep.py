"""``evalkit sweep``: every configuration of a grid on the same inputs, from the command line."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.brand_options import brand_options, brand_settings, calibrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalkit.runs import Run, Trial
    from evalkit.sweeps.config import SweepConfig
    from evalkit.sweeps.prepare import SweepPlan
    from evalkit.sweeps.run import Progress
    from evalkit.sweeps.status import RunStatus

_INTERRUPTED = 130


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
    "--setting", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the generator."
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
    "--skip-unfit", is_flag=True, default=None, help="Leave out trials that cannot fit, see evalkit plan."
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
    from evalkit.errors import EvalkitError
    from evalkit.sweeps.prepare import plan_sweep
    from evalkit.sweeps.run import SweepError, run_sweep
    from evalkit.sweeps.status import check_plan, load_run_status

    try:
        preparation = plan_sweep(_read(config, flags))
        folder = out or Path("runs") / (config.stem if config is not None else "quickstart")
        for note in preparation.notes:
            click.echo(f"note: {note}", err=True)
        if dry_run:
            status = load_run_status(preparation, folder)
            _print_plan(preparation, folder, status, retry_failed=retry_failed)
            return
        check_plan(preparation, folder, replan=replan)
        calibrate(preparation.config.measuring)
        with _progress() as show:
            run = run_sweep(preparation, folder, retry_failed=retry_failed, replan=replan, on_progress=show)
    except EvalkitError as error:
        click.echo(f"Error: {error}", err=True)
        context.exit(1 if isinstance(error, SweepError) else 2)
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on, and evalkit report tells what there is", err=True)
        click.echo(str(folder))
        context.exit(_INTERRUPTED)
    context.exit(_print_outcome(run) | _write_report(run.folder))


def _read(path: Path | None, flags: dict[str, Any]) -> SweepConfig:
    """Put a file, or the quickstart, and the flags together."""
    from evalkit.options import read_yaml
    from evalkit.sweeps.config import build_sweep

    source = path or Path(__file__).parents[1] / "sweeps" / "quickstart.yaml"
    data = read_yaml(source)
    base = source.parent if path is not None else Path()
    sets = _read_sets(flags["sets"])
    anchored = build_sweep(data, str(source), base=base).to_dict() if path is not None else data
    changes: dict[str, Any] = {
        "generator": {
            **({"name": flags["generator"]} if flags["generator"] else {}),
            **({"settings": _read_settings(flags["settings"])} if flags["settings"] else {}),
        },
        "inputs": {
            **({"portraits": list(flags["portraits"])} if flags["portraits"] else {}),
            **(
                {"speech": [*flags["speech"], *({"text": text} for text in flags["texts"])]}
                if flags["speech"] or flags["texts"]
                else {}
            ),
        },
        "execution": {
            name: flags[flag]
            for flag, name in (
                ("workers", "workers"),
                ("executor", "executor"),
                ("time_limit", "time_limit_s"),
                ("retries", "retries"),
                ("separate_profiling_pass", "separate_profiling_pass"),
                ("skip_unfit", "skip_unfit"),
                ("gpu_memory_gb", "gpu_memory_gb"),
            )
            if flags[flag] is not None
        },
    }
    merged = {
        **anchored,
        **{group: {**anchored.get(group, {}), **new} for group, new in changes.items() if new},
    }
    if flags["generator"] and flags["generator"] != anchored.get("generator", {}).get("name"):
        merged["generator"] = changes["generator"]
    merged["parameters"] = {k: v for k, v in anchored.get("parameters", {}).items() if k not in sets}
    merged["grid"] = {**anchored.get("grid", {}), **sets}
    if flags["seeds"] is not None:
        merged["seeds"] = _split("seeds", flags["seeds"])
    if flags["only"] is not None:
        merged["evaluators"] = [name.strip() for name in flags["only"].split(",") if name.strip()]
    measuring = brand_settings(flags["brand"], flags["clip_model"], flags["clip_weights"])
    if measuring:
        known = anchored.get("measuring", {})
        merged["measuring"] = {**known, "brand": {**known.get("brand", {}), **measuring["brand"]}}
    if flags["policy"] is not None:
        merged["policy"] = flags["policy"]
    return build_sweep(merged, "command line" if path is None else f"{source} and flags")


def _read_sets(pairs: tuple[str, ...]) -> dict[str, list[Any]]:
    sets: dict[str, list[Any]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE,VALUE…", param_hint="--set")
        if name in sets:
            raise click.BadParameter(f"{name} is set twice; give all its values at once", param_hint="--set")
        sets[name] = _split(name, text)
    return sets


def _read_settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    settings = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--setting")
        settings[name] = _read_value(name, text)
    return settings


def _split(name: str, text: str) -> list[Any]:
    """Read values between commas, or a YAML list."""
    if text.lstrip().startswith("["):
        values = _read_value(name, text)
        return list(values)
    return [_read_value(name, item) for item in text.split(",") if item.strip()]


def _read_value(name: str, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.BadParameter(f"the value of {name}, {text!r}, is no YAML: {error}") from None


def _print_plan(plan: SweepPlan, folder: Path, status: RunStatus, *, retry_failed: bool) -> None:
    from evalkit.forecast.needs import find_infeasible
    from evalkit.sweeps.status import expected_s

    to_make = status.to_make(retry_failed=retry_failed)
    skipped = find_infeasible(plan, folder, to_make)
    to_make = [trial for trial in to_make if trial.id not in skipped]
    states = {trial.id: status.state_of(trial) for trial in plan.trials} | dict.fromkeys(skipped, "skip")
    for trial in plan.trials:
        click.echo(f"{trial.id}  {states[trial.id]:7}  {_describe(trial)}")
    found = list(states.values())
    counts = [f"{len(plan.trials)} trials", f"{found.count('done')} done"]
    for state, words in (
        ("failed", "failed"),
        ("damaged", "damaged"),
        ("skip", "skipped"),
        ("measure", "to measure"),
    ):
        counts += [f"{found.count(state)} {words}"] if state in found else []
    click.echo(f"{', '.join(counts)}, {len(to_make)} to do")
    if to_make:
        rest_s = expected_s(plan, status, to_make)
        click.echo(
            "expected time: not known until a first trial is done"
            if rest_s is None
            else f"expected time: {describe_duration(rest_s)}"
        )
    click.echo(str(folder))


def _print_outcome(run: Run) -> int:
    trials = run.trials()
    failed = [trial for trial in trials if trial.failure is not None]
    former = run.orphaned()
    click.echo(f"{len(trials) - len(failed)} of {len(run.manifest.planned)} trials done")
    if former:
        click.echo(f"{len(former)} trials of an earlier grid are kept in the folder and in no table")
    kinds: dict[tuple[str, str], list[Trial]] = {}
    for trial in failed:
        if trial.failure is not None:
            kinds.setdefault((trial.failure.stage, trial.failure.code), []).append(trial)
    reasons = [one.reason for one in run.skipped().values()]
    for reason in dict.fromkeys(reasons):
        click.echo(f"{reasons.count(reason)} skipped, which cannot fit: {reason}", err=True)
    for (stage, code), some in kinds.items():
        first = some[0].failure
        said = first.text.splitlines()[0] if first is not None and first.text else ""
        click.echo(f"{len(some)} failed ({stage}: {code}): {said}", err=True)
        click.echo(f"  see {run.folder_of(some[0].id) / 'log.txt'}; --retry-failed does them again", err=True)
    return 1 if failed else 0


def _write_report(folder: Path) -> int:
    from evalkit.errors import EvalkitError
    from evalkit.reports.run_report import HTML_NAME, write_report

    try:
        write_report(folder)
    except (EvalkitError, OSError) as error:
        click.echo(f"Error: the trials are done and the report cannot be written: {error}", err=True)
        click.echo(str(folder))
        return 1
    click.echo(str(folder / HTML_NAME))
    return 0


def _describe(trial: Any) -> str:
    words = [f"{name}={value}" for name, value in trial.params.items()]
    words += [given.name for given in (trial.portrait, trial.speech) if given is not None]
    words += [f"seed {trial.seed}"] if trial.seed is not None else []
    return " ".join(words)


def describe_duration(seconds: float) -> str:
    """Write a time for people.

    >>> describe_duration(4.2), describe_duration(75), describe_duration(7300)
    ('4 s', '1 min 15 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Show a bar with the time left on a terminal; a line a trial elsewhere."""
    if not sys.stderr.isatty():
        yield _print_trial
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def show(progress: Any) -> None:
            bar.update(
                task,
                total=progress.n_to_do,
                completed=progress.n_over,
                description=escape(" · ".join(progress.at_work)),
            )
            if progress.trial is not None and progress.trial.failure is not None:
                bar.console.print(f"[red]✗[/] {escape(_say(progress.trial))}", soft_wrap=True)

        yield show


def _print_trial(progress: Progress) -> None:
    if progress.trial is not None:
        click.echo(f"{progress.n_over}/{progress.n_to_do}  {_say(progress.trial)}", err=True)


def _say(trial: Trial) -> str:
    spent_s = (trial.generate_s or 0.0) + (trial.measure_s or 0.0)
    if trial.failure is None:
        return f"{_describe(trial)}: ok, {spent_s:.1f} s"
    said = trial.failure.text.splitlines()[0] if trial.failure.text else ""
    return f"{_describe(trial)}: failed ({trial.failure.stage}: {trial.failure.code}): {said}"
