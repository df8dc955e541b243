"""What an evaluator is: the tracks it needs, the metrics it gives, one call into metric mathematics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalkit.types import ClipFacts, Measurement, Metric, Track


class Evaluator(Protocol):
    """A plug-in that measures one clip. Found through the entry-point group ``evalkit.evaluators``.

    The entry point is a class. It is called with its settings by keyword, each of which has a default, and raises
    `UsageError` on what makes no sense. Importing its module must be cheap: models are loaded when first used.

    Three more attributes may be there: ``weights``, a mapping of a model's name to the hash of its weights, read after
    measuring; ``trackers``, a mapping of a track's name to what makes its tracker, for tracks of its own beside those
    of `evalkit.tracks` (the name must say all that decides the values, as tracks are cached by it), or a function from
    the clip's facts to such a mapping, where it depends on what the clip was asked to be; ``identity``, a text that says
    which settings decide the values, where any do.
    """

    name: str
    version: int
    """Raised whenever a value can change. Results of different versions are never mixed in one table."""
    metrics: tuple[Metric, ...]
    """Every metric it gives, all of them for every clip: measured, or absent with a reason."""

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks it needs. A track whose stream the file lacks is not in the mapping it gets."""
        ...

    def evaluate(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Iterable[Measurement]:
        """Measure one clip.

        Parameters
        ----------
        facts : ClipFacts
            The container's word, for what only it can tell.
        tracks : mapping of str to Track
            The tracks asked for, less those the file has no stream for.
        """
        ...
