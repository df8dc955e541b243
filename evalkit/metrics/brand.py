"""Brand fidelity: from evidence for a mark to a number between 0 and 1 that means the same for every brand.

Evidence is gathered where the mark seems to be (`evalkit.tracks.mark`): five numbers, each higher for the right mark.
They count like links of a chain: `chain_score` is low if one of them is. Brands and CLIP models differ in what the
score is with and without the mark, so `Calibration` maps it onto 0–1, fitted for each brand and model on scenes with
the mark and without.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain as join
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.checks import require_finite, require_same_length, require_shape
from evalkit.types import FloatArray, Interval

EVIDENCE = ("shape", "ink", "mirror", "color", "cosine")
"""Names of the links, in order.

``shape``: correlation of the drawing with the picture, 0–1. ``ink``: how well the worst part of the drawing is there,
1 is perfect. ``mirror``: how much better the drawing fits than its mirror images, 1 for the drawing itself, -1 for its
mirror image, 1 if there is no difference. ``color``: 0 for the drawing's own colours, lower for others, -1 for each
10 units of colour difference. ``cosine``: of the embeddings, standardised per model and brand.
"""
PASS = 0.85
"""Fidelity of the right mark shown cleanly; the bundled policy asks for it."""
_ON_THE_LINE = 1e-12
"""What is nearer to a line is rounding."""
FOUND = 0.5
"""Fidelity from which on the mark is there: nearer to what scenes with it give than to scenes without."""
MOST_ON_PERSON = 0.5
"""Share of a place that the person may cover."""
CLEAN, WRONG = 0.93, 0.3
"""Fidelity that the calibration gives to the worse of its right and to the better of its wrong scenes."""
NAMED = 0.4
"""Fidelity where the brand's words are read but its mark is not seen as drawn: below `FOUND`, above nothing at all."""
LEAST_ALIKE = 0.6
"""Share of a word's letters that must be right for it to count at all: half of any word fits another by chance."""
SHORTEST_WORD = 2
_LOOK_THE_SAME = str.maketrans("01l|5", "oiiis")
_TURNED = str.maketrans("mnu", "wzn")
"""What a letter is read as that stands on its head, or lies, as around a badge."""
LEAST, MOST = 3.0, 3.5
"""Bounds of the score that gets `CLEAN`: nine in ten right marks reach it in scenes like those of the calibration, and
one wrong one in a hundred, so a brand that calibration found hard, or easy, must not stray further."""
NEAREST, FARTHEST = 1.5, 2.5
"""Bounds of the difference in score, log odds, over which fidelity goes from `WRONG` to `CLEAN`."""


@dataclass(frozen=True)
class Chain:
    """Where each link of the evidence holds: at `thresholds` with probability ½, over `widths` from no to yes."""

    thresholds: tuple[float, ...]
    widths: tuple[float, ...]


CHAIN = Chain((0.33, 0.84, 0.15, -3.3, 0.3), (0.03, 0.03, 0.08, 0.4, 0.1))
"""From ``training/brand/fit.py``, with wordmarks among its marks. ``ink`` is more lenient than fitted: a sign is not flat."""
MISLABELLED = 0.03
"""Share of scenes for a fit that may be anything: a right mark too small to see, another mark that is the same."""
NEVER = -50.0
"""Score where there is no evidence at all."""


def chain_score(evidence: FloatArray, chain: Chain) -> FloatArray:
    """Join evidence: the log odds that all links hold, were they independent.

    Parameters
    ----------
    evidence : FloatArray, shape (n, len(EVIDENCE))
    chain
        Where a link holds.

    Returns
    -------
    FloatArray, shape (n,)
        Rises with every link, never above the weakest one. Empty for n = 0.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.

    Examples
    --------
    >>> chain = Chain((0.0,) * 5, (1.0,) * 5)
    >>> float(chain_score(np.full((1, 5), 30.0), chain)[0]) > 20
    True
    >>> abs(float(chain_score(np.array([[30.0, 30, 30, 30, 0]]), chain)[0])) < 1e-6
    True
    """
    from evalkit.stats.special import log_expit

    require_shape("evidence", evidence, (None, len(chain.thresholds)))
    log_p = log_expit((evidence - np.array(chain.thresholds)) / np.array(chain.widths)).sum(1)
    log_p = np.minimum(log_p, -1e-12)
    return np.asarray(log_p - np.log(-np.expm1(log_p)))


