"""``evalkit policy``: shown in words, begun with comments, checked before anything is swept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from evalkit.cli import main
from evalkit.decisions.policy import load_policy

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "name: mine\ntitle: Mine\nquality: lip_sync.error\ncosts: [profile.total_s]\nrules:\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["policy", *map(str, arguments)])


def write(folder: Path, rules: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(HEAD + rules, "utf-8")
    return path


def test_show_says_how_many_clips_each_rule_needs() -> None:
    result = run("show", "customer_service")
    assert result.exit_code == 0
    lines = {line.split()[0]: " ".join(line.split()) for line in result.output.splitlines() if line.strip()}
    assert lines["lip_sync.error"].endswith("at most 0.3 hard 19 clips")
    assert "29 clips" in lines["lip_sync.error.bad"]
    assert lines["rating.mos"].endswith("20 raters")
    assert "at most 3 s in every clip" in lines["profile.ttff_s"]
    assert "598 attempts" in lines["profile.error_rate"]
    assert "at least 1 portrait, 20 texts and 1 seed" in result.output
    assert max(map(len, result.output.splitlines()[1:12])) <= 80


@pytest.mark.parametrize("command", ["show", "check"])
def test_what_is_no_policy_is_exit_code_2(tmp_path: Path, command: str) -> None:
    result = run(command, "costumer_service")
    assert result.exit_code == 2
    assert "did you mean 'customer_service'" in result.output
    path = write(
        tmp_path, "  - {metric: lip_sync.error, at_least: 0.3, why: a}\n  - {metric: rating.mos, why: b}\n"
    )
    result = run(command, path)
    assert result.exit_code == 2
    assert "is better when lower" in result.output
    assert "a rule needs at_most, at_least or both" in result.output


def test_check_tells_nothing_wrong_from_warnings(tmp_path: Path) -> None:
    assert run("check", "customer_service").exit_code == 0
    result = run(
        "check", write(tmp_path, "  - {metric: lip_sync.error, at_most: 0.3, min_n: 3, why: a gate}\n")
    )
    assert (result.exit_code, result.output.count("warning:")) == (1, 1)
    assert "min_n 3 has no effect" in result.output


def test_new_writes_a_policy_that_says_the_same_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "our release.yaml"
    assert run("new", path).exit_code == 0
    made, bundled = load_policy(str(path)), load_policy("customer_service")
    assert made.name == "our_release"
    assert made.model_copy(update={"name": bundled.name}) == bundled
    text = path.read_text("utf-8")
    assert all(word in text for word in ("bad_beyond", "given", "max_waiver_days", "# reach"))
    assert run("check", path).exit_code == 0
    again = tmp_path / "second.yaml"
    assert run("new", again, "--from", path).exit_code == 0
    assert again.read_text("utf-8").count("# A release policy") == 1


def test_new_overwrites_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    result = run("new", path)
    assert (result.exit_code, path.read_text("utf-8")) == (2, HEAD)
    assert "is there already; name another file" in result.output
    result = run("new", tmp_path / "none" / "a.yaml")
    assert result.exit_code == 2
    assert "cannot be written" in result.output
