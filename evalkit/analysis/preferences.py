"""How the configurations of a run fare against each other in blind pairs: each one's expected share of wins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.factors import shared_factors
from evalkit.analysis.reducers import MEAN
from evalkit.analysis.scores import RATER, why_few
from evalkit.analysis.values import Summary, why_not_rated
from evalkit.runs.ratings.opinions import Panel
from evalkit.runs.ratings.records import PREFERENCE
from evalkit.stats.means import Estimate
from pipeline.options import canonical_json

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from evalkit.analysis.table import ClipRecord
    from evalkit.runs.ratings.opinions import Rater
    from evalkit.stats.preferences import Preferences as Fit

_SEVERAL = "a preference is of one configuration, and several are taken together here"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one rater said of two clips: `share` is 1 where the first was preferred, 0.5 for no difference."""

    first: ClipRecord
    second: ClipRecord
    rater: Rater
    share: float


@dataclass(frozen=True, eq=False)
class Preferences:
    """The choices between configurations of a run, and what follows for each.

    Parameters
    ----------
    options : mapping of str to int
        Configurations, by the canonical JSON of their parameters, with their places.
    answers : tuple
        One a rater and pair of clips.
    """

    options: Mapping[str, int]
    answers: tuple[_Answer, ...]
    _fits: dict[tuple[str, ...], Fit] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, rows: Iterable[ClipRecord]) -> Preferences | None:
        """Read the choices from all rows of a run; None where nobody chose."""
        rows = list(rows)
        by_trial = {row.trial.id: row for row in rows if row.trial is not None}
        options = {key: place for place, key in enumerate(dict.fromkeys(map(key_of, rows)))}
        answers = [
            _Answer(row, by_trial[other], rater, share)
            for trial, row in by_trial.items()
            for other, shares in row.choices.items()
            for rater, share in shares.items()
            if trial < other and other in by_trial and key_of(row) != key_of(by_trial[other])
        ]
        return cls(options, tuple(answers)) if answers else None

    def share(self, key: str, given: Sequence[str] = ()) -> Estimate:
        """Return the share of pairs that a configuration is expected to win against the others, with its 95 % interval."""
        return self.fit(given).shares[self.options[key]]

    def panel(self, key: str) -> Panel:
        """Return who chose between a configuration and another."""
        return Panel.of(
            answer.rater for answer in self.answers if key in {key_of(answer.first), key_of(answer.second)}
        )

    def have_met(self, key: str, other: str) -> bool:
        """Say whether anybody chose between two configurations."""
        return frozenset((key, other)) in self._met

    @cached_property
    def _met(self) -> frozenset[frozenset[str]]:
        return frozenset(frozenset((key_of(one.first), key_of(one.second))) for one in self.answers)

    def fit(self, given: Sequence[str] = ()) -> Fit:
        """Return shares and strengths by place."""
        kept = tuple(sorted(given))
        if kept not in self._fits:
            self._fits[kept] = self._estimate(kept)
        return self._fits[kept]

    def _estimate(self, given: tuple[str, ...]) -> Fit:
        from evalkit.stats.preferences import fit_preferences

        shared = shared_factors([answer.first for answer in self.answers])
        factors: dict[str, list[Hashable]] = {
            name: levels for name, levels in shared.items() if name not in given
        }
        factors[RATER] = [answer.rater for answer in self.answers]
        firsts, seconds = (
            np.array([self.options[key_of(row)] for row in rows], dtype=np.intp)
            for rows in (
                [answer.first for answer in self.answers],
                [answer.second for answer in self.answers],
            )
        )
        outcomes = np.array([answer.share for answer in self.answers])
        found = fit_preferences(firsts, seconds, outcomes, factors, n_options=len(self.options))
        reason = why_few(len({answer.rater for answer in self.answers}))
        if reason is None:
            return found
        shares, strengths = (
            tuple(replace(one, interval=None, reason=one.reason or reason) for one in estimates)
            for estimates in (found.shares, found.strengths)
        )
        return replace(found, shares=shares, strengths=strengths)


def key_of(row: ClipRecord) -> str:
    """Name the configuration of a clip, by all its parameters."""
    return canonical_json(dict(row.params))


def summarise_preference(
    preferences: Preferences | None, rows: Sequence[ClipRecord], given: Sequence[str] = ()
) -> Summary:
    """Return the preference of the configuration of some clips: n counts raters."""
    keys = {key_of(row) for row in rows}
    panel = Panel(0)
    if preferences is None:
        estimate = Estimate(None, None, 0, why_not_rated(PREFERENCE, rows))
    elif len(keys) != 1:
        estimate = Estimate(None, None, 0, _SEVERAL)
    else:
        (key,) = keys
        panel = preferences.panel(key)
        estimate = preferences.share(key, given)
    n_clips = len(rows) if panel.n else 0
    return Summary(PREFERENCE, MEAN, replace(estimate, n=panel.n), len(rows), {}, panel, n_clips)
