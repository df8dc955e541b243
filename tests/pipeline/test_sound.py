"""Reading sound: any rate and number of channels, and every kind of useless file told apart."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.io import wavfile

from pipeline import sound
from pipeline.errors import RequestError
from pipeline.sound import iterate_sound, measure_sound, read_sound
from pipeline.sound import write_wav as write_wav_of_ours
from tests.pipeline.conftest import tone, write_wav

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def test_samples_at_the_same_rate_come_back_as_they_were(tmp_path: Path) -> None:
    samples = tone(0.5)
    read = read_sound(write_wav(tmp_path / "a.wav", samples), 16000)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, samples, atol=1 / 32768)


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000])
def test_another_rate_keeps_length_and_pitch(rate_hz: int, tmp_path: Path) -> None:
    read = read_sound(write_wav(tmp_path / "a.wav", tone(1.0, rate_hz), rate_hz), 16000)
    assert abs(read.size - 16000) <= 32  # 2 ms
    assert np.argmax(np.abs(np.fft.rfft(read[:16000], 16000))) == 440


def test_channels_are_mixed(tmp_path: Path) -> None:
    stereo = np.stack([tone(0.5), np.zeros(8000)], axis=1)
    read = read_sound(write_wav(tmp_path / "a.wav", stereo), 16000)
    np.testing.assert_allclose(read, tone(0.5) / 2, atol=1e-3)


def test_the_sound_of_a_video_is_read(video: Path) -> None:
    assert measure_sound(video).duration_s == pytest.approx(1.2, abs=0.1)  # 30 frames at 25 fps


def test_pieces_make_the_whole(spoken: Path) -> None:
    pieces = list(iterate_sound(spoken, 16000))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), read_sound(spoken, 16000))


def test_length_and_peak_are_measured(spoken: Path) -> None:
    facts = measure_sound(spoken)
    assert facts.duration_s == 2.0
    assert facts.peak == pytest.approx(0.5, abs=1e-3)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    samples = np.array([0, 1, -1, 32767, -32768], dtype=np.int16)
    write_wav_of_ours(tmp_path / "a.wav", samples, 22050)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 22050, 5)
        assert np.array_equal(np.frombuffer(file.readframes(5), "<i2"), samples)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"audio '.*gone.wav': there is no such file"):
        measure_sound(tmp_path / "gone.wav")


@pytest.mark.parametrize("content", [b"", b"these are words, not sound\n" * 50], ids=["empty", "text"])
def test_a_file_that_is_no_sound(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="cannot be read as sound"):
        measure_sound(path)


def test_a_video_without_sound(silent_film: Path) -> None:
    with pytest.raises(RequestError, match="the file has no sound"):
        measure_sound(silent_film)


USELESS = {
    "no samples": (np.zeros(0, np.float32), "is empty|cannot be read"),
    "silence": (np.zeros(16000, np.float32), "is silent: it never rises above -80 dB"),
    "one step of 16 bits": (np.resize(np.float32([1 / 32768, 0]), 16000), "is silent"),
    "no numbers": (np.resize(np.float32([0.1, np.nan]), 16000), "not finite numbers"),
    "endless": (np.resize(np.float32([0.1, np.inf]), 16000), "not finite numbers"),
}


@pytest.mark.parametrize(("samples", "message"), USELESS.values(), ids=USELESS)
def test_useless_sound_is_refused(samples: NDArray[np.float32], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    wavfile.write(path, 16000, samples)
    with pytest.raises(RequestError, match=message):
        read_sound(path, 16000)
    with pytest.raises(RequestError, match=message):
        measure_sound(path)


def test_a_whisper_is_no_silence(tmp_path: Path) -> None:
    assert measure_sound(write_wav(tmp_path / "a.wav", tone(0.1) * 1e-3)).peak == pytest.approx(5e-4, rel=0.1)


def test_three_hours_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(1000)
        file.writeframes(bytes(range(256)) * (3 * 3600 * 1000 // 256))
    pieces = iterate_sound(path, 16000)
    with pytest.raises(RequestError, match=r"lasts 108\d\d s or more; the limit is 3600 s"):
        next(pieces)


def test_a_header_that_lies_does_not_get_round_the_limit(
    spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lies.aac"  # a bare stream of frames: its length is only guessed
    import av

    with av.open(str(path), "w", format="adts") as container:
        track = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(8.0).astype(np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    monkeypatch.setattr(sound, "MAX_SOUND_S", 5.0)
    with pytest.raises(RequestError, match="the limit is 5 s"):
        measure_sound(path)
    assert measure_sound(spoken).duration_s == 2.0
