"""Recognition by an endpoint: what is sent, and what is made of what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.endpoint import ServiceError
from pipeline.errors import RequestError
from pipeline.speech.transcription import TranscriptionEndpoint


@pytest.fixture
def make(service: Any) -> Any:
    """Give a maker of clients of the stand-in service."""
    return lambda **more: TranscriptionEndpoint(base_url=service.url, model="whisper-1", **more)


def test_the_file_is_sent_as_it_is_with_its_language(
    service: Any, reply: Any, make: Any, spoken: Path
) -> None:
    service.replies = [reply({"text": " Hello there. "})]
    heard = make().recognise(spoken, "cmn")
    assert (heard.text, heard.language, heard.recogniser, heard.version) == (
        "Hello there.",
        "cmn",
        "openai",
        "whisper-1",
    )
    assert heard.duration_s == pytest.approx(2.0)
    path, headers, body = service.requests[0]
    assert path == "/v1/audio/transcriptions"
    assert headers["content-type"].startswith("multipart/form-data")
    assert spoken.read_bytes() in body
    for name, value in (("model", "whisper-1"), ("language", "zh"), ("response_format", "json")):
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body


@pytest.mark.parametrize("body", [{}, {"text": None}, {"text": 3}])
def test_what_is_no_transcription_may_be_one_next_time(
    service: Any, reply: Any, make: Any, spoken: Path, body: dict[str, Any]
) -> None:
    service.replies = [reply(body)]
    with pytest.raises(ServiceError, match="not a transcription") as caught:
        make().recognise(spoken, "en")
    assert (caught.value.kind, caught.value.again) == ("bad_answer", True)


@pytest.mark.parametrize(
    ("languages", "language", "served"),
    [((), "xx", True), (("en", "cmn"), "en-GB", True), (("en-us",), "en", True), (("en",), "de", False)],
)
def test_it_serves_the_languages_it_is_told(
    make: Any, languages: tuple[str, ...], language: str, served: bool
) -> None:
    assert make(languages=languages).serves(language) is served


def test_another_language_is_refused_and_nothing_is_sent(service: Any, make: Any, spoken: Path) -> None:
    with pytest.raises(RequestError, match="does not understand the language 'de'"):
        make(languages=("en",)).recognise(spoken, "de")
    assert service.requests == []


def test_what_is_no_sound_is_refused_and_not_sent(service: Any, make: Any, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(RequestError, match="cannot be read as sound"):
        make().recognise(tmp_path / "a.wav", "en")
    assert service.requests == []
