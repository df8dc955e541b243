"""Measure clips."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.arguments import read_mapping, read_path, wrong_argument
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator
from evalkit.evaluators.load import anchor_settings, prepare_evaluators
from evalkit.evaluators.session import installed_names, require_installed, select_evaluators
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.pool import (
    NOT_REACHED,
    BatchProgress,
    ClipPath,
    ClipTask,
    expand_paths,
    measure_clips,
    not_reached,
)
from evalkit.measuring.results import ClipResult, Report
from evalkit.types import ClipIntent

if TYPE_CHECKING:
    from evalkit.measuring.measurer import Measurer

log = logging.getLogger(__name__)

Evaluators = str | Evaluator | type[Evaluator] | Iterable[str | Evaluator | type[Evaluator]]
"""Names, objects and classes of evaluators, or a single one."""
Settings = Mapping[str, Mapping[str, Any]]
"""Settings of evaluators, by the evaluator's name."""


class InterruptedBatch(KeyboardInterrupt):
    """Clips that were being measured when somebody interrupted it.

    Parameters
    ----------
    report : Report
        What was measured by then; the clips that were not have an error that says so.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.measured = [
            clip for clip in report.clips if clip.error is None or clip.error.code != NOT_REACHED
        ]
        super().__init__(f"{len(self.measured)} of {len(report)} clips were measured")


def evaluate(
    clips: ClipPath | Iterable[ClipPath],
    *,
    evaluators: Evaluators | None = None,
    settings: Settings | None = None,
    brand: ClipPath | None = None,
    audio: ClipPath | None = None,
    intent: ClipIntent | None = None,
    script: str | Path | None = None,
    language: str | None = None,
    prompt: str | None = None,
    evidence: ClipPath | None = None,
    jobs: int | EllipsisType | None = ...,
    isolate: bool = False,
    stall_limit_s: float = STALL_LIMIT_S,
    executor: str | None = None,
    executor_settings: Mapping[str, Any] | None = None,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Report:
    """Measure clips.

    Parameters
    ----------
    clips : path or iterable of paths
        Video files, folders of them, or patterns such as ``videos/*.mp4``.
    evaluators : str, Evaluator or class, or iterable of these, optional
        What measures: names as in ``evalkit list``, and evaluators of your own; all that are installed unless given.
    settings : mapping of str to mapping, optional
        Settings of evaluators, by the evaluator's name.
    brand : path, optional
        A brand's YAML file; short for ``settings={"brand": {"file": …}}``.
    audio : path, optional
        A separate sound file, for a single clip.
    intent : ClipIntent, optional
        What the clips were asked to say and to show; or else:
    script : str or Path, optional
        The words that should be said; a `Path` is a text file with them. Needs `language`.
    language : str, optional
        Language of the script, as in ``en`` or ``cmn``.
    prompt : str, optional
        What the pictures were asked to show.
    evidence : path, optional
        Folder for pictures of what was measured.
    jobs : int or None
        Processor cores that measure, in worker processes that are bound to them: a clip each while there are enough clips,
        several for a clip where there are fewer; None for all that this process may use. The values do not depend on it.
        Unless given, 1, which without `isolate` is this process itself; with an executor, all that it finds.
    isolate : bool
        Measure in a worker process also where `jobs` is 1, so that a crash or a hang costs one clip.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is given up.
    executor : str, optional
        Who measures, by its name: ``ray`` for the machines of a cluster, or a plug-in's. Clips, sound and files of
        settings are carried there, and what was measured comes back.
    executor_settings : mapping, optional
        Its settings: ``{"address": "auto"}``.
    on_progress : callable, optional
        Called now and then with how far the batch is.
    on_message : callable, optional
        Called with a line for the person who waits; logged otherwise.

    Returns
    -------
    Report
        A clip that cannot be measured has its `ClipResult.error` set; nothing is raised for it.

    Raises
    ------
    UsageError
        For an unknown evaluator, invalid settings, one sound for several clips, a folder without a video, an argument
        of a wrong type; with an executor, for an evaluator that this process alone knows.
    EvalkitError
        If an executor cannot begin, or is lost as a whole before it measured anything; clips that one lost later did not
        come to have that for an error.
    InterruptedBatch
        If it is interrupted after the first clip: a KeyboardInterrupt with what was measured.
    """
    paths = expand_paths(clips, on_message=on_message or log.info)
    if audio is not None and len(paths) != 1:
        raise UsageError(f"a separate sound belongs to a single clip, and there are {len(paths)}")
    sound = None if audio is None else read_path(audio, "audio")
    evidence_folder = None if evidence is None else read_path(evidence, "evidence")
    intent = read_intent(intent, script, language, prompt)
    settings = with_brand(settings, brand)
    jobs = (1 if executor is None else None) if jobs is ... else jobs
    measurer = find_measurer(executor, executor_settings, jobs, stall_limit_s)
    if measurer is not None:
        evaluators = _travelling(evaluators)
        settings = anchor_settings(settings, Path.cwd())
    selected = select_evaluators(evaluators, settings)
    prepare_evaluators(selected, on_message or log.info)
    tasks = [ClipTask(path, sound, intent, evidence_folder) for path in paths]
    seen: dict[str, ClipResult] = {}

    def note(progress: BatchProgress) -> None:
        if progress.result is not None:
            seen[progress.result.clip] = progress.result
        if on_progress is not None:
            on_progress(progress)

    try:
        if measurer is not None:
            from evalkit.measuring.elsewhere import measure_clips_elsewhere

            results = measure_clips_elsewhere(tasks, selected, settings, measurer, note)
        else:
            results = measure_clips(
                tasks, selected, jobs=jobs, isolate=isolate, stall_limit_s=stall_limit_s, on_progress=note
            )
    except KeyboardInterrupt:
        if not seen:
            raise
        why = "not measured: the batch was interrupted before"
        raise InterruptedBatch(
            Report(tuple(seen.get(path) or not_reached(path, why) for path in paths))
        ) from None
    return Report(tuple(results))


def find_measurer(
    executor: str | None, settings: Mapping[str, Any] | None, jobs: int | None, stall_limit_s: float
) -> Measurer | None:
    """Find who measures in place of this machine's processes; None where no executor is named.

    Raises
    ------
    UsageError
        If there is no such executor, it cannot be used, a setting is unknown or not allowed, there are settings and no
        executor, or the limit is no time.
    """
    if not isinstance(stall_limit_s, int | float) or not stall_limit_s > 0:  # nan is neither
        raise wrong_argument("stall_limit_s", stall_limit_s, "a number of seconds above 0")
    settings = read_mapping(settings, "executor_settings")
    if executor is None:
        if settings:
            raise UsageError("executor_settings belong to an executor; name it")
        return None
    from evalkit.execution.executors import load_executor
    from evalkit.execution.measurer import Elsewhere

    return Elsewhere(load_executor(executor, settings, "executor_settings"), jobs, stall_limit_s)


def _travelling(evaluators: Evaluators | None) -> list[str] | None:
    """Return evaluators that measure on other machines by their names; None for all that there are.

    Raises
    ------
    UsageError
        For one that this process alone knows, or an object of one.
    """
    if evaluators is None:
        require_installed(registry.names(registry.EVALUATORS))
        return None
    names = installed_names(evaluators)
    require_installed(names)
    return names


def with_brand(settings: Settings | None, brand: ClipPath | None) -> Settings:
    """Put the file of a brand among the settings of evaluators."""
    settings = dict(read_mapping(settings, "settings"))
    for name, own in settings.items():
        read_mapping(own, f"settings[{name!r}]")
    if brand is not None:
        file = read_path(brand, "brand")
        own = settings.get("brand", {})
        if "file" in own:
            raise UsageError(f"two brands are given: {file} and {own['file']}")
        settings["brand"] = {**own, "file": file}
    return settings


def read_intent(
    intent: ClipIntent | None, script: str | Path | None, language: str | None, prompt: str | None
) -> ClipIntent | None:
    """Return what clips were asked to be, however it was given."""
    if intent is not None and not isinstance(intent, ClipIntent):
        raise wrong_argument("intent", intent, "an evalkit.ClipIntent")
    if script is not None and not isinstance(script, str | Path):
        raise wrong_argument("script", script, "the words as text, or the Path of a file with them,")
    if intent is not None:
        if (script, language, prompt) != (None, None, None):
            raise UsageError("give either intent, or script, language and prompt")
        return intent
    if script is None and language is not None:
        raise UsageError(f"the language {language!r} belongs to a script, the words that should be said")
    if script is not None and language is None:
        raise UsageError("a script needs a language, as in en")
    if isinstance(script, Path):
        try:
            script = script.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the script {script} cannot be read as text: {error}") from None
    if script is not None and not script.strip():
        raise UsageError("the script is empty; give the words that should be said")
    return ClipIntent(script, language, prompt)
