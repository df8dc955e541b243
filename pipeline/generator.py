"""What a generator is. Found through the entry-point group ``evalkit.generators``.

The entry point is a callable (the class itself, as a rule) that takes the driver's own settings by keyword, refuses
wrong ones with a `RequestError` and does nothing costly: weights are read in `Generator.load`. It gives a `Generator`: a
subclass writes the abstract methods, and the optional ones where it has something to add.
"""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, JsonValue

from pipeline.errors import RequestError
from pipeline.estimates import ResourceEstimate
from pipeline.options import PlainData
from pipeline.plugins import GENERATORS, PluginError, load_plugin
from pipeline.request import GenerationRequest, build_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from pipeline.diagnosis import Diagnosis
    from pipeline.events import OnEvent
    from pipeline.result import GenerationResult


class Plan(PlainData):
    """Exactly what would be run.

    Attributes
    ----------
    steps : tuple of str
        What happens in this process, a line a step.
    argv : tuple of str
        The program that would be started, if any, with its arguments.
    folder : str or None
        Working folder of that program; ``None`` for the current one.
    environment : dict
        Variables set for that program beside the inherited ones.
    """

    steps: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    folder: str | None = None
    environment: dict[str, str] = Field(default_factory=dict)

    def text(self) -> str:
        """Return it for people: steps as comments, the program as a line to paste into a POSIX shell."""
        lines = [f"# {step}" for step in self.steps]
        if self.argv:
            words = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.environment.items())]
            words += [shlex.quote(word) for word in self.argv]
            folder = f"cd {shlex.quote(self.folder)} && " if self.folder else ""
            lines.append(folder + " ".join(words))
        return "\n".join(lines)


class Description(PlainData):
    """What a generator is and which parameters it uses.

    Attributes
    ----------
    name, version : str
        As in the results.
    summary : str
        One line.
    parameters : dict of str to str
        Parameters of the request that make a difference, and how; what is not listed has no effect here.
    options : dict
        JSON schema of ``request.options``; empty where there are none.
    settings : dict
        JSON schema of the settings that the entry point takes.
    """

    name: str
    version: str
    summary: str
    parameters: dict[str, str]
    options: dict[str, JsonValue] = Field(default_factory=dict)
    settings: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def takes_device(self) -> bool:
        """Whether there is a setting ``device``."""
        return self._device() is not None

    @property
    def default_device(self) -> str | None:
        """The device that is used where the setting ``device`` is not given; None where the generator chooses one."""
        default = (self._device() or {}).get("default")
        return default if isinstance(default, str) else None

    def _device(self) -> dict[str, JsonValue] | None:
        properties = self.settings.get("properties")
        found = properties.get("device") if isinstance(properties, dict) else None
        return found if isinstance(found, dict) else None


