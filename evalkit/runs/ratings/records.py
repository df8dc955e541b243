"""What people said of the videos of a run, as everybody reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

QUESTIONS = ("overall", "lip_sync", "expression", "motion")
"""What can be asked of a clip, 1 (bad) to 5 (excellent)."""
LOWEST, HIGHEST = 1, 5
PREFERENCE = "rating.preference"


def metric_of(question: str) -> str:
    """Return the full name of the metric that a question measures.

    >>> metric_of("overall"), metric_of("lip_sync")
    ('rating.mos', 'rating.lip_sync')
    """
    return "rating.mos" if question == "overall" else f"rating.{question}"


class StudyKind(StrEnum):
    """What raters are asked for."""

    ACR = "acr"
    """A score for each clip: absolute category rating of ITU-T P.910."""
    PAIRS = "pairs"
    """Which of two clips of the same input is better, or neither."""


class Origin(StrEnum):
    """Where a rater's answers come from."""

    PERSON = "person"
    SIMULATED = "simulated"
    """A program that plays a rater: called so wherever its answers show."""
    IMPORTED = "imported"
    """Collected by another tool."""


class Role(StrEnum):
    """Why a rater was shown something."""

    TRAINING = "training"
    RATING = "rating"
    REPEAT = "repeat"
    """The same as before, without being told: how constant a rater is."""
    CHECK = "check"
    """A clip that is obviously broken: whether a rater looks at all."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """One round of questions about a run.

    Parameters
    ----------
    number : int
        From 1.
    kind : StudyKind
    questions : tuple of str
        Of `QUESTIONS`; of pairs ``("overall",)``.
    created_at : str
        ISO 8601, UTC.
    commitment : str
        SHA-256, in hexadecimal, that was shown before anybody was asked: of the key that says what is A and what is B.
    source : str
        Empty for a study of evalkit; else what imported answers came from.
    """

    number: int
    kind: StudyKind
    questions: tuple[str, ...]
    created_at: str
    commitment: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class RaterRecord:
    """One rater: nothing personal.

    Parameters
    ----------
    id : str
        Unique in the run, such as ``r07``.
    study : int
    origin : Origin
    language : str
        ``en`` or ``zh-CN``; empty where not known.
    n_assigned, n_answered : int
        Presentations, those of the training included.
    """

    id: str
    study: int
    origin: Origin
    language: str = ""
    n_assigned: int = 0
    n_answered: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    """One score of one rater for one clip.

    Parameters
    ----------
    rater : str
    trial : str
        Id of the trial whose video was shown; of a check, the one that was broken for it.
    content : str or None
        SHA-256 of that video as it was then: an answer about another video does not count. None where it is not known.
    question : str
        Of `QUESTIONS`.
    score : float
        1 to 5; of imported answers not always whole.
    role : Role
    took_s : float or None
        From the end of the clip to the answer.
    """

    rater: str
    trial: str
    content: str | None
    question: str
    score: float
    role: Role = Role.RATING
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to a pair.

    Parameters
    ----------
    rater : str
    first, second : str
        Ids of the trials, in the order in which they were shown (left, or before).
    contents : tuple of (str or None)
        SHA-256 of their videos as they were then, first and second.
    preferred : str or None
        One of the two ids; None for no difference.
    role : Role
    took_s : float or None
        As of `Score`.
    broken : str or None
        Of a check, the one of the two that was shown broken.
    """

    rater: str
    first: str
    second: str
    contents: tuple[str | None, str | None]
    preferred: str | None
    role: Role = Role.RATING
    took_s: float | None = None
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Ratings:
    """Everything that was said of the videos of a run; empty where nobody was asked.

    Answers of the training are not among them, nor are raters who have not begun.

    Parameters
    ----------
    studies, raters, scores, choices
    damage : str
        Why nothing could be read, although there is a file; else empty.
    """

    studies: tuple[StudyRecord, ...] = ()
    raters: tuple[RaterRecord, ...] = ()
    scores: tuple[Score, ...] = ()
    choices: tuple[Choice, ...] = ()
    damage: str = ""
