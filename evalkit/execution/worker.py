"""What is done with a trial: a video is made, then measured. Runs wherever an executor puts it.

Both stages take plain data and return plain data. They are done by different processes: so the memory that a video
cost is not that of the evaluators.
"""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.errors import EvalkitError
from evalkit.profiling.out_of_memory import is_out_of_memory
from evalkit.profiling.torch_watch import TorchWatch
from evalkit.runs.measured import store_measurements
from evalkit.types import ClipIntent
from pipeline.errors import GenerationError, RequestError
from pipeline.events import BEGAN
from pipeline.generator import load_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.evaluators.base import Evaluator
    from evalkit.measuring.results import ClipResult

    Report = Callable[[Any], None]

GENERATE, MEASURE = "generate", "measure"
DISK_FULL = "disk_full"
OUT_OF_MEMORY = "out_of_memory"
VIDEO = "video.mp4"
_WARM_UP_WORTH_S = 0.05
"""A generator that loads faster has nothing that could be cold."""

log = logging.getLogger(__name__)


@dataclass
class Stages:
    """The work of a sweep; what it loads stays loaded until `close`.

    Parameters
    ----------
    generator : dict
        ``name`` and ``settings``.
    evaluators : list of str
    measuring : dict
        Settings of evaluators, by name.
    warm_up : bool
        Make a clip for nothing after loading.
    evidence : bool
        Draw what was measured.
    """

    generator: dict[str, Any]
    evaluators: list[str]
    measuring: dict[str, dict[str, Any]]
    warm_up: bool
    evidence: bool
    _loaded: Any = field(default=None, init=False, repr=False)
    _measuring: list[Evaluator] | None = field(default=None, init=False, repr=False)

    def __call__(self, task: dict[str, Any], report: Report) -> dict[str, Any]:
        """Do one stage of one trial.

        Parameters
        ----------
        task : dict
            ``stage``; ``folder``, where ``video.mp4`` is or will be; ``request``: for generating what to make, for
            measuring what was made; for generating, ``next``: requests that come after it and differ in inputs alone.
        report : callable
            Told ``{"event": …}`` for each event, and ``{"begun": time}`` when loading and warming up are over.

        Returns
        -------
        dict
            ``{"failure": {"stage", "code", "text"}}``, or what the stage gives: ``generation``; ``quality`` and
            ``samples``. After generating also ``torch``, what torch said of it, and ``ended_s`` where it was over
            before it was asked for.
        """
        folder = Path(task["folder"])
        try:
            if task["stage"] == MEASURE:
                return self._measure(folder, task["request"], report)
            return self._generate(task, folder, report)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return _failure(task["stage"], DISK_FULL, str(error))
            raise

    def close(self) -> None:
        """Let the generator go."""
        generator, self._loaded = self._loaded, None
        if generator is not None:
            generator.close()

    def _generate(self, task: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
        stage = "load"
        watch = TorchWatch()
        began_s: float | None = None
        n_told = 0

        def tell(event: Any) -> None:
            nonlocal began_s, n_told
            told = event.to_dict()
            if n_told == 0 and told["name"] == BEGAN:
                began_s = told["detail"]["monotonic_s"]
                report({"begun": began_s})
            n_told += 1
            report({"event": told})

        try:
            if self._loaded is None:
                self._load(task["request"], folder)
            stage = GENERATE
            request = self._announce(task, folder)
            report({"begun": time.monotonic()})
            with watch:
                result = self._loaded.generate(request, folder / VIDEO, tell).to_dict()
        except EvalkitError as error:
            return _failure(stage, "refused", str(error))
        except (ValueError, RuntimeError, MemoryError) as error:
            code = _code_of(error)
            if code is None:  # no answer to a request but a fault in the program
                raise
            if code == OUT_OF_MEMORY:
                self.close()
            outcome = _failure(stage, code, str(error) or type(error).__name__)
        else:
            outcome = {"generation": {**result, "video": VIDEO}}
            if began_s is not None:
                outcome["ended_s"] = began_s + result["events"][-1]["time_s"]
        return {**outcome, "torch": watch.use.to_dict() if watch.use is not None else None}

    def _announce(self, task: dict[str, Any], folder: Path) -> Any:
        """Read the request; tell a generator that wants to know what comes after it."""
        request = self._loaded.request(**task["request"])
        coming = [self._loaded.request(**other) for other in task.get("next", [])]
        if coming:
            self._loaded.announce_upcoming([request, *coming], folder.parent)
        return request

    def _load(self, request: dict[str, Any], folder: Path) -> None:
        generator = load_generator(self.generator["name"], self.generator["settings"])
        start_s = time.monotonic()
        generator.load()
        loading_s = time.monotonic() - start_s
        self._loaded = generator
        if self.warm_up and loading_s > _WARM_UP_WORTH_S:
            video = folder / f"warm_up-{VIDEO}"
            used = generator.describe().parameters
            short = {"num_clip": 1} if "num_clip" in used else {}
            generator.generate(generator.request(**{**request, **short}), video, None)
            video.unlink()

    def _measure(self, folder: Path, request: dict[str, Any], report: Report) -> dict[str, Any]:
        from evalkit.evaluators.load import load_evaluators
        from evalkit.measuring.runner import try_measure

        if self._measuring is None:
            self._measuring = load_evaluators(self.evaluators, self.measuring)
        path = str(folder / VIDEO)
        options: dict[str, Any] = {
            "progress": lambda *done: report({"measured_s": done[0]}),
            "intent": _intent(request),
        }
        evidence = folder / "evidence.part"
        if self.evidence:
            from evalkit.measuring.evidence import EvidenceWriter

            options["observer"] = EvidenceWriter(evidence)
        result = try_measure(path, self._measuring, **options)
        if result.error is not None:
            return _failure(MEASURE, result.error.code, result.error.text)
        if evidence.is_dir():
            evidence.rename(folder / "evidence")
        return _quality(result)


def request_made(generation: dict[str, Any]) -> dict[str, Any]:
    """Return what a video was asked to be: its request, and what a conversation made of that before it was spoken."""
    return {**generation["request"], **(generation.get("spoken") or {})}


def _intent(request: dict[str, Any]) -> ClipIntent:
    text = request.get("text")
    return ClipIntent(text, request.get("language") if text else None, request.get("prompt") or None)


def _failure(stage: str, code: str, text: str) -> dict[str, Any]:
    return {"failure": {"stage": stage, "code": code, "text": text}}


def _code_of(error: Exception) -> str | None:
    """Return the code of an answer that means no; None for a fault in a program."""
    if isinstance(error, (RequestError, GenerationError)):
        return error.kind
    return OUT_OF_MEMORY if is_out_of_memory(f"{type(error).__name__}: {error}") else None


def _quality(result: ClipResult) -> dict[str, Any]:
    versions = {**result.versions} | {f"evaluator {name}": text for name, text in result.evaluators.items()}
    measured, samples = store_measurements(
        result.measurements, notes=result.notes, versions=versions, weights=result.weights
    )
    return {"quality": measured.to_dict(), "samples": samples}
