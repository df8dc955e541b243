"""Pairs of clips, and the configurations that no other beats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evalkit.analysis.direction import loss, magnitude
from evalkit.analysis.fronts import find_front, find_unbeaten
from evalkit.analysis.pairs import describe_reach, pair_clips
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


def test_values_that_a_side_lacks_keep_their_place() -> None:
    a = make_table({"lip_sync.error": [0.1, None, 0.3, None]}, n_portraits=4).rows
    b = make_table({"lip_sync.error": [0.4, 0.5, None, None]}, n_portraits=4).rows
    values = pair_clips(a, b).values("lip_sync.error")
    assert (values.has_a.tolist(), values.has_b.tolist()) == ([1, 0, 1, 0], [1, 1, 0, 0])
    assert values.factors["portrait"] == ["p0"]
    assert values.all_factors["portrait"] == ["p0", "p1", "p2", "p3"]


def test_a_video_under_several_ids_is_in_one_pair() -> None:
    a, b = (make_table({"lip_sync.error": [0.1] * 4}).rows for _ in "ab")
    a = tuple(replace(row, content=content) for row, content in zip(a, "wxyx", strict=True))
    b = tuple(replace(row, content=content) for row, content in zip(b, "jkkl", strict=True))
    pairing = pair_clips(a, b)
    assert pairing.pairs == ((a[0], b[0]), (a[1], b[1]))
    assert pairing.copies == ((a[2], b[2]), (a[3], b[3]))
    assert len(pair_clips(a, a).pairs) == 3
    assert (pairing.unpaired_a, pairing.unpaired_b) == ((), ())


@pytest.mark.parametrize(
    ("n_portraits", "given", "words"),
    [
        (2, (), "speaks of 2 portraits, 2 pieces of speech, 1 seed; of no other seed"),
        (1, (), "speaks of 1 portrait, 4 pieces of speech, 1 seed; of no other portrait or seed"),
        (
            1,
            ("portrait", "seed"),
            "speaks of 1 portrait, 4 pieces of speech, 1 seed; by the policy no other portrait or seed matters",
        ),
    ],
)
def test_the_reach_is_counted(n_portraits: int, given: tuple[str, ...], words: str) -> None:
    rows = make_table({"lip_sync.error": [0.1] * 4}, n_portraits=n_portraits).rows
    assert describe_reach(rows, given) == [words]
    assert describe_reach([]) == []
    unknown = [replace(row, portrait=None, speech=None) for row in rows]
    assert describe_reach(unknown) == [
        "which clips share a portrait or speech is not known: they are taken as independent"
    ]


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
