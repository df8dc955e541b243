"""Portraits of every kind: framed well, or refused in one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import RequestError
from pipeline.faces import read_picture
from pipeline.reference import topology
from pipeline.reference.alignment import head_rotation
from pipeline.reference.portrait import find_face, frame_portrait, refuse_profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.reference.face import FaceModel
    from pipeline.reference.portrait import Framed

    Picture = NDArray[np.uint8]


def find(picture: Picture) -> NDArray[np.float64]:
    return find_face(picture, "it.png")


def test_eyes_are_where_the_eyes_are(astronaut: Picture) -> None:
    points = find(astronaut)
    eyes = points[[33, 263], :2]  # outer corners, by eye: about (203, 103) and (253, 101)
    np.testing.assert_allclose(eyes, [[201, 104], [250, 100]], atol=6)


def test_no_face_is_refused() -> None:
    with pytest.raises(RequestError, match=r"'it.png': no face found"):
        find(np.full((300, 300, 3), 120, np.uint8))


def test_two_faces_are_refused(astronaut: Picture) -> None:
    head = astronaut[:260, 100:360]
    with pytest.raises(RequestError, match="2 faces of similar size; crop"):
        find(np.hstack([head, head]))


def test_a_small_face_behind_a_large_one_is_no_rival(astronaut: Picture) -> None:
    both = np.full((512, 760, 3), 200, np.uint8)
    both[:, :512] = astronaut
    both[:260, 560:] = cv2.resize(astronaut[:260, 100:360], (200, 260))[:260]
    small = cv2.resize(astronaut[:260, 100:360], (110, 110), interpolation=cv2.INTER_AREA)
    both[:, 512:] = 200
    both[20:130, 600:710] = small
    np.testing.assert_allclose(find(both)[1], find(astronaut)[1], atol=8)


def test_a_tiny_face_is_refused_with_its_size(astronaut: Picture) -> None:
    tiny = cv2.resize(astronaut, (150, 150), interpolation=cv2.INTER_AREA)
    with pytest.raises(RequestError, match=r"the face is \d\d px high, at least 40 are needed"):
        find(tiny)


def test_a_profile_is_refused_with_its_angle(face: FaceModel) -> None:
    turned = face.mean @ head_rotation(60, 0, 0).T
    with pytest.raises(RequestError, match=r"turned 60° away, at most 40°"):
        refuse_profile(turned, face.mean, "it.png")


def test_a_face_turned_a_little_is_taken(face: FaceModel) -> None:
    assert (
        refuse_profile(face.mean @ head_rotation(-30, 5, 5).T, face.mean, "it.png") is None
    )  # it raises to refuse


def test_a_huge_picture_is_reduced_and_works(astronaut: Picture, tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    Image.fromarray(cv2.resize(astronaut, (5000, 5000))).save(path)
    picture = read_picture(path, "image")
    assert max(picture.shape[:2]) == 2048
    np.testing.assert_allclose(find(picture)[1, :2] / 4, find(astronaut)[1, :2], atol=4)


def test_a_painting_works(astronaut: Picture) -> None:
    painted = cv2.stylization(astronaut, sigma_s=30, sigma_r=0.4)
    np.testing.assert_allclose(find(painted)[1, :2], find(astronaut)[1, :2], atol=6)


def test_a_picture_lying_on_its_side_is_put_upright(astronaut: Picture, tmp_path: Path) -> None:
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned a quarter to the left
    Image.fromarray(np.ascontiguousarray(np.rot90(astronaut))).save(path, exif=exif)
    np.testing.assert_array_equal(read_picture(path, "image"), astronaut)


def test_transparent_parts_become_a_plain_ground(astronaut: Picture, tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    alpha = np.full((512, 512), 255, np.uint8)
    alpha[:, :80] = 0
    Image.fromarray(np.dstack([astronaut, alpha])).save(path)
    picture = read_picture(path, "image")
    assert np.all(picture[:, :80] == picture[0, 0])
    np.testing.assert_array_equal(picture[:, 80:], astronaut[:, 80:])


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"image '.*x.png' cannot be read as a picture"):
        read_picture(path, "image")


def test_a_drawing_in_svg_is_refused_with_what_to_give_instead(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"brand_mark '.*x.svg' is a drawing in SVG; give a PNG of it"):
        read_picture(tmp_path / "x.svg", "brand_mark")


@pytest.mark.parametrize("size", [(384, 256), (256, 384), (64, 64), (640, 128)])
def test_any_size_shows_the_whole_face(size: tuple[int, int], astronaut: Picture, face: FaceModel) -> None:
    framed = frame_portrait(astronaut, find(astronaut), face.mean, *size)
    assert framed.picture.shape == (size[1], size[0], 3)
    oval = framed.points[topology.FACE_OVAL, :2]
    assert np.all(oval > 0)
    assert np.all(oval < size)


def test_points_stay_on_the_face_when_it_is_framed(framed: Framed, see_face: object) -> None:
    assert callable(see_face)
    seen = see_face(framed.picture)
    np.testing.assert_allclose(framed.points[:, :2], seen[:, :2], atol=3.5)


def test_a_tall_portrait_fills_a_wide_picture_with_its_own_background(
    astronaut: Picture, face: FaceModel
) -> None:
    tall = astronaut[:400, 130:330]
    framed = frame_portrait(tall, find(tall), face.mean, 512, 256)
    assert framed.picture[:, :20].std() < astronaut.std()
    assert framed.picture[:, :20].mean() > 60


def test_the_person_is_cut_out(framed: Framed) -> None:
    nose, height = framed.points[1, :2].astype(int), framed.matte.shape[0]
    assert framed.matte[nose[1], nose[0]] == 1
    assert framed.matte[: height // 2, :8].max() < 0.1


@pytest.mark.media
def test_a_real_profile_is_refused() -> None:
    import os

    default = Path(__file__).resolve().parents[4] / "shared" / "media"
    path = Path(os.environ.get("EVALKIT_MEDIA", default)) / "portrait" / "liveavatar_music_producer.jpg"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    from pipeline.reference.generator import _load_face

    with pytest.raises(RequestError, match="turned"):
        refuse_profile(find(read_picture(path, "image")), _load_face().mean, "producer")
