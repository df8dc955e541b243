"""Attempts: each one counts for the error rate, for ever, whatever was retried or swept again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ERROR_RATE = "profile.error_rate"
"""The metric that counts them: failed of attempted."""


class Attempted(Protocol):
    """What was attempted: a trial, or a row of a table."""

    @property
    def n_attempts(self) -> int:
        """All attempts."""

    @property
    def n_failures(self) -> int:
        """Those that failed."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often something was attempted, and how often it failed."""

    n: int
    n_failed: int

    @property
    def share_failed(self) -> float | None:
        """Failed of all, 0 to 1; None without any."""
        return self.n_failed / self.n if self.n else None


def count_attempts(attempted: Iterable[Attempted]) -> Attempts:
    """Count the attempts of trials or rows together.

    Three trials, of which one failed twice before it succeeded and one failed for good: six attempts, three failed.
    """
    made = [(one.n_attempts, one.n_failures) for one in attempted]
    return Attempts(sum(n for n, _ in made), sum(n_failed for _, n_failed in made))


def agree(earlier: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Return whether an attempt of an earlier grid counts for a configuration: no parameter that both have differs.

    A parameter that one of the two does not name was at a default that is not known here. Such an attempt counts, so
    that a parameter that joins the grid makes no failure forgotten.

    >>> agree({"steps": 2}, {"steps": 2, "fps": 25}), agree({"steps": 2}, {"steps": 3})
    (True, False)
    """
    return all(params[name] == value for name, value in earlier.items() if name in params)
