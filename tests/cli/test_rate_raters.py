"""``evalkit rate invite``, ``raters``, ``export``, ``forget`` and ``key``, as a person uses them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evalkit.cli.rate import rate
from evalkit.rating.desk import Desk
from evalkit.runs import Run
from evalkit.testing.runs import write_grid

GOLDEN = Path(__file__).parents[1] / "golden" / "ratings_schema_1.sql"
COMMANDS = ["invite", "raters", "export --rater r01", "forget r01 --yes", "key"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run with a study of clips, one of pairs, and an import."""
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2, 4), portraits=("anna",))
    (folder / "ratings").mkdir()
    with sqlite3.connect(folder / "ratings" / "ratings.sqlite") as db:
        db.executescript(GOLDEN.read_text("utf-8"))
    db.close()
    return folder


def call(command: str, folder: Path, *more: str, answer: str | None = None) -> Result:
    name, *rest = command.split()
    return CliRunner().invoke(rate, [name, str(folder), *rest, *more], input=answer)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_run_and_a_run_without_raters_are_said(command: str, tmp_path: Path) -> None:
    found = call(command, tmp_path)
    assert found.exit_code == 2
    assert "is not a run folder" in found.output
    run = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    found = call(command, run)
    assert found.exit_code == 2
    assert "nobody has been asked yet" in found.output or "has no rater 'r01'" in found.output
    assert not (run / "ratings").exists()


def test_links_are_shown_once_and_open_the_study(folder: Path) -> None:
    found = call("invite --raters 3 --base-url https://rate.example/", folder)
    assert found.exit_code == 0
    *links, seal = found.output.splitlines()
    assert [link.split()[0] for link in links] == ["r05", "r06", "r07"]
    assert all(link.split()[1].startswith("https://rate.example/r/") for link in links)
    tokens = [link.rpartition("/")[2] for link in links]
    content = (folder / "ratings" / "ratings.sqlite").read_bytes()
    assert not any(token.encode() in content for token in tokens)
    with Desk.open(folder) as desk:
        assert seal.endswith(desk.latest_study().commitment)
        session = desk.redeem(tokens[1])
        state = desk.rater(session)
        assert state is not None
        assert (state.id, state.study) == ("r06", 2)


def test_a_rater_gets_a_new_link(folder: Path) -> None:
    found = call("invite --again r01", folder)
    assert found.output.startswith("r01  http://127.0.0.1:8765/r/")
    assert call("invite --again r99", folder).exit_code == 2
    assert call("invite --again r01 --raters 2", folder).exit_code == 2


def test_raters_are_listed(folder: Path) -> None:
    lines = call("raters", folder).output.splitlines()
    assert [line.split() for line in lines] == [
        ["rater", "study", "origin", "language", "answered"],
        ["r01", "1", "simulated", "zh-CN", "6", "of", "6"],
        ["r02", "2", "simulated", "zh-CN", "4", "of", "4"],
        ["r03", "1", "person", "not", "begun"],
        ["r04", "3", "imported", "1", "of", "1"],
    ]
    assert json.loads(call("raters --json", folder).output)[1]["n_answered"] == 4


def test_what_is_known_of_a_rater_is_written_out(folder: Path, tmp_path: Path) -> None:
    printed = json.loads(call("export --rater r01", folder).output)
    assert (printed["rater"], printed["language"], len(printed["presentations"])) == ("r01", "zh-CN", 6)
    out = tmp_path / "r01.json"
    assert call(f"export --rater r01 --out {out}", folder).exit_code == 0
    assert json.loads(out.read_text("utf-8")) == printed
    other = call("export --rater r01 --raters 3 --clips-per-rater 5", folder)
    assert (other.exit_code, "--raters, --clips-per-rater: belongs to --offline" in other.output) == (2, True)
    text = call("export --rater r04", folder).output
    assert json.loads(text)["presentations"][0]["answer"] == {"lip_sync": 3.25}


def test_a_rater_is_forgotten_when_one_says_so(folder: Path) -> None:
    assert call("forget r01", folder, answer="n\n").exit_code == 1
    assert len(Run.open(folder).ratings().raters) == 3
    found = call("forget r01 r01", folder, answer="y\n")
    assert (found.exit_code, found.output.splitlines()[-2]) == (0, "deleted r01 and 6 answers")
    assert f"evalkit report {folder} makes them anew" in found.output
    assert [rater.id for rater in Run.open(folder).ratings().raters] == ["r02", "r04"]
    assert call("forget r01 --yes", folder).exit_code == 2


def test_a_key_is_opened_and_fits(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "key.json"
    found = call(f"key --study 1 --out {out}", folder)
    assert found.exit_code == 0
    assert "the key fits the hash" in found.output
    assert hashlib.sha256(out.read_bytes()).hexdigest() in found.output
    assert call("key --study 3", folder).exit_code == 2
    assert call("key --study 9", folder).exit_code == 2


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("UPDATE studies SET key = replace(key, '\"seed\":0', '\"seed\":1')", "the key was changed"),
        (
            "UPDATE presentations SET is_swapped = 1 - is_swapped WHERE rater = 2",
            "r02 was shown something else",
        ),
        (
            "UPDATE items SET first_trial = second_trial, second_trial = first_trial WHERE study = 2",
            "answers are of other videos than the key says, in ",
        ),
        ("DELETE FROM items WHERE study = 2 AND is_check", "other videos than the key says"),
    ],
)
def test_a_key_or_an_assignment_that_was_edited_shows(folder: Path, edit: str, words: str) -> None:
    with sqlite3.connect(folder / "ratings" / "ratings.sqlite") as db:
        db.execute(edit)
    db.close()
    found = call("key --study 2", folder)
    assert found.exit_code == 1
    assert words in found.output


def test_who_opens_the_key_early_is_told(folder: Path) -> None:
    with sqlite3.connect(folder / "ratings" / "ratings.sqlite") as db:
        db.execute("DELETE FROM answers WHERE presentation = 10")
    db.close()
    found = call("key", folder)
    assert "still at work: r02" in found.output
    assert found.exit_code == 0
