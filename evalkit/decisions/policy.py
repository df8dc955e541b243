"""What is good enough: a policy in YAML, checked when read."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from evalkit import registry
from evalkit.analysis.catalogue import known_metrics
from evalkit.analysis.reducers import MEAN, WORST
from evalkit.errors import UsageError
from evalkit.options import read_group, read_yaml
from evalkit.profiling.costs import ERROR_RATE
from evalkit.types import Metric
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RUN_COMPLETE = "run.complete"
"""Name of the line that fails where planned clips have no result, for waivers."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _bind(value: Any, info: ValidationInfo) -> Metric:
    """Look a metric up by its name: among those of the context, or those that are installed."""
    if isinstance(value, Metric):
        return value
    known: Mapping[str, Metric] = (info.context or {}).get("metrics") or known_metrics()
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"unknown metric {value!r}{_hint(str(value), known)} (evalkit list names them)")
    return known[value]


def _known_reducer(name: str) -> str:
    installed = registry.names(registry.REDUCERS)
    if name not in installed:
        raise ValueError(
            f"unknown reducer {name!r}{_hint(name, installed)} (installed: {', '.join(installed)})"
        )
    return name


Words = Annotated[str, AfterValidator(_not_blank)]
BoundMetric = Annotated[
    Metric, PlainValidator(_bind), PlainSerializer(lambda metric: metric.name, return_type=str)
]
"""Written as a full name, read as the metric it names."""


class Rule(PlainData):
    """One limit on one metric.

    Attributes
    ----------
    metric : Metric
        Written as its full name.
    at_most, at_least : float or None
        The limits themselves pass. One of them, or both for a band.
    kind : {"hard", "soft"}
        Whether a miss fails the release or only warns.
    per : {"run", "clip"}
        One value over all clips, or every single clip; ``clip`` is the same as the reducer ``worst``.
    reducer : str or None
        How the clips become one value: the name of an installed reducer (``mean``, ``worst``, ``p10``, ``p90`` …);
        the mean where None.
    judged_by : {"interval", "value"}
        Whether the end of the 95 % interval that is nearer the limit must pass too, or the value alone. For the
        worst clip it is always the value.
    min_coverage : float or None
        Share of the attempted clips that must have a value; the policy's own where None.
    min_n : int
        Number of clips (raters, attempts) below which nothing passes.
    dead_band : float
        How far inside the limit a result must lie to be distinguished from it: the spread of measuring again.
    margin : float or None
        The smallest difference that matters when two are compared.
    why : str
        Where the limit comes from.
    """

    metric: BoundMetric
    at_most: float | None = None
    at_least: float | None = None
    kind: Literal["hard", "soft"] = "hard"
    per: Literal["run", "clip"] = "run"
    reducer: Annotated[Words, AfterValidator(_known_reducer)] | None = Field(
        default=None, exclude_if=lambda name: name is None
    )
    judged_by: Literal["interval", "value"] = "interval"
    min_coverage: float | None = Field(default=None, ge=0, le=1)
    min_n: int = Field(default=1, ge=1)
    dead_band: float = Field(default=0.0, ge=0)
    margin: float | None = Field(default=None, gt=0)
    why: Words

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        low, high = self.inner_limits
        if self.at_most is None and self.at_least is None:
            raise ValueError("a rule needs at_most, at_least or both")
        if low > high:
            raise ValueError("nothing lies between at_least and at_most, less the dead band")
        return self

    @model_validator(mode="after")
    def _is_reduced_in_one_way(self) -> Self:
        if self.per == "clip" and self.reducer not in {None, WORST}:
            raise ValueError(f"per: clip judges the worst clip, not {self.reducer}; leave one of the two out")
        if self.metric.name == ERROR_RATE.name and self.reduction != MEAN:
            raise ValueError(f"{ERROR_RATE.name} is a share of all attempts; leave out per and reducer")
        return self

    @property
    def reduction(self) -> str:
        """The reducer that makes the judged value."""
        return WORST if self.per == "clip" else self.reducer or MEAN

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that pass, infinite where open."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return low, high

    @property
    def inner_limits(self) -> tuple[float, float]:
        """The limits, moved inwards by the dead band."""
        low, high = self.limits
        return low + self.dead_band, high - self.dead_band

    def text(self) -> str:
        """Write the limits for people.

        >>> Rule.model_validate({"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"}).text()
        'at most 0.3'
        """
        if self.at_least is None:
            return f"at most {self.at_most:g}"
        if self.at_most is None:
            return f"at least {self.at_least:g}"
        return f"{self.at_least:g} to {self.at_most:g}"

    def requirement(self) -> str:
        """Write the limits with what they are asked of, for people."""
        return self.text() + {MEAN: "", WORST: " in every clip"}.get(self.reduction, f" ({self.reduction})")


