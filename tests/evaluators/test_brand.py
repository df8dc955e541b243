"""The brand evaluator on tracks whose truth is planted, and once on clips through the whole pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.evaluators.brand import (
    MARK_NOT_FOUND,
    MODEL_WITHOUT_LANGUAGE,
    NO_BRAND,
    NO_BRAND_COLORS,
    NO_COLOR_READ,
    NO_PROMPT,
    SHORTEST_DRIFT_S,
    Brand,
)
from evalkit.evaluators.motion import Motion
from evalkit.isolation import Failure
from evalkit.measuring import runner
from evalkit.metrics.brand import Calibration, drift_per_min
from evalkit.testing.media import write_clip
from evalkit.tracks import lettering, mark
from evalkit.tracks.brand import columns_of
from evalkit.tracks.calibration_store import read_calibration
from evalkit.tracks.face import COLUMNS as FACE_COLUMNS
from evalkit.tracks.pose import COLUMNS as POSE_COLUMNS
from evalkit.types import ClipFacts, ClipIntent, Measurement, Reason, Track, VideoFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    MakeBrand = Callable[..., Brand]

WIDTH, HEIGHT = 640, 360
WALL, FACE, CHEST = (20.0, 20.0, 100.0, 80.0), (300.0, 80.0, 340.0, 130.0), (290.0, 260.0, 350.0, 300.0)
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 40">
<path fill="#1456a0" d="M0 0h40l-20 40z"/><circle fill="#f2a900" cx="48" cy="28" r="12"/></svg>"""
FACTS = ClipFacts("clip.mp4", None, None, None)
VIDEO = VideoFacts(WIDTH, HEIGHT, 25.0, 10.0, 0.0, "h264", 0, None)


