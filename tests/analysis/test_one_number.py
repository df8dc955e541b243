"""One record, one number: whoever names one metric of one configuration shows the same figure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.analysis.table import rows_of_run
from evalkit.decisions.judge import Status
from evalkit.decisions.policy import Policy, load_policy
from evalkit.decisions.recommend import recommend
from evalkit.decisions.signoff import sign_off
from evalkit.decisions.waivers import RUN_COMPLETE
from evalkit.runs import Run
from evalkit.testing.figures import ANY, Figure, Key, figures_of
from evalkit.testing.random_runs import POLICY, RandomRun


def random_runs() -> st.SearchStrategy[RandomRun]:
    """Draw runs, simple ones first."""
    shares = st.sampled_from([0.0, 0.15, 0.5, 1.0])
    return st.builds(
        RandomRun,
        seed=st.integers(0, 2**32 - 1),
        steps=st.integers(1, 3),
        sizes=st.integers(1, 2),
        portraits=st.integers(1, 2),
        speeches=st.sampled_from([1, 2, 4, 13]),
        seeds=st.integers(1, 2),
        failing=shares,
        absent=shares,
        missing=shares,
        levels=st.sampled_from([1, 2, 5, 1000]),
        n_metrics=st.sampled_from([0, 1, 4, 7]),
    )


@pytest.fixture(autouse=True, scope="module")
def unsynced() -> Iterator[None]:
    """Spare thousands of files that nobody needs to survive the way to the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "random.yaml"
    path.write_text(POLICY, "utf-8")
    return path


@pytest.fixture(scope="module")
def policy(policy_file: Path) -> Policy:
    return load_policy(str(policy_file))


def same(one: Figure, other: Figure) -> bool:
    """Compare what both show."""
    for here, there in zip(one, other, strict=True):
        if ANY in (here, there):
            continue
        if (here is None) != (there is None):
            return False
        if here is not None and here != pytest.approx(there, rel=1e-12, abs=1e-12):
            return False
    return True


@settings(max_examples=200, deadline=None)
@given(made=random_runs())
def test_every_figure_of_one_metric_of_one_configuration_is_the_same(
    made: RandomRun, policy: Policy, policy_file: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        figures = figures_of(made.write(Path(folder) / "run", policy_file), policy)
    shown: dict[Key, tuple[str, Figure]] = {}
    for source, found in figures.items():
        for key, figure in found:
            first, known = shown.setdefault(key, (source, figure))
            assert same(figure, known), f"{key}: {source} shows {figure} and {first} shows {known}"
            if ANY in known:
                shown[key] = source, figure


@settings(max_examples=50, deadline=None)
@given(made=random_runs())
def test_recommend_and_signoff_judge_a_rule_alike(made: RandomRun, policy: Policy, policy_file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = rows_of_run(Run.open(made.write(Path(folder) / "run", policy_file)))
        found = recommend(table, policy)
        for candidate in found.candidates:
            verdict = sign_off(table.where(candidate.params), policy)
            judged = {
                line.metric: line
                for line in verdict.lines
                if line.kind == "hard" and line.metric != RUN_COMPLETE
            }
            assert judged == {line.metric: line for line in candidate.lines}
            passes = all(line.status is Status.PASS for line in judged.values())
            assert not (passes and (candidate.missed or candidate.absent or candidate.unsure))
