"""Speech: the phoneme times against the sound itself, and text that cannot be spoken."""

# ruff: noqa: RUF001 - Chinese text has Chinese punctuation

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import espeakng_loader
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import GenerationError, RequestError
from pipeline.speech import espeak
from pipeline.speech.espeak import Espeak

if TYPE_CHECKING:
    from pipeline.phonemes import Phoneme
    from pipeline.speech.base import Speech

GREETINGS = {
    "en": "Good morning, welcome to our bank. Please take a seat.",
    "en-us": "Good morning, welcome to our bank.",
    "cmn": "你好，欢迎来到我们的银行。请坐。",
    "zh": "你好，欢迎来到我们的银行。",
    "de": "Guten Tag, willkommen in unserer Bank.",
    "fr": "Bonjour, bienvenue dans notre banque.",
    "es": "Buenos días, bienvenido a nuestro banco.",
    "pt-br": "Bom dia, bem-vindo ao nosso banco.",
    "it": "Buongiorno, benvenuto nella nostra banca.",
    "ru": "Добрый день, добро пожаловать.",
    "uk": "Добрий день.",
    "el": "Καλημέρα.",
    "ar": "مرحبا بكم",
    "he": "שלום",
    "hi": "नमस्ते",
    "th": "สวัสดี",
    "ko": "안녕하세요",
    "ja": "こんにちは、カード",
    "ka": "გამარჯობა",
    "sr": "Добар дан. Dobar dan.",
}


def rms_of(speech: Speech, phoneme: Phoneme) -> float:
    span = speech.samples[round(phoneme.start_s * speech.rate_hz) : round(phoneme.end_s * speech.rate_hz)]
    return float(np.sqrt(np.mean(span.astype(float) ** 2)))


@pytest.mark.parametrize(("language", "text"), GREETINGS.items(), ids=GREETINGS)
def test_every_moment_belongs_to_one_phoneme_and_only_pauses_are_silent(language: str, text: str) -> None:
    speech = Espeak().speak(text, language)
    assert speech.samples.dtype == np.int16
    assert speech.rate_hz == 22050
    assert 0.3 < speech.duration_s < 10
    assert speech.phonemes[0].start_s == 0
    assert speech.phonemes[-1].end_s == speech.duration_s
    assert all(before.end_s == after.start_s for before, after in pairwise(speech.phonemes))
    assert all(phoneme.start_s < phoneme.end_s for phoneme in speech.phonemes)
    assert all((rms_of(speech, phoneme) == 0) == (phoneme.symbol == "") for phoneme in speech.phonemes)


def test_the_phonemes_are_those_of_the_words() -> None:
    speech = Espeak().speak("apple", "en-us")  # /ˈæ p əl/ in any dictionary
    assert [phoneme.symbol for phoneme in speech.phonemes if phoneme.symbol] == ["ˈæ", "p", "əl"]


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "papa pepper"), ("cmn", "爸爸跑步"), ("es", "papá, papá"), ("ru", "папа, папа")],
)
def test_a_stop_begins_with_its_closure(language: str, text: str) -> None:
    speech = Espeak().speak(text, language)
    stops = [phoneme for phoneme in speech.phonemes if phoneme.symbol in {"p", "ph"}]
    assert len(stops) >= 3
    for stop in stops:
        start = round(stop.start_s * speech.rate_hz)
        assert not speech.samples[
            start : start + speech.rate_hz // 100
        ].any()  # lips closed: 10 ms without sound
        assert rms_of(speech, stop) > 0  # and then the burst


@pytest.mark.parametrize(("language", "text"), [("en", "mama"), ("de", "Biene"), ("fr", "beau")])
def test_a_vowel_is_louder_than_what_surrounds_it(language: str, text: str) -> None:
    speech = Espeak().speak(text, language)
    first, vowel = speech.phonemes[:2]
    assert rms_of(speech, vowel) > rms_of(speech, first)


def test_the_words_of_another_language_carry_no_mark() -> None:
    symbols = [phoneme.symbol for phoneme in Espeak().speak("欢迎 to the bank 欢迎", "cmn").phonemes]
    assert not [symbol for symbol in symbols if "(" in symbol or ")" in symbol]