class Policy(PlainData):
    """When a release is good enough.

    Attributes
    ----------
    name, title : str
    min_coverage : float
        Share of the attempted clips that must have a value, where a rule does not say otherwise.
    quality : Metric
        What stands for quality where configurations are weighed against their cost.
    costs : tuple of Metric
        What is paid for it, most important first; the first that was measured decides among those good enough.
    rules : tuple of Rule
        A metric may have a hard and a soft rule.
    """

    name: Words
    title: Words
    min_coverage: float = Field(default=0.95, ge=0, le=1)
    quality: BoundMetric
    costs: tuple[BoundMetric, ...] = Field(min_length=1, strict=False)
    rules: tuple[Rule, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _rules_differ(self) -> Self:
        seen = set()
        for rule in self.rules:
            if (rule.metric.name, rule.kind) in seen:
                raise ValueError(f"{rule.metric.name} has two {rule.kind} rules; join them into one")
            seen.add((rule.metric.name, rule.kind))
        return self

    def __repr__(self) -> str:
        return f"<Policy {self.name}: {len(self.rules)} rules>"

    def metric_names(self) -> list[str]:
        """List every metric it names, once: of the rules, then quality and costs."""
        named = (*(rule.metric for rule in self.rules), self.quality, *self.costs)
        return list(dict.fromkeys(metric.name for metric in named))

    def rule_for(self, metric: str) -> Rule | None:
        """Return the rule of a metric, the hard one first; None where there is none."""
        rules = sorted(
            (rule for rule in self.rules if rule.metric.name == metric), key=lambda rule: rule.kind
        )
        return rules[0] if rules else None

    @property
    def content_hash(self) -> str:
        """SHA-256 of all it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Waiver(PlainData):
    """Somebody answers for a rule that is not met, for a time.

    Attributes
    ----------
    metric : str
        The metric whose hard rule is waived, or ``run.complete``.
    name, reason : str
        Who answers for it, and why.
    expires : date
        The last day on which it holds.
    """

    metric: Words
    name: Words
    reason: Words
    expires: Annotated[dt.date, Field(strict=False)]

    def holds_on(self, today: dt.date) -> bool:
        """Say whether it has not expired."""
        return today <= self.expires


class _Waivers(PlainData):
    waivers: tuple[Waiver, ...] = Field(strict=False)


def bundled_policies() -> list[str]:
    """List the names of the policies that come with the product."""
    folder = resources.files("evalkit.decisions") / "policies"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_policy(name_or_path: str, metrics: Iterable[Metric] = ()) -> Policy:
    """Read a policy by its bundled name or from a file.

    Parameters
    ----------
    name_or_path : str
        A bundled name, or the path of a YAML file.
    metrics : iterable of Metric
        What may be named beside the installed metrics: those of the table to judge.

    Raises
    ------
    UsageError
        If there is none, it is not valid YAML, a key or a metric is unknown, or a value is not allowed.
    """
    if name_or_path in bundled_policies():
        bundled = resources.files("evalkit.decisions") / "policies" / f"{name_or_path}.yaml"
        with resources.as_file(bundled) as path:
            data = read_yaml(path)
    elif Path(name_or_path).is_file():
        data = read_yaml(Path(name_or_path))
    else:
        raise UsageError(
            f"no policy {name_or_path!r}: neither a file nor bundled{_hint(name_or_path, bundled_policies())} "
            f"(bundled: {', '.join(bundled_policies())})"
        )
    return read_group(Policy, data, name_or_path, context={"metrics": known_metrics(metrics)})


def load_waivers(path: str | Path, policy: Policy) -> tuple[Waiver, ...]:
    """Read waivers from a YAML file: ``waivers:`` and a list of metric, name, reason, expires.

    Raises
    ------
    UsageError
        As `load_policy`, and for a waiver of a metric that has no hard rule, or two of the same.
    """
    data = read_yaml(Path(path), "`waivers:` and under it a list of metric, name, reason, expires")
    waivers = read_group(_Waivers, data, str(path)).waivers
    waivable = {rule.metric.name for rule in policy.rules if rule.kind == "hard"} | {RUN_COMPLETE}
    seen = set()
    for waiver in waivers:
        if waiver.metric not in waivable:
            raise UsageError(
                f"{path}: policy {policy.name!r} has no hard rule for {waiver.metric!r}"
                f"{_hint(waiver.metric, waivable)}: nothing to waive"
            )
        if waiver.metric in seen:
            raise UsageError(f"{path}: two waivers for {waiver.metric!r}; keep one")
        seen.add(waiver.metric)
    return waivers


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
