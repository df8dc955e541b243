"""Page and Markdown write the value, interval and n of the analysis, whatever the run is like."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.analysis.run_analysis import RunAnalysis
from evalkit.analysis.values import Summary
from evalkit.decisions.analyse import analyse_run
from evalkit.decisions.policy import Policy, load_policy
from evalkit.formatting import three_digits
from evalkit.reports.run_markdown import render_markdown
from evalkit.reports.run_page import render_run
from evalkit.runs import Run
from evalkit.testing.random_runs import POLICY, RandomRun
from evalkit.views.run import run_view

shares = st.sampled_from([0.0, 0.15, 0.5, 1.0])
random_runs = st.builds(
    RandomRun,
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 2),
    sizes=st.integers(1, 2),
    portraits=st.integers(1, 2),
    speeches=st.sampled_from([1, 4]),
    seeds=st.just(1),
    failing=shares,
    absent=shares,
    missing=shares,
    levels=st.sampled_from([1, 5, 1000]),
    n_metrics=st.sampled_from([0, 4, 7]),
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


def expected(summary: Summary) -> tuple[str, ...]:
    """Write value, interval and n by hand; nothing where there is no value."""
    if summary.value is None:
        return ()
    interval = summary.interval
    ends = [] if interval is None else [f"[{three_digits(interval.low)}, {three_digits(interval.high)}]"]
    return (three_digits(summary.value), *ends, f"n = {summary.n}")


def table_of(analysis: RunAnalysis) -> dict[str, list[tuple[str, ...]]]:
    """Return the figures of each configuration by its label: which is shown first is not asked here."""
    return {
        one.label: [expected(one.summaries[name]) for name in analysis.main]
        for one in analysis.configurations
    }


def analyse(made: RandomRun, folder: str, policy_file: Path, policy: Policy) -> RunAnalysis:
    return analyse_run(Run.open(made.write(Path(folder) / "run", policy_file)), policy)


def words(cell: str) -> tuple[str, ...]:
    """Take a cell apart; nothing where it says that there is no value."""
    if cell.startswith("–"):
        return ()
    parts = re.fullmatch(r"(\S+) ?(\[[^\]]+\])? ?(n = \d+)(?: / \d+)?", cell)
    assert parts is not None, cell
    return tuple(part for part in parts.groups() if part)


@settings(max_examples=60, deadline=None)
@given(made=random_runs)
def test_markdown_writes_the_figures_of_the_analysis(
    made: RandomRun, policy: Policy, policy_file: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        analysis = analyse(made, folder, policy_file, policy)
        lines = render_markdown(run_view(analysis, policy)).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("| configuration")) + 2
    rows = {}
    for line in lines[start : start + len(analysis.configurations)]:
        cells = [re.sub(r"\\(.)", r"\1", cell).strip() for cell in re.split(r"(?<!\\)\|", line)]
        rows[cells[1].partition(" – ")[0]] = [words(cell) for cell in cells[4:-1]]
    assert rows == table_of(analysis)


@settings(max_examples=8, deadline=None)
@given(made=random_runs)
def test_the_page_writes_the_figures_of_the_analysis(
    made: RandomRun, policy: Policy, policy_file: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        analysis = analyse(made, folder, policy_file, policy)
        html = render_run(run_view(analysis, policy))
    section = html[html.index('<section id="configurations">') : html.index('<section id="side-by-side">')]
    body = section[section.index("<tbody>") : section.index("</tbody>")]
    n_main = len(analysis.main)
    rows = {}
    for label, row in re.findall(r'<tr[^>]*data-configuration="([^"]*)"[^>]*>(.*?)</tr>', body, re.DOTALL):
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        texts = [" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in cells]
        rows[unescape(label)] = [words(text) for text in texts[len(texts) - n_main :]]
    assert rows == table_of(analysis)
