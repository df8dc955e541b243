"""A person, as a picture and as a video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image
from skimage import data

from tests.pipeline.conftest import tone


def draw_face(path: Path, width: int = 160, height: int = 160) -> Path:
    """Write a picture of a person."""
    Image.fromarray(data.astronaut()[:240, 100:340]).resize((width, height)).save(path)
    return path


def film(
    path: Path,
    pictures: list[Path | None],
    fps: int | Fraction = 25,
    codec: str = "mpeg4",
    sound_s: float = 0.0,
) -> Path:
    """Write a video of pictures, with a tone if wanted; None is a grey picture."""
    frames: dict[Path | None, Any] = {
        picture: cv2.imread(str(picture)) for picture in pictures if picture is not None
    }
    height, width = next(iter(frames.values())).shape[:2]
    grey = np.full((height, width, 3), 128, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p" if codec == "mpeg4" else "bgr0"
        track = container.add_stream("aac", rate=16000, layout="mono") if sound_s else None
        for picture in pictures:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(frames.get(picture, grey), format="bgr24"))
            )
        container.mux(stream.encode(None))
        if track is not None:
            samples = av.AudioFrame.from_ndarray(
                tone(sound_s).astype(np.float32)[None], format="fltp", layout="mono"
            )
            samples.sample_rate, samples.pts = 16000, 0
            container.mux(track.encode(samples))
            container.mux(track.encode(None))
    return path
