"""Every attempt counts, a plan that was edited shows, and so does a record under a name that is not its own."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalkit.analysis.table import ClipRecord, rows_of_run
from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs import PlanRecord, Run, Trial
from evalkit.runs import attempts as of_attempts
from evalkit.runs.attempts import agree, count_attempts
from evalkit.testing.runs import make_trial, write_grid, write_run

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLE_RUN = Path(__file__).parents[2] / "reports" / "sample_run"


def a_trial(seed: int, *, steps: int = 2, failed: bool = False, retried: int = 0, **params: Any) -> Trial:
    return make_trial(
        params={"sample_steps": steps, **params},
        portrait="anna",
        speech="hello",
        seed=seed,
        values={"profile.error_rate": float(failed)},
        failure="crashed" if failed else None,
        attempts=["stalled"] * retried,
    )


def write(folder: Path, trials: list[Trial], earlier: list[Trial] | None = None) -> Run:
    return Run.open(write_run(folder / "run", trials, [ERROR_RATE], earlier=earlier or []))


def edit(path: Path, **changes: Any) -> None:
    """Change a record; None for the digest, as records of earlier versions have."""
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes | {"digest": None}), "utf-8")


def test_the_metric_has_one_name() -> None:
    assert ERROR_RATE.name == of_attempts.ERROR_RATE


def test_tries_before_a_success_and_a_failure_for_good_count() -> None:
    trials = [a_trial(1), a_trial(2, retried=2), a_trial(3, failed=True, retried=1)]
    assert [(trial.n_attempts, trial.n_failures) for trial in trials] == [(1, 0), (3, 2), (2, 2)]
    counted = count_attempts(trials)
    assert (counted.n, counted.n_failed, counted.share_failed) == (6, 4, pytest.approx(2 / 3))
    assert count_attempts([]).share_failed is None


def test_a_clip_of_a_folder_is_one_attempt() -> None:
    clips = [ClipRecord("a"), ClipRecord("b", failure="not measured: unreadable")]
    assert [(clip.n_attempts, clip.n_failures) for clip in clips] == [(1, 0), (1, 1)]
    assert [clip.value("profile.error_rate") for clip in clips] == [0.0, 1.0]


def test_retries_do_not_launder_an_error_rate(tmp_path: Path) -> None:
    # 20 clips, all there in the end; 9 of them after one try that failed, one after three: 12 of 32 attempts failed
    run = write(
        tmp_path, [a_trial(seed, retried=1 if seed < 9 else 3 if seed == 9 else 0) for seed in range(20)]
    )
    table = rows_of_run(run)
    (configuration,) = table.configurations
    summary = configuration.summary(ERROR_RATE)
    assert (summary.value, summary.n, summary.n_attempted) == (12 / 32, 32, 32)
    assert configuration.n_failed == 0
    frame = run.frame()
    assert set(frame["profile.error_rate"]) == {12 / 32}
    assert (frame["failed_attempts"].sum(), frame["attempts"].sum()) == (12, 32)
    assert [row.value("profile.error_rate") for row in table.rows][8:11] == [1 / 2, 3 / 4, 0.0]


def test_a_grid_of_the_good_seeds_alone_does_not_launder_an_error_rate(tmp_path: Path) -> None:
    good = [a_trial(seed) for seed in range(11)]
    bad = [a_trial(seed, failed=True) for seed in range(11, 20)]
    run = write(tmp_path, good, bad)
    (configuration,) = rows_of_run(run).configurations
    assert (configuration.summary(ERROR_RATE).value, configuration.summary(ERROR_RATE).n) == (9 / 20, 20)
    assert len(configuration.rows) == 11
    assert set(run.frame()["profile.error_rate"]) == {9 / 20}
    assert run.orphaned() == sorted(trial.id for trial in bad)


def test_an_earlier_grid_counts_for_the_configurations_that_it_agrees_with(tmp_path: Path) -> None:
    now = [a_trial(seed, steps=steps, fps=25) for steps in (2, 3) for seed in (1, 2)]
    earlier = [
        a_trial(7, steps=2, failed=True, fps=25),
        a_trial(8, steps=4, failed=True, fps=25),  # of no configuration that there is
        a_trial(9, steps=3, failed=True),  # its frame rate is not known: it was the default then
        a_trial(9, steps=3, failed=True, fps=30),
    ]
    table = rows_of_run(write(tmp_path, now, earlier))
    rates = {one.params["sample_steps"]: one.summary(ERROR_RATE) for one in table.configurations}
    assert [(rates[steps].value, rates[steps].n) for steps in (2, 3)] == [(1 / 3, 3), (1 / 3, 3)]
    assert table.where({"sample_steps": 2}).pooled().summary(ERROR_RATE).n == 3
    assert table.pooled().summary(ERROR_RATE).value == 2 / 6
    assert table.pooled({"sample_steps": 3}).summary(ERROR_RATE).n == 3
    other = [row for row in table.rows if row.params["sample_steps"] == 2]
    assert table.pooled().summary(ERROR_RATE).metric in table.metrics
    assert replace(table, rows=tuple(other)).pooled().summary(ERROR_RATE).n == 3


def test_parameters_agree_where_both_are_known() -> None:
    assert agree({"size": "a", "steps": 2}, {"steps": 2, "fps": 25})
    assert not agree({"size": "a", "steps": 2}, {"steps": 2, "size": "b"})
    assert agree({}, {"steps": 2})
    assert not agree({"steps": None}, {"steps": 2})


@pytest.mark.parametrize("harm", ["video.mp4", "generation.json"])
def test_an_earlier_trial_counts_without_its_video_and_is_missed_without_its_record(
    tmp_path: Path, harm: str
) -> None:
    run = write(tmp_path, [a_trial(1)], [a_trial(2, retried=1), a_trial(3, failed=True)])
    folder = run.folder_of(a_trial(2).id)
    edit(folder / "generation.json", n_bytes=17)  # it had a video of 17 bytes, which nobody kept
    if harm == "generation.json":
        (folder / harm).write_text("{", "utf-8")
    table = rows_of_run(Run.open(run.folder))
    summary = table.pooled().summary(ERROR_RATE)
    if harm == "video.mp4":
        assert (summary.value, summary.n, table.missing) == (2 / 4, 4, ())
        return
    assert (summary.value, summary.n) == (1 / 2, 2)
    (line,) = table.missing
    assert re.search(
        r"generation\.json cannot be read.*of an earlier grid: its attempts cannot be counted", line
    )


def test_what_another_generator_refused_is_no_attempt_and_what_this_one_refused_is(tmp_path: Path) -> None:
    refused = replace(
        a_trial(2, failed=True),
        failure=replace(a_trial(2, failed=True).failure, code="refused"),  # type: ignore[type-var]
    )
    run = write(tmp_path, [a_trial(1)], [refused, a_trial(3, failed=True)])
    assert rows_of_run(run).pooled().summary(ERROR_RATE).value == 2 / 3
    edit(run.folder / "run.json", generator={"name": "made up", "version": "2", "settings": {}})
    assert (
        rows_of_run(Run.open(run.folder)).pooled().summary(ERROR_RATE).value == 1 / 2
    )  # what crashed still counts


def test_a_failed_trial_that_is_taken_out_of_the_folder_is_missed(tmp_path: Path) -> None:
    run = write(tmp_path, [a_trial(1), a_trial(2, retried=2)], [a_trial(3, failed=True)])
    edit(run.folder / "run.json", failures={a_trial(2).id: 2, a_trial(3).id: 1})
    assert Run.open(run.folder).forgotten() == {}
    shutil.rmtree(run.folder_of(a_trial(3).id))
    edit(run.folder_of(a_trial(2).id) / "generation.json", attempts=[])
    run = Run.open(run.folder)
    assert run.forgotten() == {a_trial(2).id: 2, a_trial(3).id: 1}
    assert f"trial {a_trial(2).id}: run.json counts 2 failed attempts more than its record" in (
        rows_of_run(run).missing
    )


def test_a_trial_says_what_its_video_is_and_where_it_was_made(tmp_path: Path) -> None:
    asked = replace(a_trial(2), content="ab" * 32, machine="other", alone=False)
    run = write(tmp_path, [a_trial(1), asked, a_trial(3), a_trial(4, failed=True)])
    first, second, third, failed = run.trials()
    assert first.content is not None
    assert first.content != third.content
    assert (second.content, second.machine, second.alone) == ("ab" * 32, "other", False)
    assert (first.machine in run.manifest.machines, first.alone) == (True, True)
    assert failed.content is None
    assert [row.content for row in rows_of_run(run).rows] == [trial.content for trial in run.trials()]


def test_made_trials_with_a_video_have_contents_of_their_own_that_play(
    tmp_path: Path, talking_face: Any
) -> None:
    from evalkit.media.probe import probe

    run = Run.open(write_grid(tmp_path / "run", sizes=["384*256"], steps=[2], video=talking_face.path))
    assert len({trial.content for trial in run.trials()}) == len(run.trials()) == 4
    original = probe(str(talking_face.path)).video
    assert [probe(str(run.video_of(trial.id))).video for trial in run.trials()] == [original] * 4


def test_a_plan_that_was_edited_shows(tmp_path: Path) -> None:
    run = write(tmp_path, [a_trial(1), a_trial(2)])
    (plan,) = run.plans
    assert isinstance(plan, PlanRecord)
    assert (plan.hash, plan.n_trials) == (run.planned_hash(), 2)
    for change in (
        {"planned": [a_trial(1).id]},
        {"generator": {**run.manifest.generator, "version": "2"}},
        {"config": {**run.manifest.config, "evaluators": ["lip_sync"]}},
    ):
        before = (run.folder / "run.json").read_text("utf-8")
        edit(run.folder / "run.json", **change)
        assert Run.open(run.folder).planned_hash() != plan.hash
        (run.folder / "run.json").write_text(before, "utf-8")
    edit(run.folder / "run.json", planned=run.manifest.planned[::-1])  # the order of tables is no plan
    assert Run.open(run.folder).planned_hash() == plan.hash


def test_runs_that_are_older_than_these_records_are_read() -> None:
    for schema in (1, 2, 3):
        run = Run.open(GOLDEN / f"run_schema_{schema}")
        assert (run.plans, run.planned_hash(), run.forgotten()) == ((), None, {})
        assert all(trial.n_attempts >= 1 for trial in (*run.trials(), *run.earlier()))
    assert [trial.alone for trial in Run.open(GOLDEN / "run_schema_1").trials()] == [None] * 3
    assert Run.open(GOLDEN / "run_schema_1").misnamed() == []


def test_a_copy_under_another_name_shows(tmp_path: Path) -> None:
    run = write(tmp_path, [a_trial(1), a_trial(2)])
    assert run.misnamed() == []
    copy = "0123456789abcdef"
    shutil.copytree(run.folder_of(a_trial(1).id), run.folder / "videos" / copy)
    edit(run.folder / "videos" / copy / "generation.json", id=copy)
    edit(run.folder / "run.json", planned=[*run.manifest.planned, copy])
    assert Run.open(run.folder).misnamed() == [copy]


@pytest.mark.parametrize(
    "change", [{"seed": 3}, {"params": {"sample_steps": 3}}, {"portrait": None}, {"speech": None}]
)
def test_a_record_that_was_given_other_inputs_shows(tmp_path: Path, change: dict[str, Any]) -> None:
    run = write(tmp_path, [a_trial(1), a_trial(2)])
    edit(run.folder_of(a_trial(2).id) / "generation.json", **change)
    assert Run.open(run.folder).misnamed() == [a_trial(2).id]


def test_a_file_that_a_parameter_names_counts_for_a_name_where_its_content_is_on_record(
    tmp_path: Path,
) -> None:
    run = write(tmp_path, [a_trial(1, brand_mark="mark.png")])
    record = run.folder_of(run.manifest.planned[0]) / "generation.json"
    edit(record, files={"mark.png": "cc" * 32})
    assert Run.open(run.folder).misnamed() == run.manifest.planned  # it was named after the path
    edit(record, files=None)  # an older record does not say: nothing is said of it
    assert Run.open(run.folder).misnamed() == []


def test_the_sample_run_was_named_as_names_are_made_today() -> None:
    run = Run.open(SAMPLE_RUN)
    assert len(run.trials()) == 2
    assert run.misnamed() == []
