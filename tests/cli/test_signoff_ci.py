"""What `evalkit signoff` writes for continuous integration: SARIF and the summary of a job; and the workflow that uses them."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evalkit.analysis.table import rows_of_run
from evalkit.cli import main
from evalkit.decisions.policy import load_policy
from evalkit.decisions.waivers import waiver_lines
from evalkit.options import read_yaml
from evalkit.reports.job_summary import plain
from evalkit.runs import Run
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR, SHARPNESS, TOTAL

ROOT = Path(__file__).parents[2]
POLICY = """name: mine
title: Mine
quality: lip_sync.error
costs: [profile.total_s]
rules:
  - {metric: lip_sync.error, at_most: 0.1, why: a gate}
  - metric: technical.sharpness
    at_least: 0.4
    why: a gate
  - {metric: profile.total_s, at_most: 1, kind: soft, judged_by: value, why: patience}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    trials = [
        make_trial(
            params={"sample_steps": 4},
            portrait=f"ann {index}",
            speech="<script> | @all",
            seed=7,
            values={
                "lip_sync.error": 0.2,
                "technical.sharpness": 0.8 + 0.001 * index,
                "profile.total_s": 5.0,
            },
        )
        for index in range(24)
    ]
    write_run(tmp_path / "run | <b>", trials, (ERROR, SHARPNESS, TOTAL))
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "my mine.yaml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sign(*options: str, code: int) -> str:
    done = CliRunner().invoke(main, ["signoff", "run | <b>", "--policy", "rules/my mine.yaml", *options])
    assert done.exit_code == code, done.output
    return done.output


def sarif(place: Path, *options: str, code: int = 1) -> dict[str, Any]:
    sign("--sarif", "found.sarif", *options, code=code)
    log = json.loads((place / "found.sarif").read_text("utf-8"))
    check_sarif(log)
    (run,) = log["runs"]
    return dict(run)


def check_sarif(log: dict[str, Any]) -> None:
    """Hold a log against what SARIF 2.1.0 and GitHub ask of one (its own schema is not in this repository)."""
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    for run in log["runs"]:
        rules = run["tool"]["driver"]["rules"]
        assert len({rule["id"] for rule in rules}) == len(rules)
        for rule in rules:
            assert rule["shortDescription"]["text"]
            assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", run["invocations"][0]["endTimeUtc"])
        for result in run["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["message"]["text"]
            assert result["kind"] in {"pass", "fail"}
            assert (result["level"] == "none") == (result["kind"] == "pass")  # 3.27.10: else kind is fail
            (location,) = result["locations"]
            physical = location["physicalLocation"]
            assert re.fullmatch(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/%]+", physical["artifactLocation"]["uri"])
            assert physical["region"]["startLine"] >= 1
            assert len(result["partialFingerprints"]["evalkitGate/v1"]) == 64
            for one in result.get("suppressions", ()):
                assert one["kind"] in {"inSource", "external"}
                assert one["status"] in {"accepted", "underReview", "rejected"}


def test_sarif_points_to_the_line_of_each_rule(place: Path) -> None:
    run = sarif(place)
    by_rule = {one["ruleId"]: one for one in run["results"]}
    lines = {
        name: one["locations"][0]["physicalLocation"]["region"]["startLine"] for name, one in by_rule.items()
    }
    assert lines == {"lip_sync.error": 6, "technical.sharpness": 7, "profile.total_s/soft": 10}
    places = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]}
    assert places == {"rules/my%20mine.yaml"}
    levels = {name: one["level"] for name, one in by_rule.items()}
    assert levels == {
        "lip_sync.error": "error", "technical.sharpness": "none", "profile.total_s/soft": "warning"
    }  # fmt: skip
    assert "Lips fit the words" in by_rule["lip_sync.error"]["message"]["text"]
    assert "Asked: at most 0.1" in by_rule["lip_sync.error"]["message"]["text"]


