"""What stands on the page of a run, section by section, as plain data for its template."""

from __future__ import annotations

import json
from itertools import combinations
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from evalkit.analysis.run_analysis import is_better, plain, reason_text
from evalkit.analysis.table import describe
from evalkit.decisions.signoff import overshoot
from evalkit.formatting import three_digits
from evalkit.reports.numbers import ARROW_WORDS, ARROWS, bracket, count, percent, signed, unit_suffix
from evalkit.reports.run_answer import FAILED, MISS, NONE, OPEN, PASS, Verdict, verdict_of, verdict_of_line
from evalkit.reports.run_plots import draw_front, draw_heat_map
from evalkit.reports.style import BLUE
from evalkit.reports.svg import figure_as_svg
from evalkit.reports.timelines import TIMELINE_PICTURE
from evalkit.reports.transcript_page import TRANSCRIPT_PAGE
from evalkit.runs import Input
from evalkit.runs.layout import EVIDENCE_FOLDER, GENERATION_FILE, LOG_FILE, RUN_FILE, VIDEO_FILE
from evalkit.runs.legacy import TRIAL_FILE
from evalkit.runs.records import DamagedFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.analysis.run_analysis import Configuration, RunAnalysis, Summary
    from evalkit.decisions.policy import Rule
    from evalkit.decisions.recommend import Candidate
    from evalkit.reports.run_answer import Answer
    from evalkit.runs import MetricValue, Run, Trial
    from evalkit.stats.effects import Effect
    from evalkit.types import Metric

_DEFAULT_FPS = 25.0
_WINDOW_S = 3.0
_N_STAGED = 2
_PICTURES = {
    "lip_sync.png": "lips seen and expected, the offset, and the error over time",
    "brand.png": "the brand mark where it was found, its colours, and what likeness means",
    "joint_angles.png": "joint angles over time",
    TIMELINE_PICTURE: "memory and GPUs over time, with what the generator told",
    "frames.jpg": "frames with the landmarks that were found",
}
_NO_SUCH_TRIAL = {"id": "", "caption": "", "fps": _DEFAULT_FPS, "src": "", "worst": 0.0}


def build_page(tables: RunAnalysis, answer: Answer, n_undrawn: int) -> dict[str, Any]:
    """Return everything the template asks for.

    Parameters
    ----------
    tables : RunAnalysis
    answer : Answer
    n_undrawn : int
        Timelines that were left undrawn.
    """
    generator = tables.run.manifest.generator
    staged = _staged(tables, answer)
    trials = [_trial(tables, trial, is_staged=trial.id in staged) for trial in tables.trials]
    absences = _absences(tables)
    return {
        "title": f"Sweep of {generator.get('name', 'a generator')}: {tables.run.folder.resolve().name}",
        "facts": _facts(tables),
        "answer": _answer(answer),
        "coverage": [{"verdict": verdict, "text": text} for verdict, text in describe_coverage(tables)],
        "failures": _failures(tables),
        "absences": absences,
        "absences_title": f"{count(len(absences), 'metric')} could not be measured in every trial that did not fail",
        "configurations": _configurations(tables, answer),
        "fronts": _fronts(tables),
        "effects": [_effect(tables, name) for name in tables.levels if tables.effects[name]],
        "maps": _maps(tables),
        "stage": sorted((one for one in trials if one["staged"]), key=lambda one: staged.index(one["id"])),
        "blank": _NO_SUCH_TRIAL,
        "trials": trials,
        "trials_caption": f"{count(len(trials), 'trial')}. Single clips beside the limits of the policy.",
        "trial_heads": {
            "params": [*tables.levels, *_given(tables)],
            "metrics": [head_of(tables.metrics[name]) for name in tables.main],
        },
        "notes": _notes(tables, n_undrawn),
        "glossary": [
            {"name": head_of(metric), "meaning": metric.meaning, "better": ARROW_WORDS[metric.better]}
            for metric in tables.metrics.values()
        ],
        "tables": [
            name
            for name in ("results.csv", "results.parquet", RUN_FILE)
            if (tables.run.folder / name).is_file()
        ],
        "about": _about(tables),
    }


