"""What is written: nothing but the fault differs from the clip, and a kept clip can be played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.evaluators.load import load_evaluators
from evalkit.measuring.runner import measure
from evalkit.media import Reader, probe
from evalkit.media.wave import write_wave
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.types import AudioChunk, FrameChunk
from evalkit.validation.faults import AS_RECORDED, AS_SHOWN, fault_named
from evalkit.validation.material import Material, Surveyor
from evalkit.validation.planting import plant


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sound = np.stack([0.3 * tone(2), 0.1 * tone(2, frequency_hz=440)], axis=1)
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_pattern(2), sound=sound)


@pytest.fixture(scope="module")
def material(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Material:
    surveyor = Surveyor()
    measure(str(clip), load_evaluators(["technical"]), observer=surveyor)
    return Material(surveyor.survey(probe(str(clip)), tmp_path_factory.mktemp("survey")))


def sound_of(path: str) -> np.ndarray:
    chunks = Reader(probe(path), frames=False, sound_rates_hz=(None,))
    return np.concatenate([chunk.samples for chunk in chunks if isinstance(chunk, AudioChunk)])


def frames_of(path: str) -> tuple[np.ndarray, list[np.ndarray]]:
    chunks = [chunk for chunk in Reader(probe(path)) if isinstance(chunk, FrameChunk)]
    return np.concatenate([chunk.times_s for chunk in chunks]), [f for chunk in chunks for f in chunk.frames]


def test_a_harmless_change_is_made_to_the_picture_with_the_mark_where_one_is_planted(
    material: Material, tmp_path: Path
) -> None:
    brand = Path(__file__).parents[2] / "notebooks" / "norrvik" / "brand.yaml"
    branded = Material(replace(material.survey, brand_file=str(brand)))
    shown = {}
    for own in (material, branded):
        for fault, dose in ((AS_SHOWN, 0.0), (fault_named("reencoded"), 18.0)):
            folder = tmp_path / f"{own is branded}-{fault.name}"
            folder.mkdir()
            shown[own is branded, fault.name] = frames_of(plant(own, fault, dose, folder).path)[1][0]
    differs = {
        key: np.abs(frame.astype(int) - shown[False, "as_shown"]).mean() for key, frame in shown.items()
    }
    assert differs[True, "as_shown"] < 1  # what faults without a mark are compared with
    assert differs[False, "reencoded"] < 3
    assert differs[True, "reencoded"] > 5


def test_the_survey_says_what_the_clip_is(material: Material, clip: Path) -> None:
    survey = material.survey
    assert (survey.n_frames, survey.fps, survey.end_s) == (50, pytest.approx(25.0), pytest.approx(2.0))
    assert (survey.sound_rate_hz, survey.n_channels) == (48_000, 2)
    assert np.array_equal(material.samples, sound_of(str(clip)))


def test_sound_is_written_without_loss_beyond_full_scale_too(tmp_path: Path) -> None:
    samples = np.linspace(-3, 3, 12_000, dtype=np.float32).reshape(-1, 2)
    write_wave(tmp_path / "a.wav", iter([AudioChunk(0.0, 8000, samples)]), 8000)
    assert np.array_equal(sound_of(str(tmp_path / "a.wav")), samples)


def test_a_fault_of_the_sound_leaves_the_picture_to_the_clips_own_file(
    material: Material, clip: Path, tmp_path: Path
) -> None:
    planted = plant(material, AS_RECORDED, 0.0, tmp_path)
    assert planted.path == str(clip)
    assert planted.audio_path is not None
    assert np.array_equal(sound_of(planted.audio_path), sound_of(str(clip)))
    late = plant(material, fault_named("late"), 100.0, tmp_path)
    assert late.audio_path is not None
    assert np.array_equal(sound_of(late.audio_path)[4800:], sound_of(str(clip))[:-4800])


def test_a_fault_of_the_picture_leaves_the_sound_to_the_clips_own_file(
    material: Material, clip: Path, tmp_path: Path
) -> None:
    planted = plant(material, AS_SHOWN, 0.0, tmp_path)
    assert planted.audio_path == str(clip)
    times_s, frames = frames_of(planted.path)
    own_times_s, own_frames = frames_of(str(clip))
    assert times_s == pytest.approx(own_times_s, abs=1e-4)
    assert np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(frames, own_frames, strict=True)]) < 3.0


def test_a_picture_that_begins_after_the_sound_begins_there_in_what_is_planted(tmp_path: Path) -> None:
    pattern = moving_pattern(1, width=64, height=48)
    late = write_clip(
        tmp_path / "late.mp4", pattern, times_s=0.4 + np.arange(25) / 25, sound=0.3 * tone(2), rate_hz=48_000
    )
    assert frames_of(str(late))[0][0] == pytest.approx(0.4)
    surveyor = Surveyor()
    measure(str(late), load_evaluators(["technical"]), observer=surveyor)
    survey = surveyor.survey(probe(str(late)), tmp_path)
    planted = plant(Material(survey), AS_SHOWN, 0.0, tmp_path)
    assert frames_of(planted.path)[0] == pytest.approx(frames_of(str(late))[0], abs=1e-4)


@pytest.mark.parametrize(("name", "dose"), [("late", 100.0), ("dropped", 20.0), ("sound_reencoded", 64.0)])
def test_a_kept_clip_is_whole(material: Material, tmp_path: Path, name: str, dose: float) -> None:
    kept = tmp_path / "kept.mp4"
    plant(material, fault_named(name), dose, tmp_path, keep=kept)
    facts = probe(str(kept))
    assert facts.video is not None
    assert facts.video.codec == "h264"
    assert facts.audio is not None
    times_s, _ = frames_of(str(kept))
    assert len(times_s) == (40 if name == "dropped" else 50)
    heard = sound_of(str(kept))
    assert len(heard) == pytest.approx(96_000, abs=2048)
    if name == "late":
        assert np.abs(heard[:4000]).max() < 0.002
        assert np.abs(heard[6000:90_000]).max() > 0.02


def test_a_stronger_encoding_is_smaller(material: Material, tmp_path: Path) -> None:
    fault = fault_named("reencoded")
    sizes = [Path(plant(material, fault, crf, tmp_path).path).stat().st_size for crf in (28.0, 18.0)]
    assert sizes[0] < sizes[1]
