"""What `lip_sync.articulation` says of mouths scaled by known factors: ``python -m tests.articulation MEDIA`` prints the tables.

MEDIA holds ``portrait``, ``speech``, ``talking_real`` and ``talking_generated``. Portraits, and a still of every real speaker, are made to
speak by the reference generator: its motion model gives the mouth in standard deviations from closed lips, so a factor on that is a factor
on every opening. About ten minutes on one core. The second table is of the real speakers as they are; the third of theirs with the sound of
another, which tells how much of a movement any sound explains.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.evaluators.lip_sync import ARTICULATION, EXPLAINED_VARIANCE, LipSync
from evalkit.measuring.runner import make_tracks
from evalkit.media import Reader, probe
from evalkit.tracks import make_tracker
from evalkit.tracks.cache import TrackCache
from evalkit.types import ClipFacts, Metric, Track
from pipeline.errors import RequestError
from pipeline.reference.channels import N_MOUTH
from pipeline.reference.generator import ReferenceGenerator
from pipeline.reference.motion import MotionModel, MotionStream
from pipeline.request import GenerationRequest

FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5)
SPOKEN_S = 7.0
RATE_HZ = 16_000
SIZE = "384*384"
STILL_FRAME = 25
WITHIN = 0.15
REAL = (0.7, 1.4)
LEFT_OUT = ("occluded",)  # a hand covers the mouth: no speaker's opening


def show(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class ScaledMouth(ReferenceGenerator):
    """The reference generator, whose mouth moves `factor` times as far; 1 changes nothing."""

    def __init__(self) -> None:
        super().__init__(device="cpu")
        self.factor = 1.0

    def load(self) -> None:
        """Read the models, and put the factor behind the motion."""
        super().load()
        if isinstance(self._model, MotionModel):
            self._model = _ScaledModel(self._model, self)  # type: ignore[assignment]


class _ScaledModel:
    def __init__(self, model: MotionModel, owner: ScaledMouth) -> None:
        self._model, self._owner = model, owner

    def stream(self, *args: Any, **options: Any) -> _ScaledStream:
        return _ScaledStream(self._model.stream(*args, **options), self._owner.factor)


class _ScaledStream:
    def __init__(self, stream: MotionStream, factor: float) -> None:
        self._stream, self._factor = stream, factor

    def advance(self, end: int) -> NDArray[np.float64]:
        motion = self._stream.advance(end).copy()  # the stream goes on from what it made itself
        motion[:, :N_MOUTH] *= self._factor
        return motion


def tracks_of(path: Path) -> dict[str, Track]:
    """Return face and speech tracks of a clip."""
    trackers = {name: make_tracker(name) for name in ("face", "speech")}
    return make_tracks(probe(str(path)), trackers, TrackCache())[0]


def value_of(tracks: Mapping[str, Track], metric: Metric) -> float | None:
    """Return one metric of a clip."""
    found = LipSync().measure(ClipFacts("clip", None, None, None), tracks).measurements
    return next(m.value for m in found if m.metric == metric)


def cut_speech(path: Path, out: Path) -> Path:
    """Write the first seconds of a sound file as mono."""
    from scipy.io import wavfile

    chunks = Reader(probe(str(path)), frames=False, sound_rates_hz=(RATE_HZ,))
    sound = np.concatenate([chunk.samples for chunk in chunks])[: int(SPOKEN_S * RATE_HZ)]
    target = out / f"{path.stem}.wav"
    wavfile.write(target, RATE_HZ, (32767 * sound / max(1.0, np.abs(sound).max())).astype(np.int16))
    return target


def portraits_of(media: Path, out: Path) -> Iterator[Path]:
    """Yield the portraits, and a still of every real speaker."""
    import cv2

    yield from sorted((media / "portrait").iterdir())
    for path in sorted((media / "talking_real").iterdir()):
        frames = (frame for chunk in Reader(probe(str(path))) for frame in getattr(chunk, "frames", ()))
        still = next((frame for index, frame in enumerate(frames) if index == STILL_FRAME), None)
        if still is not None:
            target = out / f"{path.stem}.png"
            cv2.imwrite(str(target), still[..., ::-1])
            yield target


def plant(media: Path) -> NDArray[np.float64]:
    """Print every portrait's articulation by factor; return it, shape (n_portraits, n_factors)."""
    generator, rows = ScaledMouth(), []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        speech = [
            cut_speech(path, out)
            for path in sorted((media / "speech").glob("*.wav"))
            if "snr_0" not in path.name
        ]
        show(
            f"{'portrait':48}" + "".join(f"{factor:8g}" for factor in FACTORS) + "   relative to its own at 1"
        )
        for index, portrait in enumerate(portraits_of(media, out)):
            sound, row = speech[index % len(speech)], []
            for generator.factor in FACTORS:
                clip = out / "clip.mp4"
                request = GenerationRequest(size=SIZE, image=str(portrait), audio=str(sound))
                try:
                    generator.generate(request, clip)
                except RequestError as error:
                    show(f"{portrait.stem[:48]:48}  no portrait: {error}")
                    break
                row.append(value_of(tracks_of(clip), ARTICULATION))
                clip.unlink()
            if len(row) == len(FACTORS) and None not in row:
                values = np.array(row, dtype=float)
                rows.append(values)
                relative = values / values[FACTORS.index(1.0)]
                show(
                    f"{portrait.stem[:48]:48}"
                    + "".join(f"{v:8.2f}" for v in values)
                    + "  "
                    + " ".join(f"{v:5.2f}" for v in relative)
                )
    return np.array(rows)


