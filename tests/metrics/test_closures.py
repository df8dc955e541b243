"""Closures: hand-worked cases, planted courses of a mouth, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.metrics.closures import (
    FEWEST_CLOSURES,
    Closures,
    estimate_offset,
    find_closures,
    judge_closures,
    move_phonemes,
    place_phonemes,
    scale_openness,
)
from evalkit.testing.talking_face import opening_of_phonemes
from pipeline.phonemes import Phoneme


def speak(seed: int, n: int = 120) -> tuple[Phoneme, ...]:
    """Return made-up speech: syllables of a consonant and a vowel, a pause now and then."""
    rng = np.random.default_rng(seed)
    phonemes, now_s = [], 0.2
    for _ in range(n // 2):
        for symbol, length_s in (
            (str(rng.choice(list("pbmtdksln"))), rng.uniform(0.05, 0.11)),
            (str(rng.choice(list("aeiou"))), rng.uniform(0.06, 0.18)),
        ):
            phonemes.append(Phoneme(symbol, now_s, now_s + length_s))
            now_s += length_s
        if rng.random() < 0.08:
            phonemes.append(Phoneme("", now_s, now_s + 0.3))
            now_s += 0.3
    return tuple(phonemes)


def mouth(
    phonemes: tuple[Phoneme, ...],
    *,
    delay_s: float = 0.0,
    fps: float = 25,
    missed: tuple[int, ...] = (),
    noise: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return times and inner-lip gap, in eye distances, of a mouth that says it."""
    closures = find_closures(phonemes)
    times_s = np.arange(int((phonemes[-1].end_s + 0.3) * fps)) / fps
    sealed = list(zip(closures.starts_s.tolist(), closures.ends_s.tolist(), strict=True))
    opening = opening_of_phonemes(phonemes, sealed, times_s - delay_s, missed)
    return times_s, 0.15 * opening + noise * np.random.default_rng(0).standard_normal(times_s.size)


def test_what_is_made_with_both_lips() -> None:
    phonemes = [
        Phoneme("pʰ", 0.0, 0.113),
        Phoneme("ˈɑː", 0.113, 0.3),
        Phoneme("əm", 0.3, 0.4),  # where in it the lips meet is not known
        Phoneme("f", 0.4, 0.5),
        Phoneme("m", 0.5, 0.6),
        Phoneme("p", 0.6, 0.713),  # goes on with the m before: one closure
        Phoneme("", 0.713, 0.9),
        Phoneme("b", 0.9, 0.9),  # of no length
    ]
    found = find_closures(phonemes)
    assert found.symbols == ("p", "m")
    assert found.starts_s == pytest.approx([0.0, 0.5])
    assert found.ends_s == pytest.approx([0.069, 0.669])  # 69 of 113 ms, Byrd 1993
    assert find_closures([]).n == 0


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.floats(-0.3, 0.3), st.sampled_from([24.0, 25.0, 30.0, 50.0]))
def test_a_planted_delay_comes_back(seed: int, delay_s: float, fps: float) -> None:
    phonemes = speak(seed)
    times_s, gap = mouth(phonemes, delay_s=delay_s, fps=fps, noise=0.004)
    valid = np.ones(gap.size, dtype=bool)
    openness = scale_openness(gap, valid)
    assert openness is not None
    found = estimate_offset(times_s, openness, valid, find_closures(phonemes))
    assert found is not None
    assert found.is_clear
    assert found.offset_s == pytest.approx(delay_s, abs=0.015)
    assert found.interval_s.low < found.offset_s < found.interval_s.high


def test_planted_misses_are_found_at_any_offset() -> None:
    hits = n_planted = n_found = 0
    for seed in range(8):
        phonemes = speak(seed)
        closures = find_closures(phonemes)
        missed = tuple(range(seed % 3, closures.n, 4))
        times_s, gap = mouth(phonemes, delay_s=0.02 * (seed - 4), missed=missed, noise=0.003)
        valid = np.ones(gap.size, dtype=bool)
        openness = scale_openness(gap, valid)
        assert openness is not None
        offset = estimate_offset(times_s, openness, valid, closures)
        assert offset is not None
        judged = judge_closures(times_s, openness, valid, closures, offset.offset_s)
        assert judged.is_judged.all()
        hits += int(judged.is_missed[list(missed)].sum())
        n_planted += len(missed)
        n_found += int(judged.is_missed.sum())
    assert 2 * hits / (n_planted + n_found) >= 0.9


def test_the_interval_holds_what_was_planted() -> None:
    held = []
    for seed in range(40):
        phonemes = speak(seed, 80)
        moved = move_phonemes(phonemes, 0.1)
        times_s, gap = mouth(phonemes, delay_s=0.03, noise=0.006)
        valid = np.ones(gap.size, dtype=bool)
        openness = scale_openness(gap, valid)
        assert openness is not None
        found = estimate_offset(times_s, openness, valid, find_closures(moved))
        if found is not None and found.is_clear:
            held.append(found.interval_s.low <= 0.03 - 0.1 <= found.interval_s.high)
    assert len(held) > 30
    assert np.mean(held) >= 0.9


def test_a_mouth_that_says_something_else_is_not_clear() -> None:
    unclear = []
    for seed in range(12):
        times_s, gap = mouth(speak(seed + 500, 120))
        valid = np.ones(gap.size, dtype=bool)
        openness = scale_openness(gap, valid)
        assert openness is not None
        found = estimate_offset(times_s, openness, valid, find_closures(speak(seed, 120)))
        unclear.append(found is None or not found.is_clear)
    assert np.mean(unclear) >= 0.6


