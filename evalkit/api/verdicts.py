"""Say what results mean: compare, sign off, recommend. Runs and reports are read, videos measured first."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import Any

from evalkit.analysis.table import ResultTable, metrics_of_run, rows_of_clips, rows_of_run
from evalkit.api.clips import Evaluators, Settings, evaluate
from evalkit.arguments import read_mapping, read_path, read_paths
from evalkit.decisions.analyse import policy_of_run, policy_of_sides
from evalkit.decisions.baseline import compare_with_baseline
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.comparison import Comparison
from evalkit.decisions.policy import load_policy
from evalkit.decisions.recommend import recommend as recommend_configuration
from evalkit.decisions.recommendation import Recommendation
from evalkit.decisions.signoff import Signoff, sign_off
from evalkit.decisions.waivers import load_waivers
from evalkit.errors import UsageError
from evalkit.evaluators.session import list_evaluators
from evalkit.formatting import label
from evalkit.measuring.pool import VIDEO_SUFFIXES, BatchProgress, ClipPath, expand_paths
from evalkit.measuring.results import Report
from evalkit.runs import Run, record_look
from evalkit.runs.layout import RUN_FILE
from evalkit.types import Metric

log = logging.getLogger(__name__)

Source = Run | Report | ClipPath | Iterable[ClipPath]
"""Results, or what they can be made of: a run, a report, a run folder, or videos, folders and patterns of them."""

_A_SOURCE = (
    "a run, a report, or a path of a run folder, a video or a folder of videos, or a list of such paths,"
)
_A_RUN = "a run, or the path of its folder,"
_A_POLICY = "the name of a bundled policy or the path of a file"


def compare(
    a: Source,
    b: Source | None = None,
    *,
    split: Mapping[str, tuple[Hashable, Hashable]] | None = None,
    where: Mapping[str, Hashable] | None = None,
    policy: str | Path | None = None,
    margins: Mapping[str, float] | None = None,
    evaluators: Evaluators | None = None,
    settings: Settings | None = None,
    brand: ClipPath | None = None,
    jobs: int | None = 1,
    isolate: bool = False,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare B with A: two runs or sets of videos, or one run split by a parameter.

    Parameters
    ----------
    a, b : Run, Report, path or iterable of paths
        A run folder is read; videos, folders of them and patterns are measured first.
    split : mapping, optional
        One parameter and its two values, ``{"sample_steps": (4, 3)}``, in place of `b`.
    where : mapping, optional
        Only clips with these parameters, on both sides.
    policy : str or Path
        Bundled name or file; gives the primary metrics, margins, limits and bands. Without one, that which both runs name;
        else the bundled one for customer service, as a note says.
    margins : mapping of str to float, optional
        The smallest differences that matter, by metric.
    evaluators, settings, brand, jobs, isolate, on_progress, on_message
        Of the videos that are measured, as for `evaluate`.

    Raises
    ------
    UsageError
        As `evalkit.decisions.compare.compare_tables`.
    """
    split = read_mapping(split, "split")
    where = read_mapping(where, "where")
    margins = read_mapping(margins, "margins")
    if (b is None) == (not split) or (split and len(split) != 1):
        raise UsageError("give either a second run or folder, or one parameter with two values to split by")
    for name, levels in split.items():
        if not isinstance(levels, list | tuple) or len(levels) != 2 or levels[0] == levels[1]:
            raise UsageError(f"{name} is split by {levels!r}; two different values are needed")
    evaluators = None if evaluators is None else list_evaluators(evaluators)
    sides = [_read_source(a, "a")] if b is None else [_read_source(a, "a"), _read_source(b, "b")]
    for side in sides:
        _refuse_twins(side)
    described = (metric for side in sides for metric in _described_metrics(side, evaluators))
    if policy is None:
        rules, note = policy_of_sides([_named_policy(side) for side in sides], described)
    else:
        rules, note = load_policy(read_path(policy, "policy", _A_POLICY), described), ""

    def read(source: _ReadSource) -> ResultTable:
        table = read_results(
            source,
            evaluators=evaluators,
            settings=settings,
            brand=brand,
            jobs=jobs,
            isolate=isolate,
            on_progress=on_progress,
            on_message=on_message,
        )
        return _where(table, where)

    tables = [read(side) for side in sides]
    for name, levels in split.items():
        tables = [_where(tables[0], {name: level}) for level in levels]
    first, second = tables
    found = compare_tables(first, second, policy=rules, margins=margins, ignore_params=tuple(split))
    return replace(found, notes=(*found.notes, note)) if note else found


