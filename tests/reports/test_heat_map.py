"""Heat maps: the mean of a metric over parameters, what is best, and how strong a colour is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from evalkit.analysis.run_analysis import RunAnalysis
from evalkit.reports.heat_map import HeatMap, HeatMapCell, heat_map
from evalkit.runs import Run
from evalkit.testing.runs import write_grid
from evalkit.views.configuration import MapView, map_view
from evalkit.views.figure import FigureView, MetricView, metric_view

METRIC = "lip_sync.error"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> RunAnalysis:
    return RunAnalysis.of(Run.open(write_grid(tmp_path_factory.mktemp("maps") / "run")))


def draw(tables: RunAnalysis, metric: str, across: str, down: str | None) -> HeatMap:
    return heat_map(map_view(tables, metric, across, down), metric_view(tables.metrics[metric]), "en")


def cells(drawn: HeatMap) -> list[HeatMapCell]:
    return [cell for _, line in drawn.rows for cell in line]


def test_the_best_cell_is_found_and_framed(tables: RunAnalysis) -> None:
    means: dict[tuple[str, str], list[float]] = {}
    for trial in tables.trials:
        place = str(trial.params["size"]), str(trial.params["sample_steps"])
        means.setdefault(place, []).append(trial.metrics[METRIC].value)
    (size, steps), values = min(means.items(), key=lambda item: np.mean(item[1]))
    drawn = draw(tables, METRIC, "size", "sample_steps")
    assert drawn.finding == f"best mean {np.mean(values):.3g} at {size}, {steps}"
    framed = [
        (drawn.columns[k], level) for level, line in drawn.rows for k, cell in enumerate(line) if cell.is_best
    ]
    assert framed == [(size, steps)]
    assert [cell.more for cell in cells(drawn)] == ["n = 4"] * 9


def test_parameters_that_are_not_shown_are_pooled(tables: RunAnalysis) -> None:
    drawn = draw(tables, METRIC, "size", None)
    assert [cell.more for cell in cells(drawn)] == ["n = 12"] * 3  # 2 portraits crossed: no interval
    values = [trial.metrics[METRIC].value for trial in tables.trials if trial.params["size"] == "688*368"]
    assert f"{np.mean(values):.3g}" in [cell.text for cell in cells(drawn)]


def test_what_is_the_same_everywhere_has_no_best(tables: RunAnalysis) -> None:
    drawn = draw(tables, "technical.face_coverage", "size", "sample_steps")
    assert drawn.finding == "1 everywhere"
    assert {(cell.strength, cell.is_best) for cell in cells(drawn)} == {(50, False)}


def test_where_no_direction_is_better_the_range_is_told(tables: RunAnalysis) -> None:
    drawn = draw(tables, "motion.amount_deg_s", "size", "sample_steps")
    assert re.fullmatch(r"from [\d.]+ to [\d.]+ deg/s", drawn.finding)
    assert not any(cell.is_best for cell in cells(drawn))


def test_what_was_never_measured_says_so(tables: RunAnalysis) -> None:
    drawn = draw(tables, "profile.peak_vram_mib", "size", "sample_steps")
    assert drawn.finding == "no value anywhere"
    assert [(cell.text, cell.strength) for cell in cells(drawn)] == [("no value", None)] * 9


@pytest.mark.parametrize(
    ("better", "values", "strengths"),
    [
        ("lower", (1.0, 2.0, 5.0), [100, 75, 0]),
        ("higher", (1.0, 2.0, 5.0), [0, 25, 100]),
        ("zero", (-1.0, 2.0, 5.0), [100, 75, 0]),
        ("band", (1.0, 2.0, 5.0), [0, 25, 100]),
    ],
)
def test_the_better_the_stronger(better: str, values: tuple[float, ...], strengths: list[int]) -> None:
    metric = MetricView("a.b", "1", better, "")  # type: ignore[arg-type]
    line = tuple(FigureView("a.b", "1", metric.better, value, None, 4, 4, "clips") for value in values)
    drawn = heat_map(MapView("a.b", "steps", None, (1, 2, 3), (None,), (line,)), metric, "en")
    assert [cell.strength for cell in cells(drawn)] == strengths
    assert [cell.is_strong for cell in cells(drawn)] == [strength > 92 for strength in strengths]


def test_many_levels_leave_no_room_for_intervals(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=tuple(f"{64 * k}*64" for k in range(1, 13)), steps=(1, 2))
    drawn = draw(RunAnalysis.of(Run.open(folder)), METRIC, "size", "sample_steps")
    assert {cell.more for cell in cells(drawn)} == {""}
