"""Speech by an endpoint: what is sent, and that the bytes count and not what they are called."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.endpoint import ServiceError
from pipeline.errors import RequestError
from pipeline.speech.speech_endpoint import SpeechEndpoint


@pytest.fixture
def make(service: Any) -> Any:
    """Give a maker of clients of the stand-in service."""
    return lambda **more: SpeechEndpoint(base_url=service.url, model="tts-1", voice="alloy", **more)


def as_mp3(seconds: float, rate_hz: int = 24000) -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=rate_hz, layout="mono")
        times_s = np.arange(round(seconds * rate_hz)) / rate_hz
        wave = (0.5 * np.sin(2 * np.pi * 440 * times_s)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def test_a_wav_file_comes_back_as_samples(service: Any, reply: Any, make: Any, spoken: Path) -> None:
    service.replies = [reply(spoken.read_bytes(), headers={"content-type": "audio/wav"})]
    speech = make(parameters={"speed": 1.2}).speak("Hello.", "en")
    assert (speech.rate_hz, speech.samples.dtype, speech.duration_s) == (16000, np.int16, 2.0)
    assert np.abs(speech.samples).max() == pytest.approx(16384, abs=5)  # the tone's half of full scale
    assert (speech.voice, speech.engine, speech.version, speech.phonemes) == ("alloy", "openai", "tts-1", ())
    assert service.requests[0][0] == "/v1/audio/speech"
    assert service.sent() == {
        "model": "tts-1",
        "voice": "alloy",
        "input": "Hello.",
        "response_format": "wav",
        "speed": 1.2,
    }


def test_mp3_that_is_called_wav_is_read_as_what_it_is(service: Any, reply: Any, make: Any) -> None:
    service.replies = [reply(as_mp3(1.0), headers={"content-type": "audio/wav"})]
    speech = make().speak("Hello.", "en", "nova")
    assert (speech.rate_hz, speech.voice) == (24000, "nova")
    assert speech.duration_s == pytest.approx(1.0, abs=0.1)
    assert service.sent()["voice"] == "nova"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"error": "none"}', "cannot be read as sound"),
        ("", "cannot be read as sound"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "not speech"),
        ("silence", "is silent"),
    ],
)
def test_what_is_no_speech_may_be_some_next_time(
    service: Any, reply: Any, make: Any, tmp_path: Path, body: Any, message: str
) -> None:
    if body == "silence":
        from pipeline.sound import write_wav

        write_wav(tmp_path / "a.wav", np.zeros(16000, np.int16), 16000)
        body = (tmp_path / "a.wav").read_bytes()
    service.replies = [reply(body, headers={"content-type": "audio/wav"})]
    with pytest.raises(ServiceError, match=message) as caught:
        make().speak("Hello.", "en")
    assert (caught.value.kind, caught.value.again) == ("bad_answer", True)


def test_it_speaks_the_languages_it_is_told(make: Any) -> None:
    assert make().languages() == ()
    make().check("Hello.", "xx")
    assert make(languages=("en", "cmn")).languages() == ("cmn", "en")
    with pytest.raises(RequestError, match=r"does not speak the language 'de' \(it speaks: cmn, en\)"):
        make(languages=("en", "cmn")).check("Hallo.", "de")


def test_a_text_without_words_is_refused_and_not_sent(service: Any, make: Any) -> None:
    with pytest.raises(RequestError, match="there are no words in it"):
        make().speak("…", "en")
    assert service.requests == []
