"""What planting needs to know of a clip, found in the pass that measures it as it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evalkit.measuring.observer import Observer
from evalkit.media import Reader
from evalkit.types import AudioChunk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from evalkit.types import BoolArray, ClipFacts, FloatArray, FrameChunk

    Samples = NDArray[np.float32]

LEAST_FACES = 0.3
"""Share of the frames in which a face has to be found for its mouth to be changed."""
EYES = (33, 263)
"""Outer corners of the eyes, left and right as seen."""
STEADY_POINTS = (33, 133, 362, 263, 168, 6, 197, 8, 9, 127, 356)
"""Points of the face that speaking does not move."""
INNER_LIPS = ((78, 78), (82, 87), (13, 14), (312, 317), (308, 308))
"""Upper and lower point of the mouth's opening, from the left corner to the right."""
CHIN, UNDER_NOSE = 152, 2
POINTS = tuple(
    dict.fromkeys((*STEADY_POINTS, *(point for pair in INNER_LIPS for point in pair), CHIN, UNDER_NOSE))
)
"""Numbers of the landmarks that are kept."""

_STEREO = 2
_QUIET_DB = 40.0
_BLOCK_S = 0.1
_LEAST_RMS = 1e-5
_N_SAMPLED = 2_000_000


class Unplantable(Exception):  # noqa: N818 - what it says is a fact about the clip, and no failure
    """A fault cannot be planted in a clip; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Survey:
    """A clip as it was found: plain data that can be sent to the processes that plant.

    Parameters
    ----------
    path : str
    n_frames : int
    end_s : float
        Until when the last frame is shown.
    fps : float
        Frames a second, from their times.
    face_file, sound_file : str or None
        Landmarks and samples, as `Material` reads them; None where there is no picture or no sound.
    sound_rate_hz, n_channels, n_samples : int
        Of the sound; 0 without.
    brand_file : str or None
        Of the brand whose mark is planted.
    """

    path: str
    n_frames: int = 0
    end_s: float = 0.0
    fps: float = 25.0
    face_file: str | None = None
    sound_file: str | None = None
    sound_rate_hz: int = 0
    n_channels: int = 0
    n_samples: int = 0
    brand_file: str | None = None


class Surveyor(Observer):
    """Watches a clip being measured, and keeps where the landmarks of its face are."""

    needs_frames = True

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._points: list[NDArray[np.float32]] = []
        self._end_s: float | None = None

    def on_frames(self, chunk: FrameChunk, points: Mapping[str, Sequence[Any]]) -> None:
        """Keep the landmarks of the next frames."""
        faces = points.get("face") or [None] * len(chunk.frames)
        self._times_s += chunk.times_s.tolist()
        self._end_s = chunk.end_s
        for face in faces:
            nowhere = np.full((len(POINTS), 2), np.nan, np.float32)
            self._points.append(nowhere if face is None else np.asarray(face, np.float32)[list(POINTS)])

    def survey(self, facts: ClipFacts, folder: Path, brand_file: str | None = None) -> Survey:
        """Write what was seen, and the sound, into a folder.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        times_s = np.array(self._times_s)
        face_file: Path | None = None
        fps, end_s = 25.0, 0.0
        if times_s.size:
            face_file = folder / "face.npz"
            np.savez(face_file, times_s=times_s, points=np.stack(self._points))
            if times_s.size > 1:
                fps = float((times_s.size - 1) / (times_s[-1] - times_s[0]))
            end_s = self._end_s or float(times_s[-1]) + 1.0 / fps
        sound_file, n_samples, n_channels = _write_sound(facts, folder / "sound.f32")
        return Survey(
            facts.path,
            int(times_s.size),
            end_s,
            fps,
            None if face_file is None else str(face_file),
            sound_file,
            facts.audio.sample_rate_hz if facts.audio and sound_file else 0,
            n_channels,
            n_samples,
            brand_file,
        )


def recorded_rates_hz(facts: ClipFacts) -> tuple[int | None, ...]:
    """Return how the sound of a clip is read: as recorded, or mixed where it has more than two channels."""
    if facts.audio is None:
        return ()
    return (None,) if facts.audio.n_channels <= _STEREO else (facts.audio.sample_rate_hz,)