def fit_chain(evidence: FloatArray, right: FloatArray) -> Chain:
    """Fit where links hold, from evidence (n, 5) of right (1) and wrong (0) marks: the most likely chain.

    No link goes from no to yes within less than an eighth of its spread: few marks must not make it a step.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    from scipy.optimize import minimize

    require_shape("evidence", evidence, (None, len(EVIDENCE)))
    require_finite("evidence", evidence)
    require_same_length({"evidence": evidence, "right": right})
    if not ((right > 0.5).any() and (right < 0.5).any()):
        raise ValueError("right needs at least one right (1) and one wrong (0) mark")
    spread = np.maximum(evidence.std(0), 1e-6)
    start = np.concatenate([evidence[right > 0.5].mean(0) - spread, np.log(spread / 3)])
    n = evidence.shape[1]

    def surprise(parameters: FloatArray) -> float:
        from evalkit.stats.special import log_expit

        links = (evidence - parameters[:n]) / np.exp(parameters[n:])
        p = MISLABELLED + (1 - 2 * MISLABELLED) * np.exp(log_expit(links).sum(1))
        of_right, of_wrong = np.log(p[right > 0.5]), np.log1p(-p[right < 0.5])
        prior = (
            1e-3 * (((parameters[:n] - start[:n]) / spread) ** 2 + (parameters[n:] - start[n:]) ** 2).sum()
        )
        return float(-of_right.mean() - of_wrong.mean() + prior)

    narrowest = [(None, None)] * n + [(float(np.log(width / 8)), None) for width in spread]
    best = minimize(surprise, start, method="L-BFGS-B", bounds=narrowest).x
    return Chain(tuple(best[:n].tolist()), tuple(np.exp(best[n:]).tolist()))


@dataclass(frozen=True)
class Calibration:
    """What scores mean for one brand and one CLIP model.

    Parameters
    ----------
    slope, offset
        fidelity = expit(slope · score + offset); the slope is positive.
    cosine_absent, cosine_present
        Median cosines of scenes without and with the mark: 0 and 1 of the link ``cosine``.
    with_mark, without_mark
        Fidelities of the calibration's scenes, sorted: the two distributions.
    cosines_with, cosines_without
        Their raw cosines.
    look_alikes
        Names of the drawings nearest to the mark among those it was calibrated against, nearest first.
    look_alike_fidelities
        What they score.
    version
        Of the way to calibrate.
    """

    slope: float
    offset: float
    cosine_absent: float
    cosine_present: float
    with_mark: tuple[float, ...]
    without_mark: tuple[float, ...]
    cosines_with: tuple[float, ...]
    cosines_without: tuple[float, ...]
    look_alikes: tuple[str, ...]
    look_alike_fidelities: tuple[float, ...]
    version: int

    def fidelity(self, score: FloatArray) -> FloatArray:
        """Map scores of `chain_score` onto 0–1, higher is better."""
        from evalkit.stats.special import expit

        return np.asarray(expit(self.slope * score + self.offset))

    def score(self, fidelity: float) -> float:
        """Return the score that gets a fidelity between 0 and 1, both excluded."""
        from evalkit.stats.special import logit

        return (float(logit(fidelity)) - self.offset) / self.slope

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Rebuild from plain data.

        Raises
        ------
        ValueError, TypeError
            If they are not those of a calibration.
        """
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        made = cls(**plain)
        mapping = (made.slope, made.offset, made.cosine_absent, made.cosine_present)
        scenes = (made.with_mark, made.without_mark, made.cosines_with, made.cosines_without)
        numbers = np.array(
            [*mapping, *join.from_iterable((*scenes, made.look_alike_fidelities))], dtype=float
        )
        if not np.isfinite(numbers).all() or made.slope <= 0:
            raise ValueError(
                "these are not the numbers of a calibration: they are not finite, or the slope is not positive"
            )
        return made


