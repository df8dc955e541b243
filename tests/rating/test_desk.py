"""The desk: each answer once, none lost, and nobody gets at what is not theirs."""

from __future__ import annotations

import errno
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evalkit.cli.rate.study_options import describe_study
from evalkit.errors import ClipError, UsageError
from evalkit.rating import clips, database
from evalkit.rating.database import NotStoredError
from evalkit.rating.desk import TOLERANCE_S, Desk, Outcome, Presentation, RefusedError
from evalkit.rating.study import Design
from evalkit.runs import Run
from evalkit.runs.files import only_writer
from evalkit.runs.ratings import Origin, Role, StudyKind

CLIP_S = 2.0
PAIRS = Design(StudyKind.PAIRS)


def begin(desk: Desk, design: Design | None = None, origin: Origin = Origin.PERSON) -> str:
    """Begin a study and return a rater of it who has started."""
    study = desk.begin_study(design or Design())
    rater, token = desk.invite(study.number, 1, origin)[0]
    desk.redeem(token)
    desk.start(rater, "en")
    return rater


def next_of(desk: Desk, rater: str) -> Presentation:
    shown = desk.current(rater)
    assert shown is not None
    return shown


def play(desk: Desk, rater: str, shown: Presentation, clock: Any) -> None:
    for clip in shown.clips:
        assert desk.clip_file(rater, clip.code) is not None
        clock.now += clip.duration_s


def scores_of(shown: Presentation, score: int = 4) -> dict[str, int] | str:
    return "first" if shown.kind is StudyKind.PAIRS else dict.fromkeys(shown.questions, score)


def answer_all(desk: Desk, rater: str, clock: Any) -> list[Presentation]:
    answered = []
    while (shown := desk.current(rater)) is not None:
        play(desk, rater, shown, clock)
        assert desk.answer(rater, shown.nonce, scores_of(shown)) is Outcome.STORED
        answered.append(shown)
    return answered


@pytest.mark.parametrize("design", [Design(), PAIRS], ids=["clips", "pairs"])
def test_what_is_answered_is_what_everybody_reads(
    desk: Desk, folder: Path, clock: Any, design: Design
) -> None:
    rater = begin(desk, design)
    shown = answer_all(desk, rater, clock)
    ratings = Run.open(folder).ratings()
    roles = Counter(one.role for one in shown)
    assert roles == {Role.TRAINING: 2, Role.RATING: 12, Role.REPEAT: 2, Role.CHECK: 1}
    found = ratings.scores or ratings.choices
    n_questions = len(shown[0].questions)
    assert Counter(one.role for one in found) == {
        role: n * n_questions for role, n in roles.items() if role is not Role.TRAINING
    }
    assert ratings.raters[0].n_assigned == ratings.raters[0].n_answered == len(shown)
    contents = {trial.id: trial.content for trial in Run.open(folder).trials()}
    assert all(score.content == contents[score.trial] for score in ratings.scores)
    for choice in ratings.choices:
        assert choice.contents == (contents[choice.first], contents[choice.second])
        assert choice.preferred == choice.first
        assert (choice.broken is not None) == (choice.role is Role.CHECK)


def test_nobody_was_asked(folder: Path, desk: Desk) -> None:
    assert desk.studies() == desk.raters() == []
    assert Run.open(folder).ratings().raters == ()
    assert not (folder / "ratings").exists()
    with pytest.raises(UsageError, match="nobody has been asked yet"):
        desk.key(1)


def test_a_study_of_the_same_design_goes_on_and_copies_nothing_again(
    desk: Desk, folder: Path, copies: list[Path]
) -> None:
    first = desk.begin_study(Design())
    assert len(copies) == 13  # 12 videos, and one of them broken
    with Desk.open(folder) as again:
        assert again.begin_study(Design()) == first
        assert len(copies) == 13
        other = again.begin_study(Design(seed=1))
        assert again.begin_study(Design()) == first  # also after another one
    assert other.number == 2
    assert other.commitment != first.commitment


def test_a_copy_that_went_missing_is_made_again(desk: Desk, folder: Path, copies: list[Path]) -> None:
    study = desk.begin_study(Design())
    next((folder / "ratings" / "clips").glob("*.mp4")).unlink()
    assert desk.begin_study(Design()) == study
    assert len(copies) == 14


