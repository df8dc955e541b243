"""Finding the finished video that was made with the parameters asked for, and no other."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.adapters.precomputed import Precomputed
from pipeline.errors import GenerationError, RequestError

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """\
video,size,sample_steps,sample_guide_scale,enable_online_decode,audio,options.gpus
clips/a.mp4,384*256,4,0,false,speech.wav,1
clips/b.mp4,384*256,3,0,false,speech.wav,1
clips/c.mp4,688*368,4,2.5,true,speech.wav,
"""


@pytest.fixture
def shelf(tmp_path: Path, video: Path) -> Path:
    """Give a folder with a table and its videos."""
    folder = tmp_path / "shelf"
    (folder / "clips").mkdir(parents=True)
    (folder / "table.csv").write_text(TABLE, "utf-8")
    for name in "abc":
        shutil.copyfile(video, folder / "clips" / f"{name}.mp4")
        with (folder / "clips" / f"{name}.mp4").open("ab") as file:
            file.write(bytes([0, 0, 0, 9]) + b"free" + name.encode())  # an MP4 box that players skip
    return folder


def ask(**parameters: Any) -> dict[str, Any]:
    return {"audio": "speech.wav", "options": {"gpus": 1}, **parameters}


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        (ask(), "a.mp4"),
        (ask(sample_steps=3), "b.mp4"),
        (ask(size="688*368", sample_guide_scale=2.5, enable_online_decode=True, options={}), "c.mp4"),
    ],
)
def test_the_video_that_fits_is_copied(
    parameters: dict[str, Any], name: str, shelf: Path, tmp_path: Path
) -> None:
    generator = Precomputed(table=str(shelf / "table.csv"))
    out = tmp_path / "out.mp4"
    with generator:
        result = generator.generate(generator.request(**parameters), out)
    assert out.read_bytes() == (shelf / "clips" / name).read_bytes()
    assert (result.width, result.n_frames, result.video) == (64, 30, str(out))
    assert [event.name for event in result.events] == ["saved"]  # nothing was generated, so nothing is timed
    assert result.events[0].detail == {"copied_from": str(shelf / "clips" / name)}
    assert (
        generator.dry_run(generator.request(**parameters), out).text()
        == f"# copies {shelf / 'clips' / name} to {out}"
    )


def test_a_request_means_the_same_after_a_round_trip(shelf: Path) -> None:
    generator = Precomputed(table=str(shelf / "table.csv"))
    request = generator.request(**ask(sample_steps=3))
    generator.check(type(request).from_dict(request.to_dict()))


def test_a_file_is_the_same_by_any_name(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf / "clips")
    generator = Precomputed(table="../table.csv")
    for name in ("../speech.wav", str(shelf / "speech.wav")):
        generator.check(generator.request(**ask(audio=name)))


@pytest.mark.parametrize(
    ("parameters", "lines"),
    [
        (ask(sample_steps=2), ["a.mp4: sample_steps 4 (asked 2)", "b.mp4: sample_steps 3 (asked 2)"]),
        (ask(prompt="a smile"), ["a.mp4: nothing is stated of prompt (asked 'a smile')"]),
        (ask(options={}), ["a.mp4: options.gpus 1 (asked None)"]),
        (ask(options={"gpus": 1, "x": 2}), ["a.mp4: nothing is stated of options.x (asked 2)"]),
        (ask(audio="other.wav"), ["a.mp4: audio 'speech.wav' (asked 'other.wav')"]),
    ],
)
def test_where_none_fits_the_nearest_are_told(
    parameters: dict[str, Any], lines: list[str], shelf: Path, tmp_path: Path
) -> None:
    generator = Precomputed(table=str(shelf / "table.csv"))
    with pytest.raises(RequestError, match="none of its 3 videos") as caught:
        generator.generate(generator.request(**parameters), tmp_path / "out.mp4")
    assert [line.strip() for line in str(caught.value).splitlines()[1:]][: len(lines)] == lines
    assert not (tmp_path / "out.mp4").exists()


def test_two_that_fit_are_one_too_many(shelf: Path) -> None:
    (shelf / "table.csv").write_text("video,size\na.mp4,384*256\nb.mp4,384*256\n")
    generator = Precomputed(table=str(shelf / "table.csv"))
    with pytest.raises(
        RequestError, match=r"2 videos .* nothing stated distinguishes them: .*a\.mp4, .*b\.mp4"
    ):
        generator.check(generator.request())


def test_a_video_that_is_gone(shelf: Path) -> None:
    (shelf / "clips" / "a.mp4").unlink()
    generator = Precomputed(table=str(shelf / "table.csv"))
    with pytest.raises(RequestError, match=r"a\.mp4: .*names this video, and there is no such file"):
        generator.check(generator.request(**ask()))


def test_a_video_that_is_broken_replaces_nothing(shelf: Path, tmp_path: Path) -> None:
    (shelf / "clips" / "a.mp4").write_bytes(b"half")
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    generator = Precomputed(table=str(shelf / "table.csv"))
    with pytest.raises(GenerationError, match="is not a whole video"):
        generator.generate(generator.request(**ask()), out)
    assert out.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no column 'video'"),
        ("size,sample_steps\n384*256,4\n", "has no column 'video'; it has: size, sample_steps"),
        ("video,size\n", "there are no videos in it"),
        (
            "video,sampel_steps\na.mp4,4\n",
            r"table\.csv line 2: there is no parameter 'sampel_steps'; did you mean 'sample_steps'",
        ),
        (
            "video,sample_steps\na.mp4,4\nb.mp4,many\n",
            r"table\.csv line 3: sample_steps is 'many'; allowed: a whole number",
        ),
        ("video,sample_steps\na.mp4,0\n", "line 2: sample_steps"),
        ("video,size\na.mp4,384*256,9\n", "line 2 has more cells"),
        ("video,size\n,384*256\n", "line 2 names no video"),
        ("video,size,sample_steps\na.mp4,384*256\n", "line 2 has fewer cells"),
    ],
)
def test_a_table_that_cannot_be_used(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(RequestError, match=message):
        Precomputed(table=str(tmp_path / "table.csv"))


def write_note(folder: Path, name: str, data: object) -> None:
    (folder / f"{name}.json").write_text(data if isinstance(data, str) else json.dumps(data))


def test_a_folder_tells_videos_apart_by_their_notes(shelf: Path, tmp_path: Path) -> None:
    folder = shelf / "clips"
    write_note(folder, "a.mp4", {"sample_steps": 4, "options": {"gpus": 4}})
    write_note(folder, "b.mp4", {"request": {"sample_steps": 3}, "generator": "g"})
    write_note(folder, "c.mp4", {"sample_steps": 2, "prompt": "calm"})
    generator = Precomputed(folder=str(folder))
    result = generator.generate(generator.request(sample_steps=2, prompt="calm"), tmp_path / "out.mp4")
    assert result.events[0].detail == {"copied_from": str(folder / "c.mp4")}
    generator.check(generator.request(options={"gpus": 4}))
    assert set(generator.describe().parameters) == {"sample_steps", "prompt"}
    assert generator.describe().options == {"type": "object", "properties": {"gpus": {}}}


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (None, r"a\.mp4 has no a\.mp4\.json beside it"),
        ("{", r"a\.mp4\.json does not say how"),
        ("[]", r"a\.mp4\.json does not say how"),
        ({"steps": 4}, "no parameter 'steps'"),
        ({"request": {"sample_steps": "4"}}, "sample_steps is '4'"),
        ({"request": 5}, r"a\.mp4\.json does not say how"),
    ],
)
def test_a_video_of_which_nothing_is_known(note: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    if note is not None:
        write_note(tmp_path, "a.mp4", note)
    with pytest.raises(RequestError, match=message):
        Precomputed(folder=str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give the setting folder or the setting table"),
        ({"folder": "a", "table": "b"}, "one of them"),
        ({"folder": "gone"}, "folder 'gone': there is no such folder"),
        ({"table": "gone.csv"}, "table 'gone.csv': there is no such file"),
        ({"path": "a"}, "no setting 'path'"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Precomputed(**settings)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there are no videos in it"):
        Precomputed(folder=str(tmp_path))


def test_an_answer_that_was_made_is_found_by_its_question(tmp_path: Path, video: Path) -> None:
    for name, request in (
        ("a", {"question": "When do you open?"}),
        ("b", {"question_audio": "sounds/ask.wav"}),
    ):
        shutil.copyfile(video, tmp_path / f"{name}.mp4")
        (tmp_path / f"{name}.mp4.json").write_text(json.dumps({"request": request}), "utf-8")
    generator = Precomputed(folder=str(tmp_path))
    for parameters, name in (
        ({"question": "When do you open?"}, "a"),
        ({"question_audio": str(tmp_path / "sounds/ask.wav")}, "b"),
    ):
        assert (
            f"{name}.mp4 to" in generator.dry_run(generator.request(**parameters), tmp_path / "x.mp4").text()
        )
    with pytest.raises(RequestError, match="question"):
        generator.check(generator.request(question="Why?"))
