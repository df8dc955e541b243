"""What each trial of a sweep will need, and whether it can fit: from the user's own trials, else from known estimates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from evalkit.errors import ClipError
from evalkit.forecast.history import PastTrial, Work, count_frames, kind_of, read_past, work_of
from evalkit.forecast.regression import Forecast, forecast
from evalkit.runs import Run
from pipeline.errors import RequestError
from pipeline.generator import load_generator
from pipeline.gpus import read_gpus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from evalkit.runs import Input, Run
    from pipeline.estimates import MemoryEstimate, ResourceEstimate
    from pipeline.generator import Generator

Fit = Literal["fits", "does not fit", "disputed", "not known"]
MIB_PER_GB = 1024.0
"""As torch and nvidia-smi print it."""


class Planned(Protocol):
    """A trial before it is done, as far as a forecast looks at it."""

    @property
    def id(self) -> str:
        """Its id in the run."""

    @property
    def params(self) -> Mapping[str, Any]:
        """What was asked beside inputs and seed."""

    @property
    def portrait(self) -> Input | None:
        """Portrait, if there is one."""

    @property
    def speech(self) -> Input | None:
        """Speech, if there is one."""

    @property
    def seed(self) -> int | None:
        """Seed, if there is one."""

    @property
    def request(self) -> Mapping[str, Any]:
        """Everything that goes to the generator."""


@dataclass(frozen=True, slots=True)
class AvailableMemory:
    """The memory of this machine, or the memory that was given.

    Parameters
    ----------
    gpus_mib : tuple of float
        What each GPU has free, the largest first; empty where there are none.
    memory_mib : float
        Of the machine.
    given : bool
        Whether the memory of the GPUs was given rather than read: then there are as many as are needed.
    """

    gpus_mib: tuple[float, ...]
    memory_mib: float
    given: bool = False

    def of_each(self, n_gpus: int) -> float | None:
        """Return what the smallest of so many GPUs has; None where there are not so many."""
        if self.given:
            return self.gpus_mib[0]
        return self.gpus_mib[n_gpus - 1] if len(self.gpus_mib) >= n_gpus else None


@dataclass(frozen=True, slots=True)
class TrialForecast:
    """What one trial will need.

    Parameters
    ----------
    trial : Planned
    fit : Fit
        ``disputed`` where known estimates disagree, or a range spans the limit.
    why : str
        What the verdict rests on, with its numbers.
    memory : Forecast or None
        MiB of the fullest GPU, from own trials.
    rss : Forecast or None
        MiB of the machine's memory, from own trials.
    estimates : tuple of MemoryEstimate
        What others measured and reckoned.
    seconds : Forecast or None
        To make and measure.
    literature : Forecast or None
        Seconds to make it by rates that others measured on their machines, where there is no own trial.
    """

    trial: Planned
    fit: Fit
    why: str
    memory: Forecast | None
    rss: Forecast | None
    estimates: tuple[MemoryEstimate, ...]
    seconds: Forecast | None
    literature: Forecast | None

    @property
    def is_infeasible(self) -> bool:
        """Whether it cannot fit."""
        return self.fit == "does not fit"


@dataclass(frozen=True, slots=True)
class SweepForecast:
    """What a sweep will need.

    Parameters
    ----------
    trials : list of TrialForecast
        In the order of the plan.
    start_s : float
        Seconds that each worker takes to load before its first trial, as own sweeps did; 0 where there is none.
    """

    trials: list[TrialForecast]
    start_s: float

    def total_s(self, done: Collection[str], n_workers: int) -> float | None:
        """Return the seconds of all that is not done, can fit, and is known; None where nothing is known.

        Parameters
        ----------
        done : collection of str
            Ids of trials that need not be done.
        n_workers : int
            Videos made at once.
        """
        known = [found.seconds.value for found in self.pending(done) if found.seconds is not None]
        return self.start_s + sum(known) / n_workers if known else None

    def pending(self, done: Collection[str]) -> list[TrialForecast]:
        """List what is not done and can fit."""
        return [found for found in self.trials if not found.is_infeasible and found.trial.id not in done]


def read_available_memory(gpu_memory_gb: float | None) -> AvailableMemory:
    """Read how much memory is free; where the memory of the GPUs is given, it is not read.

    Parameters
    ----------
    gpu_memory_gb : float or None
        Usable by each GPU, 1 GB being 1024 MiB.
    """
    import psutil

    memory_mib = psutil.virtual_memory().total / 2**20
    if gpu_memory_gb is not None:
        return AvailableMemory((gpu_memory_gb * MIB_PER_GB,), memory_mib, given=True)
    gpus, _ = read_gpus()
    free = sorted((gpu.free_mib for gpu in gpus), reverse=True)
    return AvailableMemory(tuple(free), memory_mib)


def forecast_trials(
    generator: Mapping[str, Any],
    trials: Sequence[Planned],
    runs: Sequence[Run],
    available: AvailableMemory,
) -> SweepForecast:
    """Forecast what each of a generator's trials will need.

    Parameters
    ----------
    generator : mapping
        ``name`` and ``settings``.
    trials : sequence of Planned
    runs : sequence of Run
        Own trials are taken from them, those of the same generator with the same settings.
    available : AvailableMemory

    Raises
    ------
    RequestError
        If the generator cannot be set up.
    """
    maker = load_generator(generator["name"], generator["settings"])
    past = read_past(runs, generator)
    lengths = {trial.speech: trial.speech_s for trial in past if trial.speech is not None}
    found = [_forecast(maker, trial, past, lengths, available) for trial in trials]
    return SweepForecast(found, max((trial.start_s for trial in past), default=0.0))


def _forecast(
    generator: Generator,
    trial: Planned,
    past: Sequence[PastTrial],
    lengths: Mapping[str, float | None],
    available: AvailableMemory,
) -> TrialForecast:
    wanted = generator.request(**trial.request)
    request = wanted.to_dict()
    try:
        known = generator.estimate(wanted)
    except RequestError as error:
        return TrialForecast(trial, "not known", f"it would be refused: {error}", None, None, (), None, None)
    speech_s = _speech_s(trial, lengths)
    work = work_of(request, None if speech_s is None else count_frames(request, speech_s))
    same = [other for other in past if other.kind == kind_of(request)]
    memory = _of_pixels(same, work, lambda trial: trial.gpu_mib)
    rss = _of_pixels(same, work, lambda trial: trial.rss_mib)
    fit, why = _judge(memory, rss, known, available)
    return TrialForecast(
        trial=trial,
        fit=fit,
        why=why,
        memory=memory,
        rss=rss,
        estimates=known.memory,
        seconds=_seconds(generator, same, past, work, known),
        literature=_literature(work, known),
    )


def _speech_s(trial: Planned, lengths: Mapping[str, float | None]) -> float | None:
    """Return how long the speech is: of a sound file as it says, of a text as it was when it was spoken before."""
    if trial.speech is None:
        return None
    if trial.speech.path is not None:
        from evalkit.media.probe import probe

        try:
            audio = probe(trial.speech.path).audio
        except ClipError:
            return None
        return None if audio is None else audio.announced_duration_s
    return lengths.get(trial.speech.content)


def _of_pixels(
    past: Sequence[PastTrial], work: Work, took: Callable[[PastTrial], float | None]
) -> Forecast | None:
    """Forecast memory, which grows with the picture: of the same size the highest that was seen."""
    points = [(trial.work.pixels, value) for trial in past if (value := took(trial)) is not None]
    same = [value for pixels, value in points if pixels == work.pixels]
    if same:
        return Forecast(
            max(same), min(same), max(same), len(same), f"highest of {len(same)} of the same size"
        )
    return forecast(points, work.pixels)


def _seconds(
    generator: Generator,
    same: Sequence[PastTrial],
    past: Sequence[PastTrial],
    work: Work,
    known: ResourceEstimate,
) -> Forecast | None:
    found = _of_work(same, work)
    if found is not None:
        return found
    others = [trial for trial in past if trial.work.steps == work.steps]
    factors = {id(trial): _factor_of(generator, trial) for trial in others}
    if not any(factor != known.factor for factor in factors.values()):
        return None
    plain = [
        replace(trial, seconds=trial.seconds / factors[id(trial)])
        for trial in others
        if trial.seconds is not None
    ]
    found = _of_work(plain, work)
    if found is None:
        return None
    return replace(found.times(known.factor), how=f"{found.how}, times known factors")


def _of_work(past: Sequence[PastTrial], work: Work) -> Forecast | None:
    if work.amount is None:
        alike = [
            trial for trial in past if (trial.work.pixels, trial.work.steps) == (work.pixels, work.steps)
        ]
        found = forecast([(1.0, trial.seconds) for trial in alike if trial.seconds is not None], 1.0)
        return None if found is None else replace(found, how=f"{found.how}, of other speech")
    points = [
        (trial.work.amount, trial.seconds)
        for trial in past
        if trial.work.amount and trial.seconds is not None
    ]
    return forecast(points, work.amount)


def _factor_of(generator: Generator, past: PastTrial) -> float:
    return generator.estimate(generator.request(**past.request)).factor


def _literature(work: Work, known: ResourceEstimate) -> Forecast | None:
    if work.n_frames is None or not known.rates:
        return None
    times_s = [known.factor * work.n_frames / rate.frames_per_s for rate in known.rates]
    how = "; ".join(f"{rate.name}: {rate.source}" for rate in known.rates)
    return Forecast(max(times_s), min(times_s), max(times_s), len(times_s), how)


def _judge(
    memory: Forecast | None, rss: Forecast | None, known: ResourceEstimate, available: AvailableMemory
) -> tuple[Fit, str]:
    """Judge whether it fits: own trials count for more than what others reckon."""
    if not available.gpus_mib:
        return (
            _judge_own(rss, available.memory_mib, "of memory here")
            if rss
            else ("not known", "no GPU, no own trials")
        )
    have_mib = available.of_each(known.n_gpus)
    if have_mib is None:
        return "does not fit", f"needs {known.n_gpus} GPUs, {len(available.gpus_mib)} here"
    if memory is not None:
        return _judge_own(memory, have_mib, "a GPU")
    if not known.memory:
        return "not known", "no own trials and no known estimates"
    phases = dict.fromkeys(estimate.phase for estimate in known.memory)
    verdicts = {phase: _judge_phase(phase, known, have_mib) for phase in phases}
    fit: Fit = "disputed"
    if "does not fit" in verdicts.values():
        fit = "does not fit"
    elif set(verdicts.values()) == {"fits"}:
        fit = "fits"
    have = f"{have_mib / MIB_PER_GB:.2f} GB a GPU"
    if fit == "disputed":
        return fit, f"known estimates disagree, or span {have}"
    decisive = [estimate for estimate in known.memory if verdicts[estimate.phase] == fit]
    return fit, f"{'; '.join(map(describe_estimate, decisive))}, against {have}"


def _judge_phase(phase: str, known: ResourceEstimate, have_mib: float) -> Fit:
    """Judge rival estimates of one phase: a verdict only where all of them agree."""
    rivals = [estimate for estimate in known.memory if estimate.phase == phase]
    fits = {_compare(estimate.low_mib, estimate.high_mib, have_mib) for estimate in rivals}
    return fits.pop() if len(fits) == 1 else "disputed"


def _judge_own(own: Forecast, have_mib: float, where: str) -> tuple[Fit, str]:
    low, high = (own.value if edge is None else edge for edge in (own.low, own.high))
    return (
        _compare(low, high, have_mib),
        f"{_gb(low, high)} against {have_mib / MIB_PER_GB:.2f} GB {where}: {own.how}",
    )


def _compare(low_mib: float, high_mib: float, have_mib: float) -> Fit:
    if low_mib > have_mib:
        return "does not fit"
    return "fits" if high_mib <= have_mib else "disputed"


def describe_estimate(estimate: MemoryEstimate) -> str:
    """Write an estimate for people: phase, parts, sum and source."""
    parts = [f"{part.name} {_gb(part.low_mib, part.high_mib, unit='')}" for part in estimate.parts]
    total = f" = {_gb(estimate.low_mib, estimate.high_mib)}" if len(parts) > 1 else " GB"
    return f"{estimate.phase}: {' + '.join(parts)}{total} ({estimate.source})"


def _gb(low_mib: float, high_mib: float, unit: str = " GB") -> str:
    """Write a range of memory.

    >>> _gb(22528.0, 22528.0), _gb(12288.0, 15360.0)
    ('22.00 GB', '12.00–15.00 GB')
    """
    low, high = low_mib / MIB_PER_GB, high_mib / MIB_PER_GB
    return f"{low:.2f}{unit}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f}–{high:.2f}{unit}"