class Model:
    """A model whose pictures and words are known."""

    name, weights_hash = "known", "0" * 64

    def __init__(self, *, general: bool = False) -> None:
        self.general = general

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return the direction of each text."""
        return np.array([[0.6, 0.8] if "mark" in text else [-1.0, 0.0] for text in texts], dtype=np.float32)


@pytest.fixture
def make_brand(tmp_path: Path) -> MakeBrand:
    def make(*, general: bool = False, **lines: str) -> Brand:
        (tmp_path / "kite.svg").write_text(SVG, "utf-8")
        usual = {"name": "Kite", "logos": "[kite.svg]", "colors": "['#1456a0', '#f2a900']"}
        path = tmp_path / "kite.yaml"
        path.write_text("".join(f"{key}: {text}\n" for key, text in {**usual, **lines}.items()), "utf-8")
        return type("Known", (Brand,), {"model": Model(general=general)})(str(path))

    return make


def brand_track(
    brand: Brand,
    key_frames: Sequence[Sequence[dict[str, Any]]],
    *,
    times_s: Sequence[float] | None = None,
    end_s: float | None = None,
    embedding: tuple[float, float] | None = None,
) -> Track:
    """Return a track with these places a key frame, one a second unless told."""
    assert brand.guidelines is not None
    columns = columns_of(len(brand.guidelines.colors), 2 if embedding else 0)
    times = np.arange(len(key_frames), dtype=float) if times_s is None else np.array(times_s)
    values = np.full((len(key_frames), len(columns)), np.nan, np.float32)
    for row, places in enumerate(key_frames):
        for index, place in enumerate(places):
            numbers = dict(zip(("x0_px", "y0_px", "x1_px", "y1_px"), place["box"], strict=True))
            numbers |= {"fidelity": 0.9, "cosine": 0.8, **{k: v for k, v in place.items() if k != "box"}}
            for name, number in numbers.items():
                values[row, columns.index(f"place{index}_{name}")] = number
        if embedding:
            for index in range(2):
                values[row, columns.index(f"embedding_{index}")] = embedding[index]
    facts = {"end_s": len(key_frames) if end_s is None else end_s, "width_px": WIDTH, "height_px": HEIGHT}
    return Track(brand.track, columns, times, values, np.ones(len(times), dtype=bool), facts)


def still_person(times_s: np.ndarray, *, seen: bool = True, shoulders: bool = True) -> dict[str, Track]:
    """Return tracks of somebody in the middle who does not move."""
    face = np.zeros((len(times_s), len(FACE_COLUMNS)), np.float32)
    for name, value in {"centre_x_px": 320, "centre_y_px": 100, "scale_px": 40}.items():
        face[:, FACE_COLUMNS.index(name)] = value
    pose = np.zeros((len(times_s), len(POSE_COLUMNS)), np.float32)
    for joint, x in {"left_shoulder": 400, "right_shoulder": 240}.items():
        for what, value in {"x_px": x, "y_px": 220, "visibility": 0.9 if shoulders else 0.1}.items():
            pose[:, POSE_COLUMNS.index(f"{joint}_{what}")] = value
    valid = np.full(len(times_s), seen)
    return {
        "face": Track("face", FACE_COLUMNS, times_s, face, valid),
        "pose": Track("pose", POSE_COLUMNS, times_s, pose, valid),
    }


def measure(
    brand: Brand, track: Track, *, prompt: str | None = None, person: dict[str, Track] | None = None
) -> dict[str, Measurement]:
    facts = ClipFacts("clip.mp4", None, VIDEO, None, intent=ClipIntent(prompt=prompt))
    tracks = {brand.track: track, **(person or still_person(np.arange(0, 20, 0.04)))}
    return {m.metric.name.removeprefix("brand."): m for m in brand.measure(facts, tracks).measurements}


def test_without_a_brand_everything_is_absent_and_nothing_is_asked_for() -> None:
    brand = Brand()
    found = list(brand.measure(ClipFacts("clip.mp4", None, VIDEO, None), {}).measurements)
    assert [m.metric for m in found] == list(Brand.metrics)
    assert {m.reason for m in found} == {NO_BRAND}
    assert (brand.tracks, brand.trackers(FACTS), brand.identity) == ((), {}, "")
    assert brand.measure(FACTS, {}).weights == {}


def test_the_pose_is_the_one_that_motion_has(make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = make_brand()
    other = type(usual)(usual._settings["file"], runtime="mediapipe")
    for brand, runtime in ((usual, "openvino"), (other, "mediapipe")):
        motion = Motion(runtime)
        assert set(motion.tracks) < set(brand.tracks)
        assert motion.tracks[0] in brand.trackers(FACTS)
    assert other.identity == f"{usual.identity} mediapipe"
    track = brand_track(other, [[{"box": WALL}]] * 10)
    person = still_person(np.arange(0, 20, 0.04))
    renamed = {"face": person["face"], "pose_mediapipe": person["pose"]}
    assert measure(other, track, person=renamed) == measure(usual, track, person=person)
    monkeypatch.setattr("evalkit.tracks.pose.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="the setting runtime: mediapipe"):
        usual.prepare(lambda _: None)
    with pytest.raises(UsageError, match="give openvino or mediapipe"):
        Brand(runtime="onnx")


def test_a_mark_on_the_wall_is_measured(make_brand: MakeBrand) -> None:
    brand = make_brand()
    places = [{"box": WALL, "fidelity": 0.9, "cosine": 0.7, "delta_e": 1.5, "delta_e_balanced": 4.0}]
    found = measure(brand, brand_track(brand, [places] * 10))
    assert found["fidelity"].value == pytest.approx(0.9)
    assert found["fidelity"].n == 10
    assert found["fidelity"].coverage == 1
    assert found["fidelity"].interval is None  # ten alike do not say how far an eleventh may lie
    assert found["logo_cosine"].value == pytest.approx(0.7)
    assert found["logo_coverage"].value == 1
    assert found["color_delta_e"].value == pytest.approx(1.5)
    assert found["drift"].value == pytest.approx(0, abs=1e-6)
    assert found["prompt_alignment"].reason is MODEL_WITHOUT_LANGUAGE
    samples = dict(found["color_delta_e"].samples)
    assert samples["delta_e_raw"] == pytest.approx([1.5] * 10)
    assert samples["delta_e_balanced"] == pytest.approx([4.0] * 10)


def test_the_light_counts_where_it_explains_the_colours(make_brand: MakeBrand) -> None:
    brand = make_brand()
    places = [{"box": WALL, "delta_e": 9.0, "delta_e_balanced": 1.0}]
    assert measure(brand, brand_track(brand, [places] * 6))["color_delta_e"].value == pytest.approx(1.0)


@pytest.mark.parametrize("box", [FACE, CHEST], ids=["face", "chest"])
def test_a_mark_on_the_person_does_not_count(make_brand: MakeBrand, box: tuple[float, ...]) -> None:
    brand = make_brand()
    places = [{"box": box, "fidelity": 0.95}, {"box": WALL, "fidelity": 0.1}]
    found = measure(brand, brand_track(brand, [places] * 6))
    assert found["fidelity"].value == pytest.approx(0.1)
    boxes = dict(found["fidelity"].samples)["boxes_px"]
    assert boxes.tolist() == [list(WALL)] * 6


def test_a_worn_mark_counts_where_the_brand_says_so_and_a_face_never_does(make_brand: MakeBrand) -> None:
    brand = make_brand(worn="true")
    places = [{"box": FACE, "fidelity": 0.95}, {"box": CHEST, "fidelity": 0.8}]
    assert measure(brand, brand_track(brand, [places] * 6))["fidelity"].value == pytest.approx(0.8)


def test_with_nothing_but_the_person_the_fidelity_is_zero(make_brand: MakeBrand) -> None:
    brand = make_brand()
    found = measure(brand, brand_track(brand, [[{"box": FACE, "fidelity": 0.95}]] * 6))
    assert found["fidelity"].value == 0
    assert found["logo_coverage"].value == 0
    assert found["logo_cosine"].reason is MARK_NOT_FOUND
    assert found["color_delta_e"].reason is MARK_NOT_FOUND
    assert found["drift"].reason is MARK_NOT_FOUND


def test_a_head_without_shoulders_has_a_body_all_the_same(make_brand: MakeBrand) -> None:
    brand = make_brand()
    times_s = np.arange(0, 10, 0.04)
    track = brand_track(brand, [[{"box": CHEST, "fidelity": 0.95}]] * 6)
    person = still_person(times_s, shoulders=False)
    assert measure(brand, track, person=person)["fidelity"].value == 0
    nobody = still_person(times_s, seen=False)
    assert measure(brand, track, person=nobody)["fidelity"].value == pytest.approx(0.95)


def test_a_person_lost_for_half_a_second_is_still_there(make_brand: MakeBrand) -> None:
    brand = make_brand()
    person = still_person(np.arange(0, 10, 0.04))
    lost = (person["face"].times_s > 0.7) & (person["face"].times_s < 1.3)
    for track in person.values():
        track.valid[lost] = False
    found = measure(brand, brand_track(brand, [[{"box": FACE, "fidelity": 0.95}]] * 3), person=person)
    assert found["fidelity"].value == 0


def test_the_place_is_honoured(make_brand: MakeBrand) -> None:
    left, right = (20.0, 20.0, 80.0, 60.0), (560.0, 20.0, 620.0, 60.0)
    places = [{"box": left, "fidelity": 0.9}, {"box": right, "fidelity": 0.3}]
    for place, fidelity in (("top left", 0.9), ("top right", 0.3), ("bottom", 0.0)):
        brand = make_brand(place=place)
        assert measure(brand, brand_track(brand, [places] * 6))["fidelity"].value == pytest.approx(fidelity)


def test_a_key_frame_counts_for_the_time_until_the_next(make_brand: MakeBrand) -> None:
    brand = make_brand()
    there, gone = [{"box": WALL, "fidelity": 0.8}], [{"box": WALL, "fidelity": 0.0}]
    track = brand_track(brand, [there, gone, there], times_s=[0.0, 1.0, 1.5], end_s=2.0)
    found = measure(brand, track)
    assert found["fidelity"].value == pytest.approx((0.8 * 1.0 + 0.0 * 0.5 + 0.8 * 0.5) / 2)
    assert found["logo_coverage"].value == pytest.approx(0.75)
    assert found["fidelity"].interval is None  # three key frames promise nothing


def test_colours_are_measured_where_the_mark_is(make_brand: MakeBrand) -> None:
    brand = make_brand()
    there = [{"box": WALL, "fidelity": 0.9, "delta_e": 3.0, "delta_e_balanced": 5.0}]
    hardly = [{"box": WALL, "fidelity": 0.3, "delta_e": 60.0, "delta_e_balanced": 60.0}]
    found = measure(brand, brand_track(brand, [there, hardly, hardly, there]))["color_delta_e"]
    assert found.value == pytest.approx(3.0)
    assert found.coverage == pytest.approx(0.5)
    assert found.n == 2


def test_what_has_no_colours_says_so(make_brand: MakeBrand) -> None:
    brand = make_brand(colors="[]")
    found = measure(brand, brand_track(brand, [[{"box": WALL}]] * 6))
    assert found["color_delta_e"].reason is NO_BRAND_COLORS
    brand = make_brand()
    found = measure(brand, brand_track(brand, [[{"box": WALL}]] * 6))  # found, and nothing could be read
    assert found["color_delta_e"].reason is NO_COLOR_READ


@pytest.mark.parametrize("slope_per_min", [-1.2, 0.6])
def test_a_planted_drift_is_found_with_its_sign(make_brand: MakeBrand, slope_per_min: float) -> None:
    brand = make_brand()
    noise = np.random.default_rng(0).normal(0, 0.003, 20)
    values = 0.7 + slope_per_min / 60 * (np.arange(20) - 10) + noise
    found = measure(brand, brand_track(brand, [[{"box": WALL, "fidelity": v}] for v in values]))["drift"]
    assert found.value == pytest.approx(slope_per_min, abs=0.05)
    assert found.interval is not None
    assert found.interval.low < slope_per_min < found.interval.high
    assert found.interval.low * found.interval.high > 0


def test_a_mark_that_never_changes_has_no_interval_of_its_drift(make_brand: MakeBrand) -> None:
    brand = make_brand()
    found = measure(brand, brand_track(brand, [[{"box": WALL, "fidelity": 0.9}]] * 20))["drift"]
    assert found.value == pytest.approx(0)
    assert found.interval is None


@pytest.mark.parametrize("n", [5, 20])
def test_the_interval_of_a_drift_holds_it(n: int) -> None:
    """400 clips of key frames a second apart, with noise that differs in size."""
    rng = np.random.default_rng(n)
    times_s, n_held = np.arange(n, dtype=float), 0
    for _ in range(400):
        values = 0.7 + 0.6 / 60 * times_s + rng.normal(0, rng.uniform(0.01, 0.03, n))
        _, interval = drift_per_min(times_s, values, np.ones(n))
        assert interval is not None
        n_held += interval.low <= 0.6 <= interval.high
    assert 0.92 <= n_held / 400 <= 0.99


def test_a_short_clip_has_no_drift(make_brand: MakeBrand) -> None:
    brand = make_brand()
    found = measure(brand, brand_track(brand, [[{"box": WALL}]] * (int(SHORTEST_DRIFT_S) - 1)))
    assert found["drift"].reason is Reason.TOO_SHORT


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        ("the mark on a wall", None, 0.6 * 0.8 + 0.8 * 0.6),
        (None, "the mark", 0.96),
        ("an office", "the mark", 0.0),  # the cosine is -0.8
        (None, None, NO_PROMPT),
    ],
)
def test_prompt_alignment_is_the_cosine(
    make_brand: MakeBrand, prompt: str | None, text: str | None, expected: float | Reason
) -> None:
    brand = make_brand(general=True, **({} if text is None else {"text": text}))
    track = brand_track(brand, [[{"box": WALL}]] * 6, embedding=(0.8, 0.6))
    found = measure(brand, track, prompt=prompt)["prompt_alignment"]
    assert (
        found.reason is expected if isinstance(expected, Reason) else found.value == pytest.approx(expected)
    )


def test_a_clip_without_picture_says_so(make_brand: MakeBrand) -> None:
    brand = make_brand()
    facts = ClipFacts("sound.wav", None, None, None)
    assert {m.reason for m in brand.measure(facts, {}).measurements} == {Reason.NO_VIDEO}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"file": "gone.yaml"}, r"gone\.yaml cannot be read: No such file"),
        ({"model": "ViT-B-32"}, "is of no use without a brand; give --brand"),
        ({"file": 3}, "the setting file of the evaluator brand is 3; give a text"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Brand(**settings)


def test_a_model_that_is_not_there_is_told_before_the_work(make_brand: MakeBrand, tmp_path: Path) -> None:
    make_brand()
    with pytest.raises(UsageError, match="ViT-Z-99"):
        Brand(str(tmp_path / "kite.yaml"), model="ViT-Z-99", weights="openai")


def test_the_identity_tells_brands_apart(make_brand: MakeBrand) -> None:
    one, other = make_brand().identity, make_brand(worn="true").identity
    assert one != other
    assert one == make_brand().identity


def test_a_calibration_is_made_once(
    make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "cache"))
    made = Calibration(2.0, 1.0, 0.1, 0.9, (0.9,), (0.1,), (0.8,), (0.2,), ("other",), (0.3,), mark.VERSION)
    n_made = []
    monkeypatch.setattr(mark, "calibrate", lambda logos, _model, **_: n_made.append(len(logos)) or made)
    assert make_brand().calibration == made
    assert make_brand().calibration == made
    assert n_made == [1]
    (entry,) = (tmp_path / "cache" / "brands").iterdir()
    entry.write_text("damaged", "utf-8")
    assert make_brand().calibration == made
    assert n_made == [1, 1]
    assert json.loads(entry.read_text("utf-8"))["slope"] == 2.0
    plain = made.to_dict()
    damaged = ([], {**plain, "slope": "steep"}, {**plain, "offset": None}, {**plain, "with_mark": [None]})
    for n_damaged, content in enumerate(damaged, start=3):
        entry.write_text(json.dumps(content), "utf-8")
        assert make_brand().calibration == made
        assert len(n_made) == n_damaged
    assert make_brand(name="Other").calibration == made
    assert len(n_made) == 6  # the same drawings


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep a calibration in this process, with a cache of its own and something that reads text."""
    monkeypatch.setattr(lettering, "models_folder", lambda: tmp_path)
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "cache"))
    made = Calibration(2.0, 1.0, 0.1, 0.9, (0.9,), (0.1,), (0.8,), (0.2,), ("other",), (0.3,), mark.VERSION)

    def calibrate(_logos: Any, _model: Any, *, progress: Callable[[float], None]) -> Calibration:
        for share in (0.25, 0.5, 1.0):
            progress(share)
        return made

    monkeypatch.setattr(mark, "calibrate", calibrate)
    monkeypatch.setattr(
        "evalkit.evaluators.brand.run_isolated",
        lambda do, tasks, *, on_progress, **_: [(0, do(tasks[0], lambda value: on_progress(0, value)))],
    )


