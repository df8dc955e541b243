"""A search: how far each configuration of the grid came, and what was not made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalkit.analysis.configurations import describe
from evalkit.analysis.direction import loss
from evalkit.sweeps.search import name_budget
from evalkit.sweeps.spending import hours_of
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.analysis.spending import Making
    from evalkit.runs import SearchRecord
    from evalkit.runs.schema import Searched


@dataclass(frozen=True)
class SearchedView(View):
    """How a configuration fared.

    Parameters
    ----------
    label : str
    fate : str
        See `evalkit.runs.schema.Searched`.
    n_blocks, n_made : int
        The first so many blocks were looked at; trials that have a result, those made ahead included.
    value : float or None
        Mean of the quality over the blocks that were looked at, missing values as the worst there is.
    beaten_by : str or None
        Label of the one that is better.
    at_least : float or None
        By so much it is worse at least.
    """

    label: str
    fate: str
    n_blocks: int
    n_made: int
    value: float | None
    beaten_by: str | None
    at_least: float | None


@dataclass(frozen=True)
class SearchView(View):
    """A search, and what it saved.

    Parameters
    ----------
    quality, unit : str
        What was raced for.
    n_blocks : int
        Of the plan.
    alpha : float
        Chance that the best of the grid was dropped.
    budget : str
        In words; empty without one.
    ending : str or None
        Why it is over; None where it was interrupted.
    configurations : tuple of SearchedView
        Those that came farthest first, the better one first among these; those that were never proposed last.
    n_planned, n_made : int
        Trials of the whole grid, and those with a result.
    hours, hours_of_grid : float or None
        Of slots at work: what these took, and about what the whole grid would take, where each trial takes what others of
        its configuration, or else all, took.
    price, price_of_grid : float or None
        The same of money, for making alone; None where the hours of a machine have no price.
    """

    quality: str
    unit: str
    n_blocks: int
    alpha: float
    budget: str
    ending: str | None
    configurations: tuple[SearchedView, ...]
    n_planned: int
    n_made: int
    hours: float
    hours_of_grid: float | None
    price: float | None
    price_of_grid: float | None

    def with_fate(self, fate: str) -> list[SearchedView]:
        """Return the configurations that fared so."""
        return [one for one in self.configurations if one.fate == fate]


def search_view(analysis: RunAnalysis) -> SearchView | None:
    """Return what is shown of the search that made a run; None where none did, or its grid was completed since."""
    record = analysis.table.search
    if record is None:
        return None
    hours: dict[str, list[float]] = {}
    prices: dict[str, list[float | None]] = {}
    for row in (*analysis.table.rows, *analysis.table.copies):
        if row.trial is not None:
            hours.setdefault(_key(row.trial.params), []).append(hours_of(row.trial))
            prices.setdefault(_key(row.trial.params), []).append(_price_of(row.makings))
    priced = {key: [one for one in own if one is not None] for key, own in prices.items()}
    is_priced = bool(priced) and all(len(priced[key]) == len(own) for key, own in prices.items())
    metric = analysis.table.metrics.get(record.quality)
    views = [_searched(analysis, one, len(hours.get(_key(one.params), ()))) for one in record.configurations]
    views.sort(
        key=lambda one: (
            one.fate == "not proposed",
            -one.n_blocks,
            one.fate != "racing",
            0.0 if one.value is None or metric is None else loss(metric, one.value),
        )
    )
    return SearchView(
        quality=record.quality,
        unit="1" if metric is None else metric.unit,
        n_blocks=record.n_blocks,
        alpha=record.alpha,
        budget=name_budget(record.budget),
        ending=record.ending,
        configurations=tuple(views),
        n_planned=len(analysis.run.manifest.planned),
        n_made=sum(map(len, hours.values())),
        hours=sum(map(sum, hours.values())),
        hours_of_grid=_expect(record, hours),
        price=sum(map(sum, priced.values())) if is_priced else None,
        price_of_grid=_expect(record, priced) if is_priced else None,
    )


def _searched(analysis: RunAnalysis, one: Searched, n_made: int) -> SearchedView:
    def label(params: Mapping[str, Any]) -> str:
        return describe({name: params[name] for name in analysis.run.manifest.swept if name in params})

    return SearchedView(
        label=label(one.params),
        fate=one.fate,
        n_blocks=one.n_blocks,
        n_made=n_made,
        value=one.value,
        beaten_by=None if one.defeat is None else label(one.defeat.by),
        at_least=None if one.defeat is None else one.defeat.at_least,
    )


def _price_of(makings: Sequence[Making]) -> float | None:
    """Return what making a trial cost; None where an attempt has no price."""
    prices = [making.price_per_hour for making in makings if making.seconds is not None]
    if not prices or None in prices:
        return None
    return sum((making.seconds or 0.0) / 3600.0 * (making.price_per_hour or 0.0) for making in makings)


def _expect(record: SearchRecord, found: Mapping[str, list[float]]) -> float | None:
    """Return what the whole grid would take: each trial as others of its configuration, or else all."""
    every = [one for own in found.values() for one in own]
    if not every:
        return None
    means = [found.get(_key(one.params)) or every for one in record.configurations]
    return sum(record.n_blocks * sum(own) / len(own) for own in means)


def _key(params: Mapping[str, Any]) -> str:
    return str(sorted(params.items(), key=str))
