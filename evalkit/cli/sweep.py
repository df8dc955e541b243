"""``evalkit sweep``: every configuration of a grid on the same inputs, from the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.outputs import say
from evalkit.cli.streams import without_library_words
from evalkit.cli.sweep_options import (
    carry_out,
    describe_trial,
    print_outcome,
    sweep_options,
)

if TYPE_CHECKING:
    from evalkit.sweeps.prepare import SweepPlan


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@sweep_options
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
    from evalkit.api import runs as api

    run = carry_out(
        context,
        api.sweep,
        config,
        out,
        flags,
        overrides={},
        print_plan=partial(_print_plan, retry_failed=retry_failed) if dry_run else None,
        retry_failed=retry_failed,
        replan=replan,
    )
    if run is not None:
        context.exit(print_outcome(run))


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
        say(f"{trial.id}  {states[trial.id]:7}  {describe_trial(trial)}")
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
