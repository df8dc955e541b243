"""Find each clip's constant sound offset against all the others and take it out.

``python training/motion/sync.py CACHE`` writes ``CACHE/space/offsets.json``: milliseconds by which the sound of a
clip must be moved later for its lips to fit what the other clips taught.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

CONTEXT = range(-6, 7)
LAGS_MS = np.arange(-160, 161, 10)
LIPS = slice(0, 6)


def hear(mel: np.ndarray, n: int, lag_ms: int) -> np.ndarray:
    """Stack the sound around each of ``n`` motion frames, moved later by ``lag_ms``."""
    smooth = np.apply_along_axis(np.convolve, 0, mel, np.ones(4) / 4, "same")
    centres = 4 * np.arange(n) - round(lag_ms / 10)
    rows = np.stack([np.clip(centres + 4 * c, 0, len(mel) - 1) for c in CONTEXT], 1)
    stacked = smooth[rows].reshape(n, -1)
    return np.column_stack([stacked, np.ones(n)])


def main(cache: Path) -> None:
    """Alternate between teaching on all clips but one and moving that one."""
    tracks = {p.stem[6:]: np.load(p) for p in sorted((cache / "space").glob("track_*.npz"))}
    lips = {name: t["motion"][:, LIPS] - t["motion"][:, LIPS].mean(0) for name, t in tracks.items()}
    heard = {(n, lag): hear(t["mel"], len(lips[n]), lag) for n, t in tracks.items() for lag in LAGS_MS}
    offsets = dict.fromkeys(tracks, 0)
    for _ in range(4):
        gram = {n: heard[n, offsets[n]].T @ heard[n, offsets[n]] for n in tracks}
        moment = {n: heard[n, offsets[n]].T @ lips[n] for n in tracks}
        all_gram, all_moment = sum(gram.values()), sum(moment.values())
        scores = {}
        for name in tracks:
            ridge = all_gram - gram[name] + 300 * np.eye(len(all_gram))
            teach = np.linalg.solve(ridge, all_moment - moment[name])
            curve = [np.corrcoef((heard[name, lag] @ teach)[:, 0], lips[name][:, 0])[0, 1] for lag in LAGS_MS]
            scores[name] = (int(LAGS_MS[np.argmax(curve)]), round(float(max(curve)), 2))
        centre = int(np.median([lag for n, (lag, _r) in scores.items() if n.startswith("v-express")]))
        offsets = {
            n: int(np.clip(lag - round(centre / 10) * 10, -160, 160)) for n, (lag, _r) in scores.items()
        }
    (cache / "space" / "offsets.json").write_text(json.dumps(offsets, indent=1))
    for name, (lag, r) in scores.items():
        print(f"{name}: {lag - centre:+d} ms, r = {r}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
