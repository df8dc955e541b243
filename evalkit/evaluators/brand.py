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

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evalkit.brands.guidelines import BrandGuidelines, read_brand
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator, Exhibit, MakeTracker, Measured
from evalkit.formatting import count
from evalkit.isolation import Failure, run_isolated
from evalkit.metrics.brand import FOUND, Calibration, choose_place, drift_per_min
from evalkit.metrics.moments import LEAST_FIDELITY, MOST_DELTA_E, moments_beyond, with_moments
from evalkit.metrics.person import outline_person, share_inside
from evalkit.models.brand import network as mark_network
from evalkit.stats.intervals import ratio_interval
from evalkit.tracks import lettering, mark
from evalkit.tracks.base import FrameTracker
from evalkit.tracks.brand import N_BEST, BrandTracker, track_name
from evalkit.tracks.cache import content_hash
from evalkit.tracks.calibration_store import calibration_path, read_calibration, store_calibration
from evalkit.tracks.clip import BUNDLED, ClipModel, load_clip
from evalkit.tracks.pose import JOINTS, PoseTracker, refuse_missing, track_of
from evalkit.types import ClipFacts, FloatArray, Measurement, Metric, Reason, Track

FIDELITY = Metric(
    "brand.fidelity",
    "1",
    "higher",
    "likeness of the brand mark, calibrated for the scene",
    (0.0, 1.0),
    is_headline=True,
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

NO_BRAND = Reason("no_brand", "no brand was given; see --brand")
NO_BRAND_COLORS = Reason("no_brand_colors", "the brand names no standard colours")
MARK_NOT_FOUND = Reason("mark_not_found", "the brand mark was not found")
NO_COLOR_READ = Reason(
    "no_color_read",
    "the mark that was found is too small to read a colour from, or a version without brand colours",
)
MODEL_WITHOUT_LANGUAGE = Reason(
    "model_without_language", "the bundled model knows marks, not words; see --clip-model"
)
NO_PROMPT = Reason("no_prompt", "no prompt was given: what the picture should show; see --prompt")

BETWEEN_NOTES_S = 5.0
"""At least, between two lines about a calibration under way."""
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


class Sighting(NamedTuple):
    """All that was seen of a brand on one clip, for pictures.

    Parameters
    ----------
    facts : ClipFacts
    track : Track
        The brand's own.
    frames : list of KeyFrame
        At least one.
    """

    facts: ClipFacts
    track: Track
    frames: list[KeyFrame]


class Brand(Evaluator):
    """Compares what is seen with the guidelines of a brand.

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
    runtime : str
        What runs the pose network, as for the evaluator ``motion``: with the same one they share its track.

    Raises
    ------
    UsageError
        If the brand cannot be used, the model cannot be loaded, or there is no such runtime.
    """

    name = "brand"
    version = 5
    metrics = (
        FIDELITY,
        LOGO_COSINE,
        LOGO_COVERAGE,
        COLOR_DELTA_E,
        PROMPT_ALIGNMENT,
        DRIFT,
    )
    reasons = (NO_BRAND, NO_BRAND_COLORS, MARK_NOT_FOUND, NO_COLOR_READ, MODEL_WITHOUT_LANGUAGE, NO_PROMPT)
    extra = "brand"
    file_settings = ("file",)
    file_or_name_settings = ("weights",)

    def __init__(
        self,
        file: str | None = None,
        model: str = BUNDLED,
        weights: str | None = None,
        device: str | None = None,
        runtime: str = "openvino",
    ) -> None:
        self._settings = {"file": file, "model": model, "weights": weights, "device": device}
        for name, value in self._settings.items():
            if value is not None and not isinstance(value, str):
                raise UsageError(f"the setting {name} of the evaluator brand is {value!r}; give a text")
        if file is None and (model != BUNDLED or weights is not None):
            raise UsageError(f"the CLIP model {model} is of no use without a brand; give --brand brand.yaml")
        self.guidelines: BrandGuidelines | None = None if file is None else read_brand(file)
        self._model_name, self._weights_name, self._device = model, weights, device
        self._pose = track_of(runtime)
        self._runtime = runtime
        if model != BUNDLED or weights is not None or device is not None:
            _ = self.model  # a model that cannot be loaded is refused before the work

    @classmethod
    def files_to_carry(cls, settings: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
        """Return the files that it reads: a brand's drawings go with its YAML file, which names them."""
        brand = settings.get("file")
        for group in super().files_to_carry(settings):
            drawings = [] if brand is None or group != (brand,) else map(str, read_brand(brand).logo_files)
            yield (*group, *drawings)

    @property
    def identity(self) -> str:
        """What decides the values beside the version: the brand, the finder, the model, and a runtime not the usual one."""
        if self.guidelines is None:
            return ""
        file = self._weights_file
        named = self._weights_name if file is None else content_hash(file)[:12]
        runtime = None if self._runtime == "openvino" else self._runtime
        reading = f"reading {self.reading[:12]}" if self.reading else None
        finder = f"finder {mark.VERSION}"
        said = (self.guidelines.content[:12], finder, reading, self._model_name, named, runtime)
        return " ".join(filter(None, said))

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks it needs: none without a brand."""
        return () if self.guidelines is None else ("face", self._pose, self.track)

    def trackers(self, facts: ClipFacts) -> Mapping[str, MakeTracker]:
        """Return what makes the brand's own track and that of the pose."""
        del facts
        if self.guidelines is None:
            return {}
        return {self._pose: partial(PoseTracker, self._runtime), self.track: self._make_tracker}

    def prepare(self, notify: Callable[[str], None]) -> None:
        """Refuse a runtime that is missing; calibrate what is not in the cache yet, in a process of its own.

        Workers would each do it, all at once and in silence, and would be given up where it takes longer than their stall
        limit: a brand of many drawings takes minutes.
        """
        if self.guidelines is None:
            return
        refuse_missing(self._runtime)
        is_new = read_calibration(self.calibration_file) is None
        for notice in self._notices(is_new=is_new):
            notify(notice)
        if not is_new:
            return
        name, n = self.guidelines.name, len(self.guidelines.logos)
        notify(f"calibrating {name} ({count(n, 'drawing')}), once for each brand and model")
        told_s = time.monotonic()

        def show(_: int, share: float) -> None:
            nonlocal told_s
            if time.monotonic() - told_s >= BETWEEN_NOTES_S:
                told_s = time.monotonic()
                notify(f"calibrating {name}: {share:.0%} done")

        for _, outcome in run_isolated(
            _calibrate, [self._settings], n_workers=1, stall_limit_s=math.inf, on_progress=show
        ):
            if isinstance(outcome, Failure):
                raise UsageError(f"the brand {name} could not be calibrated: {outcome.text}")

    def _notices(self, *, is_new: bool) -> Iterator[str]:
        """Say what of the brand's words is not read, and why."""
        name, words = self._brand.name, self._brand.words
        folder = lettering.models_folder()
        if folder is None:
            if words or is_new:
                yield f"{name}: nothing that is written in a picture is read, the mark is looked for as drawn alone: {lettering.HOW_TO_INSTALL}"
            return
        for word in words:
            if unknown := lettering.unknown_letters(folder, word):
                yield f"{name}: {word!r} is not looked for, nothing here reads {unknown}"

    @cached_property
    def reading(self) -> str:
        """Hash of the networks that read text; empty where there are none."""
        folder = lettering.models_folder()
        return "" if folder is None else lettering.hash_of_models(folder)

    @cached_property
    def track(self) -> str:
        """Name of the brand's own track."""
        return track_name(self._brand, self.model, self.reading)

    @cached_property
    def model(self) -> ClipModel:
        """The CLIP model, loaded when first asked for."""
        return load_clip(self._model_name, weights=self._weights_name, device=self._device)

    @cached_property
    def calibration(self) -> Calibration:
        """What likeness means for this brand and model: read from the cache, or made."""
        return read_calibration(self.calibration_file) or self.calibrate()

    def calibrate(self, progress: Callable[[float], None] | None = None) -> Calibration:
        """Learn what likeness means for this brand and model, and put it into the cache.

        Parameters
        ----------
        progress : callable, optional
            Called with the share that is done, from 0 to 1.
        """
        made = mark.calibrate(self._brand.logos, self.model, progress=progress)
        store_calibration(self.calibration_file, made)
        return made

    @cached_property
    def calibration_file(self) -> Path:
        """Where the cache has the calibration, or will have it. Loads no model whose weights are one file."""
        file = self._weights_file
        weights = self.model.weights_hash if file is None else content_hash(file)
        return calibration_path(self._brand.logos, self._model_name, weights)

    @property
    def _weights_file(self) -> str | None:
        given = self._weights_name
        if given is None and self._model_name == BUNDLED:
            given = str(mark_network.WEIGHTS_FILE)
        return given if given is not None and Path(given).is_file() else None

    @property
    def _brand(self) -> BrandGuidelines:
        if self.guidelines is None:
            raise UsageError("there is no brand; give --brand brand.yaml")
        return self.guidelines

    def _make_tracker(self) -> FrameTracker:
        return BrandTracker(self._brand, self.model, self._make_finder, self.reading)

    def _make_finder(self) -> mark.MarkFinder:
        folder = lettering.models_folder()
        return mark.MarkFinder(
            self._brand.logos,
            self.model,
            self.calibration,
            load_reader=None if folder is None else partial(lettering.Reader, folder),
            words=[*self._brand.words, self._brand.name],
        )

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip; the details are its `Sighting`."""
        if self.guidelines is None:
            return self.absent(NO_BRAND)
        if self.track not in tracks or not len(tracks[self.track]):
            return self.absent(Reason.NO_VIDEO)
        seen = tracks[self.track]
        frames = self.judge(tracks)
        measurements = (
            *_likeness(frames),
            _colors(frames, has_colors=bool(self.guidelines.colors)),
            self._alignment(facts, seen, frames),
            _drift(frames),
        )
        return Measured(
            measurements, Sighting(facts, seen, frames), {f"brand/{self.model.name}": self.model.weights_hash}
        )

    def evidence(self, details: Sighting) -> Iterator[Exhibit]:
        """Draw the worst and the best key frame, colours and calibration; write every place that was looked at."""
        from evalkit.evaluators.pictures.brand import describe_brand, draw_sighting
        from evalkit.plot_style import png_of

        figure = draw_sighting(self._brand, self.calibration, details)
        caption = "the brand mark where it was found, its colours, and what likeness means"
        yield Exhibit("brand.png", caption, png_of(figure), FIDELITY)
        text = describe_brand(self._brand, self.model, self.calibration, details)
        yield Exhibit("brand.json", "every key frame, with every place that was looked at", text, FIDELITY)

    def judge(self, tracks: Mapping[str, Track]) -> list[KeyFrame]:
        """Decide for every key frame which place counts.

        Parameters
        ----------
        tracks : mapping of str to Track
            The brand's own, those of the face and of the pose.
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
                _joints_at(tracks[self._pose], time_s),
                size[1],
                body=not self._brand.worn,
            )
            covered = np.array([share_inside(box, outline) for box in boxes[row]])
            best = choose_place(
                boxes[row], numbers["fidelity"][row], covered, picture_px=size, region=self._brand.region
            )
            values = {
                what: float(table[row, best]) if best is not None else np.nan
                for what, table in numbers.items()
            }
            values["fidelity"] = 0.0 if best is None else max(0.0, values["fidelity"])
            frames.append(
                KeyFrame(
                    float(time_s), float(weights_s[row]), best, **values, boxes=boxes[row], on_person=covered
                )
            )
        return frames

    def _alignment(self, facts: ClipFacts, seen: Track, frames: list[KeyFrame]) -> Measurement:
        prompt = facts.intent.prompt or self._brand.text
        if not self.model.general:
            return Measurement.absent(PROMPT_ALIGNMENT, MODEL_WITHOUT_LANGUAGE)
        if not prompt:
            return Measurement.absent(PROMPT_ALIGNMENT, NO_PROMPT)
        pictures = seen.select(*(column for column in seen.columns if column.startswith("embedding_")))
        cosines = np.maximum(0.0, pictures @ self.model.embed_texts([prompt])[0])
        return _mean(PROMPT_ALIGNMENT, frames, np.minimum(1.0, cosines), (("prompt_alignment", cosines),))


def _calibrate(given: Mapping[str, Any], report: Callable[[Any], None]) -> bool:
    """Calibrate in a worker process."""
    return bool(Brand(**given).calibrate(report))


def _likeness(frames: list[KeyFrame]) -> Iterable[Measurement]:
    fidelity = np.array([frame.fidelity for frame in frames])
    cosine = np.array([frame.cosine for frame in frames])
    boxes = np.array(
        [frame.boxes[frame.best] if frame.best is not None else [np.nan] * 4 for frame in frames]
    )
    times_s = np.array([frame.time_s for frame in frames])
    weights_s = np.array([frame.weight_s for frame in frames])
    found = (fidelity >= FOUND).astype(np.float64)
    yield with_moments(
        _mean(
            FIDELITY, frames, fidelity, (("times_s", times_s), ("fidelity", fidelity), ("boxes_px", boxes))
        ),
        moments_beyond(times_s, weights_s, fidelity, lowest=LEAST_FIDELITY),
    )
    yield _mean(LOGO_COSINE, frames, cosine, (("logo_cosine", cosine),))
    yield with_moments(
        _mean(LOGO_COVERAGE, frames, found), moments_beyond(times_s, weights_s, found, lowest=0.5)
    )


def _colors(frames: list[KeyFrame], *, has_colors: bool) -> Measurement:
    if not has_colors:
        return Measurement.absent(COLOR_DELTA_E, NO_BRAND_COLORS)
    found = np.array([frame.fidelity >= FOUND for frame in frames])
    if not found.any():
        return Measurement.absent(COLOR_DELTA_E, MARK_NOT_FOUND, coverage=0.0)
    raw = np.where(found, [frame.delta_e for frame in frames], np.nan)
    balanced = np.where(found, [frame.delta_e_balanced for frame in frames], np.nan)
    if not np.isfinite(raw).any():
        return Measurement.absent(COLOR_DELTA_E, NO_COLOR_READ, coverage=0.0)
    both = (("delta_e_raw", raw), ("delta_e_balanced", balanced))
    times_s, weights_s = (
        np.array([getattr(frame, name) for frame in frames]) for name in ("time_s", "weight_s")
    )
    as_seen, in_white_light = (
        with_moments(
            _mean(COLOR_DELTA_E, frames, values, both),
            moments_beyond(times_s, weights_s, values, highest=MOST_DELTA_E),
        )
        for values in (raw, balanced)
    )
    return min(as_seen, in_white_light, key=lambda measured: measured.value or 0.0)


def _drift(frames: list[KeyFrame]) -> Measurement:
    if not any(frame.fidelity >= FOUND for frame in frames):
        return Measurement.absent(DRIFT, MARK_NOT_FOUND)
    weights_s = np.array([frame.weight_s for frame in frames])
    if len(frames) < LEAST_KEY_FRAMES or weights_s.sum() < SHORTEST_DRIFT_S:
        return Measurement.absent(DRIFT, Reason.TOO_SHORT)
    times_s = np.array([frame.time_s for frame in frames])
    slope, interval = drift_per_min(times_s, np.array([frame.fidelity for frame in frames]), weights_s)
    return Measurement(DRIFT, slope, n=len(frames), coverage=1.0, interval=interval)


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
        return Measurement.absent(metric, MARK_NOT_FOUND, coverage=0.0)
    sums = values[known] * weights[known]
    return Measurement(
        metric,
        float(sums.sum() / weights[known].sum()),
        n=int(known.sum()),
        coverage=float(weights[known].sum() / weights.sum()),
        interval=ratio_interval(sums, weights[known], bounds=metric.bounds),
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
