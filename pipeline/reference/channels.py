"""What motion is made of: its channels, and the styles that drive it."""

from __future__ import annotations

CHANNELS = (
    *(f"mouth_{k}" for k in range(8)),
    "blink",
    "brow",
    "yaw_deg",
    "pitch_deg",
    "roll_deg",
    "right",
    "down",
    "zoom",
)
"""Mouth in standard deviations from closed; lids 0 to 1; brows, right and down in eye distances; zoom a logarithm."""
N_MOUTH = 8
N_CHANNELS = len(CHANNELS)
STYLES = ("smile", "nod", "energy", "articulation", "brow", "blink")
