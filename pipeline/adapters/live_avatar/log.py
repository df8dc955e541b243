"""What Live Avatar prints, turned into events; and what its failures mean."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.adapters.live_avatar.limits import FRAMES_PER_BLOCK
from pipeline.errors import GenerationError
from pipeline.events import CLIP, LOADED

if TYPE_CHECKING:
    from pipeline.events import Timeline

FIRST_BLOCK = "first_block"
"""The first twelve frames are denoised; they cannot be seen yet."""
PREPARED = "prepared"
"""Portrait, sound and prompt are encoded."""
DENOISED = "denoised"
"""All clips are denoised."""
_TAG = re.compile(r"\[[A-Za-z_]+(\d+)\]:")
"""Of torchrun's ``--tee`` (``[default3]:``) and of torch's own tracebacks (``[rank3]:``)."""
_BAR = re.compile(r"\s*\d+%\|[^|]*\| *(\d+)/(\d+) \[[^\]]*\]?")
"""A nameless progress bar; those of loading have names."""
_ECHO = re.compile(r"Generation job args: |Input prompt: |INFO:   (?:Prompt|Image|Audio): ")
"""The user's own words and names, which mean nothing here."""
_WORLD = re.compile(r"\bworld_size: (\d+)")
_SAVED = re.compile(r"(?:Saving generated video to|Merge completed, saved to) (.+?\.mp4)")
_RANK_BELONGING = re.compile(r"\bGPU (\d+) has a total capacity|\bfailed \(exitcode: \S+\) local_rank: (\d+)")
_N_TAIL_LINES = 40
_EXCEPTION = re.compile(r"^\s*((?:\w+\.)*\w+(?:Error|Exception)(?:: .*)?)$")
_BOTTLENECK = "VAE serves as a bottleneck"
_MARKS = (
    ("Generating video", LOADED, "first"),
    ("complete prepare conditional inputs", PREPARED, "first"),
    ("complete full-sequence generation", DENOISED, "last"),
    ("denoising video done", DENOISED, "last"),
    ("Denoising video done for sample", DENOISED, "first"),
)
"""What is said, what it means, and which of the ranks that say it counts."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure that its log names.

    Parameters
    ----------
    kind : str
        Stable code.
    text : str
        What it is and what to do.
    pattern : str
        Found in the line that reports it.
    """

    kind: str
    text: str
    pattern: str


