"""The report of a run: one HTML file that opens anywhere, and Markdown for a pull request."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.decisions.analyse import analyse_run
from evalkit.reports.page import style_sheet
from evalkit.reports.run_answer import answer_run, policy_of
from evalkit.reports.run_markdown import write_markdown
from evalkit.reports.run_page import build_page
from evalkit.reports.timelines import draw_timelines
from evalkit.runs import Run
from evalkit.runs.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

HTML_NAME, MARKDOWN_NAME = "report.html", "report.md"


def write_report(run_folder: Path, *, all_timelines: bool = False) -> None:
    """Write ``report.html`` and ``report.md`` of a run into its folder; older ones are replaced when whole.

    Parameters
    ----------
    run_folder : Path
        Finished or not: what has no result yet is said.
    all_timelines : bool
        Draw the timelines of memory of every trial, however many there are; see
        `evalkit.reports.timelines.draw_timelines`.

    Raises
    ------
    UsageError
        If it is no run folder.
    OSError
        If it cannot be written.
    """
    run = Run.open(Path(run_folder))
    policy, note = policy_of(run)
    tables = analyse_run(run, policy)
    answer = answer_run(tables, policy, note)
    n_undrawn = draw_timelines(run, tables.trials, everything=all_timelines)
    html = render_page(build_page(tables, answer, policy, n_undrawn))
    write_atomically(run.folder / HTML_NAME, html)
    write_atomically(run.folder / MARKDOWN_NAME, write_markdown(tables, answer))


def render_page(page: Mapping[str, Any]) -> str:
    """Fill the template. Everything is escaped but our own style, script and drawings.

    The page forbids itself every script but its own and every request but to the files beside it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    js = (resources.files("evalkit.reports") / "templates" / "run.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'self' file: data:; "
        f"media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        loader=PackageLoader("evalkit.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    own = {"css": Markup(style_sheet()), "js": Markup(js), "policy": policy}  # noqa: S704 - files of this package
    return environment.get_template("run.html.j2").render(**page, **own) + "\n"


def _breakable(text: str) -> Markup:
    """Let a long metric name break after its dots and underscores."""
    from markupsafe import Markup, escape

    broken = str(escape(text)).replace(".", ".<wbr>").replace("_", "_<wbr>")
    return Markup(broken)  # noqa: S704 - escaped above
