"""What trials took of the slots, so that a budget in trials, hours or money can be held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalkit.analysis.spending import list_makings
from evalkit.runs.layout import RUN_FILE
from evalkit.runs.run import read_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evalkit.runs import Trial

_S_PER_HOUR = 3600.0
_UNLIMITED = 10**9


class Spending:
    """Adds up what the trials of a run took.

    Parameters
    ----------
    folder : Path
        Of the run, whose manifest describes the machines.
    prices : mapping of str to float
        ``execution.price_per_hour``. A machine that it does not name costs as much as the dearest.
    """

    def __init__(self, folder: Path, prices: Mapping[str, float]) -> None:
        self._folder = folder
        self._prices = prices
        self._machines: Mapping[str, Mapping[str, Any]] = {}
        self._spent = {"trials": 0.0, "hours": 0.0, "money": 0.0}

    @property
    def n_trials(self) -> int:
        """Trials with a result."""
        return int(self._spent["trials"])

    def add(self, trial: Trial) -> None:
        """Add a trial that has its result."""
        if trial.machine and trial.machine not in self._machines:
            self._machines = read_manifest(self._folder / RUN_FILE)[0].machines
        self._spent["trials"] += 1
        self._spent["hours"] += hours_of(trial)
        for making in list_makings(trial, self._machines, self._prices):
            price = making.price_per_hour
            dearest = max(self._prices.values(), default=0.0)
            hours = (making.seconds or 0.0) / _S_PER_HOUR
            self._spent["money"] += hours * (dearest if price is None else price)

    def room(self, budget: Mapping[str, float], n_under_way: int) -> int:
        """Return how many more trials a budget has room for, beside those under way.

        What is under way, and what comes, is expected to take as much as the mean of what is done. Nothing is known of that
        before the first: then there is room.
        """
        rooms = [_UNLIMITED]
        for name, limit in budget.items():
            mean = self._spent[name] / self.n_trials if self.n_trials else 0.0
            each = 1.0 if name == "trials" else mean
            if each > 0.0:
                rooms.append(int((limit - self._spent[name]) / each + 1e-9) - n_under_way)
        return max(0, min(rooms))


def hours_of(trial: Trial) -> float:
    """Return how long a trial kept slots at work, as far as it is recorded: every attempt to make it, and measuring it."""
    attempts = sum(making.seconds or 0.0 for making in list_makings(trial, {}, {}))
    return (attempts + (trial.measure_s or 0.0)) / _S_PER_HOUR
