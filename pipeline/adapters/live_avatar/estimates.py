"""What is known of Live Avatar's memory and time before it ran here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.estimates import (
    MIB_PER_GB,
    MIB_PER_GIB,
    FrameRate,
    MemoryEstimate,
    ResourceEstimate,
    TimeFactor,
    estimate_memory,
)
from pipeline.formatting import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.adapters.live_avatar.settings import LiveAvatarSettings
    from pipeline.request import GenerationRequest

_OPERATORS = "operators of a variant for GPUs of 24 GB"
_CODE = "arithmetic on its code"
_PAPER = "its paper, arXiv 2512.04677"

# W*H to GB that each GPU was seen to use.
_BY_SIZE_GIB = {"384*256": (12.0, 15.0), "688*368": (18.0, 20.0), "704*384": (20.0, 22.0)}
_SHARDS_GIB, _GATHER_GIB = 21.48, 4.17
_N_PARAMETERS = 14e9
_CACHE_GIB, _CACHE_PX = 9.7, 704 * 384
"""Of one step at that size: 40 layers x 2 x 12672 tokens x 5120 x 2 bytes."""


def estimate_resources(request: GenerationRequest, settings: LiveAvatarSettings) -> ResourceEstimate:
    """Return what is known of a request."""
    return ResourceEstimate(
        n_gpus=len(settings.gpus),
        memory=tuple(_memory(request, settings)),
        time=tuple(_factors(request, settings)),
        rates=tuple(_rates(settings)),
    )


def _memory(request: GenerationRequest, settings: LiveAvatarSettings) -> Iterator[MemoryEstimate]:
    if not settings.is_single and settings.script is not None:
        yield estimate_memory(
            "load",
            ("its shard of the weights", _SHARDS_GIB * MIB_PER_GIB, _SHARDS_GIB * MIB_PER_GIB, _OPERATORS),
            ("gathering the shards", _GATHER_GIB * MIB_PER_GIB, _GATHER_GIB * MIB_PER_GIB, _OPERATORS),
        )
    if not settings.is_single and request.size in _BY_SIZE_GIB:
        low_gib, high_gib = _BY_SIZE_GIB[request.size]
        yield estimate_memory(
            "run", (f"all of it at {request.size}", low_gib * MIB_PER_GIB, high_gib * MIB_PER_GIB, _OPERATORS)
        )
    card_gb = 48 if settings.fp8 else 80
    yield estimate_memory(
        "run",
        (
            f"all of it{', fp8' * settings.fp8}",
            card_gb * MIB_PER_GB,
            card_gb * MIB_PER_GB,
            f"its README: a card sold as {card_gb} GB",
        ),
    )
    weights_mib = _N_PARAMETERS * (1 if settings.fp8 else 2) / 2**20
    n_caches = request.sample_steps if settings.is_single and not settings.offload_kv_cache else 1
    cache_mib = n_caches * _CACHE_GIB * MIB_PER_GIB * request.width * request.height / _CACHE_PX
    yield estimate_memory(
        "run",
        ("weights of 14 B parameters, at least", weights_mib, weights_mib, _CODE),
        (f"caches of {count(n_caches, 'step')}", cache_mib, cache_mib, _CODE),
    )


def _factors(request: GenerationRequest, settings: LiveAvatarSettings) -> Iterator[TimeFactor]:
    if request.sample_steps == 3:
        yield TimeFactor(name="3 steps instead of 4", factor=0.75, source=_OPERATORS)
    if request.enable_online_decode:
        yield TimeFactor(name="online decode", factor=1.15, source=_OPERATORS)
    if request.offload_model and settings.is_single:
        yield TimeFactor(name="offload to the processor", factor=6.0, source=_OPERATORS)


def _rates(settings: LiveAvatarSettings) -> Iterator[FrameRate]:
    """Give the paper's, at 720*400 on H800; on one GPU with 5 steps."""
    if settings.script is not None:
        return
    if settings.is_single:
        yield FrameRate(name="one H800, 5 steps", frames_per_s=3.66, source=_PAPER)
    elif settings.fp8:
        yield FrameRate(name="five H800, fp8", frames_per_s=45.2, source=_PAPER)
        yield FrameRate(name="five H20", frames_per_s=18.0, source=_PAPER)
    else:
        yield FrameRate(name="five H800", frames_per_s=36.0, source=_PAPER)
