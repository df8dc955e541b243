"""Why a cost is absent."""

from __future__ import annotations

from evalkit.types import Reason

NO_GPU = Reason("no_gpu", "there is no NVIDIA GPU")
GPU_UNREADABLE = Reason("gpu_unreadable", "the GPU driver gives no reading")
GPU_NOT_USED = Reason("gpu_not_used", "no memory of any GPU was used")
NOT_REPORTED = Reason("not_reported", "the generator does not report it")
NOT_FINISHED = Reason("not_finished", "the work was not finished")
TOO_FEW_CLIPS = Reason("too_few_clips", "too few clips for this percentile")
NOTHING_ATTEMPTED = Reason("nothing_attempted", "nothing was attempted")
NOT_SAMPLED = Reason("not_sampled", "no sample was taken: the work was too short, or the sampler had ended")
NOT_TIMED = Reason("not_timed", "the video existed already; nothing was generated")
SHARED_DEVICE = Reason(
    "shared_device", "other work of the sweep ran on the same device; only a worker alone on it is timed"
)
OTHER_MACHINE = Reason(
    "other_machine", "made on another kind of machine than most: what depends on the machine is not pooled"
)

REASONS = (
    NO_GPU,
    GPU_UNREADABLE,
    GPU_NOT_USED,
    NOT_REPORTED,
    NOT_FINISHED,
    TOO_FEW_CLIPS,
    NOTHING_ATTEMPTED,
    NOT_SAMPLED,
    NOT_TIMED,
    SHARED_DEVICE,
    OTHER_MACHINE,
)


def reason_of(code: str) -> Reason:
    """Return the reason of a stored code; one that is not known has its code for a text.

    >>> reason_of("no_gpu").text, reason_of("of_the_future").text
    ('there is no NVIDIA GPU', 'of_the_future')
    """
    return next((reason for reason in REASONS if reason.code == code), Reason(code, code))
