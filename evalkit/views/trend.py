"""Each gate from release to release: its value with the interval, the limit, and what changed since the last release."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from evalkit.types import Better
from evalkit.views.figure import FigureView
from evalkit.views.gate import GateView
from evalkit.views.run_digest import GateDigest, RunDigest
from evalkit.views.view import View


class Change(StrEnum):
    """What is known of a value against that of the last release."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "not told apart"
    BOTH_WITHIN = "both within"
    """Both lie in the band that is asked for, where neither is better, however far they are from each other."""
    OTHER_VERSION = "other version"
    NOT_MEASURED = "not measured"
    NO_BASELINE = "no baseline"


@dataclass(frozen=True)
class TrendRun(View):
    """A run of the trend.

    Parameters
    ----------
    address : str
        By which whoever shows it finds it.
    name : str
    at : str
        ISO 8601: of its sign-off, where it is a release, else of its begin.
    generator, configuration : str
    is_release : bool
    """

    address: str
    name: str
    at: str
    generator: str
    configuration: str
    is_release: bool


@dataclass(frozen=True)
class TrendPoint(View):
    """One gate of one run.

    Parameters
    ----------
    place : int
        Of the run in `TrendView.runs`.
    gate : GateView or None
        None where the run's policy has no such gate.
    version : str
        Of the evaluator.
    joins : bool
        Whether a line leads here from the point before: both have a value, by the same version.
    """

    place: int
    gate: GateView | None
    version: str
    joins: bool

    @property
    def figure(self) -> FigureView | None:
        """What was judged."""
        return None if self.gate is None else self.gate.figure


