"""A sign-off: the verdict, then every rule with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalkit.decisions.ledger import ledger_entry
from evalkit.decisions.signoff import Decision
from evalkit.views.baseline import BaselineView, baseline_view
from evalkit.views.gate import GateView, PolicyView, WaiverView, gate_view, policy_view, waiver_view
from evalkit.views.view import View

if TYPE_CHECKING:
    from evalkit.decisions.signoff import Signoff


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
        baseline=None if signoff.baseline is None else baseline_view(signoff.baseline),
    )
