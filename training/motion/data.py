"""What the motion model is shown: windows of motion and sound, in many disguises."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.reference.channels import N_MOUTH
from pipeline.reference.features import FOLD
from pipeline.reference.topology import LOWER_INNER_LIP, UPPER_INNER_LIP

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = 80
DB_TO_NATURAL = 12 * np.log(10) / 10  # a unit of a mel column is 12 dB

Tracks = dict[str, tuple[np.ndarray, np.ndarray]]
Spoken = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Face:
    """What must be known of the face directions: how each mouth coordinate parts the lips and lifts the corners."""

    parting: np.ndarray
    lifting: np.ndarray


def load_face(cache: Path) -> Face:
    """Read the face directions."""
    mouth = np.load(cache / "space" / "face.npz")["mouth"][..., 1]
    parting = (mouth[:, LOWER_INNER_LIP[3:8]] - mouth[:, UPPER_INNER_LIP[3:8]]).mean(1)
    lifting = mouth[:, [0, 17]].sum(1) - mouth[:, [61, 291]].sum(1)
    return Face(parting, lifting)


def load_tracks(cache: Path) -> Tracks:
    """Return motion (n, channels) and log-mel (4 n, 41) of every clip, sound in step with the lips."""
    offsets = json.loads((cache / "space" / "offsets.json").read_text())
    tracks = {}
    for path in sorted((cache / "space").glob("track_*.npz")):
        data = np.load(path)
        name = path.stem.removeprefix("track_")
        mel = np.roll(data["mel"], round(offsets[name] / 10), axis=0)
        n = min(len(data["motion"]), len(mel) // FOLD)
        tracks[name] = data["motion"][:n], mel[: n * FOLD]
    return tracks


def load_spoken(cache: Path) -> Spoken:
    """Return log-mel, when lips are shut and when the mouth is open, of every synthesised utterance."""
    with np.load(cache / "space" / "spoken.npz") as stored:
        keys = [k.removeprefix("mel_") for k in stored.files if k.startswith("mel_")]
        return [tuple(stored[f"{part}_{key}"] for part in ("mel", "shut", "ajar")) for key in keys]


def measure_style(motion: np.ndarray, face: Face) -> np.ndarray:
    """Measure what each style word means, in the order of `STYLES`, on raw motion (n, channels)."""
    pitch = motion[:, 11] - gaussian_filter1d(motion[:, 11], 25)
    speed = np.abs(np.diff(motion[:, 10:13], axis=0)).sum(1)
    n_blinks = int((np.diff((motion[:, 8] > 0.5).astype(int)) > 0).sum())
    return np.array(
        [
            motion[:, :N_MOUTH].mean(0) @ face.lifting,
            np.log(pitch.std() + 0.1),
            np.log(speed.mean() + 0.02),
            np.log(motion[:, :4].std(0).sum() + 0.1),
            -motion[:, 9].mean(),
            min(n_blinks, 2),
        ]
    )


def draw_window(
    rng: np.random.Generator, motion: np.ndarray, mel: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a window, played faster or slower, and disguise its sound."""
    speed = rng.uniform(0.85, 1.2)
    start = rng.uniform(0, max(len(motion) - WINDOW * speed - 1, 0.01))
    places = start + np.arange(WINDOW) * speed
    window = np.stack([np.interp(places, np.arange(len(motion)), column) for column in motion.T], 1)
    moments = start * FOLD + np.arange(-FOLD // 2, WINDOW * FOLD - FOLD // 2) * speed
    heard = np.stack([np.interp(moments, np.arange(len(mel)), column) for column in mel.T], 1)
    return window.astype(np.float32), disguise(rng, heard).reshape(WINDOW, -1)


def draw_spoken(rng: np.random.Generator, spoken: Spoken) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a window of synthesised speech: disguised sound, when lips are shut, when the mouth is open."""
    mel, shut, ajar = spoken[rng.integers(len(spoken))]
    start = int(rng.integers(0, max(1, len(shut) - WINDOW)))
    rows = np.arange(FOLD * start - FOLD // 2, FOLD * (start + WINDOW) - FOLD // 2)
    heard = disguise(rng, mel[np.clip(rows, 0, len(mel) - 1)]).reshape(WINDOW, -1)
    marks = [np.pad(m[start : start + WINDOW], (0, max(0, WINDOW - len(m) + start))) for m in (shut, ajar)]
    return heard, marks[0], marks[1]


def disguise(rng: np.random.Generator, mel: np.ndarray) -> np.ndarray:
    """Make another voice, room or microphone out of log-mel rows (n, 41)."""
    bands = mel[:, :-1]
    n_bands = bands.shape[1]
    places = np.clip(np.arange(n_bands) * rng.uniform(0.84, 1.2) + rng.uniform(-1.5, 1.5), 0, n_bands - 1)
    low = np.minimum(places.astype(int), n_bands - 2)
    part = places - low
    bands = bands[:, low] * (1 - part) + bands[:, low + 1] * part
    colour = gaussian_filter1d(rng.normal(0, 2.0, n_bands), 5)
    bands = bands * rng.uniform(0.85, 1.15) + colour + rng.uniform(-0.5, 0.5) * np.linspace(-1, 1, n_bands)
    if rng.random() < 0.5:
        level = gaussian_filter1d(rng.normal(0, 1.5, n_bands), 6) + rng.uniform(-3.5, -1.0)
        noise = level + rng.normal(0, 0.3, bands.shape)
        bands = np.logaddexp(DB_TO_NATURAL * bands, DB_TO_NATURAL * noise) / DB_TO_NATURAL
    out = np.column_stack([bands, mel[:, -1] + rng.normal(0, 0.1)])
    if rng.random() < 0.3:
        first = rng.integers(0, n_bands - 6)
        out[:, first : first + rng.integers(2, 7)] = 0
    return out.astype(np.float32)
