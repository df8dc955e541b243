"""MP4 that every browser plays and that says nothing of where it came from: packets copied, or encoded anew.

What tells an origin is left out: tags, names of tracks, times of making, and what encoders write into their streams (x264
its settings, AAC encoders their versions).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import av
import av.error
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from av.rational import AVRational
from av.video.reformatter import ColorRange, Colorspace

from evalkit.errors import ClipError
from evalkit.media.aac import blank_texts
from evalkit.media.probe import open_container, origin_s, picture_stream, sound_stream
from evalkit.media.reader import Reader
from evalkit.types import FrameChunk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from av.packet import Packet
    from numpy.typing import NDArray

    from evalkit.types import AudioChunk, AudioFacts, ClipFacts

Part: TypeAlias = Literal["picture", "sound"]

CLOCK_HZ = 90_000
"""Ticks a second of every picture: a clock of its own would tell one generator from another."""
CRF = 12
"""Constant rate factor of a picture that is encoded anew: no difference is seen."""
SOUND_BITS_PER_S = 192_000
N_THREADS = 2
"""Of the encoder: bytes depend on their number, so it is the same on every machine."""
_AAC_RATES_HZ = {8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000}
_OTHER_RATE_HZ = 48_000
_STEREO = 2
_BT709 = 1  # of ITU-T H.273, tables 2 and 3
_SAMPLES = 1024  # in a packet of AAC
_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact", "max_interleave_delta": "0"}
_KEPT_UNITS = "filter_units=pass_types=1-5|7-8"
"""Slices and parameter sets of H.264; x264 writes its settings into a unit of type 6."""
_JITTER_S = 0.0015  # Matroska counts in whole milliseconds

_PLAYED_PROFILES = {"Constrained Baseline", "Baseline", "Main", "High"}
_PLAYED_PIXELS = {"yuv420p", "yuvj420p"}
_COPIED_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}


def find_obstacles(facts: ClipFacts) -> dict[Part, str]:
    """Say why packets of a clip cannot be copied into an MP4 for browsers.

    Parameters
    ----------
    facts : ClipFacts
        From `evalkit.media.probe`.

    Returns
    -------
    dict
        For the picture and the sound, where there is one, the first obstacle: a clause such as "not every browser plays
        hevc".

    Raises
    ------
    ClipError
        If the file cannot be opened.
    """
    found: dict[Part, str] = {}
    with open_container(facts.path) as container:
        picture, sound = picture_stream(container), sound_stream(container)
        if picture is not None and (why := next(_obstacles_of_picture(picture, facts), None)):
            found["picture"] = why
        if sound is not None and (why := next(_obstacles_of_sound(sound), None)):
            found["sound"] = why
    return found


def _obstacles_of_picture(stream: av.VideoStream, facts: ClipFacts) -> Iterator[str]:
    context, video = stream.codec_context, facts.video
    if context.name != "h264":
        yield f"not every browser plays {context.name}"
    if context.pix_fmt is None:
        yield "its stream does not begin with a whole picture"
    if context.pix_fmt not in _PLAYED_PIXELS or context.profile not in _PLAYED_PROFILES:
        yield f"browsers do not play H.264 of profile {context.profile}, {context.pix_fmt}"
    if video is not None and (video.rotation_deg or video.is_mirrored):
        yield "it is stored turned or mirrored"
    if (stream.sample_aspect_ratio or 1) != 1:
        yield "its pixels are not square"
    if stream.container.format.name not in _COPIED_FORMATS:
        yield f"{stream.container.format.name} says too little of its times"


def _obstacles_of_sound(stream: av.AudioStream) -> Iterator[str]:
    context = stream.codec_context
    if context.name != "aac" or context.profile != "LC":
        yield f"not every browser plays {context.name} {context.profile or ''}".rstrip()
    if context.channels > 2:
        yield f"it has {context.channels} channels"
    if not context.extradata or stream.container.format.name not in _COPIED_FORMATS:
        yield f"{stream.container.format.name} says too little of its times"


def write_playable(
    facts: ClipFacts,
    out: Path,
    *,
    anew: Collection[Part],
    chunks: Iterable[FrameChunk | AudioChunk] | None = None,
    crf: int = CRF,
    preset: str = "medium",
    sound_bits_per_s: int = SOUND_BITS_PER_S,
) -> None:
    """Write a clip as MP4 of H.264 and AAC.

    Parameters
    ----------
    facts : ClipFacts
        A stream that is None in them is left out.
    out : Path
        The file.
    anew : collection of {"picture", "sound"}
        What to encode; packets of the rest are copied.
    chunks : iterable of FrameChunk or AudioChunk, optional
        What to encode instead of what the clip shows and says, each kind in the order of time; sound as recorded.
    crf, preset : int, str
        Constant rate factor of a picture that is encoded anew, and how hard x264 tries.
    sound_bits_per_s : int
        Of sound that is encoded anew.

    Raises
    ------
    ClipError
        If the clip cannot be read.
    OSError
        If `out` cannot be written.
    """
    with (
        av.open(str(out), "w", format="mp4", options=_OPTIONS) as target,
        open_container(facts.path) as source,
    ):
        encoders: list[_PictureEncoder | _SoundEncoder] = []
        copies: list[_Copy] = []
        picture, sound = picture_stream(source), sound_stream(source)
        if picture is not None and facts.video is not None:
            if "picture" in anew:
                encoders.append(_PictureEncoder(target, facts, crf, preset))
            else:
                copies.append(_PictureCopy(picture, target, origin_s(source)))
        if sound is not None and facts.audio is not None:
            if "sound" in anew:
                encoders.append(_SoundEncoder(target, facts.audio, sound_bits_per_s))
            else:
                copies.append(_SoundCopy(sound, target, origin_s(source)))
        if copies:
            _copy(source, copies, facts)
        if encoders:
            _encode(_read(facts, encoders) if chunks is None else chunks, encoders)
        packets = [packet for maker in (*encoders, *copies) for packet in maker.packets]
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            target.mux(packet)


# -- packets that are copied


def _copy(source: av.container.InputContainer, copies: list[_Copy], facts: ClipFacts) -> None:
    by_index = {copy.source.index: copy for copy in copies}
    try:
        for packet in source.demux([copy.source for copy in copies]):
            by_index[packet.stream.index].take(packet)
    except (av.error.FFmpegError, OSError) as error:
        raise ClipError("unreadable", facts.path, f"cannot be read to its end: {error}") from error
    for copy in copies:
        copy.finish()


class _Copy(ABC):
    """Packets of one stream, on the clock of the clip."""

    def __init__(self, source: av.VideoStream | av.AudioStream, base: Fraction, zero_s: float) -> None:
        self.source = source
        self.packets: list[Packet[Any]] = []
        self._base = base
        self._zero_ticks = round(zero_s / base)

    def take(self, packet: Packet[Any]) -> None:
        if packet.pts is None:
            return  # what ends a stream
        packet.rescale_ts(AVRational(self._base.numerator, self._base.denominator))
        packet.pts -= self._zero_ticks
        packet.dts = packet.pts
        self._keep(packet)

    @abstractmethod
    def _keep(self, packet: Packet[Any]) -> None:
        """Put a packet, on the clip's clock, to those that are written."""

    def finish(self) -> None:  # noqa: B027 - most hold nothing back
        """Give what was held back."""


