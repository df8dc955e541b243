"""The library: what a script or a notebook calls. The command line only parses arguments and calls the same.

Type hints here resolve at run time, so that notebooks and other tools can read them: everything they name is imported.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from glob import has_magic
from pathlib import Path
from typing import Any

from evalkit.analysis.table import ResultTable, metrics_of_run, rows_of_clips, rows_of_run
from evalkit.arguments import read_mapping, read_path, read_paths, wrong_argument
from evalkit.decisions import DEFAULT_POLICY
from evalkit.decisions.analyse import policy_of_run
from evalkit.decisions.compare import compare_tables
from evalkit.decisions.comparison import Comparison
from evalkit.decisions.policy import Policy, load_policy
from evalkit.decisions.recommend import recommend as recommend_configuration
from evalkit.decisions.recommendation import Recommendation
from evalkit.decisions.signoff import Signoff, sign_off
from evalkit.decisions.waivers import load_waivers
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator
from evalkit.evaluators.load import load_evaluators, prepare_evaluators
from evalkit.evaluators.session import installed_names, list_evaluators, require_installed, select_evaluators
from evalkit.formatting import label
from evalkit.measuring import STALL_LIMIT_S
from evalkit.measuring.pool import (
    VIDEO_SUFFIXES,
    BatchProgress,
    ClipPath,
    ClipTask,
    expand_paths,
    measure_clips,
)
from evalkit.measuring.results import Report
from evalkit.measuring.run import MeasuringOutcome, measure_run
from evalkit.reports.run_report import HTML_NAME, write_report
from evalkit.runs import Run, record_look
from evalkit.runs.layout import RUN_FILE
from evalkit.sweeps.config import resolve_sweep
from evalkit.sweeps.prepare import SweepPlan, plan_sweep
from evalkit.sweeps.run import Progress, SweepError, run_sweep
from evalkit.sweeps.status import check_plan
from evalkit.types import ClipIntent, Metric

log = logging.getLogger(__name__)

IN_PROCESS = "in_process"
"""The executor whose work is done in this process."""

Evaluators = str | Evaluator | type[Evaluator] | Iterable[str | Evaluator | type[Evaluator]]
"""Names, objects and classes of evaluators, or a single one."""
Settings = Mapping[str, Mapping[str, Any]]
"""Settings of evaluators, by the evaluator's name."""
Source = Run | Report | ClipPath | Iterable[ClipPath]
"""Results, or what they can be made of: a run, a report, a run folder, or videos, folders and patterns of them."""

