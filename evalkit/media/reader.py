"""One pass over a clip: frames in chunks with true timestamps, and mono sound, from one decode.

Memory is a few chunks, however long the clip. Damage in the middle is stepped over and counted; what was
decoded is compared with what the container announced, because a cut-off file can end without an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
import numpy as np

from evalkit.media.clock import Clock
from evalkit.media.colours import approximation, to_rgb
from evalkit.media.mono import MonoMix
from evalkit.media.orientation import Orientation
from evalkit.media.probe import open_container, origin_s, picture_stream, sound_stream
from evalkit.types import AudioChunk, FrameChunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from evalkit.types import ClipFacts

CHUNK_BYTES = 8 * 2**20
"""Upper bound of the pixels in one chunk of frames."""
CHUNK_FRAMES = 16
LONGEST_SIDE_PX = 1920
"""Larger pictures are scaled down to this for the trackers; `ClipFacts` keeps the true size."""
CUT_TOLERANCE_S = 0.5
"""A file that ends this much before its announced end, and by 2 % of its length, is cut off."""
GAP_TOLERANCE_S = 0.02
"""Sound timestamps may wander by this much before silence is put in, or samples are dropped."""
LONGEST_GAP_S = 60.0
"""A jump beyond this is taken for a broken timestamp, not for silence."""
SOUND_CHUNK_S = 2.0
END_TOLERANCE_S = 0.1
"""A last frame may be shown for this much longer than to the announced end, which some containers only estimate."""
LARGE_BYTES, UNREAD_SHARE = 50_000, 0.25
"""More than this after the last packet, and by this share of the file, is no index: something else follows."""
LOUDEST = 1e6
"""Samples beyond this, 120 dB over full scale, are no sound."""
_ESTIMATED = {"aac", "amr", "h264", "hevc", "m4v", "mpegvideo"}
"""Formats that announce no length: FFmpeg estimates one from the bit rate."""
_FLOATING = {"flt", "fltp", "dbl", "dblp"}


@dataclass
class Decoded:
    """What a pass really found in the file.

    Parameters
    ----------
    n_frames : int
        Frames decoded.
    first_frame_s, last_frame_s, picture_end_s : float or None
        Times of the first and last frame, and of the last frame's end.
    sound_start_s, sound_end_s : float or None
        Times of the first sample and of the end of the last.
    n_damaged : int
        Packets or frames that could not be decoded or placed in time.
    n_hidden : int
        Frames that are in the file, and that an edit list keeps from being shown.
    n_pieces : int
        More than one where the file's clock starts anew.
    notes : list of str
        One line for people each.
    """

    n_frames: int = 0
    first_frame_s: float | None = None
    last_frame_s: float | None = None
    picture_end_s: float | None = None
    sound_start_s: float | None = None
    sound_end_s: float | None = None
    n_damaged: int = 0
    n_hidden: int = 0
    n_pieces: int = 1
    notes: list[str] = field(default_factory=list)


class Reader:
    """Reads a probed clip once.

    Parameters
    ----------
    facts : ClipFacts
        From `evalkit.media.probe.probe`.
    frames : bool
        Whether frames are wanted; the picture is not decoded otherwise.
    sound_rates_hz : sequence of int or None
        Sample rates in which the sound is wanted in mono; None for the file's own rate with every channel. Not decoded
        when empty.
    chunk_frames : int
        Most frames in a chunk. No value may depend on it.

    Attributes
    ----------
    decoded : Decoded
        Complete when the iteration has ended.
    """

    def __init__(
        self,
        facts: ClipFacts,
        *,
        frames: bool = True,
        sound_rates_hz: Sequence[int | None] = (),
        chunk_frames: int = CHUNK_FRAMES,
    ) -> None:
        self._facts = facts
        self._frames = frames and facts.video is not None
        self._rates = tuple(sound_rates_hz) if facts.audio is not None else ()
        self._chunk_frames = chunk_frames
        self._unread_bytes = 0
        self._is_estimated = False
        self.decoded = Decoded()

    def __iter__(self) -> Iterator[FrameChunk | AudioChunk]:
        separate = self._facts.audio_path is not None
        if self._frames or (self._rates and not separate):
            yield from self._pass(
                self._facts.path, frames=self._frames, sound=bool(self._rates) and not separate
            )
        if self._rates and separate:
            assert self._facts.audio_path is not None  # noqa: S101 - narrows the type
            yield from self._pass(self._facts.audio_path, frames=False, sound=True)
        self._compare_with_announced()

    def _pass(self, path: str, *, frames: bool, sound: bool) -> Iterator[FrameChunk | AudioChunk]:
        with open_container(path) as container:
            zero_s = origin_s(container)
            self._is_estimated = container.format.name in _ESTIMATED
            # AVI holds no presentation times: with B-frames, only the decoding times run forward.
            clock = "dts" if container.format.name == "avi" else "pts"
            picture = (
                _Picture(self._facts, zero_s, clock, self._chunk_frames, self.decoded) if frames else None
            )
            voice = _Sound(self._rates, zero_s, self.decoded) if sound else None
            streams: list[av.VideoStream | av.AudioStream] = []
            if picture is not None:
                video = picture_stream(container)
                assert video is not None  # noqa: S101 - the probe found it
                video.thread_type = "AUTO"
                streams.append(video)
            if voice is not None:
                sounding = sound_stream(container)
                assert sounding is not None  # noqa: S101 - the probe found it
                streams.append(sounding)
            for frame in self._decode(container, streams):
                if isinstance(frame, av.VideoFrame) and picture is not None:
                    yield from picture.take(frame)
                elif isinstance(frame, av.AudioFrame) and voice is not None:
                    yield from voice.take(frame)
            if picture is not None:
                yield from picture.finish()
            if voice is not None:
                yield from voice.finish()

    def _decode(
        self, container: av.container.InputContainer, streams: list[av.VideoStream | av.AudioStream]
    ) -> Iterator[av.VideoFrame | av.AudioFrame]:
        """Give every frame that can be decoded, in the order of the file."""
        packets = container.demux(streams)
        clock = Clock(container)
        last_byte = 0
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.error.FFmpegError, OSError) as error:
                self.decoded.notes.append(f"reading stopped early: {error}")
                break
            clock.place(packet)
            if packet.pos is not None:
                last_byte = max(last_byte, packet.pos + packet.size)
            if packet.is_discard and packet.stream.type == "video":
                self.decoded.n_hidden += 1
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):
                self.decoded.n_damaged += 1
                continue
            yield from frames
        self._unread_bytes = container.size - last_byte if last_byte else 0
        if clock.joints_s:
            self.decoded.n_pieces += len(clock.joints_s)
            places = ", ".join(f"{joint_s - origin_s(container):.1f} s" for joint_s in clock.joints_s[:5])
            self.decoded.notes.append(
                f"the file's clock starts anew at {places}, as in joined files; each piece is placed after the one before"
            )

    def _compare_with_announced(self) -> None:
        decoded, video = self.decoded, self._facts.video
        if decoded.n_damaged:
            decoded.notes.append(f"{decoded.n_damaged} damaged packets or frames were stepped over")
        if self._frames and video is not None:
            announced = (video.n_announced_frames or 0) - decoded.n_hidden
            if decoded.n_frames < announced - max(2, 0.01 * announced):
                decoded.notes.append(
                    f"only {decoded.n_frames} of {announced} announced frames could be decoded: "
                    f"the file is cut off or damaged"
                )
                return
        self._compare_ends()

    def _compare_ends(self) -> None:
        """Compare the end of what was decoded with the announced one, where all streams were read.

        Some containers announce a length for the whole file only, which is that of its longer stream.
        """
        video, audio = self._facts.video, self._facts.audio
        if self.decoded.n_pieces > 1 or self._is_estimated:
            return  # each piece announced its own end, or none did
        if (video and not self._frames) or (audio and not self._rates) or self._facts.audio_path is not None:
            return
        if self._unread_bytes > max(LARGE_BYTES, UNREAD_SHARE * Path(self._facts.path).stat().st_size):
            self.decoded.notes.append(
                f"the last {self._unread_bytes / 1e6:.1f} MB of the file belong to no track: "
                f"is another file joined to its end? It is not measured"
            )
        announced_s = max(
            (stream.start_s + (stream.announced_duration_s or 0.0) for stream in (video, audio) if stream),
            default=0.0,
        )
        end_s = max(self.decoded.picture_end_s or 0.0, self.decoded.sound_end_s or 0.0)
        if end_s < announced_s - max(CUT_TOLERANCE_S, 0.02 * announced_s):
            self.decoded.notes.append(
                f"ends at {end_s:.1f} s instead of the announced {announced_s:.1f} s: the file is cut off or damaged"
            )


def read_frames_at(facts: ClipFacts, times_s: Sequence[float]) -> dict[float, NDArray[np.uint8]]:
    """Return the frames of certain moments, from a pass of its own that ends at the last of them.

    Parameters
    ----------
    facts : ClipFacts
    times_s : sequence of float
        Times of frames, as an earlier pass gave them; a time that is no frame's is not among what comes back.
    """
    wanted = set(times_s)
    found: dict[float, NDArray[np.uint8]] = {}
    for chunk in Reader(facts):
        if isinstance(chunk, FrameChunk):
            frames = zip(chunk.times_s.tolist(), chunk.frames, strict=True)
            found |= {time_s: frame for time_s, frame in frames if time_s in wanted}
            if chunk.times_s[-1] >= max(wanted, default=0.0):
                break
    return found


class _Picture:
    """Gathers frames into chunks."""

    def __init__(
        self, facts: ClipFacts, zero_s: float, clock: str, chunk_frames: int, decoded: Decoded
    ) -> None:
        assert facts.video is not None  # noqa: S101 - narrows the type
        self._decoded = decoded
        self._zero_s = zero_s
        self._clock = clock
        scale = min(1.0, LONGEST_SIDE_PX / max(facts.video.width, facts.video.height))
        self._size = max(1, round(facts.video.width * scale)), max(1, round(facts.video.height * scale))
        n_bytes = self._size[0] * self._size[1] * 3
        self._chunk_frames = max(1, min(chunk_frames, CHUNK_BYTES // n_bytes))
        self._interval_s = 1.0 / (facts.video.announced_fps or 25.0)
        length_s = facts.video.announced_duration_s
        self._announced_end_s = None if length_s is None else facts.video.start_s + length_s
        self._held: tuple[float, av.VideoFrame] | None = None
        self._orientation: tuple[int, Orientation] | None = None
        self._times: list[float] = []
        self._frames: list[NDArray[np.uint8]] = []

    def take(self, frame: av.VideoFrame) -> Iterator[FrameChunk]:
        """Hold one frame back: a time thrown far ahead shows only when the next frame lies before it."""
        time_s = self._time_s(frame)
        if self._held is not None:
            if time_s > self._held[0]:
                yield from self._keep(*self._held)
            else:
                self._decoded.n_damaged += 1  # two pictures at one moment, or a broken time
                last_s = self._decoded.last_frame_s
                if last_s is not None and time_s <= last_s:
                    return
        self._held = time_s, frame

    def finish(self) -> Iterator[FrameChunk]:
        if self._held is not None:
            yield from self._keep(*self._held, is_last=True)
            self._held = None
        yield from self._give(self._decoded.picture_end_s)

    def _time_s(self, frame: av.VideoFrame) -> float:
        ticks = getattr(frame, self._clock)
        if ticks is not None and frame.time_base is not None:
            return float(ticks * frame.time_base) - self._zero_s
        return 0.0 if self._held is None else self._held[0] + self._interval_s

    def _keep(self, time_s: float, frame: av.VideoFrame, *, is_last: bool = False) -> Iterator[FrameChunk]:
        decoded = self._decoded
        note = approximation(frame)
        if note is not None and note not in decoded.notes:
            decoded.notes.append(note)
        try:
            pixels = self._upright(frame)
        except (av.error.FFmpegError, ValueError, MemoryError):
            decoded.n_damaged += 1
            return
        if decoded.first_frame_s is None:
            decoded.first_frame_s = time_s
        decoded.last_frame_s = time_s
        decoded.picture_end_s = time_s + self._shown_s(time_s, frame)
        decoded.n_frames += 1
        self._times.append(time_s)
        self._frames.append(pixels)
        if len(self._frames) >= self._chunk_frames and not is_last:
            yield from self._give()

    def _shown_s(self, time_s: float, frame: av.VideoFrame) -> float:
        """Return how long a frame is shown where no other follows.

        What contradicts the announced end is not believed: with frames out of order, the length of a coded frame can be
        that of another one.
        """
        length_s = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        if length_s <= 0:
            return self._interval_s
        announced_end_s = self._announced_end_s
        left_s = self._interval_s if announced_end_s is None else announced_end_s - time_s
        if length_s <= left_s + END_TOLERANCE_S:
            return length_s
        return left_s if left_s > 0 else self._interval_s

    def _give(self, end_s: float | None = None) -> Iterator[FrameChunk]:
        if self._frames:
            first = self._decoded.n_frames - len(self._frames)
            chunk = FrameChunk(first, np.array(self._times), self._frames, end_s)
            self._times, self._frames = [], []
            yield chunk

    def _upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        width, height = self._size
        orientation = self._orientation_of(frame)
        if orientation.swaps_sides:
            width, height = height, width
        return orientation.apply(to_rgb(frame, width, height))

    def _orientation_of(self, frame: av.VideoFrame) -> Orientation:
        """Return how a frame is shown, looked up where it may change.

        A frame that is asked for its side data refers to itself from then on, and lies in memory until Python looks for
        such circles, which may be after minutes.
        """
        if self._orientation is None or frame.key_frame or frame.rotation != self._orientation[0]:
            self._orientation = frame.rotation, Orientation.of(frame)
        return self._orientation[1]


class _Sound:
    """Turns sound frames into contiguous samples in every wanted rate."""

    def __init__(self, rates_hz: Sequence[int | None], zero_s: float, decoded: Decoded) -> None:
        self._decoded = decoded
        self._zero_s = zero_s
        self._outputs = [_Resampled(rate) for rate in rates_hz]
        self._n_taken = 0
        self._rate_hz = 0
        self._kind: tuple[str, str, int] | None = None
        self._other_kind: tuple[str, str, int] | None = None
        self._converter: av.AudioResampler | None = None
        self._n_broken = 0

    def take(self, frame: av.AudioFrame) -> Iterator[AudioChunk]:
        decoded = self._decoded
        if not frame.samples or not frame.sample_rate:
            return
        time_s = None if frame.pts is None or frame.time is None else float(frame.time) - self._zero_s
        if decoded.sound_start_s is None:
            decoded.sound_start_s = time_s if time_s is not None else 0.0
            self._rate_hz = frame.sample_rate
            for output in self._outputs:
                output.start_s = decoded.sound_start_s
        pieces = self._like_first(self._sound_only(frame))
        n_samples = sum(piece.samples for piece in pieces)
        if not n_samples:
            return
        now_s = decoded.sound_start_s + self._n_taken / self._rate_hz
        gap_s = 0.0 if time_s is None else time_s - now_s
        if gap_s > LONGEST_GAP_S:
            decoded.n_damaged += 1
            gap_s = 0.0
        if gap_s > GAP_TOLERANCE_S:
            yield from self._silence(pieces[0], round(gap_s * self._rate_hz))
        elif gap_s < -max(GAP_TOLERANCE_S, 0.75 * n_samples / self._rate_hz):
            decoded.n_damaged += 1  # sound that was already heard
            return
        for piece in pieces:
            yield from self._push(piece)

    def _sound_only(self, frame: av.AudioFrame) -> av.AudioFrame:
        """Return the frame with samples that are not finite, or no sound, as silence.

        A single one would make the filters behind it give nothing else.
        """
        if frame.format.name not in _FLOATING:
            return frame
        samples = frame.to_ndarray()
        broken = ~(np.abs(samples) <= LOUDEST)
        if not broken.any():
            return frame
        self._n_broken += int(np.count_nonzero(broken))
        cleaned = av.AudioFrame.from_ndarray(
            np.where(broken, 0, samples).astype(samples.dtype),
            format=frame.format.name,
            layout=frame.layout.name,
        )
        cleaned.sample_rate = frame.sample_rate
        return cleaned

    def _like_first(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """Return the frame in the format, the channels and the rate that the sound began with."""
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if self._kind is None:
            self._kind = kind
        if kind == self._kind:
            return [frame]
        try:
            if self._converter is None or kind != self._other_kind:
                self._other_kind = kind
                self._converter = av.AudioResampler(*self._kind)
            frame.pts = None
            pieces: list[av.AudioFrame] = self._converter.resample(frame)
        except (av.error.FFmpegError, ValueError):
            self._decoded.n_damaged += 1
            return []
        return pieces

    def finish(self) -> Iterator[AudioChunk]:
        for output in self._outputs:
            yield from output.flush()
        if self._n_broken:
            self._decoded.notes.append(
                f"{self._n_broken} sound samples are no finite numbers, or far beyond full scale; they count as silence"
            )
        cancelled_s = max((output.cancelled_s for output in self._outputs), default=0.0)
        if cancelled_s:
            self._decoded.notes.append(
                f"the channels of the sound cancel each other for {cancelled_s:.1f} s, as when one is inverted; "
                f"the loudest stands for all there"
            )

    def _silence(self, like: av.AudioFrame, n_samples: int) -> Iterator[AudioChunk]:
        while n_samples > 0:
            n = min(n_samples, self._rate_hz)
            planes = like.layout.nb_channels if like.format.is_planar else 1
            shape = (planes, n if like.format.is_planar else n * like.layout.nb_channels)
            dtype = like.to_ndarray().dtype
            middle = 128 if dtype == np.uint8 else 0
            blank = av.AudioFrame.from_ndarray(
                np.full(shape, middle, dtype), format=like.format.name, layout=like.layout.name
            )
            blank.sample_rate = self._rate_hz
            yield from self._push(blank)
            n_samples -= n

    def _push(self, frame: av.AudioFrame) -> Iterator[AudioChunk]:
        frame.pts = None  # placed in time by the count of samples
        try:
            for output in self._outputs:
                yield from output.push(frame)
        except (av.error.FFmpegError, ValueError):
            self._decoded.n_damaged += 1
        self._n_taken += frame.samples
        assert self._decoded.sound_start_s is not None  # noqa: S101 - narrows the type
        self._decoded.sound_end_s = self._decoded.sound_start_s + self._n_taken / self._rate_hz


class _Resampled:
    """The sound in one rate, cut into chunks of `SOUND_CHUNK_S`."""

    def __init__(self, rate_hz: int | None) -> None:
        self._as_recorded = rate_hz is None
        self._rate_hz = rate_hz or 0  # as recorded: known from the first frame on
        self._resampler = av.AudioResampler(format="fltp", rate=rate_hz)
        self._mix: MonoMix | None = None
        self._parts: list[NDArray[np.float32]] = []
        self._n_waiting = 0
        self._n_given = 0
        self.start_s = 0.0

    @property
    def cancelled_s(self) -> float:
        """How long the channels cancelled each other."""
        return 0.0 if self._mix is None else self._mix.cancelled_s

    def push(self, frame: av.AudioFrame) -> Iterator[AudioChunk]:
        if self._as_recorded:
            self._rate_hz = frame.sample_rate
        self._gather(self._resampler.resample(frame))
        if self._n_waiting >= SOUND_CHUNK_S * self._rate_hz:
            yield self._chunk()

    def flush(self) -> Iterator[AudioChunk]:
        if self._n_given or self._n_waiting or self._mix is not None:
            self._gather(self._resampler.resample(None))
        if self._mix is not None:
            self._keep(self._mix.flush())
        if self._n_waiting:
            yield self._chunk()

    def _gather(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            planes = frame.to_ndarray()
            if self._as_recorded:
                self._keep([planes.T])
            else:
                if self._mix is None:
                    channels = [channel.name for channel in frame.layout.channels]
                    self._mix = MonoMix(self._rate_hz, channels)
                self._keep(self._mix.push(planes))

    def _keep(self, parts: Iterable[NDArray[np.float32]]) -> None:
        for samples in parts:
            self._parts.append(samples)
            self._n_waiting += samples.shape[0]

    def _chunk(self) -> AudioChunk:
        samples = np.concatenate(self._parts)
        chunk = AudioChunk(self.start_s + self._n_given / self._rate_hz, self._rate_hz, samples)
        self._n_given += samples.shape[0]
        self._parts, self._n_waiting = [], 0
        return chunk
