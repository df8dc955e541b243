"""How something came out, as symbol, word and tone together: the only place that chooses them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from evalkit.decisions.clip_verdicts import ClipDecision, ClipGrade
from evalkit.decisions.comparison import Conclusion
from evalkit.decisions.judge import Grade
from evalkit.decisions.recommendation import Outcome
from evalkit.decisions.signoff import Decision
from evalkit.views.clips import Standout

if TYPE_CHECKING:
    from evalkit.views.clips import ClipRuleView
    from evalkit.views.clips import Outcome as ClipOutcome
    from evalkit.views.configuration import ConfigurationView
    from evalkit.views.gate import GateView
    from evalkit.views.run import RunView
    from evalkit.views.trial import ClipLimitView, TrialView
    from evalkit.words.language import Words

Tone = Literal["pass", "warn", "fail", "neutral"]


@dataclass(frozen=True)
class Verdict:
    """How something came out.

    Parameters
    ----------
    symbol : str
        For those who see no colour.
    word : str
    tone : {"pass", "warn", "fail", "neutral"}
    """

    symbol: str
    word: str
    tone: Tone

    def __str__(self) -> str:
        return f"{self.symbol} {self.word}"

    def said_in(self, say: Words) -> Verdict:
        """Return it with its word in the language of `say`; a word that its pages do not know stays."""
        key = f"verdict {self.word}"
        return replace(self, word=say(key)) if key in say.sentences else self


NO_POLICY = Verdict("·", "no policy", "neutral")
_GRADES = {
    Grade.PASSES: Verdict("✓", "passes", "pass"),
    Grade.TOO_FEW_CLIPS: Verdict("!", "too few clips", "warn"),
    Grade.NOT_MEASURED: Verdict("!", "not measured", "warn"),
    Grade.FAILS: Verdict("✗", "fails", "fail"),
}
_DECISIONS = {
    Decision.PASS: Verdict("✓", str(Decision.PASS), "pass"),
    Decision.PASS_WITH_WAIVERS: Verdict("~", str(Decision.PASS_WITH_WAIVERS), "warn"),
    Decision.FAIL: Verdict("✗", str(Decision.FAIL), "fail"),
}
_OUTCOMES: dict[Outcome, tuple[str, Tone]] = {
    Outcome.RECOMMENDED: ("✓", "pass"),
    Outcome.TIED: ("=", "neutral"),
    Outcome.NONE: ("✗", "fail"),
    Outcome.TOO_FEW_CLIPS: ("!", "warn"),
    Outcome.NOT_MEASURED: ("!", "warn"),
}
_CONCLUSIONS: dict[Conclusion, tuple[str, Tone]] = {
    Conclusion.BETTER: ("▲", "pass"),
    Conclusion.WORSE: ("▼", "fail"),
    Conclusion.NO_DIFFERENCE: ("=", "neutral"),
    Conclusion.NOT_WORSE: ("≥", "neutral"),
    Conclusion.NOT_ENOUGH: ("?", "warn"),
    Conclusion.NOT_JUDGED: ("~", "neutral"),
    Conclusion.NOT_COMPARED: ("–", "neutral"),
}

_CLIPS: dict[ClipOutcome, tuple[str, Tone]] = {
    ClipDecision.NOT_OPENED: ("✗", "fail"),
    ClipDecision.FAILS: ("✗", "fail"),
    ClipDecision.NOT_KNOWN: ("!", "warn"),
    ClipDecision.WARNS: ("!", "warn"),
    ClipDecision.PASSES: ("✓", "pass"),
    Standout.NOT_OPENED: ("✗", "fail"),
    Standout.STANDS_OUT: ("!", "warn"),
    Standout.AS_USUAL: ("·", "neutral"),
}


def verdict_of_gate(gate: GateView) -> Verdict:
    """Say how one rule came out; a waiver is named beside what it waives."""
    verdict = _GRADES[gate.grade]
    if gate.status == "waived":
        return Verdict("~", f"waived: {verdict.word}", "warn")
    if gate.kind == "soft" and gate.grade is Grade.FAILS:
        return Verdict("!", verdict.word, "warn")
    return verdict


def verdict_of_configuration(configuration: ConfigurationView) -> Verdict:
    """Say how a configuration came out under the hard rules: as the least good of them."""
    return NO_POLICY if configuration.grade is None else _GRADES[configuration.grade]


def verdict_of_decision(decision: Decision) -> Verdict:
    """Say how a sign-off came out."""
    return _DECISIONS[decision]


def verdict_of_conclusion(conclusion: Conclusion) -> Verdict:
    """Say what is known of a difference."""
    symbol, tone = _CONCLUSIONS[conclusion]
    return Verdict(symbol, str(conclusion), tone)


def verdict_of_answer(view: RunView) -> Verdict:
    """Say how the search for a configuration came out."""
    outcome = view.answer.outcome
    if outcome is None:
        return NO_POLICY if view.trials else Verdict("✗", "nothing to judge", "fail")
    symbol, tone = _OUTCOMES[outcome]
    return Verdict(symbol, str(outcome), tone)


def verdict_of_trial(trial: TrialView, *, has_policy: bool) -> Verdict:
    """Say how a single clip lies beside the limits."""
    if trial.failure is not None:
        return Verdict("✗", trial.failure.code.replace("_", " "), "fail")
    if not has_policy:
        return NO_POLICY
    return Verdict("✗", "beyond a limit", "fail") if trial.beyond else Verdict("✓", "within limits", "pass")


def verdict_of_clip_limit(limit: ClipLimitView) -> Verdict:
    """Say how one value of a single clip of a run lies beside its limit."""
    return _beside_limit(is_met=limit.is_met, kind=limit.kind)


def verdict_of_clip(outcome: ClipOutcome) -> Verdict:
    """Say how a clip that was measured by itself came out; its word is the beginning of its sentence, and empty here."""
    symbol, tone = _CLIPS[outcome]
    return Verdict(symbol, "", tone)


def verdict_of_clip_rule(rule: ClipRuleView) -> Verdict:
    """Say how one value of a clip that was measured by itself lies beside its limit."""
    if rule.grade is ClipGrade.NOT_MEASURED:
        return _GRADES[Grade.NOT_MEASURED]
    return _beside_limit(is_met=rule.grade is ClipGrade.WITHIN, kind=rule.kind)


def _beside_limit(*, is_met: bool, kind: Literal["hard", "soft"]) -> Verdict:
    if is_met:
        return Verdict("✓", "within", "pass")
    return Verdict("✗", "beyond", "fail") if kind == "hard" else Verdict("!", "beyond", "warn")
