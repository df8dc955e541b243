"""What the brand numbers stand on: found regions, colours side by side, and what likeness means for this brand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy.typing import NDArray

from evalkit.brands.guidelines import BrandGuidelines
from evalkit.evaluators.brand import KeyFrame, Sighting
from evalkit.formatting import three_digits
from evalkit.media import read_frames_at
from evalkit.metrics.brand import FOUND, PASS, Calibration
from evalkit.metrics.color import lab_of, take_out_light
from evalkit.metrics.color_difference import delta_e
from evalkit.plot_style import (
    BLUE,
    GREY,
    ORANGE,
    TEXT_COLOUR,
    VERMILION,
    label_at_end,
    new_figure,
    style_axes,
)
from evalkit.tracks.brand import LIGHT_COLUMNS, N_BEST
from evalkit.tracks.clip import ClipModel
from evalkit.types import FloatArray, Track

Picture = NDArray[np.uint8]

_N_SWATCHES = 5


class Seen(NamedTuple):
    """What is seen of one of the brand's colours, over the whole clip.

    Parameters
    ----------
    wanted, raw, balanced : FloatArray, shape (3,)
        sRGB of the brand, as seen, and with the light taken out: medians over the key frames with the mark.
    delta_e, delta_e_balanced : float
        Of these medians. The metric is a high percentile over pixels, so it is higher.
    tolerance : float
        What the brand lets pass.
    scene_share : float
        Share of the whole picture that passes for the colour, 0 to 1.
    """

    wanted: FloatArray
    raw: FloatArray
    balanced: FloatArray
    delta_e: float
    delta_e_balanced: float
    tolerance: float
    scene_share: float


def describe_brand(
    guidelines: BrandGuidelines, model: ClipModel, calibration: Calibration, sighting: Sighting
) -> str:
    """Return everything that is known of every key frame, and the calibration, as JSON.

    Parameters
    ----------
    guidelines : BrandGuidelines
    model : ClipModel
    calibration : Calibration
    sighting : Sighting
        The details of a measurement.
    """
    plain = {
        "brand": guidelines.name,
        "content": guidelines.content,
        "weights": {f"brand/{model.name}": model.weights_hash},
        "colors": [color.model_dump(mode="json") for color in guidelines.colors],
        "key_frames": [
            _plain(sighting.track, row, frame, guidelines) for row, frame in enumerate(sighting.frames)
        ],
        "calibration": calibration.to_dict(),
    }
    return json.dumps(_without_nan(plain), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def draw_sighting(guidelines: BrandGuidelines, calibration: Calibration, sighting: Sighting) -> Figure:
    """Draw what was seen of a brand on one clip; two of its frames are read again. Parameters as of `describe_brand`."""
    frames = sighting.frames
    worst = min(frames, key=lambda frame: frame.fidelity)
    best = max(frames, key=lambda frame: frame.fidelity)
    pictures = read_frames_at(sighting.facts, [worst.time_s, best.time_s])
    shown = [(frame, pictures[frame.time_s]) for frame in (worst, best) if frame.time_s in pictures]
    return draw_brand(
        guidelines, calibration, frames, shown, _seen_colors(sighting.track, frames, guidelines)
    )


def draw_brand(
    guidelines: BrandGuidelines,
    calibration: Calibration,
    frames: Sequence[KeyFrame],
    shown: Sequence[tuple[KeyFrame, Picture]],
    seen: Mapping[str, Seen],
) -> Figure:
    """Draw the worst and the best key frame, likeness over time, colours, and the distributions of the calibration.

    Parameters
    ----------
    guidelines : BrandGuidelines
    calibration : Calibration
    frames : sequence of KeyFrame
        At least one.
    shown : sequence of (KeyFrame, uint8 array)
        The worst and the best, with their pictures; none where they cannot be read again.
    seen : mapping of str to Seen
        By the colour's name.
    """
    n_found = sum(frame.fidelity >= FOUND for frame in frames)
    weights = np.array([frame.weight_s for frame in frames])
    fidelity = float(np.average([frame.fidelity for frame in frames], weights=weights))
    figure = new_figure(11, 8.6)
    figure.suptitle(
        f"{guidelines.name}: found in {n_found} of {len(frames)} key frames, likeness {fidelity:.2f} "
        f"({PASS} passes)",
        x=0.01, ha="left", weight="bold", color=TEXT_COLOUR,
    )  # fmt: skip
    rows = figure.add_gridspec(3, 1, height_ratios=(1.5, 0.65, 0.9))
    places = _row(figure, rows[0], [1.0] * max(1, len(shown)))
    for axes, (frame, picture), word in zip(places, shown, ("Worst", "Best"), strict=False):
        _draw_frame(axes, frame, picture, word)
    logos, swatches = _row(figure, rows[1], (1, 2.2))
    _draw_logos(logos, guidelines)
    _draw_swatches(swatches, seen)
    over_time, likeness, cosines = _row(figure, rows[2], (1.2, 1, 1))
    _draw_over_time(over_time, frames)
    alike = ", ".join(f"{value:.2f}" for value in calibration.look_alike_fidelities[:3])
    _draw_distributions(
        likeness,
        (calibration.without_mark, calibration.with_mark),
        fidelity,
        f"Likeness of drawn scenes\n(nearest look-alikes: {alike or 'none'})",
        (0.0, 1.0),
    )
    known = [frame.cosine for frame in frames if np.isfinite(frame.cosine)]
    _draw_distributions(
        cosines,
        (calibration.cosines_without, calibration.cosines_with),
        float(np.mean(known)) if known else None,
        "Cosine of drawn scenes",
        None,
    )
    return figure


def _row(figure: Figure, place: SubplotSpec, widths: Sequence[float]) -> list[Axes]:
    parts = place.subgridspec(1, len(widths), width_ratios=list(widths))
    return [figure.add_subplot(parts[0, column]) for column in range(len(widths))]


def _draw_frame(axes: Axes, frame: KeyFrame, picture: Picture, word: str) -> None:
    axes.imshow(picture)
    for index, (x0, y0, x1, y1) in enumerate(frame.boxes):
        if not np.isfinite(x0) or index == frame.best:
            continue
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=GREY, linewidth=0.7, alpha=0.8)
    if frame.best is not None:
        x0, y0, x1, y1 = frame.boxes[frame.best]
        colour = BLUE if frame.fidelity >= FOUND else VERMILION
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color="white", linewidth=3.5)
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=colour, linewidth=2)
    where = "no place left to look at" if frame.best is None else f"likeness {frame.fidelity:.2f}"
    axes.set_title(f"{word}, at {frame.time_s:.2f} s: {where}", loc="left", fontsize=11, color=TEXT_COLOUR)
    axes.set_xlim(-0.5, picture.shape[1] - 0.5)
    axes.set_ylim(picture.shape[0] - 0.5, -0.5)
    axes.set_axis_off()


def _draw_logos(axes: Axes, guidelines: BrandGuidelines) -> None:
    """Lay the drawings below each other, each on the ground that it stands out from."""
    cells, side = [], 160
    for logo in guidelines.logos[:4]:
        cover = logo[..., 3:] / 255.0
        ink = float((logo[..., :3] * cover).sum() / (3 * max(cover.sum(), 1.0)))
        drawn = logo[..., :3] * cover + (40.0 if ink > 150 else 245.0) * (1 - cover)
        scale = max(1, int(np.ceil(max(drawn.shape[:2]) / (side - 20))))
        small = drawn[::scale, ::scale]
        cell = np.full((side, side, 3), 40.0 if ink > 150 else 245.0)
        y, x = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
        cell[y : y + small.shape[0], x : x + small.shape[1]] = small
        cells.append(cell)
    if len(cells) > 1 and len(cells) % 2:
        cells.append(np.full((side, side, 3), 255.0))
    rows = [np.hstack(cells[start : start + 2]) for start in range(0, len(cells), 2)]
    axes.imshow(np.vstack(rows).astype(np.uint8))
    axes.set_title("The mark, as the brand draws it", loc="left", fontsize=11, color=TEXT_COLOUR)
    axes.set_axis_off()


def _draw_swatches(axes: Axes, seen: Mapping[str, Seen]) -> None:
    from matplotlib.patches import Rectangle

    axes.set_axis_off()
    if not seen:
        style_axes(axes, title="No colours: the brand has none, or the mark was not found")
        return
    style_axes(
        axes, title="Colours of the mark: the brand's, as seen, and with the light taken out (medians)"
    )
    axes.set_xlim(0, 10)
    axes.set_ylim(-_N_SWATCHES, 0)
    for row, (name, color) in enumerate(list(seen.items())[:_N_SWATCHES]):
        top = -row - 0.9
        for place, rgb in enumerate((color.wanted, color.raw, color.balanced)):
            axes.add_patch(Rectangle((1.0 * place, top), 1.0, 0.8, color=tuple(rgb / 255.0), linewidth=0))
        passes = min(color.delta_e, color.delta_e_balanced) <= color.tolerance
        axes.text(
            3.2, top + 0.4, f"{'✓' if passes else '✗'} {name} {_hex(color.wanted)}: ΔE00 {three_digits(color.delta_e)} as "
            f"seen, {three_digits(color.delta_e_balanced)} balanced (at most {three_digits(color.tolerance)}); {100 * color.scene_share:.1f} % of the scene",
            fontsize=9, va="center", color=TEXT_COLOUR,
        )  # fmt: skip


def _draw_over_time(axes: Axes, frames: Sequence[KeyFrame]) -> None:
    times_s = np.array([frame.time_s for frame in frames] + [frames[-1].time_s + frames[-1].weight_s])
    values = np.array([frame.fidelity for frame in frames] + [frames[-1].fidelity])
    axes.step(times_s, values, color=BLUE, linewidth=1.6, where="post")
    axes.plot(times_s[:-1], values[:-1], "o", color=BLUE, markersize=3)
    axes.axhline(PASS, color=GREY, linewidth=1, linestyle="--")
    label_at_end(axes, float(times_s[-1]), PASS, "passes", GREY)
    axes.set_xlim(float(times_s[0]), float(times_s[-1]))
    axes.set_ylim(-0.03, 1.03)
    style_axes(axes, title="Likeness on key frames", x="time (s)", y="fidelity")


def _draw_distributions(
    axes: Axes,
    scenes: tuple[Sequence[float], Sequence[float]],
    here: float | None,
    title: str,
    bounds: tuple[float, float] | None,
) -> None:
    everything = [*scenes[0], *scenes[1], *([here] if here is not None else [])]
    if not everything:
        style_axes(axes, title=f"{title}: none")
        axes.set_axis_off()
        return
    low, high = bounds or (min(everything), max(everything))
    bins = np.linspace(low, high if high > low else low + 1e-3, 25).tolist()
    for values, colour, word in ((scenes[0], ORANGE, "without"), (scenes[1], BLUE, "with the mark")):
        axes.hist(values, bins=bins, color=colour, alpha=0.6, label=word)
    if here is not None:
        axes.axvline(here, color=TEXT_COLOUR, linewidth=1.5)
        axes.annotate(
            "this clip", (here, 0.66), xycoords=("data", "axes fraction"), fontsize=8, color=TEXT_COLOUR, va="top",
            ha="right" if here > (low + high) / 2 else "left", xytext=(-3 if here > (low + high) / 2 else 3, 0),
            textcoords="offset points", bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip
    axes.legend(fontsize=8, frameon=False, loc="upper center")
    style_axes(axes, title=title, y="scenes")


def _seen_colors(track: Track, frames: Sequence[KeyFrame], guidelines: BrandGuidelines) -> dict[str, Seen]:
    rows = [row for row, frame in enumerate(frames) if frame.best is not None and frame.fidelity >= FOUND]
    seen = {}
    for index, color in enumerate(guidelines.colors):
        raw = [_seen_at(track, row, frames[row].best or 0, index) for row in rows]
        known = [(row, rgb) for row, rgb in zip(rows, raw, strict=True) if np.isfinite(rgb).all()]
        if not known:
            continue
        balanced = [take_out_light(rgb, track.select(*LIGHT_COLUMNS)[row]) for row, rgb in known]
        wanted = np.array(color.rgb, dtype=np.float64)
        as_seen = np.median([rgb for _, rgb in known], axis=0)
        in_white = np.median(balanced, axis=0)
        seen[color.name or color.hex] = Seen(
            wanted,
            as_seen,
            in_white,
            float(delta_e(lab_of(as_seen), lab_of(wanted))),
            float(delta_e(lab_of(in_white), lab_of(wanted))),
            color.tolerance,
            float(np.mean(track[f"scene_{index}"])),
        )
    return seen


def _seen_at(track: Track, row: int, place: int, color: int) -> FloatArray:
    names = [f"place{place}_seen{color}_{channel}" for channel in ("red", "green", "blue")]
    return np.asarray(track.select(*names)[row])


def _plain(track: Track, row: int, frame: KeyFrame, guidelines: BrandGuidelines) -> dict[str, Any]:
    """Return all that is known of a key frame as plain data."""
    names = [color.name or color.hex for color in guidelines.colors]
    places = []
    for place in range(N_BEST):
        if not np.isfinite(frame.boxes[place]).all():
            continue
        entry = {"box_px": frame.boxes[place].tolist(), "on_person": float(frame.on_person[place])}
        entry |= {
            what: float(track[f"place{place}_{what}"][row])
            for what in ("fidelity", "cosine", "logo", "delta_e", "delta_e_balanced")
        }
        entry["seen"] = {
            name: _seen_at(track, row, place, index).tolist() for index, name in enumerate(names)
        }
        places.append(entry)
    return {
        "time_s": frame.time_s,
        "stands_for_s": frame.weight_s,
        "fidelity": frame.fidelity,
        "cosine": frame.cosine,
        "delta_e": frame.delta_e,
        "delta_e_balanced": frame.delta_e_balanced,
        "best": frame.best,
        "light": track.select(*LIGHT_COLUMNS)[row].tolist(),
        "scene": {name: float(track[f"scene_{index}"][row]) for index, name in enumerate(names)},
        "places": places,
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _hex(rgb: FloatArray) -> str:
    return "#" + "".join(f"{round(float(level)):02x}" for level in rgb)
