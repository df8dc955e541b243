"""Views are plain data, valid JSON both ways, and show what the layers below computed."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from evalkit.api.verdicts import compare, signoff
from evalkit.decisions.analyse import analyse_run, policy_of_run
from evalkit.decisions.judge import Grade
from evalkit.decisions.policy import Policy, load_policy
from evalkit.runs import Run
from evalkit.testing.runs import make_trial, write_grid, write_run
from evalkit.types import Metric
from evalkit.views.comparison import ComparisonView, comparison_view
from evalkit.views.configuration import map_view
from evalkit.views.figure import FigureView
from evalkit.views.run import RunView, run_view
from evalkit.views.signoff import SignoffView, signoff_view
from evalkit.views.view import View

ERROR = Metric("lip_sync.error", "1", "lower", "chance that other words fit better")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("customer_service")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("views") / "run", failing=(0,), unfinished=(35,))


@pytest.fixture(scope="module")
def run(folder: Path, policy: Policy) -> RunView:
    return run_view(analyse_run(Run.open(folder), policy), policy)


def view_of(folder: Path) -> RunView:
    """Return the view of a run under its own policy."""
    opened = Run.open(folder)
    policy, note = policy_of_run(opened)
    return run_view(analyse_run(opened, policy), policy, note=note)


@pytest.fixture(scope="module")
def views(folder: Path, run: RunView) -> dict[type[View], View]:
    return {
        RunView: run,
        ComparisonView: comparison_view(compare(folder, split={"sample_steps": (2, 4)})),
        SignoffView: signoff_view(
            signoff(folder, "customer_service", where={"sample_steps": 4, "size": "384*256"})
        ),
    }


@pytest.mark.parametrize("kind", [RunView, ComparisonView, SignoffView])
def test_a_view_comes_back_from_json_as_it_was(kind: type[View], views: dict[type[View], View]) -> None:
    view = views[kind]
    plain = json.loads(view.to_json())
    assert plain == view.to_dict()
    assert TypeAdapter(kind).validate_python(plain) == view


def leaves(value: Any) -> Iterator[Any]:
    """Walk through everything that a view holds."""
    if dataclasses.is_dataclass(value):
        assert isinstance(value, View)
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


@pytest.mark.parametrize("kind", [RunView, ComparisonView, SignoffView])
def test_a_view_holds_no_markup(kind: type[View], views: dict[type[View], View]) -> None:
    for leaf in leaves(views[kind]):
        assert not hasattr(leaf, "__html__")
        assert not (isinstance(leaf, str) and "<svg" in leaf)


@dataclasses.dataclass(frozen=True)
class Odd(View):
    """Holds what a view must not hold."""

    value: Any


@pytest.mark.parametrize("value", [math.nan, math.inf, (1.0, -math.inf)])
def test_what_is_not_finite_is_no_json(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Odd(value).to_json()


@pytest.mark.parametrize("value", [np.zeros(2), {1}, ERROR, Path("a")])
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="a view holds plain data, not"):
        Odd(value).to_dict()


def test_figures_are_the_summaries_of_the_analysis(folder: Path, policy: Policy, run: RunView) -> None:
    analysis = analyse_run(Run.open(folder), policy)
    for view, configuration in zip(run.configurations, analysis.configurations, strict=True):
        assert view.label == configuration.label
        for name, summary in configuration.summaries.items():
            if name not in run.metrics:
                continue
            figure = view.figures[name]
            assert (figure.value, figure.interval, figure.n) == (summary.value, summary.interval, summary.n)
            assert figure.n_attempted == summary.n_attempted == len(configuration.rows)
            assert figure.unit == analysis.metrics[name].unit


def test_an_absent_figure_says_why_in_words(run: RunView) -> None:
    figure = run.configurations[1].figures["profile.peak_vram_mib"]
    assert figure.value is None
    assert figure.why_absent == "there is no NVIDIA GPU (4)"
    clip = next(trial for trial in run.trials if trial.failure is None)
    assert clip.figures["expression.blink_per_min"].why_absent == "too short to measure"
    assert clip.absent["too short to measure"] == ["expression.blink_per_min"]


def test_a_failed_trial_counts_as_attempted_and_has_no_value(run: RunView) -> None:
    first = run.configurations[0]
    figure = first.figures["lip_sync.error"]
    assert (figure.n, figure.n_attempted, first.n_failed) == (3, 4, 1)
    assert figure.absences == {"generate failed: out_of_memory": 1}
    assert [trial.id for trial in run.failed] == [run.trials[0].id]
    assert run.coverage.failures == {"out_of_memory": 1}
    assert (run.coverage.n_planned, run.coverage.n_attempted, run.coverage.n_ok) == (36, 35, 34)
    assert run.coverage.n_unfinished == 1


def test_report_and_signoff_judge_one_configuration_alike(folder: Path, run: RunView) -> None:
    for configuration in run.configurations:
        verdict = signoff_view(signoff(folder, "customer_service", where=dict(configuration.params)))
        hard = {gate.metric: gate for gate in verdict.gates if gate.kind == "hard"}
        assert {gate.metric: gate for gate in configuration.gates} == hard


def planted(
    folder: Path, values: list[float], *, failing: int = 0, steps: int = 4, prompt: str | None = None
) -> Path:
    """Write a run of one configuration from values of the lip-sync error."""
    params = {"sample_steps": steps} | ({"prompt": prompt} if prompt else {})
    trials = [
        make_trial(
            params=params,
            portrait="anna",
            speech=f"words {place}",
            seed=1,
            values={"lip_sync.error": value},
            failure="out_of_memory" if place < failing else None,
        )
        for place, value in enumerate(values)
    ]
    return write_run(folder, trials, [ERROR], policy=str(folder / "policy.yaml"))


POLICY = """
name: planted
title: Planted
quality: lip_sync.error
costs: [profile.total_s]
rules: [{metric: lip_sync.error, at_most: 0.3, min_coverage: 0, why: a gate}]
"""


@pytest.mark.parametrize(
    ("values", "failing", "grade"),
    [
        ([0.1 + place / 100 for place in range(19)], 0, Grade.PASSES),
        ([0.4, 0.41, 0.42, 0.43, 0.44, 0.45], 0, Grade.FAILS),
        ([0.1, 0.2], 0, Grade.TOO_FEW_CLIPS),
        ([0.1, 0.2], 2, Grade.NOT_MEASURED),
    ],
)
def test_a_gate_has_one_of_four_grades(
    tmp_path: Path, values: list[float], failing: int, grade: Grade
) -> None:
    folder = planted(tmp_path / "run", values, failing=failing)
    (folder / "policy.yaml").write_text(POLICY, "utf-8")
    (configuration,) = view_of(folder).configurations
    assert configuration.grade is grade
    assert [gate.grade for gate in configuration.gates] == [grade]


def test_a_policy_may_name_a_metric_of_the_run_that_is_not_installed(tmp_path: Path) -> None:
    blinks = Metric("somewhere_else.blinks", "1/min", "lower", "of an evaluator that is not installed here")
    trials = [
        make_trial(
            params={},
            portrait="anna",
            speech=f"words {k}",
            seed=1,
            values={"somewhere_else.blinks": 0.1 + k / 100},
        )
        for k in range(19)
    ]
    folder = write_run(tmp_path / "run", trials, [blinks], policy=str(tmp_path / "policy.yaml"))
    (tmp_path / "policy.yaml").write_text(POLICY.replace("lip_sync.error", blinks.name), "utf-8")
    (configuration,) = view_of(folder).configurations
    assert configuration.grade is Grade.PASSES


def test_a_headline_is_made_from_data_not_cut_from_prose(tmp_path: Path) -> None:
    prompts = ("A woman smiles. She nods", "A man: waits. ")
    trials = [
        make_trial(
            params={"prompt": prompt},
            portrait="anna",
            speech=f"words {place}",
            seed=1,
            values={
                "lip_sync.error": 0.1 + 0.05 * index + 0.001 * place,
                "profile.total_s": 3.0 + (1 + 0.01 * place) * index,
            },
        )
        for index, prompt in enumerate(prompts)
        for place in range(30)
    ]
    metrics = [ERROR, Metric("profile.total_s", "s", "lower", "until the video is there")]
    folder = write_run(tmp_path / "run", trials, metrics, policy=str(tmp_path / "policy.yaml"))
    (tmp_path / "policy.yaml").write_text(POLICY, "utf-8")
    view = view_of(folder)
    assert view.answer.headline.startswith("Use prompt A woman smiles. She nods: 2 of 2 configurations")
    assert view.answer.configuration == "prompt A woman smiles. She nods"
    assert view.answered is not None
    assert view.answered.params == {"prompt": "A woman smiles. She nods"}


def test_a_map_pools_the_clips_of_what_it_does_not_show(folder: Path, policy: Policy) -> None:
    analysis = analyse_run(Run.open(folder), policy)
    view = map_view(analysis, "lip_sync.error", "size", None)
    (row,) = view.cells
    assert [cell.n for cell in row] == [
        11,
        12,
        11,
    ]  # one failed among the first, one without a result in the last
    values = [
        trial.metrics["lip_sync.error"].value
        for trial in analysis.trials
        if trial.params["size"] == "688*368"
    ]
    assert row[1].value == pytest.approx(np.mean(values))


def test_the_values_of_a_clip_stand_beside_its_limits(run: RunView) -> None:
    slow = next(trial for trial in run.trials if trial.params["size"] == "704*384" and trial.failure is None)
    assert slow.beyond == ("profile.ttff_s",)
    assert slow.limits["profile.ttff_s"].limit == "at most 3"
    assert slow.limits["lip_sync.error"].is_met


def test_a_video_has_its_worst_moments_in_the_order_of_time(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"looked at by nobody here")
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,), video=video, failing=(1,))
    first, failed, *_ = view_of(folder).trials
    assert first.video == f"videos/{first.id}/video.mp4"
    assert [moment.text for moment in first.moments] == [
        "lip_sync.error 0.41, 0.2 s to 0.9 s",
        "lip_sync.error 0.82, 1.5 s to 3.0 s",
        "technical.flicker 3.1 %, 2.0 s to 2.6 s",
    ]
    assert (failed.video, failed.moments) == (None, ())


def test_evidence_has_the_caption_that_its_evaluator_gave(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    opened = Run.open(folder)
    own = opened.folder_of(opened.manifest.planned[0]) / "evidence"
    own.mkdir()
    for name in ("blinks_over_time.png", "transcript.html", "notes.txt", "timeline.svg"):
        (own / name).write_text("", "utf-8")
    first, *others = view_of(folder).trials
    assert [(one.path.rpartition("/")[2], one.caption, one.is_picture) for one in first.evidence] == [
        ("blinks_over_time.png", "blinks over time", True),
        ("transcript.html", "transcript", False),
    ]
    assert all(one.evidence == () for one in others)


def test_evidence_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    opened = Run.open(folder)
    own = opened.folder_of(opened.manifest.planned[0]) / "evidence"
    own.mkdir()
    (own / "index.json").write_text("{", "utf-8")
    first, *others = view_of(folder).trials
    assert any("index.json cannot be read" in note for note in first.notes)
    assert not any("cannot be read" in note for trial in others for note in trial.notes)


def test_direction_unit_and_reducer_stand_in_every_figure(views: dict[type[View], View]) -> None:
    def figures(value: Any) -> Iterator[FigureView]:
        if isinstance(value, FigureView):
            yield value
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield from figures(getattr(value, field.name))
        elif isinstance(value, dict):
            for item in value.values():
                yield from figures(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from figures(item)

    found = [figure for view in views.values() for figure in figures(view)]
    assert len(found) > 1000
    for figure in found:
        assert figure.unit
        assert figure.better in {"lower", "higher", "zero", "band"}
        assert figure.reducer
        assert (figure.value is not None) or figure.why_absent