def fit_mapping(with_mark: FloatArray, without_mark: FloatArray) -> tuple[float, float]:
    """Fit slope and offset so that scenes with the mark get `CLEAN` or more and wrong ones `WRONG` or less.

    Parameters
    ----------
    with_mark, without_mark : FloatArray, shape (n,), (m,)
        Scores. The 20th percentile of the first and the 95th of the second are the two anchors. The upper one stays
        within `LEAST` and `MOST`: a mark that calibration could hardly find must not pass on poor evidence. Anchors further apart
        than `FARTHEST` are brought together from below: a brand whose other marks were all easy must not be lenient.
        Anchors nearer than `NEAREST`, or the wrong way round, are taken apart evenly.

    Returns
    -------
    slope, offset
        Of fidelity = expit(slope · score + offset).

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    from evalkit.stats.special import logit

    for name, scores in (("with_mark", with_mark), ("without_mark", without_mark)):
        require_shape(name, scores, (None,))
        require_finite(name, scores)
        if not scores.size:
            raise ValueError(f"{name} is empty; a calibration needs scenes of both kinds")
    high, low = float(np.percentile(with_mark, 20)), float(np.percentile(without_mark, 95))
    high = min(max(high, LEAST), MOST)
    low = max(low, high - FARTHEST)
    if high - low < NEAREST:
        high, low = (high + low + NEAREST) / 2, (high + low - NEAREST) / 2
    slope = float(logit(CLEAN) - logit(WRONG)) / (high - low)
    return slope, float(logit(CLEAN)) - slope * high


def standardise(cosine: FloatArray, absent: float, present: float) -> FloatArray:
    """Put cosines on a scale where scenes without the mark are at 0 and with it at 1."""
    return np.asarray((cosine - absent) / max(present - absent, 0.02))


class RegionFit:
    """Explains a picture as plain background plus a drawing's regions, each in any colour: least squares.

    Parameters
    ----------
    regions : FloatArray, shape (n, k)
        How much of each of n pixels belongs to each of the drawing's k regions, 0–1.
    floor
        Variance, summed over channels, that noise alone has: a plain wall explains nothing.
    """

    def __init__(self, regions: FloatArray, floor: float) -> None:
        self.design = np.column_stack([np.ones(len(regions)), regions]).astype(np.float32)
        self._inverse = np.linalg.pinv(self.design.astype(float)).astype(np.float32)
        self._floor = floor

    def __call__(self, patch: NDArray[np.float32]) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
        """Fit a picture.

        Parameters
        ----------
        patch : shape (n, 3)
            Colours of the pixels, 0–255.

        Returns
        -------
        share, colors, rest
            Share of the variance explained, 0–1, higher is better; colours of the background and of each region,
            (k + 1, 3); what is not explained, (n, 3).

        Examples
        --------
        Half black, half white: explained but for the noise floor.

        >>> fit = RegionFit(np.array([[0.0], [0.0], [1.0], [1.0]]), floor=0.0)
        >>> share, colors, rest = fit(np.float32([[0] * 3, [0] * 3, [255] * 3, [255] * 3]))
        >>> round(share, 3), np.abs(colors.round()).tolist()
        (1.0, [[0.0, 0.0, 0.0], [255.0, 255.0, 255.0]])
        """
        fitted = self._inverse @ patch
        rest = patch - self.design @ fitted
        centred = patch - patch.mean(0)
        n = len(patch)
        total, unexplained = float(np.vdot(centred, centred)) / n, float(np.vdot(rest, rest)) / n
        share = max(total - unexplained, 0.0) / (total + self._floor)
        fitted[1:] += fitted[0]
        return share, fitted, rest


def fold_word(text: str) -> str:
    """Reduce a text to its letters and digits, in small letters, those that look the same made the same.

    Examples
    --------
    >>> fold_word("DHL-0!")
    'dhio'
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum()).translate(_LOOK_THE_SAME)


def word_likeness(read: str, wanted: str) -> float:
    """Say how much a line of text says a word.

    Parameters
    ----------
    read
        A line as read, of any number of words.
    wanted
        The word, or several that follow each other.

    Returns
    -------
    float
        1 where neighbouring words of the line are the wanted one, letter by letter but for case, spaces and letters that
        look the same; 0 where `LEAST_ALIKE` of its letters or fewer are right (edits, Levenshtein 1966, over the longer
        of both), or where it has fewer than `SHORTEST_WORD` letters.

    Examples
    --------
    >>> word_likeness("www.dhl.com", "DHL"), word_likeness("Gogle", "Google"), word_likeness("springs", "ring")
    (1.0, 0.5833333333333335, 0.0)
    """
    sought = fold_word(wanted)
    if len(sought) < SHORTEST_WORD:
        return 0.0
    words = [word for part in re.findall(r"[^\W_]+", read) if (word := fold_word(part))]
    most = len(re.findall(r"[^\W_]+", wanted)) + 1
    runs = {"".join(words[at : at + n]) for at in range(len(words)) for n in range(1, most + 1)}
    runs.add("".join(words))  # letters set apart
    shares = (1 - _edits(run, sought) / max(len(run), len(sought)) for run in runs if run)
    return max(0.0, (max(shares, default=0.0) - LEAST_ALIKE) / (1 - LEAST_ALIKE))


def letters_likeness(letters: Sequence[str], wanted: str) -> float:
    """Say how much letters that were read one by one, in any order and turned, as around a badge, make a word.

    Parameters
    ----------
    letters
        Each read by itself.
    wanted
        The word.

    Returns
    -------
    float
        As `word_likeness`, with the share of the word's letters that are there; 0 unless two different ones are. A letter that
        stands on its head counts for what it is read as.

    Examples
    --------
    >>> letters_likeness(["M", "B", "M"], "BMW"), letters_likeness(["M", "M", "M"], "BMW")
    (1.0, 0.0)
    """
    sought = Counter(fold_word(wanted).translate(_TURNED))
    there = Counter(fold_word("".join(letters)).translate(_TURNED)) & sought
    if len(there) < 2:
        return 0.0
    share = there.total() / sought.total()
    return max(0.0, (share - LEAST_ALIKE) / (1 - LEAST_ALIKE))


