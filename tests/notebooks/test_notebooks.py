"""The notebooks run from top to bottom and say what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"


@pytest.mark.parametrize(
    ("name", "said"), [("first_sweep", "lip_sync.offset_ms"), ("ab_test", "profile.total_s")]
)
def test_a_notebook_runs(name: str, said: str, tmp_path: Path) -> None:
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    command = [sys.executable, "-c", "\n\n".join(cells)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert next(tmp_path.glob("*/report.html")).stat().st_size > 10_000


def test_every_notebook_is_tested_and_carries_no_output() -> None:
    names = {path.stem for path in FOLDER.glob("*.ipynb")}
    assert names == {"first_sweep", "ab_test"}
    for name in names:
        notebook = json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))
        assert all(not cell.get("outputs") for cell in notebook["cells"])
