"""Faults of known time, planted in clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.media import Reader, probe
from evalkit.testing.media import write_clip
from evalkit.tracks.face import FaceTracker
from evalkit.types import AudioChunk, FloatArray, FrameChunk

Frame = NDArray[np.uint8]
Points = NDArray[np.float32] | None

SOUND_HZ = 48_000
TREMBLE_DEG = 1.2
TREMBLE_HZ = (6.0, 10.0)
DELAY_S = 0.3
GAZE_PLACE = 0.3
"""Of the iris beside the middle of its eye, in eye widths: 48 degrees."""
BLUR_SHARE = 0.012
"""Standard deviation of the blur, of the picture's longer side: 6 pixels of 512."""
_IRISES = ((468, 33, 133), (473, 362, 263))
"""Iris, and the corners of its eye, among the landmarks."""
_LIPS = (61, 291, 0, 17)
_EYES = (33, 263)


class Fault(NamedTuple):
    """What was planted, and where."""

    kind: str
    start_s: float
    end_s: float


@dataclass
class Clip:
    """A decoded clip."""

    name: str
    times_s: FloatArray
    frames: list[Frame]
    sound: NDArray[np.float32]

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(1 / np.median(np.diff(self.times_s)))

    @property
    def length_s(self) -> float:
        """Of the picture and the sound, the shorter."""
        return min(float(self.times_s[-1] + 1 / self.fps), len(self.sound) / SOUND_HZ)

    def rows(self, fault: Fault) -> range:
        """Return the frames of a fault."""
        first, last = np.searchsorted(self.times_s, [fault.start_s - 1e-6, fault.end_s - 1e-6])
        return range(int(first), int(last))

    def samples(self, fault: Fault) -> slice:
        """Return the samples of a fault."""
        return slice(round(fault.start_s * SOUND_HZ), round(fault.end_s * SOUND_HZ))


def read_clip(path: Path) -> Clip:
    """Decode a whole clip; its frames become 25 a second or what they are."""
    facts = probe(str(path))
    times_s: list[float] = []
    frames: list[Frame] = []
    sound: list[NDArray[np.float32]] = []
    for chunk in Reader(facts, frames=facts.video is not None, sound_rates_hz=[SOUND_HZ]):
        if isinstance(chunk, FrameChunk):
            times_s += chunk.times_s.tolist()
            frames += [frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2] for frame in chunk.frames]
        elif isinstance(chunk, AudioChunk):
            sound.append(chunk.samples)
    samples = np.concatenate(sound) if sound else np.zeros(0, np.float32)
    start_s = times_s[0] if times_s else 0.0
    return Clip(path.stem, np.array(times_s) - start_s, frames, samples)


def choose_times(
    length_s: float, wanted: Iterable[tuple[str, float]], random: np.random.Generator
) -> list[Fault]:
    """Place faults at random, a second and a half apart at least; those for which there is no room are left out."""
    faults: list[Fault] = []
    for kind, lasts_s in wanted:
        for _ in range(200):
            start_s = float(random.uniform(1.0, max(1.0, length_s - lasts_s - 1.0)))
            fault = Fault(kind, start_s, start_s + lasts_s)
            if fault.end_s <= length_s - 0.8 and all(
                fault.start_s - other.end_s >= 1.5 or other.start_s - fault.end_s >= 1.5 for other in faults
            ):
                faults.append(fault)
                break
    return faults


def plant(clip: Clip, faults: Iterable[Fault], others_sound: NDArray[np.float32]) -> Clip:
    """Return a clip with faults; frames that are not touched are shared."""
    planted = Clip(clip.name, clip.times_s, list(clip.frames), clip.sound.copy())
    for fault in faults:
        if fault.kind in _IN_SOUND:
            _IN_SOUND[fault.kind](planted, fault, others_sound)
        else:
            _IN_PICTURE[fault.kind](planted, fault)
    return planted


def write(clip: Clip, path: Path) -> Path:
    """Write a clip as MP4."""
    return write_clip(path, clip.frames, times_s=clip.times_s.tolist(), sound=clip.sound, rate_hz=SOUND_HZ)


