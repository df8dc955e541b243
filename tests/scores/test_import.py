"""Other tools' scores and outcomes of live trials: read, refused, stored, and what decisions make of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from evalkit.analysis.table import rows_of_run
from evalkit.api.verdicts import compare, signoff
from evalkit.cli import main
from evalkit.decisions.comparison import Conclusion
from evalkit.decisions.judge import Grade
from evalkit.errors import UsageError
from evalkit.runs import Run, RunWriter
from evalkit.scores import Definitions, MetricDefinition, import_scores, importing
from evalkit.stats.means import fit_difference
from evalkit.testing.runs import write_grid

SCORE = MetricDefinition(better="higher", meaning="how good, by another tool", bounds=(0, 1), column="score")
MINE = Definitions(metrics={"other.score": SCORE}, version="3")
LIVE = Definitions(
    metrics={
        "live.minutes_watched": MetricDefinition(
            unit="min", better="higher", meaning="how long people stayed", bounds=(0, None)
        ),
        "live.completed": MetricDefinition(better="higher", meaning="dialogues that ended", bounds=(0, 1)),
    },
    version="trial 1",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_grid(tmp_path / "run", sizes=("384*256",), steps=(2, 4), portraits=tuple("abcdefgh"))


@pytest.fixture
def ids(folder: Path) -> list[str]:
    return [trial.id for trial in Run.open(folder).trials()]


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def table(path: Path, ids: list[str], values: list[float | str], *, column: str = "trial") -> Path:
    lines = [f"{name},{value}" for name, value in zip(ids, values, strict=True)]
    return write(path, "\n".join([f"{column},score", *lines]) + "\n")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- formats -------------------------------------------------------------------------------------------------------------


def test_vbench_results_are_found_by_the_path_of_the_video(
    folder: Path, ids: list[str], tmp_path: Path
) -> None:
    videos = [
        {"video_path": f"./sampled/videos/{name}/video.mp4", "video_results": 60 + place}
        for place, name in enumerate(ids)
    ]
    motion = [
        {"video_path": f"{name}.mp4", "video_results": place % 2 == 0} for place, name in enumerate(ids)
    ]
    file = write(
        tmp_path / "eval_results.json",
        json.dumps({"imaging_quality": [0.7, videos], "dynamic_degree": [0.5, motion], "new": [1, []]}),
    )
    imported = import_scores(folder, file, definitions=Definitions(version="0.1.5"))
    assert (imported.format, imported.source, imported.version) == ("vbench", "vbench", "0.1.5")
    assert imported.metrics == ("vbench.imaging_quality", "vbench.dynamic_degree")
    assert any("new is not read" in note for note in imported.notes)
    run = Run.open(folder)
    by_id = {trial.id: trial.metrics for trial in run.trials()}
    assert by_id[ids[3]]["vbench.imaging_quality"].value == 63
    assert by_id[ids[3]]["vbench.dynamic_degree"].value == 0
    assert run.manifest.evaluators["vbench"] == "0.1.5"
    metric = rows_of_run(run).metrics["vbench.imaging_quality"]
    assert (metric.better, metric.bounds) == ("higher", (0, 100))


def test_fastvideo_scores_say_where_the_tool_gave_none(folder: Path, ids: list[str], tmp_path: Path) -> None:
    scores = [
        {
            "video": f"videos/{name}.mp4",
            "scores": {
                "common.lpips": {"name": "common.lpips", "score": 0.2, "details": {}},
                "vbench.scene": {"name": "vbench.scene", "score": None, "details": {"skipped": "no prompt"}},
                "judge.taste": {"name": "judge.taste", "score": 7.0, "details": {}},
            },
        }
        for name in ids
    ]
    imported = import_scores(folder, write(tmp_path / "scores.json", json.dumps(scores)))
    assert imported.metrics == ("fastvideo.common_lpips", "fastvideo.vbench_scene")
    assert sum("judge.taste is not read" in note for note in imported.notes) == 1
    trial = Run.open(folder).trials()[0]
    assert trial.metrics["fastvideo.common_lpips"].value == 0.2
    assert trial.absent["fastvideo.vbench_scene"] == "not_scored"


def test_a_metric_of_unknown_direction_is_read_once_somebody_says_it(
    folder: Path, ids: list[str], tmp_path: Path
) -> None:
    scores = [{"video": name, "scores": {"judge.taste": {"score": 7.0}}} for name in ids]
    file = write(tmp_path / "scores.json", json.dumps(scores))
    with pytest.raises(UsageError, match=r"judge\.taste is not read"):
        import_scores(folder, file)
    said = MetricDefinition(better="higher", meaning="taste", column="judge.taste")
    import_scores(folder, file, definitions=Definitions(metrics={"fastvideo.taste": said}))
    assert Run.open(folder).trials()[0].metrics["fastvideo.taste"].value == 7.0


def test_the_lines_of_syncnet_need_the_names_of_the_videos(
    folder: Path, ids: list[str], tmp_path: Path
) -> None:
    lines = [f"{7 + place / 10} {5 + place / 10}" for place in range(len(ids))]
    file = write(tmp_path / "all_scores.txt", "\n".join(lines) + "\n")
    with pytest.raises(UsageError, match="name no video"):
        import_scores(folder, file)
    with pytest.raises(UsageError, match=f"{len(ids)} lines for 1 video"):
        import_scores(folder, file, clips=ids[:1])
    imported = import_scores(folder, file, clips=[f"{name}.mp4" for name in ids])
    assert (imported.format, imported.metrics) == ("syncnet", ("syncnet.lse_d", "syncnet.lse_c"))
    by_id = {trial.id: trial.metrics for trial in Run.open(folder).trials()}
    assert by_id[ids[2]]["syncnet.lse_d"].value == pytest.approx(7.2)
    assert by_id[ids[2]]["syncnet.lse_c"].value == pytest.approx(5.2)


def test_a_table_may_describe_videos_by_what_they_were_made_of(folder: Path, tmp_path: Path) -> None:
    lines = [
        f"{trial.params['sample_steps']},{trial.portrait.name},{trial.speech.name},0.5,{place + 1}"
        for place, trial in enumerate(Run.open(folder).trials())
        if trial.portrait is not None and trial.speech is not None
    ]
    file = write(tmp_path / "t.csv", "\n".join(["sample_steps,portrait,speech,score,n", *lines]))
    assert import_scores(folder, file, definitions=MINE).n_clips == len(lines)
    assert Run.open(folder).trials()[4].metrics["other.score"].n == 5


def test_a_table_may_have_a_line_a_score(folder: Path, ids: list[str], tmp_path: Path) -> None:
    lines = [f"{name};score;0.{place:02}" for place, name in enumerate(ids)]
    file = write(tmp_path / "t.csv", "\n".join(["video;metric;value", *lines]))
    assert import_scores(folder, file, definitions=MINE).n_scores == len(ids)


# --- what is refused, whole ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ids, values: (["nobody.mp4", *ids[1:]], values), "line 2: 'nobody.mp4' is no video of this run"),
        (lambda ids, values: ([ids[1], *ids[1:]], values), "line 3: other.score of trial .* is there twice: see line 2"),
        (lambda ids, values: (ids, ["nan", *values[1:]]), "line 2: other.score: 'nan' is not finite"),
        (lambda ids, values: (ids, [*values[:-1], "-inf"]), "line 33: other.score: '-inf' is not finite"),
        (lambda ids, values: (ids, [1.5, *values[1:]]), r"line 2: other.score: 1.5 is outside of what it can be \(0 to 1\)"),
        (lambda ids, values: (ids, ["good", *values[1:]]), "line 2: other.score: 'good' is no number"),
    ],
)  # fmt: skip
def test_a_file_with_a_bad_line_is_refused_whole(
    change: object, said: str, folder: Path, ids: list[str], tmp_path: Path
) -> None:
    before = contents(folder)
    assert callable(change)
    names, values = change(ids, [0.5] * len(ids))
    with pytest.raises(UsageError, match=said) as caught:
        import_scores(folder, table(tmp_path / "scores.csv", names, values), definitions=MINE)
    assert "nothing was imported" in str(caught.value)
    assert contents(folder) == before


def test_versions_are_not_mixed(folder: Path, ids: list[str], tmp_path: Path) -> None:
    rows = [f"{name},0.5,{'1.0' if place else '2.0'}" for place, name in enumerate(ids)]
    mixed = write(tmp_path / "mixed.csv", "\n".join(["trial,score,version", *rows]))
    with pytest.raises(UsageError, match=r"versions 1\.0 and 2\.0"):
        import_scores(folder, mixed, definitions=MINE.model_copy(update={"version": None}))
    import_scores(folder, table(tmp_path / "a.csv", ids, [0.5] * len(ids)), definitions=MINE)
    other = Definitions(metrics={"other.more": SCORE}, version="4")
    newer = table(tmp_path / "b.csv", ids, [0.25] * len(ids))
    with pytest.raises(UsageError, match=r"has other\.score of other 3, and these scores are of 4"):
        import_scores(folder, newer, definitions=other)
    import_scores(folder, newer, definitions=other, replace_all=True)
    run = Run.open(folder)
    assert run.manifest.evaluators["other"] == "4"
    assert "other.score" not in run.manifest.metrics
    assert run.trials()[0].metrics["other.more"].value == 0.25


@pytest.mark.parametrize("name", ["lip_sync.error2", "profile.x", "rating.mos"])
def test_families_of_our_own_are_not_taken(name: str, folder: Path, ids: list[str], tmp_path: Path) -> None:
    said = Definitions(metrics={name: SCORE})
    with pytest.raises(UsageError, match="name the metric by the tool that scored"):
        import_scores(folder, table(tmp_path / "t.csv", ids, [0.5] * len(ids)), definitions=said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("{", "line 1 is not valid JSON"),
        ('{"a": 1}', "neither VBench's"),
        ("a,b\n1,2\n", "no column says which video"),
        ("trial,b\n1,2\n", "nothing says what its numbers mean"),
    ],
)
def test_what_is_no_file_of_scores_is_said(text: str, said: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        import_scores(folder, write(tmp_path / "f", text))


def test_a_table_without_the_scores_or_any_value_is_said(
    folder: Path, ids: list[str], tmp_path: Path
) -> None:
    said = Definitions(metrics={"other.score": SCORE.model_copy(update={"column": None})})
    with pytest.raises(UsageError, match=r"no column has the scores of other\.score: --column"):
        import_scores(folder, write(tmp_path / "t.csv", f"trial,points\n{ids[0]},1\n"), definitions=said)
    before = contents(folder)
    with pytest.raises(UsageError, match="holds no score"):
        import_scores(folder, table(tmp_path / "t.csv", ids, [""] * len(ids)), definitions=MINE)
    assert contents(folder) == before


def test_a_score_of_a_trial_that_failed_is_said(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), failing=(1,))
    (failed,) = [trial.id for trial in Run.open(folder).trials() if trial.status == "failed"]
    with pytest.raises(UsageError, match=f"line 2: trial {failed} failed, and has no video"):
        import_scores(folder, table(tmp_path / "t.csv", [f"/x/{failed}.mp4"], [0.5]), definitions=MINE)


# --- what is stored ------------------------------------------------------------------------------------------------------


def test_importing_again_changes_nothing_and_other_metrics_stay(
    folder: Path, ids: list[str], tmp_path: Path
) -> None:
    values = [round(0.01 * place, 2) for place in range(len(ids))]
    file = table(tmp_path / "a.csv", ids[:-1], values[:-1])
    first = import_scores(folder, file, definitions=MINE)
    assert (first.n_clips, first.n_without) == (len(ids) - 1, 1)
    again = rows_of_run(Run.open(folder))
    import_scores(folder, file, definitions=MINE)
    assert [row.values for row in rows_of_run(Run.open(folder)).rows] == [row.values for row in again.rows]
    more = Definitions(metrics={"other.more": SCORE}, version="3")
    import_scores(folder, table(tmp_path / "b.csv", ids, [0.75] * len(ids)), definitions=more)
    last = {trial.id: trial for trial in Run.open(folder).trials()}
    assert last[ids[1]].metrics["other.score"].value == 0.01
    assert last[ids[1]].metrics["other.more"].value == 0.75
    assert last[ids[-1]].absent["other.score"] == "not_scored"
    files = list((folder / "measurements" / ids[0]).glob("other@*.json"))
    assert len(files) == 1
    assert Run.open(folder).has_tables()
    assert "other.score" in Run.open(folder).frame()


def test_what_somebody_imports_while_a_file_is_read_stays(
    folder: Path, ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is looked at before it is locked, to refuse what is wrong, and again behind the lock, to keep what is there."""
    file = table(tmp_path / "a.csv", ids, [0.25] * len(ids))
    other = table(tmp_path / "b.csv", ids, [0.75] * len(ids))
    more = Definitions(metrics={"other.more": SCORE}, version="3")
    newer = Definitions(metrics={"other.more": SCORE}, version="4")

    def meanwhile(definitions: Definitions) -> None:
        def begin(at: Path) -> RunWriter:
            monkeypatch.undo()
            import_scores(folder, other, definitions=definitions, replace_all=True)
            return RunWriter(at)

        monkeypatch.setattr(importing, "RunWriter", begin)

    meanwhile(more)
    import_scores(folder, file, definitions=MINE)
    for trial in Run.open(folder).trials():
        assert {name: trial.metrics[name].value for name in ("other.score", "other.more")} == {
            "other.score": 0.25,
            "other.more": 0.75,
        }
    meanwhile(newer)
    with pytest.raises(UsageError, match="two versions stand in no table"):
        import_scores(folder, file, definitions=MINE)
    assert "other.score" not in Run.open(folder).manifest.metrics


