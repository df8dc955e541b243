"""How well worst moments name planted faults: ``python -m tests.moments_figures MEDIA [--clips N] [--keep FOLDER]``.

Each real or generated clip of MEDIA that speaks for nine seconds or more gets faults of known time, several renditions a clip.
A fault is found where a moment of its metric overlaps it by at least half (intersection over union). Every other moment of
that metric is a false one, unless it overlaps a fault of another kind: a frozen picture has a frozen mouth too. Moments of the
clips as they are stand in a table of their own, for each minute: of real clips, most of them are true and nobody's fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evalkit.evaluators.expression import Expression
from evalkit.evaluators.lip_sync import LipSync
from evalkit.evaluators.motion import Motion
from evalkit.evaluators.technical import Technical
from evalkit.measuring.results import ClipResult
from evalkit.measuring.runner import measure
from evalkit.media import probe
from evalkit.types import Moment
from tests.moments_figures.planting import (
    SOUND_KINDS,
    Clip,
    Fault,
    choose_times,
    plant,
    read_clip,
    write,
    write_sound,
)

SEEN_BY = {
    "picture frozen": ("technical.freeze_ratio", "motion.freeze_ratio"),
    "picture black": ("technical.black_ratio",),
    "picture blurred": ("technical.sharpness",),
    "picture flickers": ("technical.flicker",),
    "picture trembles": ("motion.jitter_ratio",),
    "mouth frozen": ("lip_sync.residual_error", "lip_sync.error"),
    "looks away": ("expression.gaze_on_camera",),
    "another's sound": ("lip_sync.residual_error", "lip_sync.error"),
    "sound late": ("lip_sync.offset_ms", "lip_sync.residual_error"),
    "gap in the sound": ("technical.loudness_lufs",),
    "sound clipped": ("technical.clipping_ratio",),
}
"""The metrics that are meant to name each fault, the first foremost."""
RENDITIONS: tuple[tuple[tuple[str, float, float], ...], ...] = (
    (("picture frozen", 2.0, 3.0), ("picture blurred", 2.0, 3.0)),
    (("mouth frozen", 3.0, 4.0), ("picture black", 1.5, 2.5)),
    (("picture trembles", 2.0, 3.0), ("looks away", 2.0, 3.0), ("picture flickers", 1.5, 2.0)),
    (("another's sound", 3.0, 4.0),),
    (("gap in the sound", 2.0, 3.0), ("sound clipped", 2.0, 3.0)),
    (("sound late", 4.0, 5.0),),
)
"""What is planted together in one copy of a clip: kind, and shortest and longest time."""
ENOUGH_OVERLAP = 0.5
LEAST_S = 9.0


class Score(NamedTuple):
    """How often a fault was named, and what was named besides."""

    n_planted: int
    n_found: int
    n_false: int

    @property
    def text(self) -> str:
        """Precision, recall and F1."""
        precision = self.n_found / max(1, self.n_found + self.n_false)
        recall = self.n_found / max(1, self.n_planted)
        f1 = 2 * self.n_found / max(1, 2 * self.n_found + self.n_false + self.n_planted - self.n_found)
        return f"{self.n_planted:7d} {precision:9.2f} {recall:6.2f} {f1:5.2f}"


def overlap(fault: Fault, moment: Moment) -> float:
    """Return intersection over union in time."""
    shared = min(fault.end_s, moment.end_s) - max(fault.start_s, moment.start_s)
    return max(0.0, shared) / (max(fault.end_s, moment.end_s) - min(fault.start_s, moment.start_s))


def score(metric: str, kind: str, planted: Sequence[tuple[Sequence[Fault], ClipResult]]) -> Score:
    """Hold the moments of a metric against the faults of a kind."""
    n_planted = n_found = n_false = 0
    for faults, result in planted:
        own = [fault for fault in faults if fault.kind == kind]
        if not own or result[metric].value is None:
            continue  # what cannot be measured says so: tremor of 20 frames a second
        found = {
            max(own, key=lambda fault: overlap(fault, moment))
            for moment in result[metric].moments
            if max(overlap(fault, moment) for fault in own) >= ENOUGH_OVERLAP
        }
        n_planted += len(own)
        n_found += len(found)
        n_false += sum(
            max(overlap(fault, moment) for fault in own) < ENOUGH_OVERLAP
            and not any(overlap(fault, moment) > 0 for fault in faults if fault.kind != kind)
            for moment in result[metric].moments
        )
    return Score(n_planted, n_found, n_false)


def evaluators() -> list[LipSync | Motion | Expression | Technical]:
    """Return those whose moments are held against the truth."""
    return [LipSync(), Motion(), Expression(), Technical()]


def find_clips(media: Path) -> Iterator[Path]:
    """Return the clips of a folder that speak for long enough."""
    for path in sorted(media.rglob("talking_*/*")):
        facts = probe(str(path))
        if facts.video is None or facts.audio is None:
            continue
        if min(facts.video.announced_duration_s or 0, facts.audio.announced_duration_s or 0) >= LEAST_S:
            yield path


def renditions_of(clip: Clip) -> Iterator[tuple[int, list[Fault]]]:
    """Give the faults of each copy of a clip, chosen by the clip's name."""
    for number, wanted in enumerate(RENDITIONS):
        random = np.random.default_rng([zlib.crc32(clip.name.encode()), number])
        lasting = [(kind, float(random.uniform(low, high))) for kind, low, high in wanted]
        faults = choose_times(clip.length_s, lasting, random)
        if faults:
            yield number, faults


