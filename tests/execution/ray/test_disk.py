"""What a session has on a node goes with it, whatever it dies of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from evalkit.errors import EvalkitError
from evalkit.execution.ray import disk
from evalkit.execution.ray.disk import INPUTS, Cores, NodeFolder

HOLD = """
import sys, time
from evalkit.execution.ray import disk
from evalkit.execution.ray.disk import Cores, NodeFolder
disk.CORE = "\\0" + sys.argv[3]
folder, cores = NodeFolder(sys.argv[1]), Cores(int(sys.argv[2]))
print(folder.own, cores.numbers, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def own_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(disk, "CORE", f"\0{uuid.uuid4()}-{{}}")  # whoever else is at work on this machine


def hold(session: str, n_cores: int) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, session, str(n_cores), disk.CORE[1:]], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split(" ", 1)


def test_a_session_that_was_killed_is_removed_by_the_next_and_a_living_one_is_not() -> None:
    killed, (first, _) = hold("killed", 1)
    living, (second, _) = hold("living", 1)
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert Path(first).is_dir()
        folder = NodeFolder("next")
        assert not Path(first).parent.exists()
        assert Path(second).is_dir()
        folder.remove()
        folder.remove()
        assert not folder.session.exists()
        assert Path(second).is_dir()
    finally:
        living.kill()
        living.communicate()
        killed.communicate()


def test_processes_of_a_session_share_its_inputs_until_the_last_one_leaves() -> None:
    one, other = NodeFolder("same"), NodeFolder("same")
    assert one.session == other.session
    assert one.own != other.own
    place = one.session / INPUTS / "0a1b"
    place.mkdir()
    (place / "face.png").touch()
    (place / ".half.part").touch()
    assert other.list_inputs() == {f"{INPUTS}/0a1b/face.png"}
    one.remove()
    assert (place / "face.png").is_file()
    other.remove()
    assert not one.session.exists()


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another = os.getuid() + 1
    (tmp_path / f"evalkit-ray-{another}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: another)
    with pytest.raises(EvalkitError, match=r"evalkit-ray-\d+ belongs to another user"):
        NodeFolder("any")


@pytest.mark.skipif(os.getuid() != 0, reason="nobody but root gives a link to another user")
def test_a_link_of_somebody_else_to_a_folder_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home" / "work").mkdir(parents=True)
    link = tmp_path / f"evalkit-ray-{os.getuid()}"
    link.symlink_to(tmp_path / "home")
    os.lchown(link, 4321, 4321)
    with pytest.raises(EvalkitError, match=r"evalkit-ray-\d+ belongs to another user"):
        NodeFolder("any")
    assert (tmp_path / "home" / "work").is_dir()


def test_cores_are_held_by_one_process_and_freed_by_its_death() -> None:
    there = sorted(os.sched_getaffinity(0))
    process, (_, said) = hold("cores", len(there))
    try:
        assert said.strip() == str(there)
        assert Cores(1).numbers is None
    finally:
        process.kill()
        process.communicate()
    cores = Cores(len(there))
    assert cores.numbers == there
    cores.release()
    again = Cores(1)
    assert again.numbers == there[:1]
    again.release()


def test_more_cores_than_there_are_is_none_and_takes_none() -> None:
    n_there = len(os.sched_getaffinity(0))
    assert Cores(n_there + 1).numbers is None
    cores = Cores(n_there)
    assert cores.numbers is not None
    cores.release()
