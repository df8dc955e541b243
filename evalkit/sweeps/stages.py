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

from evalkit import registry
from evalkit.errors import EvalkitError
from evalkit.profiling.out_of_memory import is_out_of_memory
from evalkit.profiling.torch_watch import TorchWatch
from evalkit.runs.measured import store_measurements
from evalkit.types import Asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.evaluators.base import Evaluator
    from evalkit.runner import ClipResult

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
            measuring what was made.
        report : callable
            Told ``{"event": …}`` for each event, and ``{"begun": time}`` when loading and warming up are over.

        Returns
        -------
        dict
            ``{"failure": {"stage", "code", "text"}}``, or what the stage gives: ``generation``; ``quality`` and
            ``samples``. After generating also ``torch``, what torch said of it.
        """
        folder = Path(task["folder"])
        try:
            if task["stage"] == MEASURE:
                return self._measure(folder, task["request"], report)
            return self._generate(task["request"], folder, report)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return _failure(task["stage"], DISK_FULL, str(error))
            raise

    def close(self) -> None:
        """Let the generator go."""
        generator, self._loaded = self._loaded, None
        if generator is not None:
            generator.close()

    def _generate(self, request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
        stage = "load"
        watch = TorchWatch()
        try:
            if self._loaded is None:
                self._load(request, folder)
            stage = GENERATE
            report({"begun": time.monotonic()})
            with watch:
                result = self._loaded.generate(
                    self._loaded.request(**request),
                    folder / VIDEO,
                    lambda event: report({"event": event.to_dict()}),
                ).to_dict()
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
        return {**outcome, "torch": watch.use.to_dict() if watch.use is not None else None}

    def _load(self, request: dict[str, Any], folder: Path) -> None:
        factory = registry.load(registry.GENERATORS, self.generator["name"])
        generator = factory(**self.generator["settings"])
        start_s = time.monotonic()
        generator.load()
        loading_s = time.monotonic() - start_s
        self._loaded = generator
        if self.warm_up and loading_s > _WARM_UP_WORTH_S:
            video = folder / f"warm_up-{VIDEO}"
            generator.generate(generator.request(**{**request, "num_clip": 1}), video, None)
            video.unlink()

    def _measure(self, folder: Path, request: dict[str, Any], report: Report) -> dict[str, Any]:
        from evalkit.runner import load_evaluators, measure_or_explain  # noqa: PLC0415 - only where it measures

        if self._measuring is None:
            self._measuring = load_evaluators(self.evaluators, self.measuring)
        path = str(folder / VIDEO)
        options: dict[str, Any] = {
            "progress": lambda *done: report({"measured_s": done[0]}),
            "asked": _asked(request),
        }
        evidence = None
        if self.evidence:
            from evalkit.reports.evidence import Evidence  # noqa: PLC0415 - as above

            evidence = Evidence(folder / "evidence.part", path, self._measuring)
            options |= {"watch_frames": evidence.watch_frames, "watch_tracks": evidence.watch_tracks}
        result = measure_or_explain(path, self._measuring, **options)
        if result.error is not None:
            return _failure(MEASURE, result.error.code, result.error.text)
        if evidence is not None:
            evidence.write(result)
            (evidence.folder / "result.json").unlink()  # the trial says it
            evidence.folder.rename(folder / "evidence")
            evidence.folder.parent.rmdir()
        return _quality(result)


def _asked(request: dict[str, Any]) -> Asked:
    text = request.get("text")
    return Asked(text, request.get("language") if text else None, request.get("prompt") or None)


def _failure(stage: str, code: str, text: str) -> dict[str, Any]:
    return {"failure": {"stage": stage, "code": code, "text": text}}


def _code_of(error: Exception) -> str | None:
    """Return the code of an answer that means no; None for a fault in a program."""
    kind = getattr(error, "kind", None)
    if isinstance(kind, str):
        return kind
    return OUT_OF_MEMORY if is_out_of_memory(f"{type(error).__name__}: {error}") else None


def _quality(result: ClipResult) -> dict[str, Any]:
    measured, samples = store_measurements(
        result.measurements, notes=result.notes, versions=result.versions, weights=result.weights
    )
    return {"quality": measured.to_dict(), "samples": samples}
