"""The file of ratings as others find it: of the first version for ever, damaged, newer, in a folder that is only read."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.rating.desk import Desk
from evalkit.reports.run_report import write_report
from evalkit.runs import Run
from evalkit.runs.ratings import Origin, Ratings, Role, StudyKind
from evalkit.runs.ratings.schema import rater_number
from evalkit.runs.records import DamagedFileError
from evalkit.testing.runs import write_grid

GOLDEN = Path(__file__).parents[1] / "golden" / "ratings_schema_1.sql"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a run beside which a file of ratings of schema 1 lies: two studies, one import."""
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2, 4), portraits=("anna",))
    (folder / "ratings").mkdir()
    with sqlite3.connect(folder / "ratings" / "ratings.sqlite") as db:
        db.executescript(GOLDEN.read_text("utf-8"))
    db.close()
    return folder


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "ratings" / "ratings.sqlite"


def test_a_file_of_schema_1_still_loads(folder: Path) -> None:
    ratings = Run.open(folder).ratings()
    assert ratings.damage == ""
    assert [(study.kind, study.questions, study.source) for study in ratings.studies] == [
        (StudyKind.ACR, ("overall", "motion"), ""),
        (StudyKind.PAIRS, ("overall",), ""),
        (StudyKind.ACR, ("lip_sync",), "a CSV, scores.csv"),
    ]
    assert [(one.id, one.study, one.origin, one.language, one.n_assigned) for one in ratings.raters] == [
        ("r01", 1, Origin.SIMULATED, "zh-CN", 6),
        ("r02", 2, Origin.SIMULATED, "zh-CN", 4),
        ("r04", 3, Origin.IMPORTED, "", 1),
    ]
    given = [(one.rater, one.role.value, one.question, one.score) for one in ratings.scores]
    assert Counter(given) == {
        ("r01", "rating", "motion", 4.0): 4,
        ("r01", "rating", "overall", 2.0): 1,
        ("r01", "rating", "overall", 3.0): 1,
        ("r01", "rating", "overall", 4.0): 1,
        ("r01", "rating", "overall", 5.0): 1,
        ("r01", "check", "motion", 4.0): 1,
        ("r01", "check", "overall", 1.0): 1,
        ("r04", "rating", "lip_sync", 3.25): 1,
    }
    chosen = [(one.role, one.first, one.second, one.preferred, one.broken) for one in ratings.choices]
    assert chosen == [
        (Role.CHECK, "e54feba1d0e5f102", "664c3c6e2bcb68d5", "664c3c6e2bcb68d5", "664c3c6e2bcb68d5"),
        (Role.RATING, "b2fb9bedf3ef9109", "db21072cd7404eb0", "b2fb9bedf3ef9109", None),
        (Role.RATING, "e54feba1d0e5f102", "664c3c6e2bcb68d5", None, None),
    ]
    assert ratings.choices[1].contents[0] == (
        "3b553929121be1b8b70708013972172eccb3082edfcc71f77193fb500966cd69"
    )


def test_a_sealed_key_of_schema_1_still_says_who_was_shown_what(folder: Path) -> None:
    with Desk.open(folder) as desk:
        for study in desk.studies()[:2]:
            assert desk.key(study.number).commitment == study.commitment
            assert desk.find_strays(study.number) == []
        with pytest.raises(UsageError, match="no study 3 that was asked here"):
            desk.key(3)


def test_it_is_read_once(folder: Path, file: Path) -> None:
    run = Run.open(folder)
    ratings = run.ratings()
    file.unlink()
    assert run.ratings() is ratings


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


def scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 4] = bytes(range(256)) * 32
    path.write_bytes(content)


def replace_by_text(path: Path) -> None:
    path.write_text("these are my ratings: 5, 4, 5\n" * 200, "utf-8")


def replace_by_other(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE answers (x)")
    db.close()


def give_a_six(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("""UPDATE answers SET given = '{"overall":6}' WHERE presentation = 2""")
    db.close()


def give_a_list(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE answers SET given = '[5]' WHERE presentation = 2")
    db.close()


def drop_a_table(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE items")
    db.close()


DAMAGES = [cut, scribble, replace_by_text, replace_by_other, give_a_six, give_a_list, drop_a_table]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_the_run_is_read_all_the_same(
    folder: Path, file: Path, damage: object
) -> None:
    assert callable(damage)
    damage(file)
    run = Run.open(folder)
    assert run.ratings() == Ratings(damage=run.ratings().damage)
    assert str(file) in run.ratings().damage
    assert len(run.trials()) == 4
    assert write_report(folder)


@pytest.mark.parametrize("damage", [cut, scribble, replace_by_text, replace_by_other])
def test_a_damaged_file_opens_no_desk(folder: Path, file: Path, damage: object) -> None:
    assert callable(damage)
    damage(file)
    before = file.read_bytes()
    with pytest.raises(DamagedFileError, match=r"ratings\.sqlite.*Put back a copy"):
        Desk.open(folder)
    assert file.read_bytes() == before


def test_a_newer_file_is_refused_and_said(folder: Path, file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    assert "written by a newer one" in Run.open(folder).ratings().damage
    with pytest.raises(UsageError, match="schema 2, and this evalkit reads up to 1"):
        Desk.open(folder)


def test_reading_leaves_nothing_behind(folder: Path) -> None:
    with sqlite3.connect(folder / "ratings" / "ratings.sqlite") as db:
        db.execute("PRAGMA journal_mode = WAL")
    db.close()
    Run.open(folder).load()
    assert [path.name for path in (folder / "ratings").iterdir()] == ["ratings.sqlite"]


@contextmanager
def only_read(folder: Path) -> Iterator[None]:
    """Let nobody write into a folder meanwhile."""
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        yield
    finally:
        folder.chmod(0o700)


def test_a_folder_that_may_not_be_written_is_read(folder: Path, file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA journal_mode = WAL")
    db.close()
    with only_read(folder / "ratings"):
        assert len(Run.open(folder).ratings().raters) == 3


def test_answers_beside_a_file_that_may_not_be_written_are_not_passed_over(
    folder: Path, file: Path, tmp_path: Path
) -> None:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("DELETE FROM answers")
    killed = Path(shutil.copytree(folder, tmp_path / "killed"))
    db.close()
    (killed / "ratings" / "ratings.sqlite-shm").unlink()
    with only_read(killed / "ratings"):
        assert "Copy the run to where you may write" in Run.open(killed).ratings().damage


def test_what_a_killed_server_had_not_yet_moved_into_the_file_is_read(
    folder: Path, file: Path, tmp_path: Path
) -> None:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("""UPDATE answers SET given = '{"motion":1,"overall":1}' WHERE presentation = 2""")
    killed = Path(shutil.copytree(folder, tmp_path / "killed"))  # as the disk is now
    db.close()
    (killed / "ratings" / "ratings.sqlite-shm").unlink()
    scores = Run.open(killed).ratings().scores
    assert [score.score for score in scores][:2] == [1.0, 1.0]


@pytest.mark.parametrize(
    "text", ["", "r", "r7", "r007", "anna", "r0x", "R07", "r-1", "r\u0660\u0667", "r" + "9" * 40]
)
def test_what_is_no_rater(text: str) -> None:
    assert rater_number(text) is None


def test_ids_of_many_raters() -> None:
    assert [rater_number(text) for text in ("r01", "r99", "r100")] == [1, 99, 100]
