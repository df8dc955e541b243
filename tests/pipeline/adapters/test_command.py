"""The command driver with stand-in programs, good and bad ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml
from PIL import Image
from skimage import data

from pipeline.adapters.command.generator import Command
from pipeline.errors import GenerationError, RequestError

if TYPE_CHECKING:
    from pipeline.events import Event
    from tests.pipeline.conftest import Program

OLD = b"the video of yesterday"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder / "out.mp4"


def copies(video: Path, before: str = "") -> str:
    """Give the lines of a program that copies a finished video to its first argument."""
    return f"import shutil\n{before}\nshutil.copyfile({str(video)!r}, sys.argv[1])"


# --- what goes well


def test_a_video_is_made_verified_and_described(
    program: Program, video: Path, spoken: Path, out: Path
) -> None:
    lines = "print('models ready', flush=True)\nfor k in range(3): print(f'clip {k + 1}/3 took {0.5 * k:g} s', flush=True)\nprint('first picture', file=sys.stderr, flush=True)"
    told: list[Event] = []
    command = Command(
        argv=[*program(copies(video, lines)), "{out}", "{audio}"],
        events={
            "loaded": "models ready",
            "clip": r"clip (?P<number>\d+)/3 took (?P<seconds>\S+)",
            "first_frame": "first picture",
        },
        version="7",
    )
    with command:
        result = command.generate(command.request(audio=spoken), out, told.append)
    assert out.read_bytes() == video.read_bytes()
    assert list(out.parent.iterdir()) == [out]
    assert (result.generator, result.version, result.video) == ("command", "7", str(out))
    assert (result.width, result.height, result.n_frames, result.n_clips) == (64, 64, 30, 3)
    assert result.fps == pytest.approx(25)
    names = [event.name for event in result.events]
    assert names == ["speech", "loaded", "clip", "clip", "clip", "first_frame", "saved"]
    assert result.events[3].detail == {"index": 1, "number": "2", "seconds": "0.5"}
    assert [event.time_s for event in told] == sorted(event.time_s for event in told)
    assert tuple(told) == result.events


def test_a_first_frame_that_nobody_told_of_is_there_only_at_the_end(
    program: Program, video: Path, out: Path
) -> None:
    command = Command(argv=[*program(copies(video)), "{out}"])
    result = command.generate(command.request(), out)
    assert [(event.name, event.detail) for event in result.events] == [
        ("first_frame", {"at_end": True}),
        ("saved", {}),
    ]
    assert result.n_clips is None  # nothing tells


def test_every_parameter_reaches_the_program(
    program: Program, video: Path, spoken: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spoken.parent)
    echo = "print(*sys.argv[2:], os.environ['VISIBLE'], sep='|')"
    seen: list[str] = []
    command = Command(
        argv=[
            *program(copies(video, echo)),
            "{out}",
            "{size}",
            "{width}x{height}",
            "{num_clip}",
            "{fps}",
            "{offload_model}",
            "{prompt}",
            {"when": "enable_online_decode", "args": ["--online"]},
            {"when": "image", "args": ["--image", "{image}"]},
            {"when": "audio", "args": ["--audio", "{audio}"]},
            "gpus={gpus}",
        ],
        environment={"VISIBLE": "cards of {gpus}"},
        events={"echo": r"(?P<line>.*\|.*)"},
    )
    parameters: dict[str, Any] = {
        "size": "688*368",
        "audio": spoken.name,
        "prompt": "a $HOME; 'quoted' | {braces}",
        "enable_online_decode": True,
        "options": {"gpus": 4},
    }
    result = command.generate(
        command.request(**parameters), out, lambda event: seen.append(str(event.detail.get("line")))
    )
    assert seen[1].split("|") == [
        "688*368",
        "688x368",
        "2",  # 2 s at 25 fps: 50 frames, 48 a clip
        "25",
        "False",
        "a $HOME; 'quoted' ",
        " {braces}",
        "--online",
        "--audio",
        str(spoken),
        "gpus=4",
        "cards of 4",
    ]
    assert result.request.options == {"gpus": 4}
    assert result.events[0].detail == {"duration_s": 2.0, "n_clips": 2}


def test_text_is_spoken_for_programs_that_take_sound(program: Program, video: Path, out: Path) -> None:
    check = "import wave\nprint('heard', wave.open(sys.argv[2]).getnframes() > 5000)"
    command = Command(
        argv=[*program(copies(video, check)), "{out}", "{audio}"], events={"heard": "heard (?P<it>.*)"}
    )
    result = command.generate(command.request(text="Good morning"), out)
    assert [event.detail["it"] for event in result.events if event.name == "heard"] == ["True"]
    assert result.versions == {"espeak-ng": "1.52.0"}
    assert list(out.parent.iterdir()) == [out]


def test_text_is_given_as_it_is_to_programs_that_speak(program: Program, video: Path, out: Path) -> None:
    command = Command(
        argv=[*program(copies(video, "print('got', sys.argv[2])")), "{out}", "{text}"],
        events={"got": "got (?P<it>.*)"},
    )
    result = command.generate(command.request(text="日本"), out)
    assert result.events[0].detail["it"] == "日本"


def test_a_program_may_choose_its_own_file(program: Program, video: Path, out: Path, tmp_path: Path) -> None:
    body = f"import shutil\nshutil.copyfile({str(video)!r}, 'own.mp4')\nprint('result is save to own.mp4')"
    command = Command(argv=program(body), saved_path="save to (?P<path>.+)", folder=str(tmp_path))
    command.generate(command.request(), out)
    assert out.read_bytes() == video.read_bytes()
    assert (tmp_path / "own.mp4").exists()


@pytest.mark.parametrize("parameters", [{}, {"text": "Hi"}])
def test_arguments_that_are_optional_are_left_out(
    parameters: dict[str, str], program: Program, video: Path, out: Path
) -> None:
    optional = {"when": "audio", "args": ["--audio", "{audio}"]}
    command = Command(
        argv=[*program(copies(video, "print(len(sys.argv), 'words')")), "{out}", optional],
        events={"count": r"(?P<it>\d+) words"},
    )
    result = command.generate(command.request(**parameters), out)
    counts = [event.detail["it"] for event in result.events if event.name == "count"]
    assert counts == ["4" if parameters else "2"]


def test_an_old_video_is_replaced_only_by_a_whole_new_one(program: Program, video: Path, out: Path) -> None:
    out.write_bytes(OLD)
    looks = f"print('still' if open({str(out)!r}, 'rb').read() == {OLD!r} else 'gone')"
    command = Command(argv=[*program(copies(video, looks)), "{out}"], events={"still": "still"})
    result = command.generate(command.request(), out)
    assert result.time_of("still") is not None
    assert out.read_bytes() == video.read_bytes()


def test_a_folder_of_its_own_with_copies_and_files(
    program: Program, video: Path, spoken: Path, out: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "an odd.name: #1.WAV"
    odd.write_bytes(spoken.read_bytes())
    body = (
        "import shutil\nprint('here', sorted(os.listdir('.')), os.getcwd())\n"
        "print('file', open('deep/config.yaml').read())\nprint('words', sys.argv[1:])\n"
        f"os.mkdir('made')\nshutil.copyfile({str(video)!r}, 'made/by 3.mp4')"
    )
    command = Command(
        argv=[*program(body), "{audio}", "{pads}", {"when": "shift", "args": ["--shift", "{shift}"]}],
        folder="{work}",
        copies={"audio": "speech"},
        files={
            "deep/config.yaml": {"task": {"audio": "{audio}", "steps": [1, "{sample_steps}"], "on": True}}
        },
        output="made/by {sample_steps}.mp4",
        events={
            "here": r"here (?P<files>\[.*\]) (?P<work>.*)",
            "file": "file (?P<text>.*)",
            "words": "words (?P<it>.*)",
        },
    )
    options: dict[str, Any] = {"pads": [0, 20], "shift": 0}
    result = command.generate(command.request(audio=odd, sample_steps=3, options=options), out)
    told = {event.name: event.detail for event in result.events}
    assert told["here"]["files"] == "['deep', 'speech.wav']"
    assert yaml.safe_load(str(told["file"]["text"])) == {
        "task": {"audio": "speech.wav", "steps": [1, "3"], "on": True}
    }
    assert told["words"]["it"] == "['speech.wav', '0', '20', '--shift', '0']"
    assert not Path(str(told["here"]["work"])).exists()
    assert out.read_bytes() == video.read_bytes()
    steps = command.dry_run(command.request(audio=odd, sample_steps=3, options=options), out).steps
    assert f"copies {odd} to " in steps[2]
    assert steps[3].startswith('writes {"task": {"audio": "speech.wav"')


def test_copies_keep_their_whole_path_elsewhere(
    program: Program, video: Path, spoken: Path, out: Path, tmp_path: Path
) -> None:
    body = f"import shutil\nprint('got', sys.argv[1:])\nshutil.copyfile({str(video)!r}, sys.argv[2])"
    command = Command(
        argv=[*program(body), "{audio}", "{work}/x.mp4"],
        folder=str(tmp_path),
        copies={"audio": "speech"},
        output="{work}/x.mp4",
        events={"got": r"got \['(?P<audio>.*)', '(?P<place>.*)/x.mp4'\]"},
    )
    detail = command.generate(command.request(audio=spoken), out).events[1].detail
    assert detail["audio"] == f"{detail['place']}/speech.wav"


# --- what goes wrong while it runs

BAD_PROGRAMS = {
    "crashes": ("raise MemoryError('not enough of it')", "exit status 1.*not enough of it", "crashed"),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", "ended by signal 9", "crashed"),
    "dies of a fault": ("os.abort()", "ended by signal 6", "crashed"),
    "hangs": (
        "print('working', flush=True)\ntime.sleep(600)",
        "did not end within.*\n  working",
        "timed_out",
    ),
    "hangs with half a file": (
        "open(sys.argv[1], 'wb').write(VIDEO[:len(VIDEO) // 2])\ntime.sleep(600)",
        "did not end within",
        "timed_out",
    ),
    "writes nothing": ("print('done')", "without an error, but .* was not written.*\n  done", "no_output"),
    "writes an empty file": ("open(sys.argv[1], 'wb')", "is empty", "no_output"),
    "writes half a file": (
        "open(sys.argv[1], 'wb').write(VIDEO[:len(VIDEO) // 2])",
        "not a whole video",
        "bad_output",
    ),
    "writes words": ("open(sys.argv[1], 'w').write('sorry ' * 99)", "not a whole video", "bad_output"),
    "makes a folder": ("os.mkdir(sys.argv[1])", "was not written", "no_output"),
    "removes its folder": (
        "import shutil\nshutil.rmtree(os.path.dirname(sys.argv[1]))",
        "was not written",
        "no_output",
    ),
    "forgets the sound": (
        "open(sys.argv[1], 'wb').write(SILENT)",
        "no sound, and sound was asked",
        "bad_output",
    ),
    "prints garbage": (r"os.write(2, bytes(range(256)) * 9)", "was not written", "no_output"),
    "runs out of memory": (
        "print('torch.OutOfMemoryError: CUDA out of memory.')\nsys.exit(1)",
        "exit status 1",
        "out_of_memory",
    ),
    "swallows its error": ("print('save_video failed, error: x')", "was not written", "save_failed"),
    "fails and leaves a whole video": (
        "open(sys.argv[1], 'wb').write(VIDEO)\nsys.exit(2)",
        "status 2",
        "crashed",
    ),
    "leaves a child": (
        (
            "open(sys.argv[1], 'wb').write(VIDEO)\n"
            "subprocess.Popen([sys.executable, '-S', '-E', '-c', 'import time; time.sleep(600)'], start_new_session=True)"
        ),
        "left processes running",
        "left_processes",
    ),
}


@pytest.mark.parametrize(("body", "message", "kind"), BAD_PROGRAMS.values(), ids=BAD_PROGRAMS)
def test_a_bad_program_ends_in_a_clear_error_and_nothing_else(
    *,
    body: str,
    message: str,
    kind: str,
    program: Program,
    video: Path,
    silent_film: Path,
    spoken: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pipeline.adapters.command import generator as module

    run = module.run_program
    monkeypatch.setattr(module, "run_program", lambda *args, **more: run(*args, **more, grace_s=0.2))
    out.write_bytes(OLD)
    given = f"VIDEO = open({str(video)!r}, 'rb').read()\nSILENT = open({str(silent_film)!r}, 'rb').read()\n"
    mark = f"STAND_IN_{os.getpid()}_{out.parent.parent.name}"
    command = Command(
        argv=[*program(given + body), "{out}", "{audio}"],
        time_limit_s=5.0 if "600" in body and "Popen" not in body else 60,
        failures={"out_of_memory": "out of memory", "save_failed": "save_video failed"},
        environment={mark: "1"},
    )
    with pytest.raises(GenerationError, match=f"(?s){message}") as caught:
        command.generate(command.request(audio=spoken), out)
    assert caught.value.kind == kind
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]
    assert out.read_bytes() == OLD
    assert [process.pid for process in psutil.process_iter() if mark in environment_of(process)] == []


def environment_of(process: psutil.Process) -> dict[str, str]:
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except psutil.Error:
        return {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('all fine')", "never said where it saved"),
        ("print('saved to gone.mp4')", "the file it said it saved, .*gone.mp4, is not there"),
    ],
)
def test_a_file_that_was_announced_and_is_not_there(
    body: str, message: str, program: Program, out: Path
) -> None:
    command = Command(argv=program(body), saved_path="saved to (?P<path>.+)")
    with pytest.raises(GenerationError, match=message):
        command.generate(command.request(), out)
    assert not out.exists()


@pytest.mark.parametrize("told", [True, False], ids=["saved_path", "output"])
def test_a_video_of_an_earlier_run_is_never_taken_for_this_one(
    *, told: bool, program: Program, video: Path, out: Path, tmp_path: Path
) -> None:
    earlier = tmp_path / "result.mp4"
    earlier.write_bytes(video.read_bytes())
    os.utime(earlier, (1.7e9, 1.7e9))
    where = {"saved_path": "saved (?P<path>.+)"} if told else {"output": str(earlier)}
    failing = Command(argv=program(f"print('saved {earlier}')"), **where)
    with pytest.raises(
        GenerationError, match=r"is an earlier one: written 2023-11-14 .*before the program started"
    ) as no:
        failing.generate(failing.request(), out)
    assert no.value.kind == "no_output"
    assert not out.exists()
    again = f"import shutil\nshutil.copyfile({str(video)!r}, {str(earlier)!r})\nprint('saved {earlier}')"
    working = Command(argv=program(again), **where)
    assert working.generate(working.request(), out).n_frames == 30


def test_a_fixed_place_that_was_written_a_moment_ago_is_an_earlier_one_too(
    program: Program, video: Path, out: Path, tmp_path: Path
) -> None:
    earlier = tmp_path / "result.mp4"
    earlier.write_bytes(video.read_bytes())
    command = Command(argv=program("print('done')"), output=str(earlier))
    with pytest.raises(GenerationError, match="is an earlier one"):
        command.generate(command.request(), out)


def test_a_program_that_tries_for_ever_is_ended_at_its_second_try(program: Program, out: Path) -> None:
    body = "print('loading')\nwhile True:\n    print('no memory, sleeping', flush=True)\n    time.sleep(0.05)"
    command = Command(
        argv=[*program(body), "{out}"], endless={"out_of_memory": "^no memory"}, failures={}, time_limit_s=60
    )
    with pytest.raises(
        GenerationError, match=r"for ever, .* said a second time: no memory, sleeping"
    ) as caught:
        command.generate(command.request(), out)
    assert caught.value.kind == "out_of_memory"


def test_one_try_more_is_no_endless_one(program: Program, video: Path, out: Path) -> None:
    body = copies(video, "print('no memory, sleeping', flush=True)")
    command = Command(argv=[*program(body), "{out}"], endless={"out_of_memory": "^no memory"})
    assert command.generate(command.request(), out).n_frames == 30


@pytest.mark.parametrize(("tolerance_s", "fits"), [(0.7, False), (0.9, True), (None, True)])
def test_a_video_must_last_as_long_as_its_sound_where_that_is_said(
    *, tolerance_s: float | None, fits: bool, program: Program, video: Path, spoken: Path, out: Path
) -> None:
    command = Command(argv=[*program(copies(video)), "{out}", "{audio}"], length_tolerance_s=tolerance_s)
    request = command.request(audio=spoken)  # 2 s; the video lasts 1.2 s
    if fits:
        assert command.generate(request, out).duration_s == pytest.approx(1.2)
    else:
        with pytest.raises(
            GenerationError, match=r"lasts 1\.20 s where 2\.00 s belong to this sound"
        ) as caught:
            command.generate(request, out)
        assert caught.value.kind == "bad_output"


# --- what is refused before it runs


def test_an_image_must_show_a_face_where_that_is_said(
    program: Program, video: Path, out: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    argv = [*program(copies(video, f"open({str(ran)!r}, 'w')")), "{out}", "{image}"]
    for name, picture in (("face.png", data.astronaut()), ("cup.png", data.coffee())):
        Image.fromarray(picture).save(tmp_path / name)
    command = Command(argv=argv, needs_face=True)
    for image in (tmp_path / "cup.png", video):
        request = command.request(image=image)
        for attempt in (command.check, lambda asked: command.generate(asked, out)):
            with pytest.raises(RequestError, match="no face found") as refusal:
                attempt(request)
            assert refusal.value.kind == "no_face"
    assert not ran.exists()
    command.generate(command.request(image=tmp_path / "face.png"), out)
    careless = Command(argv=argv)
    careless.generate(careless.request(image=tmp_path / "cup.png"), out)


def test_a_copy_can_be_made_even(program: Program, video: Path, out: Path, tmp_path: Path) -> None:
    body = "from PIL import Image\nprint('got', sys.argv[2], Image.open(sys.argv[2]).size)"
    argv = [str(Path(sys.executable)), program(copies(video, body))[-1], "{out}", "{image}"]
    command = Command(
        argv=argv, copies={"image": "face"}, even_sides=True, events={"got": r"got \S*/(?P<it>.*)"}
    )
    for size, seen in (((65, 64), "face.png (64, 64)"), ((64, 66), "face.jpg (64, 66)")):
        path = tmp_path / "picture.jpg"
        Image.new("RGB", size).save(path)
        result = command.generate(command.request(image=path), out)
        assert next(event.detail["it"] for event in result.events if event.name == "got") == seen


def test_an_option_that_is_a_path_can_be_copied(
    program: Program, video: Path, out: Path, tmp_path: Path
) -> None:
    given = tmp_path / "my poses.MOV"
    given.write_text("poses")
    command = Command(
        argv=[
            *program(copies(video, "print('got', open(sys.argv[3]).read(), sys.argv[3])")),
            "{out}",
            "--pose",
            "{pose}",
        ],
        copies={"pose": "pose"},
        events={"got": r"got (?P<it>.*)"},
    )
    result = command.generate(command.request(options={"pose": str(given)}), out)
    assert str(result.events[0].detail["it"]).startswith("poses ")
    assert str(result.events[0].detail["it"]).endswith("/pose.mov")
    with pytest.raises(RequestError, match=r"option pose is 'gone\.mov': there is no such file"):
        command.check(command.request(options={"pose": "gone.mov"}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "argv is missing"),
        ({"argv": []}, r"argv is \[\]; allowed: a list"),
        ({"argv": "ffmpeg {out}"}, "argv is 'ffmpeg {out}'; allowed: a list"),
        ({"argv": ["p"]}, "with {out}, or saved_path"),
        ({"argv": ["p", "{out}"], "saved_path": "(?P<path>.*)"}, "one of them"),
        ({"argv": ["p"], "saved_path": "saved (.*)"}, "needs a group"),
        ({"argv": ["p", "{out}"], "output": "x.mp4"}, "with {out}, or saved_path or output"),
        (
            {"argv": ["p", "{out}"], "copies": {"text": "words"}},
            r"copies .*allowed: image, audio, brand_mark or an option .*text is no file",
        ),
        ({"argv": ["p", "{out}", "{size"]}, "expected '}'"),
        ({"argv": ["p", "{out}"], "events": {"clip": "("}}, "events .* is|events is"),
        ({"argv": ["p", "{out}"], "events": {"Clip done": "x"}}, "events"),
        ({"argv": ["p", "{out}"], "failures": {"oom": "["}}, "failures is"),
        ({"argv": ["p", "{out}"], "endless": {"oom": "["}}, "endless is"),
        ({"argv": ["p", "{out}"], "even_sides": True}, "even_sides is about the copy of image"),
        ({"argv": ["p", "{out}"], "length_tolerance_s": 0}, "length_tolerance_s is 0; allowed: seconds"),
        ({"argv": ["p", "{out}"], "time_limit_s": 0}, "time_limit_s is 0; allowed: seconds, above 0"),
        ({"argv": ["p", "{out}"], "timelimit": 5}, "no setting 'timelimit'; did you mean 'time_limit_s'"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Command(**settings)


@pytest.mark.parametrize("name", ["HF_TOKEN", "DASHSCOPE_API_KEY", "password"])
def test_a_secret_among_the_settings_is_refused_unseen(name: str) -> None:
    with pytest.raises(RequestError, match=f"environment may not hold {name}: .*inherit it") as caught:
        Command(argv=["p", "{out}"], environment={name: "hf_abc123", "TOKENIZERS_PARALLELISM": "false"})
    assert "hf_abc123" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image": "gone.png"}, "image 'gone.png': there is no such file"),
        ({"audio": "gone.wav", "image": "FACE"}, "audio 'gone.wav': there is no such file"),
        ({"text": "你好", "image": "FACE"}, "written in CJK"),
        ({"image": "FACE"}, "the request has no audio"),
        ({"text": "Hi"}, r"needs \{image\}"),
        ({"text": "Hi", "image": "FACE", "sample_steps": 3}, "would never see it"),
        ({"text": "Hi", "image": "FACE", "options": {"gpu": 1}}, "no option 'gpu'"),
    ],
)
def test_a_request_it_cannot_carry_out(
    *, parameters: dict[str, Any], message: str, program: Program, video: Path, out: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    command = Command(argv=[*program(f"open({str(ran)!r}, 'w')"), "{out}", "{image}", "{audio}"])
    face = {"image": str(video)} if parameters.get("image") == "FACE" else {}
    request = command.request(**{**parameters, **face})
    with pytest.raises(RequestError, match=message):
        command.check(request)
    with pytest.raises(RequestError, match=message):
        command.dry_run(request, out)
    with pytest.raises(RequestError, match=message):
        command.generate(request, out)
    assert not ran.exists()
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("argv0", ["no-such-program", "./no-such-program", "/dev/null"])
def test_a_program_that_is_not_there(argv0: str) -> None:
    command = Command(argv=[argv0, "{out}"])
    with pytest.raises(RequestError, match="there is no such program, or it may not be run"):
        command.check(command.request())


def test_a_folder_that_is_not_there(program: Program) -> None:
    command = Command(argv=[*program(""), "{out}"], folder="gone")
    with pytest.raises(RequestError, match="folder 'gone': there is no such folder"):
        command.check(command.request())


def test_an_option_that_the_command_needs(program: Program) -> None:
    command = Command(argv=[*program(""), "{out}", "{gpus}"])
    with pytest.raises(RequestError, match=r"needs \{gpus\}, which is not a parameter: give it in options"):
        command.check(command.request())


# --- what would be run


def test_the_plan_pasted_into_a_shell_makes_the_same_video(
    program: Program, video: Path, spoken: Path, out: Path, tmp_path: Path
) -> None:
    argv = program(copies(video, "assert (sys.argv[2], os.environ['A']) == (\"it's 25 $x\", 'b c')"))
    command = Command(
        argv=[*argv, "{out}", "it's {fps} $x", "{audio}"], environment={"A": "b c"}, folder=str(tmp_path)
    )
    plan = command.dry_run(command.request(audio=spoken), out)
    assert not out.exists()
    subprocess.run(["/bin/sh", "-c", plan.text()], check=True)
    assert out.read_bytes() == video.read_bytes()


def test_the_plan_counts_the_clips_of_text_without_writing(program: Program, out: Path) -> None:
    command = Command(argv=[*program(""), "{out}", "{audio}", "{num_clip}"])
    plan = command.dry_run(command.request(text="one two three four five six seven eight nine ten"), out)
    assert plan.argv[-2:] == (str(out.with_suffix(".wav")), "2")  # about 3 s
    assert list(out.parent.iterdir()) == []


def test_it_says_what_reaches_the_program(program: Program) -> None:
    description = Command(argv=[*program(""), "{out}", "{size}", "{gpus}"]).describe()
    assert set(description.parameters) == {"size"}
    assert description.options == {"type": "object", "properties": {"gpus": {}}}
    assert "argv" in description.settings["properties"]  # type: ignore[operator]


# --- what would stop it


def test_the_doctor_looks_for_program_script_and_folder(tmp_path: Path) -> None:
    def levels(*argv: str, folder: Path | None = None, **settings: Any) -> dict[str, str]:
        command = Command(argv=[*argv, "{out}"], folder=folder and str(folder), **settings)
        return {finding.about: finding.level for finding in command.diagnose()}

    script = tmp_path / "run.py"
    assert levels(sys.executable, str(script)) == {"program": "fine", "script": "stop"}
    script.touch()
    assert levels(sys.executable, "run.py", folder=tmp_path) == dict.fromkeys(
        ("folder", "program", "script"), "fine"
    )
    assert levels("no-such-program", "--fast") == {"program": "stop"}
    assert levels("./run.py", folder=tmp_path)["program"] == "stop"  # it may not be run
    script.chmod(0o755)
    assert levels("./run.py", folder=tmp_path)["program"] == "fine"
    assert levels("run.py") == {"program": "stop"}
    assert levels("run.py", environment={"PATH": str(tmp_path)}) == {"program": "fine"}
    assert levels(sys.executable, folder=tmp_path / "gone")["folder"] == "stop"
    assert levels("{program}") == {}


def test_the_doctor_and_a_request_agree(tmp_path: Path) -> None:
    command = Command(argv=["no-such-program", "{out}"], folder=str(tmp_path))
    assert "no-such-program" in command.diagnose()[-1].found
    with pytest.raises(RequestError, match="no-such-program"):
        command.check(command.request())
