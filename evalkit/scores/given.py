"""What a file of scores says, before anybody asked which videos it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from evalkit.runs.clip_names import ClipName
from evalkit.types import Metric


@dataclass(frozen=True, slots=True)
class GivenScore:
    """A score as it was given.

    Parameters
    ----------
    place : str
        Where it stands in the file, such as ``line 7``.
    clip : ClipName
        A video; of an outcome the parameters of a configuration.
    metric : str
        Full name.
    value : float or None
        None where the tool says that it has none.
    n : int
        Samples behind it.
    session : str or None
        Of a live trial; None for a score of a video.
    """

    place: str
    clip: ClipName
    metric: str
    value: float | None
    n: int = 1
    session: str | None = None


@dataclass
class Given:
    """Everything that a file says.

    Parameters
    ----------
    scores : list of GivenScore
    metrics : dict of str to Metric
        What the scores mean, by full name.
    versions : set of str
        Of the tool, as the rows state them.
    problems : list of str
        One line for people each: what cannot be used, with its place and what to do.
    notes : list of str
        What a reader should know.
    """

    scores: list[GivenScore] = field(default_factory=list)
    metrics: dict[str, Metric] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        place: str,
        clip: ClipName,
        metric: Metric,
        text: object,
        *,
        n: object = 1,
        session: str | None = None,
    ) -> None:
        """Take a score as it stands in the file, or the problem with it.

        Parameters
        ----------
        place : str
        clip : ClipName
        metric : Metric
        text : object
            What stands there: a number, a text that is one, a truth value, or nothing.
        n : object
            Likewise: how many samples are behind it.
        session : str, optional
        """
        try:
            value, number = to_number(text), to_number(n)
        except ValueError as error:
            self.problems.append(f"{place}: {metric.name}: {error}")
            return
        if value is not None and not metric.allows(value):
            low, high = ("open" if bound is None else f"{bound:g}" for bound in metric.bounds)
            self.problems.append(
                f"{place}: {metric.name}: {value:g} is outside of what it can be ({low} to {high})"
            )
            return
        if number is None or number < 1 or number != int(number):
            self.problems.append(f"{place}: n is {n!r}, and counts samples: 1 or more")
            return
        self.metrics[metric.name] = metric
        self.scores.append(GivenScore(place, clip, metric.name, value, int(number), session))


_NOTHING = {"", "na", "n/a", "none", "null", "-"}
_TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


def to_number(given: object) -> float | None:
    """Return a number as it stands in a file; None where nothing stands there. A truth value is 1 or 0.

    Raises
    ------
    ValueError
        If it is something else, or not finite.

    >>> to_number(" 0.5 "), to_number("NA"), to_number(True)
    (0.5, None, 1.0)
    """
    if given is None:
        return None
    if not isinstance(given, bool | int | float | str):
        raise ValueError(f"a number is needed, not {type(given).__name__}")  # noqa: TRY004 - a mistake in a file
    if isinstance(given, str):
        text = given.strip()
        if text.casefold() in _NOTHING:
            return None
        if text.casefold() in _TRUTH:
            return _TRUTH[text.casefold()]
        try:
            value = float(text) if "_" not in text else float("x")
        except ValueError:
            hint = "; write a point before decimals" if "," in text else ""
            raise ValueError(f"{text!r} is no number{hint}") from None
    else:
        value = float(given)
    if not isfinite(value):
        raise ValueError(f"{given!r} is not finite; leave it empty where there is no score")
    return value
