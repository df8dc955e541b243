"""Whether a picture shows a face."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipeline.errors import RequestError
from pipeline.faces import locate_faces, refuse_without_face


def test_a_face_is_located() -> None:
    ((x, y, side),) = locate_faces(data.astronaut())
    assert 190 < x < 260
    assert 70 < y < 150
    assert 60 < side < 180


def test_a_portrait_is_accepted_and_a_picture_without_a_face_is_no_face(tmp_path: Path) -> None:
    Image.fromarray(data.astronaut()).save(tmp_path / "face.png")
    refuse_without_face(tmp_path / "face.png")
    Image.fromarray(data.coffee()).save(tmp_path / "coffee.png")
    with pytest.raises(RequestError, match=r"coffee\.png.*no face found") as refusal:
        refuse_without_face(str(tmp_path / "coffee.png"))
    assert refusal.value.kind == "no_face"
    assert pickle.loads(pickle.dumps(refusal.value)).kind == "no_face"  # noqa: S301 - our own bytes


def test_a_picture_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(data.astronaut()).save(path)
    refuse_without_face(path)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
    with pytest.raises(RequestError, match="no face found"):
        refuse_without_face(path)


def test_what_is_no_picture_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("words")
    with pytest.raises(RequestError, match="cannot be read as a picture") as refusal:
        refuse_without_face(tmp_path / "x.png")
    assert refusal.value.kind == "refused"
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        refuse_without_face(tmp_path / "none.png")
