"""What an evaluator is: the metrics it gives, the tracks it needs, and every hook it may fill.

A whole evaluator, with a picture and a reason of its own::

    BRIGHTNESS = Metric("brightness.mean", "1", "band", "mean luma, 0 to 1", (0, 1))
    NO_FRAMES = Reason("no_frames", "the video has no frames")

    class Brightness(Evaluator):
        name, version, metrics, reasons, tracks = "brightness", 1, (BRIGHTNESS,), (NO_FRAMES,), ("picture",)

        def measure(self, facts, tracks):
            if "picture" not in tracks or not len(tracks["picture"]):
                return Measured((Measurement.absent(BRIGHTNESS, NO_FRAMES),))
            luma = tracks["picture"]["luma_mean"] / 255
            return Measured((Measurement(BRIGHTNESS, float(luma.mean()), n=luma.size, coverage=1.0),), details=luma)

        def evidence(self, details):
            yield Exhibit("brightness.svg", "brightness over time", draw(details), BRIGHTNESS)

It is found through the entry-point group ``evalkit.evaluators``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

from evalkit.tracks.base import FrameTracker, SoundTracker
from evalkit.types import ClipFacts, Measurement, Metric, Reason, Track

MakeTracker = Callable[[], FrameTracker | SoundTracker]
"""Makes a new tracker for one clip."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What an evaluator found on one clip.

    Parameters
    ----------
    measurements : tuple of Measurement
        One for each metric of the evaluator.
    details : object
        All that `Evaluator.evidence` draws from; None where there is nothing to show. It is used in the same process and
        never stored.
    weights : mapping of str to str
        Name and SHA-256 of the model weights that took part.
    """

    measurements: tuple[Measurement, ...]
    details: Any = field(default=None, repr=False)
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One file of evidence.

    Parameters
    ----------
    file : str
        Name of the file, with a suffix that says what it is: a picture (``.png``, ``.jpg``, ``.svg``), a page that
        needs no other file (``.html``), or data (``.json``).
    caption : str
        What it shows, in one line.
    content : bytes or str
        The file; text is written as UTF-8.
    metric : Metric
        The metric beside which it belongs.

    Raises
    ------
    ValueError
        If the name is not that of a file in the evidence folder itself, or is taken by the folder's index.
    """

    file: str
    caption: str
    content: bytes | str = field(repr=False)
    metric: Metric

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file or self.file[:1] in {"", "."} or self.file == "index.json":
            raise ValueError(f"{self.file!r} is not a name for evidence: give a plain file name")


class Evaluator(ABC):
    """Measures one clip. Subclass it; the module must be cheap to import, so load models when they are first used.

    The class is called with its settings by keyword. Each has a default, and a value that cannot be used is refused
    with a `UsageError`.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever a value can change. Results of different versions are never mixed in one table."""
    metrics: ClassVar[tuple[Metric, ...]]
    """Every metric it gives, all of them for every clip: measured, or absent with a reason."""
    reasons: ClassVar[tuple[Reason, ...]] = ()
    """Its own reasons for absent metrics, beside `evalkit.types.GENERAL_REASONS`."""
    extra: ClassVar[str] = ""
    """The extra of evalkit that brings its libraries, as in ``pip install "evalkit[brand]"``; empty where it needs none."""
    file_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that name a file. A relative path starts at the folder of the configuration that gives it."""
    file_or_name_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that name a file where there is one of that name, and otherwise something known by name."""

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks of `evalkit.tracks` that it needs."""
        return ()

    @property
    def identity(self) -> str:
        """Text that says which settings and models decide the values beside the version; empty where none do."""
        return ""

    def trackers(self, facts: ClipFacts) -> Mapping[str, MakeTracker]:  # noqa: ARG002 - for those that need it
        """Return what makes tracks of its own, by the track's name.

        Parameters
        ----------
        facts : ClipFacts
            The clip, for an evaluator that needs a track of some clips only.

        Returns
        -------
        mapping of str to callable
            Tracks are cached by their name: it must say all that decides the values.
        """
        return {}

    def prepare(self, notify: Callable[[str], None]) -> None:  # noqa: B027 - most have nothing to prepare
        """Do once, before workers begin, what each of them would otherwise do for itself.

        Parameters
        ----------
        notify : callable
            Called with a line for the person who waits.

        Raises
        ------
        UsageError
            If the evaluator cannot be used with its settings.
        """

    @abstractmethod
    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure one clip.

        Parameters
        ----------
        facts : ClipFacts
            What the container says, and what the clip was meant to be.
        tracks : mapping of str to Track
            Those of `tracks` and `trackers`, less those the file has no stream for.
        """

    def absent(self, reason: Reason, *, coverage: float | None = None) -> Measured:
        """Return every metric as absent, for one reason."""
        return Measured(
            tuple(Measurement.absent(metric, reason, coverage=coverage) for metric in self.metrics)
        )

    def evidence(self, details: Any) -> Iterable[Exhibit]:  # noqa: ARG002 - most show nothing
        """Return pictures and pages of what was measured, made from the details alone.

        Parameters
        ----------
        details : object
            `Measured.details` of the clip, not None. Nothing is measured again.
        """
        return ()

    @classmethod
    def setting_names(cls) -> tuple[str, ...]:
        """Return the names of its settings: the parameters of its constructor."""
        return tuple(signature(cls).parameters)

    @classmethod
    def files_of(cls, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return the paths among settings that must be files, by the name of the setting."""
        return {name: settings[name] for name in cls.file_settings if isinstance(settings.get(name), str)}

    @classmethod
    def files_to_carry(cls, settings: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
        """Return the files that it reads with these settings, for whoever measures on another machine.

        Parameters
        ----------
        settings : mapping
            With absolute paths, see `anchor`.

        Returns
        -------
        iterable of tuple of str
            Groups of paths. The files of a group find each other: they keep their places to each other.
        """
        names = (*cls.file_settings, *cls.file_or_name_settings)
        paths = (settings[name] for name in names if isinstance(settings.get(name), str))
        return [(path,) for path in paths if Path(path).is_file()]

    @classmethod
    def anchor(cls, settings: Mapping[str, Any], base: Path) -> dict[str, Any]:
        """Return settings whose relative paths start at a folder.

        Parameters
        ----------
        settings : mapping
        base : Path
            Folder of the configuration that gave them.
        """
        anchored = dict(settings)
        for name, value in settings.items():
            if isinstance(value, str) and (
                name in cls.file_settings or (name in cls.file_or_name_settings and (base / value).is_file())
            ):
                anchored[name] = str(base / value)
        return anchored
