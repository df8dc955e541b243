"""A portrait that speaks: planted truth for everything that follows a mouth.

The portrait is scikit-image's ``astronaut`` (NASA, public domain, inside the wheel). Its lower lip and chin are
stretched down by a known opening curve and the gap is painted dark, so the lips follow the curve and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit.testing.media import write_clip
from evalkit.testing.speech import speak

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from evalkit.metrics.closures import Closures
    from pipeline.phonemes import Phoneme

    FloatArray = NDArray[np.float64]
    Frame = NDArray[np.uint8]

SENTENCES = (
    "Good morning, and welcome back to our show. Today we open every box before you buy.",
    "Please bring a warm jacket, because the evening wind blows over the harbour wall.",
    "My neighbour paints a small boat every summer and gives it away in autumn.",
)

# Where the mouth lies in the portrait, in its own pixels.
_CENTRE_X, _HALF_WIDTH, _CORNER_Y = 224.2, 20.3, 140.7
_UPPER_SAG, _LOWER_SAG = 2.8, 10.0
_CLOSED_GAP, _OPEN_GAP = 0.6, 17.0
_NECK_Y = 205.0
_FACE_CENTRE = (224.0, 126.0)
_CROP_HEIGHT = 192.0
_INTERIOR = (52.0, 20.0, 24.0)


@dataclass(frozen=True)
class TalkingFace:
    """A written clip and the truth in it.

    Parameters
    ----------
    path : Path
        The file.
    times_s, opening : FloatArray, shape (n_frames,)
        The mouth's opening, from 0 (closed) to 1, at each frame.
    samples : float32 array
        The speech as it was before encoding.
    rate_hz : int
        Its samples a second.
    """

    path: Path
    times_s: FloatArray
    opening: FloatArray
    samples: NDArray[np.float32]
    rate_hz: int


def write_talking_face(
    path: Path,
    *,
    text: str = SENTENCES[0],
    voice: str = "en-us",
    delay_ms: float = 0.0,
    fps: float = 25,
    width: int = 256,
    height: int = 256,
    sway_px: float = 1.5,
) -> TalkingFace:
    """Write a clip of the portrait saying `text`.

    Parameters
    ----------
    path
        As for `evalkit.testing.media.write_clip`.
    text, voice
        What is said; see `evalkit.testing.speech.speak`.
    delay_ms : float
        The mouth follows the sound by this much: positive = the sound leads.
    fps, width, height
        Of the picture.
    sway_px : float
        How far the head sways to each side, in pixels of the portrait. At 0 the picture stands still in pauses.
    """
    samples, rate_hz = speak(text, voice)
    times_s = np.arange(int(len(samples) / rate_hz * fps)) / fps
    opening = opening_of(samples, rate_hz, times_s - delay_ms / 1000)
    sway = sway_px * np.sin(2 * np.pi * 0.23 * times_s)
    write_clip(
        path,
        talking_frames(opening, width=width, height=height, sway_px=sway),
        fps=fps,
        sound=samples,
        rate_hz=rate_hz,
    )
    return TalkingFace(path, times_s, opening, samples, rate_hz)


@dataclass(frozen=True)
class ClosingFace:
    """A written clip whose lips meet where p, b and m are spoken, and the truth in it.

    Parameters
    ----------
    path : Path
        The file.
    text, voice : str
        What is said.
    phonemes : tuple of Phoneme
        When each sound is heard.
    closures : Closures
        Where the lips are to be sealed, on the sound's clock.
    is_missed : bool array, shape (n_closures,)
        Where they are not.
    """

    path: Path
    text: str
    voice: str
    phonemes: tuple[Phoneme, ...]
    closures: Closures
    is_missed: NDArray[np.bool_]


def write_closing_face(
    path: Path,
    *,
    text: str = SENTENCES[0],
    voice: str = "en-us",
    missed: Collection[int] = (),
    delay_ms: float = 0.0,
    fps: float = 25,
    draw: Callable[[FloatArray, FloatArray], Iterable[Frame]] | None = None,
) -> ClosingFace:
    """Write a clip of a face that says `text`, its lips sealed exactly while a closure is heard.

    Parameters
    ----------
    path
        As for `evalkit.testing.media.write_clip`.
    text, voice
        As for `pipeline.speech.espeak.Espeak.speak`.
    missed : collection of int
        Numbers of the closures that are left out.
    delay_ms : float
        The mouth follows the sound by this much: positive = the sound leads.
    fps
        Of the picture.
    draw : callable, optional
        From openings and times of the frames to pictures; the portrait of `talking_frames` unless given.
    """
    from evalkit.metrics.closures import find_closures
    from pipeline.speech.espeak import Espeak

    speech = Espeak().speak(text, voice)
    closures = find_closures(speech.phonemes)
    times_s = np.arange(int(speech.duration_s * fps)) / fps
    sealed = list(zip(closures.starts_s.tolist(), closures.ends_s.tolist(), strict=True))
    opening = opening_of_phonemes(speech.phonemes, sealed, times_s - delay_ms / 1000, missed)
    frames = talking_frames(opening) if draw is None else draw(opening, times_s)
    sound = speech.samples.astype(np.float32) / 32768
    write_clip(path, frames, fps=fps, sound=sound, rate_hz=speech.rate_hz)
    is_missed = np.isin(np.arange(closures.n), list(missed))
    return ClosingFace(path, text, voice, speech.phonemes, closures, is_missed)


def opening_of(
    samples: NDArray[np.float32], rate_hz: int, times_s: FloatArray, smoothing_s: float = 0.04
) -> FloatArray:
    """Return a mouth opening that follows the loudness of speech.

    The rectified sound under a Gaussian window of `smoothing_s` (standard deviation), divided by its 95th
    percentile and cut to [0, 1]; 0 outside the sound.
    """
    from scipy.ndimage import gaussian_filter1d

    loudness = gaussian_filter1d(np.abs(samples).astype(np.float64), smoothing_s * rate_hz)
    peak = max(float(np.percentile(loudness, 95)), 1e-9)
    clock_s = np.arange(len(samples)) / rate_hz
    return np.clip(np.interp(times_s, clock_s, loudness / peak, left=0.0, right=0.0), 0.0, 1.0)


def talking_frames(
    opening: FloatArray, *, width: int = 256, height: int = 256, sway_px: FloatArray | None = None
) -> Iterator[Frame]:
    """Draw the portrait with its mouth open by a given amount.

    Parameters
    ----------
    opening : FloatArray, shape (n,)
        From 0 (lips together) to 1 (wide open), one a frame.
    width, height
        Of the picture; the face fills about half of the shorter side.
    sway_px : FloatArray, shape (n,), optional
        Sideways shift of the whole picture, in pixels of the portrait.

    Yields
    ------
    uint8 array, shape (height, width, 3)
    """
    import cv2
    from skimage.data import astronaut

    portrait = astronaut()
    scale = _CROP_HEIGHT / min(width, height)
    x = _FACE_CENTRE[0] + (np.arange(width) - (width - 1) / 2) * scale
    y = _FACE_CENTRE[1] + (np.arange(height) - (height - 1) / 2) * scale
    y += max(0.0, -y[0])
    across, down = np.meshgrid(x, y)
    for index, open_share in enumerate(opening):
        sideways = across if sway_px is None else across + sway_px[index]
        rows, interior = _open_mouth(sideways, down, float(open_share))
        frame = cv2.remap(
            portrait,
            sideways.astype(np.float32),
            rows.astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        painted = frame + interior[..., None] * (np.array(_INTERIOR) - frame)
        yield np.clip(painted + 0.5, 0, 255).astype(np.uint8)


def _open_mouth(x: FloatArray, y: FloatArray, opening: float) -> tuple[FloatArray, FloatArray]:
    """Return the portrait's row that each pixel shows, and how much of the dark interior covers it (0 to 1)."""
    gap = _CLOSED_GAP + opening * (_OPEN_GAP - _CLOSED_GAP)
    arch = np.clip(1 - ((x - _CENTRE_X) / _HALF_WIDTH) ** 2, 0, None)
    upper = _CORNER_Y + _UPPER_SAG * arch
    lower = _CORNER_Y + _LOWER_SAG * arch
    drop = (gap - (_LOWER_SAG - _UPPER_SAG)) * arch
    reach = _NECK_Y - lower
    stretched = (y - drop * _NECK_Y / reach) / (1 - drop / reach)
    below = (y > lower + drop) & (y < _NECK_Y)
    rows = np.where(below, stretched, y)
    inside = (y > upper) & ~below & (arch > 0) & (y < _NECK_Y)
    depth = np.clip((y - (upper + 0.55 * (lower - upper))) / 2.0, 0, 1)  # the upper teeth stay in sight
    return rows, np.where(inside, depth, 0.0)


