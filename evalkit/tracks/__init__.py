"""From frames and sound to tracks: face, pose, picture, speech, loudness."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from evalkit.errors import UsageError

if TYPE_CHECKING:
    from evalkit.tracks.base import FrameTracker, SoundTracker

FRAME_TRACKERS = {
    "face": "evalkit.tracks.face:FaceTracker",
    "picture": "evalkit.tracks.picture:PictureTracker",
    "pose": "evalkit.tracks.pose:PoseTracker",
}
SOUND_TRACKERS = {
    "loudness": "evalkit.tracks.loudness:LoudnessTracker",
    "speech": "evalkit.tracks.speech:SpeechTracker",
}


def make_frame_tracker(name: str) -> FrameTracker:
    """Make a tracker that reads frames; its models load when first used."""
    tracker: FrameTracker = _class(FRAME_TRACKERS, name)()
    return tracker


def make_sound_tracker(name: str) -> SoundTracker:
    """Make a tracker that reads sound."""
    tracker: SoundTracker = _class(SOUND_TRACKERS, name)()
    return tracker


def _class(catalogue: dict[str, str], name: str) -> type:
    try:
        module, attribute = catalogue[name].split(":")
    except KeyError:
        known = ", ".join(sorted({*FRAME_TRACKERS, *SOUND_TRACKERS}))
        raise UsageError(f"no track named {name!r} (there are: {known})") from None
    tracker: type = getattr(import_module(module), attribute)
    return tracker
