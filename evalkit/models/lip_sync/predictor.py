"""The network that predicts lips from sound, and its shipped weights (card.md says what it was trained on)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from evalkit.types import FloatArray

N_LIP_SIGNALS = 6
_SEGMENT = 1500  # rows predicted at once: memory does not grow with the clip
_HALO = 40  # rows of context that reach the middle of a segment


@dataclass(frozen=True)
class ArticulatoryPredictor:
    """From normalised cepstra at 100 Hz to lips at 50 Hz: the mean of a few small convolutional networks.

    Parameters
    ----------
    networks : sequence of mapping of str to float32 arrays
        Weights by name, as written by training/lip_sync/train.py: ``stem.weight`` (channels, 13, 5), ``down.weight``
        (channels, channels, 4), ``blocks.K.weight`` (channels, channels, 5) with dilation 2^K, ``out.weight``
        (6, channels, 1), each with its ``bias``.
    """

    networks: Sequence[Mapping[str, NDArray[np.float32]]]

    def __call__(self, cepstrum: NDArray[np.float32]) -> FloatArray:
        """Predict the lips.

        Parameters
        ----------
        cepstrum : float32 array, shape (n, 13)
            At 100 Hz.

        Returns
        -------
        FloatArray, shape (n // 2, 6)
            At 50 Hz, in standard deviations of the training speakers; row k stands between the rows 2 k and
            2 k + 1 of the input.
        """
        n_out = cepstrum.shape[0] // 2
        out = np.zeros((n_out, N_LIP_SIGNALS))
        for start in range(0, n_out, _SEGMENT):
            low, high = max(0, start - _HALO), min(n_out, start + _SEGMENT + _HALO)
            piece = cepstrum[2 * low : 2 * high]
            stop = min(n_out, start + _SEGMENT)
            for network in self.networks:
                out[start:stop] += _run(network, piece)[start - low : stop - low]
        return out / len(self.networks)


def _run(network: Mapping[str, NDArray[np.float32]], cepstrum: NDArray[np.float32]) -> NDArray[np.float32]:
    hidden = _silu(_convolve(cepstrum, network, "stem", padding=2))
    hidden = _silu(_convolve(hidden, network, "down", padding=1, stride=2))
    n_blocks = sum(name.startswith("blocks.") and name.endswith(".bias") for name in network)
    for block in range(n_blocks):
        dilation = 2**block
        hidden = hidden + _silu(
            _convolve(hidden, network, f"blocks.{block}", padding=2 * dilation, dilation=dilation)
        )
    return _convolve(hidden, network, "out")


def _convolve(
    x: NDArray[np.float32],
    network: Mapping[str, NDArray[np.float32]],
    name: str,
    *,
    padding: int = 0,
    stride: int = 1,
    dilation: int = 1,
) -> NDArray[np.float32]:
    """Convolve in time; `x` has shape (n, channels)."""
    weight, bias = network[f"{name}.weight"], network[f"{name}.bias"]
    width = weight.shape[2]
    padded = np.pad(x, ((padding, padding), (0, 0)))
    n_out = (padded.shape[0] - dilation * (width - 1) - 1) // stride + 1
    total = np.broadcast_to(bias, (n_out, bias.shape[0])).astype(np.float32)
    for tap in range(width):
        total = total + padded[tap * dilation :: stride][:n_out] @ weight[:, :, tap].T
    return total


def _silu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    from evalkit.stats.special import expit

    return np.asarray(x * expit(x), dtype=np.float32)


class LipSyncModel(NamedTuple):
    """The shipped predictor, and what was made with it.

    Parameters
    ----------
    predictor : ArticulatoryPredictor
    bank : FloatArray, shape (n_bank, 75, 6)
        Predicted lips of other people's speech, 3 s each at 25 Hz.
    zero_s : float
        Added to predicted times, so that laboratory recordings have no offset on average.
    sha256 : str
        Of the file.
    """

    predictor: ArticulatoryPredictor
    bank: FloatArray
    zero_s: float
    sha256: str

    @classmethod
    def load(cls) -> Self:
        """Read the shipped file."""
        source = files(__package__) / "predictor.npz"
        with source.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            head = json.loads(str(stored["head"]))
            networks = [
                {
                    name.partition("/")[2]: stored[name].astype(np.float32)
                    for name in stored.files
                    if name.startswith(f"{number}/")
                }
                for number in range(head["n_networks"])
            ]
            bank = stored["bank"].astype(np.float64)
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        return cls(ArticulatoryPredictor(networks), bank, head["zero_s"], sha256)
