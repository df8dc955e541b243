"""Writing H.264 and AAC as the frames come."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

SOUND_RATE_HZ = 48000

_FRAGMENT_US = 200_000
_MAX_RATE_DENOMINATOR = 1001
_THREADS = "2"
"""Of the picture's encoder: its bits depend on their number, and a video must not depend on the cores of its machine."""


def frame_rate(fps: float) -> Fraction:
    """Return frames a second as the fraction that containers store, 1001 at most below the line."""
    return Fraction(fps).limit_denominator(_MAX_RATE_DENOMINATOR)


class VideoWriter:
    """Writes a talking video while it is made; what is written can be played at any time.

    Parameters
    ----------
    path : Path
        An MP4 file, written in fragments of a fifth of a second.
    width, height : int
        Even.
    rate : Fraction
        Frames a second.
    sound : iterable of float32 arrays
        Mono pieces at 48 kHz, full scale 1; taken as the picture advances.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        rate: Fraction,
        sound: Iterable[NDArray[np.float32]],
    ) -> None:
        import av

        self._rate = rate
        options = {
            "movflags": "delay_moov+default_base_moof",
            "frag_duration": str(_FRAGMENT_US),
            "flush_packets": "1",
        }
        self._container = av.open(str(path), "w", format="mp4", options=options)
        self._picture = self._container.add_stream("libx264", rate=rate)
        self._picture.width, self._picture.height = width, height
        self._picture.pix_fmt = "yuv420p"
        self._picture.options = {"preset": "veryfast", "crf": "18", "rc-lookahead": "10", "threads": _THREADS}
        self._sound = self._container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        self._sound.bit_rate = 128_000
        self._pieces: Iterator[NDArray[np.float32]] = iter(sound)
        self._pending = np.zeros(0, np.float32)
        self._n_samples = 0
        self.n_frames = 0
        self.n_coded = 0
        """Frames that have left the encoder: in the file, or about to be with the next fragment."""

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Add a frame, shape (height, width, 3), RGB, and the sound that belongs to it."""
        import av

        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = self.n_frames
        frame.time_base = 1 / self._rate
        self.n_coded += self._mux(self._picture.encode(frame))
        self.n_frames += 1
        self._write_sound(round(self.n_frames / self._rate * SOUND_RATE_HZ))

    def close(self) -> None:
        """Finish the file."""
        self._mux(self._picture.encode(None))
        self._mux(self._sound.encode(None))
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._container.close()

    def _write_sound(self, end: int) -> None:
        import av

        while self._n_samples < end:
            if not len(self._pending):
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._pending = piece
                continue
            count = min(end - self._n_samples, len(self._pending))
            frame = av.AudioFrame.from_ndarray(self._pending[None, :count], format="fltp", layout="mono")
            frame.sample_rate = SOUND_RATE_HZ
            frame.pts = self._n_samples
            frame.time_base = Fraction(1, SOUND_RATE_HZ)
            self._mux(self._sound.encode(frame))
            self._pending = self._pending[count:]
            self._n_samples += count

    def _mux(self, packets: list[object]) -> int:
        for packet in packets:
            self._container.mux(packet)
        return len(packets)


def settle(part: Path, final: Path) -> None:
    """Copy a fragmented file, not decoding it, into a plain one that starts at once and can be searched."""
    import av

    options = {"movflags": "faststart"}
    with av.open(str(part)) as source, av.open(str(final), "w", format="mp4", options=options) as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
