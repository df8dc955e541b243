"""Live Avatar kept warm: its own page, started once for a configuration and asked for one video after the other.

Its page holds the model, compiled and with fp8 as its own scripts start it. It takes inputs, seed and clips with each request;
everything else belongs to the configuration: sizes are what was compiled, and fp8 and offloading are arguments of its start.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.live_avatar.batch import can_share_batch
from pipeline.adapters.live_avatar.clock import begin_video
from pipeline.adapters.live_avatar.command import (
    ALL_CLIPS,
    Program,
    build_environment,
    find_python,
    launch,
    model_arguments,
)
from pipeline.adapters.live_avatar.output import silent_failure
from pipeline.adapters.live_avatar.page import PORTRAIT, SPEECH, Page
from pipeline.adapters.live_avatar.settings import PAGE_ENTRY
from pipeline.adapters.series import LineClock
from pipeline.errors import GenerationError, RequestError
from pipeline.events import OnEvent, Timeline
from pipeline.process import quote, run_program
from pipeline.tether import Tether

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.adapters.live_avatar.limits import Size
    from pipeline.adapters.live_avatar.log import LogReader
    from pipeline.adapters.live_avatar.sample import Sample
    from pipeline.adapters.live_avatar.settings import LiveAvatarSettings
    from pipeline.request import GenerationRequest

_COMPILE_NOTE = "the first video of a size compiles the model for it, and its times include that"
_RANK_FAILED = re.compile(r"(?:\] ERROR: |ERROR:root:)Error during generation: ")
"""It may stand behind a progress bar that has not ended."""
_AFTER_FAILURE_S = 10.0
"""A rank that failed says so and goes on; the others wait for it for ever."""
_AFTER_ANSWER_S, _QUIET_S = 5.0, 0.3
"""torchrun passes on what a rank said every tenth of a second: its last lines come after the answer."""
_CLIP_FRAMES = range(16, 161)
"""The page's slider of frames a clip."""


def check_page(request: GenerationRequest) -> None:
    """Refuse what the page cannot be asked for.

    Raises
    ------
    RequestError
        A line a reason.
    """
    reasons = []
    if not request.prompt:
        reasons.append("prompt is empty; its page makes nothing without one: give one")
    if request.enable_online_decode:
        reasons.append("enable_online_decode is true; its page decodes at the end")
    if request.infer_frames not in _CLIP_FRAMES:
        reasons.append(
            f"infer_frames is {request.infer_frames}; its page takes {_CLIP_FRAMES[0]} to {_CLIP_FRAMES[-1]}"
        )
    if request.num_clip is not None and request.num_clip > ALL_CLIPS:
        reasons.append(f"num_clip is {request.num_clip}; its page takes 1 to {ALL_CLIPS}")
    if reasons:
        raise RequestError("\n".join(f"{reason}, or set keep_warm to false" for reason in reasons))


def can_share_page(one: GenerationRequest, other: GenerationRequest) -> bool:
    """Return whether two requests are of one configuration: they differ in nothing but inputs, clips at most and seed."""
    return can_share_batch(one, other.model_copy(update={"base_seed": one.base_seed}))


def build_page(settings: LiveAvatarSettings, request: GenerationRequest, folder: Path, port: int) -> Program:
    """Build the command line that starts the page, for this machine alone.

    gradio hands out only files of its own folder, so what is made is written there.
    """
    words = [
        *launch(settings, find_python(settings), folder / "torchrun", PAGE_ENTRY),
        *model_arguments(settings, request),
        *(["--fp8"] if settings.fp8 else []),
        f"--num_clip={ALL_CLIPS}",
        f"--save_dir={_videos(folder)}",
        "--server_name=127.0.0.1",
        f"--server_port={port}",
    ]
    environment = build_environment(settings)
    inherited = {**os.environ, **environment}
    here = {
        name: ",".join(filter(None, [inherited.get(name), "127.0.0.1", "localhost"]))
        for name in ("no_proxy", "NO_PROXY")
    }
    own = {"GRADIO_TEMP_DIR": str(folder / "gradio"), "GRADIO_ANALYTICS_ENABLED": "False"}
    return Program(tuple(words), {**environment, **here, **own})


