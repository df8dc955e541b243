"""Runs put where experiments are tracked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from evalkit import registry
from evalkit.arguments import read_path
from evalkit.errors import UsageError
from evalkit.exporters.base import Exporter, ExportOutcome
from evalkit.exporters.content import describe_run
from evalkit.runs import Run
from pipeline.errors import RequestError
from pipeline.extras import require_extra

log = logging.getLogger(__name__)


def export_run(
    run: Run | str | Path,
    exporter: str,
    *,
    to: str | None = None,
    project: str = "evalkit",
    with_videos: bool = True,
    tags: Mapping[str, str] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> ExportOutcome:
    """Put a run where experiments are tracked. Its report and tables are written first, where they are not as it is.

    Parameters
    ----------
    run : Run or path
    exporter : str
        Name in the entry-point group ``evalkit.exporters``: ``mlflow``, ``wandb``.
    to : str, optional
        Address or folder; the exporter's own default unless given.
    project : str
        Under which runs are gathered there.
    with_videos : bool
    tags : mapping of str to str, optional
        More tags of everything.
    on_message : callable, optional
        Called with a line for the person who waits; logged otherwise.

    Raises
    ------
    UsageError
        If there is no such exporter or run, its libraries are not installed, or the other side refuses.
    OSError
        If the report cannot be written.
    """
    kind = registry.load(registry.EXPORTERS, exporter)
    if not (isinstance(kind, type) and issubclass(kind, Exporter)):
        raise UsageError(
            f"the exporter {exporter!r} is no class that derives from evalkit.exporters.base.Exporter"
        )
    try:
        require_extra(kind, f"the exporter {exporter!r}")
    except RequestError as error:
        raise UsageError(str(error)) from None
    opened = run if isinstance(run, Run) else Run.open(read_path(run, "run"))
    made = kind(to, project, with_videos, dict(tags or {}))
    return made.export(describe_run(opened), on_message or log.info)
