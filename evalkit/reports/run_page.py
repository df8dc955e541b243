"""The page of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from evalkit.analysis.table import level_text
from evalkit.decisions.gates import rank_grade
from evalkit.decisions.recommendation import Outcome
from evalkit.decisions.usual import USUAL
from evalkit.reports.answer import (
    describe_answer,
    describe_headline,
    from_best,
    note_of,
    title_configurations,
)
from evalkit.reports.coverage import describe_coverage
from evalkit.reports.effects import describe_steps, name_changed, name_step
from evalkit.reports.front_plot import describe_alike, plot_front
from evalkit.reports.gate_lines import gate_lines, say_limit
from evalkit.reports.heat_map import HeatMap, find_alike, has_values, heat_map
from evalkit.reports.search import describe_search, plot_search
from evalkit.reports.spending import describe_spending
from evalkit.reports.stage import name_moment, player_script, player_style
from evalkit.reports.timelines import NO_TIMELINES, Timelines
from evalkit.reports.trial_pages import draw_trials
from evalkit.reports.verdict import (
    verdict_of_answer,
    verdict_of_configuration,
    verdict_of_gate,
    verdict_of_trial,
)
from evalkit.visuals.page import PLAIN_FRAME, PageFrame, render_page
from evalkit.words.language import read_words
from evalkit.words.metrics import metric_words
from pipeline.options import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.reports.front_plot import FrontPlot
    from evalkit.views.configuration import ConfigurationView
    from evalkit.views.effect import EffectView
    from evalkit.views.gate import GateView
    from evalkit.views.run import RunView
    from evalkit.views.trial import TrialView
    from evalkit.words.language import Words

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
    tag = frame.language
    say = read_words(tag, "pages", "run")
    stage = _stage(run)
    drawn, alike = _fronts(run, tag)
    answered = run.answered
    return render_page(
        __package__,
        "run.html.j2",
        frame=frame,
        topics=("run", "player"),
        script=player_script() + _own_script(),
        style=player_style(),
        title=_title(run, say),
        run=run,
        headline=describe_headline(run, tag),
        answer_verdict=verdict_of_answer(run).said_in(say),
        gates=[] if answered is None else gate_lines(_worst_first(answered), tag, anchor="evidence"),
        watched=_watched(run, stage, say),
        details=describe_answer(run),
        coverage=describe_coverage(run.coverage, tag),
        configurations=from_best(run),
        configurations_title=title_configurations(run, tag),
        posters=_posters(run),
        bands=_bands(run),
        note_of=partial(note_of, run, tag=tag),
        spending=describe_spending(run, tag),
        fronts=drawn,
        fronts_alike=alike,
        effects=_by_parameter(run),
        race=None if run.search is None else plot_search(run.search),
        search_sentences=[] if run.search is None else describe_search(run.search),
        maps=_maps(run, tag),
        stage=stage,
        trials=draw_trials(run, timelines, moment_tracks or {}, {trial.id for trial in stage}, language=tag),
        notes=run.notes,
        n_undrawn=timelines.n_undrawn,
        provenance=json_text(run.provenance),
        describe_steps=partial(describe_steps, tag=tag),
        name_changed=partial(name_changed, tag=tag),
        name_step=name_step,
        level_text=level_text,
        name_moment=partial(name_moment, tag=tag),
        rank_of=_rank_of,
        limit_of=partial(say_limit, plain=True),
        verdict_of_configuration=lambda one: verdict_of_configuration(one).said_in(say),
        verdict_of_gate=lambda gate: verdict_of_gate(gate).said_in(say),
        verdict_of_trial=lambda one: verdict_of_trial(one, has_policy=run.policy is not None).said_in(say),
    )


def _own_script() -> str:
    """Return the page's own JavaScript; the player comes before it."""
    return (resources.files(__package__) / "templates" / "run.js").read_text("utf-8")


def _title(run: RunView, say: Words) -> str:
    generator = run.generator.get("name", say("a_generator"))
    return say("sweep_of" if run.search is None else "search_of", generator=generator, name=run.name)


def _worst_first(answered: ConfigurationView) -> list[GateView]:
    """Return the rules that a configuration was judged by, the hard ones first, and what does not pass before the rest."""
    return [
        gate
        for gates in (answered.gates, answered.soft)
        for gate in sorted(gates, key=lambda gate: -rank_grade(gate.grade))
    ]


