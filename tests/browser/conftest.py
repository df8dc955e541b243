"""Chromium as the system has it, and a run to look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.reports.run_report import write_report
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.runs import write_grid

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Start the system's chromium; skip where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium on this machine")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return four seconds of a moving pattern with a tone."""
    frames = moving_pattern(4.0, width=192, height=144)
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames, sound=tone(4.0))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """Return a run of 36 trials with a failure, an unfinished trial, and a name that is a script."""
    folder = write_grid(
        tmp_path_factory.mktemp("runs") / "run",
        portraits=("anna", "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'>"),
        video=clip,
        failing=(4,),
        unfinished=(35,),
    )
    write_report(folder)
    return folder
