"""What is good enough: a policy in YAML, checked when read."""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from contextlib import contextmanager
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
from evalkit.analysis.catalogue import is_rating, known_metrics
from evalkit.analysis.reducers import BAD_SHARE, MEAN, WORST
from evalkit.decisions.budget import MIN_CLIPS, ErrorBudget
from evalkit.decisions.policy_checks import find_doubts, find_nonsense
from evalkit.errors import UsageError
from evalkit.options import read_group, read_yaml
from evalkit.profiling.costs import ERROR_RATE
from evalkit.stats.power import attempts_to_show
from evalkit.types import Metric
from pipeline.options import PlainData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Factor = Literal["portrait", "speech", "seed"]


def not_blank(text: str) -> str:
    """Return a text that says something."""
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _bind(value: Any, info: ValidationInfo) -> Metric:
    """Look a metric up by its name: among those of the context, or those that are installed."""
    if isinstance(value, Metric):
        return value
    known: Mapping[str, Metric] = (info.context or {}).get("metrics") or known_metrics()
    if not isinstance(value, str) or value not in known:
        raise ValueError(
            f"unknown metric {value!r}{name_nearest(str(value), known)} (evalkit list metrics names them)"
        )
    return known[value]


def _known_reducer(name: str) -> str:
    installed = registry.names(registry.REDUCERS)
    if name not in installed:
        raise ValueError(
            f"unknown reducer {name!r}{name_nearest(name, installed)} (installed: {', '.join(installed)})"
        )
    return name