class _PictureCopy(_Copy):
    def __init__(self, source: av.VideoStream, target: av.container.OutputContainer, zero_s: float) -> None:
        super().__init__(source, Fraction(1, CLOCK_HZ), zero_s)
        self._stream = target.add_stream_from_template(source)
        self._stream.time_base = self._base
        self._filter = BitStreamFilterContext(_KEPT_UNITS, source, self._stream)

    def _keep(self, packet: Packet[Any] | None) -> None:
        self.packets += _filtered(self._filter, packet, self._stream, self._base)

    def finish(self) -> None:
        """Decode as late as can be: Matroska holds no times of decoding, and other files each have their own."""
        self._keep(None)
        shown = sorted(packet.pts or 0 for packet in self.packets)
        delay = max(
            (at - (packet.pts or 0) for at, packet in zip(shown, self.packets, strict=True)), default=0
        )
        for at, packet in zip(shown, self.packets, strict=True):
            packet.dts = at - delay


class _SoundCopy(_Copy):
    def __init__(self, source: av.AudioStream, target: av.container.OutputContainer, zero_s: float) -> None:
        super().__init__(source, Fraction(1, source.codec_context.sample_rate), zero_s)
        self._stream = target.add_stream_from_template(source)
        self._stream.time_base = self._base
        self._next: int | None = None

    def _keep(self, packet: Packet[Any]) -> None:
        assert packet.pts is not None  # noqa: S101 - narrows the type
        expected = -_skipped(packet) if self._next is None else self._next
        if abs(packet.pts - expected) < _JITTER_S / self._base:
            packet.pts = packet.dts = expected
        self._next = packet.pts + _SAMPLES
        packet.duration = _SAMPLES
        packet.stream = self._stream
        packet.update(blank_texts(bytes(packet)))
        self.packets.append(packet)


