"""Runs that were never made, as a sweep leaves them: trials of one's own choice, or a grid whose numbers follow from it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from evalkit import registry
from evalkit.evaluators.load import evaluator_class
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.runs import (
    Input,
    MeasurementError,
    MeasurementRecord,
    MetricInfo,
    MetricResults,
    MetricValue,
    MomentValue,
    PlanRecord,
    RunManifest,
    Samples,
    Trial,
    TrialFailure,
    VideoRecord,
)
from evalkit.runs.identity import machine_key, measurement_identity, plan_hash, video_id
from evalkit.runs.layout import VIDEO_FILE, VIDEOS_FOLDER
from evalkit.runs.writer import RunWriter
from evalkit.tracks.cache import content_hash
from evalkit.types import Metric
from pipeline.events import LOADED
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from evalkit.types import Better

SIZES = ("384*256", "688*368", "704*384")
STEPS = (2, 3, 4)
PORTRAITS = ("anna", "bo")
SPEECH = ("welcome", "numbers")

# Name: unit, better, typical value, spread. What depends on the parameters is worked out in `_trial`.
_QUALITY: dict[str, tuple[str, Better, float, float]] = {
    "lip_sync.error": ("1", "lower", 0.2, 0.015),
    "lip_sync.residual_error": ("1", "lower", 0.15, 0.01),
    "lip_sync.offset_ms": ("ms", "zero", 15.0, 12.0),
    "lip_sync.drift_ms_per_min": ("ms/min", "zero", 5.0, 20.0),
    "lip_sync.confidence": ("1", "higher", 0.6, 0.05),
    "lip_sync.silent_motion": ("1", "lower", 0.2, 0.05),
    "motion.joint_angle_std_deg": ("deg", "band", 6.0, 1.0),
    "motion.sparc": ("1", "zero", -3.4, 0.2),
    "motion.ldlj": ("1", "zero", -7.0, 0.5),
    "motion.jitter_ratio": ("1", "lower", 0.1, 0.02),
    "motion.amount_deg_s": ("deg/s", "band", 9.0, 1.5),
    "motion.freeze_ratio": ("1", "lower", 0.02, 0.005),
    "expression.smile_mean": ("1", "band", 0.1, 0.03),
    "expression.head_motion_deg": ("deg", "band", 4.0, 1.0),
    "expression.blink_per_min": ("1/min", "band", 15.0, 3.0),
    "technical.sharpness": ("1", "higher", 0.6, 0.03),
    "technical.flicker": ("%", "lower", 0.4, 0.1),
    "technical.loudness_lufs": ("LUFS", "band", -21.0, 0.5),
    "technical.fps": ("1/s", "band", 25.0, 0.0),
    "technical.face_coverage": ("1", "higher", 1.0, 0.0),
}
_MOMENTS = {
    "lip_sync.error": (MomentValue(1.5, 3.0, 0.82), MomentValue(0.2, 0.9, 0.41)),
    "technical.flicker": (MomentValue(2.0, 2.6, 3.1),),
}
"""Worst stretches of every clip of a grid."""
_TIMES = ("profile.ttff_s", "profile.total_s", "profile.rtf")
_GENERATOR = {"name": "made up", "version": "1", "settings": {}}
_MACHINE = {"processor": "none", "n_cores": 2}
_CREATED_AT = "2026-11-22T01:00:00+00:00"
_TOO_SHORT = "expression.blink_per_min"


def make_trial(
    *,
    params: Mapping[str, Any],
    portrait: str,
    speech: str,
    seed: int,
    values: Mapping[str, float],
    absent: Mapping[str, str] | None = None,
    failure: str | None = None,
    attempts: Sequence[str] = (),
) -> Trial:
    """Make a trial; with a failure, a code, it has the profile alone. Its id is that of what it says of itself.

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
    attempts : sequence of str
        Codes of the tries that failed before.
    """
    cost = {
        name: MetricValue(value, "1", n=1) for name, value in values.items() if name.startswith("profile.")
    }
    quality = {name: MetricValue(value, "1", n=1) for name, value in values.items() if name not in cost}
    return Trial(
        id=video_id(_GENERATOR, params, portrait=hash_of(portrait), speech=hash_of(speech), seed=seed),
        params=dict(params),
        portrait=Input(portrait, hash_of(portrait)),
        speech=Input(speech, hash_of(speech), text=speech),
        seed=seed,
        status="ok" if failure is None else "failed",
        failure=None if failure is None else _failed(failure),
        quality=None if failure is not None else MetricResults(quality, dict(absent or {})),
        profile=MetricResults(cost),
        generation=None,
        events=[],
        attempts=[_failed(code) for code in attempts],
        started_at="2026-01-02T03:04:05Z",
        generate_s=None,
        measure_s=None,
    )


def _failed(code: str) -> TrialFailure:
    return TrialFailure("generate", code, code.replace("_", " "))


def write_run(
    folder: Path,
    trials: Sequence[Trial],
    metrics: Iterable[Metric],
    *,
    unfinished: Sequence[str] = (),
    earlier: Sequence[Trial] = (),
    evaluators: Mapping[str, int] | None = None,
    policy: str | None = None,
    samples: Samples | None = None,
    video: Path | Mapping[str, Path] | None = None,
    machines: Sequence[Mapping[str, Any]] = (_MACHINE,),
    prices: Mapping[str, float] | None = None,
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
    earlier : sequence of Trial
        Those of an earlier grid: in the folder, and not planned any more.
    evaluators : mapping of str to int, optional
        Name to version; one named like each family of metrics, as installed, unless given.
    policy : str, optional
        Name or path.
    samples : dict, optional
        Raw samples of every trial that is ok.
    video : Path or mapping of str to Path, optional
        Copied into every trial that is ok; a mapping says which by the trial's id.
    machines : sequence of mapping, optional
        Those that took part; a trial that names none was made on the first.
    prices : mapping of str to float, optional
        ``execution.price_per_hour`` of the sweep.
    """
    swept = [
        name
        for name in dict.fromkeys(name for trial in trials for name in trial.params)
        if len({str(trial.params.get(name)) for trial in trials}) > 1
    ]
    families = dict.fromkeys(
        name.partition(".")[0]
        for trial in trials
        if trial.quality is not None
        for name in (*trial.quality.metrics, *trial.quality.absent)
    )
    metrics = list(metrics)
    trials = [_with_units(trial, {metric.name: metric.unit for metric in metrics}) for trial in trials]
    given = evaluators or {name: installed_version(name) for name in families}
    versions = {name: str(version) for name, version in given.items()}
    planned = [*(trial.id for trial in trials), *unfinished]
    plan = PlanRecord(
        hash=plan_hash(planned, _GENERATOR, versions, None),
        at=min((trial.started_at for trial in trials), default=_CREATED_AT),
        n_trials=len(planned),
        seed=0,
        policy=None,
    )
    manifest = RunManifest(
        created_at=_CREATED_AT,
        config={
            "generator": {"name": "made up"},
            "evaluators": list(versions),
            "execution": {"price_per_hour": dict(prices or {})},
        },
        config_hash="0" * 64,
        generator=_GENERATOR,
        evaluators=versions,
        measuring={},
        metrics={metric.name: _describe(metric, versions) for metric in metrics},
        swept=swept,
        policy=policy,
        planned=planned,
        machines={machine_key(machine): dict(machine) for machine in machines},
        code=None,
        versions={"evalkit": "0.1.0"},
        weights={"lip_sync": "ab" * 32},
        notes=[],
        plans=[plan],
    )
    put_trials(folder, manifest, [*trials, *earlier], samples, video=video)
    return folder


