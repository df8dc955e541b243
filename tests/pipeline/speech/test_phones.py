"""Forced alignment against the times that the voice itself reports."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.errors import RequestError
from pipeline.phonemes import Alignment
from pipeline.sound import write_wav
from pipeline.speech.espeak import Espeak
from pipeline.speech.phones import align, spell
from pipeline.speech.sphinx import Pocketsphinx

ENGLISH = "Bob and Pam baked muffins, mixed pepper soup, and packed the blue bag by the maple tree."
GERMAN = "Meine Mutter mag bunte Blumen, aber mein Papa pflanzt lieber Bäume im Park."
OTHER = "The quick wizard jogs north."


@pytest.fixture(scope="module")
def aligner() -> Pocketsphinx:
    return Pocketsphinx()


def say(folder: Path, text: str, language: str) -> tuple[Path, list[tuple[str, float, float]]]:
    """Speak into a file; return where p, b and m lie in it, as the voice says."""
    speech = Espeak().speak(text, language)
    path = folder / "said.wav"
    write_wav(path, speech.samples, speech.rate_hz)
    return path, [one for one in speech.phonemes if one.symbol in {"p", "b", "m"}]


@pytest.mark.parametrize(("text", "language"), [(ENGLISH, "en-us"), (GERMAN, "de")])
def test_closures_begin_where_the_voice_says(
    aligner: Pocketsphinx, tmp_path: Path, text: str, language: str
) -> None:
    path, told = say(tmp_path, text, language)
    found = aligner.align(path, text, language)
    closures = [one for one in found.phonemes if one.symbol in {"p", "b", "m"}]
    assert len(told) >= 10
    assert [one.symbol for one in closures if one.symbol == "b"] == [one[0] for one in told if one[0] == "b"]
    nearest = [min(abs(one.start_s - start_s) for one in closures) for _, start_s, _ in told]
    assert np.median(nearest) <= 0.015
    assert np.percentile(nearest, 90) <= 0.035


def test_a_script_of_something_else_is_noticed(aligner: Pocketsphinx, tmp_path: Path) -> None:
    path, _ = say(tmp_path, ENGLISH, "en-us")
    own = aligner.align(path, ENGLISH, "en")
    other = aligner.align(path, GERMAN, "de")
    assert own.phonemes
    assert own.misfit is not None
    assert own.misfit < 35
    assert other.phonemes == ()
    assert aligner.align(path, 3 * ENGLISH, "en").phonemes == ()


def test_words_that_no_dictionary_has_are_pronounced(aligner: Pocketsphinx, tmp_path: Path) -> None:
    text = "The blorpimobs are 25 pumkwips and Müller's bampo, isn’t it?"
    path, told = say(tmp_path, text, "en-us")
    found = aligner.align(path, text, "en-US")
    closures = [one for one in found.phonemes if one.symbol in {"p", "b", "m"}]
    assert abs(len(closures) - len(told)) <= 1


def test_a_country_that_espeak_does_not_know_is_left_out(aligner: Pocketsphinx, tmp_path: Path) -> None:
    path, _ = say(tmp_path, GERMAN, "de")
    assert aligner.align(path, GERMAN, "de-DE") == aligner.align(path, GERMAN, "de")


def test_what_was_heard_before_moves_nothing(tmp_path: Path) -> None:
    """An aligner and a recogniser serve many clips, in any order."""
    path, _ = say(tmp_path, GERMAN, "de")
    fresh, used = Pocketsphinx(), Pocketsphinx()
    noise = np.random.default_rng(0).normal(0, 3000, 32_000).astype(np.int16)
    write_wav(tmp_path / "noise.wav", noise, 16_000)
    used.align(tmp_path / "noise.wav", GERMAN, "de")
    assert used.align(path, GERMAN, "de") == fresh.align(path, GERMAN, "de")
    used.recognise(tmp_path / "noise.wav", "en")
    scores = []
    for one in (used, fresh):
        one.recognise(path, "en")
        scores.append((one._decoder.hyp().hypstr, one._decoder.hyp().score))
    assert scores[0] == scores[1]


def test_a_word_in_other_letters_does_not_spoil_an_english_script(
    aligner: Pocketsphinx, tmp_path: Path
) -> None:
    path, _ = say(tmp_path, ENGLISH, "en-us")
    assert aligner.align(path, f"{ENGLISH} (Боб, 鲍勃)", "en") == aligner.align(path, ENGLISH, "en")
    with pytest.raises(RequestError, match="Cyrillic"):
        aligner.align(path, f"{GERMAN} Боб", "de")


def test_a_fit_too_poor_for_a_number_is_none() -> None:
    """An hour under one sound has a likelihood that no float holds."""
    segment = SimpleNamespace(word="phone-b", start_frame=0, end_frame=359_999, ascore=0.0)
    decoder = SimpleNamespace(
        lookup_word=lambda _: "B",
        reinit_feat=lambda: None,
        set_align_text=lambda _: None,
        start_utt=lambda: None,
        process_raw=lambda _, full_utt: None,  # noqa: ARG005
        end_utt=lambda: None,
        hyp=lambda: "b",
        seg=lambda: [segment],
    )
    assert align(decoder, np.zeros(16_000, np.float32), "b", "en") == Alignment(())


def test_no_script_for_a_sound_has_no_phoneme(aligner: Pocketsphinx, tmp_path: Path) -> None:
    path, _ = say(tmp_path, ENGLISH, "en-us")
    assert aligner.align(path, "…", "en").phonemes == ()
    write_wav(tmp_path / "short.wav", np.full(800, 9, dtype=np.int16), 16_000)
    assert aligner.align(tmp_path / "short.wav", ENGLISH, "en").phonemes == ()


def test_languages_that_are_aligned(aligner: Pocketsphinx, tmp_path: Path) -> None:
    assert all(
        aligner.aligns(language)
        for language in ("en", "en-GB", "de", "de-DE", "pt_BR", "zh-TW", "cmn", "zh", "fr-fr")
    )
    assert not aligner.aligns("xx-DE")
    path, _ = say(tmp_path, ENGLISH, "en-us")
    with pytest.raises(RequestError, match="xx"):
        aligner.align(path, ENGLISH, "xx")


def test_a_recogniser_that_cannot_align_says_so(tmp_path: Path) -> None:
    from evalkit.testing.recogniser import FakeRecogniser

    fake = FakeRecogniser(["word"])
    assert not fake.aligns("en")
    with pytest.raises(RequestError, match="aligns no text"):
        fake.align(tmp_path / "x.wav", "word", "en")


def test_spelling_ignores_marks_and_knows_every_sound_of_english() -> None:
    assert spell("pʰ") == "P"
    assert spell("") == ""
    assert spell("tʃiːz") == "CH IY Z"
    assert spell("θɪŋ ʒə") == "TH IH NG ZH AH"