def main(arguments: Sequence[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.moments_figures")
    parser.add_argument("media", type=Path)
    parser.add_argument("--clips", type=int, help="at most so many, spread over all")
    parser.add_argument("--keep", type=Path, help="folder that gets the planted clips; they are used again")
    given = parser.parse_args(arguments)
    paths = list(find_clips(given.media))
    if given.clips is not None and given.clips < len(paths):
        paths = [paths[at] for at in np.linspace(0, len(paths) - 1, given.clips).round().astype(int)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        planted, as_they_are = _measure_all(paths, folder)
    _print(planted, as_they_are)
    return 0


def _measure_all(
    paths: Sequence[Path], folder: Path
) -> tuple[list[tuple[Sequence[Fault], ClipResult]], dict[str, tuple[float, ClipResult]]]:
    chosen = evaluators()
    planted: list[tuple[Sequence[Fault], ClipResult]] = []
    as_they_are: dict[str, tuple[float, ClipResult]] = {}
    others = read_clip(paths[-1]).sound
    for path in paths:
        clip = read_clip(path)
        as_they_are[path.stem] = (clip.length_s, measure(str(path), chosen))
        for number, faults in renditions_of(clip):
            file = folder / f"{path.stem}-{number}"
            if all(fault.kind in SOUND_KINDS for fault in faults):
                sound = file.with_suffix(".wav")
                if not sound.exists():
                    write_sound(plant(clip, faults, others), sound)
                result = measure(str(path), chosen, audio_path=str(sound))
            else:
                picture = file.with_suffix(".mp4")
                if not picture.exists():
                    write(plant(clip, faults, others), picture)
                result = measure(str(picture), chosen)
            planted.append((faults, result))
        others = clip.sound
        sys.stderr.write(f"{path.stem}: measured\n")
    return planted, as_they_are


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _print(
    planted: Sequence[tuple[Sequence[Fault], ClipResult]], as_they_are: Mapping[str, tuple[float, ClipResult]]
) -> None:
    _say(f"{'fault':18} {'metric':26} planted precision recall    F1")
    for kind, metrics in SEEN_BY.items():
        for metric in metrics:
            _say(f"{kind:18} {metric:26} {score(metric, kind, planted).text}")
    minutes = sum(length_s for length_s, _ in as_they_are.values()) / 60
    named: Counter[str] = Counter()
    where: defaultdict[str, list[str]] = defaultdict(list)
    for name, (_, result) in as_they_are.items():
        for measurement in result.measurements:
            if measurement.moments:
                named[measurement.metric.name] += len(measurement.moments)
                where[measurement.metric.name].append(name)
    _say(f"\n{len(as_they_are)} clips as they are, {minutes:.1f} minutes: moments named, a minute")
    for metric, n in named.most_common():
        _say(f"{metric:28} {n:4d} {n / minutes:6.2f}  in {', '.join(where[metric])}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
