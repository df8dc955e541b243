"""Every channel of a sound as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

BLOCK_S = 0.5
"""Whether the channels cancel each other is decided anew this often."""
CANCELS = 0.5
"""The channels cancel where their sum has less than this share of the power that unrelated channels would have: in
stereo, where they correlate with less than -0.5."""
MUCH_LOUDER = 4.0
"""Another channel is taken up where it has this much more power."""
HEARD = 1e-6
"""Power of what counts as heard: -60 dB below full scale."""
_EFFECTS = {"LFE", "LFE2"}


class MonoMix:
    """Mixes a sound down, in blocks that do not depend on how it comes in.

    The mean of the channels is taken, so that alike channels stay within full scale; where the mean cancels what is
    heard, as with one channel of two inverted, the loudest channel stands for all. The channel of low-frequency effects
    does not count, as in the down-mix of ITU-R BS.775.

    Parameters
    ----------
    rate_hz : int
    channels : sequence of str
        Names of the channels, as FFmpeg gives them.

    Attributes
    ----------
    cancelled_s : float
        How long the mean would have silenced something.
    """

    def __init__(self, rate_hz: int, channels: Sequence[str]) -> None:
        self._size = round(BLOCK_S * rate_hz)
        self._rate_hz = rate_hz
        self._kept = [place for place, name in enumerate(channels) if name not in _EFFECTS]
        self._kept = self._kept or list(range(len(channels)))
        self._waiting: NDArray[np.float32] = np.empty((len(self._kept), 0), np.float32)
        self._channel = 0
        self.cancelled_s = 0.0

    def push(self, planes: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Take samples of shape (n_channels, n); give mono blocks."""
        self._waiting = np.concatenate([self._waiting, planes[self._kept]], axis=1)
        while self._waiting.shape[1] >= self._size:
            block, self._waiting = self._waiting[:, : self._size], self._waiting[:, self._size :]
            yield self._mix(block)

    def flush(self) -> Iterator[NDArray[np.float32]]:
        """Give what is left."""
        if self._waiting.shape[1]:
            yield self._mix(self._waiting)

    def _mix(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = block.mean(axis=0)
        powers = np.square(block, dtype=np.float64).mean(axis=1)
        power_of_sum = len(block) ** 2 * float(np.square(mean, dtype=np.float64).mean())
        if not power_of_sum < CANCELS * powers.sum():
            return mean
        if powers.max() > MUCH_LOUDER * powers[self._channel]:
            self._channel = int(powers.argmax())
        if powers.max() > HEARD:
            self.cancelled_s += block.shape[1] / self._rate_hz
        loudest: NDArray[np.float32] = block[self._channel]
        return loudest
