"""What is known of Live Avatar's memory and time before it ran here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.adapters.live_avatar.limits import cache_tokens
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
_MIB = 2**20
_N_PARAMETERS = 14e9
_N_LAYERS, _BYTES_PER_TOKEN = 40, 2 * 40 * 128 * 2
"""Of a layer's cache: keys and values, 40 heads of 128 numbers of 2 bytes."""
_N_CACHES = 4
"""On one GPU, however many steps are taken; each of several GPUs has that of its own step."""
_PATCH_PX, _FRAMES_PER_LATENT = 16, 4


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
            f"all of it{', fp8' if settings.fp8 else ''}",
            card_gb * MIB_PER_GB,
            card_gb * MIB_PER_GB,
            f"its README: a card sold as {card_gb} GB",
        ),
    )
    if settings.script is None:
        whole_mib = 2 * _N_PARAMETERS / _MIB
        yield estimate_memory(
            "load", ("weights of 14 B parameters in 16 bits, at least", whole_mib, whole_mib, _CODE)
        )
    weights_mib = _N_PARAMETERS * (1 if settings.fp8 else 2) / _MIB
    n_caches = _N_CACHES if settings.is_single and not settings.offload_kv_cache else 1
    cache_mib = n_caches * count_cache_mib(count_tokens(request))
    condition_mib = count_cache_mib(cache_tokens(settings))
    yield estimate_memory(
        "run",
        ("weights of 14 B parameters, at least", weights_mib, weights_mib, _CODE),
        (f"{count(n_caches, 'cache')} of a clip's frames", cache_mib, cache_mib, _CODE),
        ("the cache of the condition", condition_mib, condition_mib, _CODE),
    )


def count_tokens(request: GenerationRequest) -> int:
    """Return the tokens of a clip: one for 4 frames and 16 by 16 pixels."""
    patches = request.width * request.height // _PATCH_PX**2
    return request.infer_frames // _FRAMES_PER_LATENT * patches


def count_cache_mib(n_tokens: int) -> float:
    """Return the memory of one cache of so many tokens, MiB."""
    return _N_LAYERS * _BYTES_PER_TOKEN * n_tokens / _MIB


def _factors(request: GenerationRequest, settings: LiveAvatarSettings) -> Iterator[TimeFactor]:
    if request.sample_steps == 3:
        yield TimeFactor(name="3 steps instead of 4", factor=0.75, source=_OPERATORS)
    if request.enable_online_decode:
        yield TimeFactor(name="online decode", factor=1.15, source=_OPERATORS)
    if settings.script is not None and settings.is_single and settings.offloads(request.offload_model):
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
