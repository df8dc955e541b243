"""Several videos by one run of a program: which requests go together, and what it says when."""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import GenerationError, RequestError
from pipeline.process import run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pipeline.request import GenerationRequest

Work = TypeVar("Work")


class LineClock:
    """The time at which what is now being read was heard."""

    def __init__(self) -> None:
        self.now_s = time.monotonic()

    def __call__(self) -> float:
        """Return it, seconds."""
        return self.now_s


class HeardProgram:
    """A program that goes on by itself; what it says is read later, at the time at which it was said.

    Parameters
    ----------
    argv : sequence of str
        Program and arguments.
    folder : path
        Working folder.
    environment : mapping
        Variables beside the inherited ones.
    time_limit_s : float
        Seconds after which it is ended.
    stall_limit_s : float, optional
        Seconds without any output after which it is ended.

    Attributes
    ----------
    clock : LineClock
        Stands at the line that was read last.
    start_s : float
        When it was started, on the clock.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        folder: str | Path | None,
        environment: Mapping[str, str],
        time_limit_s: float,
        stall_limit_s: float | None = None,
    ) -> None:
        self.clock = LineClock()
        self.start_s = self.clock.now_s
        self._lines: queue.Queue[tuple[float, str | None]] = queue.Queue()
        self._stop = threading.Event()
        self._error: GenerationError | RequestError | None = None
        self._status: int | None = None

        def work() -> None:
            try:
                finished = run_program(
                    argv,
                    on_line=lambda line: self._lines.put((time.monotonic(), line)),
                    time_limit_s=time_limit_s,
                    stall_limit_s=stall_limit_s,
                    stop=self._stop,
                    folder=folder,
                    environment=environment,
                )
                self._status = finished.returncode
            except (GenerationError, RequestError) as error:
                self._error = error
            finally:
                self._lines.put((time.monotonic(), None))

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def next_line(self) -> str | None:
        """Wait for the next line and set the clock to it; None where the program is over."""
        self.clock.now_s, line = self._lines.get()
        return line

    def rest(self) -> Iterator[str]:
        """Yield what it still says until it is over; the clock stands still."""
        while (line := self._lines.get()[1]) is not None:
            yield line

    @property
    def fault(self) -> GenerationError | RequestError | int | None:
        """What ended it, once it is over: an error or an exit status; None where it ended well."""
        return self._error or self._status or None

    def close(self) -> None:
        """End it with all its processes. A second call does nothing."""
        self._stop.set()
        self._thread.join()


class Announced:
    """The requests that were said to come next."""

    def __init__(self) -> None:
        self._requests: list[GenerationRequest] = []
        self._folder: Path | None = None

    def learn(self, requests: Sequence[GenerationRequest], folder: Path) -> None:
        """Take what `pipeline.generator.Generator.announce_upcoming` tells."""
        self._requests, self._folder = list(requests), folder

    def gather(
        self,
        request: GenerationRequest,
        beside: Path,
        *,
        shares: Callable[[GenerationRequest, GenerationRequest], bool],
        prepare: Callable[[GenerationRequest, Path], Work],
    ) -> tuple[Path, list[Work]]:
        """Prepare a request, and after it the announced ones as far as they can share a run with it.

        Parameters
        ----------
        request : GenerationRequest
            The one that is wanted now.
        beside : Path
            Where the folder goes if it was not announced.
        shares : callable
            Says whether two requests can share a run.
        prepare : callable
            Prepares a request in a folder of its own. What it refuses, but for the first, is left out, and raised when
            its own turn comes.

        Returns
        -------
        folder : Path
            Absolute, new, for what is in the making; removed where this raises.
        prepared : list
            In order.
        """
        is_announced = self._requests[:1] == [request]
        place = self._folder if is_announced and self._folder is not None else beside
        folder = Path(tempfile.mkdtemp(prefix=".batch-", suffix=".part", dir=place)).absolute()
        try:
            prepared = [prepare(request, _own_folder(folder, 1))]
            for number, other in enumerate(self._requests[1:] if is_announced else [], start=2):
                if not shares(request, other):
                    break
                with suppress(RequestError, GenerationError):
                    prepared.append(prepare(other, _own_folder(folder, number)))
        except BaseException:
            shutil.rmtree(folder)
            raise
        return folder, prepared


def _own_folder(folder: Path, number: int) -> Path:
    own = folder / f"input_{number:04d}"
    own.mkdir()
    return own
