"""The motion model: a small transformer that turns noise into motion by flow matching.

Sound is heard by a stack of convolutions whose output also predicts the likeliest motion; the flow starts from that
prediction plus noise (an informed prior) instead of from noise alone, so the lips, which sound determines nearly,
need little carrying, while head, brows and lids, which it does not, are drawn freely.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pipeline.reference.channels import N_CHANNELS, STYLES
from pipeline.reference.features import N_COLUMNS

N_STYLES = len(STYLES)
WIDTH = 128
N_HEADS = 4
N_LAYERS = 4
_SLOPES = (0.5, 0.2, 0.08, 0.03)


class Block(nn.Module):
    """Attention that fades with distance, then a feed-forward layer; both before-normed."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(WIDTH)
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor, bias: Tensor, dropout: float) -> Tensor:
        """Mix (batch, time, width) over time with ``bias`` (heads, time, time)."""
        n, t, _ = x.shape
        q, k, v = (
            part.view(n, t, N_HEADS, WIDTH // N_HEADS).transpose(1, 2)
            for part in self.project(self.before_attention(x)).chunk(3, dim=-1)
        )
        seen = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + nn.functional.dropout(self.mix(seen.transpose(1, 2).reshape(n, t, WIDTH)), dropout)
        out: Tensor = x + nn.functional.dropout(self.feed(x), dropout)
        return out


class Hearing(nn.Module):
    """Convolutions over folded log-mel, and the likeliest motion from them alone."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(N_COLUMNS, WIDTH)
        self.layers = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, 3, dilation=d, padding=d) for d in (1, 1, 2, 2, 4)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in self.layers)
        self.predict = nn.Linear(WIDTH, N_CHANNELS)

    def forward(self, heard: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """Return hidden states (batch, time, width) and predicted motion (batch, time, channels)."""
        x = self.enter(heard)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            step = nn.functional.gelu(layer(norm(x).transpose(1, 2)).transpose(1, 2))
            x = x + nn.functional.dropout(step, dropout)
        return x, self.predict(nn.functional.gelu(x))


class MotionNetwork(nn.Module):
    """Velocity of the flow at a moment of it, for motion in standardised channels."""

    def __init__(self) -> None:
        super().__init__()
        self.hearing = Hearing()
        self.deaf = nn.Parameter(torch.zeros(WIDTH))
        self.enter = nn.Linear(2 * N_CHANNELS + 1, WIDTH)
        self.listen = nn.Linear(WIDTH, WIDTH)
        self.style = nn.Linear(N_STYLES, WIDTH)
        self.moment = nn.Sequential(nn.Linear(32, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(N_LAYERS))
        self.leave = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, N_CHANNELS))
        self.dropout = 0.0

    def hear(self, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the velocity is conditioned on, and the likeliest motion."""
        hidden, likeliest = self.hearing(heard, self.dropout)
        return hidden, likeliest

    def forward(  # noqa: PLR0917 - torch calls it by position
        self,
        motion: Tensor,
        moment: Tensor,
        hidden: Tensor,
        style: Tensor,
        prefix: Tensor,
        known: Tensor,
    ) -> Tensor:
        """Return the velocity, shape of ``motion``.

        Parameters
        ----------
        motion : Tensor, shape (batch, time, channels)
            Where the flow is.
        moment : Tensor, shape (batch,)
            From 0 (prior) to 1 (motion).
        hidden : Tensor, shape (batch, time, width)
            From `hear`, or `deaf` where sound is left out.
        style : Tensor, shape (batch, styles)
            Standardised; 0 is usual.
        prefix : Tensor, shape of ``motion``
            The motion before, at its place; 0 elsewhere.
        known : Tensor, shape (batch, time, 1)
            1 where ``prefix`` says something.
        """
        rates = torch.exp(torch.linspace(0, math.log(100), 16, device=moment.device))
        angles = moment[:, None] * rates
        when = self.moment(torch.cat([angles.sin(), angles.cos()], -1))
        x = self.enter(torch.cat([motion, prefix, known], -1)) + self.listen(hidden)
        x = x + (when + self.style(style))[:, None]
        bias = _distance_bias(x.shape[1], x)
        for block in self.blocks:
            x = block(x, bias, self.dropout)
        out: Tensor = self.leave(x)
        return out


def _distance_bias(n: int, like: Tensor) -> Tensor:
    places = torch.arange(n, device=like.device)
    distance = (places[:, None] - places).abs().to(like.dtype)
    slopes = torch.tensor(_SLOPES, device=like.device, dtype=like.dtype)
    return -slopes[:, None, None] * distance
