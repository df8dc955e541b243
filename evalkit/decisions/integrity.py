"""The lines beside the rules of a policy: whether a run is what it says it is, and enough of it.

Only what does not hold is a line. Its value is how much does not: clips, days, inputs; more is worse for a waiver.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from evalkit import registry
from evalkit.analysis.machines import count_kinds
from evalkit.analysis.values import Summary
from evalkit.decisions import waivers
from evalkit.decisions.judge import Fault, FaultKind, RuleResult, Status
from evalkit.evaluators.load import evaluator_class
from evalkit.formatting import count, count_levels, name_factor
from evalkit.stats.means import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.table import ClipRecord, ResultTable
    from evalkit.decisions.policy import Policy
    from evalkit.runs.schema import Searched

_N_EXAMPLES = 3
_NOT_EVALUATORS = {"profile", "rating"}


def check_run(
    table: ResultTable, configuration: Configuration, policy: Policy, *, today: dt.date | None = None
) -> list[RuleResult]:
    """Return a line for everything about a run that does not hold; each names examples and the cure.

    Parameters
    ----------
    table : ResultTable
    configuration : Configuration
        Of that table: what is judged.
    policy : Policy
    today : date, optional
        UTC; today unless given.
    """
    today = today or dt.datetime.now(dt.UTC).date()
    rows = configuration.rows
    lines = [
        *_check_complete(table, rows),
        *_check_searched(table, configuration),
        *_check_plan(table, configuration),
        *_check_values(table, rows, policy),
        *_check_versions(table, rows, policy),
        *_check_duplicates(table, configuration),
        *_check_reach(rows, policy),
        *_check_coverage(rows, policy),
        *_check_machine(table, rows, policy),
    ]
    if policy.max_age_days is not None:
        lines += _check_age(rows, policy.max_age_days, today)
    return lines


def _check_complete(table: ResultTable, rows: Sequence[ClipRecord]) -> Iterator[RuleResult]:
    if table.missing:
        yield _line(
            waivers.RUN_COMPLETE,
            "every planned clip has a result",
            Fault(
                FaultKind.NOT_MEASURED,
                f"{len(table.missing)} without one: {_examples(table.missing)}; evalkit sweep goes on where it stopped",
            ),
            len(table.missing),
            rows,
            why="what is not finished, or cannot be read, cannot be judged",
        )


def _check_searched(table: ResultTable, configuration: Configuration) -> Iterator[RuleResult]:
    found = table.searched(configuration)
    if found is not None and found.fate != "racing":
        yield _line(
            waivers.RUN_COMPLETE,
            "every planned clip has a result",
            Fault(
                FaultKind.NOT_MEASURED,
                f"{describe_fate(found)}, so the search went on without it; evalkit sweep measures it on all inputs",
            ),
            1,
            configuration.rows,
            why="what a search dropped was not measured on as many inputs as what it kept",
        )


def describe_fate(found: Searched) -> str:
    """Say how a configuration fared in a search.

    >>> from evalkit.runs.schema import Defeat, Searched
    >>> describe_fate(Searched({"steps": 2}, "beaten", 12, 0.31, Defeat({"steps": 4}, 12, 0.31, 0.24, 0.05)))
    'beaten after 12 blocks'
    """
    words = {"set aside": "set aside for others that were as good or better"}.get(found.fate, found.fate)
    n_blocks = found.n_blocks if found.defeat is None else found.defeat.n_blocks
    return f"{words} after {count(n_blocks, 'block')}" if n_blocks else words


def _check_plan(table: ResultTable, configuration: Configuration) -> Iterator[RuleResult]:
    left_out = configuration.earlier
    found = list(table.plan_faults)
    if left_out:
        names = _examples([row.name for row in left_out])
        found.append(
            f"{count(len(left_out), 'result')} of an earlier plan left out: {names}; sweep the plan of the release "
            f"into a folder of its own"
        )
    if found:
        yield _line(
            waivers.RUN_PLAN,
            "the results are those of the plan, all of them",
            Fault(FaultKind.BEYOND, "; ".join(found)),
            len(table.plan_faults) + len(left_out),
            configuration.rows,
            why="what was planned is what is judged: results that were chosen or changed afterwards prove nothing",
        )


def _check_values(table: ResultTable, rows: Sequence[ClipRecord], policy: Policy) -> Iterator[RuleResult]:
    found = []
    for name in policy.metric_names():
        metric = table.metrics.get(name)
        if metric is None:
            continue
        for row in rows:
            value, unit = row.value(name), row.units.get(name, metric.unit)
            if value is not None and not metric.allows(value):
                found.append(f"{name} is {value:g} in {row.name}, which it cannot be")
            elif value is not None and unit != metric.unit:
                found.append(f"{name} is in {unit!r} in {row.name}, and not in {metric.unit!r}")
    if found:
        yield _line(
            waivers.RUN_VALUES,
            "every value is one that its metric can have, in its unit",
            Fault(
                FaultKind.BEYOND,
                f"{_examples(found)}; remove these measurements and measure again: evalkit measure",
            ),
            len(found),
            rows,
            why="such a value was not measured by what is installed here",
        )


def _check_versions(table: ResultTable, rows: Sequence[ClipRecord], policy: Policy) -> Iterator[RuleResult]:
    installed = set(registry.names(registry.EVALUATORS))
    families = dict.fromkeys(
        rule.metric.family
        for rule in policy.rules
        if any(row.value(rule.metric.name) is not None for row in rows)
    )
    found = []
    for name in families:
        if name in _NOT_EVALUATORS or name not in installed:
            continue
        stored, present = table.evaluators.get(name, ""), evaluator_class(name).version
        number = stored.partition(" ")[0]
        if not number.isdecimal():
            found.append(f"{name}: unknown version {stored!r}, installed is {present}")
        elif int(number) < present:
            found.append(f"{name}: version {number}, installed is {present}")
    if found:
        yield _line(
            waivers.RUN_VERSIONS,
            "measured by the installed evaluators or newer ones",
            Fault(FaultKind.BEYOND, f"{_examples(found)}; measure the run again: evalkit measure"),
            len(found),
            rows,
            why="limits were set for what the evaluators measure now",
        )


def _check_duplicates(table: ResultTable, configuration: Configuration) -> Iterator[RuleResult]:
    copies = [
        row
        for row in table.copies
        if all(row.params.get(name) == value for name, value in configuration.params.items())
    ]
    if copies:
        yield _line(
            waivers.RUN_DUPLICATES,
            "every clip is a video of its own",
            Fault(
                FaultKind.BEYOND,
                f"{count(len(copies), 'clip')} the same video as another and not counted: "
                f"{_examples([_name(row) for row in copies])}; does the generator heed the seed?",
            ),
            len(copies),
            configuration.rows,
            why="a video that is counted twice shows nothing more",
            kind="soft",
        )


def _check_reach(rows: Sequence[ClipRecord], policy: Policy) -> Iterator[RuleResult]:
    rows = [row for row in rows if row.failure is None]
    asked = {"portrait": policy.reach.portraits, "speech": policy.reach.speech, "seed": policy.reach.seeds}
    found, lacking, kind = [], 0, FaultKind.TOO_FEW
    for name, least in asked.items():
        levels = _levels(rows, name)
        n = max(len(levels), 1)  # clips of which nothing is known show one of each
        if n >= least:
            continue
        lacking += least - n
        known = count_levels(name, len(levels)) if levels else f"not known which {name_factor(name, 2)}"
        if not levels:
            kind = FaultKind.NOT_MEASURED
        found.append(f"{known}, asked {least}")
    if found:
        yield _line(
            waivers.RUN_REACH,
            "tried on as many different inputs as the policy asks",
            Fault(kind, f"{'; '.join(found)}: plan more of them"),
            lacking,
            rows,
            why="what was seen of few inputs says little of others",
        )


def _check_coverage(rows: Sequence[ClipRecord], policy: Policy) -> Iterator[RuleResult]:
    least = policy.min_clip_coverage
    names = dict.fromkeys(rule.metric.name for rule in policy.rules if rule.kind == "hard")
    found = {
        (row.name, name): share
        for row in rows
        for name in names
        if row.failure is None and (share := row.coverages.get(name, 1.0)) < least
    }
    if found:
        texts = [f"{name} in {clip} ({100 * share:.0f} %)" for (clip, name), share in found.items()]
        clips = {clip for clip, _ in found}
        yield _line(
            waivers.RUN_COVERAGE,
            f"at least {100 * least:g} % of each clip measured",
            Fault(
                FaultKind.COVERAGE,
                f"{count(len(clips), 'clip')} with less: {_examples(texts)}; look at why, or make these clips anew",
            ),
            len(clips),
            rows,
            why="a value from a fragment does not speak of the clip",
        )


def _check_machine(table: ResultTable, rows: Sequence[ClipRecord], policy: Policy) -> Iterator[RuleResult]:
    if not any(name.startswith("profile.") for name in (rule.metric.name for rule in policy.rules)):
        return
    kinds = count_kinds(rows)
    if len(kinds) > 1:
        parts = "; ".join(f"{kind}: {count(n, 'clip')}" for kind, n in kinds.items())
        yield _line(
            waivers.RUN_MACHINE,
            "costs are those of one kind of machine",
            Fault(
                FaultKind.BEYOND,
                f"{len(kinds)} kinds ({parts}); costs are those of the run's main kind alone, "
                f"{table.main_kind}: judge them on the machine of the release",
            ),
            len(kinds),
            rows,
            why="times and memory of different machines are no single cost",
            kind="soft",
        )


def _check_age(rows: Sequence[ClipRecord], most_days: int, today: dt.date) -> Iterator[RuleResult]:
    started = [row.trial.started_at for row in rows if row.trial is not None]
    if not started:
        return
    first = min(dt.datetime.fromisoformat(text).astimezone(dt.UTC).date() for text in started)
    age = (today - first).days
    if age > most_days:
        yield _line(
            waivers.RUN_AGE,
            f"no result older than {most_days} days",
            Fault(FaultKind.BEYOND, f"the first clip was made on {first}, {age} days ago; sweep again"),
            age,
            rows,
            why="what was measured long ago may not be what is released",
        )


def _line(
    name: str,
    limit: str,
    fault: Fault,
    amount: int,
    rows: Sequence[ClipRecord],
    *,
    why: str,
    kind: Literal["hard", "soft"] = "hard",
) -> RuleResult:
    return RuleResult(
        summary=Summary(
            name, "", Estimate(amount, None, len(rows), "it is not a measurement"), len(rows), {}
        ),
        limit=limit,
        kind=kind,
        status=Status.FAIL if kind == "hard" else Status.WARN,
        unit="",
        faults=(fault,),
        why=why,
    )


def _levels(rows: Sequence[ClipRecord], factor: str) -> set[object]:
    return {level for row in rows if (level := getattr(row, factor)) is not None}


def _name(row: ClipRecord) -> str:
    return f"{row.name} (trial {row.trial.id})" if row.trial is not None else row.name


def _examples(texts: Sequence[str]) -> str:
    return "; ".join(texts[:_N_EXAMPLES]) + (" …" if len(texts) > _N_EXAMPLES else "")
