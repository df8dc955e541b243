"""What a sweep does is decided while it goes on: a feed hears of results and says what is made next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.runs import Trial


class Feed(ABC):
    """Chooses, among the planned trials, those that are made. Used by one thread, for one call of a sweep.

    Ids that have a result already, or were asked for before, may be asked for again: nothing is made twice.
    """

    @abstractmethod
    def begin(self, known: Mapping[str, Trial], skipped: Mapping[str, str]) -> Sequence[str]:
        """Return the ids of the videos that are made first, in order.

        Parameters
        ----------
        known : mapping of str to Trial
            Planned trials that have their result, by id. A video that is there and not measured is not among them: it is
            measured, and heard of then.
        skipped : mapping of str to str
            Planned trials that this call never makes, by id, with the reason: they cannot fit.
        """

    @abstractmethod
    def hear(self, trial: Trial) -> Sequence[str]:
        """Take note of a trial that has its result, measured or failed; return ids of videos to make in addition."""

    @abstractmethod
    def left_out(self) -> Mapping[str, str]:
        """Return why planned trials were not made, by id.

        Asked for once, when the sweep is over or interrupted. Trials that have a result do not count, whatever it says.
        """
