"""Findings, each held against the machine by other means than the check's own."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from pipeline.diagnosis import Diagnosis
from pipeline.diagnosis_checks import check_disk, check_folder, check_port, check_program
from pipeline.errors import RequestError


def test_a_trouble_without_a_cure_is_no_finding() -> None:
    with pytest.raises(RequestError, match="has a cure"):
        Diagnosis.read({"level": "stop", "about": "x", "found": "y"}, "field")


def test_what_is_fine_has_nothing_to_cure() -> None:
    with pytest.raises(RequestError, match="needs none"):
        Diagnosis.read({"level": "fine", "about": "x", "found": "y", "cure": "z"}, "field")


# --- folders


def test_a_folder_with_its_files_is_fine(tmp_path: Path) -> None:
    (tmp_path / "run.py").touch()
    assert check_folder("repository", tmp_path, ["run.py"], "clone it").level == "fine"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    finding = check_folder("repository", tmp_path / "gone", ["run.py"], "clone it")
    assert (finding.level, finding.cure) == ("stop", "clone it")
    assert "is not there" in finding.found


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in check_folder("repository", tmp_path / "file", [], "clone it").found


def test_a_file_that_the_folder_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    finding = check_folder("repository", tmp_path, ["a.py", "b.py"], "clone it")
    assert finding.level == "stop"
    assert "has no b.py" in finding.found


# --- ports, programs, disk


def test_a_port_that_somebody_has_and_then_gives_back() -> None:
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        port = listener.getsockname()[1]
        finding = check_port(port)
        assert finding.level == "stop"
        assert f"process {os.getpid()}" in finding.found
    assert check_port(port).level == "fine"


def test_a_program_is_found_where_the_system_finds_it() -> None:
    place = shutil.which("ffmpeg")
    finding = check_program("ffmpeg", "joins picture and sound", "install it")
    assert finding.level == ("stop" if place is None else "fine")
    assert place is None or place in finding.found


def test_a_program_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = check_program("ffmpeg", "joins picture and sound", "install it")
    assert (finding.level, finding.cure) == ("stop", "install it")


def test_a_program_that_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho 'error while loading shared libraries: libx264.so' >&2\nexit 127\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    finding = check_program("ffmpeg", "joins picture and sound", "install it")
    assert finding.level == "stop"
    assert "libx264.so" in finding.found


def write_ffmpeg(folder: Path, encoders: str) -> Path:
    """Write a program that answers as ffmpeg does."""
    folder.mkdir(exist_ok=True)
    script = folder / "ffmpeg"
    script.write_text(
        f"#!/bin/sh\ncase $* in *-encoders*) printf '{encoders}';; *) echo 'ffmpeg version 7';; esac\n"
    )
    script.chmod(0o755)
    return script


ENCODERS = "Encoders:\\n V..... = Video\\n ------\\n V....D mpeg4  MPEG-4\\n A....D aac  AAC\\n"


def test_an_ffmpeg_without_what_it_is_called_with(tmp_path: Path) -> None:
    place = write_ffmpeg(tmp_path / "bin", ENCODERS)
    path = {"PATH": f"{place.parent}{os.pathsep}{os.environ['PATH']}"}
    found = check_program(
        "ffmpeg", "it writes H.264", "get it", encoders=["aac", "libx264"], environment=path
    )
    assert found.level == "stop"
    assert f"{place} (ffmpeg version 7) was built without the encoder libx264; it writes H.264" in found.found
    assert "an ffmpeg with libx264" in found.cure
    fine = check_program("ffmpeg", "it writes H.264", "get it", encoders=["aac"], environment=path)
    assert (fine.level, fine.found) == ("fine", f"{place}: ffmpeg version 7")


def test_an_ffmpeg_that_lists_nothing_is_not_judged(tmp_path: Path) -> None:
    place = write_ffmpeg(tmp_path / "bin", "what?\\n")
    path = {"PATH": f"{place.parent}{os.pathsep}{os.environ['PATH']}"}
    found = check_program("ffmpeg", "it joins", "get it", encoders=["libx264"], environment=path)
    assert found.level == "fine"


def test_an_ffmpeg_in_a_folder_of_the_program(tmp_path: Path) -> None:
    place = write_ffmpeg(tmp_path / "ffmpeg-4.4", ENCODERS)
    nowhere = {"PATH": str(tmp_path / "nowhere")}
    assert check_program("ffmpeg", "it joins", "get it", environment=nowhere).level == "stop"
    found = check_program("ffmpeg", "it joins", "get it", environment=nowhere, also_in=place.parent)
    assert found.found.startswith(str(place))


def test_room_on_the_disk(tmp_path: Path) -> None:
    free_mib = shutil.disk_usage(tmp_path).free / 1024**2
    assert check_disk(tmp_path / "not" / "there" / "yet", free_mib / 2, "a video").level == "fine"
    finding = check_disk(tmp_path, free_mib * 2, "a video")
    assert finding.level == "stop"
    assert str(tmp_path) in finding.found
