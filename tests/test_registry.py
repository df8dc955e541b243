"""Plug-ins of other distributions: found, used, and told apart when broken."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from evalkit import registry
from evalkit.errors import UsageError
from evalkit.runs import Run
from evalkit.testing.media import write_clip

_PLUGIN = """
from evalkit.evaluators.base import Evaluator, Measured
from evalkit.types import Measurement, Metric

FRAMES = Metric("counting.frames", "1", "band", "how many frames there are")


class Counting(Evaluator):
    name, version, metrics, tracks = "counting", 7, (FRAMES,), ("picture",)

    def measure(self, facts, tracks):
        n = len(tracks["picture"])
        return Measured((Measurement(FRAMES, float(n), n=n, coverage=1.0),))
"""


_SHOWING = """
from evalkit.evaluators.base import Evaluator, Exhibit, Measured
from evalkit.types import Measurement, Metric, Reason

WARMTH = Metric("warmth.mean", "1", "band", "how warm the picture is", (0, 1))
GLOW = Metric("warmth.glow", "1", "higher", "how much of the picture glows", (0, 1))
COLD = Reason("too_cold", "the picture is too cold to be measured")


class Warmth(Evaluator):
    name, version, metrics, reasons, tracks = "warmth", 1, (WARMTH, GLOW), (COLD,), ("picture",)

    def __init__(self, *, least: float = 0.0):
        self.least = least

    def measure(self, facts, tracks):
        luma = tracks["picture"]["luma_mean"] / 255
        if luma.mean() < self.least:
            return self.absent(COLD)
        warmth = Measurement(WARMTH, float(luma.mean()), n=len(luma))
        return Measured((warmth, Measurement.absent(GLOW, COLD)), details=luma)

    def evidence(self, details):
        yield Exhibit("warmth.svg", "warmth over time", f"<svg><!-- {details.size} frames --></svg>", WARMTH)
"""


def _install(folder: Path, distribution: str, module: str, source: str, entry: str) -> None:
    """Lay a distribution out as an installer would."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[evalkit.evaluators]\n{entry}\n")


def _run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evalkit", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


def test_an_evaluator_of_another_distribution_measures_beside_ours(tmp_path: Path) -> None:
    _install(tmp_path, "evalkit-counting", "counting", _PLUGIN, "counting = counting:Counting")
    clip = write_clip(tmp_path / "clip.mp4", [np.full((32, 32, 3), 5 * k, dtype=np.uint8) for k in range(12)])
    assert "(version 7)" in _run(tmp_path, "list", "evaluators").stdout
    done = _run(tmp_path, "evaluate", clip, "--only", "counting,technical", "--json", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "r.json").read_text())
    assert result["metrics"]["counting.frames"]["value"] == 12
    assert result["evaluators"]["counting"] == "7"
    assert "technical.fps" in result["metrics"]


def test_a_plugin_shows_a_picture_and_a_reason_of_its_own(tmp_path: Path) -> None:
    """Nothing of ours knows its name: one module and one entry point are all there is."""
    _install(tmp_path, "evalkit-warmth", "warmth", _SHOWING, "warmth = warmth:Warmth")
    clip = write_clip(tmp_path / "clip.mp4", [np.full((32, 32, 3), 90, dtype=np.uint8)] * 12)
    done = _run(tmp_path, "evaluate", clip, "--only", "warmth", "--evidence", tmp_path / "shown")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "shown").iterdir()
    index = json.loads((folder / "warmth" / "index.json").read_text("utf-8"))
    assert index["captions"]["warmth.svg"] == "warmth over time"
    assert "12 frames" in (folder / "warmth" / "warmth.svg").read_text("utf-8")
    code = (
        "from evalkit.analysis.catalogue import known_metrics, reason_text\n"
        "print(reason_text('too_cold'), '|', known_metrics()['warmth.mean'].meaning)\n"
        f"import evalkit; print(evalkit.evaluate({str(clip)!r}, evaluators=['warmth'], "
        "settings={'warmth': {'least': 0.9}})[0][0].reason.text)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert told.stdout.splitlines() == [
        "the picture is too cold to be measured | how warm the picture is",
        "the picture is too cold to be measured",
    ]


def test_a_plugin_stands_on_the_report_of_a_run_that_is_measured_later(
    tmp_path: Path, write_videos: Callable[[int], Run]
) -> None:
    """After one command, its value, its picture with the caption, and its reason's words are on the page."""
    _install(tmp_path, "evalkit-warmth", "warmth", _SHOWING, "warmth = warmth:Warmth")
    run = write_videos(2).folder
    before = {path: path.stat().st_mtime_ns for path in run.rglob("video.mp4")}
    done = _run(tmp_path, "measure", run, "--only", "warmth")
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in run.rglob("video.mp4")} == before
    page = (run / "report.html").read_text("utf-8")
    pictures = re.findall(r'<img src="([^"]+)"[^>]*alt="warmth over time"', page)
    assert len(pictures) == page.count("<figcaption>warmth over time</figcaption>") == 2
    assert all((run / unquote(picture)).is_file() for picture in pictures)
    assert "the picture is too cold to be measured" in page
    assert "how warm the picture is" in page
    with (run / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["warmth.mean"]) > 0 for row in rows)
    assert {row["warmth.glow.absent"] for row in rows} == {"too_cold"}


def test_a_plugin_that_does_not_import_is_not_said_to_be_missing(tmp_path: Path) -> None:
    _install(tmp_path, "evalkit-broken", "broken", "import a_module_that_is_not_there", "broken = broken:X")
    done = _run(tmp_path, "evaluate", "clip.mp4", "--only", "broken")
    assert done.returncode == 2
    assert (
        "the evaluator 'broken' (broken:X) does not load: No module named 'a_module_that_is_not_there'"
        in done.stderr
    )


def test_two_plugins_of_one_name_are_refused(tmp_path: Path) -> None:
    _install(tmp_path, "evalkit-usurper", "usurper", _PLUGIN, "lip_sync = usurper:Counting")
    done = _run(tmp_path, "evaluate", "clip.mp4", "--only", "lip_sync")
    assert done.returncode == 2
    assert "more than one evaluator is named 'lip_sync'" in done.stderr


def test_listing_names_imports_no_plugin() -> None:
    program = (
        "import sys\nfrom evalkit import registry\nregistry.names(registry.EVALUATORS)\n"
        "sys.exit('evalkit.evaluators.lip_sync' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no evaluator is named 'zzz' \(there are: .*lip_sync"):
        registry.load(registry.EVALUATORS, "zzz")
