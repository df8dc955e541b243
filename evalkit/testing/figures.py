"""Every figure that names one metric of one configuration, and every verdict on one, by who shows it.

A source is a function of a run folder and a policy. It reads the folder anew, as its command would, and yields what it
shows: configuration, metric and reducer, with value, interval and n. What a source does not show of a figure is `ANY`.
To hold one more page to the others, add its source to `SOURCES`; one that says how gates came out, to `JUDGES`.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

import numpy as np

from evalkit.analysis.table import rows_of_run
from evalkit.decisions.analyse import analyse_run
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.judge import Grade
from evalkit.decisions.recommend import recommend
from evalkit.decisions.signoff import Decision, sign_off
from evalkit.profiling.costs import ERROR_RATE
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.reports.junit import junit_xml
from evalkit.reports.verdict import verdict_of_configuration
from evalkit.runs import Run
from evalkit.runs.ratings.records import metric_of
from evalkit.views.comparison import comparison_view
from evalkit.views.run import run_view
from evalkit.views.signoff import signoff_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from evalkit.analysis.values import Summary
    from evalkit.decisions.policy import Policy
    from evalkit.decisions.signoff import Signoff
    from evalkit.runs import Trial
    from evalkit.runs.ratings import Ratings, Score
    from evalkit.views.figure import FigureView

ANY = "not shown"


class Key(NamedTuple):
    """What a figure is of."""

    configuration: str
    metric: str
    reducer: str


class Figure(NamedTuple):
    """What is shown."""

    value: Any
    interval: Any
    n: Any


def figures_of(folder: Path, policy: Policy) -> dict[str, list[tuple[Key, Figure]]]:
    """Return the figures of every source; one that shows a figure twice has it twice."""
    return {name: list(source(folder, policy)) for name, source in SOURCES.items()}


def shown_by_files(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Work the means out from the trials themselves: an independent reference, without intervals."""
    del policy
    run = Run.open(folder)
    trials = run.trials()
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    swept = [name for name in names if len({trial.params.get(name) for trial in trials}) > 1]
    processors = {trial.id: str(run.manifest.machines[trial.machine]["processor"]) for trial in trials}
    main = _most_frequent(
        processors, [trial.id for trial in trials if trial.status == "ok"] or list(processors)
    )
    for label in dict.fromkeys(_label(trial.params, swept) for trial in trials):
        group = [trial for trial in trials if _label(trial.params, swept) == label]
        for metric in run.manifest.metrics:
            if metric == ERROR_RATE.name:
                before = [trial for trial in run.earlier() if trial.params == group[0].params]
                values = [each for trial in (*group, *before) for each in _tries(trial)]
            else:
                finished = [trial for trial in group if trial.status == "ok"]
                if metric in _OF_ONE_MACHINE:
                    finished = [trial for trial in finished if processors[trial.id] == main]
                values = [trial.metrics[metric].value for trial in finished if metric in trial.metrics]
            mean = float(np.mean(values)) if values else None
            yield Key(label, metric, "mean"), Figure(mean, ANY, len(values))
        for metric, figure in _said(run.ratings(), group, set(run.opinions().screened)):
            yield Key(label, metric, "mean"), figure


def _said(ratings: Ratings, group: list[Trial], screened: set[str]) -> Iterator[tuple[str, Figure]]:
    """Work out from the answers what raters say of some trials: the mean over clips of the mean of their scores."""
    contents = {trial.id: trial.content for trial in group if trial.status == "ok"}
    counting: dict[str, list[Score]] = {}
    for score in ratings.scores:
        is_present = score.trial in contents and contents[score.trial] == score.content
        if is_present and score.role == "rating" and score.rater not in screened:
            counting.setdefault(metric_of(score.question), []).append(score)
    for metric, scores in counting.items():
        clips = {score.trial for score in scores}
        means = [np.mean([score.score for score in scores if score.trial == clip]) for clip in clips]
        yield metric, Figure(float(np.mean(means)), ANY, len({score.rater for score in scores}))


