"""The application's own pages as text: lists and words, no decision."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from evalkit.app.live.catalogue import ListedRun
from evalkit.app.live.trend_plot import draw_trend
from evalkit.decisions.judge import Grade
from evalkit.decisions.recommendation import Outcome
from evalkit.formatting import three_digits
from evalkit.reports.gate_lines import gate_lines, say_limit
from evalkit.reports.verdict import Verdict, verdict_of_outcome
from evalkit.runs.notes import Note
from evalkit.sweeps.progress import RunProgress
from evalkit.views.run_digest import GateDigest, RunDigest
from evalkit.views.trend import Change, TrendLine, TrendView
from evalkit.visuals.page import PageFrame, render, render_page
from evalkit.words.language import LANGUAGES, Words, read_words
from evalkit.words.metrics import MetricWords, metric_words

_TOPIC = "serve"
_MOST_UNMET = 3
_GOOD = {"recommended", "no_clear_winner"}
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
NOT_JUDGED, WORKING, RUNNING, UNREADABLE, RELEASED = (
    "not_judged",
    "working",
    "running",
    "unreadable",
    "released",
)
VERDICTS = (
    RELEASED,
    *(outcome.value.replace(" ", "_") for outcome in Outcome),
    NOT_JUDGED,
    RUNNING,
    UNREADABLE,
)
"""What the list can be filtered by."""


@dataclass(frozen=True)
class Asked:
    """What the list of runs is filtered by; empty for anything.

    Parameters
    ----------
    text, tag, generator, verdict, policy : str
    since, until : str
        Days, ISO 8601; both are included.
    """

    text: str = ""
    tag: str = ""
    generator: str = ""
    verdict: str = ""
    policy: str = ""
    since: str = ""
    until: str = ""

    @property
    def is_set(self) -> bool:
        """Whether anything is asked for."""
        return self != Asked()

    def fits(self, row: Row) -> bool:
        """Say whether a run is asked for."""
        run, digest = row.run, row.digest
        day = run.created_at[:10]
        policy = digest.policy if digest is not None and digest.policy else run.policy
        return (
            all(word in row.words for word in self.text.lower().split())
            and (not self.tag or self.tag in run.notes.tags)
            and (not self.generator or self.generator == run.generator)
            and (not self.verdict or self.verdict in row.kinds)
            and (not self.policy or self.policy == policy)
            and (not self.since or day >= self.since)
            and (not self.until or (bool(day) and day <= self.until))
        )


@dataclass(frozen=True)
class Row:
    """A run in the list.

    Parameters
    ----------
    run : ListedRun
    digest : RunDigest or None
    mark : Verdict
    kinds : frozenset of str
        Of `VERDICTS`.
    picture : str
        Address of its thumbnail; empty without one.
    date, progress, configuration, gates, unmet, signed : str
        In words; `unmet` names gates that do not pass.
    words : str
        What is searched, in small letters.
    """

    run: ListedRun
    digest: RunDigest | None
    mark: Verdict
    kinds: frozenset[str]
    picture: str
    date: str
    progress: str
    configuration: str
    gates: str
    unmet: str
    signed: str
    words: str


def words_of(language: str) -> Words:
    """Return the sentences of these pages."""
    return read_words(language, _TOPIC)


def content_security_policy(page: str) -> str:
    """Return the policy that a page forbids itself other things by, for its header; nobody may frame it.

    >>> content_security_policy('<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;">')
    "default-src 'none'; frame-ancestors 'none'"
    """
    found = _POLICY.search(page[:4000])
    own = html.unescape(found[1]) if found is not None else "default-src 'none'"
    return f"{own}; frame-ancestors 'none'"


def describe_progress(say: Words, progress: RunProgress) -> str:
    """Say how far a run is; a clip is done when it has a result, ok or failed."""
    skipped = f" · {say('progress_skipped', n=progress.n_skipped)}" if progress.n_skipped else ""
    return _describe_made(say, progress) + skipped


def _describe_made(say: Words, progress: RunProgress) -> str:
    done, n = progress.n_done, progress.n_planned
    if n == 0:
        return say("progress_none")
    if not progress.is_running:
        return say("progress_all", n=n) if done >= n else say("progress_some", done=done, n=n)
    if done >= n:
        return say("progress_measuring", n=n)
    if progress.left_s is None or progress.lately_s is None:
        return say("progress_begun", done=done, n=n)
    left, lately = _span(say, "left", progress.left_s), _span(say, "for", progress.lately_s)
    return say("progress_running", done=done, n=n, left=left, lately=lately)


def _span(say: Words, kind: str, seconds: float) -> str:
    if seconds < 90:
        return say(f"{kind}_s", n=max(1, round(seconds)))
    if seconds < 90 * 60:
        return say(f"{kind}_min", n=round(seconds / 60))
    return say(f"{kind}_h", n=three_digits(seconds / 3600))


def make_row(say: Words, run: ListedRun, digest: RunDigest | None, *, has_picture: bool) -> Row:
    """Return how a run stands in the list."""
    signed = "" if digest is None or digest.verdict is None else _signed(say, digest)
    mark, kinds = _mark(say, run, digest)
    shown = digest.configuration if digest is not None and digest.n_configurations > 1 else ""
    gates = [] if digest is None else digest.gates
    passed = sum(one.gate.grade is Grade.PASSES for one in gates)
    texts = (
        run.name,
        run.generator,
        run.policy,
        *run.notes.tags,
        *(note.text for note in run.notes.notes[-5:]),
    )
    return Row(
        run=run,
        digest=digest,
        mark=mark,
        kinds=kinds,
        picture=f"/thumb/{run.address}?v={run.key[:12]}" if has_picture else "",
        date=run.created_at[:16].replace("T", " "),
        progress=describe_progress(say, run.progress),
        configuration=shown,
        gates=say("gates_passed", n=passed, of=len(gates)) if gates else "",
        unmet=_name_unmet(say, gates),
        signed=signed,
        words=" ".join((*texts, mark.word)).lower(),
    )


def _name_unmet(say: Words, gates: Sequence[GateDigest]) -> str:
    """Name the gates that do not pass, those that fail first, and how many more there are."""
    unmet = [one.gate for one in gates if one.gate.grade is not Grade.PASSES]
    lines = gate_lines(sorted(unmet, key=lambda gate: gate.grade is not Grade.FAILS), say.tag)
    joint = "；" if say.tag.startswith("zh") else "; "
    words = joint.join(f"{line.verdict.symbol} {line.name}" for line in lines[:_MOST_UNMET])
    return words + (say("and_more", n=len(lines) - _MOST_UNMET) if len(lines) > _MOST_UNMET else "")


def _mark(say: Words, run: ListedRun, digest: RunDigest | None) -> tuple[Verdict, frozenset[str]]:
    if run.problem:
        word = say("verdict_outside" if run.is_outside else "verdict_unreadable")
        return Verdict("✗", word, "fail"), frozenset({UNREADABLE})
    if run.is_running:
        return Verdict("…", say("verdict_running"), "neutral"), frozenset({RUNNING})
    if digest is None:
        return Verdict("…", say("verdict_working"), "neutral"), frozenset({WORKING})
    kind, judged = _judged(say, digest)
    if not digest.is_release:
        return judged, frozenset({kind})
    return Verdict("✓", say("verdict_released"), "pass"), frozenset({kind, RELEASED})


def _judged(say: Words, digest: RunDigest) -> tuple[str, Verdict]:
    """Return how a run comes out as it is judged today, one of `VERDICTS` and in words."""
    if digest.outcome is None:
        return NOT_JUDGED, Verdict("·", say("verdict_not_judged"), "neutral")
    kind = digest.outcome.value.replace(" ", "_")
    is_one = digest.n_configurations == 1 and digest.outcome in {Outcome.RECOMMENDED, Outcome.NONE}
    return kind, replace(
        verdict_of_outcome(digest.outcome), word=say(f"verdict_{kind}_alone" if is_one else f"verdict_{kind}")
    )


def _signed(say: Words, digest: RunDigest) -> str:
    verdict = digest.verdict
    if verdict is None:
        return ""
    decision = read_words(say.tag, "pages").sentences.get(f"verdict {verdict.decision}", verdict.decision)
    told = {"date": verdict.judged_at[:10], "decision": decision}
    if verdict.problems:
        return say("signed_broken", **told)
    if verdict.configuration is None:
        return say("signed_gone", **told)
    is_shown = verdict.configuration == digest.configuration
    what = "" if is_shown else say("signed_what", configuration=verdict.configuration)
    words = say("signed", what=what, **told)
    kind, judged = _judged(say, digest)
    if not digest.is_release or kind in _GOOD:
        return words
    return f"{words} {say('judged_today', verdict=judged)}"


# --- pages


def bar(
    language: str,
    here: str,
    address: str,
    query: Sequence[tuple[str, str]],
    *,
    run: ListedRun | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return what stands above a page.

    Parameters
    ----------
    language : str
    here : str
        Which page it is.
    address : str
        Of the page, without its query.
    query : sequence of (str, str)
    run : ListedRun, optional
        Whose page it is.
    notes : sequence of str
        Sentences that stand before everything else.
    """
    say = words_of(language)
    kept = [(name, value) for name, value in query if name != "language"]
    return render(
        __package__,
        "bar.html.j2",
        say=say,
        here=here,
        run=run,
        progress="" if run is None else describe_progress(say, run.progress),
        notes=notes,
        languages=[(tag, words_of(tag)("language_name")) for tag in LANGUAGES],
        in_language=lambda tag: f"{address}?{urlencode([*kept, ('language', tag)])}",
        css=Markup(_read("bar.css")),  # noqa: S704 - a file of this package
    )


