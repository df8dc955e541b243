"""What is wrong with a rule although it can be read: limits that all or nothing meets, and others that mislead."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evalkit.profiling.costs import ERROR_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalkit.decisions.policy import Rule

_MOST_ERRORS = 0.2
"""A limit of the error rate from here on was meant as per cent, or is no limit."""


def find_nonsense(rule: Rule) -> Iterator[str]:
    """Yield why a rule is refused: what, its value, and what to write instead."""
    if rule.bad_beyond is not None:
        yield from _check_bad_beyond(rule, rule.bad_beyond)
        return
    yield from _check_direction(rule)
    yield from _check_bounds(rule)
    yield from _check_room(rule)


def find_doubts(rule: Rule) -> Iterator[str]:
    """Yield what a reader of a rule should know: it may not do what it seems to."""
    fewest = rule.fewest_raters if rule.metric.family == "rating" else rule.fewest
    if rule.judged_by == "interval" and rule.min_n is not None and rule.min_n < fewest:
        yield f"min_n {rule.min_n} has no effect: nothing passes with fewer than {fewest} anyway; leave it out"
    if rule.judged_by == "value" and rule.reduction == "mean" and not rule.is_share and rule.margin is None:
        yield (
            "the mean of these clips alone is judged, however uncertain it is; write judged_by: interval, or a margin "
            "that says which error does not matter"
        )


def _check_bad_beyond(rule: Rule, bad_beyond: float) -> Iterator[str]:
    low, high = rule.metric.bounds
    if rule.metric.better == "band":
        yield f"bad_beyond {bad_beyond:g}: no end of {rule.metric.name} is bad; write at_least and at_most with per: clip"
    if rule.at_least is not None or rule.at_most is None:
        yield "the share of bad clips needs at_most, and no at_least: 0.10 for at most one clip in ten"
    elif not 0.0 < rule.at_most < 1.0:
        cure = f"; write {rule.at_most / 100:g} for {rule.at_most:g} %" if rule.at_most >= 1.0 else ""
        yield f"at_most {rule.at_most:g} is no share of bad clips between 0 and 1{cure}"
    if not rule.metric.allows(bad_beyond) or bad_beyond == (low if rule.metric.better == "higher" else high):
        yield f"bad_beyond {bad_beyond:g}: no clip is worse, as {rule.metric.name} lies {_range_text(rule)}"
    if rule.metric.better == "zero" and bad_beyond <= 0:
        yield f"bad_beyond {bad_beyond:g}: 0 is best, and beyond means further from it on either side; write it above 0"
    if rule.margin is not None:
        yield f"margin {rule.margin:g}: a margin is for values, not for shares; write it in the rule without bad_beyond"


def _check_direction(rule: Rule) -> Iterator[str]:
    name = rule.metric.name
    if rule.metric.better == "lower" and rule.at_most is None:
        yield f"at_least {rule.at_least:g} alone: {name} is better when lower, so only the bad pass; write at_most"
    if rule.metric.better == "higher" and rule.at_least is None:
        yield f"at_most {rule.at_most:g} alone: {name} is better when higher, so only the bad pass; write at_least"


def _check_bounds(rule: Rule) -> Iterator[str]:
    """Refuse limits outside of what the metric can be, and those that everything meets."""
    low, high = rule.metric.bounds
    if rule.metric.name == ERROR_RATE.name and rule.at_most is not None and rule.at_most >= _MOST_ERRORS:
        yield f"at_most {rule.at_most:g} of {ERROR_RATE.name} is {100 * rule.at_most:g} %; write 0.005 for 0.5 %"
        return
    for name, limit in (("at_most", rule.at_most), ("at_least", rule.at_least)):
        if limit is None or rule.metric.allows(limit):
            continue
        per_cent = (
            f"; write {limit / 100:g} for {limit:g} %" if (low, high) == (0, 1) and 1 < limit <= 100 else ""
        )
        yield f"{name} {limit:g}: {rule.metric.name} lies {_range_text(rule)}{per_cent}"
    at_most, at_least = rule.at_most, rule.at_least
    if (at_most is None or at_most == high) and (at_least is None or at_least == low):
        yield f"{rule.text()}: everything passes, as {rule.metric.name} lies {_range_text(rule)}"


def _check_room(rule: Rule) -> Iterator[str]:
    """Refuse a margin or a dead band that takes all the room there is within the limits."""
    low, high = rule.limits
    least, most = rule.metric.bounds
    low = max(low, -math.inf if least is None else least)
    high = min(high, math.inf if most is None else most)
    room = high - low
    if not 0 < room < math.inf:
        return
    for name, width in (("margin", rule.margin or 0.0), ("dead_band", rule.dead_band)):
        if width >= room:
            yield f"{name} {width:g} leaves no room: what passes lies between {low:g} and {high:g}; write a smaller one"


def _range_text(rule: Rule) -> str:
    low, high = rule.metric.bounds
    if low is None:
        return f"below {high:g}"
    return f"above {low:g}" if high is None else f"between {low:g} and {high:g}"
