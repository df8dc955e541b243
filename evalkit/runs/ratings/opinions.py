"""Which answers count, whose they are, and what they say of each clip.

An answer counts where it was given to be one (neither a check nor a repeat), is of the video as it is now, and its rater
was not screened out. Everything that shows ratings reads them from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from evalkit.formatting import count
from evalkit.runs.ratings.records import QUESTIONS, Origin, Role, metric_of
from evalkit.runs.ratings.screen import screen_raters
from pipeline.options import canonical_json, hash_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evalkit.runs.ratings.records import Choice, Ratings, Score
    from evalkit.runs.schema import Trial


_MOST_NAMED = 10
"""Raters whose names stand in one sentence."""


class Rater(NamedTuple):
    """One rater, told from those of other runs, and of other studies of a copy of the run.

    Parameters
    ----------
    run : str
        Names run and study: ``r01`` of another one is somebody else.
    id : str
    origin : Origin
    """

    run: str
    id: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Panel:
    """How many raters a figure rests on, and what they are: whoever shows ratings says `text`.

    Parameters
    ----------
    n : int
    n_simulated, n_imported : int
        Those of them that are programs; whose answers another tool collected.
    """

    n: int
    n_simulated: int = 0
    n_imported: int = 0

    @classmethod
    def of(cls, raters: Iterable[Rater]) -> Panel:
        """Count different raters."""
        origins = [rater.origin for rater in set(raters)]
        return cls(len(origins), origins.count(Origin.SIMULATED), origins.count(Origin.IMPORTED))

    @classmethod
    def of_runs(cls, panels: Iterable[Panel]) -> Panel:
        """Count the raters of different runs, who are different people.

        >>> Panel.of_runs([Panel(6, n_simulated=6), Panel(3)]).text
        '9 raters (6 simulated)'
        """
        counts = [(panel.n, panel.n_simulated, panel.n_imported) for panel in panels]
        return cls(*map(sum, zip(*counts, strict=True)))

    @property
    def text(self) -> str:
        """Who they are, in words.

        >>> Panel(20).text, Panel(20, n_simulated=20).text, Panel(20, 8, 2).text
        ('20 raters', '20 simulated raters', '20 raters (8 simulated, 2 imported)')
        """
        parts = {"simulated": self.n_simulated, "imported": self.n_imported}
        for word, n in parts.items():
            if self.n and n == self.n:
                return count(n, f"{word} rater")
        mixed = ", ".join(f"{n} {word}" for word, n in parts.items() if n)
        return count(self.n, "rater") + (f" ({mixed})" if mixed else "")


@dataclass(frozen=True, slots=True)
class Opinions:
    """What the answers that count say; empty where nobody was asked.

    Parameters
    ----------
    raters : mapping of str to Rater
        Those with an answer that counts, by id.
    scores : mapping of str to mapping
        By metric, then trial, then rater: what the rater gave it; the mean where it was asked more than once.
    choices : tuple of Choice
        Between trials that are in the run.
    screened : mapping of str to tuple of str
        Raters whose answers do not count, with the reasons in words.
    notes : tuple of str
        What a reader should know of the ratings, a sentence each.
    n_answered : int
        Raters with an answer, whether it counts or not.
    damage : str
        Why nothing could be read, although there is a file; else empty.
    """

    raters: Mapping[str, Rater] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Mapping[Rater, float]]] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    screened: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_answered: int = 0
    damage: str = ""

    @property
    def panel(self) -> Panel:
        """All raters whose answers count."""
        return Panel.of(self.raters.values())

    @property
    def sha256(self) -> str | None:
        """Hash of the answers that count, in hexadecimal, whatever their order; None without any."""
        if not self.raters:
            return None
        scores = [
            [metric, trial, rater.id, given]
            for metric, by_trial in self.scores.items()
            for trial, by_rater in by_trial.items()
            for rater, given in by_rater.items()
        ]
        choices = [[one.first, one.second, one.rater, one.preferred or ""] for one in self.choices]
        return hash_of([sorted(scores), sorted(choices)])

    def score(self, metric: str, trial: str) -> float | None:
        """Return the mean of the scores that count; None without any."""
        given = self.scores.get(metric, {}).get(trial)
        return fmean(given.values()) if given else None

    def panel_of(self, trial: str) -> Panel:
        """Return who has scored a trial."""
        return Panel.of(rater for by_trial in self.scores.values() for rater in by_trial.get(trial, ()))


def count_answers(ratings: Ratings, trials: Sequence[Trial], run: str) -> Opinions:
    """Return the answers that count.

    Parameters
    ----------
    ratings : Ratings
    trials : sequence of Trial
        The run's, in the order of its plan. Of those that are one video with the same parameters the first stands for all.
    run : str
        Names the run.
    """
    if ratings.damage:
        return Opinions(notes=(f"Ratings: none can be read: {ratings.damage}",), damage=ratings.damage)
    if not ratings.raters:
        return Opinions()
    present = _Present(trials)
    scores = [found for score in ratings.scores if (found := present.score(score)) is not None]
    choices = [known for choice in ratings.choices if (known := present.choice(choice)) is not None]
    screened, unseen = screen_raters(scores, choices, present.configurations)
    asked = {study.number: f"{run} {study.commitment or study.created_at}" for study in ratings.studies}
    raters = {
        record.id: Rater(asked.get(record.study, run), record.id, record.origin)
        for record in ratings.raters
        if record.id not in screened
    }
    kept = [score for score in scores if score.role is Role.RATING and score.rater in raters]
    compared = [choice for choice in choices if choice.role is Role.RATING and choice.rater in raters]
    counting = {score.rater for score in kept} | {choice.rater for choice in compared}
    raters = {name: rater for name, rater in raters.items() if name in counting}
    opinions = Opinions(
        raters=raters,
        scores=_by_metric(kept, raters),
        choices=tuple(compared),
        screened=screened,
        n_answered=len(
            {score.rater for score in ratings.scores} | {choice.rater for choice in ratings.choices}
        ),
    )
    return replace(opinions, notes=tuple(_describe(opinions, ratings, present, unseen)))


class _Present:
    """The videos as they are now, and which answers are of others.

    A check says something of its rater alone: it stays as it was given, whatever became of the video.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.contents = {trial.id: trial.content for trial in trials if trial.status == "ok"}
        self.configurations = {trial.id: canonical_json(trial.params) for trial in trials}
        first: dict[object, str] = {}
        self.stands_for = {
            trial.id: trial.id
            if trial.content is None
            else first.setdefault((trial.content, self.configurations[trial.id]), trial.id)
            for trial in trials
        }
        self.n_outdated = 0
        self.n_foreign = 0

    def score(self, score: Score) -> Score | None:
        """Return a score of the trial that stands for its own; None where that is not, or another video."""
        if score.role is Role.CHECK:
            return score
        return (
            replace(score, trial=self.stands_for[score.trial])
            if self._is_of((score.trial, score.content))
            else None
        )

    def choice(self, choice: Choice) -> Choice | None:
        """Return a choice between the trials that stand for its own; None where one is not, or another video."""
        if choice.role is Role.CHECK:
            return choice
        clips = zip((choice.first, choice.second), choice.contents, strict=True)
        if not self._is_of(*clips):
            return None
        preferred = None if choice.preferred is None else self.stands_for[choice.preferred]
        first, second = self.stands_for[choice.first], self.stands_for[choice.second]
        return replace(choice, first=first, second=second, preferred=preferred)

    def _is_of(self, *clips: tuple[str, str | None]) -> bool:
        if any(trial not in self.contents for trial, _ in clips):
            self.n_foreign += 1
            return False
        now = [(content, self.contents[trial]) for trial, content in clips]
        if any(None not in (then, here) and then != here for then, here in now):
            self.n_outdated += 1
            return False
        return True


