"""The runs of a folder at a glance: what each is, how far it is, and what its policy says of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.analysis.table import rows_of_run
from evalkit.decisions.analyse import policy_of_run
from evalkit.decisions.recommend import recommend
from evalkit.errors import EvalkitError, UsageError
from evalkit.runs import Run
from evalkit.runs.layout import RUN_FILE
from pipeline.options import canonical_json

if TYPE_CHECKING:
    import os


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run.

    Parameters
    ----------
    folder : str
    schema : int
    created_at : str
        ISO 8601, UTC.
    generator : str
    n_configurations : int
        Sets of parameters of which any trial is finished.
    n_finished, n_planned : int
        Trials.
    evaluators : dict of str to str
        Name to version.
    outcome : str or None
        `evalkit.decisions.recommendation.Outcome`; None where nothing can be judged.
    verdict : str
        In words.
    """

    folder: str
    schema: int
    created_at: str
    generator: str
    n_configurations: int
    n_finished: int
    n_planned: int
    evaluators: dict[str, str]
    outcome: str | None
    verdict: str


@dataclass(frozen=True, slots=True)
class RunList:
    """The runs of a folder, the newest first, and what looks like a run and cannot be read.

    Parameters
    ----------
    runs : tuple of RunEntry
    unreadable : dict of str to str
        Why, by folder.
    """

    runs: tuple[RunEntry, ...]
    unreadable: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as written by ``--json``."""
        return {"runs": [asdict(run) for run in self.runs], "unreadable": dict(self.unreadable)}


def list_runs(folder: str | os.PathLike[str]) -> RunList:
    """List the runs in a folder, or the one that it is.

    A folder without ``run.json`` is not a run and is passed over.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    place = Path(folder)
    if not place.is_dir():
        raise UsageError(f"{place}: there is no such folder; name the one that holds the runs")
    inside = [place] if (place / RUN_FILE).is_file() else sorted(place.iterdir())
    runs, unreadable = [], {}
    for path in inside:
        if not (path / RUN_FILE).is_file():
            continue
        try:
            runs.append(_describe(Run.open(path)))
        except EvalkitError as error:
            unreadable[str(path)] = str(error)
    return RunList(tuple(sorted(runs, key=lambda run: run.created_at, reverse=True)), unreadable)


def _describe(run: Run) -> RunEntry:
    manifest = run.manifest
    trials = run.trials()
    outcome, verdict = _judge(run)
    return RunEntry(
        folder=str(run.folder),
        schema=run.schema,
        created_at=manifest.created_at,
        generator=str(manifest.generator.get("name", "")),
        n_configurations=len({canonical_json(trial.params) for trial in trials}),
        n_finished=len(trials),
        n_planned=len(manifest.planned),
        evaluators=dict(manifest.evaluators),
        outcome=outcome,
        verdict=verdict,
    )


def _judge(run: Run) -> tuple[str | None, str]:
    """Return what the run's policy says of it, as `recommend` finds it."""
    if not run.trials():
        return None, "no trial has a result yet"
    policy, note = policy_of_run(run)
    if policy is None:
        return None, f"not judged: {note}"
    try:
        found = recommend(rows_of_run(run), policy)
    except UsageError as error:
        return None, f"not judged: {error}"
    named = [found.chosen] if found.chosen is not None else list(found.tied)
    words = f"{found.outcome}: {'; '.join(one.name for one in named)}" if named else str(found.outcome)
    return found.outcome.value, words
