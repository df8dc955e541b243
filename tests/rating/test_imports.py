"""Ratings that were collected elsewhere: what tools write, as they write it, becomes scores of the run's videos."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.errors import UsageError
from evalkit.rating.database import Database
from evalkit.rating.desk import Desk
from evalkit.rating.imports import import_ratings
from evalkit.rating.imports.mapping import Mapping
from evalkit.rating.study import Design
from evalkit.runs import Run, Trial
from evalkit.runs.ratings.records import Origin, Role, StudyKind


@pytest.fixture
def trials(folder: Path) -> list[Trial]:
    return Run.open(folder).trials()


def scores_of(folder: Path) -> list[tuple[str, str, str, float]]:
    return [(one.rater, one.trial, one.question, one.score) for one in Run.open(folder).ratings().scores]


def put(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write_json(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data), "utf-8")
    return path


# -- tables


def test_a_table_with_a_line_a_clip_needs_no_mapping_where_columns_have_our_names(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    a, b = trials[0].id, trials[1].id
    file = put(
        tmp_path / "t.csv", "rater,clip,overall,lip_sync", f"Anna,{a},4,5", f"Anna,{b},3,", f"Ben,{a},2,1"
    )

    imported = import_ratings(folder, file)

    assert (imported.n_raters, imported.n_scores, imported.n_clips, imported.n_unanswered) == (2, 5, 2, 1)
    assert scores_of(folder) == [
        ("r01", a, "overall", 4.0),
        ("r01", a, "lip_sync", 5.0),
        ("r01", b, "overall", 3.0),
        ("r02", a, "overall", 2.0),
        ("r02", a, "lip_sync", 1.0),
    ]
    ratings = Run.open(folder).ratings()
    assert [rater.origin for rater in ratings.raters] == [Origin.IMPORTED] * 2
    assert ratings.studies[0].questions == ("overall", "lip_sync")
    assert ratings.studies[0].source == "a table (t.csv)"
    assert {score.content for score in ratings.scores} == {trials[0].content, trials[1].content}
    assert b"Anna" not in b"".join(path.read_bytes() for path in (folder / "ratings").iterdir())


def test_a_mapping_says_columns_scale_and_names(folder: Path, trials: list[Trial], tmp_path: Path) -> None:
    file = put(
        tmp_path / "t.csv",
        "\ufeffwer;was;Sync;Note",
        "1;demo_1;100;Gut",
        "2;https://host/x/demo_1.webm?t=3#a;0;schlecht",
        "2;demo_2;62,5;4 - good",
    )
    put(
        tmp_path / "m.yaml",
        "rater: wer",
        "clip: was",
        "questions: {lip_sync: Sync, overall: Note}",
        "scale: [0, 100]",
        "words: {Gut: 4, Schlecht: 1, 4 - good: 4}",
        f"clips: {{demo_1: {trials[3].id}, demo_2: {trials[4].id}}}",
    )

    import_ratings(folder, file, mapping=Mapping.load(tmp_path / "m.yaml"))

    # 62.5 of 100 is five eighths of the way from 1 to 5: 3.5
    assert [score for _, _, _, score in scores_of(folder)] == [5.0, 4.0, 1.0, 1.0, 3.5, 4.0]
    assert {trial for _, trial, _, _ in scores_of(folder)} == {trials[3].id, trials[4].id}


def test_a_line_a_score_and_a_clip_by_its_parameters(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    wanted = trials[5]
    assert wanted.portrait is not None
    assert wanted.speech is not None
    steps = wanted.params["sample_steps"]
    row = f"p1,{steps}.0,{wanted.portrait.name.upper()},{wanted.speech.name}"
    file = put(tmp_path / "t.csv", "who,steps,face,line,item,value", f"{row},Sync,2", f"{row},overall,3")
    mapping = Mapping.from_dict(
        {
            "rater": "who",
            "clip": {"params": {"sample_steps": "steps"}, "portrait": "face", "speech": "line"},
            "question": "item",
            "score": "value",
            "names": {"Sync": "lip_sync"},
        }
    )

    import_ratings(folder, file, mapping=mapping)

    assert scores_of(folder) == [("r01", wanted.id, "lip_sync", 2.0), ("r01", wanted.id, "overall", 3.0)]


def test_parameters_that_fit_several_videos_name_none(folder: Path, tmp_path: Path) -> None:
    file = put(tmp_path / "t.csv", "rater,steps,overall", "p1,4,2", "p1,77,2")
    mapping = Mapping.from_dict({"clip": {"params": {"sample_steps": "steps"}}})

    with pytest.raises(UsageError) as error:
        import_ratings(folder, file, mapping=mapping)

    assert "line 2: the run has 4 videos with params.sample_steps 4" in str(error.value)
    assert "line 3: the run has no video with params.sample_steps 77" in str(error.value)


def pair_of(trials: list[Trial]) -> tuple[Trial, Trial]:
    """Return two trials of one input."""
    first = trials[0]
    second = next(one for one in trials[1:] if (one.portrait, one.speech) == (first.portrait, first.speech))
    return first, second


def test_pairs_keep_the_order_in_which_they_were_shown(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    a, b = (one.id for one in pair_of(trials))
    file = put(
        tmp_path / "t.csv",
        "rater,first,second,preferred",
        f"1,{a},{b},left",
        f"2,{b},{a},{a}",
        f"3,{b},{a},no difference",
        f"3,{a},{b},B",
    )

    imported = import_ratings(folder, file)

    assert imported.n_choices == 4
    ratings = Run.open(folder).ratings()
    assert ratings.studies[0].kind is StudyKind.PAIRS
    said = [(one.rater, one.first, one.second, one.preferred, one.role) for one in ratings.choices]
    assert said == [
        ("r01", a, b, a, Role.RATING),
        ("r02", b, a, a, Role.RATING),
        ("r03", b, a, None, Role.RATING),
        ("r03", a, b, b, Role.REPEAT),
    ]


def test_pairs_of_different_inputs_compare_nothing(folder: Path, trials: list[Trial], tmp_path: Path) -> None:
    other = next(one for one in trials if one.portrait != trials[0].portrait)
    file = put(tmp_path / "t.csv", "rater,first,second,preferred", f"1,{trials[0].id},{other.id},left")

    with pytest.raises(
        UsageError, match="line 2: the videos of the pair are of different portraits or speech"
    ):
        import_ratings(folder, file)


def test_the_second_score_of_a_rater_for_a_clip_is_a_repeat(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    file = put(tmp_path / "t.csv", "rater,clip,overall", f"1,{trials[0].id},4", f"1,{trials[0].id},3")

    import_ratings(folder, file)

    found = [(one.score, one.role) for one in Run.open(folder).ratings().scores]
    assert found == [(4.0, Role.RATING), (3.0, Role.REPEAT)]


def test_blind_copies_are_known_by_their_names(folder: Path, tmp_path: Path) -> None:
    with Desk.open(folder) as desk:
        desk.begin_study(Design(clips_per_rater=3))
    with closing(Database(folder)) as database, database.reading() as db:
        rows = {bool(row["is_broken"]): row for row in db.execute("SELECT * FROM clips")}
    good, broken = rows[False], rows[True]
    file = put(tmp_path / "t.csv", "rater,clip,overall", f"1,/d/{good['file']},4", f"1,{broken['file']},1")

    import_ratings(folder, file)

    found = [(one.content, one.score, one.role) for one in Run.open(folder).ratings().scores]
    assert found == [(good["content"], 4.0, Role.RATING), (broken["content"], 1.0, Role.CHECK)]


# -- what cannot be used


@pytest.mark.parametrize("text", ["4-5", "4 - 5", "3:00", "2=-1"])
def test_two_numbers_are_no_score(text: str) -> None:
    assert Mapping().read_score("5 - Excellent") == Mapping().read_score("5 (best of all)") == 5.0
    with pytest.raises(ValueError, match="is no score"):
        Mapping().read_score(text)


def test_every_wrong_row_is_named_and_nothing_is_stored(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    a = trials[0].id
    file = put(
        tmp_path / "t.csv",
        "rater,clip,overall",
        f"1,{a},6",
        f'1,{a},"5; drop table"',
        "1,../../etc/passwd,3",
        f",{a},3",
        f"1,{a}",
        f"1,{a},nan",
        f"1,{a},3",
    )

    with pytest.raises(UsageError) as error:
        import_ratings(folder, file)

    lines = str(error.value).splitlines()
    assert all(line.startswith(str(file)) for line in lines[:-1])
    assert "line 2: overall: '6' is not within 1 to 5" in lines[1]
    assert "line 3: overall: '5; drop table' is no score" in lines[2]
    assert "line 5: rater is empty" in lines[3]
    assert "line 6: 2 cells, and 3 columns" in lines[0]
    assert "line 7: overall: 'nan' is no score" in lines[4]
    assert "line 4: '../../etc/passwd' is no video of this run" in lines[5]
    assert lines[-1] == "nothing was imported: 6 places cannot be used (--skip-bad-rows leaves them out)"
    assert not (folder / "ratings").exists()

    imported = import_ratings(folder, file, skip_bad_rows=True)

    assert (imported.n_scores, imported.n_skipped) == (1, 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"rater,clip,overall\n1,x,\xff\n", "line 2 is not UTF-8"),
        (b"rater,rater,overall\n", "the column 'rater' is there twice"),
        (b"when,what\n1,2\n", "nothing says which columns hold rater and clip and questions"),
        (b'rater,clip,overall\n1,"x,4\n', "line 2: unexpected end of data"),
        (b'{"a": 1}', "no export of tasks of Label Studio"),
        (b"[[[", "line 1 is not valid JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'[{"data": {}, "annotations": ' + b"9" * 5000 + b"}]", "is no JSON that can be read"),
        (b"rater,clip,overall\n", "holds no rating of a video"),
    ],
)
def test_a_file_that_holds_no_ratings_is_refused_by_name(
    folder: Path, content: bytes, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "ratings.txt"
    file.write_bytes(content)

    with pytest.raises(UsageError, match=r"ratings\.txt") as error:
        import_ratings(folder, file)

    assert message in str(error.value)


def test_a_huge_file_is_not_read(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "huge.csv"
    with file.open("wb") as stream:
        stream.truncate(65 * 2**20)

    with pytest.raises(UsageError, match=r"huge.csv: is larger than 64 MiB"):
        import_ratings(folder, file)
    with pytest.raises(UsageError, match=r"/dev/zero: is larger than 64 MiB"):
        import_ratings(folder, Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clips: {a: nothing}", "the run has no such trial"),
        ("clip: klip", "there is no column 'klip'; did you mean 'clip'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(
    folder: Path, text: str, message: str, tmp_path: Path
) -> None:
    file = put(tmp_path / "t.csv", "rater,clip,overall", "1,a,3")
    put(tmp_path / "m.yaml", text)

    with pytest.raises(UsageError) as error:
        import_ratings(folder, file, mapping=Mapping.load(tmp_path / "m.yaml"))

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rater: a\nscale: [3, 3]", "m.yaml: scale is [3, 3]"),
        ("questions: {mood: x}", "'mood' is none of overall, lip_sync, expression, motion"),
        ("first: a", "first and second belong together"),
        ("words: {great: 9}", "'great' is to be a score from 1 to 5"),
        ("rather: a", "did you mean 'rater'"),
    ],
)
def test_a_mapping_file_says_what_is_wrong_with_it(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        Mapping.load(put(tmp_path / "m.yaml", text))

    assert message in str(error.value)


# -- Label Studio


def result(tag: str, kind: str, value: Any) -> dict[str, Any]:
    """Return a result as the export has it."""
    return {"id": "Dx_aB91ISN", "from_name": tag, "to_name": "video", "type": kind, "value": {kind: value}}


def annotation(who: Any, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": 1001,
        "completed_by": who,
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": 4.288,
        "result": list(results),
        **more,
    }


def test_label_studios_json_with_ratings_and_choices(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    a, b = trials[0].id, trials[1].id
    tasks = [
        {
            "id": 1,
            "data": {"video": f"https://host/data/local-files/?d=videos/{a}/video.mp4", "note": "a"},
            "annotations": [
                annotation(10, result("overall", "rating", 4), result("lip_sync", "choices", ["Excellent"])),
                annotation({"id": 11, "email": "x@example.org"}, result("overall", "rating", 2)),
                annotation(12, was_cancelled=True),
            ],
            "predictions": [],
        },
        {
            "id": 2,
            "data": {"video": f"/data/upload/3/{b}.mp4"},
            "annotations": [
                annotation(10, result("overall", "rating", 3), result("comment", "textarea", ["ok"]))
            ],
        },
    ]

    imported = import_ratings(folder, write_json(tmp_path / "ls.json", tasks))

    assert imported.format == "label-studio"
    assert (imported.n_raters, imported.n_unanswered) == (2, 1)
    assert scores_of(folder) == [
        ("r01", a, "overall", 4.0),
        ("r01", a, "lip_sync", 5.0),
        ("r01", b, "overall", 3.0),
        ("r02", a, "overall", 2.0),
    ]


def test_label_studios_pairs(folder: Path, trials: list[Trial], tmp_path: Path) -> None:
    a, b = (one.id for one in pair_of(trials))
    chosen = [
        {"from_name": "pw", "to_name": "pw", "type": "pairwise", "value": {"selected": side}}
        for side in ("left", "right")
    ]
    tasks = [
        {
            "id": 7,
            "data": {"video2": f"{b}.mp4", "video1": f"{a}.mp4"},
            "annotations": [annotation(1, chosen[0]), annotation(2, chosen[1]), annotation(3)],
        }
    ]

    imported = import_ratings(folder, write_json(tmp_path / "ls.json", tasks))

    said = [(one.first, one.second, one.preferred) for one in Run.open(folder).ratings().choices]
    assert said == [(a, b, a), (a, b, b)]
    assert imported.n_unanswered == 1
    assert "taken for the left one" in imported.notes[0]


def test_label_studios_json_min(folder: Path, trials: list[Trial], tmp_path: Path) -> None:
    rows = [
        {
            "video": f"/data/{trials[0].id}.mp4",
            "id": 1,
            "quality": rating,
            "annotator": who,
            "annotation_id": 5,
            "created_at": "2021-03-09T21:52:49Z",
            "updated_at": "2021-03-09T21:52:49Z",
            "lead_time": 3.1,
        }
        for who, rating in ((1, 4), (2, [{"rating": 3}]), (3, "Poor"))
    ]

    imported = import_ratings(
        folder,
        write_json(tmp_path / "min.json", rows),
        mapping=Mapping(clip="video", questions={"overall": "quality"}),
    )

    assert imported.n_raters == 3
    assert [score for *_, score in scores_of(folder)] == [4.0, 3.0, 2.0]


def test_label_studios_pairs_in_json_min_need_no_mapping(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    """Its fields and tags stand side by side; none but the answer is taken for it, whatever the order of a set."""
    a, b = (one.id for one in pair_of(trials))
    rows = [
        {
            "id": who,
            "video1": f"/d/{a}.mp4",
            "video2": f"/d/{b}.mp4",
            "pw": side,
            "annotator": who,
            "annotation_id": who,
        }
        for who, side in ((1, "left"), (2, "right"))
    ]

    import_ratings(folder, write_json(tmp_path / "min.json", rows))

    said = [(one.first, one.second, one.preferred) for one in Run.open(folder).ratings().choices]
    assert said == [(a, b, a), (a, b, b)]
    more = [{**row, "sure": 1} for row in rows]
    with pytest.raises(UsageError, match=r"task 1: its tags are pw, sure; `preferred:` in the mapping says"):
        import_ratings(folder, write_json(tmp_path / "more.json", more))


def test_label_studios_pairwise_is_the_answer_whatever_stands_before_it(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    a, b = (one.id for one in pair_of(trials))
    sure = {"from_name": "sure", "to_name": "pw", "type": "number", "value": {"number": 1}}
    chosen = {"from_name": "pw", "to_name": "pw", "type": "pairwise", "value": {"selected": "right"}}
    task = {"id": 7, "data": {"video1": f"{a}.mp4", "video2": f"{b}.mp4"}}

    import_ratings(
        folder, write_json(tmp_path / "ls.json", [{**task, "annotations": [annotation(1, sure, chosen)]}])
    )

    assert [one.preferred for one in Run.open(folder).ratings().choices] == [b]


def test_label_studios_task_without_a_video_of_the_run_is_named(folder: Path, tmp_path: Path) -> None:
    tasks = [
        {"id": 41, "data": {"video": "x.mp4"}, "annotations": [annotation(1, result("overall", "rating", 9))]}
    ]

    with pytest.raises(UsageError, match=r"ls.json: task 41: none of its data are names of videos"):
        import_ratings(folder, write_json(tmp_path / "ls.json", tasks))


# -- webMUSHRA


def test_webmushras_scores_are_of_0_to_100_and_its_hidden_reference_is_left_out(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    header = "session_test_id,email,age,session_uuid,trial_id,rating_stimulus,rating_score,rating_time,rating_comment"
    file = put(
        tmp_path / "mushra.csv",
        header,
        "t1,x@example.org,30,u-1,page1,C1,75,1200,",
        "t1,x@example.org,30,u-1,page1,C2,0,1200,fine",
        "t1,x@example.org,30,u-1,page1,reference,100,1200,",
        "t1,x@example.org,30,u-1,page1,anchor35,5,1200,",
        "t1,x@example.org,30,u-2,page1,C1,100,1200,",
    )
    mapping = Mapping(clips={"page1/C1": trials[0].id, "page1/C2": trials[1].id})

    imported = import_ratings(folder, file, mapping=mapping)

    assert imported.format == "webmushra"
    assert scores_of(folder) == [
        ("r01", trials[0].id, "overall", 4.0),
        ("r01", trials[1].id, "overall", 1.0),
        ("r02", trials[0].id, "overall", 5.0),
    ]


def test_webmushras_comparisons_and_likert_scales(folder: Path, trials: list[Trial], tmp_path: Path) -> None:
    a, b = (one.id for one in pair_of(trials))
    pairs = put(
        tmp_path / "paired_comparison.csv",
        "session_test_id,name,trial_id,choice_reference,choice_non_reference,choice_answer,choice_time,choice_comment",
        f"t,ann,p,{a},{b},correct,900,",
        f"t,ben,p,{a},{b},incorrect,900,",
        f"t,cat,p,{a},{b},undecided,900,",
        f"t,dan,p,{a},{b},unknown,900,",
    )
    likert = put(
        tmp_path / "lss.csv",
        "session_test_id,name,trial_id,stimuli_rating,stimuli,rating_time",
        f't,ann,p," 4 ",{a},700',
        f"t,ben,p,NA,{a},700",
        f"t,ben,p,good,{b},700",
    )

    told = [import_ratings(folder, file) for file in (pairs, likert)]

    assert [one.n_unanswered for one in told] == [1, 1]
    ratings = Run.open(folder).ratings()
    assert [(one.first, one.second, one.preferred) for one in ratings.choices] == [
        (a, b, a),
        (a, b, b),
        (a, b, None),
    ]
    assert [(one.trial, one.score) for one in ratings.scores] == [(a, 4.0), (b, 4.0)]


def test_pymushras_table(folder: Path, trials: list[Trial], tmp_path: Path) -> None:
    file = put(
        tmp_path / "test.csv",
        "responses_stimulus;responses_score;questionaire_uuid;questionaire_age;wm_id;wm_type;wm_date",
        f"{trials[0].id};50;7b1c;29;trial1;mushra;2020-01-01",
    )

    import_ratings(folder, file)

    assert scores_of(folder) == [("r01", trials[0].id, "overall", 3.0)]


def test_a_table_of_webmushra_that_names_nobody_asks_for_who_rated(folder: Path, tmp_path: Path) -> None:
    file = put(
        tmp_path / "lss.csv", "session_test_id,trial_id,stimuli_rating,stimuli,rating_time", "t,p,4,x,700"
    )

    with pytest.raises(UsageError, match="nothing says which columns hold rater"):
        import_ratings(folder, file)


# -- the command


def run_command(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["rate", "import", *map(str, words)])
    return done.exit_code, done.output


def test_the_same_file_again_stores_nothing(folder: Path, trials: list[Trial], tmp_path: Path) -> None:
    file = put(tmp_path / "t.csv", "rater,clip,overall", f"1,{trials[0].id},4")

    dry, first, again = (run_command(folder, file, *more) for more in (["--dry-run"], [], []))

    assert dry == (
        0,
        f"{file} holds 1 score of 1 rater for 1 video; nothing was stored: this was a dry run\n",
    )
    assert first == (
        0,
        f"imported 1 score of 1 rater for 1 video, as study 1; evalkit rate results {folder} says what they mean\n",
    )
    assert again == (
        0,
        f"{file} was imported before, as study 1: nothing is doubled (evalkit rate forget takes it back)\n",
    )
    assert len(scores_of(folder)) == 1


def test_a_later_export_of_the_same_people_counts_nobody_twice(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    """At noon three had rated; the export of the evening holds them again, under another hash."""
    lines = [
        f"{who},{trial.id},{1 + at * (at + who) % 5}"
        for who in range(1, 6)
        for at, trial in enumerate(trials)
    ]
    n_noon = 3 * len(trials)
    import_ratings(folder, put(tmp_path / "noon.csv", "rater,clip,overall", *lines[:n_noon]))
    evening = put(tmp_path / "evening.csv", "rater,clip,overall", *lines)

    for dry_run in (True, False):
        with pytest.raises(UsageError, match=r"evening\.csv: holds all answers of 3 raters of study 1"):
            import_ratings(folder, evening, dry_run=dry_run)
    others = import_ratings(folder, put(tmp_path / "others.csv", "rater,clip,overall", *lines[n_noon:]))

    assert (others.n_raters, others.is_new) == (2, True)
    assert others.notes == (
        "study 1 was imported before, from a table (noon.csv): whoever is in both counts as two raters",
    )


def test_an_import_by_a_wrong_mapping_is_taken_back_with_its_raters(
    folder: Path, trials: list[Trial], tmp_path: Path
) -> None:
    file = put(tmp_path / "t.csv", "rater,clip,overall", f"1,{trials[0].id},4", f"2,{trials[0].id},5")
    turned = put(tmp_path / "m.yaml", "scale: [5, 1]")
    assert run_command(folder, file, "--mapping", turned)[0] == 0
    assert {score for *_, score in scores_of(folder)} == {1, 2}

    done = CliRunner().invoke(main, ["rate", "forget", str(folder), "r01", "r02", "--yes"])

    assert done.exit_code == 0
    assert done.output.startswith("deleted r01, r02 and 2 answers\n")
    assert run_command(folder, file)[0] == 0
    assert {score for *_, score in scores_of(folder)} == {4, 5}


def test_the_mapping_in_the_help_text_can_be_copied(tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["rate", "import", "--help"]).output
    lines = shown[shown.index("    rater: who") : shown.index("    question: item")].splitlines()

    mapping = Mapping.load(put(tmp_path / "m.yaml", *lines))

    assert (mapping.rater_fields, mapping.clip) == (("who",), "file")
    assert mapping.questions == {"overall": "mos", "lip_sync": "sync"}


def test_what_is_wrong_ends_with_exit_status_2(folder: Path, tmp_path: Path) -> None:
    code, output = run_command(folder, tmp_path / "missing.csv")
    assert code == 2
    assert "missing.csv cannot be read: No such file or directory" in output

    code, output = run_command(folder, put(tmp_path / "t.csv", "rater,clip,overall", "1,x,4"))
    assert code == 2
    assert "line 2: 'x' is no video of this run" in output


def documented_mappings() -> list[str]:
    """Return the mapping files of the documentation."""
    text = (Path(__file__).parents[2] / "docs" / "rating_import.md").read_text("utf-8")
    return [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]


@pytest.mark.parametrize("text", documented_mappings())
def test_mappings_of_the_documentation_can_be_used(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(text, "utf-8")

    mapping = Mapping.load(tmp_path / "m.yaml")

    assert mapping.rater_fields
    assert mapping.clip or mapping.first
