"""What people said of a run, as a page and for a terminal: the answer first, then every configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from evalkit.formatting import three_digits
from evalkit.reports.agreement_plot import draw_agreement
from evalkit.reports.compare_page import write_p
from evalkit.reports.rating_plots import draw_histograms, plot_preferred, plot_question
from evalkit.views.ratings import count_finished
from evalkit.visuals.markup import escape
from evalkit.visuals.numbers import bracket
from evalkit.visuals.page import render_page

if TYPE_CHECKING:
    from rich.console import Console

    from evalkit.views.figure import FigureView
    from evalkit.views.ratings import QuestionView, RatingsReport

_MOST_SCREENED = 20
"""Raters that a terminal names with their reasons."""


def render_ratings(view: RatingsReport) -> str:
    """Return a self-contained HTML page."""
    return render_page(
        __package__,
        "ratings.html.j2",
        title=f"What people say of {view.run}",
        view=view,
        questions=[
            {"view": question, "plot": plot_question(question), "histograms": draw_histograms(question)}
            for question in view.questions
        ],
        preferred=plot_preferred(view.preferred),
        agreement=[] if view.agreement is None else draw_agreement(view.agreement),
        write_p=write_p,
        count_finished=count_finished,
    )


def print_ratings(console: Console, view: RatingsReport) -> None:
    """Print the answer, then a table for each question, in 80 columns."""
    console.print(f"[bold]{escape(view.headline)}[/]")
    for sentence in view.details:
        console.print(escape(sentence))
    for question in view.questions:
        _print_question(console, question)
    if view.preferred:
        _print_preferred(console, view)
    if view.agreement is not None:
        console.print(f"\n[bold]Metrics beside people[/]: {escape(view.agreement.headline)}")
        for sentence in view.agreement.details:
            console.print(escape(sentence))
    for one in view.screened[:_MOST_SCREENED]:
        console.print(f"[yellow]screened out:[/] {escape(one.rater)}: {escape('; '.join(one.reasons))}")
    if len(view.screened) > _MOST_SCREENED:
        console.print(f"  and {len(view.screened) - _MOST_SCREENED} more (--json, --html)")
    for study in view.studies:
        console.print(f"[dim]{escape(count_finished(study))}[/]")


def _print_question(console: Console, question: QuestionView) -> None:
    console.print(f"\n[bold]{escape(question.metric.name)}[/]: {escape(question.metric.meaning)}")
    grid = Table(
        "configuration", "mean [95 %]", "these clips", "likelihood", "more\nraters", box=None, pad_edge=False
    )
    grid.columns[0].overflow = "fold"
    for column in grid.columns[1:4]:
        column.justify, column.no_wrap = "right", True
    for one in question.rated:
        grid.add_row(
            escape(one.configuration),
            _write(one.figure),
            _write(one.these_clips),
            _write(one.likelihood),
            escape(one.more_raters),
        )
    console.print(grid)
    console.print(escape(question.agreement))


def _print_preferred(console: Console, view: RatingsReport) -> None:
    console.print("\n[bold]rating.preference[/]: expected share of blind pairs won")
    grid = Table("configuration", "share [95 %]", "log strength", box=None, pad_edge=False)
    for one in view.preferred:
        grid.add_row(escape(one.configuration), _write(one.share), _write(one.strength))
    console.print(grid)
    if view.preference_note:
        console.print(escape(f"{view.preference_note}."))


def _write(figure: FigureView) -> str:
    if figure.value is None:
        return "–"
    return escape(f"{three_digits(figure.value)} {bracket(figure.interval)}".rstrip())
