"""pocketsphinx as a recogniser: the words of a spoken sentence, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RequestError
from pipeline.sound import write_wav
from pipeline.speech.espeak import Espeak
from pipeline.speech.sphinx import _RATE_HZ as RATE_HZ
from pipeline.speech.sphinx import Pocketsphinx, _add_room, _cut

SENTENCE = "how do i open a savings account"


@pytest.fixture(scope="module")
def recogniser() -> Pocketsphinx:
    return Pocketsphinx()


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a sentence spoken by a machine."""
    speech = Espeak().speak(SENTENCE, "en-us")
    path = tmp_path_factory.mktemp("sound") / "question.wav"
    write_wav(path, speech.samples, speech.rate_hz)
    return path


def test_a_sentence_is_written_down(recogniser: Pocketsphinx, question: Path) -> None:
    heard = recogniser.recognise(question, "en-US")
    assert heard.text == SENTENCE
    assert heard.duration_s == pytest.approx(Espeak().speak(SENTENCE, "en-us").duration_s, abs=1e-3)
    assert (heard.recogniser, heard.version, heard.language) == ("pocketsphinx", recogniser.version, "en-US")


def test_the_same_sound_gives_the_same_words(recogniser: Pocketsphinx, question: Path) -> None:
    assert recogniser.recognise(question, "en") == recogniser.recognise(question, "en")


@pytest.mark.parametrize(
    ("language", "served"), [("en", True), ("EN-gb", True), ("eng", False), ("cmn", False)]
)
def test_it_understands_english_alone(recogniser: Pocketsphinx, language: str, served: bool) -> None:
    assert recogniser.serves(language) is served


def test_another_language_is_refused(recogniser: Pocketsphinx, question: Path) -> None:
    with pytest.raises(RequestError, match="'pocketsphinx' does not understand the language 'de'"):
        recogniser.recognise(question, "de")


def test_a_file_that_is_not_there_is_refused(recogniser: Pocketsphinx, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"gone\.wav.*no such file"):
        recogniser.recognise(tmp_path / "gone.wav", "en")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(RequestError, match="there is no setting 'model'"):
        Pocketsphinx(model="x")


def test_it_can_be_closed_and_used_again(question: Path) -> None:
    recogniser = Pocketsphinx()
    for _ in range(2):
        recogniser.load()
        recogniser.load()
        assert recogniser.recognise(question, "en").text
        recogniser.close()
        recogniser.close()


def test_long_sound_is_cut_in_its_pauses_and_nothing_is_lost() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.1, 70 * 16000).astype(np.float32)
    for pause_s in (24.0, 47.5):
        samples[round(pause_s * 16000) : round((pause_s + 0.3) * 16000)] = 0
    pieces = list(_cut(samples))
    assert np.array_equal(np.concatenate(pieces), samples)
    ends_s = np.cumsum([piece.size for piece in pieces]) / 16000
    assert 24.0 <= ends_s[0] <= 24.3
    assert 47.5 <= ends_s[1] <= 47.8
    assert len(pieces) == 3


def test_it_is_installed_as_a_recogniser() -> None:
    from importlib.metadata import entry_points

    (point,) = entry_points(group="evalkit.recognisers", name="pocketsphinx")
    assert point.load() is Pocketsphinx


def test_room_tone_lies_under_digital_silence_alone() -> None:
    rng = np.random.default_rng(1)
    voice = (0.3 * np.sin(np.arange(32000) / 9)).astype(np.float32)
    recorded = voice + (0.001 * rng.standard_normal(voice.size)).astype(np.float32)
    assert _add_room(recorded) is recorded
    cut = voice.copy()
    cut[8000:16000] = 0.0
    toned = _add_room(cut)
    margin = round(0.3 * RATE_HZ)
    assert toned.size == cut.size + 2 * margin
    added = toned[margin:-margin] - cut
    assert 20 * np.log10(added.std() / np.abs(cut).max()) == pytest.approx(-46.0, abs=0.5)
    assert 20 * np.log10(toned[:margin].std() / np.abs(cut).max()) == pytest.approx(-46.0, abs=0.5)


def test_a_synthetic_voice_with_silence_between_its_words_is_understood_for_the_most_part(
    recogniser: Pocketsphinx, tmp_path: Path
) -> None:
    sentences = (
        "good morning and welcome back to our show",
        "we have known each other since we were children",
    )
    n_right = 0
    for sentence in sentences:
        speech = Espeak().speak(sentence, "en-us")
        path = tmp_path / "sentence.wav"
        write_wav(path, speech.samples, speech.rate_hz)
        n_right += len(set(sentence.split()) & set(recogniser.recognise(path, "en").text.split()))
    assert n_right >= 12  # of 17; it was 4 without room tone
