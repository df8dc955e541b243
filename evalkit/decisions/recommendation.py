"""What a search for a configuration finds, and how it is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from html import escape
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from evalkit.analysis.configurations import Configuration
from evalkit.analysis.ranking import Ranking
from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.comparison import describe_change
from evalkit.decisions.gates import rank_grade
from evalkit.decisions.judge import Grade, RuleResult
from evalkit.decisions.policy import Policy, Rule
from evalkit.decisions.redraws import N_REDRAWS, share_of_passes
from evalkit.formatting import count, name_factor, three_digits
from evalkit.profiling.costs import ERROR_RATE
from evalkit.runs import SearchRecord
from evalkit.stats.means import Estimate
from evalkit.types import Metric
from evalkit.visuals.numbers import percent, unit_suffix

if TYPE_CHECKING:
    import pandas as pd

else:
    from evalkit.frames import pd

_MOST_NAMES = 4


class Outcome(StrEnum):
    """What can be said."""

    RECOMMENDED = "recommended"
    TIED = "no clear winner"
    NONE = "none passes"
    TOO_FEW_CLIPS = "too few clips"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Candidate:
    """One configuration under the hard rules.

    Parameters
    ----------
    configuration : Configuration
    lines : tuple of RuleResult
        The hard rules of the policy, judged as sign-off judges them.
    run_lines : tuple of RuleResult
        What a sign-off would find wrong with the run beside the rules (`run.complete`).
    n_lacking : int
        Inputs, with their seeds, that other configurations have and this one has not.
    distance : float
        Largest miss as a share of its limit; 0 where nothing is missed.
    on_front : bool
        Whether by its means no other configuration is at least as good in quality and every cost, and better in one.
    is_dropped : bool
        Whether the search that made the run went on without it: it is not weighed.
    """

    configuration: Configuration
    lines: tuple[RuleResult, ...]
    run_lines: tuple[RuleResult, ...]
    n_lacking: int
    distance: float
    on_front: bool
    is_dropped: bool = False

    @property
    def params(self) -> Mapping[str, Hashable]:
        """Its swept parameters."""
        return self.configuration.params

    @property
    def name(self) -> str:
        """The parameters in words."""
        return self.configuration.label

    @property
    def n_clips(self) -> int:
        """Attempts."""
        return len(self.configuration.rows)

    @property
    def n_failed(self) -> int:
        """Attempts that gave no clip."""
        return self.configuration.n_failed

    @property
    def gates(self) -> tuple[RuleResult, ...]:
        """The lines of the run, then the hard rules."""
        return (*self.run_lines, *self.lines)

    @property
    def grade(self) -> Grade:
        """The least good of its lines; not measured where it lacks inputs that others have."""
        grades = [line.grade for line in self.gates]
        grades += [Grade.NOT_MEASURED] if self.n_lacking else []
        return max(grades, key=rank_grade, default=Grade.PASSES)

    @property
    def run_lines_unmeasured(self) -> tuple[RuleResult, ...]:
        """The lines of the run by which nothing can be judged: clips without a result, inputs that are not known."""
        return tuple(line for line in self.run_lines if line.grade is Grade.NOT_MEASURED)

    def lines_with(self, grade: Grade) -> tuple[RuleResult, ...]:
        """Return the gates with this grade."""
        return tuple(line for line in self.gates if line.grade is grade)


@dataclass(frozen=True)
class Tradeoff:
    """What the chosen configuration gives up and saves beside another, over pairs of input and seed.

    Parameters
    ----------
    metric : Metric
    change : Estimate
        Chosen minus other.
    mean_other : float or None
        Mean of the other over the same pairs.
    """

    metric: Metric
    change: Estimate
    mean_other: float | None

    def text(self) -> str:
        """Write it for people."""
        if self.change.value is None:
            return f"{self.metric.name} unknown: {self.change.reason}"
        words = f"{self.metric.name} {describe_change(self.change, self.metric)}"
        if self.mean_other:
            words += f" ({percent(self.change.value / abs(self.mean_other))})"
        return words


@dataclass(frozen=True, repr=False)
class Recommendation:
    """The answer of a sweep.

    Parameters
    ----------
    outcome : Outcome
    policy : Policy
    budget : ErrorBudget
        How strictly was judged.
    candidates : tuple of Candidate
        All, in the order of the table.
    axes : tuple of Metric
        Quality, then costs: what the front is made of.
    chosen : Candidate or None
        The recommended configuration.
    tied : tuple of Candidate
        Where several pass and none is clearly the best: those that cannot be told apart, in the order of the table.
    nearest : Candidate or None
        Where none passes: the one with the fewest gates that do not, and those missed by least.
    decided_by : Ranking or None
        What decided between those that pass, or would between those that fail nothing: the first cost that was
        measured for all of them, or else the quality; None for a single one.
    quality : Ranking or None
        Those that pass, ranked in quality; None for a single one.
    tradeoffs : tuple of Tradeoff
        The chosen beside the one that is clearly the best in quality, where that is another; one an axis.
    search : SearchRecord or None
        The search that chose which of the grid's trials were made.
    """

    outcome: Outcome
    policy: Policy
    budget: ErrorBudget
    candidates: tuple[Candidate, ...]
    axes: tuple[Metric, ...]
    chosen: Candidate | None = None
    tied: tuple[Candidate, ...] = ()
    nearest: Candidate | None = None
    decided_by: Ranking | None = None
    quality: Ranking | None = None
    tradeoffs: tuple[Tradeoff, ...] = ()
    search: SearchRecord | None = None

    def __repr__(self) -> str:
        said: str = self.outcome
        for word, found in (("", self.chosen), ("nearest is ", self.nearest)):
            if found is not None:
                said += f": {word}{shorten(found.name, 60, placeholder='…')}"
        return f"<Recommendation among {count(len(self.candidates), 'configuration')}, {said}>"

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{escape(text)}</p>" for text in (self.headline, *self.details))
        return words + self.frame().to_html(index=False, na_rep="")

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        return _HEADLINES[self.outcome](self)

    @property
    def details(self) -> tuple[str, ...]:
        """What the answer rests on, what it leaves open and what to do next, a sentence each."""
        return (*_DETAILS[self.outcome](self), *_say_spending(self), *_say_search(self.search))

    @property
    def answer(self) -> str:
        """Headline and details as one text."""
        return " ".join((self.headline, *self.details))

    @property
    def subject(self) -> Candidate:
        """The configuration whose evidence is shown: the chosen, the first of the tied, or what comes nearest."""
        return self.chosen or next(iter(self.tied), None) or self.nearest or self.candidates[0]

    @property
    def other(self) -> Candidate | None:
        """The one that is clearly the best in quality among those that pass, where it is not the chosen one."""
        if self.chosen is None or self.quality is None or len(self.quality.first) > 1:
            return None
        best = self.passing[self.quality.first[0]]
        return None if best is self.chosen else best

    @property
    def passing(self) -> tuple[Candidate, ...]:
        """Those that pass every hard rule."""
        return self.graded(Grade.PASSES)

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """Those that were not dropped by a search: all but for that."""
        return tuple(one for one in self.candidates if not one.is_dropped)

    @property
    def open(self) -> tuple[Candidate, ...]:
        """Those that fail no hard rule, and were not dropped."""
        return tuple(one for one in self.kept if one.grade is not Grade.FAILS)

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Hard rules that no configuration could be judged by."""
        found = [{line.metric for line in one.lines_with(Grade.NOT_MEASURED)} for one in self.candidates]
        return tuple(
            line.metric for line in self.candidates[0].lines if all(line.metric in names for names in found)
        )

    @cached_property
    def chances(self) -> dict[str, float]:
        """By name the share of redraws of its clips in which it passes, of those that the answer names.

        None is here that fails, that a gate is not measured of, or that has too few independent clips to redraw; see
        `evalkit.decisions.redraws.share_of_passes`.
        """
        named = self.tied[:_MOST_NAMES] or (self.subject,)
        shares = {
            one.name: share_of_passes(one.configuration, self.policy, self.budget)
            for one in named
            if one.grade in {Grade.PASSES, Grade.TOO_FEW_CLIPS}
        }
        return {name: share for name, share in shares.items() if share is not None}

    def graded(self, grade: Grade) -> tuple[Candidate, ...]:
        """Return the configurations with this grade."""
        return tuple(one for one in self.candidates if one.grade is grade)

    def frame(self) -> pd.DataFrame:
        """Return one row a configuration: parameters, how it came out, and quality and costs with interval and n."""
        rows = []
        for candidate in self.candidates:
            row: dict[str, Any] = {f"param.{name}": value for name, value in candidate.params.items()}
            row |= {
                "grade": str(candidate.grade),
                "chosen": candidate is self.chosen,
                "tied": any(candidate is one for one in self.tied),
                "on_front": candidate.on_front,
                "clips": candidate.n_clips,
                "failed": candidate.n_failed,
            }
            spending = candidate.configuration.spending
            row |= {
                "hours_per_minute": spending.hours_per_minute,
                "gpu_hours_per_minute": spending.gpu_hours_per_minute,
                "price_per_minute": spending.price_per_minute,
            }
            row |= {
                str(grade).replace(" ", "_"): ", ".join(line.metric for line in candidate.lines_with(grade))
                for grade in (Grade.FAILS, Grade.TOO_FEW_CLIPS, Grade.NOT_MEASURED)
            }
            for axis in self.axes:
                summary = candidate.configuration.summary(axis)
                low, high = summary.interval or (None, None)
                row |= {
                    axis.name: summary.value,
                    f"{axis.name}.low": low,
                    f"{axis.name}.high": high,
                    f"{axis.name}.n": summary.n,
                }
            rows.append(row)
        return pd.DataFrame(rows)


