"""Print what the lip-sync evaluator gives on clips that it never saw, moved, mixed up and re-encoded.

    python training/lip_sync/validate.py MEDIA/talking_real [--distort]

The sound is moved by moving its track in time, and exchanged by taking another clip's track. ``--distort`` also
re-encodes, crops, halves and re-times the clips with ffmpeg.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evalkit.evaluators.lip_sync import LipSync
from evalkit.measuring.runner import make_tracks
from evalkit.media import probe
from evalkit.tracks import make_tracker
from evalkit.tracks.cache import TrackCache

if TYPE_CHECKING:
    from evalkit.types import Measurement, Track

SHIFTS_MS = (-240, -200, -120, -80, -40, 40, 80, 120, 200, 240)
DISTORTIONS = {
    "crf 28, AAC 96k": ["-c:v", "libx264", "-crf", "28", "-c:a", "aac", "-b:a", "96k"],
    "10 % crop": ["-vf", "crop=iw*0.9:ih*0.9", "-c:v", "libx264", "-crf", "18", "-c:a", "copy"],
    "half size": [
        "-vf",
        "scale=trunc(iw/4)*2:trunc(ih/4)*2",
        "-c:v",
        "libx264",
        "-crf",
        "18",
        "-c:a",
        "copy",
    ],
    "30 fps": ["-vf", "fps=30", "-c:v", "libx264", "-crf", "18", "-c:a", "copy"],
}


def tracks_of(path: Path) -> dict[str, Track]:
    """Return face and speech tracks."""
    return make_tracks(
        probe(str(path)), {name: make_tracker(name) for name in ("face", "speech")}, TrackCache()
    )[0]


def values(evaluator: LipSync, face: Track, speech: Track, by_s: float = 0.0) -> dict[str, Measurement]:
    """Measure with the sound moved later by `by_s`."""
    moved = replace(speech, times_s=speech.times_s + by_s)
    found = evaluator.measure(None, {"face": face, "speech": moved})  # type: ignore[arg-type]
    return {m.metric.name.partition(".")[2]: m for m in found.measurements}


def number(measurement: Measurement) -> float:
    """Return the value, NaN where absent (for this script's own tables only)."""
    return float("nan") if measurement.value is None else measurement.value


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--distort", action="store_true")
    options = parser.parse_args()
    evaluator = LipSync()
    clips = {}
    for path in sorted(options.folder.iterdir()):
        tracks = tracks_of(path)
        if (
            "speech" in tracks
            and values(evaluator, tracks["face"], tracks["speech"])["error"].value is not None
        ):
            clips[path.name] = tracks
    print(
        f"{'clip':40} err  resid  offset [95 %]          drift  conf  sil.   200 ms either way | others' sound"
    )
    table, held, follow = [], [], []
    for name, tracks in clips.items():
        face, speech = tracks["face"], tracks["speech"]
        plain = values(evaluator, face, speech)
        own_ms, interval = number(plain["offset_ms"]), plain["offset_ms"].interval
        row = {"error": number(plain["error"]), "residual": number(plain["residual_error"])}
        long = len(face) and face.times_s[-1] >= 3.9
        for shift_ms in SHIFTS_MS:
            # The sound moved later lags: the offset falls. From the best alignment, not from the delivered one.
            at = values(evaluator, face, speech, (shift_ms + own_ms) / 1000)
            row[f"{shift_ms:+d}"] = number(at["error"])
            if long:
                moved = values(evaluator, face, speech, shift_ms / 1000)["offset_ms"]
                follow.append(abs(number(moved) - (own_ms - shift_ms)))
                if abs(own_ms) < 60 and moved.interval is not None:
                    held.append(moved.interval.low <= -shift_ms <= moved.interval.high)
        strangers = [
            values(evaluator, face, other["speech"])["error"] for o, other in clips.items() if o != name
        ]
        row["other"] = float(np.nanmedian([number(m) for m in strangers]))
        table.append(row)
        print(
            f"{name[:40]:40} {row['error']:.2f}  {row['residual']:.2f}  {own_ms:+6.0f} [{interval.low:+5.0f} {interval.high:+5.0f}]"
            f"   {number(plain['drift_ms_per_min']):6.0f}  {number(plain['confidence']):.2f}  {number(plain['silent_motion']):.2f}"
            f"   {row['-200']:.2f} {row['+200']:.2f} | {row['other']:.2f}"
        )
    for key in table[0]:
        column = np.array([row[key] for row in table])
        q = np.nanpercentile(column, [10, 50, 90])
        print(
            f"{key:10} 10 % {q[0]:.2f}  median {q[1]:.2f}  90 % {q[2]:.2f}  share >= 0.4: {np.nanmean(column >= 0.4):.2f}"
        )
    print(f"offset follows shifts within 20 ms: {np.mean(np.array(follow) <= 20):.3f} of {len(follow)} pairs")
    print(f"interval holds the shift, clips within 60 ms of sync: {np.mean(held):.3f} of {len(held)}")
    if options.distort:
        distort(evaluator, options.folder, clips)


def distort(evaluator: LipSync, folder: Path, clips: dict[str, dict[str, Track]]) -> None:
    """Print how far each distortion moves `error` and `offset_ms`."""
    with tempfile.TemporaryDirectory() as temporary:
        for label, arguments in DISTORTIONS.items():
            moves, offsets = [], []
            for name, tracks in clips.items():
                target = Path(temporary) / f"{Path(name).stem}.mov"
                command = ["ffmpeg", "-v", "error", "-y", "-i", str(folder / name), *arguments, str(target)]
                subprocess.run(command, check=True)
                after = tracks_of(target)
                before = values(evaluator, tracks["face"], tracks["speech"])
                now = values(evaluator, after["face"], after["speech"])
                moves.append(number(now["error"]) - number(before["error"]))
                offsets.append(number(now["offset_ms"]) - number(before["offset_ms"]))
            moved = {name: move for name, move in zip(clips, moves, strict=True) if not abs(move) < 0.05}
            named = ", ".join(f"{name[:30]} {move:+.2f}" for name, move in moved.items()) or "none"
            print(
                f"{label:16} error moves by less than 0.05 in {len(clips) - len(moved)} of {len(clips)}, "
                f"offset by at most {np.nanpercentile(np.abs(offsets), 90):.0f} ms in 90 %; beyond: {named}"
            )


if __name__ == "__main__":
    main()
