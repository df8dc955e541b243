"""Runs one of Linly-Talker's own services with nothing replaced but its networks, their weights and what only they need.

``linly_talker_service.py NAME PORT`` in a folder that holds what its checkout holds; NAME is talker, tts or llm. Run by
the Python that has its libraries, so nothing of ours is imported.
"""

import collections
import importlib
import os
import sys
import types

import numpy as np
import torch

sys.path.insert(0, os.getcwd())  # as `python api/…` in their folder, which appends "./"


def stand_in(name, **members):
    """Put a module where one would be that is not installed, or that holds a network."""
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], last, module)


class Net(torch.nn.Module):
    """A network that has no weights and does nothing."""

    def __init__(self, *_sizes, **_more):
        super().__init__()

    def load_state_dict(self, *_weights, **_more):
        return None


def shows_face(image):
    """Tell a picture from one of a single colour, which shows nobody."""
    return float(np.asarray(image, dtype=np.float32).std()) > 5


def middle_of(image):
    height, width = np.asarray(image).shape[:2]
    return [width * 0.2, height * 0.2, width * 0.8, height * 0.8]


class RetinaFace:
    def detect_faces(self, image, _threshold):
        return np.array([[*middle_of(image), 0.99]] if shows_face(image) else []).reshape(-1, 5)


class Fan(Net):
    def get_landmarks(self, image):
        height, width = image.shape[:2]
        turn = np.linspace(0, 2 * np.pi, 68)
        points = np.stack([0.5 + 0.3 * np.cos(turn), 0.5 + 0.3 * np.sin(turn)], 1)
        points[36:42], points[42:48] = [0.35, 0.4], [0.65, 0.4]
        points[48:54], points[54:68] = [0.4, 0.7], [0.6, 0.7]
        return (points + np.random.default_rng(0).uniform(-0.01, 0.01, points.shape)) * [width, height]


class Reconstruction(Net):
    def forward(self, _image):
        return torch.zeros(1, 257)


class Pose(Net):
    def test(self, batch):
        turn = torch.arange(int(batch["num_frames"])).float()[None, :, None] * 0.05
        return {"pose_pred": turn.repeat(1, 1, 6) * (1 + batch["class"].item())}


class Expression(Net):
    """The blinks and the loudness of each frame, as they are handed over."""

    def test(self, batch):
        loudness = batch["indiv_mels"].mean((2, 3, 4))[..., None]
        return {"exp_coeff_pred": 0.1 * loudness.repeat(1, 1, 64) + batch["ratio_gt"]}


def render(source, _semantics, target, *_networks, **_more):
    """Return the picture, darker or lighter by what it is driven with."""
    moved = target[..., 13].mean(-1)[..., None, None, None]
    return (0.5 * source[:, None] + 0.05 * moved).clamp(0, 1)


class Lips(Net):
    def forward(self, mel, faces, **_more):
        return (0.5 * faces[:, 3:] + 0.1 * mel.mean((1, 2, 3))[:, None, None, None].abs()).clamp(0, 1)

    def audio_forward(self, mel, **_more):
        return mel.mean((1, 2, 3))[:, None, None, None].abs()

    def inference(self, loudness, faces):
        return (0.5 * faces[:, 3:] + 0.1 * loudness).clamp(0, 1)


class Detector:
    """Of face_detection, for Wav2Lip."""

    def __init__(self, *_kind, **_more):
        pass

    def get_detections_for_batch(self, images):
        return [tuple(map(int, middle_of(image))) if shows_face(image) else None for image in images]


def yolo(_weights):
    """Find faces for Wav2Lipv2."""

    def detect(image, **_more):
        boxes = torch.tensor([middle_of(image)] if shows_face(image) else []).reshape(-1, 4)
        return [types.SimpleNamespace(boxes=types.SimpleNamespace(xyxy=boxes))]

    return detect


class Points(Net):
    """Landmarks for Wav2Lipv2."""

    def forward(self, picture, **_more):
        place = np.full((98, 2), 0.5)
        place[60:68], place[68:76], place[54] = [0.4, 0.4], [0.6, 0.4], [0.5, 0.5]
        place[[76, 88]], place[[82, 92]] = [0.42, 0.65], [0.58, 0.65]
        return torch.tensor(place * picture.size)[None]


def replace_networks_of_the_talker():
    stand_in("facexlib")
    stand_in("facexlib.alignment", landmark_98_to_68=lambda points: points)
    stand_in("facexlib.alignment.awing_arch", FAN=Fan)
    stand_in("facexlib.detection", init_detection_model=lambda *_, **__: RetinaFace())
    stand_in("facexlib.utils", load_file_from_url=lambda **_: "weights")
    stand_in("ultralytics", YOLO=yolo)
    torch.load = lambda *_, **__: collections.defaultdict(dict)
    import safetensors.torch

    safetensors.torch.load_file = lambda *_, **__: {}
    import face_detection
    import src.facerender.animate
    import src.models
    import src.modelsv2
    import src.test_audio2coeff
    import src.torchalign
    from PIL import Image
    from src.face3d.models import networks
    from src.face3d.util import preprocess

    Image.ANTIALIAS = Image.LANCZOS  # of the Pillow that they ask for
    position = preprocess.POS

    def position_in_numbers(*points):
        """Let arrays of one number be numbers, as in the numpy that they ask for."""
        shift, scale = position(*points)
        return [one.item() for one in shift], scale

    preprocess.POS = position_in_numbers
    networks.define_net_recon = lambda **_: Reconstruction()
    for name in ("OcclusionAwareSPADEGenerator", "KPDetector", "HEEstimator", "MappingNet"):
        setattr(src.facerender.animate, name, Net)
    src.facerender.animate.make_animation = render
    src.test_audio2coeff.Audio2Pose = Pose
    src.test_audio2coeff.Audio2Exp = Expression
    src.test_audio2coeff.SimpleWrapperV2 = Net
    src.models.Wav2Lip = src.modelsv2.Wav2Lip = Lips
    src.torchalign.FacialLandmarkDetector = Points
    face_detection.FaceAlignment = Detector


