"""Pictures of a run: what they find, and that they can stand together on one page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure

from evalkit.analysis.run_analysis import RunAnalysis
from evalkit.plot_style import TEXT_COLOUR, new_figure, style_axes
from evalkit.reports.run_plots import draw_front, draw_heat_map
from evalkit.runs import Run
from evalkit.testing.runs import write_grid
from evalkit.views.configuration import FrontPointView, FrontView, map_view
from evalkit.views.figure import FigureView, metric_view
from evalkit.views.run import RunView, run_view
from evalkit.visuals.svg import figure_as_svg

METRIC = "lip_sync.error"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> RunAnalysis:
    return RunAnalysis.of(Run.open(write_grid(tmp_path_factory.mktemp("plots") / "run")))


@pytest.fixture(scope="module")
def view(tables: RunAnalysis) -> RunView:
    return run_view(tables, None)


def draw(tables: RunAnalysis, metric: str, across: str, down: str | None) -> tuple[Figure, str]:
    """Draw a heat map of a metric."""
    return draw_heat_map(map_view(tables, metric, across, down), metric_view(tables.metrics[metric]))


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_heat_map_finds_the_best_cell(tables: RunAnalysis) -> None:
    means = {(trial.params["size"], trial.params["sample_steps"]): [] for trial in tables.trials}  # type: dict[tuple[object, object], list[float]]
    for trial in tables.trials:
        means[trial.params["size"], trial.params["sample_steps"]].append(trial.metrics[METRIC].value)
    (size, steps), values = min(means.items(), key=lambda item: np.mean(item[1]))
    figure, finding = draw(tables, METRIC, "size", "sample_steps")
    assert finding == f"best mean {np.mean(values):.3g} at {size}, {steps}"
    assert texts(figure_as_svg(figure, "a", finding)).count("n = 4") == 9


def test_parameters_that_are_not_shown_are_pooled(tables: RunAnalysis) -> None:
    figure, _ = draw(tables, METRIC, "size", None)
    written = texts(figure_as_svg(figure, "a", "words"))
    assert [text for text in written if "n = " in text] == ["n = 12"] * 3  # 2 portraits crossed: no interval
    values = [trial.metrics[METRIC].value for trial in tables.trials if trial.params["size"] == "688*368"]
    assert f"{np.mean(values):.3g}" in written


def test_what_is_the_same_everywhere_has_no_best(tables: RunAnalysis) -> None:
    _, finding = draw(tables, "technical.face_coverage", "size", "sample_steps")
    assert finding == "1 everywhere"


def test_where_no_direction_is_better_the_range_is_told(tables: RunAnalysis) -> None:
    _, finding = draw(tables, "motion.amount_deg_s", "size", "sample_steps")
    assert re.fullmatch(r"from [\d.]+ to [\d.]+ deg/s", finding)


def test_what_was_never_measured_says_so(tables: RunAnalysis) -> None:
    figure, finding = draw(tables, "profile.peak_vram_mib", "size", "sample_steps")
    assert finding == "no value anywhere"
    assert texts(figure_as_svg(figure, "a", finding)).count("no value") == 9


def figure(metric: str, value: float) -> FigureView:
    return FigureView(metric, "1", "lower", value, None, 4, 4, "clips")


def test_a_front_names_and_counts_those_that_nothing_beats(view: RunView) -> None:
    # Error and seconds of three configurations: the third is beaten by the second in both, for sure.
    points = [(0.1, 9.0, True, False), (0.2, 3.0, True, False), (0.3, 4.0, False, True)]
    labels = [one.label for one in view.configurations]
    front = FrontView(
        METRIC,
        "profile.total_s",
        tuple(
            FrontPointView(
                label, figure(METRIC, error), figure("profile.total_s", total_s), is_best, is_beaten
            )
            for label, (error, total_s, is_best, is_beaten) in zip(labels, points, strict=False)
        ),
    )
    drawing, finding = draw_front(view, front)
    assert finding == "2 of 3 configurations are not clearly beaten by another"
    written = texts(figure_as_svg(drawing, "a", finding))
    assert "384*256, 2" in written
    assert "384*256, 3" in written
    assert "384*256, 4" not in written


def test_pictures_of_one_page_share_no_id(view: RunView) -> None:
    svgs = [
        figure_as_svg(draw_front(view, front)[0], f"f{place}", "") for place, front in enumerate(view.fronts)
    ]
    first, second = (set(re.findall(r' id="([^"]+)"', svg)) for svg in svgs)
    assert first
    assert first & second == set()
    for svg in svgs:
        known = set(re.findall(r' id="([^"]+)"', svg))
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg)) <= known


def test_inks_come_from_the_page_and_any_text_is_safe() -> None:
    figure = new_figure(3, 2)
    style_axes(figure.subplots(), title="<script>hit()</script>", x="a & b")
    svg = figure_as_svg(figure, "a", '"><script>')
    assert TEXT_COLOUR.lower() not in svg.lower()
    assert "var(--ink)" in svg
    assert "<script" not in svg
    assert "http" not in svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "<script>hit()</script>" in texts(svg)


def test_figures_of_many_levels_can_be_drawn(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=tuple(f"{64 * k}*64" for k in range(1, 13)), steps=(1, 2))
    figure, _ = draw(RunAnalysis.of(Run.open(folder)), METRIC, "size", "sample_steps")
    assert not any("n = " in text for text in texts(figure_as_svg(figure, "a", "")))
