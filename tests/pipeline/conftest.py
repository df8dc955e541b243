"""Small real media files, made here."""

from __future__ import annotations

import contextlib
import json
import sys
import textwrap
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write_wav(path: Path, samples: NDArray[np.floating], rate_hz: int = 16000) -> Path:
    """Write samples in [-1, 1], shape (n,) or (n, channels), without the code under test."""
    pcm = np.round(np.asarray(samples) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm.tobytes())
    return path


def tone(duration_s: float, rate_hz: int = 16000, frequency_hz: float = 440.0) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


def write_video(
    path: Path,
    *,
    n_frames: int = 30,
    size: tuple[int, int] = (64, 64),
    fps: int = 25,
    sound: bool = True,
    codec: str = "mpeg4",
) -> Path:
    """Write a moving gradient with, if wanted, a tone of the same length."""
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream(codec, rate=fps)
        picture.width, picture.height = size
        picture.pix_fmt = "yuv420p"
        track = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        for index in range(n_frames):
            image = np.full((size[1], size[0], 3), (index * 8) % 256, np.uint8)
            image[:, : 1 + index % size[0]] = 200
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(picture.encode(None))
        if track is not None:
            samples = tone(n_frames / fps).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate = 16000
            frame.pts = 0
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a finished video: 30 frames of 64*64 at 25 fps, with sound."""
    return write_video(tmp_path_factory.mktemp("media") / "finished.mp4")


@pytest.fixture(scope="session")
def silent_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a finished video without a sound stream."""
    return write_video(tmp_path_factory.mktemp("media") / "silent.mp4", sound=False)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a sound file of two seconds."""
    return write_wav(tmp_path_factory.mktemp("media") / "spoken.wav", tone(2.0))


Program = Callable[[str], list[str]]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Give a function that makes a stand-in program of Python lines and returns how to call it."""

    def make(body: str) -> list[str]:
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        path = folder / f"program_{len(list(folder.iterdir()))}.py"
        path.write_text("import os, signal, subprocess, sys, time\n" + textwrap.dedent(body), "utf-8")
        return [sys.executable, "-S", "-E", str(path)]

    return make


@dataclass
class Reply:
    """One answer of the stand-in service."""

    body: bytes | str | dict[str, Any] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    before_s: float = 0.0
    piece_s: float = 0.0  # between single bytes
    announced: int | None = None  # length told, where it is not that of the body


@dataclass
class Service:
    """A stand-in for a service: gives its replies in turn, the last one for ever, and keeps what it was sent."""

    url: str
    replies: list[Reply]
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def sent(self) -> Any:
        """Return the JSON it was sent last."""
        return json.loads(self.requests[-1][2])


@pytest.fixture
def service() -> Iterator[Service]:
    """Give a stand-in service on loopback."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"]))
            made.requests.append(
                (self.path, {name.lower(): value for name, value in self.headers.items()}, sent)
            )
            reply = made.replies.pop(0) if len(made.replies) > 1 else made.replies[0]
            body = json.dumps(reply.body) if isinstance(reply.body, dict) else reply.body
            data = body.encode() if isinstance(body, str) else body
            ended.wait(reply.before_s)
            with contextlib.suppress(OSError):  # the client has gone
                self.send_response(reply.status)
                for name, value in {"content-type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(reply.announced or len(data)))
                self.end_headers()
                for piece in [data] if not reply.piece_s else [data[i : i + 1] for i in range(len(data))]:
                    self.wfile.write(piece)
                    ended.wait(reply.piece_s)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Service(f"http://127.0.0.1:{server.server_port}/v1", [])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def reply() -> type[Reply]:
    """Give the maker of replies."""
    return Reply


def chat_completion(text: str, finish_reason: str = "stop") -> dict[str, Any]:
    """Make the answer of a chat endpoint, as OpenAI documents it."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


@pytest.fixture
def completion() -> Callable[..., dict[str, Any]]:
    """Give the maker of chat completions."""
    return chat_completion
