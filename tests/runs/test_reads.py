"""No command reads a file of a run twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from evalkit.testing.runs import write_grid

COUNTED = """
import json, os, sys
opened = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened.append(os.fsdecode(arguments[0]))
sys.addaudithook(watch)
try:
    {call}
except SystemExit:
    pass
print(json.dumps(opened), file=sys.stderr)
"""
COMMAND = "from evalkit.cli import main; sys.argv = ['evalkit', *{arguments!r}]; main()"
PER_VIDEO = {"generation.json", "profile.json"}
"""Opened in a folder that is held open, so only their name is seen."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of 36 videos with samples, pictures and captions."""
    video = tmp_path_factory.mktemp("video") / "video.mp4"
    video.write_bytes(bytes(64))
    folder = write_grid(tmp_path_factory.mktemp("reads") / "run", video=video, failing=(3,))
    for record in folder.glob("measurements/*/lip_sync@*.samples.json"):
        evidence = record.with_name(record.name.replace(".samples.json", ".evidence"))
        evidence.mkdir()
        (evidence / "lips.png").touch()
        (evidence / "index.json").write_text(json.dumps({"captions": {"lips.png": "lips"}}), "utf-8")
    return folder


@pytest.mark.parametrize(
    "call",
    [
        COMMAND.format(arguments=["report", "RUN"]),
        COMMAND.format(
            arguments=["signoff", "RUN", "--policy", "customer_service", "--where", "sample_steps=4"]
        ),
        COMMAND.format(arguments=["compare", "RUN", "--split", "sample_steps=2,4"]),
        COMMAND.format(arguments=["runs", "PARENT"]),
        "import evalkit; evalkit.recommend('RUN')",
    ],
    ids=["report", "signoff", "compare", "runs", "recommend"],
)
def test_each_file_is_opened_once(folder: Path, call: str, tmp_path: Path) -> None:
    program = COUNTED.format(call=call.replace("RUN", str(folder)).replace("PARENT", str(folder.parent)))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )
    opened = Counter(json.loads(done.stderr.splitlines()[-1]))
    ours = {
        name: n
        for name, n in opened.items()
        if str(folder / "videos") in name or str(folder / "measurements") in name
    }
    assert {name: n for name, n in ours.items() if n > 1} == {}
    assert {name: opened[name] for name in PER_VIDEO} == dict.fromkeys(PER_VIDEO, 36)
    assert sum(Path(name).name.startswith("motion@") for name in ours) == 35
    samples = [name for name in ours if name.endswith(".samples.json")]
    assert samples == []
