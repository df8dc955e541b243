"""What a file of another tool says, before anybody asked which videos it is about."""

from __future__ import annotations

from dataclasses import dataclass, field

from evalkit.runs.clip_names import ClipName


@dataclass(frozen=True, slots=True)
class GivenScore:
    """A score as it was given.

    Parameters
    ----------
    place : str
        Where it stands in the file, such as ``line 7``.
    rater : str
        As the file names the rater; never stored.
    clip : ClipName
    question : str
        Of `evalkit.runs.ratings.records.QUESTIONS`.
    score : float
        1 to 5.
    """

    place: str
    rater: str
    clip: ClipName
    question: str
    score: float


@dataclass(frozen=True, slots=True)
class GivenChoice:
    """An answer to a pair as it was given.

    Parameters
    ----------
    place, rater
        As of `GivenScore`.
    first, second : ClipName
        In the order in which they were shown, where that is known.
    preferred : {"first", "second", "none"}
    """

    place: str
    rater: str
    first: ClipName
    second: ClipName
    preferred: str


@dataclass
class Given:
    """Everything that a file says.

    Parameters
    ----------
    scores : list of GivenScore
    choices : list of GivenChoice
    problems : list of str
        One line for people each: a row that cannot be used, with its place and what to do.
    notes : list of str
        What was taken for granted.
    n_unanswered : int
        Places for an answer where none was given.
    """

    scores: list[GivenScore] = field(default_factory=list)
    choices: list[GivenChoice] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    n_unanswered: int = 0
