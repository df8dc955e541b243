"""One visual language for every picture: system fonts, one accent, series colours safe for colour-blind readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

# M. Okabe, K. Ito, "Color universal design", 2008.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#6B7280"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
TEXT_COLOUR = "#1F2933"
SPINE = "#C7CDD4"


def new_figure(width_in: float, height_in: float) -> Figure:
    """Make a figure without touching pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), dpi=110, layout="constrained")


def lay_out(
    figure: Figure,
    grid: GridSpec,
    *,
    left: float,
    right: float,
    bottom: float,
    top: float,
    across: float,
    down: float,
) -> None:
    """Place the axes of a grid: margins, and what is between two axes beside and below each other, inches.

    To find out from the texts how much room they take costs more than to draw them.
    """
    figure.set_layout_engine("none")
    width_in, height_in = figure.get_size_inches()
    wide_in = (width_in - left - right - across * (grid.ncols - 1)) / grid.ncols
    high_in = (height_in - bottom - top - down * (grid.nrows - 1)) / grid.nrows
    grid.update(
        left=left / width_in,
        right=1 - right / width_in,
        bottom=bottom / height_in,
        top=1 - top / height_in,
        wspace=across / wide_in,
        hspace=down / high_in,
    )


def style_axes(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Give an axes its words and take away what is not data."""
    axes.set_title(title, loc="left", fontsize=11, color=TEXT_COLOUR)
    axes.set_xlabel(x, fontsize=9, color=TEXT_COLOUR)
    axes.set_ylabel(y, fontsize=9, color=TEXT_COLOUR)
    axes.tick_params(labelsize=8, colors=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SPINE)


def label_at_end(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    """Name a line where it ends."""
    axes.annotate(
        text,
        (x, y),
        xytext=(5, 0),
        textcoords="offset points",
        color=colour,
        fontsize=9,
        va="center",
        annotation_clip=False,
    )


def svg_of(figure: Figure) -> str:
    """Return a figure as an SVG file, drawn once: ``savefig`` draws everything twice."""
    from io import StringIO

    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(file, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return file.getvalue()


def png_of(figure: Figure) -> bytes:
    """Return a figure as a PNG file, drawn once as by `svg_of`."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(file)
    return file.getvalue()
