"""``evalkit search`` from outside: what it prints and returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evalkit.cli import main

Call = Callable[..., Result]
TEXTS = [word for k in range(20) for word in ("--text", f"words {k}")]
GRID = [
    "--generator",
    "reference",
    "--set",
    "sample_steps=1,2,3",
    "--set",
    "size=256*256",
    "--only",
    "lip_sync",
]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, ["search", *words, "--dry-run"])


def test_a_dry_run_says_what_is_searched_and_how_much_that_takes(call: Call, tmp_path: Path) -> None:
    result = call(*GRID, *TEXTS, "--out", "here")
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "3 configurations in a race for lip_sync.error, over 20 blocks" in words
    assert "60 trials in the whole grid, 0 done" in words
    assert "budget: 30 trials" in words
    assert "the search makes 21 to 30 of them" in words
    assert words.endswith("here")
    assert not (tmp_path / "here").exists()
    limited = call(*GRID, *TEXTS, "--budget-trials", "24", "--budget-hours", "2")
    assert "budget: 24 trials or 2 hours" in limited.stdout
    assert "the search makes at most 24 of them" in limited.stdout  # two hours may end it before
    assert "the search makes at most 9 of them" in call(*GRID, *TEXTS, "--budget-trials", "9").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "sample_steps=2", "--set", "size=256*256"], "the grid has one configuration"),
        (["--only", "technical"], "searches for the best lip_sync.error, which is not measured here"),
        (["--budget-trials", "5"], "a race needs 6 trials to compare any two configurations, not 5"),
        (["--budget-money", "5"], "a budget of money needs a price"),
        (
            ["--text", "one alone"],
            "no configuration could ever be dropped, so this search would make the whole grid",
        ),
    ],
)
def test_what_cannot_be_searched_is_2_and_one_sentence(call: Call, words: list[str], said: str) -> None:
    result = call(*(GRID if "--set" not in words else ()), *(TEXTS if "--text" not in words else ()), *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("Error: ") == 1


@pytest.mark.parametrize(
    ("prices", "counts_as"), [("{H200: 4.0, T4: 0.5}", "the dearest, 4 an hour"), ("{default: 1.5}", None)]
)
def test_what_an_unnamed_machine_costs_is_said(
    call: Call, tmp_path: Path, prices: str, counts_as: str | None
) -> None:
    texts = ", ".join(f"{{text: words {k}, language: en}}" for k in range(20))
    (tmp_path / "my.yaml").write_text(
        f"inputs: {{speech: [{texts}]}}\ngrid: {{sample_steps: [1, 2, 3]}}\nevaluators: [lip_sync]\n"
        f"parameters: {{size: 256*256}}\nexecution: {{price_per_hour: {prices}}}\n",
        "utf-8",
    )
    result = call("my.yaml", "--budget-money", "5")
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert ("price_per_hour does not name" in words) == (counts_as is not None)
    assert counts_as is None or counts_as in words
