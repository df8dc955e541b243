"""What planted faults show of metrics: how each answers to doses, what it surely sees, and how little it moves otherwise.

- The *spread* of a metric in a clip is the most that any harmless change moved it.
- A dose is *surely seen* where it moves the metric the right way by more than `LEAST_SPREADS` times the spread, and so does every
  larger one: what must not move moves by less than half of the smallest effect that counts.
- A metric's *dead band* is the largest spread of 95 % of the clips: of all, of fewer than 20. Nearer than that to a limit,
  another encoder or a crop decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evalkit.formatting import count, three_digits
from evalkit.stats.means import estimate_mean
from evalkit.stats.rank_correlation import Coefficient, correlate
from evalkit.types import Interval
from evalkit.validation.faults import AS_RECORDED, AS_SHOWN, Fault, base_of, bases_of, plants_mark
from evalkit.validation.run import ORIGINAL, Reading, installed_metrics, metrics_of
from pipeline.options import json_text

LEAST_TAU = 0.9
"""Kendall's tau from which a metric follows the doses of a fault."""
LEAST_SPREADS = 2.0
"""An effect is seen that is larger than so many times the spread."""
SHARE_OF_CLIPS = 0.95
MEANT, SHOWN, STEADY = "sees", "shown", "must not move"


@dataclass(frozen=True, slots=True)
class Point:
    """A metric at one dose of a fault.

    Parameters
    ----------
    dose : float
    value : float or None
    effect : float or None
        How far it has moved from the undamaged clip, positive the way it is meant to; the size of it where it must not.
    is_seen : bool
    reason : str
        Why there is no value.
    """

    dose: float
    value: float | None
    effect: float | None = None
    is_seen: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClipResponse:
    """How a metric answers to a fault in one clip.

    Parameters
    ----------
    clip : str
    base : float or None
        Without the fault.
    points : tuple of Point
        One a dose, from mild to gross.
    spread : float or None
        The most that harmless changes move the metric in this clip; None where none was measured.
    tau : float or None
        Kendall's tau-b of dose and effect, the undamaged clip included; 0 where nothing moved at all.
    smallest_seen : float or None
        The mildest dose that is surely seen.
    moved_share : float or None
        Spread over the effect of that dose; below 1 / `LEAST_SPREADS`.
    reason : str
        Why nothing is known.
    """

    clip: str
    base: float | None
    points: tuple[Point, ...] = ()
    spread: float | None = None
    tau: float | None = None
    smallest_seen: float | None = None
    moved_share: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """How a metric answers to a fault.

    Parameters
    ----------
    metric, unit, better : str
    role : {"sees", "shown", "must not move"}
        Whether it is meant to see the fault.
    way : {"up", "down"}
    clips : tuple of ClipResponse
    effects : tuple of (float, float or None, float or None) or None
        A dose: mean effect over the clips and the ends of its 95 % interval; None where no clip has a value.
    n_seen : tuple of int
        A dose: clips in which it is seen.
    tau : float or None
        Mean over the clips.
    lowest_tau : float or None
    smallest_seen : float or None
        The mildest dose that is seen in every clip; of 20 or more, in 95 % of them.
    moved_share : float or None
        The largest of the clips in which something is seen.
    reason : str
        Why nothing is known.
    """

    metric: str
    unit: str
    better: str
    role: str
    way: str
    clips: tuple[ClipResponse, ...]
    effects: tuple[tuple[float, float | None, float | None] | None, ...] = ()
    n_seen: tuple[int, ...] = ()
    tau: float | None = None
    lowest_tau: float | None = None
    smallest_seen: float | None = None
    moved_share: float | None = None
    reason: str = ""

    @property
    def n_clips(self) -> int:
        """Clips that it could be measured of."""
        return sum(clip.tau is not None for clip in self.clips)

    @property
    def follows(self) -> bool:
        """Whether it follows the doses: a tau of `LEAST_TAU` in the mean of the clips."""
        return self.tau is not None and self.tau >= LEAST_TAU - 1e-9


