"""What the programs that stand in for the real ones have in common: how long a sound is, and a film of a length."""

import json
import os
import sys

import av
import numpy as np


def note_arguments(args):
    """Write down what the program was asked, for the test."""
    if "SEEN" in os.environ:
        with open(os.environ["SEEN"], "w") as file:
            json.dump(vars(args), file)


def length_of(path):
    """Return the seconds of a sound file."""
    with av.open(path) as container:
        return sum(
            frame.samples / frame.sample_rate for frame in container.decode(container.streams.audio[0])
        )


def write_film(path, *, n_frames, fps, size, sound_s, codec="mpeg4"):
    """Write a film with a tone; an encoder that takes even sides only says so as libx264 does, and writes nothing."""
    if size[0] % 2 or size[1] % 2:
        side = "width" if size[0] % 2 else "height"
        print(f"[libx264 @ 0x55d0c0] {side} not divisible by 2 ({size[0]}x{size[1]})", file=sys.stderr)
        return
    with av.open(path, "w") as container:
        picture = container.add_stream(codec, rate=round(fps))
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        track = container.add_stream("aac", rate=16000, layout="mono") if sound_s else None
        for index in range(n_frames):
            image = np.full((size[1], size[0], 3), index * 8 % 256, np.uint8)
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(picture.encode(None))
        if track is not None:
            tone = 0.5 * np.sin(0.17 * np.arange(int(sound_s * 16000), dtype=np.float32))
            frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 0
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
