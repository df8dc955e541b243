"""The plug-in for pytest, in a project of its own: its own folder, its own process, its own configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from evalkit.testing.talking_face import TalkingFace

ROOT = Path(__file__).parents[2]
IS_INSTALLED = any(point.name == "evalkit" for point in entry_points(group="pytest11"))
POLICY = """
name: release
title: release
quality: technical.fps
costs: [profile.total_s]
rules:
  - {metric: technical.fps, at_least: 24, why: films have 24}
  - {metric: technical.face_coverage, at_least: 0.95, why: a speaker is seen}
  - {metric: technical.sharpness, at_least: 0.9999, why: nothing is so sharp}
  - {metric: technical.loudness_lufs, at_most: -90, kind: soft, why: nothing is so quiet}
  - {metric: profile.error_rate, at_most: 0.01, why: a share of attempts}
  - {metric: rating.mos, at_least: 3, why: what people say}
"""
COUNTING = """
import evalkit.api.checks as checks

evaluate = checks.evaluate

def counted(path, **settings):
    with open("measured.txt", "a") as file:
        file.write(f"{path}\\n")
    return evaluate(path, **settings)

checks.evaluate = counted
"""


@pytest.fixture
def project(tmp_path: Path, talking_face: TalkingFace) -> Path:
    (tmp_path / "videos").mkdir()
    for name in ("good.mp4", "other.mp4"):
        (tmp_path / "videos" / name).write_bytes(talking_face.path.read_bytes())
    (tmp_path / "release.yaml").write_text(POLICY)
    (tmp_path / "conftest.py").write_text(COUNTING)
    return tmp_path


def run_pytest(project: Path, *arguments: str, code: int) -> str:
    """Run pytest in the project; nothing of this repository's own configuration reaches it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    loaded = [] if IS_INSTALLED else ["-p", "evalkit.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:benchmark", *loaded, *arguments],
        cwd=project,
        env=clean | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def measured(project: Path) -> list[str]:
    return sorted(Path(line).name for line in (project / "measured.txt").read_text().splitlines())


def test_the_plugin_is_found_by_its_entry_point() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"][
        "pytest11"
    ]
    assert points == {"evalkit": "evalkit.pytest_plugin"}