def test_a_dry_run_stores_nothing(folder: Path, ids: list[str], tmp_path: Path) -> None:
    before = contents(folder)
    imported = import_scores(
        folder, table(tmp_path / "a.csv", ids, [0.5] * len(ids)), definitions=MINE, dry_run=True
    )
    assert imported.n_scores == len(ids)
    assert contents(folder) == before


# --- decisions -----------------------------------------------------------------------------------------------------------


def policy(path: Path, *rules: str) -> Path:
    lines = "\n".join(f"  - {{{rule}, why: a test}}" for rule in rules)
    head = "name: own\ntitle: own\nquality: other.score\ncosts: [profile.total_s]\nrules:\n"
    return write(path, head + lines + "\n")


def test_scores_go_through_policy_compare_and_report(folder: Path, ids: list[str], tmp_path: Path) -> None:
    steps = {trial.id: trial.params["sample_steps"] for trial in Run.open(folder).trials()}
    values = [0.5 + 0.1 * (steps[name] == 4) + 0.001 * place for place, name in enumerate(ids)]
    import_scores(folder, table(tmp_path / "a.csv", ids, values), definitions=MINE)
    own = policy(tmp_path / "p.yaml", "metric: other.score, at_least: 0.55, judged_by: value")
    verdict = signoff(folder, own, where={"sample_steps": 2})
    (line,) = [one for one in verdict.lines if one.metric == "other.score"]
    expected = np.mean([value for value, name in zip(values, ids, strict=True) if steps[name] == 2])
    assert line.value == pytest.approx(expected)
    assert (line.n, line.grade) == (16, Grade.FAILS)
    compared = compare(folder, split={"sample_steps": (2, 4)}, policy=own)
    assert compared["other.score"].a.value == pytest.approx(expected)
    assert compared["other.score"].difference.n == 16
    assert CliRunner().invoke(main, ["report", str(folder)]).exit_code == 0
    assert "other.score" in (folder / "report.html").read_text("utf-8")


