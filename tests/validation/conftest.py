"""Material with known sound, pictures and landmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from evalkit.validation.material import POINTS, Material, Survey

MakeMaterial = Callable[..., Material]


@pytest.fixture
def make_material(tmp_path: Path) -> MakeMaterial:
    """Return what makes the material of a clip from samples (n, n_channels) and landmarks, of all frames or of each, by their number."""

    def make(
        samples: np.ndarray | None = None,
        rate_hz: int = 8000,
        *,
        n_frames: int = 0,
        fps: float = 25.0,
        landmarks: Mapping[int, ArrayLike] | None = None,
    ) -> Material:
        sound_file = face_file = None
        n, n_channels = 0, 0
        if samples is not None:
            sound_file = str(tmp_path / "sound.f32")
            np.asarray(samples, np.float32).tofile(sound_file)
            n, n_channels = samples.shape
        if n_frames:
            points = np.full((n_frames, len(POINTS), 2), np.nan, np.float32)
            for number, place in (landmarks or {}).items():
                points[:, POINTS.index(number)] = place
            face_file = str(tmp_path / "face.npz")
            np.savez(face_file, times_s=np.arange(n_frames) / fps, points=points)
        return Material(
            Survey("clip.mp4", n_frames, n_frames / fps, fps, face_file, sound_file, rate_hz, n_channels, n)
        )

    return make