def test_a_mouth_that_never_shuts_misses_all() -> None:
    phonemes = speak(3)
    closures = find_closures(phonemes)
    times_s, gap = mouth(phonemes, missed=tuple(range(closures.n)))
    gap = 0.06 + 0.6 * gap
    valid = np.ones(gap.size, dtype=bool)
    openness = scale_openness(gap, valid)
    assert openness is not None
    assert judge_closures(times_s, openness, valid, closures, 0.0).missed_share == 1.0


def test_a_still_mouth_and_an_unseen_one_have_no_openness() -> None:
    gap = np.full(50, 0.05)
    assert scale_openness(0.001 * np.arange(10), np.ones(10, dtype=bool)) is None
    assert scale_openness(gap * 0, np.ones(50, dtype=bool)) is None
    assert scale_openness(np.full(50, np.nan), np.zeros(50, dtype=bool)) is None


def test_what_was_not_seen_is_not_judged() -> None:
    phonemes = speak(5)
    closures = find_closures(phonemes)
    times_s, gap = mouth(phonemes)
    valid = times_s > closures.ends_s[2] + 0.2
    openness = scale_openness(np.where(valid, gap, np.nan), valid)
    assert openness is not None
    judged = judge_closures(times_s, openness, valid, closures, 0.0)
    assert not judged.is_judged[:3].any()
    assert judged.is_judged[4:].all()
    nothing = judge_closures(times_s, openness, np.zeros(times_s.size, dtype=bool), closures, 0.0)
    assert nothing.missed_share is None
    assert estimate_offset(times_s, openness, np.zeros(times_s.size, dtype=bool), closures) is None


def test_few_closures_tell_no_offset() -> None:
    phonemes = speak(5)
    times_s, gap = mouth(phonemes)
    valid = np.ones(gap.size, dtype=bool)
    openness = scale_openness(gap, valid)
    assert openness is not None
    every = find_closures(phonemes)
    few = Closures(*(part[: FEWEST_CLOSURES - 1] for part in every))
    enough = Closures(*(part[:FEWEST_CLOSURES] for part in every))
    assert estimate_offset(times_s, openness, valid, few) is None
    assert estimate_offset(times_s, openness, valid, enough) is not None


@pytest.mark.parametrize("shift_s", [-0.3, 0.0, 0.45])
def test_own_phonemes_are_placed_by_their_loudness(shift_s: float) -> None:
    phonemes = speak(1)
    times_s = np.arange(0, phonemes[-1].end_s + 1, 0.01)
    level_db = np.full(times_s.size, -70.0)
    for one in move_phonemes(phonemes, shift_s):
        if one.symbol:
            level_db[(times_s >= one.start_s) & (times_s < one.end_s)] = -15 if one.symbol in "aeiou" else -35
    place = place_phonemes(phonemes, times_s, level_db)
    assert place is not None
    assert place.shift_s == pytest.approx(shift_s, abs=0.01)
    assert place.likeness > 0.7
    other = place_phonemes(speak(77), times_s, level_db)
    assert other is not None
    assert other.likeness < place.likeness
    assert place_phonemes((), times_s, level_db) is None
    assert place_phonemes(phonemes, times_s, np.full(times_s.size, -30.0)) is None


def test_a_small_shift_is_noise() -> None:
    assert move_phonemes([Phoneme("p", 1.0, 1.1)], 0.01) == (Phoneme("p", 1.0, 1.1),)
    assert move_phonemes([Phoneme("p", 1.0, 1.1)], -0.5)[0].start_s == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times_s": np.array([0.0, 0.0, 0.1])}, "times_s"),
        ({"openness": np.array([0.0, np.nan, 0.1])}, "openness"),
        ({"openness": np.zeros(2)}, "openness"),
        ({"valid": np.ones(3)}, "valid"),
    ],
)
def test_bad_courses_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    course = {"times_s": np.arange(3) / 25, "openness": np.zeros(3), "valid": np.ones(3, dtype=bool)} | change
    closures = Closures(("p",), np.array([0.0]), np.array([0.05]))
    with pytest.raises(ValueError, match=message):
        judge_closures(course["times_s"], course["openness"], course["valid"], closures, 0.0)
    with pytest.raises(ValueError, match=message):
        estimate_offset(course["times_s"], course["openness"], course["valid"], closures)


def test_sounds_need_no_order() -> None:
    """Drivers of other programs report them as they like."""
    told = [Phoneme("b", 1.0 + 0.5 * k, 1.08 + 0.5 * k) for k in range(6)]
    told += [Phoneme("a", 1.08 + 0.5 * k, 1.5 + 0.5 * k) for k in range(6)]
    in_order = sorted(told, key=lambda one: one.start_s)
    a, b = find_closures(told), find_closures(in_order)
    assert a.symbols == b.symbols == ("b",) * 6
    assert a.starts_s.tolist() == b.starts_s.tolist()
    level_db = np.random.default_rng(0).normal(-30, 10, 500)
    assert place_phonemes(told, np.arange(500) / 100, level_db) == place_phonemes(
        in_order, np.arange(500) / 100, level_db
    )


def test_a_sound_within_another_does_not_shorten_it() -> None:
    found = find_closures([Phoneme("m", 0.0, 0.3), Phoneme("b", 0.1, 0.15)])
    assert found.ends_s.tolist() == [0.3]
