"""A run as exporters get it: the same numbers as its report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from evalkit.decisions.analyse import analyse_run, policy_of_run
from evalkit.decisions.recommend import recommend
from evalkit.errors import UsageError
from evalkit.exporters.base import ExportedConfiguration, ExportedRun, ExportedTrial, ExportedValue
from evalkit.reports.run_report import HTML_NAME, MARKDOWN_NAME, write_report
from evalkit.runs.layout import TABLE_FILES
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evalkit.analysis.configurations import Configuration
    from evalkit.analysis.run_analysis import RunAnalysis
    from evalkit.decisions.recommendation import Recommendation
    from evalkit.runs import Run, Trial

_KEY_DIGITS = 12


def describe_run(run: Run) -> ExportedRun:
    """Return a run as plain data; its report and tables are written first, where they are not as it is.

    Raises
    ------
    OSError
        If the report cannot be written.
    """
    if not run.is_derived(HTML_NAME):
        write_report(run.folder)
    if not run.has_tables():
        run.write_tables()
    policy, note = policy_of_run(run)
    analysis = analyse_run(run, policy)
    found: Recommendation | None = None
    if policy is not None and analysis.table.rows:
        try:
            found = recommend(analysis.table, policy)
        except UsageError as error:
            note = str(error)
    grades = {} if found is None else {one.name: one.grade.value for one in found.candidates}
    manifest = run.manifest
    tags = {
        "evalkit.run": run.id,
        "evalkit.folder": str(run.folder.absolute()),
        "evalkit.created_at": manifest.created_at,
        "evalkit.generator": " ".join(
            str(manifest.generator[name]) for name in ("name", "version") if manifest.generator.get(name)
        ),
        "evalkit.policy": "" if policy is None else policy.name,
        "evalkit.version": manifest.versions.get("evalkit", ""),
        "evalkit.evaluators": ", ".join(f"{name} {version}" for name, version in manifest.evaluators.items()),
    }
    if manifest.code is not None:
        tags["evalkit.commit"] = manifest.code.commit + (" (changed)" if manifest.code.dirty else "")
    return ExportedRun(
        id=run.id,
        name=run.folder.absolute().name,
        folder=run.folder,
        headline=note if found is None else found.headline,
        recommended="" if found is None or found.chosen is None else found.chosen.name,
        tags={name: value for name, value in tags.items() if value},
        configurations=tuple(
            _describe(analysis, configuration, grades) for configuration in analysis.configurations
        ),
        reports=tuple(
            path for name in (HTML_NAME, MARKDOWN_NAME, *TABLE_FILES) if (path := run.folder / name).is_file()
        ),
    )


def _describe(
    analysis: RunAnalysis, configuration: Configuration, grades: Mapping[str, str]
) -> ExportedConfiguration:
    run = analysis.run
    params: dict[str, object] = {}
    for trial in configuration.trials:
        params = {**trial.params, **params}
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
    metrics = {}
    for name in analysis.measured:
        summary = configuration.summary(analysis.metrics[name])
        if summary.value is not None:
            unit = analysis.metrics[name].unit
            metrics[name] = ExportedValue(summary.value, unit, summary.interval, summary.n)
    swept = {name: str(value) for name, value in configuration.params.items()}
    return ExportedConfiguration(
        key=hash_of([run.id, swept])[:_KEY_DIGITS],
        label=configuration.label,
        params=text,
        metrics=metrics,
        grade=grades.get(configuration.label, ""),
        trials=tuple(
            ExportedTrial(
                trial.id,
                step,
                _label(trial),
                trial.status,
                {name: value.value for name, value in trial.metrics.items()},
                _video(run, trial),
            )
            for step, trial in enumerate(configuration.trials)
        ),
    )


def _label(trial: Trial) -> str:
    parts = [part.name for part in (trial.portrait, trial.speech) if part is not None]
    return ", ".join([*parts, *([] if trial.seed is None else [f"seed {trial.seed}"])]) or trial.id


def _video(run: Run, trial: Trial) -> Path | None:
    return run.video_of(trial.id) if trial.status == "ok" else None
