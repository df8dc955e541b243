"""Which runs are releases: those whose last verdict lets them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalkit.decisions.ledger import ledger_of_run, read_ledger, read_problems
from evalkit.decisions.signoff import Decision
from evalkit.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_LETS_OUT = {Decision.PASS.value, Decision.PASS_WITH_WAIVERS.value}


@dataclass(frozen=True, slots=True)
class LastVerdict:
    """The last sign-off of a run, as its ledger has it.

    Parameters
    ----------
    decision : str
        Of `evalkit.decisions.signoff.Decision`.
    judged_at : str
        ISO 8601, UTC.
    policy : str
        Name.
    policy_sha256 : str
        Of all it said.
    configuration : mapping
        Swept parameters of what was judged.
    is_intact : bool
        Whether the ledger's chain holds. A verdict of a broken one proves nothing, and is no release.
    problems : str
        What is wrong with the ledger; empty where nothing is.
    """

    decision: str
    judged_at: str
    policy: str
    policy_sha256: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    is_intact: bool = True
    problems: str = ""

    @property
    def is_release(self) -> bool:
        """Whether it was let out: passed, with waivers or without, by a ledger that is intact."""
        return self.is_intact and self.decision in _LETS_OUT


def last_verdict(folder: Path) -> LastVerdict | None:
    """Read the last verdict of a run; None where it was never signed off, or no line of its ledger is a verdict.

    Parameters
    ----------
    folder : Path
        Of the run.

    Raises
    ------
    UsageError
        If the ledger is there and cannot be read.
    """
    path = ledger_of_run(folder)
    if not path.exists():
        return None
    ledger = read_ledger(path)
    entries = [line.entry for line in ledger.lines if line.entry is not None and "decision" in line.entry]
    if not entries:
        if ledger.problems:
            raise UsageError(f"{path}: {read_problems(ledger.problems)}")
        return None
    entry = entries[-1]
    policy = _mapping(entry.get("policy"))
    return LastVerdict(
        decision=str(entry.get("decision")),
        judged_at=str(entry.get("judged_at", "")),
        policy=str(policy.get("name", "")),
        policy_sha256=str(policy.get("sha256", "")),
        configuration=_mapping(entry.get("configuration")),
        is_intact=not ledger.problems,
        problems=read_problems(ledger.problems),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping of a ledger's line, in which anybody may have written anything."""
    return dict(value) if isinstance(value, dict) else {}
