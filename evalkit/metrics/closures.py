"""Lip closures: do the lips meet where p, b and m are spoken, and when.

Nothing here is learned. The sounds of both lips cannot be made with the lips apart, and the silence or hum of their closure lasts
exactly as long as the lips are sealed: the seal begins and ends the acoustic closure, whatever the speaker, so that the middle of
the one is the middle of the other and an offset between them is one of picture and sound.

Conventions
-----------
- A positive offset means that **the audio leads**: the lips meet later than the closure is heard (the sign of BT.1359).
- *Openness* is the inner-lip gap between the speaker's own closed mouth (0) and open mouth (1).

References
----------
- D. Byrd, "54,000 American stops", UCLA Working Papers in Phonetics 83, 1993: closure and release of p 69 and 44 ms, of b 64 and
  18 ms.
- A. Löfqvist, V. L. Gracco, "Lip and jaw kinematics in bilabial stop consonant production", J. Speech Lang. Hear. Res. 40, 1997: the
  lips go on moving towards each other after they have met; the seal, not the movement, is the closure.
- ITU-R BT.1359-1, "Relative timing of sound and vision for broadcasting".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evalkit.metrics.checks import (
    require_finite,
    require_increasing,
    require_mask,
    require_same_length,
    require_shape,
)
from evalkit.stats.blocks import interval_of, redraw_counts
from evalkit.types import BoolArray, FloatArray, Interval
from pipeline.phonemes import Phoneme

SEALED_SHARE = {"p": 69 / 113, "b": 64 / 82, "m": 1.0}
"""Share of the sound, from its start, during which the lips are sealed: a stop ends with its release, through open lips (Byrd)."""
FEWEST_CLOSURES = 5
"""With fewer, one closure is too large a part of the whole, and nothing says how far the offset may be off."""

CLOSED_PERCENTILE, OPEN_PERCENTILE = 2.0, 90.0
LARGEST_CLOSED_GAP = 0.02
"""Inner-lip gap in eye distances that can still be a closed mouth, for a speaker whose lips never meet. Closed mouths of real
speakers lie within 0.006 of 0."""
SMALLEST_RANGE = 0.02
"""Inner-lip gap in eye distances between closed and open; a mouth that opens less cannot be judged."""
CLOSED_OPENNESS = 0.25
"""Up to this the lips count as closed."""
TOLERANCE_S = 0.02
"""How far from its closure, at the clip's own offset, the lips may meet; a half frame at least: pictures are taken between."""

STEP_S = 0.005
LONGEST_OFFSET_S = 0.4
HALF_OPEN = 0.5
"""Openness above which it does not matter for the offset how wide the mouth is open."""
FLANK_S = 0.1
"""Before and after a closure, the mouth is more open than in it."""
BLOCK_S = 1.0
N_BOOTSTRAP = 400
SYSTEMATIC_MS = 6.0
"""Standard deviation of what no number of closures averages out, as borders of sounds that an aligner puts early or late."""
SAME_PEAK_S = 0.06
CLEAR_SHARE = 0.8
"""Share of the redraws that must agree within `SAME_PEAK_S`, or the clip does not tell its offset."""

LONGEST_SHIFT_S = 1.0
OWN_CLOCK_S = 0.02
LEAST_LIKENESS = 0.45
"""Correlation of loudness, expected from the sounds and heard, below which they are not what is said: recordings of
the speech itself reach 0.56 also in noise, of other speech 0.34."""
LOUDNESS_RANGE_DB = 40.0
_VOWELS = frozenset("aeiouyæœøɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏᵻᵿ")
_SONORANTS = frozenset("mnŋɱɲɳɴlɭʎʟɫɬɹrɾɻʀʁɽjwɥɰʋ")
_STOPS = frozenset("pbtdkɡgqɢʔcɟʈɖɓɗ")


class Closures(NamedTuple):
    """Where the lips must be sealed.

    Parameters
    ----------
    symbols : tuple of str
        ``p``, ``b`` or ``m``.
    starts_s, ends_s : FloatArray, shape (n,)
        On the clock of the sounds; ends are above starts.
    """

    symbols: tuple[str, ...]
    starts_s: FloatArray
    ends_s: FloatArray

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.symbols)


class Placement(NamedTuple):
    """Where speech sounds lie in a recording.

    Parameters
    ----------
    shift_s : float
        To be added to the times of the sounds.
    likeness : float
        Correlation of the loudness that the sounds have with the one heard, -1 to 1.
    """

    shift_s: float
    likeness: float


