"""What each swept parameter does, everything else being equal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from evalkit.stats.means import Estimate, estimate_mean, estimate_of, finite

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

    from evalkit.stats.means import MeanFit
    from evalkit.types import FloatArray

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Effect:
    """The mean change of a value when one parameter goes from one level to another.

    Parameters
    ----------
    parameter : str
    before, after : hashable
        The two levels.
    change : Estimate
        After minus before, over pairs that agree in everything else; n counts pairs.
    mean_before : float or None
        Mean over the same pairs; None without any.
    n_unpaired : int
        Values at either level whose partner is missing.
    """

    parameter: str
    before: Hashable
    after: Hashable
    change: Estimate
    mean_before: float | None
    n_unpaired: int

    @property
    def relative_change(self) -> float | None:
        """The change as a share of the mean before; None where that is 0 or unknown."""
        if self.change.value is None or not self.mean_before:
            return None
        return self.change.value / abs(self.mean_before)


def main_effects(
    values: FloatArray,
    parameters: Mapping[str, Sequence[Hashable]],
    items: Sequence[Hashable],
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    given: Collection[str] = (),
    *,
    fit_change: Callable[[list[int], list[int]], MeanFit] | None = None,
) -> list[Effect]:
    """Return the effect of each step of each parameter, paired over inputs, seeds and the other parameters.

    Parameters
    ----------
    values : FloatArray, shape (n,)
        One a trial.
    parameters : mapping of str to sequence of length n
        The level of each swept parameter. Steps go from each level to the next, see `ordered_levels`.
    items : sequence of length n
        What is the same on both sides of a pair: the input and the seed.
    factors : mapping of str to sequence of length n, optional
        As in `estimate_mean`: portrait, speech and seed of each trial.
    given : collection of str
        As in `estimate_mean`.
    fit_change : callable, optional
        Returns the mean change and its error from the trials before and after, by their places, where more is behind the
        values than trials show.

    Returns
    -------
    list of Effect
        None for a parameter with a single level. With no pair an effect has a reason in place of a value.

    Raises
    ------
    ValueError
        If two trials agree in everything: which of them to pair is not known.
    """
    values = finite(values)
    settings = list(zip(*parameters.values(), strict=True)) if parameters else []
    known: dict[tuple[tuple[Hashable, ...], Hashable], int] = {}
    for index, key in enumerate(zip(settings, items, strict=True)):
        if key in known:
            raise ValueError(
                f"two trials have the same parameters {dict(zip(parameters, key[0], strict=True))} and input {key[1]!r}"
            )
        known[key] = index
    effects = []
    for place, name in enumerate(parameters):
        for before, after in pairwise(ordered_levels(parameters[name])):
            first, second, n_unpaired = _pairs(known, place, before, after)
            shared = {
                factor: [levels[index] for index in first] for factor, levels in (factors or {}).items()
            }
            change = (
                estimate_of(fit_change(first, second))
                if fit_change is not None and first
                else estimate_mean(values[second] - values[first], shared, given=given)
            )
            mean_before = float(values[first].mean()) if first else None
            effects.append(Effect(name, before, after, change, mean_before, n_unpaired))
    return effects


def ordered_levels(levels: Sequence[Hashable]) -> list[Hashable]:
    """Return each level once, sorted where all can be compared, in order of appearance where not.

    Numbers inside texts count as numbers: 384*256 comes before 1024*576.

    >>> ordered_levels([4, 2, 4]), ordered_levels(["b", 1]), ordered_levels(["1024*576", "384*256"])
    ([2, 4], ['b', 1], ['384*256', '1024*576'])
    """
    once = list(dict.fromkeys(levels))
    try:
        return sorted(once, key=_sort_key)
    except TypeError:
        return once


def _sort_key(level: Hashable) -> Any:
    """Return a level as it is sorted: a text as its words and numbers by turns, beginning with a word."""
    if not isinstance(level, str):
        return level
    parts = _NUMBER.split(level)
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def _pairs(
    known: Mapping[tuple[tuple[Hashable, ...], Hashable], int], place: int, before: Hashable, after: Hashable
) -> tuple[list[int], list[int], int]:
    """Return the trials at one level, their partners at the other, and how many have none."""
    first, second, n_unpaired = [], [], 0
    for (setting, item), index in known.items():
        if setting[place] not in {before, after}:
            continue
        other = after if setting[place] == before else before
        partner = known.get(((*setting[:place], other, *setting[place + 1 :]), item))
        if partner is None:
            n_unpaired += 1
        elif setting[place] == before:
            first.append(index)
            second.append(partner)
    return first, second, n_unpaired
