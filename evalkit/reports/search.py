"""A search in sentences, and as a drawing: how many blocks each configuration survived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.formatting import count, describe_duration, three_digits
from evalkit.visuals.numbers import unit_suffix

if TYPE_CHECKING:
    from evalkit.views.search import SearchedView, SearchView

WIDTH_PX = 760
_ROW_PX, _ABOVE_PX, _BELOW_PX = 18, 40, 40
_LETTER_PX = 6.2
_WORDS_PX = 236
"""Right of the longest bar, for the words of a row."""
_N_NAME = 38
_N_ROWS = 60
_N_TICKS = 6
_WORDS = {"racing": "still in", "beaten": "beaten", "without values": "no value", "set aside": "set aside"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A configuration: the blocks that it survived.

    Parameters
    ----------
    y, width : float
        Pixels: the middle of its row; the length.
    fate, name, words : str
        `words` stand where the bar ends.
    """

    y: float
    width: float
    fate: str
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class SearchPlot:
    """A search, ready to be drawn.

    Parameters
    ----------
    finding, words : str
        The title; everything for those who do not see it.
    left_px, bottom_px, height_px : float
    ticks : tuple of (float, str)
        Of the axis of blocks: where, and what it says.
    bars : tuple of Bar
    n_more : int
        Configurations that were dropped early and are not drawn.
    """

    finding: str
    words: str
    left_px: float
    bottom_px: float
    height_px: float
    ticks: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]
    n_more: int


def plot_search(search: SearchView) -> SearchPlot:
    """Place the configurations that were proposed, those that came farthest on top."""
    proposed = [one for one in search.configurations if one.fate != "not proposed"]
    shown = proposed[:_N_ROWS]
    names = [shorten(one.label) for one in shown]
    left_px = 12 + _LETTER_PX * max(map(len, names), default=0)
    per_block = (WIDTH_PX - _WORDS_PX - left_px) / search.n_blocks
    bottom_px = _ABOVE_PX + _ROW_PX * len(shown)
    step = max(1, -(-search.n_blocks // _N_TICKS))
    bars = tuple(
        Bar(
            _ABOVE_PX + _ROW_PX * (place + 0.5),
            round(per_block * one.n_blocks, 1),
            one.fate.replace(" ", "-"),
            name,
            _describe(search, one),
        )
        for place, (one, name) in enumerate(zip(shown, names, strict=True))
    )
    return SearchPlot(
        finding=describe_finding(search),
        words=f"Blocks that each configuration survived: {'; '.join(f'{bar.name}: {bar.words}' for bar in bars)}",
        left_px=left_px,
        bottom_px=bottom_px,
        height_px=bottom_px + _BELOW_PX,
        ticks=tuple((round(left_px + per_block * n, 1), str(n)) for n in range(0, search.n_blocks + 1, step)),
        bars=bars,
        n_more=len(proposed) - len(shown),
    )


def describe_finding(search: SearchView) -> str:
    """Say how many are left.

    One is the winner where all others are beaten; others are not.
    """
    left, n = search.with_fate("racing"), len(search.configurations)
    if len(left) == 1 and len(search.with_fate("beaten")) == n - 1:
        return f"{shorten(left[0].label)} beat all {n - 1} others in {search.quality}"
    return f"{len(left)} of {n} configurations are left in the race for {search.quality}"


def describe_search(search: SearchView) -> list[str]:
    """Return what a search did, what it saved, and what it claims, a sentence each."""
    fates = {
        fate: len(search.with_fate(fate))
        for fate in ("beaten", "set aside", "without values", "not proposed")
    }
    words = {
        "beaten": "clearly beaten",
        "set aside": "set aside for others that were as good or better, as the budget ran short",
        "without values": "without any value",
        "not proposed": "never proposed",
    }
    fell = ", ".join(f"{n} {words[fate]}" for fate, n in fates.items() if n)
    budget = f", with a budget of {search.budget}" if search.budget else ""
    ending = (
        "it was interrupted, and the same command goes on"
        if search.ending is None
        else f"it ended when {search.ending}"
    )
    raced = (
        f"{count(len(search.configurations), 'configuration')} raced for {search.quality} over "
        f"{count(search.n_blocks, 'block')} (portrait × speech × seed){budget}: {fell or 'all are left'}; {ending}."
    )
    made = (
        f"{search.n_made} of {count(search.n_planned, 'trial')} were made, {_share(search.n_made, search.n_planned)} of the "
        f"grid{_describe_hours(search)}"
    )
    claimed = (
        f"Claimed is this: the truly best of those that were proposed is among the beaten with a chance of at most "
        f"{round(100 * search.alpha)} %, over all looks and configurations, unless what sets it apart is too rare to be seen in "
        f"the blocks that were done. Figures of one that was dropped early are of fewer blocks, so they compare with others "
        f"only pair by pair."
    )
    return [raced, made, claimed]


def _describe_hours(search: SearchView) -> str:
    if not search.hours_of_grid:
        return "."
    return (
        f", in {describe_duration(3600 * search.hours)} of slots at work instead of about "
        f"{describe_duration(3600 * search.hours_of_grid)}{_describe_price(search)}."
    )


def _describe_price(search: SearchView) -> str:
    if search.price is None or search.price_of_grid is None:
        return ""
    return f"; making cost {three_digits(search.price)} instead of about {three_digits(search.price_of_grid)}"


def _describe(search: SearchView, one: SearchedView) -> str:
    value = "" if one.value is None else f"{three_digits(one.value)}{unit_suffix(search.unit)}, "
    return f"{value}{_WORDS.get(one.fate, one.fate)} at {one.n_blocks}"


def _share(part: int, whole: int) -> str:
    return f"{round(100 * part / whole)} %" if whole else "none"


def shorten(text: str) -> str:
    """Cut a label to what has room beside a bar."""
    return text if len(text) <= _N_NAME else f"{text[: _N_NAME - 1]}…"
