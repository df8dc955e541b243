"""The figures as a page of Markdown: a table for each group of cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.rating_simulation.figures import Figure

    Groups = Mapping[str, Sequence[Figure]]

_TITLE = """# What raters' answers are worth, tried with known truth

Made by `{command}`; the same
command gives the same figures. Raters are drawn whose bias, noise and honesty are known: an
honest one has a bias of mean 0 and spread 0.5, cut at ±1, and a noise of 0.4 to 1.0 points; scores are whole. Four
configurations have qualities of 2.2, 3.0, 3.6 and 4.2; six inputs (portraits) move all of them by 0.3 points and each clip by 0.15.
The truth of a mean is what all honest raters would say on average. Each rater does two attention checks (a clip of quality
1.2) and two hidden repeats. Intervals are of the answers that were kept.

- *random* draws scores, *constant* gives 3, *always 5* gives 5, *reversed* turns the scale round, *half-attentive* draws
  every second score.
- Pairs: qualities of 2.6, 3.2, 3.6 and 4.0 (two configurations: 3.0 and 3.6), a taste of each rater for each configuration
  of 0.3 points, a configuration's fortune with an input of 0.2; differences below 0.3 are not seen.

**{n_met} of {n_asked} figures are as asked.** A share in bold is outside of what is asked.
"""

_WHY = """
## What is missed, and why

- **half-attentive** raters are often not found. Half of their answers are worth what an honest rater's are, and the rest
  looks like much noise; a stricter test would lose honest raters instead. They do little harm: the intervals beside hold the
  truth as often as where all are honest, and P.910 weighs them by their inconsistency. More clips and more checks find more of
  them.
- **random** scores of a rater who saw twelve clips, and random choices between pairs, cannot be told for certain from those of
  an honest rater: the figure rises with what a rater sees.
- **two configurations that are nearly alike**: an honest rater's choices are nearly those of a coin, so that only checks tell
  cheats, and nothing forgives an honest rater who fails one. The broken clip of the simulation is less obvious than it should be.
- **8 raters who see half of the clips**: each clip has four raters. The intervals of quality and bias are a little wider than they
  need be, that of a rater's own inconsistency a little narrower. A clip's own mean opinion has no interval there: five raters are
  the least.
- Figures beside 93 and 97 % by less than a percent are within the chance of the simulation, or of an interval that is a little too wide.
"""


def write_page(groups: Groups, plans: Sequence[tuple[str, float, float]], command: str) -> str:
    """Write everything that was found."""
    asked = [figure for figures in groups.values() for figure in figures if figure.asked is not None]
    parts = [_TITLE.format(command=command, n_met=sum(figure.is_met for figure in asked), n_asked=len(asked))]
    parts += [f"## {name}\n\n{_table(figures)}" for name, figures in groups.items()]
    parts.append(
        "## Planning: half width of a configuration's interval, in points\n\n| case | planned | found |\n|---|--:|--:|\n"
        + "\n".join(f"| {case} | {planned:.2f} | {found:.2f} |" for case, planned, found in plans)
    )
    return "\n\n".join(part.strip() for part in [*parts, _WHY]) + "\n"


def _table(figures: Sequence[Figure]) -> str:
    cases = list(dict.fromkeys(figure.case for figure in figures))
    rows = list(dict.fromkeys(figure.what for figure in figures))
    found = {(figure.what, figure.case): figure for figure in figures}
    lines = [
        "| figure | asked | " + " | ".join(cases) + " |",
        "|---|--:|" + "--:|" * len(cases),
    ]
    for what in rows:
        asked = next(figure.asked for figure in figures if figure.what == what)
        cells = [_cell(found.get((what, case))) for case in cases]
        lines.append(f"| {what} | {_range(asked)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _range(asked: tuple[float, float] | None) -> str:
    if asked is None:
        return ""
    low, high = asked
    if low == 0.0:
        return f"≤ {100 * high:.0f} %"
    return f"≥ {100 * low:.0f} %" if high == 1.0 else f"{100 * low:.0f}–{100 * high:.0f} %"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    text = f"{100 * figure.value:.1f} %"
    return text if figure.is_met else f"**{text}**"
