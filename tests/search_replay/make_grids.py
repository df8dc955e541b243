"""Make the stored grids again: whole sweeps of the reference generator, of which only the values are kept.

``python -m tests.search_replay.make_grids PORTRAITS`` takes about half an hour on two cores. PORTRAITS is a folder with the five
pictures named below; the speech is made by espeak-ng.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import yaml

import evalkit

FOLDER = Path(__file__).with_name("grids")
METRICS = (
    "lip_sync.error",
    "lip_sync.dtw_distance",
    "lip_sync.confidence",
    "technical.sharpness",
    "technical.flicker",
)
PORTRAITS = {
    "happy": "sadtalker_happy.png",
    "second": "thqa_thqa_2.png",
    "third": "thqa_thqa_3.png",
    "fourth": "thqa_thqa_4.png",
    "stream": "liveavatar_livestream_1.png",
}
SWEEPS: dict[str, dict[str, Any]] = {
    "steps": {
        "inputs": {
            "portraits": ["happy", "second", "stream", "fourth"],
            "speech": {
                "greeting": "Good morning, and welcome back.",
                "boat": "He paints a small boat every summer.",
                "parcel": "Your parcel arrives before noon.",
                "garden": "Please water the garden twice.",
                "library": "The library opens at half past nine.",
            },
        },
        "parameters": {"size": "256*256"},
        "grid": {"sample_steps": [1, 2, 4, 8], "sample_guide_scale": [1.0, 2.0, 4.0]},
        "seeds": [420],
    },
    "look": {
        "inputs": {
            "portraits": ["happy", "second", "third", "stream", "fourth"],
            "speech": {
                "card": "Your new card is on its way.",
                "counter": "Our counter is open until six.",
                "open": "You can open an account today.",
                "waiting": "Thank you for waiting so long.",
            },
        },
        "parameters": {"sample_steps": 2},
        "grid": {
            "size": ["192*192", "256*256", "384*256"],
            "fps": [10, 25],
            "prompt": ["calm", "lively, smiling"],
        },
        "seeds": [420],
    },
    "seeds": {
        "inputs": {
            "portraits": [],
            "speech": {
                "welcome": "Good morning, and welcome back to our show.",
                "neighbour": "My neighbour paints a small boat every summer.",
                "depot": "Your parcel left the depot before noon.",
                "away": "Please water the garden while we are away.",
                "nine": "The library opens at nine and closes at six.",
                "today": "You can open an account with us today.",
                "sunday": "We are open every day but Sunday.",
                "month": "Shall I show you how to save every month?",
            },
        },
        "parameters": {"size": "256*256"},
        "grid": {"sample_steps": [1, 2, 3, 6], "sample_guide_scale": [1.0, 3.0]},
        "seeds": [1, 2, 3],
    },
}


@click.command()
@click.argument("portraits", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(portraits: Path) -> None:
    """Do the sweeps and keep their values."""
    for name, sweep in SWEEPS.items():
        with TemporaryDirectory() as folder:
            config = Path(folder) / f"{name}.yaml"
            config.write_text(yaml.safe_dump(_configure(sweep, portraits.resolve())), "utf-8")
            keep(name, evalkit.sweep(config, out=Path(folder) / "run"))


def keep(name: str, run: evalkit.Run) -> None:
    """Write what is kept of a run."""
    table = run.frame()
    params = [f"param.{key}" for key in SWEEPS[name]["grid"]]
    columns = [*params, "portrait", "speech", "seed", *METRICS]
    table.reindex(columns=columns).round(5).to_csv(FOLDER / f"{name}.csv", index=False, lineterminator="\n")


def _configure(sweep: dict[str, Any], portraits: Path) -> dict[str, Any]:
    inputs = {
        "portraits": [
            {"path": str(portraits / PORTRAITS[one]), "name": one} for one in sweep["inputs"]["portraits"]
        ],
        "speech": [
            {"name": one, "text": text, "language": "en"} for one, text in sweep["inputs"]["speech"].items()
        ],
    }
    return {
        "generator": {"name": "reference", "settings": {"device": "cpu"}},
        **sweep,
        "inputs": inputs,
        "evaluators": ["lip_sync", "technical"],
    }


if __name__ == "__main__":
    main()
