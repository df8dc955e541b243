"""Ratings by people: what asking them needs, and what their answers mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from evalkit.analysis.agreement import measure_agreement
from evalkit.analysis.table import metrics_of_run, rows_of_run
from evalkit.arguments import read_path, wrong_argument
from evalkit.decisions.analyse import policy_of_run
from evalkit.decisions.policy import load_policy
from evalkit.errors import UsageError
from evalkit.rating.planning import RatingPlan, plan_ratings
from evalkit.runs import Run
from evalkit.runs.ratings.records import metric_of
from evalkit.views.agreement import AgreementView, agreement_view
from evalkit.views.ratings import RatingsReport, ratings_of_run

_A_RUN = "a run, or the path of its folder,"


def rate_plan(
    run: Run | str | Path,
    *,
    pairs: bool = False,
    width: float | None = None,
    raters: int | None = None,
    clips: int | None = None,
    clips_per_rater: int | None = None,
) -> RatingPlan:
    """Say how many raters and clips a wanted width needs, and what asking costs in minutes a rater.

    Parameters
    ----------
    run : Run or path
        With videos. Where people were asked before, their answers say how much scores differ.
    pairs : bool
        Whether raters choose between two clips; else they score each.
    width : float, optional
        Half of the 95 % interval: 0.5 points of a configuration's mean opinion, or 0.1 of the pairs that one of two wins,
        unless given.
    raters : int, optional
        Say what so many show; else as many as are needed, and as the policy asks for.
    clips : int, optional
        Clips of each configuration, instead of those of the run.
    clips_per_rater : int, optional
        Clips, or pairs, for each rater, without practice and checks; else what a quarter of an hour holds.

    Raises
    ------
    UsageError
        If it is no run with videos, or a number is none to plan with.
    """
    opened = _open(run)
    for name, given in (("raters", raters), ("clips", clips), ("clips_per_rater", clips_per_rater)):
        if given is not None and given < 1:
            raise UsageError(f"{name} is {given}; at least 1 is needed")
    policy, _ = policy_of_run(opened)
    rules = (
        [] if policy is None else [rule for rule in policy.rules if rule.metric.name == metric_of("overall")]
    )
    return plan_ratings(
        opened,
        pairs=pairs,
        width=width,
        n_raters=raters,
        n_clips=clips,
        clips_per_rater=clips_per_rater,
        floor_raters=max((rule.fewest_raters for rule in rules), default=None) if not pairs else None,
        given=() if policy is None else policy.given,
    )


def rate_results(run: Run | str | Path, *, policy: str | Path | None = None) -> RatingsReport:
    """Say what people think of the configurations of a run, and how far they can be believed.

    Parameters
    ----------
    run : Run or path
    policy : str or Path, optional
        Bundled name or file, whose limits stand beside; the run's own unless given.

    Returns
    -------
    RatingsReport
        Its ``headline`` is one sentence; ``to_dict`` gives plain data. Where nobody was asked it says so.

    Raises
    ------
    UsageError
        If it is not a run, or the policy cannot be used.
    """
    if policy is not None:
        policy = read_path(policy, "policy", "the name of a bundled policy or the path of a file")
    return ratings_of_run(_open(run), policy)


def rate_agreement(
    runs: Run | str | Path | Iterable[Run | str | Path], *, policy: str | Path | None = None
) -> AgreementView:
    """Say how far each metric agrees with what people said of the same clips, and where they begin to object.

    Parameters
    ----------
    runs : Run, path, or iterable of them
        Several are pooled, each within itself.
    policy : str or Path
        Bundled name or file, whose limits stand beside; without one, that which the first run names.

    Returns
    -------
    AgreementView
        Its ``headline`` is one sentence; ``to_dict`` gives plain data.

    Raises
    ------
    UsageError
        Without a run, with one that is given twice or cannot be read, or if the policy cannot be used.
    """
    opened = [_open(run) for run in _list_runs(runs)]
    if not opened:
        raise UsageError("no run is given; a run folder that was rated is needed")
    if policy is None:
        rules, _ = policy_of_run(opened[0])
    else:
        described = (metric for run in opened for metric in metrics_of_run(run).values())
        rules = load_policy(
            read_path(policy, "policy", "the name of a bundled policy or the path of a file"), described
        )
    tables = [rows_of_run(run) for run in opened]
    different = {(table.provenance["run"], table.provenance["results"]) for table in tables}
    if len(different) < len(tables):
        raise UsageError("a run is given twice; it would count as two that agree")
    if rules is not None:
        tables = [replace(table, given=rules.given) for table in tables]
    return agreement_view(measure_agreement(tables), rules)


def _list_runs(runs: object) -> list[object]:
    if isinstance(runs, Run | str | Path):
        return [runs]
    if not isinstance(runs, Iterable) or isinstance(runs, bytes):
        raise wrong_argument("runs", runs, _A_RUN)
    return list(runs)


def _open(run: object) -> Run:
    return run if isinstance(run, Run) else Run.open(read_path(run, "runs", _A_RUN))
