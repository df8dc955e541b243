"""Run folders without a sweep: numbers of a known truth, written as a sweep writes them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from evalkit.runs import Input, Measured, MetricFacts, RunFacts, Trial, TrialFailure, Value
from evalkit.runs.run import TRIAL_FILE, TRIALS_FOLDER, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from evalkit.types import Metric


def make_trial(
    *,
    params: Mapping[str, Any],
    portrait: str,
    speech: str,
    seed: int,
    values: Mapping[str, float],
    absent: Mapping[str, str] | None = None,
    failure: str | None = None,
) -> Trial:
    """Make a trial; with a failure, a code, it has the profile alone.

    Parameters
    ----------
    params, seed
        Of the request.
    portrait, speech : str
        Names; their contents are taken to be as different as their names.
    values : mapping of str to float
        Metrics of quality and, those named ``profile.…``, of cost; without units.
    absent : mapping of str to str
        Reason codes.
    failure : str, optional
        Its code.
    """
    cost = {name: Value(value, "1", n=1) for name, value in values.items() if name.startswith("profile.")}
    quality = {name: Value(value, "1", n=1) for name, value in values.items() if name not in cost}
    return Trial(
        id=_digest(f"{dict(params)} {portrait} {speech} {seed}")[:16],
        params=dict(params),
        portrait=Input(portrait, _digest(portrait)),
        speech=Input(speech, _digest(speech), text=speech),
        seed=seed,
        status="ok" if failure is None else "failed",
        failure=None if failure is None else TrialFailure("generate", failure, failure.replace("_", " ")),
        quality=None if failure is not None else Measured(quality, dict(absent or {})),
        profile=Measured(cost),
        generation=None,
        events=[],
        attempts=[],
        started_at="2026-01-02T03:04:05Z",
        generate_s=None,
        measure_s=None,
    )


def write_run(
    folder: Path,
    trials: Sequence[Trial],
    metrics: Iterable[Metric],
    *,
    unfinished: Sequence[str] = (),
    evaluators: Mapping[str, int] | None = None,
) -> Path:
    """Write a run folder and return it.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    trials : sequence of Trial
    metrics : iterable of Metric
        What the trials carry.
    unfinished : sequence of str
        Ids of trials that are planned and have no result.
    evaluators : mapping of str to int, optional
        Name to version.
    """
    swept = [
        name
        for name in dict.fromkeys(name for trial in trials for name in trial.params)
        if len({str(trial.params.get(name)) for trial in trials}) > 1
    ]
    folder.mkdir(parents=True, exist_ok=True)
    facts = RunFacts(
        created_at="2026-01-02T03:04:05Z",
        config={"generator": "made"},
        config_hash=_digest("made"),
        generator={"name": "made", "version": "1", "settings": {}},
        evaluators=dict(evaluators or {}),
        metrics={metric.name: MetricFacts(metric.unit, metric.better, metric.meaning) for metric in metrics},
        swept=swept,
        policy=None,
        planned=[*(trial.id for trial in trials), *unfinished],
        machine={"cpu": "made"},
        versions={"evalkit": "0"},
        weights={"predictor": _digest("weights")},
        notes=[],
    )
    write_file(folder / "run.json", facts)
    for trial in trials:
        place = folder / TRIALS_FOLDER / trial.id
        place.mkdir(parents=True, exist_ok=True)
        write_file(place / TRIAL_FILE, trial)
    return folder


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
