"""What the steps of a parameter change, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.analysis.table import level_text
from evalkit.visuals.numbers import bracket, percent, signed, unit_suffix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.views.effect import EffectView


def name_step(effect: EffectView) -> str:
    """Name the step of a parameter: from which level to which."""
    return f"{level_text(effect.before)} → {level_text(effect.after)}"


def name_changed(effect: EffectView) -> str:
    """Name what changed: the metric, or its size where 0 is best."""
    name = effect.change.metric
    return f"size of {name}" if effect.change.better == "zero" else name


def describe_steps(effects: Sequence[EffectView]) -> list[str]:
    """Return one sentence a step: what is better, what is worse, and what shows no clear change."""
    steps: dict[str, list[EffectView]] = {}
    for effect in effects:
        steps.setdefault(name_step(effect), []).append(effect)
    return [_describe(step, found) for step, found in steps.items()]


def _describe(step: str, effects: Sequence[EffectView]) -> str:
    words: dict[str, list[str]] = {"better": [], "worse": [], "moved": []}
    for effect in effects:
        if effect.is_clear:
            words[effect.direction].append(_describe_change(effect))
    parts = [f"{word}: {', '.join(changes)}" for word, changes in words.items() if changes]
    if parts:
        rest = [effect.change.metric for effect in effects if not effect.is_clear]
        return f"{step}: {'; '.join(parts)}" + (f"; no clear change in {', '.join(rest)}." if rest else ".")
    why = next((effect.change.reason for effect in effects if effect.change.reason), None)
    n_pairs = max((effect.change.n for effect in effects), default=0)
    return f"{step}: no clear change ({why or f'{n_pairs} pairs'})."


def _describe_change(effect: EffectView) -> str:
    change, relative = effect.change, effect.relative
    share = f" ({percent(relative)})" if relative is not None and change.unit != "1" else ""
    number = f"{signed(change.value or 0.0)}{unit_suffix(change.unit)}"
    return f"{name_changed(effect)} {number} {bracket(change.interval)}{share}"
