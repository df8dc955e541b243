"""The picture and the file behind the brand numbers: whatever is missing, they are there and say so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from evalkit.evaluators.brand import Brand
from evalkit.media import probe
from evalkit.metrics.brand import Calibration
from evalkit.testing.media import write_clip
from evalkit.tracks.brand import columns_of
from evalkit.tracks.face import COLUMNS as FACE_COLUMNS
from evalkit.tracks.pose import COLUMNS as POSE_COLUMNS
from evalkit.types import Track

if TYPE_CHECKING:
    from pathlib import Path

SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 40">
<path fill="#1456a0" d="M0 0h40l-20 40z"/><circle fill="#f2a900" cx="48" cy="28" r="12"/></svg>"""
SEEN = {"x0_px": 20, "y0_px": 10, "x1_px": 80, "y1_px": 50, "fidelity": 0.9, "cosine": 0.7, "logo": 0}
COLOURED = {"delta_e": 3.0, "delta_e_balanced": 2.0, "seen0_red": 30, "seen0_green": 90, "seen0_blue": 150}


class Model:
    """A model that is not asked."""

    name, weights_hash, general = "known", "0" * 64, False


@pytest.mark.parametrize(
    ("colors", "places", "n_colours_drawn"),
    [
        ("[{hex: '#1456a0', name: sky}, '#f2a900']", [SEEN | COLOURED, {**SEEN, "fidelity": 0.2}], 1),
        ("[]", [SEEN, SEEN], 0),
        ("['#1456a0']", [{**SEEN, "fidelity": 0.1}, {}], 0),
        ("['#1456a0']", [{}, {}], 0),
    ],
    ids=["all", "no_colours", "not_found", "no_place"],
)
def test_whatever_is_missing_there_is_a_picture_and_a_file(
    tmp_path: Path, colors: str, places: list[dict[str, Any]], n_colours_drawn: int
) -> None:
    (tmp_path / "kite.svg").write_text(SVG, "utf-8")
    (tmp_path / "kite.yaml").write_text(f"name: Kite\nlogos: [kite.svg]\ncolors: {colors}\n", "utf-8")
    clip = write_clip(tmp_path / "clip.mp4", [np.full((120, 160, 3), 128, np.uint8)] * 50)
    calibration = Calibration(1.0, 0.0, 0.0, 1.0, (), (), (), (), (), (), 1)
    brand = type("Known", (Brand,), {"model": Model(), "calibration": calibration})(
        str(tmp_path / "kite.yaml")
    )
    assert brand.guidelines is not None
    columns = columns_of(len(brand.guidelines.colors), 0)
    values = np.full((2, len(columns)), np.nan, np.float32)
    values[:, :3] = 1.0  # white light
    for row, place in enumerate(places):
        for name, number in place.items():
            values[row, columns.index(f"place0_{name}")] = number
    facts = {"end_s": 2.0, "width_px": 160, "height_px": 120}
    nobody = np.zeros(2, dtype=bool)
    tracks = {
        brand.track: Track(brand.track, columns, np.array([0.0, 1.0]), values, ~nobody, facts),
        **{
            name: Track(name, columns, np.array([0.0, 1.0]), np.zeros((2, len(columns)), np.float32), nobody)
            for name, columns in (("face", FACE_COLUMNS), ("pose", POSE_COLUMNS))
        },
    }
    picture, data = brand.evidence(brand.measure(probe(str(clip)), tracks).details)
    assert (picture.file, data.file) == ("brand.png", "brand.json")
    image = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
    assert min(image.shape[:2]) > 500
    assert image.std() > 10  # something is drawn
    evidence = json.loads(data.content)
    first = evidence["key_frames"][0]
    assert first["fidelity"] == pytest.approx(places[0].get("fidelity", 0.0))
    assert [place["box_px"] for place in first["places"]] == ([[20, 10, 80, 50]] if places[0] else [])
    drawn = [name for place in first["places"] for name, rgb in place["seen"].items() if rgb[0] is not None]
    assert len(drawn) == n_colours_drawn