def runs_page(
    language: str,
    bar_above: str,
    rows: Sequence[Row],
    asked: Asked,
    *,
    problem: str,
    n_waiting: int,
    refresh_s: int,
) -> str:
    """Return the list of runs."""
    say = words_of(language)
    shown = [row for row in rows if asked.fits(row)]
    return _page(
        "runs.html.j2",
        language,
        bar_above,
        title=say("runs_title"),
        script=_read("runs.js"),
        runs=shown,
        n_all=len(rows),
        asked=asked,
        options=_options(say, rows),
        problem=problem,
        n_waiting=n_waiting,
        refresh_s=refresh_s,
    )


def _options(say: Words, rows: Sequence[Row]) -> dict[str, list[tuple[str, str]]]:
    def same(values: set[str]) -> list[tuple[str, str]]:
        return [(value, value) for value in sorted(values) if value]

    policies = {
        row.digest.policy if row.digest is not None and row.digest.policy else row.run.policy for row in rows
    }
    there = {kind for row in rows for kind in row.kinds}
    return {
        "tag": same({tag for row in rows for tag in row.run.notes.tags}),
        "generator": same({row.run.generator for row in rows}),
        "verdict": [(kind, say(f"verdict_{kind}")) for kind in VERDICTS if kind in there],
        "policy": same(policies),
    }


