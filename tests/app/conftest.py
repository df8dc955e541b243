"""A small run with real clips and a study of either kind, a clock that is set, and a browser that goes by it."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from evalkit.app.server import create_app
from evalkit.rating.desk import Desk
from evalkit.rating.study import Design
from evalkit.runs.ratings.records import StudyKind
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.runs import write_grid

CLIP_S = 0.4
ADMIN = "the admin's token"
DESIGNS = {
    "acr": Design(clips_per_rater=4, n_repeats=1),
    "one": Design(kind=StudyKind.PAIRS, clips_per_rater=3, n_repeats=1),
    "step": Design(kind=StudyKind.PAIRS, clips_per_rater=3, n_repeats=1, in_step=True),
}
SCORES = {"overall": "4", "lip_sync": "3", "expression": "5", "motion": "1"}


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine gives, in a thread of its own: tests of pages leave a loop running in theirs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass
class Clock:
    """Seconds since 1970, as the test says."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Say what time it is."""
        return self.now


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a run of each kind of study: two configurations on two inputs."""
    folder = tmp_path_factory.mktemp("rated")
    video = write_clip(folder / "clip.mp4", moving_pattern(CLIP_S, width=96, height=64), sound=tone(CLIP_S))
    made = {}
    for name, design in DESIGNS.items():
        run = write_grid(
            folder / name,
            sizes=("384*256",),
            steps=(2, 4),
            portraits=("anna",),
            video=video,
        )
        with Desk.open(run) as desk:
            desk.begin_study(design)
        made[name] = run
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_desk(runs: dict[str, Path], tmp_path: Path, clock: Clock) -> Callable[[str], Desk]:
    """Return what opens the desk of a kind of study, in a folder of the test's own."""

    def open_one(kind: str) -> Desk:
        return Desk.open(shutil.copytree(runs[kind], tmp_path / kind), clock=clock)

    return open_one


class Rater:
    """A browser that was sent a link.

    Parameters
    ----------
    desk : Desk
    clock : Clock
        Goes on while a clip is watched.
    **options
        Of `create_app`.
    """

    def __init__(self, desk: Desk, clock: Clock, **options: object) -> None:
        self.desk = desk
        self.clock = clock
        app = create_app(desk, admin_token=ADMIN, clock=clock, **options)  # type: ignore[arg-type]
        self.client = TestClient(app, base_url="http://localhost:8765", follow_redirects=True)
        [(self.id, self.token)] = desk.invite(desk.studies()[0].number, 1)

    def begin(self, language: str = "en") -> str:
        """Open the link, start, and return the first presentation's page."""
        self.client.get(f"/r/{self.token}")
        return self.client.post("/start", data={"language": language}).text

    def watch(self, page: str) -> str:
        """Ask for all clips of a page, let them end, and return the presentation's nonce."""
        for address in re.findall('src="(/clip/[^"]+)"', page):
            assert self.client.get(address).status_code == 200
        self.clock.now += 2 * CLIP_S + 0.1
        return re.findall('name="presentation" value="([^"]+)"', page)[0]


@pytest.fixture
def rater(open_desk: Callable[[str], Desk], clock: Clock) -> Rater:
    """Return a rater of scores."""
    return Rater(open_desk("acr"), clock)
