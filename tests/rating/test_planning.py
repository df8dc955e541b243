"""Raters, clips and minutes before anybody is asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import evalkit
from evalkit.cli import main
from evalkit.decisions.policy import Policy
from evalkit.errors import UsageError
from evalkit.rating import planning
from evalkit.rating.imported import store_imported
from evalkit.rating.planning import plan_ratings
from evalkit.rating.study import Clip, Design, Item, make_items
from evalkit.runs import Run
from evalkit.runs.ratings.records import Score
from evalkit.stats.opinion_planning import ASSUMED
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.runs import write_grid


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of three configurations, each on four inputs, of clips of six seconds."""
    place = tmp_path_factory.mktemp("plan")
    clip = write_clip(
        place / "clip.mp4", moving_pattern(6.0, fps=5, width=64, height=48), fps=5, sound=tone(6.0)
    )
    return write_grid(place / "run", sizes=("384*256",), video=clip)


@pytest.fixture
def run(run_folder: Path) -> Run:
    return Run.open(run_folder)


def test_what_the_present_run_shows_and_costs(run: Run) -> None:
    plan = plan_ratings(run, n_raters=20)

    # All 12 clips, 2 for practice, 2 repeats and 1 check: 17, each of 6 s and 4 answers of 3 s; 60 s to begin with.
    assert plan.chosen.n_shown == 17
    assert plan.clip_s == pytest.approx(6.0, abs=0.05)
    assert plan.chosen.minutes_a_rater == pytest.approx((60 + 17 * (6 + 12)) / 60, abs=0.02)
    assert plan.chosen.hours == pytest.approx(20 * plan.chosen.minutes_a_rater / 60)
    # 0.4² / 20 + 0.4² / 4 + 0.7² / 80 = 0.0541, and Student's quantile with 5.45 degrees of freedom is 2.51
    assert plan.chosen.width == pytest.approx(2.51 * 0.0541**0.5, abs=0.005)
    assert plan.n_scores == 0
    assert plan.spread == ASSUMED
    assert (
        "20 raters spend 7 minutes each" in plan.describe()[1]
    )  # 6.1, rounded up as the raters' own pages do


def test_a_width_that_no_raters_reach_says_how_many_clips_do(run: Run) -> None:
    plan = plan_ratings(run, width=0.3)

    assert plan.n_raters_needed is None
    assert plan.enough is not None
    assert plan.enough.n_clips > plan.n_clips == 4
    assert plan.enough.width is not None
    assert plan.enough.width <= 0.3
    fewer = plan_ratings(run, n_raters=plan.enough.n_raters, n_clips=plan.enough.n_clips - 1).chosen
    assert fewer.width is not None
    assert fewer.width > 0.3
    assert f"{plan.enough.n_clips} clips of each are" in plan.describe()[0]


def test_raters_needed_are_the_fewest_that_reach_the_width(run: Run) -> None:
    plan = plan_ratings(run, n_clips=12, width=0.4)

    assert plan.n_raters_needed is not None
    widths = [
        plan_ratings(run, n_clips=12, n_raters=plan.n_raters_needed - less).chosen.width for less in (0, 1)
    ]
    assert widths[0] is not None
    assert widths[1] is not None
    assert widths[0] <= 0.4 < widths[1]


