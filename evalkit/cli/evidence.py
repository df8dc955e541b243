"""What the plan of a sweep can show, as commands print it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evalkit.decisions.planning import Design, EvidencePlan
    from evalkit.decisions.policy import Policy
    from evalkit.runs import Run
    from evalkit.sweeps.prepare import SweepPlan

_WIDTH = 80


@dataclass(frozen=True)
class Question:
    """What the flags ask of a plan.

    Parameters
    ----------
    metric : str or None
    effect : float or None
    power : float
    spread : float or None
    qualities : tuple of str
        ``VALUE`` of the metric asked for, or ``GATE=VALUE``.
    """

    metric: str | None = None
    effect: float | None = None
    power: float = 0.8
    spread: float | None = None
    qualities: tuple[str, ...] = ()

    @property
    def is_asked(self) -> bool:
        """Whether anything is asked beside what a plan always says."""
        return bool(self.qualities) or any(
            given is not None for given in (self.metric, self.effect, self.spread)
        )

    def answer(self, policy: Policy, design: Design | None, runs: Sequence[Run] = ()) -> EvidencePlan:
        """Answer it for a policy and what is planned, with spreads of finished runs; raise as `plan_evidence`."""
        from evalkit.decisions.planning import Spread, learn_spreads, plan_evidence

        asked = self.metric or policy.primary[0].name
        spreads = learn_spreads(runs, dict.fromkeys([asked, *policy.metric_names()]))
        if self.spread is not None:
            spreads[asked] = Spread(self.spread, self.spread, 0, "given")
        return plan_evidence(
            policy,
            design,
            metric=asked,
            effect=self.effect,
            power=self.power,
            spreads=spreads,
            quality=dict(_read_quality(text, asked) for text in self.qualities),
        )


def _read_quality(text: str, asked: str) -> tuple[str, float]:
    name, equals, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.BadParameter(f"{text!r} is not VALUE or GATE=VALUE", param_hint="--quality")
    return (name if equals else asked), number


def design_of(plan: SweepPlan, policy: Policy) -> Design:
    """Return on what each configuration of a plan is tried."""
    from evalkit.decisions.planning import Design

    trials = plan.trials
    portraits = {trial.portrait.content for trial in trials if trial.portrait is not None}
    speech = {trial.speech.content for trial in trials if trial.speech is not None}
    seeds = {trial.seed for trial in trials}
    design = Design(1, max(1, len(portraits)), max(1, len(speech)), len(seeds), policy.given)
    return replace(design, n_configurations=len(trials) // design.n_clips)


def print_lines(lines: Iterable[str]) -> None:
    """Print sentences, each begun on a line of its own and broken where it is too long."""
    for line in lines:
        say(click.wrap_text(line, _WIDTH, subsequent_indent="  "))
