"""``evalkit generate`` from outside: what it prints, writes and returns."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from evalkit.cli import main
from evalkit.cli.generate import generate

MAKES = """
import av, sys
if len(sys.argv) > 2 and sys.argv[2] != "0": sys.exit(int(sys.argv[2]))
with av.open(sys.argv[1], "w") as container:
    stream = container.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for index in range(30):
        if index % 10 == 0: print(f"clip {index // 10}", flush=True)
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
    container.mux(stream.encode(None))
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that calls the command with a stand-in generator, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    Path("makes.py").write_text(MAKES)
    settings: dict[str, Any] = {
        "argv": [
            sys.executable,
            str(tmp_path / "makes.py"),
            "{out}",
            {"when": "status", "args": ["{status}"]},
        ],
        "events": {"clip": "^clip"},
    }
    Path("settings.yaml").write_text(yaml.safe_dump(settings))

    def call(*words: str, status: int = 0) -> Result:
        given = [
            "generate",
            "--generator",
            "command",
            "--settings",
            "settings.yaml",
            "--option",
            f"status={status}",
        ]
        return CliRunner().invoke(main, [*given, *words])

    return call


def test_a_video_is_made_and_its_path_is_the_last_line(run: Run) -> None:
    result = run("--out", "x.mp4")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("64*64, 25 fps, 1.20 s in 3 clips; first frame after ")
    assert lines[-1] == "x.mp4"
    assert [line.split("  ")[-1] for line in result.stderr.splitlines()] == [
        "clip 1",
        "clip 2",
        "clip 3",
        "first frame (only at the end)",
        "saved",
    ]


def test_a_note_beside_the_video_says_how_it_was_made(run: Run) -> None:
    run("--out", "x.mp4")
    note = json.loads(Path("x.mp4.json").read_text("utf-8"))
    assert (note["generator"], note["video"], note["width"], note["n_frames"]) == ("command", "x.mp4", 64, 30)
    assert note["request"]["options"] == {"status": 0}


def test_what_was_made_can_be_handed_out_again(run: Run) -> None:
    run("--out", "x.mp4")
    words = [
        "generate",
        "--generator",
        "precomputed",
        "--set",
        "folder=.",
        "--option",
        "status=0",
        "--out",
        "y.mp4",
    ]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert Path("y.mp4").read_bytes() == Path("x.mp4").read_bytes()


SPEAKS = """
import av, sys
out, audio = sys.argv[1:3]
with av.open(audio) as source, av.open(out, "w") as container:
    picture = container.add_stream("mpeg4", rate=25)
    picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
    track = container.add_stream("aac", rate=22050, layout="mono")
    frames = list(source.decode(audio=0))
    for index in range(sum(frame.samples for frame in frames) * 25 // 22050):
        container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
    container.mux(picture.encode(None))
    for frame in frames:
        frame.pts = None
        container.mux(track.encode(frame))
    container.mux(track.encode(None))
"""


@pytest.fixture
def answer(run: Run, tmp_path: Path) -> Run:
    """Give a function that calls the command with a stand-in that speaks, beside a folder of documents."""
    assert run  # the folder
    Path("speaks.py").write_text(SPEAKS)
    argv = [sys.executable, str(tmp_path / "speaks.py"), "{out}", "{audio}"]
    Path("speaks.yaml").write_text(yaml.safe_dump({"argv": argv}))
    Path("docs").mkdir()
    Path("docs/faq.md").write_text("## When do you open?\nWe open at nine.\n")
    words = ["generate", "--generator", "command", "--settings", "speaks.yaml", "--out", "x.mp4"]
    return lambda *more: CliRunner().invoke(main, [*words, *more])


def test_a_question_is_answered_before_any_generator(answer: Run) -> None:
    result = answer("--question", "When do you open?", "--documents", "docs")
    assert result.exit_code == 0, result.output
    said = [line.split("  ")[-1] for line in result.stderr.splitlines()]
    assert said == [
        "answered: We open at nine.",
        "spoken",
        "speech",
        "first frame (only at the end)",
        "saved",
    ]
    assert result.stdout.splitlines()[0] == "answered by documents"
    assert result.stdout.splitlines()[-1] == "x.mp4"
    note = json.loads(Path("x.mp4.json").read_text("utf-8"))
    assert (note["generator"], note["request"]["question"]) == ("conversation", "When do you open?")
    assert note["versions"]["command"] == "unknown"