def _write_sound(facts: ClipFacts, file: Path) -> tuple[str | None, int, int]:
    """Write the samples of a clip as recorded, from its zero on; return the file, their number and the channels'."""
    if facts.audio is None:
        return None, 0, 0
    n_written, n_channels = 0, 1
    with file.open("wb") as out:
        for chunk in Reader(facts, frames=False, sound_rates_hz=recorded_rates_hz(facts)):
            if not isinstance(chunk, AudioChunk):
                continue
            samples = np.atleast_2d(chunk.samples.T).T.astype(np.float32)
            n_channels = samples.shape[1]
            if not n_written:  # what begins after the clip's zero is preceded by silence
                begins = round(chunk.start_s * chunk.rate_hz)
                samples = samples[max(0, -begins) :]
                samples = np.concatenate([np.zeros((max(0, begins), n_channels), np.float32), samples])
            out.write(np.ascontiguousarray(samples).tobytes())
            n_written += samples.shape[0]
    return (str(file), n_written, n_channels) if n_written else (None, 0, 0)


class Material:
    """A clip in which faults are planted.

    Parameters
    ----------
    survey : Survey
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey

    @cached_property
    def samples(self) -> Samples:
        """The sound as recorded, shape (n, n_channels), read from disk as it is needed.

        Raises
        ------
        Unplantable
            Without sound.
        """
        if self.survey.sound_file is None:
            raise Unplantable("the file has no sound")
        shape = (self.survey.n_samples, self.survey.n_channels)
        return np.memmap(self.survey.sound_file, np.float32, "r", shape=shape)

    @cached_property
    def speech_rms(self) -> float:
        """Root mean square of the sound where it is not quiet, full scale 1.

        Raises
        ------
        Unplantable
            Where there is nothing but silence.
        """
        block = max(1, round(_BLOCK_S * self.survey.sound_rate_hz))
        n_blocks = max(1, len(self.samples) // block)
        powers = np.array(
            [
                np.square(self.samples[k * block : (k + 1) * block], dtype=np.float64).mean()
                for k in range(n_blocks)
            ]
        )
        loud = powers[powers >= powers.max() * 10 ** (-_QUIET_DB / 10)]
        rms = float(np.sqrt(loud.mean())) if loud.size else 0.0
        if rms < _LEAST_RMS:
            raise Unplantable("the sound is digital silence")
        return rms

    def level_exceeded_by(self, share: float) -> float:
        """Return the level that a share of the samples exceeds, full scale 1.

        Raises
        ------
        Unplantable
            Where there is nothing but silence.
        """
        step = max(1, len(self.samples) // _N_SAMPLED)
        level = float(np.quantile(np.abs(self.samples[::step]), 1.0 - share))
        if level < _LEAST_RMS:
            raise Unplantable("the sound is digital silence")
        return level

    @cached_property
    def face(self) -> tuple[FloatArray, NDArray[np.float32], BoolArray]:
        """Times of the frames, landmarks in pixels (n, n_points, 2), and whether a face was found.

        Raises
        ------
        Unplantable
            Where too few frames show a face.
        """
        if self.survey.face_file is None:
            raise Unplantable("the file has no picture")
        with np.load(self.survey.face_file) as stored:
            times_s, points = stored["times_s"], stored["points"]
        found = np.isfinite(points).all(axis=(1, 2))
        if found.mean() < LEAST_FACES:
            raise Unplantable("no face was found in enough frames")
        return times_s, points, found

    def stretch_s(self, share: float, length_s: float) -> tuple[float, float]:
        """Return the middle of the clip, from and to, that is a share of it: a larger one holds a smaller one.

        >>> Material(Survey("a.mp4")).stretch_s(0.5, 10.0)
        (2.5, 7.5)
        """
        return (0.5 - share / 2) * length_s, (0.5 + share / 2) * length_s


def point(points: NDArray[np.float32], number: int) -> NDArray[np.float64]:
    """Return one landmark of those kept, in pixels."""
    return points[..., POINTS.index(number), :].astype(np.float64)
