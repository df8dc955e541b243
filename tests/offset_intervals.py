"""Whether the interval of `lip_sync.offset_ms` holds what it says: ``python -m tests.offset_intervals MEDIA`` prints a table.

Every recording has one constant offset that nobody knows, but pieces of it that do not overlap measure it independently. A piece is
delivered with its sound moved by a planted shift; the rest of the recording says where its offset lies without. The two must
agree to within both their intervals, and in 95 of 100 cases do. Pieces with a rest at least as long count.

Recordings are MEDIA's ``talking_real``, and clips of 42 s that the reference generator makes of MEDIA's ``portrait`` and ``speech``, which the
lip-sync networks never learned from. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evalkit.evaluators.lip_sync import LipSync, reason_against
from evalkit.metrics.lip_sync import OffsetEstimate, estimate_offset
from evalkit.types import Track
from tests.articulation import RATE_HZ, cut_speech, show, tracks_of

LENGTHS_S = (3, 5, 10, 15)
SHIFTS_A_PIECE = 3
LONGEST_SHIFT_MS = 200.0
N_RECORDINGS = 6
PIECES_A_RECORDING = 6


class Trial(NamedTuple):
    """One piece with a planted shift against the rest of its recording.

    Parameters
    ----------
    recording : str
    length_s : int
    error_ms : float
        How far the two are apart, the shift taken out.
    allowed_ms : float
        Both intervals' half widths on the side of the error, added as independent errors are.
    width_ms : float
        Of the piece's interval.
    """

    recording: str
    length_s: int
    error_ms: float
    allowed_ms: float
    width_ms: float


def within(
    tracks: Mapping[str, Track], keep_s: tuple[float, float], *, outside: bool = False
) -> dict[str, Track]:
    """Return the part of the tracks in a stretch of time, begun at 0; or, what is outside of it, closed up."""
    low, high = keep_s
    parts = {}
    for name, track in tracks.items():
        inside = (track.times_s >= low) & (track.times_s < high)
        rows = ~inside if outside else inside
        times_s = track.times_s[rows]
        times_s = np.where(times_s >= high, times_s - (high - low), times_s) if outside else times_s - low
        parts[name] = Track(track.name, track.columns, times_s, track.values[rows], track.valid[rows])
    return parts


def moved(tracks: Mapping[str, Track], by_ms: float) -> dict[str, Track]:
    """Deliver the sound later."""
    sound = tracks["speech"]
    return {**tracks, "speech": replace(sound, times_s=sound.times_s + by_ms / 1000)}


def offset_of(evaluator: LipSync, tracks: Mapping[str, Track]) -> OffsetEstimate | None:
    """Return the offset; None where it is absent."""
    if reason_against(tracks) is not None:
        return None
    lips = evaluator.trajectories(tracks["face"], tracks["speech"])
    return estimate_offset(lips.predicted, lips.observed, lips.usable)


def trials_of(name: str, tracks: Mapping[str, Track], random: np.random.Generator) -> Iterator[Trial]:
    """Yield the trials of one recording."""
    evaluator = LipSync()
    duration_s = float(min(track.times_s[-1] for track in tracks.values()))
    for length_s in LENGTHS_S:
        for index in range(int(duration_s // length_s)):
            stretch = (float(index * length_s), float((index + 1) * length_s))
            if duration_s - length_s < length_s - 0.1:
                continue
            rest = offset_of(evaluator, within(tracks, stretch, outside=True))
            for shift_ms in random.uniform(-LONGEST_SHIFT_MS, LONGEST_SHIFT_MS, SHIFTS_A_PIECE):
                piece = offset_of(evaluator, moved(within(tracks, stretch), shift_ms))
                if piece is None or rest is None:
                    continue
                error_ms = piece.offset_ms + shift_ms - rest.offset_ms
                low, high = 1e3 * np.array(piece.interval_s)
                rest_low, rest_high = 1e3 * np.array(rest.interval_s)
                ours = piece.offset_ms - low if error_ms > 0 else high - piece.offset_ms
                theirs = rest_high - rest.offset_ms if error_ms > 0 else rest.offset_ms - rest_low
                yield Trial(name, length_s, error_ms, float(np.hypot(ours, theirs)), high - low)


def make_recordings(media: Path, out: Path) -> Iterator[Path]:
    """Let portraits speak several pieces of speech one after the other."""
    from scipy.io import wavfile

    from pipeline.reference.generator import ReferenceGenerator
    from pipeline.request import GenerationRequest

    random, generator = np.random.default_rng(0), ReferenceGenerator(device="cpu")
    pieces = [
        cut_speech(path, out) for path in sorted((media / "speech").glob("*.wav")) if "snr" not in path.name
    ]
    for portrait in sorted((media / "portrait").iterdir())[:N_RECORDINGS]:
        chosen = random.permutation(len(pieces))[:PIECES_A_RECORDING]
        sound = np.concatenate([wavfile.read(pieces[index])[1] for index in chosen])
        wavfile.write(out / "speech.wav", RATE_HZ, sound)
        clip = out / f"{portrait.stem}.mp4"
        generator.generate(
            GenerationRequest(size="256*256", image=str(portrait), audio=str(out / "speech.wav")), clip
        )
        yield clip


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("media", type=Path)
    parser.add_argument("--recordings", type=Path, help="a folder of videos, in place of those that are made")
    options = parser.parse_args()
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as folder:
        made = make_recordings(options.media, Path(folder))
        recordings = made if options.recordings is None else sorted(options.recordings.glob("*.mp4"))
        random = np.random.default_rng(0)
        for path in (*recordings, *sorted((options.media / "talking_real").iterdir())):
            tracks = tracks_of(path)
            if {"face", "speech"} <= tracks.keys() and len(tracks["face"]) and len(tracks["speech"]):
                trials += list(trials_of(path.name, tracks, random))
    tell(trials)


def tell(trials: list[Trial]) -> None:
    """Print coverage and width by length, and what was not held."""
    show(
        f"{'length':>8} {'shifts':>7} {'pieces':>7} {'held':>7} {'width: median':>14} {'90 %':>6} {'error: median':>14} {'90 %':>6}"
    )
    for length_s in (*LENGTHS_S, None):
        some = [t for t in trials if length_s in (None, t.length_s)]
        if not some:
            continue
        errors = np.abs([t.error_ms for t in some])
        widths = np.array([t.width_ms for t in some])
        held = np.mean(errors <= [t.allowed_ms for t in some])
        label = "all" if length_s is None else f"{length_s} s"
        show(
            f"{label:>8} {len(some):7} {len(some) // SHIFTS_A_PIECE:7} {held:7.1%} {np.median(widths):11.0f} ms "
            f"{np.percentile(widths, 90):6.0f} {np.median(errors):11.0f} ms {np.percentile(errors, 90):6.0f}"
        )
    worst = sorted((t for t in trials if abs(t.error_ms) > t.allowed_ms), key=lambda t: -abs(t.error_ms))
    for trial in worst[:12]:
        show(
            f"  not held: {trial.recording[:44]} {trial.length_s} s: {trial.error_ms:+.0f} ms, allowed {trial.allowed_ms:.0f}"
        )


if __name__ == "__main__":
    main()
