"""What each trial of a sweep will need, and whether it can fit: from the user's own trials, else from known figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from evalkit import registry
from evalkit.errors import ClipError
from evalkit.forecast.estimates import ResourceEstimate, estimate_resources
from evalkit.forecast.history import PastTrial, Work, count_frames, kind_of, read_past, work_of
from evalkit.forecast.regression import Forecast, forecast
from evalkit.runs import Run, SkippedTrial
from evalkit.runs.layout import RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from evalkit.forecast.estimates import MemoryEstimate
    from evalkit.sweeps.plan import PlannedTrial
    from evalkit.sweeps.prepare import SweepPlan

Fit = Literal["fits", "does not fit", "disputed", "not known"]
MIB_PER_GB = 1024.0
"""As torch and nvidia-smi print it."""


@dataclass(frozen=True, slots=True)
class AvailableMemory:
    """The memory there is.

    Parameters
    ----------
    gpus_mib : tuple of float
        What each GPU has free, the largest first; empty where there are none.
    memory_mib : float
        Of the machine.
    given : bool
        Whether the memory of the GPUs was told rather than read: then there are as many as are needed.
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
    trial : PlannedTrial
    fit : Fit
        ``disputed`` where known figures disagree, or a range spans the limit.
    why : str
        What the verdict rests on, with its numbers.
    memory : Forecast or None
        MiB of the fullest GPU, from own trials.
    rss : Forecast or None
        MiB of the machine's memory, from own trials.
    accounts : tuple of Account
        What others reckon.
    seconds : Forecast or None
        To make and measure.
    literature : Forecast or None
        Seconds to make it by rates that others gave, where no own trial tells; on their machines.
    """

    trial: PlannedTrial
    fit: Fit
    why: str
    memory: Forecast | None
    rss: Forecast | None
    accounts: tuple[MemoryEstimate, ...]
    seconds: Forecast | None
    literature: Forecast | None

    @property
    def is_unfit(self) -> bool:
        """Whether it cannot fit."""
        return self.fit == "does not fit"


@dataclass(frozen=True, slots=True)
class SweepForecast:
    """What a sweep will need.

    Parameters
    ----------
    needs : list of Need
        One a trial.
    start_s : float
        Seconds that each worker takes to load before its first trial, as own sweeps did; 0 where none tells.
    """

    needs: list[TrialForecast]
    start_s: float

    def total_s(self, done: Collection[str], n_workers: int) -> float | None:
        """Return the seconds that all takes which is not done, can fit, and is known; None where nothing is known.

        Parameters
        ----------
        done : collection of str
            Ids of trials that need not be done.
        n_workers : int
            Videos made at once.
        """
        known = [need.seconds.value for need in self.left(done) if need.seconds is not None]
        return self.start_s + sum(known) / n_workers if known else None

    def left(self, done: Collection[str]) -> list[TrialForecast]:
        """List what is not done and can fit."""
        return [need for need in self.needs if not need.is_unfit and need.trial.id not in done]


def read_available_memory(gpu_memory_gb: float | None) -> AvailableMemory:
    """Look how much memory there is; the GPUs have what is told, if something is.

    Parameters
    ----------
    gpu_memory_gb : float or None
        Usable by each GPU, 1 GB being 1024 MiB.
    """
    import psutil

    memory_mib = psutil.virtual_memory().total / 2**20
    if gpu_memory_gb is not None:
        return AvailableMemory((gpu_memory_gb * MIB_PER_GB,), memory_mib, given=True)
    from evalkit.profiling.nvml import Gpus

    gpus = Gpus()
    gpus.close()
    free = sorted((one["total_mib"] - one["baseline_mib"] for one in gpus.described), reverse=True)
    return AvailableMemory(tuple(free), memory_mib)


def find_infeasible(
    preparation: SweepPlan, folder: Path, trials: Sequence[PlannedTrial]
) -> dict[str, SkippedTrial]:
    """Return the trials that cannot fit, by id; none unless ``execution.skip_unfit`` says so.

    Parameters
    ----------
    preparation : SweepPlan
    folder : Path
        Of the run: what was measured in it counts for more than known figures.
    trials : sequence of PlannedTrial
        Those that are to be done.
    """
    execution = preparation.config.execution
    if not execution.skip_unfit:
        return {}
    runs = [Run.open(folder)] if (folder / RUN_FILE).is_file() else []
    outlook = forecast_sweep(preparation, runs, read_available_memory(execution.gpu_memory_gb))
    wanted = {trial.id for trial in trials}
    unfit = [one for one in outlook.needs if one.is_unfit and one.trial.id in wanted]
    return {one.trial.id: SkippedTrial(one.trial.params, one.why) for one in unfit}


def forecast_sweep(preparation: SweepPlan, runs: Sequence[Run], room: AvailableMemory) -> SweepForecast:
    """Say of a sweep, and of each of its trials, what it will need.

    Parameters
    ----------
    preparation : SweepPlan
    runs : sequence of Run
        Own trials are taken from them, those of the same generator with the same settings.
    room : AvailableMemory
    """
    factory = registry.load(registry.GENERATORS, preparation.config.generator.name)
    generator = factory(**preparation.config.generator.settings)
    past = read_past(runs, preparation.generator)
    lengths = {trial.speech: trial.speech_s for trial in past if trial.speech is not None}
    needs = [_forecast(generator, trial, past, lengths, room) for trial in preparation.trials]
    return SweepForecast(needs, max((one.start_s for one in past), default=0.0))


def _forecast(
    generator: Any,
    trial: PlannedTrial,
    past: Sequence[PastTrial],
    lengths: Mapping[str, float | None],
    room: AvailableMemory,
) -> TrialForecast:
    request: dict[str, Any] = generator.request(**trial.request).to_dict()
    try:
        known = estimate_resources(generator, trial.request)
    except ValueError as error:
        if not hasattr(error, "kind"):  # no refusal but a fault in the program
            raise
        return TrialForecast(trial, "not known", f"it would be refused: {error}", None, None, (), None, None)
    speech_s = _speech_s(trial, lengths)
    work = work_of(request, None if speech_s is None else count_frames(request, speech_s))
    same = [one for one in past if one.kind == kind_of(request)]
    memory = _of_pixels(same, work, lambda one: one.gpu_mib)
    rss = _of_pixels(same, work, lambda one: one.rss_mib)
    fit, why = _judge(memory, rss, known, room)
    return TrialForecast(
        trial=trial,
        fit=fit,
        why=why,
        memory=memory,
        rss=rss,
        accounts=known.memory,
        seconds=_seconds(generator, same, past, work, known),
        literature=_literature(work, known),
    )


def _speech_s(trial: PlannedTrial, lengths: Mapping[str, float | None]) -> float | None:
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
    points = [(one.work.pixels, value) for one in past if (value := took(one)) is not None]
    same = [value for pixels, value in points if pixels == work.pixels]
    if same:
        return Forecast(
            max(same), min(same), max(same), len(same), f"highest of {len(same)} of the same size"
        )
    return forecast(points, work.pixels)


def _seconds(
    generator: Any, same: Sequence[PastTrial], past: Sequence[PastTrial], work: Work, known: ResourceEstimate
) -> Forecast | None:
    found = _of_work(same, work)
    if found is not None:
        return found
    others = [one for one in past if one.work.steps == work.steps]
    factors = {id(one): _factor_of(generator, one) for one in others}
    if not any(factor != known.factor for factor in factors.values()):
        return None
    plain = [
        replace(one, seconds=one.seconds / factors[id(one)]) for one in others if one.seconds is not None
    ]
    found = _of_work(plain, work)
    if found is None:
        return None
    return replace(found.times(known.factor), how=f"{found.how}, times known factors")


def _of_work(past: Sequence[PastTrial], work: Work) -> Forecast | None:
    if work.amount is None:
        alike = [one for one in past if (one.work.pixels, one.work.steps) == (work.pixels, work.steps)]
        found = forecast([(1.0, one.seconds) for one in alike if one.seconds is not None], 1.0)
        return None if found is None else replace(found, how=f"{found.how}, of other speech")
    points = [(one.work.amount, one.seconds) for one in past if one.work.amount and one.seconds is not None]
    return forecast(points, work.amount)


def _factor_of(generator: Any, one: PastTrial) -> float:
    return estimate_resources(generator, one.request).factor


def _literature(work: Work, known: ResourceEstimate) -> Forecast | None:
    if work.n_frames is None or not known.rates:
        return None
    times_s = [known.factor * work.n_frames / rate.frames_per_s for rate in known.rates]
    how = "; ".join(f"{rate.name}: {rate.source}" for rate in known.rates)
    return Forecast(max(times_s), min(times_s), max(times_s), len(times_s), how)


def _judge(
    memory: Forecast | None, rss: Forecast | None, known: ResourceEstimate, room: AvailableMemory
) -> tuple[Fit, str]:
    """Say whether it fits: own trials count for more than what others reckon."""
    if not room.gpus_mib:
        return (
            _judge_own(rss, room.memory_mib, "of memory here")
            if rss
            else ("not known", "no GPU, no own trials")
        )
    have_mib = room.of_each(known.n_gpus)
    if have_mib is None:
        return "does not fit", f"needs {known.n_gpus} GPUs, {len(room.gpus_mib)} here"
    if memory is not None:
        return _judge_own(memory, have_mib, "a GPU")
    if not known.memory:
        return "not known", "no own trials and no known figures"
    phases = dict.fromkeys(one.phase for one in known.memory)
    verdicts = {phase: _judge_phase(phase, known, have_mib) for phase in phases}
    fit: Fit = "disputed"
    if "does not fit" in verdicts.values():
        fit = "does not fit"
    elif set(verdicts.values()) == {"fits"}:
        fit = "fits"
    have = f"{have_mib / MIB_PER_GB:.2f} GB a GPU"
    if fit == "disputed":
        return fit, f"known figures disagree, or reach across {have}"
    told = [one for one in known.memory if verdicts[one.phase] == fit]
    return fit, f"{'; '.join(map(describe_account, told))}, against {have}"


def _judge_phase(phase: str, known: ResourceEstimate, have_mib: float) -> Fit:
    """Judge rival reckonings of one phase: a verdict only where all of them agree."""
    fits = {_compare(one.low_mib, one.high_mib, have_mib) for one in known.memory if one.phase == phase}
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


def describe_account(account: MemoryEstimate) -> str:
    """Write an account for people: phase, parts, sum and source."""
    parts = [f"{part.name} {_gb(part.low_mib, part.high_mib, unit='')}" for part in account.parts]
    total = f" = {_gb(account.low_mib, account.high_mib)}" if len(parts) > 1 else " GB"
    return f"{account.phase}: {' + '.join(parts)}{total} ({account.source})"


def _gb(low_mib: float, high_mib: float, unit: str = " GB") -> str:
    """Write a range of memory.

    >>> _gb(22528.0, 22528.0), _gb(12288.0, 15360.0)
    ('22.00 GB', '12.00–15.00 GB')
    """
    low, high = low_mib / MIB_PER_GB, high_mib / MIB_PER_GB
    return f"{low:.2f}{unit}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f}–{high:.2f}{unit}"
