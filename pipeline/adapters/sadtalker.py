"""SadTalker as a generator: ``inference.py`` of https://github.com/OpenTalker/SadTalker."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from pipeline.adapters.command.portrait import is_video, refuse_faceless
from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.beliefs import Belief, Source
from pipeline.diagnosis import Diagnosis, only_for
from pipeline.diagnosis_checks import check_writable
from pipeline.errors import RequestError
from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData
from pipeline.python_checks import CV2, IMAGEIO_FFMPEG, LIBROSA, TORCH, Module, Text
from pipeline.weights_checks import check_fetched_weights, check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.request import GenerationRequest


_CODE = "inference.py"
_FPS = 25
_RATE_HZ = 16000

SOURCE = Source(
    "OpenTalker/SadTalker",
    "cd4c046",
    (
        Belief("name its folder and video by the second", _CODE, 20, "strftime("),
        Belief("find its configuration beside the script", _CODE, 31, "os.path.split(sys.argv[0])[0]"),
        Belief("say so when its models are loaded", _CODE, 45, "3DMM Extraction for source image"),
        Belief("end well without a face", _CODE, 49, "Can't get the coeffs of the input"),
        Belief("say where it put the video", _CODE, 91, "The generated video is named:"),
        Belief("take the sound by --driven_audio", _CODE, 100, '"--driven_audio"'),
        Belief("take the person by --source_image", _CODE, 101, '"--source_image"'),
        Belief("take a video of blinks by --ref_eyeblink", _CODE, 102, '"--ref_eyeblink"'),
        Belief("take a video of poses by --ref_pose", _CODE, 103, '"--ref_pose"'),
        Belief("take the weights by --checkpoint_dir", _CODE, 104, '"--checkpoint_dir"'),
        Belief("take the place of the video by --result_dir", _CODE, 105, '"--result_dir"'),
        Belief("take --pose_style from 0 to 45", _CODE, 106, "[0, 46)"),
        Belief("take --batch_size", _CODE, 107, '"--batch_size", type=int'),
        Belief("take 256 or 512 by --size", _CODE, 108, '"--size", type=int, default=256'),
        Belief("take --expression_scale", _CODE, 109, '"--expression_scale", type=float'),
        Belief("take degrees after --input_yaw", _CODE, 110, "'--input_yaw', nargs='+', type=int"),
        Belief("take degrees after --input_pitch", _CODE, 111, "'--input_pitch', nargs='+', type=int"),
        Belief("take degrees after --input_roll", _CODE, 112, "'--input_roll', nargs='+', type=int"),
        Belief("take --enhancer", _CODE, 113, "[gfpgan, RestoreFormer]"),
        Belief("take --background_enhancer", _CODE, 114, "[realesrgan]"),
        Belief("take --still as a switch", _CODE, 117, '"--still", action="store_true"'),
        Belief(
            "take five manners by --preprocess",
            _CODE,
            118,
            "['crop', 'extcrop', 'resize', 'full', 'extfull']",
        ),
        Belief("use safetensors wherever there are any", "src/utils/init_path.py", 17, "'*.safetensors'"),
        Belief("name them by size", "src/utils/init_path.py", 20, "'SadTalker_V0.0.2_'+str(size)"),
        Belief(
            "need other weights in the manners full",
            "src/utils/init_path.py",
            41,
            "mapping_00109-model.pth.tar",
        ),
        Belief("than in the others", "src/utils/init_path.py", 44, "mapping_00229-model.pth.tar"),
        Belief("tell pictures by what follows the last dot", "src/utils/preprocess.py", 74, "split('.')[-1]"),
        Belief(
            "say so where nothing is left",
            "src/utils/preprocess.py",
            115,
            "No face is detected in the input file",
        ),
        Belief(
            "raise a text where it finds no face, which Python refuses",
            "src/utils/croper.py",
            131,
            "raise 'can not detect the landmark from source image'",
        ),
        Belief(
            "take the first of no faces in what it cropped",
            "src/face3d/extract_kp_videos_safe.py",
            75,
            "bboxes = bboxes[0]",
        ),
        Belief(
            "try for ever after any error of CUDA",
            "src/face3d/extract_kp_videos_safe.py",
            86,
            "startswith('CUDA')",
        ),
        Belief(
            "call it out of memory",
            "src/face3d/extract_kp_videos_safe.py",
            87,
            "Warning: out of memory, sleep for 1s",
        ),
        Belief("make whole frames only", "src/generate_batch.py", 20, "int(audio_length / bit_per_frames)"),
        Belief("blink in no sound of 20 frames or fewer", "src/generate_batch.py", 39, "num_frames<=20"),
        Belief(
            "choose from nothing for 21 frames", "src/generate_batch.py", 43, "min(int(num_frames/2), 70)"
        ),
        Belief(
            "smooth poses with a polynomial of degree 2", "src/test_audio2coeff.py", 91, "pose_len, 2, axis=1"
        ),
        Belief(
            "take all poses from the portrait where still",
            "src/generate_facerender_batch.py",
            50,
            "[:, 64:] = np.repeat",
        ),
        Belief(
            "divide by the difference of two degrees",
            "src/generate_facerender_batch.py",
            120,
            "/(degree-degree_last)",
        ),
        Belief("make 25 frames a second", "src/facerender/animate.py", 205, "fps=float(25)"),
        Belief("enhance the background with the face only", "src/facerender/animate.py", 236, "if enhancer:"),
        Belief("hand paths to a shell, between double quotes", "src/utils/videoio.py", 23, "os.system(cmd)"),
    ),
)

_DEGREES = "whole numbers of degrees, from one to the next over the video, no two neighbours alike"
_Degrees = Annotated[list[Annotated[int, Field(ge=-180, le=180)]], Field(min_length=1)]


class SadTalkerSettings(PresetSettings):
    """As `PresetSettings`, with ``checkpoints``: the folder of weights, relative to the checkout unless absolute."""

    checkpoints: str = Field(
        default="checkpoints", description="path of the folder of weights, from the checkout"
    )


class SadTalkerOptions(PlainData):
    """Flags of SadTalker."""

    size_of_image: Literal[256, 512] | None = Field(default=None, description="256 or 512")
    preprocess: Literal["crop", "extcrop", "resize", "full", "extfull"] | None = Field(
        default=None, description="crop, extcrop, resize, full or extfull"
    )
    still: bool | None = Field(default=None, description="true or false")
    enhancer: Literal["gfpgan", "RestoreFormer"] | None = Field(
        default=None, description="gfpgan or RestoreFormer"
    )
    background_enhancer: Literal["realesrgan"] | None = Field(default=None, description="realesrgan")
    expression_scale: float | None = Field(default=None, ge=0, description="a number from 0")
    pose_style: int | None = Field(default=None, ge=0, le=45, description="a whole number from 0 to 45")
    batch_size: int | None = Field(default=None, ge=1, description="a whole number from 1")
    ref_pose: str | None = Field(default=None, description="path of a video whose head poses are taken")
    ref_eyeblink: str | None = Field(default=None, description="path of a video whose blinks are taken")
    input_yaw: _Degrees | None = Field(default=None, description=_DEGREES)
    input_pitch: _Degrees | None = Field(default=None, description=_DEGREES)
    input_roll: _Degrees | None = Field(default=None, description=_DEGREES)


_NEEDS_MOTION = ("pose_style", "ref_pose")
_REFERENCES = ("ref_pose", "ref_eyeblink")
_TURNS = ("input_yaw", "input_pitch", "input_roll")


_OLD_NUMPY = "numpy 1.24 has no np.float: `module 'numpy' has no attribute 'float'`"
_MODULES = (
    *TORCH,
    Module("torchvision"),
    Module(
        "torchvision",
        "<0.17",
        "basicsr imports torchvision.transforms.functional_tensor, which 0.17 no longer has",
        Text("data/degradations.py", "from torchvision.transforms.functional_tensor import", "basicsr"),
    ),
    *CV2,
    Module("numpy"),
    Module("numpy", "<1.24", _OLD_NUMPY, Text("src/face3d/util/my_awing_arch.py", "astype(np.float,")),
    Module(
        "numpy",
        "<1.24",
        "align_img makes an array of numbers and arrays, which 1.24 refuses: `inhomogeneous shape`",
        Text("src/face3d/util/preprocess.py", "trans_params = np.array([w0, h0, s, t[0], t[1]])"),
    ),
    Module(
        "numpy",
        "<2",
        "numpy 2 has no np.VisibleDeprecationWarning",
        Text("src/face3d/util/preprocess.py", "np.VisibleDeprecationWarning"),
    ),
    Module("scipy"),
    Module("PIL", installed_as=("Pillow",)),
    Module(
        "PIL",
        "<10",
        "a face of more than 2048 pixels is shrunk with Image.ANTIALIAS, which Pillow 10 no longer has",
        Text("src/utils/croper.py", "Image.ANTIALIAS"),
        installed_as=("Pillow",),
        is_certain=False,
    ),
    Module("imageio"),
    IMAGEIO_FFMPEG,
    *LIBROSA,
    Module("kornia"),
    Module("facexlib"),
    Module("gfpgan"),
    Module("basicsr", why="gfpgan imports it"),
    Module("pydub"),
    Module(
        "audioop", why="pydub imports it, and Python 3.13 no longer has it", installed_as=("audioop-lts",)
    ),
    Module("safetensors"),
    Module("skimage", installed_as=("scikit-image",)),
    Module("tqdm"),
    Module("yacs"),
    Module("yaml", installed_as=("PyYAML",)),
)
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download"
_ALWAYS_FETCHED = {
    "alignment_WFLW_4HG.pth": (f"{_FACEXLIB}/v0.1.0/alignment_WFLW_4HG.pth", 90),
    "detection_Resnet50_Final.pth": (f"{_FACEXLIB}/v0.1.0/detection_Resnet50_Final.pth", 50),
}
"""What facexlib fetches into gfpgan/weights to find the face and its landmarks: from where, and its least size in MiB."""
_OLD_WEIGHTS = {
    "epoch_20.pth": 100,
    "auido2exp_00300-model.pth": 15,
    "auido2pose_00140-model.pth": 40,
    "facevid2vid_00189-model.pth.tar": 300,
}
"""What it opens where the folder has no safetensors, with the least size in MiB; its own spelling."""
_NEW_WEIGHTS = "SadTalker_V0.0.2_256.safetensors"
_NEW_LEAST_MIB = 300.0
_MAPPING = "mapping_00229-model.pth.tar"
_MAPPING_LEAST_MIB = 50.0
_WITH_ENHANCER = {
    "GFPGANv1.4.pth": ("https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth", 100),
    "parsing_parsenet.pth": (f"{_FACEXLIB}/v0.2.2/parsing_parsenet.pth", 20),
}
"""What it opens where the option enhancer is gfpgan."""


class SadTalker(Preset):
    """SadTalker: head motion and expression from sound, drawn at 25 frames a second whatever is asked."""

    name = "sadtalker"
    Settings = SadTalkerSettings
    options = SadTalkerOptions
    words: ClassVar[dict[str, tuple[str, ...]]] = {"size_of_image": ("--size", "{size_of_image}")}
    source = SOURCE
    no_face = (
        r"Can't get the coeffs of the input|No face is detected in the input file|"
        r"exceptions must derive from BaseException|index 0 is out of bounds for axis 0 with size 0"
    )
    summary = "runs inference.py of SadTalker"
    home = "https://github.com/OpenTalker/SadTalker"
    modules = _MODULES
    gives_paths_to_shell = True
    python_versions = ">=3.6"
    estimates = ResourceEstimate(
        memory=(
            estimate_memory(
                "run", ("all of it", 4 * MIB_PER_GIB, 6 * MIB_PER_GIB, "FAQ 2.3 of Linly-Talker")
            ),
        )
    )
    _own: SadTalkerSettings

    def _command(self) -> dict[str, Any]:
        return {
            "argv": self._argv(
                literal(str(self._in_repository("inference.py"))),
                *("--driven_audio", "{audio}", "--source_image", "{image}", "--result_dir", "{work}/results"),
                *("--checkpoint_dir", literal(str(self._in_repository(self._own.checkpoints)))),
            ),
            "folder": str(self._in_repository("")),
            "copies": {"image": "face", "audio": "speech", **{name: name for name in _REFERENCES}},
            "endless": {"out_of_memory": r"^Warning: out of memory, sleep for 1s"},
            "saved_path": r"^The generated video is named: (?P<path>.+)$",
            "events": {"loaded": r"^3DMM Extraction for source image"},
        }

    def _weights(self) -> dict[str, Path]:
        return {"checkpoints": self._in_repository(self._own.checkpoints)}

    def diagnose(self) -> list[Diagnosis]:
        """Look at the right to write into its checkout too: it writes beside its script (videoio.py, paste_pic.py)."""
        purpose = "it joins picture and sound there"
        return [*super().diagnose(), *check_writable(self._in_repository(""), purpose)]

    def _look_at_weights(self) -> Iterable[Diagnosis]:
        folder = self._in_repository(self._own.checkpoints)
        named = {_NEW_WEIGHTS: _NEW_LEAST_MIB} if any(folder.glob("*.safetensors")) else _OLD_WEIGHTS
        if not folder.is_dir():
            yield check_weights("checkpoints", folder, self._fetch("checkpoints"))
            named = {}
        else:
            named = {**named, _MAPPING: _MAPPING_LEAST_MIB}
        cure = f"run scripts/download_models.sh in {self._in_repository('')}"
        for name, least_mib in named.items():
            yield check_weights(name, folder / name, cure, least_mib=least_mib)
        for name, (url, least_mib) in _ALWAYS_FETCHED.items():
            yield self._look_at_fetched(name, url, least_mib)
        for name, (url, least_mib) in _WITH_ENHANCER.items():
            yield only_for("the option enhancer gfpgan", self._look_at_fetched(name, url, least_mib))

    def _look_at_fetched(self, name: str, url: str, least_mib: float) -> Diagnosis:
        place = self._in_repository("gfpgan/weights") / name
        return check_fetched_weights(
            name, [place], url, least_mib=least_mib, environment=self._own.environment
        )

    def _count_frames(self, request: GenerationRequest, sound_s: float) -> int:
        del request
        return round(sound_s * _RATE_HZ) // (_RATE_HZ // _FPS)

    def _look(self, request: GenerationRequest, sound_s: float | None) -> None:
        n_frames = None if sound_s is None else self._count_frames(request, sound_s)
        if n_frames is not None and (n_frames < 3 or n_frames == 21):
            raise RequestError(
                f"the sound lasts {sound_s:.2f} s, {n_frames} frames of SadTalker, which fails for fewer than 3 and for "
                "exactly 21: make it longer or shorter"
            )
        super()._look(request, sound_s)
        for name in _REFERENCES:
            path = request.options.get(name)
            if path is not None:
                refuse_faceless(str(path))

    def _check(self, request: GenerationRequest) -> None:
        super()._check(request)
        options = SadTalkerOptions.read(request.options, "option")
        for name in _NEEDS_MOTION:
            if options.still and getattr(options, name) is not None:
                raise RequestError(
                    f"option {name} has no effect with still, which takes every pose from the portrait"
                )
        if options.background_enhancer is not None and options.enhancer is None:
            raise RequestError("option background_enhancer has no effect without enhancer")
        for name in _REFERENCES:
            path = getattr(options, name)
            if path is not None and not is_video(path):
                raise RequestError(f"option {name} is {path!r}: SadTalker takes a video for it, as .mp4")
        for name in _TURNS:
            degrees = getattr(options, name) or []
            if any(one == other for one, other in pairwise(degrees)):
                raise RequestError(
                    f"option {name} is {degrees}: SadTalker divides by the difference of two neighbours, so they must differ"
                )
        self._check_weights(options)

    def _check_weights(self, options: SadTalkerOptions) -> None:
        """Refuse a size or a manner for which there are no weights."""
        folder = self._in_repository(self._own.checkpoints)
        size, manner = options.size_of_image or 256, options.preprocess or "crop"
        needed = ["mapping_00109-model.pth.tar" if "full" in manner else "mapping_00229-model.pth.tar"]
        if any(folder.glob("*.safetensors")):
            needed.append(f"SadTalker_V0.0.2_{size}.safetensors")
        missing = [name for name in needed if not (folder / name).is_file()]
        if missing:
            raise RequestError(
                f"size_of_image {size} with preprocess {manner} needs {missing[0]}, which is not in {folder}"
            )