TROUBLES = (
    Trouble(
        "kv_cache_size",
        "the picture takes more tokens than its condition cache holds, a constant in its code: take a smaller size",
        r"expanded size of the tensor \(\d+\) must match the existing size \(\d+\) at non-singleton dimension 1",
    ),
    Trouble(
        "out_of_memory",
        "out of GPU memory: a smaller size, fewer infer_frames and fp8 need less; on one GPU offload_kv_cache, on several "
        "offload_model",
        r"OutOfMemoryError|CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED",
    ),
    Trouble(
        "out_of_memory",
        "out of the host's memory: the model is loaded into it once a GPU before it is moved",
        r"Cannot allocate memory|DefaultCPUAllocator: can't allocate",
    ),
    Trouble(
        "fp8_unsupported",
        "the GPU has no eight-bit floats, which begin with compute capability 8.9: set fp8 to false",
        r"fp8e4nv|_scaled_mm is only supported",
    ),
    Trouble(
        "decoder_on_processor",
        "what decodes the picture was left on the processor, as its code does on one GPU without offload_model: set it to true",
        r"Input type \((?:CUDA|torch\.cuda)\S*\) and weight type \((?:CPU|torch\.[A-Z])",
    ),
    Trouble(
        "weights_broken",
        "a file of weights holds something else, as the pointer that git leaves without git-lfs: fetch it again",
        r"invalid load key|HeaderTooLarge|header too large|InvalidHeaderDeserialization|Unable to load weights from|"
        r"without having git-lfs installed|is not a valid JSON file",
    ),
    Trouble(
        "weights_missing",
        "weights are not where they were sought, and were not fetched either: give local paths, lora_path_dmd a .safetensors "
        "file and ckpt_dir a folder with all that Wan2.2-S2V-14B has",
        r"Failed to download from HF Hub: |FileNotFoundError: .*\.(?:pth|pt|safetensors|bin)\b|"
        r"FileNotFoundError: .*'[\w.-]+/(?![\w-]+\.\w{2,4}')[\w.-]+'|"
        r"OSError: (?:Error no file named|Can't load |\S+ does not appear to have a file named)|Repo id must be in the form|"
        r"LocalEntryNotFoundError|OfflineModeIsEnabled|couldn't connect to 'https?://|"
        r"Failed to resolve \\?'\S*(?:huggingface|hf-mirror)|host=\\?'\S*(?:huggingface\.co|hf-mirror\.com)|"
        r"thrown while requesting [A-Z]+ https?://\S+/resolve/",
    ),
    Trouble(
        "port_in_use",
        "master_port is taken: end the program that has it, or choose another",
        r"EADDRINUSE|[Aa]ddress already in use",
    ),
    Trouble(
        "nccl",
        "the GPUs cannot talk to each other: `evalkit doctor` looks at the variables",
        r"NCCL error|ncclSystemError|ncclUnhandledCudaError|ncclInternalError|Watchdog caught collective operation timeout",
    ),
    Trouble(
        "killed",
        "a process was killed from outside (SIGKILL), as by a machine that runs out of memory: the model is loaded into it "
        "once a GPU",
        r"Signal 9 \(SIGKILL\) received|failed \(exitcode: -9\)",
    ),
    Trouble(
        "crashed",
        "its page looks at sounds and videos with ffprobe, and there is none: install ffmpeg with it",
        r"No such file or directory: 'ffprobe'",
    ),
    Trouble(
        "no_output",
        "its code could not write the picture and went on",
        r"save_video failed|video file .* does not exist",
    ),
    Trouble(
        "bad_output", "its code could not join picture and sound and went on", r"merge_video_audio failed"
    ),
)
"""The first that a log holds is the cause; those below it follow from it."""