def find_free_port() -> int:
    """Return a port of this machine that nothing listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class _Answer:
    """Its page answered, or asking it failed."""

    error: Exception | None


@dataclass(frozen=True, slots=True)
class _End:
    """The program is over."""

    text: str


class WarmProgram:
    """Its page, running. It loads by itself; `make` waits for that and then for one video after the other.

    After a failure it is in no known state: close it, and start another one.

    Parameters
    ----------
    sample : Sample
        The first that will be made; it says which configuration the program belongs to.
    """

    def __init__(self, sample: Sample) -> None:
        if "+" in tempfile.gettempdir():
            raise RequestError(
                f"the folder for temporary files is {tempfile.gettempdir()!r}: its code takes + for a second speaker's file; "
                f"set TMPDIR to another"
            )
        self._settings = sample.settings
        self._request = sample.request
        self._folder = Path(tempfile.mkdtemp(prefix="evalkit-live-avatar-"))
        _videos(self._folder).mkdir(parents=True)
        port = find_free_port()
        self._program = build_page(sample.settings, sample.request, self._folder, port)
        self._page = Page(port)
        self._tether = Tether(self._folder)
        self._heard: queue.Queue[tuple[float, str | _Answer | _End]] = queue.Queue()
        self._stop = threading.Event()
        self._clock = LineClock()
        self._load_s: float | None = None
        self._sizes: set[Size | None] = set()
        self._start_s = time.monotonic()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def serves(self, request: GenerationRequest) -> bool:
        """Return whether it belongs to the request's configuration and still answers."""
        return can_share_page(self._request, request) and self._page.answers()

    def make(self, sample: Sample, part: Path, on_event: OnEvent | None) -> tuple[Timeline, LogReader]:
        """Make a video; its events count from when the program was there and was asked.

        Raises
        ------
        GenerationError
            With the cause that the log names.
        """
        log = sample.reader(Timeline(), is_loaded=True)  # until its work begins: for failures alone
        if self._load_s is None:
            self._wait_for(lambda: self._page.wait_until_there(self._stop), log)
            self._load_s = self._clock.now_s - self._start_s
        self._hear_the_rest(log, 0.0)
        portrait = _copy_portrait(str(sample.request.image), self._folder)
        self._clock.now_s = time.monotonic()
        timeline = begin_video(
            sample, self._clock, on_event, load_s=self._load_s, note=self._note_compiling(sample)
        )
        log = sample.reader(timeline, is_loaded=True)
        num_clip = sample.request.num_clip or ALL_CLIPS
        self._wait_for(lambda: self._page.make(sample.request, portrait, sample.sound.path, num_clip), log)
        made = sorted(_videos(self._folder).glob("*.mp4"))
        if len(made) != 1:
            error = GenerationError(f"{len(made)} videos are in its folder after one request", "no_output")
            raise silent_failure(error, log)
        shutil.move(made[0], part)
        self._forget_copies()
        return timeline, log

    def close(self) -> None:
        """End it with all its processes. A second call does nothing."""
        self._stop.set()
        self._thread.join()
        self._page.close()
        self._tether.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _work(self) -> None:
        """Run the program; in a thread of its own, so that each line is heard when it comes."""
        end = _End("its page ended")
        try:
            finished = run_program(
                self._program.argv,
                on_line=lambda line: self._heard.put((time.monotonic(), line)),
                stop=self._stop,
                folder=self._settings.repository,
                environment={**self._program.environment, **self._tether.environment},
            )
            end = _End(f"its page ended with status {finished.returncode}")
        except (GenerationError, RequestError) as error:
            end = _End(str(error))
        finally:
            self._heard.put((time.monotonic(), end))

    def _answer(self, work: Callable[[], None]) -> None:
        """Ask its page; in a thread of its own, so that the log is heard meanwhile."""
        error = None
        try:
            work()
        except Exception as caught:  # noqa: BLE001 - raised where it is waited for
            error = caught
        self._heard.put((time.monotonic(), _Answer(error)))

    def _wait_for(self, work: Callable[[], None], log: LogReader) -> None:
        """Ask its page, hear what the program says until it answers, and give up where that takes too long."""
        threading.Thread(target=self._answer, args=(work,), daemon=True).start()
        heard_s = time.monotonic()
        end_s, has_failed = heard_s + self._settings.time_limit_s, False
        while True:
            wait_s = min(end_s, heard_s + self._settings.stall_limit_s) - time.monotonic()
            try:
                at_s, heard = self._heard.get(timeout=max(0.0, wait_s))
            except queue.Empty:
                raise self._give_up(log, is_late=time.monotonic() >= end_s, has_failed=has_failed) from None
            self._clock.now_s = max(self._clock.now_s, at_s)
            if isinstance(heard, str):
                heard_s = at_s
                log.hear(heard)
                if not has_failed and _RANK_FAILED.search(heard):
                    end_s, has_failed = min(end_s, at_s + _AFTER_FAILURE_S), True
            elif isinstance(heard, _End):
                raise _explained(heard.text, "crashed", log)
            else:
                self._take_answer(heard, log)
                return

    def _take_answer(self, answer: _Answer, log: LogReader) -> None:
        """Hear what was said before it; raise what is wrong with it."""
        error = answer.error
        broke_off = isinstance(error, GenerationError) and error.kind == "broken_off"
        end = self._hear_the_rest(log, _AFTER_FAILURE_S if broke_off else _QUIET_S)
        if isinstance(error, GenerationError):
            if end is not None:
                raise _explained(end.text, "crashed", log)
            raise _explained(str(error), error.kind, log)
        if error is not None:
            raise error

    def _hear_the_rest(self, log: LogReader, quiet_s: float) -> _End | None:
        """Hear what is still said, at the same time of the clock, until it is quiet or the program ended."""
        end_s = time.monotonic() + max(quiet_s, _AFTER_ANSWER_S)
        while time.monotonic() < end_s:
            try:
                _, heard = self._heard.get(timeout=quiet_s) if quiet_s else self._heard.get_nowait()
            except queue.Empty:
                break
            if isinstance(heard, _End):
                return heard
            if isinstance(heard, str):
                log.hear(heard)
        return None

    def _give_up(self, log: LogReader, *, is_late: bool, has_failed: bool) -> GenerationError:
        if has_failed:
            return _explained("one of its processes failed, and the others wait for it", "crashed", log)
        if is_late:
            return _explained(
                f"its page took longer than {self._settings.time_limit_s:g} s", "timed_out", log
            )
        return _explained(f"its page printed nothing for {self._settings.stall_limit_s:g} s", "stalled", log)

    def _note_compiling(self, sample: Sample) -> str | None:
        if not self._settings.compiles or sample.size in self._sizes:
            return None
        self._sizes.add(sample.size)
        return _COMPILE_NOTE

    def _forget_copies(self) -> None:
        """Remove what gradio keeps of a request: what was sent, and a copy of the video."""
        for pattern in ("*.mp4", f"{PORTRAIT}*", f"{SPEECH}*"):
            for path in (self._folder / "gradio").rglob(pattern):
                path.unlink()


def _explained(text: str, kind: str, log: LogReader) -> GenerationError:
    cause = f": {log.exception}" if log.exception is not None else ""
    return log.explain(GenerationError(f"{text}{cause}; {quote(log.tail)}", kind))


def _videos(folder: Path) -> Path:
    return folder / "gradio" / "videos"


def _copy_portrait(image: str, folder: Path) -> Path:
    """Write the pixels that its script would read: gradio would turn what a camera marked, and compress it anew."""
    from PIL import Image

    path = folder / f"{PORTRAIT}.png"
    with Image.open(image) as picture:
        picture.convert("RGB").save(path)
    return path
