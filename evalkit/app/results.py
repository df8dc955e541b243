"""The pages for whoever asked: how far the raters are, and what they said. No rater ever sees them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from evalkit.app import pages
from evalkit.rating.desk import Desk
from evalkit.reports.ratings_page import render_ratings
from evalkit.runs import Run
from evalkit.runs.ratings.records import Origin, RaterRecord, Ratings, Role, StudyRecord
from evalkit.views.ratings import ratings_of_run


@dataclass(frozen=True)
class StudyProgress:
    """How far a study is.

    Parameters
    ----------
    study : StudyRecord
    raters : tuple of RaterRecord
    n_answers : int
        Practice included.
    n_finished : int
        Raters who answered everything.
    shares : tuple of (int, int)
        How many videos have so many ratings, fewest first; those of raters included who are screened out later.
    """

    study: StudyRecord
    raters: tuple[RaterRecord, ...]
    n_answers: int
    n_finished: int
    shares: tuple[tuple[int, int], ...]

    @property
    def n_simulated(self) -> int:
        """How many of the raters are programs."""
        return sum(rater.origin is Origin.SIMULATED for rater in self.raters)


def progress_of(desk: Desk) -> list[StudyProgress]:
    """Return how far each study is that was asked here, the latest first."""
    run = Run.open(desk.run_folder)
    with_video = [trial.id for trial in run.trials() if trial.status == "ok" and run.video_of(trial.id)]
    ratings = run.ratings()
    raters = desk.raters()
    found = []
    for study in reversed(desk.studies()):
        if study.source:
            continue
        own = tuple(rater for rater in raters if rater.study == study.number)
        counts = Counter(dict.fromkeys(with_video, 0))
        counts.update(_counted(ratings, {rater.id for rater in own}))
        found.append(
            StudyProgress(
                study=study,
                raters=own,
                n_answers=sum(rater.n_answered for rater in own),
                n_finished=sum(0 < rater.n_assigned == rater.n_answered for rater in own),
                shares=tuple(sorted(Counter(counts.values()).items())),
            )
        )
    return found


def results_page(desk: Desk, *, base: str = "") -> str:
    """Return the page of how far the raters are; `base` is what addresses of the application begin with."""
    return pages.results_page(desk.run_folder.name, progress_of(desk), base=base)


def opinions_page(desk: Desk) -> str:
    """Return the page of what raters said up to now."""
    return render_ratings(ratings_of_run(Run.open(desk.run_folder)))


def _counted(ratings: Ratings, raters: set[str]) -> list[str]:
    """Return the trial of each rating, practice, checks and repeats left out; a pair is one of two."""
    seen = {(one.rater, one.trial) for one in ratings.scores if one.role is Role.RATING}
    pairs = [one for one in ratings.choices if one.role is Role.RATING and one.rater in raters]
    return [
        *(trial for rater, trial in seen if rater in raters),
        *(trial for one in pairs for trial in (one.first, one.second)),
    ]