_A_SOURCE = (
    "a run, a report, or a path of a run folder, a video or a folder of videos, or a list of such paths,"
)
_A_RUN = "a run, or the path of its folder,"
_A_POLICY = "the name of a bundled policy or the path of a file"


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
    jobs: int | None = 1,
    isolate: bool = False,
    stall_limit_s: float = STALL_LIMIT_S,
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
        Clips measured at once, more than 1 in worker processes; None for one for every two cores.
    isolate : bool
        Measure in a worker process also where `jobs` is 1, so that a crash or a hang costs one clip.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is given up.
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
        of a wrong type.
    """
    paths = expand_paths(clips, on_message=on_message or log.info)
    if audio is not None and len(paths) != 1:
        raise UsageError(f"a separate sound belongs to a single clip, and there are {len(paths)}")
    sound = None if audio is None else read_path(audio, "audio")
    evidence_folder = None if evidence is None else read_path(evidence, "evidence")
    intent = _read_intent(intent, script, language, prompt)
    settings = _with_brand(settings, brand)
    selected = select_evaluators(evaluators, settings)
    prepare_evaluators(selected, on_message or log.info)
    tasks = [ClipTask(path, sound, intent, evidence_folder) for path in paths]
    results = measure_clips(
        tasks, selected, jobs=jobs, isolate=isolate, stall_limit_s=stall_limit_s, on_progress=on_progress
    )
    return Report(tuple(results))


def sweep(
    config: str | Path | Mapping[str, Any] | SweepPlan | None = None,
    out: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    replan: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Run:
    """Measure every configuration of a grid on the same inputs, and write the report.

    Parameters
    ----------
    config : path, mapping or SweepPlan, optional
        A sweep's YAML file, or the same as plain data (`evalkit.sweeps.config.SweepConfig` says what may be in it), or
        what `plan` made of either; the bundled quickstart unless given.
    out : path, optional
        Folder of the run; ``runs/NAME`` unless given, for a file. One that is there is gone on with: what is done is
        not done again.
    overrides : mapping, optional
        What shall be otherwise than in `config`, by dotted name: ``{"grid.sample_steps": [2, 4], "seeds": [1]}``.
    retry_failed : bool
        Do failed trials again.
    replan : bool
        Let another grid take the place of the folder's, though finished trials then stand in no table.
    on_progress : callable, optional
        Called when something begins or ends.
    on_message : callable, optional
        Called with a line for the person who waits; logged otherwise.

    Returns
    -------
    Run
        Its ``frame()`` has one row a trial. Failed trials are in it, with their reasons.

    Raises
    ------
    UsageError
        If the configuration is not valid, or `out` is something else than a run.
    SweepError
        If the results cannot be written.
    """
    report_message = on_message or log.info
    if isinstance(config, SweepPlan):
        if overrides:
            raise UsageError("a plan is made already; give overrides to evalkit.plan")
        planned = config
    else:
        planned = plan(config, overrides=overrides)
        for note in planned.notes:
            report_message(f"note: {note}")
    if planned.config.execution.executor.name != IN_PROCESS:
        require_installed(planned.config.evaluators or ())
    folder = Path(read_path(out, "out")) if out is not None else default_folder(config)
    check_plan(planned, folder, replan=replan)
    prepare_evaluators(load_evaluators(planned.config.evaluators, planned.config.measuring), report_message)
    run = run_sweep(planned, folder, retry_failed=retry_failed, replan=replan, on_progress=on_progress)
    try:
        write_report(run.folder)
    except OSError as error:
        raise SweepError(f"the trials are done and the report cannot be written: {error}") from error
    return run


def plan(
    config: str | Path | Mapping[str, Any] | None = None, *, overrides: Mapping[str, Any] | None = None
) -> SweepPlan:
    """List the trials of a sweep, checked: no model is loaded and no video is made.

    Parameters
    ----------
    config, overrides
        As for `sweep`.

    Raises
    ------
    UsageError
        If the configuration is not valid.
    """
    return plan_sweep(resolve_sweep(config, overrides))


def default_folder(config: object) -> Path:
    """Return the folder of a sweep's run unless one is given: ``runs/NAME`` of a file, and of the quickstart.

    Raises
    ------
    UsageError
        For a configuration without a name.
    """
    if config is None:
        return Path("runs") / "quickstart"
    if isinstance(config, str | Path):
        return Path("runs") / Path(config).stem
    raise UsageError("say where the run goes: a configuration that is not a file has no name (out=…)")


def measure(
    run: Run | str | Path,
    *,
    evaluators: str | type[Evaluator] | Iterable[str | type[Evaluator]] | None = None,
    settings: Settings | None = None,
    brand: ClipPath | None = None,
    retry_failed: bool = False,
    evidence: bool = True,
    jobs: int | None = None,
    stall_limit_s: float = STALL_LIMIT_S,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Run:
    """Measure what the videos of a run lack, and write its tables and report again. No video is ever made.

    What is measured stays measured: a call that was ended goes on where it was left.

    Parameters
    ----------
    run : Run or path
    evaluators : str or class, or iterable of these, optional
        Installed evaluators; those of the run unless given.
    settings : mapping of str to mapping, optional
        Settings of evaluators by name, in place of those that the run recorded.
    brand : path, optional
        A brand's YAML file; short for ``settings={"brand": {"file": …}}``.
    retry_failed : bool
        Measure again what crashed or failed.
    evidence : bool
        Draw what is measured, beside the measurements.
    jobs : int or None
        Videos measured at once, each in a worker process; one for every two cores unless given.
    stall_limit_s : float
        A worker that reports nothing for so many seconds is ended; that costs its video.
    on_progress : callable, optional
        Called with how far it is.
    on_message : callable, optional
        Called with a line for the person who waits, and with what could not be measured; logged otherwise.

    Returns
    -------
    Run
        As it is now.

    Raises
    ------
    UsageError
        For an unknown evaluator or setting, one that is not installed, a run of schema 1 or 2, or where another
        process writes.
    OSError
        If something cannot be written; what was measured before stays.
    """
    report_message = on_message or log.info
    outcome = fill_gaps(
        run,
        evaluators=evaluators,
        settings=_with_brand(settings, brand),
        retry_failed=retry_failed,
        evidence=evidence,
        jobs=jobs,
        stall_limit_s=stall_limit_s,
        on_progress=on_progress,
        on_message=report_message,
    )
    for line in (*outcome.notes, *(f"{video}: {text}" for video, text in outcome.problems.items())):
        report_message(line)
    return outcome.run


def fill_gaps(
    run: Run | str | Path,
    *,
    evaluators: str | type[Evaluator] | Iterable[str | type[Evaluator]] | None = None,
    settings: Settings | None = None,
    retry_failed: bool = False,
    evidence: bool = True,
    jobs: int | None = None,
    stall_limit_s: float = STALL_LIMIT_S,
    on_progress: Callable[[BatchProgress], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> MeasuringOutcome:
    """Do what `measure` does, and return what came of it in numbers; parameters and errors as there."""
    outcome = measure_run(
        run if isinstance(run, Run) else read_path(run, "run", _A_RUN),
        only=None if evaluators is None else installed_names(evaluators),
        settings=settings,
        retry_failed=retry_failed,
        evidence=evidence,
        jobs=jobs,
        stall_limit_s=stall_limit_s,
        on_progress=on_progress,
        on_message=on_message,
    )
    if outcome.has_changed or not outcome.run.is_derived(HTML_NAME):
        write_report(outcome.run.folder)
    return outcome


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
        rules, note = _policy_of_both(sides, described)
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
    evaluators, settings, brand, jobs, isolate, on_progress, on_message
        Of the videos that are measured, as for `evaluate`.

    Raises
    ------
    UsageError
        As `evalkit.decisions.signoff.sign_off`.
    """
    where = read_mapping(where, "where")
    evaluators = None if evaluators is None else list_evaluators(evaluators)
    source = _read_source(run, "run")
    rules = load_policy(read_path(policy, "policy", _A_POLICY), _described_metrics(source, evaluators))
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
    table = _where(table, where)
    verdict = sign_off(table, rules)
    if waivers is None:
        return verdict
    values = {line.metric: line.value for line in verdict.lines if line.kind == "hard"}
    granted = load_waivers(read_path(waivers, "waivers"), rules, table.run_id, values)
    return sign_off(table, rules, granted, now=verdict.judged_at)


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


