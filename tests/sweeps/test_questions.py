"""Questions as the speech of a sweep: answered by a conversation before any generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalkit.measuring.gaps import intent_of
from evalkit.options import ConfigError
from evalkit.sweeps.config import build_sweep, name_of, read_sweep
from evalkit.sweeps.prepare import plan_sweep
from evalkit.sweeps.run import run_sweep
from evalkit.types import ClipIntent
from pipeline.phonemes import Phoneme


@pytest.fixture
def answering(stand_in: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Give plain data of a sweep whose generator answers questions from a document first."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "faq.md").write_text("## When do you open?\nWe open at nine.\n")
    behind = dict(stand_in["generator"]["settings"])
    behind["argv"] = [*behind["argv"], "{audio}"]
    settings = {
        "generator": "command",
        "generator_settings": behind,
        "documents": str(tmp_path / "docs"),
    }
    return {
        **stand_in,
        "generator": {"name": "conversation", "settings": settings},
        "grid": {"sample_steps": [2]},
        "inputs": {"speech": [{"question": "When do you open?"}, {"question": "Why?", "name": "why"}]},
    }


def test_each_question_is_a_trial_with_its_answer(answering: dict[str, Any], tmp_path: Path) -> None:
    run = run_sweep(plan_sweep(build_sweep(answering, "test")), tmp_path / "run")
    said = {}
    for trial in run.trials():
        assert trial.failure is None
        assert trial.generation is not None
        said[trial.speech.name] = intent_of(trial.generation).text  # type: ignore[union-attr]
    assert said == {"When do you open?": "We open at nine.", "why": "I am sorry, I do not know that."}


def test_other_documents_make_other_trials(answering: dict[str, Any], tmp_path: Path) -> None:
    before = {trial.id for trial in plan_sweep(build_sweep(answering, "test")).trials}
    (tmp_path / "docs" / "faq.md").write_text("## When do you open?\nWe open at ten.\n")
    after = {trial.id for trial in plan_sweep(build_sweep(answering, "test")).trials}
    assert not before & after


def test_a_generator_that_answers_nothing_says_who_does(stand_in: dict[str, Any]) -> None:
    config = build_sweep({**stand_in, "inputs": {"speech": [{"question": "When?"}]}}, "test")
    with pytest.raises(ConfigError, match="'command' answers no questions: put the generator 'conversation'"):
        plan_sweep(config)


def test_what_was_spoken_is_what_a_video_was_meant_to_say() -> None:
    request = {"question": "When?", "text": None, "prompt": "A man", "language": "en"}
    spoken = {"text": "At nine.", "language": "en", "prompt": "A man. Sad."}
    assert intent_of({"request": request, "spoken": spoken}) == ClipIntent("At nine.", "en", "A man. Sad.")
    assert intent_of({"request": request, "spoken": None}) == ClipIntent(prompt="A man")
    assert intent_of(None) == ClipIntent()


def test_pieces_are_as_long_as_the_generator_was_asked_for() -> None:
    assert intent_of({"request": {"infer_frames": 48, "fps": 25}}).piece_s == 1.92
    assert intent_of({"request": {"infer_frames": 48}}).piece_s is None


def test_when_the_sounds_are_heard_is_known_from_the_record() -> None:
    request, told = {"text": "Pop.", "language": "en"}, [["p", 0.0, 0.1], ["", 0.1, 0.2]]
    phonemes = (Phoneme("p", 0.0, 0.1), Phoneme("", 0.1, 0.2))
    spoken = {"text": "Pop.", "language": "en", "prompt": ""}
    assert intent_of({"request": request, "phonemes": told}).phonemes == phonemes
    assert intent_of({"request": {}, "spoken": {**spoken, "phonemes": told}}).phonemes == phonemes
    assert intent_of({"request": {}, "spoken": spoken, "phonemes": told}).phonemes == phonemes
    assert intent_of({"request": request}).phonemes == ()  # a record from before
    assert intent_of({"request": {"audio": "a.wav"}, "phonemes": []}) == ClipIntent()


def test_a_spoken_question_is_found_beside_its_file(tmp_path: Path) -> None:
    (tmp_path / "ask.wav").write_bytes(b"sound")
    (tmp_path / "sweep.yaml").write_text("inputs: {speech: [{question_audio: ask.wav, language: en-us}]}")
    (asked,) = read_sweep(tmp_path / "sweep.yaml").inputs.speech
    assert (asked.question_audio, name_of(asked)) == (str(tmp_path / "ask.wav"), "ask")
    (tmp_path / "ask.wav").unlink()
    with pytest.raises(ConfigError, match=r"inputs\.speech\.0: there is no file .*ask\.wav"):
        read_sweep(tmp_path / "sweep.yaml")


def test_a_spoken_question_is_known_by_its_content(answering: dict[str, Any], tmp_path: Path) -> None:
    ids = []
    for name, content in (("a.wav", b"one"), ("b.wav", b"one"), ("a.wav", b"two")):
        (tmp_path / name).write_bytes(content)
        inputs = {"speech": [{"question_audio": str(tmp_path / name)}]}
        (trial,) = plan_sweep(build_sweep({**answering, "inputs": inputs}, "test")).trials
        assert trial.request["question_audio"] == str(tmp_path / name)
        ids.append(trial.id)
    assert ids[0] == ids[1] != ids[2]
