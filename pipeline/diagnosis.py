"""What would stop a generator on a machine: what was looked at and seen, and its cure.

A check reports what it saw also where all is well: a list without stops is an answer.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.options import PlainData


class Diagnosis(PlainData):
    """One thing that was looked at.

    Attributes
    ----------
    level : str
        ``stop``: a generation fails; ``warning``: it may fail, or its times or its picture are not what they could be;
        ``fine``.
    about : str
        What was looked at, a word or two.
    found : str
        What was seen, with names and numbers.
    cure : str
        What to do; empty where it is fine, and only there.
    """

    level: Literal["stop", "warning", "fine"]
    about: str = Field(min_length=1)
    found: str = Field(min_length=1)
    cure: str = ""

    @model_validator(mode="after")
    def _a_problem_has_a_cure(self) -> Self:
        if (self.level == "fine") != (not self.cure):
            raise ValueError("a stop or a warning has a cure, and what is fine needs none")
        return self


def fine(about: str, found: str) -> Diagnosis:
    """Return a diagnosis that needs nothing done."""
    return Diagnosis(level="fine", about=about, found=found)


def stop(about: str, found: str, cure: str) -> Diagnosis:
    """Return a diagnosis that makes every generation fail."""
    return Diagnosis(level="stop", about=about, found=found, cure=cure)


def warning(about: str, found: str, cure: str) -> Diagnosis:
    """Return a diagnosis that may matter."""
    return Diagnosis(level="warning", about=about, found=found, cure=cure)


def only_for(what: str, finding: Diagnosis) -> Diagnosis:
    """Return a finding on something that not every generation needs: where it would be a stop, a warning."""
    if finding.level == "fine":
        return finding
    return warning(finding.about, f"for {what} alone: {finding.found}", finding.cure)