def live(path: Path, n: int, *, steps: tuple[int, ...] = (2, 4), who: str = "{steps}-{place}") -> Path:
    noise = np.random.default_rng(7)
    lines = [
        f"{who.format(steps=step, place=place)},{step},{max(0.0, noise.normal(2 + step, 1)):.3f},{int(place % 4 > 0)}"
        for step in steps
        for place in range(n)
    ]
    return write(path, "\n".join(["session,sample_steps,minutes_watched,completed", *lines]))


def test_outcomes_belong_to_configurations_and_count_sessions(folder: Path, tmp_path: Path) -> None:
    n_rows = len(rows_of_run(Run.open(folder)).rows)
    imported = import_scores(folder, live(tmp_path / "live.csv", 40), definitions=LIVE)
    assert (imported.n_sessions, imported.n_scores, imported.n_clips) == (80, 160, 0)
    results = rows_of_run(Run.open(folder))
    assert len(results.rows) == n_rows  # no clip more, no attempt more
    for configuration in results.configurations:
        summary = configuration.summary(results.metrics["live.completed"])
        assert (summary.n, summary.n_attempted, summary.counted) == (40, 40, "session")
        assert summary.value == pytest.approx(0.75)
    rules = policy(
        tmp_path / "p.yaml",
        "metric: live.completed, at_least: 0.7",
        "metric: live.minutes_watched, at_least: 3",
    )
    rules.write_text(
        rules.read_text("utf-8").replace("quality: other.score", "quality: live.minutes_watched")
    )
    lines = {line.metric: line for line in signoff(folder, rules, where={"sample_steps": 4}).lines}
    assert lines["live.minutes_watched"].grade is Grade.PASSES
    assert lines["live.minutes_watched"].n == 40
    assert "sessions" in lines["live.completed"].evidence


