"""Options that say what a study asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.measuring_options import split_names
from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.rating.desk import Desk
    from evalkit.rating.study import Design
    from evalkit.runs.ratings.records import StudyRecord

_OPTIONS = (
    click.option(
        "--pairs",
        type=click.Choice(["one", "step"]),
        help="Ask which of two is better: played one after the other, or in step (default: scores from 1 to 5).",
    ),
    click.option(
        "--questions",
        help="What is asked of each video, of overall,lip_sync,expression,motion (default: all of them).",
    ),
    click.option(
        "--clips-per-rater",
        type=click.IntRange(1, 1000),
        help="Videos, or pairs, for each rater, without practice and checks (default: what a quarter of an hour holds).",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Who sees what follows from it."),
)


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say what a study asks: see `chosen_design`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen_design(pairs: str | None, questions: str | None, clips_per_rater: int | None, seed: int) -> Design:
    """Return what the options say.

    Raises
    ------
    click.UsageError
        If they contradict each other.
    UsageError
        If nobody could be asked so.
    """
    from evalkit.rating.study import Design
    from evalkit.runs.ratings.records import QUESTIONS, StudyKind

    if pairs and questions:
        raise click.UsageError("--questions belongs to scores: of a pair is asked which one is better")
    asked = tuple(split_names(questions) or QUESTIONS)
    kind = StudyKind.PAIRS if pairs else StudyKind.ACR
    return Design(kind, asked, seed, clips_per_rater, in_step=pairs == "step")


def begin_study(desk: Desk, design: Design) -> StudyRecord:
    """Begin a study, or go on with it, with a bar while blind copies are made; say so where an earlier one ends."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    earlier = [study.number for study in desk.studies() if not study.source]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1, visible=False)

        def show(n_done: int, n_total: int) -> None:
            text = f"blind copies, {n_done} of {n_total}"
            bar.update(task, completed=n_done, total=n_total, description=text, visible=True)

        study = desk.begin_study(design, on_progress=show)
    if earlier and study.number not in earlier:
        say(
            f"note: study {earlier[-1]} asks something else, or of other videos than the run has now: this is a new study, "
            "with links of its own; whoever was invited before goes on with the earlier one",
            err=True,
        )
    return study


def describe_study(desk: Desk, study: StudyRecord) -> str:
    """Return what a study costs a rater, and its sealed key, in two lines."""
    from math import ceil

    from evalkit.formatting import count
    from evalkit.runs.ratings.records import Role, StudyKind

    shown = desk.key(study.number).presentations(0)
    noun = "video" if study.kind is StudyKind.ACR else "pair"
    n_shown = len(shown)
    n_extra = sum(one.role is not Role.RATING for one in shown)
    minutes = ceil(desk.rater_s(study.number) / 60)
    return (
        f"study {study.number}: {count(n_shown, noun)} a rater, {n_extra} of them practice, repeats and checks; "
        f"about {count(minutes, 'minute')} each\n"
        f"sealed key, to be noted before anybody is asked (SHA-256): {study.commitment}"
    )
