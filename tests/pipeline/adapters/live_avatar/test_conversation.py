"""A conversation in front of Live Avatar: its findings, estimates and batches are those of Live Avatar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from evalkit.cli import main
from pipeline.dialogue.generator import Conversation
from pipeline.errors import GenerationError
from pipeline.result import Spoken
from pipeline.testing import GeneratorContract

from .conftest import left_of
from .test_batch import make_all, n_loads

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline.adapters.live_avatar.conftest import Driver

    Make = Callable[..., Conversation]


@pytest.fixture
def make(driver: Driver, tmp_path: Path) -> Make:
    """Give a function that puts a conversation before the stand-in of Live Avatar with batches."""
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "faq.md").write_text(
        "## When are you open?\nWe are open from nine to five.\n"
        "## Where is the bank?\nThe bank is in the High Street, beside the old town hall.\n"
        "## What is the password?\nThe password is swordfish.\n"
    )
    words = tmp_path / "words.txt"
    words.write_text("swordfish\n")

    def conversation(*faults: str, **settings: Any) -> Conversation:
        inner = driver(*faults, batch=True, fp8=False)._settings.to_dict()
        return Conversation(
            generator="live_avatar",
            generator_settings={**inner, **settings},
            documents=str(documents),
            words={"path": str(words), "action": "refuse"},
        )

    return conversation


class TestContract(GeneratorContract):
    """It keeps the contract of all generators."""

    @pytest.fixture
    def generator(self, make: Make) -> Conversation:
        """Give a conversation before a generator that makes batches."""
        return make()

    @pytest.fixture
    def parameters(self, portrait: Path) -> dict[str, Any]:
        """Give a question."""
        return {"image": str(portrait), "question": "When are you open?", "num_clip": 1}


def test_questions_are_answered_in_one_batch(make: Make, portrait: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    questions = ["When are you open?", "Where is the bank?", "When are you open?"]
    with make() as conversation:
        requests = [conversation.request(image=portrait, question=question) for question in questions]
        results: list[Any] = make_all(conversation, requests, folder)  # type: ignore[arg-type]
    assert n_loads(results) == 1
    assert all(result.spoken.phonemes for result in results)  # the voice tells when each sound is heard
    assert [result.spoken.model_copy(update={"phonemes": ()}) for result in results] == [
        Spoken(text=text, language="en", prompt="")
        for text in (
            "We are open from nine to five.",
            "The bank is in the High Street, beside the old town hall.",
            "We are open from nine to five.",
        )
    ]
    assert results[1].duration_s > results[0].duration_s
    for result in results:
        names = [event.name for event in result.events if event.name != "warning"]
        assert names[:4] == ["began", "answered", "spoken", "loaded"]
        assert names[-1] == "saved"
        assert [event.time_s for event in result.events] == sorted(event.time_s for event in result.events)
        assert result.time_of("loaded") >= result.time_of(
            "spoken"
        )  # the conversation counts, and comes first
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert left_of(tmp_path) == []


def test_an_answer_that_fails_is_told_in_its_turn_and_the_batch_goes_on(
    make: Make, portrait: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    questions = ["When are you open?", "What is the password?", "Where is the bank?"]
    with make() as conversation:
        requests = [conversation.request(image=portrait, question=question) for question in questions]
        results: list[Any] = make_all(conversation, requests, folder)  # type: ignore[arg-type]
    assert isinstance(results[1], GenerationError)
    assert results[1].kind == "filtered"
    assert n_loads([results[0], results[2]]) == 1
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_closing_forgets_what_was_prepared(make: Make, portrait: Path, tmp_path: Path) -> None:
    conversation = make()
    request = conversation.request(image=portrait, question="When are you open?")
    conversation.announce_upcoming([request, request], tmp_path)
    assert len(list(tmp_path.glob(".conversation-*.part/speech.wav"))) == 2
    conversation.close()
    assert not list(tmp_path.glob(".conversation-*"))


def test_its_estimates_are_those_of_the_generator_behind(make: Make, driver: Driver, portrait: Path) -> None:
    conversation, live = make(), driver(batch=True, fp8=False)
    asked = {"image": portrait, "size": "704*384", "sample_steps": 3}
    found = conversation.estimate(conversation.request(question="When?", **asked))
    assert found == live.estimate(live.request(text="At nine.", **asked))
    assert found.memory


def test_doctor_shows_what_would_stop_the_generator_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"repository": str(tmp_path / "gone")}
    reports = {}
    for name, changes in {
        "live_avatar": [f"repository={settings['repository']}"],
        "conversation": ["generator=live_avatar", f"generator_settings={json.dumps(settings)}"],
    }.items():
        words = [word for change in changes for word in ("--set", change)]
        result = CliRunner().invoke(main, ["doctor", "--generator", name, *words, "--json", f"{name}.json"])
        assert result.exit_code == 1, result.output
        reports[name] = json.loads(Path(f"{name}.json").read_text("utf-8"))
    stops = {
        name: [finding for finding in report["findings"] if finding["level"] == "stop"]
        for name, report in reports.items()
    }
    assert stops["conversation"] == stops["live_avatar"]
    assert {"repository", "checkpoint"} <= {finding["about"] for finding in stops["conversation"]}
    n_stops = len(stops["live_avatar"])
    assert f"{n_stops} things stop conversation here" in reports["conversation"]["answer"]


def test_it_makes_batches_where_the_generator_behind_does(make: Make) -> None:
    assert make().makes_batches
    assert not make(batch=False).makes_batches
