"""What a media file says of itself, before anything but its first frame is decoded."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error

from evalkit.errors import ClipError
from evalkit.types import AudioFacts, ClipFacts, VideoFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    with open_container(path) as container:
        video = _video_facts(container, path)
        audio = _audio_facts(container)
    if audio_path is not None:
        with open_container(audio_path) as container:
            audio = _audio_facts(container)
        if audio is None:
            raise ClipError("no_streams", audio_path, "has no sound that could replace the clip's own")
    if video is None and audio is None:
        raise ClipError("no_streams", path, "has neither a picture nor a sound")
    return ClipFacts(path, audio_path, video, audio)


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


def _video_facts(container: av.container.InputContainer, path: str) -> VideoFacts | None:
    stream = picture_stream(container)
    if stream is None:
        return None
    frame = _first_frame(container, stream)
    if frame is None:
        raise ClipError("undecodable_video", path, "has a picture stream of which no frame can be decoded")
    width, height = display_size(frame, stream.sample_aspect_ratio)
    return VideoFacts(
        width=width,
        height=height,
        announced_fps=_float(stream.average_rate) or _float(stream.guessed_rate),
        announced_duration_s=_duration_s(stream, container),
        start_s=(stream.start_time or 0) * float(stream.time_base) - origin_s(container),
        codec=stream.codec_context.name,
        rotation_deg=int(frame.rotation) % 360,
        n_announced_frames=stream.frames or None,
    )


def _audio_facts(container: av.container.InputContainer) -> AudioFacts | None:
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    if not stream.codec_context.sample_rate:
        return None
    return AudioFacts(
        sample_rate_hz=stream.codec_context.sample_rate,
        n_channels=stream.codec_context.channels,
        announced_duration_s=_duration_s(stream, container),
        start_s=(stream.start_time or 0) * float(stream.time_base) - origin_s(container),
        codec=stream.codec_context.name,
    )


def display_size(frame: av.VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Return the width and height that a viewer sees: square pixels, upright."""
    width, height = frame.width, frame.height
    if aspect and aspect != 1:
        width = max(1, round(width * float(aspect)))
    if int(frame.rotation) % 180:
        width, height = height, width
    return width, height


def picture_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """Return the first picture stream that is no cover art."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


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


def _duration_s(
    stream: av.VideoStream | av.AudioStream, container: av.container.InputContainer
) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration) / MICROSECONDS
    return None


def _float(rate: Fraction | None) -> float | None:
    return float(rate) if rate else None


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
