"""A sign-off as a page: the verdict first, then every rule with its evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.reports.baseline_section import render_baseline
from evalkit.reports.verdict import verdict_of_decision, verdict_of_gate
from evalkit.visuals.page import PLAIN_FRAME, PageFrame, render_page

if TYPE_CHECKING:
    from evalkit.views.signoff import SignoffView


def render_signoff(view: SignoffView, *, frame: PageFrame = PLAIN_FRAME) -> str:
    """Return a self-contained HTML page."""
    return render_page(
        __package__,
        "signoff.html.j2",
        frame=frame,
        title=f"Sign-off of {view.title}",
        view=view,
        decision=verdict_of_decision(view.decision),
        verdict_of_gate=verdict_of_gate,
        baseline=render_baseline(view.baseline, frame.language),
    )
