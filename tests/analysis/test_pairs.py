"""Pairs of clips, and the configurations that no other beats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evalkit.analysis.direction import loss, magnitude
from evalkit.analysis.fronts import find_front, find_unbeaten
from evalkit.analysis.pairs import pair_clips
from evalkit.errors import UsageError
from evalkit.testing.tables import ERROR, FPS, OFFSET, RSS, SHARPNESS, TOTAL, make_table


def test_clips_pair_by_input_seed_and_the_parameters_named() -> None:
    rows = make_table({"lip_sync.error": [0.1, 0.2]}, params={"steps": 4}).rows
    others = [replace(rows[0], params={"steps": 3}), replace(rows[1], seed=2)]
    assert pair_clips(rows, others).pairs == ((rows[0], others[0]),)
    apart = pair_clips(rows, others, ["steps"])
    assert (apart.pairs, apart.unpaired_a, apart.unpaired_b) == ((), rows, tuple(others))


def test_only_pairs_with_both_values_are_scored_and_the_rest_says_why() -> None:
    a = make_table({"lip_sync.error": [0.1, None, 0.3]}).rows
    b = make_table({"lip_sync.error": [0.4, 0.5, 0.6]}).rows
    failed = (*b[:2], replace(b[2], failure="generate failed: hang"))
    values = pair_clips(a, failed).values("lip_sync.error")
    assert (values.a.tolist(), values.b.tolist()) == ([0.1], [0.4])
    assert values.absences == {"no_face": 1, "generate failed: hang": 1}


def test_twins_are_refused_by_name() -> None:
    rows = make_table({"lip_sync.error": [0.1]}).rows
    with pytest.raises(UsageError, match="B: 'p0 × s0' and 'p0 × s0' are the same input, seed"):
        pair_clips(rows, rows * 2)


def test_signs_by_hand() -> None:
    assert [loss(metric, -3.0) for metric in (ERROR, SHARPNESS, OFFSET, FPS)] == [-3.0, 3.0, 3.0, -3.0]
    assert (magnitude(OFFSET, -3.0), magnitude(SHARPNESS, -3.0)) == (3.0, -3.0)


def configurations(*points: tuple[float, float, float]) -> list:
    """Make a configuration of one clip for each error, time and memory."""
    parts = [
        make_table(
            {"lip_sync.error": [error], "profile.total_s": [time], "profile.peak_rss_mib": [memory]},
            params={"place": place},
        )
        for place, (error, time, memory) in enumerate(points)
    ]
    return replace(parts[0], rows=tuple(row for part in parts for row in part.rows)).configurations


def test_the_front_of_two_axes_is_the_front_of_all_where_the_third_is_the_same() -> None:
    found = configurations((0.1, 30, 9), (0.2, 20, 9), (0.3, 10, 9), (0.3, 25, 9))
    assert find_unbeaten(found, (ERROR, TOTAL, RSS)) == [True, True, True, False]
    front = find_front(found, ERROR, TOTAL)
    assert (front.places, front.is_best) == ((0, 1, 2, 3), (True, True, True, False))


def test_a_third_axis_can_only_save_a_configuration() -> None:
    found = configurations((0.1, 10, 900), (0.2, 20, 100))
    assert find_front(found, ERROR, TOTAL).is_best == (True, False)
    assert find_unbeaten(found, (ERROR, TOTAL, RSS)) == [True, True]


def test_what_lacks_a_value_is_in_no_comparison() -> None:
    found = configurations((0.1, 10, 9), (0.2, 20, 9))
    table = make_table({"lip_sync.error": [0.05], "profile.total_s": [None]}, params={"place": 2})
    found += table.configurations
    assert find_unbeaten(found, (ERROR, TOTAL)) == [True, False, None]
    assert find_front(found, ERROR, TOTAL).places == (0, 1)
    assert find_unbeaten(found, ()) == [None, None, None]