def describe_coverage(tables: RunAnalysis) -> list[tuple[Verdict, str]]:
    """Say what was attempted, what failed, and what is not there, in words."""
    run = tables.run
    n_planned, n_tried = len(run.manifest.planned), len(tables.trials)
    n_ok = sum(trial.status == "ok" for trial in tables.trials)
    lines = [
        (
            Verdict("✓", "complete", "pass")
            if n_ok == n_tried == n_planned
            else Verdict("!", "incomplete", "warn"),
            f"{n_ok} of {count(n_planned, 'planned trial')} gave a video that was measured.",
        )
    ]
    if n_tried > n_ok:
        codes: dict[str, int] = {}
        for trial in tables.trials:
            if trial.failure is not None:
                codes[trial.failure.code] = codes.get(trial.failure.code, 0) + 1
        reasons = ", ".join(f"{code.replace('_', ' ')}: {n}" for code, n in codes.items())
        lines.append((FAILED, f"{n_tried - n_ok} of {n_tried} attempted failed ({reasons})."))
    retried = sum(bool(trial.attempts) for trial in tables.trials)
    if retried:
        lines.append(
            (Verdict("!", "retried", "warn"), f"{count(retried, 'trial')} needed more than one attempt.")
        )
    lines += [(Verdict("!", "skipped", "warn"), text) for text in _say_skipped(run)]
    n_open = len(run.unfinished())
    if n_open:
        lines.append(
            (Verdict("!", "unfinished", "warn"), f"{count(n_open, 'planned trial')} without a result yet.")
        )
    lines += [(Verdict("✗", "damaged", "fail"), one.text) for one in tables.damage]
    n_former = len(run.orphaned())
    if n_former:
        words = f"{count(n_former, 'trial')} of an earlier grid in the folder, in no figure here."
        lines.append((Verdict("·", "left out", "neutral"), words))
    return lines


def caption_of(trial: Trial, tables: RunAnalysis) -> str:
    """Name a trial by its swept parameters, inputs and seed."""
    params = describe({name: plain(_param(trial, name)) for name in tables.levels}) if tables.levels else ""
    inputs = [part.name for part in (trial.portrait, trial.speech) if part is not None]
    seed = [] if trial.seed is None else [f"seed {trial.seed}"]
    return ", ".join(part for part in (params, *inputs, *seed) if part) or trial.id


def head_of(metric: Metric) -> str:
    """Head a column: name, unit, and which way is better."""
    unit = "" if metric.unit == "1" else f" ({metric.unit})"
    return f"{metric.name}{unit} {ARROWS[metric.better]}"


def _facts(tables: RunAnalysis) -> str:
    facts = tables.run.manifest
    n_inputs = len({row.input for row in tables.table.rows})
    n_seeds = len({row.seed for row in tables.table.rows})
    machines = [machine.get("processor") or machine.get("system") for machine in facts.machines.values()]
    machine = ", ".join(dict.fromkeys(name for name in machines if name)) or "an unknown machine"
    parts = (
        f"{count(len(tables.configurations), 'configuration')} × {count(n_inputs, 'input')} × {count(n_seeds, 'seed')}",
        f"begun {facts.created_at.replace('T', ' ')}",
        f"on {machine}",
        f"generator {facts.generator.get('name')} {facts.generator.get('version')}",
    )
    return " · ".join(parts)


def _answer(answer: Answer) -> dict[str, Any]:
    lines = answer.told.lines if answer.told else ()
    return {
        "verdict": answer.verdict,
        "headline": answer.headline,
        "more": answer.more,
        "subject": answer.subject,
        "policy": answer.policy,
        "lines": [
            {
                "verdict": verdict_of_line(line),
                "metric": line.metric,
                "cell": _cell(line.value, line.unit, line.interval, line.n, line.n_attempted, why=" "),
                "limit": line.limit,
                "evidence": line.evidence,
                "why": line.why,
            }
            for line in lines
        ],
    }