def test_the_same_text_gives_the_same_sound_also_in_threads() -> None:
    texts = [("en", "one two three"), ("cmn", "一二三"), ("de", "eins zwei drei"), ("fr", "un deux trois")]
    alone = [Espeak().speak(text, language) for language, text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: Espeak().speak(pair[1], pair[0]), texts))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert one.phonemes == other.phonemes


def test_a_voice_is_another_speaker_of_the_same_words() -> None:
    engine = Espeak()
    man, woman = engine.speak("a", "en-us"), engine.speak("a", "en-us", "f3")

    def pitch_hz(speech: Speech) -> float:
        middle = speech.samples[len(speech.samples) // 4 :][:2048].astype(float)
        wave = np.correlate(middle, middle, "full")[2047:]
        low, high = speech.rate_hz // 400, speech.rate_hz // 60
        return speech.rate_hz / (low + int(np.argmax(wave[low:high])))

    assert pitch_hz(woman) > 1.3 * pitch_hz(man)
    assert [p.symbol for p in woman.phonemes if p.symbol] == [p.symbol for p in man.phonemes if p.symbol]


def test_it_says_who_spoke() -> None:
    speech = Espeak().speak("Hi", "EN-US", "m2")
    assert (speech.engine, speech.version, speech.voice) == ("espeak-ng", "1.52.0", "gmw/en-US+m2")


def test_english_mandarin_and_a_hundred_more_are_listed() -> None:
    languages = Espeak().languages()
    assert {"en", "en-us", "cmn", "zh", "yue", "ja", "ar", "hi", "sw"} <= set(languages)
    assert len(languages) > 100
    assert list(languages) == sorted(languages)


def test_languages_whose_dictionary_is_missing_are_not_listed() -> None:
    assert "fo" not in Espeak().languages()  # the wheel has the voice of Faroese and not its words


@pytest.mark.parametrize(
    ("text", "language", "voice", "message"),
    [
        ("Hello", "tlh", None, "does not speak the language 'tlh'"),
        ("Hello", "enn", None, "did you mean en"),
        ("Hello", "en", "f9", "has no voice 'f9'; it has: .*f3"),
        ("", "en", None, "no words in it"),
        (" …!? ", "en", None, "no words in it"),
        ("a\0b", "en", None, "zero character"),
        ("你好", "en", None, "written in CJK, which espeak-ng cannot read as 'en'; there it reads Latin"),
        ("Say привет now", "en", None, "'привет' is written in Cyrillic"),
        ("日本", "ja", None, "written in CJK"),
        ("Привет", "cmn", None, "there it reads CJK and Latin"),
        ("ສະບາຍດີ", "th", None, "written in Lao"),
    ],
)
def test_text_that_cannot_be_spoken_is_refused(
    text: str, language: str, voice: str | None, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        Espeak().check(text, language, voice)
    with pytest.raises(RequestError, match=message):
        Espeak().speak(text, language, voice)


@pytest.mark.parametrize(
    "text", ["5 µm", "ΔT = 3 °C", "naïve façade", "Ｈｅｌｌｏ", "ﬁne", "№ 7", "½", "Ok 👍"]
)
def test_symbols_and_forms_of_latin_letters_are_no_other_script(text: str) -> None:
    Espeak().check(text, "en")
    assert Espeak().speak(text, "en").duration_s > 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(max_size=30), language=st.sampled_from(["en", "cmn", "ru", "ar"]))
def test_any_text_is_spoken_or_refused(text: str, language: str) -> None:
    try:
        speech = Espeak().speak(text, language)
    except RequestError as refusal:
        assert "text" in str(refusal)  # noqa: PT017 - either outcome is right, nothing else is
    else:
        assert any(phoneme.symbol for phoneme in speech.phonemes)


def test_speech_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak, "MAX_SOUND_S", 2.0)
    with pytest.raises(RequestError, match="takes longer than 2 s to speak"):
        Espeak().speak("one two three four five six seven eight nine ten " * 3, "en")


def test_a_library_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: "gone.so")
    with pytest.raises(GenerationError, match=r"espeak-ng failed: .*gone\.so"):
        Espeak().speak("Hello", "en")