@dataclass(frozen=True, slots=True)
class FaultCard:
    """What is known of one fault.

    Parameters
    ----------
    name, title, unit : str
    doses : tuple of float
    is_harmless : bool
    responses : tuple of Response
        The metric that is meant to see it first; of what is harmless, every metric that is watched.
    """

    name: str
    title: str
    unit: str
    doses: tuple[float, ...]
    is_harmless: bool
    responses: tuple[Response, ...]

    @property
    def meant(self) -> Response | None:
        """The metric that is meant to see it."""
        return next((one for one in self.responses if one.role == MEANT), None)

    def write(self, dose: float) -> str:
        """Write a dose for people."""
        return f"{three_digits(dose)} {self.unit}"


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How little harmless changes move a metric.

    Parameters
    ----------
    metric, unit, better : str
    spreads : dict of str to float
        By clip.
    worst_change, worst_clip : str
        What moved it so far, and in which clip.
    n_changes : int
        Harmless changes that were measured, over all clips.
    dead_band : float or None
        None where none was.
    """

    metric: str
    unit: str
    better: str
    spreads: Mapping[str, float]
    worst_change: str
    worst_clip: str
    n_changes: int
    dead_band: float | None


@dataclass(frozen=True, slots=True)
class Validation:
    """What metrics see in one's own clips.

    Parameters
    ----------
    clips : tuple of str
    unmeasured : dict of str to str
        Clips of which nothing could be measured, and why.
    faults : tuple of FaultCard
    steadiness : tuple of Steadiness
    n_measured, n_planned : int
        Doses that were measured, and all.
    seconds : float
        How long it took.
    kept : str or None
        The folder with the planted clips.
    """

    clips: tuple[str, ...]
    unmeasured: Mapping[str, str]
    faults: tuple[FaultCard, ...]
    steadiness: tuple[Steadiness, ...]
    n_measured: int
    n_planned: int
    seconds: float
    kept: str | None = None

    def __getitem__(self, fault: str) -> FaultCard:
        """Return what is known of a fault.

        Raises
        ------
        KeyError
            If it was not planted.
        """
        for one in self.faults:
            if one.name == fault:
                return one
        raise KeyError(
            f"no fault is named {fault!r}; planted are: {', '.join(one.name for one in self.faults)}"
        )

    @property
    def is_complete(self) -> bool:
        """Whether everything that was planned is measured."""
        return self.n_measured == self.n_planned

    @property
    def known(self) -> tuple[Response, ...]:
        """The metrics that are meant to see a fault and could be measured, a fault each."""
        meant = (fault.meant for fault in self.faults)
        return tuple(one for one in meant if one is not None and one.tau is not None)

    @property
    def moved(self) -> tuple[tuple[FaultCard, Response], ...]:
        """Metrics that a fault moves, though it must not, by more than twice what any harmless change does in every clip."""
        return tuple(
            (fault, one)
            for fault in self.faults
            for one in fault.responses
            if not fault.is_harmless and one.role == STEADY and one.smallest_seen is not None
        )

    @property
    def passes(self) -> bool:
        """Whether something was measured, and every fault is followed by the metric that is meant to see it."""
        return bool(self.known) and all(one.follows for one in self.known)

    @property
    def dead_bands(self) -> dict[str, float]:
        """The dead band of every metric that has one, by its name, rounded up to two digits."""
        return {
            one.metric: round_up(one.dead_band)
            for one in self.steadiness
            if one.dead_band is not None and one.dead_band > 0
        }

    @property
    def headline(self) -> str:
        """What was found, in a sentence."""
        if len(self.unmeasured) == len(self.clips):
            return f"Nothing could be measured of {count(len(self.clips), 'clip')}"
        n_harmful, n_known = sum(not fault.is_harmless for fault in self.faults), len(self.known)
        n_follows = sum(one.follows for one in self.known)
        if not n_known:
            return f"None of {count(n_harmful, 'fault')} could be measured"
        text = f"{n_follows} of {count(n_known, 'planted fault')} {'is' if n_follows == 1 else 'are'} followed by the "
        text += "metric that is meant to see " + ("it" if n_follows == 1 else "them")
        if n_known < n_harmful:
            text += f"; {n_harmful - n_known} more could not be measured"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as ``--json`` writes it."""
        return {"headline": self.headline, "dead_bands": self.dead_bands, **asdict(self)}

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json_text(self.to_dict())


def round_up(value: float) -> float:
    """Round a positive number up to two significant digits.

    >>> round_up(0.0412), round_up(19.99), round_up(2.0)
    (0.042, 20.0, 2.0)
    """
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    digits = max(0, 1 - math.floor(math.log10(value)))
    return round(math.ceil(value / step - 1e-9) * step, digits)


