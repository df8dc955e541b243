"""``evalkit ledger`` as an auditor uses it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from evalkit.cli import main
from evalkit.testing.runs import write_run


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["ledger", *map(str, arguments)])


def entry(**more: Any) -> dict[str, Any]:
    return {
        "judged_at": "2026-02-01T12:00:00+00:00",
        "judged": "runs/release-1.5",
        "decision": "PASS WITH WAIVERS",
        "policy": {"name": "customer_service", "sha256": 64 * "0"},
        "not_met": [],
        "waivers": [
            {"metric": "rating.mos", "name": "Ann", "reason": "pilot of a week", "expires": "2026-03-01"}
        ],
        **more,
    }


def write(path: Path, *entries: dict[str, Any]) -> str:
    """Write a ledger by hand, and return its head."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line, content = None, b""
    for one in entries:
        previous = None if line is None else hashlib.sha256(line).hexdigest()
        line = json.dumps({**one, "previous": previous}).encode()
        content += line + b"\n"
    path.write_bytes(content)
    return f"{len(entries)}:{hashlib.sha256(line or b'').hexdigest()}"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    write(path, entry(decision="FAIL", not_met=["lip_sync.error"], waivers=[]), entry(), entry())
    return path


def test_show_is_a_table_for_80_columns(ledger: Path) -> None:
    result = run("show", ledger)
    assert result.exit_code == 0
    words = " ".join(result.output.split())
    for part in (
        "FAIL",
        "not met: lip_sync.error",
        "runs/release-1.5, by the policy customer_service",
        "2026-02-01 12:00:00 UTC",
        "waived by Ann until 2026-03-01: rating.mos, pilot of a week",
    ):
        assert part in words
    assert max(map(len, result.output.splitlines())) <= 80


def test_show_as_json_holds_every_entry(ledger: Path) -> None:
    told = json.loads(run("show", ledger, "--json").output)
    assert [line["entry"]["decision"] for line in told["lines"]] == ["FAIL", *2 * ["PASS WITH WAIVERS"]]
    assert told["intact"]


HOSTILE: tuple[dict[str, Any], ...] = (
    entry(judged="\x1b[2J\x9b1A\u202eevil\r\n✓ intact", decision="[bold]PASS[/bold] :smile: [/]"),
    entry(policy=["\x07"], not_met={"a": 1}, waivers="none", judged=9 * ["\x1b]0;title\x07"]),
    entry(judged_at={"T": "\x00"}, waivers=[3, None, {"name": {"\x1b": 1}}], not_met=[["\udcff"], None]),
    entry(judged=100_000 * "a"),
    {"half_line": "\x1b[31m", "mended_at": 3},
    {},
)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_nothing_in_an_entry_reaches_the_terminal_as_more_than_text(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    write(tmp_path / "l", *HOSTILE)
    result = run("show", tmp_path / "l", *flags)
    assert result.exit_code == 0, result.exception
    assert all(letter.isprintable() or letter == "\n" for letter in result.output)
    assert len(result.output) < 20_000 or flags
    if flags:
        assert json.loads(result.output)["lines"][0]["entry"]["judged"] == HOSTILE[0]["judged"]
    else:
        assert "[bold]PASS" in result.output


def test_verify_without_an_anchor_says_what_it_cannot_see(ledger: Path) -> None:
    result = run("verify", ledger)
    assert result.exit_code == 0
    assert "intact" in result.output
    assert "3 lines" in result.output
    assert "Without an anchor nobody can see" in result.output
    last = ledger.read_bytes().splitlines()[-1]
    assert result.output.splitlines()[-1] == f"head 3:{hashlib.sha256(last).hexdigest()}"


def test_verify_with_an_anchor(ledger: Path, tmp_path: Path) -> None:
    head = run("verify", ledger).output.split()[-1]
    assert "proves every line" in run("verify", ledger, "--anchor", head).output
    (tmp_path / "kept").write_text(head, "utf-8")
    longer = write(ledger, *(json.loads(line) for line in ledger.read_text("utf-8").splitlines()), entry())
    result = run("verify", ledger, "--anchor", tmp_path / "kept")
    assert (result.exit_code, "proves lines 1 to 3" in result.output) == (0, True)
    assert run("verify", ledger, "--anchor", head, "--anchor", longer).exit_code == 0
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:2]))
    result = run("verify", ledger, "--anchor", tmp_path / "kept")
    assert result.exit_code == 1
    assert "the anchor tells of 3 lines, and there are 2: the last were taken off" in result.output
    told = json.loads(run("verify", ledger, "--anchor", head, "--json").output)
    assert (told["intact"], told["n_proven"], told["problems"][0]["kind"]) == (
        False,
        0,
        "shorter than its anchor",
    )


