"""Train the articulatory predictor and write it, its bank of speech and its figures into the package.

    python training/lip_sync/train.py MEDIA [--out evalkit/models/lip_sync]

MEDIA holds ``talking_generated`` (synthetic speakers: the training set), ``speech`` (the bank) and ``talking_real``
(never trained on; its laboratory recordings set the zero). Takes about five minutes on one core; the same seed gives the same weights.

1. Every clip's lips and cepstra come from the product's own tracks.
2. A first network learns from one well-synchronised generator alone; it finds the constant offset that each other
   generator adds, and the final networks learn from all of them with that offset taken out.
3. Voices are few, so each is heard many times: other speed and pitch, other equalisation, noise and gain.
4. The zero of the offset is the mean over the laboratory recordings (GRID), which are known to be in sync.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from scipy import signal
from torch import nn

from evalkit.measuring.runner import make_tracks
from evalkit.media import Reader, probe
from evalkit.metrics import lip_sync
from evalkit.models.lip_sync.predictor import ArticulatoryPredictor
from evalkit.tracks import make_tracker
from evalkit.tracks.cache import TrackCache
from evalkit.tracks.face import LIP_COLUMNS
from evalkit.tracks.speech import FRAME_RATE_HZ, N_MFCC, RATE_HZ, describe

REFERENCE_GENERATOR = "v-express_vasa1_"
# Wav2Lip and MakeItTalk are out of sync by more than 100 ms; the 50 fps clip repeats another's speech and picture.
LEFT_OUT = ("wav2lip", "makeittalk", "lip_dain", "NO_audio")
LABORATORY = "lipnet_"
CHANNELS = 64
CROP_S = 3.0
N_VERSIONS = 8
N_NETWORKS = 3
N_STEPS = 2500
BATCH = 24
BANK_HOP_S = 1.2
NOT_IN_BANK = ("noisy", "chinese_poem1")  # the poem is spoken by clips of the training set


class Network(nn.Module):
    """Cepstra (batch, 13, 2 n) at 100 Hz to lips (batch, 6, n) at 50 Hz."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(N_MFCC, CHANNELS, 5, padding=2)
        self.down = nn.Conv1d(CHANNELS, CHANNELS, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, 5, padding=2 * 2**k, dilation=2**k) for k in range(3)
        )
        self.out = nn.Conv1d(CHANNELS, len(LIP_COLUMNS), 1)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict."""
        x = nn.functional.silu(self.stem(x))
        x = nn.functional.silu(self.down(x))
        for block in self.blocks:
            x = x + nn.functional.silu(block(self.drop(x)))
        return self.out(x)


class Speaker:
    """One clip: its lips over time and its sound."""

    def __init__(self, path: Path) -> None:
        facts = probe(str(path))
        self.name = path.name
        self.tracks, _ = make_tracks(
            facts, {name: make_tracker(name) for name in ("face", "speech")}, TrackCache()
        )
        chunks = list(Reader(facts, frames=False, sound_rates_hz=[RATE_HZ]))
        self.sound = np.concatenate([chunk.samples for chunk in chunks])
        self.sound_start_s = chunks[0].start_s
        face = self.tracks["face"]
        self.lip_times_s = face.times_s[face.valid]
        self.lips = face.select(*LIP_COLUMNS)[face.valid]

    def example(
        self, random: np.random.Generator, offset_s: float, *, plain: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cepstra (13, 2 n) and lips (6, n) of the whole clip, heard in another way unless plain."""
        speed, sound = Fraction(1), self.sound
        if not plain:
            speed = Fraction(random.uniform(0.85, 1.18)).limit_denominator(40)
            sound = disturb(random, signal.resample_poly(sound, speed.denominator, speed.numerator))
        rows = describe(sound.astype(np.float32))
        rows = rows[: len(rows) // 2 * 2]
        speech = lip_sync.detect_speech(rows[:, N_MFCC].astype(np.float64))
        cepstrum = lip_sync.normalise_cepstrum(rows[:, :N_MFCC].astype(np.float64), speech)
        start_s = (self.sound_start_s + offset_s) / float(speed) + 200 / RATE_HZ
        times_s = start_s + (np.arange(len(rows) // 2) * 2 + 0.5) / FRAME_RATE_HZ
        end_s = self.lip_times_s[-1] / float(speed)
        lips = lip_sync.keep_speech_band(lip_sync.on_grid(self.lip_times_s / float(speed), self.lips, end_s))
        lips /= lips.std(axis=0)
        grid_s = np.arange(len(lips)) / lip_sync.GRID_HZ
        inside = (times_s >= 0) & (times_s <= grid_s[-1])
        target = np.stack([np.interp(times_s[inside], grid_s, column) for column in lips.T])
        return torch.tensor(cepstrum[np.repeat(inside, 2)].T.copy()), torch.tensor(target.astype(np.float32))


def disturb(random: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """Hear speech through another microphone, room noise and gain."""
    sound = sound / (np.abs(sound).max() + 1e-9)
    if random.random() < 0.7:
        sound = signal.lfilter([1, random.uniform(-0.7, 0.7)], [1], sound)
    if random.random() < 0.5:
        middle = np.exp(random.uniform(np.log(200), np.log(5000)))
        band = signal.butter(1, (0.7 * middle, 1.4 * middle), "band", fs=RATE_HZ, output="sos")
        sound = sound + random.uniform(-0.7, 2.0) * signal.sosfilt(band, sound)
    noise = random.standard_normal(len(sound))
    if random.random() < 0.5:
        noise = signal.lfilter([1], [1, -0.95], noise)
    noise *= sound.std() / noise.std() * 10 ** (-random.uniform(10, 50) / 20)
    sound = sound / np.abs(sound).max() + noise
    return sound * 10 ** (random.uniform(-25, 0) / 20)


def fit(speakers: list[Speaker], offsets_s: dict[str, float], seed: int) -> Network:
    """Train one network."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    examples = [
        speaker.example(random, offsets_s.get(speaker.name, 0.0), plain=version == 0)
        for speaker in speakers
        for version in range(N_VERSIONS)
    ]
    length = int(CROP_S * lip_sync.GRID_HZ)
    examples = [(x, y) for x, y in examples if y.shape[1] >= length]
    share = np.array([y.shape[1] for _, y in examples], dtype=float)
    network = Network()
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=N_STEPS)
    edge = 15
    for step in range(N_STEPS):
        xs, ys = [], []
        for index in random.choice(len(examples), BATCH, p=share / share.sum()):
            x, y = examples[index]
            start = int(random.integers(0, y.shape[1] - length + 1))
            x = x[:, 2 * start : 2 * (start + length)]
            xs.append(x * (1 + 0.1 * torch.randn(N_MFCC, 1)) + 0.2 * torch.randn(N_MFCC, 1))
            ys.append(y[:, start : start + length])
        error = (network(torch.stack(xs)) - torch.stack(ys))[:, :, edge:-edge].square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(f"  seed {seed} step {step + 1}: squared error {error.item():.3f}", flush=True)
    return network.eval()


def weights_of(network: Network) -> dict[str, np.ndarray]:
    """Return weights by name, as `ArticulatoryPredictor` takes them."""
    return {
        name: value.detach().numpy().astype(np.float16).astype(np.float32)
        for name, value in network.state_dict().items()
    }


def predict(predictor: ArticulatoryPredictor, speaker: Speaker) -> tuple[np.ndarray, np.ndarray]:
    """Return times and predicted lips of a speaker's own sound."""
    track = speaker.tracks["speech"]
    return lip_sync.predict_lips(
        predictor, track.times_s, track.select(*track.columns[:N_MFCC]), track["level_db"]
    )


def find_offset(predictor: ArticulatoryPredictor, speaker: Speaker) -> lip_sync.OffsetEstimate:
    """Estimate a clip's constant offset, zero not yet calibrated."""
    face = speaker.tracks["face"]
    end_s = float(face.times_s[-1])
    observed = lip_sync.keep_speech_band(lip_sync.on_grid(speaker.lip_times_s, speaker.lips, end_s))
    predicted = lip_sync.keep_speech_band(lip_sync.on_grid(*predict(predictor, speaker), end_s))
    found = lip_sync.estimate_offset(predicted, observed, np.ones(len(observed), dtype=bool))
    if found is None:
        raise SystemExit(f"{speaker.name}: nothing to compare")
    return found


def make_bank(predictor: ArticulatoryPredictor, folder: Path) -> np.ndarray:
    """Cut other people's speech into windows and predict their lips.

    It must be speech that the networks never learned from: what they know by heart they predict too sharply, and a
    stranger's sound would then look better than chance.
    """
    pieces = []
    for path in sorted(folder.glob("*.wav")):
        if any(word in path.name for word in NOT_IN_BANK):
            continue
        track = make_tracks(probe(str(path)), {"speech": make_tracker("speech")}, TrackCache())[0]["speech"]
        mfcc = track.select(*track.columns[:N_MFCC])
        lips = lip_sync.predict_lips(predictor, track.times_s, mfcc, track["level_db"])
        lips = lip_sync.keep_speech_band(lip_sync.on_grid(*lips, float(track.times_s[-1])))
        length, hop = int(lip_sync.WINDOW_S * lip_sync.GRID_HZ), int(BANK_HOP_S * lip_sync.GRID_HZ)
        pieces += [lips[k : k + length] for k in range(0, len(lips) - length + 1, hop)]
    print(f"bank: {len(pieces)} pieces of speech")
    return np.stack(pieces)[:, :: lip_sync.GRID_HZ // lip_sync.DTW_HZ]


def main() -> None:
    """Train, calibrate, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("media", type=Path)
    parser.add_argument("--out", type=Path, default=Path("evalkit/models/lip_sync"))
    options = parser.parse_args()
    torch.set_num_threads(1)

    paths = sorted((options.media / "talking_generated").glob("*.mp4"))
    speakers = [Speaker(path) for path in paths if not any(word in path.name for word in LEFT_OUT)]
    reference = [speaker for speaker in speakers if speaker.name.startswith(REFERENCE_GENERATOR)]
    print(f"{len(speakers)} clips, {len(reference)} of the reference generator")

    first = ArticulatoryPredictor([weights_of(fit(reference, {}, seed=100))])
    offsets_s = {s.name: find_offset(first, s).offset_s for s in speakers if s not in reference}
    for name, offset_s in offsets_s.items():
        print(f"  {name}: {1000 * offset_s:+.0f} ms")
    networks = [weights_of(fit(speakers, offsets_s, seed)) for seed in range(N_NETWORKS)]
    predictor = ArticulatoryPredictor(networks)

    laboratory = [Speaker(path) for path in sorted((options.media / "talking_real").glob(f"{LABORATORY}*"))]
    zeros_s = [find_offset(predictor, speaker).offset_s for speaker in laboratory]
    zero_s = float(np.mean(zeros_s))
    print("laboratory offsets (ms):", np.round(1000 * np.array(zeros_s)), "zero:", round(1000 * zero_s, 1))

    bank = make_bank(predictor, options.media / "speech")
    options.out.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{k}/{name}": value.astype(np.float16)
        for k, network in enumerate(networks)
        for name, value in network.items()
    }
    head = json.dumps({"zero_s": round(zero_s, 4), "n_networks": len(networks)})
    np.savez_compressed(options.out / "predictor.npz", head=head, bank=bank.astype(np.float16), **arrays)
    print("wrote", options.out / "predictor.npz")


if __name__ == "__main__":
    main()
