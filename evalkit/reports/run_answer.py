"""The answer of a run in words: what is recommended under its policy, why, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.analysis.catalogue import known_metrics
from evalkit.decisions.policy import Policy, load_policy
from evalkit.decisions.recommend import Candidate, Outcome, Recommendation, recommend
from evalkit.decisions.signoff import Status
from evalkit.errors import UsageError
from evalkit.reports.numbers import count
from evalkit.stats.bootstrap import MIN_VALUES

if TYPE_CHECKING:
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.decisions.signoff import RuleResult
    from evalkit.runs import Run

DEFAULT_POLICY = "customer_service"


@dataclass(frozen=True)
class Verdict:
    """How something came out: told by symbol, word and tone together.

    Parameters
    ----------
    symbol, word : str
    tone : {"pass", "warn", "fail", "neutral"}
    """

    symbol: str
    word: str
    tone: str


PASS = Verdict("✓", "passes", "pass")
MISS = Verdict("✗", "misses", "fail")
FAILED = Verdict("✗", "failed", "fail")
OPEN = Verdict("!", "not all measured", "warn")
NONE = Verdict("·", "no policy", "neutral")
_OF_STATUS = {
    Status.PASS: PASS,
    Status.WARN: Verdict("!", "warning", "warn"),
    Status.WAIVED: Verdict("~", "waived", "warn"),
    Status.FAIL: MISS,
}
_OF_OUTCOME = {
    Outcome.RECOMMENDED: Verdict("✓", "Recommended", "pass"),
    Outcome.PROVISIONAL: Verdict("!", "Recommended, as far as it was measured", "warn"),
    Outcome.NONE: Verdict("✗", "None passes", "fail"),
}


@dataclass(frozen=True)
class Answer:
    """What a manager repeats, and what it rests on.

    Parameters
    ----------
    verdict : Verdict
    headline : str
        One sentence.
    more : tuple of str
        What it costs, and what it leaves open.
    subject : str
        The configuration that is told of; empty where there is none.
    policy : str
        Title of the policy.
    recommendation : Recommendation or None
        None without any result, or without a policy that can be read.
    """

    verdict: Verdict
    headline: str
    more: tuple[str, ...]
    subject: str = ""
    policy: str = ""
    recommendation: Recommendation | None = None

    @property
    def told(self) -> Candidate | None:
        """The recommended configuration, or the nearest."""
        if self.recommendation is None:
            return None
        return self.recommendation.chosen or self.recommendation.nearest


def policy_of(run: Run) -> tuple[Policy | None, str]:
    """Return the policy to judge a run by, and what a reader should know of that choice.

    A run that names none is judged by the bundled one for customer service. A policy that cannot be read any more
    judges nothing.
    """
    name = run.manifest.policy
    try:
        policy = load_policy(name or DEFAULT_POLICY, known_metrics())
    except UsageError as error:
        return None, f"The run was to be judged by policy {name!r}, which cannot be used: {error}"
    return policy, "" if name else f"No policy was named: judged by the bundled “{policy.title}”."


def answer_run(tables: RunAnalysis, policy: Policy | None, note: str) -> Answer:
    """Say which configuration to use."""
    notes = (note,) if note else ()
    if not tables.table.rows:
        return Answer(
            Verdict("✗", "Nothing to judge", "fail"), "No trial of this run has a result yet.", notes
        )
    n = len(tables.configurations)
    if policy is None:
        words = f"Nothing is recommended: there is no policy to judge {count(n, 'configuration')} by."
        return Answer(NONE, words, notes)
    found = recommend(tables.table, policy, known_metrics(tables.metrics.values()))
    headline, *more = _sentences(found.answer)
    told = found.chosen or found.nearest
    return Answer(
        _OF_OUTCOME[found.outcome],
        headline,
        (*more, *_caution(found), *notes),
        told.name if told else "",
        policy.title,
        found,
    )


def _caution(found: Recommendation) -> tuple[str, ...]:
    """Warn where the clips are too few to tell configurations apart."""
    told = found.chosen or found.nearest
    if told is None or len(found.candidates) < 2 or told.n_clips >= MIN_VALUES:
        return ()
    words = (
        f"Only {count(told.n_clips, 'clip')} a configuration: too few for intervals ({MIN_VALUES} are needed), so small "
        f"differences may be chance. More inputs or seeds make it sure."
    )
    return (words,)


def verdict_of(candidate: Candidate) -> Verdict:
    """Say how a configuration came out under the hard rules."""
    if candidate.missed:
        return MISS
    return OPEN if candidate.absent else PASS


def verdict_of_line(line: RuleResult) -> Verdict:
    """Say how one rule came out."""
    if line.value is None:
        return Verdict("!", "not measured", "warn")
    return _OF_STATUS[line.status]


def _sentences(text: str) -> list[str]:
    """Split an answer at the ends of its sentences."""
    parts = text.split(". ")
    return [part if part.endswith(".") else f"{part}." for part in parts]
