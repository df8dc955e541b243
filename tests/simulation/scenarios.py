"""Everything that is tried: what is true, and what is asked of the answers."""

from __future__ import annotations

from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from tests.simulation import worlds
from tests.simulation.answers import ALIKE, CLAIMS, claim_and_coverage, compare, is_released, names_one
from tests.simulation.figures import (
    COVERED,
    COVERED_SKEWED,
    POWER,
    RARE,
    RARE_IN_TWO,
    RELEASED,
    RISK,
    claims_and_coverage,
    largest_steps,
    shares,
)
from tests.simulation.running import Scenario
from tests.simulation.worlds import (
    COST,
    ERROR,
    LOSS,
    NULLS,
    asks_first,
    clips,
    error_rate_gate,
    gate,
    two_arms,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from evalkit.types import FloatArray

    Draw = Callable[[np.random.Generator], Mapping[str, float]]

SIZES = (5, 6, 8, 12, 19, 20, 28, 29, 40, 60)
NEXT_TO_EACH_OTHER = range(5, 41)

_asks_first, _gate, _error_rate_gate = cache(asks_first), cache(gate), cache(error_rate_gate)


# compare, nothing to find


def _null(rng: np.random.Generator, *, world: str, n: int) -> Mapping[str, float]:
    return claim_and_coverage(compare(*two_arms(NULLS[world](rng, n), rng=rng), _asks_first(), LOSS.name))


def _null_with_a_limit(rng: np.random.Generator, *, n: int) -> Mapping[str, float]:
    """Both arms have as many clips beyond the limit."""
    a, b = (
        worlds.table(clips({ERROR.name: rng.uniform(0.0, 0.6, n)}), [ERROR], title=title) for title in "AB"
    )
    return {"false claims": compare(a, b, _asks_first(ERROR, limit=0.3), ERROR.name).finding in CLAIMS}


def _null_of_a_design(
    rng: np.random.Generator, *, factors: Mapping[str, Sequence[Hashable]], variances: Sequence[float]
) -> Mapping[str, float]:
    differences = 0.1 * worlds.shared_noise(rng, factors, variances)
    return claim_and_coverage(compare(*two_arms(differences, factors, rng=rng), _asks_first(), LOSS.name))


def _null_looked_at_often(rng: np.random.Generator, *, world: str) -> Mapping[str, float]:
    """Five clips more for each of 12 looks, from 20 to 75."""
    differences = NULLS[world](rng, 75)
    findings = [
        compare(*two_arms(differences[:n], rng=rng, look=look), _asks_first(), LOSS.name).finding
        for look, n in enumerate(range(20, 76, 5), start=1)
    ]
    return {"a false claim at any of 12 looks": any(finding in CLAIMS for finding in findings)}


def _null_of_many_metrics(rng: np.random.Generator, *, n: int) -> Mapping[str, float]:
    metrics = [LOSS, *worlds.OTHERS]
    a, b = (
        worlds.table(
            clips({metric.name: rng.normal(1.0, 0.1, n) for metric in metrics}), metrics, title=title
        )
        for title in "AB"
    )
    from evalkit.decisions.compare import compare_tables

    claimed = [
        found.metric
        for found in compare_tables(a, b, policy=_asks_first()).metrics
        if found.finding in CLAIMS
    ]
    return {"a false claim in any": bool(claimed), "a false claim in what is asked first": LOSS in claimed}


def _null_where_the_worst_is_missing(rng: np.random.Generator, *, n: int) -> Mapping[str, float]:
    """A and B are alike, and half of B has no value: its worst half."""
    a, b = rng.uniform(0.1, 0.6, n), rng.uniform(0.1, 0.6, n)
    b[np.argsort(b)[n // 2 :]] = np.nan
    sides = [
        worlds.table(clips({ERROR.name: values}), [ERROR], title=title)
        for title, values in (("A", a), ("B", b))
    ]
    finding = compare(sides[0], sides[1], _asks_first(ERROR), ERROR.name).finding
    return {"false claims": finding in CLAIMS}


# compare, something to find


def _one_clip_more(rng: np.random.Generator) -> Mapping[str, float]:
    differences = rng.normal(0.8, 1.0, NEXT_TO_EACH_OTHER[-1])
    outcomes: dict[str, float] = {}
    for n in NEXT_TO_EACH_OTHER:
        found = compare(*two_arms(differences[:n], rng=rng), _asks_first(), LOSS.name)
        outcomes[f"claim {n}"] = found.finding in CLAIMS
        interval = found.change.moved.interval
        outcomes[f"width {n}"] = float("nan") if interval is None else interval.high - interval.low
    return outcomes


def _effect_among_many(rng: np.random.Generator) -> Mapping[str, float]:
    metrics = [LOSS, *worlds.OTHERS]
    a = {metric.name: rng.normal(1.0, 0.1, 20) for metric in metrics}
    b = {metric.name: rng.normal(1.0, 0.1, 20) for metric in metrics}
    b[LOSS.name] = a[LOSS.name] - rng.normal(0.8, 1.0, 20)
    sides = [worlds.table(clips(values), metrics, title=title) for title, values in (("A", a), ("B", b))]
    return {"found": compare(sides[0], sides[1], _asks_first(), LOSS.name).finding in CLAIMS}


def _all_leave_the_limit(rng: np.random.Generator) -> Mapping[str, float]:
    a = np.clip(rng.normal(0.05, 0.05, 8), 0.0, 0.3)
    b = np.clip(rng.normal(0.7, 0.1, 8), 0.35, 1.0)
    sides = [
        worlds.table(clips({ERROR.name: values}), [ERROR], title=title)
        for title, values in (("A", a), ("B", b))
    ]
    return {"found": compare(sides[0], sides[1], _asks_first(ERROR, limit=0.3), ERROR.name).finding in CLAIMS}


# compare, a difference that is just too large


MARGIN = 0.05
AT_THE_MARGIN = {
    "normal": 0.0,
    "log-normal": 0.0,
    "10 % ruined, mean at the margin": 0.1,
    "20 % ruined, mean twice the margin": 0.2,
}
"""With the share of ruined clips."""


def _at_the_margin(rng: np.random.Generator, *, world: str, n: int) -> Mapping[str, float]:
    if ruined := AT_THE_MARGIN[world]:
        differences = worlds.ruin(rng, n, ruined) + rng.normal(0.0, 0.01, n)
    else:
        differences = MARGIN + 0.5 * NULLS[world](rng, n)
    finding = compare(*two_arms(differences, rng=rng), _asks_first(margin=MARGIN), LOSS.name).finding
    return {"called alike or not worse": finding in ALIKE}


# recommend


def _sweep(
    rng: np.random.Generator, *, mean: float, n_configurations: int, n_inputs: int, cheaper: float = 1.0
) -> Mapping[str, float]:
    """Play a sweep of equal configurations, of which the first may cost less."""
    difficulty = rng.normal(0.0, 0.04, n_inputs)
    lengths = rng.uniform(8.0, 12.0, n_inputs)
    rows = []
    for setting in range(n_configurations):
        errors = np.clip(mean + difficulty + rng.normal(0.0, 0.07, n_inputs), 0.0, 1.0)
        costs = lengths * (cheaper if setting == 0 else 1.0) * np.exp(rng.normal(0.0, 0.05, n_inputs))
        rows += clips({ERROR.name: errors, COST.name: costs}, params={"setting": setting})
    return {"one is recommended": names_one(worlds.table(rows, [ERROR, COST]), _gate())}


# sign-off


AT_THE_LIMIT, GOOD = "normal, mean at the limit", "good (0.25, spread 0.07)"
RELEASES = {AT_THE_LIMIT: 0.0, "34 % at 0.9": 0.0, "10 % ruined": 0.1, "15 % ruined": 0.15, GOOD: 0.0}
"""With the share of ruined clips. Where some are, the others have a mean of 2/9, so that 10 % put the mean at 0.30."""


def _errors(rng: np.random.Generator, truth: str, n: int) -> FloatArray:
    if ruined := RELEASES[truth]:
        whole = np.clip(rng.normal(2.0 / 9.0, 0.02, n), 0.0, 1.0)
        return np.where(rng.random(n) < ruined, 1.0, whole)
    if truth == "34 % at 0.9":
        return np.where(rng.random(n) < 0.34, 0.9, 0.0)
    mean, spread = {AT_THE_LIMIT: (0.3, 0.08), GOOD: (0.25, 0.07)}[truth]
    return np.clip(rng.normal(mean, spread, n), 0.0, 1.0)


def _release(rng: np.random.Generator, *, truth: str, n: int, bad_share: bool = False) -> Mapping[str, float]:
    found = worlds.table(clips({ERROR.name: _errors(rng, truth, n)}), [ERROR])
    return {"passes": is_released(found, _gate(bad_share=bad_share))}


def _release_looked_at_often(rng: np.random.Generator) -> Mapping[str, float]:
    errors = _errors(rng, AT_THE_LIMIT, 75)
    tables = [
        worlds.table(clips({ERROR.name: errors[:n]}), [ERROR], look=look)
        for look, n in enumerate(range(20, 76, 5), start=1)
    ]
    return {"passes at any of 12 looks": any(is_released(table, _gate()) for table in tables)}


def _release_of_few_portraits(
    rng: np.random.Generator, *, n_portraits: int, n_texts: int
) -> Mapping[str, float]:
    factors = worlds.grid(n_portraits, n_texts)
    errors = 0.33 + worlds.shared_noise(rng, factors, (0.01, 0.0005, 0.0, 0.0025))
    return {
        "passes": is_released(
            worlds.table(clips({ERROR.name: np.clip(errors, 0, 1)}, factors), [ERROR]), _gate()
        )
    }


def _failures(rng: np.random.Generator, *, rate: float, n: int) -> Mapping[str, float]:
    from evalkit.analysis.table import ClipRecord

    failed = rng.random(n) < rate
    rows = [
        ClipRecord(
            f"s{i}",
            "p",
            f"s{i}",
            1,
            values={ERROR.name: 0.1},
            failure="generate failed: crash" if f else None,
        )
        for i, f in enumerate(failed)
    ]
    return {"passes": is_released(worlds.table(rows, [ERROR]), _error_rate_gate())}


# the list


def _unruined(n: int, ruined: float) -> str:
    if not ruined:
        return ""
    none = 100 * (1 - ruined) ** n
    return f"{none:.2g} % of such samples hold no ruined clip, and these look better than a good release"


def _independent_pairs() -> Iterator[Scenario]:
    section = "Compare: independent pairs, nothing to find"
    for world, n in product(NULLS, SIZES):
        asked = COVERED_SKEWED if world == "log-normal" and n < 12 else COVERED
        figures = claims_and_coverage(asked, note=_unruined(n, 0.1 if world == "10 % ruined" else 0.0))
        yield Scenario(section, f"{world}, {n} pairs", partial(_null, world=world, n=n), figures)
    for n in (8, 20, 60):
        case = f"uniform, policy has a limit, {n} pairs"
        yield Scenario(section, case, partial(_null_with_a_limit, n=n), shares({"false claims": RARE}))


def _sharing_pairs() -> Iterator[Scenario]:
    section = "Compare: clips that share portraits, texts or seeds, nothing to find"
    spread, one_draw = (0.2, 0.2, 0.0, 0.6), (0.0, 0.0, 0.8, 0.2)
    for case, factors, variances in (
        ("4 portraits × 15 texts", worlds.grid(4, 15), spread),
        ("12 portraits × 5 texts", worlds.grid(12, 5), spread),
        ("12 portraits × 12 texts", worlds.grid(12, 12), spread),
        ("3 portraits × 4 texts × 5 seeds", worlds.grid(3, 4, 5), spread),
        ("1 portrait × 11 texts × 5 sizes", worlds.grid(1, 11, 5, draws="size"), (0.0, 0.0, 0.5, 0.5)),
        ("1 portrait × 24 texts × 5 sizes", worlds.grid(1, 24, 5, draws="size"), (0.0, 0.0, 0.5, 0.5)),
        ("2 × 2 inputs × 9 configurations sharing a seed", worlds.grid(2, 2, 9, draws="size"), one_draw),
        ("3 × 3 inputs × 9 configurations sharing a seed", worlds.grid(3, 3, 9, draws="size"), one_draw),
        ("12 portraits × 2 texts of their own", worlds.nested(12, 2), (0.4, 0.2, 0.0, 0.4)),
        ("20 portraits × 3 texts of their own", worlds.nested(20, 3), (0.4, 0.2, 0.0, 0.4)),
    ):
        draw = partial(_null_of_a_design, factors=factors, variances=variances)
        yield Scenario(section, case, draw, claims_and_coverage())


def _further_nulls() -> Iterator[Scenario]:
    section = "Compare: looking again, many metrics, missing values, nothing to find"
    figures = shares({"a false claim at any of 12 looks": RARE})
    yield Scenario(section, "normal, 12 looks", partial(_null_looked_at_often, world="normal"), figures)
    draw = partial(_null_looked_at_often, world="log-normal")
    yield Scenario(section, "log-normal, 12 looks", draw, figures, 0.3)
    asked = {"a false claim in any": RARE_IN_TWO, "a false claim in what is asked first": RARE}
    draw = partial(_null_of_many_metrics, n=20)
    yield Scenario(section, "38 metrics, 20 pairs", draw, shares(asked), 0.3)
    for n in (24, 40):
        case = f"A and B alike, B without a value on its worst half, {n} pairs"
        draw = partial(_null_where_the_worst_is_missing, n=n)
        yield Scenario(section, case, draw, shares({"false claims": RARE}))


def _to_be_found() -> Iterator[Scenario]:
    section = "Compare: something to find"
    case = "true difference of 0.8 standard deviations, 5 to 40 pairs"
    yield Scenario(section, case, _one_clip_more, largest_steps(NEXT_TO_EACH_OTHER), 0.3)
    case = "0.8 standard deviations in what is asked first of 38 metrics, 20 pairs"
    yield Scenario(section, case, _effect_among_many, shares({"found": POWER}), 0.3)
    case = "all of 8 clips leave the policy's limit"
    yield Scenario(section, case, _all_leave_the_limit, shares({"found": POWER}), 0.2)


def _at_margins() -> Iterator[Scenario]:
    section = "Compare: a true difference at the margin or beyond"
    for (world, ruined), n in product(AT_THE_MARGIN.items(), (5, 8, 12, 20, 28, 29, 40, 60)):
        figures = shares({"called alike or not worse": RARE}, note=_unruined(n, ruined))
        yield Scenario(section, f"{world}, {n} pairs", partial(_at_the_margin, world=world, n=n), figures)


def _sweeps() -> Iterator[Scenario]:
    section = "Recommend"
    bad, good = (0.34, "all equal and bad (0.34, limit 0.30)"), (0.15, "all equal and good (0.15)")
    for (mean, word), (n_configurations, part), n_inputs in product(
        (bad, good), ((9, 1.0), (50, 0.3)), (5, 20, 40)
    ):
        case = f"{word}, {n_configurations} configurations, {n_inputs} inputs"
        draw = partial(_sweep, mean=mean, n_configurations=n_configurations, n_inputs=n_inputs)
        yield Scenario(section, case, draw, shares({"one is recommended": RISK}), part)
    draw = partial(_sweep, mean=0.15, n_configurations=9, n_inputs=20, cheaper=0.8)
    case = "all good (0.15), one of 9 costs 20 % less, 20 inputs"
    yield Scenario(section, case, draw, shares({"one is recommended": RELEASED}), 0.3)


def _gates(section: str, *, bad_share: bool, good_from: int) -> Iterator[Scenario]:
    for (truth, ruined), n in product(RELEASES.items(), SIZES):
        asked = RISK if truth != GOOD else RELEASED if n >= good_from else None
        draw = partial(_release, truth=truth, n=n, bad_share=bad_share)
        yield Scenario(
            section, f"{truth}, {n} clips", draw, shares({"passes": asked}, note=_unruined(n, ruined))
        )


def _further_releases() -> Iterator[Scenario]:
    section = "Sign-off: looking again, few portraits, failures"
    case = f"{AT_THE_LIMIT}, 12 looks at 20 to 75 clips"
    yield Scenario(section, case, _release_looked_at_often, shares({"passes at any of 12 looks": RISK}))
    for n_portraits, n_texts in product((2, 3, 4), (10, 20)):
        case = f"{n_portraits} portraits × {n_texts} texts, true mean over portraits 0.33, limit 0.30"
        draw = partial(_release_of_few_portraits, n_portraits=n_portraits, n_texts=n_texts)
        yield Scenario(section, case, draw, shares({"passes": RISK}))
    for rate, n in product((0.005, 0.01), (200, 598)):
        case = f"true error rate {100 * rate:g} %, {n} attempts, at most 0.5 %"
        note = f"the chance that none of {n} fails is {100 * (1 - rate) ** n:.2f} %"
        yield Scenario(section, case, partial(_failures, rate=rate, n=n), shares({"passes": RISK}, note=note))
    case = "no attempt ever fails, 598 attempts, at most 0.5 %"
    yield Scenario(section, case, partial(_failures, rate=0.0, n=598), shares({"passes": RELEASED}), 0.05)


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        *_independent_pairs(),
        *_sharing_pairs(),
        *_further_nulls(),
        *_to_be_found(),
        *_at_margins(),
        *_sweeps(),
        *_gates("Sign-off: a gate on the mean (at most 0.30)", bad_share=False, good_from=20),
        *_gates(
            "Sign-off: a gate on the mean, and one on the share of clips beyond 0.5 (at most 10 %)",
            bad_share=True,
            good_from=29,
        ),
        *_further_releases(),
    )
}