class ClosureOffset(NamedTuple):
    """When the lips meet against when they should.

    Parameters
    ----------
    offset_s : float
        Positive: the audio leads.
    interval_s : Interval
        95 %: closures redrawn in blocks of a second, and what an aligner is off by.
    is_clear : bool
        Whether the redraws agree on it.
    offsets_s, contrast : FloatArray, shape (n_offsets,)
        How much more closed the mouth is in the closures than beside them, by offset; -1 to 1.
    """

    offset_s: float
    interval_s: Interval
    is_clear: bool
    offsets_s: FloatArray
    contrast: FloatArray


class Judgement(NamedTuple):
    """Whether the lips met, closure by closure.

    Parameters
    ----------
    is_judged : BoolArray, shape (n,)
        The mouth was seen.
    openness : FloatArray, shape (n,)
        The lowest about the closure; 0 where it was not judged.
    is_missed : BoolArray, shape (n,)
        The lips did not meet.
    """

    is_judged: BoolArray
    openness: FloatArray
    is_missed: BoolArray

    @property
    def missed_share(self) -> float | None:
        """Share of the judged closures without closed lips; None where none was judged."""
        return float(self.is_missed[self.is_judged].mean()) if self.is_judged.any() else None


def find_closures(phonemes: Sequence[Phoneme]) -> Closures:
    """Pick the sounds that are made with both lips.

    A sound that an engine reports together with its neighbours (``mp``, ``əm``) is left out: where in it the lips meet is
    not known. An m that lies against a p or b, or another m, is one closure with it.

    Examples
    --------
    >>> found = find_closures([Phoneme("m", 0.0, 0.1), Phoneme("ˈa", 0.1, 0.2), Phoneme("b", 0.2, 0.282)])
    >>> found.symbols, found.ends_s.round(3).tolist()
    (('m', 'b'), [0.1, 0.264])
    """
    symbols: list[str] = []
    spans: list[list[float]] = []
    for phoneme in sorted(phonemes, key=_start_s):
        symbol = _letters(phoneme.symbol)
        if symbol not in SEALED_SHARE or phoneme.end_s <= phoneme.start_s:
            continue
        end_s = phoneme.start_s + SEALED_SHARE[symbol] * (phoneme.end_s - phoneme.start_s)
        if spans and phoneme.start_s - spans[-1][1] < STEP_S:
            spans[-1][1] = max(spans[-1][1], end_s)
        else:
            symbols.append(symbol)
            spans.append([phoneme.start_s, end_s])
    starts_s, ends_s = np.array(spans).reshape(-1, 2).T
    return Closures(tuple(symbols), starts_s, ends_s)


def _start_s(phoneme: Phoneme) -> float:
    return phoneme.start_s


def _letters(symbol: str) -> str:
    """Return a symbol without stress, length, tone and other marks."""
    return "".join(
        sign for sign in unicodedata.normalize("NFD", symbol) if unicodedata.category(sign) in {"Ll", "Lo"}
    )