def _rank_of(configuration: ConfigurationView) -> int:
    return 0 if configuration.grade is None else rank_grade(configuration.grade)


@dataclass(frozen=True)
class _Watched:
    """A video of the first screen.

    Parameters
    ----------
    trial : TrialView
    why : str
        Why this one is shown.
    """

    trial: TrialView
    why: str


def _watched(run: RunView, stage: Sequence[TrialView], say: Words) -> list[_Watched]:
    """Choose what the first screen plays: the configuration of the answer, beside another where there is a choice."""
    answer = run.answer
    whys = {
        Outcome.RECOMMENDED: "watch_recommended",
        Outcome.TIED: "watch_tied",
        Outcome.NONE: "watch_nearest",
    }
    why = say(whys[answer.outcome]) if answer.outcome in whys else ""
    if answer.configuration is None:
        return [_Watched(trial, "") for trial in stage[:1]]
    found = [_Watched(trial, why) for trial in stage if trial.configuration == answer.configuration]
    other = why if answer.outcome is Outcome.TIED else say("watch_other")
    return found + [_Watched(trial, other) for trial in stage if trial.configuration == answer.other]


def _posters(run: RunView) -> dict[str, TrialView]:
    """Return for each configuration that has one a trial with a still."""
    found: dict[str, TrialView] = {}
    for trial in run.trials:
        if trial.poster is not None:
            found.setdefault(trial.configuration, trial)
    return found


def _bands(run: RunView) -> dict[str, tuple[float | None, float | None]]:
    """Return where the metrics that are best in a band should lie: as the policy says, else where real speakers do."""
    found: dict[str, tuple[float | None, float | None]] = {}
    for name, metric in run.metrics.items():
        if metric.better == "band" and name in USUAL:
            ends = (USUAL[name].low, USUAL[name].high)
            found[name] = (
                None if math.isinf(ends[0]) else ends[0],
                None if math.isinf(ends[1]) else ends[1],
            )
    for rule in () if run.policy is None else run.policy.rules:
        if rule.metric in run.metrics and run.metrics[rule.metric].better == "band":
            found[rule.metric] = (rule.at_least, rule.at_most)
    return found


def _fronts(run: RunView, tag: str) -> tuple[list[FrontPlot], list[str]]:
    """Return the fronts that show anything, and a sentence for each that would not."""
    drawn, alike = [], []
    for front in run.fronts:
        words = describe_alike(front, tag)
        if words is None:
            drawn.append(plot_front(run, front, tag))
        else:
            alike.append(words)
    return drawn, alike


def _by_parameter(run: RunView) -> dict[str, list[EffectView]]:
    found: dict[str, list[EffectView]] = {}
    for effect in run.effects:
        found.setdefault(effect.parameter, []).append(effect)
    return {name: sorted(effects, key=lambda effect: _place(run, effect)) for name, effects in found.items()}


def _place(run: RunView, effect: EffectView) -> int:
    """Order the effects of a parameter by the step, metrics as they came."""
    return run.levels[effect.parameter].index(effect.before)


@dataclass
class _Maps:
    """Heat maps of a pair of parameters; what would show nothing is a sentence.

    Parameters
    ----------
    title : str
    main, more : list of HeatMap
        Of the main metrics, and of the others.
    alike : list of str
        Metrics that are the same everywhere, with their value.
    without : list of str
        Metrics without any value.
    """

    title: str
    main: list[HeatMap] = field(default_factory=list)
    more: list[HeatMap] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)


def _maps(run: RunView, tag: str) -> list[_Maps]:
    """Return the heat maps of each pair of parameters."""
    say, metrics = read_words(tag, "run"), metric_words(tag)
    found: dict[tuple[str, str | None], _Maps] = {}
    for shown in run.maps:
        across, down = shown.across, shown.down
        group = found.setdefault((across, down), _Maps(across if down is None else f"{across} × {down}"))
        alike = find_alike(shown)
        name = metrics.name(shown.metric)
        if alike is not None and alike.value is not None:
            told = metrics.value(shown.metric, alike.value, alike.unit)
            group.alike.append(say("map_alike", name=name, value=told))
        elif not has_values(shown):
            group.without.append(name)
        else:
            maps = group.main if shown.metric in run.main else group.more
            maps.append(heat_map(shown, run.metrics[shown.metric], tag))
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