Words = Annotated[str, AfterValidator(not_blank)]
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
    bad_beyond : float or None
        What is judged then is the share of clips whose value is worse than this (further from 0, where 0 is best), and
        ``at_most`` is a share: 0.10 for one clip in ten.
    kind : {"hard", "soft"}
        Whether a miss fails the release or only warns.
    per : {"run", "clip"}
        One value over all clips, or every single clip; ``clip`` is the same as the reducer ``worst``.
    reducer : str or None
        How the clips become one value: the name of an installed reducer (``mean``, ``worst``, ``p10``, ``p90`` …);
        the mean where None.
    judged_by : {"interval", "value"}
        Whether the bound of the true value that is nearer the limit must pass too, or the value alone. For the worst
        clip it is always the value.
    min_coverage : float or None
        Share of the attempted clips that must have a value; the policy's own where None.
    min_n : int or None
        Number of clips (of attempts; of ratings, raters) below which nothing passes; see `fewest`.
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
    bad_beyond: float | None = None
    kind: Literal["hard", "soft"] = "hard"
    per: Literal["run", "clip"] = "run"
    reducer: Annotated[Words, AfterValidator(_known_reducer)] | None = Field(
        default=None, exclude_if=lambda name: name is None
    )
    judged_by: Literal["interval", "value"] = "interval"
    min_coverage: float | None = Field(default=None, ge=0, le=1)
    min_n: int | None = Field(default=None, ge=1)
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
            raise ValueError(
                f"{ERROR_RATE.name} is a share of all attempts; leave out per, reducer and bad_beyond"
            )
        if self.bad_beyond is not None and (self.per == "clip" or self.reducer not in {None, BAD_SHARE}):
            raise ValueError("bad_beyond judges the share of bad clips; leave out per and reducer")
        if self.bad_beyond is None and self.reducer == BAD_SHARE:
            raise ValueError(f"reducer: {BAD_SHARE} needs bad_beyond, the value beyond which a clip is bad")
        return self

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if found := list(find_nonsense(self)):
            raise ValueError("; ".join(found))
        return self

    @property
    def name(self) -> str:
        """What waivers and lines call it: the metric's name, with ``.bad`` for a share of bad clips."""
        return self.metric.name if self.bad_beyond is None else f"{self.metric.name}.bad"

    @property
    def judged_metric(self) -> Metric:
        """What the judged value is: the metric, or the share of clips that are bad in it."""
        if self.bad_beyond is None:
            return self.metric
        return Metric(self.name, "1", "lower", f"share of clips with bad {self.metric.name}", (0.0, 1.0))

    @property
    def is_share(self) -> bool:
        """Whether the judged value is a share of clips or attempts: of bad ones, or of those that failed."""
        return self.bad_beyond is not None or self.metric.name == ERROR_RATE.name

    @property
    def reduction(self) -> str:
        """The reducer that makes the judged value."""
        if self.bad_beyond is not None:
            return BAD_SHARE
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

    @property
    def clip_limits(self) -> tuple[float, float]:
        """Lowest and highest value of a single clip that is not bad: what a reducer needs to know."""
        if self.bad_beyond is None:
            return self.limits
        if self.metric.better == "higher":
            return self.bad_beyond, math.inf
        return -abs(self.bad_beyond) if self.metric.better == "zero" else -math.inf, self.bad_beyond

    @property
    def fewest(self) -> int:
        """Number of clips (raters, attempts) below which it never passes, at the first look at one configuration."""
        return self.fewest_within(ErrorBudget())

    def fewest_within(self, budget: ErrorBudget) -> int:
        """Return the number of clips (raters, attempts) below which it cannot pass.

        A share judged by its bound: as many as must be without fault to show it, 29 for 10 % and 598 for 0.5 %. A mean
        judged by its bound: `MIN_CLIPS`. ``min_n`` raises these; only where the value alone is judged does it decide.
        """
        if self.judged_by == "value" or self.reduction == WORST:
            return MIN_CLIPS if self.min_n is None else self.min_n
        if not self.is_share:
            return max(MIN_CLIPS, self.min_n or 0)
        share = self.inner_limits[1]
        needed = attempts_to_show(share, alpha=budget.share_alpha) if 0.0 < share < 1.0 else 1
        return max(needed, self.min_n or 0)

    @property
    def fewest_clips(self) -> int:
        """`fewest`, less what ``min_n`` asks for where that counts raters."""
        return self.model_copy(update={"min_n": None}).fewest if is_rating(self.metric.name) else self.fewest

    @property
    def fewest_raters(self) -> int:
        """Number of raters without whom a rating never passes."""
        if self.reduction == MEAN:
            return self.fewest
        return MIN_CLIPS if self.min_n is None else self.min_n

    def overshoot(self, value: float) -> float:
        """Return how far a judged value lies beyond the limits, less the dead band: positive is a miss."""
        low, high = self.inner_limits
        return max(low - value, value - high)

    def text(self) -> str:
        """Write the limits for people.

        >>> Rule.model_validate({"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"}).text()
        'at most 0.3'
        """
        if self.bad_beyond is not None:
            side = "below" if self.metric.better == "higher" else "beyond"
            return f"at most {100 * (self.at_most or 0.0):g} % of clips {side} {self.bad_beyond:g}"
        if self.at_least is None:
            return f"at most {self.at_most:g}"
        if self.at_most is None:
            return f"at least {self.at_least:g}"
        return f"{self.at_least:g} to {self.at_most:g}"

    def requirement(self) -> str:
        """Write the limits with what they are asked of, for people."""
        return self.text() + {MEAN: "", BAD_SHARE: "", WORST: " in every clip"}.get(
            self.reduction, f" ({self.reduction})"
        )


class Reach(PlainData):
    """Fewest different inputs.

    Attributes
    ----------
    portraits, speech, seeds : int
    """

    portraits: int = Field(default=1, ge=1)
    speech: int = Field(default=1, ge=1)
    seeds: int = Field(default=1, ge=1)


