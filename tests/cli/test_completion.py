"""What a shell completes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from evalkit.cli import main

BASH = shutil.which("bash")


def completed(*words: str, incomplete: str) -> list[str]:
    found = ShellComplete(main, {}, "evalkit", "_EVALKIT_COMPLETE").get_completions(list(words), incomplete)
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ((), "sig", "signoff"),
        (("rate",), "ser", "serve"),
        (("signoff",), "--pol", "--policy"),
        (("signoff", "run", "--policy"), "cu", "customer_service"),
        (("policy", "show"), "c", "customer_service"),
        (("generate", "--generator"), "li", "live_avatar"),
        (("sweep", "--generator"), "ref", "reference"),
        (("doctor", "--generator"), "w", "wav2lip"),
        (("doctor", "--executor"), "p", "processes"),
        (("evaluate", "clip.mp4", "--only"), "lip", "lip_sync"),
        (("evaluate", "clip.mp4", "--only"), "lip_sync,br", "lip_sync,brand"),
        (("list",), "gen", "generators"),
        (("report", "run", "--language"), "z", "zh-CN"),
    ],
)
def test_names_are_completed(words: tuple[str, ...], incomplete: str, expected: str) -> None:
    assert expected in completed(*words, incomplete=incomplete)


def test_a_policy_may_be_a_file() -> None:
    found = ShellComplete(main, {}, "evalkit", "_EVALKIT_COMPLETE").get_completions(
        ["signoff", "run", "--policy"], "./mi"
    )
    assert [(item.type, item.value) for item in found] == [("file", "./mi")]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a folder with a program `evalkit`, as a shell finds it."""
    path = tmp_path / "evalkit"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'evalkit'\nfrom evalkit.cli import main\nmain()\n",
        "utf-8",
    )
    path.chmod(0o755)
    return tmp_path


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash_completes_after_the_line_of_the_documentation(program: Path) -> None:
    script = (
        'eval "$(_EVALKIT_COMPLETE=bash_source evalkit)" || exit 1\n'
        "complete -p evalkit\n"
        "COMP_WORDS=(evalkit signoff run --policy cu) COMP_CWORD=4\n"
        '_evalkit_completion evalkit\necho "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}"}
    done = subprocess.run(
        [str(BASH), "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "customer_service"


@pytest.mark.parametrize(
    ("shell", "holds"), [("zsh", "compdef"), ("fish", "complete --no-files --command evalkit")]
)
def test_the_other_shells_get_their_script(shell: str, holds: str, program: Path) -> None:
    done = subprocess.run(
        [program / "evalkit"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_EVALKIT_COMPLETE": f"{shell}_source"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert holds in done.stdout
    asked = {"COMP_WORDS": "evalkit sig", "COMP_CWORD": "1" if shell == "zsh" else "sig"}
    done = subprocess.run(
        [program / "evalkit"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **asked, "_EVALKIT_COMPLETE": f"{shell}_complete"},
        timeout=120,
    )
    assert "signoff" in done.stdout
