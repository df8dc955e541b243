"""Live Avatar as a generator: one run of its own script for each video, for several that go together, or for all."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.adapters.live_avatar.batch import Batch, build_batch, can_share_batch, list_samples
from pipeline.adapters.live_avatar.command import Program, build_program, check_script
from pipeline.adapters.live_avatar.diagnosis import diagnose
from pipeline.adapters.live_avatar.estimates import estimate_resources
from pipeline.adapters.live_avatar.limits import (
    FPS,
    N_DROPPED_FRAMES,
    Size,
    check_limits,
    lacking_fp8,
    tell_lack,
)
from pipeline.adapters.live_avatar.output import verify
from pipeline.adapters.live_avatar.sample import Sample, check_sound_path, prepare_sample
from pipeline.adapters.live_avatar.settings import LiveAvatarOptions, LiveAvatarSettings
from pipeline.adapters.live_avatar.single import run_single
from pipeline.adapters.live_avatar.warm import WarmProgram, build_page, check_page, find_free_port
from pipeline.adapters.series import Announced
from pipeline.beliefs import read_commit
from pipeline.errors import RequestError
from pipeline.events import FIRST_FRAME, SAVED, WARNING, OnEvent, Timeline
from pipeline.faces import NO_FACE, refuse_without_face
from pipeline.formatting import count
from pipeline.generator import Description, Generator, Plan
from pipeline.gpus import read_gpus
from pipeline.process import refuse_secrets
from pipeline.request import GenerationRequest, check_files
from pipeline.result import GenerationResult
from pipeline.speech.stage import SpokenSound, check_sound
from pipeline.video import MeasuredVideo, new_video

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.adapters.live_avatar.log import LogReader
    from pipeline.diagnosis import Diagnosis
    from pipeline.estimates import ResourceEstimate
    from pipeline.gpus import Gpu

_DROPPED_MS = N_DROPPED_FRAMES * 1000 // FPS
_OFFSET_NOTE = (
    f"its code drops the first {N_DROPPED_FRAMES} frames and no sound: the picture may lead by up to {_DROPPED_MS} ms "
    f"whatever the model does; nothing of it is taken out of the measurements"
)
_BOTTLENECK_NOTE = "the GPU that decodes could not keep up with those that denoise, and they waited for it"


class LiveAvatar(Generator):
    """Runs Live Avatar's own script, or a script of the user's own, once for each request; its batch script for several.

    Parameters
    ----------
    **settings
        See `LiveAvatarSettings`.

    Raises
    ------
    RequestError
        If a setting cannot be used.
    """

    name = "live_avatar"
    extra = "generate"
    Settings = LiveAvatarSettings

    def __init__(self, /, **settings: Any) -> None:
        read = self.Settings.read(settings, "setting")
        refuse_secrets(read.environment)
        self._settings = read.model_copy(update={"repository": str(Path(read.repository).absolute())})
        commit = read_commit(Path(self._settings.repository))
        self.version = "1" if commit is None else f"1+{commit}"
        self._batch: Batch | None = None
        self._warm: WarmProgram | None = None
        self._announced = Announced()

    def describe(self) -> Description:
        """Say what reaches it."""
        parameters = {
            "size": "a limit of the area: the sides follow from the portrait, in multiples of 64",
            "num_clip": "clips at most",
            "infer_frames": "frames a clip, a multiple of 12",
            "sample_steps": "1 to 4 on one GPU; exactly num_gpus_dit on several",
            "offload_model": "its --offload_model; on one GPU it is always true",
            "prompt": "its --prompt",
            "image": "its --image",
            "audio": "its --audio",
            "text": "spoken by espeak-ng into its --audio",
            "language": "of text",
            "voice": "of text",
            "base_seed": "its --base_seed; clip k takes the k-th after it",
        }
        if self._settings.is_single and not self._settings.batch and not self._settings.keep_warm:
            parameters["enable_online_decode"] = (
                "decodes the first clip early; nothing is written before the end"
            )
        if self._settings.script is not None:
            used = self._settings.placeholders() & set(GenerationRequest.model_fields)
            parameters = dict.fromkeys(sorted(used), "given to the script")
        place = count(len(self._settings.gpus), "GPU")
        return Description(
            name=self.name,
            version=self.version,
            summary=f"runs Live Avatar on {place}",
            parameters=parameters,
            options=LiveAvatarOptions.model_json_schema(),
            settings=self.Settings.model_json_schema(),
        )

    def diagnose(self) -> Sequence[Diagnosis]:
        """Look at its repository, Python, weights, GPUs, port and what else it needs."""
        return diagnose(self._settings.settle(gpus_have_fp8=not self._old_gpus))

    def estimate(self, request: GenerationRequest) -> ResourceEstimate:
        """Return what others measured and reckoned of such a request."""
        return estimate_resources(request, self._settle(request))

    def check(self, request: GenerationRequest) -> None:
        """Check files, sound, and whether its code can do what is asked."""
        settings, size = self._check(request)
        check_sound(request)
        path = Path("speech.wav" if request.audio is None else request.audio).absolute()
        check_sound_path(path)
        _program(
            Sample(request, settings, SpokenSound(path, 1.0, (), {}), size), Path("video.mp4").absolute()
        )

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Return the command line. Text is spoken into a temporary file, to count the clips, and forgotten."""
        settings, size = self._check(request)
        with tempfile.TemporaryDirectory() as folder:
            sample = prepare_sample(request, settings, size, Path(folder))
        sound = sample.sound
        steps = [f"writes to a hidden folder beside {out_path} and renames when the video is whole"]
        if request.text is not None:
            sound = replace(sound, path=out_path.with_suffix(".wav").absolute())
            sample = replace(sample, sound=sound)
            steps.insert(
                0, f"speaks the text, {sound.duration_s:.2f} s, into {sound.path.name} beside the video"
            )
        if size is not None:
            steps.append(
                f"makes {size} with this portrait, {sample.n_frames} frames in {sample.n_clips} clips at {FPS} fps"
            )
        if settings.keep_warm:
            steps.append(
                "starts its page, in a folder and at a port that are new each time, and sends it the request"
            )
        if settings.batch:
            steps += ["writes samples.yaml:", *list_samples([sample]).splitlines()]
        program = _program(sample, out_path.absolute())
        return Plan(
            steps=tuple(steps), argv=program.argv, folder=settings.repository, environment=program.environment
        )

    @property
    def follows_gpus(self) -> bool:
        """Whether no GPU is named in the settings: then any one will do."""
        settings = self._settings
        return "gpus" not in settings.model_fields_set and "CUDA_VISIBLE_DEVICES" not in settings.environment

    def take_gpu(self, index: int) -> None:
        """Work on this GPU, at a port that no other GPU's process has."""
        if not self.follows_gpus:
            raise RequestError(
                f"its settings name GPUs (gpus is {list(self._settings.gpus)}), and its slot is on GPU {index}: leave gpus "
                f"and CUDA_VISIBLE_DEVICES out of the settings, or name no GPU in the slots"
            )
        own = {"gpus": (index,), "master_port": self._settings.port + index}
        self._settings = self._settings.model_copy(update=own)

    def load(self) -> None:
        """Do nothing: its script loads the model for each video, for each batch, or with the first request."""

    @property
    def makes_batches(self) -> bool:
        """Whether a setting is on that loads the model once for several: ``batch`` or ``keep_warm``."""
        return self._settings.batch or self._settings.keep_warm

    def announce_upcoming(self, requests: Sequence[GenerationRequest], folder: Path) -> None:
        """Make these in one batch when the first of them comes, as far as they differ in the inputs alone."""
        self._announced.learn(requests, folder)

    def close(self) -> None:
        """End a batch that is under way, and what is kept warm."""
        if self._batch is not None:
            self._batch.close()
            self._batch = None
        if self._warm is not None:
            self._warm.close()
            self._warm = None

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Run its script and verify what it wrote; see `Generator.generate`."""
        timeline = Timeline(on_event)
        settings, size = self._check(request)
        with new_video(out_path) as part:
            if settings.batch:
                sample, timeline, log = self._next_from_batch(request, part, on_event)
            elif settings.keep_warm:
                sample = prepare_sample(request, settings, size, part.parent)
                timeline, log = self._make_warm(sample, part, on_event)
            else:
                sample = prepare_sample(request, settings, size, part.parent)
                log = run_single(sample, part, timeline)
            measured = verify(part, sample, log)
        if self._leaves_fp8_out(request):
            timeline.mark(WARNING, text=f"it was made without fp8: {tell_lack(self._old_gpus)}")
        _note(timeline, sample, measured, log)
        timeline.mark(FIRST_FRAME, at_end=True)
        timeline.mark(SAVED)
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=request,
            video=str(out_path),
            n_clips=log.n_clips_done or None,
            seed=request.base_seed,
            phonemes=sample.sound.phonemes,
            events=timeline.events,
            versions=sample.sound.versions,
            **asdict(measured),
        )

    def _next_from_batch(
        self,
        request: GenerationRequest,
        part: Path,
        on_event: OnEvent | None,
    ) -> tuple[Sample, Timeline, LogReader]:
        """Take the video from the batch under way, or begin one with it and what is expected after it."""
        if self._batch is None or self._batch.expected[:1] != [request]:
            self.close()
            self._batch = self._begin_batch(request, part.parent.parent)
        try:
            return self._batch.take(part, on_event)
        finally:
            if not self._batch.expected:
                self.close()

    def _begin_batch(self, request: GenerationRequest, beside: Path) -> Batch:
        folder, samples = self._announced.gather(
            request,
            beside,
            shares=can_share_batch,
            prepare=lambda one, own: prepare_sample(one, *self._check(one), own),
        )
        try:
            return Batch(samples, folder)
        except BaseException:
            shutil.rmtree(folder)
            raise

    def _make_warm(self, sample: Sample, part: Path, on_event: OnEvent | None) -> tuple[Timeline, LogReader]:
        """Have the program that is kept warm make it; start another one where none is, or it is of another configuration."""
        if self._warm is None or not self._warm.serves(sample.request):
            self.close()
            self._warm = WarmProgram(sample)
        try:
            return self._warm.make(sample, part, on_event)
        except BaseException:
            self.close()
            raise

    def _check(self, request: GenerationRequest) -> tuple[LiveAvatarSettings, Size | None]:
        """Check all but the sound; return the settings of this request, and the size that comes out if that is known."""
        settings = self._settle(request)
        check_files(request)
        repository = Path(settings.repository)
        if not repository.is_dir():
            raise RequestError(f"repository {settings.repository!r}: there is no such folder")
        if settings.script is not None:
            check_script(request, settings)
            _check_face(request, settings)
            return settings, None
        if not (repository / settings.entry).is_file():
            raise RequestError(
                f"repository {settings.repository!r} has no {settings.entry}: is it Live Avatar's?"
            )
        if settings.keep_warm:
            check_page(request)
        size = check_limits(request, settings, self._old_gpus)
        _check_face(request, settings)
        return settings, size

    def _settle(self, request: GenerationRequest) -> LiveAvatarSettings:
        """Return the settings of a request, nothing left open."""
        settings = LiveAvatarOptions.read(request.options, "option").over(self._settings)
        return settings.settle(gpus_have_fp8=not self._old_gpus)

    def _leaves_fp8_out(self, request: GenerationRequest) -> bool:
        """Return whether fp8, of which nothing is said, is left out for the GPUs' sake."""
        asked = LiveAvatarOptions.read(request.options, "option").over(self._settings)
        return asked.fp8 is None and bool(self._old_gpus) and not asked.batch and asked.script is None

    @cached_property
    def _old_gpus(self) -> list[Gpu]:
        """GPUs asked for that have no eight-bit floats; none where nothing is known of them."""
        return lacking_fp8(self._settings, read_gpus()[0])


