"""The user's own finished trials, as far as they show what further ones will need."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from evalkit.formatting import count
from evalkit.profiling.machine import describe_machine
from evalkit.runs.machines import kind_of as machine_of
from evalkit.runs.machines import machine_kind
from evalkit.runs.records import DamagedFileError
from pipeline.events import SAVED
from pipeline.options import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.runs import Run, Trial

_INPUTS = {"audio", "text", "question", "question_audio", "language", "voice", "image", "base_seed"}
_WORK = {"size", "sample_steps", "num_clip", "infer_frames", "fps"}
_SIZE = re.compile(r"(\d+)\*(\d+)")
_GPU = re.compile(r"gpu\d+_mib")


@dataclass(frozen=True, slots=True)
class Work:
    """How much there is to do.

    Parameters
    ----------
    pixels, steps : float
        Of a frame; of the solver.
    n_frames : float or None
        None where the length of the speech is not known.
    """

    pixels: float
    steps: float
    n_frames: float | None

    @property
    def amount(self) -> float | None:
        """Pixels times steps times frames; None where the frames are not known."""
        return None if self.n_frames is None else self.pixels * self.steps * self.n_frames


@dataclass(frozen=True, slots=True)
class PastTrial:
    """A trial that gave a video.

    Parameters
    ----------
    run : str
        Where it stands.
    kind : str
        All parameters that are neither inputs nor an amount of work, as one text: trials of one kind can be compared.
    work : Work
    request : dict
        What was asked.
    seconds : float or None
        Making and measuring, loading apart where that is known.
    start_s : float
        Seconds it took beyond that because it was the first: models were loaded and warmed up.
    gpu_mib : float or None
        Peak of the fullest GPU by its own processes; None where none was used.
    rss_mib : float or None
        Peak of its processes' memory.
    speech_s : float or None
        Length of what was said.
    speech : str or None
        What was said, by its content.
    machine : str or None
        Kind of the machine that made it; None where nothing is known of it.
    """

    run: str
    kind: str
    work: Work
    request: dict[str, Any]
    seconds: float | None
    start_s: float
    gpu_mib: float | None
    rss_mib: float | None
    speech_s: float | None
    speech: str | None
    machine: str | None


def read_past(runs: Sequence[Run], generator: Mapping[str, Any]) -> list[PastTrial]:
    """Read the trials of a generator that gave a video, from runs.

    Parameters
    ----------
    runs : sequence of Run
        Their trials of the present grid count.
    generator : mapping
        ``name`` and ``settings``: only trials of the same count.

    Notes
    -----
    What they needed is that of one kind of machine: of this one where any was made on its kind, else of the one that made
    most.
    """
    found = _read_known(runs, generator)
    kind = _choose_kind(found)
    return [one for one in found if one.machine in {kind, None}]


def _read_known(runs: Sequence[Run], generator: Mapping[str, Any]) -> list[PastTrial]:
    found = []
    for run in runs:
        made_by = run.manifest.generator
        if made_by.get("name") == generator["name"] and made_by.get("settings") == generator["settings"]:
            found += _read_all(run)
    return found


def _choose_kind(found: Sequence[PastTrial]) -> str | None:
    numbers = Counter(one.machine for one in found if one.machine is not None)
    here = machine_kind(describe_machine())
    if here in numbers or not numbers:
        return here
    return min(numbers, key=lambda kind: (-numbers[kind], kind))


def describe_unused(runs: Sequence[Run], generator: Mapping[str, Any]) -> list[str]:
    """Say why `read_past` takes nothing from runs, a line each, and which kinds of machine it leaves out."""
    found = _read_known(runs, generator)
    kind = _choose_kind(found)
    others = Counter(one.machine for one in found if one.machine not in {kind, None})
    notes = [
        f"nothing is learned from {count(n, 'trial')} on {other}: the others were made on {kind}"
        for other, n in sorted(others.items(), key=str)
    ]
    for run in runs:
        made_by = run.manifest.generator
        there, here = made_by.get("settings") or {}, generator["settings"]
        if made_by.get("name") != generator["name"]:
            notes.append(f"nothing is learned from {run.folder}: its generator is {made_by.get('name')!r}")
        elif there != here:
            names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
            differing = ", ".join(
                f"{name} is {there.get(name)!r} there, {here.get(name)!r} here" for name in names
            )
            notes.append(
                f"nothing is learned from {run.folder}: other settings of the generator: {differing}"
            )
    return notes


def work_of(request: Mapping[str, Any], n_frames: float | None) -> Work:
    """Return the amount of work of a whole request."""
    match = _SIZE.fullmatch(str(request.get("size", "")))
    pixels = float(int(match[1]) * int(match[2])) if match else 1.0
    return Work(pixels, float(request.get("sample_steps") or 1), n_frames)


def kind_of(request: Mapping[str, Any]) -> str:
    """Return what two requests must share for a forecast of one from the other.

    >>> kind_of({"size": "64*64", "text": "Hi", "prompt": "calm"})
    '{"prompt":"calm"}'
    """
    rest = {name: request[name] for name in request.keys() - _INPUTS - _WORK}
    return canonical_json(rest)


def count_frames(request: Mapping[str, Any], speech_s: float) -> float:
    """Return the frames that a request gives: all the speech, or ``num_clip`` clips if those are fewer."""
    frames = speech_s * float(request.get("fps") or 25.0)
    clips = request.get("num_clip")
    return frames if clips is None else min(frames, clips * float(request.get("infer_frames") or 48))


def _read_all(run: Run) -> list[PastTrial]:
    """Read the trials of a run; the first of each worker also loaded what the others found loaded."""
    trials = [trial for trial in run.trials() if trial.generation is not None]
    in_order = sorted(trials, key=lambda trial: trial.started_at)
    n_workers = run.manifest.config.get("execution", {}).get("workers", 1)
    first = {trial.id for trial in in_order[:n_workers]} if len(trials) > n_workers else set()
    kinds = {trial.id: machine_of(trial.machine, run.manifest.machines) for trial in trials}
    others: dict[str | None, list[float]] = {}
    for trial in trials:
        if trial.id not in first and trial.measure_s is not None:
            others.setdefault(kinds[trial.id], []).append(trial.measure_s)
    usual_s = {kind: median(spent_s) for kind, spent_s in others.items()}
    return [
        _read(run, trial, kinds[trial.id], usual_s.get(kinds[trial.id]) if trial.id in first else None, first)
        for trial in trials
    ]


def _read(
    run: Run, trial: Trial, machine: str | None, usual_measure_s: float | None, first: set[str]
) -> PastTrial:
    made = trial.generation or {}
    request = {**made.get("request", {}), **({} if "request" in made else trial.params)}
    spent_s = (trial.generate_s or 0.0) + (trial.measure_s or 0.0)
    seconds = spent_s
    if trial.id in first:
        saved_s = [event["time_s"] for event in trial.events if event["name"] == SAVED]
        making_s = min(saved_s[0], trial.generate_s or 0.0) if saved_s else trial.generate_s or 0.0
        seconds = making_s + min(trial.measure_s or 0.0, usual_measure_s or 0.0)
    peaks = [value for name, value in _gpu_peaks(run, trial).items() if _GPU.fullmatch(name)]
    rss = trial.profile.metrics.get("profile.peak_rss_mib")
    return PastTrial(
        run=str(run.folder),
        kind=kind_of(request),
        work=work_of(request, made.get("n_frames")),
        request=request,
        seconds=seconds if trial.generate_s is not None else None,
        start_s=spent_s - seconds,
        gpu_mib=max(peaks) if peaks else None,
        rss_mib=None if rss is None else rss.value,
        speech_s=made.get("audio_duration_s") or made.get("duration_s"),
        speech=trial.speech.content if trial.speech is not None else None,
        machine=machine,
    )


def _gpu_peaks(run: Run, trial: Trial) -> dict[str, float]:
    """Return the peak of each GPU; of one, the sum over all is that."""
    if "profile.peak_vram_mib" not in trial.profile.metrics:
        return {}
    try:
        samples = run.samples_of(trial.id).get("profile.peak_vram_mib", {})
    except DamagedFileError:
        samples = {}
    return {name: max(values) for name, values in samples.items() if values}