def installed_version(name: str) -> int:
    """Return the version of an installed evaluator; 1 where none has that name."""
    return evaluator_class(name).version if name in registry.names(registry.EVALUATORS) else 1


def _with_units(trial: Trial, units: Mapping[str, str]) -> Trial:
    def fill(results: MetricResults) -> MetricResults:
        values = {
            name: replace(value, unit=units.get(name, value.unit)) for name, value in results.metrics.items()
        }
        return replace(results, metrics=values)

    quality = None if trial.quality is None else fill(trial.quality)
    return replace(trial, quality=quality, profile=fill(trial.profile))


def put_trials(
    folder: Path,
    manifest: RunManifest,
    trials: Sequence[Trial],
    samples: Samples | None = None,
    *,
    video: Path | Mapping[str, Path] | None = None,
) -> None:
    """Write a run folder: a manifest, and the records behind trials.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    manifest : RunManifest
        A metric belongs to the evaluator that is named like its family, or else to the first.
    trials : sequence of Trial
    samples : dict, optional
        Raw samples of every trial that is ok.
    video : Path or mapping of str to Path, optional
        Copied into every trial that is ok, marked with its id, so that no two are the same; a mapping says which by that
        id. Without, there are records of a video and no file, whose content is that of the trial or else made up from its
        id.
    """
    with patch("os.fsync"), RunWriter(folder) as writer:  # no test needs to survive a power cut
        writer.write_manifest(manifest)
        for trial in trials:
            own = video.get(trial.id) if isinstance(video, Mapping) else video
            _put_trial(writer, manifest, trial, samples or {}, own)


