"""The generator that runs anywhere: one portrait, any speech, two processor cores."""

from __future__ import annotations

import hashlib
import math
import platform
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from pipeline.errors import GenerationError, RequestError
from pipeline.events import LOADED, SAVED, SPEECH, WARNING, OnEvent, Timeline
from pipeline.generator import Description, Generator, Plan
from pipeline.options import PlainData
from pipeline.reference import features
from pipeline.reference.animation import Stage, count_frames, make_clips, smile_of
from pipeline.reference.encoder import SOUND_RATE_HZ, VideoWriter, frame_rate, settle
from pipeline.reference.face import FaceModel
from pipeline.reference.motion import MotionModel, Solver
from pipeline.reference.renderer import Renderer
from pipeline.reference.scene import draw_scene, place_mark
from pipeline.reference.style import describe_unfollowed, read_scene, read_style, wants_brand
from pipeline.request import GenerationRequest, check_files
from pipeline.result import GenerationResult
from pipeline.sound import iterate_sound
from pipeline.speech.stage import check_sound, prepare_sound
from pipeline.video import measure_video, new_video

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pipeline.reference.matting import Cutout
    from pipeline.reference.portrait import Framed

    Picture = NDArray[np.uint8]
    FloatArray = NDArray[np.float64]

WEIGHTS = Path(__file__).with_name("weights")

_OWN_PORTRAIT = "astronaut"
_PARAMETERS = {
    "size": "size of the picture; the portrait is cropped, or its background widened, to fit",
    "num_clip": "clips to make at most",
    "infer_frames": "frames a clip: motion is made, and with online decoding written, a clip at a time",
    "fps": "frames a second; motion is made at 25 a second and interpolated",
    "sample_steps": "Euler steps of the flow from noise to motion",
    "sample_guide_scale": "how far the motion is driven beyond what sound and style suggest; doubles the evaluations",
    "enable_online_decode": "frames are drawn and written clip by clip instead of after the motion of all clips",
    "offload_model": "where there is a GPU, the motion model is on it only while it works",
    "prompt": "manner (smiling, nodding, lively, calm, serious …), scene behind the person, whether a brand mark shows",
    "image": "the portrait; scikit-image's astronaut where none is given",
    "audio": "what is spoken",
    "text": "what is spoken, by espeak-ng",
    "language": "of the text",
    "voice": "for the text",
    "base_seed": "the same seed gives the same motion",
    "brand_mark": "placed in the scene where the prompt asks for a brand, mark or logo",
}


class ReferenceSettings(PlainData):
    """How the reference generator is set up.

    Attributes
    ----------
    device : str or None
        Where the motion model runs, in torch's words; ``None`` for the first GPU where there is one, else the
        processor.
    """

    device: str | None = Field(default=None, min_length=1, description="as torch names it: cpu, cuda:0")


