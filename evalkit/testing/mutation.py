"""Damage to files, as transfer and storage make it: the same seed makes the same damage."""

from __future__ import annotations

import numpy as np


def mutate(content: bytes, seed: int) -> bytes:
    """Return a damaged copy: flipped bytes, a cut, a zeroed range, a removed range or two swapped ranges.

    Parameters
    ----------
    content : bytes
        A whole file, at least 64 bytes long.
    seed : int
        Chooses kind, place and amount; consecutive seeds go round the kinds.

    Raises
    ------
    ValueError
        If the file is too short to be damaged in an interesting way.
    """
    n = len(content)
    if n < 64:
        raise ValueError(f"a file of {n} bytes is too short to be damaged; 64 are needed")
    random = np.random.default_rng(seed)
    data = np.frombuffer(content, dtype=np.uint8).copy()
    first = int(random.integers(0, n - 16))
    length = int(min(n - first, 2 ** random.uniform(3, np.log2(n / 2))))
    kind = seed % 6
    if kind == 0:  # scattered bits
        places = random.integers(0, n, max(1, int(n * 10 ** random.uniform(-5, -2))))
        data[places] ^= random.integers(1, 256, places.shape[0]).astype(np.uint8)
    elif kind == 1:  # damage in the head, where sizes and counts are
        places = random.integers(0, min(n, 2048), int(random.integers(1, 30)))
        data[places] = random.integers(0, 256, places.shape[0])
    elif kind == 2:
        data = data[: max(1, first)]
    elif kind == 3:
        data[first : first + length] = 0
    elif kind == 4:
        data = np.delete(data, slice(first, first + length))
    else:
        second = int(random.integers(0, n - length + 1))
        data[first : first + length], data[second : second + length] = (
            data[second : second + length].copy(),
            data[first : first + length].copy(),
        )
    return data.tobytes()
