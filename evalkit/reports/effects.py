"""What the steps of a parameter change, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.analysis.table import level_text
from evalkit.visuals.numbers import bracket, percent, signed, unit_suffix
from evalkit.words.language import read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.views.effect import EffectView


def name_step(effect: EffectView) -> str:
    """Name the step of a parameter: from which level to which."""
    return f"{level_text(effect.before)} → {level_text(effect.after)}"


def name_changed(effect: EffectView, tag: str) -> str:
    """Name what changed: the metric, or its size where 0 is best."""
    name = metric_words(tag).name(effect.change.metric)
    return read_words(tag, "run")("size_of", name=name) if effect.change.better == "zero" else name


def describe_steps(effects: Sequence[EffectView], tag: str) -> list[str]:
    """Return one sentence a step: what is better, what is worse, and what shows no clear change.

    Parameters
    ----------
    effects : sequence of EffectView
    tag : str
        One of `evalkit.words.language.LANGUAGES`.
    """
    steps: dict[str, list[EffectView]] = {}
    for effect in effects:
        steps.setdefault(name_step(effect), []).append(effect)
    return [_describe(step, found, tag) for step, found in steps.items()]


def _describe(step: str, effects: Sequence[EffectView], tag: str) -> str:
    say, metrics = read_words(tag, "run"), metric_words(tag)
    words: dict[str, list[str]] = {"better": [], "worse": [], "moved": []}
    for effect in effects:
        if effect.is_clear:
            words[effect.direction].append(_describe_change(effect, tag))
    comma = say("list_comma")
    parts = [say(f"step_{word}", changes=comma.join(changes)) for word, changes in words.items() if changes]
    if parts:
        rest = [metrics.name(effect.change.metric) for effect in effects if not effect.is_clear]
        key = "step_changes_rest" if rest else "step_changes"
        filled = {"rest": comma.join(rest)} if rest else {}
        return say(key, step=step, changes="; ".join(parts), **filled)
    why = next((effect.change.reason for effect in effects if effect.change.reason), None)
    n_pairs = max((effect.change.n for effect in effects), default=0)
    return say("step_no_change", step=step, why=why or say("n_pairs", n=n_pairs))


def _describe_change(effect: EffectView, tag: str) -> str:
    change, relative = effect.change, effect.relative
    share = f" ({percent(relative)})" if relative is not None and change.unit != "1" else ""
    number = f"{signed(change.value or 0.0)}{unit_suffix(change.unit)}"
    return f"{name_changed(effect, tag)} {number} {bracket(change.interval)}{share}"
