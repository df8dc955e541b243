"""Every command, YAML and Python of the guides, run as it stands there, in a scratch folder with files of a user.

A few are run smaller, as `SMALLER` says, each with its reason.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from evalkit.decisions.policy import Rule
from evalkit.options import parse_yaml
from evalkit.testing.runs import make_trial, write_grid, write_run
from evalkit.testing.tables import ERROR
from evalkit.types import Metric

ROOT = Path(__file__).parents[1]
GUIDES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    *sorted((ROOT / "notebooks").glob("*/README.md")),
]
_ASK_PIP = f"{shlex.quote(sys.executable)} -m pip install --dry-run --no-deps --no-build-isolation"
SMALLER = {
    **{
        f"pip install {what}": (f"{_ASK_PIP} {what}", "this environment has it all")
        for what in (".", '".[brand,speech]"', '".[all]"')
    },
    ".venv/bin/evalkit validate avatar.mp4 --html card.html --write-policy mine.yaml": (
        ".venv/bin/evalkit validate --help",
        "it takes minutes; tests/validation runs it",
    ),
    "make sweep": ("make -n sweep", "it runs evalkit sweep, which is below"),
    "make test": ("make -n test", "these are the tests"),
    ".venv/bin/evalkit sweep": (".venv/bin/evalkit sweep --dry-run", "twenty videos"),
    ".venv/bin/evalkit sweep my.yaml --set size=384*256,688*368 --set sample_steps=2,3,4": (
        ".venv/bin/evalkit sweep my.yaml --set size=384*256,688*368 --set sample_steps=2,3,4 --dry-run",
        "twelve videos",
    ),
    ".venv/bin/evalkit doctor --executor ray": (
        ".venv/bin/evalkit doctor --executor processes",
        "there is no cluster; tests/execution/ray has one",
    ),
    ".venv/bin/evalkit sweep my.yaml --executor ray": (
        ".venv/bin/evalkit sweep my.yaml --executor processes --dry-run",
        "there is no cluster",
    ),
    ".venv/bin/evalkit evaluate videos/ --executor ray --csv out.csv": (
        ".venv/bin/evalkit evaluate avatar.mp4 --only technical --executor processes --csv out.csv",
        "there is no cluster",
    ),
    ".venv/bin/evalkit rate serve runs/quickstart": (
        (
            ".venv/bin/evalkit rate serve runs/quickstart --port 0 > served.txt & "
            "until grep -q 'serving at' served.txt || ! kill -0 $!; do sleep 0.1; done; "
            "while kill -INT $! 2> /dev/null; do sleep 1; done; wait $!"  # it may not listen to signals yet
        ),
        "it serves until Ctrl-C; tests/road has raters",
    ),
    "evalkit sweep first/sweep.yaml --out runs/first": (
        "evalkit sweep first/sweep.yaml --out runs/first --dry-run",
        "four videos",
    ),
    "evalkit report runs/first": ("evalkit report runs/quickstart", "the sweep above was not done"),
    "evalkit compare runs/quickstart --split sample_steps=1,4 --html compare.html": (
        "evalkit compare release-1.4 release-1.5 --html compare.html",
        "our quickstart has one value",
    ),
    'evalkit signoff runs/quickstart --where "size=384*256" --where sample_steps=4 --policy release.yaml '
    "--html signoff.html --junit signoff.xml": (
        "evalkit signoff runs/quickstart --policy release.yaml --html signoff.html --junit signoff.xml",
        "our quickstart has one value",
    ),
    "evalkit sweep notebooks/norrvik/sweep.yaml --out runs/norrvik": (
        "evalkit sweep notebooks/norrvik/sweep.yaml --out runs/norrvik-new --dry-run",
        "fifteen videos",
    ),
}
"""Command to what is run in its place, and why."""
VERDICTS = ("evalkit signoff", ".venv/bin/evalkit signoff", ".venv/bin/evalkit evaluate avatar.mp4 --policy")
"""What ends with 1 where a release or a clip is not good enough, as ours are."""


class Block(NamedTuple):
    """A block between fences: where it stands, its language, its text."""

    guide: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.guide.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for guide in GUIDES:
        lines = guide.read_text("utf-8").splitlines()
        fences = [number for number, line in enumerate(lines) if line.startswith("```")]
        for start, end in zip(fences[::2], fences[1::2], strict=True):
            text = "\n".join(lines[start + 1 : end])
            found.append(Block(guide, start + 1, lines[start][3:].strip(), text))
    return found


def commands(block: Block) -> list[str]:
    """Return the commands of a block of a terminal, each on one line, without its comment."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [re.sub(r"\s+#\s.*", "", re.sub(r"\s+", " ", line)).strip() for line in lines]