def _by_metric(
    scores: Iterable[Score], raters: Mapping[str, Rater]
) -> dict[str, dict[str, dict[Rater, float]]]:
    """Return the scores by metric, trial and rater; one that a rater gave twice is the mean."""
    given: dict[str, dict[str, dict[Rater, list[float]]]] = {}
    for score in scores:
        by_trial = given.setdefault(metric_of(score.question), {})
        by_trial.setdefault(score.trial, {}).setdefault(raters[score.rater], []).append(score.score)
    return {
        metric: {
            trial: {rater: fmean(values) for rater, values in by_rater.items()}
            for trial, by_rater in given[metric].items()
        }
        for metric in map(metric_of, QUESTIONS)
        if metric in given
    }


def _describe(
    opinions: Opinions, ratings: Ratings, present: _Present, unseen: Iterable[str]
) -> Iterator[str]:
    """Say whose answers these are, and which do not count."""
    panel = opinions.panel
    if panel.n_simulated:
        who = f"{panel.n_simulated} of" if panel.n_simulated < panel.n else "the" if panel.n == 1 else "all"
        are, what = (
            ("is", "a program, not a person") if panel.n_simulated == 1 else ("are", "programs, not people")
        )
        yield f"Ratings: {who} {count(panel.n, 'rater')} {are} simulated: {what}."
    if panel.n_imported:
        sources = ", ".join(dict.fromkeys(study.source for study in ratings.studies if study.source))
        yield (
            f"Ratings: the answers of {panel.n_imported} of {count(panel.n, 'rater')} were imported"
            f"{f' from {sources}' if sources else ''}: whether they were blind is not known."
        )
    if opinions.screened:
        n_more = len(opinions.screened) - _MOST_NAMED
        names = ", ".join([*opinions.screened][:_MOST_NAMED]) + (f" and {n_more} more" if n_more > 0 else "")
        yield f"Ratings: {count(len(opinions.screened), 'rater')} screened out: {names}; evalkit rate results says why."
    for words in unseen:
        yield f"Ratings: {words}: little but hidden checks and repeats tells whether they looked."
    for n, words in (
        (present.n_outdated, "of videos that were made again since"),
        (present.n_foreign, "of videos that the run does not have any more"),
    ):
        if n:
            yield f"Ratings: {count(n, 'answer')} {'is' if n == 1 else 'are'} {words}: {'it does' if n == 1 else 'they do'} not count."
    n_open = sum(0 < record.n_answered < record.n_assigned for record in ratings.raters)
    if n_open:
        yield (
            f"Ratings: {n_open} of {count(len(ratings.raters), 'rater')} {'has' if n_open == 1 else 'have'} not finished: "
            f"to stop asking when a gate passes makes it pass too often."
        )
