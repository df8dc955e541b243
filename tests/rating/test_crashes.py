"""What was called stored is there: after kill -9, and when the disk is full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from evalkit.rating.database import NotStoredError
from evalkit.rating.desk import Desk, Outcome
from evalkit.rating.study import Design
from evalkit.runs import Run

ANSWERING = """
import resource, sys
from pathlib import Path
from evalkit.rating.database import NotStoredError
from evalkit.rating.desk import Desk

class Clock:
    now = 1.8e9
    def __call__(self):
        self.now += 100
        return self.now

desk = Desk.open(Path(sys.argv[1]), clock=Clock())
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    for rater in sys.argv[2].split(","):
        desk.start(rater, "en")
        while (shown := desk.current(rater)) is not None:
            for clip in shown.clips:
                desk.clip_file(rater, clip.code)
            print(shown.nonce, desk.answer(rater, shown.nonce, {"overall": 4}), flush=True)
except NotStoredError as error:
    print("NOT STORED", error, flush=True)
"""


def start_answering(folder: Path, raters: list[str], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ANSWERING, str(folder), ",".join(raters), *more],
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(lines: list[str]) -> set[str]:
    said = [line.split() for line in lines if line.endswith("\n")]
    return {words[0] for words in said if words[1:] == ["stored"]}


def start_all(desk: Desk, raters: list[str]) -> None:
    for rater in raters:
        desk.start(rater, "en")


def stored(folder: Path) -> set[str]:
    with Desk.open(folder) as desk, desk._database.reading() as db:
        return {
            row["nonce"]
            for row in db.execute("SELECT nonce FROM answers JOIN presentations ON number = presentation")
        }


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_at_any_moment_loses_no_answer_that_was_acknowledged(
    desk: Desk, folder: Path, seed: int
) -> None:
    study = desk.begin_study(Design(questions=("overall",)))
    raters = [rater for rater, _ in desk.invite(study.number, 40)]
    desk.close()
    with start_answering(folder, raters) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(5 + 7 * seed)]
        time.sleep(random.Random(seed).uniform(0, 0.02))  # noqa: S311 - any moment does
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.stdout.readlines()
    known = acknowledged(lines)
    assert len(known) >= 5 + 7 * seed
    assert known <= stored(folder)
    assert len(stored(folder)) <= len(known) + 1
    assert Run.open(folder).ratings().damage == ""


def test_a_full_disk_is_said_and_keeps_what_was_acknowledged(desk: Desk, folder: Path) -> None:
    study = desk.begin_study(Design(questions=("overall",)))
    raters = [rater for rater, _ in desk.invite(study.number, 20)]
    desk.close()
    size = (folder / "ratings" / "ratings.sqlite").stat().st_size
    with start_answering(folder, raters, str(size + 100_000)) as writer:
        lines = list(writer.stdout or ())
    assert writer.returncode == 0
    assert lines[-1].startswith("NOT STORED")
    assert "ratings.sqlite: nothing was stored" in lines[-1]
    assert acknowledged(lines) == stored(folder)
    assert acknowledged(lines)


def test_it_goes_on_when_there_is_room_again(desk: Desk, clock: Any) -> None:
    study = desk.begin_study(Design(questions=("overall",)))
    raters = [rater for rater, _ in desk.invite(study.number, 30)]
    with desk._database.reading() as db:
        used = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {used}")
    with pytest.raises(NotStoredError, match="database or disk is full"):
        start_all(desk, raters)
    rater = raters[-1]
    desk.start(rater, "en")  # the connection that met its limit is not lent again
    shown = desk.current(rater)
    assert shown is not None
    desk.clip_file(rater, shown.clips[0].code)
    clock.now += 10
    assert desk.answer(rater, shown.nonce, {"overall": 3}) is Outcome.STORED


def test_a_rater_may_be_answering_while_another_process_invites(desk: Desk, folder: Path) -> None:
    study = desk.begin_study(Design(questions=("overall",)))
    raters = [rater for rater, _ in desk.invite(study.number, 4)]
    with start_answering(folder, raters[::2]) as one, start_answering(folder, raters[1::2]) as other:
        more = [desk.invite(study.number, 1)[0].rater for _ in range(20)]
        lines = [line for writer in (one, other) for line in writer.stdout or ()]
    assert (one.returncode, other.returncode) == (0, 0)
    assert acknowledged(lines) == stored(folder)
    assert len(acknowledged(lines)) == 4 * 17
    assert len(set(more)) == 20
    assert desk.find_strays(study.number) == []
