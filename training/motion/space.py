"""From landmarks to motion: the mean face, the directions in which mouths and brows move, and motion tracks.

``python training/motion/space.py CACHE`` reads what ``extract.py`` wrote and writes ``CACHE/space/``: ``face.npz``
(mean face and directions, shipped as weights) and one ``.npz`` a clip with its motion at 25 Hz and its log-mel.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.reference import topology
from pipeline.reference.alignment import Similarity, fit_similarity, head_angles
from pipeline.reference.channels import N_MOUTH
from pipeline.reference.features import MOTION_RATE_HZ, RATE_HZ, log_mel

GAPS = (topology.UPPER_INNER_LIP[3:8], topology.LOWER_INNER_LIP[3:8])
LIPS = np.concatenate([topology.INNER_LIPS, topology.UPPER_OUTER_LIP, topology.LOWER_OUTER_LIP])


@dataclass
class Clip:
    """One clip at the motion rate: landmarks (n, 478, 3) in px, its face with lips closed, its sound."""

    name: str
    points: np.ndarray
    neutral: np.ndarray
    samples: np.ndarray
    travel: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """Of every point from the neutral face, in eye distances, head held still: (n, 478, 3)."""
    pose: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """Yaw, pitch, roll (degrees), right, down (eye distances), log zoom, from the clip's median: (n, 6)."""


def lip_gap(points: np.ndarray) -> np.ndarray:
    """Mean opening of the inner lips, shape (...), for points of shape (..., 478, 3)."""
    return np.linalg.norm(points[..., GAPS[0], :2] - points[..., GAPS[1], :2], axis=-1).mean(-1)


def lid_closure(points: np.ndarray) -> np.ndarray:
    """Return 0 for eyes as open as they mostly are in the clip, 1 for shut, shape (n,)."""
    ratios = []
    for upper, lower in zip(topology.UPPER_LIDS, topology.LOWER_LIDS, strict=True):
        height = np.linalg.norm(points[:, upper[2:7]] - points[:, lower[2:7]], axis=-1).mean(-1)
        ratios.append(height / np.linalg.norm(points[:, upper[0]] - points[:, upper[-1]], axis=-1))
    openness = np.mean(ratios, axis=0)
    usual = np.quantile(openness, 0.7)
    return np.clip((usual - openness) / (0.75 * usual), 0, 1)


