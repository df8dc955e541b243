"""SadTalker as a generator: ``inference.py`` of https://github.com/OpenTalker/SadTalker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.diagnosis import Diagnosis, warning
from pipeline.errors import RequestError
from pipeline.estimates import MIB_PER_GIB, ResourceEstimate, estimate_memory
from pipeline.options import PlainData
from pipeline.python_checks import CV2, IMAGEIO_FFMPEG, LIBROSA, Module, Text
from pipeline.weights_checks import check_fetched_weights, check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.request import GenerationRequest


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


_OLD_NUMPY = "numpy 1.24 has no np.float: `module 'numpy' has no attribute 'float'`"
_MODULES = (
    Module("torch"),
    Module("torchvision"),
    Module(
        "torchvision",
        "<0.17",
        "basicsr imports torchvision.transforms.functional_tensor, which 0.17 no longer has",
        Text("data/degradations.py", "from torchvision.transforms.functional_tensor import", "basicsr"),
    ),
    CV2,
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
    kind = SadTalkerSettings
    options = SadTalkerOptions
    flags: ClassVar[dict[str, str]] = {"size_of_image": "--size"}
    summary = "runs inference.py of SadTalker"
    home = "https://github.com/OpenTalker/SadTalker"
    modules = _MODULES
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
            "copies": {"image": "face", "audio": "speech"},
            "saved_path": r"^The generated video is named: (?P<path>.+)$",
            "events": {"loaded": r"^3DMM Extraction for source image"},
        }

    def _weights(self) -> dict[str, Path]:
        return {"checkpoints": self._in_repository(self._own.checkpoints)}

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
            found = self._look_at_fetched(name, url, least_mib)
            only = f"for the option enhancer gfpgan alone: {found.found}"
            yield found if found.level == "fine" else warning(name, only, found.cure)

    def _look_at_fetched(self, name: str, url: str, least_mib: float) -> Diagnosis:
        place = self._in_repository("gfpgan/weights") / name
        return check_fetched_weights(
            name, [place], url, least_mib=least_mib, environment=self._own.environment
        )

    def _check(self, request: GenerationRequest) -> None:
        super()._check(request)
        folder = self._in_repository(self._own.checkpoints)
        size = request.options.get("size_of_image") or 256
        manner = str(request.options.get("preprocess") or "crop")
        needed = ["mapping_00109-model.pth.tar" if "full" in manner else "mapping_00229-model.pth.tar"]
        if any(folder.glob("*.safetensors")):
            needed.append(f"SadTalker_V0.0.2_{size}.safetensors")
        missing = [name for name in needed if not (folder / name).is_file()]
        if missing:
            raise RequestError(
                f"size_of_image {size} with preprocess {manner} needs {missing[0]}, which is not in {folder}"
            )