def _check_face(request: GenerationRequest, settings: LiveAvatarSettings) -> None:
    if request.image is None or not settings.require_face:
        return
    try:
        refuse_without_face(request.image)
    except RequestError as error:
        if error.kind != NO_FACE:
            raise
        text = f"{error}; Live Avatar's code looks for none: require_face set to false makes the video all the same"
        raise RequestError(text, error.kind) from None


def _program(sample: Sample, out_path: Path) -> Program:
    if sample.settings.batch:
        return build_batch([sample], out_path.parent)
    if sample.settings.keep_warm:
        return build_page(sample.settings, sample.request, out_path.parent, find_free_port())
    return build_program(sample.settings, sample.request, sample.sound.path, out_path)


def _note(timeline: Timeline, sample: Sample, measured: MeasuredVideo, log: LogReader) -> None:
    """Say what a reader of the results must know."""
    if sample.size is None:
        return
    came, read = f"{measured.width}*{measured.height}", str(sample.size)
    if came != read:
        timeline.mark(WARNING, text=f"it made {came} where its code was read to make {read}")
    if log.n_bottlenecks:
        timeline.mark(WARNING, text=_BOTTLENECK_NOTE, count=log.n_bottlenecks)
    timeline.mark(WARNING, text=_OFFSET_NOTE)
