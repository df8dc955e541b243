"""One video to be made: what is asked, what is said, and what will come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.adapters.live_avatar.limits import count_clips, count_frames
from pipeline.adapters.live_avatar.log import LogReader
from pipeline.errors import RequestError
from pipeline.speech.stage import prepare_sound

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.adapters.live_avatar.limits import Size
    from pipeline.adapters.live_avatar.settings import LiveAvatarSettings
    from pipeline.events import Timeline
    from pipeline.request import GenerationRequest
    from pipeline.speech.stage import SpokenSound


@dataclass(frozen=True, slots=True)
class Sample:
    """One video to be made.

    Parameters
    ----------
    request : GenerationRequest
        What is asked.
    settings : LiveAvatarSettings
        With the request's options over them.
    sound : SpokenSound
        What is said.
    size : Size or None
        What comes out; None where only the user's script knows.
    """

    request: GenerationRequest
    settings: LiveAvatarSettings
    sound: SpokenSound
    size: Size | None

    @property
    def n_clips(self) -> int:
        """Clips that it takes."""
        return count_clips(self.sound.duration_s, self.request.infer_frames, self.request.num_clip)

    @property
    def n_frames(self) -> int:
        """Frames that come out."""
        return count_frames(self.sound.duration_s, self.request.infer_frames, self.n_clips)

    def reader(self, timeline: Timeline, *, is_loaded: bool = False) -> LogReader:
        """Return a reader of the log of its making."""
        return LogReader(
            timeline,
            n_ranks=len(self.settings.gpus),
            last_rank=self.settings.n_gpus_dit - 1,
            infer_frames=self.request.infer_frames,
            sample_steps=self.request.sample_steps,
            n_clips=self.n_clips,
            is_loaded=is_loaded,
        )


def prepare_sample(
    request: GenerationRequest, settings: LiveAvatarSettings, size: Size | None, folder: Path
) -> Sample:
    """Make the sound of a request.

    Parameters
    ----------
    request : GenerationRequest
        Checked.
    settings : LiveAvatarSettings
        With the request's options over them.
    size : Size or None
        What comes out, if that is known.
    folder : Path
        Where text is spoken into a file.

    Raises
    ------
    RequestError
        As `prepare_sound`, or if its code would misread the path.
    """
    sound = prepare_sound(request, folder)
    check_sound_path(sound.path)
    return Sample(request, settings, sound, size)


def check_sound_path(path: Path) -> None:
    """Refuse a path that its code would take for several speakers' files.

    Raises
    ------
    RequestError
        Naming it.
    """
    if "+" in str(path):
        raise RequestError(f"audio {str(path)!r}: its code takes + for a second speaker's file; rename it")
