"""The ledger: whatever is done to it afterwards is found, and said with the line."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from evalkit.decisions import ledger as ledger_module
from evalkit.decisions.anchor import Head, read_anchor, read_notes, write_note
from evalkit.decisions.ledger import (
    ProblemKind,
    append_to_ledger,
    check_ledger,
    ledger_entry,
    ledger_of_run,
    mend_ledger,
    note_on_place,
    read_ledger,
)
from evalkit.decisions.policy import Policy
from evalkit.decisions.signoff import Signoff, sign_off
from evalkit.decisions.waivers import Waiver
from evalkit.errors import UsageError
from evalkit.testing.tables import make_table

NOW = dt.datetime(2026, 2, 1, 12, 0, tzinfo=dt.UTC)
POLICY = Policy.model_validate(
    {
        "name": "p",
        "title": "P",
        "quality": "lip_sync.error",
        "costs": ["profile.total_s"],
        "rules": [
            {"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"},
            {"metric": "technical.sharpness", "at_least": 0.5, "why": "a gate"},
        ],
    }
)
WAIVER = Waiver(
    metric="lip_sync.error",
    run="0123456789ab",
    policy=POLICY.content_hash[:12],
    value=0.65,
    name="Ann",
    reason="pilot",
    expires=dt.date(2026, 3, 1),
)
PROVENANCE = {
    "config": "c0",
    "inputs": {"ann": "1"},
    "weights": {"w": "2"},
    "environment": {"cpu": "x"},
    "run": "0123456789ab",
    "created_at": "2026-01-31T00:00:00+00:00",
    "results": "r0",
}
Kind = ProblemKind


def verdict(title: str = "run", *waivers: Waiver) -> Signoff:
    """Judge a run whose mean error, 0.65, is beyond the limit."""
    values = np.linspace(0.6, 0.7, 24)
    table = make_table(
        {"lip_sync.error": list(values), "technical.sharpness": [0.8 + value / 10 for value in values]},
        title=title,
        provenance=PROVENANCE,
        params={"steps": 4},
    )
    return sign_off(table, POLICY, waivers, now=NOW)


def made(path: Path, n: int = 5) -> list[Head]:
    """Sign off `n` times and return the head after each."""
    return [append_to_ledger(path, verdict(f"run {index}")) for index in range(n)]


def kinds(path: Path, *anchors: Head) -> list[tuple[ProblemKind, int | None]]:
    return [(problem.kind, problem.line) for problem in read_ledger(path, anchors).problems]


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_a_ledger_is_a_chain_of_whole_lines_however_many_write(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.jsonl"
    with ThreadPoolExecutor(8) as threads:
        heads = list(threads.map(lambda _: append_to_ledger(path, verdict("run", WAIVER)), range(40)))
    found = read_ledger(path, heads)
    assert found.problems == ()
    assert len(found.lines) == 40
    assert sorted(head.n_lines for head in heads) == list(range(1, 41))
    # the chain by hand: each line names the SHA-256 of the one before
    before = None
    for line in path.read_text("utf-8").splitlines():
        assert json.loads(line)["previous"] == before
        before = hashlib.sha256(line.encode()).hexdigest()
    assert str(found.head) == f"40:{before}"


def test_an_entry_holds_what_was_judged_and_with_which_values() -> None:
    entry = ledger_entry(verdict("run", WAIVER))
    assert entry["decision"] == "PASS WITH WAIVERS"
    assert entry["waivers"][0]["name"] == "Ann"
    assert entry["run"] == {name: PROVENANCE[name] for name in ("run", "created_at", "results")}
    gate, other = entry["gates"]
    assert (other["metric"], other["grade"]) == ("technical.sharpness", "passes")
    assert (gate["metric"], gate["status"], gate["n"]) == ("lip_sync.error", "waived", 24)
    assert gate["grade"] == "fails"
    assert gate["value"] == pytest.approx(0.65)
    hashes = entry["sha256"]
    assert hashes["config"] == "c0"
    assert all(len(hashes[name]) == 64 for name in ("inputs", "weights", "environment", "lines"))


def test_a_name_that_is_not_utf_8_gets_its_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append_to_ledger(path, verdict("caf\udce9 漢"))
    (line,) = read_ledger(path).lines
    assert line.entry is not None
    assert line.entry["judged"] == "caf\udce9 漢"
    assert "漢" in path.read_text("utf-8")


def swapped(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def rewritten(lines: list[bytes]) -> list[bytes]:
    """Turn one FAIL into a PASS and link everything again, as five lines of Python can."""
    done: list[bytes] = []
    for number, line in enumerate(lines):
        entry = json.loads(line)
        entry["previous"] = hashlib.sha256(done[-1][:-1]).hexdigest() if done else None
        if number == 1:
            entry["decision"] = "PASS"
        done.append(json.dumps(entry).encode() + b"\n")
    return done


@pytest.mark.parametrize(
    ("attack", "chain", "anchored"),
    [
        (lambda lines: [lines[0].replace(b"FAIL", b"PASS"), *lines[1:]], [(Kind.BROKEN_LINK, 2)], []),
        (lambda lines: [*lines[:2], *lines[3:]], [(Kind.BROKEN_LINK, 3)], [(Kind.TOO_SHORT, None)]),
        (lambda lines: lines[1:], [(Kind.BROKEN_LINK, 1)], [(Kind.TOO_SHORT, None)]),
        (swapped, [(Kind.BROKEN_LINK, number) for number in (2, 3, 4)], []),
        (lambda lines: [lines[0], *lines], [(Kind.BROKEN_LINK, 2)], [(Kind.DIFFERS, 5)]),
        (lambda lines: [*lines[:-1], lines[-1].replace(b"FAIL", b"PASS")], [], [(Kind.DIFFERS, 5)]),
        (lambda lines: lines[:-1], [], [(Kind.TOO_SHORT, None)]),
        (rewritten, [], [(Kind.DIFFERS, 5)]),
        (lambda lines: [line.replace(b"\n", b"\r\n") for line in lines], [(Kind.BROKEN_LINK, n) for n in (2, 3, 4, 5)],
         [(Kind.DIFFERS, 5)]),
        (lambda lines: [*lines[:2], b"\n", *lines[2:]], [(Kind.BLANK, 3), (Kind.BROKEN_LINK, 4)], [(Kind.DIFFERS, 5)]),
        (lambda lines: [*lines, b"\n"], [(Kind.BLANK, 6)], []),
        (lambda lines: [*lines[:2], b"[]\n", *lines[3:]], [(Kind.NO_ENTRY, 3), (Kind.BROKEN_LINK, 4)], []),
        (lambda lines: [*lines[:-1], lines[-1][:40]], [(Kind.HALF_LINE, 5)], [(Kind.TOO_SHORT, None)]),
        (lambda lines: [*lines[:-1], lines[-1][:-1]], [(Kind.HALF_LINE, 5)], [(Kind.TOO_SHORT, None)]),
        (lambda _: [], [(Kind.EMPTY, None)], [(Kind.EMPTY, None)]),
    ],
    ids=["edit", "delete", "first gone", "swap", "double", "edit of the last", "last gone", "rewritten", "line ends",
         "blank", "blank at the end", "no entry", "half", "end missing", "emptied"],
)  # fmt: skip
def test_each_attack_is_found(
    tmp_path: Path,
    attack: Callable[[list[bytes]], list[bytes]],
    chain: list[Any],
    anchored: list[Any],
) -> None:
    path = tmp_path / "ledger.jsonl"
    heads = made(path)
    path.write_bytes(b"".join(attack(lines_of(path))))
    assert kinds(path) == chain
    with_anchor = kinds(path, heads[-1])
    assert with_anchor
    assert set(anchored) <= set(with_anchor)


def test_a_ledger_that_is_gone_is_found(tmp_path: Path) -> None:
    assert kinds(tmp_path / "none.jsonl") == [(Kind.GONE, None)]
    (problem,) = read_ledger(tmp_path / "none.jsonl", [Head(3, 64 * "0")]).problems
    assert "an anchor tells of 3 lines" in problem.text


def test_an_older_anchor_proves_the_lines_up_to_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    heads = made(path)
    found = read_ledger(path, [heads[2]])
    assert (found.problems, found.n_proven) == ((), 3)
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"FAIL", b"PASS"), *lines[3:]]))
    assert (Kind.DIFFERS, 3) in kinds(path, heads[2])


def test_every_anchor_has_to_hold(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    heads = made(path)
    assert kinds(path, *heads) == []
    other = made(tmp_path / "other.jsonl", 3)
    foreign = Head(4, "0" * 64)
    assert kinds(path, heads[3], foreign) == [(Kind.ANCHORS_DIFFER, None), (Kind.DIFFERS, 4)]
    assert kinds(path, heads[4], Head(9, other[0].sha256)) == [(Kind.TOO_SHORT, None)]


def test_what_an_anchor_does_not_reach_is_found_by_the_chain_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    heads = made(path)
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines[:3], lines[3].replace(b"FAIL", b"PASS"), lines[4]]))
    assert kinds(path, heads[2]) == [(Kind.BROKEN_LINK, 5)]


@st.composite
def mutations(draw: st.DrawFn, content: bytes) -> bytes:
    """Change bytes or lines of a ledger at random, once or several times."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        rows = content.splitlines(keepends=True) or [b""]
        row, other = draw(st.integers(0, len(rows) - 1)), draw(st.integers(0, len(rows) - 1))
        some = draw(st.binary(min_size=1, max_size=4) | st.sampled_from([b"\n", b"\r", b" ", b"{}", b"\n\n"]))
        match draw(st.sampled_from(["set", "insert", "cut", "end", "drop", "swap", "copy", "line"])):
            case "set":
                content = content[:place] + some + content[place + len(some) :]
            case "insert":
                content = content[:place] + some + content[place:]
            case "cut":
                content = content[:place] + content[place + draw(st.integers(1, 400)) :]
            case "end":
                content = content[:place]
            case "drop":
                content = b"".join(rows[:row] + rows[row + 1 :])
            case "swap":
                rows[row], rows[other] = rows[other], rows[row]
                content = b"".join(rows)
            case "copy":
                content = b"".join([*rows[:row], rows[other], *rows[row:]])
            case "line":
                content = b"".join([*rows[:row], some + b"\n", *rows[row:]])
    return content


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("chain") / "ledger.jsonl"
    made(path, 6)
    return path.read_bytes()


