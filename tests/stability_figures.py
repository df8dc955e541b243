"""What ``stability`` finds, and what it leaves alone: ``python -m tests.stability_figures MEDIA [PART...]`` prints tables.

``MEDIA`` is the folder of real clips. Parts, each a few minutes: ``false`` (seams where there are none), ``codec`` (the same after
encoding anew with few bits and many key frames), ``seams`` (planted every 48 frames), ``drift`` (planted, and none), ``memory``.

Short clips are played forth and back until they are long enough: a loop's border would be a seam, a turn is none.
"""

from __future__ import annotations

import csv
import itertools
import resource
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from evalkit.evaluators.stability import Stability
from evalkit.measuring.runner import make_tracks, wanted_trackers
from evalkit.media import Reader, probe
from evalkit.metrics import stability as metrics
from evalkit.metrics.color_difference import delta_e
from evalkit.testing.media import write_clip
from evalkit.tracks.cache import TrackCache
from evalkit.tracks.stability import COLORS, StabilityTracker
from evalkit.types import ClipFacts, FrameChunk, Interval, Measurement, Track

Frame = NDArray[np.uint8]
PERIOD_FRAMES = 48
N_FRAMES = 300
LONG_SIDE_PX = 384
SEAM_CLIPS = (
    "talking_real/video-retalking_face_2.mp4",
    "talking_real/liveportrait_d18_SILENT_audio.mp4",
    "talking_real/lipnet_bbaf2n.mpg",
    "talking_real/edtalk_expression_source_NO_audio.mp4",
    "talking_real/talking-face_pc-avs_Audio_Source_681100216.mp4",
    "talking_generated/v-express_vasa1_3.mp4",
    "talking_generated/linly-talker_answer_49s.mp4",
    "talking_generated/musetalk_musetalk_sun_NO_audio.mp4",
)
DOSES: tuple[tuple[str, float], ...] = (
    ("nothing", 0.0),
    ("jump, % of eye distance", 2.0),
    ("jump, % of eye distance", 4.0),
    ("jump, % of eye distance", 8.0),
    ("colour, ΔE", 1.0),
    ("colour, ΔE", 2.0),
    ("scale, %", 1.0),
    ("scale, %", 2.0),
    ("4 % jump, 1 ΔE and 1 % scale", 1.0),
)


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def frames_of(path: Path, most: int = N_FRAMES) -> tuple[list[Frame], float]:
    """Return the first frames of a clip, made small, and its frame rate."""
    frames: list[Frame] = []
    times_s: list[float] = []
    for chunk in Reader(probe(str(path))):
        if isinstance(chunk, FrameChunk):
            frames += [_small(frame) for frame in chunk.frames]
            times_s += chunk.times_s.tolist()
            if len(frames) >= most:
                break
    return frames[:most], float(1 / np.median(np.diff(times_s)))


def _small(frame: Frame) -> Frame:
    scale = min(1.0, LONG_SIDE_PX / max(frame.shape[:2]))
    size = (2 * round(frame.shape[1] * scale / 2), 2 * round(frame.shape[0] * scale / 2))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def forth_and_back(frames: Sequence[Frame], n: int) -> Iterator[Frame]:
    """Yield frames until there are n, turning round at both ends."""
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    for index in range(n):
        yield frames[order[index % len(order)]]