def write_sound(clip: Clip, path: Path) -> Path:
    """Write the sound of a clip alone."""
    return write_clip(path, sound=clip.sound, rate_hz=SOUND_HZ)


# --- the picture -----------------------------------------------------------------------------------------------------


def _freeze(clip: Clip, fault: Fault) -> None:
    rows = clip.rows(fault)
    for row in rows:
        clip.frames[row] = clip.frames[rows[0]]


def _black(clip: Clip, fault: Fault) -> None:
    for row in clip.rows(fault):
        clip.frames[row] = np.zeros_like(clip.frames[row])


def _blur(clip: Clip, fault: Fault) -> None:
    import cv2

    for row in clip.rows(fault):
        frame = clip.frames[row]
        clip.frames[row] = np.asarray(
            cv2.GaussianBlur(frame, (0, 0), BLUR_SHARE * max(frame.shape)), dtype=np.uint8
        )


def _flicker(clip: Clip, fault: Fault) -> None:
    for row in clip.rows(fault):
        brighter = clip.frames[row].astype(np.int16) + (12 if row % 4 < 2 else -12)
        clip.frames[row] = np.clip(brighter, 0, 255).astype(np.uint8)


def _tremble(clip: Clip, fault: Fault) -> None:
    """Turn the picture to and fro in the band of tremor, and shift it a little."""
    import cv2

    from evalkit.metrics.filters import butter, sosfiltfilt

    rows = clip.rows(fault)
    random = np.random.default_rng(len(clip.frames) + rows[0])
    sections = butter(3, TREMBLE_HZ, btype="bandpass", fs=clip.fps)
    noise = sosfiltfilt(sections, random.normal(size=(len(rows) + 50, 3)), axis=0)[25 : 25 + len(rows)]
    noise /= noise.std(axis=0)
    for row, (turn, across, down) in zip(rows, noise, strict=True):
        frame = clip.frames[row]
        height, width = frame.shape[:2]
        moved = cv2.getRotationMatrix2D((width / 2, height / 2), TREMBLE_DEG * turn, 1.0)
        moved[:, 2] += 0.004 * width * np.array([across, down])
        clip.frames[row] = np.asarray(
            cv2.warpAffine(frame, moved, (width, height), borderMode=cv2.BORDER_REFLECT), dtype=np.uint8
        )


def _freeze_mouth(clip: Clip, fault: Fault) -> None:
    """Carry the mouth of the first frame along with the face."""
    import cv2

    rows = clip.rows(fault)
    points = _points(clip, rows)
    first = next((found for found in points if found is not None), None)
    if first is None:
        return
    held = clip.frames[rows[next(i for i, found in enumerate(points) if found is not None)]]
    height, width = held.shape[:2]
    for row, found in zip(rows, points, strict=True):
        if found is None:
            continue
        steady = [*_EYES, 168, 6, 4, 234, 454]
        moved, _ = cv2.estimateAffinePartial2D(first[steady], found[steady])
        carried = cv2.warpAffine(held, moved, (width, height), borderMode=cv2.BORDER_REFLECT)
        mouth = (found[61] + found[291]) / 2
        apart = float(np.linalg.norm(found[61] - found[291]))
        turn = np.degrees(np.arctan2(*(found[291] - found[61])[::-1]))
        mask = np.zeros((height, width), np.float32)
        centre = (round(float(mouth[0])), round(float(mouth[1] + 0.45 * apart)))  # the chin is part of it
        cv2.ellipse(mask, centre, (round(1.1 * apart), round(1.35 * apart)), float(turn), 0, 360, 1.0, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), 0.12 * apart)[..., None]
        frame = clip.frames[row]
        clip.frames[row] = np.clip(frame + mask * (carried.astype(np.float32) - frame) + 0.5, 0, 255).astype(
            np.uint8
        )


