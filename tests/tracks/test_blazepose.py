"""BlazePose, each stage against plain loops or MediaPipe's own calculators, and the whole against its graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from evalkit.tracks.blazepose import (
    LANDMARKER_SIDE_PX,
    N_LANDMARKS,
    BlazePose,
    Region,
    Steadier,
    first_person,
    refine,
)

SHOULDERS = (11, 12)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Return a photograph of a woman down to the waist, 288x256, in a slow walk."""
    from skimage.data import astronaut

    small = cv2.resize(astronaut(), (256, 288), interpolation=cv2.INTER_AREA)
    return [np.ascontiguousarray(np.roll(small, 2 * shift, axis=1)) for shift in range(12)]


@pytest.fixture
def mediapipe_pose() -> Iterator[Any]:
    from mediapipe.python.solutions.pose import Pose

    with Pose(static_image_mode=False, model_complexity=1, smooth_landmarks=False) as pose:
        yield pose


def as_array(found: Any) -> np.ndarray:
    return np.array([(mark.x, mark.y, mark.visibility) for mark in found.pose_landmarks.landmark])


def test_is_as_near_to_mediapipe_as_rounding_lets_it(pictures: list[np.ndarray], mediapipe_pose: Any) -> None:
    ours = BlazePose()
    size = np.array([256, 288])
    apart = []
    for picture in pictures:
        expected, found = as_array(mediapipe_pose.process(picture)), ours.find(picture)
        assert found is not None
        width = np.linalg.norm(np.diff(expected[SHOULDERS, :2], axis=0) * size)
        apart.append(np.linalg.norm((found - expected)[:, :2] * size, axis=1) / width)
        assert found[:, 2] == pytest.approx(expected[:, 2], abs=0.05)
    assert np.max(apart[0]) < 1e-3  # found by the detector: no earlier picture has any part in it
    assert np.median(apart) < 5e-3


def test_finds_nobody_where_mediapipe_finds_nobody(pictures: list[np.ndarray], mediapipe_pose: Any) -> None:
    black = np.zeros_like(pictures[0])
    clip = [black, pictures[0], pictures[1], black, black, pictures[2]]
    ours = BlazePose()
    seen = [ours.find(picture) is not None for picture in clip]
    assert seen == [mediapipe_pose.process(picture).pose_landmarks is not None for picture in clip]
    assert seen == [False, True, True, False, False, True]


def test_a_person_found_again_is_as_one_found_first(pictures: list[np.ndarray]) -> None:
    black = np.zeros_like(pictures[0])
    followed, fresh = BlazePose(), BlazePose()
    for picture in (*pictures[:3], black):
        followed.find(picture)
    for picture in pictures[5:8]:
        assert np.array_equal(followed.find(picture), fresh.find(picture))


def test_the_number_of_threads_moves_no_value(pictures: list[np.ndarray]) -> None:
    one, two = BlazePose(1), BlazePose(2)
    for picture in pictures:
        assert np.array_equal(one.find(picture), two.find(picture))


def test_two_clips_at_once_do_not_disturb_each_other(pictures: list[np.ndarray]) -> None:
    alone = BlazePose()
    expected = [alone.find(picture) for picture in pictures[:4]]
    first, second = BlazePose(), BlazePose()
    for picture, other, truth in zip(pictures[:4], pictures[4:8], expected, strict=True):
        found = first.find(picture)
        second.find(other)
        assert np.array_equal(found, truth)


@pytest.mark.parametrize(
    "region", [Region(120.3, 150.8, 231.7, 0.3), Region(98.6, 246.5, 714.3, -2.9), Region(20.0, 20.0, 80.0)]
)
def test_a_region_is_cut_as_mediapipe_cuts_it(pictures: list[np.ndarray], region: Region) -> None:
    ours = region.cut(pictures[0], LANDMARKER_SIDE_PX, cv2.BORDER_REPLICATE)
    apart = np.abs(ours.astype(float) - 255 * tensor_of(pictures[0], region))
    assert apart.max() <= 2.01
    assert np.mean(apart > 0.01) < 1e-3


def tensor_of(picture: np.ndarray, region: Region) -> np.ndarray:
    """Cut a region by MediaPipe's own calculator."""
    from google.protobuf import text_format
    from mediapipe.framework import calculator_pb2
    from mediapipe.framework.formats import rect_pb2
    from mediapipe.python import packet_creator, packet_getter
    from mediapipe.python._framework_bindings import calculator_graph, image_frame

    text = """
    input_stream: "image" input_stream: "region"
    node {
      calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" input_stream: "NORM_RECT:region"
      output_stream: "TENSORS:tensors"
      options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
        output_tensor_width: 256 output_tensor_height: 256 keep_aspect_ratio: true
        output_tensor_float_range { min: 0.0 max: 1.0 } } }
    }
    node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:tensors" output_stream: "FLOATS:values" }
    """
    graph = calculator_graph.CalculatorGraph(
        graph_config=text_format.Parse(text, calculator_pb2.CalculatorGraphConfig())
    )
    packets = []
    graph.observe_output_stream("values", lambda _, packet: packets.append(packet), True)
    graph.start_run({})
    height, width = picture.shape[:2]
    rectangle = rect_pb2.NormalizedRect(
        x_center=region.x_px / width,
        y_center=region.y_px / height,
        width=region.side_px / width,
        height=region.side_px / height,
        rotation=region.angle_rad,
    )
    frame = packet_creator.create_image_frame(picture, image_format=image_frame.ImageFormat.SRGB)
    graph.add_packet_to_input_stream("image", frame.at(1))
    graph.add_packet_to_input_stream("region", packet_creator.create_proto(rectangle).at(1))
    graph.wait_until_idle()
    values = packet_getter.get_float_list(packets[0])
    graph.close()
    return np.array(values).reshape(256, 256, 3)