def signoff(
    run: Source,
    policy: str | Path,
    *,
    where: Mapping[str, Hashable] | None = None,
    waivers: str | Path | None = None,
    baseline: Source | None = None,
    baseline_fails: bool = False,
    evaluators: Evaluators | None = None,
    settings: Settings | None = None,
    brand: ClipPath | None = None,
    jobs: int | None = 1,
    isolate: bool = False,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Signoff:
    """Judge a run, or videos, by a policy. That these results of a run were looked at is put on record in its folder.

    Parameters
    ----------
    run : Run, Report, path or iterable of paths
        A run folder is read; videos, folders of them and patterns are measured first.
    policy : str or Path
        Bundled name or file.
    where : mapping, optional
        Parameters of the configuration to release, where the run has several.
    waivers : path, optional
        YAML file.
    baseline : Run, Report, path or iterable of paths, optional
        The last release: what became worse since is a finding, even where its gate passes. Of a run with several
        configurations, that which `where` names.
    baseline_fails : bool
        What became worse fails the release; it only warns otherwise.
    evaluators, settings, brand, jobs, isolate, on_progress, on_message
        Of the videos that are measured, as for `evaluate`.

    Raises
    ------
    UsageError
        As `evalkit.decisions.signoff.sign_off` and `evalkit.decisions.baseline.compare_with_baseline`; and if
        `baseline_fails` is given without a baseline.
    """
    where = read_mapping(where, "where")
    if baseline_fails and baseline is None:
        raise UsageError("baseline_fails says what follows from a baseline, and none is given")
    evaluators = None if evaluators is None else list_evaluators(evaluators)
    source = _read_source(run, "run")
    rules = load_policy(read_path(policy, "policy", _A_POLICY), _described_metrics(source, evaluators))
    read = partial(
        read_results,
        evaluators=evaluators,
        settings=settings,
        brand=brand,
        jobs=jobs,
        isolate=isolate,
        on_progress=on_progress,
        on_message=on_message,
    )
    table = _where(read(source), where)
    beside = None
    if baseline is not None:
        last = read(_read_source(baseline, "baseline"))
        last = _where(last, {name: value for name, value in where.items() if name in last.swept})
        beside = compare_with_baseline(table, last, rules, fails=baseline_fails)
    verdict = sign_off(table, rules, baseline=beside)
    if waivers is None:
        return verdict
    values = {line.metric: line.value for line in verdict.lines if line.kind == "hard"}
    granted = load_waivers(read_path(waivers, "waivers"), rules, table.run_id, values)
    return sign_off(table, rules, granted, now=verdict.judged_at, baseline=beside)


def recommend(run: Run | str | Path, policy: str | Path | None = None) -> Recommendation:
    """Find the configuration of a run to use: the cheapest of those that pass, where that can be told.

    Parameters
    ----------
    run : Run or path
        Of a sweep.
    policy : str or Path
        Bundled name or file: what is good enough, and which costs count; the run's own unless given, as in its report.

    Raises
    ------
    UsageError
        As `evalkit.decisions.recommend.recommend`; and if it is not a run: videos have no configurations.
    """
    given: object = run
    if isinstance(given, Report):
        raise UsageError(
            "a report has no configurations to choose from: give the run of a sweep (evalkit.signoff judges a report)"
        )
    run = run if isinstance(run, Run) else Run.open(read_path(run, "run", _A_RUN))
    record_look(run)
    table = rows_of_run(run)
    if policy is not None:
        rules = load_policy(read_path(policy, "policy", _A_POLICY), table.metrics.values())
        return recommend_configuration(table, rules)
    own, note = policy_of_run(run)
    if own is None:
        raise UsageError(f"{note}; name another policy")
    return recommend_configuration(table, own)


def read_results(
    source: Source,
    *,
    evaluators: Evaluators | None = None,
    settings: Settings | None = None,
    brand: ClipPath | None = None,
    jobs: int | None = 1,
    isolate: bool = False,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> ResultTable:
    """Return results as rows: those of a run or report, or of videos, which are measured first.

    Reading a run is a look at it, see `evalkit.runs.looks`.

    Parameters
    ----------
    source : Run, Report, path or iterable of paths
    evaluators, settings, brand, jobs, isolate, on_progress, on_message
        Of the videos that are measured, as for `evaluate`.

    Raises
    ------
    UsageError
        If it is something else, or there is nothing to read or to measure; or if it is measured already and
        `evaluators`, `settings` or `brand` say how.
    """
    source = _read_source(source, "source")
    if _is_measured(source):
        given = {"evaluators": evaluators, "settings": settings, "brand": brand}
        for name, value in given.items():
            if value:
                raise UsageError(f"{_title(source)} is measured already; {name} cannot change that")
    if isinstance(source, Run):
        record_look(source)
        return rows_of_run(source)
    if isinstance(source, Report):
        return rows_of_clips(_common_folder(clip.clip for clip in source.clips), source.clips)
    if isinstance(source, str) and is_run_folder(source):
        return read_results(Run.open(source))
    if isinstance(source, str):
        _check_videos(source)
    paths = expand_paths(source, on_message=on_message or log.info)
    report = evaluate(
        paths,
        evaluators=evaluators,
        settings=settings,
        brand=brand,
        jobs=jobs,
        isolate=isolate,
        on_progress=on_progress,
        on_message=on_message,
    )
    if isinstance(source, str) and Path(source).is_dir():
        return rows_of_clips(source, report.clips)
    return rows_of_clips(_common_folder(paths), report.clips)


_ReadSource = Run | Report | str | list[str]
"""A source whose paths are texts."""


def _read_source(given: Source, name: str) -> _ReadSource:
    """Return results as they are, and paths as text; refuse a report without a clip, and everything else."""
    if isinstance(given, Report) and not given.clips:
        raise UsageError(f"{name} is a report without a clip: there is nothing to compare or to judge")
    if isinstance(given, Run | Report):
        return given
    if isinstance(given, str | os.PathLike):
        return read_path(given, name, _A_SOURCE)
    return read_paths(given, name, _A_SOURCE)


def _named_policy(side: _ReadSource) -> str | None:
    run = Run.open(side) if isinstance(side, str) and is_run_folder(side) else side
    return run.manifest.policy if isinstance(run, Run) else None


def _refuse_twins(source: _ReadSource) -> None:
    """Refuse two videos of one side whose names differ only in the suffix: those of two sides pair by the rest."""
    if isinstance(source, Run) or (isinstance(source, str) and is_run_folder(source)):
        return
    if isinstance(source, str):
        _check_videos(source)
    files = [clip.clip for clip in source] if isinstance(source, Report) else expand_paths(source)
    found: dict[str, str] = {}
    for file in files:
        twin = found.setdefault(label(str(Path(file).with_suffix(""))), file)
        if twin != file:
            raise UsageError(
                f"{twin} and {file} have one name, and the videos of two sides are paired by name, without the "
                f"suffix: rename one of them, or leave it out"
            )


def _check_videos(path: str) -> None:
    """Refuse a path that is neither a video, a folder nor a pattern."""
    named = Path(path)
    needed = "a run folder, a video or a folder of videos is needed"
    if named.is_file() and named.suffix.lower() not in VIDEO_SUFFIXES:
        raise UsageError(f"{path} is not a video by its name; {needed}")
    if not named.exists() and not has_magic(path):
        raise UsageError(f"{path} is not there; {needed}")


def _is_measured(source: _ReadSource) -> bool:
    """Say whether results are there already: of a run, a report, or a run folder."""
    if isinstance(source, Run | Report):
        return True
    return isinstance(source, str) and is_run_folder(source)


def _described_metrics(source: _ReadSource, evaluators: list[Any] | None) -> Iterator[Metric]:
    """Give the metrics that a policy may name beside those of installed evaluators."""
    for evaluator in evaluators or ():
        if not isinstance(evaluator, str):
            yield from evaluator.metrics
    if isinstance(source, Report):
        yield from (measurement.metric for clip in source for measurement in clip.measurements)
    elif isinstance(source, Run):
        yield from metrics_of_run(source).values()
    elif isinstance(source, str) and is_run_folder(source):
        yield from metrics_of_run(Run.open(source)).values()


def _title(source: _ReadSource) -> str:
    if isinstance(source, Report):
        return "the report"
    return f"the run {source.folder if isinstance(source, Run) else source}"


def is_run_folder(path: ClipPath) -> bool:
    """Say whether a path is the folder of a run."""
    return (Path(path) / RUN_FILE).is_file()


def _common_folder(paths: Iterable[str]) -> str:
    return os.path.commonpath([str(Path(path).absolute().parent) for path in paths])


def _where(table: ResultTable, wanted: Mapping[str, Hashable]) -> ResultTable:
    return table.where(table.read_levels(wanted))
