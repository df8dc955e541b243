"""Lines into events: ranks told apart or not, bars, marks and causes."""

from __future__ import annotations

import pytest

from pipeline.adapters.live_avatar.log import LogReader
from pipeline.events import Timeline


def bar(step: int, n_steps: int = 4) -> str:
    return f"{100 * step // n_steps:3d}%|{'█' * step:4s}| {step}/{n_steps} [00:01<00:02,  2.10it/s]"


class Reading:
    """A reader of four blocks a clip, and the names of its events."""

    def __init__(self, n_ranks: int, n_clips: int = 2) -> None:
        self.timeline = Timeline()
        self.reader = LogReader(
            self.timeline,
            n_ranks=n_ranks,
            last_rank=max(0, n_ranks - 2),
            infer_frames=48,
            sample_steps=4,
            n_clips=n_clips,
        )

    def names(self) -> list[str]:
        """Return them in order."""
        return [event.name for event in self.timeline.events]


def test_four_bars_are_a_clip_however_often_each_is_drawn() -> None:
    reading = Reading(1)
    for block in range(4):
        assert reading.names() == ["first_block"] * (block > 0)
        for step in (0, 1, 2, 3, 4, 4, 4):
            reading.reader.hear(bar(step))
    assert reading.names() == ["first_block", "clip"]


def test_the_last_rank_decides_where_ranks_are_told_apart() -> None:
    reading = Reading(5)
    for block in range(8):
        for rank in (0, 1, 2, 4):
            reading.reader.hear(f"[default{rank}]:{bar(0)}[default{rank}]:")
            reading.reader.hear(f"[default{rank}]:{bar(4)}")
        if block < 4:
            reading.reader.hear(f"[default3]:{bar(2)}")
            reading.reader.hear(f"[default3]:{bar(4)}")
    assert reading.names() == ["first_block", "clip"]


def test_bars_of_two_ranks_in_one_line() -> None:
    reading = Reading(5)
    for _ in range(4):
        reading.reader.hear(f"[default3]:{bar(1)}[default0]:{bar(3)}")
        reading.reader.hear(f"[default0]:{bar(4)}[default3]:{bar(4)}")
    assert reading.names() == ["first_block", "clip"]


def test_what_is_said_before_a_bar_s_line_is_over_is_heard() -> None:
    reading = Reading(1)
    reading.reader.hear(f"[default0]:{bar(0)}[default0]:complete full-sequence generation")
    reading.reader.hear(f"[default0]:{bar(1)}[default0]:torch.OutOfMemoryError: CUDA out of memory.")
    assert reading.names() == ["denoised"]
    found = reading.reader.trouble()
    assert found is not None
    assert found[0] == "out_of_memory"


def test_where_ranks_are_not_told_apart_a_clip_is_done_when_all_have_gone_on() -> None:
    reading = Reading(1)
    reading.reader.hear("world_size: 3")
    for _ in range(4 * 3):
        reading.reader.hear(bar(0))
        reading.reader.hear(bar(4))
    assert reading.names() == ["first_block"]
    for _ in range(3):
        reading.reader.hear(bar(0))
    assert reading.names() == ["first_block", "clip"]


def test_what_was_begun_is_done_at_the_end() -> None:
    reading = Reading(1, n_clips=1)
    reading.reader.hear("world_size: 2")
    for _ in range(4 * 2):
        reading.reader.hear(bar(0))
    reading.reader.hear("denoising video done")
    assert reading.names() == ["first_block", "clip", "denoised"]


@pytest.mark.parametrize(
    "line",
    [
        "Loading checkpoint shards: 100%|██████████| 4/4 [00:01<00:00,  2.10it/s]",
        "100%|██████████| 9/9 [00:01<00:00,  2.10it/s]",
        "Fetching 4 files: 100%|██████████| 4/4 [00:01<00:00,  2.10it/s]",
    ],
)
def test_other_bars_are_no_blocks(line: str) -> None:
    reading = Reading(1)
    for _ in range(4):
        reading.reader.hear(line.replace("100%", " 50%").replace("4/4", "2/4").replace("9/9", "5/9"))
        reading.reader.hear(line)
    assert reading.names() == []


def test_each_mark_once_and_of_the_rank_that_knows() -> None:
    reading = Reading(5)
    for line in (
        "[default2]:complete prepare conditional inputs",
        "[default0]:[2026-07-26 10:00:00,000] INFO: Generating video ...",
        "[default0]:complete prepare conditional inputs",
        "[default1]:denoising video done",
        "[default3]:denoising video done",
        "[default3]:denoising video done",
    ):
        reading.reader.hear(line)
    assert reading.names() == ["loaded", "prepared", "denoised"]


def test_where_it_saved() -> None:
    reading = Reading(1)
    reading.reader.hear(
        "[2026-07-26 10:00:00,000] INFO: Saving generated video to ./output/2026_4step_a b.mp4"
    )
    assert reading.reader.saved == "./output/2026_4step_a b.mp4"
    reading.reader.hear("Merge completed, saved to /videos/out.mp4")
    assert reading.reader.saved == "/videos/out.mp4"


