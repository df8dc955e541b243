"""What `speech` is worth: ``python -m tests.speech_figures FOLDER... [--oracle PYTHON]`` prints every figure.

The folders hold sound and video; words are known of the files that ``tests/fixtures/speech_with_known_words.csv`` names. The oracle is a
Python in which speechmos and librosa are installed: its own results are compared with ours.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from evalkit.evaluators.speech import compare
from evalkit.metrics.speech import Alignment, align_words, normalise
from evalkit.tracks.speech_quality import SpeechQualityTracker
from evalkit.tracks.transcript import TranscriptTracker
from evalkit.types import AudioChunk, ClipIntent, Track
from pipeline.errors import RequestError
from pipeline.recogniser import Recogniser
from pipeline.sound import read_sound
from pipeline.speech.sphinx import Pocketsphinx
from pipeline.speech.whisper import FasterWhisper
from pipeline.speech.whisper_weights import PACKAGES

RATE_HZ = 16_000
KNOWN = Path(__file__).parent / "fixtures" / "speech_with_known_words.csv"
SNR_DB = (30, 20, 10, 0)
OPINIONS = ("signal", "background", "overall", "packet_loss")
LONGEST_S = 10
_ORACLE = """
import json, sys, numpy as np
from speechmos import dnsmos, plcmos
for path in sys.argv[1:]:
    sound = np.load(path)
    np.random.seed(0)
    loss = plcmos.run(sound, 16000)["plcmos"]
    found = dnsmos.run(sound, 16000)
    print(json.dumps([*(float(found[name]) for name in ("sig_mos", "bak_mos", "ovrl_mos")), loss]))
