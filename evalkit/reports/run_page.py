"""The page of a run."""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from evalkit.analysis.table import level_text
from evalkit.formatting import count
from evalkit.reports.answer import describe_answer, note_of, title_configurations
from evalkit.reports.coverage import describe_coverage
from evalkit.reports.effects import describe_steps, name_changed, name_step
from evalkit.reports.front_plot import plot_front
from evalkit.reports.heat_map import heat_map
from evalkit.reports.search import describe_search, plot_search
from evalkit.reports.spending import describe_spending
from evalkit.reports.timelines import NO_TIMELINES, Timelines
from evalkit.reports.trial_pages import draw_trials
from evalkit.reports.verdict import (
    verdict_of_answer,
    verdict_of_configuration,
    verdict_of_gate,
    verdict_of_trial,
)
from evalkit.visuals.page import PLAIN_FRAME, PageFrame, render_page
from pipeline.options import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalkit.views.effect import EffectView
    from evalkit.views.run import RunView
    from evalkit.views.trial import TrialView

_N_STAGED = 2


def render_run(
    run: RunView,
    timelines: Timelines = NO_TIMELINES,
    moment_tracks: Mapping[str, str] | None = None,
    *,
    frame: PageFrame = PLAIN_FRAME,
) -> str:
    """Return the page of a run; it shows the videos and pictures that lie in the run's folder.

    Parameters
    ----------
    run : RunView
    timelines : Timelines
    moment_tracks : mapping of str to str, optional
        See `evalkit.reports.moment_tracks.write_moment_tracks`.
    frame : PageFrame
    """
    stage = _stage(run)
    return render_page(
        __package__,
        "run.html.j2",
        frame=frame,
        script=_script("player.js") + _script("run.js"),
        title=f"{'Sweep' if run.search is None else 'Search'} of {run.generator.get('name', 'a generator')}: {run.name}",
        run=run,
        answer_verdict=verdict_of_answer(run),
        details=describe_answer(run),
        coverage=describe_coverage(run.coverage),
        configurations_title=title_configurations(run),
        note_of=partial(note_of, run),
        spending=describe_spending(run),
        fronts=[plot_front(run, front) for front in run.fronts],
        effects=_by_parameter(run),
        race=None if run.search is None else plot_search(run.search),
        search_sentences=[] if run.search is None else describe_search(run.search),
        maps=_maps(run),
        stage=stage,
        trials=draw_trials(run, timelines, moment_tracks or {}, {trial.id for trial in stage}),
        notes=_notes(run, timelines),
        provenance=json_text(run.provenance),
        describe_steps=describe_steps,
        name_changed=name_changed,
        name_step=name_step,
        level_text=level_text,
        verdict_of_configuration=verdict_of_configuration,
        verdict_of_gate=verdict_of_gate,
        verdict_of_trial=partial(verdict_of_trial, has_policy=run.policy is not None),
    )


def _script(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text("utf-8")


def _by_parameter(run: RunView) -> dict[str, list[EffectView]]:
    found: dict[str, list[EffectView]] = {}
    for effect in run.effects:
        found.setdefault(effect.parameter, []).append(effect)
    return {name: sorted(effects, key=lambda effect: _place(run, effect)) for name, effects in found.items()}


def _place(run: RunView, effect: EffectView) -> int:
    """Order the effects of a parameter by the step, metrics as they came."""
    return run.levels[effect.parameter].index(effect.before)


def _maps(run: RunView) -> list[dict[str, Any]]:
    """Return the heat maps of each pair of parameters: the main metrics, and the others."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for shown in run.maps:
        across, down = shown.across, shown.down
        title = across if down is None else f"{across} × {down}"
        group = found.setdefault((across, down), {"title": title, "main": [], "more": []})
        kind = "main" if shown.metric in run.main else "more"
        group[kind].append(heat_map(shown, run.metrics[shown.metric]))
    return list(found.values())


def _stage(run: RunView) -> list[TrialView]:
    """Choose what stands side by side at first: two configurations on the same input and seed."""
    wanted = [run.answer.configuration, run.answer.other]

    def rank(trial: TrialView) -> int:
        return wanted.index(trial.configuration) if trial.configuration in wanted else len(wanted)

    by_item: dict[Any, list[TrialView]] = {}
    for trial in run.trials:
        if trial.video is not None:
            by_item.setdefault((trial.portrait, trial.speech, trial.seed), []).append(trial)
    if not by_item:
        return []
    best = min(
        by_item.values(),
        key=lambda found: sorted(rank(trial) for trial in found)[:_N_STAGED] + [9] * (len(found) < _N_STAGED),
    )
    ranked = sorted(best, key=rank)
    rest = [trial for trial in ranked if rank(trial) == len(wanted)]
    chosen = [trial for trial in ranked if rank(trial) < len(wanted)]
    chosen += rest[::-1][: _N_STAGED - len(chosen)]
    return chosen[:_N_STAGED]


def _notes(run: RunView, timelines: Timelines) -> list[str]:
    notes = list(run.notes)
    if timelines.n_undrawn:
        notes.append(
            f"The timelines of {count(timelines.n_undrawn, 'trial')} are not drawn, as there are many: "
            f"evalkit report --timelines draws them all."
        )
    return notes
