"""What an exporter is, and what it is given: a run as plain data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

from evalkit.types import Interval
from pipeline.options import hash_of


@dataclass(frozen=True)
class ExportedValue:
    """The value of a metric of a configuration.

    Parameters
    ----------
    value : float
    unit : str
    interval : Interval or None
        95 %.
    n : int
        Values behind it.
    """

    value: float
    unit: str
    interval: Interval | None
    n: int


@dataclass(frozen=True)
class ExportedTrial:
    """A trial.

    Parameters
    ----------
    id : str
    step : int
        Its place in the plan of its configuration, from 0: the same whenever it is exported.
    label : str
        Inputs and seed, for people.
    status : {"ok", "failed"}
    metrics : mapping of str to float
        By full name; what was not measured is not there.
    video : Path or None
        None where there is none.
    """

    id: str
    step: int
    label: str
    status: str
    metrics: Mapping[str, float]
    video: Path | None


@dataclass(frozen=True)
class ExportedConfiguration:
    """A configuration with its trials.

    Parameters
    ----------
    key : str
        Of itself alone: a hash of run and parameters.
    label : str
        Swept parameters, for people.
    params : mapping of str to str
        All parameters of its requests, as text.
    metrics : mapping of str to ExportedValue
        Means over its clips, by full name.
    grade : str
        What the policy says of it, such as ``passes``; empty without a policy.
    trials : tuple of ExportedTrial
    """

    key: str
    label: str
    params: Mapping[str, str]
    metrics: Mapping[str, ExportedValue]
    grade: str
    trials: tuple[ExportedTrial, ...]


@dataclass(frozen=True)
class ExportedRun:
    """A run, as exporters get it.

    Parameters
    ----------
    id : str
        See `evalkit.runs.Run.id`.
    name : str
        Of its folder.
    folder : Path
    headline : str
        The answer in a sentence.
    recommended : str
        Label of the configuration to use; empty where none is.
    tags : mapping of str to str
        Generator, policy, versions, the user's own commit.
    configurations : tuple of ExportedConfiguration
    reports : tuple of Path
        Pages and tables about the run as a whole.
    """

    id: str
    name: str
    folder: Path
    headline: str
    recommended: str
    tags: Mapping[str, str]
    configurations: tuple[ExportedConfiguration, ...]
    reports: tuple[Path, ...]


@dataclass(frozen=True)
class ExportOutcome:
    """What became of an export.

    Parameters
    ----------
    where : str
        Where to look, without credentials.
    n_new, n_updated, n_unchanged : int
        Configurations that were not there, were there otherwise, and were there as they are.
    n_videos : int
        Videos that were put there by this call.
    notes : tuple of str
        One line for people each.
    """

    where: str
    n_new: int
    n_updated: int
    n_unchanged: int
    n_videos: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exporter(ABC):
    """Puts runs somewhere else. The same run again updates what is there: nothing is doubled.

    Parameters
    ----------
    to : str or None
        Address or folder; the exporter's own default unless given.
    project : str
        Under which runs are gathered there.
    with_videos : bool
        Put the videos there as well.
    tags : mapping of str to str
        More tags of everything.

    Attributes
    ----------
    extra : str
        Extra that brings its libraries; empty where it needs none.
    """

    extra: ClassVar[str] = ""

    to: str | None = None
    project: str = "evalkit"
    with_videos: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)

    @abstractmethod
    def export(self, run: ExportedRun, on_message: Callable[[str], None]) -> ExportOutcome:
        """Put a run there.

        Parameters
        ----------
        run : ExportedRun
        on_message : callable
            Called with a line for the person who waits.

        Raises
        ------
        UsageError
            If it cannot be reached, or refuses.
        """


def content_of(exporter: Exporter, run: ExportedRun, configuration: ExportedConfiguration) -> str:
    """Return the hash of all that is put there of a configuration: what is the same is left as it is."""
    means = {
        name: [one.value, one.n, None if one.interval is None else list(one.interval)]
        for name, one in configuration.metrics.items()
    }
    trials = [
        [trial.id, trial.status, dict(trial.metrics), exporter.with_videos and trial.video is not None]
        for trial in configuration.trials
    ]
    tags = {**run.tags, **exporter.tags}
    is_recommended = configuration.label == run.recommended
    return hash_of([dict(configuration.params), means, configuration.grade, is_recommended, tags, trials])


def without_credentials(address: str) -> str:
    """Return an address as it may be shown.

    >>> without_credentials("https://me:secret@host:5000/x?token=1"), without_credentials("/data/runs")
    ('https://host:5000/x', '/data/runs')
    """
    parts = urlsplit(address)
    if not parts.scheme or not parts.netloc:
        return address
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