@pytest.mark.usefixtures("here")
def test_a_brand_is_calibrated_before_the_work_once_and_said_so(
    make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_brand()
    settings = {"file": str(tmp_path / "kite.yaml")}
    told: list[str] = []
    Brand(**settings).prepare(told.append)
    assert told == ["calibrating Kite (1 drawing), once for each brand and model"]
    monkeypatch.setattr(mark, "calibrate", None)  # the cache has it
    assert Brand(**settings).calibration.slope == 2.0
    for given in (settings, {}):
        Brand(**given).prepare(told.append)
    assert len(told) == 1


@pytest.mark.usefixtures("here")
def test_what_is_not_read_is_said_once_for_each_brand_and_always_for_its_own_words(
    make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lettering, "models_folder", lambda: None)
    make_brand()
    file, told = str(tmp_path / "kite.yaml"), []
    Brand(file).prepare(told.append)
    assert told[0].startswith("Kite: nothing that is written in a picture is read")
    assert told[0].endswith("pip install --no-deps rapidocr")
    Brand(file).prepare(told.append)
    assert len(told) == 2  # the other one is of the calibration
    make_brand(words="[Kite]")
    Brand(file).prepare(told.append)
    assert told[2:] == told[:1]


@pytest.mark.usefixtures("here")
def test_words_in_a_script_that_is_not_read_are_named(
    make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        lettering, "unknown_letters", lambda _, word: "".join(one for one in word if one > "~")
    )
    make_brand(words="[Kite, ⵣⵣ]")
    told: list[str] = []
    Brand(str(tmp_path / "kite.yaml")).prepare(told.append)
    assert told[0] == "Kite: 'ⵣⵣ' is not looked for, nothing here reads ⵣⵣ"
    assert len(told) == 2


def test_what_reads_text_decides_values_and_is_in_the_identity(
    make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    for folder in (None, Path("one"), Path("other")):
        monkeypatch.setattr(lettering, "models_folder", lambda given=folder: given)
        monkeypatch.setattr(lettering, "hash_of_models", lambda given: f"{given}-hash")
        brand = make_brand()
        seen.add((brand.identity, brand.track))
    assert len({identity for identity, _ in seen}) == len({track for _, track in seen}) == 3


@pytest.mark.usefixtures("here")
def test_a_long_calibration_says_how_far_it_is(
    make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_brand()
    monkeypatch.setattr("time.monotonic", iter([0.0, 4.0, 6.0, 6.0, 8.0]).__next__)
    told: list[str] = []
    Brand(str(tmp_path / "kite.yaml")).prepare(told.append)
    assert told[1:] == ["calibrating Kite: 50% done"]


@pytest.mark.usefixtures("here")
def test_a_damaged_calibration_is_made_again_before_the_work(make_brand: MakeBrand, tmp_path: Path) -> None:
    make_brand()
    brand = Brand(str(tmp_path / "kite.yaml"))
    brand.prepare(print)
    brand.calibration_file.write_text("damaged", "utf-8")
    told: list[str] = []
    brand.prepare(told.append)
    assert len(told) == 1
    assert json.loads(brand.calibration_file.read_text("utf-8"))["slope"] == 2.0


def test_an_interrupted_calibration_leaves_nothing(
    make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "cache"))
    make_brand()

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Brand(str(tmp_path / "kite.yaml")).calibrate(interrupt)
    assert not (tmp_path / "cache").exists()


def test_two_processes_that_calibrate_one_brand_leave_one_whole_calibration(
    make_brand: MakeBrand, tmp_path: Path
) -> None:
    make_brand()
    code = (
        "import sys; from evalkit.evaluators.brand import Brand; from evalkit.tracks import mark_calibration as made\n"
        "made.N_RIGHT, made.N_EMPTY, made.N_OTHER, made.N_LOOK_ALIKES, made.N_DRAWN = 2, 1, 1, 1, 4\n"
        "brand = Brand(sys.argv[1]); print(brand.calibration == brand.calibrate())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "kite.yaml")]
    environment = {**os.environ, "EVALKIT_CACHE_DIR": str(tmp_path / "cache")}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == ["True", "True"]
    (entry,) = (tmp_path / "cache" / "brands").iterdir()
    assert read_calibration(entry) is not None


@pytest.mark.usefixtures("here")
def test_a_calibration_that_fails_stops_the_work(
    make_brand: MakeBrand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_brand()
    failed = Failure("crashed", "out of memory", "")
    monkeypatch.setattr("evalkit.evaluators.brand.run_isolated", lambda *_, **__: [(0, failed)])
    with pytest.raises(UsageError, match="the brand Kite could not be calibrated: out of memory"):
        Brand(str(tmp_path / "kite.yaml")).prepare(print)


def test_two_clips_through_the_whole_pass(make_brand: MakeBrand, tmp_path: Path) -> None:
    """Compare a clip with the mark and one without, by the bundled model; the calibration is given, not made."""
    import cv2

    make_brand()
    known = Calibration(1.5, 1.0, 0.2, 0.9, (), (), (), (), (), (), mark.VERSION)
    brand = type("Calibrated", (Brand,), {"calibration": known})(str(tmp_path / "kite.yaml"))
    assert brand.guidelines is not None
    logo = brand.guidelines.logos[0]
    random = np.random.default_rng(3)
    wall = cv2.resize(random.uniform(110, 200, (5, 8, 1)).astype(np.float32), (480, 270))[
        ..., None
    ] * np.ones(3)
    cover = logo[..., 3:] / 255.0
    small = cv2.resize(
        np.concatenate([logo[..., :3] * cover, cover], axis=2), (72, 48), interpolation=cv2.INTER_AREA
    )
    with_mark = wall.copy()
    part = with_mark[30:78, 360:432]
    part[:] = part * (1 - small[..., 3:]) + small[..., :3]
    found = {}
    for name, frame in (("with", with_mark), ("without", wall)):
        clip = write_clip(tmp_path / f"{name}.mp4", [np.round(frame).astype(np.uint8)] * 26)
        result = runner.measure(str(clip), [brand])
        assert result.weights == {f"brand/{brand.model.name}": brand.model.weights_hash}
        found[name] = {m.metric.name: m for m in result.measurements}
    seen = found["with"]
    assert seen["brand.fidelity"].value is not None
    assert seen["brand.fidelity"].value > 0.85
    assert dict(seen["brand.fidelity"].samples)["boxes_px"] == pytest.approx(
        np.array([[360, 30, 432, 78]] * 2), abs=3
    )
    assert seen["brand.color_delta_e"].value == pytest.approx(1, abs=1)
    assert found["without"]["brand.fidelity"].value == pytest.approx(0, abs=0.3)
    assert found["without"]["brand.logo_coverage"].value == 0
