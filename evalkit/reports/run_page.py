"""The page of a run."""

from __future__ import annotations

from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from evalkit.analysis.table import level_text
from evalkit.formatting import count
from evalkit.plot_style import BLUE
from evalkit.reports.answer import describe_answer, note_of, title_configurations
from evalkit.reports.coverage import describe_coverage
from evalkit.reports.effects import describe_steps, name_changed, name_step
from evalkit.reports.run_plots import draw_front, draw_heat_map
from evalkit.reports.timelines import NO_TIMELINES, Timelines
from evalkit.reports.verdict import (
    verdict_of_answer,
    verdict_of_clip_limit,
    verdict_of_configuration,
    verdict_of_gate,
    verdict_of_trial,
)
from evalkit.views.trial import EvidenceView
from evalkit.visuals.page import render_page
from evalkit.visuals.svg import figure_as_svg
from pipeline.options import json_text

if TYPE_CHECKING:
    from evalkit.views.configuration import MapView
    from evalkit.views.effect import EffectView
    from evalkit.views.run import RunView
    from evalkit.views.trial import TrialView

_N_STAGED = 2


def render_run(run: RunView, timelines: Timelines = NO_TIMELINES) -> str:
    """Return the page of a run; it shows the videos and pictures that lie in the run's folder.

    Parameters
    ----------
    run : RunView
    timelines : Timelines
    """
    return render_page(
        __package__,
        "run.html.j2",
        script=(resources.files(__package__) / "templates" / "run.js").read_text("utf-8"),
        title=f"Sweep of {run.generator.get('name', 'a generator')}: {run.name}",
        run=run,
        answer_verdict=verdict_of_answer(run),
        details=describe_answer(run),
        coverage=describe_coverage(run.coverage),
        configurations_title=title_configurations(run),
        note_of=partial(note_of, run),
        fronts=_draw_fronts(run),
        effects=_by_parameter(run),
        maps=_draw_maps(run),
        stage=_stage(run),
        given=[
            name
            for name in ("portrait", "speech", "seed")
            if any(getattr(trial, name) is not None for trial in run.trials)
        ],
        pictures_of=partial(_pictures_of, timelines),
        links_of=_links_of,
        notes=_notes(run, timelines),
        provenance=json_text(run.provenance),
        describe_steps=describe_steps,
        name_changed=name_changed,
        name_step=name_step,
        level_text=level_text,
        verdict_of_clip_limit=verdict_of_clip_limit,
        verdict_of_configuration=verdict_of_configuration,
        verdict_of_gate=verdict_of_gate,
        verdict_of_trial=partial(verdict_of_trial, has_policy=run.policy is not None),
    )


def _draw_fronts(run: RunView) -> list[Any]:
    drawn = []
    for place, front in enumerate(run.fronts):
        figure, finding = draw_front(run, front)
        words = f"{front.quality} against {front.cost}: {finding}"
        drawn.append(_svg(figure, f"front{place}", words, {BLUE: "var(--accent)"}))
    return drawn


def _by_parameter(run: RunView) -> dict[str, list[EffectView]]:
    found: dict[str, list[EffectView]] = {}
    for effect in run.effects:
        found.setdefault(effect.parameter, []).append(effect)
    return {name: sorted(effects, key=lambda effect: _place(run, effect)) for name, effects in found.items()}


def _place(run: RunView, effect: EffectView) -> int:
    """Order the effects of a parameter by the step, metrics as they came."""
    return run.levels[effect.parameter].index(effect.before)


def _draw_maps(run: RunView) -> list[dict[str, Any]]:
    """Draw the heat maps of each pair of parameters: the main metrics, and the others."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    names = list(run.metrics)
    for drawn_map in run.maps:
        across, down = drawn_map.across, drawn_map.down
        title = across if down is None else f"{across} × {down}"
        group = found.setdefault((across, down), {"title": title, "main": [], "more": []})
        name = f"m{len(found) - 1}n{names.index(drawn_map.metric)}"
        group["main" if drawn_map.metric in run.main else "more"].append(_draw_map(run, drawn_map, name))
    return list(found.values())


def _draw_map(run: RunView, drawn_map: MapView, name: str) -> Any:
    figure, finding = draw_heat_map(drawn_map, run.metrics[drawn_map.metric])
    return _svg(figure, name, f"{drawn_map.metric} over {drawn_map.across} and {drawn_map.down}: {finding}")


def _svg(figure: Any, name: str, words: str, inks: dict[str, str] | None = None) -> Any:
    from markupsafe import Markup

    return Markup(figure_as_svg(figure, name, words, inks))  # noqa: S704 - matplotlib escapes the texts of a figure


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


def _pictures_of(timelines: Timelines, trial: TrialView) -> list[EvidenceView]:
    pictures = [picture for picture in trial.evidence if picture.is_picture]
    path = timelines.paths.get(trial.id)
    words = "memory and GPUs over time, with the generator's events"
    return [*pictures, *([] if path is None else [EvidenceView(path, words, is_picture=True)])]


def _links_of(trial: TrialView) -> list[str]:
    return [*trial.files, *(evidence.path for evidence in trial.evidence if not evidence.is_picture)]


def _notes(run: RunView, timelines: Timelines) -> list[str]:
    notes = list(run.notes)
    if timelines.n_undrawn:
        notes.append(
            f"The timelines of {count(timelines.n_undrawn, 'trial')} are not drawn, as there are many: "
            f"evalkit report --timelines draws them all."
        )
    return notes