class Generator(ABC):
    """Makes talking videos. One thread at a time; load once, generate many times, close.

    ``with`` loads and closes.
    """

    extra: str = ""
    """The extra of evalkit that brings its libraries, see `pipeline.extras`; empty where it needs none."""
    name: str
    """As in the entry point."""
    version: str
    """Raised whenever the same request can give another video."""

    @abstractmethod
    def describe(self) -> Description:
        """Describe it and the parameters that make a difference to it."""

    def request(self, /, **parameters: Any) -> GenerationRequest:
        """Build a request from plain parameters.

        Unless overridden, a question is not allowed: answering it is the business of `pipeline.dialogue.generator`.

        Raises
        ------
        RequestError
            If a parameter is unknown or not allowed.
        """
        request = build_request(parameters)
        if request.asks:
            raise RequestError(
                f"the generator {self.name!r} answers no questions: put the generator 'conversation' before it"
            )
        return request

    def estimate(self, request: GenerationRequest) -> ResourceEstimate:
        """Return what is known of the memory and the time of a request before it ran here; by default nothing."""
        del request
        return ResourceEstimate()

    @abstractmethod
    def check(self, request: GenerationRequest) -> None:
        """Check all that can be checked without generating (files, options, length of the sound, sizes).

        Raises
        ------
        RequestError
            With the reason and what to do.
        """

    @abstractmethod
    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Return exactly what `generate` would run. Checks the request, runs and writes nothing."""

    def diagnose(self) -> Sequence[Diagnosis]:
        """Look for what would stop it on this machine; changes nothing and needs nothing loaded.

        Returns
        -------
        sequence of Diagnosis
            What was looked at, also where it is fine; by default empty: nothing of its own to check.
        """
        return ()

    @property
    def follows_gpus(self) -> bool:
        """Whether it works on the GPU that its process sees, so that there can be one of it for each GPU of a machine.

        By default so: libraries, and programs that are started, go by ``CUDA_VISIBLE_DEVICES``.
        """
        return True

    def take_gpu(self, index: int) -> None:
        """Learn, before `load`, that it has one GPU to itself: the only one that this process sees.

        Others of its kind may be at work on the other GPUs of the machine: whatever two of them cannot share (a port) is
        chosen by it. By default nothing is done.

        Parameters
        ----------
        index : int
            As nvidia-smi counts.

        Raises
        ------
        RequestError
            If its settings name other GPUs.
        """
        del index

    @abstractmethod
    def load(self) -> None:
        """Read the models. A second call does nothing."""

    @property
    def makes_batches(self) -> bool:
        """Whether it makes announced requests together, see `announce_upcoming`; by default not."""
        return False

    def announce_upcoming(self, requests: Sequence[GenerationRequest], folder: Path) -> None:
        """Learn which requests come next, the first at once; a hint, on which by default nothing is done.

        A generator that is quicker with several together may begin with all of them. `generate` then gives each as
        ever, with its own events; where the work had begun before the request came, the first event is
        `pipeline.events.BEGAN`.

        Parameters
        ----------
        requests : sequence of GenerationRequest
            In the order in which they come.
        folder : Path
            A place for what is in the making, under a hidden name that ends in ``.part``; it outlives the requests.
        """
        del requests, folder

    @abstractmethod
    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Make the video.

        Parameters
        ----------
        request : GenerationRequest
            What to make; checked first.
        out_path : Path
            Where to; its folder exists. Only a finished and verified video gets this name: on any error a file
            that was there stays as it was and nothing else is left behind.
        on_event : callable, optional
            Called with each event as it happens.

        Returns
        -------
        GenerationResult
            Measured from the finished file.

        Raises
        ------
        RequestError
            Before anything was run.
        GenerationError
            When it was started and failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Release models and end every process that was started. A second call does nothing."""

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class DelegatingGenerator(Generator):
    """A generator in front of another one: everything goes to that one unless a subclass overrides it.

    Parameters
    ----------
    inner : Generator
        The one behind; `name` and `version` are its own until they are set.
    """

    def __init__(self, inner: Generator) -> None:
        self.inner = inner
        self.extra = inner.extra
        self.name = inner.name
        self.version = inner.version

    def describe(self) -> Description:
        """Describe the one behind."""
        return self.inner.describe()

    def request(self, /, **parameters: Any) -> GenerationRequest:
        """Build a request as the one behind does."""
        return self.inner.request(**parameters)

    def estimate(self, request: GenerationRequest) -> ResourceEstimate:
        """Return what the one behind knows of a request."""
        return self.inner.estimate(request)

    def check(self, request: GenerationRequest) -> None:
        """Check a request with the one behind."""
        self.inner.check(request)

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Return what the one behind would run."""
        return self.inner.dry_run(request, out_path)

    def diagnose(self) -> Sequence[Diagnosis]:
        """Look for what would stop the one behind."""
        return self.inner.diagnose()

    @property
    def follows_gpus(self) -> bool:
        """Whether the one behind works on the GPU that its process sees."""
        return self.inner.follows_gpus

    def take_gpu(self, index: int) -> None:
        """Tell the one behind."""
        self.inner.take_gpu(index)

    def load(self) -> None:
        """Load the one behind."""
        self.inner.load()

    @property
    def makes_batches(self) -> bool:
        """Whether the one behind makes announced requests together."""
        return self.inner.makes_batches

    def announce_upcoming(self, requests: Sequence[GenerationRequest], folder: Path) -> None:
        """Tell the one behind which requests come next."""
        self.inner.announce_upcoming(requests, folder)

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Have the one behind make the video."""
        return self.inner.generate(request, out_path, on_event)

    def close(self) -> None:
        """Close the one behind."""
        self.inner.close()


def load_generator(name: str, settings: Mapping[str, Any]) -> Generator:
    """Find a generator by its name and set it up; nothing is loaded yet.

    Raises
    ------
    RequestError
        If there is none of that name, or it refuses its settings.
    PluginError
        If it is installed and cannot be used.
    """
    return build_generator(load_plugin(GENERATORS, name), name, settings)


def build_generator(factory: Any, name: str, settings: Mapping[str, Any]) -> Generator:
    """Set a generator up with its entry point; otherwise as `load_generator`."""
    generator = factory(**settings)
    if not isinstance(generator, Generator):
        raise PluginError(
            f"the generator {name!r} is a {type(generator).__name__}, which does not derive from "
            "pipeline.generator.Generator"
        )
    return generator
