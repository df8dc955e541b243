"""The card: seen, followed, steady and missing, from readings that are written down here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from evalkit.validation.card import MEANT, STEADY, kendall, make_card, round_up
from evalkit.validation.faults import AS_RECORDED, AS_SHOWN, FAULTS, Fault, choose_faults, fault_named
from evalkit.validation.run import ORIGINAL, Reading, installed_metrics

OFFSET, RESIDUAL = "lip_sync.offset_ms", "lip_sync.residual_error"
EARLY, LATE = fault_named("early"), fault_named("late")
HARMLESS = tuple(fault for fault in FAULTS if fault.is_harmless)


def readings(clip: str, answers: dict[str, dict[float, float]], harm: float = 4.0) -> list[Reading]:
    """Return what a clip shows whose offset is 10 ms: harmless changes move it by up to `harm`."""
    base = {OFFSET: 10.0, RESIDUAL: 0.0}
    found = [Reading(clip, name, 0.0, base) for name in (ORIGINAL, AS_SHOWN.name, AS_RECORDED.name)]
    for fault in HARMLESS:
        found += [
            Reading(clip, fault.name, dose, {**base, OFFSET: 10.0 + harm / (k + 1)})
            for k, dose in enumerate(fault.doses)
        ]
    for name, doses in answers.items():
        found += [Reading(clip, name, dose, {**base, OFFSET: value}) for dose, value in doses.items()]
    return found


def card(*found: list[Reading], faults: tuple[Fault, ...] = (EARLY, LATE)):
    clips = list(dict.fromkeys(one.clip for own in found for one in own))
    return make_card(clips, (*faults, *HARMLESS), [one for own in found for one in own], seconds=1.0)


def test_a_metric_that_follows_is_seen_from_the_dose_that_exceeds_every_harmless_change_twice() -> None:
    # Harmless changes move it by 4 at most. 20 ms moves it by 7, which is less than twice that; 40 ms by 12: 4 / 12 is a third.
    early = {20.0: 17.0, 40.0: 22.0, 80.0: 70.0, 120.0: 130.0, 200.0: 190.0}
    late = {dose: 10.0 - dose for dose in LATE.doses}
    validation = card(readings("a.mp4", {"early": early, "late": late}))
    meant = validation["early"].meant
    assert meant is not None
    assert (meant.metric, meant.tau, meant.follows) == (OFFSET, 1.0, True)
    assert meant.smallest_seen == 40.0
    assert meant.n_seen == (0, 1, 1, 1, 1)
    assert meant.moved_share == pytest.approx(4 / 12)
    assert validation["late"].meant.smallest_seen == 20.0  # down is its way: 20 ms moves it by 20
    assert validation.dead_bands == {OFFSET: 4.0}
    assert validation.passes
    assert validation.is_complete
    assert validation.headline.startswith("2 of 2 planted faults are followed")


def test_a_larger_dose_that_is_not_seen_takes_the_smaller_ones_with_it() -> None:
    validation = card(
        readings("a.mp4", {"early": {20.0: 40.0, 40.0: 50.0, 80.0: 11.0, 120.0: 90.0, 200.0: 99.0}})
    )
    meant = validation["early"].meant
    assert meant.smallest_seen == 120.0
    assert meant.tau == pytest.approx(
        11 / 15
    )  # 40 and 50 come before 11: two of the 15 pairs are out of order


def test_with_a_mark_harmless_changes_are_compared_with_the_picture_that_has_it() -> None:
    hue, fidelity = fault_named("mark_hue"), "brand.fidelity"
    found = [
        Reading("a.mp4", name, 0.0, {OFFSET: 10.0}) for name in (ORIGINAL, AS_SHOWN.name, AS_RECORDED.name)
    ]
    found += [Reading("a.mp4", "as_drawn", 0.0, {OFFSET: 10.0, fidelity: 0.9})]
    found += [
        Reading("a.mp4", fault.name, dose, {OFFSET: 10.0, fidelity: 0.8})
        for fault in HARMLESS
        for dose in fault.doses
    ]
    found += [Reading("a.mp4", "mark_hue", dose, {fidelity: 0.9 - dose / 60}) for dose in hue.doses]
    meant = card(found, faults=(hue,))["mark_hue"].meant
    assert meant.clips[0].spread == pytest.approx(0.1)
    assert meant.smallest_seen == 20.0  # 0.33 is more than twice 0.1, and 10 degrees move it by 0.17


def test_the_wrong_way_is_never_seen() -> None:
    validation = card(readings("a.mp4", {"early": {dose: 10.0 - dose for dose in EARLY.doses}}))
    meant = validation["early"].meant
    assert (meant.tau, meant.smallest_seen, meant.follows) == (-1.0, None, False)
    assert not validation.passes


def test_of_several_clips_a_dose_counts_that_is_seen_in_every_one() -> None:
    straight = {dose: 10.0 + dose for dose in EARLY.doses}
    one = readings("a.mp4", {"early": straight})
    other = readings("b.mp4", {"early": straight}, harm=15.0)
    meant = card(one, other)["early"].meant
    assert meant.n_seen == (1, 2, 2, 2, 2)
    assert meant.smallest_seen == 40.0
    assert meant.effects[0] == (20.0, None, None)  # of two clips there is no interval
    assert card(one, other).dead_bands == {OFFSET: 15.0}


def test_what_must_not_move_is_told_whichever_way_it_moves() -> None:
    found = readings("a.mp4", {})
    base = {OFFSET: 10.0, RESIDUAL: 0.2}
    found = [Reading(one.clip, one.fault, one.dose, {**one.values, RESIDUAL: 0.2}) for one in found]
    found += [
        Reading("a.mp4", "early", dose, {**base, OFFSET: 10 + dose, RESIDUAL: 0.2 - dose / 1000})
        for dose in EARLY.doses
    ]
    validation = card(found, faults=(EARLY,))
    ((fault, response),) = validation.moved
    assert (fault.name, response.metric, response.role, response.smallest_seen) == (
        "early",
        RESIDUAL,
        STEADY,
        20.0,
    )


def test_what_is_missing_has_a_reason_and_the_rest_is_drawn() -> None:
    found = readings("a.mp4", {"early": {dose: 10.0 + dose for dose in EARLY.doses}})
    broken = [Reading("b.mp4", ORIGINAL, 0.0, error="cannot be opened as video or sound")]
    silent = [
        Reading("c.mp4", one.fault, one.dose, {}, {OFFSET: "nobody speaks", RESIDUAL: "nobody speaks"})
        for one in found
    ]
    validation = card(found, broken, silent)
    assert validation.unmeasured == {"b.mp4": "cannot be opened as video or sound"}
    meant = validation["early"].meant
    assert meant.n_clips == 1
    assert [clip.reason for clip in meant.clips] == ["", "nobody speaks"]
    assert not validation.is_complete  # "late" was planned, and not measured of the first
    assert validation["late"].meant.reason == "interrupted before it was measured; nobody speaks"
    assert json.loads(validation.to_json())["unmeasured"] == validation.unmeasured


def test_nothing_is_surely_seen_before_every_harmless_change_was_tried() -> None:
    found = readings("a.mp4", {"early": {dose: 10.0 + dose for dose in EARLY.doses}})
    tried = [one for one in found if one.fault != HARMLESS[-1].name]  # interrupted before the last
    validation = card(tried, faults=(EARLY,))
    meant = validation["early"].meant
    assert (meant.tau, meant.smallest_seen, meant.n_seen) == (1.0, None, (0, 0, 0, 0, 0))
    assert validation.dead_bands == {}
    assert card(found, faults=(EARLY,)).dead_bands == {OFFSET: 4.0}


@pytest.mark.parametrize(("n_known", "tau"), [(2, None), (3, 1.0)])
def test_a_metric_without_a_value_at_most_doses_follows_nothing(n_known: int, tau: float | None) -> None:
    found = readings("a.mp4", {"early": {dose: 10.0 + dose for dose in EARLY.doses[:n_known]}})
    found += [Reading("a.mp4", "early", dose, {}, {OFFSET: "no speech"}) for dose in EARLY.doses[n_known:]]
    meant = card(found, faults=(EARLY,))["early"].meant
    assert (meant.tau, meant.reason) == (tau, "" if tau else "no speech")


def test_a_metric_that_nobody_measures_is_absent_with_the_reason() -> None:
    fault = Fault("a", "a", "ms", (1, 2, 3, 4, 5), sound=EARLY.sound, sees="absent.metric")
    meant = card(readings("a.mp4", {}), faults=(fault,))["a"].meant
    assert (meant.tau, meant.reason) == (None, "no evaluator here measures absent.metric")


@given(st.lists(st.integers(-3, 3), min_size=5, max_size=5))
def test_tau_is_that_of_another_implementation(effects: list[int]) -> None:
    expected = kendalltau(range(6), [0, *effects]).statistic
    assert kendall([float(one) for one in effects]) == pytest.approx(0.0 if np.isnan(expected) else expected)


@given(st.floats(1e-6, 1e6))
def test_a_dead_band_is_rounded_up_and_never_down(value: float) -> None:
    assert value * (1 - 1e-8) <= round_up(value) <= value * 1.11


def test_every_fault_is_whole() -> None:
    known = installed_metrics()
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        assert (fault.sound is None) != (fault.picture is None), fault.name
        assert bool(fault.sees) != fault.is_harmless, fault.name
        assert len(fault.doses) == (3 if fault.is_harmless else 5), fault.name
        assert set(fault.may_move) <= known.keys(), fault.name
    assert sum(not fault.is_harmless for fault in FAULTS) >= 12


def test_faults_are_chosen_by_name_with_everything_harmless() -> None:
    chosen = choose_faults(["late"], has_brand=False)
    assert {fault.name for fault in chosen if not fault.is_harmless} == {"late"}
    assert sum(fault.is_harmless for fault in chosen) == len(HARMLESS)
    with pytest.raises(Exception, match="did you mean 'clipping'"):
        choose_faults(["cliping"], has_brand=False)
    assert MEANT == "sees"
