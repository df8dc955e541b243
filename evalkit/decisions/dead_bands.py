"""Dead bands of a policy that follow from what was measured: within so little of a limit, a harmless change decides.

The mean over many clips does not make the band narrower: another encoder or a crop moves all clips of a release the same way.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from evalkit.decisions.policy import Policy, Rule
from evalkit.errors import UsageError
from evalkit.formatting import three_digits
from evalkit.options import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

_ITEM = re.compile(r"^(?P<indent>\s*)-\s+(?=\w+:)")
_BAND = re.compile(r"^\s*(-\s+)?dead_band:")


@dataclass(frozen=True, slots=True)
class WidenedPolicy:
    """A policy with wider dead bands.

    Parameters
    ----------
    text : str
        As a file holds it; comments are kept where it is written one setting a line.
    policy : Policy
    changes : tuple of str
        What is wider than it was, a line each.
    doubts : tuple of str
        Rules that could not be widened, and why.
    """

    text: str
    policy: Policy
    changes: tuple[str, ...]
    doubts: tuple[str, ...]


def widen_dead_bands(text: str, policy: Policy, bands: Mapping[str, float]) -> WidenedPolicy:
    """Give the rules of a policy at least the dead bands that metrics need.

    A band that is wider already is left alone, and so are rules on a share of bad clips: those count clips, and their limit has
    no unit of the metric.

    Parameters
    ----------
    text : str
        Of the policy's file.
    policy : Policy
        What it says.
    bands : mapping of str to float
        The dead band of a metric, by its full name.
    """
    rules, changes, doubts = [], [], []
    for rule in policy.rules:
        band = bands.get(rule.metric.name, 0.0)
        if rule.bad_beyond is not None or band <= rule.dead_band:
            rules.append(rule)
            continue
        unit = "" if rule.metric.unit == "1" else f" {rule.metric.unit}"
        words = f"{rule.name}: dead band {three_digits(rule.dead_band)} → {three_digits(band)}{unit}"
        try:
            wider = Rule.model_validate({**rule.model_dump(), "metric": rule.metric, "dead_band": band})
        except ValidationError:
            doubts.append(
                f"{rule.name} keeps its dead band of {three_digits(rule.dead_band)}: nothing would lie between its "
                f"limits ({rule.text()}) with one of {three_digits(band)}{unit}"
            )
            rules.append(rule)
            continue
        rules.append(wider)
        changes.append(words)
    if not changes:
        return WidenedPolicy(text, policy, (), tuple(doubts))
    widened = policy.model_copy(update={"rules": tuple(rules)})
    written = _rewrite(text, rules)
    if not _says(written, widened):
        written = yaml.safe_dump(_parse(widened.model_dump_json()), allow_unicode=True, sort_keys=False)
    return WidenedPolicy(written, widened, tuple(changes), tuple(doubts))


def _says(text: str, policy: Policy) -> bool:
    """Return whether a text is that policy: one whose rules are written otherwise is torn apart by `_rewrite`."""
    try:
        return _parse(text) == _parse(policy.model_dump_json())
    except (UsageError, ValidationError):
        return False


def _parse(text: str) -> object:
    """Return what a policy says, as plain data with every default: two are compared by it."""
    data = parse_yaml(text, "the policy")
    return json.loads(Policy.model_validate(data).model_dump_json())


def _rewrite(text: str, rules: list[Rule]) -> str:
    """Set the dead band of each rule, in the order of the file, where the rules are written one setting a line."""
    lines: list[str] = []
    place, indent, in_rules = -1, "", False
    for line in text.splitlines():
        if re.match(r"^\w", line):
            in_rules = line.startswith("rules:")
        item = _ITEM.match(line) if in_rules else None
        if item:
            place, indent = place + 1, f"{item['indent']}  "
        band = rules[place].dead_band if in_rules and 0 <= place < len(rules) else 0.0
        if in_rules and _BAND.match(line):
            if item:
                lines.append(f"{item['indent']}- dead_band: {band:g}")
            continue
        lines.append(line)
        if item and band > 0 and not _BAND.match(line):
            lines.append(f"{indent}dead_band: {band:g}")
    return "\n".join(lines) + "\n"
