"""From frames and sound to tracks: face, pose, picture, speech, loudness."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.tracks.base import FrameTracker, SoundTracker

if TYPE_CHECKING:
    from typing_extensions import TypeIs

TRACKERS = {
    "face": "evalkit.tracks.face:FaceTracker",
    "loudness": "evalkit.tracks.loudness:LoudnessTracker",
    "picture": "evalkit.tracks.picture:PictureTracker",
    "pose": "evalkit.tracks.pose:PoseTracker",
    "speech": "evalkit.tracks.speech:SpeechTracker",
}


def make_tracker(name: str) -> FrameTracker | SoundTracker:
    """Make one of the trackers that every evaluator may ask for; its models load when first used.

    Raises
    ------
    UsageError
        If there is no such track.
    """
    try:
        module, attribute = TRACKERS[name].split(":")
    except KeyError:
        raise UsageError(f"no track named {name!r} (there are: {', '.join(TRACKERS)})") from None
    tracker: FrameTracker | SoundTracker = getattr(import_module(module), attribute)()
    return tracker


def reads_sound(tracker: FrameTracker | SoundTracker) -> TypeIs[SoundTracker]:
    """Say whether a tracker makes its track from sound; otherwise it does so from frames."""
    return hasattr(tracker, "rate_hz")
