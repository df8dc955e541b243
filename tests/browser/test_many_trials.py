"""A report of more trials than a page holds: turned, sorted and searched over all, and light to load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.reports.run_report import write_report
from evalkit.runs import Run
from evalkit.testing.runs import write_grid

pytestmark = pytest.mark.browser

SHOWN = "[...document.querySelectorAll('#trials tbody')[0].rows].map((row) => row.querySelector('a').hash.slice(3))"
FOLDS = "[...document.querySelectorAll('details.trial')].map((one) => one.id.slice(2))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of 108 trials of which the last but one failed."""
    folder = write_grid(tmp_path_factory.mktemp("many") / "run", seeds=(1, 2, 3), failing=(106,))
    write_report(folder)
    return folder


@pytest.fixture
def page(chromium: Any, folder: Path) -> Iterator[Any]:
    context = chromium.new_context()
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((folder / "report.html").as_uri())
    yield page
    assert problems == []
    context.close()


def counted(page: Any, words: str) -> None:
    """Wait until the page says which trials it shows."""
    page.locator(".pager output", has_text=words).wait_for(timeout=60_000)


def test_pages_turn_forth_and_back(page: Any, folder: Path) -> None:
    planned = Run.open(folder).manifest.planned
    assert page.evaluate(SHOWN) == page.evaluate(FOLDS) == planned[:100]
    assert page.locator(".earlier").is_disabled()
    page.locator(".later").click()
    counted(page, "101 to 108 of 108")
    assert page.evaluate(SHOWN) == page.evaluate(FOLDS) == planned[100:]
    assert page.locator(".later").is_disabled()
    page.locator(".earlier").click()
    counted(page, "1 to 100 of 108")
    assert page.evaluate(SHOWN) == page.evaluate(FOLDS) == planned[:100]


def test_a_head_sorts_the_trials_of_every_page(page: Any, folder: Path) -> None:
    values = {
        trial.id: trial.metrics["lip_sync.error"].value
        for trial in Run.open(folder).trials()
        if "lip_sync.error" in trial.metrics
    }
    expected = sorted(values, key=values.__getitem__)
    head = page.locator("#trials table.sortable th", has=page.locator("[title='lip_sync.error']"))
    head.locator("button").click()
    page.locator("#trials th[aria-sort=ascending]").wait_for()
    for _ in range(600):  # the trials of other pages are read first
        if page.evaluate(SHOWN) == expected[:100]:
            break
        page.wait_for_timeout(50)
    assert page.evaluate(SHOWN) == expected[:100]
    page.locator(".later").click()
    counted(page, "101 to 108 of 108")
    assert page.evaluate(SHOWN)[:-1] == expected[100:]
    assert "out of memory" in page.locator("#trials table.sortable tbody tr").last.inner_text()


def test_words_find_the_trials_that_have_them_all(page: Any) -> None:
    page.get_by_label("find trials").fill("704*384 bo")
    counted(page, "1 to 18 of 18")
    rows = page.locator("#trials table.sortable tbody tr").all_inner_texts()
    assert all("704*384" in row and "bo" in row for row in rows)
    page.get_by_label("find trials").fill("OUT of memory")
    counted(page, "1 to 1 of 1")
    page.get_by_label("find trials").fill("nothing like it")
    counted(page, "0 to 0 of 0")
    page.get_by_label("find trials").fill("")
    counted(page, "1 to 100 of 108")


def test_a_link_turns_to_the_page_of_its_trial(page: Any, folder: Path) -> None:
    failed = Run.open(folder).manifest.planned[106]
    page.locator("#coverage a", has_text="details").click()
    counted(page, "101 to 108 of 108")
    page.locator(f"#t-{failed}[open]").wait_for()
    assert "CUDA out of memory" in page.locator(f"#t-{failed}").inner_text()


def test_without_javascript_the_first_are_read(chromium: Any, folder: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "report.html").as_uri())
    assert page.locator("#trials table").first.locator("tbody tr").count() == 100
    assert page.locator("details.trial").count() == 100
    assert page.get_by_text("The first 100 are shown").is_visible()
    assert page.locator(".pager").is_hidden()
    context.close()
