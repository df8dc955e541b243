"""What a media file says of itself, before anything but its first frame is decoded."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error

from evalkit.errors import ClipError
from evalkit.media.colours import to_rgb
from evalkit.media.orientation import Orientation
from evalkit.types import AudioFacts, ClipFacts, VideoFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

MICROSECONDS = 1e6


def probe(path: str, audio_path: str | None = None) -> ClipFacts:
    """Read the facts of a clip.

    Parameters
    ----------
    path : str
        A video (or sound) file.
    audio_path : str, optional
        A separate sound file that replaces the clip's own sound.

    Raises
    ------
    ClipError
        With a code and one line that says what is wrong: ``missing_file``, ``not_a_file``, ``empty_file``,
        ``not_permitted``, ``not_media``, ``no_streams``, ``undecodable_video``.
    """
    notes: list[str] = []
    with open_container(path) as container:
        video = _video_facts(container, path, notes)
        audio = None if audio_path is not None else _audio_facts(container, notes)
    if audio_path is not None:
        with open_container(audio_path) as container:
            audio = _audio_facts(container, notes)
        if audio is None:
            raise ClipError("no_streams", audio_path, "has no sound that could replace the clip's own")
    if video is None and audio is None:
        raise ClipError("no_streams", path, "has neither a picture nor a sound")
    return ClipFacts(path, audio_path, video, audio, notes=tuple(notes))


@contextlib.contextmanager
def open_container(path: str) -> Iterator[av.container.InputContainer]:
    """Open a media file for reading; every way in which that can fail is a `ClipError`."""
    file = Path(path)
    try:
        if not file.exists():
            raise ClipError("missing_file", path, "there is no such file")
        if not file.is_file():
            raise ClipError("not_a_file", path, "is not a file")
        size_bytes = file.stat().st_size
        with file.open("rb"):
            pass
    except PermissionError:
        raise ClipError("not_permitted", path, "may not be read; check its permissions") from None
    except OSError as error:
        raise ClipError("unreadable", path, f"cannot be read: {error.strerror or error}") from error
    if size_bytes == 0:
        raise ClipError("empty_file", path, "is empty")
    try:
        # "file:" keeps a name with a colon from being taken for a network address, and the whitelist keeps a
        # playlist from reading anything else.
        container = av.open(
            f"file:{path}",
            metadata_errors="replace",
            options={"protocol_whitelist": "file", "format_whitelist": _FORMATS},
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ClipError(
            "not_media", path, f"is not a video or sound file that can be read ({_words(error)})"
        ) from error
    try:
        yield container
    finally:
        container.close()


# Formats that hold one clip. Playlists and image sequences, which name other files, are left out.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,mpeg,mpegvideo,mpegts,matroska,webm,flv,asf,ogg,"
    "wav,w64,mp3,flac,aac,aiff,au,caf,amr,gif,ivf,h264,hevc,m4v,mxf,nut"
)


def origin_s(container: av.container.InputContainer) -> float:
    """Return the time on the container's clock that counts as the clip's zero, in seconds."""
    start = container.start_time
    return 0.0 if start is None else start / MICROSECONDS


def _video_facts(container: av.container.InputContainer, path: str, notes: list[str]) -> VideoFacts | None:
    stream = picture_stream(container)
    if stream is None:
        return None
    frame = _first_frame(container, stream)
    if frame is None:
        raise ClipError("undecodable_video", path, "has a picture stream of which no frame can be decoded")
    width, height = display_size(frame, stream.sample_aspect_ratio)
    orientation = Orientation.of(frame)
    try:
        to_rgb(frame, width, height)
    except (av.error.FFmpegError, ValueError) as error:
        raise ClipError(
            "undecodable_video",
            path,
            f"has pixels that cannot be turned into RGB: {frame.format.name} ({_words(error)})",
        ) from error
    notes += _notes_on_choice("picture", _pictures(container), stream)
    if orientation.is_mirrored:
        notes.append("the picture is stored mirrored; it is measured as players show it")
    if orientation.crooked_deg:
        notes.append(
            f"the file asks for a turn that is {orientation.crooked_deg:.0f}° from a quarter turn; "
            f"the picture is measured turned by {orientation.rotation_deg}°"
        )
    return VideoFacts(
        width=width,
        height=height,
        announced_fps=_float(stream.average_rate) or _float(stream.guessed_rate),
        announced_duration_s=_duration_s(stream, container),
        start_s=_start_s(stream, container),
        codec=stream.codec_context.name,
        rotation_deg=orientation.rotation_deg,
        n_announced_frames=_n_frames(stream, container),
        is_mirrored=orientation.is_mirrored,
    )


def _audio_facts(container: av.container.InputContainer, notes: list[str]) -> AudioFacts | None:
    stream = sound_stream(container)
    if stream is None:
        return None
    notes += _notes_on_choice("sound", _sounds(container), stream)
    return AudioFacts(
        sample_rate_hz=stream.codec_context.sample_rate,
        n_channels=stream.codec_context.channels,
        announced_duration_s=_duration_s(stream, container),
        start_s=_start_s(stream, container),
        codec=stream.codec_context.name,
    )


def display_size(frame: av.VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Return the width and height that a viewer sees: square pixels, upright."""
    width, height = frame.width, frame.height
    if aspect and aspect != 1:
        width = max(1, round(width * float(aspect)))
    if Orientation.of(frame).swaps_sides:
        width, height = height, width
    return width, height


