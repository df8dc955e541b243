"""How a generation fails: refused before anything ran, or started without giving a video.

Each carries a ``kind`` that is stable data. Any other exception is a fault in a program.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Mistake(NamedTuple):
    """One thing that is wrong, and where it stands: the names and numbers that lead there from what was given."""

    place: tuple[int | str, ...]
    text: str


class RequestError(ValueError):
    """A request or a setting that cannot be carried out as it stands: raised before anything is run or written.

    Parameters
    ----------
    message : str
        What is wrong and what to do, for people.
    kind : str
        Stable code for data: ``refused``, or ``no_face`` for a portrait that shows none.

    Attributes
    ----------
    mistakes : tuple of Mistake
        What the message says, each with its place in the settings or the request; empty where no place is known.
    """

    mistakes: tuple[Mistake, ...] = ()

    def __init__(self, message: str, kind: str = "refused") -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[RequestError], tuple[str, str]]:
        return RequestError, (str(self), self.kind)


@contextmanager
def placed_at(*place: int | str) -> Iterator[None]:
    """Say of the mistakes that are found meanwhile that they stand in this place of what was given."""
    try:
        yield
    except RequestError as error:
        found = error.mistakes or (Mistake((), str(error)),)
        error.mistakes = tuple(Mistake((*place, *mistake.place), mistake.text) for mistake in found)
        raise


class GenerationError(RuntimeError):
    """A generation that was started and gave no video.

    Parameters
    ----------
    message : str
        What happened, for people.
    kind : str
        Stable code for data: ``crashed``, ``timed_out``, ``no_output``, ``bad_output``, ``out_of_memory`` or a
        driver's own.
    """

    def __init__(self, message: str, kind: str = "crashed") -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[GenerationError], tuple[str, str]]:
        return GenerationError, (str(self), self.kind)
