"""Runs that were never made: a folder as a sweep leaves it, with numbers that follow from the parameters."""

from __future__ import annotations

import itertools
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np

from evalkit.config import hash_of
from evalkit.profiling.costs import METRICS as PROFILE_METRICS
from evalkit.runs import Input, Measured, MetricFacts, RunFacts, Trial, TrialFailure, Value
from evalkit.runs.run import (
    RUN_FILE,
    SAMPLES_FILE,
    TRIAL_FILE,
    TRIALS_FOLDER,
    VIDEO_FILE,
    write_file,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
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
_TOO_SHORT = "expression.blink_per_min"


def write_run(
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
    ids = [hash_of(list(key))[:16] for key in plan]
    metrics = {name: MetricFacts(unit, better, name) for name, (unit, better, _, _) in _QUALITY.items()}
    metrics |= {m.name: MetricFacts(m.unit, m.better, m.meaning) for m in PROFILE_METRICS}
    facts = RunFacts(
        created_at="2026-11-22T01:00:00+00:00",
        config={"generator": {"name": "made up"}, "grid": {"size": list(sizes), "sample_steps": list(steps)}},
        config_hash="0" * 64,
        generator={"name": "made up", "version": "1", "settings": {}},
        evaluators={"lip_sync": 1, "motion": 1, "expression": 1, "technical": 1},
        metrics=metrics,
        swept=[name for name, values in (("size", sizes), ("sample_steps", steps)) if len(values) > 1],
        policy=policy,
        planned=ids,
        machine={"processor": "none", "n_cores": 2},
        versions={"evalkit": "0.1.0"},
        weights={"lip_sync": "ab" * 32},
        notes=[],
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / RUN_FILE, facts)
    for place, (trial_id, (size, n_steps, face, words, seed)) in enumerate(zip(ids, plan, strict=True)):
        if place in unfinished:
            continue
        place_on_disk = folder / TRIALS_FOLDER / trial_id
        place_on_disk.mkdir(parents=True)
        inputs = (
            Input(face, hash_of(face), f"{face}.png"),
            Input(words, hash_of(words), text="Good morning."),
        )
        trial = _trial(trial_id, size, n_steps, inputs, seed, failed=place in failing)
        write_file(place_on_disk / TRIAL_FILE, trial)
        if trial.status == "failed":
            continue
        starts_s = [0.0, 1.5, 3.0]
        ranks = [0.05, 0.45, 0.1]
        samples = {"lip_sync.error": {"window_start_s": starts_s, "rank": ranks}}
        write_json(place_on_disk / SAMPLES_FILE, {"samples": samples}, indent=None)
        if video is not None:
            shutil.copy(video, place_on_disk / VIDEO_FILE)
    return folder


def _trial(
    trial_id: str, size: str, steps: int, inputs: tuple[Input, Input], seed: int, *, failed: bool
) -> Trial:
    noise = np.random.default_rng(int(trial_id, 16))
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
    absent = {"profile.peak_vram_mib": "no_gpu", "profile.gpu_util": "no_gpu", "profile.energy_j": "no_gpu"}
    failure = TrialFailure("generate", "out_of_memory", "CUDA out of memory. Tried to allocate 2 GiB")
    return Trial(
        id=trial_id,
        params={"size": size, "sample_steps": steps, "fps": 25.0},
        portrait=inputs[0],
        speech=inputs[1],
        seed=seed,
        status="failed" if failed else "ok",
        failure=failure if failed else None,
        quality=None if failed else _measured(quality, {_TOO_SHORT: "too_short"}),
        profile=_measured({**({} if failed else cost), "profile.error_rate": (float(failed), 1)}, absent),
        generation=None if failed else {"fps": 25.0, "width": width, "height": height, "duration_s": 5.0},
        events=[{"name": "loaded", "time_s": 0.5, "detail": {}}],
        attempts=[],
        started_at="2026-11-22T01:00:10+00:00",
        generate_s=total_s,
        measure_s=1.5,
    )


def _measured(values: dict[str, tuple[float, int]], absent: dict[str, str]) -> Measured:
    units = {name: facts[0] for name, facts in _QUALITY.items()}
    units |= {metric.name: metric.unit for metric in PROFILE_METRICS}
    metrics = {
        name: Value(
            value, units[name], n, 0.95 if n > 1 else None, (value - 0.04, value + 0.05) if n == 12 else None
        )
        for name, (value, n) in values.items()
    }
    return Measured(metrics, absent)
