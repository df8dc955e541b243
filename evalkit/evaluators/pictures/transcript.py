"""What was heard beside what should be said, with every difference marked: by a line and a word, not by colour alone."""

from __future__ import annotations

from evalkit.evaluators.speech import Comparison
from evalkit.formatting import count, three_digits
from evalkit.metrics.speech import is_written_with_spaces
from evalkit.visuals.page import render_page


def transcript_page(found: Comparison) -> str:
    """Return a self-contained page.

    Parameters
    ----------
    found : Comparison
        From `evalkit.evaluators.speech.compare`.
    """
    alignment, unit = (found.characters, "character") if found.words is None else (found.words, "word")
    spoken = found.transcript.facts
    between = " " if is_written_with_spaces(spoken["language"]) else ""
    headline = (
        f"Error rate {three_digits(alignment.error_rate)}: {count(round(alignment.errors.sum()), unit)} wrong, left "
        f"out or added, and {alignment.errors.size} in the script"
    )
    return render_page(
        __package__,
        "transcript.html.j2",
        title="Script and transcript",
        headline=headline,
        recogniser=f"{spoken['recogniser']} {spoken['version']}",
        language=spoken["language"],
        pieces=[
            (piece.kind, between.join(piece.script), between.join(piece.heard)) for piece in alignment.pieces
        ],
        between=between,
        heard=list(zip(found.transcript.times_s, spoken["texts"], strict=True)),
    )