def _put_trial(
    writer: RunWriter,
    manifest: RunManifest,
    trial: Trial,
    samples: Samples,
    video: Path | None,
) -> None:
    failure = trial.failure
    was_made = failure is None or failure.stage == "measure"
    part = writer.new_video_folder(trial.id)
    content = trial.content or hash_of(f"video {trial.id}")
    if was_made:
        content = _put_file(part / VIDEO_FILE, video, trial.id) or content
    record = VideoRecord(
        id=trial.id,
        params=trial.params,
        portrait=trial.portrait,
        speech=trial.speech,
        seed=trial.seed,
        status="ok" if was_made else "failed",
        failure=None if was_made else failure,
        attempts=trial.attempts,
        generation=trial.generation,
        events=trial.events,
        started_at=trial.started_at,
        generate_s=trial.generate_s,
        content=content if was_made else None,
        machine=trial.machine or next(iter(manifest.machines), ""),
        slot="local",
        alone=trial.alone is not False,
        files={},
        load_s=trial.load_s,
    )
    costs = {name: values for name, values in samples.items() if name.startswith("profile.")}
    writer.put_video(
        record, part, profile=trial.profile, samples=costs if failure is None else {}, spill=trial.spill
    )
    if was_made and video is None:
        (writer.folder / VIDEOS_FOLDER / trial.id / VIDEO_FILE).unlink()
    if not was_made or (trial.quality is None and failure is None):
        return
    owners = manifest.evaluators
    for evaluator, version in owners.items():
        results = None if trial.quality is None else _part_of(trial.quality, evaluator, owners)
        measured = MeasurementRecord(
            video_id=trial.id,
            content=content,
            evaluator=evaluator,
            version=version,
            identity=measurement_identity(content, evaluator, version),
            results=results if failure is None else None,
            error=None if failure is None else MeasurementError(failure.code, failure.text),
            measured_at=trial.started_at,
            measure_s=None if trial.measure_s is None else trial.measure_s / len(owners),
            machine=record.machine,
        )
        own = {name: values for name, values in samples.items() if _owner(name, owners) == evaluator}
        writer.put_measurement(measured, own)


def _put_file(path: Path, video: Path | None, trial_id: str) -> str | None:
    """Put a video at a place, with the trial's name in a box that players skip: no two trials have the same content.

    Returns
    -------
    str or None
        Its SHA-256; None where there is no video: an empty file stands for it.
    """
    if video is None:
        path.touch()
        return None
    name = trial_id.encode()
    path.write_bytes(video.read_bytes() + (8 + len(name)).to_bytes(4, "big") + b"free" + name)
    return content_hash(str(path))


def _owner(metric: str, evaluators: Mapping[str, str]) -> str | None:
    """Return the evaluator that gives a metric: that named like its family, or else the first; none for a cost."""
    family = metric.partition(".")[0]
    if family == "profile":
        return None
    return family if family in evaluators else next(iter(evaluators), None)


def _describe(metric: Metric, evaluators: Mapping[str, str]) -> MetricInfo:
    return MetricInfo(metric.unit, metric.better, metric.meaning, _owner(metric.name, evaluators))


def _part_of(results: MetricResults, evaluator: str, evaluators: Mapping[str, str]) -> MetricResults:
    return replace(
        results,
        metrics={
            name: value for name, value in results.metrics.items() if _owner(name, evaluators) == evaluator
        },
        absent={name: code for name, code in results.absent.items() if _owner(name, evaluators) == evaluator},
    )


