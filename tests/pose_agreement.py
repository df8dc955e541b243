"""How near OpenVINO's pose is to MediaPipe's: ``python -m tests.pose_agreement CLIP...`` prints a table.

MediaPipe's own graph is the reference. Beside OpenVINO it is held to itself, with one grey level of one pixel of the
first picture changed: what that moves, no other runtime can keep, since each picture's region comes from the one before.
Distances are of joints that both see, in shoulder widths of the frame; metrics are those of the evaluator ``motion``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.evaluators.motion import VISIBLE, Motion
from evalkit.measuring.runner import make_tracks
from evalkit.media import probe
from evalkit.tracks import make_tracker
from evalkit.tracks.cache import TrackCache
from evalkit.tracks.pose import JOINTS, PoseTracker
from evalkit.types import ClipFacts, Track

METRICS = ("joint_angle_std_deg", "sparc", "ldlj", "amount_deg_s", "jitter_ratio", "visible_joints")


class NudgedTracker(PoseTracker):
    """MediaPipe's, which sees the first picture with one grey level of one pixel changed."""

    def __init__(self) -> None:
        super().__init__("mediapipe")
        self.name = "pose_nudged"

    def _detect(self, picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32] | None:
        if self._model is None:
            picture = picture.copy()
            picture[picture.shape[0] // 2, picture.shape[1] // 2, 1] ^= 1
        return super()._detect(picture, width, height)


class Agreement(NamedTuple):
    """How near a track is to the reference.

    Parameters
    ----------
    distances : float array, shape (n,)
        Of the joints that both see, in shoulder widths.
    n_one_sided : int
        Frames in which one of the two sees nobody.
    changes : dict of str to float
        Of each metric that both have, as a share of the reference.
    """

    distances: NDArray[np.float64]
    n_one_sided: int
    changes: dict[str, float]


def compare(path: Path, folder: Path, *others: PoseTracker) -> Iterator[Agreement]:
    """Compare the tracks of trackers with MediaPipe's; tracks are kept in a folder."""
    facts = probe(str(path))
    trackers = [PoseTracker("mediapipe"), *others]
    tracks, _ = make_tracks(
        facts, {"face": make_tracker("face")} | {t.name: t for t in trackers}, TrackCache(folder)
    )
    reference, *poses = (tracks[tracker.name] for tracker in trackers)
    expected = measure(facts, tracks["face"], reference)
    shoulders = place_px(reference, "left_shoulder") - place_px(reference, "right_shoulder")
    for pose in poses:
        apart = [place_px(pose, joint) - place_px(reference, joint) for joint in JOINTS]
        distances = np.linalg.norm(apart, axis=2) / np.linalg.norm(shoulders, axis=1)
        found = measure(facts, tracks["face"], pose)
        yield Agreement(
            distances[np.isfinite(distances)],
            int((pose.valid != reference.valid).sum()),
            {name: found[name] / expected[name] - 1.0 for name in METRICS if expected.get(name)},
        )


def place_px(track: Track, joint: str) -> NDArray[np.float64]:
    place = track.select(f"{joint}_x_px", f"{joint}_y_px").astype(np.float64)
    place[track[f"{joint}_visibility"] < VISIBLE] = np.nan
    return place


def measure(facts: ClipFacts, face: Track, pose: Track) -> dict[str, float]:
    found = Motion().measure(facts, {"face": face, "pose": pose}).measurements
    return {one.metric.name.removeprefix("motion."): one.value for one in found if one.value is not None}


def main(paths: Sequence[Path]) -> None:
    lines = [["clip", "against", "n", "one-sided", "median %", "p95 %", *(f"{name} %" for name in METRICS)]]
    sys.stdout.write(" | ".join(lines[0]) + "\n")
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            found = compare(path, Path(folder), PoseTracker(), NudgedTracker())
            for what, one in zip(("openvino", "itself, nudged"), found, strict=True):
                quantiles = np.quantile(one.distances, [0.5, 0.95]) if one.distances.size else ()
                cells = [path.name, what, str(one.distances.size), str(one.n_one_sided)]
                cells += [f"{100 * quantile:.3f}" for quantile in quantiles] or ["", ""]
                cells += [
                    f"{100 * one.changes[name]:+.2f}" if name in one.changes else "" for name in METRICS
                ]
                sys.stdout.write(" | ".join(cells) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
