"""A chat endpoint: what it is sent, and what is made of what it writes."""

from __future__ import annotations

import pytest

from pipeline.dialogue.base import Passage, Question
from pipeline.dialogue.chat import Chat
from pipeline.endpoint import ServiceError
from pipeline.errors import RequestError

QUESTION = Question("When do you open?", "en", (Passage("Hours: We open at nine.", "faq.md:3", 0.9, "…"),))


@pytest.fixture
def chat(service) -> Chat:
    return Chat(
        base_url=service.url,
        model="m",
        instructions="You work for a bank.",
        parameters={"temperature": 0.1, "top_k": 3},
    )


def test_the_question_goes_out_with_the_passages_in_the_prompt(
    service, reply, completion, chat: Chat
) -> None:
    service.replies = [reply(completion("At nine."))]
    chat.answer(QUESTION)
    sent = service.sent()
    system, user = sent["messages"]
    assert (system["role"], user) == ("system", {"role": "user", "content": "When do you open?"})
    assert "<passage>Hours: We open at nine.</passage>" in system["content"]
    assert "code en" in system["content"]
    assert system["content"].endswith("You work for a bank.")
    assert (sent["model"], sent["temperature"], sent["top_k"]) == ("m", 0.1, 3)


def test_without_passages_none_is_spoken_of(service, reply, completion, chat: Chat) -> None:
    service.replies = [reply(completion("At nine."))]
    chat.answer(Question("When?", "en"))
    assert "passage" not in service.sent()["messages"][0]["content"]


def test_the_emotion_is_taken_out_of_the_answer(service, reply, completion, chat: Chat) -> None:
    service.replies = [reply(completion("[happy] **We** open at *nine*."))]
    answer = chat.answer(QUESTION)
    assert (answer.text, answer.emotion, answer.knows) == ("We open at nine.", "happy", True)


def test_an_answer_that_ran_into_its_limit_ends_with_its_last_whole_sentence(
    service, reply, completion, chat: Chat
) -> None:
    service.replies = [reply(completion("We open at nine. On Sat", "length"))]
    answer = chat.answer(QUESTION)
    assert (answer.text, answer.cut) == ("We open at nine.", True)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"object": "list"}, "not a chat completion"),
        ({"choices": []}, "not a chat completion"),
        ({"choices": [{"message": {"content": None}}]}, "no words to speak"),
        ({"choices": [{"message": {"content": " [happy] "}}]}, "no words to speak"),
        ({"choices": [{"message": {"content": "<think>what now"}}]}, "no words to speak"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}, "its own filter"),
        (
            {"choices": [{"message": {"content": "half a sen"}, "finish_reason": "length"}]},
            "no words to speak",
        ),
    ],
)
def test_what_cannot_be_spoken_is_no_answer_and_may_be_better_next_time(
    service, reply, chat: Chat, body: dict[str, object], what: str
) -> None:
    service.replies = [reply(body)]
    with pytest.raises(ServiceError, match=what) as caught:
        chat.answer(QUESTION)
    assert (caught.value.kind, caught.value.again) == ("bad_answer", True)


def test_a_key_among_the_settings_is_refused_unseen() -> None:
    with pytest.raises(RequestError, match="there is no setting 'api_key'") as caught:
        Chat(base_url="http://localhost/v1", model="m", api_key="sk-secret")
    assert "sk-secret" not in str(caught.value)
