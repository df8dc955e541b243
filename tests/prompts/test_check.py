"""Which parts a prompt names: prompts labelled by hand, and words that mean something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evalkit.prompts.check import PARTS, check_prompt

LETTERS = dict(zip("PASL", PARTS, strict=True))
HERE = Path(__file__).parent


def found_in(text: str) -> dict[str, tuple[str, ...]]:
    return {part.name: part.found for part in check_prompt(text).parts}


def labelled(name: str) -> list[tuple[str, set[str]]]:
    rows = yaml.safe_load((HERE / f"labelled_for_{name}.yaml").read_text("utf-8"))
    return [(row["text"], {LETTERS[letter] for letter in row["parts"]}) for row in rows]


# The first set made the lexicon; the second was written before it and judges it.
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("name", "least"), [("making", 0.94), ("judging", 0.9)])
def test_the_parts_of_prompts_labelled_by_hand_are_found(name: str, least: float, part: str) -> None:
    prompts = labelled(name)
    said = [(part in wanted, bool(found_in(text)[part])) for text, wanted in prompts]
    n_true, n_wanted, n_found = (
        said.count((True, True)),
        sum(wanted for wanted, _ in said),
        sum(found for _, found in said),
    )
    assert len(prompts) >= 30
    assert min(n_wanted, len(prompts) - n_wanted) >= 8  # both answers are asked for
    assert n_true / n_found >= least
    assert n_true / n_wanted >= least


@pytest.mark.parametrize(
    ("text", "part", "found"),
    [
        ("Smiling and nodding, she smiles.", "action", ("Smiling", "nodding", "smiles")),
        ("a hatter, a suitcase, a capital", "person", ()),
        ("a man of 45", "person", ("of 45",)),
        ("clips of 48 frames with a 50 mm lens", "surroundings", ()),
        ("in a light blue shirt", "style", ()),
        ("an office worker", "surroundings", ()),
        ("an office worker in an office", "surroundings", ("office",)),
        ("looks into the camera", "style", ()),
        ("the camera moves closer", "style", ("camera",)),
        ("he wears a bow tie", "action", ()),
        ("shallow depth of field", "surroundings", ()),
        ("with background music", "surroundings", ()),
        ("注视镜头", "style", ()),
        ("镜头缓慢推近", "style", ("镜头",)),
        ("戴headset的客服", "person", ("戴", "headset")),
    ],
)
def test_a_word_counts_where_it_means_the_part(text: str, part: str, found: tuple[str, ...]) -> None:
    assert found_in(text)[part] == found


@pytest.mark.parametrize("text", ["", "   ", "🙂", "12345", "xyzzy"])
def test_a_prompt_of_nothing_leaves_everything_out(text: str) -> None:
    assert [part.name for part in check_prompt(text).missing] == list(PARTS)


def test_what_is_missing_comes_with_an_example_that_would_mend_it() -> None:
    for text in ("hello", "你好"):
        told = [text, *(part.example for part in check_prompt(text).missing)]
        assert check_prompt(", ".join(told)).missing == ()
    assert all(part.example.isascii() for part in check_prompt("hello").missing)
    assert not any(part.example.isascii() for part in check_prompt("你好").missing)


def test_capitals_and_line_breaks_do_not_matter() -> None:
    text = "young man in a suit, raises one hand, living room, depth of field"
    loud = text.upper().replace(" ", "\n")
    assert [len(part.found) for part in check_prompt(loud).parts] == [
        len(part.found) for part in check_prompt(text).parts
    ]


def test_plain_data_says_what_is_missing_and_what_to_add() -> None:
    plain = check_prompt("A young man nods in an office.").to_dict()
    assert plain["complete"] is False
    assert plain["missing"] == ["style"]
    assert plain["found"] == {
        "person": ["young"],
        "action": ["nods"],
        "surroundings": ["office"],
        "style": [],
    }
    assert list(plain["add"]) == ["style"]
