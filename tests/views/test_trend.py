"""What is said of a gate from release to release: by hand, from planted values."""

from __future__ import annotations

import pytest

from evalkit.decisions.judge import Grade
from evalkit.types import Better
from evalkit.views.figure import FigureView
from evalkit.views.gate import GateView
from evalkit.views.run_digest import GateDigest, RunDigest
from evalkit.views.trend import Change, TrendRun, trend_view


def gate(
    value: float | None,
    *,
    half: float | None = 0.01,
    better: Better = "lower",
    limits: tuple[float | None, float | None] = (None, 0.3),
    version: str = "1",
    metric: str = "lip_sync.error",
) -> GateDigest:
    """Return a gate with a value in the middle of an interval."""
    interval = None if value is None or half is None else (value - half, value + half)
    figure = FigureView(metric, "1", better, value, interval, 40, 40, "clips")
    view = GateView(
        metric,
        "",
        "hard",
        Grade.PASSES,
        "pass",
        figure,
        40,
        40,
        "",
        "",
        at_least=limits[0],
        at_most=limits[1],
    )
    return GateDigest(view, version)


def run(name: str, at: str, *gates: GateDigest, released: bool = True) -> tuple[TrendRun, RunDigest]:
    return TrendRun(name, name, at, "made up", "", released), RunDigest(None, gates=gates)


def change(then: GateDigest, now: GateDigest) -> tuple[Change, float | None]:
    view = trend_view([run("a", "2026-01-01", then), run("b", "2026-02-01", now, released=False)])
    (line,) = view.lines
    return line.change, line.difference


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (gate(0.20), gate(0.10), Change.BETTER),
        (gate(0.10), gate(0.20), Change.WORSE),
        (gate(0.10), gate(0.115), Change.OPEN),  # [0.09, 0.11] and [0.105, 0.125] overlap
        (gate(0.10), gate(0.12), Change.OPEN),  # they touch
        (gate(0.20, half=None), gate(0.10), Change.OPEN),
        (gate(0.5, better="higher"), gate(0.9, better="higher"), Change.BETTER),
        (gate(0.9, better="higher"), gate(0.5, better="higher"), Change.WORSE),
        (gate(-60, half=5, better="zero"), gate(20, half=5, better="zero"), Change.BETTER),  # 55 to 65, then 15 to 25
        (gate(-20, half=5, better="zero"), gate(20, half=5, better="zero"), Change.OPEN),  # as far on the other side
        (gate(1, half=0.5, better="band", limits=(2, 30)), gate(9, half=1, better="band", limits=(2, 30)), Change.BETTER),
        (gate(9, half=1, better="band", limits=(2, 30)), gate(40, half=1, better="band", limits=(2, 30)), Change.WORSE),
        (gate(9, half=1, better="band", limits=(2, 30)), gate(20, half=1, better="band", limits=(2, 30)), Change.BOTH_WITHIN),
        (gate(9, half=1, better="band", limits=(2, 30)), gate(29.5, half=1, better="band", limits=(2, 30)), Change.OPEN),
        (gate(0.20), gate(0.10, version="2"), Change.OTHER_VERSION),
        (gate(None), gate(0.10), Change.NOT_MEASURED),
        (gate(0.20), gate(None), Change.NOT_MEASURED),
    ],
)  # fmt: skip
def test_a_change_is_told(then: GateDigest, now: GateDigest, expected: Change) -> None:
    assert change(then, now)[0] is expected


def test_the_difference_is_the_newest_less_the_baseline() -> None:
    assert change(gate(0.25), gate(0.10))[1] == pytest.approx(-0.15)
    assert change(gate(0.25), gate(0.10, version="2"))[1] is None


def test_the_baseline_is_the_last_release_before_the_newest() -> None:
    runs = [
        run("v3", "2026-05-01T00:00:00+00:00", gate(0.1), released=False),
        run("v1", "2026-01-01T00:00:00+00:00", gate(0.2)),
        run("try", "2026-03-01T00:00:00+00:00", gate(0.5), released=False),
        run("v2", "2026-02-01T00:00:00+00:00", gate(0.15)),
    ]
    view = trend_view(runs)
    assert [one.name for one in view.runs] == ["v1", "v2", "try", "v3"]
    assert view.baseline == 1
    assert view.lines[0].difference == pytest.approx(-0.05)


def test_among_releases_what_was_never_one_is_left_out_unless_it_came_after() -> None:
    runs = [
        run("v1", "2026-01-01", gate(0.2)),
        run("try", "2026-02-01", gate(0.5), released=False),
        run("v2", "2026-03-01", gate(0.15)),
        run("next", "2026-04-01", gate(0.1), released=False),
    ]
    assert [one.name for one in trend_view(runs, releases_only=True).runs] == ["v1", "v2", "next"]


def test_the_first_release_has_nothing_before_it() -> None:
    view = trend_view([run("v1", "2026-01-01", gate(0.2))])
    assert (view.baseline, view.lines[0].change) == (None, Change.NO_BASELINE)


def test_lines_join_values_of_one_version_alone() -> None:
    values = [gate(0.2), gate(0.21), gate(0.1, version="2"), gate(None, version="2"), gate(0.12, version="2")]
    runs = [run(f"v{place}", f"2026-0{place + 1}-01", one) for place, one in enumerate(values)]
    (line,) = trend_view(runs).lines
    assert [point.joins for point in line.points] == [False, True, False, False, False]
    assert line.versions == ("1", "2")


def test_a_gate_that_came_later_has_no_value_before() -> None:
    later = gate(3, metric="rating.mos", better="higher", limits=(4, None))
    view = trend_view([run("v1", "2026-01-01", gate(0.2)), run("v2", "2026-02-01", gate(0.1), later)])
    assert [line.metric for line in view.lines] == ["lip_sync.error", "rating.mos"]
    assert view.lines[1].points[0].figure is None
    assert view.lines[1].change is Change.NOT_MEASURED


def test_limits_that_changed_are_told() -> None:
    runs = [run("v1", "2026-01-01", gate(0.2, limits=(None, 0.4))), run("v2", "2026-02-01", gate(0.1))]
    (line,) = trend_view(runs).lines
    assert line.has_other_limits
    assert line.latest.at_most == 0.3


def test_runs_that_are_not_judged_are_left_out() -> None:
    assert trend_view([run("v1", "2026-01-01")]).runs == ()