def test_what_a_killed_process_left_is_removed_and_no_copy_on_record(
    desk: Desk, folder: Path, copies: list[Path]
) -> None:
    study = desk.begin_study(Design())
    place = folder / "ratings" / "clips"
    whole = set(place.iterdir())
    (place / f"{'0' * 24}.mp4").write_bytes(b"whole, and killed before it was on record")
    (place / ".1.mp4.x.part").write_bytes(b"half")
    (place / ".1.x").mkdir()
    (place / ".1.x" / "copy.mp4").write_bytes(b"half")
    assert desk.begin_study(Design()) == study
    assert set(place.iterdir()) == whole
    assert len(copies) == 13


def test_two_processes_do_not_make_copies_at_once(desk: Desk, folder: Path) -> None:
    place = folder / "ratings" / "clips"
    place.mkdir(parents=True)
    with only_writer(place), pytest.raises(UsageError, match="another process"):
        desk.begin_study(Design())
    assert desk.begin_study(Design()).number == 1


@pytest.mark.parametrize("name", ["../../run.json", "{run}/run.json", "link.mp4", ".."])
def test_a_file_of_ratings_by_somebody_else_leads_to_no_other_file(
    desk: Desk, folder: Path, name: str
) -> None:
    rater = begin(desk)
    shown = desk.current(rater)
    assert shown is not None
    copy = desk.clip_file(rater, shown.clips[0].code)
    assert copy is not None
    copy.with_name("link.mp4").symlink_to(folder / "run.json")
    with desk._database.writing() as db:
        db.execute("UPDATE clips SET file = ? WHERE file = ?", (name.format(run=folder), copy.name))
    assert desk.clip_file(rater, shown.clips[0].code) is None


def test_a_link_that_leads_out_of_the_run_is_refused(desk: Desk, folder: Path, tmp_path: Path) -> None:
    desk.begin_study(Design())
    desk.close()
    (folder / "ratings").rename(tmp_path / "elsewhere")
    (folder / "ratings").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="leads out of"):
        Desk.open(folder)


