"""``evalkit search``: the best configuration of a grid without making all of its trials, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.outputs import say
from evalkit.cli.sweep_options import carry_out, print_outcome, sweep_options

if TYPE_CHECKING:
    from evalkit.runs import Run
    from evalkit.sweeps.prepare import SweepPlan


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@sweep_options
@click.option(
    "--budget-trials",
    type=click.IntRange(min=1),
    help="Trials in all, those that are done included (default: half of the grid).",
)
@click.option(
    "--budget-hours",
    type=click.FloatRange(min=0, min_open=True),
    help="Hours of slots at work, making and measuring.",
)
@click.option(
    "--budget-money",
    type=click.FloatRange(min=0, min_open=True),
    help="Hours of making times execution.price_per_hour.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be searched, and how much that takes.")
@click.pass_context
def search(
    context: click.Context,
    /,
    *,
    config: Path | None,
    out: Path | None,
    retry_failed: bool,
    replan: bool,
    dry_run: bool,
    budget_trials: int | None,
    budget_hours: float | None,
    budget_money: float | None,
    **flags: Any,
) -> None:
    """Find the best configuration of a grid without making all of its trials, as CONFIG.yaml or flags say.

    The same file as for 'evalkit sweep', and the same kind of run: configurations that are clearly beaten in the policy's
    quality are dropped. The same command again goes on where it was left; 'evalkit sweep' makes the rest of the grid.

    Exit status: 0 all done; 1 some trials failed, or nothing more can be written; 2 wrong use; 130 interrupted.
    """
    from evalkit.api import runs as api

    budget = {"trials": budget_trials, "hours": budget_hours, "money": budget_money}
    limits = {f"search.{name}": limit for name, limit in budget.items() if limit is not None}
    run = carry_out(
        context,
        api.search,
        config,
        out,
        flags,
        overrides=limits,
        print_plan=_print_plan if dry_run else None,
        retry_failed=retry_failed,
        replan=replan,
    )
    if run is not None:
        _print_found(run)
        context.exit(print_outcome(run))


def _print_plan(plan: SweepPlan, folder: Path) -> None:
    """Say what would be searched, with what, and how many trials that takes at least and at most."""
    from evalkit.cli.evidence import print_lines
    from evalkit.formatting import count
    from evalkit.sweeps.search import Search, name_budget
    from evalkit.sweeps.status import load_run_status

    status = load_run_status(plan, folder)
    found = Search(plan, folder)
    course = found.course
    n_done = sum(status.state_of(trial) in {"done", "failed"} for trial in plan.trials)
    raced = (
        f"{count(len(course.params), 'configuration')} in a race for {course.quality.name}, over "
        f"{count(len(course.blocks), 'block')} (portrait × speech × seed): {count(len(plan.trials), 'trial')} in the whole grid, "
        f"{n_done} done"
    )
    is_open = found.budget.keys() == {"trials"} and found.fewest_trials < found.most_trials
    how_many = f"{found.fewest_trials} to {found.most_trials}" if is_open else f"at most {found.most_trials}"
    lines = [
        raced,
        f"budget: {name_budget(found.budget)}",
        f"the search makes {how_many} of them, those that are done included",
        *(f"note: {note}" for note in found.notes),
    ]
    print_lines(lines)
    say(str(folder))


def _print_found(run: Run) -> None:
    """Say what is recommended, and what was saved."""
    from evalkit.cli.evidence import print_lines
    from evalkit.decisions.analyse import analyse_run, policy_of_run
    from evalkit.decisions.recommend import recommend
    from evalkit.reports.search import describe_search
    from evalkit.views.search import search_view

    policy, _ = policy_of_run(run)
    analysis = analyse_run(run, policy)
    if policy is None or not analysis.table.rows:
        return
    view = search_view(analysis)
    print_lines([recommend(analysis.table, policy).headline])
    print_lines([] if view is None else describe_search(view))
