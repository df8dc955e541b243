"""What a person looks at to believe the numbers of a clip."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from evalkit.evaluators.base import Evaluator
    from evalkit.measuring.results import ClipResult
    from evalkit.types import ClipFacts, FrameChunk, Track

N_FRAMES = 12
_CELL_PX = 300


class _Frame(NamedTuple):
    time_s: float
    picture: NDArray[np.uint8]
    points: tuple[NDArray[np.float32], ...]


class Evidence:
    """Collects frames and tracks while a clip is measured, and draws them.

    Parameters
    ----------
    folder : Path
        Gets one folder a clip.
    clip : str
        Path of the clip.
    evaluators : sequence of Evaluator
        Those that measure it: some have more to show than their numbers.
    """

    def __init__(self, folder: Path, clip: str, evaluators: Sequence[Evaluator] = ()) -> None:
        tag = hashlib.sha256(str(Path(clip).absolute()).encode()).hexdigest()[:6]
        self.folder = folder / f"{Path(clip).stem}-{tag}"
        self._frames: list[_Frame] = []
        self._stride = 1
        self._n_seen = 0
        self._facts: ClipFacts | None = None
        self._tracks: dict[str, Track] = {}
        self._evaluators = evaluators

    def watch_frames(self, chunk: FrameChunk, points: Mapping[str, Sequence[Any]]) -> None:
        """Keep frames spread over the clip, whose length is not known: the stride doubles when there are too many."""
        for index, (time_s, frame) in enumerate(zip(chunk.times_s, chunk.frames, strict=True)):
            if self._n_seen % self._stride == 0:
                found = [points[name][index] for name in ("face", "pose") if name in points]
                self._frames.append(_shrunk(float(time_s), frame, [p for p in found if p is not None]))
                if len(self._frames) > 2 * N_FRAMES:
                    self._frames = self._frames[::2]
                    self._stride *= 2
            self._n_seen += 1

    def watch_tracks(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> None:
        """Keep the tracks for the curves, and what the clip was asked to be."""
        self._facts = facts
        self._tracks = dict(tracks)

    def write(self, result: ClipResult) -> None:
        """Draw everything there is and write it, with the numbers, into the clip's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result.as_json(), indent=2, ensure_ascii=False, allow_nan=False)
        (self.folder / "result.json").write_text(text + "\n", encoding="utf-8")
        measured = {m.metric.name for m in result.measurements if m.value is not None}
        if "lip_sync.error" in measured:
            from evalkit.evaluators.lip_sync import LipSync
            from evalkit.reports.lip_sync_plot import draw_lip_sync

            curves = LipSync().compare(self._tracks["face"], self._tracks["speech"])
            draw_lip_sync(curves).savefig(self.folder / "lip_sync.png")
        if "motion.amount_deg_s" in measured:
            from evalkit.reports.motion_plot import draw_joint_angles

            figure = draw_joint_angles(self._tracks["pose"], self._tracks["face"])
            figure.savefig(self.folder / "joint_angles.png")
        if "speech.char_error_rate" in measured:
            self._write_transcript()
        if "brand.fidelity" in measured:
            self._write_brand()
        if self._frames:
            self._write_frames()

    def _write_transcript(self) -> None:
        """Write the script with the differences to what was heard."""
        from evalkit.reports.transcript_page import (
            TRANSCRIPT_PAGE,
            transcript_page,
        )
        from evalkit.tracks.transcript import PREFIX

        transcript = next(track for name, track in self._tracks.items() if name.startswith(PREFIX))
        assert self._facts is not None  # noqa: S101 - it came with the tracks
        (self.folder / TRANSCRIPT_PAGE).write_text(transcript_page(self._facts, transcript), encoding="utf-8")

    def _write_brand(self) -> None:
        from evalkit.evaluators.brand import Brand
        from evalkit.reports.brand_evidence import write_brand_evidence

        for evaluator in self._evaluators:
            if isinstance(evaluator, Brand) and self._facts is not None:
                write_brand_evidence(self.folder, self._facts, self._tracks, evaluator)

    def _write_frames(self) -> None:
        """Write a contact sheet with the landmarks drawn."""
        import cv2

        chosen = np.linspace(0, len(self._frames) - 1, min(N_FRAMES, len(self._frames))).round().astype(int)
        cells = []
        for frame in (self._frames[index] for index in chosen):
            picture = frame.picture.copy()
            for group, colour in zip(frame.points, ((86, 180, 233), (230, 159, 0)), strict=False):
                radius = 1 if len(group) > 100 else 3
                for x, y in group[np.isfinite(group).all(axis=1)]:
                    cv2.circle(picture, (round(float(x)), round(float(y))), radius, colour, -1, cv2.LINE_AA)
            cell = np.full((_CELL_PX, _CELL_PX, 3), 245, dtype=np.uint8)
            cell[: picture.shape[0], : picture.shape[1]] = picture
            cv2.putText(
                cell, f"{frame.time_s:.2f} s", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 3
            )
            cv2.putText(
                cell, f"{frame.time_s:.2f} s", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1
            )
            cells.append(cell)
        blank = np.full_like(cells[0], 255)
        n_columns = min(4, len(cells))
        cells += [blank] * (-len(cells) % n_columns)
        rows = [np.hstack(cells[start : start + n_columns]) for start in range(0, len(cells), n_columns)]
        ok, encoded = cv2.imencode(".jpg", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
        if ok:
            (self.folder / "frames.jpg").write_bytes(encoded.tobytes())


def _shrunk(time_s: float, frame: NDArray[np.uint8], points: list[NDArray[np.float32]]) -> _Frame:
    import cv2

    scale = _CELL_PX / max(frame.shape[:2])
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    picture = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return _Frame(time_s, picture, tuple(group * np.float32(scale) for group in points))
