"""Runs with real small videos, whose names are words that no page may say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from evalkit.decisions.policy import load_policy
from evalkit.runs import Trial
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR, OFFSET, RSS, TOTAL, TTFF
from evalkit.types import Metric

CLIP_S = 0.4
NAMES = ("wombat", "73190641", "84230517", "ibexes", "herons", "quokka")
"""Everything by which a configuration or an input could be known: too long to turn up in a random code."""
METRICS = (
    ERROR,
    OFFSET,
    TTFF,
    TOTAL,
    RSS,
    Metric("brand.fidelity", "1", "higher", "likeness of the brand mark", (0, 1)),
    Metric("brand.color_delta_e", "ΔE00", "lower", "distance of the brand colours"),
    Metric("motion.sparc", "1", "zero", "smoothness"),
    Metric("motion.amount_deg_s", "deg/s", "band", "speed of the joints"),
)
NOT_HERE = {"profile.error_rate", "profile.peak_vram_share"}
"""What the bundled policy asks for and a machine without a GPU cannot show with some tens of videos."""


def write_rated_run(folder: Path, levels: Sequence[int], n_inputs: int) -> Path:
    """Write a run whose measurements pass the bundled policy's gates, with a small video for every trial.

    Parameters
    ----------
    folder : Path
        Made.
    levels : sequence of int
        Of the parameter ``wombat``: one configuration each.
    n_inputs : int
        Pieces of speech.
    """
    random = np.random.default_rng(7)
    trials = [
        make_trial(
            params={"wombat": level},
            portrait="ibexes",
            speech=f"herons {number}",
            seed=420,
            values=_good_values(random),
        )
        for number in range(n_inputs)
        for level in levels
    ]
    clips = folder.parent / f"{folder.name}_clips"
    clips.mkdir()
    videos = {trial.id: write_small_clip(clips, seed) for seed, trial in enumerate(trials)}
    return write_run(folder, trials, METRICS, video=videos, policy="customer_service")


def _good_values(random: np.random.Generator) -> dict[str, float]:
    spread: dict[str, tuple[float, float]] = {
        "lip_sync.error": (0.15, 0.02),
        "lip_sync.offset_ms": (10.0, 5.0),
        "profile.ttff_s": (1.0, 0.1),
        "profile.total_s": (5.0, 0.2),
        "profile.peak_rss_mib": (900.0, 5.0),
        "brand.fidelity": (0.95, 0.01),
        "brand.color_delta_e": (3.0, 0.1),
        "motion.sparc": (-3.8, 0.1),
        "motion.amount_deg_s": (7.0, 0.5),
    }
    return {name: float(random.normal(*centre_and_sd)) for name, centre_and_sd in spread.items()}


def write_small_clip(folder: Path, seed: int) -> Path:
    frames = moving_pattern(CLIP_S, width=64, height=48, seed=seed)
    sound = tone(CLIP_S, frequency_hz=400.0 + 7 * seed)
    return write_clip(folder / f"quokka_{seed}.mp4", frames, sound=sound)


def configuration(trial: Trial) -> int:
    level: int = trial.params["wombat"]
    return level


@pytest.fixture(scope="session")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of two configurations with six inputs; not to be written to: copy it."""
    return write_rated_run(tmp_path_factory.mktemp("contest") / "run", (73190641, 84230517), 6)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of one configuration with 30 inputs; not to be written to: copy it."""
    return write_rated_run(tmp_path_factory.mktemp("release") / "run", (73190641,), 30)


@pytest.fixture(scope="session")
def policy_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the bundled policy without the gates that cannot be measured here, and say so in its title."""
    bundled: dict[str, Any] = load_policy("customer_service").model_dump(mode="json", exclude_none=True)
    rules = [rule for rule in bundled["rules"] if rule["metric"] not in NOT_HERE]
    assert len(rules) == len(bundled["rules"]) - len(NOT_HERE)
    here = {
        **bundled,
        "name": "here",
        "title": f"Customer service, without {', '.join(sorted(NOT_HERE))}",
        "rules": rules,
    }
    path = tmp_path_factory.mktemp("policy") / "here.yaml"
    path.write_text(yaml.safe_dump(here, allow_unicode=True, sort_keys=False), "utf-8")
    return path
