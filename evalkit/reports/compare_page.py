"""A comparison as a page: which is better and the pair that shows it, then what was found, then all the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.decisions.comparison import Conclusion, Family
from evalkit.formatting import three_digits
from evalkit.reports.gate_lines import join_names
from evalkit.reports.stage import player_script, player_style, stage_clip
from evalkit.reports.verdict import verdict_of_conclusion
from evalkit.visuals.page import PLAIN_FRAME, PageFrame, render_page
from evalkit.words.language import LANGUAGES, read_words
from evalkit.words.metrics import metric_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.reports.stage import StagedClip
    from evalkit.views.comparison import ComparisonView, MetricComparisonView, PairView
    from evalkit.words.language import Words
    from evalkit.words.metrics import MetricWords

MINUS = "\u2212"
_WIDTH, _HEIGHT = 180, 22
_FOUND = (Conclusion.BETTER, Conclusion.WORSE)
_SAID = (
    Conclusion.NOT_COMPARED,
    Conclusion.NO_DIFFERENCE,
    Conclusion.NOT_WORSE,
    Conclusion.NOT_ENOUGH,
    Conclusion.NOT_JUDGED,
)
_FOLDED = {Conclusion.NO_DIFFERENCE, Conclusion.NOT_COMPARED}
_N_TOLD = 3
"""Metrics whose values stand below each clip of a pair."""


@dataclass(frozen=True)
class ShownPair:
    """Two clips beside each other.

    Parameters
    ----------
    name, gain : str
        What they share, and which is better in what, in words.
    clips : tuple of StagedClip
    """

    name: str
    gain: str
    clips: tuple[StagedClip, ...]


def render_comparison(view: ComparisonView, *, frame: PageFrame = PLAIN_FRAME) -> str:
    """Return a self-contained HTML page; it shows the videos to which the frame leads."""
    say, metrics = read_words(frame.language, "pages", "player", "compare"), metric_words(frame.language)
    asked, seen = view.of(Family.PRIMARY), view.of(Family.EXPLORATORY)
    pairs = [_show_pair(view, pair, frame, say, metrics) for pair in view.pairs]
    return render_page(
        __package__,
        "comparison.html.j2",
        frame=frame,
        topics=("player", "compare"),
        script=player_script() if any(clip.address for pair in pairs for clip in pair.clips) else "",
        style=player_style(),
        title=say("compare_title"),
        view=view,
        headline=write_headline(view, say, metrics),
        pairs=pairs,
        n_more=max(0, view.n_pairs - len(pairs)),
        found=[one for one in asked if one.conclusion not in _FOLDED],
        folded=[one for one in asked if one.conclusion in _FOLDED],
        seen=seen,
        tell=lambda one: tell_difference(one, say, metrics),
        tell_side=lambda figure: _tell(figure.metric, figure.value, figure.unit, metrics),
        verdict_of=lambda one: verdict_of_conclusion(one.conclusion).said_in(say),
        place_interval=place_interval,
        write_p=write_p,
        height=_HEIGHT,
        width=_WIDTH,
    )


def write_headline(view: ComparisonView, say: Words, metrics: MetricWords) -> str:
    """Say what is known of what was asked beforehand, in sentences that a manager can repeat; then what was lost."""
    if not view.n_pairs and not any(_is_of_sessions(one) for one in view.metrics):
        return say("nothing_paired")
    asked: dict[Conclusion, list[MetricComparisonView]] = {}
    for one in view.of(Family.PRIMARY):
        if one.conclusion in _FOUND or not _says_nothing(one):
            asked.setdefault(one.conclusion, []).append(one)
    said = []
    better, worse = (
        join_names([metrics.name(one.metric) for one in asked.get(kind, ())], say) for kind in _FOUND
    )
    if better or worse:
        key = "b_both" if better and worse else "b_better" if better else "b_worse"
        over = _say_over([one for kind in _FOUND for one in asked.get(kind, ())], view, say)
        said.append(say(key, better=better, worse=worse, pairs=over))
    for kind in _SAID:
        found = asked.get(kind, [])
        if not found or (kind is Conclusion.NOT_JUDGED and said):
            continue
        names = join_names([metrics.name(one.metric) for one in found], say)
        sentence = say(f"b_{kind.name.lower()}", names=names, pairs=_say_over(found, view, say))
        told = tell_difference(found[0], say, metrics) if len(found) == 1 else ""
        reason = found[0].difference.reason
        if told and reason and say.tag == LANGUAGES[0]:  # reasons are English; other languages unfold them
            told += f"; {reason}"
        said.append(
            say("with_difference", sentence=sentence, told=told) if told else say("alone", sentence=sentence)
        )
    for one in view.of(Family.PRIMARY):
        if one.difference.n and (one.missing.n_a or one.missing.n_b):
            values = {"name": metrics.name(one.metric), "a": one.missing.n_a, "b": one.missing.n_b}
            said.append(say("missing_values", **values, pairs=one.missing.n_pairs))
    lost = (
        ("lost_partner", view.unpaired_a, view.unpaired_b),
        ("lost_failed", view.failed_a, view.failed_b),
        ("lost_absent", view.absent_a, view.absent_b),
    )
    said += [say(key, a=len(in_a), b=len(in_b)) for key, in_a, in_b in lost if in_a or in_b]
    return say("between_sentences").join(said or [say("nothing_compared")])


def _is_of_sessions(one: MetricComparisonView) -> bool:
    """Say whether a metric is an outcome of live trials."""
    return "sessions" in {one.a.counted, one.b.counted}


def _say_over(found: Sequence[MetricComparisonView], view: ComparisonView, say: Words) -> str:
    """Say what metrics are compared over: pairs of clips, or the sessions of each side."""
    sessions = [one for one in found if _is_of_sessions(one)]
    if not sessions:
        return say("over_pairs", n=view.n_pairs)
    over = say("over_sessions", a=sessions[0].a.n, b=sessions[0].b.n)
    if len(sessions) == len(found):
        return over
    return say("and", first=say("over_pairs", n=view.n_pairs), last=over)


def tell_difference(one: MetricComparisonView, say: Words, metrics: MetricWords) -> str:
    """Tell the difference of the plain values over the pairs, with its interval; empty where there is none.

    What is judged may be something else, such as the distance to a band: the table says that.
    """
    moved = one.moved
    if moved.value is None:
        return ""
    if one.is_equal:
        return say("equal_pairs", n=moved.n)
    size = _amount(one.metric, abs(moved.value), one.unit, say, metrics)
    key = "even" if moved.value == 0 else "higher" if moved.value > 0 else "lower"
    if moved.interval is None:
        return say(f"{key}_alone", size=size)
    low, high = (_signed(one.metric, end, one.unit, say, metrics) for end in moved.interval)
    return say(key, size=size, low=low, high=high)


def place_interval(compared: MetricComparisonView) -> dict[str, float] | None:
    """Return where interval, value and margin stand about zero, in pixels of a scale of the row's own.

    None where there is nothing to draw.
    """
    interval, value = compared.difference.interval, compared.difference.value
    if interval is None or value is None:
        return None
    reach = 1.15 * max(abs(interval[0]), abs(interval[1]), compared.margin or 0.0)
    if reach == 0:
        return None

    def across(number: float) -> float:
        return _WIDTH / 2 * (1 + number / reach)

    places = {"low": across(interval[0]), "high": across(interval[1]), "value": across(value)}
    if compared.margin is not None:
        places |= {"margin_low": across(-compared.margin), "margin_high": across(compared.margin)}
    return places


def write_p(p: float | None) -> str:
    """Write a probability; nothing where nothing was tested.

    >>> write_p(0.0004), write_p(0.0312), write_p(None)
    ('< 0.001', '0.031', '')
    """
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _show_pair(
    view: ComparisonView, pair: PairView, frame: PageFrame, say: Words, metrics: MetricWords
) -> ShownPair:
    units = _units_of(view, pair)
    gain = ""
    if pair.gain is not None:
        key = "pair_equal" if pair.gain == 0 else "pair_better" if pair.gain > 0 else "pair_worse"
        size = _amount(pair.metric, abs(pair.gain), units[pair.metric], say, metrics)
        gain = say(key, name=metrics.name(pair.metric), size=size)
    sides = zip(("A", "B"), (pair.a, pair.b), strict=True)
    return ShownPair(
        pair.name,
        gain,
        tuple(stage_clip(clip, title, frame, metrics, units, is_beside=True) for title, clip in sides),
    )


def _units_of(view: ComparisonView, pair: PairView) -> dict[str, str]:
    """Return the metrics that are told of a pair, with their units: the one by which it was chosen first."""
    units = {one.metric: one.unit for one in view.metrics}
    asked = (one.metric for one in view.of(Family.PRIMARY))
    told = [name for name in asked if name in pair.a.values or name in pair.b.values]
    return {name: units[name] for name in dict.fromkeys((pair.metric, *told[:_N_TOLD]))}


def _says_nothing(one: MetricComparisonView) -> bool:
    """Say whether it is an error rate without any error, which is in every table and answers no question."""
    return one.metric == "profile.error_rate" and one.a.value == one.b.value


def _tell(metric: str, value: float | None, unit: str, metrics: MetricWords) -> str:
    return "" if value is None else metrics.value(metric, value, unit)


def _amount(metric: str, size: float, unit: str, say: Words, metrics: MetricWords) -> str:
    """Tell the size of a difference: 12 ms, and not 12 ms late as a value would be told."""
    if "{percent}" in metrics.entries.get(metric, {}).get("value", ""):
        return say("points", n=three_digits(100 * size))
    return metrics.value("", size, unit)


def _signed(metric: str, value: float, unit: str, say: Words, metrics: MetricWords) -> str:
    told = _amount(metric, abs(value), unit, say, metrics)
    return told if value == 0 else f"{'+' if value > 0 else MINUS}{told}"
