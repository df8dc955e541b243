"""A sign-off: the verdict, then every rule with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from evalkit.decisions.clip_verdicts import overshoot_of_clip
from evalkit.decisions.judge import Grade
from evalkit.decisions.ledger import ledger_entry
from evalkit.decisions.signoff import Decision
from evalkit.views.baseline import BaselineView, baseline_view
from evalkit.views.clip import ClipView, clip_view
from evalkit.views.gate import GateView, PolicyView, WaiverView, gate_view, policy_view, waiver_view
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.analysis.table import ClipRecord
    from evalkit.decisions.signoff import Signoff
    from evalkit.types import Metric


@dataclass(frozen=True)
class FailingClipView(View):
    """The worst clip of gates that are not met.

    Parameters
    ----------
    gates : tuple of str
        Names of the rules.
    clip : ClipView
        With its values of their metrics.
    """

    gates: tuple[str, ...]
    clip: ClipView


@dataclass(frozen=True)
class SignoffView(View):
    """A verdict with everything it rests on.

    Parameters
    ----------
    title : str
        What was judged.
    decision : Decision
    headline : str
        One sentence, without the decision.
    policy : PolicyView
    judged_at : str
        ISO 8601, UTC.
    n_attempted : int
        Clips.
    gates : tuple of GateView
        What fails first.
    unused_waivers : tuple of WaiverView
        Of rules that are met without them.
    hashes : mapping of str to str or None
        SHA-256 of raters' answers, configuration, inputs, weights, environment and gates, as the ledger keeps them.
    provenance : mapping
        What these are hashes of.
    notes : tuple of str
        How strictly was judged and why, and what a reader should know of the run and of the policy.
    waiver_form : str
        YAML: waivers for all gates that do not pass, to be signed.
    failing : tuple of FailingClipView
        For every gate that fails on its value, the clip that is worst in it. Where none does, that of the first gate which too
        few clips hold up.
    baseline : BaselineView or None
        The release beside the last one.
    """

    title: str
    decision: Decision
    headline: str
    policy: PolicyView
    judged_at: str
    n_attempted: int
    gates: tuple[GateView, ...]
    unused_waivers: tuple[WaiverView, ...]
    hashes: Mapping[str, str | None]
    provenance: Mapping[str, Any]
    notes: tuple[str, ...]
    waiver_form: str
    failing: tuple[FailingClipView, ...]
    baseline: BaselineView | None = None


def signoff_view(signoff: Signoff) -> SignoffView:
    """Return what is shown of a sign-off."""
    return SignoffView(
        title=signoff.title,
        decision=signoff.decision,
        headline=signoff.headline,
        policy=policy_view(signoff.policy),
        judged_at=signoff.judged_at.isoformat(timespec="seconds"),
        n_attempted=signoff.n_attempted,
        gates=tuple(gate_view(line) for line in signoff.lines),
        unused_waivers=tuple(waiver_view(waiver) for waiver in signoff.unused_waivers),
        hashes=ledger_entry(signoff)["sha256"],
        provenance=signoff.provenance,
        notes=signoff.notes,
        waiver_form=signoff.waiver_form(),
        failing=_failing_clips(signoff),
        baseline=None if signoff.baseline is None else baseline_view(signoff.baseline),
    )


def _failing_clips(signoff: Signoff) -> tuple[FailingClipView, ...]:
    """Return the worst clip of each gate that fails, one that is the worst of several once.

    Where none fails on its value and there are too few clips to tell, it is that of the first gate which that holds up.
    """
    lines = [line for line in signoff.lines if line.rule is not None and line.grade is Grade.FAILS]
    if not lines:
        unsure = (
            line for line in signoff.gates if line.rule is not None and line.grade is Grade.TOO_FEW_CLIPS
        )
        lines = list(islice(unsure, 1))
    found: dict[int, tuple[ClipRecord, dict[str, Metric]]] = {}
    for line in lines:
        assert line.rule is not None  # noqa: S101 - narrows the type
        metric = line.rule.metric
        beyond = [
            (overshoot_of_clip(line.rule, value), place)
            for place, row in enumerate(signoff.rows)
            if (value := row.value(metric.name)) is not None
        ]
        if not beyond:
            continue
        worst = signoff.rows[max(beyond)[1]]
        found.setdefault(id(worst), (worst, {}))[1][line.metric] = metric
    return tuple(
        FailingClipView(tuple(metrics), clip_view(row, tuple(dict.fromkeys(metrics.values()))))
        for row, metrics in found.values()
    )