def _skipped(packet: Packet[Any]) -> int:
    """Return how many samples at the beginning of a packet are the encoder's run-up, and not heard."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    return int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[:4], "little")


def _filtered(
    units: BitStreamFilterContext, packet: Packet[Any] | None, stream: av.VideoStream, base: Fraction
) -> Iterator[Packet[Any]]:
    """Give a packet with nothing but slices and parameter sets of H.264; None flushes."""
    for kept in units.filter(packet):
        kept.stream, kept.time_base = stream, base
        yield kept


# -- what is encoded anew


def _read(
    facts: ClipFacts, encoders: list[_PictureEncoder | _SoundEncoder]
) -> Iterator[FrameChunk | AudioChunk]:
    rates = tuple(encoder.wanted_rate_hz for encoder in encoders if isinstance(encoder, _SoundEncoder))
    frames = any(isinstance(encoder, _PictureEncoder) for encoder in encoders)
    return iter(Reader(facts, frames=frames, sound_rates_hz=rates))


def _encode(
    chunks: Iterable[FrameChunk | AudioChunk], encoders: list[_PictureEncoder | _SoundEncoder]
) -> None:
    for chunk in chunks:
        for encoder in encoders:
            if isinstance(chunk, FrameChunk) == isinstance(encoder, _PictureEncoder):
                encoder.take(chunk)  # type: ignore[arg-type]
    for encoder in encoders:
        encoder.finish()


class _PictureEncoder:
    """H.264 of frames at the times at which they are shown."""

    def __init__(self, target: av.container.OutputContainer, facts: ClipFacts, crf: int, preset: str) -> None:
        assert facts.video is not None  # noqa: S101 - narrows the type
        self.packets: list[Packet[Any]] = []
        self._base = Fraction(1, CLOCK_HZ)
        rate = Fraction(facts.video.announced_fps or 25).limit_denominator(1001)
        options = {"crf": str(crf), "preset": preset, "threads": str(N_THREADS)}
        self._stream = target.add_stream("libx264", rate=rate, options=options)
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = self._base
        context.flags |= Flags.bitexact | Flags.frame_duration
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries = context.color_trc = _BT709
        self._filter = BitStreamFilterContext(_KEPT_UNITS, "h264")
        self._held: tuple[float, NDArray[np.uint8]] | None = None

    def take(self, chunk: FrameChunk) -> None:
        for time_s, pixels in zip(chunk.times_s.tolist(), chunk.frames, strict=True):
            self._encode_held(time_s)
            self._held = time_s, pixels
        if chunk.end_s is not None:
            self._encode_held(chunk.end_s)

    def finish(self) -> None:
        if self._held is not None:
            self._encode_held(self._held[0] + 1 / float(self._stream.average_rate or 25))
        self._keep(self._stream.encode(None))
        self.packets += _filtered(self._filter, None, self._stream, self._base)

    def _encode_held(self, end_s: float) -> None:
        """Encode the frame that waited for the moment at which it is no longer shown."""
        if self._held is None:
            return
        time_s, pixels = self._held
        self._held = None
        height, width = (max(2, side - side % 2) for side in pixels.shape[:2])
        if not self._stream.codec_context.is_open:
            self._stream.width, self._stream.height = width, height
        even = np.ascontiguousarray(np.pad(pixels, ((0, 1), (0, 1), (0, 0)), "edge")[:height, :width])
        frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = round(time_s * CLOCK_HZ), self._base
        frame.duration = round(end_s * CLOCK_HZ) - frame.pts
        self._keep(self._stream.encode(frame))

    def _keep(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            self.packets += _filtered(self._filter, packet, self._stream, self._base)


class _SoundEncoder:
    """AAC of samples at the times at which they are heard; more than two channels become one."""

    def __init__(self, target: av.container.OutputContainer, audio: AudioFacts, bits_per_s: int) -> None:
        self.packets: list[Packet[Any]] = []
        rate_hz, n_channels = audio.sample_rate_hz, audio.n_channels
        self._rate_hz = rate_hz if rate_hz in _AAC_RATES_HZ else _OTHER_RATE_HZ
        self.wanted_rate_hz = None if n_channels <= _STEREO else self._rate_hz
        self._layout = "stereo" if n_channels == _STEREO else "mono"
        self._stream = target.add_stream("aac", rate=self._rate_hz, layout=self._layout)
        self._stream.bit_rate = bits_per_s
        self._stream.codec_context.flags |= Flags.bitexact
        self._resampler = av.AudioResampler("fltp", self._layout, self._rate_hz, _SAMPLES)
        self._next: int | None = None

    def take(self, chunk: AudioChunk) -> None:
        if self._next is None:
            self._next = round(chunk.start_s * self._rate_hz)
        planes = np.ascontiguousarray(np.atleast_2d(chunk.samples.T), np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=self._layout)
        frame.sample_rate = chunk.rate_hz
        self._keep(self._resampler.resample(frame))

    def finish(self) -> None:
        if self._next is not None:
            self._keep(self._resampler.resample(None))
            self.packets += self._stream.encode(None)

    def _keep(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self._next, Fraction(1, self._rate_hz)
            self._next += frame.samples
            self.packets += self._stream.encode(frame)
