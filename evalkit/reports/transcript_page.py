"""What was heard beside what should be said, with every difference marked: by a line and a word, not by colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.evaluators.speech import compare
from evalkit.formatting import three_digits
from evalkit.metrics.speech import is_written_with_spaces
from evalkit.visuals.page import render_page

if TYPE_CHECKING:
    from evalkit.types import ClipFacts, Track

TRANSCRIPT_PAGE = "transcript.html"


def transcript_page(facts: ClipFacts, transcript: Track) -> str:
    """Return a self-contained page.

    Parameters
    ----------
    facts : ClipFacts
        With what the clip was asked to say.
    transcript : Track
        From `evalkit.tracks.transcript`.
    """
    words, characters = compare(facts.asked, transcript)
    alignment, unit = (characters, "character") if words is None else (words, "word")
    n, n_errors = alignment.errors.size, round(alignment.errors.sum())
    told = transcript.facts
    between = " " if is_written_with_spaces(told["language"]) else ""
    headline = (
        f"Error rate {three_digits(alignment.error_rate)}: {n_errors} {unit}{'s' * (n_errors != 1)} wrong, left out "
        f"or added, and {n} in the script"
    )
    return render_page(
        __package__,
        "transcript.html.j2",
        title="Script and transcript",
        headline=headline,
        recogniser=f"{told['recogniser']} {told['version']}",
        language=told["language"],
        pieces=[
            (piece.kind, between.join(piece.script), between.join(piece.heard)) for piece in alignment.pieces
        ],
        between=between,
        heard=list(zip(transcript.times_s, told["texts"], strict=True)),
    )
