"""Fit the weights that tell speech from other sounds, and write them with the figures of a cross-check.

    python training/speech_likeness/train.py MEDIA [--out evalkit/models/speech_likeness]

MEDIA holds ``talking_real``, ``talking_generated`` and ``speech``. Takes about ten minutes on one core; the same seed gives
the same weights.

1. Speech: every recording whole and in pieces of three to six seconds, and sentences of espeak-ng in many languages;
   each also with noise, hum, music or other voices 8 to 20 dB below it, in a room, and through poor microphones.
2. Other sounds: `evalkit.testing.sounds`, forty of each family, some with noise or in a room.
3. Logistic regression with quadratic terms. Every family counts alike, and so does every sixth of the recordings.
4. Cross-check: each family, and each sixth of the recordings, is judged by weights that never met it.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, signal

from evalkit.media import Reader, probe
from evalkit.metrics.speech_likeness import MEASURES, measure_likeness
from evalkit.models.speech_likeness.model import FARTHEST
from evalkit.testing import sounds
from evalkit.testing.speech import speak
from evalkit.tracks.speech import N_MFCC, RATE_HZ, describe
from evalkit.types import AudioChunk

if TYPE_CHECKING:
    from collections.abc import Iterator

SENTENCES = {
    "en-us": "The quick brown fox jumps over the lazy dog, and then she sells sea shells by the shore.",
    "de": "Der schnelle Fuchs springt über den faulen Hund, und dann geht er nach Hause.",
    "fr": "Le petit chat noir dort sur la chaise pendant que nous parlons de la journée.",
    "cmn": "今天天气很好，我们一起去公园散步吧，然后回家吃饭。",
    "es": "El perro de mi hermano corre por la calle todas las mañanas muy temprano.",
    "ru": "Сегодня хорошая погода, и мы пойдем гулять в парк вместе с друзьями.",  # noqa: RUF001 - Cyrillic
    "ja": "きょうはとてもいいてんきですね。こうえんへいきましょう。",
    "ar": "مرحبا كيف حالك اليوم أتمنى أن تكون بخير",
    "hi": "आज मौसम बहुत अच्छा है और हम बाहर जाएंगे",
    "vi": "Hôm nay trời rất đẹp và chúng tôi sẽ đi chơi công viên",
    "fi": "Tänään on kaunis ilma ja menemme puistoon kävelemään yhdessä",
    "it": "Oggi è una bella giornata e andiamo al parco insieme ai nostri amici",
    "pt-br": "Hoje está um dia bonito e nós vamos ao parque com os amigos",
    "tr": "Bugün hava çok güzel ve arkadaşlarla parka gidiyoruz",
    "ko": "오늘은 날씨가 아주 좋아서 공원에 갑니다",
    "sw": "Leo ni siku nzuri na tutaenda bustani pamoja",
}
BELOW = ("noise", "pink", "hum", "melody", "band", "voices")
FILTERS = {"telephone": (300, 3400), "thin": (500, 7900), "dull": (20, 2500)}
N_OF_EACH = 40
N_PARTS = 6
PENALTY = 5e-3
THRESHOLD = -1.0
"""Below even odds, so that no recording of the cross-check is refused."""


def heard(path: Path) -> np.ndarray | None:
    """Return the sound of a file, or None without any."""
    facts = probe(str(path))
    chunks = [
        chunk.samples for chunk in Reader(facts, frames=False, sound_rates_hz=(RATE_HZ,))
        if isinstance(chunk, AudioChunk)
    ]  # fmt: skip
    sound = np.concatenate([np.zeros(0), *chunks])
    return sound if np.abs(sound).max(initial=0) > 1e-4 else None


def versions(
    random: np.random.Generator, speech: np.ndarray, others: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Hear speech plain, before other sounds, in a room and through poor microphones."""
    speech = sounds.at_level(speech)
    length_s = speech.size / RATE_HZ + 0.1
    yield speech
    for below in BELOW:
        if below == "voices":
            chosen = random.choice(len(others), 4, replace=False)
            other = sum(np.resize(sounds.at_level(others[place]), speech.size) for place in chosen)
        elif below == "pink":
            other = sounds.noise(random, length_s, 1.0)
        else:
            other = sounds.SILENT_FAMILIES[below](random, length_s)
        yield speech + sounds.at_level(other[: speech.size], -20 - random.uniform(8, 20))
    yield sounds.in_a_room(random, speech)
    for band in FILTERS.values():
        yield signal.sosfilt(signal.butter(2, band, "bandpass", fs=RATE_HZ, output="sos"), speech)
    yield np.clip(sounds.at_level(speech, -2), -1, 1)