def test_a_region_by_hand() -> None:
    # hips at (100, 200), the point at the person's size 40 pixels above them: upright, 2 * 40 * 1.25 wide
    assert Region.around(np.array([100.0, 200.0]), np.array([100.0, 160.0])) == Region(100, 200, 100, 0)
    lying = Region.around(np.array([100.0, 200.0]), np.array([140.0, 200.0]))
    assert lying.angle_rad == pytest.approx(math.pi / 2)  # the head is at the right
    # and the upper left corner of the square is then at the upper right of the picture
    assert lying.back(np.array([[0.0, 0.0], [0.5, 0.5]])) == pytest.approx(
        np.array([[150.0, 150.0], [100.0, 200.0]])
    )


def test_points_are_refined_as_a_plain_loop_does() -> None:
    random = np.random.default_rng(0)
    heat = random.normal(-2.0, 2.0, (64, 64, 39)).astype(np.float32)
    heat[:, :, 5], heat[60:, 60:, 1] = -9.0, 1.0  # nowhere hot enough, and hot in a corner
    points = random.uniform(-0.1, 1.1, (35, 2)).astype(np.float32)
    points[0], points[1], points[2] = (0.001, 0.5), (0.999, 0.999), (-0.01, 0.3)
    expected = points.copy()
    for index, (x, y) in enumerate(points):
        column, row = int(x * 64), int(y * 64)  # towards zero
        if not (0 <= column < 64 and 0 <= row < 64):
            continue
        cells = [
            (c, r, 1 / (1 + math.exp(-float(heat[r, c, index]))))
            for r in range(max(0, row - 4), min(64, row + 5))
            for c in range(max(0, column - 4), min(64, column + 5))
        ]
        total = sum(weight for _, _, weight in cells)
        if max(weight for _, _, weight in cells) >= 0.5:
            expected[index] = (
                sum(c * weight for c, _, weight in cells) / total / 64,
                sum(r * weight for _, r, weight in cells) / total / 64,
            )
    found = refine(points, heat)
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(found[5], points[5])
    assert (found[:5] != points[:5]).any(axis=1).all()


def test_points_are_steadied_as_the_published_filter_does() -> None:
    random = np.random.default_rng(1)
    walk = np.cumsum(random.normal(0, 3, (20, 2, 2)), axis=0)
    steadier = Steadier()
    found = np.array([steadier.steady(points, 250.0) for points in walk])
    for place in np.ndindex(2, 2):
        assert found[:, *place] == pytest.approx(one_euro(walk[:, *place], 250.0))


def one_euro(values: np.ndarray, scale: float) -> list[float]:
    """Filter one coordinate, written out after Casiez et al., with MediaPipe's settings."""

    def alpha(cutoff_hz: float) -> float:
        tau = 1 / (2 * math.pi * cutoff_hz)
        return 1 / (1 + tau / 0.033333)

    steady, speed = [float(values[0])], 0.0
    for before, now in itertools.pairwise(values):
        speed = alpha(1.0) * (now - before) / scale / 0.033333 + (1 - alpha(1.0)) * speed
        share = alpha(0.01 + 10 * abs(speed))
        steady.append(share * now + (1 - share) * steady[-1])
    return steady


def test_the_surest_person_is_the_mean_of_the_boxes_on_it() -> None:
    boxes, scores = np.zeros((2254, 12), np.float32), np.full(2254, -100.0, np.float32)
    # anchors 0 and 2 stand at the middles of the first two cells of a grid of 28; one far away is less sure
    for index, score in ((0, 2.0), (2, 1.0), (1500, 0.5)):
        scores[index] = score
        boxes[index, 2:4] = 56.0  # a quarter of the square wide and high
    boxes[0, 4:8] = (22.4, 44.8, 22.4, 0.0)
    boxes[2, 4:8] = (22.4, 44.8, 22.4, 0.0)
    weights = 1 / (1 + np.exp([-2.0, -1.0]))
    x = np.average([0.5 / 28, 1.5 / 28], weights=weights) + 0.1
    y = 0.5 / 28
    assert first_person(boxes, scores) == pytest.approx(np.array([[x, y + 0.2], [x, y]]), abs=1e-6)


def test_no_sure_box_is_nobody() -> None:
    boxes, scores = np.ones((2254, 12), np.float32), np.full(2254, -0.01, np.float32)
    assert first_person(boxes, scores) is None
    scores[7] = 3.0
    assert first_person(boxes, scores) is not None
    boxes[7, 2] = -1.0  # a box turned inside out
    assert first_person(boxes, scores) is None


def test_landmarks_are_shares_of_the_picture(pictures: list[np.ndarray]) -> None:
    found = BlazePose().find(pictures[0])
    assert found is not None
    assert found.shape == (N_LANDMARKS, 3)
    assert found.dtype == np.float32
    assert found[0, :2] == pytest.approx(
        (222 / 512, 126 / 512), abs=0.05
    )  # the nose, looked up in the picture