class ReferenceGenerator(Generator):
    """Portrait and speech to talking video, by a small diffusion model of motion and a mesh renderer.

    Parameters
    ----------
    **settings
        See `ReferenceSettings`.

    Raises
    ------
    RequestError
        If a setting cannot be used.
    """

    name = "reference"
    extra = "generate"
    Settings = ReferenceSettings
    version = "2"

    def __init__(self, /, **settings: Any) -> None:
        self._wanted_device = self.Settings.read(settings, "setting").device
        self._model: MotionModel | None = None
        self._face: FaceModel | None = None
        self._portrait: _Portrait | None = None
        self._weights: dict[str, str] = {}
        self._load_s: float | None = None

    def describe(self) -> Description:
        """Describe it and the parameters that it uses."""
        return Description(
            name=self.name,
            version=self.version,
            summary="animates a portrait on any computer: motion by flow matching, drawn with the face mesh",
            parameters=_PARAMETERS,
            settings=self.Settings.model_json_schema(),
        )

    def check(self, request: GenerationRequest) -> None:
        """Check files, the sound, the text and its language, and that the portrait shows one face that can be used."""
        self._check(request)
        check_sound(request)

    def dry_run(self, request: GenerationRequest, out_path: Path) -> Plan:
        """Say, step by step, what `generate` would do."""
        self._check(request)
        duration_s = check_sound(request)
        clips = "as many clips as the speech needs"
        if duration_s is not None:
            clips = f"{request.n_clips(duration_s)} clips"
        scene = read_scene(request.prompt)
        speech = (
            f"speak {request.text!r} ({request.language})"
            if request.text is not None
            else f"read {request.audio}"
        )
        steps = [
            speech,
            (
                f"frame {request.image or _OWN_PORTRAIT} to {request.width} x {request.height}, "
                + (f"before a drawn scene: {scene}" if scene else "before its own background")
            ),
            (
                f"make {clips} of {request.infer_frames} frames at {request.fps:g} a second, "
                f"{request.sample_steps} steps, guidance {request.sample_guide_scale:g}, seed {request.base_seed}"
            ),
            f"write {out_path} "
            + ("clip by clip" if request.enable_online_decode else "after the last clip"),
        ]
        if request.brand_mark is not None:
            shown = "place" if wants_brand(request.prompt) else "leave out (the prompt does not ask for it)"
            steps.insert(2, f"{shown} the brand mark {request.brand_mark}")
        steps += [f"note: {text}" for text in describe_unfollowed(request.prompt, request.brand_mark)]
        return Plan(steps=tuple(steps))

    def load(self) -> None:
        """Read the motion model and the face model, and bring the face finder up."""
        if self._model is not None:
            return
        timeline = Timeline()
        import torch

        device = self._wanted_device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        try:
            self._model = MotionModel(WEIGHTS, device)
        except (RuntimeError, OSError, KeyError) as error:
            raise GenerationError(
                f"the motion model cannot be loaded on {device}: {error}", "load_failed"
            ) from error
        self._face = _load_face()
        self._weights = {path.name: _sha256(path) for path in sorted(WEIGHTS.glob("*.npz"))}
        from pipeline.reference import portrait

        portrait.warm_up()
        self._load_s = timeline.mark(LOADED).time_s

    def close(self) -> None:
        """Forget the models."""
        self._model = None
        self._face = None
        self._portrait = None

    def generate(
        self, request: GenerationRequest, out_path: Path, on_event: OnEvent | None = None
    ) -> GenerationResult:
        """Make the video; see `Generator.generate`."""
        timeline = Timeline(on_event)
        portrait = self._check(request)
        check_sound(request)
        self.load()
        if self._model is None or self._face is None or self._load_s is None:
            raise GenerationError("the generator was closed while it loaded", "crashed")
        timeline.mark(LOADED, load_s=self._load_s)
        with _translating_failures(), new_video(out_path) as part, ThreadPoolExecutor(1) as beside:
            framing = beside.submit(self._frame, request, portrait)  # while the sound is made and heard
            sound = prepare_sound(request, part.parent)
            n_frames = count_frames(request, sound.duration_s)
            n_clips = math.ceil(n_frames / request.infer_frames)
            timeline.mark(SPEECH, duration_s=sound.duration_s, n_clips=n_clips)
            for text in describe_unfollowed(request.prompt, request.brand_mark):
                timeline.mark(WARNING, text=text)
            style = read_style(request.prompt)
            stream = self._model.stream(
                features.log_mel(iterate_sound(sound.path, features.RATE_HZ)),
                style,
                request.base_seed,
                Solver(request.sample_steps, request.sample_guide_scale),
                offload=bool(request.offload_model),
            )
            framed = framing.result()
            stage = Stage(
                renderer=Renderer(framed, self._face, _choose_scene(request, framed)),
                stream=stream,
                rate=frame_rate(request.fps),
                n_frames=n_frames,
                infer_frames=request.infer_frames,
                smile=smile_of(style),
            )
            draft = part.with_name("draft.mp4")
            pieces = iterate_sound(sound.path, SOUND_RATE_HZ)
            with VideoWriter(draft, request.width, request.height, stage.rate, pieces) as writer:
                make_clips(stage, writer, timeline, online=request.enable_online_decode)
            settle(draft, part)
            measured = measure_video(part, sound_expected=True)
        timeline.mark(SAVED)
        return GenerationResult(
            generator=self.name,
            version=self.version,
            request=request,
            video=str(out_path),
            n_clips=n_clips,
            seed=request.base_seed,
            phonemes=sound.phonemes,
            events=timeline.events,
            versions={**_versions(), **sound.versions},
            weights=self._weights,
            **asdict(measured),
        )

    def _check(self, request: GenerationRequest) -> _Portrait:
        """Check all but the sound; return the portrait."""
        from pipeline.faces import read_picture
        from pipeline.reference.portrait import refuse_profile

        check_files(request)
        if request.options:
            raise RequestError(
                f"the reference generator has no options; got {', '.join(sorted(request.options))}"
            )
        if request.brand_mark is not None:
            read_picture(Path(request.brand_mark), "brand_mark")
        picture = _own_portrait() if request.image is None else read_picture(Path(request.image), "image")
        name = request.image or _OWN_PORTRAIT
        portrait = self._study(picture, name)
        refuse_profile(portrait.points, (self._face or _load_face()).mean, name)
        return portrait

    def _study(self, picture: Picture, name: str) -> _Portrait:
        """Find the face of a portrait; what is known of the picture before is remembered: often it is the same."""
        from pipeline.reference.portrait import find_face

        if self._portrait is None or not np.array_equal(self._portrait.picture, picture):
            self._portrait = _Portrait(picture, find_face(picture, name))
        return self._portrait

    def _frame(self, request: GenerationRequest, portrait: _Portrait) -> Framed:
        from pipeline.reference.portrait import frame_portrait

        mean = (self._face or _load_face()).mean
        return frame_portrait(
            portrait.picture, portrait.points, mean, request.width, request.height, cutout=portrait.cutout
        )


