"""From the output of a program to events, and to the file that it wrote."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import GenerationError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from pipeline.adapters.command.settings import CommandSettings
    from pipeline.events import Timeline


class Listener:
    """Turns lines of output into events.

    Attributes
    ----------
    failure : str or None
        Kind of the first failure that the output names.
    """

    def __init__(self, settings: CommandSettings, timeline: Timeline) -> None:
        self._settings = settings
        self._timeline = timeline
        self._n_matches = dict.fromkeys(settings.events, 0)
        self._saved: str | None = None
        self.failure: str | None = None

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

    def fetch(self, folder: str | None, output: str | None, part: Path) -> None:
        """Copy the file that the program said it saved, or should have saved, unless it wrote the part itself.

        Parameters
        ----------
        folder : str or None
            Working folder of the program; ``None`` for the current one.
        output : str or None
            Where it should have written; ``None`` where its output says so, or it writes the part itself.
        part : Path
            Where the video goes.

        Raises
        ------
        GenerationError
            ``no_output`` if there is none.
        """
        if self._settings.saved_path is not None and self._saved is None:
            raise GenerationError(
                "it never said where it saved the video (saved_path matched no line)", "no_output"
            )
        place = self._saved if self._settings.saved_path is not None else output
        if place is None:
            return
        saved = Path(folder or ".") / place
        if not saved.is_file():
            said = "said it saved" if output is None else "should have written"
            raise GenerationError(f"the file it {said}, {saved}, is not there", "no_output")
        shutil.copyfile(saved, part)
