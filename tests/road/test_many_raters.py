"""Many raters at once, and a server that dies under them: every answer that was acknowledged is there, once."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from evalkit.runs import Run
from evalkit.runs.ratings import Role
from evalkit.testing.opened_key import OpenedKey
from evalkit.testing.opinions import Truth
from evalkit.testing.raters import Diary, rate_all
from evalkit.testing.rating_server import RatingServer

N_RATERS = 30
N_KILLS = 3
TRUTH = Truth(3.5)


@pytest.fixture
def run(contest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(contest, tmp_path / "run"))


def hold_to_store(run: Path, diaries: list[Diary]) -> None:
    """Check that what the store has is what was acknowledged: nothing lost, nothing doubled, nothing else."""
    stored = OpenedKey(run).answers()
    said = {nonce: given for diary in diaries for nonce, given in diary.acknowledged.items()}
    assert {nonce: stored.get(nonce) for nonce in said} == said
    sent = {nonce: given for diary in diaries for nonce, given in diary.sent.items()}
    assert stored == {nonce: sent[nonce] for nonce in stored}


def hold_to_reading(run: Path, diaries: list[Diary]) -> None:
    """Check that `Run.ratings()` gives each answer once: as many of a clip and question by a rater as were shown."""
    ratings = Run.open(run).ratings()
    counts = Counter((score.rater, score.trial, score.question, score.role) for score in ratings.scores)
    assert {n for (*_, role), n in counts.items() if role is Role.RATING} == {1}
    n_training = sum(len(diary.acknowledged) for diary in diaries) - len(
        {(score.rater, score.trial, score.role) for score in ratings.scores}
    )
    assert n_training == 2 * len(diaries)
    assert [rater.n_answered for rater in ratings.raters] == [rater.n_assigned for rater in ratings.raters]


def test_thirty_at_once_lose_and_double_nothing(run: Path) -> None:
    with RatingServer(run, ["--simulated", "--raters", str(N_RATERS)]) as server:
        diaries = rate_all(server.links, TRUTH, OpenedKey(run))
    assert all(diary.is_done for diary in diaries)
    assert all(diary.acknowledged == diary.sent for diary in diaries)
    hold_to_store(run, diaries)
    hold_to_reading(run, diaries)


def test_a_server_that_is_killed_forgets_no_acknowledged_answer(run: Path) -> None:
    """Kill -9 again and again while raters are at work; they go on with their cookies."""
    with RatingServer(run, ["--simulated", "--raters", "8"]) as server, ThreadPoolExecutor(1) as own:
        raters = own.submit(rate_all, server.links, TRUTH, OpenedKey(run), patience_s=120)
        for round_ in range(1, N_KILLS + 1):
            wait_for_answers(run, 16 * round_, raters)
            server.kill()
            n_before = len(OpenedKey(run).answers())
            server.start("--simulated")
            assert len(OpenedKey(run).answers()) >= n_before
        diaries = raters.result()
    assert len(diaries) == 8
    assert all(diary.is_done for diary in diaries)
    assert sum(diary.n_interrupted for diary in diaries) >= N_KILLS
    hold_to_store(run, diaries)
    assert set(OpenedKey(run).answers()) == {nonce for diary in diaries for nonce in diary.sent}


def wait_for_answers(run: Path, n: int, raters: Future[list[Diary]]) -> None:
    while len(OpenedKey(run).answers()) < n:
        assert not raters.done(), raters.exception() or "they are through"
        time.sleep(0.05)
