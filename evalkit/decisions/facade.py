"""The two decisions as functions of paths, for notebooks and scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.decisions.catalogue import known_metrics
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.policy import load_policy, load_waivers
from evalkit.decisions.rows import rows_of_clips, rows_of_run
from evalkit.decisions.signoff import sign_off
from evalkit.errors import UsageError
from evalkit.runner import evaluate
from evalkit.runs import Run

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from evalkit.decisions.compare import Comparison
    from evalkit.decisions.rows import Table
    from evalkit.decisions.signoff import Signoff

DEFAULT_POLICY = "customer_service"


def open_table(path: str | Path) -> Table:
    """Read a run folder, or measure the videos of a folder, one after the other, in this process.

    Raises
    ------
    UsageError
        If it is neither.
    """
    folder = Path(path)
    if (folder / "run.json").is_file():
        return rows_of_run(Run.open(folder))
    videos = sorted(str(video) for video in folder.rglob("*.mp4")) if folder.is_dir() else []
    if not videos:
        raise UsageError(f"{folder} is neither a run folder nor a folder of videos (*.mp4)")
    return rows_of_clips(folder, evaluate(videos).clips)


def compare(
    a: str | Path,
    b: str | Path | None = None,
    *,
    split: Mapping[str, tuple[Hashable, Hashable]] | None = None,
    policy: str = DEFAULT_POLICY,
    margins: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare B with A: two run folders or folders of videos, or one run split by a parameter.

    Parameters
    ----------
    a, b : path
    split : mapping, optional
        One parameter and its two values, ``{"sample_steps": (4, 3)}``, in place of `b`.
    policy : str
        Bundled name or file; gives margins and bands.
    margins : mapping of str to float, optional
        The smallest differences that matter, by metric.

    Raises
    ------
    UsageError
        As `evalkit.decisions.compare.compare_tables`.
    """
    if (b is None) == (not split) or (split and len(split) != 1):
        raise UsageError("give either a second run or folder, or split={name: (value, value)} with one name")
    first = open_table(a)
    names = tuple(split or ())
    if split:
        (name, (before, after)) = next(iter(split.items()))
        first, second = first.where({name: before}), first.where({name: after})
    else:
        second = open_table(b or "")
    known = known_metrics((*first.metrics.values(), *second.metrics.values()))
    return compare_tables(first, second, policy=load_policy(policy, known), margins=margins, apart_from=names)


def signoff(
    run: str | Path,
    policy: str,
    *,
    where: Mapping[str, Hashable] | None = None,
    waivers: str | Path | None = None,
) -> Signoff:
    """Judge a run folder, or a folder of videos, by a policy; nothing is written.

    Parameters
    ----------
    run : path
    policy : str
        Bundled name or file.
    where : mapping, optional
        Parameters of the configuration to release, where the run has several.
    waivers : path, optional
        YAML file.

    Raises
    ------
    UsageError
        As `evalkit.decisions.signoff.sign_off`.
    """
    table = open_table(run)
    known = known_metrics(table.metrics.values())
    rules = load_policy(policy, known)
    granted = load_waivers(waivers, rules) if waivers is not None else ()
    return sign_off(table.where(where or {}), rules, known, granted)
