"""The lip-sync predictor against torch, and its shipped weights."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.metrics.lip_sync import DTW_HZ, WINDOW_S
from evalkit.models.lip_sync import predictor as predictor_module
from evalkit.models.lip_sync.predictor import N_LIP_SIGNALS, ArticulatoryPredictor, LipSyncModel


def _random_network(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = {"stem": (8, 13, 5), "down": (8, 8, 4), "out": (6, 8, 1)} | {
        f"blocks.{k}": (8, 8, 5) for k in range(3)
    }
    network = {}
    for name, shape in shapes.items():
        network[f"{name}.weight"] = random.normal(0, 0.3, shape).astype(np.float32)
        network[f"{name}.bias"] = random.normal(0, 0.3, shape[0]).astype(np.float32)
    return network


def test_the_network_is_the_one_torch_computes() -> None:
    import torch
    from torch.nn.functional import conv1d, silu

    network = _random_network(0)
    cepstrum = np.random.default_rng(1).normal(size=(200, 13)).astype(np.float32)
    tensors = {name: torch.tensor(value) for name, value in network.items()}
    x = torch.tensor(cepstrum.T[None].copy())
    x = silu(conv1d(x, tensors["stem.weight"], tensors["stem.bias"], padding=2))
    x = silu(conv1d(x, tensors["down.weight"], tensors["down.bias"], padding=1, stride=2))
    for k in range(3):
        weight, bias = tensors[f"blocks.{k}.weight"], tensors[f"blocks.{k}.bias"]
        x = x + silu(conv1d(x, weight, bias, padding=2 * 2**k, dilation=2**k))
    expected = conv1d(x, tensors["out.weight"], tensors["out.bias"])[0].T.numpy()
    assert ArticulatoryPredictor([network])(cepstrum) == pytest.approx(expected, abs=1e-4)


def test_long_sound_is_predicted_in_segments_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = ArticulatoryPredictor([_random_network(2), _random_network(3)])
    cepstrum = np.random.default_rng(4).normal(size=(900, 13)).astype(np.float32)
    whole = predictor(cepstrum)
    monkeypatch.setattr(predictor_module, "_SEGMENT", 100)
    assert predictor(cepstrum) == pytest.approx(whole, abs=1e-5)


def test_the_shipped_model_is_whole() -> None:
    model = LipSyncModel.load()
    assert model.bank.shape[1:] == (int(WINDOW_S * DTW_HZ), N_LIP_SIGNALS)
    assert np.isfinite(model.bank).all()
    lips = model.predictor(np.zeros((101, 13), np.float32))
    assert lips.shape == (50, N_LIP_SIGNALS)
    assert len(model.sha256) == 64
