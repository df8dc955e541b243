"""Sounds in which nobody speaks: tones, alarms, noises, music, in many makings. No recording behind them.

A family is a function of a random generator and a length that returns samples at `RATE_HZ`; `SILENT_FAMILIES` names them
all. The same seed gives the same sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalkit.types import FloatArray

    Random = np.random.Generator
    Family = Callable[[Random, float], FloatArray]

RATE_HZ = 16_000
_SCALE = (0, 2, 4, 5, 7, 9, 11, 12, 14)
_DECAYING = {"piano", "bell"}
_HARMONICS: dict[str, Callable[[int], float]] = {
    "sine": lambda h: 1.0 if h == 1 else 0.0,
    "flute": lambda h: 0.5 ** (h - 1),
    "strings": lambda h: 1 / h,
    "piano": lambda h: 1 / h**1.3,
    "organ": lambda h: 1 / (1 + (h - 1) % 3),
    "square": lambda h: (h % 2) / h,
    "bell": lambda h: 1 / h,
    "brass": lambda h: 1 / h**0.7,
}


def at_level(sound: FloatArray, level_db: float = -20.0) -> FloatArray:
    """Return a sound with a root mean square of `level_db` relative to full scale."""
    scale = 10 ** (level_db / 20) / max(float(np.sqrt((sound**2).mean())), 1e-9)
    return np.asarray(sound * scale)


def _times_s(length_s: float) -> FloatArray:
    return np.arange(round(length_s * RATE_HZ)) / RATE_HZ


def noise(random: Random, length_s: float, slope: float | None = None) -> FloatArray:
    """Make steady noise: blue, white, pink or brown; its power falls with frequency to the power of `slope`."""
    slope = float(random.choice([-1, 0, 1, 2])) if slope is None else slope
    n = round(length_s * RATE_HZ)
    spectrum = np.fft.rfft(random.normal(size=n))
    coloured = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(n, 1 / RATE_HZ), 20) ** (slope / 2), n)
    return np.asarray(coloured / np.abs(coloured).max())


def band_noise(random: Random, length_s: float) -> FloatArray:
    """Make noise in a band."""
    low_hz = random.uniform(100, 2000)
    band = (low_hz, min(7900, low_hz * random.uniform(1.3, 4)))
    sections = signal.butter(2, band, "bandpass", fs=RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(sections, random.normal(size=round(length_s * RATE_HZ))))


def pulsing_noise(random: Random, length_s: float) -> FloatArray:
    """Make noise whose level swings at a steady rate."""
    times_s = _times_s(length_s)
    swing = random.uniform(0.5, 1) * np.sin(2 * np.pi * random.uniform(1, 8) * times_s)
    return np.asarray(random.normal(size=times_s.size) * (1 + swing))


def wind(random: Random, length_s: float) -> FloatArray:
    """Make noise whose level wanders."""
    sound = noise(random, length_s, 1.5)
    n_points = int(length_s * random.uniform(0.7, 2.5)) + 3
    places = np.linspace(0, sound.size, n_points)
    return np.asarray(sound * np.interp(np.arange(sound.size), places, random.uniform(0.05, 1, n_points)))


def rain(random: Random, length_s: float) -> FloatArray:
    """Make noise with drops."""
    sound = 0.3 * noise(random, length_s, 0.3)
    drop_s = np.arange(300) / RATE_HZ
    for first in random.integers(0, sound.size - 300, int(length_s * random.uniform(5, 60))):
        ring = np.sin(2 * np.pi * random.uniform(500, 3000) * drop_s) * np.exp(-drop_s / 0.00375)
        sound[first : first + 300] += random.uniform(0.2, 1) * ring
    return sound


def tone(random: Random, length_s: float) -> FloatArray:
    """Make one sine, or up to five."""
    times_s = _times_s(length_s)
    pitches_hz = random.uniform(80, 4000, random.integers(1, 6))
    return np.asarray(np.sin(2 * np.pi * pitches_hz[:, None] * times_s).sum(axis=0))


def hum(random: Random, length_s: float) -> FloatArray:
    """Make the mains and its harmonics."""
    times_s = _times_s(length_s)
    base_hz = random.choice([50, 60, 100, 120])
    sound = sum(
        random.uniform(0, 1) / h * np.sin(2 * np.pi * base_hz * h * times_s + random.uniform(0, 6))
        for h in range(1, 20)
    )
    return np.asarray(sound + random.choice([0, 0.01, 0.1]) * random.normal(size=times_s.size))


def engine(random: Random, length_s: float) -> FloatArray:
    """Make a motor whose speed wanders."""
    times_s = _times_s(length_s)
    wander = 1 + 0.2 * np.sin(2 * np.pi * random.uniform(0.05, 0.5) * times_s + random.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(random.uniform(25, 90) * wander) / RATE_HZ
    beats = sum(
        random.uniform(0.2, 1) / h**0.7 * np.sin(h * phase + random.uniform(0, 6)) for h in range(1, 25)
    )
    return np.asarray(beats * (1 + 0.3 * np.sin(phase / 2)) + 0.2 * random.normal(size=times_s.size))


def sweep(random: Random, length_s: float) -> FloatArray:
    """Make a sine that rises."""
    low_hz, high_hz = random.uniform(50, 500), random.uniform(2000, 7000)
    times_s = _times_s(length_s)
    if random.integers(2):
        return np.asarray(signal.chirp(times_s, low_hz, length_s, high_hz))
    return np.asarray(signal.chirp(times_s, low_hz, length_s, high_hz, method="logarithmic"))


def siren(random: Random, length_s: float) -> FloatArray:
    """Make a pitch that swings, climbs again and again, or jumps between two."""
    times_s = _times_s(length_s)
    phase = 2 * np.pi * random.uniform(0.3, 5) * times_s
    course = (np.sin(phase), signal.sawtooth(phase), np.sign(np.sin(phase)))[random.integers(3)]
    sound = np.sin(2 * np.pi * np.cumsum(random.uniform(300, 900) * (1.5 + 0.5 * course)) / RATE_HZ)
    return np.asarray(sound + 0.3 * random.integers(2) * np.sign(sound))


def beeps(random: Random, length_s: float) -> FloatArray:
    """Make a sine that comes and goes."""
    times_s = _times_s(length_s)
    is_on = (times_s * random.uniform(0.8, 8)) % 1 < random.uniform(0.2, 0.7)
    sound = np.sin(2 * np.pi * random.uniform(400, 3000) * times_s) * is_on
    return np.asarray(sound + random.choice([0, 0.003]) * random.normal(size=times_s.size))


def ringing(random: Random, length_s: float) -> FloatArray:
    """Make a telephone ring."""
    times_s = _times_s(length_s)
    low_hz, ratio = random.uniform(300, 900), random.uniform(1.05, 1.3)
    pair = np.sin(2 * np.pi * low_hz * times_s) + np.sin(2 * np.pi * low_hz * ratio * times_s)
    rattle = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * random.uniform(12, 25) * times_s))
    return np.asarray(pair * rattle * (times_s % random.uniform(2, 4) < 1.2))


def dialling(random: Random, length_s: float) -> FloatArray:
    """Make telephone keys."""
    sound = np.zeros(round(length_s * RATE_HZ))
    first = 0
    while first < sound.size:
        n = int(random.uniform(0.06, 0.25) * RATE_HZ)
        times_s = np.arange(n) / RATE_HZ
        pair_hz = random.choice([697, 770, 852, 941]), random.choice([1209, 1336, 1477, 1633])
        key = sum(np.sin(2 * np.pi * hz * times_s) for hz in pair_hz)
        _add(sound, first, np.asarray(key))
        first += n + int(random.uniform(0.03, 0.2) * RATE_HZ)
    return sound


def claps(random: Random, length_s: float) -> FloatArray:
    """Make applause."""
    sound = np.zeros(round(length_s * RATE_HZ))
    for first in random.integers(0, sound.size, int(length_s * random.uniform(20, 400))):
        _add(sound, first, random.uniform(0.2, 1) * _burst(random, int(random.uniform(200, 900))))
    return sound


def steps(random: Random, length_s: float) -> FloatArray:
    """Make someone walk."""
    return _events(random, length_s, 0.2 + 0.6 * random.random(), (400, 3000), low_pass=True)


def typing(random: Random, length_s: float) -> FloatArray:
    """Make the keys of a keyboard."""
    return _events(random, length_s, 0.2, (100, 500), low_pass=False)


def birds(random: Random, length_s: float) -> FloatArray:
    """Make birds chirp."""
    sound = np.asarray(random.choice([0, 0.01]) * random.normal(size=round(length_s * RATE_HZ)))
    at_s = 0.0
    while at_s < length_s:
        times_s = _times_s(random.uniform(0.05, 0.3))
        bend = random.uniform(-1500, 1500) * np.sin(2 * np.pi * random.uniform(2, 15) * times_s)
        chirp = np.sin(2 * np.pi * np.cumsum(random.uniform(2000, 5500) + bend) / RATE_HZ)
        _add(sound, int(at_s * RATE_HZ), chirp * np.sin(np.pi * times_s / times_s[-1]))
        at_s += times_s[-1] + random.exponential(0.15)
    return sound


def barks(random: Random, length_s: float) -> FloatArray:
    """Make a dog bark."""
    sound = np.asarray(0.002 * random.normal(size=round(length_s * RATE_HZ)))
    at_s = 0.0
    while at_s < length_s:
        times_s = _times_s(random.uniform(0.1, 0.25))
        share = times_s / times_s[-1]
        phase = 2 * np.pi * np.cumsum(random.uniform(250, 600) * (1 - 0.4 * share)) / RATE_HZ
        bark = sum(np.sin(h * phase) / h**0.5 for h in range(1, 8)) + 0.3 * random.normal(size=share.size)
        _add(sound, int(at_s * RATE_HZ), np.asarray(bark) * np.sin(np.pi * share))
        at_s += times_s[-1] + random.uniform(0.1, 0.9)
    return sound


def melody(random: Random, length_s: float, *, voices: int = 1) -> FloatArray:
    """Make notes of one instrument, in or out of a beat."""
    sound = np.zeros(round(length_s * RATE_HZ))
    instrument = str(random.choice(list(_HARMONICS)))
    base_hz, beat_s, is_steady = (
        random.uniform(110, 440),
        1 / random.uniform(1.2, 7),
        bool(random.integers(2)),
    )
    at_s = 0.0
    while at_s < length_s:
        note_s = beat_s if is_steady else beat_s * random.choice([0.5, 1, 1.5, 2])
        if random.random() < 0.88:
            for step in random.choice(_SCALE, voices, replace=False):
                pitch_hz = base_hz * 2 ** (step / 12)
                note = _note(random, instrument, pitch_hz, max(note_s, 0.06))
                _add(sound, int(at_s * RATE_HZ), random.uniform(0.5, 1) * note)
        at_s += note_s
    return sound


def chords(random: Random, length_s: float) -> FloatArray:
    """Make three notes at once."""
    return melody(random, length_s, voices=3)


def drums(random: Random, length_s: float) -> FloatArray:
    """Make a loop of three drums."""
    sound = np.zeros(round(length_s * RATE_HZ))
    step_s = random.uniform(0.1, 0.25)
    pattern = random.random((3, 8)) < 0.5
    high = signal.butter(2, 6000, "highpass", fs=RATE_HZ, output="sos")
    for step in range(int(length_s / step_s) + 1):
        for drum in np.flatnonzero(pattern[:, step % 8]):
            n = (3000, 1500, 2500)[drum]
            decay = np.exp(-np.arange(n) / (n / 5))
            hit = (
                2 * np.sin(2 * np.pi * 60 * np.arange(n) / RATE_HZ),
                signal.sosfilt(high, random.normal(size=n)),
                0.7 * random.normal(size=n),
            )[drum]
            _add(sound, int(step * step_s * RATE_HZ), hit * decay)
    return sound


def band(random: Random, length_s: float) -> FloatArray:
    """Make a melody, chords, a bass and drums."""
    parts = (melody, chords, melody, drums)
    return np.asarray(sum(random.uniform(0.2, 1) * at_level(part(random, length_s) + 1e-9) for part in parts))


def in_a_room(random: Random, sound: FloatArray) -> FloatArray:
    """Return a sound as a room answers it: reverberation of 0.3 to 0.7 s, about as strong as the sound itself."""
    n = int(0.6 * RATE_HZ)
    answer = random.normal(size=n) * np.exp(-np.arange(n) / (RATE_HZ * random.uniform(0.05, 0.1)))
    answer /= np.sqrt((answer**2).sum())
    answer[0] += random.uniform(1, 1.6)
    return np.asarray(signal.fftconvolve(sound, answer)[: sound.size])


def _add(sound: FloatArray, first: int, piece: FloatArray) -> None:
    stop = min(sound.size, first + piece.size)
    if first < stop:
        sound[first:stop] += piece[: stop - first]


def _burst(random: Random, n: int) -> FloatArray:
    return np.asarray(random.normal(size=n) * np.exp(-np.arange(n) / (n / 5)))


def _events(
    random: Random, length_s: float, every_s: float, sizes: tuple[int, int], *, low_pass: bool
) -> FloatArray:
    """Return bursts of noise at uneven times."""
    sound = 1e-3 * random.normal(size=round(length_s * RATE_HZ))
    at_s = 0.0
    while at_s < length_s:
        burst = _burst(random, int(random.uniform(*sizes)))
        edge_hz = random.uniform(300, 3000) if low_pass else 800.0
        sections = signal.butter(2, edge_hz, "lowpass" if low_pass else "highpass", fs=RATE_HZ, output="sos")
        _add(sound, int(at_s * RATE_HZ), random.uniform(0.4, 1) * np.asarray(signal.sosfilt(sections, burst)))
        at_s += every_s * random.uniform(0.6, 1.4)
    return sound


def _note(random: Random, instrument: str, pitch_hz: float, length_s: float) -> FloatArray:
    times_s = _times_s(length_s)
    vibrato = random.choice([0, 0, 0.3, 1.0]) * np.sin(2 * np.pi * 5.5 * times_s)
    phase = 2 * np.pi * pitch_hz * times_s + vibrato
    note = np.zeros(times_s.size)
    for h in range(1, 15):
        stretched = h * (1 + 0.07 * h) if instrument == "bell" else h
        if stretched * pitch_hz > 7500:
            break
        decay = np.exp(-times_s * (2 + h) * 0.8) if instrument in _DECAYING else 1.0
        note += _HARMONICS[instrument](h) * decay * np.sin(stretched * phase + random.uniform(0, 6))
    attack_s, release_s = random.uniform(0.005, 0.08), 0.04
    envelope = np.minimum(1, times_s / attack_s) * np.clip((length_s - times_s) / release_s, 0, 1)
    return np.asarray(note * envelope)


SILENT_FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        noise,
        band_noise,
        pulsing_noise,
        wind,
        rain,
        tone,
        hum,
        engine,
        sweep,
        siren,
        beeps,
        ringing,
        dialling,
        claps,
        steps,
        typing,
        birds,
        barks,
        melody,
        chords,
        drums,
        band,
    )
}
"""Every family, by name."""