def notes_page(
    language: str,
    bar_above: str,
    run: ListedRun,
    *,
    rating: str = "",
    links: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the page on which notes and tags of a run are written.

    Parameters
    ----------
    language, bar_above, run
    rating : str
        Address of how far its raters are; empty where nobody was asked.
    links : sequence of (str, str)
        Raters who were just invited, each with a link.
    """
    title = words_of(language)("notes_title", name=run.name)
    return _page(
        "notes.html.j2", language, bar_above, title=title, run=run, id_of=id_of, rating=rating, links=links
    )


def choose_page(
    language: str,
    bar_above: str,
    runs: Sequence[ListedRun],
    chosen: Mapping[str, str],
    *,
    wrong: bool,
    detail: str = "",
) -> str:
    """Return the page on which two runs are chosen.

    Parameters
    ----------
    language, bar_above : str
    runs : sequence of ListedRun
    chosen : mapping of str to str
        What its fields begin with: ``a`` and ``b`` are addresses of runs; ``split`` and ``where`` are as they were asked for.
    wrong : bool
        Whether what was asked for cannot be compared.
    detail : str
        Why, in English; empty where two runs are missing.
    """
    say = words_of(language)
    return _page(
        "choose.html.j2",
        language,
        bar_above,
        title=say("compare_title"),
        runs=[run for run in runs if not run.problem],
        chosen={"a": "", "b": "", "split": "", "where": "", **chosen},
        wrong=say("compare_need_two") if wrong and not detail else "",
        detail=detail,
    )


def message_page(
    language: str,
    bar_above: str,
    title: str,
    text: str,
    *,
    detail: str = "",
    refresh_s: int = 0,
    has_way_back: bool = True,
) -> str:
    """Return a page with a sentence.

    Parameters
    ----------
    language, bar_above, title, text : str
    detail : str
        In English: an error's own words.
    refresh_s : int
        After so many seconds it is asked for again; 0 for never.
    has_way_back : bool
        Whether it leads to the list.
    """
    return _page(
        "message.html.j2",
        language,
        bar_above,
        title=title,
        text=text,
        detail=detail,
        refresh_s=refresh_s,
        has_way_back=has_way_back,
    )


def id_of(note: Note) -> str:
    """Return what names a note in a form."""
    return hashlib.sha256(repr(note).encode("utf-8", "surrogatepass")).hexdigest()[:16]


# --- the trend


def trend_page(
    language: str,
    bar_above: str,
    view: TrendView,
    options: Sequence[tuple[str, str, Sequence[tuple[str, str]], str]],
    *,
    policy: str,
    n_waiting: int,
    has_no_release: bool,
    refresh_s: int,
) -> str:
    """Return the course of each gate.

    Parameters
    ----------
    language, bar_above : str
    view : TrendView
    options : sequence of (name, label, values with words, chosen)
        What can be filtered by.
    policy : str
        In words.
    n_waiting : int
        Runs that are not known yet.
    has_no_release : bool
    refresh_s : int
        As of `runs_page`.
    """
    say, metrics = words_of(language), metric_words(language)
    notes = [say("trend_waiting", n=n_waiting)] if n_waiting else []
    if view.runs and has_no_release:
        notes.append(say("trend_no_release"))
    if not view.runs and not n_waiting:
        is_filtered = any(chosen for name, _, _, chosen in options if name in {"tag", "generator"})
        notes.append(say("none_fits" if is_filtered else "trend_none"))
    if len(view.runs) == 1:
        notes.append(say("trend_one"))
    sentence, mark = _sentence(say, metrics, view)
    if sentence and view.baseline is not None and (n := _count_not_compared(view)) and n < len(view.lines):
        notes.append(say("trend_not_compared", n=n, of=len(view.lines)))
    n_released = sum(run.is_release for run in view.runs)
    return _page(
        "trend.html.j2",
        language,
        bar_above,
        title=say("trend_title"),
        subtitle=say("trend_sub", n=len(view.runs), released=n_released, policy=policy) if view.runs else "",
        options=options,
        refresh_s=refresh_s,
        base=None if view.baseline is None else view.runs[view.baseline],
        newest=view.runs[-1] if view.runs else None,
        sentence=sentence,
        mark=mark,
        notes=notes,
        view=view,
        lines=[_describe(say, metrics, view, line) for line in view.lines],
    )


def _count_not_compared(view: TrendView) -> int:
    return sum(line.change in {Change.NOT_MEASURED, Change.OTHER_VERSION} for line in view.lines)


def _sentence(say: Words, metrics: MetricWords, view: TrendView) -> tuple[str, Verdict | None]:
    """Say in one sentence what the newest run is against the last release."""
    if not view.runs or len(view.runs) < 2:
        return "", None
    newest = view.runs[-1]
    if view.baseline is None:
        return (say("trend_sentence_first", name=newest.name), None) if newest.is_release else ("", None)
    base = view.runs[view.baseline].name
    named = {
        change: [metrics.name(line.metric) for line in view.lines if line.change is change]
        for change in Change
    }
    joint = "、" if say.tag.startswith("zh") else "; "
    if named[Change.WORSE]:
        words = say(
            "trend_sentence_worse", name=newest.name, base=base, worse=joint.join(named[Change.WORSE])
        )
        return words, Verdict("▼", say("mark_worse"), "fail")
    if named[Change.BETTER]:
        words = say(
            "trend_sentence_better", name=newest.name, base=base, better=joint.join(named[Change.BETTER])
        )
        return words, Verdict("▲", say("mark_better"), "pass")
    if not named[Change.OPEN] and not named[Change.BOTH_WITHIN]:
        words = say("trend_sentence_not_compared", name=newest.name, base=base)
        return words, Verdict("–", say("mark_none"), "neutral")
    words = say("trend_sentence_same", name=newest.name, base=base)
    return words, Verdict("?", say("mark_same"), "neutral")


def _describe(say: Words, metrics: MetricWords, view: TrendView, line: TrendLine) -> dict[str, object]:
    name = metrics.name(line.metric)
    notes = []
    if len(line.versions) > 1:
        notes.append(say("trend_versions", n=len(line.versions)))
    if line.has_other_limits:
        notes.append(say("trend_limits"))
    cells = [_cell(say, metrics, line, place) for place in range(len(view.runs))]

    def tell(place: int) -> str:
        cell, run = cells[place], view.runs[place]
        return " ".join(filter(None, (f"{run.name}, {run.at[:10]}:", cell["value"], cell["interval"])))

    then = "" if view.baseline is None else cells[view.baseline]["value"]
    mark, change = _describe_change(say, line, then)
    drawing = draw_trend(line, view.runs, view.baseline, f"{name}: {mark.word} {change}", tell)
    return {
        "metric": line.metric,
        "name": name,
        "now": _describe_now(say, line),
        "mark": mark,
        "change": change,
        "notes": notes,
        "cells": cells,
        "drawing": drawing if drawing.dots else None,
    }


def _cell(say: Words, metrics: MetricWords, line: TrendLine, place: int) -> dict[str, str]:
    figure = line.points[place].figure
    if figure is None or figure.value is None:
        return {"value": say("no_value"), "interval": ""}
    interval = ""
    if figure.interval is not None:
        interval = f"[{three_digits(figure.interval[0])}, {three_digits(figure.interval[1])}]"
    return {"value": metrics.value(line.metric, figure.value, figure.unit), "interval": interval}


def _describe_now(say: Words, line: TrendLine) -> str:
    """Say what the newest run has, in the words of its report."""
    gate = line.newest.gate
    if gate is None:
        return say("trend_now_no_gate")
    (now,) = gate_lines([gate], say.tag)
    return say("trend_now", told=now.told, limit=say_limit(gate, metric_words(say.tag)))


def _describe_change(say: Words, line: TrendLine, then: str) -> tuple[Verdict, str]:
    words = say(f"trend_change_{line.change.value.replace(' ', '_')}", then=then)
    match line.change:
        case Change.BETTER:
            return Verdict("▲", say("mark_better"), "pass"), words
        case Change.WORSE:
            return Verdict("▼", say("mark_worse"), "fail"), words
        case Change.OPEN:
            return Verdict("?", say("mark_same"), "neutral"), words
        case Change.BOTH_WITHIN:
            return Verdict("=", say("mark_within"), "neutral"), words
        case _:
            return Verdict("–", say("mark_none"), "neutral"), words


def _page(template: str, language: str, bar_above: str, *, script: str = "", **context: Any) -> str:
    return render_page(
        __package__,
        template,
        script=script,
        style=_read("live.css"),
        frame=PageFrame(language, bar_above),
        topics=(_TOPIC,),
        has_forms=True,
        **context,
    )


def with_bar(page: str, placeholder: str, bar_above: str) -> str:
    """Put a reader's own bar into a page that was drawn for everybody."""
    return page.replace(placeholder, bar_above, 1)


@cache
def _read(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text("utf-8")