def replace_networks_of_the_speaker():
    """EdgeTTS is online: its package checks what it is given, as version 7 does, and its voices are those it lists."""
    import requests

    voices = types.SimpleNamespace(text='[{"ShortName": "en-US-AriaNeural"}]')
    requests.get = lambda *_, **__: voices

    def communicate(_text, _voice, *, rate, volume, pitch):
        import re

        for name, value, unit in (("rate", rate, "%"), ("volume", volume, "%"), ("pitch", pitch, "Hz")):
            if re.match(rf"^[+-]\d+{unit}$", value) is None:
                raise ValueError(f"Invalid {name} '{value}'.")
        raise OSError("there is no network")

    stand_in("edge_tts", Communicate=communicate, SubMaker=None)
    stand_in("paddlespeech")
    stand_in("paddlespeech.cli")
    stand_in("paddlespeech.cli.tts")
    stand_in("paddlespeech.cli.tts.infer", TTSExecutor=Executor)
    stand_in("VITS.GPT_SoVITS", GPT_SoVITS=SoVits)
    stand_in("cosyvoice")
    stand_in("cosyvoice.cli")
    stand_in("cosyvoice.cli.cosyvoice", CosyVoice=CosyVoice)
    stand_in("cosyvoice.utils")
    stand_in("cosyvoice.utils.file_utils", load_wav=load_wav, speed_change=None)
    stand_in("torchaudio", save=lambda path, sound, rate: write_sound(path, sound[0].numpy(), rate))


class Executor:
    def __call__(self, *, text, output, **_more):
        write_sound(output, tone(len(text)), 24000)
        return output


class SoVits:
    """Its networks are all that it is; what the service hands it is what is looked at."""

    def load_model(self, *_paths):
        pass

    def predict(self, ref_wav_path, prompt_text, save_path, **_more):
        import soundfile

        sound, rate = soundfile.read(ref_wav_path)
        assert 3 <= len(sound) / rate <= 10
        assert prompt_text
        write_sound(save_path, sound, rate)
        return save_path


class CosyVoice:
    def __init__(self, path):
        self.path = path

    def list_avaliable_spks(self):
        return (
            ["中文女", "中文男", "日语男", "粤语女", "英文女", "英文男", "韩语女"]
            if "SFT" in self.path
            else []
        )

    def inference_sft(self, text, _speaker):
        return {"tts_speech": torch.tensor(tone(len(text)))[None]}

    def inference_zero_shot(self, text, _prompt, _speech):
        return {"tts_speech": torch.tensor(tone(len(text)))[None]}

    def inference_cross_lingual(self, text, _speech):
        return {"tts_speech": torch.tensor(tone(len(text)))[None]}


def load_wav(path, rate):
    """Read a recording as CosyVoice does, which takes none of a lower rate."""
    import soundfile

    sound, own = soundfile.read(path, dtype="float32")
    assert own >= rate, f"wav sample rate {own} must be greater than {rate}"
    return torch.tensor(sound)[None]


def tone(n_letters):
    """Return a tone that is the longer the more there is to say, at 24 kHz."""
    moments = np.arange(int(24000 * (0.6 + 0.05 * n_letters))) / 24000
    return (0.3 * np.sin(2 * np.pi * 200 * moments)).astype("float32")


def write_sound(path, samples, rate):
    import soundfile

    soundfile.write(path, samples, rate, format="WAV")


class Tokenizer:
    """Keeps the words in place of their numbers."""

    def apply_chat_template(self, messages, **_more):
        return messages[-1]["content"]

    def __call__(self, texts, **_more):
        self.text = texts[0]
        return types.SimpleNamespace(
            to=lambda _: types.SimpleNamespace(input_ids=torch.zeros(1, 1, dtype=torch.long))
        )

    def batch_decode(self, _numbers, **_more):
        return [f"You asked: {self.text}"]


class LanguageModel(Net):
    def generate(self, _numbers, **_more):
        return torch.zeros(1, 3, dtype=torch.long)


class Client:
    """Of g4f: tells what it was told."""

    def __init__(self):
        self.chat = types.SimpleNamespace(completions=types.SimpleNamespace(create=self._create))

    def _create(self, messages, **_more):
        message = types.SimpleNamespace(content=" | ".join(one["content"] for one in messages))
        return types.SimpleNamespace(choices=[types.SimpleNamespace(message=message)])


def replace_networks_of_the_language_model():
    import transformers

    for kind, thing in (("AutoModelForCausalLM", LanguageModel), ("AutoTokenizer", Tokenizer)):
        made = types.SimpleNamespace(from_pretrained=lambda *_, thing=thing, **__: thing())
        setattr(transformers, kind, made)
    stand_in("g4f")
    stand_in("g4f.client", Client=Client)
    stand_in("google.generativeai", configure=lambda **_: None, GenerativeModel=lambda _: None)
    if "google" not in sys.modules:
        stand_in("google", generativeai=sys.modules["google.generativeai"])


REPLACE = {
    "talker": replace_networks_of_the_talker,
    "tts": replace_networks_of_the_speaker,
    "llm": replace_networks_of_the_language_model,
}


if __name__ == "__main__":
    name, port = sys.argv[1], int(sys.argv[2])
    REPLACE[name]()
    import uvicorn

    uvicorn.run(importlib.import_module(f"api.{name}_api").app, host="127.0.0.1", port=port)
