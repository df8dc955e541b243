"""Where a voice is not understood: the worst moments of the error rates, from the times of the words that were heard."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from evalkit.metrics.moments import worst_moments
from evalkit.metrics.speech import Alignment, normalise
from evalkit.types import Moment

JOIN_S = 0.7
"""Wrong words with no more than a short word, or a pause between them, are one stretch."""
SHORTEST_S = 1.0
"""A single word that is heard wrongly may be the recogniser's own error."""


def word_error_moments(
    alignment: Alignment, words: Sequence[tuple[str, float, float]], language: str
) -> tuple[Moment, ...]:
    """Name the stretches in which words are wrong.

    Parameters
    ----------
    alignment : Alignment
        By word.
    words : sequence of (str, float, float)
        Words as they were heard, each with its begin and end in seconds of the clip.
    language : str
        As of the alignment.

    Returns
    -------
    tuple of Moment
        Stretches of at least `SHORTEST_S`; their value is the share of wrong words, of all that were to be said or were heard in
        them. Empty where a recogniser tells no times.

    Examples
    --------
    >>> from evalkit.metrics.speech import align_words
    >>> said, heard = "open every box before you buy", "open ferry fox be for buy"
    >>> times = [(word, 0.5 * place, 0.5 * place + 0.4) for place, word in enumerate(heard.split())]
    >>> word_error_moments(align_words(said, heard), times, "en")
    (Moment(start_s=0.5, end_s=2.4, value=1.0),)
    """
    heard_at = _times_of([word for piece in alignment.pieces for word in piece.heard], words, language)
    if not heard_at:
        return ()
    starts, ends, wrong, all_words = [], [], [], []
    row = 0
    for piece in alignment.pieces:
        times = heard_at[row : row + len(piece.heard)]
        row += len(piece.heard)
        if not times:  # left out: between what was heard before and after
            before = heard_at[row - 1][1] if row else heard_at[0][0]
            after = heard_at[row][0] if row < len(heard_at) else heard_at[-1][1]
            times = [(min(before, after), max(before, after))]
        starts += [start_s for start_s, _ in times]
        ends += [end_s for _, end_s in times]
        n_words = max(len(piece.script), len(piece.heard))
        all_words += [n_words / len(times)] * len(times)
        wrong += [0.0 if piece.kind == "equal" else n_words / len(times)] * len(times)
    begins_s, ends_s, errors, counts = (
        np.array(column, dtype=np.float64) for column in (starts, ends, wrong, all_words)
    )
    begins_s = np.maximum.accumulate(begins_s)
    ends_s = np.maximum(ends_s, begins_s)
    found = worst_moments(begins_s, ends_s, errors, errors > 0, errors, join_s=JOIN_S, least_s=SHORTEST_S)
    shares = []
    for moment in found:
        inside = (begins_s >= moment.start_s) & (ends_s <= moment.end_s)
        shares.append(float(errors[inside].sum() / counts[inside].sum()))
    return tuple(moment._replace(value=share) for moment, share in zip(found, shares, strict=True))


def _times_of(
    heard: Sequence[str], words: Sequence[tuple[str, float, float]], language: str
) -> list[tuple[float, float]]:
    """Return begin and end of each word as it was spelt for the comparison; where the spelling joins words, those around it."""
    spelt, times = [], []
    for text, start_s, end_s in words:
        for part in normalise(text, language).split():
            spelt.append(part)
            times.append((float(start_s), float(end_s)))
    if not spelt or not heard:
        return []
    found: dict[int, tuple[float, float]] = {}
    for block in SequenceMatcher(None, spelt, heard, autojunk=False).get_matching_blocks():
        found |= {block.b + at: times[block.a + at] for at in range(block.size)}
    if not found:
        return []
    known = sorted(found)
    starts_s, ends_s = (np.array([found[row][end] for row in known]) for end in (0, 1))
    rows = np.arange(len(heard))
    return list(
        zip(np.interp(rows, known, starts_s).tolist(), np.interp(rows, known, ends_s).tolist(), strict=True)
    )
