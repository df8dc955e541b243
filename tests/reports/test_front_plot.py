"""Quality against cost: what is found, where it stands, and that any text is safe."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evalkit.decisions.analyse import analyse_run
from evalkit.decisions.policy import load_policy
from evalkit.reports.front_plot import FrontPlot, describe_alike, plot_front, round_values
from evalkit.runs import Run
from evalkit.testing.runs import write_grid
from evalkit.views.configuration import FrontPointView, FrontView
from evalkit.views.figure import FigureView
from evalkit.views.run import RunView, run_view
from evalkit.visuals.page import load_macros

METRIC = "lip_sync.error"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("plots") / "run")


@pytest.fixture(scope="module")
def view(folder: Path) -> RunView:
    policy = load_policy("customer_service")
    return run_view(analyse_run(Run.open(folder), policy), policy)


def figure(metric: str, value: float, interval: tuple[float, float] | None = None) -> FigureView:
    return FigureView(metric, "1", "lower", value, interval, 4, 4, "clips")


# Error and seconds of three configurations: the third is beaten by the second in both, for sure.
POINTS = [(0.1, 9.0, True, False), (0.2, 3.0, True, False), (0.3, 4.0, False, True)]


def front(view: RunView, points: list[tuple[float, float, bool, bool]]) -> FrontView:
    labels = [one.label for one in view.configurations]
    return FrontView(
        METRIC,
        "profile.total_s",
        tuple(
            FrontPointView(
                label,
                figure(METRIC, error, (error - 0.05, error + 0.1)),
                figure("profile.total_s", total_s),
                is_best,
                is_beaten,
            )
            for label, (error, total_s, is_best, is_beaten) in zip(labels, points, strict=False)
        ),
    )


def drawn(plot: FrontPlot) -> ET.Element:
    return ET.fromstring(load_macros("evalkit.reports", "figures.html.j2").front_plot(plot))  # noqa: S314 - our own drawing


def texts(plot: FrontPlot) -> list[str]:
    return [element.text or "" for element in drawn(plot).iter("{http://www.w3.org/2000/svg}text")]


def test_a_front_names_and_counts_those_that_nothing_beats(view: RunView) -> None:
    plot = plot_front(view, front(view, POINTS), "en")
    assert plot.finding == "2 of 3 configurations are not clearly beaten in both by another"
    written = texts(plot)
    assert plot.finding in written
    assert "384*256, 2" in written
    assert "384*256, 3" in written
    assert "384*256, 4" not in written


def test_dots_stand_where_their_values_are(view: RunView) -> None:
    plot = plot_front(view, front(view, POINTS), "en")
    first, second, third = plot.dots
    # 9, 3 and 4 s: a sixth of the way from the second to the first is the third; 0.1 of error is everywhere as high.
    assert third.x - second.x == pytest.approx((first.x - second.x) / 6, abs=0.2)
    assert first.y - second.y == pytest.approx(second.y - third.y, abs=0.2) != 0
    assert first.y > second.y, "less is lower"
    assert first.along is not None
    assert first.along[0] - first.along[1] == pytest.approx(
        1.5 * (first.y - second.y), abs=0.3
    )  # 0.15 of error
    assert first.across is None
    for dot in plot.dots:
        assert plot.left_px < dot.x < plot.right_px
        assert plot.top_px < dot.y < plot.bottom_px
    assert (
        plot.steps == f"M{second.x} {second.y}H{first.x}V{first.y}"
    )  # from the cheaper: at 9 s the error falls
    assert [dot.is_beaten for dot in plot.dots] == [False, False, True]


def test_ticks_and_limits_agree_with_the_dots(view: RunView) -> None:
    plot = plot_front(view, front(view, POINTS), "en")
    of_value = {float(tick.text): tick.px for tick in plot.y_ticks}
    (limit,) = plot.limits
    assert limit.text == "at most 0.3"
    assert limit.px == of_value[0.3] == plot.dots[2].y


def test_a_single_configuration_has_a_picture(view: RunView) -> None:
    plot = plot_front(view, front(view, [(0.2, 3.0, True, False)]), "en")
    assert plot.finding == "384*256, 2 is beaten by no other"
    assert plot.steps == ""
    assert len(plot.dots) == 1
    drawn(plot)


def test_a_front_that_would_show_nothing_is_a_sentence(view: RunView) -> None:
    assert describe_alike(front(view, POINTS), "en") is None
    alone = describe_alike(front(view, POINTS[:1]), "en")
    assert alone is not None
    assert "there is one configuration" in alone
    zeros = describe_alike(front(view, [(0.0, cost, *rest) for _, cost, *rest in POINTS]), "en")
    assert zeros is not None
    assert "all configurations are alike in “Lips fit the words”" in zeros
    as_cheap = describe_alike(front(view, [(error, 3.0, *rest) for error, _, *rest in POINTS]), "zh-CN")
    assert as_cheap is not None
    assert "都一样" in as_cheap


def test_any_text_is_safe(view: RunView) -> None:
    text = '"><script>hit()</script> & $x$'
    plot = replace(plot_front(view, view.fronts[0], "en"), finding=text, words=text, x_label=text)
    assert texts(plot).count(text) == 2
    assert drawn(plot).get("aria-label") == text
    assert "<script" not in str(load_macros("evalkit.reports", "figures.html.j2").front_plot(plot))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_round_values_are_few_even_and_said_apart(low: float, span: float) -> None:
    assume(low + span > low + span / 2 > low)
    assume(span > 1e-9 * abs(low))
    values = round_values(low, low + span)
    assert 1 <= len(values) <= 9
    assert len({text for _, text in values}) == len(values)
    steps = [after - before for (before, _), (after, _) in pairwise(values)]
    assert all(step == pytest.approx(steps[0], rel=1e-6) for step in steps)
    for value, text in values:
        assert low - 1e-8 * span <= value <= low + span + 1e-8 * span
        assert float(text) == pytest.approx(value, abs=1e-6 * span)


def test_a_report_needs_no_drawing_library(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from evalkit.reports.run_report import write_report;"
        "write_report(Path(sys.argv[1])); print(sorted({'matplotlib', 'scipy.stats', 'pandas'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
