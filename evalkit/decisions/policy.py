"""What is good enough: a policy in YAML, checked when read."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from evalkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalkit.types import Metric

RUN_COMPLETE = "run.complete"
"""Name of the line that fails where planned clips have no result, for waivers."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Words = Annotated[str, AfterValidator(_not_blank)]


class Rule(_Strict):
    """One limit on one metric.

    Attributes
    ----------
    metric : str
        Full name.
    at_most, at_least : float or None
        The limits themselves pass. One of them, or both for a band.
    kind : {"hard", "soft"}
        Whether a miss fails the release or only warns.
    per : {"run", "clip"}
        The mean over clips, or every single clip.
    judged_by : {"interval", "value"}
        Whether the end of the 95 % interval that is nearer the limit must pass too, or the value alone. With
        ``per: clip`` it is always the value.
    min_coverage : float or None
        Share of the attempted clips that must have a value; the policy's own where None.
    min_n : int
        Number of clips (raters, attempts) below which nothing passes.
    dead_band : float
        How far inside the limit a result must lie to be told from it: the spread of measuring again.
    margin : float or None
        The smallest difference that matters when two are compared.
    why : str
        Where the limit comes from.
    """

    metric: Words
    at_most: float | None = None
    at_least: float | None = None
    kind: Literal["hard", "soft"] = "hard"
    per: Literal["run", "clip"] = "run"
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

        >>> Rule(metric="lip_sync.error", at_most=0.3, why="a gate").text()
        'at most 0.3'
        """
        if self.at_least is None:
            return f"at most {self.at_most:g}"
        if self.at_most is None:
            return f"at least {self.at_least:g}"
        return f"{self.at_least:g} to {self.at_most:g}"


class Policy(_Strict):
    """When a release is good enough.

    Attributes
    ----------
    name, title : str
    min_coverage : float
        Share of the attempted clips that must have a value, where a rule does not say otherwise.
    quality : str
        The metric that stands for quality where configurations are weighed against their cost.
    costs : tuple of str
        What is paid for it, most important first; the first that was measured decides among those good enough.
    rules : tuple of Rule
        A metric may have a hard and a soft rule.
    """

    name: Words
    title: Words
    min_coverage: float = Field(default=0.95, ge=0, le=1)
    quality: Words
    costs: tuple[Words, ...] = Field(min_length=1, strict=False)
    rules: tuple[Rule, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _rules_differ(self) -> Self:
        seen = set()
        for rule in self.rules:
            if (rule.metric, rule.kind) in seen:
                raise ValueError(f"{rule.metric} has two {rule.kind} rules; join them into one")
            seen.add((rule.metric, rule.kind))
        return self

    def metrics(self) -> list[str]:
        """List every metric it names, once."""
        return list(dict.fromkeys((*(rule.metric for rule in self.rules), self.quality, *self.costs)))

    def rule_for(self, metric: str) -> Rule | None:
        """Return the rule of a metric, the hard one first; None where there is none."""
        rules = sorted((rule for rule in self.rules if rule.metric == metric), key=lambda rule: rule.kind)
        return rules[0] if rules else None

    @property
    def content_hash(self) -> str:
        """SHA-256 of all it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Waiver(_Strict):
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


class _Waivers(_Strict):
    waivers: tuple[Waiver, ...] = Field(strict=False)


def bundled_policies() -> list[str]:
    """List the names of the policies that come with the product."""
    folder = resources.files("evalkit.decisions") / "policies"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_policy(name_or_path: str, known: Mapping[str, Metric]) -> Policy:
    """Read a policy by its bundled name or from a file.

    Parameters
    ----------
    name_or_path : str
        A bundled name, or the path of a YAML file.
    known : mapping of str to Metric
        Metrics that may be named, see `evalkit.analysis.catalogue.known_metrics`.

    Raises
    ------
    UsageError
        If there is none, it is not YAML, a key or a metric is unknown, or a value makes no sense.
    """
    if name_or_path in bundled_policies():
        text = (resources.files("evalkit.decisions") / "policies" / f"{name_or_path}.yaml").read_text("utf-8")
    elif Path(name_or_path).is_file():
        text = _read(Path(name_or_path))
    else:
        raise UsageError(
            f"no policy {name_or_path!r}: neither a file nor bundled{_hint(name_or_path, bundled_policies())} "
            f"(bundled: {', '.join(bundled_policies())})"
        )
    policy: Policy = _parse(Policy, text, name_or_path)
    for metric in policy.metrics():
        if metric not in known:
            raise UsageError(
                f"{name_or_path}: unknown metric {metric!r}{_hint(metric, known)} (evalkit list names them)"
            )
    return policy


def load_waivers(path: str | Path, policy: Policy) -> tuple[Waiver, ...]:
    """Read waivers from a YAML file: ``waivers:`` and a list of metric, name, reason, expires.

    Raises
    ------
    UsageError
        As `load_policy`, and for a waiver of a metric that has no hard rule, or two of the same.
    """
    waivers: tuple[Waiver, ...] = _parse(_Waivers, _read(Path(path)), str(path)).waivers
    waivable = {rule.metric for rule in policy.rules if rule.kind == "hard"} | {RUN_COMPLETE}
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


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def _parse(model: type[Any], text: str, source: str) -> Any:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{source} is no YAML: {error}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{source}: a mapping of names to values is needed, not {type(data).__name__}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UsageError("\n".join(_explain(one, source) for one in error.errors())) from None


def _explain(error: Any, source: str) -> str:
    """Say what is wrong with which key, and what was probably meant."""
    where = ".".join(str(part) for part in error["loc"]) or "the whole"
    if error["type"] == "extra_forbidden":
        models = (
            (Rule,) if "rules" in error["loc"][:-1] else (Waiver,) if "waivers" in error["loc"] else (Policy,)
        )
        keys = [key for model in models for key in model.model_fields]
        return f"{source}: unknown key {where!r}{_hint(str(error['loc'][-1]), keys)}"
    if error["type"] == "missing":
        return f"{source}: {where} is missing"
    return f"{source}: {where}: {error['msg'].removeprefix('Value error, ')} (it is {_short(error['input'])})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