def place_phonemes(
    phonemes: Sequence[Phoneme], times_s: FloatArray, level_db: FloatArray
) -> Placement | None:
    """Find where speech sounds that a voice reported lie in a recording of it, by the loudness of their kinds.

    Parameters
    ----------
    phonemes : sequence of Phoneme
    times_s, level_db : FloatArray, shape (n,)
        Level of the recording, 10 ms apart.

    Returns
    -------
    Placement or None
        None without a sound, or where the loudness does not change.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_increasing("times_s", times_s)
    require_shape("level_db", level_db, (None,))
    require_finite("level_db", level_db)
    if require_same_length({"times_s": times_s, "level_db": level_db}) < 2 or not phonemes:
        return None
    step_s = float(np.median(np.diff(times_s)))
    reach = round(LONGEST_SHIFT_S / step_s)
    heard = np.clip((level_db - np.percentile(level_db, 95)) / LOUDNESS_RANGE_DB + 1, 0, 1)
    clock_s = times_s[0] + step_s * np.arange(-reach, times_s.size + reach)
    phonemes = sorted(phonemes, key=_start_s)
    starts_s = np.array([phoneme.start_s for phoneme in phonemes])
    loudness = np.array([_loudness(phoneme.symbol) for phoneme in phonemes])
    at = np.searchsorted(starts_s, clock_s, side="right") - 1
    ends_s = np.array([phoneme.end_s for phoneme in phonemes])
    expected = np.where((at >= 0) & (clock_s < ends_s[at]), loudness[at], 0.0)
    expected, heard = expected - expected.mean(), heard - heard.mean()
    scale = float(np.sqrt((expected**2).sum() * (heard**2).sum()))
    if scale <= 0:
        return None
    from scipy.signal import correlate

    curve = correlate(np.pad(heard, 2 * reach), expected, mode="valid", method="fft") / scale
    lags = np.arange(-reach, reach + 1)
    middle = np.asarray(curve[: lags.size])
    return Placement(_refine(middle[None], lags * step_s)[0], float(middle.max()))


def move_phonemes(phonemes: Sequence[Phoneme], shift_s: float) -> tuple[Phoneme, ...]:
    """Put speech sounds on a recording's clock; a shift below `OWN_CLOCK_S` is the estimate's noise and not made."""
    if abs(shift_s) < OWN_CLOCK_S:
        return tuple(phonemes)
    return tuple(Phoneme(one.symbol, one.start_s + shift_s, one.end_s + shift_s) for one in phonemes)


def _loudness(symbol: str) -> float:
    letters = _letters(symbol)
    if not letters:
        return 0.0
    if any(sign in _VOWELS for sign in letters):
        return 1.0
    if any(sign in _SONORANTS for sign in letters):
        return 0.8
    return 0.3 if letters[0] in _STOPS else 0.6


def scale_openness(gap: FloatArray, valid: BoolArray) -> FloatArray | None:
    """Scale the inner-lip gap by the speaker's own closed and open mouth.

    Parameters
    ----------
    gap : FloatArray, shape (n,)
        In eye distances, in the head frame.
    valid : BoolArray, shape (n,)
        Where the mouth was seen.

    Returns
    -------
    FloatArray, shape (n,), or None
        0 closed, 1 open, from 0 to 1, also of a mouth that is never closed; 0 where not valid. None for a mouth that is not seen, or
        opens too little.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_shape("gap", gap, (None,))
    require_mask("valid", valid)
    require_same_length({"gap": gap, "valid": valid})
    seen = gap[valid]
    require_finite("gap where valid", seen)
    if not seen.size:
        return None
    closed = min(float(np.percentile(seen, CLOSED_PERCENTILE)), LARGEST_CLOSED_GAP)
    span = float(np.percentile(seen, OPEN_PERCENTILE)) - closed
    if span < SMALLEST_RANGE:
        return None
    return np.where(valid, np.clip((np.where(valid, gap, 0.0) - closed) / span, 0.0, 1.0), 0.0)


def estimate_offset(
    times_s: FloatArray, openness: FloatArray, valid: BoolArray, closures: Closures, *, seed: int = 0
) -> ClosureOffset | None:
    """Find the offset at which the mouth is most closed in the closures, compared with right before and after them.

    Parameters
    ----------
    times_s, openness : FloatArray, shape (n,)
        From `scale_openness`.
    valid : BoolArray, shape (n,)
    closures : Closures

    Returns
    -------
    ClosureOffset or None
        None with fewer than `FEWEST_CLOSURES` closures while the mouth was seen.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    seen_s = _require_course(times_s, openness, valid)
    if seen_s.size < 2:
        return None
    reach = round(LONGEST_OFFSET_S / STEP_S)
    offsets_s = STEP_S * np.arange(-reach, reach + 1)
    grid_s = np.arange(seen_s[0], seen_s[-1] + STEP_S, STEP_S)
    closed = 1 - np.minimum(np.interp(grid_s, seen_s, openness[valid]) / HALF_OPEN, 1)
    known = _is_near(seen_s, grid_s)
    total = np.concatenate([[0.0], np.cumsum(closed * known)])
    length = np.concatenate([[0.0], np.cumsum(known)])
    edges_s = grid_s[0] + STEP_S * (np.arange(total.size) - 0.5)

    def share(starts_s: FloatArray, ends_s: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Return how closed the mouth is in each interval at each offset, and where that is known."""
        first_s, last_s = (s[:, None] + offsets_s for s in (starts_s, ends_s))
        part = np.interp(last_s, edges_s, total) - np.interp(first_s, edges_s, total)
        size = np.interp(last_s, edges_s, length) - np.interp(first_s, edges_s, length)
        is_known = size > 0.6 * (ends_s - starts_s)[:, None] / STEP_S
        return np.where(is_known, part / np.where(is_known, size, 1.0), 0.0), is_known

    inside, in_known = share(closures.starts_s, closures.ends_s)
    before, before_known = share(closures.starts_s - FLANK_S, closures.starts_s)
    after, after_known = share(closures.ends_s, closures.ends_s + FLANK_S)
    is_known = in_known & before_known & after_known
    contrasts = np.where(is_known, inside - (before + after) / 2, 0.0)
    used = np.flatnonzero(is_known[:, reach])
    if used.size < FEWEST_CLOSURES:
        return None
    contrast = contrasts.sum(axis=0) / used.size
    best_s = float(_refine(contrast[None], offsets_s)[0])
    blocks = np.unique(np.floor(closures.starts_s[used] / BLOCK_S), return_inverse=True)[1]
    sums = np.zeros((int(blocks.max()) + 1, offsets_s.size))
    np.add.at(sums, blocks, contrasts[used])
    redrawn_s = _refine(redraw_counts(sums.shape[0], N_BOOTSTRAP, seed=seed) @ sums, offsets_s)
    low_s, high_s = interval_of(redrawn_s)
    systematic_s = 1.96 * SYSTEMATIC_MS / 1000
    interval_s = Interval(
        best_s - float(np.hypot(max(0.0, best_s - low_s), systematic_s)),
        best_s + float(np.hypot(max(0.0, high_s - best_s), systematic_s)),
    )
    agree = float((np.abs(redrawn_s - best_s) <= SAME_PEAK_S).mean())
    return ClosureOffset(best_s, interval_s, agree >= CLEAR_SHARE, offsets_s, contrast)


