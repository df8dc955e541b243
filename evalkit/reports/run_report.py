"""The report of a run: one HTML file that opens anywhere, and Markdown for a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.decisions.analyse import analyse_run, policy_of_run
from evalkit.reports.moment_tracks import write_moment_tracks
from evalkit.reports.posters import write_posters
from evalkit.reports.run_markdown import render_markdown
from evalkit.reports.run_page import render_run
from evalkit.reports.timelines import draw_timelines
from evalkit.runs import Run, record_look
from evalkit.runs.files import write_atomically
from evalkit.runs.ratings.schema import database_of
from evalkit.views.run import run_view
from evalkit.visuals.page import PLAIN_FRAME, PageFrame

if TYPE_CHECKING:
    from evalkit.views.run import RunView

HTML_NAME, MARKDOWN_NAME = "report.html", "report.md"


def write_report(run_folder: Path, *, all_timelines: bool = False, frame: PageFrame = PLAIN_FRAME) -> RunView:
    """Write ``report.html`` and ``report.md`` of a run into its folder; older ones are replaced when whole.

    Tables of a run that was rated are written anew as well, where answers came or were deleted since.

    Parameters
    ----------
    run_folder : Path
        Finished or not: what has no result yet is said.
    all_timelines : bool
        Draw the timelines of memory of every trial, however many there are; see
        `evalkit.reports.timelines.draw_timelines`.
    frame : PageFrame

    Returns
    -------
    RunView
        What was written, as data.

    Raises
    ------
    UsageError
        If it is not a run folder.
    OSError
        If it cannot be written.
    """
    run = Run.open(Path(run_folder))
    record_look(run)
    if database_of(run.folder).exists() and not run.has_tables():  # also where a rater was deleted since
        run.write_tables()
    policy, note = policy_of_run(run)
    analysis = analyse_run(run, policy)
    write_posters(analysis)
    view = run_view(analysis, policy, note=note)
    timelines = draw_timelines(run, analysis.trials, everything=all_timelines)
    tracks = write_moment_tracks(run.folder, view.trials)
    write_atomically(run.folder / HTML_NAME, render_run(view, timelines, tracks, frame=frame))
    write_atomically(run.folder / MARKDOWN_NAME, render_markdown(view))
    return view