def test_outcomes_of_different_people_are_compared_as_two_samples(folder: Path, tmp_path: Path) -> None:
    import_scores(folder, live(tmp_path / "live.csv", 60), definitions=LIVE)
    compared = compare(folder, split={"sample_steps": (2, 4)})["live.minutes_watched"]
    sessions = rows_of_run(Run.open(folder)).sessions.by_metric["live.minutes_watched"]
    a, b = (
        np.array(
            [row.values["live.minutes_watched"] for row in sessions if row.params["sample_steps"] == step]
        )
        for step in (2, 4)
    )
    assert compared.difference.value == pytest.approx(b.mean() - a.mean())
    assert compared.test.p == pytest.approx(fit_difference(a, b).p_value())
    assert compared.finding is Conclusion.BETTER


def test_pages_speak_of_sessions_where_they_are_counted(folder: Path, tmp_path: Path) -> None:
    import_scores(folder, live(tmp_path / "live.csv", 40), definitions=LIVE)
    rules = policy(tmp_path / "p.yaml", "metric: live.completed, at_least: 0.7")
    rules.write_text(
        rules.read_text("utf-8").replace("quality: other.score", "quality: live.minutes_watched")
    )
    pages = [tmp_path / "compare.html", tmp_path / "signoff.html"]
    for language, said in (
        ("en", ("40 sessions of A and 40 of B", "needs more sessions", "too few sessions to tell")),
        ("zh-CN", ("A 的 40 场和 B 的 40 场", "需要更多场次", "场次太少")),
    ):
        options = ["--policy", str(rules), "--language", language, "--html"]
        split = ["--split", "sample_steps=2,4"]
        done = CliRunner().invoke(main, ["compare", str(folder), *split, *options, str(pages[0])])
        assert done.exit_code == 0, done.output
        where = ["--where", "sample_steps=4"]
        assert (
            CliRunner().invoke(main, ["signoff", str(folder), *where, *options, str(pages[1])]).exit_code == 1
        )
        shown = "".join(page.read_text("utf-8") for page in pages)
        assert [words for words in said if words not in shown] == []
        assert "equal in all 40 pairs" not in shown


