"""Figures as SVG that takes its inks from the page around it, so that one picture serves light, dark and paper."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from evalkit.plot_style import GREY, SPINE, TEXT_COLOUR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

_INKS = {TEXT_COLOUR: "var(--ink)", GREY: "var(--muted)", SPINE: "var(--line)", "#000000": "var(--ink)"}
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>')
_FAMILY = re.compile(r"'DejaVu Sans'[^;\"]*")
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_EMPTY = re.compile(r"<defs>\s*</defs>|<g/>")
_GROUP_ID = re.compile(r'<g id="[^"]*"')


def figure_as_svg(figure: Figure, name: str, words: str, inks: Mapping[str, str] | None = None) -> str:
    """Return a figure as an ``<svg>`` element.

    Parameters
    ----------
    figure : Figure
    name : str
        Letters and digits, unlike any other of the same page: the ids inside begin with it.
    words : str
        What it shows, for those who do not see it. Any text.
    inks : mapping of str to str, optional
        Further colours and what of the page stands for them.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.text import Text

    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    # A name with dollars in it is a name, not a formula: in what is drawn already, and in what is made when drawing.
    for part in figure.findobj(Text):
        part.set_parse_math(False)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "text.parse_math": False}):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(text, metadata=nothing)  # savefig draws everything twice
    svg = text.getvalue()
    svg = svg[svg.index("<svg ") :]
    svg = _SIZE.sub(lambda found: _opening(found.group(1), words), svg, count=1)
    svg = _GROUP_ID.sub("<g", svg)
    svg = re.sub(r'(?<= id=")|(?<=url\(#)|(?<=href="#)', f"{name}-", svg)
    svg = svg.replace("xlink:href", "href")
    svg = _FAMILY.sub("var(--font)", svg)
    svg = _EMPTY.sub("", _STYLE.sub("", svg))
    svg = re.sub(r"\s+", " ", svg)
    for ink, variable in {**_INKS, **(inks or {})}.items():
        svg = re.sub(re.escape(ink), variable, svg, flags=re.IGNORECASE)
    return svg.strip()


def _opening(view_box: str, words: str) -> str:
    from markupsafe import escape

    width_pt = float(view_box.split()[2])
    return (
        f'<svg viewBox="{view_box}" role="img" aria-label="{escape(words)}" '
        f'style="width:{width_pt * 4 / 3:.0f}px" xmlns="http://www.w3.org/2000/svg">'
    )
