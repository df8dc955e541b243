"""What a generator gave, measured from the finished file."""

from __future__ import annotations

from pydantic import Field

from pipeline.events import Event
from pipeline.options import PlainData
from pipeline.phonemes import Phoneme
from pipeline.request import GenerationRequest


class Spoken(PlainData):
    """What the video was really asked to say and to show, where that came from an answer and not from the request.

    Attributes
    ----------
    text : str
        The words that were spoken.
    language : str
        Their language.
    prompt : str
        The prompt of the picture, with what the answer added to it.
    phonemes : tuple of Phoneme
        When each speech sound is heard, from the first sample; empty where the voice did not report it.
    """

    text: str
    language: str
    prompt: str
    phonemes: tuple[Phoneme, ...] = ()


class GenerationResult(PlainData):
    """What was really made, measured from the file.

    Attributes
    ----------
    generator, version : str
        Who made it.
    request : GenerationRequest
        What was asked.
    video : str
        Path of the file.
    width, height : int
        Of the picture, pixels.
    fps : float
        Frames a second on average: ``n_frames`` over the time they are shown.
    n_frames : int
        Frames in the file.
    duration_s : float
        From the first frame to the end of the last, seconds.
    audio_duration_s : float or None
        Length of the sound stream; ``None`` where there is none.
    n_clips : int or None
        Clips made; ``None`` where the generator does not report it.
    seed : int or None
        Seed really used; ``None`` where the generator does not report it.
    spoken : Spoken or None
        What was really asked of voice and picture after a conversation; ``None`` where the request itself says it.
    phonemes : tuple of Phoneme
        When each speech sound of the request's text is heard, from the first sample; empty where the voice did not report it, or
        the request had a sound.
    events : tuple of Event
        In the order in which they happened.
    versions : dict
        Name of a library or program to its version.
    weights : dict
        Name of a weight file to its SHA-256.
    """

    generator: str
    version: str
    request: GenerationRequest
    video: str
    width: int
    height: int
    fps: float
    n_frames: int
    duration_s: float
    audio_duration_s: float | None
    n_clips: int | None = None
    seed: int | None = None
    spoken: Spoken | None = None
    phonemes: tuple[Phoneme, ...] = ()
    events: tuple[Event, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)

    def time_of(self, name: str) -> float | None:
        """Return when something first happened, seconds since the request; ``None`` if it did not."""
        return next((event.time_s for event in self.events if event.name == name), None)