def test_a_video_that_cannot_be_shown_begins_no_study(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    make_copy = clips.make_copy
    calls = []

    def fail_once(video: Path, folder: Path, *, is_broken: bool, seed: int) -> Any:
        calls.append(video)
        if len(calls) == 6:
            raise ClipError("not_media", str(video), "is no video")
        return make_copy(video, folder, is_broken=is_broken, seed=seed)

    monkeypatch.setattr(clips, "make_copy", fail_once)
    with pytest.raises(ClipError, match="is no video"):
        desk.begin_study(Design())
    assert desk.studies() == []
    steps: list[tuple[int, int]] = []
    desk.begin_study(Design(), on_progress=lambda n, n_all: steps.append((n, n_all)))
    assert steps[-1] == (13, 13)


def test_a_disk_that_is_full_of_copies_is_said_with_its_place(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(clips, "make_copy", fail)
        with pytest.raises(NotStoredError, match="clips cannot be written: No space"):
            desk.begin_study(Design())
    assert desk.studies() == []
    assert desk.begin_study(Design()).number == 1


def test_a_video_that_was_changed_is_not_shown(desk: Desk, folder: Path) -> None:
    trial = Run.open(folder).trials()[0]
    video = Run.open(folder).video_of(trial.id)
    assert video is not None
    content = bytearray(video.read_bytes())
    content[0] ^= 1
    video.write_bytes(content)
    with pytest.raises(UsageError, match=f"{trial.id}.*is not the video that was made and measured"):
        desk.begin_study(Design())


def test_an_answer_is_stored_once(desk: Desk, clock: Any, folder: Path) -> None:
    rater = begin(desk)
    for _ in range(2):
        shown = next_of(desk, rater)  # training first
        play(desk, rater, shown, clock)
        desk.answer(rater, shown.nonce, scores_of(shown))
    shown = next_of(desk, rater)
    play(desk, rater, shown, clock)
    assert desk.answer(rater, shown.nonce, scores_of(shown, 4)) is Outcome.STORED
    assert desk.answer(rater, shown.nonce, scores_of(shown, 4)) is Outcome.SAME_AGAIN
    assert desk.answer(rater, shown.nonce, scores_of(shown, 5)) is Outcome.OTHER_BEFORE
    assert [score.score for score in Run.open(folder).ratings().scores] == [4.0] * 4


@pytest.mark.parametrize(
    "given",
    [
        {"overall": 6},
        {"overall": 0},
        {"overall": 3.5},
        {"overall": True},
        {"overall": "5; drop table"},
        {},
        {"overall": 4, "lip_sync": 4},
        "first",
        None,
    ],
    ids=str,
)
def test_what_is_no_answer_is_not_stored(desk: Desk, clock: Any, given: Any) -> None:
    rater = begin(desk, Design(questions=("overall",)))
    shown = next_of(desk, rater)
    play(desk, rater, shown, clock)
    assert desk.answer(rater, shown.nonce, given) is Outcome.INVALID
    assert next_of(desk, rater) == shown


@pytest.mark.parametrize(
    ("design", "needed_s"),
    [(Design(), CLIP_S), (PAIRS, 2 * CLIP_S), (Design(StudyKind.PAIRS, in_step=True), CLIP_S)],
    ids=["a clip", "one after the other", "in step"],
)
def test_a_clip_is_played_through_before_it_is_rated(
    desk: Desk, clock: Any, design: Design, needed_s: float
) -> None:
    rater = begin(desk, design)
    shown = next_of(desk, rater)
    clock.now += 100
    assert desk.answer(rater, shown.nonce, scores_of(shown)) is Outcome.TOO_EARLY  # never asked for
    for clip in shown.clips:
        desk.clip_file(rater, clip.code)
    clock.now += needed_s - TOLERANCE_S - 0.01
    assert desk.answer(rater, shown.nonce, scores_of(shown)) is Outcome.TOO_EARLY
    clock.now += 0.02
    assert desk.answer(rater, shown.nonce, scores_of(shown)) is Outcome.STORED


def test_one_clip_of_a_pair_alone_is_not_enough(desk: Desk, clock: Any) -> None:
    rater = begin(desk, PAIRS)
    shown = next_of(desk, rater)
    desk.clip_file(rater, shown.clips[1].code)
    clock.now += 100
    assert desk.answer(rater, shown.nonce, "none") is Outcome.TOO_EARLY


def test_what_is_another_raters_is_unknown(desk: Desk, clock: Any) -> None:
    first, second = begin(desk), begin(desk)
    shown = next_of(desk, first)
    play(desk, first, shown, clock)
    assert desk.answer(second, shown.nonce, scores_of(shown)) is Outcome.UNKNOWN
    assert desk.clip_file(second, shown.clips[0].code) is None
    assert desk.clip_file(first, "../ratings.sqlite") is None
    assert desk.answer(first, "made up", scores_of(shown)) is Outcome.UNKNOWN


def test_a_link_opens_once_it_is_started(desk: Desk) -> None:
    study = desk.begin_study(Design())
    rater, token = desk.invite(study.number, 1)[0]
    with pytest.raises(RefusedError, match="unknown"):
        desk.redeem("made up")
    looked_at, session = desk.redeem(token), desk.redeem(token)
    assert desk.rater(looked_at) is None
    state = desk.rater(session)
    assert state is not None
    assert (state.id, state.is_started, state.n_done, state.n_total) == (rater, False, 0, 17)
    desk.start(rater, "zh-CN")
    with pytest.raises(RefusedError, match="used"):
        desk.redeem(token)
    again = desk.invite_again(rater)
    assert desk.rater(session) is None
    with pytest.raises(RefusedError, match="unknown"):
        desk.redeem(token)
    state = desk.rater(desk.redeem(again.token))
    assert state is not None
    assert (state.id, state.language, state.is_started) == (rater, "zh-CN", True)


def test_starting_twice_changes_nothing(desk: Desk) -> None:
    rater = begin(desk)
    shown = next_of(desk, rater)
    desk.start(rater, "zh-CN")
    assert next_of(desk, rater) == shown


def test_many_start_and_answer_at_once(desk: Desk, folder: Path) -> None:
    study = desk.begin_study(Design(clips_per_rater=3, n_repeats=1))
    invitations = desk.invite(study.number, 24, Origin.SIMULATED)

    def go(rater: str) -> None:
        desk.start(rater, "en")
        while (shown := desk.current(rater)) is not None:
            for clip in shown.clips:
                desk.clip_file(rater, clip.code)
            desk._clock.now += 1000  # type: ignore[attr-defined]
            assert desk.answer(rater, shown.nonce, scores_of(shown)) is Outcome.STORED

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(go, [invitation.rater for invitation in invitations]))
    ratings = Run.open(folder).ratings()
    assert {rater.n_answered for rater in ratings.raters} == {7}
    counts = Counter(
        score.trial for score in ratings.scores if score.role is Role.RATING and score.question == "overall"
    )
    assert set(counts.values()) == {6}  # 24 raters, 3 of 12 clips each
    assert {rater.origin for rater in ratings.raters} == {Origin.SIMULATED}
    assert desk.find_strays(study.number) == []


def test_what_a_rater_is_shown_beside_the_videos_is_counted(desk: Desk) -> None:
    """Whole blocks of 3 configurations are dealt out: of 5 videos that are asked for, 3 are shown."""
    study = desk.begin_study(Design(clips_per_rater=5))
    said = describe_study(desk, study)
    assert said.startswith("study 1: 7 videos a rater, 4 of them practice, repeats and checks;")  # 2, 1 and 1


def test_who_has_not_started_is_told_how_much_there_will_be(desk: Desk, folder: Path) -> None:
    """One video is missing, so that its block is smaller than the others, and so is the share of who gets it."""
    Run.open(folder).video_of(Run.open(folder).trials()[0].id).unlink()  # type: ignore[union-attr]
    study = desk.begin_study(Design(clips_per_rater=6))
    told, shown = [], []
    for invitation in desk.invite(study.number, 6):
        session = desk.redeem(invitation.token)
        before = desk.rater(session)
        desk.start(invitation.rater, "en")
        after = desk.rater(session)
        assert before is not None
        assert after is not None
        told.append(before.n_total)
        shown.append(after.n_total)
    assert told == shown
    assert len(set(shown)) == 2


def test_the_key_gives_again_who_was_shown_what(desk: Desk, folder: Path) -> None:
    raters = [begin(desk, PAIRS) for _ in range(3)]
    key = desk.key(1)
    assert key.commitment == desk.studies()[0].commitment
    assert desk.find_strays(1) == []
    with sqlite3.connect(folder / "ratings" / "ratings.sqlite") as edited:
        edited.execute(
            "UPDATE presentations SET is_swapped = 1 - is_swapped WHERE rater = 2 AND position = 5"
        )
    assert desk.find_strays(1) == [raters[1]]


def test_a_rater_who_is_forgotten_is_gone_and_the_share_goes_to_the_next(
    desk: Desk, folder: Path, clock: Any
) -> None:
    first, second = begin(desk), begin(desk)
    answer_all(desk, first, clock)
    exported = desk.export_rater(first)
    assert len(exported["presentations"]) == 17
    assert exported["presentations"][0]["answer"] == {
        "expression": 4,
        "lip_sync": 4,
        "motion": 4,
        "overall": 4,
    }
    times = [exported["presentations"][0][name] for name in ("shown_at", "answered_at")]
    assert times == sorted(times)
    assert exported["presentations"][0]["played_at"] == [times[0]]
    nonces = [row.nonce.encode() for row in [next_of(desk, second)]]
    desk.forget(first)
    assert [rater.id for rater in desk.raters()] == [second]
    assert Run.open(folder).ratings().scores == ()
    with pytest.raises(UsageError, match="no rater 'r01'"):
        desk.export_rater(first)
    assert begin(desk) == "r03"
    assert desk.find_strays(1) == []
    desk.forget(second)
    assert not any(
        nonce in path.read_bytes() for path in (folder / "ratings").glob("*sqlite*") for nonce in nonces
    )


def test_a_run_may_be_copied_and_moved(desk: Desk, folder: Path, clock: Any, tmp_path: Path) -> None:
    rater = begin(desk)
    answer_all(desk, rater, clock)
    desk.close()
    assert [path.name for path in (folder / "ratings").iterdir() if "sqlite" in path.name] == [
        "ratings.sqlite"
    ]
    moved = folder.rename(tmp_path / "elsewhere")
    assert len(Run.open(moved).ratings().scores) == 15 * 4


def test_a_run_that_may_not_be_written_to_is_read(
    desk: Desk, folder: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by its permissions, which hold nothing back from an administrator who runs the tests."""
    rater = begin(desk)
    answer_all(desk, rater, clock)
    desk.close()

    def refuse(_: Path) -> Any:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(database, "connect_to_write", refuse)
    with pytest.raises(NotStoredError, match="readonly"):
        Desk.open(folder)  # it may be written, as far as its permissions say: the disk is full
    monkeypatch.setattr(database, "may_write", lambda _: False)
    with Desk.open(folder) as opened:
        assert [one.id for one in opened.raters()] == [rater]
        assert len(opened.export_rater(rater)["presentations"]) == 17
        assert opened.find_strays(1) == []
        with pytest.raises(NotStoredError, match="readonly"):
            opened.invite(1, 1)


def test_the_file_is_its_owners_alone(desk: Desk, folder: Path) -> None:
    desk.begin_study(Design())
    assert (folder / "ratings" / "ratings.sqlite").stat().st_mode & 0o777 == 0o600
