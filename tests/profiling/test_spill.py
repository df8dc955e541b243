"""The alarm for memory that spilled to the host, on made-up traces: it needs a lasting jump and a full GPU, both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from evalkit.execution.costs import measure_costs
from evalkit.profiling.profile import GpuUse, Profile, Series
from evalkit.profiling.spill import FULL, Spill, find_slow, find_spill
from evalkit.runs.schema import SpillAlarm

EVEN = [1.0] * 10
JUMP = [1.0] * 6 + [8.0] * 4
TOTAL_MIB = 80_000.0


def edges(took_s: Sequence[float], start_s: float = 2.0) -> np.ndarray:
    return np.cumsum([start_s, *took_s])


def trace(took_s: Sequence[float], shares: Sequence[float]) -> Series:
    """Give the share of each step at twenty moments within it."""
    ends_s = edges(took_s)
    times_s = [np.linspace(start_s, end_s, 22)[1:-1] for start_s, end_s in pairwise(ends_s)]
    return Series(np.ravel(times_s), np.repeat(np.asarray(shares), 20))


def find(took_s: Sequence[float], share: float | Sequence[float]) -> Spill | None:
    shares = [share] * len(took_s) if isinstance(share, float) else share
    return find_spill(edges(took_s), {0: trace(took_s, shares)})


def test_a_lasting_jump_on_a_full_gpu_is_found() -> None:
    assert find(JUMP, 0.99) == Spill(6, 8.0, 8.0, 0, pytest.approx(0.99))


@pytest.mark.parametrize(
    ("took_s", "share"),
    [
        pytest.param(EVEN, 0.995, id="full without a jump"),
        pytest.param(JUMP, 0.90, id="a jump without full memory"),
        pytest.param(JUMP, FULL - 0.001, id="nearly full"),
        pytest.param([60.0, *EVEN], 0.99, id="the first step compiles"),
        pytest.param([60.0, 1.0, 8.0, 8.0], 0.99, id="too few steps to know what is usual"),
        pytest.param([1, 1, 1, 1, 9, 1, 1, 1], 0.99, id="a hiccup"),
        pytest.param([1, 1, 9, 1, 9, 1, 9, 1, 1], 0.99, id="several hiccups"),
        pytest.param([1, 1, 1, 1, 9], 0.99, id="a hiccup at the end"),
        pytest.param([1.0] * 6 + [4.9] * 4, 0.99, id="not several-fold"),
        pytest.param([1.0, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7], 0.99, id="ever slower, without a jump"),
        pytest.param([0.0] * 8, 0.99, id="no time at all"),
        pytest.param(JUMP, [0.99] * 6 + [0.5] * 4, id="full before the jump alone"),
        pytest.param(JUMP, [0.99] * 7 + [0.5] * 3, id="full in one slow step alone"),
        pytest.param([9.0] * 2, 0.99, id="hardly a step"),
    ],
)
def test_what_is_no_spill(took_s: list[float], share: float | list[float]) -> None:
    assert find(took_s, share) is None


def test_a_jump_for_another_reason_hides_none() -> None:
    took_s = [1.0] * 4 + [8.0] * 2 + [1.0] * 8 + [8.0] * 3
    found = find(took_s, [0.5] * 14 + [0.99] * 3)
    assert found is not None
    assert found.step == 14


def test_without_clips_there_is_no_step() -> None:
    assert find_spill(np.empty(0), {0: trace(JUMP, [0.99] * 10)}) is None


def test_memory_may_fill_only_when_it_becomes_slow() -> None:
    assert find(JUMP, [0.6] * 6 + [0.98] * 4) == Spill(6, 8.0, 8.0, 0, pytest.approx(0.98))


def test_a_slow_first_step_hides_no_jump() -> None:
    found = find([60.0, *JUMP], 0.99)
    assert found is not None
    assert (found.step, found.factor) == (7, 8.0)


def test_the_gpu_that_is_full_is_named() -> None:
    shares = {0: trace(JUMP, [0.5] * 10), 3: trace(JUMP, [0.985] * 10)}
    found = find_spill(edges(JUMP), shares)
    assert found is not None
    assert (found.gpu, found.fullness) == (3, pytest.approx(0.985))
    assert found.text() == (
        "warning: from step 7 on (8.0 s) each took 8 times as long as before while GPU 3 was at 98 % of its memory: the "
        "driver may have moved part of it to the host; use less memory, or a larger GPU"
    )


def test_gpus_that_take_turns_are_not_full() -> None:
    shares = {0: trace(JUMP, [0.99] * 7 + [0.1] * 3), 1: trace(JUMP, [0.1] * 7 + [0.99] + [0.1] * 2)}
    assert find_spill(edges(JUMP), shares) is None


def test_a_step_at_which_nobody_looked_is_no_evidence() -> None:
    share = trace(JUMP, [0.99] * 10)
    seen = share.times_s < 8.0 + 8.0  # up to the end of the first slow step
    assert find_spill(edges(JUMP), {0: Series(share.times_s[seen], share.values[seen])}) is None


def events(took_s: Sequence[float]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [{"name": "loaded", "time_s": 2.0, "detail": {"load_s": 1.0}}]
    ends_s = edges(took_s)[1:].tolist()
    found += [
        {"name": "clip", "time_s": end_s, "detail": {"index": index}} for index, end_s in enumerate(ends_s)
    ]
    return [
        *found,
        *({"name": name, "time_s": ends_s[-1], "detail": {}} for name in ("first_frame", "saved")),
    ]


def costs_of(
    took_s: Sequence[float], share: float, *, alone: bool = True
) -> tuple[SpillAlarm | None, list[str]]:
    used_mib = trace(took_s, [share] * len(took_s))
    memory = Series(used_mib.times_s, used_mib.values * TOTAL_MIB)
    gpu = GpuUse("Fake GPU", TOTAL_MIB, 0.0, used_mib=memory, tree_mib=memory)
    profile = Profile(float(edges(took_s)[-1]), 0.01, gpus=(gpu,), gpu_reason=None)
    told = events(took_s)
    generation = {"n_frames": 250, "duration_s": 10.0, "events": told}
    costs = measure_costs(profile, told, generation, alone=alone, n_failed=0, n_attempted=1)
    return costs.spill, [note for note in costs.profile.notes if "moved part of it to the host" in note]


def test_a_trial_has_it_as_a_note_and_as_data() -> None:
    spill, notes = costs_of(JUMP, 0.99)
    assert spill == SpillAlarm(6, 8.0, 8.0, 0, pytest.approx(0.99))
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("took_s", "share", "alone"), [(EVEN, 0.99, True), (JUMP, 0.9, True), (JUMP, 0.99, False)]
)
def test_a_trial_without_it_has_nothing(took_s: list[float], share: float, alone: bool) -> None:
    assert costs_of(took_s, share, alone=alone) == (None, [])


def test_among_trials_of_one_configuration_the_slow_one_with_full_memory_is_found() -> None:
    assert find_slow([1.0, 1.0, 1.0, 6.0], [0.98, 0.98, None, 0.98]) == {3: 6.0}
    assert find_slow([1.0, 1.0, 1.0, 6.0], [0.98, 0.98, 0.98, 0.96]) == {}
    assert find_slow([1.0, 1.0, 1.0, 6.0], [0.98, 0.98, 0.98, None]) == {}
    assert find_slow([1.0, 1.0, 1.0, 4.9], [0.98] * 4) == {}
    assert find_slow([1.0, 1.0, 6.0], [0.98] * 3) == {}
    assert find_slow([0.0, 0.0, 0.0, 0.0], [0.98] * 4) == {}


def test_the_usual_time_is_the_median_of_the_others() -> None:
    rng = np.random.default_rng(5)
    for n in range(4, 30):
        times = rng.choice([1.0, 1.5, 2.0, 30.0, 40.0], n).tolist()
        usual = [float(np.median(times[:place] + times[place + 1 :])) for place in range(n)]
        expected = {
            place: time / usual[place] for place, time in enumerate(times) if time >= 5 * usual[place]
        }
        assert find_slow(times, [1.0] * n) == pytest.approx(expected)
