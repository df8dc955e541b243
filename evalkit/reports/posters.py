"""Stills of videos, one a configuration, in the report's own folder: what a configuration looks like, at a glance."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from evalkit.errors import ClipError
from evalkit.runs.files import write_atomically
from evalkit.runs.layout import VIDEO_FILE
from evalkit.types import FrameChunk
from evalkit.views.trial import POSTERS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.analysis.table import ClipRecord

N_AT_MOST = 60
"""Configurations that have one: each takes about 0.05 s to make."""
_LONGER_SIDE_PX = 480
_AT_S = 0.5
_CHUNK_FRAMES = 16
_QUALITY = 80

log = logging.getLogger(__name__)


def write_posters(analysis: RunAnalysis) -> None:
    """Make the stills that are not there yet: of every configuration a video of the same input and seed, where there is one.

    A video that cannot be read has none; its trial says why.

    Raises
    ------
    OSError
        If one cannot be written.
    """
    folder = analysis.run.folder / POSTERS_FOLDER
    for row in _choose(analysis)[:N_AT_MOST]:
        if row.trial is None:
            continue
        video, still = analysis.run.folder_of(row.trial.id) / VIDEO_FILE, folder / f"{row.trial.id}.jpg"
        if still.is_file() and still.stat().st_mtime >= video.stat().st_mtime:
            continue
        picture = read_still(video)
        if picture is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(still, as_jpeg(picture))


def _choose(analysis: RunAnalysis) -> list[ClipRecord]:
    """Return a row with a video of each configuration: of the input and seed that most of them have, else its first."""
    shown = [
        [row for row in one.rows if _has_video(analysis, row)] for one in analysis.configurations[:N_AT_MOST]
    ]
    having: dict[Hashable, int] = {}
    for rows in shown:
        for item in {_item(row) for row in rows}:
            having[item] = having.get(item, 0) + 1
    return [max(rows, key=lambda row: having[_item(row)]) for rows in shown if rows]


def _item(row: ClipRecord) -> Hashable:
    return row.input, row.seed


def _has_video(analysis: RunAnalysis, row: ClipRecord) -> bool:
    return row.trial is not None and VIDEO_FILE in analysis.run.files_of(row.trial.id)


def read_still(video: Path) -> NDArray[np.uint8] | None:
    """Return a frame from near the start; None where the video cannot be read."""
    from evalkit.media.probe import probe
    from evalkit.media.reader import Reader

    found = None
    try:
        for chunk in Reader(probe(str(video)), chunk_frames=_CHUNK_FRAMES):
            if isinstance(chunk, FrameChunk):
                found = chunk.frames[-1]
                if chunk.times_s[-1] >= _AT_S:
                    break
    except ClipError as error:
        log.info("no still of %s: %s", video, error)
    return found


def as_jpeg(picture: NDArray[np.uint8], longer_side_px: int = _LONGER_SIDE_PX) -> bytes:
    """Return a picture as JPEG, made smaller where it is larger."""
    from PIL import Image

    still = Image.fromarray(picture)
    still.thumbnail((longer_side_px, longer_side_px))
    held = io.BytesIO()
    still.save(held, "JPEG", quality=_QUALITY)
    return held.getvalue()
