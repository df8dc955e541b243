"""``evalkit rate results``: one answer in the terminal, on the page, as JSON and from the library."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import evalkit
from evalkit.cli import main
from evalkit.reports.run_report import write_report
from evalkit.runs import Run
from evalkit.runs.ratings.records import (
    Choice,
    Origin,
    RaterRecord,
    Ratings,
    Role,
    Score,
    StudyKind,
    StudyRecord,
)
from evalkit.testing.ratings import write_ratings
from evalkit.testing.runs import write_grid

QUALITY = {2: 3.1, 3: 3.8, 4: 4.4}
KEY = "ab" * 32
STUDY = StudyRecord(1, StudyKind.ACR, ("overall",), "2026-11-01T10:00:00+00:00", KEY)
N_SCORING, N_CHEATS, N_CHOOSING = 12, 2, 8


def planted(folder: Path, *, n_speech: int = 6) -> Path:
    """Write a run that twelve simulated raters scored and two cheats did, and that eight people chose in."""
    write_grid(
        folder,
        sizes=("384*256",),
        steps=tuple(QUALITY),
        portraits=("anna", "bo", "cy", "di"),
        speech=tuple(f"text {number}" for number in range(n_speech)),
    )
    trials = Run.open(folder).trials()
    rng = np.random.default_rng(4)
    raters, scores, choices = [], [], []
    for place in range(N_SCORING + N_CHEATS):
        name, bias = f"r{place + 1:02}", rng.normal(0.0, 0.3)
        raters.append(RaterRecord(name, 1, Origin.SIMULATED, "en", 1, 1))
        for trial in trials:
            level = QUALITY[trial.params["sample_steps"]] + bias + rng.normal(0.0, 0.6)
            given = rng.integers(1, 6) if place >= N_SCORING else np.clip(np.round(level), 1, 5)
            scores.append(Score(name, trial.id, trial.content, "overall", float(given)))
    for place in range(N_CHOOSING):
        name = f"r{place + 21}"
        raters.append(RaterRecord(name, 2, Origin.PERSON, "zh-CN", 1, 1))
        for one, other in itertools.combinations(trials, 2):
            if (one.portrait, one.speech) == (other.portrait, other.speech):
                lead = QUALITY[one.params["sample_steps"]] - QUALITY[other.params["sample_steps"]]
                first, second = (one, other) if rng.random() < 0.5 else (other, one)
                wins = one.id if rng.random() < 1.0 / (1.0 + np.exp(-1.5 * lead)) else other.id
                choices.append(Choice(name, first.id, second.id, (first.content, second.content), wins))
    studies = (
        STUDY,
        StudyRecord(2, StudyKind.PAIRS, ("overall",), "2026-11-02T10:00:00+00:00", KEY[::-1]),
    )
    return write_ratings(folder, Ratings(studies, tuple(raters), tuple(scores), tuple(choices)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted(tmp_path_factory.mktemp("rated") / "run")


def test_one_answer_for_everybody(run: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "ratings.html", tmp_path / "ratings.json"
    said = CliRunner().invoke(main, ["rate", "results", str(run), "--html", str(page), "--json", str(data)])
    assert said.exit_code == 0, said.output
    report = evalkit.rate_results(run)
    assert json.loads(data.read_text("utf-8")) == report.to_dict()
    words = " ".join(said.output.split())
    assert words.startswith(report.headline)
    assert report.headline.startswith("sample_steps 4 is rated 4.")
    assert "of 5 by 12 simulated raters [" in report.headline
    assert report.details[0] == "Ratings: 12 of 20 raters are simulated: programs, not people."
    html = page.read_text("utf-8")
    for text in (report.headline, report.details[0], KEY, "12 simulated raters", "asked: 4"):
        assert text in html


def test_estimates_are_near_what_was_planted(run: Path) -> None:
    report = evalkit.rate_results(run)
    (question,) = report.questions
    for one in question.rated:
        steps = int(one.configuration.removeprefix("sample_steps "))
        for figure in (one.figure, one.these_clips, one.likelihood):
            assert figure.value == pytest.approx(QUALITY[steps], abs=0.25)
            assert figure.interval is not None
            assert figure.interval[0] < (figure.value or 0.0) < figure.interval[1]
        assert sum(one.histogram) == N_SCORING * 24
    assert [one.configuration for one in question.rated] == [f"sample_steps {steps}" for steps in (4, 3, 2)]
    assert {one.rater for one in report.screened} == {"r13", "r14"}
    assert all(one.reasons for one in report.screened)


def test_preferences_are_those_of_the_planted_odds(run: Path) -> None:
    report = evalkit.rate_results(run)
    odds = {(a, b): 1.0 / (1.0 + np.exp(-1.5 * (QUALITY[a] - QUALITY[b]))) for a in QUALITY for b in QUALITY}
    for one in report.preferred:
        steps = int(one.configuration.removeprefix("sample_steps "))
        expected = np.mean([odds[steps, other] for other in QUALITY if other != steps])
        assert one.share.value == pytest.approx(expected, abs=0.08)
        assert one.share.panel == "8 raters"
    assert sum(one.share.value or 0.0 for one in report.preferred) == pytest.approx(1.5)  # a half on average
    found = {(pair.one[-1], pair.other[-1]): pair for pair in report.pairs}
    assert set(found) == {("2", "3"), ("2", "4"), ("3", "4")}
    assert found["2", "4"].conclusion == "worse"
    assert (found["2", "4"].lead.value or 0.0) < 0.0


def headline_of_choices(folder: Path, choices: Iterable[Choice]) -> str:
    steps, speech = tuple(QUALITY), tuple(f"text {number}" for number in range(6))
    write_grid(folder, sizes=("384*256",), steps=steps, portraits=("anna", "bo", "cy", "di"), speech=speech)
    raters = tuple(RaterRecord(f"r{place + 21}", 1, Origin.PERSON, "en", 1, 1) for place in range(N_CHOOSING))
    study = replace(STUDY, kind=StudyKind.PAIRS)
    write_ratings(folder, Ratings((study,), raters, (), tuple(choices)))
    return evalkit.rate_results(folder).headline


def test_one_is_preferred_only_where_the_choices_say_so(run: Path, tmp_path: Path) -> None:
    choices = Run.open(run).ratings().choices
    speech_of = {one.id: one.speech.name for one in Run.open(run).trials() if one.speech}
    clear = headline_of_choices(tmp_path / "clear", choices)
    assert re.fullmatch(
        r"sample_steps 4 is preferred: it wins \d+ % of blind pairs \[\d+ %, \d+ %\], by 8 raters\.", clear
    )
    some = headline_of_choices(
        tmp_path / "some", (one for one in choices if speech_of[one.first] in {f"text {n}" for n in range(4)})
    )
    assert re.search(
        r"is preferred: .*; \d+ pairs of clips are too few for evalkit compare to claim it\.$", some
    )
    level = headline_of_choices(tmp_path / "level", (replace(one, preferred=None) for one in choices))
    assert re.match(
        r"sample_steps 2, sample_steps 3 and 1 other win as many blind pairs, 50 % each \[", level
    )


def test_few_inputs_leave_the_interval_of_these_clips(tmp_path: Path) -> None:
    report = evalkit.rate_results(planted(tmp_path / "run", n_speech=2))
    best = report.questions[0].rated[0]
    assert best.figure.interval is None
    assert best.figure.reason == "this cannot be known from 2 pieces of speech: 4 or more are needed"
    assert best.these_clips.interval is not None
    assert re.search(r"simulated raters \[4\.\d+, 4\.\d+\] \(these clips\);", report.headline)
    assert best.more_raters.endswith("(these clips)")
    assert best.likelihood.interval is None


def test_better_by_few_clips_is_not_what_a_comparison_claims(run: Path, tmp_path: Path) -> None:
    few = " ".join(evalkit.rate_results(planted(tmp_path / "run", n_speech=4)).details)
    assert "more than chance (5 %); but 16 clips of each cannot exclude that a few are ruined" in few
    assert "more than chance (5 %)." in " ".join(evalkit.rate_results(run).details)  # 24 of each


def test_of_these_clips_never_less_is_known_than_of_others(tmp_path: Path) -> None:
    """A few harsh raters make the means of raters skew: that widened the interval of these clips alone."""
    folder = write_grid(
        tmp_path / "run",
        sizes=("384*256",),
        steps=(2,),
        portraits=("anna",),
        speech=tuple(f"text {number}" for number in range(6)),
    )
    names = [f"r{place + 1:02}" for place in range(20)]
    raters = tuple(RaterRecord(name, 1, Origin.PERSON, "en", 6, 6) for name in names)
    scores = [
        Score(name, trial.id, trial.content, "overall", float((3 if place < 3 else 4) + (place + at) % 2))
        for place, name in enumerate(names)
        for at, trial in enumerate(Run.open(folder).trials())
    ]
    report = evalkit.rate_results(write_ratings(folder, Ratings((STUDY,), raters, tuple(scores))))
    (rated,) = report.questions[0].rated
    assert rated.figure.interval is not None
    assert rated.these_clips.interval is not None
    assert rated.figure.interval[0] <= rated.these_clips.interval[0]
    assert rated.these_clips.interval[1] <= rated.figure.interval[1]


def test_where_all_scores_are_equal_one_more_rater_is_not_enough(tmp_path: Path) -> None:
    """Nothing seems to differ, so that the spread asks for nobody; the interval knows that little was seen."""
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,), portraits=("anna",))
    names = [f"r{place + 1:02}" for place in range(8)]
    raters = tuple(RaterRecord(name, 1, Origin.PERSON, "en", 4, 4) for name in names)
    scores = tuple(
        Score(name, one.id, one.content, "overall", 4.0)
        for name in names
        for one in Run.open(folder).trials()
    )
    report = evalkit.rate_results(write_ratings(folder, Ratings((STUDY,), raters, scores)))
    said = report.questions[0].rated[0].more_raters
    assert int(re.fullmatch(r"about (\d+) \(these clips\)", said)[1]) >= 20  # type: ignore[index]


def test_means_over_different_inputs_are_said_to_be(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2, 4), portraits=("anna", "bo"))
    trials = Run.open(folder).trials()
    for n_rated, is_said in ((len(trials) - 1, True), (len(trials), False)):
        shutil.rmtree(folder / "ratings", ignore_errors=True)
        scores = tuple(Score("r01", one.id, one.content, "overall", 4.0) for one in trials[:n_rated])
        rater = RaterRecord("r01", 1, Origin.PERSON, "en", 1, 1)
        write_ratings(folder, Ratings((STUDY,), (rater,), scores))
        said = " ".join(evalkit.rate_results(folder).details)
        assert ("were rated on the same inputs: their means differ" in said) is is_said


def test_what_is_all_that_matters_is_left_out_of_every_interval(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "name: own\ntitle: Own\nquality: rating.mos\ncosts: [profile.total_s]\ngiven: [speech]\nrules:\n"
        "  - {metric: rating.mos, at_least: 4, why: asked}\n"
    )
    report = evalkit.rate_results(planted(tmp_path / "run", n_speech=2), policy=policy)
    best = report.questions[0].rated[0]
    assert best.figure.interval is not None
    assert best.likelihood.reason == "this cannot be known from 4 portraits: an interval needs 5"
    assert "is rated better than every other" in " ".join(report.details)


def test_of_two_raters_the_mean_alone_is_told(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,), portraits=("anna",))
    trials = Run.open(folder).trials()
    raters = (
        RaterRecord("r01", 1, Origin.PERSON, "en", 1, 1),
        RaterRecord("r02", 1, Origin.PERSON, "en", 1, 1),
    )
    scores = [
        Score(name, trial.id, trial.content, "overall", given)
        for name, given in (("r01", 5.0), ("r02", 4.0))
        for trial in trials
    ]
    study = StudyRecord(1, StudyKind.ACR, ("overall",), "2026-11-01T10:00:00+00:00", KEY)
    (question,) = evalkit.rate_results(
        write_ratings(folder, Ratings((study,), raters, tuple(scores)))
    ).questions
    (rated,) = question.rated
    few = "this cannot be known from 2 raters: 4 or more are needed"
    assert (rated.figure.value, rated.figure.interval, rated.figure.reason) == (4.5, None, few)
    assert (rated.likelihood.value, rated.likelihood.reason) == (None, few)
    assert question.agreement.startswith("How far raters agree cannot be told: 2 of the ")


def test_a_run_that_nobody_rated_says_how_to_ask(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    said = CliRunner().invoke(main, ["rate", "results", str(folder)])
    assert said.exit_code == 0
    assert f"Nobody has rated this run yet: evalkit rate serve {folder} asks people." in " ".join(
        said.output.split()
    )


def say_nothing(folder: Path) -> str:
    (folder / "ratings" / "ratings.sqlite").write_bytes(b"no database" * 100)
    return "What people said of this run cannot be read."


def only_cheat(folder: Path) -> str:
    trials = Run.open(folder).trials()
    raters = [RaterRecord(f"r0{place}", 1, Origin.PERSON, "en", 1, 1) for place in (1, 2)]
    praise = [
        Score(rater.id, trials[0].id, trials[0].content, "overall", 5.0, role)
        for rater in raters
        for role in (Role.RATING, Role.CHECK)
    ]
    write_ratings(folder, Ratings((STUDY,), tuple(raters), tuple(praise)))
    return "None of the answers of 2 raters counts. 2 were screened out."


@pytest.mark.parametrize("spoil", [say_nothing, only_cheat])
def test_answers_of_which_none_counts_are_not_called_none(
    tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    (folder / "ratings").mkdir()
    headline = spoil(folder)
    assert evalkit.rate_results(folder).headline == headline
    report = CliRunner().invoke(main, ["report", str(folder)])
    signed = CliRunner().invoke(main, ["signoff", str(folder), "--policy", "customer_service"])
    assert (report.exit_code, signed.exit_code) == (0, 1)
    assert headline in (folder / "report.md").read_text("utf-8")
    (reason,) = re.findall(
        r"rating\.mos: not measured.*?; evalkit rate results says why", " ".join(signed.output.split())
    )
    assert "none of their answers counts" in reason or "what people said cannot be read" in reason


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["rate", "results", str(tmp_path)])
    assert said.exit_code == 2
    assert "is not a run folder" in said.output


def test_the_report_of_the_run_shows_the_same_and_its_tables_are_written_anew(run: Path) -> None:
    headline = evalkit.rate_results(run).headline
    figure = write_report(run).trials[0].figures["rating.mos"]
    assert (figure.n, figure.counted, figure.panel) == (12, "raters", "12 simulated raters")
    assert figure.interval is not None
    assert figure.interval[0] < (figure.value or 0.0) < figure.interval[1]
    said = CliRunner().invoke(main, ["report", str(run)])
    assert said.exit_code == 0, said.output
    assert headline in (run / "report.html").read_text("utf-8")
    assert "12 simulated raters" in (run / "report.md").read_text("utf-8")
    assert "12 simulated raters" in (run / "results.csv").read_text("utf-8")


def test_tables_forget_what_a_rater_said_who_is_forgotten(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,), portraits=("anna",), speech=("hi",))
    (trial,) = Run.open(folder).trials()
    said = Score("r01", trial.id, trial.content, "overall", 4.0)
    write_ratings(folder, Ratings((STUDY,), (RaterRecord("r01", 1, Origin.PERSON, "en", 1, 1),), (said,)))
    write_report(folder)
    assert "rating.mos" in (folder / "results.csv").read_text("utf-8")
    assert CliRunner().invoke(main, ["rate", "forget", str(folder), "r01", "--yes"]).exit_code == 0
    write_report(folder)
    assert "rating.mos" not in (folder / "results.csv").read_text("utf-8")


def test_simulated_raters_are_called_so_by_compare_and_sign_off(run: Path, tmp_path: Path) -> None:
    junit, page, data = (tmp_path / name for name in ("j.xml", "s.html", "s.json"))
    outputs = ["--junit", str(junit), "--html", str(page), "--json", str(data)]
    signed = CliRunner().invoke(
        main, ["signoff", str(run), "--policy", "customer_service", "--where", "sample_steps=4", *outputs]
    )
    compared = CliRunner().invoke(main, ["compare", str(run), "--split", "sample_steps=2,4"])
    ledger = (run / "decisions" / "ledger.jsonl").read_text("utf-8")
    assert json.loads(ledger.splitlines()[-1])["sha256"]["ratings"] == Run.open(run).opinions().sha256
    files = (path.read_text("utf-8") for path in (junit, page, data))
    for text in (signed.output, compared.output, ledger, *files):
        assert "simulated" in " ".join(text.split()), text
