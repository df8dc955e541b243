"""Motion from sound, clip by clip, by flow matching."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.reference import features
from pipeline.reference.channels import N_CHANNELS, N_MOUTH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.reference.network import MotionNetwork

    Float32Array = NDArray[np.float32]
    FloatArray = NDArray[np.float64]

PREFIX = 8
"""Motion frames of the clip before that a clip gets as context."""
LIP_PRIOR = 0.3
"""Spread of the prior of the mouth around what the sound alone suggests, in standard deviations of the motion."""

_BROW, _HEAD = slice(N_MOUTH + 1, N_MOUTH + 2), slice(N_MOUTH + 2, N_CHANNELS)
_LID_STAYS, _LID_SHUTS = 0.25, 0.5
_AWAKE_S = (3.0, 7.0)  # between these, drawn anew for each blink, eyes that stayed open blink by themselves
_SHUT = 0.8
_BLINK = (0.35, 0.9, 1.0, 1.0, 0.75, 0.45, 0.2, 0.05)
_BLEND = 6  # motion frames that a clip makes beyond its end, faded into the next one
_CONTEXT = 16  # motion frames heard before and after a clip
_SMOOTH = (
    1.0,
    5.0,
)  # frames over which the prior of mouth, lids and brows, and that of the head, hangs together
_REACH = 20
_BLOCK = 128
_QUIET = -1.0  # loudness column below which there is no speech
_HOLD = 7  # motion frames a mouth stays ready to speak after a sound


class Solver(NamedTuple):
    """How the flow is followed.

    Attributes
    ----------
    steps : int
        Euler steps from prior to motion.
    guidance : float
        Weight of classifier-free guidance: how far beyond what sound and style suggest to go, against what the
        model does without them; 0 leaves the second evaluation out.
    """

    steps: int
    guidance: float


class MotionModel:
    """The trained motion model.

    Parameters
    ----------
    folder : Path
        Holds ``motion.npz``.
    device : str
        Where torch computes.
    """

    def __init__(self, folder: Path, device: str) -> None:
        import torch

        from pipeline.reference.network import MotionNetwork

        with np.load(folder / "motion.npz") as data:
            self._mean = data["mean"].astype(np.float64)
            self._spread = data["spread"].astype(np.float64)
            state = {
                key.removeprefix("network."): torch.from_numpy(data[key].astype(np.float32))
                for key in data.files
                if key.startswith("network.")
            }
        self.network: MotionNetwork = MotionNetwork()
        self.network.load_state_dict(state)
        self.network.eval().requires_grad_(requires_grad=False).to(device)
        self.device = device
        self._offload = False

    def stream(
        self, mel: Float32Array, style: FloatArray, seed: int, solver: Solver, *, offload: bool = False
    ) -> MotionStream:
        """Begin the motion for a piece of sound.

        Parameters
        ----------
        mel : float32 array, shape (n, 41)
            From `features.log_mel`.
        style : FloatArray, shape (styles,)
            Standard deviations from usual, in the order of `STYLES`.
        seed : int
            The same seed gives the same motion.
        solver : Solver
        offload : bool
            Keep the network off its device except while it works.
        """
        self._offload = offload and self.device != "cpu"
        self.network.to("cpu" if self._offload else self.device)
        return MotionStream(self, mel, style, seed, solver)

    def sample(
        self,
        heard: Float32Array,
        context: slice,
        *,
        noise: Float32Array,
        style: FloatArray,
        before: FloatArray,
        solver: Solver,
    ) -> FloatArray:
        """Follow the flow for one clip.

        Parameters
        ----------
        heard : float32 array, shape (n_heard, 164)
            Folded log-mel, the clip and what is around it.
        context : slice
            The clip's place in ``heard``, the motion before included.
        noise : float32 array, shape (n, channels)
            Unit-variance noise for the clip's frames.
        style : FloatArray, shape (styles,)
        before : FloatArray, shape (m, channels)
            Motion before the clip, ``m`` from 0 to `PREFIX`; it is part of the clip's frames.
        solver : Solver

        Returns
        -------
        FloatArray, shape (n, channels)
            Motion; its first ``m`` frames are ``before``.
        """
        import torch

        network, device = self.network.to(self.device), self.device
        with torch.inference_mode(), _one_thread():
            hidden, likeliest = network.hear(torch.from_numpy(heard).to(device)[None])
            hidden, likeliest = hidden[:, context], likeliest[:, context]
            at = torch.from_numpy(noise).to(device)[None].clone()
            at[..., :N_MOUTH] *= LIP_PRIOR
            at[..., :N_MOUTH] += likeliest[..., :N_MOUTH]
            prefix, known = torch.zeros_like(at), torch.zeros_like(at[..., :1])
            if len(before):
                earlier = (before - self._mean) / self._spread
                prefix[0, : len(before)] = torch.from_numpy(earlier.astype(np.float32)).to(device)
                known[0, : len(before)] = 1
            wanted = torch.from_numpy(style.astype(np.float32)).to(device)[None]
            for step in range(solver.steps):
                at = at * (1 - known) + prefix
                moment = torch.full((1,), step / solver.steps, device=device)
                flow = network(at, moment, hidden, wanted, prefix, known)
                if solver.guidance:
                    deaf = network.deaf.expand_as(hidden)
                    free = network(at, moment, deaf, torch.zeros_like(wanted), prefix, known)
                    flow = flow + solver.guidance * (flow - free)
                at = at + flow / solver.steps
            at = at * (1 - known) + prefix
        if self._offload:
            network.to("cpu")
        motion: FloatArray = at[0].double().cpu().numpy() * self._spread + self._mean
        return motion


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute in one thread: for so small a network, more only wait for each other."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


class MotionStream:
    """Motion of one video, made on demand, clip after clip.

    Frames are numbered from 0 at 25 a second over the whole video. The noise of a frame depends on seed and number
    alone.
    """

    def __init__(
        self, model: MotionModel, mel: Float32Array, style: FloatArray, seed: int, solver: Solver
    ) -> None:
        self._model = model
        self._heard = features.fold(mel)
        self._speaking = _speaking(self._heard)
        self._style = style
        self._seed = seed
        self._solver = solver
        self._lids = _Lids(seed)
        self._end = 0  # first frame not made yet
        self._recent = np.zeros((0, N_CHANNELS))  # the last frames made
        self._beyond = np.zeros((0, N_CHANNELS))  # what the clip before would have done next

    def advance(self, end: int) -> FloatArray:
        """Make the motion up to frame ``end`` (not included) and return all new frames, shape (n, channels)."""
        from scipy.ndimage import gaussian_filter1d

        before = self._recent[-PREFIX:]
        first = self._end - len(before)
        stop = end + _BLEND
        noise = _noise(self._seed, first, stop)
        low = first - _CONTEXT
        rows = np.clip(np.arange(low, stop + _CONTEXT), 0, len(self._heard) - 1)
        place = slice(_CONTEXT, _CONTEXT + stop - first)
        made = self._model.sample(
            self._heard[rows], place, noise=noise, style=self._style, before=before, solver=self._solver
        )
        for channels, sigma in ((_BROW, 1.0), (_HEAD, 1.5)):
            made[:, channels] = gaussian_filter1d(made[:, channels], sigma, axis=0, mode="nearest")
        moments = np.clip(np.arange(self._end, stop), 0, len(self._speaking) - 1)
        new = _rest(made[len(before) :], self._speaking[moments])
        n_fade = min(len(self._beyond), len(new))
        fade = ((np.arange(n_fade) + 1) / (n_fade + 1))[:, None]
        new[:n_fade] = (1 - fade) * self._beyond[:n_fade] + fade * new[:n_fade]
        n_new = end - self._end
        self._lids.keep_awake(new[:n_new, N_MOUTH])
        self._beyond = new[n_new:]
        self._recent = np.concatenate([self._recent, new[:n_new]])[-PREFIX:]
        self._end = end
        return new[:n_new]


class _Lids:
    """Sees to it that eyes do not stay open longer than people's do."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 1])
        self._falling: list[float] = []  # what is left of a blink that has begun
        self._wake()

    def keep_awake(self, lids: FloatArray) -> None:
        """Put a blink into the next frames, in place, wherever the last one is too long ago."""
        for i in range(len(lids)):
            self._left -= 1
            if self._left <= 0 and not self._falling:
                self._falling = list(_BLINK)
            if self._falling:
                lids[i] = max(lids[i], self._falling.pop(0))
            if lids[i] > _SHUT:
                self._wake()

    def _wake(self) -> None:
        self._left = round(self._random.uniform(*_AWAKE_S) * features.MOTION_RATE_HZ)


