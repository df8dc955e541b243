"""What metric functions refuse: each case has one fault, and the message names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evalkit.metrics import (
    brand,
    color,
    color_difference,
    expression,
    lip_sync,
    motion,
    person,
    speech,
    technical,
)

TIMES_S = np.arange(200) / 50
LIPS = np.random.default_rng(0).normal(size=(200, 6))
ALL = np.ones(200, dtype=bool)
BANK = np.random.default_rng(1).normal(size=(4, 75, 6))
SIGNAL = np.linspace(0.2, 0.4, 200)


def broken(array: np.ndarray) -> np.ndarray:
    """Return a copy with one NaN."""
    copy = array.astype(float)
    copy.flat[3] = np.nan
    return copy


UNSORTED = TIMES_S[::-1]
LOUD = np.full(200, -20.0)

CASES: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
    # lip_sync
    (lip_sync.estimate_offset, (LIPS, LIPS[:150], ALL[:150]), {}, "predicted has 200 rows and observed has 150; are they of"),
    (lip_sync.estimate_offset, (LIPS.T, LIPS, ALL), {}, r"predicted has shape \(6, 200\) instead of \(n, 6\); is it transposed"),
    (lip_sync.estimate_offset, (LIPS, LIPS[:, :5], ALL), {}, r"observed has shape \(200, 5\) instead of \(n, 6\)"),
    (lip_sync.estimate_offset, (broken(LIPS), LIPS, ALL), {}, "predicted has 1 value that is not finite"),
    (lip_sync.estimate_offset, (LIPS, LIPS, ALL.astype(int)), {}, "usable holds int64 instead of booleans"),
    (lip_sync.offset_ms, (LIPS, LIPS[:150], ALL), {}, "predicted has 200 rows and observed has 150"),
    (lip_sync.error, (LIPS, LIPS, ALL, ALL[:199], BANK), {}, "speech has 199"),
    (lip_sync.score_windows, (LIPS, LIPS, ALL, ALL, BANK[:, :74]), {}, r"bank has shape \(4, 74, 6\) instead of \(n, 75, 6\)"),
    (lip_sync.score_windows, (LIPS, LIPS, ALL, ALL, BANK[:0]), {}, "bank is empty"),
    (lip_sync.silent_motion, (LIPS, ALL[:10], ALL), {}, "lips has 200 rows and usable has 10"),
    (lip_sync.detect_speech, (broken(LOUD),), {}, "level_db has 1 value that is not finite"),
    (lip_sync.normalise_cepstrum, (np.zeros((200, 13)), ~ALL), {}, "speech is false throughout"),
    (lip_sync.normalise_cepstrum, (np.zeros((200, 12)), ALL), {}, r"mfcc has shape \(200, 12\)"),
    (lip_sync.predict_lips, (len, UNSORTED, np.zeros((200, 13)), LOUD), {}, "times_s does not increase from its value 0"),
    (lip_sync.on_grid, (TIMES_S[:0], LIPS[:0], 1.0), {}, "times_s is empty"),
    (lip_sync.keep_speech_band, (LIPS[:70],), {}, "lips has 70 rows; 80"),
    (lip_sync.shift, (LIPS[:, 0], 0.1), {}, r"lips has shape \(200,\)"),
    # motion
    (motion.spectral_arc_length, (broken(SIGNAL), 50.0), {}, "speed has 1 value that is not finite"),
    (motion.spectral_arc_length, (SIGNAL, 0.0), {}, "rate_hz is 0.0; a finite number above 0"),
    (motion.dimensionless_jerk, (LIPS, 50.0), {}, r"speed has shape \(200, 6\)"),
    (motion.angles_between_deg, (LIPS[:, :2], LIPS[:10, :2]), {}, "first has 200 rows and second has 10"),
    (motion.frame_rate_hz, (UNSORTED,), {}, "are the frames sorted"),
    (motion.on_grid, (TIMES_S, SIGNAL[:5], ALL, TIMES_S), {}, "angles_deg has 5"),
    (motion.on_grid, (TIMES_S, broken(SIGNAL), ALL, TIMES_S), {}, "angles_deg, where usable, has 1 value"),
    (motion.angular_speeds_deg_s, (SIGNAL, 50.0), {"cutoff_hz": 30.0}, "cutoff_hz is 30; it must lie between 0 and half"),
    (motion.speed_power, (SIGNAL[:3], 50.0, 0.0, 6.0), {}, "angles_deg has 3 values; four are the least"),
    (motion.find_repeats, (LIPS,), {"still_change": 1.0}, "changes has shape"),
    (motion.still_time_s, (TIMES_S, ALL, ALL[:4]), {}, "observed has 4"),
    (motion.freeze_ratio, (TIMES_S, SIGNAL[:4], ALL), {"still_change": 1.0}, "changes has 4"),
    (motion.windows, (100, 50.0, -1.0), {}, "length_s is -1.0"),
    (motion.spread_deg, ({},), {}, "at least one array is needed"),
    (motion.amount_deg_s, ({"neck": SIGNAL, "trunk": SIGNAL[:9]},), {}, "neck has 200 rows and trunk has 9"),
    (motion.jitter_ratio, ({"neck": SIGNAL}, 15.0), {}, "15 samples a second cannot show tremor of up to 10 Hz"),
    # expression
    (expression.find_blinks, (TIMES_S, SIGNAL[:9]), {}, "times_s has 200 rows and openness has 9"),
    (expression.find_blinks, (TIMES_S, broken(SIGNAL)), {}, "openness has 1 value"),
    (expression.find_nods, (UNSORTED, SIGNAL), {}, "are the frames sorted"),
    (expression.smile_levels, (TIMES_S, LIPS), {}, r"smile has shape \(200, 6\)"),
    (expression.open_level, (TIMES_S, SIGNAL[1:]), {}, "openness has 199"),
    (expression.continuous_stretches, (UNSORTED,), {}, "are the frames sorted"),
    (expression.rotation_spread_deg, (np.zeros((0, 3)),), {}, "rotations_deg is empty"),
    (expression.gaze_angles_deg, (SIGNAL, SIGNAL, SIGNAL, SIGNAL[:3]), {}, "gaze_y has 3"),
    (expression.is_on_camera, (broken(SIGNAL),), {}, "angles_deg has 1 value"),
    # technical
    (technical.frame_durations_s, (UNSORTED,), {}, "are the frames sorted"),
    (technical.mean_frame_rate_hz, (np.array([0.0, np.nan]),), {}, "times_s has 1 value that is not finite"),
    (technical.black_ratio, (np.array([3.0, 98.0]), np.ones(2)), {}, "black_share has values from 3 to 98; .* percent"),
    (technical.black_ratio, (np.zeros(0), np.zeros(0)), {}, "black_share is empty"),
    (technical.frozen_spans_s, (SIGNAL[:3], TIMES_S), {}, "change has 3 rows and times_s has 200"),
    (technical.flicker_percent, (SIGNAL[:3], TIMES_S), {}, "luma_mean has 3"),
    (technical.integrated_loudness_lufs, (np.full(10, -23.0),), {}, "power is never negative: is it a level in dB"),
    (technical.loudness_range_lu, (np.full(100, -23.0),), {}, "power is never negative: is it a level in dB"),
    # speech
    (speech.error_rate_interval, (np.zeros(0),), {}, "a script without words"),
    (speech.align_words, ("", "a"), {}, "without words"),
    # brand
    (brand.chain_score, (np.zeros((3, 4)), brand.CHAIN), {}, r"evidence has shape \(3, 4\) instead of \(n, 5\)"),
    (brand.fit_chain, (np.zeros((3, 5)), np.ones(3)), {}, "at least one right .* and one wrong"),
    (brand.fit_mapping, (np.zeros(0), np.ones(3)), {}, "with_mark is empty"),
    (brand.area_under_curve, ([], [1.0]), {}, "at least one score"),
    (brand.choose_place, (np.zeros((8, 4)), np.zeros(8), np.zeros(7)), {"picture_px": (9, 9)}, "on_person has 7"),
    (brand.drift_per_min, (np.zeros(2), np.zeros(2), np.ones(2)), {}, "2 key frames have no drift"),
    # color and person
    (color_difference.delta_e, ([50.0, 0.0], [50.0, 0.0, 0.0]), {}, r"lab has shape \(2,\); the last axis must hold three"),
    (color.lab_of, (np.zeros((2, 2, 4)),), {}, "without alpha"),
    (color.estimate_light, (np.zeros((5, 4)),), {}, "without alpha"),
    (color.take_out_light, (np.zeros(3), np.ones(4)), {}, r"light has shape \(4,\)"),
    (color.nearest_color, (np.zeros((5, 3)), np.zeros((0, 3))), {}, "colors is empty"),
    (person.share_inside, (np.zeros(3), person.Outline()), {}, r"box has shape \(3,\)"),
    (person.outline_person, ({"centre_x_px": 1.0}, {}, 100.0), {}, "head lacks centre_y_px"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "arguments", "options", "message"),
    CASES,
    ids=[f"{case[0].__module__.rpartition('.')[2]}.{case[0].__name__}-{i}" for i, case in enumerate(CASES)],
)
def test_what_makes_no_sense_is_refused_by_name(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        function(*arguments, **options)


def test_the_headline_numbers_can_be_had_from_arrays() -> None:
    """Lips that are their own prediction, 120 ms later: in no window do other words fit better once moved back."""
    seconds, by_s = 12, 0.12
    noise = np.random.default_rng(3).normal(size=(seconds * lip_sync.GRID_HZ, 6)).cumsum(axis=0)
    predicted = lip_sync.keep_speech_band(noise)
    observed = lip_sync.shift(predicted, by_s)
    everywhere = np.ones(len(predicted), dtype=bool)
    found_ms = lip_sync.offset_ms(predicted, observed, everywhere)
    assert found_ms == pytest.approx(1000 * by_s, abs=5)
    assert lip_sync.error(observed, observed, everywhere, everywhere, BANK) == 0
    assert lip_sync.error(predicted[:10], observed[:10], everywhere[:10], everywhere[:10], BANK) is None
