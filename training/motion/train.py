"""Train the motion model.

``python training/motion/train.py CACHE OUT [--steps 2000] [--seed 1]`` reads ``CACHE/space`` (made by ``space.py``,
``sync.py`` and ``speak.py``) and writes ``motion.npz`` and ``face.npz`` into ``OUT``. The same seed and number of steps
give the same weights on the same machine. About six minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from data import (
    WINDOW,
    Face,
    Spoken,
    Tracks,
    draw_spoken,
    draw_window,
    load_face,
    load_spoken,
    load_tracks,
    measure_style,
)
from torch import Tensor

from pipeline.reference.channels import N_CHANNELS, N_MOUTH, STYLES
from pipeline.reference.features import MOTION_RATE_HZ, fold
from pipeline.reference.motion import LIP_PRIOR, PREFIX, prior_noise
from pipeline.reference.network import MotionNetwork

HELD_OUT = (
    "v-express_vasa1_5",
    "v-express_vasa1_l7",
    "linly-talker_example_answer2",
    "dreamtalk_dreamtalk_zh_surprised_256",
    "edtalk_demo_EDTalk_A_512",
    "lipnet_lrwp9a",
)
BATCH = 16
N_SPOKEN = 6
RATE = 7.5e-4
AJAR_GAP = 0.09  # eye distances
GAP_UNIT = 0.05
DROPOUT = 0.15


class Course:
    """Everything that stays the same while the network learns."""

    def __init__(self, tracks: Tracks, spoken: Spoken, face: Face, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tracks = list(tracks.values())
        self.spoken = spoken
        self.face = face
        lengths = np.array([len(motion) for motion, _ in self.tracks], float)
        self.chance = lengths / lengths.sum()
        everything = np.concatenate([motion for motion, _ in self.tracks])
        self.mean, self.spread = everything.mean(0), everything.std(0)
        self.mean[10:] = 0  # a head at rest is held as the portrait holds it
        cuts = [m[i : i + WINDOW] for m, _ in self.tracks for i in range(0, max(1, len(m) - WINDOW), 20)]
        styles = np.array([measure_style(cut, face) for cut in cuts])
        self.style_mean, self.style_spread = styles.mean(0), styles.std(0)
        self.to_gap = torch.from_numpy((face.parting * self.spread[:N_MOUTH]).astype(np.float32))
        self.rest_gap = float(face.parting @ self.mean[:N_MOUTH])
        self.weight = torch.ones(N_CHANNELS)
        self.weight[:N_MOUTH] = 2.0
        self.smoothness = torch.zeros(N_CHANNELS)
        self.smoothness[N_MOUTH + 1 :] = 8.0

    def windows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw standardised motion, sound and style; one style in five is left out."""
        picked = self.rng.choice(len(self.tracks), BATCH, p=self.chance)
        drawn = [draw_window(self.rng, *self.tracks[i]) for i in picked]
        motion = np.stack([(m - self.mean) / self.spread for m, _ in drawn]).astype(np.float32)
        style = [(measure_style(m, self.face) - self.style_mean) / self.style_spread for m, _ in drawn]
        told = torch.from_numpy(np.clip(style, -3, 3).astype(np.float32)) * (torch.rand(BATCH, 1) > 0.2)
        return torch.from_numpy(motion), torch.from_numpy(np.stack([h for _, h in drawn])), told

    def loss_of_closures(self, network: MotionNetwork) -> Tensor:
        """How far lips are apart on p, b, m, and how little the mouth is open on a, in synthesised speech."""
        said = [draw_spoken(self.rng, self.spoken) for _ in range(N_SPOKEN)]
        heard, shut, ajar = (torch.from_numpy(np.stack(part)) for part in zip(*said, strict=True))
        gap = network.hear(heard)[1][..., :N_MOUTH] @ self.to_gap + self.rest_gap
        too_open = torch.relu(gap - 0.004)[shut] / GAP_UNIT
        too_shut = torch.relu(AJAR_GAP - gap)[ajar] / GAP_UNIT
        return too_open.square().mean() + 0.5 * too_shut.square().mean()

    def losses(self, network: MotionNetwork) -> tuple[Tensor, Tensor, Tensor]:
        """Return the losses of the flow, of the prediction from sound alone and of the closures."""
        target, heard, style = self.windows()
        hidden, likeliest = network.hear(heard)
        miss = likeliest - target
        lips = miss[..., :N_MOUTH]
        hearing = lips.square().mean() + 2.0 * lips.diff(dim=1).square().mean()
        hearing = hearing + 0.2 * miss[..., N_MOUTH:].square().mean()

        start = torch.from_numpy(np.stack([prior_noise(self.rng, WINDOW) for _ in range(BATCH)]))
        deaf = torch.rand(BATCH, 1, 1) < 0.12
        informed = start.clone()
        informed[..., :N_MOUTH] = LIP_PRIOR * start[..., :N_MOUTH] + likeliest.detach()[..., :N_MOUTH]
        start = torch.where(deaf, start, informed)
        known = torch.zeros(BATCH, WINDOW, 1)
        known[torch.rand(BATCH) > 0.15, :PREFIX] = 1
        moment = torch.rand(BATCH)
        at = start + moment[:, None, None] * (target - start)
        at = at * (1 - known) + target * known
        listened = torch.where(deaf, network.deaf, hidden)
        velocity = network(at, moment, listened, style * ~deaf[:, 0], target * known, known)
        astray = (velocity - (target - start)) * (1 - known)
        flow = (astray.square() * self.weight).mean() + (astray.diff(dim=1).square() * self.smoothness).mean()
        return flow, hearing, self.loss_of_closures(network)


