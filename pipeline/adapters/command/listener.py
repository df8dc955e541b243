"""From the output of a program to events, and to the file that it wrote."""

from __future__ import annotations

import re
import shutil
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import GenerationError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from pipeline.adapters.command.settings import CommandSettings
    from pipeline.events import Timeline

_N_ENDLESS = 2  # the second try tells that there will be a third
_CLOCK_S = 2.0  # file systems round times, to two seconds at the most


class Listener:
    """Turns lines of output into events, and finds the file that was written.

    Parameters
    ----------
    settings : CommandSettings
        What the lines mean.
    timeline : Timeline
        Takes the events.
    output : Output or None
        Where the video should be; ``None`` where the output says so, or the program is told where to write.

    Attributes
    ----------
    failure : str or None
        Kind of the first failure that the output names.
    endless : str or None
        Kind of the failure from which the program would never come back.
    last_words : str
        The line that says so.
    stop : threading.Event
        Set when the program is to be ended.
    """

    def __init__(self, settings: CommandSettings, timeline: Timeline, output: Output | None) -> None:
        self._settings = settings
        self._timeline = timeline
        self._output = output
        self._n_matches = dict.fromkeys(settings.events, 0)
        self._saved: str | None = None
        self._start_s = time.time()
        self._n_tries = dict.fromkeys(settings.endless, 0)
        self.failure: str | None = None
        self.endless: str | None = None
        self.last_words = ""
        self.stop = threading.Event()

    def hear(self, line: str) -> None:
        """Take one line of output."""
        for name, pattern in self._settings.events.items():
            match = re.search(pattern, line)
            if match is not None:
                detail: dict[str, JsonValue] = {"index": self._n_matches[name], **match.groupdict()}
                self._timeline.mark(name, **detail)
                self._n_matches[name] += 1
        if self._settings.saved_path is not None:
            match = re.search(self._settings.saved_path, line)
            self._saved = match["path"] if match is not None else self._saved
        if self.failure is None:
            kinds = self._settings.failures.items()
            self.failure = next((kind for kind, pattern in kinds if re.search(pattern, line)), None)
        for kind, pattern in self._settings.endless.items():
            self._n_tries[kind] += re.search(pattern, line) is not None
            if self._n_tries[kind] == _N_ENDLESS and self.endless is None:
                self.endless, self.last_words = kind, line.strip()
                self.stop.set()

    def fetch(self, folder: str | None, part: Path) -> None:
        """Copy the file that the program said it saved, or should have saved, unless it wrote the part itself.

        Parameters
        ----------
        folder : str or None
            Working folder of the program; ``None`` for the current one.
        part : Path
            Where the video goes.

        Raises
        ------
        GenerationError
            ``no_output`` if there is none, or it was there before the program started.
        """
        output = self._output
        if self._settings.saved_path is not None:
            if self._saved is None:
                raise GenerationError(
                    "it never said where it saved the video (saved_path matched no line)", "no_output"
                )
            saved, said = Path(folder or ".") / self._saved, "said it saved"
        elif output is not None:
            saved, said = output.path, "should have written"
        else:
            return
        if not saved.is_file():
            raise GenerationError(f"the file it {said}, {saved}, is not there", "no_output")
        made_s = saved.stat().st_mtime
        is_new = made_s >= self._start_s - _CLOCK_S if output is None else output.is_new()
        if not is_new:
            when = datetime.fromtimestamp(made_s).astimezone().isoformat(" ", "seconds")
            raise GenerationError(
                f"the file it {said}, {saved}, is an earlier one: written {when}, before the program started",
                "no_output",
            )
        shutil.copyfile(saved, part)


class Output:
    """A file that a program should write, looked at before it starts.

    Parameters
    ----------
    path : Path
        Where it will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = self._state()

    def is_new(self) -> bool:
        """Return whether it is another file, or has other contents, than before."""
        return self._state() != self._before

    def _state(self) -> tuple[int, int, int] | None:
        if not self.path.is_file():
            return None
        stat = self.path.stat()
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
