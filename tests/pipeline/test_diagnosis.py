"""Findings, each held against the machine by other means than the check's own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

import pytest

from pipeline.diagnosis import Diagnosis
from pipeline.diagnosis_checks import (
    check_disk,
    check_folder,
    check_port,
    check_program,
    check_python,
    check_weights,
)
from pipeline.errors import RequestError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 4265380512\n"


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


# --- weights


def test_weights_are_counted_and_weighed(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(bytes(3 * 1024 * 1024))
    (tmp_path / "config.json").write_text("{}")
    finding = check_weights("checkpoint", tmp_path, "fetch them")
    assert finding.level == "fine"
    assert "3 MiB in 2 files" in finding.found


@pytest.mark.parametrize("what", ["gone", "empty folder", "empty file"])
def test_no_weights(what: str, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    if what == "empty folder":
        path.mkdir()
    elif what == "empty file":
        path.touch()
    finding = check_weights("checkpoint", path, "fetch them")
    assert (finding.level, finding.cure) == ("stop", "fetch them")


def test_a_pointer_in_place_of_the_weights(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.safetensors").write_text(POINTER)
    (tmp_path / "vae.pth").write_bytes(bytes(5000))
    finding = check_weights("checkpoint", tmp_path, "fetch them")
    assert finding.level == "stop"
    assert "model.safetensors: a git-lfs pointer" in finding.found
    assert "git lfs pull" in finding.cure


def test_a_large_file_that_begins_like_a_pointer_is_none(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(POINTER.encode() + bytes(5000))
    assert check_weights("checkpoint", path, "fetch it").level == "fine"


def test_a_shard_that_the_index_names_and_is_not_there(tmp_path: Path) -> None:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (tmp_path / shards["a"]).write_bytes(bytes(5000))
    finding = check_weights("checkpoint", tmp_path, "fetch them")
    assert finding.level == "stop"
    assert shards["b"] in finding.found
    (tmp_path / shards["b"]).write_bytes(bytes(5000))
    assert check_weights("checkpoint", tmp_path, "fetch them").level == "fine"


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


def test_a_python_and_its_modules(tmp_path: Path) -> None:
    good = check_python(sys.executable, ["json", "wave"], tmp_path, "install them")
    assert good.level == "fine"
    assert ".".join(map(str, sys.version_info[:3])) in good.found
    bad = check_python(sys.executable, ["json", "no_such_module"], tmp_path, "install them")
    assert (bad.level, bad.cure) == ("stop", "install them")
    assert "has no no_such_module" in bad.found
    gone = check_python(str(tmp_path / "python"), ["json"], tmp_path, "install them")
    assert "does not run" in gone.found


def test_a_torch_that_knows_no_gpu(tmp_path: Path) -> None:
    from importlib.metadata import version

    here = version("torch")
    finding = check_python(sys.executable, ["torch"], tmp_path, "install it with CUDA", on_gpu=True)
    assert finding.level == ("stop" if here.endswith("+cpu") else "fine")
    assert here in finding.found
    assert check_python(sys.executable, ["torch"], tmp_path, "install it").level == "fine"


def test_room_on_the_disk(tmp_path: Path) -> None:
    free_mib = shutil.disk_usage(tmp_path).free / 1024**2
    assert check_disk(tmp_path / "not" / "there" / "yet", free_mib / 2, "a video").level == "fine"
    finding = check_disk(tmp_path, free_mib * 2, "a video")
    assert finding.level == "stop"
    assert str(tmp_path) in finding.found
