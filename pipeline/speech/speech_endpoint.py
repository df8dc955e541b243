"""Speech by an OpenAI-compatible ``/v1/audio/speech`` endpoint."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, JsonValue

from pipeline.endpoint import Endpoint, EndpointSettings
from pipeline.errors import RequestError
from pipeline.languages import primary_language
from pipeline.reach import find_no_way
from pipeline.sound import read_sound
from pipeline.speech.base import Speech

_MAX_RATE_HZ = 48000


class SpeechEndpointSettings(EndpointSettings):
    """Which voice of which model.

    Attributes
    ----------
    voice : str
        Its voice where the request names none.
    languages : list of str
        Codes it speaks; empty for all.
    parameters : dict
        Sent with every call as they are (``speed``, ``instructions`` …).
    """

    voice: str = Field(min_length=1, description="the service's name of a voice")
    languages: tuple[str, ...] = Field(default=(), description="a list of language codes")
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="names to plain values")


class SpeechEndpoint:
    """Asks a service for a WAV file and takes whatever sound it sends: what is in the bytes counts, not their name."""

    name = "openai"
    extra = "conversation"
    Settings = SpeechEndpointSettings

    def __init__(self, /, **settings: Any) -> None:
        self._settings = self.Settings.read(settings, "setting")
        self._endpoint = Endpoint(self._settings)

    def languages(self) -> tuple[str, ...]:
        """Return the codes in the settings, sorted; none where the service does not report them."""
        return tuple(sorted(self._settings.languages))

    def check(self, text: str, language: str, voice: str | None = None) -> None:  # noqa: ARG002 - the protocol's
        """Refuse a language that is not in the settings, where there are some, and text without words."""
        known = {primary_language(code) for code in self._settings.languages}
        if known and primary_language(language) not in known:
            raise RequestError(
                f"the speech endpoint does not speak the language {language!r} (it speaks: {', '.join(self.languages())})"
            )
        if not any(character.isalnum() for character in text):
            raise RequestError(f"text {text[:40]!r}: there are no words in it")

    def find_obstacle(self) -> str:
        """Return why the service cannot be reached."""
        return find_no_way(self._settings.base_url)

    def speak(self, text: str, language: str, voice: str | None = None) -> Speech:
        """Ask once; no phoneme times come back. See `SpeechEngine.speak`."""
        self.check(text, language, voice)
        chosen = voice or self._settings.voice
        sound = self._endpoint.call(
            lambda client: client.audio.speech.with_streaming_response.create(
                model=self._settings.model,
                voice=chosen,
                input=text,
                response_format="wav",
                extra_body=self._settings.parameters or None,
            )
        )
        rate_hz = _rate_of(sound)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech"
            path.write_bytes(sound)
            try:
                samples = read_sound(path, rate_hz or _MAX_RATE_HZ)
            except RequestError as error:
                reason = str(error).replace(str(path), "speech")
                raise self._endpoint.bad_answer(f"{len(sound)} bytes that are not speech: {reason}") from None
        pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
        return Speech(pcm, rate_hz or _MAX_RATE_HZ, (), language, chosen, self.name, self._settings.model)


def _rate_of(sound: bytes) -> int | None:
    """Return the sample rate that the bytes state, at most 48 kHz; ``None`` if they are not sound."""
    import av

    try:
        with av.open(io.BytesIO(sound)) as container:
            return min(int(container.streams.audio[0].rate), _MAX_RATE_HZ)
    except (av.error.FFmpegError, IndexError):
        return None