def of_real_clips(media: Path) -> list[Path]:
    """Return the real speakers and the bodies."""
    with (media / "INDEX.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] in {"talking_real", "body"}]
    return [media / row["file"] for row in rows]


def measure_tracks(path: Path, cache: Path | None = None) -> tuple[ClipFacts, dict[str, Track]]:
    """Return the tracks that the evaluator needs."""
    facts = probe(str(path))
    trackers = {name: make() for name, make in wanted_trackers(Stability(), facts).items()}
    return facts, make_tracks(facts, trackers, TrackCache(cache))[0]


def measured(path: Path, cache: Path | None = None) -> dict[str, Measurement]:
    """Measure a clip."""
    facts, tracks = measure_tracks(path, cache)
    found = Stability().measure(facts, tracks).measurements
    return {m.metric.name.removeprefix("stability."): m for m in found}


def seams_of(found: dict[str, Measurement]) -> list[float]:
    """Return the times of the seams that were found."""
    return [float(s) for s in dict(found["seams_per_min"].samples).get("seam_s", np.zeros(0))]


def show_false(media: Path) -> None:
    """Print the seams of real clips."""
    n_seams, minutes = 0, 0.0
    for path in of_real_clips(media):
        found = measured(path)
        rate = found["seams_per_min"]
        if rate.value is None:
            _say(f"{path.name}: {rate.reason}")
            continue
        seams_s = seams_of(found)
        if rate.value:
            minutes += len(seams_s) / rate.value
        else:
            facts = probe(str(path)).video
            minutes += (rate.coverage or 0) * ((facts and facts.announced_duration_s) or 0) / 60
        n_seams += len(seams_s)
        flicker = found["background_flicker"].value
        if seams_s:
            _say(f"{path.name}: seams at {', '.join(f'{s:.2f}' for s in seams_s)} s, flicker {flicker}")
    _say(f"{n_seams} seams in {minutes:.2f} minutes: {n_seams / minutes:.2f} a minute")


def encode(path: Path, frames: Sequence[Frame], fps: float, every: int, quality: int) -> Path:
    """Write frames with a key frame every so many."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=round(fps))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(quality), "g": str(every), "keyint_min": str(every), "sc_threshold": "0"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def show_codec(media: Path) -> None:
    """Print the seams of clips that were encoded with few bits and a key frame every 12 and every 48 frames."""
    n_seams, minutes = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in SEAM_CLIPS:
            frames, fps = frames_of(media / name)
            for every, quality in ((12, 35), (48, 35)):
                path = encode(Path(folder) / "clip.mp4", frames, fps, every, quality)
                seams_s = seams_of(measured(path, Path(folder)))
                _say(f"{name}: key frames every {every}, crf {quality}: {len(seams_s)} seams {seams_s}")
                n_seams += len(seams_s)
                minutes += len(frames) / fps / 60
    _say(f"{n_seams} seams in {minutes:.2f} minutes: {n_seams / minutes:.2f} a minute")


def planted(frames: Sequence[Frame], face: Track, kind: str, dose: float) -> Iterator[Frame]:
    """Move, grow or colour every other piece of 48 frames, in a direction of its own.

    Movements are those of the head and what is around it, and fade out towards the picture's edge.
    """
    random = np.random.default_rng(7)
    seen = np.flatnonzero(face.valid)
    directions = random.uniform(0, 2 * np.pi, 99)
    tints = random.normal(size=(99, 3)) * (1, 0.6, 0.6)
    tints /= np.linalg.norm(tints, axis=1, keepdims=True)
    for index, frame in enumerate(frames):
        piece = index // PERIOD_FRAMES
        if piece % 2 == 0 or not dose:
            yield frame
            continue
        nearest = seen[np.abs(seen - index).argmin()]
        x, y, scale = face.select("centre_x_px", "centre_y_px", "scale_px")[nearest]
        together = kind.startswith("4 %")
        jump_px = scale / 100 * (dose if kind.startswith("jump") else 4.0 if together else 0.0)
        growth = (dose if kind.startswith("scale") else 1.0 if together else 0.0) / 100
        tint = dose if kind.startswith("colour") else 1.0 if together else 0.0
        changed = frame
        if jump_px or growth:
            shift = jump_px * np.array([np.cos(directions[piece]), np.sin(directions[piece])])
            changed = _moved(frame, (x, y), 2.2 * scale, shift, growth)
        yield _tinted(changed, tint * tints[piece]) if tint else changed


def _moved(
    frame: Frame, middle: tuple[float, float], radius: float, shift: NDArray[np.float64], growth: float
) -> Frame:
    y, x = np.indices(frame.shape[:2], np.float32)
    off_x, off_y = x - middle[0], y - middle[1]
    share = np.exp(-(((off_x**2 + off_y**2) / (2 * radius**2)) ** 2))
    from_x, from_y = x - share * (shift[0] + growth * off_x), y - share * (shift[1] + growth * off_y)
    places = from_x.astype(np.float32), from_y.astype(np.float32)
    return np.asarray(cv2.remap(frame, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _tinted(frame: Frame, tint: NDArray[np.float64]) -> Frame:
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2Lab) + np.asarray(tint, np.float32)
    return np.clip(255 * cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) + 0.5, 0, 255).astype(np.uint8)


def show_seams(media: Path) -> None:
    """Print how many planted seams are found, and whether their period is named."""
    total: dict[tuple[str, float], list[tuple[int, int, int, bool]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in SEAM_CLIPS:
            once, fps = frames_of(media / name)
            frames = list(forth_and_back(once, max(N_FRAMES, len(once))))
            path = write_clip(Path(folder) / "clip.mp4", frames, fps=fps, quality=16)
            face = measure_tracks(path, Path(folder))[1]["face"]
            truth = np.arange(PERIOD_FRAMES, len(frames), PERIOD_FRAMES)
            words = []
            for kind, dose in DOSES:
                path = write_clip(Path(folder) / "clip.mp4", planted(frames, face, kind, dose), fps=fps)
                found = measured(path, Path(folder))
                seams = np.round(np.array(seams_of(found)) * fps)
                n_hit = sum(bool((np.abs(seams - frame) <= 1).any()) for frame in truth)
                n_false = sum(bool((np.abs(truth - seam) > 1).all()) for seam in seams)
                period_s = found["seam_period_s"].value
                is_named = period_s is not None and abs(period_s * fps - PERIOD_FRAMES) < 0.5
                total.setdefault((kind, dose), []).append((n_hit, truth.size, n_false, is_named))
                words.append(f"{n_hit}/{truth.size}+{n_false}{'P' if is_named else ''}")
            _say(f"{name}: {'  '.join(words)}")
    for (kind, dose), rows in total.items():
        n_hit, n, n_false = (sum(row[column] for row in rows) for column in range(3))
        score = 2 * n_hit / (n_hit + n_false + n)
        named = sum(row[3] for row in rows)
        _say(
            f"{kind} {dose:g}: F1 {score:.3f}, found {n_hit} of {n}, {n_false} false, period in {named} of {len(rows)}"
        )


def show_drift(media: Path) -> None:
    """Print whether drifts of 0 and of 1 ΔE00 a minute are found in three minutes, and what none gives at other lengths."""
    fps = 4.0
    held: dict[str, list[bool]] = {}
    off: list[float] = []
    for path in (media / name for name in SEAM_CLIPS):
        frames, real_fps = frames_of(path)
        kept = frames[:: max(1, round(real_fps / fps))]
        for rate in (0.0, 1.0):
            track = _changes(kept, fps, 180, rate)
            for region, length_s in itertools.product(("person", "background"), (30, 60, 180)):
                for found in _drifts(track, region, length_s):
                    what = f"{rate:g} ΔE00/min, {region}, {length_s} s"
                    held.setdefault(what, []).append(found[1].low <= 0)
                    if rate and length_s == 180:
                        off.append(abs(found[0] - rate))
                        _say(f"{path.name} {region}: {found}")
    for what, hits in held.items():
        _say(f"{what}: the interval holds 0 in {np.mean(hits):.3f} of {len(hits)}")
    _say(f"the value is off by {np.median(off):.2f} ΔE00/min (median), {np.max(off):.2f} (most)")


def _drifts(track: Track, region: str, length_s: int) -> Iterator[tuple[float, Interval]]:
    lab = track.select(*(f"{region}_{name}" for name in COLORS))
    known = np.isfinite(lab).all(axis=1)
    for start_s in range(0, 180 - length_s + 1, 45):
        part = known & (track.times_s >= start_s) & (track.times_s < start_s + length_s)
        drift = metrics.drift_per_min(track.times_s[part], lab[part])
        if drift is not None:
            yield metrics.color_drift_size(drift)


def _changes(frames: Sequence[Frame], fps: float, length_s: int, rate: float) -> Track:
    """Return the track of frames played forth and back, whose lightness falls so that they drift by a rate in ΔE00/min."""
    tracker = StabilityTracker()
    for index, frame in enumerate(forth_and_back(frames, round(length_s * fps))):
        time_s = index / fps
        shown = frame
        if rate:
            mean = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).reshape(-1, 3).mean(axis=0)
            step = np.array([1.0, 0.0, 0.0])
            down = (
                step * rate * (time_s - length_s / 2) / 60 / float(delta_e(mean - step / 2, mean + step / 2))
            )
            shown = _tinted(frame, -down)
        tracker.update(FrameChunk(index, np.array([time_s]), [shown]))
    return tracker.finish()


_PEAK = "from tests.stability_figures import print_peak; import sys; print_peak(sys.argv[1])"


def print_peak(path: str) -> None:
    """Measure a clip in this process, and print its greatest memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(path), Path(folder))
    if found["seams_per_min"].value is None:
        raise SystemExit(f"{path}: {found['seams_per_min'].reason}")
    _say(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def show_memory(media: Path) -> None:
    """Print the peak memory of one minute and of thirty, and what the evaluator itself takes of 30 minutes at 25 a second."""
    once, _ = frames_of(media / SEAM_CLIPS[0])
    small = [
        np.asarray(cv2.resize(frame, (192, 192), interpolation=cv2.INTER_AREA), np.uint8) for frame in once
    ]
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (1, 30):
            path = write_clip(
                Path(folder) / f"{minutes}.mp4", forth_and_back(small, round(minutes * 60 * 2.5)), fps=2.5
            )
            done = subprocess.run(
                [sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True
            )
            peaks.append(float(done.stdout.split()[-1]))
            _say(f"{minutes} min: {peaks[-1]:.0f} MB")
        facts, tracks = measure_tracks(Path(folder) / "1.mp4", Path(folder))
    _say(f"30 minutes take {peaks[1] - peaks[0]:.0f} MB more than 1")
    n = 30 * 60 * 25
    long = {
        name: Track(
            name,
            track.columns,
            np.arange(n) / 25,
            np.resize(track.values, (n, track.values.shape[1])),
            np.resize(track.valid, n),
        )
        for name, track in tracks.items()
    }
    tracemalloc.start()
    Stability().measure(facts, long)
    _say(f"the evaluator takes {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB for {n} frames")


PARTS: dict[str, Callable[[Path], None]] = {
    "false": show_false,
    "codec": show_codec,
    "seams": show_seams,
    "drift": show_drift,
    "memory": show_memory,
}


def main(arguments: Sequence[str]) -> None:
    """Print the parts that are asked for; all, unless any is named."""
    if not arguments or unknown_parts(arguments[1:]):
        raise SystemExit(f"usage: python -m tests.stability_figures MEDIA [{'|'.join(PARTS)}]...")
    for part in arguments[1:] or PARTS:
        _say(f"== {part}")
        PARTS[part](Path(arguments[0]))


def unknown_parts(names: Sequence[str]) -> list[str]:
    """Return those that are no part."""
    return [name for name in names if name not in PARTS]


if __name__ == "__main__":
    main(sys.argv[1:])