def judge_closures(
    times_s: FloatArray, openness: FloatArray, valid: BoolArray, closures: Closures, offset_s: float
) -> Judgement:
    """Say at which closures the lips do not meet, once the constant offset is taken out.

    Parameters
    ----------
    times_s, openness : FloatArray, shape (n,)
        From `scale_openness`.
    valid : BoolArray, shape (n,)
    closures : Closures
    offset_s : float
        Of the clip; positive: the audio leads.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.

    Examples
    --------
    >>> t = np.arange(5) * 0.04
    >>> lips = np.array([1.0, 0.1, 1.0, 0.6, 1.0])
    >>> closures = Closures(("p", "b"), np.array([0.03, 0.11]), np.array([0.05, 0.13]))
    >>> judge_closures(t, lips, np.ones(5, dtype=bool), closures, 0.0).is_missed
    array([False,  True])
    """
    seen_s = _require_course(times_s, openness, valid)
    n = closures.n
    lowest, is_judged = np.zeros(n), np.zeros(n, dtype=bool)
    if seen_s.size < 2:
        return Judgement(is_judged, lowest, np.zeros(n, dtype=bool))
    seen = openness[valid]
    tolerance_s = max(TOLERANCE_S, float(np.median(np.diff(seen_s))) / 2)
    first_s, last_s = (
        closures.starts_s + offset_s - tolerance_s,
        closures.ends_s + offset_s + tolerance_s,
    )
    first, stop = np.searchsorted(seen_s, first_s), np.searchsorted(seen_s, last_s, side="right")
    for row in range(n):
        if first[row] < stop[row]:
            is_judged[row] = True
            lowest[row] = seen[first[row] : stop[row]].min()
    return Judgement(is_judged, lowest, is_judged & (lowest > CLOSED_OPENNESS))


def _require_course(times_s: FloatArray, openness: FloatArray, valid: BoolArray) -> FloatArray:
    """Check the course of a mouth; return the times at which it was seen."""
    require_increasing("times_s", times_s)
    require_shape("openness", openness, (None,))
    require_finite("openness", openness)
    require_mask("valid", valid)
    require_same_length({"times_s": times_s, "openness": openness, "valid": valid})
    return times_s[valid]


def _is_near(seen_s: FloatArray, grid_s: FloatArray, within_s: float = 0.12) -> BoolArray:
    """Say which moments have an observation near enough to interpolate from."""
    after = np.searchsorted(seen_s, grid_s).clip(1, seen_s.size - 1)
    nearest_s = np.minimum(np.abs(seen_s[after] - grid_s), np.abs(seen_s[after - 1] - grid_s))
    return np.asarray(nearest_s <= within_s)


def _refine(curves: FloatArray, places: FloatArray) -> FloatArray:
    """Return the place of each curve's peak, refined by a parabola through three points."""
    rows = np.arange(curves.shape[0])
    at = np.clip(curves.argmax(axis=1), 1, places.size - 2)
    before, here, after = curves[rows, at - 1], curves[rows, at], curves[rows, at + 1]
    bend = before - 2 * here + after
    step = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    return np.asarray(places[at] + np.clip(step, -1.0, 1.0) * (places[1] - places[0]))
