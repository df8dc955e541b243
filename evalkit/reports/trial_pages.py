"""Every trial of a run as rows and details: the first in the page itself, the others packed until somebody asks for them."""

from __future__ import annotations

import base64
import json
import math
import zlib
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

from evalkit.analysis.table import level_text
from evalkit.formatting import three_digits
from evalkit.reports.stage import name_moment
from evalkit.reports.verdict import verdict_of_clip_limit, verdict_of_trial
from evalkit.views.trial import EvidenceView
from evalkit.visuals.numbers import bracket, unit_suffix
from evalkit.visuals.page import load_macros
from evalkit.words.language import read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from evalkit.reports.timelines import Timelines
    from evalkit.reports.verdict import Verdict
    from evalkit.views.figure import FigureView
    from evalkit.views.run import RunView
    from evalkit.views.trial import ClipLimitView, TrialView

N_SHOWN = 100
"""Trials on a page of the table: so many are in the page itself, and read without JavaScript."""


class DrawnTrial(NamedTuple):
    """A trial as markup.

    Parameters
    ----------
    row : Markup
        Of the table.
    details : Markup
        What unfolds below the table.
    """

    row: Markup
    details: Markup


class TrialPages(NamedTuple):
    """The trials of a run.

    Parameters
    ----------
    given : tuple of str
        Which of portrait, speech and seed have a column.
    shown : list of DrawnTrial
        The first `N_SHOWN`.
    n_more : int
    more : str
        The others, see `pack_trials`; empty where there are none.
    """

    given: tuple[str, ...]
    shown: list[DrawnTrial]
    n_more: int
    more: str


def draw_trials(
    run: RunView,
    timelines: Timelines,
    moment_tracks: Mapping[str, str],
    staged: Collection[str],
    *,
    language: str,
) -> TrialPages:
    """Draw every trial of a run.

    Parameters
    ----------
    run : RunView
    timelines : Timelines
    moment_tracks : mapping of str to str
        Worst moments as WebVTT files, by trial.
    staged : collection of str
        Ids of the trials that stand side by side at first.
    language : str
        One of `evalkit.words.language.LANGUAGES`.
    """
    drawer = _Drawer(run, timelines, moment_tracks, staged, language)
    drawn = [drawer.draw(trial) for trial in run.trials]
    more = drawn[N_SHOWN:]
    return TrialPages(drawer.given, drawn[:N_SHOWN], len(more), pack_trials(more) if more else "")


def pack_trials(trials: Sequence[DrawnTrial]) -> str:
    """Return the base64 of the deflated JSON of rows and details: a tenth of the text, and nothing a browser parses."""
    text = json.dumps(trials, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def unpack_trials(text: str) -> list[DrawnTrial]:
    """Return what `pack_trials` was given."""
    return [DrawnTrial(*one) for one in json.loads(zlib.decompress(base64.b64decode(text)))]


class _Drawer:
    """Draws trials; what is the same in all of them is drawn once."""

    def __init__(
        self,
        run: RunView,
        timelines: Timelines,
        moment_tracks: Mapping[str, str],
        staged: Collection[str],
        language: str,
    ) -> None:
        self.given = tuple(
            name
            for name in ("portrait", "speech", "seed")
            if any(getattr(trial, name) is not None for trial in run.trials)
        )
        self._run = run
        self._timelines = timelines
        self._moment_tracks = moment_tracks
        self._staged = staged
        self._say = read_words(language, "pages", "run", "player")
        self._metrics = metric_words(language)
        self._macros = load_macros(
            __package__,
            "trial.html.j2",
            say=self._say,
            metrics=self._metrics,
            name_all=lambda names: self._say("list_comma").join(map(self._metrics.name, names)),
            name_moment=partial(name_moment, tag=language),
        )
        self._heads = {name: self._macros.name_metric(metric) for name, metric in run.metrics.items()}
        self._units = {name: escape(unit_suffix(metric.unit)) for name, metric in run.metrics.items()}
        self._marks: dict[Verdict, Markup] = {}
        self._limits: dict[ClipLimitView, Markup] = {}

    def draw(self, trial: TrialView) -> DrawnTrial:
        verdict = verdict_of_trial(trial, has_policy=self._run.policy is not None)
        mark = self._mark(verdict)
        is_staged = trial.id in self._staged
        given = [getattr(trial, name) for name in self.given]
        texts = [level_text(trial.params.get(name)) for name in self._run.levels]
        texts += ["–" if value is None else value for value in given]
        main = [(trial.figures[name], self._alarm(trial, name)) for name in self._run.main]
        figures = Markup("".join(self._figure(trial, figure) for figure in trial.measured))  # noqa: S704 - escaped
        pictures = self._pictures(trial)
        links = [*trial.files, *(evidence.path for evidence in trial.evidence if not evidence.is_picture)]
        links += [self._moment_tracks[trial.id]] if trial.id in self._moment_tracks else []
        return DrawnTrial(
            self._macros.row(trial, mark, is_staged, texts, main),
            self._macros.details(trial, mark, is_staged, figures, pictures, links),
        )

    def _mark(self, verdict: Verdict) -> Markup:
        if verdict not in self._marks:
            self._marks[verdict] = self._macros.mark(verdict.said_in(self._say))
        return self._marks[verdict]

    def _alarm(self, trial: TrialView, metric: str) -> Verdict | None:
        limit = trial.limits.get(metric)
        return None if limit is None or limit.is_met else verdict_of_clip_limit(limit).said_in(self._say)

    def _figure(self, trial: TrialView, figure: FigureView) -> str:
        """Write a figure as a row: metric, value, interval, n, seen, and verdict with limit.

        There are twenty in every trial: a template takes ten times as long, most of it to escape digits.
        """
        value = three_digits(0.0 if figure.value is None else figure.value)
        seen = "" if figure.coverage is None else f"{100 * figure.coverage:.0f} %"
        limit = trial.limits.get(figure.metric)
        return (
            f"<tr>{self._heads[figure.metric]}<td>{value}{self._units[figure.metric]}"
            f"<td>{bracket(figure.interval)}<td>{figure.n or ''}<td>{seen}"
            f"<td>{'' if limit is None else self._limit(limit)}\n"
        )

    def _limit(self, limit: ClipLimitView) -> Markup:
        if limit not in self._limits:
            low = -math.inf if limit.at_least is None else limit.at_least
            high = math.inf if limit.at_most is None else limit.at_most
            asked = self._metrics.limit("", low, high, limit.unit)
            self._limits[limit] = self._mark(verdict_of_clip_limit(limit)) + f" {asked}"
        return self._limits[limit]

    def _pictures(self, trial: TrialView) -> list[EvidenceView]:
        pictures = [picture for picture in trial.evidence if picture.is_picture]
        path = self._timelines.paths.get(trial.id)
        return [
            *pictures,
            *([] if path is None else [EvidenceView(path, self._say("memory_picture"), is_picture=True)]),
        ]