def write_grid(
    folder: Path,
    *,
    sizes: Sequence[str] = SIZES,
    steps: Sequence[int] = STEPS,
    portraits: Sequence[str] = PORTRAITS,
    speech: Sequence[str] = SPEECH,
    seeds: Sequence[int] = (420,),
    policy: str | None = "customer_service",
    video: Path | None = None,
    failing: Sequence[int] = (),
    unfinished: Sequence[int] = (),
) -> Path:
    """Write a run folder in which more steps and larger pictures are better and cost more.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    sizes, steps, portraits, speech, seeds : sequence
        What is crossed.
    policy : str or None
        Name or path.
    video : Path, optional
        Copied into every trial that has one.
    failing, unfinished : sequence of int
        Places in the plan of trials that ran out of memory, and of those without a result.
    """
    plan = list(itertools.product(sizes, steps, portraits, speech, seeds))
    trials, open_ids = [], []
    for place, key in enumerate(plan):
        trial_id = video_id(
            _GENERATOR,
            _params(key),
            portrait=hash_of(key[2]),
            speech=hash_of(key[3]),
            seed=key[4],
        )
        if place in unfinished:
            open_ids.append(trial_id)
        else:
            trials.append(_trial(trial_id, key, failed=place in failing))
    metrics = [Metric(name, unit, better, name) for name, (unit, better, _, _) in _QUALITY.items()]
    evaluators = {name: installed_version(name) for name in ("lip_sync", "motion", "expression", "technical")}
    return write_run(
        folder,
        trials,
        [*metrics, *PROFILE_METRICS],
        unfinished=open_ids,
        evaluators=evaluators,
        policy=policy,
        video=video,
    )


def _params(key: tuple[str, int, str, str, int]) -> dict[str, Any]:
    return {"size": key[0], "sample_steps": key[1], "fps": 25.0}


def _trial(trial_id: str, key: tuple[str, int, str, str, int], *, failed: bool) -> Trial:
    size, steps, portrait, speech, seed = key
    noise = np.random.default_rng(int(hash_of(list(key))[:16], 16))
    sides = [int(side) for side in re.findall(r"\d+", size)]
    width, height = sides if len(sides) == 2 else (384, 256)  # a size may be called anything
    work = width * height / 1e5
    quality = {
        name: (float(noise.normal(typical, spread)), 12 if name.startswith("lip_sync") else 4)
        for name, (_, _, typical, spread) in _QUALITY.items()
        if name != _TOO_SHORT
    }
    error = 0.05 + 0.6 * 2.0**-steps + 0.03 / work + float(noise.normal(0, 0.015))
    quality["lip_sync.error"] = (max(0.0, error), 12)
    total_s = (1.5 + 2.0 * steps * work) * float(noise.normal(1, 0.02))
    cost = {
        "profile.load_s": (float(noise.normal(4, 0.1)), 1),
        "profile.ttff_s": (0.3 * total_s, 1),
        "profile.total_s": (total_s, 1),
        "profile.rtf": (total_s / 5, 1),
        "profile.peak_rss_mib": (900 + 160 * work, 40),
    }
    if failed:  # it cost something all the same; what never ended has no time
        cost = {name: cost[name] for name in ("profile.load_s", "profile.peak_rss_mib")}
    absent = {name: "not_finished" for name in _TIMES if failed}
    absent |= {"profile.peak_vram_mib": "no_gpu", "profile.gpu_util": "no_gpu", "profile.energy_j": "no_gpu"}
    failure = TrialFailure("generate", "out_of_memory", "CUDA out of memory. Tried to allocate 2 GiB")
    return Trial(
        id=trial_id,
        params=_params(key),
        portrait=Input(portrait, hash_of(portrait), f"{portrait}.png"),
        speech=Input(speech, hash_of(speech), text="Good morning."),
        seed=seed,
        status="failed" if failed else "ok",
        failure=failure if failed else None,
        quality=None if failed else _measured(quality, {_TOO_SHORT: "too_short"}),
        profile=_measured({**cost, "profile.error_rate": (float(failed), 1)}, absent),
        generation=None if failed else {"fps": 25.0, "width": width, "height": height, "duration_s": 5.0},
        events=[{"name": LOADED, "time_s": 0.5, "detail": {}}],
        attempts=[],
        started_at="2026-11-22T01:00:10+00:00",
        generate_s=total_s,
        measure_s=1.5,
    )


def _measured(values: dict[str, tuple[float, int]], absent: dict[str, str]) -> MetricResults:
    units = {name: unit for name, (unit, *_) in _QUALITY.items()}
    units |= {metric.name: metric.unit for metric in PROFILE_METRICS}
    metrics = {
        name: MetricValue(
            value,
            units[name],
            n,
            0.95 if n > 1 else None,
            (value - 0.04, value + 0.05) if n == 12 else None,
            _MOMENTS.get(name, ()),
        )
        for name, (value, n) in values.items()
    }
    return MetricResults(metrics, absent)