def test_people_who_saw_both_are_pairs(folder: Path, tmp_path: Path) -> None:
    import_scores(folder, live(tmp_path / "live.csv", 30, who="{place}"), definitions=LIVE)
    compared = compare(folder, split={"sample_steps": (2, 4)})["live.minutes_watched"]
    assert compared.difference.n == 30
    assert compared.missing.n_pairs == 30


def test_the_difference_of_two_samples_is_welchs() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    noise = np.random.default_rng(3)
    a, b = noise.normal(0, 1, 25), noise.normal(0.4, 3, 60)
    fit = fit_difference(a, b)
    reference = scipy_stats.ttest_ind(b, a, equal_var=False)
    assert fit.p_value() == pytest.approx(reference.pvalue, rel=1e-9)
    assert fit.bounds(0.025) == pytest.approx(tuple(reference.confidence_interval(0.95)), rel=1e-9)
    assert fit_difference(a[:4], b).reason is not None


def test_outcomes_again_replace_and_a_damaged_file_is_said(folder: Path, tmp_path: Path) -> None:
    file = live(tmp_path / "live.csv", 20)
    import_scores(folder, file, definitions=LIVE)
    import_scores(folder, file, definitions=LIVE)
    (record,) = Run.open(folder).outcomes().records
    assert len(record.sessions) == 40
    (folder / "outcomes" / "live.json").write_text("{")
    results = rows_of_run(Run.open(folder))
    assert any("live.json" in line for line in results.missing)
    assert "live.completed" not in results.metrics


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("s,3,1.0,1", "line 2: the run has no configuration with sample_steps 3"),
        (",2,1.0,1", "line 2: no session is named"),
        ("s,2,1.0,1\ns,2,2.0,1", "line 3: live.minutes_watched of session s is there twice"),
        ("s,2,-1,1", "line 2: live.minutes_watched: -1 is outside"),
    ],
)
def test_bad_outcomes_are_refused_with_their_line(line: str, said: str, folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "l.csv", f"session,sample_steps,minutes_watched,completed\n{line}\n")
    with pytest.raises(UsageError, match=said):
        import_scores(folder, file, definitions=LIVE)
    assert not (folder / "outcomes").exists()


