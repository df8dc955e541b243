"""What a file of scores does not say of itself: what its numbers mean, and where they stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from evalkit.options import read_group, read_yaml
from evalkit.types import Better, Metric
from pipeline.options import PlainData

if TYPE_CHECKING:
    from pathlib import Path

Bounds = tuple[float | None, float | None]

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_SOURCE = re.compile(r"[a-z][a-z0-9_]*")


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a metric: tool.quantity, in small letters, digits and underscores (vbench.imaging_quality)"
        )
    return name


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line that says something")
    return text.strip()


Line = Annotated[str, AfterValidator(_one_line)]


class MetricDefinition(PlainData):
    """What a metric of another tool means.

    Attributes
    ----------
    unit : str
        ``"1"`` for a pure number.
    better : {"lower", "higher", "zero", "band"}
    meaning : str
        One line for people.
    bounds : tuple of float or None
        Lowest and highest possible value; None where open.
    column : str or None
        Of a table, or the key of a JSON file: where its scores stand, if not under its own name.
    """

    unit: Line = "1"
    better: Better
    meaning: Line
    bounds: Bounds = Field(default=(None, None), strict=False)
    column: str | None = None

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        low, high = self.bounds
        if low is not None and high is not None and low >= high:
            raise ValueError(f"nothing lies between the bounds {low:g} and {high:g}")
        return self

    def metric(self, name: str) -> Metric:
        """Return it as a metric of this name."""
        return Metric(name, self.unit, self.better, self.meaning, self.bounds)


class Definitions(PlainData):
    """How a file of scores is to be read.

    Attributes
    ----------
    metrics : dict of str to MetricDefinition
        By full name; all of one tool.
    version : str or None
        Of the tool: scores of two versions stand in no table and are not compared.
    clip : str or None
        Column that names the video.
    session : str or None
        Column that names a session of a live trial.
    clips : dict of str to str
        Names of videos to ids of trials.
    """

    metrics: dict[Annotated[str, AfterValidator(_named)], MetricDefinition] = Field(default_factory=dict)
    version: Line | None = None
    clip: str | None = None
    session: str | None = None
    clips: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read definitions from a YAML file.

        Raises
        ------
        ConfigError
            If it cannot be read, or something in it is not valid; with the line.
        """
        return read_group(cls, read_yaml(path, "a mapping of definitions"), str(path))


def is_source(name: str) -> bool:
    """Say whether a text can name a tool.

    >>> is_source("vbench"), is_source("V-Bench")
    (True, False)
    """
    return _SOURCE.fullmatch(name) is not None
