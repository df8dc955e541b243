"""Whole videos, small ones: what is asked for is what is in the file."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import GenerationError, RequestError
from pipeline.events import CLIP, FIRST_FRAME, LOADED, SAVED, SPEECH
from pipeline.reference.animation import _render_ahead, count_frames, interpolate
from pipeline.reference.generator import ReferenceGenerator, _own_portrait
from pipeline.sound import write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.result import GenerationResult

RATE_HZ = 16000


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.5 s of a buzzing voice that comes and goes three times a second."""
    times = np.arange(int(1.5 * RATE_HZ)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 120 * k * times) / k for k in range(1, 25))
    samples = 6000 * buzz * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * times))
    path = tmp_path_factory.mktemp("sound") / "buzz.wav"
    write_wav(path, samples.astype(np.int16), RATE_HZ)
    return path


def make(generator: ReferenceGenerator, out: Path, **parameters: Any) -> GenerationResult:
    wanted = {"size": "128*96", "fps": 10, "infer_frames": 6, "sample_steps": 2, **parameters}
    return generator.generate(generator.request(**wanted), out)


def pictures(path: str) -> NDArray[np.uint8]:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(
    ("size", "fps"), [("128*96", 25.0), ("66*130", 16.0), ("160*64", 60.0), ("128*96", 29.97)]
)
def test_the_file_is_what_was_asked_for(
    size: str, fps: float, generator: ReferenceGenerator, sound: Path, tmp_path: Path
) -> None:
    result = make(generator, tmp_path / "x.mp4", audio=str(sound), size=size, fps=fps, infer_frames=48)
    assert f"{result.width}*{result.height}" == size
    assert result.fps == pytest.approx(fps, rel=1e-3)
    assert 0 <= result.duration_s - 1.5 < 1 / fps
    with av.open(str(tmp_path / "x.mp4")) as container:
        streams = {s.type: s for s in container.streams}
        assert streams["video"].codec_context.name == "h264"
        assert streams["audio"].codec_context.name == "aac"
        ends = [float(s.duration * s.time_base) for s in streams.values()]
    assert abs(ends[0] - ends[1]) < 1 / fps


def test_events_come_in_order_with_every_clip(
    generator: ReferenceGenerator, sound: Path, tmp_path: Path
) -> None:
    result = make(generator, tmp_path / "x.mp4", audio=str(sound), enable_online_decode=True)
    names = [event.name for event in result.events]
    assert names[:2] == [LOADED, SPEECH]
    assert names[-1] == SAVED
    assert [e.detail["index"] for e in result.events if e.name == CLIP] == [0, 1, 2]
    assert result.n_clips == 3
    assert all(a.time_s <= b.time_s for a, b in pairwise(result.events))


def test_online_decoding_shows_the_first_frame_before_the_last_clip(
    generator: ReferenceGenerator, sound: Path, tmp_path: Path
) -> None:
    online, offline = (
        make(
            generator,
            tmp_path / f"{kind}.mp4",
            audio=str(sound),
            fps=40,
            infer_frames=20,
            enable_online_decode=kind == "online",
        )
        for kind in ("online", "offline")
    )
    names = [e.name for e in online.events]
    assert names.index(FIRST_FRAME) < len(names) - 1 - names[::-1].index(CLIP)
    names = [e.name for e in offline.events]
    assert names.index(FIRST_FRAME) > len(names) - 1 - names[::-1].index(CLIP)
    assert [e.detail["at_end"] for r in (online, offline) for e in r.events if e.name == FIRST_FRAME] == [
        False,
        True,
    ]
    np.testing.assert_array_equal(pictures(online.video), pictures(offline.video))


def test_same_seed_same_pictures_another_seed_others(
    generator: ReferenceGenerator, sound: Path, tmp_path: Path
) -> None:
    a, b, c = (
        pictures(make(generator, tmp_path / f"{i}.mp4", audio=str(sound), base_seed=seed).video)
        for i, seed in enumerate((3, 3, 4))
    )
    np.testing.assert_array_equal(a, b)
    assert np.abs(a.astype(int) - c).max() > 20


