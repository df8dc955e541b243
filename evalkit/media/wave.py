"""Sound without loss: WAV of 32-bit floats, written as it comes."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from evalkit.types import AudioChunk


def write_wave(out: Path, chunks: Iterable[AudioChunk], rate_hz: int) -> None:
    """Write sound as WAV.

    Parameters
    ----------
    out : Path
        The file.
    chunks : iterable of AudioChunk
        As recorded, shape (n, n_channels), each where the one before ends; they may go beyond full scale.
    rate_hz : int
        Samples a second.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with av.open(str(out), "w", format="wav") as container:
        stream: av.AudioStream | None = None
        n_written = 0
        for chunk in chunks:
            if stream is None:
                layout = f"{chunk.samples.shape[1]}c"
                layout = {"1c": "mono", "2c": "stereo"}.get(layout, layout)
                stream = container.add_stream("pcm_f32le", rate=rate_hz, layout=layout)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(chunk.samples.reshape(1, -1)), format="flt", layout=stream.layout
            )
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, n_written, Fraction(1, rate_hz)
            n_written += chunk.samples.shape[0]
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
