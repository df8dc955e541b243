"""The page for a rater without a server: whole, closed to the network, and silent about what is shown."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evalkit.app import offline
from evalkit.app.offline import write_pages
from evalkit.cli import main
from evalkit.errors import UsageError
from evalkit.rating.answers_file import import_answers
from evalkit.rating.desk import Desk
from evalkit.runs import Run
from evalkit.runs.ratings.records import Origin
from tests.app.conftest import SCORES


def write_one(desk: Desk, folder: Path) -> str:
    [page] = write_pages(desk, 1, 1, folder, Origin.PERSON)
    return page.path.read_text("utf-8")


def data_of(page: str) -> dict[str, Any]:
    [text] = re.findall(r'<script type="application/json" id="study">(.*?)</script>', page)
    data: dict[str, Any] = json.loads(text)
    return data


@pytest.mark.parametrize("kind", ["acr", "one", "step"])
def test_a_page_holds_all_that_its_rater_is_shown(
    kind: str, open_desk: Callable[[str], Desk], tmp_path: Path
) -> None:
    desk = open_desk(kind)
    data = data_of(write_one(desk, tmp_path))
    planned = desk.key(1).presentations(0)
    assert [one["practice"] for one in data["presentations"]] == [one.role == "training" for one in planned]
    copies = {path.read_bytes() for path in (desk.run_folder / "ratings" / "clips").glob("*.mp4")}
    assert {base64.b64decode(clip) for clip in data["clips"]} <= copies
    n_sides = 1 if kind == "acr" else 2
    assert all(len(one["clips"]) == n_sides for one in data["presentations"])


def test_answers_come_back(open_desk: Callable[[str], Desk], tmp_path: Path) -> None:
    desk = open_desk("acr")
    data = data_of(write_one(desk, tmp_path))
    scores = {question: int(score) for question, score in SCORES.items()}
    answers = [{"presentation": one["nonce"], "given": scores} for one in data["presentations"]]
    file = tmp_path / data["file"]
    file.write_text(json.dumps({"format": data["format"], "ticket": data["ticket"], "answers": answers}))
    assert import_answers(desk.run_folder, file).n_new == 8


def test_a_page_forbids_itself_the_network_and_every_script_but_its_own(
    open_desk: Callable[[str], Desk], tmp_path: Path
) -> None:
    page = write_one(open_desk("acr"), tmp_path)
    [policy] = re.findall('http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    [code] = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in policy
    assert "default-src &#39;none&#39;" in policy
    assert "connect-src" not in policy
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]+"', page) == []


def test_a_page_names_nothing_that_is_shown(open_desk: Callable[[str], Desk], tmp_path: Path) -> None:
    desk = open_desk("step")
    page = write_one(desk, tmp_path)
    run = Run.open(desk.run_folder)
    names = {word for trial in run.trials() for word in (trial.id, trial.portrait.name, trial.speech.name)}
    names |= {"384*256", "sample_steps", "video.mp4", str(run.folder), desk.key(1).salt}
    assert [name for name in names if name in page] == []


def test_the_command_writes_a_page_for_each_rater(runs: dict[str, Path], tmp_path: Path) -> None:
    run = shutil.copytree(runs["acr"], tmp_path / "run")
    out = tmp_path / "pages"
    options = ["--offline", "--clips-per-rater", "4", "--raters", "2", "--out", str(out)]
    result = CliRunner().invoke(main, ["rate", "export", str(run), *options])
    assert result.exit_code == 0, result.stderr
    written = sorted(path.name for path in out.iterdir())
    assert written == ["rate-r01.html", "rate-r02.html"]
    assert all(re.search(rf"wrote {out / name} for r0\d, 0\.\d MB", result.stdout) for name in written)
    tickets = {data_of((out / name).read_text("utf-8"))["ticket"] for name in written}
    assert len(tickets) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--rater RATER or --offline"),
        (["--offline", "--rater", "r01"], "--rater RATER or --offline"),
        (["--offline", "--out", "FILE"], "is a file"),
        (["--offline", "--questions", "smile"], "smile"),
    ],
)
def test_wrong_use(runs: dict[str, Path], tmp_path: Path, options: list[str], said: str) -> None:
    file = tmp_path / "file"
    file.touch()
    given = [str(file) if option == "FILE" else option for option in options]
    result = CliRunner().invoke(main, ["rate", "export", str(runs["acr"]), *given])
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_page_that_no_browser_opens_or_that_is_there_is_not_written_and_nobody_is_invited(
    open_desk: Callable[[str], Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_desk("acr")
    monkeypatch.setattr(offline, "LARGEST_MB", 0.001)
    with pytest.raises(UsageError, match="--clips-per-rater"):
        write_one(desk, tmp_path)
    assert desk.raters() == []
    (tmp_path / "rate-r02.html").write_text("of another run")
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r"rate-r02\.html is there already.*--out"):
        write_one(desk, tmp_path)
    assert desk.raters() == []
    assert (tmp_path / "rate-r02.html").read_text() == "of another run"
    (tmp_path / "rate-r02.html").unlink()
    assert list(tmp_path.glob("*.html")) == []
