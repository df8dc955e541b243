"""Moods: named by a tag, given away by words, and seen in the picture."""

from __future__ import annotations

import pytest

from pipeline.dialogue.emotion import EMOTIONS, add_emotion, read_emotion, take_emotion
from pipeline.reference.channels import STYLES
from pipeline.reference.style import read_style


@pytest.mark.parametrize(
    ("text", "spoken", "emotion"),
    [
        ("[happy] Your card is ready.", "Your card is ready.", "happy"),
        ("[Happy]Your card is ready.", "Your card is ready.", "happy"),
        ("Hello. [mood: sad] It is lost.", "Hello. It is lost.", "sad"),
        ("[cheerful] Hi! [serious] Beware.", "Hi! Beware.", "happy"),
        ("(apologetic) It is lost.", "It is lost.", "sorry"),
        ("*smiling* Hi!", "Hi!", "happy"),
        ("<excited> Hi!", "Hi!", "excited"),
        ("【开心】您好！", "您好！", "happy"),
        ("[laughs] Hi!", "Hi!", None),  # not known, and not for speaking either
        ("[clears throat] Hi!", "Hi!", None),
        ("Press [1] for help.", "Press [1] for help.", None),
        ("I am happy.", "I am happy.", None),
    ],
)
def test_tags_are_taken_out(text: str, spoken: str, emotion: str | None) -> None:
    assert take_emotion(text) == (spoken, emotion)


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("We are open from nine to five.", None),
        ("I am sorry, the account is closed.", "sorry"),
        ("Unfortunately the account is closed.", "sorry"),
        ("Congratulations on your first house!", "happy"),
        ("I'm really glad that you ask.", "happy"),
        ("That is not good news.", None),
        ("There is no danger.", None),
        ("Never share your password.", "serious"),
        ("This is fraud. It is a scam. Good news follows.", "serious"),
        ("很抱歉，账户已关闭。", "sorry"),
        ("恭喜您！", "happy"),
        ("不危险。", None),
        ("", None),
    ],
)
def test_few_words_give_an_emotion_away(text: str, emotion: str | None) -> None:
    assert read_emotion(text) == emotion


def smile_and_energy(prompt: str) -> tuple[float, float]:
    style = dict(zip(STYLES, read_style(prompt), strict=True))
    return style["smile"], style["energy"]


PROMPT = "A woman of forty in a blue suit with no glasses, behind a desk"


def test_the_reference_generator_sees_each_emotion() -> None:
    smile, energy = smile_and_energy(PROMPT)
    seen = {emotion: smile_and_energy(add_emotion(PROMPT, emotion)) for emotion in EMOTIONS}
    assert seen["happy"][0] > smile
    assert seen["excited"][0] > smile
    assert seen["excited"][1] > energy
    assert seen["calm"][1] < energy
    for emotion in ("serious", "sorry", "sad"):
        assert seen[emotion][0] < smile
    assert seen["sorry"][1] < energy
    assert dict(zip(STYLES, read_style(add_emotion("", "surprised")), strict=True))["brow"] > 1


def test_no_emotion_changes_nothing() -> None:
    assert add_emotion(PROMPT, None) == PROMPT


def test_the_prompt_stands_in_front() -> None:
    assert add_emotion("A man.", "sad") == "A man. The person who speaks is sad."
    assert add_emotion("", "sad") == "The person who speaks is sad."