def test_what_was_asked_here_before_says_how_much_scores_differ(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_grid(folder, sizes=("384*256",), video=next(run_folder.glob("videos/*/video.mp4")))
    random = np.random.default_rng(5)
    trials = Run.open(folder).trials()
    bias, quality = random.normal(0, 0.3, 60), random.normal(0, 0.25, len(trials))
    scores = [
        Score(f"p{rater}", trial.id, trial.content, "overall", float(np.clip(score, 1, 5)))
        for place, trial in enumerate(trials)
        for rater in range(60)
        for score in [3 + bias[rater] + quality[place] + random.normal(0, 0.5)]
    ]
    store_imported(folder, source="a test", digest="0", answers=scores)

    plan = plan_ratings(Run.open(folder))

    assert plan.n_scores == 720
    assert plan.spread.raters == pytest.approx(float(np.std(bias, ddof=1)), abs=0.06)
    assert plan.spread.rest == pytest.approx(0.5, abs=0.05)
    within = quality.reshape(3, 4)
    assert plan.spread.clips == pytest.approx(float(np.sqrt(within.var(axis=1, ddof=1).mean())), abs=0.06)
    assert "as 720 scores of 60 imported raters differ here" in plan.describe()[-1]


def test_who_is_shown_what_is_worked_out_once_for_a_number_of_clips(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With thousands of clips it took a second each of some twenty times."""
    asked: list[int] = []

    def count_clips(design: Design, clips: Sequence[Clip]) -> tuple[Item, ...]:
        asked.append(len(clips))
        return make_items(design, clips)

    monkeypatch.setattr(planning, "make_items", count_clips)
    plan_ratings(run, n_clips=8)
    assert sorted(asked) == [3 * 8, 3 * 16]


def test_ratings_that_cannot_be_read_are_not_said_to_be_few(run_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run_folder, tmp_path / "run")
    (folder / "ratings").mkdir()
    (folder / "ratings" / "ratings.sqlite").write_bytes(b"no database" * 99)
    said = plan_ratings(Run.open(folder)).describe()
    assert "what was said here cannot be read" in said[-2]
    assert said[-1].startswith("Ratings: none can be read: ")


def test_the_policys_floor_is_said(run_folder: Path) -> None:
    few = evalkit.rate_plan(run_folder, raters=8)
    enough = evalkit.rate_plan(run_folder, clips=12)

    assert few.floor_raters == 20
    assert (
        few.describe()[2] == "The policy passes nothing that fewer than 20 raters have judged: 8 are too few."
    )
    assert "invite a few more, as some do not finish or are screened out" in enough.describe()[2]
    assert enough.n_raters_needed is not None
    assert enough.n_raters_needed < enough.chosen.n_raters == 20


def test_too_few_inputs_for_other_inputs_are_said(run_folder: Path, tmp_path: Path) -> None:
    video = next(run_folder.glob("videos/*/video.mp4"))
    names = ("a", "b", "c", "d")
    write_grid(tmp_path / "many", sizes=("a",), steps=(2, 4), portraits=names, speech=names, video=video)

    few, many, planned = (
        evalkit.rate_plan(run_folder),
        evalkit.rate_plan(tmp_path / "many"),
        evalkit.rate_plan(run_folder, clips=30),
    )

    assert few.too_few_inputs == "2 portraits and 2 pieces of speech"
    assert "not of other inputs" in few.describe()[3]
    assert many.too_few_inputs == planned.too_few_inputs == ""


def test_pairs_count_answers_about_two_configurations(run: Run) -> None:
    plan = plan_ratings(run, pairs=True, width=0.1)

    # 3 pairs of configurations on 4 inputs: 12 pairs, 4 about any two. Of 4 alike answers each (correlation 0.1) count
    # 4 / 1.3; 0.5² × 1.3 / (4 n) has to be (0.1 / t)², with t = 2.035 of 33 degrees of freedom: n = 33.6.
    assert plan.n_raters_needed == 34
    assert plan.chosen.width == pytest.approx(0.1, abs=0.002)
    assert plan.chosen.n_shown == 17
    assert plan.chosen.minutes_a_rater == pytest.approx((60 + 17 * (12 + 3)) / 60, abs=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.0}, "a width is above 0 and at most 2, in points; not 0"),
        ({"width": float("nan")}, "not nan"),
        ({"width": 0.7, "pairs": True}, "at most 0.5, as a share of pairs"),
        ({"raters": 0}, "raters is 0"),
        ({"clips": -1}, "clips is -1"),
    ],
)
def test_numbers_that_nothing_can_be_planned_with_are_refused(
    run_folder: Path, options: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        evalkit.rate_plan(run_folder, **options)  # type: ignore[arg-type]


def test_nothing_to_rate_and_nothing_to_compare(run_folder: Path, tmp_path: Path) -> None:
    video = next(run_folder.glob("videos/*/video.mp4"))
    write_grid(tmp_path / "none", sizes=("a",), steps=(2,), portraits=("p",), speech=("s",), unfinished=(0,))
    write_grid(tmp_path / "one", sizes=("a",), steps=(2,), video=video)

    with pytest.raises(UsageError, match="has no video yet"):
        evalkit.rate_plan(tmp_path / "none")
    with pytest.raises(UsageError, match="has one configuration"):
        evalkit.rate_plan(tmp_path / "one", pairs=True)


def test_the_floor_counts_raters_also_where_a_limit_is_one_on_clips(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [{"metric": "rating.mos", "at_most": 0.1, "bad_beyond": 3, "min_n": 12, "why": "a gate"}]
    policy = Policy.model_validate(
        {"name": "own", "title": "Own", "quality": "rating.mos", "costs": ["profile.rtf"], "rules": rules}
    )
    monkeypatch.setattr("evalkit.api.ratings.policy_of_run", lambda _: (policy, ""))
    assert policy.rules[0].fewest == 29  # clips, of which at most one in ten may be bad
    assert evalkit.rate_plan(run_folder, raters=8).floor_raters == 12


def test_the_command_says_what_the_library_gives(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"

    done = CliRunner().invoke(main, ["rate", "plan", str(run_folder), "--raters", "8", "--json", str(out)])

    assert done.exit_code == 0, done.output
    plan = evalkit.rate_plan(run_folder, raters=8)
    assert json.loads(out.read_text("utf-8")) == json.loads(json.dumps(plan.to_dict()))
    lines = done.output.splitlines()
    assert lines[: len(plan.describe())] == plan.describe()
    assert lines[-1] == f"wrote {out}"
    assert not (run_folder / "ratings").exists()
    assert CliRunner().invoke(main, ["rate", "plan", str(run_folder), "--width", "-1"]).exit_code == 2