class LogReader:
    """Turns lines into events, rank by rank.

    Parameters
    ----------
    timeline : Timeline
        Takes the events.
    n_ranks : int
        Processes; its own word for it, ``world_size``, goes before.
    last_rank : int
        The one that does the last step of each block.
    infer_frames, sample_steps : int
        As asked.
    n_clips : int
        Clips expected.
    is_loaded : bool
        Whether the model was loaded before.

    Attributes
    ----------
    n_clips_done : int
        Clips denoised so far.
    n_bottlenecks : int
        Blocks that waited for the GPU that decodes.
    saved : str or None
        Where it says it saved the video.
    exception : str or None
        The first exception in the log: the cause of those after it.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        n_ranks: int,
        last_rank: int,
        infer_frames: int,
        sample_steps: int,
        n_clips: int,
        is_loaded: bool = False,
    ) -> None:
        self._timeline = timeline
        self._n_ranks = n_ranks
        self._last_rank = last_rank
        self._blocks_per_clip = max(1, infer_frames // FRAMES_PER_BLOCK)
        self._n_steps = sample_steps
        self._n_clips = n_clips
        self._seen: set[str] = {LOADED} if is_loaded else set()
        self._open = False
        self._n_begun = 0
        self._n_blocks = 0
        self._troubles: dict[str, tuple[int | None, str]] = {}
        self._said: deque[str] = deque(maxlen=_N_TAIL_LINES)
        self._said_by_ranks: deque[str] = deque(maxlen=_N_TAIL_LINES)
        self.exception: str | None = None
        self.n_clips_done = 0
        self.n_bottlenecks = 0
        self.saved: str | None = None

    def hear(self, line: str) -> None:
        """Take a line of output or error output."""
        for rank, words in _by_rank(line):
            self._hear(rank, words)

    def explain(self, error: GenerationError) -> GenerationError:
        """Return an error with the cause that the log names in front, or as it is."""
        trouble = self.trouble()
        if trouble is None:
            return error
        kind, text = trouble
        return GenerationError(f"{text}\n{error}", kind)

    def trouble(self) -> tuple[str, str] | None:
        """Return kind and text of the cause of a failure, as far as the log names it."""
        for trouble in TROUBLES:
            if trouble.text in self._troubles:
                rank, words = self._troubles[trouble.text]
                who = "" if rank is None else f"rank {rank} of {self._n_ranks}: "
                return trouble.kind, f"{who}{trouble.text}\n  {words}"
        return None

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines without bars, of the ranks if they are marked: what torchrun says afterwards hides theirs."""
        return tuple(self._said_by_ranks or self._said)

    def _hear(self, rank: int | None, words: str) -> None:
        world = _WORLD.search(words)
        if world is not None:
            self._n_ranks = int(world[1])
        words = self._hear_bars(rank, words)
        if not words:
            return
        self._keep(rank, words)
        if _ECHO.search(words):
            return
        for mark, name, teller in _MARKS:
            if mark in words and rank in {None, self._last_rank if teller == "last" else 0}:
                self._note_mark(name)
        saved = _SAVED.search(words)
        if saved is not None:
            self.saved = saved[1]
        self.n_bottlenecks += _BOTTLENECK in words
        self._note_trouble(rank, words)

    def _hear_bars(self, rank: int | None, words: str) -> str:
        """Follow the bars that a line begins with; return what was printed before their own line was over."""
        while (bar := _BAR.match(words)) is not None and int(bar[2]) == self._n_steps:
            self._note_bar(rank, int(bar[1]))
            words = words[bar.end() :].strip()
        return words

    def _keep(self, rank: int | None, words: str) -> None:
        words = words.removeprefix(" ")
        named = words if rank is None or self._n_ranks == 1 else f"rank {rank}: {words}"
        (self._said if rank is None else self._said_by_ranks).append(named)
        exception = _EXCEPTION.match(words)
        if self.exception is None and exception is not None:
            self.exception = named.strip()

    def _note_mark(self, name: str) -> None:
        if name in self._seen:
            return
        self._seen.add(name)
        if name == DENOISED and self._n_begun:
            self._finish_clips(self._n_begun // self._n_ranks)
        self._timeline.mark(name)

    def _note_bar(self, rank: int | None, n_done: int) -> None:
        """Follow one bar a block: of the last rank where ranks are marked, else of all together."""
        if rank is None and self._n_ranks > 1:
            self._n_begun += n_done == 0  # a bar that begins ends the one before
            self._finish_clips(max(0, self._n_begun // self._n_ranks - 1))
            return
        if rank not in {None, self._last_rank}:
            return
        if n_done < self._n_steps:
            self._open = True
        elif self._open:  # a finished bar is drawn twice
            self._open = False
            self._finish_clips(self._n_blocks + 1)

    def _finish_clips(self, n_blocks: int) -> None:
        if n_blocks and FIRST_BLOCK not in self._seen:
            self._seen.add(FIRST_BLOCK)
            self._timeline.mark(FIRST_BLOCK)
        self._n_blocks = n_blocks
        while self.n_clips_done < n_blocks // self._blocks_per_clip:
            self._timeline.mark(CLIP, index=self.n_clips_done, n_clips=self._n_clips)
            self.n_clips_done += 1

    def _note_trouble(self, rank: int | None, words: str) -> None:
        belonging = _RANK_BELONGING.search(words)
        if rank is None and belonging is not None:
            rank = int(belonging[1] or belonging[2])
        for trouble in TROUBLES:
            if re.search(trouble.pattern, words):
                self._troubles.setdefault(trouble.text, (rank, words.strip()))


def _by_rank(line: str) -> list[tuple[int | None, str]]:
    """Cut a line where a rank begins to speak; what one rank says in a line belongs together, tags or not."""
    before, *rest = _TAG.split(line)
    said: dict[int | None, str] = {None: before} if before.strip() or not rest else {}
    for rank, words in zip(rest[::2], rest[1::2], strict=True):
        said[int(rank)] = said.get(int(rank), "") + words
    return [(rank, words) for rank, words in said.items() if words.strip()]
