"""The evaluator ``brand``: whether the brand's mark is there, and right, and in the brand's colours.

What counts
    On each key frame the best place that is not on the person, and lies in the brand's `place` where it names one. A
    place is on the person when more than `MOST_ON_PERSON` of its box is covered by the head, the body or the limbs,
    which are put together from the tracks ``face`` and ``pose`` at that moment (bridged over up to `LONGEST_BRIDGE_S`).
    A mark on the person's clothes does not count, because the brand has to be seen behind the person whoever speaks;
    a brand whose mark is worn says ``worn: true``, and then only the head is kept out.
Means over time
    A key frame stands for the time until the next one. A clip in which the mark is nowhere to be seen is measured: its
    fidelity is low.
Colours
    As they are, and with the light of the scene taken out (`evalkit.metrics.color`). The light is an estimate, and a
    red room looks like red light: what counts for the clip is the lower of the two, and both are in the samples.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evalkit.brands import read_brand
from evalkit.errors import UsageError
from evalkit.isolation import Failure, run_isolated
from evalkit.metrics.brand import Calibration
from evalkit.metrics.person import outline_person, share_inside
from evalkit.runs.files import write_atomically
from evalkit.stats.intervals import ratio_interval
from evalkit.tracks import mark
from evalkit.tracks.brand import N_BEST, BrandTracker, track_name
from evalkit.tracks.cache import cache_folder, content_hash
from evalkit.tracks.clip import BUNDLED, BUNDLED_FOLDER, load_clip
from evalkit.tracks.pose import JOINTS
from evalkit.types import Interval, Measurement, Metric, Reason
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from evalkit.brands import BrandManual
    from evalkit.tracks.base import FrameTracker
    from evalkit.tracks.clip import ClipModel
    from evalkit.types import BoolArray, ClipFacts, FloatArray, Track

FIDELITY = Metric(
    "brand.fidelity", "1", "higher", "likeness of the brand mark, calibrated for the scene", (0.0, 1.0)
)
LOGO_COSINE = Metric(
    "brand.logo_cosine", "1", "higher", "cosine of the best region to the brand mark, raw", (-1.0, 1.0)
)
LOGO_COVERAGE = Metric(
    "brand.logo_coverage", "1", "higher", "share of time in which the mark is found", (0.0, 1.0)
)
COLOR_DELTA_E = Metric(
    "brand.color_delta_e", "ΔE00", "lower", "distance of the brand colours, 95th percentile", (0.0, None)
)
PROMPT_ALIGNMENT = Metric(
    "brand.prompt_alignment",
    "1",
    "higher",
    "cosine of picture and prompt, 0 where it is negative",
    (0.0, 1.0),
)
DRIFT = Metric("brand.drift", "1/min", "zero", "slope of the fidelity over the clip")

FOUND = 0.5
"""Fidelity from which on the mark is there: nearer to what scenes with it give than to scenes without."""
MOST_ON_PERSON = 0.5
LONGEST_BRIDGE_S = 1.0
SHORTEST_DRIFT_S = 8.0
LEAST_KEY_FRAMES = 5
_HEAD_COLUMNS = ("centre_x_px", "centre_y_px", "scale_px", "yaw_deg", "roll_deg")
_VISIBLE = 0.5


class KeyFrame(NamedTuple):
    """What was decided for one key frame.

    Parameters
    ----------
    time_s, weight_s : float
        Its moment, and the time it stands for.
    best : int or None
        Which place counts; None where none is left.
    fidelity : float
        Of that place; 0 where none is left.
    cosine, delta_e, delta_e_balanced : float
        NaN where there is none.
    boxes : FloatArray, shape (N_BEST, 4)
        All places in pixels, the best first; NaN where there are fewer.
    on_person : FloatArray, shape (N_BEST,)
        Share of each box that the person covers.
    """

    time_s: float
    weight_s: float
    best: int | None
    fidelity: float
    cosine: float
    delta_e: float
    delta_e_balanced: float
    boxes: FloatArray
    on_person: FloatArray


class Brand:
    """Compares what is seen with a brand manual.

    ``n`` counts key frames; ``coverage`` is the share of time that could be measured: for the colours, that in which
    the mark is found.

    Parameters
    ----------
    file : str, optional
        A brand's YAML file (`evalkit.brands`); without one every metric is absent with ``no_brand``.
    model : str
        A CLIP model that open_clip knows; the bundled one knows marks and no words.
    weights : str, optional
        Its pretrained tag, or a local file.
    device : str, optional
        As torch names it; a GPU where there is one unless given.

    Raises
    ------
    UsageError
        If the brand cannot be used, or the model cannot be loaded.
    """

    name = "brand"
    version = 1
    metrics: tuple[Metric, ...] = (
        FIDELITY,
        LOGO_COSINE,
        LOGO_COVERAGE,
        COLOR_DELTA_E,
        PROMPT_ALIGNMENT,
        DRIFT,
    )

    def __init__(
        self,
        file: str | None = None,
        model: str = BUNDLED,
        weights: str | None = None,
        device: str | None = None,
    ) -> None:
        for name, value in {"file": file, "model": model, "weights": weights, "device": device}.items():
            if value is not None and not isinstance(value, str):
                raise UsageError(
                    f"the setting {name} of the evaluator brand is {value!r}, and has to be a text"
                )
        if file is None and (model != BUNDLED or weights is not None):
            raise UsageError(
                f"the CLIP model {model} has nothing to do without a brand; give --brand brand.yaml"
            )
        self.manual: BrandManual | None = None if file is None else read_brand(file)
        self._model_name, self._weights_name, self._device = model, weights, device
        if model != BUNDLED or weights is not None or device is not None:
            _ = self.model  # what cannot be loaded is told before the work

    @property
    def identity(self) -> str:
        """What decides the values beside the version: the brand's content, the finder, and the model's weights."""
        if self.manual is None:
            return ""
        file = self._weights_file
        named = self._weights_name if file is None else content_hash(file)[:12]
        said = (self.manual.content[:12], f"finder {mark.VERSION}", self._model_name, named)
        return " ".join(filter(None, said))

    @property
    def weights(self) -> Mapping[str, str]:
        """Name and hash of the model's weights."""
        return {} if self.manual is None else {f"brand/{self.model.name}": self.model.weights_hash}

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks it needs: none without a brand."""
        return () if self.manual is None else ("face", "pose", self.track)

    @property
    def trackers(self) -> Mapping[str, Callable[[], FrameTracker]]:
        """What makes the brand's own track."""
        return {} if self.manual is None else {self.track: self._make_tracker}

    @cached_property
    def track(self) -> str:
        """Name of the brand's own track."""
        return track_name(self._brand, self.model)

    @cached_property
    def model(self) -> ClipModel:
        """The CLIP model, loaded when first asked for."""
        return load_clip(self._model_name, weights=self._weights_name, device=self._device)

    @cached_property
    def calibration(self) -> Calibration:
        """What likeness means for this brand and model: read from the cache, or made."""
        path = self.calibration_file
        with suppress(OSError, ValueError, TypeError, AttributeError):  # absent, or damaged
            return Calibration.from_dict(json.loads(path.read_text("utf-8")))
        made = mark.calibrate(self._brand.logos, self.model)
        with suppress(OSError):  # a cache that cannot be written is no reason to fail
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(made.to_dict()))
        return made

    @cached_property
    def calibration_file(self) -> Path:
        """Where the cache has the calibration, or will have it. Loads no model whose weights are one file."""
        drawings = [[list(logo.shape), logo.tobytes().hex()] for logo in self._brand.logos]
        file = self._weights_file
        weights = self.model.weights_hash if file is None else content_hash(file)
        key = hash_of([drawings, self._model_name, weights, mark.VERSION])
        return cache_folder() / "brands" / f"{key}.json"

    @property
    def _weights_file(self) -> str | None:
        given = self._weights_name
        if given is None and self._model_name == BUNDLED:
            given = str(BUNDLED_FOLDER / f"{BUNDLED}.safetensors")
        return given if given is not None and Path(given).is_file() else None

    @property
    def _brand(self) -> BrandManual:
        if self.manual is None:
            raise UsageError("there is no brand; give --brand brand.yaml")
        return self.manual

    def _make_tracker(self) -> FrameTracker:
        return BrandTracker(self._brand, self.model, self._make_finder)

    def _make_finder(self) -> mark.MarkFinder:
        return mark.MarkFinder(self._brand.logos, self.model, self.calibration)

    def evaluate(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Iterable[Measurement]:
        """Measure one clip; see `evalkit.evaluators.base.Evaluator`."""
        if self.manual is None:
            return [Measurement.absent(metric, Reason.NO_BRAND) for metric in self.metrics]
        if self.track not in tracks or not len(tracks[self.track]):
            return [Measurement.absent(metric, Reason.NO_VIDEO) for metric in self.metrics]
        seen = tracks[self.track]
        frames = self.judge(tracks)
        return [
            *_likeness(frames),
            _colors(frames, has_colors=bool(self.manual.colors)),
            self._alignment(facts, seen, frames),
            _drift(frames),
        ]

    def judge(self, tracks: Mapping[str, Track]) -> list[KeyFrame]:
        """Decide for every key frame which place counts.

        Parameters
        ----------
        tracks : mapping of str to Track
            The brand's own, ``face`` and ``pose``.
        """
        seen = tracks[self.track]
        boxes = np.stack(
            [seen.select(*(f"place{i}_{c}_px" for c in ("x0", "y0", "x1", "y1"))) for i in range(N_BEST)],
            axis=1,
        )
        numbers = {
            what: seen.select(*(f"place{i}_{what}" for i in range(N_BEST)))
            for what in ("fidelity", "cosine", "delta_e", "delta_e_balanced")
        }
        weights_s = np.diff(np.append(seen.times_s, max(seen.facts["end_s"], seen.times_s[-1] + 1e-3)))
        size = seen.facts["width_px"], seen.facts["height_px"]
        frames = []
        for row, time_s in enumerate(seen.times_s):
            outline = outline_person(
                _head_at(tracks["face"], time_s),
                _joints_at(tracks["pose"], time_s),
                size[1],
                body=not self._brand.worn,
            )
            there = np.isfinite(boxes[row]).all(axis=1)
            covered = np.array([share_inside(box, outline) for box in boxes[row]])
            allowed = there & (covered <= MOST_ON_PERSON) & self._in_place(boxes[row], size)
            likeness = np.where(allowed, numbers["fidelity"][row], -1.0)
            best = int(likeness.argmax()) if allowed.any() else None
            values = {
                what: float(table[row, best]) if best is not None else np.nan
                for what, table in numbers.items()
            }
            values["fidelity"] = max(0.0, float(likeness.max()))
            frames.append(
                KeyFrame(
                    float(time_s), float(weights_s[row]), best, **values, boxes=boxes[row], on_person=covered
                )
            )
        return frames

    def _in_place(self, boxes: FloatArray, size: tuple[int, int]) -> BoolArray:
        """Say which boxes have their middle where the brand wants it."""
        place = self._brand.place
        if place is None:
            return np.ones(len(boxes), dtype=bool)
        x = (boxes[:, 0] + boxes[:, 2]) / 2 / size[0]
        y = (boxes[:, 1] + boxes[:, 3]) / 2 / size[1]
        return (place.left <= x) & (x <= place.right) & (place.top <= y) & (y <= place.bottom)

    def _alignment(self, facts: ClipFacts, seen: Track, frames: list[KeyFrame]) -> Measurement:
        prompt = facts.asked.prompt or self._brand.text
        if not self.model.general:
            return Measurement.absent(PROMPT_ALIGNMENT, Reason.MODEL_WITHOUT_LANGUAGE)
        if not prompt:
            return Measurement.absent(PROMPT_ALIGNMENT, Reason.NO_PROMPT)
        pictures = seen.select(*(column for column in seen.columns if column.startswith("embedding_")))
        cosines = np.maximum(0.0, pictures @ self.model.embed_texts([prompt])[0])
        return _mean(PROMPT_ALIGNMENT, frames, np.minimum(1.0, cosines), (("prompt_alignment", cosines),))


def calibrate_before(settings: Mapping[str, Mapping[str, Any]], tell: Callable[[str], None]) -> None:
    """Calibrate, before workers measure, what is not in the cache yet, in a process of its own.

    Workers would each do it, all at once and without a word, and be given up where it takes longer than their stall
    limit: a brand of many drawings takes minutes.

    Parameters
    ----------
    settings : mapping of str to mapping
        Of evaluators, by name. Nothing is done where there is no brand among them.
    tell : callable
        Called with a line for the person who waits.

    Raises
    ------
    UsageError
        If the brand cannot be used, or not be calibrated.
    """
    given = dict(settings.get("brand", {}))
    brand = Brand(**given)
    if brand.manual is None or brand.calibration_file.is_file():
        return
    n = len(brand.manual.logos)
    tell(f"calibrating {brand.manual.name} ({n} drawing{'s' * (n != 1)}), once for each brand and model")
    for _, outcome in run_isolated(_calibrate, [given], n_workers=1, stall_limit_s=math.inf):
        if isinstance(outcome, Failure):
            raise UsageError(f"the brand {brand.manual.name} could not be calibrated: {outcome.text}")


def _calibrate(given: Mapping[str, Any], _report: Callable[[Any], None]) -> bool:
    """Calibrate in a worker process."""
    return bool(Brand(**given).calibration)


def _likeness(frames: list[KeyFrame]) -> Iterable[Measurement]:
    fidelity = np.array([frame.fidelity for frame in frames])
    cosine = np.array([frame.cosine for frame in frames])
    boxes = np.array(
        [frame.boxes[frame.best] if frame.best is not None else [np.nan] * 4 for frame in frames]
    )
    times_s = np.array([frame.time_s for frame in frames])
    yield _mean(
        FIDELITY, frames, fidelity, (("times_s", times_s), ("fidelity", fidelity), ("boxes_px", boxes))
    )
    yield _mean(LOGO_COSINE, frames, cosine, (("logo_cosine", cosine),))
    yield _mean(LOGO_COVERAGE, frames, (fidelity >= FOUND).astype(np.float64))


def _colors(frames: list[KeyFrame], *, has_colors: bool) -> Measurement:
    if not has_colors:
        return Measurement.absent(COLOR_DELTA_E, Reason.NO_BRAND_COLORS)
    found = np.array([frame.fidelity >= FOUND for frame in frames])
    if not found.any():
        return Measurement.absent(COLOR_DELTA_E, Reason.MARK_NOT_FOUND, coverage=0.0)
    raw = np.where(found, [frame.delta_e for frame in frames], np.nan)
    balanced = np.where(found, [frame.delta_e_balanced for frame in frames], np.nan)
    if not np.isfinite(raw).any():
        return Measurement.absent(COLOR_DELTA_E, Reason.NO_COLOR_READ, coverage=0.0)
    both = (("delta_e_raw", raw), ("delta_e_balanced", balanced))
    as_seen, in_white_light = (_mean(COLOR_DELTA_E, frames, values, both) for values in (raw, balanced))
    return min(as_seen, in_white_light, key=lambda measured: measured.value or 0.0)


def _drift(frames: list[KeyFrame]) -> Measurement:
    """Fit a line through the fidelities, key frames weighted by the time they stand for."""
    from scipy.stats import t

    if not any(frame.fidelity >= FOUND for frame in frames):
        return Measurement.absent(DRIFT, Reason.MARK_NOT_FOUND)
    n = len(frames)
    weights = np.array([frame.weight_s for frame in frames])
    if n < LEAST_KEY_FRAMES or weights.sum() < SHORTEST_DRIFT_S:
        return Measurement.absent(DRIFT, Reason.TOO_SHORT)
    weights /= weights.sum()
    minutes = np.array([frame.time_s + frame.weight_s / 2 for frame in frames]) / 60.0
    fidelity = np.array([frame.fidelity for frame in frames])
    away, spread = minutes - weights @ minutes, fidelity - weights @ fidelity
    variance = weights @ away**2
    slope = float(weights @ (away * spread) / variance)
    error = float(np.sqrt((weights**2) @ (away * (spread - slope * away)) ** 2) / variance)
    reach = float(t.ppf(0.975, n - 2)) * error
    return Measurement(DRIFT, slope, n=n, coverage=1.0, interval=Interval(slope - reach, slope + reach))


def _mean(
    metric: Metric,
    frames: list[KeyFrame],
    values: FloatArray,
    samples: tuple[tuple[str, FloatArray], ...] = (),
) -> Measurement:
    """Return the mean over the time of the key frames that have a value."""
    weights = np.array([frame.weight_s for frame in frames])
    known = np.isfinite(values)
    if not known.any():
        return Measurement.absent(metric, Reason.MARK_NOT_FOUND, coverage=0.0)
    sums = values[known] * weights[known]
    return Measurement(
        metric,
        float(sums.sum() / weights[known].sum()),
        n=int(known.sum()),
        coverage=float(weights[known].sum() / weights.sum()),
        interval=ratio_interval(sums, weights[known]),
        samples=samples,
    )


def _head_at(face: Track, time_s: float) -> dict[str, float] | None:
    known = np.flatnonzero(face.valid)
    if not _is_near(face.times_s[known], time_s):
        return None
    return {
        column: float(np.interp(time_s, face.times_s[known], face[column][known])) for column in _HEAD_COLUMNS
    }


def _joints_at(pose: Track, time_s: float) -> dict[str, tuple[float, float]]:
    joints = {}
    for joint in JOINTS:
        known = np.flatnonzero(pose.valid & (pose[f"{joint}_visibility"] >= _VISIBLE))
        if _is_near(pose.times_s[known], time_s):
            x, y = (
                float(np.interp(time_s, pose.times_s[known], pose[f"{joint}_{axis}_px"][known]))
                for axis in "xy"
            )
            joints[joint] = x, y
    return joints


def _is_near(times_s: FloatArray, time_s: float) -> bool:
    return bool(times_s.size) and float(np.abs(times_s - time_s).min()) <= LONGEST_BRIDGE_S
