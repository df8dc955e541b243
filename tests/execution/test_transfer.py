"""Files that are carried: whole, checked, and only where they belong."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.execution.jobs import (
    GenerateJob,
    GenerateResult,
    GeneratorSpec,
    InputFile,
    JobFailure,
    MeasureJob,
    MeasureResult,
    Slot,
    Stage,
)
from evalkit.execution.transfer import (
    Piece,
    TransferError,
    Unpacker,
    move_job,
    move_result,
    pack,
    place_inputs,
)
from evalkit.types import ClipIntent
from pipeline.phonemes import Phoneme


@given(content=st.binary(max_size=300), piece_bytes=st.integers(1, 64))
def test_a_file_arrives_as_it_was_sent(
    content: bytes, piece_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    (here / "a").mkdir()
    (here / "a" / "b.bin").write_bytes(content)
    unpacker = Unpacker(there)
    whole = [
        unpacker.write(Piece(**json.loads(json.dumps(asdict(piece)))))
        for piece in pack(here, ["a/b.bin"], piece_bytes)
    ]
    assert whole == [False] * (len(whole) - 1) + [True]
    assert (there / "a" / "b.bin").read_bytes() == content
    assert [path.name for path in (there / "a").iterdir()] == ["b.bin"]


def test_half_a_file_has_no_name_and_is_removed(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "here" / "a").write_bytes(b"12345678")
    unpacker = Unpacker(tmp_path / "there")
    first, second = pack(tmp_path / "here", ["a"], 4)
    with pytest.raises(TransferError, match="a piece begins at byte 4, and 0 bytes are there"):
        unpacker.write(second)
    unpacker.write(first)
    assert not (tmp_path / "there" / "a").exists()
    with pytest.raises(TransferError, match="a is not what was sent: its SHA-256 differs"):
        unpacker.write(replace(second, data="AAAA"))
    unpacker.write(first)
    unpacker.close()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_file_that_was_given_up_half_way_is_sent_anew(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "here" / "a").write_bytes(b"12345678")
    unpacker = Unpacker(tmp_path / "there")
    unpacker.write(next(pack(tmp_path / "here", ["a"], 4)))
    assert [unpacker.write(piece) for piece in pack(tmp_path / "here", ["a"], 4)] == [False, True]
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["a"]
    assert (tmp_path / "there" / "a").read_bytes() == b"12345678"


def test_a_file_that_becomes_shorter_on_its_way_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    pieces = pack(tmp_path, ["a"], 1 << 18)
    next(pieces)
    os.truncate(tmp_path / "a", 1 << 18)
    with pytest.raises(OSError, match="became shorter while it was read"):
        list(itertools.islice(pieces, 9))


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", ""])
def test_a_name_that_leads_out_of_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="outside of its folder"):
        Unpacker(tmp_path).write(Piece(name, 0, ""))


def test_a_job_is_moved_with_its_files_and_its_result_moved_back() -> None:
    files = (InputFile("/here/a.png", "aa"), InputFile("/here/a.wav", "bb"))
    places = place_inputs(files, "/there")
    assert places == {"/here/a.png": "/there/aa/a.png", "/here/a.wav": "/there/bb/a.wav"}
    request = {"image": "/here/a.png", "options": {"pads": [1, "/here/a.wav"]}, "prompt": "/here"}
    job = GenerateJob(
        "1", Slot("s"), GeneratorSpec("g", {}), request, "/here/out", files, ({"image": "/here/a.png"},)
    )
    moved = move_job(job, places, "/there/out")
    assert moved.request == {
        "image": "/there/aa/a.png",
        "options": {"pads": [1, "/there/bb/a.wav"]},
        "prompt": "/here",
    }
    assert moved.upcoming == ({"image": "/there/aa/a.png"},)
    assert (moved.folder, [file.path for file in moved.files]) == ("/there/out", list(places.values()))
    result = GenerateResult({"request": moved.request}, [], None, 1.0, {})
    assert move_result(result, places) == replace(result, generation={"request": request})
    failure = JobFailure(Stage.LOAD, "refused", f"{places['/here/a.png']} is no picture")
    assert move_result(failure, places) == replace(failure, text="/here/a.png is no picture")


def test_a_measurement_is_moved_with_its_video_its_sound_and_its_settings() -> None:
    files = (
        InputFile("/here/video.mp4", "aa"),
        InputFile("/here/sound.wav", "cc"),
        InputFile("/here/brand.yaml", "bb", "group/art/brand.yaml"),
    )
    settings = {"brand": {"file": "/here/brand.yaml"}}
    job = MeasureJob(
        "1",
        Slot("s"),
        "/here/video.mp4",
        {"brand": "1"},
        settings,
        ClipIntent("Pop.", "en", phonemes=(Phoneme("p", 0.0, 0.1), Phoneme("ɒ", 0.1, 0.2))),
        "/here",
        files,
        audio="/here/sound.wav",
    )
    assert MeasureJob.from_dict(json.loads(json.dumps(job.to_dict()))) == job
    places = place_inputs(files, "/there")
    moved = move_job(job, places, "/there/out")
    assert moved.intent == job.intent
    assert (moved.video, moved.audio) == ("/there/aa/video.mp4", "/there/cc/sound.wav")
    assert moved.settings == {"brand": {"file": "/there/group/art/brand.yaml"}}
    error = {"code": "altered", "text": "/there/aa/video.mp4 is not the video that was made"}
    result = MeasureResult((), error, 1.0, {})
    text = "/here/video.mp4 is not the video that was made"
    assert move_result(result, places) == replace(result, error={"code": "altered", "text": text})