def test_verify_of_what_is_broken_or_gone_is_exit_code_1(ledger: Path, tmp_path: Path) -> None:
    ledger.write_bytes(ledger.read_bytes().replace(b"FAIL", b"PASS"))
    result = run("verify", ledger)
    assert (result.exit_code, "line 2 does not continue line 1" in result.output) == (1, True)
    result = run("verify", tmp_path / "none.jsonl")
    assert (result.exit_code, "there is no ledger" in result.output) == (1, True)
    assert "head" not in result.output


def test_anchor_keeps_the_head_and_moves_on_only_with_its_ledger(ledger: Path, tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere" / "head.txt"
    assert run("anchor", ledger, "--to", kept).exit_code == 0
    old = kept.read_text("utf-8")
    assert old.strip() == run("verify", ledger).output.split()[-1]
    write(ledger, entry(), entry(), entry(), entry())
    result = run("anchor", ledger, "--to", kept)
    assert result.exit_code == 1
    assert "line 3 is not the one that the anchor tells of" in result.output
    assert kept.read_text("utf-8") == old


def test_a_git_note_is_written_and_checked(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ("init", "-q"),
        ("config", "user.name", "Ann"),
        ("config", "user.email", "ann@example.org"),
        ("commit", "-q", "--allow-empty", "-m", "first"),
    ):
        subprocess.run(["git", *words], check=True, capture_output=True)
    assert run("verify", ledger, "--git-note").exit_code == 2
    result = run("anchor", ledger, "--git-note")
    assert (result.exit_code, "refs/notes/evalkit-ledger" in result.output) == (0, True)
    assert "proves every line" in run("verify", "ledger.jsonl", "--git-note").output
    write(ledger, entry(), entry())
    assert run("verify", ledger, "--git-note").exit_code == 1


def test_mend(ledger: Path) -> None:
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + b'{"judged')
    assert run("verify", ledger).exit_code == 1
    result = run("mend", ledger)
    assert (result.exit_code, "mended line 4" in result.output) == (0, True)
    assert run("verify", ledger).exit_code == 0
    assert 'kept: {"judged' in " ".join(run("show", ledger).output.split())
    assert "nothing to mend" in run("mend", ledger).output
    ledger.write_bytes(whole.replace(b"FAIL", b"PASS"))
    assert run("mend", ledger).exit_code == 2


def test_a_run_is_named_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder / "decisions" / "ledger.jsonl", entry())
    assert run("verify", folder).exit_code == 2  # not yet a run
    (folder / "run.json").touch()
    assert run("verify", folder).exit_code == 0
    write(folder / "ledger.jsonl", entry())
    assert "is not looked at" in run("show", folder).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "none.jsonl"], "there is no ledger"),
        (["verify", "."], "but not of a run"),
        (["verify", "{ledger}", "--anchor", "12:ab"], "neither a file nor the head of a ledger"),
        (["verify", "{ledger}", "--anchor", "{ledger}"], 'line 1: \'{{"judged_at"'),
        (["verify", "{ledger}", "--git-note"], "not a git repository"),
        (["anchor", "{ledger}"], "say where to keep the head"),
        (["anchor", "{ledger}", "--to", "{ledger}"], "is the ledger itself"),
        (["anchor", "{ledger}", "--to", "{ledger}/x"], "cannot be written"),
        (["mend", "none.jsonl"], "cannot be written: No such file"),
    ],
)
def test_wrong_use_is_exit_code_2(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(one.format(ledger=ledger) for one in arguments))
    assert result.exit_code == 2, result.output
    assert message.format() in " ".join(result.output.split())


def test_a_run_without_a_verdict_is_told_how_it_gets_one(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [], [])
    result = CliRunner().invoke(main, ["ledger", "show", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "has no verdict on record: evalkit signoff" in result.output
