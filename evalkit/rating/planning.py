"""What asking people needs, before anybody is asked: raters and clips for a wanted width, and minutes a rater.

The width that is meant is half of the 95 % interval: of a configuration's mean opinion score in points, or of the share of
pairs that one of two configurations wins.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.errors import ClipError, UsageError
from evalkit.formatting import count, count_levels
from evalkit.media import probe
from evalkit.rating.study import Clip, Design, clips_of, make_items, presentations, rater_s, settle
from evalkit.runs.ratings.opinions import Panel
from evalkit.runs.ratings.records import QUESTIONS, Role, StudyKind, metric_of
from evalkit.stats.means import MIN_LEVELS, independent_factors
from evalkit.stats.opinion_planning import (
    ASSUMED,
    answers_needed,
    half_width,
    raters_needed,
    spread_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from evalkit.runs import Run
    from evalkit.stats.opinion_planning import Spread

WIDTH_POINTS, WIDTH_SHARE = 0.5, 0.1
"""Wanted unless said otherwise: of scores, and of pairs."""
USUAL_RATERS = 20
"""Panels of the table of alternatives, beside what is wanted: half of this, this, and twice this."""
MOST_CLIPS = 200
"""Of each configuration, that are planned for."""
_FINEST_SHARE, _COARSEST_SHARE = 0.005, 0.5


@dataclass(frozen=True, slots=True)
class RatingCost:
    """One way to ask: who, what, and what that shows and costs.

    Parameters
    ----------
    n_raters : int
    n_clips : int
        Of each configuration.
    n_shown : int
        Clips, or pairs, that a rater is shown; training, repeats and checks included.
    width : float or None
        Expected half width of the 95 % interval, in points or as a share; None where too little is asked for one.
    minutes_a_rater, hours : float
        Of one rater, and of all together.
    """

    n_raters: int
    n_clips: int
    n_shown: int
    width: float | None
    minutes_a_rater: float
    hours: float


@dataclass(frozen=True, slots=True)
class RatingPlan:
    """How many raters and clips a wanted width needs.

    Parameters
    ----------
    kind : StudyKind
    questions : tuple of str
    n_configurations, n_clips : int
        Of the run; clips of each configuration, the fewest where they differ.
    clip_s : float
        Mean length of a clip.
    wanted_width : float
        In points, or as a share.
    n_raters_needed : int or None
        With the clips of `chosen`; None where no number of raters is enough.
    enough : RatingCost or None
        The least that reaches the width: with the raters needed, or else with more clips too. None where nothing within
        `MOST_CLIPS` clips does.
    chosen : RatingCost
        What was asked about: the raters given, or else those needed, and at least `floor_raters`.
    alternatives : tuple of RatingCost
    spread : Spread
        How much scores differ, in points.
    n_scores : int
        Of this run, that `spread` was estimated from; 0 where it is assumed.
    panel : str
        Whose scores these are, in words; empty where it is assumed.
    floor_raters : int or None
        Raters below which the policy passes nothing; None where it says nothing of people.
    too_few_inputs : str
        Inputs of the run that are too few for an interval that speaks of others, in words; empty where they are enough.
    damage : str
        Why nothing can be read of what was said before, although there is a file; else empty.
    """

    kind: StudyKind
    questions: tuple[str, ...]
    n_configurations: int
    n_clips: int
    clip_s: float
    wanted_width: float
    n_raters_needed: int | None
    enough: RatingCost | None
    chosen: RatingCost
    alternatives: tuple[RatingCost, ...]
    spread: Spread
    n_scores: int
    panel: str
    floor_raters: int | None
    too_few_inputs: str
    damage: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            **asdict(self),
            "kind": self.kind.value,
            "questions": list(self.questions),
            "alternatives": [asdict(one) for one in self.alternatives],
        }

    def describe(self) -> list[str]:
        """Say it in sentences, the answer first."""
        return list(_sentences(self))


def plan_ratings(
    run: Run,
    *,
    pairs: bool = False,
    width: float | None = None,
    n_raters: int | None = None,
    n_clips: int | None = None,
    questions: tuple[str, ...] = QUESTIONS,
    clips_per_rater: int | None = None,
    floor_raters: int | None = None,
    given: Collection[str] = (),
) -> RatingPlan:
    """Say how many raters a width needs, and what asking them costs.

    Parameters
    ----------
    run : Run
        With videos: their number and lengths count, and what was said of them before.
    pairs : bool
        Whether raters choose between two clips; else they score each.
    width : float, optional
        Half of the 95 % interval; `WIDTH_POINTS`, or `WIDTH_SHARE` of pairs, unless given.
    n_raters : int, optional
        Say what so many show; else as many as are needed.
    n_clips : int, optional
        Clips of each configuration, instead of those of the run.
    questions, clips_per_rater
        As of `evalkit.rating.study.Design`.
    floor_raters : int, optional
        Raters below which the policy passes nothing.
    given : collection of str
        Factors of the inputs that nothing has to be known of beyond those of the run, as the policy says.

    Raises
    ------
    UsageError
        If the run has no videos, fewer than two configurations for pairs, or a number is none to plan with.
    """
    wanted = _check_width(width, pairs=pairs)
    kind = StudyKind.PAIRS if pairs else StudyKind.ACR
    design = Design(kind=kind, questions=questions, clips_per_rater=clips_per_rater)
    clips = clips_of(
        run.trials(), run.manifest.swept, {trial.id: trial.content or trial.id for trial in run.trials()}
    )
    if not clips:
        raise UsageError(
            f"{run.folder} has no video yet: there is nothing to be rated (evalkit sweep makes them)"
        )
    counts = Counter(clip.configuration for clip in clips)
    if pairs and len(counts) < 2:
        raise UsageError(f"{run.folder} has one configuration: there is nothing to compare it with")
    spread, n_scores, panel = _spread_of_run(run, clips)
    question = _Question(design, len(counts), _clip_s(run, clips), spread)
    n_here = n_clips or min(counts.values())
    needed = question.raters_needed(wanted, n_here)
    n_asked = n_raters or max(needed or 0, floor_raters or 0) or USUAL_RATERS
    panels = sorted(
        {USUAL_RATERS // 2, USUAL_RATERS, 2 * USUAL_RATERS, n_asked, *([needed] if needed else [])}
    )
    return RatingPlan(
        kind=kind,
        questions=design.questions,
        n_configurations=len(counts),
        n_clips=min(counts.values()),
        clip_s=question.clip_s,
        wanted_width=wanted,
        n_raters_needed=needed,
        enough=question.find_enough(wanted, n_here, needed, n_asked),
        chosen=question.cost(n_asked, n_here),
        alternatives=tuple(question.cost(n, m) for m in (n_here, 2 * n_here) for n in panels),
        spread=spread,
        n_scores=n_scores,
        panel=panel,
        floor_raters=floor_raters,
        too_few_inputs="" if n_clips else _too_few_inputs(run, given),
        damage=run.opinions().damage,
    )


def describe_width(width: float | None, kind: StudyKind) -> str:
    """Write a width for people.

    >>> describe_width(0.437, StudyKind.ACR), describe_width(0.1, StudyKind.PAIRS), describe_width(None, StudyKind.ACR)
    ('± 0.44', '± 10 %', 'not known')
    """
    if width is None:
        return "not known"
    return f"± {width:.2f}" if kind is StudyKind.ACR else f"± {100 * width:.0f} %"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _sentences(plan: RatingPlan) -> Iterator[str]:
    chosen, is_pairs = plan.chosen, plan.kind is StudyKind.PAIRS
    wanted = describe_width(plan.wanted_width, plan.kind)
    of_what = "of the pairs of two configurations" if is_pairs else "points of a configuration's mean opinion"
    clips = "" if is_pairs else f" with {count(chosen.n_clips, 'clip')} of each"
    if plan.n_raters_needed is not None:
        yield f"{count(plan.n_raters_needed, 'rater')} {_are(plan.n_raters_needed)} enough for {wanted} {of_what}{clips}."
    else:
        enough = plan.enough
        more = (
            f"no more than {MOST_CLIPS} clips of each are, either: look for a coarser width"
            if enough is None
            else f"{count(enough.n_raters, 'rater')} and {count(enough.n_clips, 'clip')} of each are"
        )
        yield f"No number of raters is enough for {wanted} {of_what}{clips}; {more}."
    shown = count(chosen.n_shown, "pair" if is_pairs else "clip")
    reach = "" if chosen.width is None else f", and show {describe_width(chosen.width, plan.kind)}"
    yield (
        f"{count(chosen.n_raters, 'rater')} spend{'s' * (chosen.n_raters == 1)} {count(math.ceil(chosen.minutes_a_rater), 'minute')} "
        f"each ({shown} of {plan.clip_s:.1f} s, practice, repeats and checks included), {chosen.hours:.1f} hours in all{reach}."
    )
    if plan.floor_raters is not None:
        yield (
            f"The policy passes nothing that fewer than {plan.floor_raters} raters have judged"
            + (
                f": {chosen.n_raters} {_are(chosen.n_raters)} too few."
                if chosen.n_raters < plan.floor_raters
                else ": invite a few more, as some do not finish or are screened out."
            )
        )
    if plan.too_few_inputs:
        yield (
            f"These are {plan.too_few_inputs}: with fewer than {MIN_LEVELS}, intervals will speak of other raters and these "
            "very clips, not of other inputs."
        )
    if is_pairs:
        yield "Taken for granted: as many prefer one as the other, which needs most; a rater's answers are alike by 0.1."
        return
    why = "what was said here cannot be read" if plan.damage else "too little was asked here yet to know it"
    source = (
        f"as {plan.n_scores} scores of {plan.panel} differ here"
        if plan.n_scores
        else f"as in published experiments; {why}"
    )
    yield (
        f"Spread of scores, {source}: {plan.spread.raters:.2f} between raters, {plan.spread.clips:.2f} between clips of a "
        f"configuration, {plan.spread.rest:.2f} the rest, in points."
    )
    if plan.damage:
        yield f"Ratings: none can be read: {plan.damage}"


def _check_width(width: float | None, *, pairs: bool) -> float:
    if width is None:
        return WIDTH_SHARE if pairs else WIDTH_POINTS
    widest, unit = (_COARSEST_SHARE, "as a share of pairs") if pairs else (2.0, "in points")
    if not 0 < width <= widest:
        raise UsageError(f"a width is above 0 and at most {widest:g}, {unit}; not {width:g}")
    return width


def _clip_s(run: Run, clips: tuple[Clip, ...]) -> float:
    """Return the mean length of the clips, as their files announce it."""
    lengths_s = []
    for clip in clips:
        video = run.video_of(clip.trial)
        try:
            facts = None if video is None else probe(str(video))
        except ClipError:
            continue
        streams = () if facts is None else (facts.video, facts.audio)
        ends_s = [one.start_s + (one.announced_duration_s or 0.0) for one in streams if one is not None]
        lengths_s.append(max(ends_s, default=0.0))
    if not any(lengths_s):
        raise UsageError(
            f"{run.folder}: none of its videos says how long it is: there is nothing to be rated"
        )
    return fmean(lengths_s)


def _too_few_inputs(run: Run, given: Collection[str]) -> str:
    trials = [trial for trial in run.trials() if trial.status == "ok"]
    contents = {
        "portrait": [None if trial.portrait is None else trial.portrait.content for trial in trials],
        "speech": [None if trial.speech is None else trial.speech.content for trial in trials],
    }
    factors = independent_factors(contents, given)
    levels = {name: int(codes.max()) + 1 for name, codes in factors.items()}
    return " and ".join(count_levels(name, n) for name, n in levels.items() if n < MIN_LEVELS)


def _spread_of_run(run: Run, clips: tuple[Clip, ...]) -> tuple[Spread, int, str]:
    """Return how much the scores that count differ, of how many that is known, and whose they are; else what is assumed."""
    by_trial = {clip.trial: clip for clip in clips}
    opinions = run.opinions()
    of_questions = (opinions.scores.get(metric_of(question), {}) for question in QUESTIONS)
    asked = next((found for found in of_questions if found), {})
    scores = [
        (trial, rater, score)
        for trial, given in asked.items()
        if trial in by_trial
        for rater, score in given.items()
    ]
    if not scores:
        return ASSUMED, 0, ""
    _, raters = np.unique([rater.id for _, rater, _ in scores], return_inverse=True)
    trials, codes = np.unique([trial for trial, _, _ in scores], return_inverse=True)
    _, configurations = np.unique([by_trial[trial].configuration for trial in trials], return_inverse=True)
    found = spread_of(raters, codes, np.array([score for _, _, score in scores]), configurations)
    if found is None:
        return ASSUMED, 0, ""
    return found, len(scores), Panel.of(rater for _, rater, _ in scores).text


@dataclass(frozen=True, slots=True)
class _Question:
    """A design, for any number of clips of each configuration."""

    design: Design
    n_configurations: int
    clip_s: float
    spread: Spread
    _known: dict[int, tuple[Design, int, int, float]] = field(default_factory=dict)

    def cost(self, n_raters: int, n_clips: int) -> RatingCost:
        design, n_rated, n_shown, seconds = self._of_rater(n_clips)
        if design.kind is StudyKind.ACR:
            width = half_width(
                self.spread,
                n_raters=n_raters,
                n_clips=n_clips,
                clips_a_rater=n_rated / self.n_configurations,
            )
        else:
            width = self._share_of(n_raters, n_rated)
        minutes = seconds / 60
        return RatingCost(n_raters, n_clips, n_shown, width, minutes, n_raters * minutes / 60)

    def raters_needed(self, width: float, n_clips: int) -> int | None:
        design, n_rated, _, _ = self._of_rater(n_clips)
        if design.kind is StudyKind.ACR:
            return raters_needed(
                self.spread, width, n_clips=n_clips, clips_a_rater=n_rated / self.n_configurations
            )
        about_two = n_rated / math.comb(self.n_configurations, 2)
        answers = answers_needed(width, answers_a_rater=max(1, round(about_two)))
        return None if answers is None else math.ceil(answers / about_two)

    def find_enough(
        self, width: float, n_clips: int, n_raters_needed: int | None, n_raters: int
    ) -> RatingCost | None:
        """Return the least that reaches a width: more raters, else more clips too, else twice the raters, and so on."""
        if n_raters_needed is not None:
            return self.cost(n_raters_needed, n_clips)
        for panel in (n_raters, 2 * n_raters, 4 * n_raters, 8 * n_raters):
            too_few, clips = n_clips, 2 * n_clips
            while clips <= MOST_CLIPS and not self._reaches(width, panel, clips):
                too_few, clips = clips, 2 * clips
            if clips > MOST_CLIPS:
                continue
            while clips - too_few > 1:
                middle = (too_few + clips) // 2
                too_few, clips = (too_few, middle) if self._reaches(width, panel, middle) else (middle, clips)
            return self.cost(panel, clips)
        return None

    def _reaches(self, width: float, n_raters: int, n_clips: int) -> bool:
        found = self.cost(n_raters, n_clips).width
        return found is not None and found <= width

    def _of_rater(self, n_clips: int) -> tuple[Design, int, int, float]:
        """Return the settled design; what a rater rates and is shown in all; and the seconds that takes."""
        if n_clips not in self._known:
            self._known[n_clips] = self._settle(n_clips)
        return self._known[n_clips]

    def _settle(self, n_clips: int) -> tuple[Design, int, int, float]:
        clips = [
            Clip(f"{one}-{block}", "", str(one), str(block), str(block))
            for block in range(n_clips)
            for one in range(self.n_configurations)
        ]
        design = settle(self.design, clips, self.clip_s)
        items = make_items(design, clips)
        shown = presentations(design, items, 0)
        n_rated = sum(one.role is Role.RATING for one in shown)
        return design, n_rated, len(shown), rater_s(design, items, self.clip_s)

    def _share_of(self, n_raters: int, n_rated: int) -> float | None:
        """Return the finest share for which so many raters are enough."""
        about_two = n_rated / math.comb(self.n_configurations, 2)
        low, high = _FINEST_SHARE, _COARSEST_SHARE
        if not self._is_enough(high, n_raters, about_two):
            return None
        while high - low > _FINEST_SHARE / 10:
            middle = (low + high) / 2
            low, high = (low, middle) if self._is_enough(middle, n_raters, about_two) else (middle, high)
        return high

    @staticmethod
    def _is_enough(width: float, n_raters: int, about_two: float) -> bool:
        answers = answers_needed(width, answers_a_rater=max(1, round(about_two)))
        return answers is not None and answers <= n_raters * about_two
