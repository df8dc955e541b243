"""What a driver says that its program needs, held to the program's own source: modules, Pythons, files of weights."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.adapters.live_avatar import diagnosis as live_avatar
from pipeline.adapters.musetalk.generator import MuseTalk
from pipeline.adapters.sadtalker import SadTalker
from pipeline.adapters.wav2lip import Wav2Lip
from pipeline.python_checks import Module
from tests.pipeline.adapters import test_set_ups
from tests.pipeline.adapters.live_avatar import test_diagnosis as test_live_avatar
from tests.pipeline.adapters.real.import_graph import Graph

_WEIGHTS = re.compile(r"(?<![%\w.-])[\w-][\w.-]*\.(?:pth\.tar|pth|pt|safetensors|bin|ckpt|onnx)\b")


@dataclass(frozen=True)
class Program:
    """A program, and what its driver says that it needs.

    Parameters
    ----------
    folder : str
        Of its checkout.
    entry : str
        The file where it starts.
    chosen : tuple of str
        Modules of its own that it imports by names made at run time, or under a condition that holds here.
    modules : tuple of Module
        What the driver says that it imports.
    versions : str
        Pythons that can read it, as the driver says.
    weights : set of str
        Files of weights in a good set-up.
    unused : set of str
        Files of weights that are named in its source and not opened on the way to a video, or only under options that the
        driver does not have.
    roots : tuple of str
        Folders beside its checkout in which it finds its own modules.
    imported_by_others : set of str
        Modules that libraries need which do not say so, or of which there are several.
    """

    folder: str
    entry: str
    chosen: tuple[str, ...]
    modules: tuple[Module, ...]
    versions: str
    weights: set[str]
    unused: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ()
    imported_by_others: frozenset[str] = frozenset({"pkg_resources"})


def names(paths: Sequence[str] | dict[str, float]) -> set[str]:
    return {Path(path).name for path in paths}


PROGRAMS = [
    Program(
        "Wav2Lip",
        "inference.py",
        ("face_detection.detection.sfd.sfd_detector",),
        Wav2Lip.modules,
        Wav2Lip.python_versions,
        names(test_set_ups.WEIGHTS["wav2lip"]) - {"wav2lip_gan.pth"},  # named by the user
        frozenset({"s3fd-619a316812.pth"}),  # its name in torch's cache
    ),
    Program(
        "SadTalker",
        "inference.py",
        (),
        SadTalker.modules,
        SadTalker.python_versions,
        {
            *names(test_set_ups.WEIGHTS["sadtalker"]),
            *{
                "auido2exp_00300-model.pth",
                "auido2pose_00140-model.pth",
                "epoch_20.pth",
                "facevid2vid_00189-model.pth.tar",
            },
        },
        frozenset(
            {
                "wav2lip.pth",  # in a table of which this line is not read
                "RestoreFormer.pth",
                "codeformer.pth",
                "RealESRGAN_x2plus.pth",
                "Exp_Pca.bin",
            }
        ),
        imported_by_others=frozenset({"pkg_resources", "basicsr", "audioop", "imageio_ffmpeg"}),
    ),
    Program(
        "MuseTalk",
        "scripts/inference.py",
        ("face_detection.detection.sfd.sfd_detector",),
        MuseTalk.modules,
        MuseTalk.python_versions,
        names(test_set_ups.WEIGHTS["musetalk"]),
        frozenset({"yolov8n-face.onnx", "s3fd-619a316812.pth"}),
        roots=("musetalk/utils",),
        imported_by_others=frozenset({"pkg_resources", "mmengine", "mmcv", "mmdet"}),
    ),
    Program(
        "LiveAvatar",
        "minimal_inference/s2v_streaming_interact.py",
        (
            "minimal_inference.batch_eval",
            "minimal_inference.gradio_app",
            "liveavatar.models.wan.causal_s2v_pipeline",
            "liveavatar.models.wan.causal_s2v_pipeline_tpp",
        ),
        live_avatar.MODULES + live_avatar.PAGE_MODULES,
        live_avatar.PYTHON_VERSIONS,
        {*names(test_live_avatar.WEIGHTS), "liveavatar.safetensors"},
        frozenset(
            {
                "Wan2.2_VAE.pth",  # of other tasks
                "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",
                "vae_step_411000.pth",
            }
        ),
        imported_by_others=frozenset({"pkg_resources", "imageio_ffmpeg", "flash_attn"}),
    ),
]


@pytest.fixture(params=PROGRAMS, ids=lambda program: program.folder)
def program(request: pytest.FixtureRequest) -> Program:
    found: Program = request.param
    return found


@pytest.fixture
def home(program: Program) -> Path:
    """Give the checkout, or skip."""
    place = os.environ.get("EVALKIT_SOURCES")
    if place is None or not (Path(place) / program.folder).is_dir():
        pytest.skip(f"no source of {program.folder}: EVALKIT_SOURCES names no folder with a checkout of it")
    return Path(place) / program.folder


@pytest.fixture
def graph(program: Program, home: Path) -> Graph:
    """Give what is imported from its entries on."""
    found = Graph([home, *(home / root for root in program.roots)])
    found.follow(home / program.entry)
    for name in program.chosen:
        found.add(name)
    return found


def test_every_module_that_it_always_imports_is_looked_for(program: Program, graph: Graph) -> None:
    assert graph.always <= {module.name for module in program.modules}


def test_no_module_is_looked_for_that_it_never_imports(program: Program, graph: Graph) -> None:
    named = {module.name for module in program.modules} - program.imported_by_others
    assert named <= graph.always | (graph.sometimes - {"lws"})


def test_every_reason_stands_in_its_source(program: Program, home: Path) -> None:
    texts = [module.where for module in program.modules if module.where and not module.where.module]
    assert [text for text in texts if text.text not in (home / text.file).read_text("utf-8")] == []


def test_the_oldest_python_is_the_oldest_that_reads_it(program: Program, graph: Graph) -> None:
    if not program.versions:
        pytest.skip("any Python 3 reads it")
    oldest = int(program.versions.removeprefix(">=3."))
    assert reads(graph, oldest)
    assert not reads(graph, oldest - 1)


def reads(graph: Graph, minor: int) -> bool:
    try:
        for file in graph.files:
            ast.parse(file.read_text("utf-8", "replace"), feature_version=(3, minor))
    except SyntaxError:
        return False
    return True


def test_every_file_of_weights_that_it_names_is_known(program: Program, graph: Graph) -> None:
    said = {
        found
        for file, is_certain in graph.files.items()
        if is_certain
        for node in ast.walk(ast.parse(file.read_text("utf-8", "replace")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
        for found in _WEIGHTS.findall(node.value)
        if not node.value.startswith("https://download.pytorch.org/")  # for training from the start
    }
    assert said - program.unused <= program.weights
