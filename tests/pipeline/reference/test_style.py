"""What is read out of prompts."""

from __future__ import annotations

import pytest

from pipeline.reference.channels import STYLES
from pipeline.reference.style import USUAL, describe_unfollowed, read_scene, read_style, wants_brand


def style(prompt: str, name: str) -> float:
    return float(read_style(prompt)[STYLES.index(name)])


@pytest.mark.parametrize(
    ("prompt", "name", "sign"),
    [
        ("A smiling woman of forty in a grey suit", "smile", 1),
        ("she does not smile", "smile", -1),
        ("他微笑着介绍产品", "smile", 1),
        ("a man who nods while he speaks", "nod", 1),
        ("lively and expressive", "energy", 1),
        ("calm, gentle voice", "energy", -1),
        ("a serious announcement", "smile", -1),
        ("with raised eyebrows", "brow", 1),
        ("mumbling", "articulation", -1),
    ],
)
def test_words_of_manner_are_understood(prompt: str, name: str, sign: int) -> None:
    assert sign * (style(prompt, name) - USUAL[name]) > 0.2


def test_degrees_count() -> None:
    assert style("slightly smiling", "smile") < style("smiling", "smile") < style("broadly smiling", "smile")


@pytest.mark.parametrize("prompt", ["", "a woman of thirty in a blue dress, soft light", "instill simile"])
def test_other_words_change_nothing(prompt: str) -> None:
    assert read_style(prompt).tolist() == [USUAL[name] for name in STYLES]


@pytest.mark.parametrize(
    ("prompt", "scene"),
    [
        ("at her desk in a bright office", "office"),
        ("behind the counter of a bank", "bank"),
        ("在商店里", "shop"),
        ("a news anchor", "newsroom"),
        ("a man in a red jacket", None),
        ("the embankment", None),
    ],
)
def test_scenes_are_understood(prompt: str, scene: str | None) -> None:
    assert read_scene(prompt) == scene


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("subtle branding visible", True),
        ("the logo on the wall", True),
        ("背景有品牌标志", True),
        ("no logo, plain wall", False),
        ("a quiet room", False),
    ],
)
def test_brand_is_placed_only_where_it_is_asked_for(prompt: str, wanted: bool) -> None:
    assert wants_brand(prompt) is wanted


@pytest.mark.parametrize(
    ("prompt", "mark", "notes"),
    [
        ("", None, []),
        ("a woman in a bank, smiling, with the brand mark on the wall", "mark.png", []),
        ("not smiling", None, []),
        ("smiling", "mark.png", ["the brand mark mark.png is not shown: the prompt does not ask for it"]),
        ("without any logo, smiling", "mark.png", ["the brand mark mark.png is not shown"]),
        ("riding a horse, on the moon", None, ["nothing in the prompt can be followed: it knows manners"]),
        ("smiling, riding a horse", None, ["not followed in the prompt: 'riding a horse'"]),
        ("smiling, a, b, c, d, e", None, ["not followed in the prompt: 'a', 'b', 'c' and 2 more"]),
        ("微笑，骑马", None, ["not followed in the prompt: '骑马'"]),
    ],
)
def test_what_makes_no_difference_is_said(prompt: str, mark: str | None, notes: list[str]) -> None:
    found = describe_unfollowed(prompt, mark)
    assert len(found) == len(notes)
    assert all(line.startswith(begin) for line, begin in zip(found, notes, strict=True))