class Policy(PlainData):
    """When a release is good enough.

    Attributes
    ----------
    name, title : str
    min_coverage : float
        Share of the attempted clips that must have a value, where a rule does not say otherwise.
    min_clip_coverage : float
        Share of a clip that must have been measured for its value to be relied on.
    quality : Metric
        What stands for quality where configurations are weighed against their cost.
    primary : tuple of Metric
        What is asked first when two are compared; all else is exploratory. `quality` alone unless given.
    given : tuple of {"portrait", "speech", "seed"}
        Factors whose levels are all that matter: the avatars that are shipped, and no others.
    reach : Reach
        On how many different inputs a release must have been tried.
    max_waiver_days : int
        How many days ahead a waiver may expire at most.
    max_age_days : int or None
        Days after which results are too old to release on; never where None.
    costs : tuple of Metric
        What is paid for it, most important first; the first that was measured decides among those good enough.
    rules : tuple of Rule
        A metric may have a hard and a soft rule, and as many for its share of bad clips.
    """

    name: Words
    title: Words
    min_coverage: float = Field(default=0.95, ge=0, le=1)
    min_clip_coverage: float = Field(default=0.5, ge=0, le=1)
    quality: BoundMetric
    primary: tuple[BoundMetric, ...] = Field(
        default_factory=lambda data: (data["quality"],), min_length=1, strict=False
    )
    costs: tuple[BoundMetric, ...] = Field(min_length=1, strict=False)
    given: tuple[Factor, ...] = Field(default=(), strict=False)
    reach: Reach = Reach()
    max_waiver_days: int = Field(default=90, ge=1)
    max_age_days: int | None = Field(default=None, ge=1)
    rules: tuple[Rule, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _rules_differ(self) -> Self:
        seen = set()
        for rule in self.rules:
            if (rule.name, rule.kind) in seen:
                raise ValueError(f"{rule.name} has two {rule.kind} rules; join them into one")
            seen.add((rule.name, rule.kind))
        return self

    @model_validator(mode="after")
    def _decides_something(self) -> Self:
        if all(rule.kind == "soft" for rule in self.rules):
            raise ValueError(
                "all rules are soft, so everything passes; write kind: hard for what must be met"
            )
        return self

    def __repr__(self) -> str:
        return f"<Policy {self.name}: {len(self.rules)} rules>"

    def metric_names(self) -> list[str]:
        """List every metric it names, once: of the rules, then quality, what is asked first and costs."""
        named = (*(rule.metric for rule in self.rules), self.quality, *self.primary, *self.costs)
        return list(dict.fromkeys(metric.name for metric in named))

    def rule_for(self, metric: str) -> Rule | None:
        """Return the rule for the values of a metric, the hard one first; None where there is none."""
        rules = sorted((rule for rule in self.rules if rule.name == metric), key=lambda rule: rule.kind)
        return rules[0] if rules else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of it should know: rules that may not do what they seem to."""
        doubts = tuple(f"{rule.name}: {doubt}" for rule in self.rules for doubt in find_doubts(rule))
        if self.quality.better != "band":
            return doubts
        less = "neither more nor less of it is better, and configurations are weighed as if less were"
        return (f"quality {self.quality.name}: {less}", *doubts)

    @property
    def content_hash(self) -> str:
        """SHA-256 of all it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def bundled_policies() -> list[str]:
    """List the names of the policies that come with the product."""
    folder = resources.files("evalkit.decisions") / "policies"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def policy_text(name_or_path: str) -> str:
    """Return a policy as it is written, with its comments; raise as `load_policy` where there is none."""
    with _found(name_or_path) as path:
        return path.read_text("utf-8")


def new_policy_text(source: str, stem: str) -> str:
    """Return a policy to be changed: what each key means, then another policy under a name of its own.

    Parameters
    ----------
    source : str
        The policy to begin with, as in `load_policy`.
    stem : str
        The name of its file without the ending, of which its own is made.
    """
    guide = (resources.files("evalkit.decisions") / "policies" / "guide.txt").read_text("utf-8")
    name = re.sub(r"\W+", "_", stem)
    text = re.sub(r"\A# yaml-language-server:.*\n", "", policy_text(source)).removeprefix(guide)
    return guide + re.sub(r"^name:.*$", f"name: {name}", text, count=1, flags=re.MULTILINE)


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
    with _found(name_or_path) as path:
        data = read_yaml(path)
    return read_group(Policy, data, name_or_path, context={"metrics": known_metrics(metrics)})


@contextmanager
def _found(name_or_path: str) -> Iterator[Path]:
    """Give the file of a policy by its bundled name or path."""
    if name_or_path in bundled_policies():
        with resources.as_file(
            resources.files("evalkit.decisions") / "policies" / f"{name_or_path}.yaml"
        ) as path:
            yield path
    elif Path(name_or_path).is_file():
        yield Path(name_or_path)
    else:
        raise UsageError(
            f"no policy {name_or_path!r}: neither a file nor bundled{name_nearest(name_or_path, bundled_policies())} "
            f"(bundled: {', '.join(bundled_policies())})"
        )


def name_nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" with the nearest of the known names; empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
