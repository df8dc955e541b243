"""From a request's audio or text to a sound file."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.errors import RequestError
from pipeline.phonemes import Phoneme
from pipeline.request import build_request
from pipeline.speech.base import Speech
from pipeline.speech.stage import check_sound, prepare_sound

if TYPE_CHECKING:
    from pathlib import Path


class Beeper:
    """A speech engine that beeps 0.1 s a word."""

    name = "beeper"

    def languages(self) -> tuple[str, ...]:
        """Return the only one."""
        return ("xx",)

    def check(self, text: str, language: str, voice: str | None = None) -> None:
        """Refuse what is not ``xx``."""
        if language != "xx":
            raise RequestError(f"beeper does not speak {language} ({text}, {voice})")

    def speak(self, text: str, language: str, voice: str | None = None) -> Speech:
        """Beep."""
        self.check(text, language, voice)
        samples = np.full(800 * len(text.split()), 1000, np.int16)
        return Speech(samples, 8000, (Phoneme("b", 0.0, len(samples) / 8000),), "xx", "v", "beeper", "7")


def test_a_sound_file_is_used_as_it_is(spoken: Path, tmp_path: Path) -> None:
    sound = prepare_sound(build_request({"audio": spoken}), tmp_path)
    assert (sound.path, sound.duration_s, sound.phonemes) == (spoken, 2.0, ())
    assert list(tmp_path.iterdir()) == []


def test_text_becomes_a_sound_file(tmp_path: Path) -> None:
    sound = prepare_sound(build_request({"text": "Hello", "language": "en-us"}), tmp_path)
    with wave.open(str(sound.path)) as file:
        assert file.getnframes() / file.getframerate() == sound.duration_s
    assert [phoneme.symbol for phoneme in sound.phonemes if phoneme.symbol] == ["h", "ə", "l", "ˈoʊ"]
    assert sound.versions == {"espeak-ng": "1.52.0"}


def test_another_engine_speaks_through_the_same_protocol(tmp_path: Path) -> None:
    request = build_request({"text": "a b c", "language": "xx"})
    assert check_sound(request, Beeper()) is None
    sound = prepare_sound(request, tmp_path, Beeper())
    assert sound.duration_s == 0.3
    assert sound.versions == {"beeper": "7"}


def test_another_engine_refuses_by_itself() -> None:
    with pytest.raises(RequestError, match="beeper does not speak en"):
        check_sound(build_request({"text": "a"}), Beeper())


def test_the_length_of_a_file_is_known_before(spoken: Path) -> None:
    assert check_sound(build_request({"audio": spoken})) == 2.0


@pytest.mark.parametrize("parameters", [{}, {"prompt": "a person smiling"}])
def test_neither_audio_nor_text(parameters: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="the request has neither"):
        check_sound(build_request(parameters))
    with pytest.raises(RequestError, match="the request has neither"):
        prepare_sound(build_request(parameters), tmp_path)
