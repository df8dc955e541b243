"""One solution of mediapipe alone, and mediapipe whole before and after it; each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.partial_import import import_alone, load_solution

WHOLE = """
import mediapipe as mp
import numpy as np
from mediapipe import solutions, tasks
from mediapipe.framework.formats import landmark_pb2
from mediapipe.python.solutions import drawing_utils
from mediapipe.tasks.python import vision

assert mp.__version__ == "0.10.21"
assert mp.solutions is solutions and mp.tasks is tasks
assert mp.solutions.drawing_utils is drawing_utils
assert mp.tasks.vision.FaceLandmarker is vision.FaceLandmarker
assert mp.Image(image_format=mp.ImageFormat.SRGB, data=np.zeros((8, 8, 3), np.uint8)).width == 8
assert landmark_pb2.NormalizedLandmark(x=0.5).x == 0.5
assert not hasattr(mp, "framework"), "mediapipe takes the names of its insides away"
with solutions.face_mesh.FaceMesh() as model:
    assert model.process(np.zeros((64, 64, 3), np.uint8)).multi_face_landmarks is None
for name in ("face_mesh", "pose", "hands", "holistic", "objectron", "selfie_segmentation", "drawing_styles"):
    assert getattr(solutions, name).__name__ == f"mediapipe.python.solutions.{name}"
"""
ALONE = """
import sys
import numpy as np
from pathlib import Path

from pipeline.partial_import import import_alone, load_solution

mesh = load_solution("face_mesh")
with mesh.FaceMesh(refine_landmarks=True) as model:
    assert model.process(np.zeros((64, 64, 3), np.uint8)).multi_face_landmarks is None
for name in ("face_detection", "pose", "selfie_segmentation", "face_mesh_connections"):
    assert load_solution(name) is load_solution(name)
"""


FINDS = {
    "face_detection": "FaceDetection(model_selection=0)",
    "face_mesh": "FaceMesh(static_image_mode=True, refine_landmarks=True)",
    "pose": "Pose(static_image_mode=True)",
    "selfie_segmentation": "SelfieSegmentation(model_selection=0)",
}
"""What finds something in a picture of a person, by the solution."""
FINDING = """
from skimage import data

with solution.{finds} as model:
    found = model.process(data.astronaut())
for name in found._fields:
    value = getattr(found, name)
    print(value.sum() if hasattr(value, "sum") else value)
