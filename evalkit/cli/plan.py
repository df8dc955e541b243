"""``evalkit plan``: what a sweep will need, before it is begun."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.outputs import name_outputs, refuse_unwritten, say, write_outputs
from evalkit.formatting import count
from pipeline.errors import RequestError
from pipeline.options import json_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.table import Table

    from evalkit.forecast.needs import AvailableMemory, SweepForecast, TrialForecast
    from evalkit.forecast.regression import Forecast

_FILE = click.Path(path_type=Path)
_MARKS = {
    "fits": ("✓", "green"),
    "does not fit": ("✗", "red"),
    "disputed": ("~", "yellow"),
    "not known": ("?", "dim"),
}


@click.command()
@click.argument("config", required=False, type=_FILE)
@click.option(
    "--runs", multiple=True, type=_FILE, help="Run with finished trials to learn from; may be given again."
)
@click.option(
    "--gpu-memory-gb", type=click.FloatRange(min=0, min_open=True), help="Usable by each GPU, GB of 1024 MiB."
)
@click.option("--workers", type=click.IntRange(min=1), help="Videos made at once.")
@click.option("--out", type=_FILE, help="Folder of the run, whose trials count too (default: runs/NAME).")
@click.option(
    "--effect", type=float, help="Difference to find, in the metric's unit (default: the policy's margin)."
)
@click.option(
    "--power", type=click.FloatRange(0.5, 0.999), default=0.8, show_default=True, help="Chance to find it."
)
@click.option(
    "--spread",
    type=float,
    help="Standard deviation of the metric, between clips and of paired differences; else from --runs.",
)
@click.option("--metric", help="In which the difference is to be found (default: the policy's first).")
@click.option(
    "--quality",
    "qualities",
    multiple=True,
    metavar="[GATE=]VALUE",
    help="What a release is in truth, for a gate; of --metric without a name. May be given again.",
)
@click.option("--policy", "policy_name", help="Bundled name or file (default: that of CONFIG).")
@click.option("--json", "json_path", type=_FILE, help="Write everything as JSON.")
@click.pass_context
def plan(
    context: click.Context,
    *,
    config: Path | None,
    runs: tuple[Path, ...],
    gpu_memory_gb: float | None,
    workers: int | None,
    out: Path | None,
    effect: float | None,
    power: float,
    spread: float | None,
    metric: str | None,
    qualities: tuple[str, ...],
    policy_name: str | None,
    json_path: Path | None,
) -> None:
    """Say what the sweep in CONFIG.yaml will need, and what it can show.

    What it needs: the memory and time of each trial, and whether it can fit. What finished trials of the same generator
    needed counts for more than estimates of others, which are shown with their sources.

    What it can show: how many inputs find a difference, what the planned number finds, and how many clips a release of
    a given quality needs to pass each gate of the policy. With --effect, --spread, --metric, --quality or --policy and
    without CONFIG.yaml only this is said.

    Nothing is made and no model is loaded.

    Exit status: 0 forecast shown; 2 wrong use.
    """
    if gpu_memory_gb is not None and not math.isfinite(gpu_memory_gb):
        raise click.BadParameter(f"{gpu_memory_gb} is not an amount of memory", param_hint="--gpu-memory-gb")
    for hint, given in (("--effect", effect), ("--spread", spread)):
        if given is not None and not 0 < given < math.inf:
            raise click.BadParameter(f"{given:g} is not a number above 0", param_hint=hint)
    from evalkit.api import runs as api
    from evalkit.cli.evidence import Question, design_of, print_lines
    from evalkit.decisions import DEFAULT_POLICY
    from evalkit.decisions.planning import describe_brief, describe_needs
    from evalkit.decisions.policy import load_policy
    from evalkit.errors import EvalkitError
    from evalkit.forecast.history import describe_unused
    from evalkit.forecast.needs import forecast_trials, read_available_memory
    from evalkit.runs import Run
    from evalkit.sweeps.status import load_run_status

    question = Question(metric, effect, power, spread, qualities)
    try:
        if config is None and (question.is_asked or policy_name is not None):
            policy = load_policy(policy_name or DEFAULT_POLICY)
            evidence = question.answer(policy, None, [Run.open(run) for run in runs])
            written = write_outputs((json_path, lambda: json_text({"evidence": asdict(evidence)})))
            name_outputs(written.paths)
            print_lines(describe_needs(evidence))
            refuse_unwritten(written)
            return
        sweep_plan = api.plan(config)
        folder = out or api.default_folder(config)
        status = load_run_status(sweep_plan, folder)
        done = {trial.id for trial in status.trials if status.state_of(trial) == "done"}
        known_runs = [Run.open(run) for run in (*runs, *([folder] if done else []))]
        execution = sweep_plan.config.execution
        available = read_available_memory(execution.gpu_memory_gb if gpu_memory_gb is None else gpu_memory_gb)
        generator = sweep_plan.generator
        forecast = forecast_trials(generator, sweep_plan.trials, known_runs, available)
        policy = load_policy(policy_name or sweep_plan.config.policy or DEFAULT_POLICY)
        evidence = question.answer(policy, design_of(sweep_plan, policy), known_runs)
    except (EvalkitError, RequestError) as error:
        say(f"Error: {error}", err=True)
        context.exit(2)
    n_workers = workers or len(sweep_plan.slots)
    for note in (*sweep_plan.notes, *describe_unused(known_runs, generator)):
        say(f"note: {note}", err=True)
    plain = _plain(forecast, done, available, n_workers) | {"evidence": asdict(evidence)}
    written = write_outputs((json_path, lambda: json_text(plain)))
    name_outputs(written.paths)
    _show(forecast.trials, done, available)
    print_lines(describe_brief(evidence))
    if question.is_asked or policy_name is not None:
        print_lines(describe_needs(evidence))
    say(_total(forecast, done, n_workers))
    refuse_unwritten(written)


def _show(trials: Sequence[TrialForecast], done: Collection[str], available: AvailableMemory) -> None:
    from rich.console import Console

    from evalkit.forecast.needs import describe_estimate
    from evalkit.visuals.markup import escape

    console = Console(highlight=False, width=None if Console().is_terminal else 80)
    console.print(_describe_memory(available))
    console.print(_table(trials, done))
    whys: dict[tuple[str, str], int] = {}
    for trial in trials:
        whys[trial.fit, trial.why] = whys.get((trial.fit, trial.why), 0) + 1
    for (fit, why), n in whys.items():
        mark, colour = _MARKS[fit]
        console.print(f"[{colour}]{mark} {fit}[/] ({n}): {escape(why)}")
    sources = dict.fromkeys(describe_estimate(estimate) for trial in trials for estimate in trial.estimates)
    if sources:
        console.print("Memory of a GPU by the estimates of others, not measured here:")
        for line in sources:
            console.print(f"  {escape(line)}")
    for line in dict.fromkeys(trial.literature.how for trial in trials if trial.literature is not None):
        console.print(f"Times marked lit. are of other machines: {escape(line)}")


def _table(trials: Sequence[TrialForecast], done: Collection[str]) -> Table:
    from rich.table import Table

    from evalkit.visuals.markup import escape

    table = Table(box=None, pad_edge=False)
    table.add_column("trial", overflow="ellipsis", no_wrap=True, max_width=36)
    table.add_column(
        "GB a GPU" if any(trial.memory or trial.estimates for trial in trials) else "GB", justify="right"
    )
    table.add_column("fits")
    table.add_column("time", justify="right")
    for label, trial in zip(_labels(trials), trials, strict=True):
        mark, colour = _MARKS[trial.fit]
        table.add_row(
            escape(label),
            _memory_cell(trial),
            f"[{colour}]{mark} {trial.fit}[/]",
            "done" if trial.trial.id in done else _time_cell(trial),
        )
    return table


def _labels(trials: Sequence[TrialForecast]) -> list[str]:
    """Name each trial by what distinguishes it from the others."""
    planned = [trial.trial for trial in trials]
    words = [
        {
            **{name: f"{name}={value}" for name, value in trial.params.items()},
            "portrait": trial.portrait.name if trial.portrait else "",
            "speech": trial.speech.name if trial.speech else "",
            "seed": f"seed {trial.seed}",
        }
        for trial in planned
    ]
    differing = [name for name in words[0] if len({word[name] for word in words}) > 1]
    return [" ".join(word[name] for name in differing) or "the one trial" for word in words]


def _memory_cell(trial: TrialForecast) -> str:
    own = trial.memory or trial.rss
    if own is not None:
        return _range(own.low, own.value, own.high)
    if trial.estimates:
        low = min(estimate.low_mib for estimate in trial.estimates)
        return f"lit. {_range(low, low, max(estimate.high_mib for estimate in trial.estimates))}"
    return "not known"


def _range(low: float | None, value: float, high: float | None) -> str:
    low, high = (value if edge is None else edge for edge in (low, high))
    first, last = (f"{edge / 1024:.1f}" for edge in (low, high))
    return first if first == last else f"{first}–{last}"


def _time_cell(trial: TrialForecast) -> str:
    if trial.seconds is not None:
        return _describe_time(trial.seconds.value)
    if trial.literature is not None:
        return f"lit. {_describe_time(trial.literature.value)}"
    return "not known"


def _describe_memory(available: AvailableMemory) -> str:
    if available.given:
        return f"Each GPU is taken to have {available.gpus_mib[0] / 1024:.2f} GB."
    if not available.gpus_mib:
        return f"No GPU here; {available.memory_mib / 1024:.1f} GB of memory."
    free = ", ".join(f"{gpu_mib / 1024:.2f}" for gpu_mib in available.gpus_mib)
    return f"GPUs here, GB free: {free}."


def _describe_time(seconds: float) -> str:
    from evalkit.formatting import describe_duration

    return describe_duration(seconds) if seconds >= 1 else "under 1 s"


def _total(forecast: SweepForecast, done: Collection[str], n_workers: int) -> str:
    """Say how much there is to do, in one line."""
    n_infeasible = sum(trial.is_infeasible for trial in forecast.trials)
    pending = forecast.pending(done)
    n_known = sum(trial.seconds is not None for trial in pending)
    n_trials = len(forecast.trials)
    words = [count(n_trials, "trial")]
    words += [f"{len(done)} done"] if done else []
    words += [f"{n_infeasible} cannot fit"] if n_infeasible else []
    total_s = forecast.total_s(done, n_workers)
    if not pending:
        return ", ".join(words)
    if total_s is None:
        return f"{', '.join(words)}; time of {len(pending)} not known"
    unknown = f" and {len(pending) - n_known} not known" if n_known < len(pending) else ""
    workers = "1 worker" if n_workers == 1 else f"{n_workers} workers"
    return f"{', '.join(words)}; {n_known} take {_describe_time(total_s)} with {workers}{unknown}"


def _plain(
    forecast: SweepForecast, done: Collection[str], available: AvailableMemory, n_workers: int
) -> dict[str, Any]:
    return {
        "available": asdict(available),
        "workers": n_workers,
        "start_s": forecast.start_s,
        "total_s": forecast.total_s(done, n_workers),
        "trials": [_plain_trial(trial, done) for trial in forecast.trials],
    }


def _plain_trial(trial: TrialForecast, done: Collection[str]) -> dict[str, Any]:
    planned = trial.trial
    return {
        "id": planned.id,
        "params": planned.params,
        "portrait": planned.portrait.name if planned.portrait else None,
        "speech": planned.speech.name if planned.speech else None,
        "seed": planned.seed,
        "done": planned.id in done,
        "fit": trial.fit,
        "why": trial.why,
        "gpu_mib": _forecast(trial.memory),
        "rss_mib": _forecast(trial.rss),
        "seconds": _forecast(trial.seconds),
        "literature": {
            "memory": [estimate.to_dict() for estimate in trial.estimates],
            "seconds": _forecast(trial.literature),
        },
    }


def _forecast(found: Forecast | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