def _look_away(clip: Clip, fault: Fault) -> None:
    """Push both irises to one side of their eyes."""
    import cv2

    rows = clip.rows(fault)
    points = _points(clip, rows)
    turned = [float(found[4][0] - found[[*_EYES]].mean(axis=0)[0]) for found in points if found is not None]
    side = 1.0 if sum(turned) > 0 else -1.0  # eyes that turn against the head would look at the camera
    for row, found in zip(rows, points, strict=True):
        if found is None:
            continue
        frame = clip.frames[row]
        height, width = frame.shape[:2]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        across, below = np.zeros_like(x), np.zeros_like(y)
        for iris, outer, inner in _IRISES:
            wide = float(np.linalg.norm(found[outer] - found[inner]))
            along = (found[inner] - found[outer]) * np.sign(found[inner][0] - found[outer][0]) / wide
            middle = (found[outer] + found[inner]) / 2
            at = (
                (x - middle[0]) * along[0] + (y - middle[1]) * along[1]
            ) / wide  # -0.5 to 0.5 across the eye
            down = ((y - middle[1]) * along[0] - (x - middle[0]) * along[1]) / wide
            is_at = float(np.clip((found[iris] - middle) @ along / wide, -0.4, 0.4))
            shown = np.interp(at, [-0.55, side * GAZE_PLACE, 0.55], [-0.55, is_at, 0.55]).astype(np.float32)
            moved = np.where(np.abs(at) < 0.55, shown - at, 0.0) * wide * np.exp(-((down / 0.3) ** 4))
            across += moved * along[0]
            below += moved * along[1]
        clip.frames[row] = np.asarray(
            cv2.remap(frame, x + across, y + below, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT),
            dtype=np.uint8,
        )


def _points(clip: Clip, rows: range) -> list[Points]:
    tracker = FaceTracker()
    found = tracker.update(
        FrameChunk(rows[0], clip.times_s[rows.start : rows.stop], [clip.frames[row] for row in rows])
    )
    tracker.finish()
    return found


_IN_PICTURE: dict[str, Callable[[Clip, Fault], None]] = {
    "picture frozen": _freeze,
    "picture black": _black,
    "picture blurred": _blur,
    "picture flickers": _flicker,
    "picture trembles": _tremble,
    "mouth frozen": _freeze_mouth,
    "looks away": _look_away,
}

# --- the sound -------------------------------------------------------------------------------------------------------


def _replace_sound(clip: Clip, fault: Fault, others: NDArray[np.float32]) -> None:
    """Put what another says in its place, as loud, with edges of 20 ms."""
    part = clip.samples(fault)
    n = part.stop - part.start
    heard = np.resize(others, n)
    heard = heard * (np.std(clip.sound[part]) + 1e-4) / (np.std(heard) + 1e-9)
    fade = np.clip(np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.02 * SOUND_HZ), 0, 1)
    clip.sound[part] = (1 - fade) * clip.sound[part] + fade * heard


def _cut_sound(clip: Clip, fault: Fault, _: NDArray[np.float32]) -> None:
    clip.sound[clip.samples(fault)] = 0.0


def _clip_sound(clip: Clip, fault: Fault, _: NDArray[np.float32]) -> None:
    part = clip.samples(fault)
    level = np.percentile(np.abs(clip.sound[part]), 95) + 1e-4
    clip.sound[part] = np.clip(clip.sound[part] / level, -1.0, 1.0)


def _delay_sound(clip: Clip, fault: Fault, _: NDArray[np.float32]) -> None:
    """Take what is heard there from a quarter of a second earlier."""
    part = clip.samples(fault)
    late = round(DELAY_S * SOUND_HZ)
    clip.sound[part] = clip.sound[part.start - late : part.stop - late].copy()


_IN_SOUND: dict[str, Callable[[Clip, Fault, NDArray[np.float32]], None]] = {
    "another's sound": _replace_sound,
    "sound late": _delay_sound,
    "gap in the sound": _cut_sound,
    "sound clipped": _clip_sound,
}
SOUND_KINDS = frozenset(_IN_SOUND)
