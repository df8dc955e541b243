"""What a prompt asks of the person's manner, and of what is behind the person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from pipeline.reference.channels import STYLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

USUAL = {"smile": 0.0, "nod": 0.0, "energy": 0.4, "articulation": 0.6, "brow": 0.0, "blink": 0.2}
"""Where nothing is asked for: spoken clearly, awake; standard deviations from the mean of the training clips."""

_LIMIT = 2.2
_WORDS: dict[str, dict[str, float]] = {
    r"smil\w*|happy|happily|cheerful\w*|friendly|joy\w*|微笑|笑容|开心|亲切": {"smile": 1.6},
    r"warm(ly)?|welcoming|热情": {"smile": 0.8, "energy": 0.3},
    r"nod\w*|点头": {"nod": 1.8},
    r"lively|energetic\w*|enthusias\w*|animated|expressive\w*|excited\w*|dynamic|活泼|生动|激动": {
        "energy": 1.4,
        "articulation": 0.5,
        "brow": 0.5,
    },
    r"calm\w*|composed|relaxed|gentl[ey]|quiet\w*|still|steady|平静|沉稳|温柔": {"energy": -1.4, "nod": -0.8},
    r"serious\w*|stern\w*|solemn\w*|grave|sad|sadly|严肃|悲伤": {"smile": -1.4, "energy": -0.4},
    r"professional\w*|formal\w*|专业|正式": {"energy": -0.3},
    r"surpris\w*|astonish\w*|rais\w+ (her |his |the )?(eye)?brows?|惊讶": {"brow": 1.8},
    r"clear(ly)?|articulate\w*|distinct\w*|清晰": {"articulation": 0.5},
    r"mumbl\w*|whisper\w*|低声": {"articulation": -1.2},
}
_NEGATION = re.compile(
    r"\b(no|not|never|without|doesn't|does not|isn't)\W+(\w+\W+)?$|[不没无]有?$", re.IGNORECASE
)
_DEGREES = (
    (
        re.compile(
            r"\b(slight\w*|subtl\w*|a little|faint\w*|soft\w*)\W+(\w+\W+)?$|略微?$|稍微?$", re.IGNORECASE
        ),
        0.5,
    ),
    (
        re.compile(
            r"\b(very|broad\w*|wide\w*|big|strong\w*|frequent\w*|highly)\W+(\w+\W+)?$|非常$|很$",
            re.IGNORECASE,
        ),
        1.4,
    ),
)
_PATTERNS = [
    (re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])", re.IGNORECASE), change)
    for pattern, change in _WORDS.items()
]

_SCENES: dict[str, str] = {
    "bank": r"bank\w*|teller|counter|柜台|银行",
    "shop": r"shop\w*|store|boutique|supermarket|e-commerce|livestream\w*|商店|店铺|直播",
    "newsroom": r"news\w*|anchor|broadcast\w*|新闻|演播",
    "library": r"library|bookshel\w*|books|图书馆|书架",
    "home": r"living room|home|sofa|客厅|家里",
    "office": r"office|desk|meeting room|workplace|办公室|办公桌",
    "city": r"city|skyline|street|城市|街",
    "outdoors": r"outdoors?|park|garden|forest|meadow|户外|公园|花园",
    "studio": r"studio|backdrop|摄影棚",
    "plain": r"(plain|grey|gray|white|neutral|clean) background|纯色背景",
}
_PART_END = re.compile(r"[,.;，。；、\n]")
_LONGEST_PART = 60
_MOST_PARTS = 3
_BRAND = re.compile(r"brand\w*|logo|trade ?mark|品牌|标志|商标", re.IGNORECASE)


def read_style(prompt: str) -> NDArray[np.float64]:
    """Return the manner a prompt asks for, one number a style, in standard deviations from usual.

    A word after "no", "not", "without" turns round; "slightly" and the like halve it, "very" and the like raise it.
    Words that mean nothing here change nothing.
    """
    wanted = dict(USUAL)
    for pattern, change in _PATTERNS:
        match = pattern.search(prompt)
        if match is None:
            continue
        ahead = prompt[: match.start()]
        factor = -1.0 if _NEGATION.search(ahead) else 1.0
        for degree, weight in _DEGREES:
            if degree.search(ahead):
                factor *= weight
        for name, amount in change.items():
            wanted[name] += factor * amount
    return np.clip([wanted[name] for name in STYLES], -_LIMIT, _LIMIT)


def read_scene(prompt: str) -> str | None:
    """Return the scene a prompt names first, or ``None`` where it names none that can be drawn."""
    found = {}
    for name, pattern in _SCENES.items():
        match = re.search(rf"(?<![a-z])(?:{pattern})(?![a-z])", prompt, re.IGNORECASE)
        if match:
            found[name] = match.start()
    return min(found, key=found.__getitem__) if found else None


def wants_brand(prompt: str) -> bool:
    """Tell whether a prompt asks for a brand mark to be seen."""
    match = _BRAND.search(prompt)
    return match is not None and not _NEGATION.search(prompt[: match.start()])


def describe_unfollowed(prompt: str, brand_mark: str | None) -> list[str]:
    """Say what of a prompt makes no difference to the video, and that a brand mark is left out, for people.

    >>> describe_unfollowed("a woman in an office, smiling, riding a horse", None)
    ["not followed in the prompt: 'riding a horse'"]
    """
    notes = []
    if brand_mark is not None and not wants_brand(prompt):
        notes.append(
            f"the brand mark {brand_mark} is not shown: the prompt does not ask for it; add to it, for instance, "
            "'with the brand mark on the wall'"
        )
    parts = [part.strip() for part in _PART_END.split(prompt) if part.strip()]
    unfollowed = [part for part in parts if not _is_followed(part)]
    if unfollowed and len(unfollowed) == len(parts):
        notes.append(
            f"nothing in the prompt can be followed: it knows manners (smiling, nodding, lively, calm, serious), "
            f"a brand mark, and scenes ({', '.join(_SCENES)})"
        )
    elif unfollowed:
        named = ", ".join(repr(part[:_LONGEST_PART]) for part in unfollowed[:_MOST_PARTS])
        more = f" and {len(unfollowed) - _MOST_PARTS} more" if len(unfollowed) > _MOST_PARTS else ""
        notes.append(f"not followed in the prompt: {named}{more}")
    return notes


def _is_followed(part: str) -> bool:
    understood = any(pattern.search(part) for pattern, _ in _PATTERNS)
    return understood or read_scene(part) is not None or _BRAND.search(part) is not None
