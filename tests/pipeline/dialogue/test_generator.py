"""The conversation in front of a generator that stands in for any: what reaches it, and what is told."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.dialogue.generator import Conversation
from pipeline.errors import GenerationError, RequestError
from pipeline.events import ANSWERED, HEARD, SPOKEN
from pipeline.sound import write_wav
from pipeline.speech.espeak import Espeak
from pipeline.testing import GeneratorContract

MAKES = """
import av, json, sys
out, audio, prompt = sys.argv[1:4]
json.dump({"prompt": prompt}, open("seen.json", "w"))
import shutil; shutil.copyfile(audio, "heard.wav")
with av.open(audio) as source, av.open(out, "w") as container:
    picture = container.add_stream("mpeg4", rate=25)
    picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
    track = container.add_stream("aac", rate=22050, layout="mono")
    frames = list(source.decode(audio=0))
    duration_s = sum(frame.samples for frame in frames) / frames[0].sample_rate
    for index in range(round(duration_s * 25)):
        container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
    container.mux(picture.encode(None))
    for frame in frames:
        frame.pts = None
        container.mux(track.encode(frame))
    container.mux(track.encode(None))
"""
KEY = "sk-Zx81very-secret-key-0923"

Make = Callable[..., Conversation]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, documents: Path) -> Make:
    """Give a maker of conversations in front of a program that copies the sound into a video."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_KEY", KEY)
    program = tmp_path / "makes.py"
    program.write_text(MAKES)
    argv = [sys.executable, str(program), "{out}", "{audio}", "{prompt}"]

    def conversation(**settings: Any) -> Conversation:
        return Conversation(
            **{
                "generator": "command",
                "generator_settings": {"argv": argv},
                "documents": str(documents),
                **settings,
            }
        )

    return conversation


def events_of(result: Any) -> dict[str, dict[str, Any]]:
    return {event.name: event.detail for event in result.events}


class TestContract(GeneratorContract):
    """A conversation is a generator like any other."""

    @pytest.fixture
    def generator(self, make: Make) -> Conversation:
        """Give one that answers from documents."""
        return make()

    @pytest.fixture
    def parameters(self) -> dict[str, Any]:
        """Give a question."""
        return {"question": "When are you open on Saturday?", "prompt": "A woman"}


@pytest.fixture
def ask(make: Make, tmp_path: Path) -> Callable[..., Any]:
    """Give a function that makes a video of a request and returns the result."""

    def call(settings: dict[str, Any] | None = None, **parameters: Any) -> Any:
        generator = make(**(settings or {}))
        with generator:
            return generator.generate(generator.request(prompt="A woman", **parameters), tmp_path / "out.mp4")

    return call


def test_a_question_becomes_a_video_of_the_answer(ask: Callable[..., Any]) -> None:
    result = ask(question="How do I open a savings account?")
    names = [event.name for event in result.events]
    assert names == [ANSWERED, SPOKEN, "speech", "first_frame", "saved"]
    times_s = [event.time_s for event in result.events]
    assert times_s == sorted(times_s)
    answered, spoken = (events_of(result)[name] for name in (ANSWERED, SPOKEN))
    text = "Congratulations on the decision! Bring your passport to any branch."
    assert (answered["text"], answered["knows"], answered["emotion"]) == (text, True, "happy")
    assert answered["sources"] == ["faq.md:7"]
    assert [attempt["outcome"] for attempt in answered["backends"]] == ["used"]
    assert spoken["duration_s"] == pytest.approx(Espeak().speak(text, "en").duration_s)
    assert result.duration_s == pytest.approx(spoken["duration_s"], abs=0.1)
    assert result.versions == {"command": "unknown", "documents": "1", "espeak-ng": "1.52.0"}
    assert result.request.question == "How do I open a savings account?"


def test_the_emotion_of_the_answer_reaches_the_picture(ask: Callable[..., Any]) -> None:
    result = ask(question="How do I open a savings account?")
    told = "A woman. The person who speaks is smiling warmly."
    assert json.loads(Path("seen.json").read_text())["prompt"] == told
    assert result.spoken is not None
    assert result.spoken.prompt == told


def test_emotions_can_be_left_out(ask: Callable[..., Any]) -> None:
    assert (
        events_of(ask({"emotion": False}, question="How do I open a savings account?"))[ANSWERED]["emotion"]
        is None
    )
    assert json.loads(Path("seen.json").read_text())["prompt"] == "A woman"


