"""Waivers: somebody answers for a gate that is not met, of one run, under one policy, for a time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from evalkit.decisions.policy import Words, name_nearest
from evalkit.errors import UsageError
from evalkit.options import read_group, read_yaml
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from evalkit.decisions.policy import Policy, Rule

RUN_COMPLETE = "run.complete"
"""Name of the line that fails where planned clips have no result."""
RUN_PLAN, RUN_VALUES, RUN_VERSIONS = "run.plan", "run.values", "run.versions"
RUN_REACH, RUN_COVERAGE, RUN_AGE = "run.reach", "run.coverage", "run.age"
RUN_DUPLICATES, RUN_MACHINE = "run.duplicates", "run.machine"
"""These two only warn."""
RUN_LINES = (RUN_COMPLETE, RUN_PLAN, RUN_VALUES, RUN_VERSIONS, RUN_REACH, RUN_COVERAGE, RUN_AGE)
"""Names of the lines that stand beside the rules of a policy and may be waived."""
_FORM = "`waivers:` and under it a list of metric, run, policy, value, name, reason, expires"
_BINDING = ("run", "policy", "value")
_N_DIGITS = 12
_SAME = 1e-9


class Waiver(PlainData):
    """Somebody answers for a rule that is not met, for a time.

    Attributes
    ----------
    metric : str
        The name of the hard rule that is waived (``lip_sync.error``, ``lip_sync.error.bad``), or of a line about the
        run (``run.complete``).
    run : str
        The run it is about, as sign-off names it: what holds for one says nothing of the next.
    policy : str
        The first digits, 8 or more, of the hash of the policy it was granted under.
    value : float or None
        The judged value that is accepted; None where nothing was measured. A worse one is not covered.
    name, reason : str
        Who answers for it, and why.
    expires : date
        The last day on which it holds.
    """

    metric: Words
    run: Words
    policy: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,64}$")] = Field(
        description="the first 8 digits or more of the hash that sign-off shows, in quotes"
    )
    value: float | None
    name: Words
    reason: Words
    expires: Annotated[dt.date, Field(strict=False)]

    def why_not(
        self, value: float | None, rule: Rule | None, *, run: str, policy: Policy, today: dt.date
    ) -> str | None:
        """Say why it does not hold; None where it does.

        Parameters
        ----------
        value : float or None
            The judged value.
        rule : Rule or None
            The rule that is waived; None for a line about the run, of which more is worse.
        run : str
            The run that is judged.
        policy : Policy
            That it is judged by.
        today : date
        """
        if today > self.expires:
            return f"it expired on {self.expires}"
        if (self.expires - today).days > policy.max_waiver_days:
            return f"it lasts until {self.expires}, and the policy allows {policy.max_waiver_days} days from today"
        if self.run != run:
            return f"it is about run {self.run}, and this is {run}"
        if not policy.content_hash.startswith(self.policy):
            return f"it was granted under policy {self.policy}, and this is {policy.content_hash[:_N_DIGITS]}"
        return self._why_worse(value, rule)

    def _why_worse(self, value: float | None, rule: Rule | None) -> str | None:
        if (value is None) != (self.value is None):
            accepted, judged = ("nothing measured" if v is None else f"{v:g}" for v in (self.value, value))
            return f"it accepts {accepted}, and judged was {judged}"
        if value is None or self.value is None:
            return None
        worse, accepted_at = (v if rule is None else rule.overshoot(v) for v in (value, self.value))
        if worse > accepted_at + _SAME * max(1.0, abs(accepted_at)):
            return f"it accepts {self.value:g}, and {value:g} is worse"
        return None


class _Waivers(PlainData):
    waivers: tuple[Waiver, ...] = Field(strict=False)


def waiver_lines(policy: Policy, run: str, value: float | None) -> str:
    """Return the lines of a waiver that bind it, ready to be pasted into its file."""
    written = "null" if value is None else repr(value)
    return f"    run: {run}\n    policy: {policy.content_hash[:_N_DIGITS]}\n    value: {written}"


def load_waivers(
    path: str | Path, policy: Policy, run: str, values: Mapping[str, float | None]
) -> tuple[Waiver, ...]:
    """Read waivers from a YAML file: ``waivers:`` and a list of metric, run, policy, value, name, reason, expires.

    Parameters
    ----------
    path : str or Path
    policy : Policy
    run : str
        The run that is judged.
    values : mapping of str to float or None
        Judged values by name of their line, for the lines to add to a waiver that does not bind them.

    Raises
    ------
    UsageError
        As `load_policy`, and for a waiver of a metric that has no hard rule, two of the same, and one that does not
        say which run, policy and value it is about; the message holds the lines to add.
    """
    data = read_yaml(Path(path), _FORM)
    _refuse_unbound(str(path), data, policy, run, values)
    waivers = read_group(_Waivers, data, str(path)).waivers
    waivable = {rule.name for rule in policy.rules if rule.kind == "hard"} | {*RUN_LINES}
    seen = set()
    for waiver in waivers:
        if waiver.metric not in waivable:
            raise UsageError(
                f"{path}: nothing to waive: policy {policy.name!r} has no hard rule for {waiver.metric!r}"
                f"{name_nearest(waiver.metric, waivable)}"
            )
        if waiver.metric in seen:
            raise UsageError(f"{path}: two waivers for {waiver.metric!r}; keep one")
        seen.add(waiver.metric)
    return waivers


def _refuse_unbound(
    path: str, data: Mapping[str, Any], policy: Policy, run: str, values: Mapping[str, float | None]
) -> None:
    """Refuse waivers without any of the keys that bind them, as they were once written."""
    listed = data.get("waivers")
    for waiver in listed if isinstance(listed, list) else ():
        if isinstance(waiver, dict) and "metric" in waiver and not any(key in waiver for key in _BINDING):
            name = str(waiver["metric"])
            raise UsageError(
                f"{path}: the waiver of {name} does not say which run, policy and value it is about; add\n"
                + waiver_lines(policy, run, values.get(name))
            )
