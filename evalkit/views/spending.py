"""What making videos took of machines and what it cost, of a configuration and of each kind of machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.analysis.spending import sum_spending
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.analysis.spending import Spending


@dataclass(frozen=True)
class SpendingView(View):
    """What making some videos took of one kind of machine; see `evalkit.analysis.spending.Spending`.

    Parameters
    ----------
    kind : str or None
        Of machine.
    hours, gpu_hours : float
        Of making: loads, warm-ups and failed attempts included.
    n_unknown : int
        Attempts that are in neither, as how long they took was not recorded.
    minutes : float
        Of finished video.
    price : float or None
        Of `hours`, in the currency of ``execution.price_per_hour``.
    hours_per_minute, gpu_hours_per_minute, price_per_minute, energy_wh_per_minute : float or None
        For a finished minute of video.
    reason : str or None
        Why `price_per_minute` is None.
    """

    kind: str | None
    hours: float
    gpu_hours: float
    n_unknown: int
    minutes: float
    price: float | None
    hours_per_minute: float | None
    gpu_hours_per_minute: float | None
    price_per_minute: float | None
    energy_wh_per_minute: float | None
    reason: str | None


@dataclass(frozen=True)
class KindView(View):
    """A kind of machine that took part in a run.

    Parameters
    ----------
    kind : str
    is_main : bool
        Whether times and memory are of it.
    hosts : mapping of str to int
        Names of the machines, with their number of trials; none where they were not recorded.
    n_trials, n_failed : int
    spending : SpendingView
    """

    kind: str
    is_main: bool
    hosts: dict[str, int]
    n_trials: int
    n_failed: int
    spending: SpendingView


def spending_view(spending: Spending) -> SpendingView:
    """Return what making some videos took."""
    return SpendingView(
        kind=spending.kind,
        hours=spending.hours,
        gpu_hours=spending.gpu_hours,
        n_unknown=spending.n_unknown,
        minutes=spending.minutes,
        price=spending.price,
        hours_per_minute=spending.hours_per_minute,
        gpu_hours_per_minute=spending.gpu_hours_per_minute,
        price_per_minute=spending.price_per_minute,
        energy_wh_per_minute=spending.energy_wh_per_minute,
        reason=spending.reason,
    )


def kind_views(analysis: RunAnalysis) -> tuple[KindView, ...]:
    """Return the kinds of machine that took part, the main one first."""
    table, machines = analysis.table, analysis.run.manifest.machines
    every = (*table.rows, *table.copies)
    views = []
    for kind in table.kinds:
        rows = [row for row in every if row.kind == kind]
        hosts = Counter(
            str(machines[row.trial.machine]["host"])
            for row in rows
            if row.trial is not None and "host" in machines.get(row.trial.machine, {})
        )
        views.append(
            KindView(
                kind=kind,
                is_main=kind == table.main_kind,
                hosts=dict(hosts.most_common()),
                n_trials=len(rows),
                n_failed=sum(row.failure is not None for row in rows),
                spending=spending_view(sum_spending(every, kind)),
            )
        )
    return tuple(views)
