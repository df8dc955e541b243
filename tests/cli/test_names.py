"""Names of files that nobody expects, through every command that reads a folder of videos and every file it writes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from evalkit.testing.media import moving_pattern, write_clip

NOT_UTF8 = os.fsdecode(b"caf\xe9")
LONG = 251 * "x"
NAMES = [
    NOT_UTF8,
    "new\n✓ PASS: all is well",
    "tab\tcell",
    "<script>alert(1)<b>",
    "esc\x1b[2J\x1b[31mred",
    "=cmd|calc",
    "@sum",
    "bell\x07",
    "turned\u202egnp",
    "[red]bold[b]",
    'comma,"quote',
    "%s{0}",
    LONG,
]
MOVES_A_CURSOR = [chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x202E)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_pattern(0.6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    folder = tmp_path_factory.mktemp("names")
    for name in NAMES:
        shutil.copy(clip, folder / f"{name}.mp4")
    return folder


def _run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evalkit", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=600, cwd=cwd
    )


def _assert_plain(printed: str) -> None:
    assert [letter for letter in MOVES_A_CURSOR if letter in printed] == []
    assert "Traceback" not in printed


def test_every_name_is_measured_and_every_file_is_whole(folder: Path, tmp_path: Path) -> None:
    out, evidence = tmp_path / "out", tmp_path / "evidence"
    done = _run("evaluate", folder, "--only", "technical", "--out", out, "--evidence", evidence)
    assert done.returncode == 0, done.stderr
    _assert_plain(done.stdout + done.stderr)
    assert "caf\\udce9.mp4" in done.stdout
    text = (out / "results.json").read_bytes().decode("utf-8", "strict")
    assert {Path(entry["clip"]) for entry in json.loads(text)} == {folder / f"{name}.mp4" for name in NAMES}
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(NAMES)
    results = list(evidence.glob("*/result.json"))
    assert {Path(json.loads(path.read_text("utf-8"))["clip"]).stem for path in results} == set(NAMES)


def test_a_verdict_on_them_is_written_everywhere(folder: Path, tmp_path: Path) -> None:
    paths = {
        name: tmp_path / f"verdict.{name}" for name in ("json", "junit", "html", "ledger", "waiver-form")
    }
    options = [part for name, path in paths.items() for part in (f"--{name}", path)]
    done = _run("signoff", folder, "--policy", "customer_service", "--only", "technical", *options)
    assert done.returncode == 1, done.stderr
    _assert_plain(done.stdout + done.stderr)
    assert "ledger head 1:" in done.stdout
    assert json.loads(paths["json"].read_text("utf-8"))["decision"] == "FAIL"
    assert ET.parse(paths["junit"]).getroot().tag == "testsuites"  # noqa: S314 - our own
    assert len(paths["ledger"].read_text("utf-8").splitlines()) == 1
    assert "<script>alert" not in paths["html"].read_text("utf-8")
    assert _run("ledger", "verify", paths["ledger"]).returncode == 0


def test_they_are_compared(folder: Path, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in NAMES[:-1]:
        shutil.copy(clip, other / f"{name}.mp4")
    shutil.copy(clip, other / "only here\x1b[2J.mp4")
    options = ("--only", "technical", "--json", tmp_path / "c.json", "--html", tmp_path / "c.html")
    done = _run("compare", folder, other, *options)
    assert done.returncode == 0, done.stderr
    _assert_plain(done.stdout + done.stderr)
    compared = json.loads((tmp_path / "c.json").read_text("utf-8"))
    assert compared["n_pairs"] == len(NAMES) - 1
    assert (compared["unpaired_a"], compared["unpaired_b"]) == ([LONG], ["only here\\x1b[2J"])


@pytest.mark.parametrize("command", ["evaluate", "compare", "signoff", "report", "measure", "runs", "policy"])
def test_an_error_that_quotes_a_name_moves_no_cursor(command: str, tmp_path: Path) -> None:
    name = "gone\x1b[2J\u202e"
    more = {"compare": ["b"], "signoff": ["--policy", "customer_service"], "policy": []}.get(command, [])
    done = _run(*("policy", "show") if command == "policy" else (command,), name, *more, cwd=tmp_path)
    assert done.returncode != 0
    assert "gone" in done.stdout + done.stderr
    _assert_plain(done.stdout + done.stderr)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\uff1d"])
def test_no_cell_is_a_formula(start: str, clip: Path, tmp_path: Path) -> None:
    name = f"{start}1+cmd|' -C calc'!A0.mp4"
    shutil.copy(clip, tmp_path / name)
    shutil.copy(clip, tmp_path / "-5.mp4")
    found = _run("evaluate", "--only", "technical", "--csv", "t.csv", "--", name, "-5.mp4", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["clip"], second["clip"]) == (f"'{name}", "'-5.mp4")
    assert float(first["technical.width"]) > 0  # a number is a number


def test_what_is_no_clip_is_passed_over_and_said_once(clip: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "in/B.MOV", "in/._B.MOV", ".hidden.mp4", ".Trash/gone.mp4", "._a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(clip, tmp_path / name)
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "dangling.mp4").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.mp4"))
        done = _run("evaluate", tmp_path, "--only", "technical", "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    measured = [Path(entry["clip"]) for entry in json.loads((tmp_path / "r.json").read_text("utf-8"))]
    assert measured == [tmp_path / "a.mp4", tmp_path / "in" / "B.MOV"]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("passed over")]
    for words in ("._a.mp4 (hidden)", "folder.mp4 (a folder)", "dangling.mp4 (a link to nothing)"):
        assert words in line
    assert line.endswith("and 2 more")  # the pipe and the socket, in what order a sort gives
    assert ".Trash" not in line


def test_a_folder_among_the_files_of_a_pattern_costs_nothing(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path / "a.mp4")
    (tmp_path / "b.mp4").mkdir()
    for given in ([tmp_path / "*.mp4"], [tmp_path / "a.mp4", tmp_path / "b.mp4"]):
        done = _run("evaluate", *given, "--only", "technical", "--json", tmp_path / "r.json")
        assert done.returncode == 0, done.stderr
        assert len(json.loads((tmp_path / "r.json").read_text("utf-8"))) == 1
        assert "b.mp4 (a folder)" in done.stderr


def test_a_folder_of_such_things_is_refused_by_each(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path / "._a.mp4")
    done = _run("signoff", tmp_path, "--policy", "customer_service")
    assert done.returncode == 2
    assert "holds no video" in done.stderr
    assert "._a.mp4 (hidden)" in done.stderr


def test_names_pair_however_their_accents_are_written(clip: Path, tmp_path: Path) -> None:
    """APFS and HFS+ give names back as they were written, or decomposed; Linux as they were written."""
    for side, form in (("a", "NFC"), ("b", "NFD")):
        for name in ("café", "Ångström", "한글"):
            place = tmp_path / side / f"{unicodedata.normalize(form, name)}.mp4"
            place.parent.mkdir(exist_ok=True)
            shutil.copy(clip, place)
    options = ("--only", "technical", "--json", tmp_path / "c.json")
    done = _run("compare", tmp_path / "a", tmp_path / "b", *options)
    assert done.returncode == 0, done.stderr
    compared = json.loads((tmp_path / "c.json").read_text("utf-8"))
    assert (compared["n_pairs"], compared["unpaired_a"], compared["unpaired_b"]) == (3, [], [])


def test_two_files_of_one_name_are_refused(tmp_path: Path, clip: Path) -> None:
    for form in ("NFC", "NFD"):
        shutil.copy(clip, tmp_path / f"{unicodedata.normalize(form, 'é')}.mp4")
    done = _run("compare", tmp_path, tmp_path)
    assert done.returncode == 2
    assert "have one name" in done.stderr


def test_a_clip_of_frames_without_a_face_has_a_picture_of_any_length(tmp_path: Path) -> None:
    """Names of 255 bytes are the longest that file systems take: the evidence must not need more."""
    name = 251 * "y" + ".mp4"
    frames = [np.full((64, 64, 3), 90 + k, dtype=np.uint8) for k in range(12)]
    write_clip(tmp_path / "clip.mp4", frames).rename(tmp_path / name)
    done = _run("evaluate", tmp_path / name, "--only", "technical", "--evidence", tmp_path / "e")
    assert done.returncode == 0, done.stderr
    (result,) = (tmp_path / "e").glob("*/result.json")
    assert json.loads(result.read_text("utf-8"))["clip"].endswith(name)
