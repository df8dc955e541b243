"""``evalkit compare`` as people use it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import evalkit
from evalkit.cli import main
from evalkit.errors import UsageError
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR, OFFSET, TOTAL
from evalkit.testing.talking_face import TalkingFace

METRICS = (ERROR, OFFSET, TOTAL)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def write(
    folder: Path, *, moved_ms: float = 0.0, steps: tuple[int, ...] = (4,), n: int = 14, seed: int = 1
) -> Path:
    """Write a run of one clip an input and number of steps; fewer steps are worse and faster."""
    rng = np.random.default_rng(seed)
    trials = [
        make_trial(
            params={"sample_steps": level, "size": "384*256"},
            portrait=f"ann {index % 2} <script>",
            speech=f"words {index // 2}",
            seed=7,
            values={
                "lip_sync.error": 0.2 + 0.1 * (4 - level) + 0.01 * rng.normal(),
                "lip_sync.offset_ms": 5 - moved_ms + rng.normal(),
                "profile.total_s": 5.0 * level + 0.1 * rng.normal(),
            },
        )
        for level in steps
        for index in range(n)
    ]
    return write_run(folder, trials, METRICS, evaluators={"lip_sync": 1})


def test_a_run_with_itself(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    result = run(folder, folder)
    assert result.exit_code == 0
    assert result.output.startswith("No difference between A and B, over 14 pairs.")


def test_two_runs_in_terminal_json_and_html(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a"), write(tmp_path / "b", moved_ms=80)
    out = tmp_path / "out" / "found.json", tmp_path / "out" / "found.html"
    result = run(a, b, "--json", out[0], "--html", out[1])
    assert result.exit_code == 0
    assert "B is worse in lip_sync.offset_ms, over 14 pairs." in result.output
    assert max(len(line) for line in result.output.splitlines() if "lip_sync" in line) <= 80
    found = {one["metric"]: one for one in json.loads(out[0].read_text("utf-8"))["metrics"]}
    assert found["lip_sync.offset_ms"]["moved"]["value"] == pytest.approx(-80, abs=1)
    page = out[1].read_text("utf-8")
    assert "<script" not in page
    assert page.count("<svg") == 2  # what is equal everywhere has an interval without width
    assert re.findall(r"\bhttps?:", page) == []
    assert result.output.splitlines()[-1] == f"wrote {out[1]}"


def test_one_run_split_by_a_parameter(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", steps=(4, 3))
    result = run(folder, "--split", "sample_steps=4,3")
    assert result.exit_code == 0
    assert "better in profile.total_s and worse in lip_sync.error, over 14 pairs" in result.output
    again = evalkit.compare(folder, split={"sample_steps": (4, 3)})
    assert again["lip_sync.error"].difference.value == pytest.approx(0.1, abs=0.01)


def test_the_policy_gives_the_margin_and_the_option_another(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", seed=1), write(tmp_path / "b", seed=2)
    assert evalkit.compare(a, b)["lip_sync.error"].margin == 0.05
    assert evalkit.compare(a, b)["lip_sync.error"].finding == "no difference"
    result = run(a, b, "--margin", "lip_sync.error=0.000001", "--json", tmp_path / "x.json")
    found = {one["metric"]: one for one in json.loads((tmp_path / "x.json").read_text("utf-8"))["metrics"]}
    assert result.exit_code == 0
    assert found["lip_sync.error"]["conclusion"] != "no difference"


def test_clips_without_a_partner_are_shown(tmp_path: Path) -> None:
    result = run(write(tmp_path / "a", n=14), write(tmp_path / "b", n=12))
    assert result.output.count("without a partner, A:") == 2
    assert "ann 0 <script> × words 6, seed 7" in result.output


def test_nothing_in_common_is_exit_code_2(tmp_path: Path) -> None:
    a = write(tmp_path / "a", n=2)
    trials = [make_trial(params={}, portrait="bo", speech="other", seed=7, values={"lip_sync.error": 0.1})]
    b = write_run(tmp_path / "b", trials, METRICS)
    result = run(a, b)
    assert result.exit_code == 2
    assert "Nothing can be compared" in result.output


def test_two_folders_of_videos_are_measured(tmp_path: Path, talking_face: TalkingFace) -> None:
    for side in "ab":
        (tmp_path / side / "bank").mkdir(parents=True)
        shutil.copy(talking_face.path, tmp_path / side / "bank" / "hello.mp4")
    shutil.copy(talking_face.path, tmp_path / "a" / "alone.mp4")
    result = run(tmp_path / "a", tmp_path / "b", "--only", "technical", "--jobs", 1)
    assert result.exit_code == 0
    assert "over 1 pair." in result.output
    assert "without a partner, A: alone" in result.output
    assert "are taken as independent" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{a}"], "give either a second run"),
        (["{a}", "{a}", "--split", "sample_steps=4,3"], "give either a second run"),
        (["{a}", "--split", "sample_steps=4"], "is not NAME=A,B"),
        (["{a}", "--split", "sample_steps=4,4"], "two different values"),
        (["{a}", "--split", "steps=4,3"], "has no parameter 'steps' (there are: sample_steps, size)"),
        (["{a}", "--split", "sample_steps=4,9"], "no clip with sample_steps='9' (there are: 4, 3)"),
        (["{a}", "{a}", "--margin", "lip_sync.error=much"], "is not METRIC=NUMBER"),
        (["{a}", "{a}", "--margin", "lip_sync.eror=1"], "did you mean 'lip_sync.error'"),
        (["{a}", "{a}", "--policy", "costumer_service"], "did you mean 'customer_service'"),
        (["{a}", "{a}", "--where", "size"], "'size' is not NAME=VALUE"),
        (["{a}", "{a}", "--only", "technical"], "is measured already"),
        (["{a}", "{empty}"], "holds no video"),
        (["{a}", "{a}/none"], "is not there; a run folder, a video or a folder of videos is needed"),
        (
            ["{a}", "{a}/run.json"],
            "is not a video by its name; a run folder, a video or a folder of videos is needed",
        ),
    ],
)
def test_wrong_use_is_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    folder = write(tmp_path / "a", steps=(4, 3), n=2)
    (tmp_path / "empty").mkdir()
    result = run(*(argument.format(a=folder, empty=tmp_path / "empty") for argument in arguments))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_the_function_refuses_as_the_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either a second run"):
        evalkit.compare(tmp_path)
    with pytest.raises(UsageError, match="holds no video"):
        evalkit.compare(tmp_path, tmp_path)
