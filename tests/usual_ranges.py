"""What recordings of real speakers show: least and most of every metric, beside its usual range. ``python -m tests.usual_ranges MEDIA``."""

from __future__ import annotations

import argparse
from pathlib import Path

import click

from evalkit.api.clips import evaluate
from evalkit.decisions.usual import N_REAL, USUAL
from evalkit.formatting import three_digits

CLIPS = (
    "video-retalking_face_1.mp4",
    "video-retalking_face_2.mp4",
    "liveportrait_d20.mp4",
    "moore-animateanyone_talkinghead_1.mp4",
    "sparsesync_lrs3_uncropped_00018.mp4",
    "talking-face_pc-avs_Audio_Source_00015.mp4",
    "talking-face_pc-avs_Audio_Source_00373.mp4",
    "talking-face_pc-avs_Audio_Source_681100216.mp4",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("media", type=Path, help="Folder with talking_real/.")
    report = evaluate([parser.parse_args().media / "talking_real" / name for name in CLIPS])
    values: dict[str, list[float]] = {}
    for measurement in (one for result in report for one in result if one.value is not None):
        values.setdefault(measurement.metric.name, []).append(measurement.value or 0.0)
    click.echo(f"{N_REAL} clips; metric, clips measured, least, most, usual from, to")
    for name, found in sorted(values.items()):
        usual = USUAL.get(name)
        ends = (
            "" if usual is None else f"{three_digits_or_open(usual.low)} {three_digits_or_open(usual.high)}"
        )
        click.echo(f"{name} {len(found)} {three_digits(min(found))} {three_digits(max(found))} {ends}")


def three_digits_or_open(value: float) -> str:
    return three_digits(value) if abs(value) < float("inf") else "open"


if __name__ == "__main__":
    main()