def _headline_recommended(found: Recommendation) -> str:
    chosen = found.subject
    n_passing, n = len(found.passing), len(found.kept)
    words = f"Use {chosen.name}: "
    if n == 1:
        words += f"the {_say_kept(found)}, and it passes every gate"
    elif n_passing == 1:
        words += f"the only one of {_say_kept(found)} that passes every gate"
    else:
        words += f"{n_passing} of {_say_kept(found)} pass every gate, and of these it "
    metric = found.policy.costs[0]
    if found.decided_by is not None:
        metric = found.decided_by.metric
        words += "costs least" if metric in found.policy.costs else f"is best in {metric.name}"
    value = chosen.configuration.summary(metric).value
    if value is not None:
        words += f" ({metric.name} {three_digits(value)}{unit_suffix(metric.unit)})"
    return f"{words}."


def _headline_tied(found: Recommendation) -> str:
    n_passing, ranking = len(found.passing), found.decided_by
    by_cost = ranking is None or ranking.metric in found.policy.costs
    best = "the cheapest" if by_cost else f"the best in {found.policy.quality.name}"
    words = f"None is clearly {best}: {n_passing} of {_say_kept(found)} pass every gate, and "
    if n_passing > len(found.tied):
        words += "of these "
    return f"{words}{_say_tied(found, found.tied)}."


