"""``diagnose`` on machines that lack one thing each, and on ones that lack nothing: named, and nothing invented."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.musetalk.generator import MuseTalk
from pipeline.adapters.preset import Preset
from pipeline.adapters.sadtalker import SadTalker
from pipeline.adapters.wav2lip import Wav2Lip
from pipeline.diagnosis import Diagnosis
from tests.pipeline.adapters.set_ups import FakePython, write_ffmpeg, write_weights

# As each README has it: libraries with versions, and weights with their sizes in MiB.
LIBRARIES: dict[str, dict[str, str]] = {
    "wav2lip": {
        "torch": "1.13.1",
        "cv2": "4.7.0.72",
        "librosa": "0.9.2",
        "pkg_resources": "68.0",
        "numpy": "1.23.5",
        "scipy": "1.10.1",
        "tqdm": "4.66",
    },
    "sadtalker": {
        "torch": "1.12.1+cu113",
        "torchvision": "0.13.1+cu113",
        "cv2": "4.7.0.72",
        "numpy": "1.23.4",
        "scipy": "1.10.1",
        "PIL": "9.5.0",
        "imageio": "2.19.3",
        "imageio_ffmpeg": "0.4.7",
        "librosa": "0.9.2",
        "pkg_resources": "68.0",
        "kornia": "0.6.8",
        "facexlib": "0.3.0",
        "gfpgan": "1.3.8",
        "basicsr": "1.4.2",
        "pydub": "0.25.1",
        "safetensors": "0.3.1",
        "skimage": "0.19.3",
        "tqdm": "4.66",
        "yacs": "0.1.8",
        "yaml": "6.0",
    },
    "musetalk": {
        "torch": "2.0.1",
        "torchvision": "0.15.2",
        "cv2": "4.9.0.80",
        "diffusers": "0.30.2",
        "einops": "0.8.1",
        "librosa": "0.11.0",
        "mmpose": "1.1.0",
        "mmengine": "0.10.4",
        "mmcv": "2.0.1",
        "mmdet": "3.1.0",
        "numpy": "1.23.5",
        "omegaconf": "2.3.0",
        "scipy": "1.10.1",
        "PIL": "10.4.0",
        "tqdm": "4.66",
        "transformers": "4.39.2",
    },
}
WEIGHTS: dict[str, dict[str, float]] = {
    "wav2lip": {"checkpoints/wav2lip_gan.pth": 416, "face_detection/detection/sfd/s3fd.pth": 86},
    "sadtalker": {
        "checkpoints/SadTalker_V0.0.2_256.safetensors": 691,
        "checkpoints/SadTalker_V0.0.2_512.safetensors": 691,
        "checkpoints/mapping_00109-model.pth.tar": 149,
        "checkpoints/mapping_00229-model.pth.tar": 148,
        "gfpgan/weights/alignment_WFLW_4HG.pth": 185,
        "gfpgan/weights/detection_Resnet50_Final.pth": 104,
        "gfpgan/weights/GFPGANv1.4.pth": 332,
        "gfpgan/weights/parsing_parsenet.pth": 81,
    },
    "musetalk": {
        "models/musetalkV15/unet.pth": 3243,
        "models/whisper/pytorch_model.bin": 144,
        "models/sd-vae/diffusion_pytorch_model.bin": 319,
        "models/dwpose/dw-ll_ucoco_384.pth": 388,
        "models/face-parse-bisent/79999_iter.pth": 51,
        "models/face-parse-bisent/resnet18-5c106cde.pth": 44,
        "musetalk/utils/face_detection/detection/sfd/s3fd.pth": 86,
    },
}
CONFIGURATIONS = {
    "musetalk": [
        "models/musetalkV15/musetalk.json",
        "models/whisper/config.json",
        "models/whisper/preprocessor_config.json",
        "models/sd-vae/config.json",
    ],
}
KINDS: dict[str, type[Preset]] = {"wav2lip": Wav2Lip, "sadtalker": SadTalker, "musetalk": MuseTalk}


@dataclass
class SetUp:
    """One machine with one of the programs on it."""

    name: str
    checkout: Path
    python: FakePython
    programs: Path

    def install(self, **versions: str) -> None:
        """Put libraries in."""
        self.python.install(**versions)

    def remove(self, path: str) -> None:
        """Take a file or folder of the checkout away."""
        place = self.checkout / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    def shorten(self, path: str) -> None:
        """Leave 26 bytes of a file."""
        (self.checkout / path).write_bytes(b"abcdefghijklmnopqrstuvwxyz")

    def diagnose(self) -> list[Diagnosis]:
        """Ask the driver."""
        driver = KINDS[self.name](
            repository=str(self.checkout),
            python=str(self.python.program),
            environment={"PATH": f"{self.programs}{os.pathsep}/usr/bin{os.pathsep}/bin"},
        )
        return driver.diagnose()


def write_checkout(checkout: Path, kind: type[Preset]) -> None:
    """Write files that say what is relied on, and what needs rest on, and nothing else."""
    said = [(belief.file, belief.text) for belief in kind.source.beliefs]
    said += [(it.where.file, it.where.text) for it in kind.modules if it.where and not it.where.module]
    for file, text in [(kind.script, "# a program"), *said]:
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        with (checkout / file).open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], SetUp]:
    """Give a function that sets a program up as its README says, on a machine without network."""

    def refuse(*_: object, **__: object) -> socket.socket:
        raise OSError("no route to host")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("TORCH_HOME", "XDG_CACHE_HOME", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)

    def build(name: str) -> SetUp:
        checkout = tmp_path / "checkout"
        write_checkout(checkout, KINDS[name])
        for path, size_mib in WEIGHTS[name].items():
            write_weights(checkout / path, size_mib)
        for path in CONFIGURATIONS.get(name, []):
            (checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (checkout / path).write_text("{}")
        python = FakePython(tmp_path / "python")
        python.install(**LIBRARIES[name])
        return SetUp(name, checkout, python, write_ffmpeg(tmp_path / "bin", "aac", "libx264"))

    return build


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_invented_on_a_good_one(name: str, good: Callable[[str], SetUp]) -> None:
    wrong = [finding for finding in good(name).diagnose() if finding.level != "fine"]
    assert wrong == []


Break = Callable[[SetUp], Any]
BROKEN: list[tuple[str, str, str, str, Break]] = [
    # program, what is done to it, what the finding is about, words of it, and how
    ("wav2lip", "a new librosa", "librosa", "mel() takes 0", lambda it: it.install(librosa="0.11.0")),
    ("wav2lip", "tiny weights", "checkpoint", "at the least", lambda it: it.shorten("checkpoints/wav2lip_gan.pth")),
    ("wav2lip", "no face finder", "s3fd.pth", "does not answer", lambda it: it.remove("face_detection/detection/sfd/s3fd.pth")),
    ("wav2lip", "a tiny face finder", "s3fd.pth", "at the least", lambda it: it.shorten("face_detection/detection/sfd/s3fd.pth")),
    ("wav2lip", "a new setuptools", "Python", "no pkg_resources", lambda it: it.python.remove("pkg_resources")),
    ("wav2lip", "an old librosa with a new numpy", "numpy", "np.complex", lambda it: it.install(librosa="0.8.1", numpy="1.26.4")),
    ("wav2lip", "another program's checkout", "repository", "no inference.py", lambda it: it.remove("inference.py")),
    ("sadtalker", "a new numpy", "numpy", "np.float", lambda it: it.install(numpy="1.24.0")),
    ("sadtalker", "a newer numpy", "numpy", "VisibleDeprecationWarning", lambda it: it.install(numpy="2.1.0")),
    ("sadtalker", "a new torchvision", "torchvision", "functional_tensor", lambda it: it.install(torchvision="0.17.0+cu121")),
    ("sadtalker", "no gfpgan", "Python", "no gfpgan", lambda it: it.python.remove("gfpgan")),
    ("sadtalker", "no facexlib", "Python", "no facexlib", lambda it: it.python.remove("facexlib")),
    ("sadtalker", "no kornia", "Python", "no kornia", lambda it: it.python.remove("kornia")),
    ("sadtalker", "no yacs", "Python", "no yacs", lambda it: it.python.remove("yacs")),
    ("sadtalker", "nothing to write frames with", "Python", "no imageio_ffmpeg", lambda it: it.python.remove("imageio_ffmpeg")),
    ("sadtalker", "no landmarks", "alignment_WFLW_4HG.pth", "does not answer", lambda it: it.remove("gfpgan/weights/alignment_WFLW_4HG.pth")),
    ("sadtalker", "a tiny face finder", "detection_Resnet50_Final.pth", "at the least", lambda it: it.shorten("gfpgan/weights/detection_Resnet50_Final.pth")),
    ("sadtalker", "tiny weights", "SadTalker_V0.0.2_256.safetensors", "at the least", lambda it: it.shorten("checkpoints/SadTalker_V0.0.2_256.safetensors")),
    ("sadtalker", "no mapping", "mapping_00229-model.pth.tar", "not there", lambda it: it.remove("checkpoints/mapping_00229-model.pth.tar")),
    ("sadtalker", "an ffmpeg without AAC", "ffmpeg", "without the encoder aac", lambda it: write_ffmpeg(it.programs, "libx264")),
    ("musetalk", "a new torch", "torch", "resnet18", lambda it: it.install(torch="2.6.0")),
    ("musetalk", "a new transformers", "transformers", "pytorch_model.bin", lambda it: it.install(transformers="4.55.0")),
    ("musetalk", "a new mmcv", "mmcv", "mmpose 1.1 takes no other", lambda it: it.install(mmcv="2.2.0")),
    ("musetalk", "no mmdet", "Python", "no mmdet", lambda it: it.python.remove("mmdet")),
    ("musetalk", "no einops", "Python", "no einops", lambda it: it.python.remove("einops")),
    ("musetalk", "no VAE", "sd-vae", "not there", lambda it: it.remove("models/sd-vae")),
    ("musetalk", "no pose weights", "dw-ll_ucoco_384.pth", "not there", lambda it: it.remove("models/dwpose")),
    ("musetalk", "no parsing weights", "79999_iter.pth", "not there", lambda it: it.remove("models/face-parse-bisent/79999_iter.pth")),
    ("musetalk", "a tiny backbone", "resnet18-5c106cde.pth", "at the least", lambda it: it.shorten("models/face-parse-bisent/resnet18-5c106cde.pth")),
    ("musetalk", "Whisper without weights", "whisper_dir", "neither", lambda it: it.remove("models/whisper/pytorch_model.bin")),
    ("musetalk", "a configuration that is none", "unet_config", "no JSON", lambda it: it.shorten("models/musetalkV15/musetalk.json")),
    ("musetalk", "a page for a configuration", "whisper_dir", "no JSON", lambda it: it.shorten("models/whisper/preprocessor_config.json")),
    ("musetalk", "an ffmpeg without H.264", "ffmpeg", "without the encoder libx264", lambda it: write_ffmpeg(it.programs, "aac")),
    ("musetalk", "no ffmpeg", "ffmpeg", "not on the path", lambda it: (it.programs / "ffmpeg").unlink()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "what", "about", "words", "ruin"), BROKEN, ids=[f"{row[0]}: {row[1]}" for row in BROKEN]
)
def test_what_is_broken_is_named_and_nothing_else(
    name: str, what: str, about: str, words: str, ruin: Break, good: Callable[[str], SetUp]
) -> None:
    if what == "no ffmpeg" and shutil.which("ffmpeg", path="/usr/bin:/bin"):
        pytest.skip("this machine has an ffmpeg where every program looks")
    it = good(name)
    ruin(it)
    stops = {finding.about: finding for finding in it.diagnose() if finding.level == "stop"}
    assert set(stops) == {about}
    assert words in stops[about].found
    assert stops[about].cure


def test_several_at_once_are_all_named(good: Callable[[str], SetUp]) -> None:
    it = good("sadtalker")
    it.python.remove("yacs")
    it.install(numpy="1.26.4", torchvision="0.20.0")
    it.shorten("checkpoints/mapping_00229-model.pth.tar")
    stops = {finding.about for finding in it.diagnose() if finding.level == "stop"}
    assert stops == {"Python", "numpy", "torchvision", "mapping_00229-model.pth.tar"}


def test_a_mended_checkout_is_fine_with_new_libraries(good: Callable[[str], SetUp]) -> None:
    """Forks and patched environments exist: a version alone condemns nothing whose source was looked at."""
    it = good("wav2lip")
    it.install(librosa="0.11.0")
    (it.checkout / "audio.py").write_text("librosa.filters.mel(sr=hp.sample_rate, n_fft=hp.n_fft)\n")
    assert {finding.level for finding in it.diagnose()} == {"fine"}


def test_old_weights_of_sadtalker_are_others(good: Callable[[str], SetUp]) -> None:
    it = good("sadtalker")
    for size in (256, 512):
        it.remove(f"checkpoints/SadTalker_V0.0.2_{size}.safetensors")
    old = {
        "auido2exp_00300-model.pth",
        "auido2pose_00140-model.pth",
        "epoch_20.pth",
        "facevid2vid_00189-model.pth.tar",
    }
    assert {finding.about for finding in it.diagnose() if finding.level == "stop"} == old
    for name in old:
        write_weights(it.checkout / "checkpoints" / name, 400)
    assert {finding.level for finding in it.diagnose()} == {"fine"}


def test_what_an_option_alone_needs_is_a_warning(good: Callable[[str], SetUp]) -> None:
    it = good("sadtalker")
    it.remove("gfpgan/weights/GFPGANv1.4.pth")
    (found,) = [finding for finding in it.diagnose() if finding.level != "fine"]
    assert (found.level, found.about) == ("warning", "GFPGANv1.4.pth")
    assert found.found.startswith("for the option enhancer gfpgan alone")


def test_musetalk_looks_for_ffmpeg_in_its_checkout_too(good: Callable[[str], SetUp]) -> None:
    it = good("musetalk")
    shutil.move(it.programs, it.checkout / "ffmpeg-4.4-amd64-static")
    assert {finding.level for finding in it.diagnose()} == {"fine"}


@pytest.mark.parametrize("name", KINDS)
def test_a_folder_that_is_not_there(name: str, good: Callable[[str], SetUp]) -> None:
    it = good(name)
    shutil.rmtree(it.checkout)
    (it.python.program).unlink()
    stops = {finding.about: finding for finding in it.diagnose() if finding.level == "stop"}
    assert {"repository", "Python"} <= set(stops)
    assert "ffmpeg" not in stops
    assert stops["repository"].cure.startswith(f"clone {KINDS[name].home}")
    assert not it.checkout.exists()


@pytest.mark.parametrize("name", KINDS)
def test_another_commit_is_told_where_it_says_something_else(name: str, good: Callable[[str], SetUp]) -> None:
    it = good(name)
    belief = KINDS[name].source.beliefs[0]
    file = it.checkout / belief.file
    file.write_text(file.read_text("utf-8").replace(belief.text, "something else"), "utf-8")
    found = {finding.about: finding for finding in it.diagnose() if finding.level != "fine"}
    assert set(found) == {"its code"}
    assert found["its code"].level == "warning"
    assert belief.text in found["its code"].found


def test_a_checkout_that_may_not_be_written_into(
    good: Callable[[str], SetUp], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = good("sadtalker")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    (found,) = [finding for finding in it.diagnose() if finding.level != "fine"]
    assert (found.level, found.about) == ("stop", "right to write")
    assert str(it.checkout) in found.found


@pytest.mark.parametrize("name", KINDS)
def test_a_folder_for_temporary_files_that_a_shell_reads_otherwise(
    name: str, good: Callable[[str], SetUp], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    it = good(name)
    (tmp_path / "a b").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a b"))
    stops = [finding for finding in it.diagnose() if finding.level == "stop"]
    assert [finding.about for finding in stops] == ([] if name == "wav2lip" else ["temporary files"])
    assert all("a b" in finding.found for finding in stops)
