"""The transcript track: long sound in pieces cut at pauses, whatever the chunks, and silence never asked about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.testing.recogniser import FakeRecogniser
from evalkit.tracks.transcript import RATE_HZ, TranscriptTracker, track_name
from evalkit.types import AudioChunk, Track
from pipeline.recogniser import Word


def transcribe(recogniser: FakeRecogniser, samples: np.ndarray, chunk: int, start_s: float = 0.0) -> Track:
    tracker = TranscriptTracker(recogniser, {}, "en")
    for start in range(0, samples.size, chunk):
        tracker.update(AudioChunk(start_s + start / RATE_HZ, RATE_HZ, samples[start : start + chunk]))
        assert tracker._waiting.size <= 30 * RATE_HZ + chunk
    return tracker.finish()


def noise(length_s: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal(round(length_s * RATE_HZ))).astype(np.float32)


@pytest.mark.parametrize("chunk", [1_000, 16_000, 1_000_000])
def test_long_sound_is_cut_in_its_pauses(chunk: int) -> None:
    samples = noise(50)
    samples[25 * RATE_HZ : 26 * RATE_HZ] = 0.0  # the only pause between 20 s and 30 s
    recogniser = FakeRecogniser(["one", "two"])
    track = transcribe(recogniser, samples, chunk, start_s=0.5)
    assert track.facts["texts"] == ["one", "two"]
    assert sum(recogniser.lengths_s) == pytest.approx(50)
    assert 25 <= recogniser.lengths_s[0] <= 26
    assert track.times_s.tolist() == pytest.approx([0.5, 0.5 + recogniser.lengths_s[0]])
    assert track["duration_s"] == pytest.approx(recogniser.lengths_s)


def test_thirty_seconds_are_one_piece() -> None:
    recogniser = FakeRecogniser(["all"])
    assert transcribe(recogniser, noise(30), 4_000).facts["texts"] == ["all"]
    assert recogniser.lengths_s == pytest.approx([30])


@pytest.mark.parametrize("samples", [np.zeros(RATE_HZ, np.float32), noise(0.05), noise(0)])
def test_silence_and_scraps_are_never_asked_about(samples: np.ndarray) -> None:
    recogniser = FakeRecogniser(["never"])
    assert "".join(transcribe(recogniser, samples, 1_000).facts["texts"]) == ""
    assert recogniser.lengths_s == []


def test_the_facts_say_who_heard_it() -> None:
    facts = transcribe(FakeRecogniser(["word"], version="7"), noise(1), 1_000).facts
    assert facts == {
        "texts": ["word"],
        "words": [],
        "recogniser": "fake",
        "version": "7",
        "language": "en",
    }


def test_words_stand_at_the_time_of_the_clip() -> None:
    samples = noise(50)
    samples[25 * RATE_HZ : 26 * RATE_HZ] = 0.0
    track = transcribe(FakeRecogniser(["one two", "three"], tells_times=True), samples, 16_000, start_s=0.5)
    cut_s = float(track["duration_s"][0])
    (_, (two, start_s, end_s), (three, later_s, last_s)) = track.facts["words"]
    assert (two, three) == ("two", "three")
    assert (start_s, end_s) == pytest.approx((0.5 + cut_s / 2, 0.5 + cut_s))
    assert (later_s, last_s) == pytest.approx((0.5 + cut_s, 50.5))


def test_words_heard_behind_the_end_end_with_the_sound() -> None:
    class Dreaming(FakeRecogniser):
        def recognise(self, sound, language):
            heard = super().recognise(sound, language)
            return replace(heard, words=(*heard.words, Word("thanks", 28.0, 29.5)))

    track = transcribe(Dreaming(["one"], tells_times=True), noise(2), 16_000)
    assert track.facts["words"][-1] == ["thanks", 2.0, 2.0]


def test_loud_sound_is_clipped_and_does_not_wrap_round() -> None:
    class Loudest(FakeRecogniser):
        def recognise(self, sound, language):
            import wave

            with wave.open(str(sound)) as file:
                values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            assert (values.min(), values.max()) == (-32768, 32767)
            return super().recognise(sound, language)

    transcribe(Loudest(["x"]), np.tile(np.array([1.5, -1.5], np.float32), RATE_HZ), 1_000)


def test_the_name_says_all_that_decides_the_words() -> None:
    names = {
        track_name(FakeRecogniser(), {}, "en"),
        track_name(FakeRecogniser(version="2"), {}, "en"),
        track_name(FakeRecogniser(), {"model": "large"}, "en"),
        track_name(FakeRecogniser(), {}, "cmn"),
    }
    assert len(names) == 4
    assert track_name(FakeRecogniser(), {}, "en") in names
