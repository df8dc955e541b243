"""The notebooks run from top to bottom and say what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"


@pytest.mark.parametrize(
    ("name", "said", "shown"),
    [
        ("first_sweep", "lip_sync.offset_ms", "256*256"),
        ("ab_test", "profile.total_s", "sample_steps"),
        ("own_metric", "flicker.step", "technical.fps"),
    ],
)
def test_a_notebook_runs(name: str, said: str, shown: str, tmp_path: Path) -> None:
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    command = [sys.executable, "-c", "\n\n".join(cells)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    (page,) = tmp_path.glob("*/report.html")
    assert shown in page.read_text("utf-8").replace("<wbr>", "")


def test_a_metric_of_a_notebook_has_its_picture(tmp_path: Path) -> None:
    notebook = json.loads((FOLDER / "own_metric.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    made = "from evalkit.testing.media import *; write_clip('clip.mp4', moving_pattern(1))"
    measured = "evalkit.evaluate('clip.mp4', evaluators=['flicker'], evidence='shown')"
    command = [sys.executable, "-c", "\n".join(["import evalkit", cells[1], made, measured])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=100)
    assert done.returncode == 0, done.stderr
    (picture,) = tmp_path.glob("shown/clip-*/flicker/flicker.svg")
    assert picture.read_text("utf-8").count("<rect") == 24  # steps between 25 frames


def test_every_notebook_is_tested_and_carries_no_output() -> None:
    names = {path.stem for path in FOLDER.glob("*.ipynb")}
    assert names == {"first_sweep", "ab_test", "own_metric"}
    for name in names:
        notebook = json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))
        assert all(not cell.get("outputs") for cell in notebook["cells"])
