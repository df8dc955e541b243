"""Networks in OpenVINO: loaded once, kept whole on disk or not at all, and telling nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.tracks import network
from evalkit.tracks.blazepose import DETECTOR, DETECTOR_SIDE_PX, LANDMARKER, LANDMARKER_SIDE_PX
from evalkit.tracks.network import Network, load_network

PICTURE = np.random.default_rng(0).integers(0, 256, (DETECTOR_SIDE_PX, DETECTOR_SIDE_PX, 3), dtype=np.uint8)


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty cache folder, seen by a process that has loaded no network yet."""
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path))
    load_network.cache_clear()
    yield tmp_path
    load_network.cache_clear()


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the files of the networks that are compiled from now on."""
    files: list[str] = []
    prepare = network._prepare

    def counted(openvino: Any, whole: Any, source: network.NetworkFile) -> Any:
        files.append(source.file)
        return prepare(openvino, whole, source)

    monkeypatch.setattr(network, "_prepare", counted)
    return files


def outputs() -> list[np.ndarray]:
    return [output.copy() for output in Network(DETECTOR, 1)(PICTURE)]


@pytest.mark.parametrize(
    ("source", "side_px", "shapes"),
    [
        (DETECTOR, DETECTOR_SIDE_PX, [[1, 2254, 12], [1, 2254, 1]]),
        (LANDMARKER, LANDMARKER_SIDE_PX, [[1, 195], [1, 1], [1, 64, 64, 39]]),  # of five
    ],
)
def test_a_network_takes_bytes_and_computes_what_is_wanted_in_single_precision(
    source: network.NetworkFile, side_px: int, shapes: list[list[int]]
) -> None:
    loaded = load_network(source, 2)
    assert [list(output.shape) for output in loaded.outputs] == shapes
    assert list(loaded.input().shape) == [1, side_px, side_px, 3]
    assert loaded.input().element_type.to_string() == "u8"
    assert loaded.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert loaded.get_property("INFERENCE_NUM_THREADS") == 2
    assert not loaded.get_property("ENABLE_CPU_PINNING")


@pytest.mark.usefixtures("fresh_cache")
def test_a_network_is_loaded_once_for_a_process(compilations: list[str]) -> None:
    assert load_network(DETECTOR, 1) is load_network(DETECTOR, 1)
    assert compilations == [DETECTOR.file]


@pytest.mark.usefixtures("fresh_cache")
def test_the_next_process_compiles_nothing_and_gets_the_same_values(compilations: list[str]) -> None:
    compiled = outputs()
    load_network.cache_clear()
    for loaded, expected in zip(outputs(), compiled, strict=True):
        assert np.array_equal(loaded, expected)
    assert load_network(DETECTOR, 1).get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compilations == [DETECTOR.file]
    load_network.cache_clear()
    assert (
        load_network(DETECTOR, 2).get_property("INFERENCE_NUM_THREADS") == 2
    )  # whatever it was compiled for
    assert compilations == [DETECTOR.file]


@pytest.mark.parametrize("damage", ["one byte", "cut off", "empty", "foreign"])
def test_a_damaged_entry_counts_as_none(fresh_cache: Path, compilations: list[str], damage: str) -> None:
    expected = outputs()
    (entry,) = (fresh_cache / "networks").iterdir()
    whole = entry.read_bytes()
    content = {
        "one byte": whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:],
        "cut off": whole[:-1000],
        "empty": b"",
        "foreign": network.hashlib.sha256(b"other").digest() + b"other",
    }[damage]
    entry.write_bytes(content)
    load_network.cache_clear()
    for found, truth in zip(outputs(), expected, strict=True):
        assert np.array_equal(found, truth)
    assert compilations == 2 * [DETECTOR.file]
    load_network.cache_clear()
    outputs()
    assert compilations == 2 * [DETECTOR.file]  # whole again


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fresh_cache / "a file").write_text("in the way")
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(fresh_cache / "a file"))
    assert len(outputs()) == 2


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("missing", ["mediapipe", "openvino"])
def test_what_is_not_installed_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    find = network.find_spec
    monkeypatch.setattr(network, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(UsageError, match=f"pip install {missing}"):
        Network(DETECTOR)


def test_openvino_tells_nobody_and_writes_nothing_but_the_cache(tmp_path: Path) -> None:
    code = """
import sys
said = []
sys.addaudithook(lambda event, args: said.append((event, str(args))) if event.startswith("socket.") else None)
import numpy as np
from evalkit.tracks.blazepose import BlazePose
BlazePose().find(np.zeros((64, 64, 3), np.uint8))
print(said, [name for name in sys.modules if "telemetry" in name])
import openvino
assert not hasattr(openvino, "no_such_name")
convert = openvino.convert_model  # who wants the converter still gets it
import openvino.tools.ovc
assert convert is openvino.tools.ovc.convert_model
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "EVALKIT_CACHE_DIR": str(tmp_path / "cache"),
        "CI": "true",  # the converter, imported last, tells nobody either then
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=home
    )
    assert done.stdout.strip() == "[] []"
    assert list(home.rglob("*")) == []


def test_a_thread_that_is_in_the_middle_of_importing_openvino_is_waited_for(tmp_path: Path) -> None:
    package = tmp_path / "openvino"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import sys, time\nsys.half_way.set()\ntime.sleep(0.5)\nCore = 'whole'\n"
    )
    code = f"""
import sys, threading
from evalkit.tracks.network import load_openvino
sys.path.insert(0, {str(tmp_path)!r})
sys.half_way = threading.Event()
threading.Thread(target=__import__, args=("openvino",)).start()
assert sys.half_way.wait(120)
print(load_openvino().Core)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "whole", done.stderr


def test_reading_the_code_loads_no_runtime() -> None:
    code = "import sys, evalkit.tracks.pose; print({'openvino', 'mediapipe', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
