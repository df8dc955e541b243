"""Evidence of a clip: the pictures and pages that its evaluators give, and frames with the points that were found.

Each evaluator has a folder of its own, with an ``index.json``::

    {"format": 1, "evaluator": "lip_sync", "captions": {"lip_sync.png": "lips seen and expected, …"},
     "metrics": {"lip_sync.png": "lip_sync.error"}}

``captions`` says, in order, what each file shows; ``metrics`` beside which metric it belongs. The frames belong to the
first evaluator that measured anything and saw frames.

The folder of a clip that belongs to no run has its ``result.json`` too, and where anything in it is bad, the worst moments of
all its metrics: ``moments.json``, a list in the order of time, and ``moments.vtt``, the same as WebVTT.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.evaluators.base import Evaluator, Exhibit, Measured
from evalkit.formatting import encodable
from evalkit.measuring import webvtt
from evalkit.measuring.observer import Observer
from evalkit.measuring.results import ClipResult
from evalkit.types import FrameChunk
from pipeline.options import json_text

INDEX_FILE = "index.json"
RESULT_FILE = "result.json"
MOMENTS_FILE = "moments.json"
MOMENTS_TRACK_FILE = f"moments{webvtt.SUFFIX}"
FORMAT = 1
N_FRAMES = 12
_CELL_PX = 300  # the longer side of a frame
_MANY_POINTS = 100
_APART_PX = 7
_LONGEST_NAME_BYTES = 100
"""Of a clip's own name in that of its folder: file systems allow 255 bytes in all."""
# sky blue, orange, green, vermilion: M. Okabe, K. Ito, "Color universal design", 2008
_POINT_COLOURS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (213, 94, 0))

log = logging.getLogger(__name__)


def clip_folder(folder: Path, clip: str) -> Path:
    """Return the folder for the evidence of one clip among others: its name, and a tag of its whole path."""
    tag = hashlib.sha256(os.fsencode(Path(clip).absolute())).hexdigest()[:6]
    name = os.fsencode(Path(clip).stem)[:_LONGEST_NAME_BYTES].decode("utf-8", "ignore")
    return folder / f"{name}-{tag}"


def write_result(folder: Path, result: ClipResult) -> None:
    """Write what was measured of a clip into its folder, and its worst moments, where there are any.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_FILE).write_text(result.to_json(), encoding="utf-8")
    moments = sorted(result.moments, key=lambda moment: (moment.start_s, moment.end_s))
    for file, text in (
        (MOMENTS_FILE, json_text([moment._asdict() for moment in moments])),
        (MOMENTS_TRACK_FILE, webvtt.webvtt(moments)),
    ):
        if moments:
            (folder / file).write_text(encodable(text), encoding="utf-8")
        else:
            (folder / file).unlink(missing_ok=True)  # of an earlier measurement


class _Frame(NamedTuple):
    time_s: float
    picture: NDArray[np.uint8]
    points: dict[str, NDArray[np.float32]]


class EvidenceWriter(Observer):
    """Writes the evidence of one clip while it is measured.

    Parameters
    ----------
    folder : Path
        Gets a folder for each evaluator that shows anything, by its name.
    """

    needs_frames = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: list[_Frame] = []
        self._stride = 1
        self._n_seen = 0

    def on_frames(self, chunk: FrameChunk, points: Mapping[str, Sequence[Any]]) -> None:
        """Keep frames spread over the clip, whose length is not known: the stride doubles when there are too many."""
        for index, (time_s, frame) in enumerate(zip(chunk.times_s, chunk.frames, strict=True)):
            if self._n_seen % self._stride == 0:
                found = {track: in_frames[index] for track, in_frames in points.items()}
                self._frames.append(_shrunk(float(time_s), frame, found))
                if len(self._frames) > 2 * N_FRAMES:
                    self._frames = self._frames[::2]
                    self._stride *= 2
            self._n_seen += 1

    def on_measured(self, evaluator: Evaluator, measured: Measured) -> None:
        """Write what the evaluator shows. Evidence that cannot be drawn costs no measurement: it is logged."""
        try:
            exhibits = [] if measured.details is None else list(evaluator.evidence(measured.details))
        except Exception:
            log.exception("the evidence of the evaluator %r cannot be drawn", evaluator.name)
            exhibits = []
        if self._frames and evaluator.tracks and any(m.value is not None for m in measured.measurements):
            caption = "frames, with the points that were found"
            exhibits.append(
                Exhibit("frames.jpg", caption, _contact_sheet(self._frames), evaluator.metrics[0])
            )
            self._frames = []
        if exhibits:
            _write(self._folder / evaluator.name, evaluator.name, exhibits)


def _write(folder: Path, evaluator: str, exhibits: Sequence[Exhibit]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for exhibit in exhibits:
        content = exhibit.content
        (folder / exhibit.file).write_bytes(
            encodable(content).encode() if isinstance(content, str) else content
        )
    index = {
        "format": FORMAT,
        "evaluator": evaluator,
        "captions": {exhibit.file: exhibit.caption for exhibit in exhibits},
        "metrics": {exhibit.file: exhibit.metric.name for exhibit in exhibits},
    }
    (folder / INDEX_FILE).write_text(json_text(index), "utf-8")


def _contact_sheet(frames: Sequence[_Frame]) -> bytes:
    """Draw some of the frames side by side, as JPEG."""
    import cv2

    chosen = np.linspace(0, len(frames) - 1, min(N_FRAMES, len(frames))).round().astype(int)
    tracks = dict.fromkeys(track for frame in frames for track in frame.points)
    colours = dict(zip(tracks, _POINT_COLOURS, strict=False))
    high, wide = (max(frame.picture.shape[axis] for frame in frames) for axis in range(2))
    cells = []
    for frame in (frames[index] for index in chosen):
        picture = frame.picture.copy()
        for track, group in frame.points.items():
            radius, colour = 1 if len(group) > _MANY_POINTS else 3, colours.get(track, _POINT_COLOURS[-1])
            for x, y in _apart(group[np.isfinite(group).all(axis=1)]):
                cv2.circle(picture, (round(float(x)), round(float(y))), radius, colour, -1, cv2.LINE_AA)
        cell = np.full((high, wide, 3), 245, dtype=np.uint8)
        cell[: picture.shape[0], : picture.shape[1]] = picture
        for shade, thickness in ((20, 3), (255, 1)):
            cv2.putText(
                cell, f"{frame.time_s:.2f} s", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (shade,) * 3, thickness
            )
        cells.append(cell)
    n_columns = min(4 if wide >= high else 6, len(cells))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % n_columns)
    rows = [np.hstack(cells[start : start + n_columns]) for start in range(0, len(cells), n_columns)]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    return encoded.tobytes()


def _apart(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all of a few points; of many, those that leave what is between them to be seen."""
    if len(points) <= _MANY_POINTS:
        return points
    kept: list[int] = []
    for index, point in enumerate(points):
        if not kept or np.linalg.norm(points[kept] - point, axis=1).min() >= _APART_PX:
            kept.append(index)
    return points[kept]


def _shrunk(
    time_s: float, frame: NDArray[np.uint8], points: Mapping[str, NDArray[np.float32] | None]
) -> _Frame:
    import cv2

    scale = _CELL_PX / max(frame.shape[:2])
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    picture = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    found = {track: group * np.float32(scale) for track, group in points.items() if group is not None}
    return _Frame(time_s, picture, found)
