"""Calibrations of brands on disk: made once for each set of drawings and each model.

A damaged entry counts as none. The folder is that of the track cache and may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.brand import Calibration
from evalkit.tracks.cache import cache_folder, replace_file
from evalkit.tracks.mark_calibration import VERSION
from pipeline.options import hash_of


def calibration_path(logos: Sequence[NDArray[np.uint8]], model: str, weights: str) -> Path:
    """Return where a calibration is stored, or will be.

    Parameters
    ----------
    logos : sequence of uint8 arrays, shape (height, width, 4)
        The brand's drawings.
    model, weights : str
        Name of the CLIP model, and SHA-256 of its weights.
    """
    drawings = [[list(logo.shape), logo.tobytes().hex()] for logo in logos]
    return cache_folder() / "brands" / f"{hash_of([drawings, model, weights, VERSION])}.json"


def read_calibration(path: Path) -> Calibration | None:
    """Return a stored calibration, or None where there is none that can be read."""
    try:
        return Calibration.from_dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def store_calibration(path: Path, calibration: Calibration) -> None:
    """Store a calibration atomically. A cache that cannot be written is no reason to fail."""
    with contextlib.suppress(OSError):
        replace_file(path, lambda file: file.write(json.dumps(calibration.to_dict()).encode()))