def predict(network: MotionNetwork, mel: np.ndarray, n: int) -> np.ndarray:
    """Return the likeliest motion from sound alone, standardised, shape (n, channels)."""
    dropout, network.dropout = network.dropout, 0.0
    with torch.no_grad():
        guess = network.hear(torch.from_numpy(fold(mel)[:n])[None])[1][0].numpy()
    network.dropout = dropout
    return guess


def correlate(network: MotionNetwork, tracks: Tracks, face: Face, course: Course) -> dict[str, float]:
    """Correlate predicted and seen lip gap, clip by clip."""
    weight = face.parting * course.spread[:N_MOUTH]
    figures = {}
    for name, (motion, mel) in tracks.items():
        guess = predict(network, mel, len(motion))[:, :N_MOUTH] @ weight
        seen = ((motion - course.mean) / course.spread)[:, :N_MOUTH] @ weight
        figures[name] = round(float(np.corrcoef(guess, seen)[0, 1]), 3)
    return figures


def learn(course: Course, held_out: Tracks, n_steps: int) -> MotionNetwork:
    """Return the network, its weights averaged over the last steps."""
    network = MotionNetwork()
    network.dropout = DROPOUT
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02, betas=(0.9, 0.98))
    began, seen = time.process_time(), []
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 200) * (1 + np.cos(np.pi * step / n_steps))
        flow, hearing, closures = course.losses(network)
        optimizer.zero_grad()
        (flow + hearing + 0.3 * closures).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        keep = min(0.998, step / (step + 20))
        for key, value in network.state_dict().items():
            average[key].lerp_(value, 1 - keep)
        seen.append((flow.item(), hearing.item(), closures.item()))
        if (step + 1) % 250 == 0:
            means = " ".join(f"{v:.3f}" for v in np.mean(seen[-250:], axis=0))
            r = np.mean(list(correlate(network, held_out, course.face, course).values()))
            print(f"{step + 1} {time.process_time() - began:.0f} s: {means}, held-out r {r:.3f}", flush=True)
    network.load_state_dict(average)
    network.dropout = 0.0
    return network


def main() -> None:
    """Train, then write weights and figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    tracks, face = load_tracks(arguments.cache), load_face(arguments.cache)
    held_out = {name: tracks.pop(name) for name in HELD_OUT}
    course = Course(tracks, load_spoken(arguments.cache), face, arguments.seed)
    network = learn(course, held_out, arguments.steps)
    print("lip gap, predicted from sound alone and seen, correlation on held-out clips:")
    print(json.dumps(correlate(network, held_out, face, course), indent=1))
    n_parameters = sum(p.numel() for p in network.parameters())
    shown_s = sum(len(motion) for motion, _ in tracks.values()) / MOTION_RATE_HZ
    print(f"{n_parameters} parameters, {shown_s:.0f} s of motion")
    arguments.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(arguments.cache / "space" / "face.npz", arguments.out / "face.npz")
    weights = {f"network.{k}": v.numpy().astype(np.float16) for k, v in network.state_dict().items()}
    facts = {"mean": course.mean.astype(np.float32), "spread": course.spread.astype(np.float32)}
    np.savez_compressed(arguments.out / "motion.npz", styles=np.array(STYLES), **weights, **facts)


if __name__ == "__main__":
    main()