@pytest.mark.parametrize(
    ("line", "kind", "rank"),
    [
        ("[rank3]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "out_of_memory", "rank 3"),
        ("[default2]:[rank2]: torch.cuda.OutOfMemoryError: CUDA out of memory.", "out_of_memory", "rank 2"),
        (
            "torch.OutOfMemoryError: CUDA out of memory. GPU 1 has a total capacity of",
            "out_of_memory",
            "rank 1",
        ),
        (
            "E1122 api.py:874] failed (exitcode: -9) local_rank: 4 (pid: 12) of binary",
            "killed",
            "rank 4",
        ),
        ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory", "out_of_memory", None),
        (
            "The expanded size of the tensor (3000) must match the existing size (8160) at non-singleton dimension 1",
            "kv_cache_size",
            None,
        ),
        ("_pickle.UnpicklingError: invalid load key, 'v'.", "weights_broken", None),
        (
            "ValueError(\"type fp8e4nv not supported in this architecture. The supported fp8 dtypes are ('fp8e5',)\")",
            "fp8_unsupported",
            None,
        ),
        (
            "RuntimeError: torch._scaled_mm is only supported on CUDA devices with compute capability >= 9.0 or 8.9",
            "fp8_unsupported",
            None,
        ),
        (
            "Input type (CUDABFloat16Type) and weight type (CPUBFloat16Type) should be the same",
            "decoder_on_processor",
            None,
        ),
        (
            "RuntimeError: Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) should be the same",
            "decoder_on_processor",
            None,
        ),
        (
            "Failed to download from HF Hub: An error happened while trying to locate the file, treating as local path",
            "weights_missing",
            None,
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'Quark-Vision/Live-Avatar'",
            "weights_missing",
            None,
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'ckpt/Wan2.2-S2V-14B/models_t5_umt5-xxl-enc-bf16.pth'",
            "weights_missing",
            None,
        ),
        (
            "FileNotFoundError: No such file or directory: ckpt/LiveAvatar/liveavatar.safetensors",
            "weights_missing",
            None,
        ),
        (
            r"'(MaxRetryError('HTTPSConnectionPool(host=\'huggingface.co\', port=443): Max retries exceeded with url: /Quark",
            "weights_missing",
            None,
        ),
        (
            r"Failed to resolve \'huggingface.co\' ([Errno -3] Temporary failure in name resolution)",
            "weights_missing",
            None,
        ),
        (
            "thrown while requesting HEAD https://my.mirror/Quark-Vision/Live-Avatar/resolve/main/liveavatar.safetensors",
            "weights_missing",
            None,
        ),
        (
            "OSError: Error no file named config.json found in directory ckpt/Wan2.2-S2V-14B/.",
            "weights_missing",
            None,
        ),
        ("OSError: Can't load feature extractor for 'ckpt/Wan2.2-S2V-14B/wav2vec2'", "weights_missing", None),
        (
            "OSError: You seem to have cloned a repository without having git-lfs installed. Please install git-lfs",
            "weights_broken",
            None,
        ),
        ("SafetensorError: Error while deserializing header: header too large", "weights_broken", None),
        (
            "OSError: We couldn't connect to 'https://huggingface.co' to load the files",
            "weights_missing",
            None,
        ),
        (
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='hf-mirror.com', port=443)",
            "weights_missing",
            None,
        ),
        ("torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3690", "nccl", None),
        ("code: -98, name: EADDRINUSE, message: address already in use", "port_in_use", None),
        ("save_video failed, error: [Errno 28] No space left on device", "no_output", None),
        ("merge_video_audio failed with error: FFmpeg execute failed", "bad_output", None),
    ],
)
def test_the_cause_of_a_failure(line: str, kind: str, rank: str | None) -> None:
    reading = Reading(5)
    reading.reader.hear(line)
    found = reading.reader.trouble()
    assert found is not None
    assert found[0] == kind
    assert found[1].startswith(rank or found[1])


def test_the_cause_goes_before_what_follows_from_it() -> None:
    reading = Reading(5)
    reading.reader.hear("[rank0]: torch.distributed.DistBackendError: NCCL error in: x")
    reading.reader.hear("[rank4]: torch.OutOfMemoryError: CUDA out of memory.")
    found = reading.reader.trouble()
    assert found is not None
    assert found[0] == "out_of_memory"
    assert reading.reader.exception == "rank 0: torch.distributed.DistBackendError: NCCL error in: x"


def test_ordinary_lines_are_no_trouble() -> None:
    reading = Reading(5)
    for line in (
        "WARNING: VAE serves as a bottleneck!",
        "GPU 3 is warm",
        "world_size: 5",
        "memory: 20 GiB of 80",
        "Downloading from HF Hub: Quark-Vision/Live-Avatar",
        "FileNotFoundError: [Errno 2] No such file or directory: 'examples/boy.jpg'",
    ):
        reading.reader.hear(line)
    assert reading.reader.trouble() is None
    assert reading.reader.n_bottlenecks == 1


@pytest.mark.parametrize(
    "line",
    [
        "[2026-07-26 10:00:00,000] INFO: Generation job args: Namespace(prompt='{words}')",
        "[default0]:[2026-07-26 10:00:00,000] INFO: Input prompt: {words}",
        "[default0]:[2026-07-26 10:00:00,000] INFO:   Prompt: {words}",
    ],
)
def test_the_words_of_a_prompt_are_nobodys(line: str) -> None:
    reading = Reading(5)
    reading.reader.hear(line.format(words="Generating video: denoising video done, CUDA out of memory"))
    assert reading.names() == []
    assert reading.reader.trouble() is None
