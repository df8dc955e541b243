"""From videos to a verdict: raters who are programs, through the real pages of the real server, to the sign-off."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evalkit.runs import Run
from evalkit.runs.ratings import Origin
from evalkit.testing.opened_key import OpenedKey
from evalkit.testing.opinions import Truth
from evalkit.testing.raters import LANGUAGES, rate_all
from evalkit.testing.rating_server import RatingServer

N_RATERS = 20
GOOD = 4.35
"""Points, of every clip: rounding and the end of the scale leave a mean of 4.3."""


def evalkit(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evalkit", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def have_rated(run: Path, truth: Truth) -> None:
    """Serve a run until simulated raters are through with it."""
    with RatingServer(run, ["--simulated", "--raters", str(N_RATERS)]) as server:
        links = server.links
        assert len(links) == N_RATERS
        diaries = rate_all(links, truth, OpenedKey(run), seed=1)
        assert server.stop() == 0, server.output
    assert all(diary.is_done for diary in diaries)
    assert {language for diary in diaries for language in diary.languages} >= set(LANGUAGES)
    assert {request.status for diary in diaries for request in diary.requests} <= {200, 206, 303}


def copy_of(run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(run, folder / "run"))


@pytest.fixture(scope="module")
def both(release: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the release rated well, and by others who are half a point harsher; at once, as clips take their time."""
    runs = [copy_of(release, tmp_path_factory.mktemp(name)) for name in ("rated", "harsh")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(have_rated, runs, (Truth(GOOD), Truth(GOOD, bias=-0.5))))
    return runs


@pytest.fixture(scope="module")
def rated(both: list[Path]) -> Path:
    """Return the release, rated well by twenty simulated raters."""
    return both[0]


@pytest.fixture(scope="module")
def rated_harshly(both: list[Path]) -> Path:
    """Return the same with raters who are half a point harsher."""
    return both[1]


def sign_off(run: Path, policy: Path, folder: Path) -> tuple[int, str, dict[str, str]]:
    """Return the exit code, what the terminal says, and the texts of all pages by their suffix."""
    pages = {suffix: folder / f"verdict.{suffix}" for suffix in ("json", "junit", "html")}
    options = [word for suffix, page in pages.items() for word in (f"--{suffix}", page)]
    done = evalkit("signoff", run, "--policy", policy, *options)
    assert done.stderr == ""
    return done.returncode, done.stdout, {suffix: page.read_text("utf-8") for suffix, page in pages.items()}


def test_a_good_release_passes_without_a_waiver(rated: Path, policy_here: Path, tmp_path: Path) -> None:
    code, said, pages = sign_off(rated, policy_here, tmp_path)
    assert code == 0, said
    verdict = json.loads(pages["json"])
    assert verdict["decision"] == "PASS"
    (rating,) = [gate for gate in verdict["gates"] if gate["metric"] == "rating.mos"]
    assert rating["figure"]["value"] == pytest.approx(4.3, abs=0.2)
    assert rating["n"] == N_RATERS
    assert {gate["waiver"] for gate in verdict["gates"]} == {None}


def test_half_a_point_less_fails_and_only_for_the_ratings(
    rated_harshly: Path, policy_here: Path, tmp_path: Path
) -> None:
    code, said, pages = sign_off(rated_harshly, policy_here, tmp_path)
    assert code == 1, said
    verdict = json.loads(pages["json"])
    assert verdict["decision"] == "FAIL"
    assert [gate["metric"] for gate in verdict["gates"] if gate["status"] == "fail"] == ["rating.mos"]


def test_simulated_raters_are_called_so_wherever_they_show(
    rated: Path, rated_harshly: Path, policy_here: Path, tmp_path: Path
) -> None:
    _, said, pages = sign_off(rated, policy_here, tmp_path)
    assert evalkit("report", rated).returncode == 0
    results = evalkit("rate", "results", rated, "--html", tmp_path / "results.html", "--json", tmp_path / "results.json")  # fmt: skip
    compared = evalkit("compare", rated, rated_harshly, "--html", tmp_path / "compared.html")
    shown = {
        "terminal of signoff": said,
        **{f"verdict.{suffix}": text for suffix, text in pages.items()},
        "report.html": (rated / "report.html").read_text("utf-8"),
        "report.md": (rated / "report.md").read_text("utf-8"),
        "terminal of results": results.stdout,
        "results.html": (tmp_path / "results.html").read_text("utf-8"),
        "results.json": (tmp_path / "results.json").read_text("utf-8"),
        "terminal of compare": compared.stdout,
        "compared.html": (tmp_path / "compared.html").read_text("utf-8"),
        "ledger": (rated / "decisions" / "ledger.jsonl").read_text("utf-8"),
    }
    assert [place for place, text in shown.items() if "simulated" not in text] == []


def test_the_store_says_who_they_were(rated: Path) -> None:
    ratings = Run.open(rated).ratings()
    assert {rater.origin for rater in ratings.raters} == {Origin.SIMULATED}
    assert {rater.n_answered for rater in ratings.raters} == {rater.n_assigned for rater in ratings.raters}
