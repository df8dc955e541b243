"""One video in one run of Live Avatar's script, or of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.live_avatar.command import build_program
from pipeline.adapters.live_avatar.output import OutputFolder, silent_failure
from pipeline.errors import GenerationError
from pipeline.events import SPEECH, WARNING
from pipeline.process import quote, run_program

if TYPE_CHECKING:
    from pipeline.adapters.live_avatar.log import LogReader
    from pipeline.adapters.live_avatar.sample import Sample
    from pipeline.events import Timeline


_COMPILE_NOTE = "its times include compiling the model: each video has a process of its own, which compiles anew; batch and keep_warm compile once"


def run_single(sample: Sample, part: Path, timeline: Timeline) -> LogReader:
    """Run it to its end and bring what it wrote to its place.

    Parameters
    ----------
    sample : Sample
        What to make.
    part : Path
        Where to; its folder takes torchrun's logs too.
    timeline : Timeline
        Takes the events.

    Raises
    ------
    GenerationError
        With the cause that the log names.
    """
    timeline.mark(SPEECH, duration_s=sample.sound.duration_s, n_clips=sample.n_clips)
    if sample.settings.compiles:
        timeline.mark(WARNING, text=_COMPILE_NOTE)
    log = sample.reader(timeline)
    output = OutputFolder(Path(sample.settings.repository))
    try:
        _run(sample, part, log)
    except GenerationError as error:
        raise log.explain(error) from None
    try:
        found = output.fetch(log.saved, part)
    except GenerationError as error:
        raise silent_failure(error, log) from None
    if found is not None:
        text = f"it wrote to {found} instead of the place given; the video was taken from there"
        timeline.mark(WARNING, text=text)
    return log


def _run(sample: Sample, part: Path, log: LogReader) -> None:
    settings = sample.settings
    program = build_program(settings, sample.request, sample.sound.path, part.absolute())
    finished = run_program(
        program.argv,
        on_line=log.hear,
        time_limit_s=settings.time_limit_s,
        stall_limit_s=settings.stall_limit_s,
        folder=settings.repository,
        environment=program.environment,
    )
    if finished.returncode:
        cause = f": {log.exception}" if log.exception is not None else ""
        raise GenerationError(
            f"Live Avatar ended with status {finished.returncode}{cause}; {quote(log.tail)}"
        )
