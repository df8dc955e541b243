"""Live Avatar's networks, small: its own decoder with few channels, and stand-ins for its text encoder and its transformer.

A network knows whether it is on the GPU or on the processor, and fails as torch does where it is used on the wrong one.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

_WAN = "liveavatar.models.wan."


class Placed(nn.Module):
    """A network that knows where it is."""

    on_gpu = False

    def to(self, *args: Any, **kwargs: Any) -> Any:  # a device, a type or both, as Module.to
        places = [value for value in (*args, *kwargs.values()) if isinstance(value, (torch.device, str, int))]
        if places:
            self.on_gpu = not str(places[0]).startswith("cpu")
        return super().to(*args, **kwargs)

    def cpu(self) -> Any:
        self.on_gpu = False
        return super().cpu()

    def refuse_on_processor(self) -> None:
        """Fail as a convolution does whose input is on the GPU."""
        if not self.on_gpu:
            raise RuntimeError(
                "Input type (CUDABFloat16Type) and weight type (CPUBFloat16Type) should be the same"
            )


class Transformer(Placed):
    """Stands in for the network that denoises; its layers have the names that LoRA and fp8 look for."""

    def __init__(self) -> None:
        super().__init__()
        self.num_layers = 1
        self.freqs = torch.zeros(1)
        self.blocks = nn.ModuleList(
            [nn.ModuleDict({name: nn.Linear(32, 32) for name in ("q", "k", "v", "o")})]
        )
        self.blocks[0]["ffn"] = nn.Sequential(nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 32))

    @classmethod
    def from_pretrained(cls, folder: str, torch_dtype: torch.dtype, device_map: Any = None) -> Transformer:
        if not Path(folder).is_dir():
            raise OSError(f"Error no file named config.json found in directory {folder}.")
        model = cls().to(torch_dtype)
        return model.to(device_map) if device_map is not None else model

    def forward(self, x: list[torch.Tensor], t: torch.Tensor, **condition: Any) -> list[torch.Tensor]:
        self.refuse_on_processor()
        _check_caches(condition["kv_cache"])
        numbers = self.blocks[0]["q"](torch.ones(16, 32, dtype=torch.bfloat16))
        assert torch.isfinite(numbers.float()).all()
        assert t.shape == (1, x[0].shape[1])
        assert condition["audio_input"].shape[-1] == 4 * x[0].shape[1]
        return [0.1 * latent for latent in x]


def _check_caches(layers: list[dict[str, torch.Tensor]]) -> None:
    for layer in layers:
        assert layer["k"].shape == layer["v"].shape


class TextEncoder:
    """Stands in for T5."""

    def __init__(self, text_len: int, dtype: torch.dtype, device: torch.device, **_: Any) -> None:
        self.model = Placed().to(device)
        self._length, self._dtype = text_len, dtype

    def __call__(self, texts: Sequence[str], device: torch.device) -> list[torch.Tensor]:
        if str(device) != "cpu":
            self.model.refuse_on_processor()
        return [torch.zeros(min(len(text) + 1, self._length), 4096, dtype=self._dtype) for text in texts]


def _small_decoder(module: ModuleType) -> None:
    """Give its own decoder 2 channels instead of 96, and numbers drawn at random."""

    class Small(Placed, module.WanVAE_):
        def to(self, device: Any, *_: Any) -> Any:
            return super().to(device)  # numbers of 32 bits: the processor is slow with 16

        def encode(self, pictures: torch.Tensor, scale: Any) -> torch.Tensor:
            self.refuse_on_processor()
            return super().encode(pictures.float(), scale)

        def decode(self, latents: torch.Tensor, scale: Any) -> torch.Tensor:
            self.refuse_on_processor()
            return super().decode(latents.float(), scale)

        def stream_decode(self, latents: torch.Tensor, scale: Any) -> torch.Tensor:
            self.refuse_on_processor()
            return super().stream_decode(latents.float(), scale)

    def build(*, z_dim: int, **_: Any) -> Small:
        torch.manual_seed(0)
        return Small(
            dim=2,
            z_dim=z_dim,
            dim_mult=[1, 2, 4, 4],
            num_res_blocks=1,
            attn_scales=[],
            temperal_downsample=[False, True, True],
            dropout=0.0,
        )

    module._video_vae = build


def _small_transformer(module: ModuleType) -> None:
    module.CausalWanModel_S2V = Transformer


def _small_text_encoder(module: ModuleType) -> None:
    module.T5EncoderModel = TextEncoder


_CHANGES: dict[str, Callable[[ModuleType], None]] = {
    f"{_WAN}wan_2_2.modules.vae2_1": _small_decoder,
    f"{_WAN}wan_2_2.modules.vae_streaming": _small_decoder,
    f"{_WAN}wan_2_2.modules.t5": _small_text_encoder,
    f"{_WAN}causal_model_s2v": _small_transformer,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds its modules and changes them once they are loaded."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name not in _CHANGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_change(module: ModuleType) -> None:
                load(module)
                _CHANGES[name](module)

            spec.loader.exec_module = load_and_change
        return spec


def install() -> None:
    """Change the networks of Live Avatar when they are imported."""
    sys.meta_path.insert(0, _Finder())