@dataclass(frozen=True)
class TrendLine(View):
    """One gate over all runs.

    Parameters
    ----------
    metric, unit : str
    better : {"lower", "higher", "zero", "band"}
    latest : GateView
        Of the newest run that has it: with the limits that are drawn.
    points : tuple of TrendPoint
        One a run.
    change : Change
        Of the newest run against the baseline.
    difference : float or None
        Newest less baseline; None where they cannot be compared.
    has_other_limits : bool
        Whether the limit was another in any earlier run.
    """

    metric: str
    unit: str
    better: Better
    latest: GateView
    points: tuple[TrendPoint, ...]
    change: Change
    difference: float | None
    has_other_limits: bool

    @property
    def newest(self) -> TrendPoint:
        """The point of the newest run."""
        return self.points[-1]

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of the evaluator, in their order."""
        return tuple(dict.fromkeys(point.version for point in self.points if point.figure is not None))


@dataclass(frozen=True)
class TrendView(View):
    """Gates over runs.

    Parameters
    ----------
    runs : tuple of TrendRun
        The oldest first.
    baseline : int or None
        Place of the run that the newest is held against: the last release before it. None without any.
    lines : tuple of TrendLine
        In the order of the newest policy.
    """

    runs: tuple[TrendRun, ...]
    baseline: int | None
    lines: tuple[TrendLine, ...]


def trend_view(found: Sequence[tuple[TrendRun, RunDigest]], *, releases_only: bool = False) -> TrendView:
    """Return each gate over runs.

    Parameters
    ----------
    found : sequence of (TrendRun, RunDigest)
        In any order. Those that are not judged are left out.
    releases_only : bool
        Leave out what was never released; what came after the last release stays, as that is what is asked about.

    >>> trend_view([]).lines
    ()
    """
    judged = sorted(
        ((run, digest) for run, digest in found if digest.gates),
        key=lambda pair: (_moment(pair[0].at), pair[0].address),
    )
    if releases_only:
        last = max((place for place, (run, _) in enumerate(judged) if run.is_release), default=-1)
        judged = [pair for place, pair in enumerate(judged) if pair[0].is_release or place > last]
    runs = tuple(run for run, _ in judged)
    if not runs:
        return TrendView((), None, ())
    baseline = max((place for place, run in enumerate(runs[:-1]) if run.is_release), default=None)
    names = dict.fromkeys(one.gate.metric for _, digest in reversed(judged) for one in _of_metrics(digest))
    gates = {
        name: [
            next((one for one in _of_metrics(digest) if one.gate.metric == name), None)
            for _, digest in judged
        ]
        for name in names
    }
    return TrendView(runs, baseline, tuple(_line(own, baseline) for own in gates.values()))


def _of_metrics(digest: RunDigest) -> list[GateDigest]:
    return [one for one in digest.gates if one.gate.figure is not None]


def _line(gates: Sequence[GateDigest | None], baseline: int | None) -> TrendLine:
    there = [gate for gate in gates if gate is not None]
    latest = there[-1]
    points: list[TrendPoint] = []
    before: GateDigest | None = None
    for place, gate in enumerate(gates):
        if gate is None:
            points.append(TrendPoint(place, None, "", False))
            before = None
            continue
        joins = before is not None and _are_comparable(before, gate)
        points.append(TrendPoint(place, gate.gate, gate.version, joins))
        before = gate
    then = None if baseline is None else gates[baseline]
    change, difference = _change(then, gates[-1], has_baseline=baseline is not None)
    return TrendLine(
        metric=latest.gate.metric,
        unit=latest.figure.unit,
        better=latest.figure.better,
        latest=latest.gate,
        points=tuple(points),
        change=change,
        difference=difference,
        has_other_limits=any(_limits(one) != _limits(latest) for one in there),
    )


def _limits(one: GateDigest) -> tuple[float | None, float | None]:
    return one.gate.at_least, one.gate.at_most


def _are_comparable(a: GateDigest, b: GateDigest) -> bool:
    """Say whether two values are of one measure: both there, of one version, unit and reducer."""
    one, other = a.figure, b.figure
    return (
        None not in {one.value, other.value}
        and a.version == b.version
        and (one.unit, one.reducer) == (other.unit, other.reducer)
    )


def _change(
    then: GateDigest | None, now: GateDigest | None, *, has_baseline: bool
) -> tuple[Change, float | None]:
    """Say what is known of a change; where intervals overlap, or one is missing, it is not told apart.

    The runs need not share an input, so this is coarser than `evalkit compare`, and errs on the side of "not told apart".
    """
    if not has_baseline:
        return Change.NO_BASELINE, None
    values = [None if gate is None else gate.figure.value for gate in (then, now)]
    if then is None or now is None or values[0] is None or values[1] is None:
        return Change.NOT_MEASURED, None
    if not _are_comparable(then, now):
        return Change.OTHER_VERSION, None
    return _rank(then, now), values[1] - values[0]


def _rank(then: GateDigest, now: GateDigest) -> Change:
    if then.figure.interval is None or now.figure.interval is None:
        return Change.OPEN
    low, high = _badness(then.figure.interval, now)
    low_now, high_now = _badness(now.figure.interval, now)
    if now.figure.better == "band" and high == high_now == 0:
        return Change.BOTH_WITHIN
    if low <= high_now and low_now <= high:
        return Change.OPEN
    return Change.BETTER if high_now < low else Change.WORSE


def _badness(interval: tuple[float, float], gate: GateDigest) -> tuple[float, float]:
    """Return an interval of how bad a value is: lower is better, 0 the best there can be where the best is in a band.

    >>> from evalkit.decisions.judge import Grade
    >>> def gate(better, low=None, high=None):
    ...     figure = FigureView("m", "1", better, 0.0, None, 9, 9, "clips")
    ...     return GateDigest(GateView("m", "", "hard", Grade.PASSES, "pass", figure, 9, 9, "", "", at_least=low, at_most=high), "1")
    >>> _badness((1.0, 2.0), gate("higher")), _badness((-2.0, 1.0), gate("zero")), _badness((1.0, 6.0), gate("band", 2.0, 5.0))
    ((-2.0, -1.0), (0.0, 2.0), (0.0, 1.0))
    """
    low, high = interval
    match gate.figure.better:
        case "lower":
            return low, high
        case "higher":
            return -high, -low
        case "zero":
            ends = sorted((abs(low), abs(high)))
            return (0.0 if low <= 0 <= high else ends[0]), ends[1]
        case _:
            ends = sorted((_beyond(low, gate), _beyond(high, gate)))
            return (0.0 if _reaches_into(interval, gate) else ends[0]), ends[1]


def _beyond(value: float, gate: GateDigest) -> float:
    under = 0.0 if gate.gate.at_least is None else gate.gate.at_least - value
    over = 0.0 if gate.gate.at_most is None else value - gate.gate.at_most
    return max(0.0, under, over)


def _reaches_into(interval: tuple[float, float], gate: GateDigest) -> bool:
    low, high = interval
    return (gate.gate.at_most is None or low <= gate.gate.at_most) and (
        gate.gate.at_least is None or high >= gate.gate.at_least
    )


def _moment(at: str) -> float:
    """Return a time to sort by; one that cannot be read comes first."""
    try:
        moment = dt.datetime.fromisoformat(at)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