def _edits(first: str, second: str) -> int:
    """Return how many letters must be put in, taken out or changed to make one text of another."""
    row = list(range(len(second) + 1))
    for index, letter in enumerate(first):
        before, row[0] = row[0], index + 1
        for at, other in enumerate(second, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (letter != other))
    return row[-1]


def area_under_curve(present: Sequence[float] | FloatArray, absent: Sequence[float] | FloatArray) -> float:
    """Return the chance that a scene with the mark scores above one without (ties count half).

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.

    Examples
    --------
    >>> area_under_curve([2.0, 3.0], [1.0, 2.0])
    0.875
    """
    if not (len(present) and len(absent)):
        raise ValueError("present and absent each need at least one score")
    present, absent = np.asarray(present, float), np.asarray(absent, float)
    above = present[:, None] - absent[None]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


def choose_place(
    boxes_px: FloatArray,
    fidelity: FloatArray,
    on_person: FloatArray,
    *,
    picture_px: tuple[float, float],
    region: tuple[float, float, float, float] | None = None,
) -> int | None:
    """Choose the place of a key frame that counts: the most faithful one that is allowed.

    Parameters
    ----------
    boxes_px : FloatArray, shape (n, 4)
        Left, top, right, bottom of each place; NaN where there is none.
    fidelity : FloatArray, shape (n,)
        Of each place, 0 to 1.
    on_person : FloatArray, shape (n,)
        Share of each box that the person covers; more than `MOST_ON_PERSON` is not allowed.
    picture_px : (width, height)
    region : (left, top, right, bottom), optional
        Where the middle of the box must lie, in shares of the picture; anywhere unless given.

    Returns
    -------
    int or None
        Index of the place; None where none is left.

    Raises
    ------
    ValueError
        For arrays that do not fit each other.

    Examples
    --------
    >>> boxes = np.array([[0.0, 0, 10, 10], [80, 0, 90, 10]])
    >>> choose_place(boxes, np.array([0.9, 0.6]), np.array([0.8, 0.0]), picture_px=(100, 50))
    1
    """
    require_shape("boxes_px", boxes_px, (None, 4))
    require_same_length({"boxes_px": boxes_px, "fidelity": fidelity, "on_person": on_person})
    allowed = np.isfinite(boxes_px).all(axis=1) & (on_person <= MOST_ON_PERSON)
    if region is not None:
        left, top, right, bottom = region
        x = (boxes_px[:, 0] + boxes_px[:, 2]) / 2 / picture_px[0]
        y = (boxes_px[:, 1] + boxes_px[:, 3]) / 2 / picture_px[1]
        allowed &= (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    return int(np.where(allowed, fidelity, -1.0).argmax()) if allowed.any() else None


def drift_per_min(
    times_s: FloatArray, fidelity: FloatArray, weights_s: FloatArray
) -> tuple[float, Interval | None]:
    """Return the slope of the fidelity over a clip, and its 95 % interval, both a minute.

    Parameters
    ----------
    times_s, fidelity, weights_s : FloatArray, shape (n,), n >= 3
        Beginning of each key frame, its fidelity, and how long it stands for.

    Returns
    -------
    float, Interval or None
        None where all key frames lie on the line, so that nothing says how far off it may be.

    Raises
    ------
    ValueError
        With fewer than three key frames, arrays that do not fit each other, or values that are not finite.

    Notes
    -----
    Weighted least squares; the interval comes from residuals that may differ in size, raised for how far each pulls
    the line (HC3: J. G. MacKinnon, H. White, Journal of Econometrics 29, 1985). Coverage by simulation, 5 to 20 key
    frames: 95 to 97 %; 87 to 95 % and 79 to 93 % with a correlation of 0.3 and 0.5 from one to the next.
    """
    from evalkit.stats.special import stdtrit

    n = require_same_length({"times_s": times_s, "fidelity": fidelity, "weights_s": weights_s})
    if n < 3:
        raise ValueError(f"{n} key frames have no drift with an interval; three are the least")
    for name, values in (("times_s", times_s), ("fidelity", fidelity), ("weights_s", weights_s)):
        require_finite(name, values)
    minutes = (times_s + weights_s / 2) / 60.0
    weights = weights_s / weights_s.sum()
    away, spread = minutes - weights @ minutes, fidelity - weights @ fidelity
    variance = weights @ away**2
    slope = float(weights @ (away * spread) / variance)
    residuals = spread - slope * away
    if float(np.abs(residuals).max()) <= _ON_THE_LINE:
        return slope, None
    pull = weights * (1.0 + away**2 / variance)
    error = float(np.sqrt((weights**2) @ (away * residuals / (1.0 - pull)) ** 2) / variance)
    reach = float(stdtrit(n - 2, 0.975)) * error
    return slope, Interval(slope - reach, slope + reach)
