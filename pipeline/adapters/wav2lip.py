"""Wav2Lip as a generator: ``inference.py`` of https://github.com/Rudrabha/Wav2Lip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from pipeline.adapters.command.portrait import as_it_is, is_video, measure_frame, refuse_faceless
from pipeline.adapters.preset import Preset, PresetSettings, literal
from pipeline.beliefs import Belief, Source
from pipeline.errors import RequestError
from pipeline.options import PlainData
from pipeline.python_checks import CV2, LIBROSA, TORCH, Module, Text
from pipeline.weights_checks import check_s3fd, check_weights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.adapters.command.portrait import Picture, View
    from pipeline.diagnosis import Diagnosis
    from pipeline.request import GenerationRequest

_CODE = "inference.py"
_RATE_HZ = 16000
_HOP = 200  # samples from one column of its spectrogram to the next
_COLUMNS_PER_S = 80.0
_N_COLUMNS = 16  # that each frame hears

SOURCE = Source(
    "Rudrabha/Wav2Lip",
    "5c90fa9",
    (
        Belief("take the weights by --checkpoint_path", _CODE, 13, "'--checkpoint_path'"),
        Belief("take the person by --face", _CODE, 16, "'--face'"),
        Belief("take the sound by --audio", _CODE, 18, "'--audio'"),
        Belief("write where --outfile says", _CODE, 20, "'--outfile'"),
        Belief("take any word after --static for true", _CODE, 23, "'--static', type=bool"),
        Belief("take --fps", _CODE, 25, "'--fps', type=float"),
        Belief("take four numbers after --pads", _CODE, 28, "'--pads', nargs='+'"),
        Belief("take --face_det_batch_size", _CODE, 31, "'--face_det_batch_size'"),
        Belief("take --wav2lip_batch_size", _CODE, 33, "'--wav2lip_batch_size'"),
        Belief("take --resize_factor", _CODE, 35, "'--resize_factor', default=1"),
        Belief("take top, bottom, left, right after --crop", _CODE, 38, "'--crop', nargs='+'"),
        Belief("take top, bottom, left, right after --box", _CODE, 42, "'--box', nargs='+'"),
        Belief("take --rotate as a switch", _CODE, 46, "'--rotate', default=False, action='store_true'"),
        Belief("take --nosmooth as a switch", _CODE, 50, "'--nosmooth', default=False, action='store_true'"),
        Belief(
            "tell pictures by what follows the first dot of the path", _CODE, 56, "args.face.split('.')[1]"
        ),
        Belief(
            "call any RuntimeError while looking for the face one of a picture that is too big",
            _CODE,
            79,
            "except RuntimeError:",
        ),
        Belief("stop at any frame without a face", _CODE, 92, "Face not detected!"),
        Belief("look for no face where a box is given", _CODE, 111, "if args.box[0] == -1:"),
        Belief("use a picture's frame alone for all", _CODE, 122, "idx = 0 if args.static"),
        Belief("read a picture as it is, uncut", _CODE, 186, "full_frames = [cv2.imread(args.face)]"),
        Belief("give a video the frame rate it has", _CODE, 191, "video_stream.get(cv2.CAP_PROP_FPS)"),
        Belief("reduce the frames of a video first", _CODE, 201, "args.resize_factor > 1"),
        Belief("turn them by a name that newer OpenCV lacks", _CODE, 205, "cv2.cv2.ROTATE_90_CLOCKWISE"),
        Belief("crop them last", _CODE, 211, "frame = frame[y1:y2, x1:x2]"),
        Belief("hear 80 columns a second", _CODE, 232, "mel_idx_multiplier = 80./fps"),
        Belief("end with the first frame that the sound is too short for", _CODE, 236, "> len(mel[0])"),
        Belief(
            "use no more frames of a video than the sound needs", _CODE, 244, "full_frames[:len(mel_chunks)]"
        ),
        Belief("say so when the model is loaded", _CODE, 253, '"Model loaded"'),
        Belief("keep its frames in temp of the working folder", _CODE, 256, "'temp/result.avi'"),
        Belief("write its frames by OpenCV, whose writer makes sides even", _CODE, 256, "cv2.VideoWriter("),
        Belief("not look whether ffmpeg did it", _CODE, 277, "subprocess.call(command"),
        Belief("hear 16 columns a frame", _CODE, 156, "mel_step_size = 16"),
        Belief("make a column every 200 samples", "hparams.py", 44, "hop_size=200"),
    ),
)

_Side = Annotated[int, Field(ge=0)]
_Edge = Annotated[int, Field(ge=-1)]


class Wav2LipSettings(PresetSettings):
    """As `PresetSettings`, with ``checkpoint``: the weights, relative to the checkout unless absolute."""

    checkpoint: str = Field(
        default="checkpoints/wav2lip_gan.pth", description="path of the weights, from the checkout"
    )


class Wav2LipOptions(PlainData):
    """Flags of Wav2Lip."""

    pads: list[int] | None = Field(
        default=None, min_length=4, max_length=4, description="four whole numbers: top, bottom, left, right"
    )
    wav2lip_batch_size: int | None = Field(default=None, ge=1, description="a whole number from 1")
    face_det_batch_size: int | None = Field(default=None, ge=1, description="a whole number from 1")
    nosmooth: bool | None = Field(default=None, description="true or false; videos only")
    static: bool | None = Field(
        default=None, description="true or false: only the first frame of a video; videos only"
    )
    resize_factor: int | None = Field(
        default=None, ge=1, description="a whole number from 1 that sides are divided by; videos only"
    )
    crop: list[_Edge] | None = Field(
        default=None,
        min_length=4,
        max_length=4,
        description="four whole numbers: top, bottom, left, right; -1 for an edge; videos only",
    )
    rotate: bool | None = Field(
        default=None,
        description="true or false: by 90 degrees clockwise; videos only, and an OpenCV that still has cv2.cv2",
    )
    box: list[_Side] | None = Field(
        default=None,
        min_length=4,
        max_length=4,
        description="four whole numbers from 0, where the face is: top, bottom, left, right",
    )


_VIDEOS_ONLY = ("nosmooth", "static", "resize_factor", "crop", "rotate")
_WITHOUT_BOX = ("pads", "face_det_batch_size", "nosmooth")


@dataclass(frozen=True, slots=True)
class _Cut:
    """What it does to each frame of a video before it looks for the face."""

    resize_factor: int
    rotate: bool
    crop: tuple[int, ...]

    def __call__(self, picture: Picture) -> Picture:
        import cv2

        frame: Any = picture
        if self.resize_factor > 1:
            sides = (frame.shape[1] // self.resize_factor, frame.shape[0] // self.resize_factor)
            frame = cv2.resize(frame, sides)
        if self.rotate:
            frame = cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE)
        top, bottom, left, right = self.crop
        right = frame.shape[1] if right == -1 else right
        bottom = frame.shape[0] if bottom == -1 else bottom
        cut: Picture = frame[top:bottom, left:right]
        return cut


class Wav2Lip(Preset):
    """Wav2Lip: the mouth of a portrait or of a video follows the sound; the picture keeps its size.

    OpenCV, which writes its frames, leaves out an odd last row or column.
    """

    name = "wav2lip"
    Settings = Wav2LipSettings
    options = Wav2LipOptions
    summary = "runs inference.py of Wav2Lip"
    source = SOURCE
    words: ClassVar[dict[str, tuple[str, ...]]] = {"static": ("--static", "True")}  # any word is true to it
    no_face = r"Face not detected!"
    home = "https://github.com/Rudrabha/Wav2Lip"
    modules = (
        *TORCH,
        *CV2,
        *LIBROSA,
        Module(
            "librosa",
            "<0.10",
            "its audio.py gives librosa.filters.mel its arguments without names, and that takes none since 0.10: "
            "`mel() takes 0 positional arguments`",
            Text("audio.py", "librosa.filters.mel(hp.sample_rate, hp.n_fft"),
        ),
        Module("numpy"),
        Module("scipy"),
        Module("tqdm"),
    )
    takes_videos = True
    _own: Wav2LipSettings

    def _command(self) -> dict[str, Any]:
        return {
            "argv": self._argv(
                literal(str(self._in_repository("inference.py"))),
                *("--checkpoint_path", literal(str(self._in_repository(self._own.checkpoint)))),
                *("--face", "{image}", "--audio", "{audio}", "--outfile", "result.mp4", "--fps", "{fps}"),
            ),
            "folder": "{work}",
            "copies": {"image": "face", "audio": "speech"},
            "files": {"temp/README": "the program keeps its frames here"},
            "output": "result.mp4",
            "events": {"model_loaded": r"^Model loaded"},
        }

    def _weights(self) -> dict[str, Path]:
        return {"checkpoint": self._in_repository(self._own.checkpoint)}

    def _look_at_weights(self) -> Iterable[Diagnosis]:
        for setting, path in self._weights().items():
            yield check_weights(setting, path, self._fetch(setting), least_mib=60)
        yield check_s3fd(self._in_repository("face_detection/detection/sfd/s3fd.pth"), self._own.environment)

    def _view(self, request: GenerationRequest) -> View:
        options = Wav2LipOptions.read(request.options, "option")
        if request.image is None or not is_video(request.image):
            return as_it_is
        return _Cut(options.resize_factor or 1, bool(options.rotate), tuple(options.crop or (0, -1, 0, -1)))

    def _look(self, request: GenerationRequest, sound_s: float | None) -> None:
        if sound_s is not None and round(sound_s * _RATE_HZ) // _HOP + 1 < _N_COLUMNS:
            raise RequestError(f"the sound lasts {sound_s:.2f} s, and Wav2Lip needs 0.19 s at least")
        options = Wav2LipOptions.read(request.options, "option")
        if options.box is None and request.image is not None:
            refuse_faceless(request.image, self._view(request), 0.0 if options.static else sound_s)

    def _count_frames(self, request: GenerationRequest, sound_s: float) -> int:
        n_columns = round(sound_s * _RATE_HZ) // _HOP + 1
        step = _COLUMNS_PER_S / self._fps(request)
        index = 0
        while int(index * step) + _N_COLUMNS <= n_columns:
            index += 1
        return index + 1

    def _check(self, request: GenerationRequest) -> None:
        super()._check(request)
        options = Wav2LipOptions.read(request.options, "option")
        given = _given(options)
        video = request.image is not None and is_video(request.image)
        for name in _VIDEOS_ONLY:
            if name in given and not video:
                raise RequestError(f"option {name} has no effect on a picture, only on videos")
        for name in _WITHOUT_BOX:
            if name in given and "box" in given:
                raise RequestError(
                    f"option {name} has no effect where box says where the face is: leave one of them out"
                )
        if options.crop is not None and -1 in options.crop[::2]:
            raise RequestError(f"option crop is {options.crop}: top and left are counted from 0")
        if options.box is not None and request.image is not None:
            top, bottom, left, right = options.box
            width, height = measure_frame(request.image, self._view(request))
            if not (top < bottom <= height and left < right <= width):
                raise RequestError(
                    f"option box is {options.box}: top, bottom, left, right must enclose something of a picture of "
                    f"{width}*{height}"
                )


def _given(options: Wav2LipOptions) -> set[str]:
    """Return the options that are given and not false."""
    return {name for name, value in options if value is not None and value is not False}
