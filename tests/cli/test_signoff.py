"""``evalkit signoff`` as a release pipeline uses it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

import evalkit
from evalkit.analysis.table import ResultTable, rows_of_run
from evalkit.cli import main
from evalkit.decisions.policy import load_policy
from evalkit.decisions.waivers import waiver_lines
from evalkit.runs import Run
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR, SHARPNESS, TOTAL

POLICY = """
name: mine
title: Mine
quality: lip_sync.error
costs: [profile.total_s]
rules:
  - {metric: lip_sync.error, at_most: LIMIT, why: a gate}
  - {metric: technical.sharpness, at_least: 0.4, why: a gate}
  - {metric: profile.total_s, at_most: 1, kind: soft, judged_by: value, why: patience}
"""


def waiver(folder: Path, table: ResultTable, policy: str, *, days: int) -> Path:
    """Write a waiver of the lip-sync error that binds what it should, up to a value of 1."""
    path = folder / "waivers.yaml"
    expires = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
    path.write_text(
        "waivers:\n  - metric: lip_sync.error\n"
        + waiver_lines(load_policy(policy), table.run_id, 1.0)
        + f"\n    name: Ann\n    reason: pilot\n    expires: {expires}\n",
        "utf-8",
    )
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["signoff", *map(str, arguments)])


def write(
    folder: Path, *, steps: tuple[int, ...] = (4,), n: int = 24, worse: float = 0.0, **more: Any
) -> Path:
    trials = [
        make_trial(
            params={"sample_steps": level},
            portrait=f"ann {index}",
            speech="<script>",
            seed=7,
            values={
                "lip_sync.error": 0.2 + 0.001 * index + worse * (1 + index % 3),
                "technical.sharpness": 0.8 + 0.001 * index,
                "profile.total_s": 5.0,
            },
        )
        for level in steps
        for index in range(n)
    ]
    return write_run(folder, trials, (ERROR, SHARPNESS, TOTAL), **more)


def policy(folder: Path, limit: float = 0.3) -> Path:
    path = folder / "mine.yaml"
    path.write_text(POLICY.replace("LIMIT", str(limit)), "utf-8")
    return path


def test_a_pass_is_exit_code_0_and_leaves_a_line_in_the_ledger(tmp_path: Path) -> None:
    folder = write(tmp_path / "run")
    result = run(folder, "--policy", policy(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.output.startswith("PASS: 2 of 2 gates pass; 1 warning.")
    ledger = folder / "decisions" / "ledger.jsonl"
    line = ledger.read_bytes().removesuffix(b"\n")
    assert result.output.splitlines()[-2:] == [
        f"ledger head 1:{hashlib.sha256(line).hexdigest()}",
        f"appended line 1 to {ledger}",
    ]
    entry = json.loads(line)
    assert entry["decision"] == "PASS"
    assert all(entry["sha256"].values())
    assert len(entry["run"]["results"]) == 64
    assert entry["gates"][0]["metric"] == "profile.total_s"


def test_a_fail_is_exit_code_1_with_every_output(tmp_path: Path) -> None:
    paths = [tmp_path / "out" / f"found.{kind}" for kind in ("json", "xml", "html")]
    result = run(
        write(tmp_path / "run"),
        *("--policy", policy(tmp_path, 0.1)),
        *("--json", paths[0], "--junit", paths[1], "--html", paths[2], "--ledger", tmp_path / "all.jsonl"),
    )
    assert result.exit_code == 1
    assert "✗ fail" in result.output
    assert "beyond the limit" in " ".join(result.output.split())
    assert json.loads(paths[0].read_text("utf-8"))["decision"] == "FAIL"
    assert ET.parse(paths[1]).getroot()[0].get("failures") == "1"  # noqa: S314 - our own
    assert "FAIL" in paths[2].read_text("utf-8")
    assert (tmp_path / "all.jsonl").is_file()
    assert not (tmp_path / "run" / "decisions" / "ledger.jsonl").exists()


def test_a_waived_miss_is_exit_code_0(tmp_path: Path) -> None:
    folder, rules = write(tmp_path / "run"), policy(tmp_path, 0.1)
    table = rows_of_run(Run.open(folder))
    arguments = (folder, "--policy", rules, "--waivers")
    result = run(*arguments, waiver(tmp_path, table, rules, days=30))
    assert result.exit_code == 0
    assert result.output.startswith("PASS WITH WAIVERS: 1 of 2 gates passes, 1 is waived by Ann")
    assert run(*arguments, waiver(tmp_path, table, rules, days=-1)).exit_code == 1


def test_a_form_holds_what_a_waiver_has_to_bind(tmp_path: Path) -> None:
    folder, rules, form = write(tmp_path / "run"), policy(tmp_path, 0.1), tmp_path / "form.yaml"
    assert run(folder, "--policy", rules, "--waiver-form", form).exit_code == 1
    text = form.read_text("utf-8")
    assert text.count("- metric:") == 1
    unsigned = run(folder, "--policy", rules, "--waivers", form)
    assert unsigned.exit_code == 2
    assert "name" in unsigned.output
    expires = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)
    signed = text.replace("name:", "name: Ann").replace("reason:", "reason: pilot")
    form.write_text(signed.replace("expires:", f"expires: {expires}"), "utf-8")
    result = run(folder, "--policy", rules, "--waivers", form)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("PASS WITH WAIVERS: 1 of 2 gates passes, 1 is waived by Ann")


def test_the_bundled_policy_says_what_is_not_measured(tmp_path: Path) -> None:
    result = run(write(tmp_path / "run"), "--policy", "customer_service")
    assert result.exit_code == 1
    words = " ".join(result.output.split())
    assert "rating.mos: not measured, asked: at least 4, n 0 of 24" in words
    assert "brand.fidelity: not measured" in words
    assert max(len(line) for line in result.output.splitlines() if "tmp" not in line) <= 80


def test_an_unfinished_or_damaged_run_does_not_pass(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", unfinished=["00ff"])
    trial = next((folder / "videos").iterdir())
    (trial / "generation.json").write_text("{", "utf-8")
    result = run(folder, "--policy", policy(tmp_path))
    assert result.exit_code == 1
    assert "run.complete" in result.output
    assert "2 without one: trial 00ff has no result yet;" in " ".join(result.output.split())


def test_one_configuration_of_a_sweep(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", steps=(3, 4), n=25)
    result = run(folder, "--policy", policy(tmp_path), "--where", "sample_steps=3")
    assert result.exit_code == 0, result.output
    assert "One of 2 configurations: judged more strictly" in " ".join(result.output.split())
    assert evalkit.signoff(folder, str(policy(tmp_path)), where={"sample_steps": 3}).decision == "PASS"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{sweep}"], "holds 2 configurations"),
        (["{sweep}", "--where", "sample_steps=9"], "no clip with sample_steps='9'"),
        (["{bare}"], "nothing to judge, it has no clip"),
        (["{sweep}/none"], "is not there"),
        (["{run}", "--waivers", "{sweep}/none.yaml"], "cannot be read"),
        (["{run}", "--ledger", "{sweep}/run.json/x.jsonl"], "cannot be written"),
        (["{run}", "--json", "{sweep}/run.json/x.json"], "cannot make the folder"),
        (["{sweep}/videos", "--anchor", "x"], "name it with --ledger"),
    ],
)
def test_wrong_use_is_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    folders = {
        "run": write(tmp_path / "run"),
        "sweep": write(tmp_path / "sweep", steps=(3, 4)),
        "bare": write(tmp_path / "bare", n=0),
    }
    result = run(*(one.format(**folders) for one in arguments), "--policy", policy(tmp_path))
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            POLICY.replace("LIMIT", "0.3").replace("lip_sync.error,", "lip_sync.eror,"),
            "did you mean 'lip_sync.error'",
        ),
        (POLICY.replace("LIMIT", "0.3").replace("why: a gate", "wy: a gate"), "did you mean 'why'"),
        ("nonsense", "mapping"),
    ],
)
def test_a_wrong_policy_is_exit_code_2(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text, "utf-8")
    result = run(write(tmp_path / "run"), "--policy", path)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_policy_has_to_be_named(tmp_path: Path) -> None:
    result = run(write(tmp_path / "run"))
    assert result.exit_code == 2
    assert "Missing option '--policy'" in result.output


def test_a_broken_ledger_is_refused_before_anything_is_judged_or_written(tmp_path: Path) -> None:
    folder, page = write(tmp_path / "run"), tmp_path / "found.html"
    arguments = (folder, "--policy", policy(tmp_path), "--anchor", tmp_path / "head")
    assert run(*arguments).exit_code == 0
    assert run(*arguments).exit_code == 0
    ledger = folder / "decisions" / "ledger.jsonl"
    first = ledger.read_bytes().splitlines(keepends=True)[0]
    ledger.write_bytes(first)
    result = run(*arguments, "--html", page)
    assert result.exit_code == 2
    assert "the anchor tells of 2 lines, and there are 1" in " ".join(result.output.split())
    assert ledger.read_bytes() == first
    assert not page.exists()


def test_a_ledger_of_an_earlier_version_goes_on_where_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path / "run")
    old = folder / "ledger.jsonl"
    assert run(folder, "--policy", policy(tmp_path), "--ledger", old).exit_code == 0
    result = run(folder, "--policy", policy(tmp_path))
    assert f"appended line 2 to {old}" in result.output
    assert "the ledger goes on in" in result.output


def test_worse_than_the_last_release_is_a_finding_though_the_gate_passes(tmp_path: Path) -> None:
    mine = policy(tmp_path, 0.6)
    last, now = write(tmp_path / "v1"), write(tmp_path / "v2", worse=0.05)
    page, form, plain = tmp_path / "page.html", tmp_path / "form.yaml", tmp_path / "out.json"
    warned = run(now, "--policy", mine, "--baseline", last, "--html", page, "--json", plain)
    assert warned.exit_code == 0, warned.output
    said = " ".join(warned.output.split())
    assert said.startswith("PASS: 2 of 2 gates pass; 2 warnings.")
    assert "lip_sync.error.baseline (soft)" in said
    assert "Against" in said
    assert "worse in lip_sync.error." in said
    assert "One thing became worse." in page.read_text("utf-8")
    assert json.loads(plain.read_text("utf-8"))["baseline"]["n_pairs"] == 24
    failed = run(
        now, "--policy", mine, "--baseline", last, "--baseline-fails", "--waiver-form", form, "--html", page
    )
    assert failed.exit_code == 1
    assert form.read_text("utf-8") == "waivers: []\n"
    assert "It fails the release, as was asked." in page.read_text("utf-8")
    better = run(last, "--policy", mine, "--baseline", now)
    assert better.exit_code == 0
    assert ".baseline" not in better.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--baseline-fails",), "--baseline-fails belongs to --baseline"),
        (("--baseline", "v1"), "is what is judged"),
        (("--baseline", "two"), "holds 2 configurations"),
        (("--baseline", "nowhere"), "nowhere is not there"),
    ],
)
def test_what_is_no_last_release_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    write(tmp_path / "v1")
    write(tmp_path / "two", steps=(3, 4))
    monkeypatch.chdir(tmp_path)
    result = run("v1", "--policy", policy(tmp_path), *options)
    assert result.exit_code == 2
    assert said in result.output