def _rest(motion: FloatArray, speaking: FloatArray) -> FloatArray:
    """Close the mouth where there is no speech, and let lids that fall halfway either stay up or shut."""
    motion[:, :N_MOUTH] *= speaking[:, None]
    fall = np.clip((motion[:, N_MOUTH] - _LID_STAYS) / (_LID_SHUTS - _LID_STAYS), 0, 1)
    motion[:, N_MOUTH] = fall * fall * (3 - 2 * fall)
    return motion


def _speaking(heard: Float32Array) -> FloatArray:
    """Return, for every motion frame, how much speech there is about then, from 0 to 1."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    loud = heard[:, features.N_MEL_COLUMNS - 1 :: features.N_MEL_COLUMNS].max(1)
    active = maximum_filter1d((loud > _QUIET).astype(float), _HOLD)
    return gaussian_filter1d(active, 1.5)


def _noise(seed: int, first: int, stop: int) -> Float32Array:
    blocks = range((first - _REACH) // _BLOCK, (stop + _REACH) // _BLOCK + 1)
    white = np.concatenate(
        [np.random.default_rng([seed, block + 10]).standard_normal((_BLOCK, N_CHANNELS)) for block in blocks]
    )
    offset = first - blocks[0] * _BLOCK
    return smooth_noise(white[offset - _REACH : offset + stop - first + _REACH])[_REACH:-_REACH]


def prior_noise(rng: np.random.Generator, n: int) -> Float32Array:
    """Draw ``n`` frames of unit-variance noise, smooth over time as motion is, shape (n, channels)."""
    return smooth_noise(rng.standard_normal((n + 2 * _REACH, N_CHANNELS)))[_REACH:-_REACH]


def smooth_noise(white: NDArray[np.float64]) -> Float32Array:
    """Smooth white noise over time, keeping unit variance."""
    from scipy.ndimage import gaussian_filter1d

    out = np.empty(white.shape, np.float32)
    for columns, sigma in ((slice(0, N_MOUTH + 2), _SMOOTH[0]), (slice(N_MOUTH + 2, None), _SMOOTH[1])):
        gain = np.sqrt(2 * sigma * np.sqrt(np.pi))
        out[:, columns] = gain * gaussian_filter1d(
            white[:, columns], sigma, axis=0, mode="wrap", truncate=4.0
        )
    return out