def shown_by_analysis(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Yield what the tables, maps and fronts of a report are made of."""
    analysis = analyse_run(Run.open(folder), policy)
    for one in analysis.configurations:
        for summaries in (one.summaries, analysis.table.pooled(one.params).summaries):
            for summary in summaries.values():
                yield _summarised(one.label, summary)


def shown_by_recommend(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Yield the judged rules of each candidate, and quality and costs of the frame."""
    recommendation = recommend(rows_of_run(Run.open(folder)), policy)
    rows = recommendation.frame().to_dict("records")
    for candidate, row in zip(recommendation.candidates, rows, strict=True):
        for line in candidate.lines:
            yield _summarised(candidate.name, line.summary)
        for axis in recommendation.axes:
            value, low, high = (_number(row[f"{axis.name}{end}"]) for end in ("", ".low", ".high"))
            interval = None if low is None else (low, high)
            yield Key(candidate.name, axis.name, "mean"), Figure(value, interval, row[f"{axis.name}.n"])


def shown_by_compare(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Yield both sides of each configuration beside the next; of a single one beside itself."""
    table = rows_of_run(Run.open(folder))
    swept, configurations = list(table.swept), table.configurations
    for first, second in pairwise(configurations) if swept else [configurations * 2]:
        sides = (first, second)
        tables = (table.where(one.params) for one in sides)
        for compared in compare_tables(*tables, policy=policy, ignore_params=swept).metrics:
            for configuration, summary in zip(sides, (compared.a, compared.b), strict=True):
                yield _summarised(configuration.label, summary)


def shown_by_signoff(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Yield the judged rules of each configuration."""
    table = rows_of_run(Run.open(folder))
    for one in table.configurations:
        for line in sign_off(table.where(one.params), policy).lines:
            if line.rule is not None:
                yield _summarised(one.label, line.summary)


def shown_by_report(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Yield the tables, gates, fronts and maps of the page, and of its JSON."""
    view = run_view(analyse_run(Run.open(folder), policy), policy)
    for one in view.configurations:
        gates = [gate.figure for gate in one.gates if gate.figure is not None]
        for figure in (*one.figures.values(), *gates):
            yield _viewed(one.label, figure)
    for point in (point for front in view.fronts for point in front.points):
        for figure in (point.quality, point.cost):
            yield _viewed(point.configuration, figure)
    for drawn in view.maps:
        for row, cells in zip(drawn.rows, drawn.cells, strict=True):
            for column, figure in zip(drawn.columns, cells, strict=True):
                params: dict[str, Any] = {drawn.across: column, drawn.down or "": row}
                yield _viewed(_label(params, list(view.levels)), figure)


def shown_by_comparison_page(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Yield both sides of each configuration beside the next, as the page shows them."""
    table = rows_of_run(Run.open(folder))
    for first, second in pairwise(table.configurations):
        tables = (table.where(one.params) for one in (first, second))
        comparison = compare_tables(*tables, policy=policy, ignore_params=list(table.swept))
        for side in comparison_view(comparison).metrics:
            yield _viewed(first.label, side.a)
            yield _viewed(second.label, side.b)


def shown_by_signoff_page(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Yield the gates of each configuration, as the page shows them."""
    table = rows_of_run(Run.open(folder))
    for one in table.configurations:
        for gate in signoff_view(sign_off(table.where(one.params), policy)).gates:
            if gate.figure is not None:
                yield _viewed(one.label, gate.figure)


def shown_by_csv(folder: Path, policy: Policy) -> Iterator[tuple[Key, Figure]]:
    """Yield the error rate that a row of the table says, and the mean of what people said of its rows."""
    del policy
    run = Run.open(folder)
    names = dict.fromkeys(name for trial in run.trials() for name in trial.params)
    swept = [name for name in names if len({trial.params.get(name) for trial in run.trials()}) > 1]
    frame = run.frame()
    if ERROR_RATE.name in frame:
        for trial, rate in zip(run.trials(), frame[ERROR_RATE.name], strict=True):
            yield Key(_label(trial.params, swept), ERROR_RATE.name, "mean"), Figure(rate, ANY, ANY)
    labels = [_label(trial.params, swept) for trial in run.trials()]
    for name in (
        f"rating.{word}" for word in ("mos", "lip_sync", "expression", "motion") if f"rating.{word}" in frame
    ):
        means = frame[name].groupby(labels).mean()
        for label, mean in zip(means.index.astype(str), means, strict=True):
            yield Key(label, name, "mean"), Figure(_number(mean), ANY, ANY)


SOURCES: Mapping[str, Callable[[Path, Policy], Iterator[tuple[Key, Figure]]]] = {
    "files": shown_by_files,
    "table": shown_by_csv,
    "analysis": shown_by_analysis,
    "recommend": shown_by_recommend,
    "compare": shown_by_compare,
    "sign-off": shown_by_signoff,
    "report": shown_by_report,
    "comparison page": shown_by_comparison_page,
    "sign-off page": shown_by_signoff_page,
}


_OF_ONE_MACHINE = {metric.name for metric in PROFILE_METRICS if metric.name != ERROR_RATE.name}


def _most_frequent(processors: Mapping[str, str], ids: list[str]) -> str:
    """Return the processor of most trials of `ids`, then of most trials at all, then the first by name."""
    n_ok, n_all = (Counter(processors[name] for name in some) for some in (ids, processors))
    return min(n_all, key=lambda name: (-n_ok[name], -n_all[name], name))


def _tries(trial: Trial) -> list[float]:
    """Return 1 for each try that failed and 0 for one that did not."""
    return [1.0] * len(trial.attempts) + [float(trial.status == "failed")]


class Verdict(NamedTuple):
    """How a gate of a configuration came out."""

    configuration: str
    gate: str
    grade: str


RELEASE = "all gates"
"""The gate that stands for all hard ones together: its grade is the least good of theirs."""


def verdicts_of(folder: Path, policy: Policy) -> dict[str, set[Verdict]]:
    """Return how every hard gate of every configuration came out, and all of them together, by who says it."""
    return {name: set(judge(folder, policy)) for name, judge in JUDGES.items()}


def judged_by_recommend(folder: Path, policy: Policy) -> Iterator[Verdict]:
    """Yield the lines of each candidate."""
    for candidate in recommend(rows_of_run(Run.open(folder)), policy).candidates:
        yield from _verdicts(candidate.name, {line.metric: line.grade for line in candidate.gates})


def judged_by_signoff(folder: Path, policy: Policy) -> Iterator[Verdict]:
    """Yield the hard lines of each configuration's sign-off, whose decision has to follow from them."""
    for label, signoff in _signoffs(folder, policy):
        verdicts = list(_verdicts(label, {line.metric: line.grade for line in signoff.gates}))
        passes = Verdict(label, RELEASE, Grade.PASSES) in verdicts
        if passes != (signoff.decision is Decision.PASS):
            raise AssertionError(f"{label}: {signoff.answer} does not follow from {verdicts}")
        yield from verdicts


def judged_by_report(folder: Path, policy: Policy) -> Iterator[Verdict]:
    """Yield the gates of the page and of its JSON, and the word for all of them."""
    for one in run_view(analyse_run(Run.open(folder), policy), policy).configurations:
        for gate in one.gates:
            yield Verdict(one.label, gate.metric, gate.grade)
        yield Verdict(one.label, RELEASE, verdict_of_configuration(one).word)


def judged_by_junit(folder: Path, policy: Policy) -> Iterator[Verdict]:
    """Yield what a server of continuous integration is told: the type of a failure is the grade."""
    for label, signoff in _signoffs(folder, policy):
        view = signoff_view(signoff)
        cases = ET.fromstring(junit_xml(view)).iter("testcase")  # noqa: S314 - our own
        grades = {}
        for gate, case in zip(view.gates, cases, strict=True):
            failure = case.find("failure")
            if gate.kind == "hard":
                grades[gate.metric] = Grade.PASSES if failure is None else Grade(failure.get("type", ""))
        yield from _verdicts(label, grades)


JUDGES: Mapping[str, Callable[[Path, Policy], Iterator[Verdict]]] = {
    "recommend": judged_by_recommend,
    "sign-off": judged_by_signoff,
    "report": judged_by_report,
    "JUnit": judged_by_junit,
}


def _signoffs(folder: Path, policy: Policy) -> Iterator[tuple[str, Signoff]]:
    table = rows_of_run(Run.open(folder))
    for one in table.configurations:
        yield one.label, sign_off(table.where(one.params), policy)


def _verdicts(label: str, grades: Mapping[str, Grade]) -> Iterator[Verdict]:
    """Yield each gate, and all of them together: here worked out by hand, from the words."""
    for gate, grade in grades.items():
        yield Verdict(label, gate, grade)
    found = set(map(str, grades.values()))
    for word in ("fails", "not measured", "too few clips", "passes"):
        if word in found:
            yield Verdict(label, RELEASE, word)
            return


def _summarised(configuration: str, summary: Summary) -> tuple[Key, Figure]:
    key = Key(configuration, summary.metric, summary.reducer)
    return key, Figure(summary.value, summary.interval, summary.n)


def _viewed(configuration: str, figure: FigureView) -> tuple[Key, Figure]:
    key = Key(configuration, figure.metric, figure.reducer)
    return key, Figure(figure.value, figure.interval, figure.n)


def _number(cell: Any) -> float | None:
    return None if cell is None or np.isnan(cell) else float(cell)


def _label(params: Mapping[str, Any], swept: list[str]) -> str:
    return ", ".join(f"{name} {params.get(name)}" for name in swept) or "one configuration"