def to_motion_rate(times_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate over time to ``j / 25`` s, from 0 to the last frame."""
    grid = np.arange(0, times_s[-1] + 1e-6, 1 / MOTION_RATE_HZ)
    flat = values.reshape(len(values), -1)
    columns = [np.interp(grid, times_s, column) for column in flat.T]
    return np.stack(columns, 1).reshape(len(grid), *values.shape[1:])


def hold_still(points: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, list[Similarity]]:
    """Bring every frame onto a reference by its points that do not move with speech."""
    fits = [fit_similarity(frame[topology.RIGID], reference[topology.RIGID]) for frame in points]
    return np.stack([fit.apply(frame) for fit, frame in zip(fits, points, strict=True)]), fits


def read_clip(path: Path) -> Clip:
    """Read one cached clip at the motion rate, sound on the picture's clock."""
    data = np.load(path)
    seen = np.isfinite(data["landmarks_px"][:, 0, 0])
    points = to_motion_rate(data["times_s"][seen], data["landmarks_px"][seen].astype(float))
    lead = round(float(data["audio_start_s"] * RATE_HZ))
    samples = np.pad(data["samples"], (lead, 0)) if lead > 0 else data["samples"][-lead:]
    own = points[0]
    for _ in range(3):
        still, _fits = hold_still(points, own)
        own = still.mean(0)
    gaps = lip_gap(still)
    return Clip(path.stem, points, still[gaps <= np.quantile(gaps, 0.15)].mean(0), samples)


def average_faces(neutrals: list[np.ndarray]) -> np.ndarray:
    """Average faces up to similarity: eye corners level and one unit apart, their middle at the origin."""
    mean = neutrals[0]
    for _ in range(3):
        mean = np.mean([fit_similarity(n, mean).apply(n) for n in neutrals], 0)
    mean = mean - (mean[33] + mean[263]) / 2
    mean = mean / np.linalg.norm(mean[33] - mean[263])
    tilt = np.arctan2(*(mean[263] - mean[33])[1::-1])
    return mean @ np.array([[np.cos(tilt), np.sin(tilt), 0], [-np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]]).T


def measure_motion(clip: Clip, mean: np.ndarray) -> None:
    """Split a clip's landmarks into head pose and travel of the points of the face."""
    own = fit_similarity(clip.neutral, mean).apply(clip.neutral)
    still, fits = hold_still(clip.points, own)
    clip.travel = still - own
    angles = np.array([head_angles(f.rotation.T) for f in fits])
    centres = np.array([f.invert(own[topology.RIGID].mean(0)[None])[0, :2] for f in fits])
    scales = np.array([1 / f.scale for f in fits])
    moved = (centres - np.median(centres, 0)) / np.median(scales)
    clip.pose = np.column_stack([angles - np.median(angles, 0), moved, np.log(scales / np.median(scales))])


def ramp(y: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth in between."""
    x = np.clip((y - low) / (high - low), 0, 1)
    return x * x * (3 - 2 * x)


def main(cache: Path) -> None:
    """Build the space and the tracks."""
    clips = [read_clip(path) for path in sorted(cache.glob("*.npz"))]
    mean = average_faces([c.neutral for c in clips])
    for clip in clips:
        measure_motion(clip, mean)
    y = mean[:, 1]
    lower_face = ramp(y, y[topology.NOSE_TIP] - 0.15, y[topology.NOSE_BASE] + 0.02)
    brow_region = ramp(-y, 0.03, 0.16) * ramp(y, y[topology.FOREHEAD], y[topology.FOREHEAD] + 0.12)
    weight = 0.5 * lower_face
    weight[LIPS] += 2.0 * lower_face[LIPS]

    sample = np.concatenate([c.travel[:: max(1, len(c.travel) // 300)] for c in clips])
    flat = (sample * weight[:, None]).reshape(len(sample), -1)
    _, singular, axes = np.linalg.svd(flat, full_matrices=False)
    axes = axes[:N_MOUTH] * np.sign(axes[:N_MOUTH, 3 * 14 + 1 : 3 * 14 + 2])  # positive lowers the lower lip
    mouths = [(c.travel * weight[:, None]).reshape(len(c.travel), -1) @ axes.T for c in clips]
    spread = np.concatenate(mouths).std(0)
    # For every point: what it does when a mouth coordinate moves by one standard deviation.
    solved = np.linalg.lstsq(flat @ axes.T / spread, sample.reshape(len(sample), -1), rcond=None)[0]
    directions = solved.reshape(N_MOUTH, 478, 3) * lower_face[:, None]
    lift = sample[:, topology.BROWS, 1].mean(1)
    brow = np.einsum("n,nij->ij", lift, sample) / (lift**2).sum() * brow_region[:, None]

    out = cache / "space"
    out.mkdir(exist_ok=True)
    face = {"mean": mean, "mouth": directions, "brow": brow}
    np.savez_compressed(out / "face.npz", **{k: v.astype(np.float32) for k, v in face.items()})
    for clip, mouth in zip(clips, mouths, strict=True):
        brows = gaussian_filter1d(clip.travel[:, topology.BROWS, 1].mean(1), 1.0)
        motion = np.column_stack(
            [
                gaussian_filter1d(mouth / spread, 0.45, axis=0),
                lid_closure(clip.points),
                brows,
                gaussian_filter1d(clip.pose, 1.0, axis=0),
            ]
        )
        np.savez(
            out / f"track_{clip.name}.npz", motion=motion.astype(np.float32), mel=log_mel([clip.samples])
        )
    share = (singular[:N_MOUTH] ** 2).sum() / (singular**2).sum()
    print(f"{len(clips)} clips; the mouth directions hold {share:.1%} of the variance")
    print(f"lip gap of the mean face {lip_gap(mean):.4f} eye distances")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
