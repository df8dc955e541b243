"""One record, one number: whoever names one metric of one configuration shows the same figure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.decisions.policy import Policy, load_policy
from evalkit.testing.figures import ANY, RELEASE, Figure, Key, Verdict, figures_of, verdicts_of
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
        machines=st.integers(1, 3),
        raters=st.sampled_from([0, 1, 3, 12]),
    )


def runs_that_may_pass() -> st.SearchStrategy[RandomRun]:
    """Draw runs of good values with as many clips as gates need, or nearly."""
    shares = st.sampled_from([0.0, 0.0, 0.03])
    return st.builds(
        RandomRun,
        seed=st.integers(0, 2**32 - 1),
        steps=st.integers(1, 2),
        sizes=st.just(1),
        portraits=st.just(1),
        speeches=st.sampled_from([18, 19, 30]),
        seeds=st.just(1),
        failing=shares,
        absent=shares,
        missing=st.sampled_from([0.0, 0.0, 0.0, 0.1]),
        levels=st.sampled_from([1, 2, 1000]),
        n_metrics=st.just(7),
        good=st.just(True),
        looks=st.sampled_from([1, 2, 9]),
        machines=st.sampled_from([1, 1, 3]),
        raters=st.sampled_from([0, 4, 20]),
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


def verdicts(folder: Path, policy: Policy) -> set[Verdict]:
    """Return how the gates of a run came out, after asking everybody."""
    said = verdicts_of(folder, policy)
    first, *others = said
    for other in others:
        assert said[other] == said[first], f"{other} does not say what {first} says"
    return said[first]


@settings(max_examples=200, deadline=None)
@given(made=random_runs() | runs_that_may_pass())
def test_every_figure_and_every_verdict_on_one_configuration_is_the_same(
    made: RandomRun, policy: Policy, policy_file: Path
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = made.write(Path(name) / "run", policy_file)
        figures = figures_of(folder, policy)
        verdicts(folder, policy)
    shown: dict[Key, tuple[str, Figure]] = {}
    for source, found in figures.items():
        for key, figure in found:
            first, known = shown.setdefault(key, (source, figure))
            assert same(figure, known), f"{key}: {source} shows {figure} and {first} shows {known}"
            if ANY in known:
                shown[key] = source, figure


def test_some_of_these_runs_pass_and_with_fewer_clips_do_not(
    policy: Policy, policy_file: Path, tmp_path: Path
) -> None:
    good = RandomRun(1, 1, 1, 1, 30, 1, 0.0, 0.0, 0.0, 1000, 7, good=True)
    passing = verdicts(good.write(tmp_path / "good", policy_file), policy)
    assert {verdict.grade for verdict in passing} == {"passes"}
    few = verdicts(replace(good, speeches=18).write(tmp_path / "few", policy_file), policy)
    assert Verdict("one configuration", RELEASE, "too few clips") in few