def _cell(
    value: float | None, unit: str, interval: Any, n: int, n_attempted: int | None = None, *, why: str = ""
) -> dict[str, Any]:
    of = "" if n_attempted is None or n_attempted == n else f" of {n_attempted}"
    return {
        "value": value,
        "text": "" if value is None else f"{three_digits(value)}{unit_suffix(unit)}",
        "interval": bracket(interval),
        "n": f"n = {n}{of}",
        "why": why or "not measured",
        "symbol": "",
        "word": "",
        "tone": "",
    }


def _summary_cell(summary: Summary) -> dict[str, Any]:
    estimate = summary.estimate
    return _cell(
        estimate.value, "1", estimate.interval, estimate.n, summary.n_attempted, why=summary.why_absent
    )


def _say_skipped(run: Run) -> list[str]:
    """Say which trials were never attempted, a sentence a reason."""
    by_reason: dict[str, list[str]] = {}
    for one in run.skipped().values():
        told = {name: value for name, value in one.params.items() if name in run.manifest.swept}
        by_reason.setdefault(one.reason, []).append(describe(told or one.params))
    return [
        f"{count(len(names), 'planned trial')} skipped ({'; '.join(dict.fromkeys(names))}): {reason}."
        for reason, names in by_reason.items()
    ]


def _failures(tables: RunAnalysis) -> list[dict[str, Any]]:
    return [
        {
            "id": trial.id,
            "caption": caption_of(trial, tables),
            "stage": trial.failure.stage,
            "verdict": Verdict("✗", trial.failure.code.replace("_", " "), "fail"),
            "text": trial.failure.text,
        }
        for trial in tables.trials
        if trial.failure is not None
    ]


def _absences(tables: RunAnalysis) -> list[dict[str, Any]]:
    """List the metrics that are missing in trials that did not fail; those that failed are told of above."""
    found = []
    n_attempted = len(tables.trials)
    for metric in tables.metrics:
        reasons = tables.absences_of(metric)
        n_missing = sum(reasons.values())
        if any(row.failure is None and metric not in row.values for row in tables.table.rows):
            why = "; ".join(f"{reason} ({n})" for reason, n in reasons.items())
            found.append(
                {"metric": metric, "n": n_attempted - n_missing, "attempted": n_attempted, "why": why}
            )
    return found


def _configurations(tables: RunAnalysis, answer: Answer) -> dict[str, Any]:
    found = answer.recommendation
    candidates = {one.name: one for one in found.candidates} if found else {}
    rows = []
    for one in tables.configurations:
        candidate = candidates.get(one.label)
        verdict = verdict_of(candidate) if candidate else NONE
        rows.append(
            {
                "levels": [plain(level) for level in one.params.values()],
                "chosen": one.label == answer.subject,
                "verdict": verdict,
                "note": _note(one, answer, candidate),
                "failed": one.n_failed,
                "attempted": len(one.trials),
                "cells": [_summary_cell(one.summaries[metric]) for metric in tables.main],
            }
        )
    n_passing = sum(row["verdict"] in (PASS, OPEN) for row in rows)
    title = f"{n_passing} of {count(len(rows), 'configuration')} miss no gate that was measured"
    return {
        "title": title if found else count(len(rows), "configuration"),
        "params": list(tables.levels) or ["configuration"],
        "heads": [head_of(tables.metrics[name]) for name in tables.main],
        "rows": [row if row["levels"] else {**row, "levels": ["the only one"]} for row in rows],
    }


def _note(one: Configuration, answer: Answer, candidate: Candidate | None) -> str:
    """Say what is missed, and whether by the value or for want of values."""
    words = []
    if one.label == answer.subject and answer.recommendation is not None:
        words.append("recommended" if answer.recommendation.chosen else "nearest")
    lines = [line for line in candidate.lines if line.metric in candidate.missed] if candidate else []
    beyond = [line.metric for line in lines if line.n >= line.n_attempted]
    few = [line.metric for line in lines if line.n < line.n_attempted]
    words += [", ".join(beyond)] if beyond else []
    words += [f"{', '.join(few)} (not every clip has a value)"] if few else []
    return "; ".join(words)


def _fronts(tables: RunAnalysis) -> list[Any]:
    drawn = []
    for index, front in enumerate(tables.fronts):
        figure, finding = draw_front(tables, front)
        words = f"{front.quality} against {front.cost}: {finding}"
        drawn.append(_svg(figure, f"front{index}", words, {BLUE: "var(--accent)"}))
    return drawn


