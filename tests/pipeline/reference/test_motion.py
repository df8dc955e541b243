"""The shipped motion model does what its parameters say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.signal import resample_poly

from pipeline.reference.channels import CHANNELS, N_MOUTH, STYLES
from pipeline.reference.features import MOTION_RATE_HZ, log_mel
from pipeline.reference.motion import MotionModel, Solver
from pipeline.reference.style import USUAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.speech.base import Speech

    FloatArray = NDArray[np.float64]

PLAIN = Solver(4, 0.0)
HEAD = slice(CHANNELS.index("yaw_deg"), CHANNELS.index("roll_deg") + 1)
TEXT = (
    "My mother bought a map of the park, but maybe Bob and Pam will be back by bus before the bank opens up."
)


@pytest.fixture(scope="module")
def speech() -> Speech:
    from pipeline.speech.espeak import Espeak

    return Espeak().speak(TEXT, "en-us", "m1")


@pytest.fixture(scope="module")
def mel(speech: Speech) -> NDArray[np.float32]:
    return log_mel([resample_poly(speech.samples / 32768, 320, 441).astype(np.float32)])


def styled(**wanted: float) -> FloatArray:
    return np.array([{**USUAL, **wanted}[name] for name in STYLES])


def move(
    model: MotionModel,
    mel: NDArray[np.float32],
    *,
    seed: int = 1,
    solver: Solver = PLAIN,
    clip: int = 48,
    style: FloatArray | None = None,
    n: int | None = None,
) -> FloatArray:
    stream = model.stream(mel, styled() if style is None else style, seed, solver)
    n = n or len(mel) // 4
    ends = [*range(clip, n, clip), n]
    return np.concatenate([stream.advance(end) for end in ends])


def lip_gap(model_motion: FloatArray, parting: FloatArray) -> FloatArray:
    return model_motion[:, :N_MOUTH] @ parting


@pytest.fixture(scope="module")
def parting() -> FloatArray:
    """How far apart each mouth coordinate takes the lips, in eye distances."""
    from pipeline.reference.generator import _load_face

    mouth = _load_face().mouth
    return np.asarray((mouth[:, [14, 87, 317], 1] - mouth[:, [13, 82, 312], 1]).mean(1))


def test_same_seed_same_motion(model: MotionModel, mel: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(move(model, mel, seed=7), move(model, mel, seed=7))


def test_another_seed_moves_the_head_otherwise_but_says_the_same(
    model: MotionModel, mel: NDArray[np.float32], parting: FloatArray
) -> None:
    a, b = move(model, mel, seed=1), move(model, mel, seed=2)
    assert np.corrcoef(lip_gap(a, parting), lip_gap(b, parting))[0, 1] > 0.7
    assert np.abs(a[:, HEAD] - b[:, HEAD]).mean() > 0.3


def test_without_guidance_the_model_is_never_asked_without_sound(
    model: MotionModel, mel: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(model.network.deaf, "data", torch.full_like(model.network.deaf, float("nan")))
    assert np.isfinite(move(model, mel[:400])).all()
    assert not np.isfinite(move(model, mel[:400], solver=Solver(4, 1.0))).all()


@pytest.mark.parametrize(("solver", "per_clip"), [(Solver(1, 0), 1), (Solver(3, 0), 3), (Solver(3, 2.0), 6)])
def test_steps_and_guidance_cost_what_they_say(
    solver: Solver,
    per_clip: int,
    model: MotionModel,
    mel: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_calls = 0
    forward = model.network.forward

    def count(*inputs: object) -> object:
        nonlocal n_calls
        n_calls += 1
        return forward(*inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(model.network, "forward", count)
    move(model, mel, solver=solver, clip=50, n=100)
    assert n_calls == 2 * per_clip


@pytest.mark.parametrize("clip", [12, 48, 75])
def test_no_seam_between_clips(clip: int, model: MotionModel, mel: NDArray[np.float32]) -> None:
    """The step over a border is no larger than the same step where another cutting puts no border."""
    borders, inside = [], []
    for seed in range(6):
        cut, whole = (move(model, mel, seed=seed, clip=c) for c in (clip, 1000))
        at = np.arange(clip, len(cut), clip) - 1
        borders.append((np.abs(np.diff(cut, axis=0)) / whole.std(0))[at])
        inside.append((np.abs(np.diff(whole, axis=0)) / whole.std(0))[at])
    assert np.concatenate(borders).mean() < 1.15 * np.concatenate(inside).mean()
    assert np.quantile(np.concatenate(borders), 0.95) < 1.15 * np.quantile(np.concatenate(inside), 0.95)


def test_lips_are_nearer_on_p_b_m_than_on_open_vowels(
    model: MotionModel, mel: NDArray[np.float32], speech: Speech, parting: FloatArray
) -> None:
    gap = lip_gap(move(model, mel), parting)
    at = {"closed": [], "open": []}
    for symbol, start, end in speech.phonemes:
        sound = symbol.strip("ˈˌ")[:1]
        kind = "closed" if sound in {"p", "b", "m"} else "open" if sound in {"a", "æ", "ɑ"} else None
        if kind:
            at[kind].append(round((start + 0.5 * (end - start)) * MOTION_RATE_HZ))
    assert len(at["closed"]) > 10
    assert np.median(gap[at["closed"]]) < 0.35 * np.median(gap[at["open"]])


def test_the_mouth_stays_shut_in_silence(model: MotionModel, mel: NDArray[np.float32]) -> None:
    quiet = np.tile(mel.min(0), (400, 1))
    motion = move(model, np.concatenate([mel[:200], quiet, mel[200:400]]).astype(np.float32))
    assert np.abs(motion[70:130, :N_MOUTH]).max() < 0.05
    assert np.abs(motion[10:40, :N_MOUTH]).max() > 0.5


def test_style_words_change_what_they_name(model: MotionModel, mel: NDArray[np.float32]) -> None:
    def mean_of(measure: object, **wanted: float) -> float:
        assert callable(measure)
        return float(np.mean([measure(move(model, mel, seed=s, style=styled(**wanted))) for s in range(6)]))

    def speed(motion: FloatArray) -> float:
        return float(np.abs(np.diff(motion[:, HEAD], axis=0)).sum(1).mean())

    def nodding(motion: FloatArray) -> float:
        return float(motion[:, CHANNELS.index("pitch_deg")].std())

    def blinking(motion: FloatArray) -> float:
        shut = motion[:, CHANNELS.index("blink")] > 0.5
        return float((shut[1:] & ~shut[:-1]).sum())

    assert mean_of(speed, energy=1.8) > 1.3 * mean_of(speed, energy=-1.0)
    assert mean_of(nodding, nod=1.8) > 1.3 * mean_of(nodding, nod=-0.8)
    assert mean_of(blinking, blink=2.0) > mean_of(blinking, blink=-0.5)


@pytest.mark.parametrize("clip", [7, 48])
def test_eyes_never_stay_open_longer_than_peoples_do(
    clip: int, model: MotionModel, mel: NDArray[np.float32]
) -> None:
    quiet = np.tile(mel.min(0), (4000, 1)).astype(np.float32)  # 40 s in which nothing makes anybody blink
    lids = move(model, quiet, clip=clip, style=styled(blink=-2.0), solver=Solver(1, 0.0))[
        :, CHANNELS.index("blink")
    ]
    shut = np.flatnonzero(lids > 0.8)
    waits_s = np.diff(np.concatenate([[0], shut, [len(lids)]])) / MOTION_RATE_HZ
    assert waits_s.max() <= 7.4
    assert lids.mean() < 0.2


def test_lids_are_between_open_and_shut(model: MotionModel, mel: NDArray[np.float32]) -> None:
    lids = move(model, mel, solver=Solver(4, 5.0))[:, CHANNELS.index("blink")]
    assert lids.min() >= 0
    assert lids.max() <= 1


@pytest.mark.gpu
def test_a_gpu_gives_the_same_motion_and_offloading_leaves_it(
    model: MotionModel, mel: NDArray[np.float32]
) -> None:
    import torch

    from pipeline.reference.generator import WEIGHTS

    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    on_gpu = MotionModel(WEIGHTS, "cuda:0")
    np.testing.assert_allclose(move(on_gpu, mel), move(model, mel), atol=0.05)
    stream = on_gpu.stream(mel, styled(), 1, PLAIN, offload=True)
    stream.advance(48)
    assert next(on_gpu.network.parameters()).device.type == "cpu"


@pytest.mark.parametrize("clip", [1, 2, 1000])
def test_any_length_of_clip_gives_motion_for_every_frame(
    clip: int, model: MotionModel, mel: NDArray[np.float32]
) -> None:
    motion = move(model, mel[:200], clip=clip, solver=Solver(1, 0.0))
    assert motion.shape == (50, len(CHANNELS))
    assert np.isfinite(motion).all()
