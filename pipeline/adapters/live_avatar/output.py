"""Where Live Avatar put its video, and whether it is the one that was asked for."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pipeline.errors import GenerationError
from pipeline.process import quote
from pipeline.video import measure_video

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.adapters.live_avatar.log import LogReader
    from pipeline.adapters.live_avatar.sample import Sample
    from pipeline.video import MeasuredVideo

OUTPUT_FOLDER = "output"
"""In its repository: where its code writes when no place is given."""


class OutputFolder:
    """The folder of its own outputs, looked at before and after.

    Parameters
    ----------
    repository : Path
        Folder of its repository.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._before = {path: path.stat().st_mtime_ns for path in self._videos()}

    def fetch(self, said: str | None, part: Path) -> Path | None:
        """Move the video to where it belongs, if it is not there: from where the log said, or the only new one.

        Parameters
        ----------
        said : str or None
            Path in its log, relative to the repository.
        part : Path
            Where it belongs.

        Returns
        -------
        Path or None
            Where it was found; None if it is where it belongs.

        Raises
        ------
        GenerationError
            ``no_output`` if there is none, or it cannot be told which it is.
        """
        if part.is_file():
            return None
        if said is not None and (self._repository / said).is_file():
            found = self._repository / said
        else:
            new = [path for path in self._videos() if self._before.get(path) != path.stat().st_mtime_ns]
            if not new:
                where = f", nor {said}, where its log says" if said is not None else ""
                raise GenerationError(
                    f"no video was written: not {part}{where}, nor a new one in {self._folder}", "no_output"
                )
            if len(new) > 1:
                names = ", ".join(path.name for path in new)
                raise GenerationError(
                    f"{len(new)} videos are new in {self._folder} ({names}); which is it?", "no_output"
                )
            found = new[0]
        shutil.move(found, part)
        return found

    @property
    def _folder(self) -> Path:
        return self._repository / OUTPUT_FOLDER

    def _videos(self) -> Iterable[Path]:
        return sorted(self._folder.rglob("*.mp4")) if self._folder.is_dir() else []


def verify(part: Path, sample: Sample, log: LogReader) -> MeasuredVideo:
    """Measure the video; refuse one without sound, or more than a clip shorter or longer than its code makes it.

    Raises
    ------
    GenerationError
        ``no_output`` or ``bad_output``, or what the log names as the cause.
    """
    try:
        measured = measure_video(part, sound_expected=True)
        _check_length(measured, sample)
    except GenerationError as error:
        raise silent_failure(error, log) from None
    return measured


def silent_failure(error: GenerationError, log: LogReader) -> GenerationError:
    """Return what is wrong with the video of a program that ended without an error, and what its log says about it."""
    text = f"Live Avatar ended without an error, but {error}; {quote(log.tail)}"
    return log.explain(GenerationError(text, error.kind))


def _check_length(measured: MeasuredVideo, sample: Sample) -> None:
    if sample.size is not None and abs(measured.n_frames - sample.n_frames) > sample.request.infer_frames:
        raise GenerationError(
            f"the video holds {measured.n_frames} frames where {sample.n_frames} were to come: it is cut off, or another one",
            "bad_output",
        )