"""


def run(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_solution_comes_without_what_it_does_not_use() -> None:
    heavy = (
        "matplotlib",
        "cv2",
        "jax",
        "sounddevice",
        "mediapipe.tasks",
        "mediapipe.python.solutions.drawing_utils",
    )
    assert run(f"{ALONE}\nprint([name for name in {heavy} if name in sys.modules])").strip() == "[]"


@pytest.mark.parametrize(
    "code",
    [
        f"{ALONE}\n{WHOLE}\n{ALONE}\nassert load_solution('face_mesh') is solutions.face_mesh",
        f"{WHOLE}\n{ALONE}\nassert solutions.face_mesh is mesh",
        f"{ALONE}\nfrom mediapipe.python import solutions\nassert solutions.hands.Hands\n{WHOLE}",
        f"{ALONE}\nimport mediapipe.tasks.python.vision\n{WHOLE}",
    ],
    ids=["whole after", "whole before", "a package of it after", "a module of it after"],
)
def test_mediapipe_is_whole_for_everybody_else(code: str) -> None:
    run(code)


def test_many_threads_may_begin_with_it_at_once() -> None:
    run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pipeline.partial_import import load_solution\n"
        "names = ['face_mesh', 'pose', 'face_detection', 'selfie_segmentation'] * 4\n"
        "with ThreadPoolExecutor(16) as pool:\n"
        "    modules = list(pool.map(load_solution, names))\n"
        "assert all(hasattr(module, 'SolutionBase') for module in modules)\n"
    )


@pytest.mark.parametrize(
    "use",
    [
        "import library; used = library.made",
        "from library import made as used",
        "from importlib import import_module; used = import_module('library').made",
    ],
)
def test_another_thread_gets_a_package_whole_while_a_part_of_it_is_imported(tmp_path: Path, use: str) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "__init__.py").write_text("made = 'by its code'\n")
    (library / "part.py").write_text("import sys\nsys.half_way.set()\nassert sys.seen.wait(20)\n")
    run(
        "import sys\n"
        "from threading import Event, Thread, Timer\n"
        "from pipeline.partial_import import import_part\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "sys.half_way, sys.seen = Event(), Event()\n"
        "part = Thread(target=import_part, args=('library.part',), kwargs={'without': ('library',)})\n"
        "part.start()\n"
        "assert sys.half_way.wait(20)\n"
        "Timer(0.3, sys.seen.set).start()\n"
        f"{use}\n"
        "part.join()\n"
        "import library\n"
        "assert used == library.made == 'by its code'\n"
    )


def test_an_unknown_solution_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_solution"):
        load_solution("no_such_solution")


@pytest.mark.parametrize("order", ["part first", "whole first"])
def test_scipy_signal_is_whole_for_everybody_else(order: str) -> None:
    part = (
        "from pipeline.partial_import import import_part\n"
        "part = import_part('scipy.signal._signaltools', without=('scipy.signal',))\n"
    )
    whole = (
        "import numpy as np, scipy.signal\n"
        "from scipy import signal, stats\n"
        "peaks, _ = signal.find_peaks([0, 1, 0, 2, 0], prominence=0.5)\n"
        "assert peaks.tolist() == [1, 3] and signal.windows.hann(4).size == 4\n"
        "sections = signal.butter(2, 0.2, output='sos')\n"
        "values = np.random.default_rng(1).standard_normal(100)\n"
    )
    alone = "import sys; assert 'scipy.stats' not in sys.modules and 'scipy.signal' not in sys.modules\n"
    same = "assert np.array_equal(part.sosfiltfilt(sections, values), signal.sosfiltfilt(sections, values))"
    run(part + alone + whole + same if order == "part first" else whole + part + same)


def test_a_module_that_is_not_there_leaves_nothing_behind() -> None:
    run(
        "from pipeline.partial_import import import_part\n"
        "try:\n    import_part('scipy.signal.nothing', without=('scipy.signal',))\n"
        "except ModuleNotFoundError as error:\n    assert error.name == 'scipy.signal.nothing'\n"
        "else:\n    raise AssertionError('it was found')\n"
        "import scipy.signal\nassert scipy.signal.butter(2, 0.2, output='sos').shape == (1, 6)"
    )


@pytest.mark.parametrize("name", FINDS)
def test_a_solution_alone_finds_what_it_finds_in_whole_mediapipe(name: str) -> None:
    find = FINDING.format(finds=FINDS[name])
    alone = run(
        f"from pipeline.partial_import import load_solution\nsolution = load_solution({name!r})\n{find}"
    )
    whole = run(f"import mediapipe\nsolution = mediapipe.solutions.{name}\n{find}")
    assert alone == whole
    assert len(alone) > 5


MADE = {
    **FINDS,
    "face_detection": "FaceDetection(model_selection=1)",
    "pose": "Pose(smooth_landmarks=False)",
    "face_mesh": "FaceMesh(refine_landmarks=True)",
}


@pytest.mark.parametrize("name", MADE)
def test_a_solution_alone_has_every_setting_of_its_graph(name: str) -> None:
    """A setting that cannot be read is lost without a word: the score of a face was none of 0 to 1, and faces were lost."""
    text = f"print(solution.{MADE[name]}._graph.text_config)"
    alone = run(
        f"from pipeline.partial_import import load_solution\nsolution = load_solution({name!r})\n{text}"
    )
    whole = run(f"import mediapipe\nsolution = mediapipe.solutions.{name}\n{text}")
    assert alone == whole
    assert len(alone) > 1000


def test_a_module_is_run_alone_without_what_nothing_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lonely.py").write_text(
        "import json, heavy.plots as plt\nfrom heavy import f\ntext = json.dumps([1])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    alone = import_alone("lonely", unused={"heavy.plots": (), "heavy": ("f",)})
    assert (alone.text, alone.f) == ("[1]", None)
    assert {"lonely", "heavy", "heavy.plots"} & set(sys.modules) == set()
    with pytest.raises(ModuleNotFoundError, match="heavy"):
        import_alone("lonely", unused={})
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        import_alone("no_such_module", unused={})
