"""Planted truths: how values are drawn, and the tables of clips that hold them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.table import ClipRecord, ResultTable
from evalkit.decisions.policy import Policy, Rule
from evalkit.evaluators.lip_sync import LipSync
from evalkit.profiling.costs import ERROR_RATE
from evalkit.types import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from evalkit.types import FloatArray

    Draw = Callable[[np.random.Generator, int], FloatArray]

LOSS = Metric("avatar.loss", "1", "lower", "what is asked first; may be any number")
ERROR = Metric("lip_sync.error", "1", "lower", "chance that other words fit better", (0.0, 1.0))
COST = Metric("profile.total_s", "s", "lower", "until the video is there", (0.0, None))
OTHERS = tuple(Metric(f"other.number_{index}", "1", "lower", "nobody asked first") for index in range(37))

RUINED_BY = 0.5


# paired differences whose true mean is 0


def normal(rng: np.random.Generator, n: int) -> FloatArray:
    """Draw symmetric differences."""
    return rng.normal(0.0, 0.1, n)


def log_normal(rng: np.random.Generator, n: int) -> FloatArray:
    """Draw differences with a long tail above; their skewness is 6.2."""
    return 0.1 * (rng.lognormal(0.0, 1.0, n) - np.exp(0.5))


def tied(rng: np.random.Generator, n: int) -> FloatArray:
    """Draw rounded differences, of which one in five is 0."""
    return np.round(rng.normal(0.0, 2.0, n)) / 20.0


def zero_inflated(rng: np.random.Generator, n: int) -> FloatArray:
    """Draw differences of which seven in ten are 0."""
    return np.where(rng.random(n) < 0.7, 0.0, rng.normal(0.0, 0.1, n))


def tenth_ruined(rng: np.random.Generator, n: int) -> FloatArray:
    """Draw differences of which a tenth is a ruined clip of B; the others of B are better, and the means are equal."""
    return ruin(rng, n, 0.1) - 0.1 * RUINED_BY + rng.normal(0.0, 0.03, n)


def ruin(rng: np.random.Generator, n: int, share: float) -> FloatArray:
    """Draw what being ruined adds to a clip: nothing for most."""
    return np.where(rng.random(n) < share, RUINED_BY, 0.0)


NULLS: Mapping[str, Draw] = {
    "normal": normal,
    "log-normal": log_normal,
    "tied": tied,
    "zero-inflated": zero_inflated,
    "10 % ruined": tenth_ruined,
}


# tables


def clips(
    columns: Mapping[str, Sequence[float | None] | FloatArray],
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    params: Mapping[str, Hashable] | None = None,
) -> list[ClipRecord]:
    """Return a row a value, absent where None or nan; without factors each clip has a text of its own, spoken by one portrait."""
    n = len(next(iter(columns.values())))
    factors = {"portrait": ["p"] * n, "speech": [f"s{i}" for i in range(n)]} | dict(factors or {})
    seeds = factors.get("seed", [1] * n)
    sizes = factors.get("size")
    rows = []
    for index in range(n):
        portrait, speech = str(factors["portrait"][index]), str(factors["speech"][index])
        measured = {
            name: float(value)
            for name, values in columns.items()
            if (value := values[index]) is not None and not np.isnan(value)
        }
        absent = {name: "no_face" for name in columns if name not in measured}
        own = dict(params or {}) if sizes is None else {**(params or {}), "size": sizes[index]}
        rows.append(
            ClipRecord(f"{portrait} {speech}", portrait, speech, int(seeds[index]), own, measured, absent)
        )  # type: ignore[call-overload]
    return rows


def table(
    rows: Sequence[ClipRecord], metrics: Sequence[Metric], *, look: int = 1, title: str = "run"
) -> ResultTable:
    """Return rows as the table of a run."""
    n_candidates = len({tuple(row.params.items()) for row in rows if "setting" in row.params}) or 1
    known = {metric.name: metric for metric in metrics}
    versions = {ERROR.family: str(LipSync.version)}
    return ResultTable(title, tuple(rows), known, versions, look=look, n_candidates=n_candidates)


def two_arms(
    differences: FloatArray,
    factors: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    rng: np.random.Generator,
    metric: Metric = LOSS,
    look: int = 1,
) -> tuple[ResultTable, ResultTable]:
    """Return two runs whose clips differ by these differences, B minus A."""
    a = rng.normal(1.0, 0.1, differences.size)
    return (
        table(clips({metric.name: a}, factors), [metric], look=look, title="A"),
        table(clips({metric.name: a + differences}, factors), [metric], title="B"),
    )


# designs in which clips share portraits, texts and seeds


def grid(
    n_portraits: int, n_texts: int, n_draws: int = 1, *, draws: str = "seed"
) -> dict[str, list[Hashable]]:
    """Return the factors of a full grid; the draws are seeds, or sizes that share a seed."""
    cells = list(product(range(n_portraits), range(n_texts), range(n_draws)))
    factors: dict[str, list[Hashable]] = {"portrait": [c[0] for c in cells], "speech": [c[1] for c in cells]}
    return factors | ({draws: [c[2] for c in cells]} if n_draws > 1 else {})


def nested(n_portraits: int, n_texts: int) -> dict[str, list[Hashable]]:
    """Return the factors of portraits that each speak texts of their own."""
    cells = list(product(range(n_portraits), range(n_texts)))
    return {"portrait": [c[0] for c in cells], "speech": [c[0] * n_texts + c[1] for c in cells]}


def shared_noise(
    rng: np.random.Generator, factors: Mapping[str, Sequence[Hashable]], variances: Sequence[float]
) -> FloatArray:
    """Draw noise of portraits, texts, their combination with the seed, and the rest, with these variances; mean 0."""
    n = len(factors["portrait"])
    seeds = factors.get("seed", [1] * n)
    keys = (
        factors["portrait"],
        factors["speech"],
        list(zip(factors["portrait"], factors["speech"], seeds, strict=True)),
        range(n),
    )
    total = np.zeros(n)
    for key, variance in zip(keys, variances, strict=True):
        codes = np.unique([repr(level) for level in key], return_inverse=True)[1]
        total += np.sqrt(variance) * rng.normal(size=int(codes.max()) + 1)[codes]
    return total


# policies


def asks_first(metric: Metric = LOSS, *, margin: float | None = None, limit: float | None = None) -> Policy:
    """Return a policy that asks for a metric first, and has a rule for it where there is a margin or a limit."""
    judged = COST if margin is None and limit is None else metric
    rule = Rule(
        metric=judged, at_most=1e6 if limit is None else limit, margin=margin, why="of the simulation"
    )
    return Policy(name="simulation", title="simulation", quality=metric, costs=(COST,), rules=(rule,))


def gate(*, limit: float = 0.3, bad_share: bool = False) -> Policy:
    """Return a policy with a gate on the mean error, and one on the share of ruined clips where asked for."""
    rules = [Rule(metric=ERROR, at_most=limit, judged_by="interval", why="of the simulation")]
    if bad_share:
        rules.append(Rule(metric=ERROR, bad_beyond=0.5, at_most=0.1, why="of the simulation"))
    return Policy(name="gate", title="gate", quality=ERROR, costs=(COST,), rules=tuple(rules))


def error_rate_gate() -> Policy:
    """Return a policy that allows half a percent of the attempts to fail."""
    rule = Rule(metric=ERROR_RATE, at_most=0.005, judged_by="interval", why="of the simulation")
    return Policy(name="failures", title="failures", quality=ERROR, costs=(COST,), rules=(rule,))
