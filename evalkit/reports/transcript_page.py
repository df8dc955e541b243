"""What was heard beside what should be said, with every difference marked: by a line and a word, not by colour alone."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from evalkit.evaluators.speech import compare
from evalkit.formatting import three_digits
from evalkit.metrics.speech import is_written_with_spaces
from evalkit.reports.page import answer, page, table
from evalkit.reports.run_answer import Verdict

if TYPE_CHECKING:
    from evalkit.metrics.speech import Piece
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
    marked = between.join(_marked(piece, between) for piece in alignment.pieces)
    heard = "".join(
        f"<tr><td class='n'>{start_s:.1f} s</td><td>{escape(text) or '<small>nothing</small>'}</td></tr>"
        for start_s, text in zip(transcript.times_s, told["texts"], strict=True)
    )
    heard_by = (
        f"Heard by {escape(told['recogniser'])} {escape(told['version'])} as {escape(told['language'])}."
    )
    headline = (
        f"Error rate {three_digits(alignment.error_rate)}: {n_errors} {unit}{'s' * (n_errors != 1)} wrong, left out "
        f"or added, and {n} in the script"
    )
    body = f"""
{answer(Verdict("", "", "neutral"), headline)}
<p>The recogniser makes errors of its own: compare clips that the same one heard.</p>
<h2>Script, with what was heard instead</h2>
<p class="small"><del>Struck out</del>: in the script, not heard. <ins>Underlined</ins>: heard, not in the script.</p>
<p lang="{escape(told["language"])}">{marked}</p>
<h2>As the recogniser wrote it</h2>
{table("Transcript", "<th class='n'>from</th><th>heard</th>", heard)}"""
    return page("Script and transcript", heard_by, body)


def _marked(piece: Piece, between: str) -> str:
    script, heard = (escape(between.join(side)) for side in (piece.script, piece.heard))
    if piece.kind == "equal":
        return script
    parts = (f"<del>{script}</del>" if script else "", f"<ins>{heard}</ins>" if heard else "")
    return " ".join(part for part in parts if part)
