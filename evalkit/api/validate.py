"""Plant faults in one's own clips, and see what the metrics see."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from evalkit.api.clips import Settings, read_intent, with_brand
from evalkit.arguments import read_path, read_paths
from evalkit.errors import UsageError
from evalkit.evaluators.load import prepare_evaluators
from evalkit.evaluators.session import select_evaluators
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.cores import require_jobs
from evalkit.measuring.pool import BatchProgress, ClipPath, expand_paths
from evalkit.validation.card import Validation, make_card
from evalkit.validation.faults import choose_faults
from evalkit.validation.run import Reading, evaluators_for, measure_faults, metrics_of

log = logging.getLogger(__name__)


class InterruptedValidation(KeyboardInterrupt):
    """Faults that were being planted when somebody interrupted it.

    Parameters
    ----------
    validation : Validation
        What was measured by then.
    """

    def __init__(self, validation: Validation) -> None:
        self.validation = validation
        super().__init__(f"{validation.n_measured} of {validation.n_planned} were measured")


def validate(
    clips: ClipPath | Iterable[ClipPath],
    *,
    faults: str | Iterable[str] | None = None,
    settings: Settings | None = None,
    brand: ClipPath | None = None,
    script: str | Path | None = None,
    language: str | None = None,
    keep: ClipPath | None = None,
    jobs: int | None = None,
    stall_limit_s: float = STALL_LIMIT_S,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Validation:
    """Plant faults of known dose in clips, measure them, and say what the metrics see.

    Parameters
    ----------
    clips : path or iterable of paths
        Video files, folders of them, or patterns such as ``videos/*.mp4``.
    faults : str or iterable of str, optional
        Names, as in `evalkit.validation.faults.FAULTS`; all unless given. Harmless changes are always made.
    settings : mapping of str to mapping, optional
        Settings of evaluators, by the evaluator's name.
    brand : path, optional
        A brand's YAML file: its mark is planted too.
    script, language : str or Path, optional
        The words that are said, as of `evalkit.evaluate`.
    keep : path, optional
        Folder that gets every planted clip, to be looked at.
    jobs : int or None
        Processor cores; None for all that this process may use.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is given up.
    on_progress : callable, optional
        Called now and then with how far it is.
    on_message : callable, optional
        Called with a line for the person who waits; logged otherwise.

    Returns
    -------
    Validation
        A clip that cannot be measured, and a fault that cannot be planted, have a reason; nothing is raised for them.

    Raises
    ------
    UsageError
        For an unknown fault, invalid settings, a folder without a video, a folder that cannot be written into.
    InterruptedValidation
        If it is interrupted after the first clip: a KeyboardInterrupt with what was measured.
    """
    began_s = time.monotonic()
    require_jobs(jobs)
    paths = expand_paths(clips, on_message=on_message or log.info)
    settings = with_brand(settings, brand)
    chosen = choose_faults(
        None if faults is None else read_paths(faults, "faults", "a fault's name, or a list of them,"),
        has_brand="file" in settings.get("brand", {}),
    )
    intent = read_intent(None, script, language, None)
    folder = None if keep is None else Path(read_path(keep, "keep"))
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from None
    watched = metrics_of(chosen)
    names = list(dict.fromkeys(name for fault in chosen for name in evaluators_for(fault, watched)))
    usable = [one for one in select_evaluators(None, settings) if one.name in names]
    prepare_evaluators(usable, on_message or log.info)
    readings: list[Reading] = []

    def card() -> Validation:
        seconds = time.monotonic() - began_s
        kept = None if folder is None else str(folder)
        return make_card(paths, chosen, readings, seconds=seconds, kept=kept)

    try:
        for reading in measure_faults(
            paths,
            chosen,
            usable,
            intent=intent,
            brand_file=settings.get("brand", {}).get("file"),
            keep=folder,
            jobs=jobs,
            stall_limit_s=stall_limit_s,
            on_progress=on_progress,
        ):
            readings.append(reading)  # noqa: PERF402 - what is there when it is interrupted counts
    except KeyboardInterrupt:
        if not readings:
            raise
        raise InterruptedValidation(card()) from None
    return card()