def _headline_none(found: Recommendation) -> str:
    n, n_dropped = len(found.kept), len(found.candidates) - len(found.kept)
    words = f"The {_say_kept(found)} does not pass" if n == 1 else f"None of {_say_kept(found)} passes"
    more = f"; {n_dropped} more {'was' if n_dropped == 1 else 'were'} dropped by it" if n_dropped else ""
    return f"{words}{more}."


def _headline_too_few(found: Recommendation) -> str:
    n = len(found.kept)
    which = f"{'whether the' if n == 1 else 'which of'} {_say_kept(found)}"
    n_clips = count(found.subject.n_clips, "clip") + (" each" if n > 1 else "")
    return f"Nothing is recommended: {which} passes cannot be told from {n_clips}."


def _say_kept(found: Recommendation) -> str:
    """Say how many configurations are weighed: what a search dropped is not."""
    n = len(found.kept)
    words = "only configuration" if n == 1 else f"{n} configurations"
    return f"{words} that the search kept" if n < len(found.candidates) else words


def _headline_not_measured(found: Recommendation) -> str:
    nearest = found.subject
    if nearest.run_lines_unmeasured:
        line = nearest.run_lines_unmeasured[0]
        words = f"{line.metric} does not pass (asked: {line.limit}; found: {line.evidence})"
    elif nearest.n_lacking:
        words = f"{nearest.name} lacks {count(nearest.n_lacking, 'input')} that others have"
    else:
        names = [line.metric for line in nearest.lines_with(Grade.NOT_MEASURED)]
        words = f"{_name_some(names)} {'is' if len(names) == 1 else 'are'} not measured"
    return f"Nothing is recommended: {words}."


def _details_recommended(found: Recommendation) -> list[str]:
    details = []
    if found.other is not None:
        changes = "; ".join(tradeoff.text() for tradeoff in found.tradeoffs)
        details.append(f"Beside {found.other.name}, the best in quality: {changes}.")
    elif found.quality is not None and len(found.quality.first) > 1 and found.quality is not found.decided_by:
        details.append(f"In {_say_ranking(found.quality, found.passing)}.")
    return details + _say_chances(found) + _say_others(found)