def summarise(rows: NDArray[np.float64]) -> None:
    """Print order and nearness of planted factors."""
    planted = np.array(FACTORS)
    moved = planted != 1
    near = np.abs(rows[:, moved] / rows[:, planted == 1] / planted[moved] - 1) <= WITHIN
    show(
        f"in order: {(np.diff(rows, axis=1) > 0).all(axis=1).mean():.1%} of {len(rows)} portraits\n"
        f"within {WITHIN:.0%} of the factor, relative to their own at 1: {near.mean():.1%} of {near.size} clips, "
        f"all four {near.all(axis=1).mean():.1%} of portraits"
    )
    for factor, share in zip(planted[moved], near.mean(axis=0), strict=True):
        show(f"  at {factor:g}: {share:.0%}")


def real(media: Path) -> None:
    """Print the real speakers, and how much of their movement other people's sound explains."""
    everybody = {}
    for path in sorted((media / "talking_real").iterdir()):
        tracks = tracks_of(path)
        if "speech" in tracks and value_of(tracks, ARTICULATION) is not None:
            everybody[path.stem] = tracks
    values = {name: value_of(tracks, ARTICULATION) for name, tracks in everybody.items()}
    for name, tracks in everybody.items():
        show(f"{name[:48]:48}{values[name]:8.2f}   explained {value_of(tracks, EXPLAINED_VARIANCE):.2f}")
    judged = np.array(
        [v for n, v in values.items() if v is not None and not any(word in n for word in LEFT_OUT)]
    )
    inside = ((judged >= REAL[0]) & (judged <= REAL[1])).mean()
    show(
        f"between {REAL[0]:g} and {REAL[1]:g}: {inside:.0%} of {judged.size}; mean (geometric) {np.exp(np.log(judged).mean()):.2f}"
    )
    strangers = [
        value_of({"face": a["face"], "speech": b["speech"]}, EXPLAINED_VARIANCE)
        for a in everybody.values()
        for b in everybody.values()
        if a is not b
    ]
    shares = np.array([share for share in strangers if share is not None])
    show(
        "explained by another's sound: "
        + ", ".join(f"{q} %: {np.percentile(shares, q):.2f}" for q in (50, 90, 95))
    )


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("media", type=Path)
    parser.add_argument("--only-real", action="store_true", help="make no videos")
    options = parser.parse_args()
    if not options.only_real:
        summarise(plant(options.media))
    real(options.media)


if __name__ == "__main__":
    main()