def make_card(
    clips: Sequence[str],
    faults: Sequence[Fault],
    readings: Sequence[Reading],
    *,
    seconds: float,
    kept: str | None = None,
) -> Validation:
    """Draw up what readings show.

    Parameters
    ----------
    clips : sequence of str
    faults : sequence of Fault
        That were to be planted.
    readings : sequence of Reading
        What was measured of them by now.
    seconds : float
    kept : str or None
    """
    unmeasured = {one.clip: one.error for one in readings if one.fault == ORIGINAL and one.error}
    measured = {one.clip for one in readings} - unmeasured.keys()
    table = _Table([clip for clip in clips if clip in measured], readings, has_mark=plants_mark(faults))
    spreads = {name: _spreads(name, faults, table) for name in metrics_of(faults)}
    cards = tuple(_fault_card(fault, faults, table, spreads) for fault in faults)
    steadiness = tuple(_steadiness(name, found) for name, found in spreads.items() if found)
    n_planned = len(clips) + (len(clips) - len(unmeasured)) * sum(
        len(fault.doses) for fault in (*bases_of(faults), *faults)
    )
    return Validation(
        tuple(clips), unmeasured, cards, steadiness, len(readings), n_planned, round(seconds, 1), kept
    )


class _Table:
    """What was measured, by clip, fault and dose."""

    def __init__(self, clips: Sequence[str], readings: Sequence[Reading], *, has_mark: bool) -> None:
        self.clips = clips
        self._has_mark = has_mark
        self._readings = {(one.clip, one.fault, one.dose): one for one in readings}

    def value(self, name: str, clip: str, fault: str, dose: float = 0.0) -> tuple[float | None, str]:
        """Return a value, or the reason why there is none."""
        reading = self._readings.get((clip, fault, dose))
        if reading is None:
            return None, "interrupted before it was measured"
        if reading.error:
            return None, reading.error
        if name in reading.values:
            return reading.values[name], ""
        return None, reading.reasons.get(name, "not measured")

    def has_harmless(self, clip: str, faults: Sequence[Fault]) -> bool:
        """Return whether every harmless change was tried: of some of them the most says little."""
        harmless = [AS_SHOWN, AS_RECORDED, *(fault for fault in faults if fault.is_harmless)]
        return all((clip, fault.name, dose) in self._readings for fault in harmless for dose in fault.doses)

    def base(self, name: str, clip: str, fault: Fault) -> tuple[float | None, str]:
        """Return the value without the fault, written in the same way."""
        return self.value(name, clip, base_of(fault, has_mark=self._has_mark).name)


@dataclass(frozen=True, slots=True)
class _Moves:
    """How far harmless changes moved a metric in a clip."""

    most: float
    worst: str
    n: int


def _spreads(name: str, faults: Sequence[Fault], table: _Table) -> dict[str, _Moves]:
    found = {}
    for clip in table.clips:
        if not table.has_harmless(clip, faults):
            continue
        moves = [
            (abs(value - base), f"{fault.title}, {fault.write(dose)}")
            for fault in faults
            if fault.is_harmless and name not in fault.may_move
            for base in (table.base(name, clip, fault)[0],)
            for dose in fault.doses
            for value in (table.value(name, clip, fault.name, dose)[0],)
            if base is not None and value is not None
        ]
        original, _ = table.value(name, clip, ORIGINAL)
        for as_it_is in (AS_SHOWN, AS_RECORDED):
            value, _ = table.value(name, clip, as_it_is.name)
            if original is not None and value is not None:
                moves.append((abs(value - original), as_it_is.title))
        if moves:
            most, worst = max(moves)
            found[clip] = _Moves(most, worst, len(moves))
    return found


def _fault_card(
    fault: Fault, faults: Sequence[Fault], table: _Table, spreads: Mapping[str, Mapping[str, _Moves]]
) -> FaultCard:
    roles = dict.fromkeys(metrics_of(faults) if fault.is_harmless else metrics_of([fault]), SHOWN)
    if fault.is_harmless:
        roles = {name: SHOWN if name in fault.may_move else STEADY for name in roles}
    roles |= dict.fromkeys(fault.steady, STEADY)
    if fault.sees:
        roles[fault.sees] = MEANT
    return FaultCard(
        fault.name,
        fault.title,
        fault.unit,
        fault.doses,
        fault.is_harmless,
        tuple(_response(name, role, fault, table, spreads.get(name, {})) for name, role in roles.items()),
    )