def test_outcomes_name_one_configuration(folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "l.csv", "session,minutes_watched\ns,1\n")
    with pytest.raises(UsageError, match="2 configurations with no parameter: name what tells them apart"):
        import_scores(folder, file, definitions=LIVE)


# --- the command ---------------------------------------------------------------------------------------------------------


def test_the_command_imports_and_says_what(folder: Path, ids: list[str], tmp_path: Path) -> None:
    file = table(tmp_path / "scores.csv", ids, [0.5] * len(ids))
    arguments = ["import", str(folder), str(file), "--metric", "other.score", "--column", "score"]
    lacking = CliRunner().invoke(main, arguments)
    assert lacking.exit_code == 2
    assert "--metric needs --better" in lacking.output
    said = CliRunner().invoke(
        main, [*arguments, "--better", "higher", "--meaning", "good", "--bounds", "0:1"]
    )
    assert said.exit_code == 0, said.output
    assert f"imported {len(ids)} values of other.score of {len(ids)} videos (other imported)" in said.output
    assert "no version of the tool is known" in said.output


def test_definitions_may_stand_in_a_file(folder: Path, tmp_path: Path) -> None:
    said = write(
        tmp_path / "d.yaml",
        "version: trial 1\nmetrics:\n  live.minutes_watched: {unit: min, better: higher, bounds: [0, null], meaning: stay}\n",
    )
    done = CliRunner().invoke(
        main, ["import", str(folder), str(live(tmp_path / "l.csv", 20)), "--metrics", str(said)]
    )
    assert done.exit_code == 0, done.output
    assert "the column completed is not read" in done.output
    assert "40 values of live.minutes_watched of 40 sessions (live trial 1)" in done.output
