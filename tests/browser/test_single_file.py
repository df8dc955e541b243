"""A page with everything in it, opened from another folder: it plays, and asks nobody for anything."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evalkit.cli.compare import compare
from evalkit.cli.report import report
from evalkit.reports.bundle import LARGEST_MB, bundle_page
from evalkit.reports.run_report import write_report
from evalkit.testing.runs import write_grid

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def mailed(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write report and comparison as single files, and a report as an archive; then the run is gone."""
    folder, made = tmp_path_factory.mktemp("mailed"), tmp_path_factory.mktemp("made")
    run = write_grid(made / "run", video=clip, portraits=("anna", "<img src=x onerror='window.hit = 2'>"))
    done = CliRunner().invoke(
        report, [str(run), "--single-file", str(folder / "report.html"), "--zip", str(folder / "report.zip")]
    )
    assert done.exit_code == 0, done.output
    options = ["--split", "sample_steps=2,4", "--html", str(folder / "compare.html"), "--single-file"]
    done = CliRunner().invoke(compare, [str(run), *options])
    assert done.exit_code == 0, done.output
    shutil.rmtree(made)
    return folder


@pytest.fixture
def opened(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context()
    page = context.new_page()
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    yield page
    context.close()


def wait_for(page: Any, condition: str) -> None:
    for _ in range(1200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"after a minute it still does not hold: {condition}")


@pytest.mark.parametrize("name", ["report", "compare"])
def test_it_plays_and_no_request_leaves_it(opened: Any, mailed: Path, name: str) -> None:
    path = mailed / f"{name}.html"
    opened.goto(path.as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    opened.locator(".play").first.click()
    wait_for(
        opened,
        "[...document.querySelector('.stage').querySelectorAll('video')].every((v) => v.currentTime > 0.5)",
    )
    wait_for(
        opened,
        "[...document.images].every((one) => one.complete && (one.naturalWidth > 0 || one.loading === 'lazy'))",
    )
    elsewhere = [url for url in opened.asked if not url.startswith(("data:", "blob:"))]
    assert elsewhere == [path.as_uri()]
    assert opened.complaints == []
    assert opened.evaluate("typeof window.hit") == "undefined"
    assert path.stat().st_size < LARGEST_MB * 1e6


def test_every_link_of_it_stays_in_the_page(opened: Any, mailed: Path) -> None:
    opened.goto((mailed / "report.html").as_uri())
    addresses = opened.evaluate(
        "[...document.querySelectorAll('[src], [href], [poster]')].flatMap((one) => ['src', 'href', 'poster'].map((name) => one.getAttribute(name)))"
    )
    assert [one for one in addresses if one and not one.startswith(("#", "data:", "blob:"))] == []


def test_the_archive_unpacks_to_a_report_that_plays(opened: Any, mailed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(mailed / "report.zip") as archive:
        assert archive.testzip() is None
        assert all(not name.startswith("/") and ".." not in name for name in archive.namelist())
        archive.extractall(tmp_path)
    opened.goto((tmp_path / "run" / "report.html").as_uri())
    opened.locator(".play").first.click()
    wait_for(
        opened,
        "[...document.querySelector('.stage').querySelectorAll('video')].every((v) => v.currentTime > 0.5)",
    )
    inside = tmp_path.as_uri()
    assert [url for url in opened.asked if not url.startswith((inside, "data:", "blob:"))] == []


def test_what_lies_outside_of_the_run_is_in_neither(clip: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    run = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,), video=clip)
    write_report(run)
    page = run / "report.html"
    trial = next((run / "videos").iterdir())
    (trial / "video.mp4").unlink()
    (trial / "video.mp4").symlink_to(secret)
    page.write_text(
        page.read_text("utf-8").replace(
            "</main>", '<a href="../secret.png">x</a><img src="../secret.png" alt="x"></main>'
        )
    )
    done = CliRunner().invoke(report, [str(run), "--zip", str(tmp_path / "run.zip")])
    assert done.exit_code == 0
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert b"secret" not in [archive.read(name) for name in archive.namelist()]
    bundle = bundle_page(
        page.read_text("utf-8").replace("</main>", '<img src="../secret.png" alt="x"></main>'), run, [run]
    )
    assert "secret" not in bundle.page