def _details_tied(found: Recommendation) -> list[str]:
    details = []
    if found.quality is not None and found.quality is not found.decided_by:
        details.append(f"In {_say_ranking(found.quality, found.passing)}.")
    return details + _say_chances(found) + _say_others(found)


def _details_none(found: Recommendation) -> list[str]:
    nearest = found.subject
    faults = [_describe_miss(line) for line in nearest.lines_with(Grade.FAILS)]
    for grade in (Grade.TOO_FEW_CLIPS, Grade.NOT_MEASURED):
        names = [line.metric for line in nearest.lines_with(grade)]
        faults += [f"{grade}: {_name_some(names)}"] if names else []
    return [f"By its values {nearest.name} comes nearest: {'; '.join(faults)}."]


def _details_open(found: Recommendation) -> list[str]:
    details = []
    nearest = found.subject
    names = [line.metric for line in nearest.lines if line.grade is Grade.NOT_MEASURED]
    if len(names) > _MOST_NAMES or (names and (nearest.run_lines_unmeasured or nearest.n_lacking)):
        details.append(f"Not measured: {', '.join(names)}.")
    if len(found.candidates) > 1:
        details += _say_open(found)
    return details + _say_next_step(found) + _say_chances(found)


def _say_open(found: Recommendation) -> list[str]:
    """Say which gates some fail, and what is known of those that fail none."""
    details = []
    failing, still = found.graded(Grade.FAILS), found.open
    if failing:
        gates = Counter(line.metric for one in failing for line in one.lines_with(Grade.FAILS))
        words = ", ".join(f"{name} ({n})" for name, n in gates.most_common())
        details.append(
            f"{len(failing)} of {len(found.candidates)} fail a gate: {words}. "
            f"None is failed by {_name_some([one.name for one in still])}."
        )
    if found.decided_by is not None and len(found.decided_by.first) > 1:
        tied = [still[place] for place in found.decided_by.first]
        details.append(f"{'Of these ' if failing or len(tied) < len(still) else ''}{_say_tied(found, tied)}.")
    return details


def _say_chances(found: Recommendation) -> list[str]:
    """Say how often the gates would be passed again."""
    if not found.chances:
        return []
    said = {"it" if len(found.candidates) == 1 else name: share for name, share in found.chances.items()}
    words = ", ".join(f"{name} passes in {round(100 * share)} %" for name, share in said.items())
    return [
        f"Of {N_REDRAWS} redraws of the clips {words}: so often would as many new clips pass, were these all there is to know."
    ]


def _say_spending(found: Recommendation) -> list[str]:
    """Say what a finished minute of the shown configuration takes of GPUs, and what it costs, where that is known."""
    spending = found.subject.configuration.spending
    parts = []
    if spending.gpu_hours_per_minute is not None:
        parts.append(f"takes {three_digits(spending.gpu_hours_per_minute)} GPU-hours")
    if spending.price_per_minute is not None:
        parts.append(f"costs {three_digits(spending.price_per_minute)} by execution.price_per_hour")
    if not parts:
        return []
    whose = "" if len(found.candidates) == 1 else f" of {found.subject.name}"
    return [f"A finished minute{whose} {' and '.join(parts)}, loads and failed attempts included."]


def _say_others(found: Recommendation) -> list[str]:
    """Name those that may pass too, once they are known."""
    names = [one.name for one in found.open if one.grade is not Grade.PASSES]
    verb = "is" if len(names) == 1 else "are"
    return [f"Whether {_name_some(names)} would pass {verb} not known."] if names else []


def _say_search(search: SearchRecord | None) -> list[str]:
    """Say what is claimed of a grid that was searched, and what is not."""
    if search is None:
        return []
    fates = Counter(one.fate for one in search.configurations)
    n, n_beaten, n_left = len(search.configurations), fates["beaten"], fates["racing"]
    words = f"This was a search for the best {search.quality}: of {n} configurations {n_beaten} "
    words += "was clearly beaten in it" if n_beaten == 1 else "were clearly beaten in it"
    words += f", which happens to the truly best one with a chance of at most {round(100 * search.alpha)} %"
    words += ", unless what sets it apart is rare"
    unknown = n - n_beaten - n_left
    if unknown:
        words += f"; of {unknown} nothing is claimed, as {'it was' if unknown == 1 else 'they were'} not measured enough"
    cheaper = " A cheaper one that passes every gate may be among those that were dropped: evalkit sweep would tell."
    return [f"{words}.{cheaper if n > n_left else ''}"]


