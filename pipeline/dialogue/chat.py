"""Answers of a language model behind an OpenAI-compatible chat endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue

from pipeline.dialogue.prompt_text import read_answer, write_instructions
from pipeline.endpoint import Endpoint, EndpointSettings
from pipeline.reach import find_no_way

if TYPE_CHECKING:
    from pipeline.dialogue.base import Answer, Question


class ChatSettings(EndpointSettings):
    """Which model, and its instructions beside the question.

    Attributes
    ----------
    instructions : str
        Said after the product's own: who the speaker is, what to promise and what not.
    parameters : dict
        Sent with every call as they are (``temperature``, ``max_tokens``, ``enable_thinking`` …).
    """

    instructions: str = Field(default="", description="text")
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="names to plain values")


class Chat:
    """Asks a chat model; the passages found in the documents are in the prompt."""

    name = "openai"
    extra = "conversation"
    Settings = ChatSettings

    def __init__(self, /, **settings: Any) -> None:
        self._settings = self.Settings.read(settings, "setting")
        self._endpoint = Endpoint(self._settings)
        self.version = self._settings.model

    def check(self, language: str) -> None:
        """Take any language: what the model understands is known to the service alone."""

    def find_obstacle(self) -> str:
        """Return why the service cannot be reached."""
        return find_no_way(self._settings.base_url)

    def load(self) -> None:
        """Do nothing: the model is loaded where it runs."""

    def close(self) -> None:
        """Do nothing: no connection is kept."""

    def answer(self, question: Question) -> Answer:
        """Ask once; see `Answerer.answer`."""
        instructions = write_instructions(
            question.language,
            tuple(passage.text for passage in question.passages),
            self._settings.instructions,
        )
        reply = self._endpoint.call_for_json(
            lambda client: client.chat.completions.with_streaming_response.create(
                model=self._settings.model,
                messages=[
                    {"role": "system", "content": instructions},
                    {"role": "user", "content": question.text},
                ],
                extra_body=self._settings.parameters or None,
            )
        )
        try:
            choice = reply["choices"][0]
            written = choice["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise self._endpoint.bad_answer("JSON that is not a chat completion") from None
        if choice.get("finish_reason") == "content_filter":
            raise self._endpoint.bad_answer("nothing: its own filter stopped it")
        answer = (
            read_answer(written, cut=choice.get("finish_reason") == "length")
            if isinstance(written, str)
            else None
        )
        if answer is None:
            raise self._endpoint.bad_answer("no words to speak")
        return answer
