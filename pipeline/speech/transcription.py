"""Recognition by an OpenAI-compatible ``/v1/audio/transcriptions`` endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.endpoint import Endpoint, EndpointSettings
from pipeline.languages import primary_language
from pipeline.reach import find_no_way
from pipeline.recogniser import Recogniser, Transcript, refuse_language
from pipeline.sound import measure_sound

_ISO_639_1 = {"cmn": "zh", "nb": "no"}  # the service's codes, where espeak-ng has others


class TranscriptionSettings(EndpointSettings):
    """Which service, and for what.

    Attributes
    ----------
    languages : list of str
        Codes it understands; empty for all.
    """

    languages: tuple[str, ...] = Field(default=(), description="a list of language codes")


class TranscriptionEndpoint(Recogniser):
    """Sends the file as it is to a service."""

    name = "openai"
    extra = "conversation"
    Settings = TranscriptionSettings

    def __init__(self, /, **settings: Any) -> None:
        self._settings = self.Settings.read(settings, "setting")
        self._endpoint = Endpoint(self._settings)
        self.version = self._settings.model

    def serves(self, language: str) -> bool:
        """Return whether the language is one of those in the settings, if there are any."""
        known = {primary_language(code) for code in self._settings.languages}
        return not known or primary_language(language) in known

    def find_obstacle(self) -> str:
        """Return why the service cannot be reached."""
        return find_no_way(self._settings.base_url)

    def load(self) -> None:
        """Do nothing: the model is loaded where it runs."""

    def close(self) -> None:
        """Do nothing: no connection is kept."""

    def recognise(self, sound: Path, language: str) -> Transcript:
        """Send the file once; see `Recogniser.recognise`."""
        refuse_language(self, language)
        duration_s = measure_sound(sound).duration_s
        code = primary_language(language)
        with Path(sound).open("rb") as file:
            reply = self._endpoint.call_for_json(
                lambda client: client.audio.transcriptions.with_streaming_response.create(
                    model=self._settings.model,
                    file=file,
                    language=_ISO_639_1.get(code, code),
                    response_format="json",
                )
            )
        if not (isinstance(reply, dict) and isinstance(reply.get("text"), str)):
            raise self._endpoint.bad_answer("JSON that is not a transcription")
        return Transcript(reply["text"].strip(), duration_s, language, self.name, self.version)