def test_what_is_not_in_the_documents_is_not_known(ask: Callable[..., Any]) -> None:
    answered = events_of(ask(question="How tall is the Eiffel tower?"))[ANSWERED]
    assert (answered["knows"], answered["text"], answered["sources"]) == (
        False,
        "I am sorry, I do not know that.",
        [],
    )


def test_a_spoken_question_is_heard_first(ask: Callable[..., Any], tmp_path: Path) -> None:
    speech = Espeak().speak("When are you open on Saturday?", "en-us")
    write_wav(tmp_path / "question.wav", speech.samples, speech.rate_hz)
    result = ask(question_audio=str(tmp_path / "question.wav"))
    assert [event.name for event in result.events][:3] == [HEARD, ANSWERED, SPOKEN]
    assert "saturday" in events_of(result)[HEARD]["text"]
    assert events_of(result)[HEARD]["duration_s"] == pytest.approx(speech.duration_s, abs=0.001)
    assert events_of(result)[ANSWERED]["sources"] == ["faq.md:4"]


def test_a_text_is_filtered_and_spoken_by_the_same_voices(ask: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("damn = very")
    words = {"path": str(tmp_path / "words.txt"), "action": "replace"}
    result = ask({"words": words}, text="a damn good bank")
    spoken = events_of(result)[SPOKEN]
    assert (spoken["text"], spoken["n_filtered"]) == ("a very good bank", 1)
    assert ANSWERED not in events_of(result)
    assert "damn" not in json.dumps(spoken)


def test_a_sound_goes_on_as_it_is(ask: Callable[..., Any], spoken: Path) -> None:
    result = ask(audio=str(spoken))
    assert [event.name for event in result.events] == ["speech", "first_frame", "saved"]
    assert Path("heard.wav").read_bytes() == spoken.read_bytes()


def cloud(url: str, **more: Any) -> dict[str, Any]:
    settings = {"base_url": url, "model": "m", "key_variable": "A_KEY"}
    return {"name": "openai", "settings": settings, "backoff_s": 0.0, **more}


@pytest.mark.parametrize(
    ("status", "body", "headers", "more", "outcome", "n_tries"),
    [
        (401, {"error": {"message": f"wrong: {KEY}"}}, {}, {}, "wrong_key", 1),
        (429, {}, {"retry-after": "0"}, {}, "rate_limited", 2),
        (429, {}, {"retry-after": "600"}, {}, "rate_limited", 1),
        (500, {"error": KEY}, {}, {}, "server_error", 2),
        (200, '{"choices": [{"message"', {}, {}, "bad_answer", 2),
        (200, {"choices": [{"message": {"content": ""}}]}, {}, {}, "bad_answer", 2),
        (200, None, {}, {"time_limit_s": 3.0}, "timed_out", 1),
        (0, None, {}, {}, "unreachable", 2),
    ],
    ids=["wrong key", "429", "429 for long", "500", "truncated JSON", "empty", "slow", "down"],
)
def test_where_the_cloud_fails_the_documents_answer(
    ask: Callable[..., Any],
    service: Any,
    reply: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    status: int,
    body: Any,
    headers: dict[str, str],
    more: dict[str, Any],
    outcome: str,
    n_tries: int,
) -> None:
    import openai  # noqa: F401  # a second of loading, which would count against the shortest limit

    caplog.set_level(logging.DEBUG)
    service.replies = [
        reply({} if body is None else body, status, headers, before_s=30 if body is None else 0)
    ]
    url = service.url if status else "http://127.0.0.1:9/v1"  # discard: nobody listens
    result = ask(
        {"answerers": [cloud(url, **more), {"name": "documents"}]}, question="When are you open on Saturday?"
    )
    answered = events_of(result)[ANSWERED]
    assert "from ten to one on Saturday" in answered["text"]
    told = [(one["backend"], one["outcome"], one["n_tries"]) for one in answered["backends"]]
    assert told == [("openai m", outcome, n_tries), ("documents", "used", 1)]
    assert answered["backends"][0]["reason"]
    assert len(service.requests) == (n_tries if status else 0)
    printed = capfd.readouterr()
    everything = [json.dumps(result.to_dict()), caplog.text, printed.out, printed.err, repr(result)]
    assert not any(KEY in text or KEY[:12] in text for text in everything)


def test_a_cloud_that_answers_is_asked_alone(
    ask: Callable[..., Any], service: Any, reply: Any, completion: Any
) -> None:
    service.replies = [reply(completion("[excited] We are open until one!"))]
    result = ask(
        {"answerers": [cloud(service.url), {"name": "documents"}]}, question="When are you open on Saturday?"
    )
    answered = events_of(result)[ANSWERED]
    assert (answered["text"], answered["emotion"]) == ("We are open until one!", "excited")
    assert [one["backend"] for one in answered["backends"]] == ["openai m"]
    assert result.versions["openai"] == "m"
    assert "from ten to one on Saturday" in service.sent()["messages"][0]["content"]
    assert KEY in service.requests[0][1]["authorization"]


def test_where_the_documents_do_not_know_the_next_is_asked(
    ask: Callable[..., Any], service: Any, reply: Any, completion: Any
) -> None:
    service.replies = [reply(completion("324 metres."))]
    chain = {"answerers": [{"name": "documents"}, cloud(service.url)]}
    answered = events_of(ask(chain, question="How tall is the Eiffel tower?"))[ANSWERED]
    assert answered["text"] == "324 metres."
    assert [one["outcome"] for one in answered["backends"]] == ["unsatisfactory", "used"]


def test_voice_and_language_are_the_endpoint_s_affair(
    ask: Callable[..., Any], service: Any, reply: Any, spoken: Path
) -> None:
    service.replies = [reply(spoken.read_bytes(), headers={"content-type": "audio/wav"})]
    down = cloud(service.url)
    voices = [{**down, "settings": {**down["settings"], "voice": "alloy"}}]
    result = ask({"voices": voices}, text="Habari gani?", language="xx", voice="nova")
    assert service.sent()["voice"] == "nova"
    assert events_of(result)[SPOKEN]["engine"] == "openai"
    assert (result.request.language, result.request.voice) == ("xx", "nova")


def test_all_three_stages_fall_back(
    ask: Callable[..., Any], service: Any, reply: Any, tmp_path: Path
) -> None:
    service.replies = [reply({}, 500)]
    speech = Espeak().speak("When are you open on Saturday?", "en-us")
    write_wav(tmp_path / "question.wav", speech.samples, speech.rate_hz)
    down = cloud(service.url, retries=0)
    voice = {**down, "settings": {**down["settings"], "voice": "alloy"}}
    result = ask(
        {
            "recognisers": [down, {"name": "pocketsphinx"}],
            "answerers": [down, {"name": "documents"}],
            "voices": [voice, {"name": "espeak-ng"}],
        },
        question_audio=str(tmp_path / "question.wav"),
    )
    assert [path for path, _, _ in service.requests] == [
        "/v1/audio/transcriptions",
        "/v1/chat/completions",
        "/v1/audio/speech",
    ]
    for name in (HEARD, ANSWERED, SPOKEN):
        assert [one["outcome"] for one in events_of(result)[name]["backends"]] == ["server_error", "used"]


def test_when_nobody_answers_there_is_no_video_and_every_reason(
    ask: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(GenerationError, match=r"openai m: .*cannot be reached.*\(unreachable\)") as caught:
        ask({"answerers": [cloud("http://127.0.0.1:9/v1", retries=0)]}, question="When?")
    assert caught.value.kind == "no_backend"
    assert not (tmp_path / "out.mp4").exists()


def test_an_answer_that_must_not_be_spoken_is_not(ask: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("passport")
    words = {"path": str(tmp_path / "words.txt"), "action": "refuse"}
    with pytest.raises(GenerationError, match="1 place in the answer") as caught:
        ask({"words": words}, question="How do I open a savings account?")
    assert caught.value.kind == "filtered"
    assert "passport" not in str(caught.value)
    result = ask(
        {"words": {**words, "instead": "Ask me another."}}, question="How do I open a savings account?"
    )
    assert events_of(result)[SPOKEN]["text"] == "Ask me another."
    assert "passport" not in json.dumps(result.to_dict()["events"])


def test_where_no_word_was_heard_there_is_no_question(
    ask: Callable[..., Any], service: Any, reply: Any, spoken: Path
) -> None:
    service.replies = [reply({"text": " … "})]
    with pytest.raises(GenerationError, match="no word was understood") as caught:
        ask({"recognisers": [cloud(service.url)]}, question_audio=str(spoken))
    assert caught.value.kind == "nothing_heard"


def test_a_dry_run_says_who_would_be_asked_and_asks_nobody(make: Make, service: Any, tmp_path: Path) -> None:
    generator = make(answerers=[cloud(service.url), {"name": "documents"}])
    plan = generator.dry_run(generator.request(question="When?", prompt="x"), tmp_path / "out.mp4").text()
    assert "answer 'When?' with openai m, else documents" in plan
    assert "makes.py" in plan
    assert service.requests == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"question_audio": "gone.wav"}, r"gone\.wav.*no such file"),
        ({"question_audio": "makes.py"}, "cannot be read as sound"),
        ({"question": "Hvað?", "language": "is"}, "\"I do not know\" is not known here in the language 'is'"),
        ({"question": "What?", "language": "xx"}, "language 'xx'"),
        ({"question": "What?", "voice": "nobody"}, "no voice 'nobody'"),
        ({"question": "What?", "sample_steps": 3}, "sample_steps is 3, but the command"),
    ],
)
def test_what_cannot_be_done_is_refused_first(
    make: Make, tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    generator = make()
    for attempt in (generator.check, lambda request: generator.generate(request, tmp_path / "out.mp4")):
        with pytest.raises(RequestError, match=message):
            attempt(generator.request(**parameters))


def test_a_spoken_question_in_a_language_nobody_understands_is_refused(make: Make, spoken: Path) -> None:
    generator = make()
    with pytest.raises(RequestError, match="'pocketsphinx' does not understand the language 'de'"):
        generator.check(generator.request(question_audio=str(spoken), language="de"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generator": "conversation"}, "name the generator that makes the video"),
        ({"generator": "refrence"}, "no generator is named 'refrence'; did you mean 'reference'"),
        ({"documents": "gone"}, "'gone': there is no such folder"),
        ({"answerers": []}, "answerers is .*at least one backend"),
        ({"answerers": [{"name": "documents", "retries": 99}]}, "retries is 99"),
        ({"words": {"path": "gone.txt"}}, r"gone\.txt"),
        ({"answerer": []}, "did you mean 'answerers'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Make, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"answerers": [{"name": "openai", "api_key": KEY}]},
        {
            "answerers": [
                {"name": "openai", "settings": {"base_url": "http://h/v1", "model": "m", "api_key": KEY}}
            ]
        },
        {
            "answerers": [
                {"name": "openai", "settings": {"base_url": "http://h/v1", "model": "m", "key_variable": KEY}}
            ]
        },
        {"api_key": KEY},
    ],
)
def test_a_key_in_the_settings_is_refused_unseen(make: Make, settings: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        make(**settings)
    assert KEY not in str(caught.value)


def test_the_version_changes_with_the_documents_and_the_words(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    versions = []
    for text in ("We open at nine.", "We open at ten."):
        (folder / "a.txt").write_text(text)
        versions.append(make(documents=str(folder)).version)
    (tmp_path / "words.txt").write_text("nine")
    versions.append(make(documents=str(folder), words={"path": str(tmp_path / "words.txt")}).version)
    assert len(set(versions)) == 3
    assert versions[0].startswith("1, command unknown, backends ")
    assert ", documents " in versions[0]


def test_the_version_changes_with_who_hears_and_answers(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.dialogue.extract import Extract

    before = make().version
    assert make().version == before
    monkeypatch.setattr(Extract, "version", "another")
    assert make().version != before


def test_a_generator_alone_answers_nothing() -> None:
    from pipeline.reference.generator import ReferenceGenerator

    with pytest.raises(
        RequestError, match="'reference' answers no questions: put the generator 'conversation'"
    ):
        ReferenceGenerator().request(question="When?")


# --- the device of a slot reaches the generator behind


def test_the_device_goes_to_the_generator_behind() -> None:
    settings = {"generator": "reference", "generator_settings": {"device": "cuda:1"}}
    described = Conversation(**settings).describe()
    assert (described.takes_device, described.default_device) == (True, "cuda:1")
    placed = Conversation(**settings, device="cuda:0").describe()
    assert placed.default_device == "cuda:0"
    chooses = Conversation(generator="reference").describe()
    assert (chooses.takes_device, chooses.default_device) == (True, None)


def test_a_device_that_the_generator_behind_does_not_take_is_refused(make: Make) -> None:
    assert not make().describe().takes_device
    with pytest.raises(RequestError, match="no setting 'device'"):
        make(device="cpu")


def test_the_face_of_a_portrait_is_found_once_for_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, documents: Path
) -> None:
    from pipeline.reference import portrait

    found = []
    find_face = portrait.find_face
    monkeypatch.setattr(
        portrait, "find_face", lambda picture, name: found.append(name) or find_face(picture, name)
    )
    with Conversation(generator="reference", documents=str(documents)) as generator:
        request = generator.request(
            question="When are you open on Saturday?",
            size="64*64",
            num_clip=1,
            infer_frames=4,
            sample_steps=1,
        )
        generator.check(request)
        generator.generate(request, tmp_path / "out.mp4")
        generator.generate(request, tmp_path / "again.mp4")
    assert found == ["astronaut"]
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()