class Examples:
    """Measures of many sounds, whether each is speech, and the group that each belongs to."""

    def __init__(self) -> None:
        self.measures: list[np.ndarray] = []
        self.is_speech: list[bool] = []
        self.groups: list[str] = []

    def add(self, sound: np.ndarray, group: str, *, speech: bool) -> None:
        """Measure a sound, unless there is too little of it."""
        described = describe(sounds.at_level(sound).astype(np.float32)).astype(np.float64)
        measures = measure_likeness(described[:, :N_MFCC], described[:, N_MFCC])
        if measures is not None:
            self.measures.append(measures)
            self.is_speech.append(speech)
            self.groups.append(group)

    def add_voices(self, spoken: dict[str, np.ndarray]) -> None:
        """Add what espeak-ng says."""
        for voice, sound in spoken.items():
            digest = zlib.crc32(voice.encode())
            others = [other for name, other in spoken.items() if name != voice]
            for version in versions(np.random.default_rng(digest), sound, others):
                self.add(version, f"speech {digest % N_PARTS}", speech=True)

    def add_recording(self, path: Path, others: list[np.ndarray]) -> None:
        """Add a recording, whole and in two pieces."""
        sound = heard(path)
        if sound is None:
            return
        digest = zlib.crc32(path.name.encode())
        random, group = np.random.default_rng(digest), f"speech {digest % N_PARTS}"
        self.add(sound[: 20 * RATE_HZ], group, speech=True)
        n = min(sound.size, int(RATE_HZ * random.uniform(3, 6)))
        for first in random.integers(0, sound.size - n + 1, 2):
            piece = sound[first : first + n]
            if np.sqrt((piece**2).mean()) > 0.25 * np.sqrt((sound**2).mean()):
                for version in versions(random, piece, others):
                    self.add(version, group, speech=True)

    def add_other_sounds(self) -> None:
        """Add every family in which nobody speaks."""
        for name, family in sounds.SILENT_FAMILIES.items():
            for seed in range(N_OF_EACH):
                random = np.random.default_rng((zlib.crc32(name.encode()), seed))
                sound = sounds.at_level(family(random, random.uniform(3, 12)))
                kind = random.random()
                if kind < 0.25:
                    background = sounds.noise(random, sound.size / RATE_HZ, float(random.integers(2)))
                    sound = sound + sounds.at_level(background, -20 - random.uniform(20, 45))
                elif kind < 0.4:
                    sound = sounds.in_a_room(random, sound)
                self.add(sound, name, speech=False)


def gather(media: Path) -> Examples:
    """Return all examples."""
    spoken = {}
    for voice, text in SENTENCES.items():
        samples, rate_hz = speak(text, voice)
        spoken[voice] = signal.resample_poly(samples.astype(np.float64), RATE_HZ, rate_hz)
    examples = Examples()
    examples.add_voices(spoken)
    for folder in ("talking_real", "talking_generated", "speech"):
        for path in sorted((media / folder).iterdir()):
            examples.add_recording(path, list(spoken.values()))
    examples.add_other_sounds()
    return examples


def terms(unusual: np.ndarray) -> np.ndarray:
    """Return a one, the measures and their products, shape (n, 1 + n_measures + n_pairs)."""
    upper = np.triu_indices(unusual.shape[1])
    return np.hstack([np.ones((len(unusual), 1)), unusual, unusual[:, upper[0]] * unusual[:, upper[1]]])


def fit(x: np.ndarray, is_speech: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the weights of `terms` by logistic regression, with every group of a side counting alike."""
    _, place, count = np.unique(groups, return_inverse=True, return_counts=True)
    n_of_side = {side: len(set(groups[is_speech == side])) for side in (False, True)}
    share = np.array([0.5 / n_of_side[bool(side)] for side in is_speech]) / count[place]
    scale = x.std(axis=0)
    scale[0] = 1.0
    z, sign = x / scale, np.where(is_speech, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (z @ weights)
        pull = -sign * share / (1 + np.exp(np.clip(margin, -500, 500)))
        penalty = PENALTY * np.r_[0.0, weights[1:]]
        return float(share @ np.logaddexp(0, -margin) + penalty @ weights), z.T @ pull + 2 * penalty

    return optimize.minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x / scale


def main() -> None:
    """Fit, check and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("media", type=Path)
    parser.add_argument("--out", type=Path, default=Path("evalkit/models/speech_likeness"))
    options = parser.parse_args()
    examples = gather(options.media)
    measures, is_speech = np.array(examples.measures), np.array(examples.is_speech)
    groups = np.array(examples.groups)
    usual, spread = measures.mean(axis=0), measures.std(axis=0)
    x = terms(np.clip((measures - usual) / spread, -FARTHEST, FARTHEST))
    unseen = np.zeros(len(x))
    for group in np.unique(groups):
        apart = groups == group
        unseen[apart] = x[apart] @ fit(x[~apart], is_speech[~apart], groups[~apart])
    weights = fit(x, is_speech, groups)
    seen = x @ weights
    print(f"speech: {is_speech.sum()}, refused unseen {(unseen[is_speech] < THRESHOLD).mean():.4f}")
    print(f"other:  {(~is_speech).sum()}, taken for speech {(seen[~is_speech] >= THRESHOLD).mean():.3f}, "
          f"of a family not seen {(unseen[~is_speech] >= THRESHOLD).mean():.3f}")  # fmt: skip
    for group in np.unique(groups[~is_speech]):
        here = groups == group
        print(
            f"  {group:14s} {(seen[here] >= THRESHOLD).mean():.2f}, not seen {(unseen[here] >= THRESHOLD).mean():.2f}"
        )
    n = len(MEASURES)
    quadratic = np.zeros((n, n))
    quadratic[np.triu_indices(n)] = weights[1 + n :]
    stored = {
        "measures": MEASURES,
        "usual": usual.round(5).tolist(),
        "spread": spread.round(5).tolist(),
        "constant": round(float(weights[0]), 5),
        "linear": weights[1 : 1 + n].round(5).tolist(),
        "quadratic": quadratic.round(5).tolist(),
        "threshold": THRESHOLD,
    }
    (options.out / "weights.json").write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    print("wrote", options.out / "weights.json")


if __name__ == "__main__":
    main()
