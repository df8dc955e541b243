"""The commands around prompts, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evalkit.cli import main

WHOLE = "A young man in a suit nods in an office, soft light."


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prompts", *arguments])


def test_the_list_names_templates_and_slots() -> None:
    done = run("list")
    assert done.exit_code == 0
    assert "banking: " in done.output
    assert "brand=the bank" in done.output


def test_a_template_is_shown_as_a_prompt_that_passes() -> None:
    shown = run("show", "banking", "--set", "brand=Acme", "--set", "age=in her forties")
    assert shown.exit_code == 0
    assert "of Acme, in her forties" in shown.output
    assert shown.output.count("\n") == 1
    assert run("check", shown.output.strip()).exit_code == 0


def test_a_prompt_that_leaves_something_out_says_what_and_fails() -> None:
    done = run("check", "A young man nods in an office.")
    assert done.exit_code == 1
    assert "✓ person: young" in done.output
    assert "✗ style (light, depth of field): missing; for example “soft light" in done.output


def test_json_gives_one_entry_a_prompt() -> None:
    done = run("check", "--json", WHOLE, "hello")
    assert done.exit_code == 1
    assert [entry["complete"] for entry in json.loads(done.output)] == [True, False]


def test_a_text_file_holds_a_prompt_a_line(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(f"{WHOLE}\n\n{WHOLE}\n", "utf-8")
    done = run("check", "--json", str(path))
    assert done.exit_code == 0
    assert [entry["prompt"] for entry in json.loads(done.output)] == [WHOLE, WHOLE]


@pytest.mark.parametrize(
    ("place", "n_prompts"),
    [(f"parameters: {{prompt: '{WHOLE}'}}", 1), (f"grid: {{prompt: ['{WHOLE}', hello]}}", 2)],
)
def test_the_prompts_of_a_sweep_are_checked(place: str, n_prompts: int, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(place, "utf-8")
    assert len(json.loads(run("check", "--json", str(path)).output)) == n_prompts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grid: {size: ['256*256']}", "asks for no prompt"),
        ("grid: {prompt: [3]}", "the prompt 3 is not text"),
        ("gird: {}", "did you mean 'grid'"),
    ],
)
def test_a_sweep_without_a_prompt_is_wrong_use(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(text, "utf-8")
    done = run("check", str(path))
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "no-such-file.yaml"), "there is no file no-such-file.yaml"),
        (("check", " "), "a prompt is empty"),
        (("check",), "Missing argument"),
        (("show", "banking", "--set", "brand"), "is not SLOT=TEXT"),
        (("show", "bankng"), "did you mean 'banking'"),
    ],
)
def test_wrong_use_is_refused(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_a_very_long_prompt_is_no_file_name() -> None:
    assert run("check", WHOLE * 200).exit_code == 0
