"""How long the report of a thousand trials takes, and how large it is. Run with ``make bench``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evalkit.reports.run_report import write_report
from evalkit.testing.runs import write_grid


@pytest.fixture(scope="module")
def thousand_trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of 5 sizes, 5 step counts, 5 portraits, 4 pieces of speech and 2 seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # thousands of files that nobody needs to survive
        return write_grid(
            tmp_path_factory.mktemp("bench") / "run",
            sizes=("256*256", "384*256", "512*384", "688*368", "704*384"),
            steps=(1, 2, 3, 4, 6),
            portraits=tuple("abcde"),
            speech=tuple("wxyz"),
            seeds=(1, 2),
            failing=range(0, 1000, 97),
        )


def test_a_thousand_trials(benchmark, thousand_trials: Path) -> None:
    """Under 15 s and 30 MB."""
    benchmark.pedantic(lambda: write_report(thousand_trials), rounds=3, iterations=1)
    size_mb = (thousand_trials / "report.html").stat().st_size / 1e6
    benchmark.extra_info["html_mb"] = size_mb
    assert size_mb < 30
