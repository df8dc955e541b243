"""Which clips compare and sign-off show, and why these."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.analysis.table import rows_of_run
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.policy import load_policy
from evalkit.decisions.signoff import sign_off
from evalkit.runs import Run
from evalkit.testing.media import moving_pattern, write_clip
from evalkit.testing.runs import write_grid
from evalkit.views.comparison import N_PAIRS, ComparisonView, comparison_view
from evalkit.views.signoff import signoff_view

ERROR = "lip_sync.error"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    clip = write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_pattern(0.4))
    folder = tmp_path_factory.mktemp("runs") / "run"
    return Run.open(write_grid(folder, sizes=("384*256",), steps=(1, 4), seeds=tuple(range(5)), video=clip))


def compared(run: Run) -> ComparisonView:
    table = rows_of_run(run)
    sides = [table.where({"sample_steps": steps}) for steps in (1, 4)]
    rules = load_policy("customer_service", table.metrics.values())
    return comparison_view(compare_tables(*sides, policy=rules, ignore_params=("sample_steps",)))


def test_the_pairs_that_differ_most_come_first(run: Run) -> None:
    view = compared(run)
    assert view.n_pairs > N_PAIRS == len(view.pairs)
    assert {pair.metric for pair in view.pairs} == {ERROR}
    sizes = [abs(pair.gain or 0.0) for pair in view.pairs]
    assert sizes == sorted(sizes, reverse=True)
    table = rows_of_run(run)
    by_item: dict[object, dict[object, float]] = {}
    for row in table.rows:
        by_item.setdefault((row.input, row.seed), {})[row.params["sample_steps"]] = row.values[ERROR]
    largest = max(abs(values[1] - values[4]) for values in by_item.values())
    assert sizes[0] == pytest.approx(largest)


def test_a_gain_is_what_is_better_and_not_what_is_more(run: Run) -> None:
    pair = compared(run).pairs[0]
    assert pair.a.values[ERROR] > pair.b.values[ERROR]  # more steps, less error
    assert pair.gain == pytest.approx(pair.a.values[ERROR] - pair.b.values[ERROR])


def test_both_clips_of_a_pair_have_video_caption_and_moments(run: Run) -> None:
    pair = compared(run).pairs[0]
    for clip, steps in ((pair.a, 1), (pair.b, 4)):
        assert clip.caption == f"sample_steps {steps}"
        assert Path(clip.video or "").is_file()
        assert clip.fps == 25.0
        assert {moment.metric for moment in clip.moments} == {ERROR}
    assert compared(run).to_json()


def test_sign_off_shows_the_clip_that_is_worst_in_what_fails(run: Run) -> None:
    table = rows_of_run(run).where({"sample_steps": 1})
    rules = load_policy("customer_service", table.metrics.values())
    view = signoff_view(sign_off(table, rules))
    shown = next(one for one in view.failing if ERROR in one.gates)
    assert shown.clip.values[ERROR] == max(row.values[ERROR] for row in table.rows)
    assert shown.clip.video is not None
    assert view.to_json()


def test_a_clip_that_failed_says_so(run: Run) -> None:
    table = rows_of_run(run).where({"sample_steps": 1})
    rows = tuple(replace(row, failure="generate failed: crashed", video=None) for row in table.rows)
    rules = load_policy("customer_service", table.metrics.values())
    view = signoff_view(sign_off(replace(table, rows=rows), rules))
    shown = next(one for one in view.failing if "profile.error_rate" in one.gates)
    assert shown.clip.video is None
    assert shown.clip.why_none == "generate failed: crashed"