TERMINAL = [block for block in blocks() if block.language in {"console", ""}]
YAML = [block for block in blocks() if block.language == "yaml"]
PYTHON = [block for block in blocks() if block.language == "python"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the guides take for granted: the checkout, and files of a user."""
    place = tmp_path_factory.mktemp("reader")
    (place / ".venv" / "bin").mkdir(parents=True)
    program = place / ".venv" / "bin" / "evalkit"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m evalkit "$@"\n', "utf-8")
    program.chmod(0o755)
    (place / "notebooks").symlink_to(ROOT / "notebooks")
    for name in (
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
        "evalkit",
        "pipeline",
    ):
        (place / name).symlink_to(ROOT / name)
    (place / "faq").mkdir()
    (place / "faq" / "hours.md").write_text("# Hours\n\nWe open at nine and close at five.\n", "utf-8")
    (place / "never_say.txt").write_text("guaranteed\n", "utf-8")
    for name in ("brand.yaml", "norrvik.svg", "norrvik_light.svg"):
        (place / name).write_bytes((ROOT / "notebooks" / "norrvik" / name).read_bytes())
    (place / "anchors").mkdir()
    for number, release in enumerate(("release-1.4", "release-1.5")):
        write_grid(place / release, sizes=("688*368",), steps=(3 + number,))
    write_run(
        place / "runs" / "norrvik",
        [
            make_trial(params={"prompt": prompt}, portrait="own", speech=said, seed=420, values={ERROR.name: 0.1})
            for prompt in ("a woman at a bank counter, smiling, soft light", "a woman in an office")
            for said in ("one", "two")
        ],
        [Metric(ERROR.name, ERROR.unit, ERROR.better, ERROR.meaning)],
    )  # fmt: skip
    return place


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HOME": str(place),
        "PATH": f"{place / '.venv' / 'bin'}:{os.environ['PATH']}",
    }
    environment.pop("DASHSCOPE_API_KEY", None)
    return subprocess.run(
        ["bash", "-c", command], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=900
    )  # fmt: skip


def test_what_is_run_smaller_stands_in_a_guide() -> None:
    written = {command for block in TERMINAL for command in commands(block)}
    assert SMALLER.keys() <= written


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {block.language for block in blocks()} <= {"console", "", "yaml", "python"}
    assert len(TERMINAL) >= 9
    assert len(YAML) >= 1
    assert len(PYTHON) >= 2


@pytest.fixture(scope="module")
def small_sweep(place: Path) -> Path:
    """Make the smallest sweep that can stand for the quickstart, and for a file of the reader's."""
    small = place / "small.yaml"
    small.write_text(
        'inputs: {speech: [{text: "Good morning, and welcome back.", language: en}]}\n'
        "parameters: {size: 256*256, sample_steps: 1}\nevaluators: [technical]\nexecution: {warm_up: false}\n",
        "utf-8",
    )
    assert run("evalkit policy new mine.yaml", place).returncode == 0
    done = run("evalkit sweep small.yaml --out runs/quickstart", place)
    assert done.returncode == 0, done.stderr
    return small


COMMANDS = [(block, command) for block in TERMINAL for command in commands(block)]


@pytest.mark.usefixtures("small_sweep")
@pytest.mark.parametrize(
    ("block", "command"),
    COMMANDS,
    ids=[f"{number:02} {command[:60]}" for number, (_, command) in enumerate(COMMANDS)],
)
def test_a_command_runs_as_it_stands(block: Block, command: str, place: Path) -> None:
    """In the order of the guides: what one makes, the next may use."""
    done = run(SMALLER.get(command, (command, ""))[0], place)
    allowed = {0, 1} if command.startswith(VERDICTS) else {0}
    assert done.returncode in allowed, f"{block}: {command}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr, f"{block}: {command}"
    _compare_output(block, command, done.stdout)


def _compare_output(block: Block, command: str, printed: str) -> None:
    """Hold what a guide shows below a command to what it prints: the same rows, whatever the numbers."""
    shown = block.text.replace("\\\n", " ").split("\n")
    if len(commands(block)) != 1 or len(shown) == 1:
        return
    heads = {line.split("  ")[0] for line in shown if re.match(r"\w+\.\w+ ", line)}
    missing = [head for head in heads if head not in printed]
    assert missing == [], f"{block}: {command} prints no row {missing}"


def test_every_yaml_is_read_as_it_stands(place: Path) -> None:
    """YAML of the guides is a rule of a policy, or a conversation: the name of its file is then its first line."""
    for block in YAML:
        if block.guide.name == "rating_import.md":  # mappings: tests/rating/test_imports.py reads them
            continue
        if block.text.startswith("- {metric:"):
            Rule.model_validate(*parse_yaml(block.text, str(block)))
            continue
        name = block.text.partition("\n")[0].removeprefix("# ").partition(";")[0]
        assert name == "conversation.yaml", block
        (place / name).write_text(block.text + "\n", "utf-8")
        done = run(
            'evalkit generate --generator reference --size "256*256" --out spoken.mp4 --overwrite '
            f'--question "When do you open?" --documents faq/ --conversation {name}',
            place,
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        assert "answered by documents instead of openai qwen-plus" in done.stdout
        assert "DASHSCOPE_API_KEY is not set" in done.stdout


def test_every_python_runs_as_it_stands(place: Path, small_sweep: Path) -> None:
    (place / "my.yaml").write_bytes(small_sweep.read_bytes())
    (place / "videos").mkdir(exist_ok=True)
    made = next((place / "runs" / "quickstart" / "videos").glob("*/video.mp4"))
    (place / "videos" / "one.mp4").write_bytes(made.read_bytes())
    for number, block in enumerate(PYTHON):
        text = block.text if "import evalkit" in block.text else f"import evalkit\n\n{block.text}"
        script = place / f"block_{number}.py"
        script.write_text(text + "\n", "utf-8")
        done = run(f"{shlex.quote(sys.executable)} {script.name}", place)
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
