"""Networks of the MediaPipe wheel, run by OpenVINO.

Each is loaded once for a process. Compiling one takes three times as long as loading what was compiled, so that is kept
in the cache folder, under a hash of all that it was made from. A hash of its own stands in front of it, because weights
that a disk has damaged would move values: such an entry counts as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.tracks.base import load_library
from evalkit.tracks.cache import cache_folder, replace_file

_IMPORTING = Lock()
_OPTIONS = {
    "INFERENCE_PRECISION_HINT": "f32",  # some processors would take bf16, and values would depend on the processor
    "PERFORMANCE_HINT": "LATENCY",
    "ENABLE_CPU_PINNING": False,  # other trackers work beside this one
}


class NetworkFile(NamedTuple):
    """A network, and how it is used.

    Parameters
    ----------
    file : str
        Below the folder ``modules`` of the MediaPipe wheel.
    outputs : tuple of int
        Those that are wanted; what only the others need is cut off.
    mean, scale : float
        What turns a picture's bytes into what the network takes: less the mean, divided by the scale.
    """

    file: str
    outputs: tuple[int, ...]
    mean: float
    scale: float


class Network:
    """One network at work on one clip.

    Parameters
    ----------
    source : NetworkFile
    n_threads : int, optional
        How many work on one picture: the cores that this process may use, unless given. No value depends on it.

    Raises
    ------
    UsageError
        If OpenVINO or the MediaPipe wheel is not installed.
    """

    def __init__(self, source: NetworkFile, n_threads: int | None = None) -> None:
        self._request = load_network(source, n_threads or _n_cores()).create_infer_request()

    def __call__(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the outputs for a picture, shape (side, side, 3); the next call writes over them."""
        outputs = self._request.infer([picture[None]], share_inputs=True, share_outputs=True)
        return list(outputs.values())


@cache
def load_network(source: NetworkFile, n_threads: int) -> Any:
    """Return a network ready to run; it takes a picture as uint8, shape (1, side, side, 3).

    Raises
    ------
    UsageError
        If OpenVINO or the MediaPipe wheel is not installed.
    """
    wheel = find_spec("mediapipe")
    if wheel is None or wheel.origin is None:
        raise UsageError(
            "mediapipe, whose wheel has the pose networks, is not installed; run pip install mediapipe"
        )
    path = Path(wheel.origin).parent / "modules" / source.file
    openvino = load_openvino()
    core = openvino.Core()
    options = _OPTIONS | {"INFERENCE_NUM_THREADS": n_threads}
    made_from = hashlib.sha256(path.read_bytes())
    able_to = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    made_from.update(
        repr((source, openvino.__version__, core.get_property("CPU", "FULL_DEVICE_NAME"), able_to)).encode()
    )
    entry = cache_folder() / "networks" / f"{made_from.hexdigest()}.bin"
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return core.import_model(_read_whole(entry), "CPU", options)
    compiled = core.compile_model(_prepare(openvino, core.read_model(str(path)), source), "CPU", options)
    content = compiled.export_model().getvalue()
    with contextlib.suppress(OSError):
        replace_file(entry, lambda file: file.write(hashlib.sha256(content).digest() + content))
    return compiled


def _prepare(openvino: Any, whole: Any, source: NetworkFile) -> Any:
    wanted = [whole.outputs[index] for index in source.outputs]
    taking = openvino.preprocess.PrePostProcessor(openvino.Model(wanted, whole.get_parameters(), source.file))
    taking.input().tensor().set_element_type(openvino.Type.u8)
    taking.input().preprocess().convert_element_type(openvino.Type.f32).mean(source.mean).scale(source.scale)
    return taking.build()


def _read_whole(entry: Path) -> bytes:
    """Return the content of an entry of the cache; raises ValueError if it is damaged."""
    with entry.open("rb") as file:
        digest, content = file.read(32), file.read()
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{entry} is damaged")
    return content


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_openvino() -> Any:
    """Import OpenVINO without its converter, which comes when somebody asks OpenVINO for it.

    Importing that one, which OpenVINO does by itself where it can, sends an event to its makers and writes an identifier
    to the home folder. An entry of None tells Python that it is not there.

    Raises
    ------
    UsageError
        If OpenVINO is not installed.
    """
    if find_spec("openvino") is None:
        raise UsageError("openvino, which runs this network, is not installed; run pip install openvino")
    converter, its_name = "openvino.tools.ovc", "convert_model"
    with _IMPORTING:  # the trackers of pose and brand begin at once
        if "openvino" in sys.modules:
            return load_library("openvino")  # waits for a thread that is in the middle of importing it
        sys.modules[converter] = None  # type: ignore[assignment]
        try:
            openvino = load_library("openvino")
        finally:
            del sys.modules[converter]

        def find(name: str) -> Any:
            if name == its_name:
                with contextlib.suppress(ImportError):
                    return getattr(import_module(converter), name)
            raise AttributeError(f"module 'openvino' has no attribute {name!r}", name=name, obj=openvino)

        openvino.__getattr__ = find
        return openvino
