"""The technical evaluator on clips with known properties, through the same pass as everything else."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import scipy.io.wavfile
from scipy.signal import resample_poly

import evalkit
from evalkit.evaluators.technical import BLANK_PICTURE, SLOW_SOUND, Technical
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.speech import speak
from evalkit.testing.talking_face import SENTENCES
from evalkit.types import ClipFacts, Measurement, Reason, Track, VideoFacts

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.testing.talking_face import TalkingFace


def measure(path: Path, **options: str) -> dict[str, Measurement]:
    (result,) = evalkit.evaluate(str(path), evaluators=["technical"], **options).clips
    assert result.error is None
    assert [measurement.metric for measurement in result.measurements] == list(Technical.metrics)
    return {
        measurement.metric.name.removeprefix("technical."): measurement for measurement in result.measurements
    }


def values(measured: dict[str, Measurement]) -> dict[str, float | Reason | None]:
    return {name: m.reason if m.value is None else round(m.value, 6) for name, m in measured.items()}


def test_a_sound_clip_of_a_talking_face_passes(talking_face: TalkingFace) -> None:
    measured = measure(talking_face.path)
    assert measured["face_coverage"].value == 1.0
    assert measured["face_coverage"].n == len(talking_face.times_s)
    assert measured["fps"].value == pytest.approx(25)
    assert (measured["width"].value, measured["height"].value) == (256, 256)
    assert measured["black_ratio"].value == 0
    assert measured["freeze_ratio"].value == 0
    assert measured["flicker"].value == pytest.approx(0, abs=0.3)
    assert measured["sharpness"].value == pytest.approx(0.4, abs=0.15)
    assert measured["clipping_ratio"].value == 0
    gap_ms = 1000 * (len(talking_face.times_s) / 25 - len(talking_face.samples) / talking_face.rate_hz)
    assert measured["av_duration_gap_ms"].value == pytest.approx(gap_ms, abs=1024 / 22.05)  # a frame of AAC


def test_planted_defects_have_their_size(tmp_path: Path) -> None:
    frames = moving_pattern(
        8, black=[(1, 2)], frozen=[(4, 6)], blurred=[(0, 8)], width=320, height=240, blur_px=4
    )
    measured = measure(write_clip(tmp_path / "defects.mov", frames))
    assert measured["black_ratio"].value == pytest.approx(1 / 8)
    # black for a second is still for a second; the other span begins with the frame that is held
    assert measured["freeze_ratio"].value == pytest.approx((1 + 2.04) / 8, abs=0.01)
    assert measured["sharpness"].value == pytest.approx(0.2, abs=0.1)  # 0.5 without the blur
    assert measured["sharpness"].coverage == pytest.approx(7 / 8)


def test_clipping_is_exact_where_the_sound_is_not_coded(tmp_path: Path) -> None:
    sound = np.clip(tone(2, level_dbfs=3.0), -1, 1)
    wav = write_clip(tmp_path / "clipped.wav", sound=sound)
    clip = write_clip(tmp_path / "picture.mp4", moving_pattern(2))
    # a sine of peak 10^(3/20) is beyond 10^(-0.5/20) for this share of its time
    expected = 1 - 2 / np.pi * np.arcsin(10 ** (-3.5 / 20))
    assert measure(clip, audio=str(wav))["clipping_ratio"].value == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("suffix", [".mp4", ".mpg", ".webm"])
def test_clipped_speech_is_found_through_any_codec(tmp_path: Path, suffix: str) -> None:
    spoken, rate_hz = speak(SENTENCES[0])
    loudest = resample_poly(spoken, 48_000, rate_hz)
    loudest /= np.abs(loudest).max()
    ratios = []
    for gain_db in (-1, 0, 3, 6, 12):
        sound = np.clip(10 ** (gain_db / 20) * loudest, -1, 1)
        path = write_clip(tmp_path / f"speech{gain_db}{suffix}", moving_pattern(0.2), sound=sound)
        ratios.append(measure(path)["clipping_ratio"].value)
    assert ratios == sorted(ratios)
    assert ratios[0] == 0
    assert ratios[1] < 3e-4
    true_ratio = np.mean(np.abs(sound) >= 1)
    assert true_ratio / 3 < ratios[-1] < true_ratio * 1.5


def test_flicker_is_measured_in_percent_of_full_scale(tmp_path: Path) -> None:
    steady = measure(write_clip(tmp_path / "steady.mp4", moving_pattern(3)))
    flickering = measure(
        write_clip(tmp_path / "flickering.mp4", moving_pattern(3, flicker=12.75), quality=12)
    )
    assert steady["flicker"].value == pytest.approx(0, abs=0.5)
    assert flickering["flicker"].value == pytest.approx(10, abs=1)  # twice 12.75 of 255


@pytest.mark.parametrize(
    ("n_channels", "expected_lufs"), [pytest.param(1, -26.0, id="mono"), pytest.param(2, -23.0, id="stereo")]
)
def test_loudness_counts_every_channel(tmp_path: Path, n_channels: int, expected_lufs: float) -> None:
    channel = tone(4, frequency_hz=1000, level_dbfs=-23.0)  # EBU Tech 3341, case 1: -23 LUFS in stereo
    sound = np.stack([channel] * n_channels, axis=1)
    measured = measure(write_clip(tmp_path / "tone.mp4", moving_pattern(4), sound=sound))
    assert measured["loudness_lufs"].value == pytest.approx(expected_lufs, abs=0.1)
    assert measured["loudness_lufs"].n == pytest.approx(38, abs=1)  # 4 s hold 37 blocks; AAC adds a little


def test_the_range_is_between_loud_and_quiet_and_the_peak_names_its_place(tmp_path: Path) -> None:
    sound = np.concatenate([tone(6, level_dbfs=-30.0), tone(6, level_dbfs=-20.0), tone(1.5, level_dbfs=0.0)])
    measured = measure(write_clip(tmp_path / "loud.mov", moving_pattern(1), sound=sound))
    # Of 106 blocks of 3 s, the 15 last hold 0.1 to 1.5 s of 0 dB; the 95th percentile is the one with 1 s: -4.7 dB, over -30.
    assert measured["loudness_range_lu"].value == pytest.approx(25.3, abs=0.7)
    assert measured["true_peak_dbtp"].value == pytest.approx(0.0, abs=0.3)
    (moment,) = measured["true_peak_dbtp"].moments
    assert (moment.start_s, moment.end_s) == pytest.approx((12.0, 13.5), abs=0.11)
    assert moment.value == pytest.approx(measured["true_peak_dbtp"].value)


def test_a_short_sound_has_no_range_and_a_silent_one_no_peak(tmp_path: Path) -> None:
    short = measure(write_clip(tmp_path / "short.mp4", moving_pattern(1), sound=tone(5.5)))
    assert short["loudness_range_lu"].reason is Reason.TOO_SHORT
    assert short["true_peak_dbtp"].value is not None
    silent = measure(write_clip(tmp_path / "silent.mov", moving_pattern(1), sound=np.zeros(7 * 48_000)))
    assert silent["loudness_range_lu"].reason is Reason.SILENT_AUDIO
    assert silent["true_peak_dbtp"].reason is Reason.SILENT_AUDIO


@pytest.mark.parametrize(("seconds", "gap_ms"), [(1.0, 2000.0), (5.0, -2000.0)])
def test_the_gap_says_which_is_longer(tmp_path: Path, seconds: float, gap_ms: float) -> None:
    measured = measure(write_clip(tmp_path / "gap.mp4", moving_pattern(3), sound=tone(seconds)))
    assert measured["av_duration_gap_ms"].value == pytest.approx(gap_ms, abs=25)


def test_a_late_sound_makes_a_gap_even_if_both_end_together(tmp_path: Path) -> None:
    measured = measure(write_clip(tmp_path / "late.mp4", moving_pattern(3), sound=tone(1), sound_start_s=2.0))
    assert measured["av_duration_gap_ms"].value == pytest.approx(2000, abs=50)


def test_the_mean_rate_of_a_variable_one_is_measured(tmp_path: Path) -> None:
    times_s = np.concatenate([np.arange(50) / 50, 1 + np.arange(25) / 25])
    measured = measure(write_clip(tmp_path / "vfr.mp4", moving_pattern(3), times_s=times_s))
    assert measured["fps"].value == pytest.approx(74 / 1.96, abs=1e-3)


def test_no_sound_has_no_loudness(tmp_path: Path) -> None:
    measured = values(measure(write_clip(tmp_path / "mute.mp4", moving_pattern(1))))
    for name in ("loudness_lufs", "clipping_ratio", "av_duration_gap_ms"):
        assert measured[name] == Reason.NO_AUDIO
    assert measured["face_coverage"] == 0.0


def test_digital_silence_has_no_loudness_and_no_clipping(tmp_path: Path) -> None:
    measured = values(measure(write_clip(tmp_path / "silent.mp4", moving_pattern(1), sound=np.zeros(48_000))))
    assert measured["loudness_lufs"] == Reason.SILENT_AUDIO
    assert measured["clipping_ratio"] == 0.0


def test_a_click_is_too_short_for_a_loudness(tmp_path: Path) -> None:
    measured = values(measure(write_clip(tmp_path / "click.mp4", moving_pattern(1), sound=tone(0.2))))
    assert measured["loudness_lufs"] == Reason.TOO_SHORT


def test_sound_alone_has_no_picture_metrics(tmp_path: Path) -> None:
    measured = values(measure(write_clip(tmp_path / "sound.wav", sound=tone(2, level_dbfs=-20))))
    assert measured.pop("loudness_lufs") == pytest.approx(-23.0, abs=0.1)
    assert measured.pop("clipping_ratio") == 0.0
    assert measured.pop("true_peak_dbtp") == pytest.approx(-20.0, abs=0.1)
    assert measured.pop("loudness_range_lu") is Reason.TOO_SHORT
    assert set(measured.values()) == {Reason.NO_VIDEO}


def test_one_frame_has_a_size_and_no_times(tmp_path: Path) -> None:
    measured = values(measure(write_clip(tmp_path / "one.mp4", moving_pattern(0.04))))
    assert (measured["width"], measured["height"]) == (160, 120)
    for name in ("fps", "black_ratio", "freeze_ratio", "flicker", "sharpness"):
        assert measured[name] == Reason.TOO_FEW_FRAMES


def test_a_fifth_of_a_second_is_too_short_for_flicker_alone(tmp_path: Path) -> None:
    measured = values(measure(write_clip(tmp_path / "short.mp4", moving_pattern(0.2))))
    assert measured["flicker"] == Reason.TOO_SHORT
    assert measured["fps"] == pytest.approx(25)


def test_a_slide_show_is_too_slow_for_flicker(tmp_path: Path) -> None:
    measured = values(measure(write_clip(tmp_path / "slides.mp4", moving_pattern(4, fps=2), fps=2)))
    assert measured["flicker"] == Reason.LOW_FRAME_RATE
    assert measured["freeze_ratio"] == pytest.approx(1.0)  # each slide stands for half a second


def test_a_black_clip_has_no_sharpness(tmp_path: Path) -> None:
    measured = values(measure(write_clip(tmp_path / "black.mp4", moving_pattern(1, black=[(0, 1)]))))
    assert measured["sharpness"] == BLANK_PICTURE
    assert measured["black_ratio"] == pytest.approx(1.0)


def test_face_coverage_is_the_share_of_frames_with_a_face() -> None:
    face = Track(
        "face", ("x",), np.arange(4.0), np.zeros((4, 1), np.float32), np.array([True, False, True, True])
    )
    video = VideoFacts(10, 10, 25.0, 4.0, 0.0, "h264", 0, 4)
    found = Technical().measure(ClipFacts("clip", None, video, None), {"face": face}).measurements
    (coverage,) = (
        measurement for measurement in found if measurement.metric.name == "technical.face_coverage"
    )
    assert coverage.value == 0.75


def test_a_held_ending_is_frozen_and_counts_as_picture(tmp_path: Path) -> None:
    """2.4 s that move, then the last frame for 2.4 s, and 4.8 s of sound."""
    path = tmp_path / "held.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        voice = container.add_stream("aac", rate=16_000, layout="mono")
        packets = []
        for index, pixels in enumerate(moving_pattern(2.4)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += stream.encode(frame)
        for packet in (*packets, *stream.encode(None)):
            packet.duration = 61 if packet.pts == 59 else 1
            container.mux(packet)
        sound = av.AudioFrame.from_ndarray(
            tone(4.8, rate_hz=16_000).astype(np.float32)[None], format="fltp", layout="mono"
        )
        sound.sample_rate, sound.pts, sound.time_base = 16_000, 0, Fraction(1, 16_000)
        container.mux([*voice.encode(sound), *voice.encode(None)])
    measured = measure(path)
    assert measured["freeze_ratio"].value == pytest.approx(2.44 / 4.8, abs=0.001)
    assert measured["av_duration_gap_ms"].value == pytest.approx(0, abs=64)  # a frame of AAC
    assert measured["black_ratio"].value == 0


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
def test_one_sample_that_is_no_number_costs_nothing(tmp_path: Path, wrong: float) -> None:
    voice = tone(2, level_dbfs=-20).astype(np.float32)
    voice[999] = wrong
    wav = tmp_path / "broken.wav"
    with wav.open("wb") as file:
        scipy.io.wavfile.write(file, 48_000, voice)
    measured = values(
        measure(write_clip(tmp_path / "clip.mp4", moving_pattern(2), sound=tone(2)), audio=str(wav))
    )
    assert measured["width"] == 160
    assert measured["fps"] == pytest.approx(25)
    assert measured["loudness_lufs"] == pytest.approx(-23.0, abs=0.1)


def test_sound_too_slow_for_a_loudness_costs_nothing_else(tmp_path: Path) -> None:
    wav = write_clip(tmp_path / "slow.wav", sound=tone(2, frequency_hz=300, rate_hz=2000), rate_hz=2000)
    measured = values(measure(write_clip(tmp_path / "clip.mp4", moving_pattern(2)), audio=str(wav)))
    assert measured["loudness_lufs"] == SLOW_SOUND
    assert measured["clipping_ratio"] == 0
    assert measured["width"] == 160


@pytest.mark.media
def test_what_is_known_of_real_clips(media_folder: Path) -> None:
    real = media_folder / "talking_real"
    long_sound = measure(real / "moore-animateanyone_talkinghead_2.mp4")
    assert long_sound["av_duration_gap_ms"].value == pytest.approx(11_733 - 20_016, abs=60)
    silent = measure(real / "liveportrait_d18_SILENT_audio.mp4")
    assert silent["loudness_lufs"].reason == Reason.SILENT_AUDIO
    assert silent["face_coverage"].value == 1.0
    mute = measure(real / "edtalk_expression_source_NO_audio.mp4")
    assert mute["loudness_lufs"].reason == Reason.NO_AUDIO
    variable = measure(real / "video-retalking_face_1.mp4")
    assert variable["fps"].value == pytest.approx(22.13, abs=0.1)
