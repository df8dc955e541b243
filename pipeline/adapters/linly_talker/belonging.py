"""Whether the video that came is the one that was asked for.

Wav2Lip and NeRFTalk answer with a file of one fixed name, also where their ffmpeg failed and it is still an earlier one's.
So an answer must be written after it was asked for and be no file of before, which the service tells with it; where it
tells nothing, it may not have the bytes of an answer to another request. And it must last as long as its sound.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pipeline.errors import GenerationError

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.adapters.http_service import Answer, Note
    from pipeline.video import MeasuredVideo

STALE = "stale_output"
"""Kind of the error for an answer that was made before it was asked for."""

_TOLERANCE_S = 0.3
"""How far picture and sound may be from the sound sent. Wav2Lip leaves out up to 4 frames of 25 a second at the end,
SadTalker less than one of 20; AAC adds up to two pieces of 1024 samples, 0.26 s at 8 kHz."""
_N_REMEMBERED = 64
_TAG, _MADE_FOR = "tag of the last answer", "answers and what they were made for"


def refuse_stale(part: Path, answer: Answer, asked_s: float | None, note: Note, key: str) -> None:
    """Refuse a file that the service made before it was asked; remember it otherwise.

    Parameters
    ----------
    part : Path
        What came.
    answer : Answer
        What the service says about it.
    asked_s : float or None
        When it was asked, by the service's clock.
    note : Note
        Of this service.
    key : str
        Of picture, sound and form: the same for the same request.

    Raises
    ------
    GenerationError
        ``stale_output``.
    """
    content = hashlib.sha256(part.read_bytes()).hexdigest()
    seen = note.read()
    made_for: dict[str, str] = seen.get(_MADE_FOR, {})
    if answer.tag is not None and answer.tag == seen.get(_TAG):
        raise _stale("the very file of the answer before")
    if asked_s is not None and answer.written_s is not None and answer.written_s < asked_s:
        raise _stale(f"a file that it wrote {asked_s - answer.written_s:.0f} s before it was asked")
    if answer.written_s is None and made_for.get(content, key) != key:
        raise _stale("the bytes of an earlier answer to another request")
    note.write(_TAG, answer.tag)
    note.write(_MADE_FOR, dict([*made_for.items(), (content, key)][-_N_REMEMBERED:]))


def refuse_other_length(measured: MeasuredVideo, sound_s: float) -> None:
    """Refuse a video whose picture or sound is longer or shorter than the sound it was made for, seconds.

    Raises
    ------
    GenerationError
        ``bad_output``.
    """
    for name, length_s in (("picture", measured.duration_s), ("sound", measured.audio_duration_s or 0.0)):
        if abs(length_s - sound_s) > _TOLERANCE_S:
            raise GenerationError(
                f"its {name} lasts {length_s:.2f} s and the sound that it was sent {sound_s:.2f} s: it is another "
                "video, or was not finished",
                "bad_output",
            )


def _stale(what: str) -> GenerationError:
    return GenerationError(
        f"it answered with {what}: it wrote no video for this request, most often as its ffmpeg is missing or failed. See "
        "its log and try `ffmpeg -version` where it runs; if its disk has another clock, set that right",
        STALE,
    )
