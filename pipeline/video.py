"""Finished video files: measuring what is in one, and giving it its name only when it is whole."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import GenerationError
from pipeline.formatting import count

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTAINER_TICKS_PER_S = 1_000_000
_MAX_MISSING_S, _MAX_MISSING_SHARE = 0.25, 0.05
"""A container may announce a little more than it holds; beyond both, it was cut off."""


@dataclass(frozen=True, slots=True)
class MeasuredVideo:
    """What is really in a video file.

    Parameters
    ----------
    width, height : int
        Of the picture, pixels.
    fps : float
        ``n_frames / duration_s``.
    n_frames : int
        Frames that a player shows.
    duration_s : float
        From the first frame to the end of the last, seconds.
    audio_duration_s : float or None
        Length of the sound, seconds; ``None`` where the file has no sound stream.
    """

    width: int
    height: int
    fps: float
    n_frames: int
    duration_s: float
    audio_duration_s: float | None


def measure_video(path: str | Path, *, sound_expected: bool = False) -> MeasuredVideo:
    """Measure a video file from what it holds, not from what its header announces.

    Every packet is read, and a frame at either end is decoded: a file that was cut off is found out in the time it
    takes to read it.

    Parameters
    ----------
    path : path
        The file.
    sound_expected : bool
        Whether a file without sound is an error.

    Raises
    ------
    GenerationError
        ``no_output`` if there is no file or nothing in it; ``bad_output`` if it is not a video, holds no frames, was cut
        off, or lacks its sound.
    """
    import av

    path = Path(path)
    if not path.is_file() or path.stat().st_size == 0:
        raise GenerationError(f"{path} was not written, or is empty", "no_output")
    try:
        with av.open(str(path)) as container:
            measured = _measure(container)
    except _DefectError as defect:
        raise GenerationError(f"{path}: {defect}", "bad_output") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise GenerationError(f"{path} is not a whole video: {error}", "bad_output") from error
    if sound_expected and not measured.audio_duration_s:
        raise GenerationError(f"{path}: the file has no sound, and sound was asked for", "bad_output")
    return measured


class _DefectError(Exception):
    """What is wrong with a file that opens."""


def _measure(container: Any) -> MeasuredVideo:
    if not container.streams.video:
        raise _DefectError("the file has no picture")
    picture = container.streams.video[0]
    sound = container.streams.audio[0] if container.streams.audio else None
    spans, n_stored = _read_spans(container, picture, sound)
    starts = sorted(start for start, _ in spans[picture.index])
    if not starts:
        raise _DefectError("the file holds no frames")
    if picture.frames > n_stored:
        raise _DefectError(f"cut off: {n_stored} of the {picture.frames} frames it announces are there")
    duration_s = float(_length(spans[picture.index]) * picture.time_base)
    if duration_s <= 0:
        raise _DefectError(f"the file holds {count(len(starts), 'frame')} and no duration")
    sound_s = None if sound is None else float(_length(spans[sound.index]) * sound.time_base)
    announced_s = (container.duration or 0) / _CONTAINER_TICKS_PER_S
    if announced_s - max(duration_s, sound_s or 0.0) > max(_MAX_MISSING_S, _MAX_MISSING_SHARE * announced_s):
        raise _DefectError(
            f"cut off: it announces {announced_s:.2f} s and holds {duration_s:.2f} s of picture"
        )
    for moment in (starts[0], starts[-1]):
        container.seek(moment, stream=picture)
        if next(container.decode(picture), None) is None:
            raise _DefectError("the picture cannot be decoded")
    return MeasuredVideo(
        width=picture.codec_context.width,
        height=picture.codec_context.height,
        fps=len(starts) / duration_s,
        n_frames=len(starts),
        duration_s=duration_s,
        audio_duration_s=sound_s,
    )


def _read_spans(container: Any, picture: Any, sound: Any) -> tuple[dict[int, list[tuple[int, int]]], int]:
    """Return start and duration of each packet that a player shows, a stream, and the pictures stored in all.

    An edit list may cut away some of those that are stored.
    """
    streams = [stream for stream in (picture, sound) if stream is not None]
    spans: dict[int, list[tuple[int, int]]] = {stream.index: [] for stream in streams}
    n_stored = 0
    for packet in container.demux(streams):
        if packet.pts is not None:
            n_stored += packet.stream.index == picture.index
            if not packet.is_discard:
                spans[packet.stream.index].append((packet.pts, packet.duration or 0))
    return spans, n_stored


def _length(spans: list[tuple[int, int]]) -> float:
    """Return the time from the first start to the end of the last, in ticks; 0 for none.

    What lies before 0, an encoder's run-up, is never played and does not count. Where no durations are stored, the
    last piece lasts as long as the mean one.
    """
    if not spans:
        return 0
    first, last = max(min(spans)[0], 0), max(spans)[0]
    if any(duration for _, duration in spans) or len(spans) == 1:
        return max(start + duration for start, duration in spans) - first
    return (last - first) * len(spans) / (len(spans) - 1)


@contextmanager
def new_video(out_path: Path) -> Iterator[Path]:
    """Give a place to write a video to; it gets its real name only if the block ends without an error.

    Parameters
    ----------
    out_path : Path
        Its final name; the folder exists.

    Yields
    ------
    Path
        A file not there yet, of the same name, in a hidden folder beside ``out_path`` that is removed at the end
        with all that was written into it.

    Raises
    ------
    GenerationError
        ``no_output`` if the block ended and nothing was written.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{out_path.stem}-", dir=out_path.parent))
    try:
        part = folder / out_path.name
        yield part
        if not part.is_file():
            raise GenerationError(f"no video was written for {out_path}", "no_output")
        part.replace(out_path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
