"""What was heard beside what should be said, with every difference marked: by a line and a word, not by colour alone."""

from __future__ import annotations

from html import escape

from evalkit.evaluators.speech import Comparison
from evalkit.formatting import three_digits
from evalkit.metrics.speech import Piece, is_written_with_spaces

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
.headline { font-size: 1.25rem; font-weight: 600; }
.small, small { opacity: 0.75; font-size: 0.875rem; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 1rem 0.25rem 0; text-align: left; vertical-align: top; }
.n { text-align: right; white-space: nowrap; }
"""


def transcript_page(found: Comparison) -> str:
    """Return a self-contained page.

    Parameters
    ----------
    found : Comparison
        From `evalkit.evaluators.speech.compare`.
    """
    alignment, unit = (found.characters, "character") if found.words is None else (found.words, "word")
    n, n_errors = alignment.errors.size, round(alignment.errors.sum())
    spoken = found.transcript.facts
    language = escape(spoken["language"])
    between = " " if is_written_with_spaces(spoken["language"]) else ""
    marked = between.join(_marked(piece, between) for piece in alignment.pieces)
    heard = "".join(
        f"<tr><td class='n'>{start_s:.1f} s</td><td>{escape(text) or '<small>nothing</small>'}</td></tr>"
        for start_s, text in zip(found.transcript.times_s, spoken["texts"], strict=True)
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Script and transcript</title>
<style>{_STYLE}</style>
</head>
<body>
<header><h1>Script and transcript</h1>
<p class="small">Heard by {escape(spoken["recogniser"])} {escape(spoken["version"])} as {language}.</p></header>
<main>
<section class="answer" aria-label="Answer"><p class="headline">Error rate {three_digits(alignment.error_rate)}: {n_errors} \
{unit}{"s" * (n_errors != 1)} wrong, left out or added, and {n} in the script</p></section>
<p>The recogniser makes errors of its own: compare clips that the same one heard.</p>
<h2>Script, with what was heard instead</h2>
<p class="small"><del>Struck out</del>: in the script, not heard. <ins>Underlined</ins>: heard, not in the script.</p>
<p lang="{language}">{marked}</p>
<h2>As the recogniser wrote it</h2>
<table aria-label="Transcript"><thead><tr><th class="n">from</th><th>heard</th></tr></thead>
<tbody>{heard}</tbody></table>
</main>
</body>
</html>
"""


def _marked(piece: Piece, between: str) -> str:
    script, heard = (escape(between.join(side)) for side in (piece.script, piece.heard))
    if piece.kind == "equal":
        return script
    parts = (f"<del>{script}</del>" if script else "", f"<ins>{heard}</ins>" if heard else "")
    return " ".join(part for part in parts if part)