def head_of(content: bytes) -> Head:
    """Return the head of an intact ledger by hand."""
    lines = content.split(b"\n")[:-1]
    return Head(len(lines), hashlib.sha256(lines[-1]).hexdigest())


@settings(max_examples=1500)
@given(data=st.data())
def test_an_anchor_finds_every_mutation(chain: bytes, data: st.DataObject) -> None:
    changed = data.draw(mutations(chain))
    found = check_ledger(changed, [head_of(chain)])
    assert bool(found.problems) == (changed != chain)


@settings(max_examples=300)
@given(data=st.data(), n_known=st.integers(1, 6))
def test_an_older_anchor_finds_every_mutation_of_what_it_proves(
    chain: bytes, data: st.DataObject, n_known: int
) -> None:
    known = b"".join(chain.splitlines(keepends=True)[:n_known])
    changed = data.draw(mutations(known)) + chain[len(known) :]
    assert changed.startswith(known) or check_ledger(changed, [head_of(known)]).problems


@settings(max_examples=300)
@given(content=st.binary(max_size=300))
def test_any_content_is_read_without_an_exception(content: bytes) -> None:
    found = check_ledger(content, [Head(1, 64 * "0")])
    assert found.problems


@pytest.mark.parametrize(
    "line",
    [
        b'{"previous": null, "x": NaN}',
        b'{"previous": null, "x": 1e999}',
        b'{"previous": null, "x": ' + 5000 * b"9" + b"}",
        b'{"previous": 3}',
        b"{}",
        b'{"previous": null, "x": ' + 100_000 * b"[",
        b'{"previous": null, "x": ' + 60 * b"[" + 60 * b"]" + b"}",
        b'\xef\xbb\xbf{"previous": null}',
        b'{"previous": null, "x": "\xff"}',
        '{"previous": null}'.encode("utf-16"),
    ],
    ids=["nan", "inf", "digits", "number", "bare", "unclosed", "deep", "mark", "bytes", "utf-16"],
)
def test_a_line_that_no_ledger_writes_is_no_entry(line: bytes) -> None:
    first = check_ledger(line + b"\n").problems[0]
    assert (first.kind, first.line) == (Kind.NO_ENTRY, 1)


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (lambda text: text.replace(b"FAIL", b"PASS", 1), "line 2 does not continue line 1"),
        (lambda text: text[:-30], "evalkit ledger mend"),
        (lambda text: text + b"\n", "line 4 is blank"),
    ],
)
def test_nothing_is_appended_to_a_broken_ledger(
    tmp_path: Path, attack: Callable[[bytes], bytes], words: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    made(path, 3)
    path.write_bytes(attack(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(UsageError, match=words):
        append_to_ledger(path, verdict())
    assert path.read_bytes() == before


def test_an_anchor_goes_on_with_its_ledger(tmp_path: Path) -> None:
    path, anchor = tmp_path / "ledger.jsonl", tmp_path / "elsewhere" / "head.txt"
    for number in (1, 2, 3):
        head = append_to_ledger(path, verdict(), anchor)
        assert head.n_lines == number
        assert anchor.read_text("utf-8") == f"{head}\n"
    path.write_bytes(b"".join(lines_of(path)[:-1]))
    with pytest.raises(UsageError, match="the anchor tells of 3 lines, and there are 2"):
        append_to_ledger(path, verdict(), anchor)
    path.unlink()
    with pytest.raises(UsageError, match="it was taken away"):
        append_to_ledger(path, verdict(), anchor)
    assert not path.exists()
    assert anchor.read_text("utf-8") == f"{head}\n"


def test_an_anchor_that_was_taken_away_is_not_begun_anew(tmp_path: Path) -> None:
    path, anchor = tmp_path / "ledger.jsonl", tmp_path / "head.txt"
    made(path, 2)
    with pytest.raises(UsageError, match=r"there is no anchor .* yet, and the ledger .* has 2 lines"):
        append_to_ledger(path, verdict(), anchor)
    with pytest.raises(UsageError, match="cannot be ledger and anchor at once"):
        append_to_ledger(path, verdict(), path)
    anchor.write_text("\n", "utf-8")
    with pytest.raises(UsageError, match="is empty"):
        append_to_ledger(path, verdict(), anchor)
    anchor.write_text("2:abc\n", "utf-8")
    with pytest.raises(UsageError, match=r"head.txt, line 1: '2:abc' is not the head of a ledger"):
        append_to_ledger(path, verdict(), anchor)
    assert len(lines_of(path)) == 2


def test_an_anchor_that_cannot_be_written_is_said_with_the_head(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    (tmp_path / "file").touch()
    with pytest.raises(
        UsageError, match=r"line 1 is in the ledger .* keep the head yourself, 1:[0-9a-f]{64}"
    ):
        append_to_ledger(path, verdict(), tmp_path / "file" / "head.txt")


def test_a_line_without_its_end_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    heads = made(path, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    (tmp_path / "head").write_text(str(heads[-1]), "utf-8")
    with pytest.raises(UsageError, match="evalkit ledger mend"):
        append_to_ledger(path, verdict(), tmp_path / "head")
    assert mend_ledger(path, heads) == heads[-1]
    assert path.read_bytes() == whole
    assert mend_ledger(path) is None


def test_half_a_line_is_kept_in_a_line_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    heads = made(path, 3)
    with path.open("ab") as file:
        file.write(b'{"decision": "PA\xff')
    head = mend_ledger(path, heads, now=NOW)
    assert head is not None
    assert head.n_lines == 4
    found = read_ledger(path, [*heads, head])
    assert found.problems == ()
    assert found.lines[3].entry is not None
    assert found.lines[3].entry["half_line"] == '{"decision": "PA\\xff'
    assert append_to_ledger(path, verdict()).n_lines == 5


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (lambda text: text.replace(b"FAIL", b"PASS", 1)[:-9], "line 2 does not continue line 1"),
        (lambda text: text.replace(b"FAIL", b"PASS", 1), "line 2 does not continue line 1"),
        (lambda text: text[:-9], "the anchor tells of 3 lines, and there are 2"),
        (lambda _: b"my notes, no ledger", "line 1 has no end"),
        (lambda _: b"", "the file is empty"),
    ],
)
def test_nothing_else_is_mended(tmp_path: Path, attack: Callable[[bytes], bytes], words: str) -> None:
    path = tmp_path / "ledger.jsonl"
    heads = made(path, 3)
    path.write_bytes(attack(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(UsageError, match=words):
        mend_ledger(path, heads)
    assert path.read_bytes() == before


def test_a_writer_that_died_in_the_first_line_locks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    made(path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    for attempt in (lambda: mend_ledger(path), lambda: append_to_ledger(path, verdict())):
        with pytest.raises(UsageError, match="move the file away, it holds no verdict yet"):
            attempt()
    path.write_bytes(whole[:-1])
    with pytest.raises(UsageError, match="evalkit ledger mend"):
        append_to_ledger(path, verdict())
    assert mend_ledger(path) == head_of(whole)
    path.write_bytes(b"")
    assert append_to_ledger(path, verdict()).n_lines == 1


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    made(path, 1)
    before = path.read_bytes()
    opened = ledger_module._locked

    class Full:
        """Takes ten bytes and no more, as a disk that is nearly full."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, text: bytes) -> int:
            return int(self.file.write(text[:10]))

    class Locked:
        def __init__(self, *arguments: Any) -> None:
            self.context = opened(*arguments)

        def __enter__(self) -> Full:
            return Full(self.context.__enter__())

        def __exit__(self, *exception: object) -> None:
            self.context.__exit__(*exception)

    monkeypatch.setattr(ledger_module, "_locked", Locked)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        append_to_ledger(path, verdict())
    assert path.read_bytes() == before


def test_a_killed_writer_leaves_whole_lines(tmp_path: Path) -> None:
    """A process that appends without end is killed: every line that is there is whole and linked."""
    path = tmp_path / "ledger.jsonl"
    program = (
        "import sys, runpy\n"
        "from pathlib import Path\n"
        "module = runpy.run_path(sys.argv[1])\n"
        "one = module['verdict']()\n"
        "while True:\n"
        "    module['append_to_ledger'](Path(sys.argv[2]), one)\n"
        "    print('.', flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, __file__, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(5):
        writer.stdout.readline()
    writer.kill()
    writer.communicate()
    found = read_ledger(path)
    assert found.problems == ()
    assert len(found.lines) >= 5


def test_a_ledger_that_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a file"):
        append_to_ledger(tmp_path, verdict())
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        append_to_ledger(tmp_path / "file" / "ledger.jsonl", verdict())


def test_a_run_has_one_place_for_its_ledger_and_goes_on_with_the_old_one(tmp_path: Path) -> None:
    new, old = tmp_path / "decisions" / "ledger.jsonl", tmp_path / "ledger.jsonl"
    assert (ledger_of_run(tmp_path), note_on_place(tmp_path)) == (new, None)
    made(old, 1)
    assert ledger_of_run(tmp_path) == old
    assert "goes on in" in str(note_on_place(tmp_path))
    made(new, 1)
    assert ledger_of_run(tmp_path) == new
    assert "is not looked at" in str(note_on_place(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["0:" + 64 * "0", "1:" + 63 * "0", "-1:" + 64 * "0", "1:" + 64 * "A", "", "1", "\u0661:" + 64 * "0"],
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not the head of a ledger"):
        Head.read(text)


def test_an_anchor_is_a_head_or_a_file_of_heads(tmp_path: Path) -> None:
    heads = (Head(1, 64 * "0"), Head(2, 64 * "1"))
    path = tmp_path / "heads"
    path.write_text("\n\n".join(map(str, heads)), "utf-8")
    assert read_anchor(str(path)) == heads
    assert read_anchor(f" {heads[0]}\n") == heads[:1]
    with pytest.raises(UsageError, match="neither a file nor the head of a ledger"):
        read_anchor("12:ab34")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, capture_output=True, check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "config", "user.name", "Ann")
    git(folder, "config", "user.email", "ann@example.org")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_a_git_note_is_an_anchor(repository: Path) -> None:
    path, other = repository / "runs" / "a b" / "ledger.jsonl", repository / "other.jsonl"
    heads = made(path, 2)
    with pytest.raises(
        UsageError, match=r"no git note of refs/notes/evalkit-ledger is about runs/a b/ledger.jsonl"
    ):
        read_notes(path, repository)
    write_note(path, repository, heads[0])
    write_note(other, repository, made(other, 1)[0])
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    write_note(path, repository / "runs", heads[1])
    assert set(read_notes(path, repository)) == set(heads)
    assert kinds(path, *read_notes(path, repository)) == []
    path.write_bytes(b"".join(rewritten(lines_of(path))))
    assert kinds(path, *read_notes(path, repository)) == [(Kind.DIFFERS, 2)]


def test_a_repository_runs_nothing_of_its_own_for_a_note(repository: Path, tmp_path: Path) -> None:
    trap, sprung = repository / ".git" / "hooks" / "reference-transaction", tmp_path / "sprung"
    trap.parent.mkdir(exist_ok=True)
    trap.write_text(f"#!/bin/sh\ntouch {sprung}\n", "utf-8")
    trap.chmod(0o755)
    write_note(repository / "ledger.jsonl", repository, Head(1, 64 * "0"))
    assert not sprung.exists()


def test_a_note_without_repository_or_commit_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"git rev-parse in .*not a git repository"):
        write_note(tmp_path / "ledger.jsonl", tmp_path, Head(1, 64 * "0"))
    git(tmp_path, "init", "-q")
    with pytest.raises(UsageError, match="git rev-parse"):
        write_note(tmp_path / "ledger.jsonl", tmp_path, Head(1, 64 * "0"))


def test_no_two_of_the_words_are_alike(tmp_path: Path) -> None:
    """Each fault is told by its own sentence, with the number of its line."""
    path = tmp_path / "ledger.jsonl"
    heads = made(path)
    lines = lines_of(path)
    broken: Sequence[Sequence[bytes]] = (
        lines[1:],
        lines[::-1],
        [*lines[:2], *lines[3:]],
        [lines[0], *lines],
        lines[:2],
    )
    told = [
        next(problem.text for problem in check_ledger(b"".join(one), heads[-1:]).problems) for one in broken
    ]
    assert all(one != other for one, other in itertools.combinations(told, 2))
