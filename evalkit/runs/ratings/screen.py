"""Who is screened out of a run's raters: the arrays that `evalkit.stats.screening` judges, from their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evalkit.runs.ratings.records import QUESTIONS, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evalkit.runs.ratings.records import Choice, Score
    from evalkit.stats.screening import Screening

Reasons = dict[str, tuple[str, ...]]


def screen_raters(
    scores: Sequence[Score], choices: Sequence[Choice], configurations: Mapping[str, str]
) -> tuple[Reasons, list[str]]:
    """Return the raters whose answers cannot be relied on, with the reasons in words.

    Parameters
    ----------
    scores, choices : sequence
        Of videos as they are now, and all checks; these and repeats are what they are here for.
    configurations : mapping of str to str
        What names the configuration of each trial.

    Returns
    -------
    reasons : dict of str to tuple of str
        By rater.
    notes : list of str
        How many could not be looked at, in words.

    Notes
    -----
    Raters are judged by one question: what they think of the whole, or else the first that they were asked; with more
    of them honest ones would be lost. Who is screened out counts in no question.
    """
    judged: set[str] = set()
    found = []
    for question in QUESTIONS:
        asked = [score for score in scores if score.question == question and score.rater not in judged]
        judged |= {score.rater for score in asked}
        if asked:
            found.append(_screen_scores(asked))
    if choices:
        found.append(_screen_choices(choices, configurations))
    reasons = {name: why for names, one in found for name, why in zip(names, one.reasons, strict=True) if why}
    return reasons, [one.note for _, one in found if one.note is not None]


def _screen_scores(scores: Sequence[Score]) -> tuple[Iterable[str], Screening]:
    """Screen by the answers to one question."""
    from evalkit.stats.screening import screen_scores

    names = {name: code for code, name in enumerate(dict.fromkeys(score.rater for score in scores))}
    first = [score for score in scores if score.role is Role.RATING]
    checks = [score for score in scores if score.role is Role.CHECK]
    before = {(score.rater, score.trial): score.score for score in first}
    repeats = [
        (score.rater, before[score.rater, score.trial], score.score)
        for score in scores
        if score.role is Role.REPEAT and (score.rater, score.trial) in before
    ]
    clips = {trial: code for code, trial in enumerate(dict.fromkeys(score.trial for score in first))}
    return names, screen_scores(
        _codes(names, [score.rater for score in first]),
        _codes(clips, [score.trial for score in first]),
        np.array([score.score for score in first]),
        n_raters=len(names),
        checks=(
            _codes(names, [score.rater for score in checks]),
            np.array([score.score for score in checks]),
        ),
        repeats=(
            _codes(names, [rater for rater, _, _ in repeats]),
            np.array([one for _, one, _ in repeats]),
            np.array([other for _, _, other in repeats]),
        ),
    )


def _screen_choices(
    choices: Sequence[Choice], configurations: Mapping[str, str]
) -> tuple[Iterable[str], Screening]:
    """Screen by what raters preferred."""
    from evalkit.stats.choice_screening import screen_choices

    names = {name: code for code, name in enumerate(dict.fromkeys(choice.rater for choice in choices))}
    between = [
        choice
        for choice in choices
        if choice.role is Role.RATING and configurations[choice.first] != configurations[choice.second]
    ]
    checks = [choice for choice in choices if choice.role is Role.CHECK and choice.broken is not None]
    sides = [[configurations[trial] for trial in (choice.first, choice.second)] for choice in between]
    options = {key: code for code, key in enumerate(dict.fromkeys(key for pair in sides for key in pair))}
    return names, screen_choices(
        _codes(names, [choice.rater for choice in between]),
        _codes(options, [first for first, _ in sides]),
        _codes(options, [second for _, second in sides]),
        np.array([_share_of(choice.preferred, choice.first) for choice in between]),
        n_raters=len(names),
        checks=(
            _codes(names, [choice.rater for choice in checks]),
            np.array([1.0 - _share_of(choice.preferred, choice.broken) for choice in checks]),
        ),
    )


def _share_of(preferred: str | None, trial: str | None) -> float:
    """Return 1 where a clip was preferred, 0 where the other was, a half for no difference."""
    return 0.5 if preferred is None else float(preferred == trial)


def _codes(names: Mapping[str, int], found: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.array([names[name] for name in found], dtype=np.intp)
