"""Small clips with known properties: any container, timing, picture or sound. No real media behind them.

Pictures are iterables of RGB frames, sounds are float arrays in [-1, 1]; `write_clip` puts both into a file.
Everything is deterministic.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]
    Sound = NDArray[np.float64] | NDArray[np.float32]
    Spans = Sequence[tuple[float, float]]

_FINE = Fraction(1, 90_000)
_SOUND_FRAME = 1024


@dataclass(frozen=True)
class _Container:
    video: str
    audio: str
    audio_rates_hz: tuple[int, ...] | None = None
    """Rates the sound codec can carry; ``None`` for any."""
    holds_times: bool = True
    """Whether each frame carries an own time, so that intervals may vary."""
    rates_fps: tuple[Fraction, ...] | None = None
    """Frame rates it can carry; ``None`` for any."""
    holds_late_sound: bool = True
    holds_rotation: bool = False
    holds_pixel_aspect: bool = False


_MPEG_RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_MPEG_FPS = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")  # ISO/IEC 11172-2
)
_CONTAINERS = {
    ".mp4": _Container("libx264", "aac", holds_rotation=True, holds_pixel_aspect=True),
    ".mov": _Container("libx264", "aac", holds_rotation=True, holds_pixel_aspect=True),
    ".avi": _Container(
        "mpeg4", "pcm_s16le", holds_times=False, holds_late_sound=False, holds_pixel_aspect=True
    ),
    ".mpg": _Container("mpeg1video", "mp2", _MPEG_RATES_HZ, holds_times=False, rates_fps=_MPEG_FPS),
    ".webm": _Container("libvpx", "libopus", (8_000, 12_000, 16_000, 24_000, 48_000), holds_rotation=True),
    ".wav": _Container("", "pcm_s16le"),
    ".m4a": _Container("", "aac"),
    ".flac": _Container("", "flac"),
}


def write_clip(
    path: str | Path,
    frames: Iterable[Frame] = (),
    *,
    fps: float | Fraction = 25,
    times_s: Iterable[float] | None = None,
    sound: Sound | None = None,
    rate_hz: int = 48_000,
    sound_start_s: float = 0.0,
    rotation_deg: int = 0,
    pixel_aspect: Fraction = Fraction(1),
    quality: int = 20,
) -> Path:
    """Write a media file; its suffix chooses container and codecs.

    Parameters
    ----------
    path
        ``.mp4 .mov .avi .mpg .webm``, or ``.wav .m4a .flac`` for sound alone.
    frames : iterable of uint8 arrays, shape (height, width, 3)
        The picture; empty for none. Read one by one.
    fps
        Frames a second, for frames at a constant rate.
    times_s : iterable of float, optional
        Presentation times, for frames at a variable rate, in step with `frames`. Not for ``.avi`` and ``.mpg``.
    sound : array, shape (n,) or (n, n_channels), optional
        In [-1, 1]; what lies beyond is clipped where the codec holds integers.
    rate_hz
        Samples a second.
    sound_start_s
        Time of the first sample; the file holds nothing before it. Not for ``.avi``.
    rotation_deg
        Rotation metadata, a multiple of 90: a player turns the picture by this much counterclockwise.
    pixel_aspect
        Width of a pixel over its height.
    quality
        Constant rate factor of H.264 (lower is better); other codecs get a high bit rate.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If the container cannot hold what is asked for, or there is neither picture nor sound.
    """
    path = Path(path)
    kind = _CONTAINERS.get(path.suffix)
    if kind is None:
        raise ValueError(f"cannot write {path.suffix!r}; known: {', '.join(_CONTAINERS)}")
    rate = Fraction(fps).limit_denominator(1001)
    coming = iter(frames)
    first = next(coming, None)
    if first is None and sound is None:
        raise ValueError("nothing to write: neither a picture nor a sound")
    for wrong, fault in (
        (times_s is not None and not kind.holds_times, "holds frames at a constant rate only"),
        (kind.rates_fps is not None and rate not in kind.rates_fps, f"cannot hold {rate} frames a second"),
        (sound_start_s and not kind.holds_late_sound, "cannot hold a sound that starts late"),
        (rotation_deg and not kind.holds_rotation, "cannot hold a rotation"),
        (pixel_aspect != 1 and not kind.holds_pixel_aspect, "cannot hold a pixel aspect"),
        (
            sound is not None and kind.audio_rates_hz is not None and rate_hz not in kind.audio_rates_hz,
            f"cannot hold sound at {rate_hz} Hz",
        ),
    ):
        if wrong:
            raise ValueError(f"{path.suffix} {fault}")
    with av.open(str(path), "w", format="mpeg" if path.suffix == ".mpg" else None) as container:
        base = _FINE if times_s is not None else 1 / rate
        picture = (
            None
            if first is None
            else _PictureWriter(container, kind.video, first, rate=rate, base=base, quality=quality)
        )
        voice = None if sound is None else _SoundWriter(container, kind.audio, sound, rate_hz, sound_start_s)
        if first is not None and picture is not None:
            picture.stream.codec_context.sample_aspect_ratio = pixel_aspect
            if rotation_deg:
                picture.stream.set_display_rotation(rotation_deg)
            times: Iterable[float] = (
                times_s if times_s is not None else (float(index * base) for index in itertools.count())
            )
            for frame, time_s in zip(itertools.chain([first], coming), times, strict=times_s is not None):
                picture.write(frame, round(Fraction(time_s) / base))
                if voice is not None:
                    voice.write_until(time_s)
            picture.finish()
        if voice is not None:
            voice.finish()
    return path


class _PictureWriter:
    def __init__(
        self,
        container: av.container.OutputContainer,
        codec: str,
        first: Frame,
        *,
        rate: Fraction,
        base: Fraction,
        quality: int,
    ) -> None:
        height, width = first.shape[:2]
        options = {"crf": str(quality), "preset": "veryfast"} if codec == "libx264" else {}
        if codec == "libvpx":
            options = {"deadline": "realtime", "cpu-used": "4"}
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = width, height
        odd = width % 2 or height % 2
        stream.pix_fmt = "yuv444p" if odd and codec == "libx264" else "yuv420p"
        stream.codec_context.time_base = base
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        if codec != "libx264":
            stream.bit_rate = max(400_000, 8 * width * height)
        self.stream = stream
        self._container = container
        self._base = base

    def write(self, pixels: Frame, ticks: int) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = ticks, self._base
        self._container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self.stream.encode(None))


class _SoundWriter:
    def __init__(
        self, container: av.container.OutputContainer, codec: str, sound: Sound, rate_hz: int, start_s: float
    ) -> None:
        samples = np.asarray(sound, dtype=np.float32)
        self._samples = samples[:, None] if samples.ndim == 1 else samples
        self._layout = {1: "mono", 2: "stereo", 6: "5.1"}[self._samples.shape[1]]
        self._stream = container.add_stream(codec, rate=rate_hz, layout=self._layout)
        self._stream.codec_context.time_base = Fraction(1, rate_hz)
        if codec in {"aac", "mp2", "libopus"}:
            self._stream.bit_rate = 96_000 * self._samples.shape[1]
        self._container = container
        self._rate_hz = rate_hz
        self._first_tick = round(start_s * rate_hz)
        self._n_written = 0

    def write_until(self, time_s: float) -> None:
        while (
            self._n_written < self._samples.shape[0]
            and self._first_tick + self._n_written < time_s * self._rate_hz
        ):
            block = self._samples[self._n_written : self._n_written + _SOUND_FRAME]
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(block.T), format="fltp", layout=self._layout
            )
            frame.sample_rate = self._rate_hz
            frame.pts, frame.time_base = self._first_tick + self._n_written, Fraction(1, self._rate_hz)
            self._container.mux(self._stream.encode(frame))
            self._n_written += block.shape[0]

    def finish(self) -> None:
        self.write_until(float("inf"))
        self._container.mux(self._stream.encode(None))


def moving_pattern(
    duration_s: float,
    *,
    fps: float = 25,
    width: int = 160,
    height: int = 120,
    black: Spans = (),
    frozen: Spans = (),
    blurred: Spans = (),
    flicker: float = 0.0,
    blur_px: float = 3.0,
    seed: int = 0,
) -> Iterator[Frame]:
    """Draw a textured picture that glides, with defects at known places.

    Parameters
    ----------
    duration_s, fps
        ``round(duration_s * fps)`` frames are drawn.
    width, height
        In pixels.
    black, frozen, blurred : sequence of (start_s, end_s)
        Frames whose time lies in ``[start, end)`` are black, repeat the frame before, or are blurred.
    flicker : float
        Every second frame is brighter and every other darker by this many levels of 255.
    blur_px
        Standard deviation of the blur.
    seed
        Chooses the texture.
    """
    import cv2

    random = np.random.default_rng(seed)
    coarse = random.integers(70, 185, (height // 8 + 2, width // 8 + 2, 3)).astype(np.uint8)
    tile = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    fine = random.integers(-24, 25, (height, width, 1)).astype(np.int16)
    shift = 0
    for index in range(round(duration_s * fps)):
        time_s = index / fps
        if not _inside(time_s, frozen):
            shift = int(60 * time_s) % width
        frame = tile[:height, shift : shift + width].astype(np.int16) + fine
        if _inside(time_s, blurred):
            frame = cv2.GaussianBlur(frame, (0, 0), blur_px)
        if flicker and not _inside(time_s, frozen):
            frame = frame + (flicker if index % 2 else -flicker)
        if _inside(time_s, black):
            frame = np.zeros_like(frame)
        yield np.clip(frame, 0, 255).astype(np.uint8)


def tone(
    duration_s: float, *, frequency_hz: float = 997.0, level_dbfs: float = -20.0, rate_hz: int = 48_000
) -> Sound:
    """Make a sine whose *peak* lies `level_dbfs` below full scale; above 0 it must be clipped by the caller."""
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    sine: Sound = 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * frequency_hz * times_s)
    return sine


def _inside(time_s: float, spans: Spans) -> bool:
    return any(start <= time_s + 1e-9 < end for start, end in spans)


def corners() -> NDArray[np.uint8]:
    """Return a frame that shows how it was turned: red, green, blue, white from the upper left, clockwise; 96 wide, 64 high."""
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:32, :48, 0] = 220
    frame[:32, 48:, 1] = 220
    frame[32:, 48:, 2] = 220
    frame[32:, :48] = 220
    return frame