def _response(name: str, role: str, fault: Fault, table: _Table, spreads: Mapping[str, _Moves]) -> Response:
    known = installed_metrics()
    if name not in known:
        return Response(name, "", "", role, fault.way, (), reason=f"no evaluator here measures {name}")
    metric, _ = known[name]
    own = tuple(
        _clip_response(_Answer(name, role, fault, clip), table, spreads.get(clip)) for clip in table.clips
    )
    measured = [clip for clip in own if clip.tau is not None]
    if not measured:
        reasons = list(dict.fromkeys(clip.reason for clip in own if clip.reason)) or ["no clip was measured"]
        return Response(name, metric.unit, metric.better, role, fault.way, own, reason="; ".join(reasons))
    taus = [clip.tau for clip in measured if clip.tau is not None]
    n_seen = tuple(
        sum(clip.smallest_seen in fault.doses[: place + 1] for clip in measured)
        for place in range(len(fault.doses))
    )
    seen = [dose for dose, n in zip(fault.doses, n_seen, strict=True) if n >= _enough(len(measured))]
    shares = [clip.moved_share for clip in measured if clip.moved_share is not None]
    return Response(
        name,
        metric.unit,
        metric.better,
        role,
        fault.way,
        own,
        tuple(_mean_effect(measured, place) for place in range(len(fault.doses))),
        n_seen,
        float(np.mean(taus)),
        min(taus),
        seen[0] if seen else None,
        max(shares, default=None),
    )


def _enough(n: int) -> int:
    """Return how many of n clips stand for all of them."""
    return n if n < 20 else math.ceil(SHARE_OF_CLIPS * n)


def _mean_effect(
    clips: Sequence[ClipResponse], place: int
) -> tuple[float, float | None, float | None] | None:
    effects = [effect for clip in clips if (effect := clip.points[place].effect) is not None]
    if not effects:
        return None
    interval: Interval | None = estimate_mean(np.array(effects)).interval
    low, high = (None, None) if interval is None else interval
    return float(np.mean(effects)), low, high


def _effect(change: float, way: str, role: str) -> float:
    """Return a change, positive the way it is meant; of what must not move, its size."""
    if role == STEADY:
        return abs(change)
    return change if way == "up" else -change


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is asked: a metric, what it is meant to do, of which fault in which clip."""

    name: str
    role: str
    fault: Fault
    clip: str


def _clip_response(asked: _Answer, table: _Table, moves: _Moves | None) -> ClipResponse:
    name, fault, clip = asked.name, asked.fault, asked.clip
    base, why = table.base(name, clip, fault)
    found = [table.value(name, clip, fault.name, dose) for dose in fault.doses]
    if base is None:
        return ClipResponse(clip, None, reason=why)
    reasons = [why for value, why in found if value is None]
    if len(reasons) >= len(found) / 2:
        return ClipResponse(clip, base, reason=reasons[0])
    effects = [None if value is None else _effect(value - base, fault.way, asked.role) for value, _ in found]
    spread = None if moves is None else moves.most
    n_unseen = _first_seen(effects, spread)
    points = tuple(
        Point(dose, value, effect, place >= n_unseen and effect is not None, reason)
        for place, (dose, (value, reason), effect) in enumerate(zip(fault.doses, found, effects, strict=True))
    )
    smallest = next((point for point in points if point.is_seen), None)
    share = None
    if smallest is not None and smallest.effect and spread is not None:
        share = spread / smallest.effect
    return ClipResponse(
        clip,
        base,
        points,
        spread,
        kendall(effects),
        None if smallest is None else smallest.dose,
        share,
    )


def kendall(effects: Sequence[float | None]) -> float:
    """Return Kendall's tau-b of the order of doses, from none on, and their effects; 0 where all effects are equal.

    >>> kendall([1.0, 2.0, 3.0, 2.5, 5.0])
    0.8666666666666667
    """
    known = [(place + 1.0, effect) for place, effect in enumerate(effects) if effect is not None]
    doses, values = (np.array(row) for row in zip((0.0, 0.0), *known, strict=True))
    return 0.0 if np.ptp(values) == 0.0 else correlate(doses, values, Coefficient.KENDALL)


def _first_seen(effects: Sequence[float | None], spread: float | None) -> int:
    """Return how many of the doses, from the mildest on, are not surely seen; a dose without a value is passed over."""
    if spread is None:
        return len(effects)
    least = LEAST_SPREADS * spread
    unseen = [place for place, effect in enumerate(effects) if effect is not None and effect <= least]
    return max(unseen, default=-1) + 1


def _steadiness(name: str, found: Mapping[str, _Moves]) -> Steadiness:
    metric, _ = installed_metrics()[name]
    ordered = sorted(found.items(), key=lambda item: item[1].most)
    clip, worst = ordered[_enough(len(ordered)) - 1]
    return Steadiness(
        name,
        metric.unit,
        metric.better,
        {clip: moves.most for clip, moves in found.items()},
        worst.worst,
        clip,
        sum(moves.n for moves in found.values()),
        worst.most,
    )
