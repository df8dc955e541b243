"""``evalkit compare`` as people use it."""

from __future__ import annotations

import json
import re
import shutil
from importlib import resources
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
from evalkit.visuals.page import theme_script

METRICS = (ERROR, OFFSET, TOTAL)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def write(
    folder: Path,
    *,
    moved_ms: float = 0.0,
    steps: tuple[int, ...] = (4,),
    n: int = 30,
    seed: int = 1,
    policy: str | None = None,
) -> Path:
    """Write a run of one clip an input and number of steps; fewer steps are worse and faster."""
    rng = np.random.default_rng(seed)
    trials = [
        make_trial(
            params={"sample_steps": level, "size": "384*256"},
            portrait="ann <script>",
            speech=f"words {index}",
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
    return write_run(folder, trials, METRICS, evaluators={"lip_sync": 1}, policy=policy)


def test_a_run_with_itself(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    result = run(folder, folder)
    assert result.exit_code == 0
    answer = "No difference between A and B in lip_sync.error, over 30 pairs: equal in all 30 pairs."
    assert " ".join(result.output.split()).startswith(answer)
    assert (
        result.output.splitlines()[-1] == "note: judged by the policy customer_service: no policy was named"
    )


def test_two_runs_in_terminal_json_and_html(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a"), write(tmp_path / "b", moved_ms=180)
    out = tmp_path / "out" / "found.json", tmp_path / "out" / "found.html"
    result = run(a, b, "--json", out[0], "--html", out[1])
    assert result.exit_code == 0
    words = " ".join(result.output.split())
    assert words.startswith("No difference between A and B in lip_sync.error, over 30 pairs")
    asked, seen = words.split("Seen, not asked beforehand")
    assert "= lip_sync.error: no difference" in asked.split("Asked beforehand")[1]
    assert "▼ worse metric B - A [95 %] p pairs lip_sync.offset_ms -180 ms" in seen
    assert seen.index("▼ worse") < seen.index("= no difference")
    assert max(len(line) for line in result.output.splitlines() if "lip_sync" in line) <= 80
    found = {one["metric"]: one for one in json.loads(out[0].read_text("utf-8"))["metrics"]}
    assert found["lip_sync.offset_ms"]["moved"]["value"] == pytest.approx(-180, abs=1)
    assert [one["family"] for one in found.values()] == ["primary", *["exploratory"] * 3]
    assert found["lip_sync.offset_ms"]["limits"]["n_leaving"] == 30
    page = out[1].read_text("utf-8").replace(f"<script>{theme_script()}</script>", "")
    assert "<script" not in page  # there is no video to play
    assert page.count("<svg") == 3  # equal times have no interval: nothing bounds them
    assert (
        page.index("<h2>Asked beforehand")
        < page.index("One metric without a difference")
        < page.index("<summary>Seen, not asked")
    )
    assert page.index("<summary>Seen, not asked") < page.index(">Lips follow the sound</span> ")
    assert ">lip_sync." not in page
    assert re.findall(r"\bhttps?:", page) == []
    assert result.output.splitlines()[-1] == f"wrote {out[1]}"


def test_one_run_split_by_a_parameter(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", steps=(4, 3))
    result = run(folder, "--split", "sample_steps=4,3")
    assert result.exit_code == 0
    assert "B is worse in lip_sync.error, over 30 pairs." in result.output
    assert "▲ better" in result.output.split("Seen, not asked beforehand")[1]
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


def test_the_policy_that_both_runs_name_judges_unless_another_is_given(tmp_path: Path) -> None:
    text = resources.files("evalkit.decisions").joinpath("policies/customer_service.yaml").read_text("utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("margin: 0.05", "margin: 0.07"), "utf-8")
    a, b = write(tmp_path / "a", policy=str(mine)), write(tmp_path / "b", policy=str(mine))
    assert evalkit.compare(a, b)["lip_sync.error"].margin == 0.07
    assert evalkit.compare(a, b, policy="customer_service")["lip_sync.error"].margin == 0.05
    found = evalkit.compare(a, write(tmp_path / "c"))
    assert found["lip_sync.error"].margin == 0.05
    assert found.notes[-1] == f"judged by the policy customer_service: only one side names {mine}"
    other = evalkit.compare(a, write(tmp_path / "d", policy="customer_service"))
    assert other.notes[-1] == (
        f"judged by the policy customer_service: they name different ones: {mine} and customer_service"
    )
    mine.unlink()
    with pytest.raises(UsageError, match=r"both name the policy .*mine.yaml.*name another with --policy"):
        evalkit.compare(a, b)


def test_clips_without_a_partner_are_shown(tmp_path: Path) -> None:
    result = run(write(tmp_path / "a", n=14), write(tmp_path / "b", n=12))
    assert "Without a partner: 2 of A, none of B." in " ".join(result.output.split())
    assert result.output.count("without a partner, A:") == 2
    assert "ann <script> × words 12, seed 7" in result.output


def test_nothing_in_common_is_exit_code_2(tmp_path: Path) -> None:
    a = write(tmp_path / "a", n=2)
    trials = [make_trial(params={}, portrait="bo", speech="other", seed=7, values={"lip_sync.error": 0.1})]
    b = write_run(tmp_path / "b", trials, METRICS)
    result = run(a, b)
    assert result.exit_code == 2
    assert "Nothing can be compared" in result.output
    assert len(result.output.splitlines()) < 12  # not one line for each metric that could not be
    assert "bo × other" in result.output


def test_two_folders_of_videos_are_measured(tmp_path: Path, talking_face: TalkingFace) -> None:
    for side in "ab":
        (tmp_path / side / "bank").mkdir(parents=True)
        shutil.copy(talking_face.path, tmp_path / side / "bank" / "hello.mp4")
    shutil.copy(talking_face.path, tmp_path / "a" / "alone.mp4")
    result = run(tmp_path / "a", tmp_path / "b", "--only", "technical", "--jobs", 1)
    assert result.exit_code == 0
    assert "lip_sync.error was not compared: neither side has a value in any of 1 pair" in result.output
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
