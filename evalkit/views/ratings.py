"""What people said of a run: the answer, every configuration, how far raters agree, and who was not believed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from evalkit.analysis.agreement import measure_agreement
from evalkit.analysis.fronts import ALPHA
from evalkit.analysis.preferences import key_of
from evalkit.analysis.questions import WIDTH, Question
from evalkit.analysis.ranking import rank_first
from evalkit.analysis.table import rows_of_run
from evalkit.analysis.values import score
from evalkit.decisions.analyse import policy_of_run
from evalkit.decisions.budget import MIN_PAIRS
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.policy import load_policy
from evalkit.formatting import count, three_digits
from evalkit.runs.ratings.records import HIGHEST, PREFERENCE
from evalkit.views.agreement import RunAgreementView, run_agreement_view
from evalkit.views.figure import FigureView, MetricView, figure_of_estimate, figure_of_summary, metric_view
from evalkit.views.view import View
from evalkit.visuals.numbers import bracket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ResultTable
    from evalkit.analysis.values import Summary
    from evalkit.decisions.policy import Policy
    from evalkit.runs import Run
    from evalkit.runs.ratings.opinions import Opinions
    from evalkit.stats.reliability import Reliability
    from evalkit.types import Interval, Metric

NOBODY = "Nobody has rated this run yet: evalkit rate serve {} asks people."
_MOST_NAMED = 3


@dataclass(frozen=True)
class StudyView(View):
    """One round of questions.

    Parameters
    ----------
    number : int
    kind : {"acr", "pairs"}
    questions : tuple of str
    created_at : str
        ISO 8601, UTC.
    commitment : str
        SHA-256 of the key that says what is A and what is B, as it was shown before anybody was asked.
    source : str
        Where imported answers came from; else empty.
    n_raters, n_finished : int
        Who has begun; who has answered everything.
    """

    number: int
    kind: str
    questions: tuple[str, ...]
    created_at: str
    commitment: str
    source: str
    n_raters: int
    n_finished: int


@dataclass(frozen=True)
class RatedView(View):
    """What raters gave one configuration in one question.

    Parameters
    ----------
    configuration : str
        Label.
    figure : FigureView
        The mean opinion, as everything else shows it: its interval speaks of other raters and other inputs.
    these_clips : FigureView
        The same mean; its interval speaks of other raters of these very clips.
    likelihood : FigureView
        The mean quality by the maximum likelihood of ITU-T P.910, which knows how severe and how constant each rater is.
    histogram : tuple of int
        Scores of 1 to 5.
    n_clips : int
        Clips with a score.
    more_raters : str
        How many more an interval of ±0.25 takes, in words.
    """

    configuration: str
    figure: FigureView
    these_clips: FigureView
    likelihood: FigureView
    histogram: tuple[int, ...]
    n_clips: int
    more_raters: str


@dataclass(frozen=True)
class QuestionView(View):
    """One question.

    Parameters
    ----------
    metric : MetricView
    limit : float or None
        What the policy asks at least.
    rated : tuple of RatedView
        The configurations, the best first.
    alpha : float or None
        Krippendorff's: 1 is perfect agreement on single clips, 0 chance.
    alpha_interval : tuple of float or None
        95 %.
    agreement : str
        The same in words.
    """

    metric: MetricView
    limit: float | None
    rated: tuple[RatedView, ...]
    alpha: float | None
    alpha_interval: tuple[float, float] | None
    agreement: str


@dataclass(frozen=True)
class PreferredView(View):
    """One configuration in blind pairs.

    Parameters
    ----------
    configuration : str
    share : FigureView
        Expected share of pairs won against the others.
    strength : FigureView
        Logarithm of the Bradley-Terry strength; the mean of all is 0.
    """

    configuration: str
    share: FigureView
    strength: FigureView


@dataclass(frozen=True)
class PairView(View):
    """Two configurations, head to head.

    Parameters
    ----------
    one, other : str
    lead : FigureView
        Share of choices for `one` less that for `other`, over their common inputs; n counts pairs of clips.
    conclusion : str
        As a comparison of the two concludes, in words.
    """

    one: str
    other: str
    lead: FigureView
    conclusion: str


@dataclass(frozen=True)
class ScreenedView(View):
    """A rater whose answers do not count, with the reasons."""

    rater: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RatingsReport(View):
    """Everything that is shown of what people said.

    Parameters
    ----------
    run : str
        Name of its folder.
    headline : str
        One sentence.
    details : tuple of str
        What it rests on, a sentence each; whether raters are simulated is the first.
    panel : str
        Who they are.
    questions : tuple of QuestionView
    preferred : tuple of PreferredView
        The best first; empty without pairs.
    preference_note : str
        What a reader should know of the shares; mostly empty.
    pairs : tuple of PairView
    screened : tuple of ScreenedView
    studies : tuple of StudyView
    agreement : RunAgreementView or None
        How far metrics agree with what people say; None where nobody gave scores.
    """

    run: str
    headline: str
    details: tuple[str, ...]
    panel: str
    questions: tuple[QuestionView, ...]
    preferred: tuple[PreferredView, ...]
    preference_note: str
    pairs: tuple[PairView, ...]
    screened: tuple[ScreenedView, ...]
    studies: tuple[StudyView, ...]
    agreement: RunAgreementView | None

    def __repr__(self) -> str:
        """Say the answer."""
        return f"<RatingsReport of {self.run}: {self.headline}>"

    def _repr_html_(self) -> str:
        from html import escape

        return "".join(f"<p>{escape(line)}</p>" for line in (self.headline, *self.details))


def ratings_report(run: Run, table: ResultTable, policy: Policy | None) -> RatingsReport:
    """Return what is shown of the ratings of a run.

    Parameters
    ----------
    run : Run
    table : ResultTable
        Of the whole run.
    policy : Policy or None
        Gives the limits that are drawn.
    """
    opinions = table.opinions
    asked = [metric for name, metric in table.metrics.items() if name in opinions.scores]
    questions = tuple(_question(table, metric, policy) for metric in asked)
    preferred = _preferred(table)
    note = None if table.preferences is None else table.preferences.fit(table.given).note
    return RatingsReport(
        run=run.folder.resolve().name,
        headline=describe_people(run, table),
        details=tuple(_details(table, asked)),
        panel=opinions.panel.text,
        questions=questions,
        preferred=preferred,
        preference_note=note or "",
        pairs=tuple(_pairs(table)),
        screened=tuple(ScreenedView(name, reasons) for name, reasons in opinions.screened.items()),
        studies=tuple(_studies(run)),
        agreement=run_agreement_view(measure_agreement([table]).runs[0], policy) if asked else None,
    )


def ratings_of_run(run: Run, policy: str | None = None) -> RatingsReport:
    """Return what is shown of the ratings of a run.

    Parameters
    ----------
    run : Run
    policy : str, optional
        Bundled name or file, whose limits are drawn; the run's own unless given.

    Raises
    ------
    UsageError
        If the policy cannot be used.
    """
    table = rows_of_run(run)
    rules = policy_of_run(run)[0] if policy is None else load_policy(policy, table.metrics.values())
    if rules is not None:
        table = replace(table, given=rules.given)
    return ratings_report(run, table, rules)


def _question(table: ResultTable, metric: Metric, policy: Policy | None) -> QuestionView:
    question = Question.of(table, metric)
    rated = [_rated(question, configuration) for configuration in table.configurations]
    found = question.reliability
    rule = None if policy is None else policy.rule_for(metric.name)
    return QuestionView(
        metric=metric_view(metric),
        limit=None if rule is None else rule.at_least,
        rated=tuple(sorted(rated, key=lambda one: -_value(one.figure))),
        alpha=found.alpha,
        alpha_interval=None if found.interval is None else (found.interval.low, found.interval.high),
        agreement=_describe_reliability(found),
    )


def _describe_reliability(found: Reliability) -> str:
    if found.alpha is None:
        return f"How far raters agree is not known: {found.reason}."
    if found.interval is None:
        return f"How far raters agree cannot be told: {found.reason} (alpha {found.alpha:.2f})."
    return f"Raters {found.words} (alpha {found.alpha:.2f} {bracket(found.interval)})."


def _rated(question: Question, configuration: Configuration) -> RatedView:
    metric = question.metric
    summary = configuration.summary(metric)
    return RatedView(
        configuration=configuration.label,
        figure=figure_of_summary(metric, summary),
        these_clips=figure_of_estimate(
            metric, question.of_these_clips(configuration), None, counted="raters"
        ),
        likelihood=figure_of_estimate(metric, question.likelihood(configuration), None, counted="clips"),
        histogram=question.histogram(configuration),
        n_clips=summary.n_clips or 0,
        more_raters=_more_raters(question, configuration),
    )


def _more_raters(question: Question, configuration: Configuration) -> str:
    """Say how many more raters an interval of ±0.25 takes."""
    n_more, is_of_these = question.raters_for(configuration)
    where = " (these clips)" if is_of_these else ""
    if n_more is None:
        return "not known"
    return f"about {n_more}{where}" if n_more else f"none{where}"


def _preferred(table: ResultTable) -> tuple[PreferredView, ...]:
    if table.preferences is None:
        return ()
    metric, fit = table.metrics[PREFERENCE], table.preferences.fit(table.given)
    found = []
    for place, configuration in enumerate(table.configurations):
        share = figure_of_summary(metric, configuration.summary(metric))
        strength = figure_of_estimate(metric, fit.strengths[place], None, counted="pairs", reducer="strength")
        found.append(PreferredView(configuration.label, share, strength))
    return tuple(sorted(found, key=lambda one: -_value(one.share)))


def _pairs(table: ResultTable) -> Iterator[PairView]:
    """Yield every two configurations that were compared, as `compare` compares them."""
    if table.preferences is None:
        return
    metric = table.metrics[PREFERENCE]
    for one, other in combinations(table.configurations, 2):
        if not table.preferences.have_met(key_of(one.rows[0]), key_of(other.rows[0])):
            continue
        sides = (table.where(other.params), table.where(one.params))
        compared = compare_tables(*sides, ignore_params=list(table.swept))[PREFERENCE]
        if compared.difference.value is not None:
            lead = figure_of_estimate(
                metric, compared.difference, None, counted="pairs", reducer="difference"
            )
            yield PairView(one.label, other.label, lead, compared.finding.value)


def describe_people(run: Run, table: ResultTable) -> str:
    """Say how the best is rated and by whom, and the next ones; else who wins most pairs; else why nothing is known."""
    for name in table.opinions.scores:
        words = _describe_rated(table, table.metrics[name])
        if words:
            return words
    return _describe_preferred(table) or _describe_nobody(run, table.opinions)


def _describe_nobody(run: Run, opinions: Opinions) -> str:
    if opinions.damage:
        return "What people said of this run cannot be read."
    if not opinions.n_answered:
        return NOBODY.format(run.folder)
    n_screened = len(opinions.screened)
    out = f" {n_screened} {'was' if n_screened == 1 else 'were'} screened out." if n_screened else ""
    return f"None of the answers of {count(opinions.n_answered, 'rater')} counts.{out}"


def _describe_rated(table: ResultTable, metric: Metric) -> str:
    rated = _in_order(table, metric)
    if not rated:
        return ""
    (best, summary), *others = rated
    question = Question.of(table, metric)
    reach = bracket(summary.interval)
    if not reach and (of_these := bracket(question.of_these_clips(best).interval)):
        reach = f"{of_these} (these clips)"
    what = "" if metric.name == "rating.mos" else f" in {metric.name}"
    by = "" if summary.panel is None else f" by {summary.panel.text}"
    words = f"{best.label} is rated {three_digits(summary.value or 0.0)} of {HIGHEST}{what}{by} {reach}"
    named = [f"{one.label} {three_digits(other.value or 0.0)}" for one, other in others[:_MOST_NAMED]]
    more = [f"{len(others) - _MOST_NAMED} others less"] if len(others) > _MOST_NAMED else []
    return "; ".join((words.rstrip(), *named, *more)) + "."


def _describe_preferred(table: ResultTable) -> str:
    """Say who wins most pairs, and that it is preferred where its interval lies above those of all others."""
    preferred = [] if table.preferences is None else _in_order(table, table.metrics[PREFERENCE])
    if not preferred:
        return ""
    (best, summary), *others = preferred
    interval, by = summary.interval, "" if summary.panel is None else f", by {summary.panel.text}"
    reach = "" if interval is None else f" [{100 * interval.low:.0f} %, {100 * interval.high:.0f} %]"
    won = f"{100 * (summary.value or 0.0):.0f} %"
    near = [one.label for one, other in others if not _is_above(interval, other.interval)]
    level = [one.label for one, other in others if other.value == summary.value]
    if level:
        also = f" and {level[0]}" if len(level) == 1 else f", {level[0]} and {count(len(level) - 1, 'other')}"
        return f"{best.label}{also} win as many blind pairs, {won} each{reach}{by}."
    if not near:
        n = min(_count_pairs(table, best, other) for other, _ in others)
        few = (
            f"; {count(n, 'pair')} of clips are too few for evalkit compare to claim it"
            if n < MIN_PAIRS
            else ""
        )
        return f"{best.label} is preferred: it wins {won} of blind pairs{reach}{by}{few}."
    named = near[0] if len(near) == 1 else f"{near[0]} and {count(len(near) - 1, 'other')}"
    return f"{best.label} wins most blind pairs, {won}{reach}{by}; whether it is better than {named} cannot be told."


def _count_pairs(table: ResultTable, one: Configuration, other: Configuration) -> int:
    """Count the pairs of clips of two configurations that anybody chose between."""
    keys = {key_of(one.rows[0]), key_of(other.rows[0])}
    answers = () if table.preferences is None else table.preferences.answers
    chosen = [
        (answer.first, answer.second)
        for answer in answers
        if {key_of(answer.first), key_of(answer.second)} == keys
    ]
    return len(
        {(first.trial and first.trial.id, second.trial and second.trial.id) for first, second in chosen}
    )


def _is_above(one: Interval | None, other: Interval | None) -> bool:
    return one is not None and other is not None and one.low > other.high


def _in_order(table: ResultTable, metric: Metric) -> list[tuple[Configuration, Summary]]:
    """Return the configurations with a value, the highest first."""
    found = [(one, one.summary(metric)) for one in table.configurations]
    known = [(one, summary) for one, summary in found if summary.value is not None]
    return sorted(known, key=lambda both: -(both[1].value or 0.0))


def _details(table: ResultTable, asked: Sequence[Metric]) -> Iterator[str]:
    yield from table.opinions.notes
    configurations = table.configurations
    for metric in asked[:1]:
        ranking = rank_first(configurations, metric, ALPHA, given=table.given)
        if ranking.reason is not None:
            yield f"Whether configurations differ in {metric.name} cannot be told: {ranking.reason}."
        elif len(configurations) > 1 and len(ranking.first) == 1:
            few = (
                f"; but {count(ranking.n_common, 'clip')} of each cannot exclude that a few are ruined, so evalkit compare, which "
                f"needs {MIN_PAIRS}, does not claim it"
            )
            yield (
                f"{configurations[ranking.first[0]].label} is rated better than every other, by the clips and raters that they "
                f"share: that is more than chance (5 %){few if ranking.n_common < MIN_PAIRS else ''}."
            )
        elif len(configurations) > 1:
            names = ", ".join(configurations[place].label for place in ranking.first)
            yield f"These cannot be told apart in {metric.name} by so few raters and clips: {names}."
        rated = {
            frozenset((row.input, row.seed) for row in score(metric.name, one.rows)[1])
            for one in configurations
        }
        if len(rated - {frozenset()}) > 1:
            yield "Not all configurations were rated on the same inputs: their means differ for that reason too."
    if asked:
        yield (
            f"An interval speaks of other raters and other inputs, of these clips: of other raters alone. The likelihood is the "
            f"estimate of ITU-T P.910, which allows for how severe and how constant each rater is. More raters are counted for "
            f"±{WIDTH} points; (these clips): only for what raters say of these very clips, as for other inputs it takes more clips."
        )


def _studies(run: Run) -> Iterator[StudyView]:
    ratings = run.ratings()
    for study in ratings.studies:
        raters = [rater for rater in ratings.raters if rater.study == study.number]
        yield StudyView(
            number=study.number,
            kind=study.kind.value,
            questions=study.questions,
            created_at=study.created_at,
            commitment=study.commitment,
            source=study.source,
            n_raters=len(raters),
            n_finished=sum(rater.n_answered >= rater.n_assigned for rater in raters),
        )


def _value(figure: FigureView) -> float:
    return -1.0 if figure.value is None else figure.value


def count_finished(study: StudyView) -> str:
    """Say how far a study has come, and what seals it."""
    words = f"study {study.number}: of those who began, {study.n_finished} of {count(study.n_raters, 'rater')} finished"
    if study.source:
        return f"{words}; imported from {study.source}"
    return f"{words}; the key was sealed with {study.commitment[:16]}…" if study.commitment else words
