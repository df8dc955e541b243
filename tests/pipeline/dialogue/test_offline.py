"""The whole of it with nothing but what is installed: a spoken question in, a video of a person who answers out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipeline.dialogue.generator import Conversation
from pipeline.reference.style import read_style
from pipeline.result import GenerationResult
from pipeline.sound import read_sound, write_wav
from pipeline.speech.espeak import Espeak

ASKED = "How do I open a savings account?"
ANSWER = "Congratulations on the decision! Bring your passport to any branch."


def test_a_spoken_question_is_answered_by_a_person_in_a_video(documents: Path, tmp_path: Path) -> None:
    question = Espeak().speak(ASKED, "en-us", "f3")
    write_wav(tmp_path / "question.wav", question.samples, question.rate_hz)
    generator = Conversation(generator="reference", documents=str(documents))
    request = generator.request(
        question_audio=tmp_path / "question.wav", language="en-us", size="128*128", prompt="A woman in a bank"
    )
    with generator:
        result = generator.generate(request, tmp_path / "answer.mp4")

    stages = ["heard", "answered", "spoken", "loaded", "speech", "clip", "first_frame", "saved"]
    times_s = [result.time_of(stage) for stage in stages]
    assert None not in times_s
    assert times_s == sorted(times_s)  # type: ignore[type-var]
    details = {event.name: event.detail for event in result.events}
    assert details["heard"]["text"] == "how do i open a savings account"
    assert (details["answered"]["text"], details["answered"]["sources"]) == (ANSWER, ["faq.md:7"])
    assert [one["backend"] for one in details["heard"]["backends"]] == ["pocketsphinx"]
    assert result.spoken is not None
    assert read_style(result.spoken.prompt)[0] > read_style("A woman in a bank")[0]  # the smile

    # What is heard in the video is the answer: the same loudness over time as espeak-ng speaking it.
    answer = Espeak().speak(ANSWER, "en-us")
    write_wav(tmp_path / "answer.wav", answer.samples, answer.rate_hz)
    ours, theirs = (
        np.add.reduceat(np.abs(read_sound(tmp_path / name, 16000)[:48000]), np.arange(0, 48000, 800))
        for name in ("answer.mp4", "answer.wav")
    )
    assert np.corrcoef(ours, theirs)[0, 1] > 0.95
    assert abs(result.duration_s - answer.duration_s) < 0.1
    assert {"pocketsphinx", "documents", "espeak-ng", "reference"} <= result.versions.keys()
    assert GenerationResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
