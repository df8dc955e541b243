"""What Live Avatar's code can do, known before it is started: sizes, steps, frames and what it ignores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.adapters.live_avatar.settings import LiveAvatarSettings
    from pipeline.gpus import Gpu
    from pipeline.request import GenerationRequest

FPS = 25
"""Fixed in its code."""
N_DROPPED_FRAMES = 3
"""The first three frames of the first clip are never written; the sound stays whole."""
FRAMES_PER_BLOCK = 12
"""Three latents of four frames are denoised at a time."""
SIZES = (
    "720*1280",
    "1280*720",
    "480*832",
    "832*480",
    "704*1280",
    "1280*704",
    "1024*704",
    "704*1024",
    "720*400",
    "704*384",
    "688*368",
    "384*256",
)
"""Choices of its ``--size``: limits of area, most of them beyond its condition cache."""
_SIDE_PX = 64
_PATCH_PX = 16
_TOKENS_PER_PATCH = 2.5
_CACHE_TOKENS = {True: 2800, False: 3000}
_MAX_STEPS = 4
FP8_CAPABILITY = (8, 9)
"""The first generation of GPUs with eight-bit floats (Ada)."""
_SOUND_RATE_HZ, _SOUND_LAYERS_PER_S, _SOUND_FRAMES_PER_S = 16000, 50.0, 30
_SOUND_LAYERS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
"""Kernel and stride, in samples, of the layers that wav2vec reads a sound with."""


@dataclass(frozen=True, slots=True)
class Size:
    """A picture size in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}*{self.height}"

    @property
    def n_tokens(self) -> float:
        """Tokens that the condition takes in its cache: 2.5 a patch of 16 by 16 pixels."""
        return _TOKENS_PER_PATCH * (self.width // _PATCH_PX) * (self.height // _PATCH_PX)


def fit_size(width: int, height: int, area_px: int) -> Size:
    """Return the size that its code makes of a portrait: its aspect, sides multiples of 64, within an area.

    Parameters
    ----------
    width, height : int
        Of the portrait, pixels.
    area_px : int
        The largest area: that of the size asked for, which says nothing else.

    Examples
    --------
    >>> str(fit_size(720, 400, 720 * 400)), str(fit_size(828, 772, 688 * 368))
    ('704*384', '512*448')
    """
    low, high = 0.1, 1.0
    if width * height > area_px:
        rim = _SIDE_PX - 1
        border, area, rest = rim * (height + width), height * width, rim**2 - area_px
        low = (math.sqrt(border**2 - 2 * area * rest) - border) / (
            2 * area
        )  # 2, where 4 would be exact: as it does
        high = math.sqrt(area_px / area)
    for index in range(100):
        scale = high - (high - low) * index / 100
        size = Size(_round_up(int(width * scale)), _round_up(int(height * scale)))
        if size.width * size.height <= area_px:
            return size
    aspect = width / height
    size = Size(_round_down(math.sqrt(area_px * aspect)), _round_down(math.sqrt(area_px / aspect)))
    return (
        Size(_round_down(width), _round_down(height))
        if size.width >= width or size.height >= height
        else size
    )


def count_clips(audio_s: float, infer_frames: int, num_clip: int | None) -> int:
    """Return the clips it makes: as many as begin within what wav2vec makes of the sound, or ``num_clip`` if that is fewer.

    Wav2vec reads no part of a window at the end, so the frames it makes are up to 40 ms shorter than the sound. It is
    reckoned in the order of its code, roundings and all.

    Parameters
    ----------
    audio_s : float
        Length of the sound, seconds.
    infer_frames : int
        Frames a clip.
    num_clip : int or None
        The most to make.

    Examples
    --------
    >>> count_clips(1.92, 48, None), count_clips(1.97, 48, None)
    (1, 2)
    """
    n_sound_frames = int(_count_sound_layers(audio_s) / _SOUND_LAYERS_PER_S * _SOUND_FRAMES_PER_S)
    available = int(n_sound_frames / (infer_frames * (_SOUND_FRAMES_PER_S / FPS))) + 1
    return available if num_clip is None else min(available, num_clip)


def _count_sound_layers(audio_s: float) -> int:
    """Return the vectors that wav2vec makes of so much sound, 50 a second."""
    n = math.ceil(audio_s * _SOUND_RATE_HZ - 1e-6)
    for kernel, stride in _SOUND_LAYERS:
        n = (n - kernel) // stride + 1
    return max(0, n)


def count_frames(audio_s: float, infer_frames: int, n_clips: int) -> int:
    """Return the frames of the finished video: all but the dropped ones, and none beyond the sound."""
    return min(infer_frames * n_clips - N_DROPPED_FRAMES, max(1, round(audio_s * FPS)))


def measure_portrait(image: str) -> Size:
    """Return the size of a picture as its code sees it: as stored, whatever the camera's orientation says.

    Raises
    ------
    RequestError
        If it is not a picture.
    """
    from PIL import Image

    try:
        with Image.open(image) as picture:
            return Size(*picture.size)
    except (OSError, ValueError) as error:
        raise RequestError(f"image {image!r} is not a picture: {error}") from error


def check_limits(request: GenerationRequest, settings: LiveAvatarSettings, old_gpus: Sequence[Gpu]) -> Size:
    """Refuse what its own entry point cannot do, or would ignore.

    A parameter without effect is refused away from its default: a sweep over it would show noise as a finding.

    Parameters
    ----------
    request : GenerationRequest
        What to make.
    settings : LiveAvatarSettings
        Settled, with the request's options over them.
    old_gpus : sequence of Gpu
        Those asked for that have no eight-bit floats.

    Returns
    -------
    Size
        That of the video that comes out.

    Raises
    ------
    RequestError
        A line a reason.
    """
    if request.image is None:
        raise RequestError(
            "image is missing: give the portrait; without it, Live Avatar's code uses a picture of its own examples"
        )
    size = fit_size(*_sides(measure_portrait(request.image)), request.width * request.height)
    reasons = [
        *_size_reasons(request, settings, size),
        *_frame_reasons(request, settings),
        *_step_reasons(request, settings),
        *_gpu_reasons(request, settings, old_gpus),
    ]
    reasons += [*_no_effect(request, settings), *_batch_reasons(request, settings)]
    if reasons:
        raise RequestError("\n".join(reasons))
    return size


def lacking_fp8(settings: LiveAvatarSettings, gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return those of the GPUs asked for that are known to have no eight-bit floats.

    Parameters
    ----------
    settings : LiveAvatarSettings
        With the GPUs asked for.
    gpus : sequence of Gpu
        Those of this machine; none where nothing is known.
    """
    return [
        gpu
        for gpu in gpus
        if gpu.index in settings.gpus
        and gpu.compute_capability is not None
        and gpu.compute_capability < FP8_CAPABILITY
    ]


def tell_lack(old_gpus: Sequence[Gpu]) -> str:
    """Say which GPUs have no eight-bit floats, and why."""
    names = ", ".join(
        f"GPU {gpu.index} ({gpu.name}) has {_version(gpu.compute_capability)}" for gpu in old_gpus
    )
    return f"{names}, and eight-bit floats begin with compute capability {_version(FP8_CAPABILITY)}"


def _version(capability: tuple[int, int] | None) -> str:
    return ".".join(map(str, capability or ()))


def cache_tokens(settings: LiveAvatarSettings) -> int:
    """Return the tokens that its condition cache holds: 2800 on one GPU and 3000 on several, unless it was changed."""
    return settings.kv_cache_tokens or _CACHE_TOKENS[settings.is_single]


def _size_reasons(request: GenerationRequest, settings: LiveAvatarSettings, size: Size) -> Iterator[str]:
    limit = cache_tokens(settings)
    fitting = [name for name in SIZES if _most_tokens(name) <= limit]
    if request.size not in SIZES:
        yield f"size is {request.size}; its code knows only {', '.join(SIZES)}, of which {', '.join(fitting)} run"
    elif size.n_tokens > limit:
        yield (
            f"size is {request.size}: with this portrait {size}, which takes {size.n_tokens:.0f} tokens where its "
            f"condition cache holds {limit}; {', '.join(fitting)} run (kv_cache_tokens says that you raised the constant)"
        )
    elif not size.n_tokens:
        yield f"image {request.image!r} is too small or too narrow: {size} would come out"


def _frame_reasons(request: GenerationRequest, settings: LiveAvatarSettings) -> Iterator[str]:
    if request.fps != FPS:
        yield f"fps is {request.fps:g}; its code always makes {FPS}"
    if request.infer_frames % FRAMES_PER_BLOCK:
        yield (
            f"infer_frames is {request.infer_frames}; its code denoises blocks of {FRAMES_PER_BLOCK} frames and leaves the "
            f"rest as noise: take a multiple of {FRAMES_PER_BLOCK}, as 48"
        )
    elif not settings.is_single and request.infer_frames == FRAMES_PER_BLOCK:
        yield "infer_frames is 12: on several GPUs clips of a single block wait for each other for ever; take 24 or more"


def _step_reasons(request: GenerationRequest, settings: LiveAvatarSettings) -> Iterator[str]:
    steps = request.sample_steps
    if settings.is_single and steps > _MAX_STEPS:
        yield f"sample_steps is {steps}; on one GPU its code has caches for 1 to {_MAX_STEPS} steps"
    if not settings.is_single and steps != settings.n_gpus_dit:
        yield (
            f"sample_steps is {steps}; on several GPUs each step has a GPU of its own, so it is exactly num_gpus_dit, "
            f"{settings.n_gpus_dit}: with more it crashes, with fewer it hangs"
        )


def _gpu_reasons(
    request: GenerationRequest, settings: LiveAvatarSettings, old_gpus: Sequence[Gpu]
) -> Iterator[str]:
    if settings.is_single and not settings.offloads(request.offload_model):
        yield (
            "offload_model is false: on one GPU its code moves what decodes the picture to the processor for each clip and "
            "brings it back only with offload_model, so it would fail after all clips are denoised: leave it out, or set it "
            "to true"
        )
    if settings.fp8 and old_gpus:
        yield f"fp8 is true: {tell_lack(old_gpus)}: leave fp8 out, or set it to false"


def _no_effect(request: GenerationRequest, settings: LiveAvatarSettings) -> Iterator[str]:
    if request.sample_guide_scale:
        yield (
            f"sample_guide_scale is {request.sample_guide_scale:g}; its code never uses it, every value gives the video "
            f"of 0: leave it at 0"
        )
    if request.brand_mark is not None:
        yield "brand_mark has no effect: its code places no marks; the portrait has to show it"
    if not settings.is_single and request.enable_online_decode:
        yield "enable_online_decode has no effect on several GPUs: the last one always decodes block by block"
    if not settings.is_single and settings.offload_kv_cache:
        yield "offload_kv_cache has no effect on several GPUs: each keeps the cache of its own step"


def _batch_reasons(request: GenerationRequest, settings: LiveAvatarSettings) -> Iterator[str]:
    if settings.batch and settings.fp8:
        yield "options.fp8 is true; its batch script has no fp8: set batch to false"
    if settings.batch and settings.is_single and request.enable_online_decode:
        yield "enable_online_decode is true; its batch script decodes at the end: set batch to false"


def _sides(size: Size) -> tuple[int, int]:
    return size.width, size.height


def _most_tokens(name: str) -> float:
    """Return the tokens of the largest picture that fits a size's area."""
    width, height = map(int, name.split("*"))
    return Size(_SIDE_PX, _SIDE_PX).n_tokens * (width * height // _SIDE_PX**2)


def _round_up(side_px: int) -> int:
    return -(-side_px // _SIDE_PX) * _SIDE_PX


def _round_down(side_px: float) -> int:
    return int(side_px // _SIDE_PX * _SIDE_PX)
