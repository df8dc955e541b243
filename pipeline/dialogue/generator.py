"""The conversation in front of any generator: a question becomes an answer, the answer speech, and that a video.

It is a generator itself, so that each one gets it without knowing of it: what reaches the generator behind is a request
with a sound file.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.dialogue.dialogue import Dialogue, Turn, placeholder_request
from pipeline.dialogue.settings import ConversationSettings
from pipeline.errors import GenerationError, RequestError, placed_at
from pipeline.events import BEGAN, Event, Timeline
from pipeline.extras import require_extra
from pipeline.generator import DelegatingGenerator, Description, build_generator
from pipeline.plugins import GENERATORS, load_plugin
from pipeline.request import GenerationRequest, build_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from pipeline.diagnosis import Diagnosis
    from pipeline.estimates import ResourceEstimate
    from pipeline.events import OnEvent
    from pipeline.generator import Plan
    from pipeline.result import GenerationResult

NAME = "conversation"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What came of a request that was announced; its sound is in `folder`."""

    request: GenerationRequest
    outcome: Turn | RequestError | GenerationError
    folder: Path

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Conversation(DelegatingGenerator):
    """Hears, answers, filters and speaks; then another generator makes the video.

    A request with a text is filtered and spoken by the same voices; one with a sound file goes on as it is. Where the
    generator behind makes announced requests together, their conversations are held when they are announced.

    Parameters
    ----------
    **settings
        See `ConversationSettings`. Documents and word list are read here.

    Raises
    ------
    RequestError
        If a setting cannot be used, or a file of them cannot be read.
    """

    name = NAME
    extra = "conversation"
    Settings = ConversationSettings

    def __init__(self, /, **settings: Any) -> None:
        require_extra(type(self), f"the generator {NAME!r}")
        given = ConversationSettings.read(settings, "setting")
        if given.generator == NAME:
            raise RequestError(
                "setting generator is 'conversation'; name the generator that makes the video, as in 'reference'"
            )
        device = {} if given.device is None else {"device": given.device}
        self._inner_settings = {**given.generator_settings, **device}
        with placed_at("generator"):
            factory = load_plugin(GENERATORS, given.generator)
        with placed_at("generator_settings"):
            super().__init__(build_generator(factory, given.generator, self._inner_settings))
        self._dialogue = Dialogue(given)
        self._prepared: list[_Prepared] = []
        self.name = NAME
        self.version = ", ".join(
            ["1", f"{self.inner.name} {self.inner.version}", *self._dialogue.content_versions]
        )

    def describe(self) -> Description:
        """Describe the generator behind, and what comes before it."""
        behind = self.inner.describe()
        return Description(
            name=self.name,
            version=self.version,
            summary=f"answers a question and has the answer spoken by: {behind.summary}",
            parameters={
                **behind.parameters,
                "text": "what is spoken",
                "question": "answered; the answer is spoken",
                "question_audio": "heard and answered; the answer is spoken",
                "language": "of text, question and answer",
                "voice": "for text and answer",
            },
            options=behind.options,
            settings=self._describe_settings(behind),
        )

    def _describe_settings(self, behind: Description) -> dict[str, JsonValue]:
        """Return the schema of its settings; a device is among them where the generator behind takes one."""
        schema = ConversationSettings.model_json_schema()
        if behind.takes_device:
            default = self._inner_settings.get("device", behind.default_device)
            schema["properties"]["device"]["default"] = default
        else:
            del schema["properties"]["device"]
        return schema

    def request(self, /, **parameters: Any) -> GenerationRequest:
        """Build a request, which may have a question."""
        given = build_request(parameters)
        said = {"text", "question", "question_audio", "language", "voice"}
        theirs = self.inner.request(**{name: value for name, value in parameters.items() if name not in said})
        return theirs.model_copy(update={name: getattr(given, name) for name in said})

    def estimate(self, request: GenerationRequest) -> ResourceEstimate:
        """Return what the generator behind knows of such a request; the conversation itself is not counted."""
        return self.inner.estimate(placeholder_request(request))

    def check(self, request: GenerationRequest) -> None:
        """Check the question, that a backend serves its language, and the rest with the generator behind."""
        self._dialogue.check(request)
        self.inner.check(placeholder_request(request))

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Name the backends in the order in which they would be asked, and what the generator behind would do."""
        self._dialogue.check(request)
        plan = self.inner.dry_run(placeholder_request(request), out_path)
        return plan.model_copy(update={"steps": (*self._dialogue.steps(request), *plan.steps)})

    def diagnose(self) -> list[Diagnosis]:
        """Look who can hear, answer and speak, and for what would stop the generator behind."""
        return [*self._dialogue.diagnose(), *self.inner.diagnose()]

    def load(self) -> None:
        """Load the generator behind and every backend, so that a fallback is ready when it is needed."""
        self.inner.load()
        self._dialogue.load()

    def close(self) -> None:
        """Close all of them."""
        self._forget([])
        self._dialogue.close()
        self.inner.close()

    def announce_upcoming(self, requests: Sequence[GenerationRequest], folder: Path) -> None:
        """Hold the conversations of these requests and announce what follows to the generator behind, if it makes batches.

        One that fails is left out; its error is raised when its turn comes.
        """
        if not self.makes_batches:
            return
        known = list(self._prepared)
        prepared = []
        for request in requests:
            same = next((item for item in known if item.request == request), None)
            if same is not None:
                known.remove(same)
            prepared.append(same or self._prepare(request, folder))
        self._forget(prepared)
        turns = [item.outcome for item in prepared if isinstance(item.outcome, Turn)]
        self.inner.announce_upcoming([turn.request for turn in turns], folder)

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Hear, answer, speak, and make the video; see `Generator.generate`.

        The events are those of the conversation and then those of the generator behind, whose clock goes on where the
        conversation ended, also where the conversation was held earlier.
        """
        timeline = Timeline(on_event)
        if not self.makes_batches:
            self.check(request)
            self.load()
            with tempfile.TemporaryDirectory() as folder:
                turn = self._converse(request, Path(folder), timeline)
                return self._finish(request, turn, out_path, timeline, _shift(timeline, timeline.now_s))
        prepared = self._take_prepared(request)
        try:
            if not isinstance(prepared.outcome, Turn):
                raise prepared.outcome
            self.load()
            replay = _Replay(prepared.outcome, timeline)
            return self._finish(request, prepared.outcome, out_path, timeline, replay)
        finally:
            prepared.remove()

    def _converse(self, request: GenerationRequest, folder: Path, timeline: Timeline) -> Turn:
        uses_prompt = "prompt" in self.inner.describe().parameters
        return self._dialogue.converse(request, folder, timeline, uses_prompt=uses_prompt)

    def _prepare(self, request: GenerationRequest, beside: Path) -> _Prepared:
        folder = Path(tempfile.mkdtemp(prefix=".conversation-", suffix=".part", dir=beside)).absolute()
        outcome: Turn | RequestError | GenerationError
        try:
            self.check(request)
            self._dialogue.load()
            outcome = self._converse(request, folder, Timeline())
        except (RequestError, GenerationError) as error:
            outcome = error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return _Prepared(request, outcome, folder)

    def _take_prepared(self, request: GenerationRequest) -> _Prepared:
        """Return what was prepared for a request, in its turn; else prepare it now."""
        if self._prepared and self._prepared[0].request == request:
            return self._prepared.pop(0)
        self._forget([])
        return self._prepare(request, Path(tempfile.gettempdir()))

    def _forget(self, kept: list[_Prepared]) -> None:
        """Keep these alone of what was prepared."""
        for item in self._prepared:
            if not any(item is other for other in kept):
                item.remove()
        self._prepared = kept

    def _finish(
        self, request: GenerationRequest, turn: Turn, out_path: Path, timeline: Timeline, relay: OnEvent
    ) -> GenerationResult:
        """Have the generator behind make the video of a turn."""
        try:
            result = self.inner.generate(turn.request, out_path, relay)
        except RequestError as error:
            if turn.spoken is None:
                raise
            raise GenerationError(
                f"the generator {self.inner.name!r} refuses what was to be spoken: {error}", error.kind
            ) from error
        versions = {**result.versions, self.inner.name: self.inner.version, **turn.versions}
        return result.model_copy(
            update={
                "generator": self.name,
                "version": self.version,
                "request": request,
                "spoken": turn.spoken or result.spoken,
                "events": timeline.events,
                "versions": versions,
            }
        )


def _shift(timeline: Timeline, by_s: float) -> OnEvent:
    """Return what adds events to a timeline, so much later."""
    return lambda event: timeline.add(event.model_copy(update={"time_s": event.time_s + by_s}))


class _Replay:
    """Puts the events of a conversation that is over before those of the video, as if one had followed the other."""

    def __init__(self, turn: Turn, timeline: Timeline) -> None:
        self._turn = turn
        self._timeline = timeline
        self._add = _shift(timeline, turn.duration_s)
        self._is_first = True

    def __call__(self, event: Event) -> None:
        if not self._is_first:
            self._add(event)
            return
        self._is_first = False
        start = event.detail.get("monotonic_s") if event.name == BEGAN else None
        start_s = start if isinstance(start, float) else time.monotonic() - event.time_s
        began = Event(name=BEGAN, time_s=0.0, detail={"monotonic_s": start_s - self._turn.duration_s})
        for earlier in (began, *self._turn.events):
            self._timeline.add(earlier)
        if event.name != BEGAN:
            self._add(event)