def test_who_answered_instead_is_said_with_the_reason(answer: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    service = {"base_url": "https://example.invalid/v1", "model": "m", "key_variable": "NO_SUCH_KEY"}
    conversation = {"answerers": [{"name": "openai", "settings": service}, {"name": "documents"}]}
    Path("conversation.yaml").write_text(yaml.safe_dump({"documents": "docs", **conversation}))
    words = ("--question", "When do you open?", "--conversation", "conversation.yaml")
    result = answer(*words)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:2] == [
        "answered by documents instead of openai m",
        "  openai m: the environment variable NO_SUCH_KEY is not set; it must hold the service's key",
    ]
    events = json.loads(Path("x.mp4.json").read_text("utf-8"))["events"]
    tried = [event["detail"]["backends"] for event in events if event["name"] == "answered"]
    assert [attempt["outcome"] for attempt in tried[0]] == ["no_key", "used"]
    Path("conversation.yaml").write_text(yaml.safe_dump({"answerers": conversation["answerers"][:1]}))
    alone = answer(*words, "--overwrite")
    assert alone.exit_code == 2
    assert "NO_SUCH_KEY is not set" in alone.stderr


def test_a_list_of_words_that_is_not_there_is_said_to_be_missing(answer: Run) -> None:
    Path("conversation.yaml").write_text("documents: docs\nwords: {path: gone.txt}\n")
    result = answer("--question", "When?", "--conversation", "conversation.yaml")
    assert result.exit_code == 2
    assert "words 'gone.txt': there is no such file" in result.stderr


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", [200 * "x" + ".mp4", "caf\udce9.mp4"])
def test_a_name_that_results_cannot_have_is_refused_before_the_work(name: str) -> None:
    result = CliRunner().invoke(
        main, ["generate", "--generator", "reference", "--text", "Hi.", "--out", name]
    )
    assert result.exit_code == 2
    assert re.search("longer than 200 bytes|is not UTF-8", result.stderr)


