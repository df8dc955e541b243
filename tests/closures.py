"""How well closures are found: planted misses and shifts on drawn faces that speak.

    python -m tests.closures [--clips 12] [--face astronaut|reference]

Each clip is spoken by espeak-ng, which says when every sound is heard. A face is drawn whose lips meet exactly while a closure is
heard, but for some closures that are left out, and the whole mouth is early or late by some amount. The clip is encoded, and the
evaluator measures it twice: with the voice's own times, and with the script alone.

Twelve clips of the reference generator's face, 38 of 176 closures left out, shifts up to 250 ms: F1 0.97 with the voice's times and 0.96 with the script, the
offset off by 1.4 and 0.5 ms (median), 5.5 at most. Of the portrait: 0.96 and 0.94, 1.3 and 1.7 ms.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evalkit.evaluators.lip_sync import Curves, LipSync
from evalkit.measuring.runner import Observer, measure
from evalkit.metrics.closures import find_closures
from evalkit.testing.talking_face import ClosingFace, write_closing_face
from evalkit.types import ClipIntent
from pipeline.speech.espeak import Espeak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from evalkit.evaluators.base import Evaluator, Measured

TEXTS = (
    "Good morning, and welcome back. Today we open every box before you buy, and my brother maps the places you pick.",
    "Please bring a warm jumper, because the evening breeze blows over the harbour. People often complain about the bumpy bus.",
    "My neighbour paints a small boat every summer, and gives it away in October. He also makes lamps from empty bottles.",
    "Bob and Pam baked muffins, mixed pepper soup, and packed the blue bag. Maybe they will camp beside the deep pond.",
    "Computers help number the paper pages. A problem appears when somebody removes a page, so keep a map of them.",
    "In the month of May the museum shows Spanish paintings. Members pay nothing, but please book a place beforehand.",
)
VOICES = ("en-us", "en-gb")
FPS = 25
MISSED_SHARE = 0.25


class Planted(NamedTuple):
    """A clip and by how much its sound leads."""

    clip: ClosingFace
    offset_ms: float


def plant(folder: Path, seed: int, face: str = "astronaut", fps: float = FPS) -> Planted:
    """Write one clip."""
    rng = np.random.default_rng(seed)
    text, voice = TEXTS[seed % len(TEXTS)], VOICES[seed // len(TEXTS) % len(VOICES)]
    n_closures = find_closures(Espeak().speak(text, voice).phonemes).n
    missed = np.flatnonzero(rng.random(n_closures) < MISSED_SHARE).tolist()
    offset_ms = float(rng.uniform(-250, 250))
    clip = write_closing_face(
        folder / f"{seed}.mp4",
        text=text,
        voice=voice,
        missed=missed,
        delay_ms=offset_ms,
        fps=fps,
        draw=reference_frames if face == "reference" else None,
    )
    return Planted(clip, offset_ms)


def reference_frames(
    opening: NDArray[np.float64], times_s: NDArray[np.float64]
) -> Iterator[NDArray[np.uint8]]:
    """Draw the reference generator's face with its mouth open by a given share, nodding a little."""
    from pipeline.reference.face import Expression
    from pipeline.reference.generator import _load_face, _own_portrait
    from pipeline.reference.portrait import cut_out_person, find_face, frame_portrait
    from pipeline.reference.renderer import Renderer

    model, picture = _load_face(), _own_portrait()
    points = find_face(picture, "portrait")
    framed = frame_portrait(picture, points, model.mean, 384, 384, cutout=cut_out_person(picture, points))
    renderer = Renderer(framed, model)
    widens = model.mouth[:, 14, 1] - model.mouth[:, 13, 1]  # inner-lip gap of each direction
    wide = 0.22 * widens / (widens @ widens)
    for share, time_s in zip(opening.tolist(), times_s.tolist(), strict=True):
        angles = (2 * np.sin(1.3 * time_s), 1.5 * np.sin(2.1 * time_s), 0.0)
        yield renderer.render(Expression(mouth=share * wide, angles_deg=angles))


class _Keeper(Observer):
    """Keeps the details of what was measured."""

    details: Curves | None = None

    def on_measured(self, evaluator: Evaluator, measured: Measured) -> None:
        del evaluator
        self.details = measured.details


def look(evaluator: LipSync, planted: Planted, *, own_times: bool) -> tuple[float, bool, NDArray[np.bool_]]:
    """Return the error of the offset in milliseconds, whether its interval holds, and what was found missed, by planted closure."""
    clip = planted.clip
    intent = ClipIntent(clip.text, clip.voice, phonemes=clip.phonemes if own_times else ())
    keeper = _Keeper()
    result = measure(str(clip.path), [evaluator], intent=intent, observer=keeper)
    found = {one.metric.name: one for one in result.measurements}
    offset = found["lip_sync.closure_offset_ms"]
    seen = keeper.details.closures if keeper.details is not None else None
    if seen is None or offset.value is None or offset.interval is None:
        raise SystemExit(f"{clip.path}: {offset}")
    nearest = np.abs(seen.closures.starts_s[None] - clip.closures.starts_s[:, None]).argmin(axis=1)
    holds = offset.interval.low <= planted.offset_ms <= offset.interval.high
    return offset.value - planted.offset_ms, holds, seen.judgement.is_missed[nearest]


def f1_score(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    """Return the harmonic mean of precision and recall."""
    hits = int((truth & found).sum())
    return 2 * hits / max(1, int(truth.sum() + found.sum()))


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Plant, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--face", choices=("astronaut", "reference"), default="astronaut")
    parser.add_argument("--fps", type=float, default=FPS)
    options = parser.parse_args()
    evaluator = LipSync()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for seed in range(options.clips):
            planted = plant(Path(folder), seed, options.face, options.fps)
            row = [look(evaluator, planted, own_times=own) for own in (True, False)]
            rows.append((planted, row))
            told = "  ".join(
                f"{error:+5.0f} ms off, F1 {f1_score(planted.clip.is_missed, found):.2f}"
                for error, _, found in row
            )
            tell(
                f"clip {seed:2}: {planted.clip.is_missed.sum():2} of {planted.clip.is_missed.size} missed, "
                f"{planted.offset_ms:+4.0f} ms | {told}"
            )
    for index, name in enumerate(("the voice's own times", "the script aligned")):
        errors = np.array([row[index][0] for _, row in rows])
        truth = np.concatenate([planted.clip.is_missed for planted, _ in rows])
        found = np.concatenate([row[index][2] for _, row in rows])
        held = np.mean([row[index][1] for _, row in rows])
        tell(
            f"{name}: {truth.sum()} of {truth.size} closures missed, F1 {f1_score(truth, found):.3f}; offset off by "
            f"{np.median(np.abs(errors)):.1f} ms (median), {np.abs(errors).max():.1f} ms at most, {errors.mean():+.1f} ms "
            f"on average; interval holds in {100 * held:.0f} %"
        )


if __name__ == "__main__":
    main()
