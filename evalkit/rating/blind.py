"""Blind copies: clips as browsers play them, with nothing in them that tells where they came from.

Packets are copied where browsers play them as they are, and the copy is decoded beside the original: it counts only if
every frame and every sample is the same, at the same time. What cannot be copied is encoded anew, and a note says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evalkit.errors import ClipError
from evalkit.media import Reader, probe
from evalkit.media.playable import find_obstacles, write_playable
from evalkit.media.reader import LONGEST_SIDE_PX
from evalkit.runs.files import write_atomically
from evalkit.types import AudioChunk, FrameChunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from evalkit.media.playable import Part
    from evalkit.types import ClipFacts

SAME_TIME_S = 0.001
"""Frames and sound of a copy may lie this far from where they were: clocks count in different ticks."""
FREEZE_S = 0.5
"""A broken copy stands still every other stretch of this length."""
N_BLOCKS = 10
"""Coarse blocks along the longer side of a broken copy."""
_SIGNATURES = re.compile(
    rb"Lav[cf]\d+\.|x26[45] - |x26[45] \(build|libx26[45]|libfaac|HandBrake|GPAC|NVENC|VideoLAN|mp4v2|Google Inc",
)
"""What encoders and tools leave in files."""


@dataclass(frozen=True, slots=True)
class BlindClip:
    """A copy that raters can be shown.

    Parameters
    ----------
    duration_s : float
        As players have it: to the end of the longer of picture and sound.
    fps : float
        Frames a second, on the average.
    width, height : int
        As shown, in pixels.
    has_sound : bool
    notes : tuple of str
        One line for people each: what is not as it was in the original.
    """

    duration_s: float
    fps: float
    width: int
    height: int
    has_sound: bool
    notes: tuple[str, ...] = ()


def make_blind_copy(video: Path, out: Path) -> BlindClip:
    """Make a copy of a clip that tells nothing but what it shows and says.

    The same content gives the same bytes, wherever it lies and whenever it is copied.

    Parameters
    ----------
    video : Path
        The clip.
    out : Path
        The copy, MP4; it appears when it is whole.

    Raises
    ------
    ClipError
        If `video` cannot be opened, has no picture, or none that can be decoded.
    OSError
        If `out` cannot be written.
    """
    facts = _with_picture(video)
    original = _Shown.of(facts)
    with _part_of(out) as part:
        anew, copy = _write(original, part)
        write_atomically(out, part.read_bytes())
    return copy.describe(tuple(_notes(original, anew)))


def make_broken_copy(video: Path, out: Path, seed: int) -> BlindClip:
    """Make a copy that anybody who looks or listens takes for broken, within a second.

    The picture is in coarse blocks and stands still every other half second; instead of the sound there is noise that is as
    loud. Size and length are those of the original.

    Parameters
    ----------
    video, out : Path
        As of `make_blind_copy`.
    seed : int
        Of the noise.

    Raises
    ------
    ClipError, OSError
        As of `make_blind_copy`.
    """
    facts = _with_picture(video)
    loudness = _rms(facts)
    with _part_of(out) as part:
        write_playable(facts, part, anew=("picture", "sound"), chunks=_break(facts, loudness, seed))
        copy = _Shown.of(probe(str(part)))
        write_atomically(out, part.read_bytes())
    return copy.describe(("broken on purpose",))


def find_leaks(data: bytes, words: Iterable[str]) -> list[str]:
    r"""Search bytes for words that would tell where they came from, and for what encoders sign with.

    Parameters
    ----------
    data : bytes
        What a rater is sent.
    words : iterable of str
        Names and values that must not be there; found in UTF-8 and UTF-16, in capitals or not. Shorter than four letters,
        they turn up by chance.

    Returns
    -------
    list of str
        What was found, each once.

    Examples
    --------
    >>> find_leaks(b"....Lavc62.28.102....s\0t\0e\0p\0s\0", ["steps", "portrait"])
    ['steps', 'Lavc62.']
    """
    folded = data.lower()
    found = [
        word
        for word in dict.fromkeys(words)
        if word and any(word.encode(code).lower() in folded for code in ("utf-8", "utf-16-le", "utf-16-be"))
    ]
    return found + list(dict.fromkeys(match.decode("ascii") for match in _SIGNATURES.findall(data)))


@contextlib.contextmanager
def _part_of(out: Path) -> Iterator[Path]:
    """Give a place beside a file for it to be written in; whatever is left there is removed."""
    with tempfile.TemporaryDirectory(prefix=f".{out.stem}.", dir=out.parent) as folder:
        yield Path(folder) / "copy.mp4"


def _with_picture(video: Path) -> ClipFacts:
    facts = probe(str(video))
    if facts.video is None:
        raise ClipError("no_picture", str(video), "has no picture: nothing that raters could look at")
    return facts


@dataclass
class _Shown:
    """What a player makes of a clip: digests of its frames and samples, and where they lie in time."""

    facts: ClipFacts
    times_s: list[float]
    pixels: str
    samples: str
    sound_start_s: float
    end_s: float
    notes: list[str]

    @classmethod
    def of(cls, facts: ClipFacts) -> _Shown:
        pixels, samples = hashlib.sha256(), hashlib.sha256()
        reader = Reader(facts, sound_rates_hz=(None,) if facts.audio else ())
        times_s: list[float] = []
        for chunk in reader:
            if isinstance(chunk, AudioChunk):
                samples.update(chunk.samples.tobytes())
                continue
            times_s += chunk.times_s.tolist()
            for frame in chunk.frames:
                pixels.update(frame.data)
        if not times_s:
            raise ClipError("undecodable_video", facts.path, "has a picture of which no frame can be decoded")
        decoded = reader.decoded
        return cls(
            facts,
            times_s,
            pixels.hexdigest(),
            samples.hexdigest(),
            decoded.sound_start_s or 0.0,
            max(decoded.picture_end_s or 0.0, decoded.sound_end_s or 0.0),
            decoded.notes,
        )

    def shows_the_same_as(self, other: _Shown) -> bool:
        return (
            self.pixels == other.pixels
            and len(self.times_s) == len(other.times_s)
            and bool(np.allclose(self.times_s, other.times_s, rtol=0, atol=SAME_TIME_S))
        )

    def sounds_the_same_as(self, other: _Shown) -> bool:
        return self.samples == other.samples and abs(self.sound_start_s - other.sound_start_s) <= SAME_TIME_S

    def describe(self, notes: tuple[str, ...]) -> BlindClip:
        video = self.facts.video
        assert video is not None  # noqa: S101 - `_with_picture`, or written with one
        length_s = self.times_s[-1] - self.times_s[0]
        fps = (len(self.times_s) - 1) / length_s if length_s else (video.announced_fps or 0.0)
        return BlindClip(
            self.end_s, fps, video.width, video.height, has_sound=self.facts.audio is not None, notes=notes
        )


def _write(original: _Shown, part: Path) -> tuple[dict[Part, str], _Shown]:
    """Write a copy; return what of it is encoded anew and why, and what it shows."""
    facts = original.facts
    anew = find_obstacles(facts)
    try:
        write_playable(facts, part, anew=anew)
        copy = _Shown.of(probe(str(part)))
        found = dict(_find_differences(original, copy, part, anew))
    except ClipError as error:  # packets that can be decoded, but not read
        found = {"picture": error.text, "sound": error.text}
    if found:
        anew = found | anew
        write_playable(facts, part, anew=anew)
        copy = _Shown.of(probe(str(part)))
    return anew, copy


def _find_differences(
    original: _Shown, copy: _Shown, part: Path, anew: dict[Part, str]
) -> Iterator[tuple[Part, str]]:
    """Say what was copied and is not as it was, or is still signed by its encoder."""
    is_signed = bool(find_leaks(part.read_bytes(), ()))
    if "picture" not in anew and (is_signed or not original.shows_the_same_as(copy)):
        yield "picture", "its packets alone do not show the same, or name their encoder"
    if "sound" not in anew and (is_signed or not original.sounds_the_same_as(copy)):
        yield "sound", "its packets alone do not sound the same, or name their encoder"


def _notes(original: _Shown, anew: dict[Part, str]) -> Iterator[str]:
    yield from original.notes
    video = original.facts.video
    if "picture" in anew and video is not None:
        yield f"the picture is encoded anew (H.264): {anew['picture']}"
        if max(video.width, video.height) > LONGEST_SIDE_PX:
            yield f"it is scaled down from {video.width} × {video.height}"
        elif video.width % 2 or video.height % 2:
            yield "it lacks the last row or column: H.264 for browsers holds even sizes only"
    if "sound" in anew and original.facts.audio is not None:
        yield f"the sound is encoded anew (AAC): {anew['sound']}"


def _rms(facts: ClipFacts) -> float:
    """Return the root mean square of the sound, full scale 1; 0 where there is none."""
    total, n = 0.0, 0
    if facts.audio is not None:
        for chunk in Reader(facts, frames=False, sound_rates_hz=(None,)):
            if isinstance(chunk, AudioChunk):
                total += float(np.square(chunk.samples, dtype=np.float64).sum())
                n += chunk.samples.size
    return (total / n) ** 0.5 if n else 0.0


def _break(facts: ClipFacts, loudness: float, seed: int) -> Iterator[FrameChunk | AudioChunk]:
    """Give a clip's chunks with a broken picture, and noise in place of the sound."""
    random = np.random.default_rng(seed)
    frozen: NDArray[np.uint8] | None = None
    for chunk in Reader(facts, sound_rates_hz=(None,) if facts.audio else ()):
        if isinstance(chunk, AudioChunk):
            noise = loudness * random.standard_normal(chunk.samples.shape)
            yield AudioChunk(chunk.start_s, chunk.rate_hz, np.clip(noise, -1, 1).astype(np.float32))
            continue
        frames = []
        for time_s, frame in zip(chunk.times_s.tolist(), chunk.frames, strict=True):
            moves = int(time_s / FREEZE_S) % 2 == 0
            if moves or frozen is None:
                frozen = _coarsen(frame)
            frames.append(frozen)
        yield FrameChunk(chunk.first_index, chunk.times_s, frames, chunk.end_s)


def _coarsen(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame of which every block has the colour of its middle."""
    side = max(1, max(frame.shape[:2]) // N_BLOCKS)
    rows, columns = (np.minimum(np.arange(n) // side * side + side // 2, n - 1) for n in frame.shape[:2])
    blocks: NDArray[np.uint8] = frame[rows][:, columns]
    return blocks