def _policy_of_both(sides: Sequence[_ReadSource], metrics: Iterable[Metric]) -> tuple[Policy, str]:
    """Return the policy that all sides name, else the default, and what a reader should know of the choice."""
    runs = [Run.open(side) if isinstance(side, str) and is_run_folder(side) else side for side in sides]
    named = [run.manifest.policy if isinstance(run, Run) else None for run in runs]
    first, *others = dict.fromkeys(named)
    if first is not None and not others:
        try:
            return load_policy(first, metrics), ""
        except UsageError as error:
            raise UsageError(
                f"the runs both name the policy {first!r}, which cannot be used: {error}; name another with --policy"
            ) from None
    known = [name for name in (first, *others) if name is not None]
    why = {0: "no policy was named", 1: f"only one side names {''.join(known)}"}.get(
        len(known), f"they name different ones: {' and '.join(known)}"
    )
    return load_policy(DEFAULT_POLICY, metrics), f"judged by the policy {DEFAULT_POLICY}: {why}"


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
    """Return the rows with these parameters; a text stands for the value that is written so."""
    known = {
        name: {str(row.params[name]): row.params[name] for row in table.rows if name in row.params}
        for name in wanted
    }
    return table.where(
        {
            name: known[name].get(value, value) if isinstance(value, str) else value
            for name, value in wanted.items()
        }
    )


def _with_brand(settings: Settings | None, brand: ClipPath | None) -> Settings:
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


def _read_intent(
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
