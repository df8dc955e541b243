"""Live Avatar as a generator: one run of its own script for each video."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.adapters.live_avatar.command import Program, build_program, check_script
from pipeline.adapters.live_avatar.diagnosis import diagnose
from pipeline.adapters.live_avatar.limits import (
    FPS,
    N_DROPPED_FRAMES,
    Size,
    check_limits,
    count_clips,
    count_frames,
)
from pipeline.adapters.live_avatar.log import WARNING, LogReader
from pipeline.adapters.live_avatar.output import OutputFolder, check_length, read_commit
from pipeline.adapters.live_avatar.settings import ENTRY, LiveAvatarOptions, LiveAvatarSettings
from pipeline.errors import GenerationError, RequestError
from pipeline.generator import Description, Generator, OnEvent, Plan, Timeline
from pipeline.process import quote, run_program
from pipeline.request import FIRST_FRAME, SAVED, SPEECH, GenerationRequest, GenerationResult, check_files
from pipeline.speech.stage import check_sound, prepare_sound
from pipeline.video import VideoFacts, measure_video, new_video

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.diagnosis import Finding

_DROPPED_MS = N_DROPPED_FRAMES * 1000 // FPS
_OFFSET_NOTE = (
    f"its code drops the first {N_DROPPED_FRAMES} frames and no sound: the picture may lead by up to {_DROPPED_MS} ms "
    f"whatever the model does; nothing of it is taken out of the measurements"
)
_BOTTLENECK_NOTE = "the GPU that decodes could not keep up with those that denoise, and they waited for it"


class LiveAvatar(Generator):
    """Runs Live Avatar's own script once for each request, or a script of the user's own.

    Parameters
    ----------
    **settings
        See `LiveAvatarSettings`.

    Raises
    ------
    RequestError
        If the settings make no sense.
    """

    name = "live_avatar"

    def __init__(self, **settings: Any) -> None:
        read = LiveAvatarSettings.read(settings, "setting")
        self._settings = read.model_copy(update={"repository": str(Path(read.repository).absolute())})
        commit = read_commit(Path(self._settings.repository))
        self.version = "1" if commit is None else f"1+{commit}"

    def describe(self) -> Description:
        """Say what reaches it."""
        heeded = {
            "size": "a limit of the area: the sides follow from the portrait, in multiples of 64",
            "num_clip": "clips at most",
            "infer_frames": "frames a clip, a multiple of 12",
            "sample_steps": "1 to 4 on one GPU; exactly num_gpus_dit on several",
            "offload_model": "its --offload_model",
            "prompt": "its --prompt",
            "image": "its --image",
            "audio": "its --audio",
            "text": "spoken by espeak-ng into its --audio",
            "language": "of text",
            "voice": "of text",
            "base_seed": "its --base_seed; clip k takes the k-th after it",
        }
        if self._settings.is_single:
            heeded["enable_online_decode"] = "decodes the first clip early; nothing is written before the end"
        if self._settings.script is not None:
            used = self._settings.placeholders() & set(GenerationRequest.model_fields)
            heeded = dict.fromkeys(sorted(used), "given to the script")
        place = f"{len(self._settings.gpus)} GPU{'s' * (len(self._settings.gpus) != 1)}"
        return Description(
            name=self.name,
            version=self.version,
            summary=f"runs Live Avatar on {place}",
            parameters=heeded,
            options=LiveAvatarOptions.model_json_schema(),
            settings=LiveAvatarSettings.model_json_schema(),
        )

    def diagnose(self) -> Sequence[Finding]:
        """Look at its repository, Python, weights, GPUs, port and what else it needs."""
        return diagnose(self._settings)

    def check(self, request: GenerationRequest) -> None:
        """Check files, sound, and whether its code can do and heeds what is asked."""
        settings, _ = self._check(request)
        check_sound(request)
        build_program(settings, request, _sound_path(request), Path("video.mp4").absolute())

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Return the command line. Text is spoken into a temporary file, to count the clips, and forgotten."""
        settings, size = self._check(request)
        with tempfile.TemporaryDirectory() as folder:
            sound = prepare_sound(request, Path(folder))
        steps = [f"writes to a hidden folder beside {out_path} and renames when the video is whole"]
        if request.text is not None:
            sound = replace(sound, path=out_path.with_suffix(".wav").absolute())
            steps.insert(
                0, f"speaks the text, {sound.duration_s:.2f} s, into {sound.path.name} beside the video"
            )
        if size is not None:
            n_clips = count_clips(sound.duration_s, request.infer_frames, request.num_clip)
            n_frames = count_frames(sound.duration_s, request.infer_frames, n_clips)
            steps.append(
                f"makes {size} with this portrait, {n_frames} frames in {n_clips} clips at {FPS} fps"
            )
        program = build_program(settings, request, sound.path, out_path.absolute())
        return Plan(
            steps=tuple(steps), argv=program.argv, folder=settings.repository, environment=program.environment
        )

    def load(self) -> None:
        """Do nothing: its script loads the model for each video."""

    def close(self) -> None:
        """Do nothing: no process outlives `generate`."""

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Run its script and verify what it wrote; see `Generator.generate`."""
        timeline = Timeline(on_event)
        settings, size = self._check(request)
        with new_video(out_path) as part:
            sound = prepare_sound(request, part.parent)
            n_clips = count_clips(sound.duration_s, request.infer_frames, request.num_clip)
            program = build_program(settings, request, sound.path, part.absolute())
            timeline.mark(SPEECH, duration_s=sound.duration_s, n_clips=n_clips)
            log = LogReader(
                timeline,
                n_ranks=len(settings.gpus),
                last_rank=settings.n_gpus_dit - 1,
                infer_frames=request.infer_frames,
                sample_steps=request.sample_steps,
                n_clips=n_clips,
            )
            facts = _run(program, settings, log, part, timeline)
            if size is not None:
                check_length(
                    facts, count_frames(sound.duration_s, request.infer_frames, n_clips), request.infer_frames
                )
                _note(timeline, size, facts, log)
        timeline.mark(FIRST_FRAME, at_end=True)
        timeline.mark(SAVED)
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=request,
            video=str(out_path),
            n_clips=log.n_clips_done or None,
            seed=request.base_seed,
            events=timeline.events,
            versions=sound.versions,
            **asdict(facts),
        )

    def _check(self, request: GenerationRequest) -> tuple[LiveAvatarSettings, Size | None]:
        """Check all but the sound; return the settings of this request, and the size that comes out if that is known."""
        settings = LiveAvatarOptions.read(request.options, "option").over(self._settings)
        check_files(request)
        repository = Path(settings.repository)
        if not repository.is_dir():
            raise RequestError(f"repository {settings.repository!r}: there is no such folder")
        if settings.script is not None:
            check_script(request, settings)
            return settings, None
        if not (repository / ENTRY).is_file():
            raise RequestError(f"repository {settings.repository!r} has no {ENTRY}: is it Live Avatar's?")
        return settings, check_limits(request, settings)


def _sound_path(request: GenerationRequest) -> Path:
    return Path(request.audio).absolute() if request.audio is not None else Path("speech.wav").absolute()


def _run(
    program: Program, settings: LiveAvatarSettings, log: LogReader, part: Path, timeline: Timeline
) -> VideoFacts:
    """Run it to its end and fetch what it wrote."""
    output = OutputFolder(Path(settings.repository))
    with _explaining(log):
        finished = run_program(
            program.argv,
            on_line=log.hear,
            time_limit_s=settings.time_limit_s,
            stall_limit_s=settings.stall_limit_s,
            folder=settings.repository,
            environment=program.environment,
        )
        if finished.returncode:
            cause = f": {log.exception}" if log.exception is not None else ""
            raise GenerationError(
                f"Live Avatar ended with status {finished.returncode}{cause}; {quote(log.tail)}"
            )
        try:
            found = output.fetch(log.saved, part)
            facts = measure_video(part, sound_expected=True)
        except GenerationError as error:
            raise GenerationError(
                f"Live Avatar ended as if all were well, but {error}; {quote(log.tail)}", error.kind
            ) from None
    if found is not None:
        timeline.mark(
            WARNING, text=f"it wrote to {found} instead of where it was told; the video was taken from there"
        )
    return facts


@contextmanager
def _explaining(log: LogReader) -> Iterator[None]:
    """Say of a failure what the log names as its cause."""
    try:
        yield
    except GenerationError as error:
        trouble = log.trouble()
        if trouble is None:
            raise
        kind, text = trouble
        raise GenerationError(f"{text}\n{error}", kind) from None


def _note(timeline: Timeline, size: Size, facts: VideoFacts, log: LogReader) -> None:
    """Say what a reader of the results must know."""
    if (facts.width, facts.height) != (size.width, size.height):
        timeline.mark(
            WARNING, text=f"it made {facts.width}*{facts.height} where its code was read to make {size}"
        )
    if log.n_bottlenecks:
        timeline.mark(WARNING, text=_BOTTLENECK_NOTE, count=log.n_bottlenecks)
    timeline.mark(WARNING, text=_OFFSET_NOTE)