def _svg(figure: Any, name: str, words: str, inks: dict[str, str] | None = None) -> Any:
    from markupsafe import Markup

    return Markup(figure_as_svg(figure, name, words, inks))  # noqa: S704 - matplotlib escapes the texts of a figure


def _effect(tables: RunAnalysis, name: str) -> dict[str, Any]:
    steps: dict[str, list[tuple[str, Effect]]] = {}
    for metric, effect in tables.effects[name]:
        steps.setdefault(f"{plain(effect.before)} → {plain(effect.after)}", []).append((metric, effect))
    return {
        "name": name,
        "sentences": [_sentence(tables, step, found) for step, found in steps.items()],
        "rows": [
            _effect_row(tables, step, metric, effect)
            for step, found in steps.items()
            for metric, effect in found
        ],
    }


def _sentence(tables: RunAnalysis, step: str, found: Sequence[tuple[str, Effect]]) -> str:
    clear = [(metric, effect) for metric, effect in found if _is_clear(effect)]
    words: dict[str, list[str]] = {"better": [], "worse": [], "moved": []}
    for metric, effect in clear:
        facts = tables.metrics[metric]
        words[_direction(facts, effect.change.value or 0.0)].append(_change_words(facts, effect))
    n_pairs = max((effect.change.n for _, effect in found), default=0)
    if clear:
        rest = [metric for metric, effect in found if not _is_clear(effect)]
        parts = [f"{word}: {', '.join(told)}" for word, told in words.items() if told]
        return f"{step}: {'; '.join(parts)}" + (f"; no clear change in {', '.join(rest)}." if rest else ".")
    why = next((effect.change.reason for _, effect in found if effect.change.reason), None)
    return f"{step}: no clear change ({why or f'{n_pairs} pairs'})."


def _is_clear(effect: Effect) -> bool:
    interval = effect.change.interval
    return interval is not None and (interval.low > 0 or interval.high < 0)


def _change_words(metric: Metric, effect: Effect) -> str:
    value = effect.change.value or 0.0
    relative = effect.relative_change
    share = f" ({percent(relative)})" if relative is not None and metric.unit != "1" else ""
    name = f"size of {metric.name}" if metric.better == "zero" else metric.name
    return f"{name} {signed(value)}{unit_suffix(metric.unit)} {bracket(effect.change.interval)}{share}"


def _direction(metric: Metric, change: float) -> str:
    better = is_better(metric, change)
    return "moved" if better is None else "better" if better else "worse"


def _effect_row(tables: RunAnalysis, step: str, name: str, effect: Effect) -> dict[str, Any]:
    metric, change = tables.metrics[name], effect.change
    cell = _cell(change.value, metric.unit, change.interval, change.n, why=change.reason or "")
    if change.value is not None:
        cell["text"] = f"{signed(change.value)}{unit_suffix(metric.unit)}"
        cell |= {"interval": bracket(change.interval) or f"no interval: {change.reason}", "n": ""}
    return {
        "step": step,
        "metric": f"size of {name}" if metric.better == "zero" else name,
        "word": _direction(metric, change.value or 0.0) if _is_clear(effect) else "not clear",
        "cell": cell,
        "relative": "" if effect.relative_change is None else percent(effect.relative_change),
        "n": change.n,
        "unpaired": effect.n_unpaired,
    }


def _maps(tables: RunAnalysis) -> list[dict[str, Any]]:
    """Draw the main metrics over every pair of swept parameters, and all others over the first pair."""
    names = list(tables.levels)
    pairs: list[tuple[str, str | None]] = list(combinations(names, 2)) or [(name, None) for name in names]
    more = [name for name in tables.measured if name not in tables.main]
    return [
        {
            "title": across if down is None else f"{across} × {down}",
            "main": [_map(tables, name, across, down, f"m{index}") for name in tables.main],
            "more": [_map(tables, name, across, down, f"m{index}") for name in more] if index == 0 else [],
        }
        for index, (across, down) in enumerate(pairs)
    ]


