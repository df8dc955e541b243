"""What people said of a run, put to its clips: each gets its scores, and the mean of them as its value."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from evalkit.analysis.catalogue import (
    NONE_COUNTS,
    NOT_RATED,
    OF_A_CONFIGURATION,
    RATING_METRICS,
    UNREADABLE,
)
from evalkit.runs.ratings.records import PREFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalkit.analysis.table import ClipRecord
    from evalkit.runs.ratings.opinions import Opinions, Rater
    from evalkit.types import Metric


def metrics_of_opinions(opinions: Opinions) -> dict[str, Metric]:
    """Return the metrics that any answer speaks of, by name."""
    return {
        metric.name: metric
        for metric in RATING_METRICS
        if metric.name in opinions.scores or (metric.name == PREFERENCE and opinions.choices)
    }


def with_opinions(rows: Iterable[ClipRecord], opinions: Opinions) -> list[ClipRecord]:
    """Return rows of a run with what was said of each, or why nothing is known of it although people were asked."""
    if opinions.damage or (opinions.n_answered and not opinions.raters):
        code = UNREADABLE.code if opinions.damage else NONE_COUNTS.code
        absent = {metric.name: code for metric in RATING_METRICS}
        return [replace(row, absent={**row.absent, **absent}) for row in rows]
    names = metrics_of_opinions(opinions)
    choices = _choices_by_trial(opinions)
    return [_with_opinions(row, opinions, names, choices) if names else row for row in rows]


def _with_opinions(
    row: ClipRecord,
    opinions: Opinions,
    names: Iterable[str],
    choices: dict[str, dict[str, dict[Rater, float]]],
) -> ClipRecord:
    trial = "" if row.trial is None else row.trial.id
    scores = {name: by_trial[trial] for name, by_trial in opinions.scores.items() if trial in by_trial}
    values = {name: value for name in scores if (value := opinions.score(name, trial)) is not None}
    absent = {
        name: OF_A_CONFIGURATION.code if name == PREFERENCE else NOT_RATED.code
        for name in names
        if name not in values
    }
    return replace(
        row,
        values={**row.values, **values},
        absent={**row.absent, **absent},
        scores=scores,
        choices=choices.get(trial, {}),
    )


def _choices_by_trial(opinions: Opinions) -> dict[str, dict[str, dict[Rater, float]]]:
    """Return who preferred which trial to which: 1, or 0; a half for no difference; the mean of several answers."""
    given: dict[tuple[str, str, Rater], list[float]] = {}
    for choice in opinions.choices:
        rater = opinions.raters[choice.rater]
        for one, other in ((choice.first, choice.second), (choice.second, choice.first)):
            share = 0.5 if choice.preferred is None else float(choice.preferred == one)
            given.setdefault((one, other, rater), []).append(share)
    found: dict[str, dict[str, dict[Rater, float]]] = {}
    for (one, other, rater), shares in given.items():
        found.setdefault(one, {}).setdefault(other, {})[rater] = fmean(shares)
    return found
