"""Train the bundled CLIP model on drawings of marks: `python training/brand/train.py FOLDER`.

FOLDER gets (or has) the npm package simple-icons and the checkpoints. Two views of each mark must find each other
among those of all other marks of the batch, their mirror images and plain scenery, in both directions (InfoNCE),
and words that name the brand must find its views. Views begin plain and mildly distorted and become hard: without
that the model stays at chance. An hour on two busy cores.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from data import Mark, is_held_out, load_marks
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from views import Views

from evalkit.models.brand.network import FOLDER
from evalkit.tracks.clip import BUNDLED, load_open_clip

if TYPE_CHECKING:
    from collections.abc import Iterator

N_MARKS, N_MIRRORED, N_SCENERY = 104, 24, 32
HARD_AFTER = 0.5
COLORS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "red": (220, 20, 40),
    "orange": (250, 130, 20),
    "yellow": (250, 210, 30),
    "green": (40, 160, 70),
    "blue": (30, 100, 220),
    "purple": (120, 50, 160),
    "pink": (240, 90, 160),
    "brown": (120, 75, 40),
}


def name_color(color: tuple[int, int, int]) -> str:
    """Return the word for the nearest of a few colours."""
    return min(COLORS, key=lambda word: sum((a - b) ** 2 for a, b in zip(COLORS[word], color, strict=True)))


def is_symmetric(mark: Mark) -> bool:
    """Say whether a drawing is (nearly) its own mirror image."""
    alpha, mirrored = mark.alpha.astype(float), mark.alpha[:, ::-1].astype(float)
    return bool(np.minimum(alpha, mirrored).sum() > 0.85 * np.maximum(alpha, mirrored).sum())


class Batches(IterableDataset[dict[str, Any]]):
    """Batches of pairs of views, harder and harder as the clock runs.

    Parameters
    ----------
    marks
        To draw.
    seconds
        After `HARD_AFTER` of which views are as hard as they get.
    seed
        Of everything drawn.
    """

    def __init__(self, marks: list[Mark], seconds: float, seed: int, hardness_at_start: float = 0.0) -> None:
        self.marks, self.seconds, self.seed = marks, seconds, seed
        self.hardness_at_start = hardness_at_start
        self.symmetric = np.array([is_symmetric(mark) for mark in marks])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        views, started = Views(self.seed), time.monotonic()
        rng = np.random.default_rng(self.seed)
        torch.set_num_threads(1)
        while True:
            progress = min((time.monotonic() - started) / self.seconds / HARD_AFTER, 1.0)
            hardness = self.hardness_at_start + (1 - self.hardness_at_start) * progress
            chosen = rng.choice(len(self.marks), N_MARKS, replace=False)
            turned = [index for index in chosen if not self.symmetric[index]][:N_MIRRORED]
            shown = [(index, False) for index in chosen] + [(index, True) for index in turned]
            levels = hardness * np.sqrt(rng.random((len(shown), 2)))
            pairs = [
                [
                    views.draw(self.marks[index], mirrored, level)
                    for (index, mirrored), level in zip(shown, side, strict=True)
                ]
                for side in (levels[:, 0] * 0.6, levels[:, 1])
            ]
            scenery = [np.clip(views.scenery(1.0), 0, 255).astype(np.uint8) for _ in range(N_SCENERY)]
            words = [
                f"{self.marks[index].title} logo, {name_color(self.marks[index].color)}"
                if rng.random() < 0.5
                else f"{self.marks[index].title} logo"
                for index in chosen
            ]
            yield {
                "views": torch.from_numpy(np.stack(pairs[0] + pairs[1] + scenery)),
                "words": words,
                "hardness": hardness,
            }


def normalise(pictures: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    """Turn uint8 pictures, (n, h, w, 3), into what the model wants."""
    settings = model.visual.preprocess_cfg
    mean, std = torch.tensor(settings["mean"]), torch.tensor(settings["std"])
    return (
        ((pictures.float() / 255 - mean) / std)
        .permute(0, 3, 1, 2)
        .contiguous(memory_format=torch.channels_last)
    )


def loss_of(
    model: torch.nn.Module, tokenizer: Any, batch: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of a batch and its share of right first answers."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedded = model.encode_image(normalise(batch["views"], model))
    embedded = functional.normalize(embedded.float(), dim=-1)
    n = (len(embedded) - N_SCENERY) // 2
    left, right, scenery = embedded[:n], embedded[n : 2 * n], embedded[2 * n :]
    scale, target = model.logit_scale.exp(), torch.arange(n)
    across = scale * left @ right.T
    loss = functional.cross_entropy(torch.cat([across, scale * left @ scenery.T], 1), target)
    loss = loss + functional.cross_entropy(torch.cat([across.T, scale * right @ scenery.T], 1), target)
    said = functional.normalize(model.encode_text(tokenizer(batch["words"])), dim=-1)
    told = scale * said @ right[:N_MARKS].T
    target_told = torch.arange(N_MARKS)
    loss_told = functional.cross_entropy(told, target_told) + functional.cross_entropy(told.T, target_told)
    return loss / 2 + 0.05 * loss_told, (across.argmax(1) == target).float().mean()


@torch.no_grad()
def first_answers(model: torch.nn.Module, marks: list[Mark], seed: int = 7) -> dict[str, float]:
    """Return the share of held-out marks whose hard view finds its plain view first, among all of them."""
    model.eval()
    views = Views(seed, 60)
    shares = {}
    plain = [views.draw(mark, False, 0.0) for mark in marks]
    for hardness in (0.3, 1.0):
        hard = [views.draw(mark, False, hardness) for mark in marks]
        left, right = (
            torch.cat(
                [
                    model.encode_image(normalise(torch.from_numpy(np.stack(some[at : at + 128])), model))
                    for at in range(0, len(some), 128)
                ]
            )
            for some in (plain, hard)
        )
        found = functional.normalize(right, dim=-1) @ functional.normalize(left, dim=-1).T
        shares[f"hardness {hardness}"] = float((found.argmax(1) == torch.arange(len(marks))).float().mean())
    model.train()
    return shares


def save(model: torch.nn.Module, file: Path) -> None:
    """Write the weights in half precision."""
    from safetensors.torch import save_file

    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(weights, file)


def main() -> None:
    """Train for some time and keep a checkpoint every few minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for the icons and the checkpoints")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--start", type=Path, help="weights to go on from, with hard views from the beginning"
    )
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    open_clip = load_open_clip()
    marks = load_marks(options.folder)
    trained = [mark for mark in marks if not is_held_out(mark.slug)]
    unseen = [mark for mark in marks if is_held_out(mark.slug)]
    pretrained = {"pretrained": str(options.start)} if options.start else {}
    model = open_clip.create_model(BUNDLED, **pretrained).train().to(memory_format=torch.channels_last)
    tokenizer = open_clip.get_tokenizer(BUNDLED)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    print(f"{len(trained)} marks to train on, {len(unseen)} held out; parameters {sizes}", flush=True)
    seconds = options.minutes * 60
    batches = Batches(trained, seconds, options.seed, 0.55 if options.start else 0.0)
    loader = DataLoader(batches, batch_size=None, num_workers=options.workers, prefetch_factor=4)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.05, betas=(0.9, 0.98))
    started, kept, losses, rights = time.monotonic(), 0.0, [], []
    for step, batch in enumerate(loader):
        elapsed = time.monotonic() - started
        progress = min(elapsed / seconds, 1.0)
        warm = min((step + 1) / 60, 1.0)
        rate = options.rate * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss, right = loss_of(model, tokenizer, batch)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=float(np.log(50)))
        losses.append(loss.item())
        rights.append(float(right))
        if step % 25 == 24:
            print(
                f"{elapsed / 60:5.1f} min step {step + 1} hardness {batch['hardness']:.2f} "
                f"loss {np.mean(losses[-50:]):.3f} right {np.mean(rights[-50:]):.3f} scale {model.logit_scale.exp():.1f}",
                flush=True,
            )
        if elapsed - kept > 240 or progress >= 1:
            kept = elapsed
            save(model, options.folder / "weights.safetensors")
            print(json.dumps(first_answers(model, unseen)), flush=True)
        if progress >= 1:
            break
    print(f"weights in {options.folder / 'weights.safetensors'}; the product wants them in {FOLDER}")


if __name__ == "__main__":
    main()