def test_the_person_is_cut_out_once_for_videos_of_one_portrait(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.reference import portrait

    cut_out, n_cut = portrait.cut_out, []

    def count(*given: Any) -> Any:
        n_cut.append(1)
        return cut_out(*given)

    monkeypatch.setattr(portrait, "cut_out", count)
    with ReferenceGenerator() as generator:
        a, b = (
            make(generator, tmp_path / f"{size}.mp4", audio=str(sound), num_clip=1, size=size)
            for size in ("128*96", "96*128")
        )
        assert len(n_cut) == 1
        mirrored = tmp_path / "mirrored.png"
        Image.fromarray(_own_portrait()[:, ::-1]).save(mirrored)
        c = make(generator, tmp_path / "c.mp4", audio=str(sound), num_clip=1, image=str(mirrored))
        assert len(n_cut) == 2
    assert np.abs(pictures(a.video)[0].astype(int) - pictures(c.video)[0]).mean() > 5
    assert pictures(b.video).shape[1:3] == (128, 96)


def test_pictures_drawn_ahead_come_in_order_and_few_wait() -> None:
    """However long each takes, and whoever takes them, only some of a long clip are held."""
    drawn: list[int] = []

    class Slow:
        def render(self, number: int) -> int:
            time.sleep(0.004 if number % 3 else 0.0)
            drawn.append(number)
            return number

    with ThreadPoolExecutor(2) as painters:
        taken = []
        for picture in _render_ahead(Slow(), list(range(40)), painters):  # type: ignore[arg-type]
            taken.append(picture)
            assert len(drawn) - len(taken) <= 3
    assert taken == list(range(40))


def test_num_clip_cuts_picture_and_sound(generator: ReferenceGenerator, sound: Path, tmp_path: Path) -> None:
    result = make(generator, tmp_path / "x.mp4", audio=str(sound), num_clip=1)
    assert result.n_frames == 6
    assert result.duration_s == pytest.approx(0.6)
    assert result.audio_duration_s == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize(
    ("audio_s", "fps", "infer_frames", "num_clip", "expected"),
    [
        (25.0, 16.0, 48, None, 400),  # 9 clips would be 432 frames: the last is cut at the end of the sound
        (25.0, 16.0, 48, 3, 144),
        (1.92, 25.0, 48, None, 48),
        (1.93, 25.0, 48, None, 49),
        (0.001, 25.0, 48, None, 1),
    ],
)
def test_frames_are_counted_from_the_sound(
    audio_s: float, fps: float, infer_frames: int, num_clip: int | None, expected: int
) -> None:
    request = ReferenceGenerator().request(fps=fps, infer_frames=infer_frames, num_clip=num_clip)
    assert count_frames(request, audio_s) == expected


def test_interpolation_goes_through_the_values_and_keeps_straight_lines() -> None:
    values = np.array([[0.0, 0], [1, 5], [2, -3], [3, 4], [4, 4]])
    np.testing.assert_allclose(interpolate(values, np.arange(5.0)), values)
    places = np.array([1.25, 1.5, 2.75])
    np.testing.assert_allclose(interpolate(values, places)[:, 0], places)


def test_scene_and_brand_mark_are_in_the_picture(
    generator: ReferenceGenerator, sound: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark.png"
    Image.new("RGB", (50, 50), (230, 20, 30)).save(mark)
    common = {"audio": str(sound), "num_clip": 1, "brand_mark": str(mark), "size": "256*128"}
    plain, branded = (
        pictures(make(generator, tmp_path / f"{i}.mp4", prompt=prompt, **common).video)[0].astype(int)
        for i, prompt in enumerate(("in an office", "in an office, subtle branding visible"))
    )
    red = (branded[..., 0] > 180) & (branded[..., 1] < 80)
    assert 300 < red[:64].sum() < 900  # 25 x 25
    assert np.abs(branded - plain)[64:].mean() < 3
    own = pictures(make(generator, tmp_path / "own.mp4", audio=str(sound), num_clip=1, size="256*128").video)
    assert np.abs(own[0].astype(int) - plain).mean() > 15


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image": "missing.png"}, "no such file"),
        ({"options": {"speed": 2}}, "has no options; got speed"),
        ({"text": "Hello", "language": "xx"}, "xx"),
        ({}, "give audio"),
    ],
)
def test_refused_requests_write_nothing(
    parameters: dict[str, Any], message: str, generator: ReferenceGenerator, tmp_path: Path
) -> None:
    out = tmp_path / "x.mp4"
    out.write_bytes(b"an older video")
    with pytest.raises(RequestError, match=message):
        make(generator, out, **parameters)
    assert out.read_bytes() == b"an older video"
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp4"]


@pytest.mark.parametrize(
    ("error", "kind"), [(MemoryError("no room"), "out_of_memory"), (OSError(28, "No space left"), "crashed")]
)
def test_failures_on_the_way_leave_the_older_video(
    *,
    error: Exception,
    kind: str,
    generator: ReferenceGenerator,
    sound: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("pipeline.reference.encoder.VideoWriter.write", fail)
    out = tmp_path / "x.mp4"
    out.write_bytes(b"an older video")
    with pytest.raises(GenerationError, match=r"no room|No space left") as caught:
        make(generator, out, audio=str(sound))
    assert caught.value.kind == kind
    assert out.read_bytes() == b"an older video"
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp4"]


def test_dry_run_says_what_would_be_done(generator: ReferenceGenerator, sound: Path, tmp_path: Path) -> None:
    request = generator.request(audio=str(sound), fps=10, infer_frames=6, prompt="in a bank")
    text = generator.dry_run(request, tmp_path / "x.mp4").text()
    assert "make 3 clips of 6 frames" in text
    assert "scene: bank" in text
    assert not list(tmp_path.iterdir())


def test_text_is_spoken_and_the_result_survives_json(generator: ReferenceGenerator, tmp_path: Path) -> None:
    from pipeline.result import GenerationResult

    result = make(generator, tmp_path / "x.mp4", text="Hello!", num_clip=1)
    assert "espeak-ng" in result.versions
    assert set(result.weights) == {"face.npz", "motion.npz"}
    assert GenerationResult.from_dict(result.to_dict()) == result


def test_it_is_found_by_name_and_described() -> None:
    from importlib.metadata import entry_points

    (point,) = entry_points(group="evalkit.generators", name="reference")
    description = point.load()().describe()
    assert description.name == "reference"
    assert "sample_steps" in description.parameters