def test_what_libraries_always_write_is_not_on_the_terminal(tmp_path: Path) -> None:
    """Mediapipe and TensorFlow Lite greet and warn on every use, from C++, past what Python can catch."""
    command = [sys.executable, "-m", "evalkit", "generate", "--generator", "reference", "--text", "Hello."]
    done = subprocess.run(
        [*command, "--size", "256*256", "--out", tmp_path / "x.mp4"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "saved" in done.stderr
    lines = done.stderr.splitlines()
    assert [line for line in lines if not re.match(r" *\d+\.\d\d s  ", line)] == []


def test_what_libraries_always_write_is_not_in_a_dry_run(tmp_path: Path) -> None:
    """It looks for the portrait's face, as a run does."""
    (tmp_path / "my.yaml").write_text(
        "generator: {name: reference}\ninputs: {speech: [{name: a, text: Hello.}]}\nparameters: {size: 256*256}\n"
    )
    request = ["--generator", "reference", "--text", "Hello.", "--size", "256*256", "--out", "x.mp4"]
    for words in (["generate", *request], ["sweep", "my.yaml"]):
        done = subprocess.run(
            [sys.executable, "-m", "evalkit", *words, "--dry-run"],
            capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_a_conversation_is_set_up_by_a_file(answer: Run) -> None:
    Path("words.txt").write_text("nine = ten")
    conversation = {"documents": "docs", "words": {"path": "words.txt", "action": "replace"}}
    Path("conversation.yaml").write_text(yaml.safe_dump(conversation))
    result = answer("--question", "When do you open?", "--conversation", "conversation.yaml")
    assert "answered: We open at ten." in result.stderr
    again = answer("--text", "At nine.", "--conversation", "conversation.yaml", "--overwrite")
    assert again.exit_code == 0, again.output
    events = json.loads(Path("x.mp4.json").read_text("utf-8"))["events"]
    assert events[0]["detail"]["text"] == "At ten."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--question", "When?", "--documents", "gone"], "'gone': there is no such folder"),
        (["--question_audio", "gone.wav"], r"gone\.wav.*no such file"),
        (["--question", "When?", "--text", "Now."], "give text or question, not both"),
        (["--question", "When?", "--conversation", "speaks.yaml"], "there is no setting 'argv'"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(words: list[str], message: str, answer: Run) -> None:
    result = answer(*words)
    assert result.exit_code == 2, result.output
    assert re.search(message, result.stderr), result.stderr
    assert not Path("x.mp4").exists()


def test_a_generation_that_fails_is_1_and_leaves_nothing(run: Run) -> None:
    before = sorted(Path().iterdir())
    result = run("--out", "x.mp4", status=3)
    assert result.exit_code == 1
    assert "failed with exit status 3" in result.stderr
    assert "Traceback" not in result.output
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.mp4", "--size", "10*10"], r'allowed: "W\*H"'),
        (["--out", "x.mp4", "--sample_steps", "3"], "would never see it"),
        (["--out", "x.mp4", "--text", "a", "--audio", "b"], "not both"),
        (["--out", "x.mp4", "--image", "gone.png"], "there is no such file"),
        (["--out", "x.mp4", "--set", "time_limit=3"], "did you mean 'time_limit_s'"),
        (["--out", "x.mp4", "--set", "time_limit_s"], "is not NAME=VALUE"),
        (["--out", "x.mp4", "--option", "a={"], "is not valid YAML"),
        (["--out", "x.mp4", "--settings", "gone.yaml"], "cannot be read"),
        (["--out", "x.mp4", "--settings", "makes.py"], "must be a mapping|is not valid YAML"),
        (["--out", "x.mp4", "--generator", "comand"], "did you mean 'command'"),
        (["--out", "gone/x.mp4"], "there is no folder"),
        (["--out", "x.txt"], "no video is called so; give it a name as in x.mp4"),
        (["--out", "."], "is a folder; name a file in it"),
        (["--out", "makes.py"], "is there already; name another or give --overwrite"),
        (["--out", "x.mp4", "--fps", "many"], "not a valid float"),
        ([], "Missing option '--out'"),
    ],
)
def test_what_is_refused_is_2_and_runs_nothing(words: list[str], message: str, run: Run) -> None:
    before = {path: path.read_bytes() for path in Path().iterdir()}
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert re.search(message, result.stderr), result.stderr
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_an_old_video_is_replaced_when_told(run: Run) -> None:
    Path("x.mp4").write_bytes(b"old")
    result = run("--out", "x.mp4", "--overwrite")
    assert result.exit_code == 0, result.output
    assert Path("x.mp4").stat().st_size > 3


def test_a_dry_run_prints_what_would_be_run_and_writes_nothing(run: Run) -> None:
    before = sorted(Path().iterdir())
    result = run("--out", "x y.mp4", "--dry-run")
    assert result.exit_code == 0, result.output
    assert sorted(Path().iterdir()) == before
    words = shlex.split(result.stdout.splitlines()[-1])
    assert words == [
        "PYTHONUNBUFFERED=1",
        sys.executable,
        str(Path("makes.py").absolute()),
        str(Path("x y.mp4").absolute()),
        "0",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--out", "x.mp4", "--size", "10*10"], "allowed"), (["--out", "gone/x.mp4"], "no folder")],
)
def test_a_dry_run_refuses_what_a_run_refuses(words: list[str], message: str, run: Run) -> None:
    result = run(*words, "--dry-run")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_fault_in_a_generator_is_not_taken_for_an_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pipeline.adapters.precomputed import Precomputed

    def broken(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Precomputed, "__init__", broken)
    result = CliRunner().invoke(
        main, ["generate", "--generator", "precomputed", "--out", str(tmp_path / "x.mp4")]
    )
    assert isinstance(result.exception, ValueError)
    assert result.exit_code == 1


def test_every_parameter_of_a_request_is_an_option() -> None:
    from pipeline.request import GenerationRequest

    flags = {flag.removeprefix("--") for option in generate.params for flag in option.opts}
    assert set(GenerationRequest.model_fields) - {"options"} <= flags
    types = {"sample_steps": "integer", "fps": "float", "size": "text", "offload_model": "boolean"}
    assert {option.name: option.type.name for option in generate.params if option.name in types} == types


@pytest.mark.usefixtures("run")
def test_a_terminal_sees_a_bar(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, theirs = pty.openpty()
    words = [
        sys.executable,
        "-c",
        "from evalkit.cli import main; main()",
        "generate",
        "--generator",
        "command",
    ]
    process = subprocess.Popen(
        [*words, "--settings", "settings.yaml", "--option", "status=0", "--out", "x.mp4"],
        stderr=theirs,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    stdout, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert "━" in seen.decode()
    assert stdout.decode().splitlines()[-1] == "x.mp4"


@pytest.mark.usefixtures("run")
def test_text_is_spoken_from_the_command_line(tmp_path: Path) -> None:
    listens = "import shutil, sys; shutil.copyfile(sys.argv[2], 'heard.wav'); sys.argv[2:] = []\n" + MAKES
    Path("makes.py").write_text(listens.replace("if len", "if 0 and len"))
    argv = [sys.executable, str(tmp_path / "makes.py"), "{out}", "{audio}"]
    Path("settings.yaml").write_text(yaml.safe_dump({"argv": argv}))
    words = ["generate", "--generator", "command", "--settings", "settings.yaml", "--out", "x.mp4"]
    result = CliRunner().invoke(main, [*words, "--text", "你好", "--language", "cmn"])
    assert result.exit_code == 1  # the stand-in makes no sound, which is told
    assert "no sound, and sound was asked for" in result.stderr
    with wave.open("heard.wav") as file:
        assert file.getnframes() > 5000


def test_one_clip_is_told_in_the_singular(run: Run) -> None:
    settings = yaml.safe_load(Path("settings.yaml").read_text("utf-8"))
    Path("settings.yaml").write_text(yaml.safe_dump({**settings, "events": {"clip": "^clip 0"}}))
    result = run("--out", "x.mp4")
    assert result.exit_code == 0, result.output
    assert " in 1 clip;" in result.stdout
