"""Compare the offset of the predictor with that of closures, which are learned from nothing, on real clips.

    python training/lip_sync/zero.py MEDIA --whisper FOLDER [--kind talking_real]

MEDIA holds ``INDEX.csv``. What is said in a clip is written down by the Whisper model of FOLDER (CTranslate2, multilingual), but for clips
of GRID, whose names say it. Closures of fewer than five sounds are shown for comparison, and pooled at the end.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evalkit.evaluators.lip_sync import LipSync
from evalkit.measuring.runner import make_tracks
from evalkit.media import probe
from evalkit.metrics import closures
from evalkit.tracks import make_tracker
from evalkit.tracks.cache import TrackCache
from evalkit.tracks.phonemes import PhonemesTracker, phonemes_of
from pipeline.speech.sphinx import Pocketsphinx
from pipeline.speech.whisper import FasterWhisper

if TYPE_CHECKING:
    from evalkit.metrics.closures import ClosureOffset
    from evalkit.types import Interval, Track

GRID = {
    "b": "bin", "l": "lay", "p": "place", "s": "set"
}, {"b": "blue", "g": "green", "r": "red", "w": "white"}, {"a": "at", "b": "by", "i": "in", "w": "with"}  # fmt: skip
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ADVERBS = {"a": "again", "n": "now", "p": "please", "s": "soon"}
LANGUAGES = {"en": "en", "zh": "cmn"}


class Row(NamedTuple):
    """One clip."""

    name: str
    predictor_ms: float
    predictor_interval: Interval
    n_closures: int
    found: ClosureOffset | None
    missed: float | None
    note: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("media", type=Path)
    parser.add_argument("--whisper", type=Path, required=True)
    parser.add_argument("--kind", default="talking_real")
    options = parser.parse_args()
    whisper = FasterWhisper(model=str(options.whisper), device="cpu", compute_type="int8")
    with (options.media / "INDEX.csv").open(encoding="utf-8") as file:
        index = [row for row in csv.DictReader(file) if row["kind"] == options.kind]
    closures.FEWEST_CLOSURES = 1  # each closure counts here; the table says how few there are
    evaluator, aligner, rows = LipSync(), Pocketsphinx(), []
    print(
        "| clip | predictor (ms) | closures (ms) | n | difference | missed | |\n|---|---|---|---|---|---|---|"
    )
    for entry in sorted(index, key=lambda entry: entry["file"]):
        row = compare(options.media / entry["file"], entry["language"], evaluator, aligner, whisper)
        if row is not None:
            rows.append(row)
            print(tell(row), flush=True)
    summarise(rows)


def compare(
    path: Path, language: str, evaluator: LipSync, aligner: Pocketsphinx, whisper: FasterWhisper
) -> Row | None:
    """Measure a clip both ways; None without an offset of the predictor."""
    facts = probe(str(path))
    trackers = {name: make_tracker(name) for name in ("face", "speech")}
    tracks, _ = make_tracks(facts, trackers, TrackCache())
    measured = evaluator.measure(facts, tracks)
    offset = next(one for one in measured.measurements if one.metric.name == "lip_sync.offset_ms")
    if offset.value is None or offset.interval is None:
        return None
    language = language.rstrip("?")
    aligned = [
        _align(path, LANGUAGES[known], aligner, whisper) for known in ([language] if language else LANGUAGES)
    ]
    track = min(aligned, key=lambda track: track.facts["misfit"] or np.inf)
    phonemes, misfit = phonemes_of(track), track.facts["misfit"]
    note = "" if phonemes else "what was heard does not fit the sound; "
    note += track.facts["language"] + ("" if misfit is None else f", misfit {misfit:.0f}")
    face = tracks["face"]
    openness = closures.scale_openness(face["lip_gap"], face.valid)
    spoken = closures.find_closures(phonemes)
    found = None
    missed = None
    if openness is not None:
        found = closures.estimate_offset(face.times_s, openness, face.valid, spoken)
        at_s = found.offset_s if found is not None and found.is_clear else 0.0
        missed = closures.judge_closures(face.times_s, openness, face.valid, spoken, at_s).missed_share
    return Row(path.name, offset.value, offset.interval, spoken.n, found, missed, note)


def _align(path: Path, language: str, aligner: Pocketsphinx, whisper: FasterWhisper) -> Track:
    """Write down what is said, and lay that over the sound."""
    text = _read_name(path.name) or whisper.recognise(path, language).text
    tracker = PhonemesTracker(aligner, {}, text, language)
    return make_tracks(probe(str(path)), {tracker.name: tracker}, TrackCache())[0][tracker.name]


def _read_name(name: str) -> str:
    """Return the sentence of a clip of GRID, which its name spells; empty for others."""
    found = re.match(r"lipnet_(\w)(\w)(\w)(\w)(\d)(\w)\.", name)
    if found is None:
        return ""
    command, colour, preposition, letter, digit, adverb = found.groups()
    return f"{GRID[0][command]} {GRID[1][colour]} {GRID[2][preposition]} {letter} {DIGITS[int(digit)]} {ADVERBS[adverb]}"


def tell(row: Row) -> str:
    """Return a clip as a row of the table."""
    low, high = row.predictor_interval
    predictor = f"{row.predictor_ms:+.0f} [{low:.0f}, {high:.0f}]"
    if row.found is None:
        return f"| {row.name} | {predictor} | – | {row.n_closures} | – | – | {row.note} |"
    closure_ms = 1000 * row.found.offset_s
    first, last = (1000 * end for end in row.found.interval_s)
    clear = "" if row.found.is_clear else "unclear; "
    missed = "–" if row.missed is None else f"{row.missed:.2f}"
    return (
        f"| {row.name} | {predictor} | {closure_ms:+.0f} [{first:.0f}, {last:.0f}] | {row.n_closures} | "
        f"{row.predictor_ms - closure_ms:+.0f} | {missed} | {clear}{row.note} |"
    )


def summarise(rows: list[Row]) -> None:
    """Print how far the two are apart, and that of GRID pooled."""
    clear = [row for row in rows if row.found is not None and row.found.is_clear]
    many = [row for row in clear if row.n_closures >= 4]
    for label, chosen in (
        ("four closures or more", many),
        ("GRID", [r for r in clear if "lipnet" in r.name]),
    ):
        differences = np.array([r.predictor_ms - 1000 * r.found.offset_s for r in chosen if r.found])
        if differences.size < 2:
            continue
        error = differences.std(ddof=1) / np.sqrt(differences.size)
        print(
            f"{label}: {differences.size} clips, predictor minus closures {differences.mean():+.0f} ms on average (standard error "
            f"{error:.0f}, standard deviation {differences.std(ddof=1):.0f}), median {np.median(differences):+.0f}, {np.abs(differences).max():.0f} at most"
        )
    pooled = [r for r in rows if "lipnet" in r.name and r.found is not None]
    if pooled:
        weights = np.array([r.n_closures for r in pooled])
        curve = sum(w * r.found.contrast for w, r in zip(weights, pooled, strict=True) if r.found)
        offsets_s = pooled[0].found.offsets_s if pooled[0].found else np.zeros(0)
        best_ms = 1000 * offsets_s[int(np.argmax(curve))]
        print(f"GRID, {weights.sum()} closures of {len(pooled)} clips pooled: {best_ms:+.0f} ms")


if __name__ == "__main__":
    main()
