"""The emotion of an answer, and what a person in that emotion looks like in the words of a prompt.

A language model may name its emotion by a tag (``[happy]``). Without one, a few words that leave little doubt decide; most
answers have none, and then the prompt stays as it is.
"""

from __future__ import annotations

import re

EMOTIONS = {
    "happy": "smiling warmly",
    "excited": "lively and smiling",
    "calm": "calm and relaxed",
    "serious": "serious",
    "sorry": "calm and serious",
    "sad": "sad",
    "surprised": "surprised, with raised eyebrows",
}
"""Emotion to style words that image models and the reference generator understand."""

_SAME = {
    "happy": "cheerful friendly glad joy joyful smile smiling pleased warm 开心 高兴 微笑 愉快",
    "excited": "enthusiastic energetic lively 激动 兴奋",
    "calm": "neutral relaxed gentle 平静",
    "serious": "stern concerned worried angry formal 严肃",
    "sorry": "apologetic regretful sympathetic empathetic 抱歉 歉意",
    "sad": "unhappy 悲伤 难过",
    "surprised": "astonished amazed 惊讶",
}
_EMOTION_OF = {word: emotion for emotion, words in _SAME.items() for word in (emotion, *words.split())}
_TAG = re.compile(
    r"[\[【(（<*]{1,2}(?:mood|emotion|情绪)?\s*[:：=]?\s*(" + "|".join(_EMOTION_OF) + r")[\]】)）>*]{1,2}\s*",
    re.IGNORECASE,
)
_STAGE_DIRECTION = re.compile(r"^\s*(?:\[[^\W\d]+(?: [^\W\d]+)?\]|【\w{1,6}】)\s*")

_SAYS = {
    "sorry": r"(?:I(?:'m| am)|we(?:'re| are)) (?:very |so |truly |really )?(?:sorry|afraid)|"
    r"(?:I|we) apologi[sz]e|my apologies|unfortunately|regrettably|抱歉|对不起|很遗憾",
    "happy": r"congratulations|(?:I(?:'m| am)|we(?:'re| are)) (?:very |so |truly |really )?"
    r"(?:glad|happy|pleased|delighted)|good news|great news|恭喜|祝贺|很高兴|好消息",
    "excited": r"fantastic|wonderful|amazing|太棒了|太好了",
    "serious": r"warning|never share|fraud\w*|scam\w*|danger\w*|urgent\w*|警告|诈骗|危险|切勿",
}
_PATTERNS = {
    emotion: re.compile(rf"(?<![a-z])(?:{says})(?![a-z])", re.IGNORECASE) for emotion, says in _SAYS.items()
}
_NEGATED = re.compile(
    r"(?:\b(?:no|not|never|nothing|isn't|don't|without)\s+(?:\w+\s+)?|[不没无非]\w?)$", re.IGNORECASE
)


def take_emotion(text: str) -> tuple[str, str | None]:
    """Take the emotion tags out of a text.

    Returns
    -------
    tuple
        The text without them, and the first emotion named; ``None`` where none is. One or two words in square brackets
        at the beginning are left out too, whatever they say: they are stage directions.

    Examples
    --------
    >>> take_emotion("[happy] Your card is ready.")
    ('Your card is ready.', 'happy')
    """
    named = _TAG.search(text)
    plain = _STAGE_DIRECTION.sub("", _TAG.sub("", text)).strip()
    return plain, _EMOTION_OF[named[1].lower()] if named else None


def read_emotion(text: str) -> str | None:
    """Return the emotion that a text gives away, ``None`` for most.

    "Not", "no" and the like before a word take it out of the count. Where two emotions are named equally often, the one
    named first counts.
    """
    counts: dict[str, tuple[int, int]] = {}
    for emotion, pattern in _PATTERNS.items():
        found = [
            match.start() for match in pattern.finditer(text) if not _NEGATED.search(text[: match.start()])
        ]
        if found:
            counts[emotion] = (-len(found), found[0])
    return min(counts, key=counts.__getitem__) if counts else None


def add_emotion(prompt: str, emotion: str | None) -> str:
    """Return a prompt with the style words of a emotion behind it; ``None`` changes nothing."""
    if emotion is None:
        return prompt
    said = prompt.rstrip(" .。,;")
    return f"{said + '. ' if said else ''}The person who speaks is {EMOTIONS[emotion]}."