def _map(tables: RunAnalysis, metric: str, across: str, down: str | None, prefix: str) -> Any:
    figure, finding = draw_heat_map(tables, metric, across, down)
    place = list(tables.metrics).index(metric)
    return _svg(figure, f"{prefix}n{place}", f"{metric} over {across} and {down}: {finding}")


def _staged(tables: RunAnalysis, answer: Answer) -> list[str]:
    """Choose what stands side by side at first: two configurations on the same input and seed."""
    with_video = [
        (index, trial)
        for index, trial in enumerate(tables.trials)
        if tables.run.video_of(trial.id) is not None
    ]
    if not with_video:
        return []
    found = answer.recommendation
    wanted = [answer.subject, found.other.name if found and found.other else ""]
    by_item: dict[Any, list[tuple[int, str]]] = {}
    for index, trial in with_video:
        row = tables.table.rows[index]
        label = describe({name: row.params.get(name) for name in tables.levels})
        rank = wanted.index(label) if label in wanted else len(wanted)
        by_item.setdefault((row.input, row.seed), []).append((rank, trial.id))
    best = min(
        by_item.values(),
        key=lambda found: sorted(rank for rank, _ in found)[:_N_STAGED] + [9] * (len(found) < 2),
    )
    ranked = sorted(best, key=lambda one: one[0])
    rest = [one for one in ranked if one[0] == len(wanted)]
    chosen = [one for one in ranked if one[0] < len(wanted)]
    chosen += rest[::-1][: _N_STAGED - len(chosen)]
    return [trial_id for _, trial_id in chosen[:_N_STAGED]]


def _trial(tables: RunAnalysis, trial: Trial, *, is_staged: bool) -> dict[str, Any]:
    rules = _rules(tables)
    missed = [name for name, rule in rules.items() if _misses(trial.metrics.get(name), rule)]
    verdict = _trial_verdict(trial, missed, judged=bool(rules))
    folder = tables.run.folder_of(trial.id)
    has_video = (folder / VIDEO_FILE).is_file()
    return {
        "id": trial.id,
        "caption": caption_of(trial, tables),
        "levels": [
            *(plain(_param(trial, name)) for name in tables.levels),
            *(_name_of(getattr(trial, part)) for part in _given(tables)),
        ],
        "verdict": verdict,
        "note": ", ".join(missed),
        "cells": [_value_cell(trial, name, rules.get(name)) for name in tables.main],
        "src": _link(tables.run, trial.id, VIDEO_FILE) if has_video else "",
        "staged": is_staged,
        "fps": _fps(trial),
        "worst": _worst_s(tables, trial) if has_video else None,
        "failure": f"{trial.failure.stage} failed: {trial.failure.code}: {trial.failure.text}"
        if trial.failure
        else "",
        "notes": [
            *trial.notes,
            *(f"an earlier attempt failed: {one.stage}: {one.code}: {one.text}" for one in trial.attempts),
        ],
        "pictures": [
            {"src": _link(tables.run, trial.id, EVIDENCE_FOLDER, name), "alt": alt}
            for name, alt in _PICTURES.items()
            if (folder / EVIDENCE_FOLDER / name).is_file()
        ],
        "measured": [
            _measured(tables, name, trial.metrics[name], rules)
            for name in tables.metrics
            if name in trial.metrics
        ],
        "absent": _absent_lines(trial),
        "files": [
            {"name": parts[-1], "src": _link(tables.run, trial.id, *parts)}
            for parts in ((TRIAL_FILE,), (GENERATION_FILE,), (LOG_FILE,), (EVIDENCE_FOLDER, TRANSCRIPT_PAGE))
            if folder.joinpath(*parts).is_file()
        ],
    }


def _given(tables: RunAnalysis) -> list[str]:
    """Name what any trial was given beside its parameters."""
    parts = ("portrait", "speech", "seed")
    return [part for part in parts if any(getattr(trial, part) is not None for trial in tables.trials)]


def _name_of(given: Input | int | None) -> str:
    return given.name if isinstance(given, Input) else "–" if given is None else str(given)


def _rules(tables: RunAnalysis) -> dict[str, Rule]:
    """Return the rule of each metric, the hard one first."""
    if tables.policy is None:
        return {}
    found = {name: tables.policy.rule_for(name) for name in tables.measured}
    return {name: rule for name, rule in found.items() if rule is not None and rule.min_n <= 1}


