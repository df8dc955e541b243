"""A run in a few lines: how it came out, and its gates; for lists of runs and for what changes from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.analysis.table import rows_of_run
from evalkit.decisions.gates import judge_configuration
from evalkit.decisions.recommend import recommend
from evalkit.decisions.recommendation import Outcome
from evalkit.decisions.releases import last_verdict
from evalkit.errors import UsageError
from evalkit.views.figure import FigureView
from evalkit.views.gate import GateView, gate_view
from evalkit.views.view import Plain, View, plain_param

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ResultTable
    from evalkit.decisions.judge import RuleResult
    from evalkit.decisions.policy import Policy
    from evalkit.decisions.releases import LastVerdict
    from evalkit.runs import Run


@dataclass(frozen=True)
class GateDigest(View):
    """One hard rule, judged, or something that does not hold of the run itself.

    Parameters
    ----------
    gate : GateView
    version : str
        Of the evaluator that measured it, with the identity of its settings; empty for a cost. Values of different
        versions are not to be compared.
    """

    gate: GateView
    version: str

    @property
    def figure(self) -> FigureView:
        """What was judged.

        Raises
        ------
        ValueError
            Of a line about the run, which is no gate.
        """
        if self.gate.figure is None:
            raise ValueError(f"{self.gate.metric} is a line about the run")
        return self.gate.figure


@dataclass(frozen=True)
class VerdictDigest(View):
    """The last sign-off.

    Parameters
    ----------
    decision, judged_at, policy, problems : str
        As of `evalkit.decisions.releases.LastVerdict`.
    is_release : bool
        Whether it lets out what the run still holds.
    configuration : str or None
        What was judged, in words; None where the run does not hold it any more.
    """

    decision: str
    judged_at: str
    policy: str
    is_release: bool
    problems: str
    configuration: str | None


@dataclass(frozen=True)
class RunDigest(View):
    """How a run came out.

    Parameters
    ----------
    outcome : Outcome or None
        None where nothing can be judged; `note` says why.
    configuration : str
        In words: the one that is shown, which is that of the last release, the recommended one, or what comes nearest.
    params : mapping
        Its swept parameters.
    n_configurations : int
    policy, policy_title, policy_sha256 : str
        What was judged by; empty where nothing was.
    gates : tuple of GateDigest
        Of `configuration`: lines about the run first, as far as they do not hold.
    verdict : VerdictDigest or None
        None where it was never signed off.
    note : str
        What a reader should know: why it is not judged, or of the choice of the policy; English.
    thumbnail_trial : str or None
        A trial of `configuration` that has a video.
    """

    outcome: Outcome | None
    configuration: str = ""
    params: Mapping[str, Plain] | None = None
    n_configurations: int = 0
    policy: str = ""
    policy_title: str = ""
    policy_sha256: str = ""
    gates: tuple[GateDigest, ...] = ()
    verdict: VerdictDigest | None = None
    note: str = ""
    thumbnail_trial: str | None = None

    @property
    def is_release(self) -> bool:
        """Whether its last sign-off lets it out."""
        return self.verdict is not None and self.verdict.is_release


def run_digest(run: Run, policy: Policy | None, note: str = "") -> RunDigest:
    """Work out how a run came out; nothing is written, and no look at it is put on record.

    Parameters
    ----------
    run : Run
    policy : Policy or None
        What to judge by; without one nothing is judged.
    note : str
        Of the choice of the policy.
    """
    try:
        signed = last_verdict(run.folder)
    except UsageError as error:
        signed, note = None, " ".join(filter(None, (note, str(error))))
    if not run.trials():
        return RunDigest(None, note=note, verdict=None if signed is None else _verdict(signed, None))
    table = rows_of_run(run)
    configurations = table.configurations
    n = len(configurations)
    judged = None if signed is None else _find(configurations, signed)
    verdict = None if signed is None else _verdict(signed, judged)
    shown, outcome = configurations[0], None
    if policy is not None:
        try:
            found = recommend(table, policy)
        except UsageError as error:
            return RunDigest(None, n_configurations=n, note=str(error), verdict=verdict)
        shown, outcome = found.subject.configuration, found.outcome
    if judged is not None and verdict is not None and verdict.is_release:
        shown = judged
    return RunDigest(
        outcome=outcome,
        configuration=shown.label,
        params={name: plain_param(value) for name, value in shown.params.items()},
        n_configurations=n,
        policy="" if policy is None else policy.name,
        policy_title="" if policy is None else policy.title,
        policy_sha256="" if policy is None else policy.content_hash,
        gates=() if policy is None else _gates(run, table, shown, policy),
        verdict=verdict,
        note=note,
        thumbnail_trial=next(
            (
                row.trial.id
                for row in shown.rows
                if row.trial is not None and row.failure is None and run.video_of(row.trial.id) is not None
            ),
            None,
        ),
    )


def _find(configurations: Sequence[Configuration], signed: LastVerdict) -> Configuration | None:
    """Find the configuration that was signed off; None where the run has none with its parameters, or several.

    A ledger names what was swept then; since then more may be swept, or less.
    """
    wanted = {name: plain_param(value) for name, value in signed.configuration.items()}
    found = [
        one
        for one in configurations
        if wanted.items()
        <= {
            name: plain_param(value) for trial in one.trials[:1] for name, value in trial.params.items()
        }.items()
    ]
    return found[0] if len(found) == 1 else None


def _gates(
    run: Run, table: ResultTable, configuration: Configuration, policy: Policy
) -> tuple[GateDigest, ...]:
    lines = judge_configuration(table, configuration, policy)
    return tuple(_gate(run, line) for line in lines if line.kind == "hard")


def _gate(run: Run, line: RuleResult) -> GateDigest:
    name = "" if line.rule is None else line.rule.metric.name
    info = run.manifest.metrics.get(name)
    evaluator = None if info is None else info.evaluator
    version = "" if evaluator is None else run.manifest.evaluators.get(evaluator, "")
    return GateDigest(gate_view(line), version)


def _verdict(signed: LastVerdict, judged: Configuration | None) -> VerdictDigest:
    return VerdictDigest(
        decision=signed.decision,
        judged_at=signed.judged_at,
        policy=signed.policy,
        is_release=signed.is_release and judged is not None,
        problems=signed.problems,
        configuration=None if judged is None else judged.label,
    )