def test_the_same_gate_has_the_same_fingerprint_and_another_has_another(place: Path) -> None:
    prints = [[one["partialFingerprints"] for one in sarif(place)["results"]] for _ in range(2)]
    assert prints[0] == prints[1]
    assert len({json.dumps(one) for one in prints[0]}) == 3


def test_a_waived_gate_is_suppressed_with_who_answers_for_it(place: Path) -> None:
    rules = load_policy("rules/my mine.yaml")
    expires = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
    bound = waiver_lines(rules, rows_of_run(Run.open("run | <b>")).run_id, 1.0)
    (place / "waivers.yaml").write_text(
        f"waivers:\n  - metric: lip_sync.error\n{bound}\n    name: Ann\n    reason: pilot\n    expires: {expires}\n"
    )
    run = sarif(place, "--waivers", "waivers.yaml", "--summary", "summary.md", code=0)
    (waived,) = [one for one in run["results"] if "suppressions" in one]
    assert waived["ruleId"] == "lip_sync.error"
    assert waived["suppressions"][0]["justification"] == f"Ann, until {expires}: pilot"
    assert "PASS WITH WAIVERS" in (place / "summary.md").read_text("utf-8")


def test_a_bundled_policy_points_to_the_run(place: Path) -> None:
    done = CliRunner().invoke(
        main, ["signoff", "run | <b>", "--policy", "customer_service", "--sarif", "f.sarif"]
    )
    assert done.exit_code == 1
    log = json.loads((place / "f.sarif").read_text("utf-8"))
    check_sarif(log)
    uris = {
        one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for one in log["runs"][0]["results"]
    }
    assert uris == {"run%20%7C%20%3Cb%3E"}


def test_the_summary_says_first_what_does_not_pass(place: Path) -> None:
    sign("--summary", "summary.md", code=1)
    text = (place / "summary.md").read_text("utf-8")
    head, _, folded = text.partition("<details>")
    assert text.startswith("## ❌ FAIL: run \\| &lt;b&gt;\n")
    assert "Lips fit the words" in head
    assert "lip\\_sync.error" in head
    assert "technical\\.sharpness" not in head
    assert "technical.sharpness" in folded
    rows = [line for line in text.splitlines() if line.startswith("|")]
    unescaped = [len(re.findall(r"(?<!\\)\|", line)) for line in rows]
    assert set(unescaped) == {6}
    assert "<b>" not in text


@pytest.mark.parametrize("ending", ["", "\n", "\n\n\n"])
def test_the_summary_is_added_to_what_earlier_steps_wrote(place: Path, ending: str) -> None:
    (place / "summary.md").write_text(f"- earlier{ending}")
    sign("--summary", "summary.md", code=1)
    sign("--summary", "summary.md", code=1)
    text = (place / "summary.md").read_text("utf-8")
    assert text.startswith("- earlier\n\n## ")
    assert len(re.findall("(?m)^## .* FAIL: run", text)) == 2


@pytest.mark.parametrize(
    "hostile", ["<script>", "a|b", "`x`", "[x](javascript:1)", "line\nbreak", "**x**", "@me"]
)
def test_nothing_that_is_quoted_is_markdown(hostile: str) -> None:
    shown = plain(hostile)
    assert "<" not in shown
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[|`\[\]*@]", shown)


def test_the_workflow_that_is_shown_uses_options_that_there_are() -> None:
    flow = read_yaml(ROOT / "docs" / "examples" / "evalkit.yml")
    steps = flow["jobs"]["release"]["steps"]
    pins = [step["uses"] for step in steps if "uses" in step]
    assert pins
    assert all(re.search(r"@v\d+(\.\d+){0,2}$", pin) for pin in pins)
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    known = CliRunner().invoke(main, ["signoff", "--help"]).output
    (signed,) = re.findall(r"evalkit signoff[^\n]*(?:\n +--[^\n]*)*", commands)
    options = re.findall(r"--[a-z-]+", signed)
    assert {"--junit", "--sarif", "--summary", "--policy"} <= set(options)
    assert all(option in known for option in options)