def test_loading_it_imports_nothing_of_evalkit() -> None:
    program = (
        "import sys, evalkit.pytest_plugin\n"
        "print(*(name for name in sys.modules if name.split('.')[0] in {'evalkit', 'pipeline', 'numpy', 'yaml', 'pydantic'}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert set(said.stdout.split()) == {"evalkit", "evalkit.pytest_plugin"}


def test_it_changes_nothing_where_nobody_asks_for_it(project: Path) -> None:
    (project / "test_plain.py").write_text("def test_plain():\n    pass\n")
    said = run_pytest(project, "-q", code=0)
    assert "1 passed" in said
    assert "evalkit" not in said


def test_videos_are_files_of_tests_with_one_for_each_rule(project: Path) -> None:
    listed = run_pytest(
        project, "--co", "-q", "videos", "--evalkit-policy", "release.yaml", code=0
    ).splitlines()
    assert listed[:4] == [
        "videos/good.mp4::technical.fps at least 24",
        "videos/good.mp4::technical.face_coverage at least 0.95",
        "videos/good.mp4::technical.sharpness at least 0.9999",
        "videos/good.mp4::technical.loudness_lufs at most -90 (soft)",
    ]
    assert "8 tests collected" in listed[-1]
    said = run_pytest(project, "-rPf", "videos", "--evalkit-policy", "release.yaml", code=1)
    assert "2 failed, 6 passed" in said
    assert "FAILED videos/good.mp4::technical.sharpness at least 0.9999" in said
    assert "why the limit: nothing is so sharp" in said
    assert "n = " in said
    assert "(a warning)" in said  # of the soft rule
    assert "Traceback" not in said
    assert measured(project) == ["good.mp4", "other.mp4"]


def test_one_rule_of_one_video_can_be_run_by_its_name(project: Path) -> None:
    (project / "pytest.ini").write_text(
        "[pytest]\nevalkit_policy = release.yaml\nevalkit_clips = videos/o*.mp4\n"
    )
    said = run_pytest(project, "-q", "videos/good.mp4::technical.fps at least 24", code=0)
    assert "1 passed" in said
    said = run_pytest(project, "-q", "--co", code=0)
    assert "good.mp4" not in said
    assert "4 tests collected" in said


def test_a_mark_gives_tests_of_ones_own_their_videos(project: Path) -> None:
    (project / "test_release.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.evalkit(clips='videos/*.mp4', policy='release.yaml')\n"
        "def test_release(evalkit_gate):\n"
        "    limit = evalkit_gate.check()\n"
        "    assert limit.value is not None\n"
    )
    said = run_pytest(project, "--strict-markers", "-q", code=1)
    assert (
        "FAILED test_release.py::test_release[videos/good.mp4::technical.sharpness at least 0.9999]" in said
    )
    assert "2 failed, 6 passed" in said


def test_the_fixture_judges_and_measures(project: Path) -> None:
    (project / "test_own.py").write_text(
        "def test_passes(evalkit):\n"
        "    evalkit.assert_passes('videos/good.mp4', 'release.yaml')\n\n"
        "def test_value(evalkit):\n"
        "    (clip,) = evalkit.evaluate('videos/good.mp4', evaluators='technical')\n"
        "    assert clip['technical.fps'].value == 25\n"
    )
    said = run_pytest(project, "-q", code=1)
    assert "1 failed, 1 passed" in said
    assert "AssertionError: videos/good.mp4 and release.yaml: Does not pass." in said
    assert "technical.sharpness" in said
    assert "technical.loudness_lufs" not in said  # a soft rule fails nothing


def test_each_video_is_measured_once_by_all_processes(project: Path) -> None:
    pytest.importorskip("xdist")
    said = run_pytest(project, "-q", "-n", "2", "videos", "--evalkit-policy", "release.yaml", code=1)
    assert "2 failed, 6 passed" in said
    assert measured(project) == ["good.mp4", "other.mp4"]


def test_what_is_not_measured_fails_and_says_why(project: Path) -> None:
    rule = "  - {metric: brand.fidelity, at_least: 0.5, why: a brand}\n"
    (project / "release.yaml").write_text(POLICY.replace("rules:\n", f"rules:\n{rule}"))
    said = run_pytest(
        project, "-q", "videos/good.mp4", "--evalkit-policy", "release.yaml", "-k", "brand", code=1
    )
    assert "1 failed" in said
    assert "brand.fidelity: " in said
    assert "skipped" not in said


def test_a_file_that_is_no_video_fails_its_tests(project: Path) -> None:
    (project / "videos" / "good.mp4").write_bytes(b"no video at all")
    said = run_pytest(project, "-q", "videos/good.mp4", "--evalkit-policy", "release.yaml", code=1)
    assert "4 failed" in said or "3 failed, 1 passed" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("videos", "--evalkit-policy", "nonsense"), "no policy 'nonsense'"),
        (("videos", "--evalkit-policy", "many.yaml"), "no rule of the policy"),
    ],
)
def test_a_policy_that_cannot_be_used_is_told_in_a_line(
    arguments: tuple[str, ...], said: str, project: Path
) -> None:
    many = (
        POLICY.partition("rules:")[0]
        + "rules:\n  - {metric: profile.error_rate, at_most: 0.01, why: a test}\n"
    )
    (project / "many.yaml").write_text(many)
    found = run_pytest(project, "-q", *arguments, code=2)
    assert said in found
    assert "pytest_plugin.py:" not in found


def test_a_mark_without_a_video_is_an_error(project: Path) -> None:
    (project / "test_none.py").write_text(
        "import pytest\n\n@pytest.mark.evalkit(clips='nowhere/*.mp4', policy='release.yaml')\n"
        "def test_none(evalkit_gate):\n    evalkit_gate.check()\n"
    )
    assert "no video is at 'nowhere/*.mp4'" in run_pytest(project, "-q", "test_none.py", code=2)


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "two"])
def test_the_report_has_what_was_judged(processes: tuple[str, ...], project: Path) -> None:
    said = run_pytest(
        project,
        "-q",
        *processes,
        "videos",
        "--evalkit-policy",
        "release.yaml",
        "--evalkit-report",
        "out",
        code=1,
    )
    assert "evalkit: wrote" in said
    found = json.loads((project / "out" / "clips.json").read_text("utf-8"))
    (one,) = found["policies"]
    assert one["policy"]["name"] == "release"
    assert sorted(Path(clip["path"]).name for clip in one["clips"]) == ["good.mp4", "other.mp4"]
    page = (project / "out" / "clips.html").read_text("utf-8")
    assert "good.mp4" in page
    assert page.lower().startswith("<!doctype html>")


def test_a_video_that_is_not_there_is_told_and_makes_no_report(project: Path) -> None:
    (project / "test_gone.py").write_text(
        "import pytest\nfrom evalkit.errors import UsageError\n\n"
        "def test_gone(evalkit):\n"
        "    with pytest.raises(UsageError, match='gone.mp4 cannot be read: No such file'):\n"
        "        evalkit.assert_passes('gone.mp4', 'release.yaml')\n"
    )
    said = run_pytest(project, "-q", "test_gone.py", "--evalkit-report", "out", code=0)
    assert "evalkit: nothing was measured" in said
    assert not (project / "out").exists()