def _say_next_step(found: Recommendation) -> list[str]:
    """Say how many clips or raters are missing where that is known beforehand, and what the others could not exclude."""
    nearest = found.subject
    short: dict[tuple[int, int, str], list[str]] = {}
    others = []
    for line in nearest.lines:
        if line.grade is not Grade.TOO_FEW_CLIPS or line.rule is None:
            continue
        what, n, needed = _count_needed(found, line, line.rule)
        if n < needed:
            short.setdefault((needed, n, what), []).append(line.metric)
        else:
            others.append(line)
    details = []
    for (needed, n, what), names in sorted(short.items()):
        more = f": add {needed - n} {_varied(nearest.configuration)}" if what == "different clips" else ""
        if what == "raters":
            more = f": evalkit rate invite asks {needed - n} more"
        elif found.search is not None and nearest.n_clips < found.search.n_blocks:
            more = ": with a greater budget the search goes on"
        verb = "needs" if len(names) == 1 else "need"
        details.append(
            f"{_name_some(names)} {verb} {needed} {what}, and there {'is' if n == 1 else 'are'} {n}{more}."
        )
    return details + [f"{_describe_miss(line)}." for line in others]


def _count_needed(found: Recommendation, line: RuleResult, rule: Rule) -> tuple[str, int, int]:
    """Return what a gate counts, how many of these there are, and how many it needs at least."""
    panel = line.summary.panel
    if panel is not None:
        return "raters", panel.n, rule.fewest_raters
    needed = rule.fewest_within(found.budget)
    if line.metric == ERROR_RATE.name:
        return "attempts", line.n, needed
    return "different clips", found.subject.configuration.count_distinct(rule.metric.name), needed


def _varied(configuration: Configuration) -> str:
    speech = {row.speech for row in configuration.rows}
    return (
        name_factor("speech", 2)
        if len(speech) == len(configuration.rows) and None not in speech
        else "inputs"
    )


def _say_tied(found: Recommendation, tied: Sequence[Candidate]) -> str:
    names = _name_some([one.name for one in tied])
    ranking = found.decided_by
    if ranking is None:
        return f"{names} cannot be told apart"
    words = f"{names} cannot be told apart in {ranking.metric.name}"
    if ranking.are_equal:
        return f"{names} are exactly alike in {ranking.metric.name}"
    return words + (f": {ranking.reason}" if ranking.reason else f" over {count(ranking.n_common, 'pair')}")


def _say_ranking(ranking: Ranking, ranked: Sequence[Candidate]) -> str:
    names = [ranked[place].name for place in ranking.first]
    if len(names) == 1:
        return f"{ranking.metric.name} {names[0]} is the best of them"
    if len(names) == len(ranked):
        return f"{ranking.metric.name} they cannot be told apart"
    return f"{ranking.metric.name} {_name_some(names)} are the best of them, and cannot be told apart"


def _name_some(names: Sequence[str]) -> str:
    """List names: all of a few, else the first ones and how many more.

    >>> _name_some(["a"]), _name_some(["a", "b", "c"]), _name_some(list("abcdef"))
    ('a', 'a, b and c', 'a, b, c, d and 2 more')
    >>> _name_some(["size 1, steps 2", "size 1, steps 4"])
    'size 1, steps 2; and size 1, steps 4'
    """
    parts = list(names[:_MOST_NAMES])
    if len(names) > _MOST_NAMES:
        parts.append(f"{len(names) - _MOST_NAMES} more")
    comma = ";" if any("," in name for name in parts) else ","
    if len(parts) == 1:
        return parts[0]
    return f"{f'{comma} '.join(parts[:-1])}{comma if comma == ';' else ''} and {parts[-1]}"


def _describe_miss(line: RuleResult) -> str:
    if line.grade is Grade.FAILS and line.value is not None:
        return f"{line.metric} {three_digits(line.value)} instead of {line.limit}"
    return f"{line.metric}: {line.evidence}"


_HEADLINES = {
    Outcome.RECOMMENDED: _headline_recommended,
    Outcome.TIED: _headline_tied,
    Outcome.NONE: _headline_none,
    Outcome.TOO_FEW_CLIPS: _headline_too_few,
    Outcome.NOT_MEASURED: _headline_not_measured,
}
_DETAILS = {
    Outcome.RECOMMENDED: _details_recommended,
    Outcome.TIED: _details_tied,
    Outcome.NONE: _details_none,
    Outcome.TOO_FEW_CLIPS: _details_open,
    Outcome.NOT_MEASURED: _details_open,
}
