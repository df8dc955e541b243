"""``evalkit evaluate`` as a person runs it."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.measuring import elsewhere
from evalkit.measuring.evidence import clip_folder
from evalkit.testing.media import moving_pattern, write_clip
from evalkit.testing.talking_face import TalkingFace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalkit.measuring.pool import BatchProgress


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evalkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [np.full((64, 64, 3), 90 + k, dtype=np.uint8) for k in range(30)]
    return write_clip(tmp_path_factory.mktemp("clips") / "grey 灰色.mp4", frames)


def test_a_batch_with_bad_files_measures_the_good_ones(
    tmp_path: Path, grey: Path, talking_face: TalkingFace
) -> None:
    (tmp_path / "text.mp4").write_text("these are words")
    (tmp_path / "empty.mp4").touch()
    clips = [talking_face.path, tmp_path / "text.mp4", grey, tmp_path / "empty.mp4", tmp_path / "gone.mp4"]
    done = _run("evaluate", *clips, "--only", "lip_sync,technical", "--out", tmp_path / "out", "--jobs", 2)
    assert done.returncode == 1, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [Path(entry["clip"]) for entry in results] == clips
    assert [entry.get("error", {}).get("code") for entry in results] == [
        None,
        "not_media",
        None,
        "empty_file",
        "missing_file",
    ]
    assert results[0]["metrics"]["lip_sync.error"]["n"] >= 1
    assert results[2]["absent"]["lip_sync.error"] == "no_audio"
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["error"] for row in rows] == ["", "not_media", "", "empty_file", "missing_file"]
    assert f"{tmp_path / 'empty.mp4'}: is empty" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.rstrip().splitlines()[-1].startswith("wrote ")


@pytest.mark.usefixtures("probe")
def test_an_evaluator_that_failed_shows_in_the_exit_code(tmp_path: Path) -> None:
    sound = write_clip(tmp_path / "sound.wav", sound=np.full(16_000, 0.1), rate_hz=16_000)
    done = _run("evaluate", sound, "--only", "probe,technical", "--json", tmp_path / "out.json")
    (result,) = json.loads((tmp_path / "out.json").read_text())
    assert result["absent"]["probe.width_px"] == "evaluator_failed"  # it asks for the width of a picture
    assert result["metrics"]["technical.clipping_ratio"]["value"] == 0
    assert done.returncode == 1, done.stderr


def test_a_clip_that_can_be_measured_exits_with_zero_and_fits_80_columns(grey: Path) -> None:
    done = _run("evaluate", grey, "--only", "technical")
    assert done.returncode == 0, done.stderr
    assert "technical.fps" in done.stdout
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80


def test_evidence_is_pictures(tmp_path: Path, talking_face: TalkingFace) -> None:
    done = _run("evaluate", talking_face.path, "--evidence", tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"lip_sync/lip_sync.png", "lip_sync/index.json", "result.json"} <= written
    assert sum(name.endswith("frames.jpg") for name in written) == 1
    for path in folder.rglob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument"),
        (("a.mp4", "--only", "lipsync"), "did you mean 'lip_sync'"),
        (("a.mp4", "b.mp4", "--audio", "c.wav"), "belongs to a single clip"),
        (("nothing*.mp4",), "nothing matches"),
        (("a.mp4", "--jobs", "0"), "--jobs"),
    ],
)
def test_wrong_use_exits_with_two(arguments: tuple[str, ...], message: str) -> None:
    done = _run("evaluate", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_cannot_be_written_is_said_before_the_work(tmp_path: Path, grey: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = _run("evaluate", grey, "--out", tmp_path / "file" / "inside")
    assert done.returncode == 2
    assert "cannot make the folder" in done.stderr


def test_an_empty_folder_is_wrong_use(tmp_path: Path) -> None:
    done = _run("evaluate", tmp_path)
    assert done.returncode == 2
    assert "holds no video" in done.stderr


def test_a_folder_is_its_videos(tmp_path: Path, grey: Path) -> None:
    for name in ("b.mp4", "a.mp4"):
        (tmp_path / name).write_bytes(grey.read_bytes())
    (tmp_path / "notes.txt").write_text("not a video")
    done = _run("evaluate", tmp_path, "--only", "technical", "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    assert [Path(e["clip"]).name for e in json.loads((tmp_path / "r.json").read_text())] == ["a.mp4", "b.mp4"]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from evalkit.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'numpy', 'torch', 'cv2', 'mediapipe', 'pandas', 'matplotlib', 'av', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--script", "hello"], "a script needs a language"),
        (["--language", "en"], "the language 'en' belongs to a script"),
        (["--script", " ", "--language", "en"], "the script is empty"),
        (["--script", "@no-such.txt", "--language", "en"], "no-such.txt cannot be read as text"),
        (["--recogniser", "sphinks"], "no recogniser is named 'sphinks'"),
        (["--recogniser-set", "model=a"], "--recogniser-set belongs to --recogniser"),
        (["--recogniser", "pocketsphinx", "--recogniser-set", "modle=a"], "modle"),
    ],
)
def test_a_script_that_makes_no_sense_is_wrong_use(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", str(tmp_path / "clip.mp4"), "--only", "speech", *arguments])
    assert done.exit_code == 2
    assert said in done.output


def test_a_script_is_compared_and_the_differences_are_shown(tmp_path: Path) -> None:
    from evalkit.testing.speech import speak

    samples, rate_hz = speak("Good morning and welcome back to our show.")
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(1), sound=samples, rate_hz=rate_hz)
    script = tmp_path / "script.txt"
    script.write_text("Good <b>zebra</b> and welcome back to our show.", "utf-8")
    arguments = ["--only", "speech", "--script", f"@{script}", "--language", "en", "--jobs", "1"]
    arguments += ["--recogniser", "pocketsphinx"]  # whatever else is installed
    done = CliRunner().invoke(
        main,
        [
            "evaluate",
            str(clip),
            *arguments,
            "--evidence",
            str(tmp_path / "e"),
            "--json",
            str(tmp_path / "r.json"),
        ],
    )
    assert done.exit_code == 0
    (result,) = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert result["metrics"]["speech.word_error_rate"]["n"] == 10  # the brackets end words
    assert set(result["weights"]) - {"dnsmos", "plcmos"} == {"pocketsphinx en-us"}
    (page,) = (tmp_path / "e").glob("clip-*/speech/transcript.html")
    marked = page.read_text("utf-8")
    assert any("zebra" in part.split("</del>")[0] for part in marked.split("<del>")[1:])
    assert "<b>zebra" not in marked


def test_an_interruption_exits_as_shells_say_it(grey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.api import clips as api

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "measure_clips", interrupt)
    done = CliRunner().invoke(main, ["evaluate", str(grey)])
    assert (done.exit_code, done.stderr) == (130, "interrupted\n")


def test_results_are_written_before_the_table_is_printed(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalkit.cli import table

    def fail(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(table, "show", fail)
    CliRunner().invoke(main, ["evaluate", str(grey), "--only", "technical", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))[0]["clip"] == str(grey)
    assert (tmp_path / "results.csv").is_file()


@pytest.mark.parametrize("executor", [None, "in_process"])
def test_an_interrupted_batch_keeps_what_was_measured(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str | None
) -> None:
    from evalkit.cli import progress

    @contextlib.contextmanager
    def pressed_after_two() -> Iterator[Callable[[BatchProgress], None]]:
        def press(at: BatchProgress) -> None:
            if at.n_over == 2 and at.result is not None:
                raise KeyboardInterrupt

        yield press

    monkeypatch.setattr(progress, "clip_progress", pressed_after_two)
    clips = [Path(shutil.copy(grey, tmp_path / f"{name}.mp4")) for name in "cab"]
    done = CliRunner().invoke(
        main,
        ["evaluate", *map(str, clips), "--only", "technical", "--out", str(tmp_path), "--jobs", "1"]
        + ([] if executor is None else ["--executor", executor]),
    )
    assert done.exit_code == 130
    assert done.stderr.endswith("interrupted: 2 of 3 clips were measured\n")
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert [Path(entry["clip"]) for entry in results] == clips
    assert [entry.get("error", {}).get("code") for entry in results] == [None, None, "not_reached"]
    with (tmp_path / "results.csv").open() as file:
        assert [row["error"] for row in csv.DictReader(file)] == ["", "", "not_reached"]
    assert "b.mp4" not in done.stdout
    assert "technical.width" in done.stdout


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("executor", [None, "in_process"])
def test_pictures_that_cannot_be_written_cost_no_value(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str | None
) -> None:
    clips = [Path(shutil.copy(grey, tmp_path / f"{name}.mp4")) for name in "ab"]
    evidence, table = tmp_path / "evidence", tmp_path / "table.csv"
    monkeypatch.setattr(elsewhere, "put_folder", full_disk)
    if executor is None:
        evidence.mkdir()
        for clip in clips:
            clip_folder(evidence, str(clip)).touch()  # a file where the folder should be
    done = CliRunner().invoke(
        main,
        [
            "evaluate",
            *map(str, clips),
            "--only",
            "technical",
            "--evidence",
            str(evidence),
            "--csv",
            str(table),
        ]
        + ([] if executor is None else ["--executor", executor]),
    )
    assert done.exit_code == 1
    assert f"Error: {evidence} lacks 2 clips, first: its pictures could not be written: N" in done.stderr
    with table.open() as file:
        assert [(row["error"], row["technical.width"]) for row in csv.DictReader(file)] == [("", "64.0")] * 2
    assert not list(evidence.glob(".*"))


def test_an_evidence_folder_that_cannot_be_written_is_one_sentence(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "_new_folder", full_disk)
    words = ["--only", "technical", "--evidence", str(tmp_path / "e"), "--executor", "in_process"]
    done = CliRunner().invoke(main, ["evaluate", str(grey), *words])
    assert done.exit_code == 2
    said = f"Error: {tmp_path / 'e'} cannot be written: No space left on device; make room"
    assert said in done.stderr


def test_without_evidence_nobody_is_told_to_make_room(grey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more_files(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(elsewhere, "VideoTask", no_more_files)
    done = CliRunner().invoke(
        main, ["evaluate", str(grey), "--only", "technical", "--executor", "in_process"]
    )
    assert done.exit_code == 2
    assert "Error: measuring cannot go on: Too many open files\n" in done.stderr


def test_an_interruption_while_pictures_are_put_away_leaves_no_part(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(elsewhere, "put_folder", press)
    words = ["--only", "technical", "--evidence", str(tmp_path / "e"), "--executor", "in_process"]
    assert CliRunner().invoke(main, ["evaluate", str(grey), *words]).exit_code == 130
    assert not list((tmp_path / "e").iterdir())


def _policy(folder: Path, least_fps: float) -> Path:
    path = folder / f"fps_{least_fps}.yaml"
    path.write_text(
        f"name: own\ntitle: Own\nquality: technical.sharpness\ncosts: [profile.total_s]\nrules:\n"
        f"  - {{metric: technical.fps, at_least: {least_fps}, judged_by: value, why: smooth}}\n"
        f"  - {{metric: profile.error_rate, at_most: 0.01, why: few}}\n",
        "utf-8",
    )
    return path


def test_a_policy_gives_each_clip_a_verdict_and_a_page(tmp_path: Path, grey: Path) -> None:
    page, results = tmp_path / "page.html", tmp_path / "results.json"
    wanted = ("--only", "technical", "--html", page, "--json", results)
    done = _run("evaluate", grey, *wanted, "--policy", _policy(tmp_path, 10))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passes: the gate that speaks of a single clip is met." in done.stdout
    (entry,) = json.loads(results.read_text("utf-8"))
    assert entry["verdict"]["decision"] == "passes"
    assert entry["verdict"]["not_of_a_clip"] == {"profile.error_rate": "attempts"}
    assert (tmp_path / "page_evidence").is_dir()
    text = page.read_text("utf-8")
    assert f'src="{quote(os.path.relpath(grey, tmp_path))}"' in text
    assert "a share of many attempts" in text
    broken = tmp_path / "broken.mp4"
    broken.touch()
    failed = _run(
        "evaluate", grey, broken, *wanted, "--policy", _policy(tmp_path, 1000), "--page-language", "zh-CN"
    )
    assert failed.returncode == 1
    assert "共 2 个片段：1 个无法测量，1 个不通过。" in failed.stdout
    assert '<html lang="zh-CN">' in page.read_text("utf-8")
    assert [one["verdict"]["decision"] for one in json.loads(results.read_text("utf-8"))] == [
        "does not pass",
        "could not be measured",
    ]


def test_a_policy_that_is_none_is_said_before_the_work(tmp_path: Path, grey: Path) -> None:
    result = CliRunner().invoke(
        main, ["evaluate", str(grey), "--policy", "nowhere", "--html", str(tmp_path / "a.html")]
    )
    assert result.exit_code == 2
    assert "no policy 'nowhere'" in result.output
    assert not (tmp_path / "a.html").exists()