_COVER = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
_ASIDE = (
    av.stream.Disposition.comment
    | av.stream.Disposition.visual_impaired
    | av.stream.Disposition.hearing_impaired
    | av.stream.Disposition.descriptions
)


def picture_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """Return the picture that players show: the default one, else the first that is no cover art."""
    return min(_pictures(container), key=_rank, default=None)


def sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """Return the sound that players play: the default one, else the first that is no commentary."""
    return min(_sounds(container), key=_rank, default=None)


def _pictures(container: av.container.InputContainer) -> list[av.VideoStream]:
    streams = container.streams.video
    return [stream for stream in streams if stream.codec_context and not stream.disposition & _COVER]


def _sounds(container: av.container.InputContainer) -> list[av.AudioStream]:
    streams = container.streams.audio
    return [stream for stream in streams if stream.codec_context and stream.codec_context.sample_rate]


def _rank(stream: av.VideoStream | av.AudioStream) -> tuple[bool, bool, int]:
    """Return what puts the stream that is played first."""
    disposition = stream.disposition
    return (
        not disposition & av.stream.Disposition.default,
        bool(disposition & _ASIDE),
        stream.index,
    )


def _notes_on_choice(
    what: str, streams: Sequence[av.VideoStream | av.AudioStream], chosen: av.VideoStream | av.AudioStream
) -> Iterator[str]:
    """Say that there was something to choose from."""
    if len(streams) > 1:
        why = (
            "the default one" if chosen.disposition & av.stream.Disposition.default else "none is the default"
        )
        place = 1 + [stream.index for stream in streams].index(chosen.index)
        yield f"the file has {len(streams)} {what} tracks; number {place} is measured ({why})"


def _first_frame(
    container: av.container.InputContainer, stream: av.VideoStream, n_packets: int = 300
) -> av.VideoFrame | None:
    """Decode until the first good frame, looking no further than `n_packets` packets."""
    for count, packet in enumerate(container.demux(stream)):
        try:
            for frame in packet.decode():
                return frame
        except av.error.FFmpegError:
            pass
        if count >= n_packets:
            break
    return None


def _start_s(stream: av.VideoStream | av.AudioStream, container: av.container.InputContainer) -> float:
    return (stream.start_time or 0) * float(stream.time_base) - origin_s(container)


def _duration_s(
    stream: av.VideoStream | av.AudioStream, container: av.container.InputContainer
) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is None:
        return None
    # A length of the whole file says where its longest stream ends. Matroska's counts from the zero of a clock on which
    # the file may begin late.
    length_s = float(container.duration) / MICROSECONDS
    if container.format.name == "matroska,webm" and length_s > origin_s(container):
        length_s -= origin_s(container)
    return max(0.0, length_s - _start_s(stream, container))


def _n_frames(stream: av.VideoStream, container: av.container.InputContainer) -> int | None:
    """Return how many pictures the file should give; those that an edit list hides included."""
    if stream.frames and container.format.name.startswith("mov,"):
        return len(stream.index_entries)
    if container.format.name == "avi" and len(stream.index_entries) > 1:
        # The header counts ticks, those included that have no picture of their own.
        return len(stream.index_entries)
    return stream.frames or None


def _float(rate: Fraction | None) -> float | None:
    return float(rate) if rate else None


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