_OPENNESS = {
    "a": 1.0,
    "æ": 1.0,
    "ɑ": 1.0,
    "ʌ": 0.8,
    "ɐ": 0.8,
    "ɔ": 0.8,
    "ɒ": 0.8,
    "o": 0.6,
    "e": 0.6,
    "ɛ": 0.7,
}
_OTHER_VOWEL, _CONSONANT = 0.45, 0.35
_CLOSING_S = 0.05
_EASE_S = 0.025


def opening_of_phonemes(
    phonemes: Sequence[Phoneme],
    sealed: Sequence[tuple[float, float]],
    times_s: FloatArray,
    missed: Collection[int] = (),
) -> FloatArray:
    """Return a mouth opening that follows speech sounds and is shut while the lips are to be sealed.

    Parameters
    ----------
    phonemes : sequence of Phoneme
        What is spoken. Open vowels open the mouth wide; pauses close it.
    sealed : sequence of (float, float)
        Begin and end of every closure, seconds. Lips take 50 ms to meet, and to part.
    times_s : FloatArray, shape (n,)
        Of the frames.
    missed : collection of int
        Numbers of the closures in which the lips stay as open as beside them.

    Returns
    -------
    FloatArray, shape (n,)
        From 0 (lips together) to 1.
    """
    from scipy.ndimage import gaussian_filter1d

    clock_s = np.arange(0.0, max(phonemes[-1].end_s, float(times_s.max())) + 0.5, 0.001)
    target = np.zeros(clock_s.size)
    for phoneme in phonemes:
        rows = slice(*np.searchsorted(clock_s, (phoneme.start_s, phoneme.end_s)))
        letters = [sign for sign in phoneme.symbol if sign.isalpha()]
        target[rows] = max(
            (_OPENNESS.get(sign, _OTHER_VOWEL if sign in "iuɪʊəɚɜy" else _CONSONANT) for sign in letters),
            default=0.0,
        )
    course = gaussian_filter1d(target, _EASE_S / 0.001)
    for number, (start_s, end_s) in enumerate(sealed):
        if number in missed:
            continue
        away_s = np.maximum(np.maximum(start_s - clock_s, clock_s - end_s), 0.0)
        course = np.minimum(course, np.clip(away_s / _CLOSING_S, 0.0, 1.0))
    return np.interp(times_s, clock_s, course, left=0.0, right=0.0)
