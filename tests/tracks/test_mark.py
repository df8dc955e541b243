"""The mark finder, on marks drawn here in rooms drawn here: neither was ever trained on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from evalkit.metrics.brand import PASS, Calibration
from evalkit.tracks import mark_place
from evalkit.tracks import mark_scenes as scenes
from evalkit.tracks.clip import load_clip
from evalkit.tracks.drawing import NOISE_VARIANCE, trace_logo
from evalkit.tracks.mark import Candidate, MarkFinder, calibrate, overlap
from evalkit.tracks.mark_place import bound, corners_of, propose, register

RED, BLUE, WHITE = (205, 25, 40), (20, 70, 190), (255, 255, 255)
BOX = (300.0, 40.0, 360.0, 100.0)


def draw_key(color: tuple[int, int, int] = RED) -> np.ndarray:
    """Draw a ring with a notched bar, in one colour: no mirror image of it is the same."""
    alpha = np.zeros((160, 160), np.uint8)
    cv2.circle(alpha, (56, 56), 44, 255, 22, cv2.LINE_AA)
    cv2.line(alpha, (84, 84), (148, 148), 255, 22, cv2.LINE_AA)
    cv2.line(alpha, (120, 120), (146, 94), 255, 18, cv2.LINE_AA)
    return np.dstack([np.full((160, 160, 3), color, np.uint8), alpha])


def draw_leaf(color: tuple[int, int, int] = RED) -> np.ndarray:
    """Draw another mark: three petals over a bar."""
    alpha = np.zeros((160, 160), np.uint8)
    for angle in (-50, 0, 50):
        cv2.ellipse(alpha, (80, 70), (18, 60), angle, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.rectangle(alpha, (20, 130), (140, 152), 255, -1)
    return np.dstack([np.full((160, 160, 3), color, np.uint8), alpha])


def draw_room() -> np.ndarray:
    """Draw a pale wall with a shelf, a window and someone in the middle."""
    room = np.full((240, 426, 3), (214, 210, 200), np.uint8)
    room[:, :, :] += np.linspace(0, 30, 426, dtype=np.uint8)[None, :, None]
    cv2.rectangle(room, (18, 30), (110, 140), (150, 175, 205), -1)
    cv2.rectangle(room, (18, 30), (110, 140), (90, 70, 60), 4)
    cv2.line(room, (64, 30), (64, 140), (90, 70, 60), 4)
    cv2.rectangle(room, (290, 130), (420, 138), (110, 80, 50), -1)
    cv2.circle(room, (205, 100), 40, (190, 140, 115), -1, cv2.LINE_AA)
    cv2.ellipse(room, (205, 240), (85, 90), 0, 180, 360, (60, 65, 90), -1, cv2.LINE_AA)
    return room


def show(mark: np.ndarray, opacity: float = 1.0) -> np.ndarray:
    return scenes.place_mark(
        draw_room(), mark, left_px=BOX[0], top_px=BOX[1], width_px=BOX[2] - BOX[0], opacity=opacity
    )


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate([draw_key()], load_clip(device="cpu"))


@pytest.fixture(scope="module")
def finder(calibration: Calibration) -> MarkFinder:
    return MarkFinder([draw_key()], load_clip(device="cpu"), calibration)


def best_of(finder: MarkFinder, frame: np.ndarray) -> Candidate:
    return finder.find(frame, 1)[0]


def fidelity_of(finder: MarkFinder, frame: np.ndarray) -> float:
    return max((candidate.fidelity for candidate in finder.find(frame)), default=0.0)


def test_the_right_mark_passes_and_is_where_it_is(finder: MarkFinder) -> None:
    found = best_of(finder, show(draw_key()))
    drawn = (BOX[0] + 2, BOX[1] + 2, BOX[2] - 1, BOX[3] - 1)
    assert found.fidelity >= PASS
    assert overlap(found.box, drawn) > 0.85


def test_a_mark_may_stand_right_at_the_border(finder: MarkFinder) -> None:
    frame = scenes.place_mark(draw_room(), draw_key(), left_px=364, top_px=1, width_px=60)
    assert best_of(finder, frame).fidelity >= PASS


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(draw_room(), id="none"),
        pytest.param(show(draw_leaf()), id="another mark in the same colour"),
        pytest.param(show(draw_leaf(BLUE)), id="another mark"),
        pytest.param(show(np.ascontiguousarray(draw_key()[:, ::-1])), id="mirrored"),
        pytest.param(show(np.ascontiguousarray(draw_key()[::-1])), id="upside down"),
        pytest.param(show(draw_key(BLUE)), id="in another brand's colour"),
        pytest.param(show(scenes.turn_hue(draw_key(), 90)), id="hue turned"),
    ],
)
def test_what_is_not_the_mark_fails(finder: MarkFinder, frame: np.ndarray) -> None:
    assert fidelity_of(finder, frame) <= 0.5


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_half_a_mark_fails(finder: MarkFinder, side: str) -> None:
    mark = draw_key()
    gone = {"left": np.s_[:, :75], "right": np.s_[:, 75:], "top": np.s_[:75], "bottom": np.s_[75:]}[side]
    mark[gone][..., 3] = 0
    assert fidelity_of(finder, show(mark)) <= 0.5


def damage(kind: str, amount: float) -> np.ndarray:
    if kind == "opacity":
        return show(draw_key(), 1 - amount)
    if kind == "hue":
        return show(scenes.turn_hue(draw_key(), 180 * amount))
    frame = show(draw_key())
    if kind == "blur":
        return cv2.GaussianBlur(frame, (0, 0), 1e-6 + 16 * amount)
    frame[35:105, 295 : 295 + round(70 * amount)] = draw_room()[35:105, 295 : 295 + round(70 * amount)]
    return frame


@pytest.mark.parametrize("kind", ["occlusion", "opacity", "blur", "hue"])
def test_more_damage_is_never_better(finder: MarkFinder, kind: str) -> None:
    curve = [fidelity_of(finder, damage(kind, amount)) for amount in (0, 0.15, 0.3, 0.5, 0.75, 1)]
    assert curve[0] >= PASS
    assert curve[-1] <= 0.5
    assert max(np.diff(curve)) < 0.02


def test_a_version_in_white_counts_only_where_the_brand_has_it(finder: MarkFinder) -> None:
    dark = (draw_room() * 0.3).astype(np.uint8)
    frame = scenes.place_mark(dark, draw_key(WHITE), left_px=BOX[0], top_px=BOX[1], width_px=60)
    logos = [draw_key(), draw_key(WHITE)]
    both = MarkFinder(logos, load_clip(device="cpu"), finder.calibration)
    assert fidelity_of(finder, frame) <= 0.5
    assert best_of(both, frame).fidelity >= PASS
    assert best_of(both, frame).version == 1


def test_places_are_ordered_and_apart(finder: MarkFinder) -> None:
    frame = scenes.place_mark(show(draw_key()), draw_key(), left_px=20, top_px=160, width_px=60)
    found = finder.find(frame)
    assert [one.fidelity for one in found] == sorted((one.fidelity for one in found), reverse=True)
    assert found[1].fidelity >= PASS
    assert overlap(found[0].box, found[1].box) == 0


def test_finding_twice_gives_the_same(finder: MarkFinder, calibration: Calibration) -> None:
    frame = show(draw_key())
    again = MarkFinder([draw_key()], load_clip(device="cpu"), calibration)
    assert again.find(frame) == finder.find(frame)


def test_the_two_distributions_of_a_calibration_are_apart(calibration: Calibration) -> None:
    assert np.median(calibration.with_mark) > PASS
    assert np.median(calibration.without_mark) < 0.5
    assert len(calibration.look_alikes) == len(calibration.look_alike_fidelities) > 0


def test_the_number_of_cores_changes_no_calibration(
    calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    shares: list[float] = []
    assert calibrate([draw_key()], load_clip(device="cpu"), progress=shares.append) == calibration
    assert shares == sorted(set(shares))
    assert shares[-1] == 1


def explained_in_plain_words(view: np.ndarray, patterns: list[np.ndarray]) -> np.ndarray:
    """Compute the same by regression in each window by itself, in double precision."""
    height, width = patterns[0].shape
    windows = np.lib.stride_tricks.sliding_window_view(view.astype(float), (height, width), (0, 1))
    explained = sum(
        (np.einsum("rcnhw,hw->rcn", windows, pattern) ** 2).sum(2) for pattern in map(np.float64, patterns)
    )
    variance = windows.var((3, 4)).sum(2) + NOISE_VARIANCE
    return explained / (variance * height * width)


def test_the_explained_share_is_that_of_a_regression() -> None:
    rng = np.random.default_rng(0)
    view = cv2.GaussianBlur(rng.uniform(0, 255, (60, 80, 3)).astype(np.float32), (0, 0), 2)
    patterns = mark_place._patterns(trace_logo(draw_key()), 20, 18)
    found = mark_place._explained_map(view, patterns)
    assert found == pytest.approx(explained_in_plain_words(view, patterns), abs=2e-5)


def test_empty_space_around_a_logo_changes_nothing(calibration: Calibration) -> None:
    padded = np.pad(draw_key(), ((90, 90), (200, 200), (0, 0)))
    assert calibrate([padded], load_clip(device="cpu")) == calibration


def test_a_frame_smaller_than_any_mark_shows_none(finder: MarkFinder) -> None:
    assert finder.find(np.full((10, 10, 3), 90, np.uint8)) == []


@pytest.mark.parametrize(
    ("ink", "wall"), [(RED, WHITE), (WHITE, BLUE)], ids=["dark on light", "light on dark"]
)
def test_a_drawing_is_laid_where_it_was_put(ink: tuple[int, int, int], wall: tuple[int, int, int]) -> None:
    mark = draw_key(ink)
    frame = np.full((240, 426, 3), wall, np.uint8)
    angle = np.deg2rad(7)
    turn = 0.45 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    to_frame = np.column_stack([turn, [210, 60]])
    laid = cv2.warpAffine(mark, to_frame, (426, 240), flags=cv2.INTER_AREA)
    cover = laid[..., 3:] / 255
    frame = (frame * (1 - cover) + np.array(ink) * cover).astype(np.float32)
    drawing = trace_logo(mark)
    rows, columns = np.flatnonzero(mark[..., 3].max(1) > 25), np.flatnonzero(mark[..., 3].max(0) > 25)
    x0, y0, x1, y1 = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    expected = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ turn.T + to_frame[:, 2]
    found = corners_of(drawing, register(drawing, frame, propose(drawing, frame)[0]))
    assert np.abs(found - expected).max() < 1.5


def test_overlap_by_hand() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(2 / 6)
    assert overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0
    assert bound(np.array([[3.0, 1.0], [0.0, 2.0]])) == (0, 1, 3, 2)