@dataclass(frozen=True, eq=False)
class _Portrait:
    """A portrait, and what does not depend on the request: its face points, and the person cut out when first asked for."""

    picture: Picture
    points: FloatArray

    @cached_property
    def cutout(self) -> Cutout:
        from pipeline.reference.portrait import cut_out_person

        return cut_out_person(self.picture, self.points)


@contextmanager
def _translating_failures() -> Iterator[None]:
    """Raise lack of memory, and what the encoder or the disk refuses, as failures of the generation."""
    import av
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise GenerationError(f"there is not enough memory: {error}", "out_of_memory") from error
    except (av.error.FFmpegError, OSError) as error:
        raise GenerationError(f"the video could not be written: {error}", "crashed") from error


def _choose_scene(request: GenerationRequest, framed: Framed) -> Picture | None:
    """Draw the scene the prompt asks for, with the brand mark if it asks for that; ``None`` for neither."""
    from pipeline.reference.background import background_plate

    name = read_scene(request.prompt)
    scene = None if name is None else draw_scene(name, request.width, request.height)
    if request.brand_mark is None or not wants_brand(request.prompt):
        return scene
    if scene is None:
        scene = background_plate(framed.picture, framed.matte)
    return place_mark(scene, Path(request.brand_mark), framed.matte)


@cache
def _versions() -> dict[str, str]:
    """Return what a video depends on; long files are read for it."""
    packages = {name: version_of(name) for name in ("torch", "mediapipe", "av", "numpy")}
    return {"python": platform.python_version(), **packages}


def _own_portrait() -> Picture:
    import skimage

    from pipeline.faces import read_picture

    return read_picture(Path(skimage.__file__).parent / "data" / "astronaut.png", "image")


def _load_face() -> FaceModel:
    with np.load(WEIGHTS / "face.npz") as data:
        return FaceModel(*(data[name].astype(np.float64) for name in ("mean", "mouth", "brow")))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
