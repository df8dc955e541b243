"""How far metrics agree with people as a page, and in a terminal: sentences, then dots, then the clips behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table

from evalkit.reports.agreement_plot import draw_agreement
from evalkit.reports.compare_page import write_p
from evalkit.visuals.markup import escape
from evalkit.visuals.page import render_page

if TYPE_CHECKING:
    from rich.console import Console

    from evalkit.views.agreement import AgreementView, PooledView, RatingAgreementView

_N_SHOWN = 12


def render_agreement(view: AgreementView) -> str:
    """Return a self-contained HTML page."""
    return render_page(
        __package__,
        "agreement.html.j2",
        title="Agreement of metrics with people",
        view=view,
        runs=[(run, draw_agreement(run)) for run in view.runs],
        write_p=write_p,
    )


def print_agreement(console: Console, view: AgreementView) -> None:
    """Print the answer, then what is known of each run."""
    console.print(f"[bold]{escape(view.headline)}[/]")
    if view.pooled:
        _print_pooled(console, view.pooled)
    for run in view.runs:
        if run.ratings or len(view.runs) > 1:
            console.print(f"\n[dim]{escape(run.title)}[/]", soft_wrap=True)
        if len(view.runs) > 1:
            console.print(f"[bold]{escape(run.headline)}[/]")
        for detail in run.details:
            console.print(escape(detail))
        for rating in run.ratings:
            _print_rating(console, rating)
        for note in run.notes:
            console.print(f"[yellow]note:[/] {escape(note)}")


def _print_rating(console: Console, rating: RatingAgreementView) -> None:
    console.print(f"\n[bold]{rating.rating.name}[/]: {escape(rating.raters)}, {rating.n_clips} clips")
    if not rating.metrics:
        return
    grid = Table(
        "metric", "Spearman [95 %]", box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim"
    )
    for name in ("Kendall", "p", "clips"):
        grid.add_column(name, justify="right", no_wrap=True)
    for one in rating.metrics[:_N_SHOWN]:
        spearman = one.spearman.text if one.has_direction else f"{one.spearman.text} (band)"
        kendall = "" if one.kendall.value is None else f"{one.kendall.value:.2f}"
        grid.add_row(one.metric.name, escape(spearman), kendall, write_p(one.p), str(one.spearman.n))
    console.print(Padding(grid, (0, 0, 0, 2)))
    if len(rating.metrics) > _N_SHOWN:
        console.print(f"  and {len(rating.metrics) - _N_SHOWN} more (--json, --html)")


def _print_pooled(console: Console, pooled: tuple[PooledView, ...]) -> None:
    grid = Table("opinion", "metric", "Spearman [95 %]", box=None, padding=(0, 1, 0, 0), header_style="dim")
    grid.add_column("runs", justify="right")
    for one in pooled[:_N_SHOWN]:
        grid.add_row(one.rating, one.metric, escape(one.spearman.text), f"{one.spearman.n} of {one.n_runs}")
    console.print(grid)
