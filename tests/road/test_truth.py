"""Planted truth through the whole product: from a study's design over the store to the run's table and its intervals.

`tests/stats` tries the mathematics alone, and more often; here each repetition is a file of ratings of its own, filled
through the desk that the server asks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.analysis.table import ResultTable, rows_of_run
from evalkit.analysis.values import Summary
from evalkit.rating.database import Database
from evalkit.rating.desk import Desk, Outcome
from evalkit.rating.study import Design
from evalkit.runs import Run
from evalkit.runs.ratings import Origin, StudyKind
from evalkit.testing.opened_key import OpenedKey
from evalkit.testing.opinions import Cheat, Truth, expected_score, expected_share
from tests.road.conftest import configuration, write_rated_run

LEVELS = (73190641, 84230517)
QUALITY = {73190641: 3.9, 84230517: 3.2}
CLIP_SD, BIAS_SD, NOISE_SD = 0.3, 0.3, 0.6
N_RATERS = 20
N_STORES = 16


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run whose blind copies are made, so that its copies need none."""
    run = write_rated_run(tmp_path_factory.mktemp("truth") / "run", LEVELS, 12)
    for kind in StudyKind:
        with Desk.open(run) as desk:
            desk.begin_study(Design(kind=kind))
    return run


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write without waiting for the disk: no repetition needs to survive a power cut."""
    monkeypatch.setattr(Database, "writing", partialmethod(Database.writing, lasting=False))


def plant(run: Path, seed: int, **more: Any) -> Truth:
    """Draw how good each clip is, about the quality of its configuration."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(10_000,)))  # raters have others
    trials = {
        trial.id: {"overall": QUALITY[configuration(trial)] + CLIP_SD * float(random.normal())}
        for trial in Run.open(run).trials()
    }
    return Truth(0.0, trials, bias_sd=BIAS_SD, noise_sd=NOISE_SD, **more)


def rate_at_desk(run: Path, truth: Truth, design: Design, *, n_raters: int, seed: int) -> None:
    """Let simulated raters answer through the desk, with a clock that runs as they do."""
    now_s = 1_800_000_000.0
    key = OpenedKey(run)
    with Desk.open(run, clock=lambda: now_s) as desk:
        study = desk.begin_study(design)
        invitations = desk.invite(study.number, n_raters, Origin.SIMULATED)
        for invitation, opinion in zip(invitations, truth.opinions(n_raters, seed), strict=True):
            rater = desk.rater(desk.redeem(invitation.token))
            assert rater is not None
            desk.start(rater.id, "en")
            while (presentation := desk.current(rater.id)) is not None:
                for clip in presentation.clips:
                    assert desk.clip_file(rater.id, clip.code) is not None
                now_s += sum(clip.duration_s for clip in presentation.clips) + 2
                shown = [key.shown(clip.code) for clip in presentation.clips]
                given: Any = (
                    opinion.choice(shown[0], shown[1], ("first", "second", "none"))
                    if presentation.kind is StudyKind.PAIRS
                    else {
                        name: opinion.score(shown[0], name, (5, 4, 3, 2, 1))
                        for name in presentation.questions
                    }
                )
                assert desk.answer(rater.id, presentation.nonce, given) is Outcome.STORED


def rated_copies(asked: Path, folder: Path, design: Design, **more: Any) -> Iterator[tuple[Run, Truth]]:
    for seed in range(N_STORES):
        run = Path(shutil.copytree(asked, folder / str(seed)))
        truth = plant(run, seed, **more)
        rate_at_desk(run, truth, design, n_raters=N_RATERS + len(truth.cheats), seed=seed)
        yield Run.open(run), truth
        shutil.rmtree(run)


def by_level(table: ResultTable, metric: str) -> dict[int, Summary]:
    summaries = {
        found.params["wombat"]: found.summary(table.metrics[metric]) for found in table.configurations
    }
    assert summaries.keys() == set(LEVELS)
    return summaries


def holds(found: Summary, truth: float) -> bool:
    assert found.interval is not None
    return found.interval.low <= truth <= found.interval.high


def true_mean(level: int) -> float:
    """Return the mean score of ever so many raters for ever so many clips of a configuration."""
    return expected_score(QUALITY[level], float(np.sqrt(CLIP_SD**2 + BIAS_SD**2 + NOISE_SD**2)))


def test_the_true_means_lie_in_the_intervals(asked: Path, tmp_path: Path) -> None:
    inside = []
    for run, _ in rated_copies(asked, tmp_path, Design(questions=("overall",))):
        inside += [
            holds(found, true_mean(level))
            for level, found in by_level(rows_of_run(run), "rating.mos").items()
        ]
    assert len(inside) == 2 * N_STORES
    assert sum(inside) >= 0.9 * len(inside)


def test_cheats_are_screened_and_move_nothing(asked: Path, tmp_path: Path) -> None:
    cheats = tuple(Cheat)
    n_screened, n_wronged, inside = 0, 0, []
    for run, _ in rated_copies(asked, tmp_path, Design(questions=("overall",)), cheats=cheats):
        table = rows_of_run(run)
        screened = table.opinions.screened
        last = {f"r{number:02d}" for number in range(N_RATERS + 1, N_RATERS + 1 + len(cheats))}
        n_screened += len(last & set(screened))
        n_wronged += len(set(screened) - last)
        inside += [holds(found, true_mean(level)) for level, found in by_level(table, "rating.mos").items()]
    assert n_screened >= 0.9 * N_STORES * len(cheats)
    assert n_wronged <= 0.05 * N_STORES * N_RATERS
    assert sum(inside) >= 0.9 * len(inside)


def test_the_true_shares_lie_in_the_intervals(asked: Path, tmp_path: Path) -> None:
    inside = []
    for run, truth in rated_copies(asked, tmp_path, Design(kind=StudyKind.PAIRS)):
        trials = {
            (configuration(trial), trial.speech.name): truth.of(trial.id, "overall") for trial in run.trials()
        }
        leads = [
            quality - trials[84230517, speech]
            for (level, speech), quality in trials.items()
            if level == 73190641
        ]
        share = float(np.mean([expected_share(lead) for lead in leads]))
        found = by_level(rows_of_run(run), "rating.preference")
        assert found[73190641].value + found[84230517].value == pytest.approx(1)
        inside += [holds(found[73190641], share), holds(found[84230517], 1 - share)]
    assert sum(inside) >= 0.9 * len(inside)
