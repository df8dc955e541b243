"""The runs of a folder at a glance: what each is, how far it is, and what its policy says of it."""

from __future__ import annotations

import os
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
    from collections.abc import Iterator

DEEPEST = 3
"""Levels below the folder that is named, at which runs are looked for."""


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


def find_run_folders(folder: Path, depth: int = DEEPEST) -> list[Path]:
    """Find the folders with a ``run.json`` in a folder, or the one that it is itself; in order of their names.

    Parameters
    ----------
    folder : Path
    depth : int
        How many levels down; what lies in a run is not looked at, nor what is hidden, or a link to something above it.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name the one that holds the runs")
    if (folder / RUN_FILE).is_file():
        return [folder]
    return list(_find_below(folder, depth))


def _find_below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            inside = sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError:  # it went, or may not be read
        return
    for name in inside:
        path = folder / name
        if (path / RUN_FILE).is_file():
            yield path
        elif depth > 1 and not path.is_symlink():
            yield from _find_below(path, depth - 1)


def list_runs(folder: str | os.PathLike[str]) -> RunList:
    """List the runs in a folder, or the one that it is; see `find_run_folders`.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    runs, unreadable = [], {}
    for path in find_run_folders(Path(folder)):
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