def _misses(value: MetricValue | None, rule: Rule) -> bool:
    return value is not None and rule.kind == "hard" and overshoot(rule, value.value) > 0


def _trial_verdict(trial: Trial, missed: Sequence[str], *, judged: bool) -> Verdict:
    if trial.failure is not None:
        return Verdict("✗", trial.failure.code.replace("_", " "), "fail")
    if not judged:
        return NONE
    return MISS if missed else Verdict("✓", "within limits", "pass")


def _value_cell(trial: Trial, name: str, rule: Rule | None) -> dict[str, Any]:
    value = trial.metrics.get(name)
    if value is None:
        why = reason_text(
            trial.failure.code.replace("_", " ") if trial.failure else trial.absent.get(name, "not measured")
        )
        return _cell(None, "1", None, 0, why=why)
    cell = _cell(value.value, "1", value.ci95, value.n)
    if rule is not None and overshoot(rule, value.value) > 0:
        cell |= {
            "symbol": "✗" if rule.kind == "hard" else "!",
            "word": "",
            "tone": "fail" if rule.kind == "hard" else "warn",
        }
    return cell


def _measured(tables: RunAnalysis, name: str, value: MetricValue, rules: dict[str, Rule]) -> dict[str, Any]:
    rule = rules.get(name)
    verdict = None
    if rule is not None:
        missed = overshoot(rule, value.value) > 0
        verdict = PASS if not missed else MISS if rule.kind == "hard" else Verdict("!", "beyond", "warn")
    return {
        "name": f"{name} {ARROWS[tables.metrics[name].better]}",
        "value": f"{three_digits(value.value)}{unit_suffix(value.unit)}",
        "interval": bracket(value.ci95),
        "n": value.n or "",
        "coverage": "" if value.coverage is None else f"{100 * value.coverage:.0f} %",
        "verdict": verdict,
        "limit": rule.text() if rule else "",
    }


def _absent_lines(trial: Trial) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, code in trial.absent.items():
        by_reason.setdefault(reason_text(code), []).append(name)
    return [f"{reason}: {', '.join(names)}" for reason, names in by_reason.items()]


def _param(trial: Trial, name: str) -> Any:
    value = trial.params.get(name)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _fps(trial: Trial) -> float:
    measured = trial.metrics.get("technical.fps")
    told = (trial.generation or {}).get("fps")
    if measured is not None:
        return measured.value
    return float(told) if isinstance(told, (int, float)) and told > 0 else _DEFAULT_FPS


def _worst_s(tables: RunAnalysis, trial: Trial) -> float | None:
    """Return the middle of the window in which the lips fit worst; None where there are no windows."""
    try:
        windows = tables.run.samples_of(trial.id).get("lip_sync.error", {})
    except DamagedFileError:
        return None
    pairs = [
        (rank, start_s)
        for rank, start_s in zip(windows.get("rank", []), windows.get("window_start_s", []), strict=False)
        if rank is not None and start_s is not None
    ]
    return max(pairs)[1] + _WINDOW_S / 2 if pairs and max(pairs)[0] > 0 else None


def _link(run: Run, trial_id: str, *parts: str) -> str:
    place = run.folder_of(trial_id).relative_to(run.folder)
    return "/".join(quote(part, safe="") for part in (*place.parts, *parts))


def _notes(tables: RunAnalysis, n_undrawn: int) -> list[str]:
    notes = list(tables.run.manifest.notes)
    if n_undrawn:
        notes.append(
            f"The timelines of {count(n_undrawn, 'trial')} are not drawn, as there are many: "
            f"evalkit report --timelines draws them all."
        )
    return notes


def _about(tables: RunAnalysis) -> str:
    facts = tables.run.manifest
    about = {
        "configuration": facts.config,
        "configuration hash": facts.config_hash,
        "generator": facts.generator,
        "evaluators": facts.evaluators,
        "versions": facts.versions,
        "weights": facts.weights,
        "machines": facts.machines,
    }
    return json.dumps(about, indent=2, ensure_ascii=False)