"""


class Known(NamedTuple):
    """A recording whose words are known.

    Parameters
    ----------
    path : Path
    kind : str
        Language, and what is special about it.
    words : str
    """

    path: Path
    kind: str
    words: str

    @property
    def language(self) -> str:
        """The language alone."""
        return self.kind.partition("-")[0]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def sound_files(folders: list[Path]) -> list[Path]:
    suffixes = {".wav", ".flac", ".mp4", ".mpg", ".avi"}
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes)


def known_among(files: list[Path]) -> list[Known]:
    by_name = {path.name: path for path in files}
    with KNOWN.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Known(by_name[row["file"]], row["language"], row["words"]) for row in rows if row["file"] in by_name
    ]


def follow(tracker: TranscriptTracker | SpeechQualityTracker, sound: NDArray[np.float32]) -> Track:
    tracker.update(AudioChunk(0.0, RATE_HZ, sound))
    return tracker.finish()


def align(known: Known, transcript: Track) -> Alignment:
    found = compare(ClipIntent(known.words, known.language), transcript)
    return found.characters if found.words is None else found.words


def plant(words: list[str], k: int, random: np.random.Generator) -> tuple[list[str], set[int]]:
    """Replace k words by such as nobody says; return the places too."""
    places = set(random.choice(len(words), k, replace=False).tolist())
    return [f"qzx{place}" if place in places else word for place, word in enumerate(words)], places


def planted_errors(
    known: Known, transcript: Track, random: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Yield for each number of replaced words what the errors rose by, less the words that were wrong before."""
    script = normalise(known.words, known.language).split()
    heard = normalise(" ".join(transcript.facts["texts"]), known.language)
    before = align_words(" ".join(script), heard).errors
    for k in range(1, len(script) // 2 + 1):
        planted, places = plant(script, k, random)
        wrong_anyway = sum(before[place] > 0 for place in places)
        after = align_words(" ".join(planted), heard).errors.sum()
        yield k, float(after - before.sum() + wrong_anyway)


def recognition(known: list[Known]) -> None:
    say("## Errors of recognisers (the floor), pooled over words or characters\n")
    recognisers: list[Recogniser] = []
    for name in PACKAGES:
        try:
            recognisers.append(FasterWhisper(model=name))
        except RequestError as error:
            say(f"(without {name}: {error})")
    recognisers.append(Pocketsphinx())
    for recogniser in recognisers:
        rates: dict[str, list[Alignment]] = {}
        planted: list[tuple[int, float]] = []
        random = np.random.default_rng(0)
        took_s = length_s = 0.0
        for one in known:
            if not recogniser.serves(one.language):
                continue
            sound = read_sound(one.path, RATE_HZ)
            began_s = time.process_time()
            transcript = follow(TranscriptTracker(recogniser, {}, one.language), sound)
            took_s, length_s = took_s + time.process_time() - began_s, length_s + sound.size / RATE_HZ
            found = align(one, transcript)
            rates.setdefault(one.kind, []).append(found)
            if one.kind == "en":
                planted += planted_errors(one, transcript, random)
            if one.kind != "en" or found.errors.any():
                say(f"  {one.path.name} {found.error_rate:.2f}: {' '.join(transcript.facts['texts'])}")
        for kind, alignments in rates.items():
            errors = np.concatenate([found.errors for found in alignments])
            say(
                f"{recogniser.name} {recogniser.version}: {kind}: {errors.sum():.0f} of {errors.size} = {errors.mean():.3f}"
            )
        if planted:
            off = np.array([rise - k for k, rise in planted])
            say(
                f"planted in {len(planted)} scripts: exact in {np.mean(off == 0):.1%}, off by at most {np.abs(off).max():.0f}"
            )
        say(f"{took_s / length_s * 10:.2f} s of one core for 10 s of sound\n")
        recogniser.close()


def quality(files: list[Path], oracle: str | None) -> None:
    say("## Opinions of clean recordings, and under noise\n")
    random = np.random.default_rng(0)
    taus: dict[str, list[float]] = {name: [] for name in OPINIONS}
    n_falling = n_courses = 0
    sounds: dict[str, NDArray[np.float32]] = {}
    clean: dict[str, list[float]] = {}
    for path in files:
        try:
            sound = read_sound(path, RATE_HZ)[: LONGEST_S * RATE_HZ]
        except RequestError as error:
            say(f"  left out: {error}")
            continue
        track = follow(SpeechQualityTracker(), sound)
        sounds[path.name] = sound
        clean[path.name] = [float(track[name].mean()) for name in OPINIONS]
        say(f"  {path.name}: " + ", ".join(f"{value:.2f}" for value in clean[path.name]))
        noise = random.standard_normal(sound.size)
        level = np.sqrt(np.mean(sound.astype(float) ** 2))
        courses = []
        for snr_db in SNR_DB:
            noisy = (sound + level * 10 ** (-snr_db / 20) * noise).astype(np.float32)
            courses.append([float(v) for v in follow(SpeechQualityTracker(), noisy).values.mean(axis=0)])
        for name, course in zip(OPINIONS, np.array(courses).T, strict=True):
            taus[name].append(kendalltau(SNR_DB, course).statistic)
        overall = np.array(courses)[:, 2]
        n_courses += 1
        n_falling += bool((np.diff(overall) < 0).all())
        if not (np.diff(overall) < 0).all():
            say(f"    not falling: {np.round(overall, 3).tolist()}")
    say(f"\noverall falls at every step from 30 to 0 dB in {n_falling} of {n_courses}")
    for name, values in taus.items():
        say(f"Kendall's tau of SNR and {name}: mean {np.mean(values):.3f}, least {np.min(values):.3f}")
    if oracle is not None:
        _compare(oracle, sounds, clean)
    sound = next(sound for sound in sounds.values() if sound.size >= 9 * RATE_HZ)
    ten_s = np.resize(sound, 10 * RATE_HZ)
    began_s = time.process_time()
    follow(SpeechQualityTracker(), ten_s)
    say(f"{time.process_time() - began_s:.2f} s of one core for 10 s of sound")


def _compare(oracle: str, sounds: dict[str, NDArray[np.float32]], ours: dict[str, list[float]]) -> None:
    names = [name for name, sound in sounds.items() if np.abs(sound).max() <= 1]
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}.npy" for number in range(len(names))]
        for name, path in zip(names, paths, strict=True):
            np.save(path, sounds[name])
        said = subprocess.run([oracle, "-c", _ORACLE, *paths], capture_output=True, text=True, check=True)
    theirs = np.array([json.loads(line) for line in said.stdout.splitlines()])
    off = np.abs(theirs - np.array([ours[name] for name in names])).max(axis=0)
    say(
        f"against speechmos on {len(names)} recordings, largest difference: {dict(zip(OPINIONS, off, strict=True))}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--oracle")
    parser.add_argument("--only", choices=("recognition", "quality"))
    options = parser.parse_args()
    files = sound_files(options.folders)
    if options.only != "quality":
        recognition(known_among(files))
    if options.only != "recognition":
        quality(files, options.oracle)


if __name__ == "__main__":
    main()
