"""What Live Avatar asks of CUDA and NCCL, answered by the processor and Gloo."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch.overrides import TorchFunctionMode

PLACE = {"cuda": "cpu"}
"""Where that which is to be on a GPU is put: ``meta`` holds nothing, and only counts."""


class OnProcessor(TorchFunctionMode):
    """Puts in their place what is to be on a GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.device:  # the name of a place is no place
            return func(*args, **(kwargs or {}))
        if func is torch.Tensor.cuda:
            return args[0]
        args = tuple(_processor(value) for value in args)
        kwargs = {name: _processor(value) for name, value in (kwargs or {}).items()}
        return func(*args, **kwargs)


class Generator(torch.Generator):
    """Draws on the processor."""

    def __new__(cls, device: Any = "cpu") -> Any:
        return super().__new__(cls, _processor(device))


def _processor(value: Any) -> Any:
    if isinstance(value, torch.device) and value.type == "cuda":
        return torch.device(PLACE["cuda"])
    if isinstance(value, str) and value.startswith("cuda"):
        return PLACE["cuda"]
    return value


def install() -> None:
    """Answer for CUDA in this process."""
    OnProcessor().__enter__()
    torch.Generator = Generator
    torch.compile = lambda function=None, **_: function if function is not None else (lambda same: same)
    for name in ("set_device", "synchronize", "empty_cache"):
        setattr(torch.cuda, name, lambda *_: None)
    torch.cuda.current_device = lambda: 0
    start = torch.distributed.init_process_group
    torch.distributed.init_process_group = lambda **more: start(**{**more, "backend": "gloo"})
