"""What making videos took of machines, and what that costs: for every finished minute of video."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from evalkit.profiling.costs import ENERGY, PEAK_VRAM
from evalkit.profiling.reasons import GPU_NOT_USED
from evalkit.runs.machines import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.analysis.table import ClipRecord
    from evalkit.runs import Trial

DEFAULT_PRICE = "default"
"""Names the price of what no other name fits."""
NO_VIDEO = "no video was finished"
NO_TIME = "how long making took is not recorded"
_S_PER_HOUR, _S_PER_MINUTE, _J_PER_WH = 3600.0, 60.0, 3600.0


@dataclass(frozen=True)
class Making:
    """One attempt to make a video.

    Parameters
    ----------
    kind : str or None
        Of the machine, see `evalkit.runs.machines.machine_kind`; None where that is not known.
    seconds : float or None
        How long it took; None where that was not recorded. Loading and warming up serve all that are made after it in
        the same process, so each attempt on one kind of machine has an even share of it: see `share_loads`.
    n_gpus : int
        GPUs that it kept from others: all that it could see, unless it finished without any of them.
    price_per_hour : float or None
        See `price_of`.
    load_s : float
        Part of `seconds` that loading and warming up took.
    """

    kind: str | None
    seconds: float | None
    n_gpus: int
    price_per_hour: float | None
    load_s: float = 0.0


@dataclass(frozen=True)
class Spending:
    """What making some videos took of one kind of machine.

    Parameters
    ----------
    kind : str or None
    hours : float
        Of making: everything from taking a job to its end, so that loads, warm-ups and failed attempts count.
    gpu_hours : float
        The same, times the GPUs that were kept meanwhile; 0 where none were.
    n_unknown : int
        Attempts that are in neither, as how long they took was not recorded.
    minutes : float
        Of finished video.
    price : float or None
        Of `hours`, in the currency of ``execution.price_per_hour``.
    energy_wh : float or None
        Of the GPUs, for the finished videos alone; None where that of one is not known.
    reason : str or None
        Why there is no price for a minute.
    """

    kind: str | None
    hours: float
    gpu_hours: float
    n_unknown: int
    minutes: float
    price: float | None
    energy_wh: float | None
    reason: str | None

    @property
    def hours_per_minute(self) -> float | None:
        """Hours of making for a finished minute of video; None without any."""
        return self.hours / self.minutes if self.minutes else None

    @property
    def gpu_hours_per_minute(self) -> float | None:
        """GPU-hours for a finished minute of video; None without any, and where no GPU was kept."""
        return self.gpu_hours / self.minutes if self.minutes and self.gpu_hours else None

    @property
    def price_per_minute(self) -> float | None:
        """Price of a finished minute of video; None where there is none, `reason` says why."""
        return None if self.reason is not None or self.price is None else self.price / self.minutes

    @property
    def energy_wh_per_minute(self) -> float | None:
        """Energy of the GPUs for a finished minute of video; None where it was not measured."""
        return self.energy_wh / self.minutes if self.minutes and self.energy_wh is not None else None


def price_of(machine: Mapping[str, Any], prices: Mapping[str, float]) -> float | None:
    """Return the price of an hour on a machine: of all GPUs that the work may use, or of the machine where it has none.

    A GPU, or the processor of a machine without, has the price of the longest name that is part of its own, whole words of
    it in whatever case; ``default`` where none is.

    Parameters
    ----------
    machine : mapping
        As `evalkit.profiling.machine.describe_machine` gives it.
    prices : mapping of str to float
        ``execution.price_per_hour`` of a sweep.

    Returns
    -------
    float or None
        None where there is no price for one of them.

    Examples
    --------
    >>> prices = {"a100": 2.0, "A100-SXM4-80GB": 3.0, "EPYC": 0.5}
    >>> two = {"gpus": [{"name": "NVIDIA A100-SXM4-80GB"}, {"name": "NVIDIA A100-PCIE-40GB"}], "processor": "EPYC"}
    >>> price_of(two, prices), price_of({"processor": "AMD EPYC 9654"}, prices), price_of({"processor": "M4"}, prices)
    (5.0, 0.5, None)
    """
    gpus = [str(gpu["name"]) for gpu in machine.get("gpus") or ()]
    found = [_find_price(name, prices) for name in gpus or [str(machine.get("processor", ""))]]
    return None if None in found else sum(price for price in found if price is not None)


def _find_price(name: str, prices: Mapping[str, float]) -> float | None:
    parts = [part for part in prices if part.casefold() != DEFAULT_PRICE and _is_part(part, name)]
    if parts:
        return prices[max(parts, key=len)]
    return next((price for part, price in prices.items() if part.casefold() == DEFAULT_PRICE), None)


def _is_part(part: str, name: str) -> bool:
    """Whether whole words of a name are this: an A10 is no A100, an H200 no GH200, an L4 no L40S."""
    alone = rf"(?<![^\W_]){re.escape(part.casefold())}(?![^\W_])"
    return re.search(alone, name.casefold()) is not None


def list_makings(
    trial: Trial, machines: Mapping[str, Mapping[str, Any]], prices: Mapping[str, float]
) -> tuple[Making, ...]:
    """Return every attempt at a trial: those that failed before, and the last one.

    One that finished on the processor of a machine with GPUs has the price of that processor.
    """
    leaves_gpus = trial.status == "ok" and trial.profile.absent.get(PEAK_VRAM.name) == GPU_NOT_USED.code
    attempts = [(one.machine or trial.machine, one.spent_s, 0.0) for one in trial.attempts]
    attempts.append((trial.machine, trial.generate_s, trial.load_s or 0.0))
    makings = []
    for key, seconds, load_s in attempts:
        machine = dict(machines.get(key, {}))
        if leaves_gpus:
            machine["gpus"] = []
        price = price_of(machine, prices) if key in machines else None
        makings.append(Making(kind_of(key, machines), seconds, len(machine.get("gpus") or ()), price, load_s))
    return tuple(makings)


def share_loads(rows: Sequence[ClipRecord]) -> list[ClipRecord]:
    """Return clips such that each attempt on one kind of machine has the same share of all loading there.

    Which video happens to be the first in a process says nothing of its configuration.
    """
    known = [making for row in rows for making in row.makings if making.seconds is not None]
    loads_s = defaultdict[str | None, list[float]](list)
    for making in known:
        loads_s[making.kind].append(making.load_s)
    shares_s = {kind: fmean(loads) for kind, loads in loads_s.items()}

    def share(making: Making) -> Making:
        if making.seconds is None:
            return making
        load_s = shares_s[making.kind]
        return replace(making, seconds=making.seconds - making.load_s + load_s, load_s=load_s)

    return [replace(row, makings=tuple(map(share, row.makings))) for row in rows]


def sum_spending(rows: Sequence[ClipRecord], kind: str | None) -> Spending:
    """Add up what making clips took of one kind of machine, and what came of it there.

    Parameters
    ----------
    rows : sequence of ClipRecord
        Failed ones too.
    kind : str or None
        What was made, or tried, on other kinds does not count.
    """
    makings = [making for row in rows for making in row.makings if making.kind == kind]
    known = [making for making in makings if making.seconds is not None]
    finished = [row for row in rows if row.kind == kind and row.failure is None and row.video_s]
    minutes = sum(row.video_s or 0.0 for row in finished) / _S_PER_MINUTE
    prices = [making.price_per_hour for making in known]
    hours = [(making.seconds or 0.0) / _S_PER_HOUR for making in known]
    priced = bool(known) and None not in prices
    price = sum(hour * (one or 0.0) for hour, one in zip(hours, prices, strict=True)) if priced else None
    reason = None
    if not known:
        reason = NO_TIME
    elif not minutes:
        reason = NO_VIDEO
    elif price is None:
        what = "a GPU" if any(one.n_gpus for one in known if one.price_per_hour is None) else "the processor"
        reason = f"execution.price_per_hour names no price for {what} of {kind or 'an unknown machine'}"
    energies_j = [_energy_j(row) for row in finished]
    is_measured = bool(energies_j) and None not in energies_j
    return Spending(
        kind=kind,
        hours=sum(hours),
        gpu_hours=sum(hour * making.n_gpus for hour, making in zip(hours, known, strict=True)),
        n_unknown=len(makings) - len(known),
        minutes=minutes,
        price=price,
        energy_wh=sum(energy or 0.0 for energy in energies_j) / _J_PER_WH if is_measured else None,
        reason=reason,
    )


def _energy_j(row: ClipRecord) -> float | None:
    """Return the energy of a clip's own machine, whether that is of the main kind or not."""
    found = None if row.trial is None else row.trial.profile.metrics.get(ENERGY.name)
    return None if found is None else found.value
