"""The driver against Linly-Talker's own services, of which the networks alone are replaced."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from pipeline.adapters.linly_talker.beliefs import SOURCE
from pipeline.adapters.linly_talker.generator import LinlyTalker
from pipeline.errors import GenerationError, RequestError
from pipeline.video import measure_video
from tests.pipeline.conftest import tone, write_wav

if TYPE_CHECKING:
    from pipeline.events import Event
    from pipeline.result import GenerationResult
    from tests.pipeline.adapters.real.conftest import Checkout

RUNNER = Path(__file__).parents[3] / "stand_ins" / "linly_talker_networks.py"
WANTED = (
    "torch",
    "fastapi",
    "uvicorn",
    "multipart",
    "loguru",
    "librosa",
    "skimage",
    "yacs",
    "imageio",
    "cv2",
)
START_LIMIT_S = 600
SPEAKER = """#!{python}
import json, shutil, sys
words = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(json.dumps(words) + "\\n")
for name in ("--write-media", "--output"):
    if name in words:
        shutil.copyfile({sound!r}, words[words.index(name) + 1])
"""
"""In place of the programs edge-tts and paddlespeech: writes down what it was told, and speaks."""


class Service:
    """One of its services, which can be ended and started again."""

    def __init__(self, name: str, folder: Path, python: str, path: str) -> None:
        self.name = name
        self.folder = folder
        self.path = path  # of programs
        self._python = python
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = {**os.environ, "PATH": self.path, "NUMBA_CACHE_DIR": str(self.folder / "numba")}
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [self._python, str(RUNNER), self.name, str(self.port)],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
            )
        limit_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < limit_s:
            assert self._process.poll() is None, self.log[-3000:]
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"{self.address}/openapi.json")
                return
            time.sleep(0.2)
        raise AssertionError(self.log[-3000:])

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """End it and start it again: its models are gone, its files stay."""
        self.stop()
        self.start()

    @property
    def log(self) -> str:
        """Return what it said so far."""
        return (self.folder / "log.txt").read_text("utf-8", "replace")


@pytest.fixture(scope="module")
def place(checkout: Checkout, their_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder that holds what the checkout holds, and can be written to."""
    source = checkout(SOURCE)
    probe = f"import importlib; [importlib.import_module(name) for name in {WANTED}]"
    found = subprocess.run([their_python, "-c", probe], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"{their_python} cannot run its services: {found.stderr.strip().splitlines()[-1]}")
    folder = tmp_path_factory.mktemp("linly")
    for entry in source.iterdir():
        if entry.name not in {"results", "temp", ".git"}:
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="module")
def programs(their_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with an ffmpeg that really is one."""
    found = shutil.which("ffmpeg")
    if found is None:
        ask = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
        told = subprocess.run([their_python, "-c", ask], capture_output=True, text=True, check=False)
        found = told.stdout.strip()
    if not found:
        pytest.skip("there is no ffmpeg here")
    folder = tmp_path_factory.mktemp("bin")
    (folder / "ffmpeg").symlink_to(found)
    return folder


@pytest.fixture(scope="module")
def talker(place: Path, their_python: str, programs: Path) -> Iterator[Service]:
    service = Service("talker", place, their_python, str(programs))
    service.start()
    yield service
    service.stop()


@pytest.fixture
def spoken_words(tmp_path: Path) -> Path:
    """Name the file in which the programs that speak write down what they were told."""
    return tmp_path / "words.jsonl"


@pytest.fixture
def tts(place: Path, their_python: str, tmp_path: Path, spoken_words: Path) -> Iterator[Service]:
    sound = write_wav(tmp_path / "said.wav", tone(2.5))
    script = SPEAKER.format(python=sys.executable, log=str(spoken_words), sound=str(sound))
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("edge-tts", "paddlespeech"):
        (folder / name).write_text(script)
        (folder / name).chmod(stat.S_IRWXU)
    service = Service("tts", place, their_python, f"{folder}:{os.environ['PATH']}")
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def llm(place: Path, their_python: str) -> Iterator[Service]:
    service = Service("llm", place, their_python, os.environ["PATH"])
    service.start()
    yield service
    service.stop()


@pytest.fixture
def portrait(checkout: Checkout) -> Path:
    return checkout(SOURCE) / "inputs" / "girl.png"


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "sound.wav", tone(2.02))


def make(folder: Path, settings: dict[str, Any], **parameters: Any) -> GenerationResult:
    generator = LinlyTalker(**settings)
    try:
        return generator.generate(generator.request(**parameters), folder / "out.mp4")
    finally:
        generator.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_still_mode": True, "exp_weight": 0.5},
        {"preprocess_type": "full"},
        {"preprocess_type": "resize"},
        {"preprocess_type": "extcrop", "size_of_image": 512, "batch_size": 3},
    ],
)
def test_sadtalker_gives_a_video_at_20_frames_a_second(
    options: dict[str, Any], talker: Service, portrait: Path, sound: Path, tmp_path: Path
) -> None:
    result = make(
        tmp_path, {"talker": talker.address}, image=str(portrait), audio=str(sound), options=options
    )
    assert result.fps == pytest.approx(20)
    assert result.n_frames == 40
    assert result.width == (
        640 if options.get("preprocess_type") == "full" else options.get("size_of_image", 256)
    )


@pytest.mark.parametrize("form", [{"fps": "10"}, {"fps": "30", "blink_every": "False"}])
def test_what_is_refused_for_sadtalker_makes_no_difference_there(
    form: dict[str, str], talker: Service, portrait: Path, tmp_path: Path
) -> None:
    httpx2.post(f"{talker.address}/talker_change_model/", params={"model_name": "SadTalker"}, timeout=60)
    long = write_wav(tmp_path / "long.wav", tone(3.0))
    files = {
        "source_image": ("face.jpg", portrait.read_bytes(), "image/jpeg"),
        "driven_audio": ("speech.wav", long.read_bytes(), "audio/wav"),
    }
    answer = httpx2.post(f"{talker.address}/talker_response/", data=form, files=files, timeout=120)
    path = tmp_path / "plain.mp4"
    path.write_bytes(answer.content)
    assert measure_video(path).fps == pytest.approx(20)
    assert blinks_of(path)


def test_which_options_of_sadtalker_make_a_difference(
    talker: Service, portrait: Path, tmp_path: Path
) -> None:
    sound = write_wav(tmp_path / "sound.wav", tone(0.9))  # too short for blinks, which are drawn at random

    def look(**options: Any) -> bytes:
        request = {"image": str(portrait), "audio": str(sound), "options": options}
        make(tmp_path, {"talker": talker.address}, **request)
        return (tmp_path / "out.mp4").read_bytes()

    usual = look()
    assert look() == usual
    for options in (
        {"pose_style": 7},
        {"is_still_mode": True},
        {"exp_weight": 2.0},
        {"size_of_image": 512},
        {"preprocess_type": "extcrop"},
    ):
        assert look(**options) != usual, options
    assert look(batch_size=3) == usual  # which is for speed alone
    still = look(is_still_mode=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LinlyTalker, "_check_used", lambda *_: None)
        assert look(is_still_mode=True, pose_style=7) == still  # and so the two together are refused


def blinks_of(path: Path) -> bool:
    """Tell whether the picture jumps, as the stand-in for the network draws a blink."""
    import av
    import numpy as np

    with av.open(str(path)) as container:
        levels = [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    return bool(np.abs(np.diff(levels)).max() > 1.0)


@pytest.mark.parametrize("method", ["Wav2Lip", "Wav2Lipv2"])
@pytest.mark.parametrize("length_s", [0.31, 2.02, 7.77])
def test_wav2lip_gives_a_video_as_long_as_its_sound(
    method: str, length_s: float, talker: Service, portrait: Path, tmp_path: Path
) -> None:
    sound = write_wav(tmp_path / "sound.wav", tone(length_s))
    settings = {"talker": talker.address, "talker_method": method}
    result = make(tmp_path, settings, image=str(portrait), audio=str(sound))
    assert result.fps == pytest.approx(25)
    assert result.duration_s == pytest.approx(length_s, abs=0.21)


def test_an_odd_portrait_comes_out_even(talker: Service, portrait: Path, sound: Path, tmp_path: Path) -> None:
    from PIL import Image

    odd = tmp_path / "odd.png"
    with Image.open(portrait) as picture:
        picture.convert("RGB").resize((301, 481)).save(odd)
    settings = {"talker": talker.address, "talker_method": "Wav2Lip"}
    result = make(tmp_path, settings, image=str(odd), audio=str(sound))
    assert (result.width, result.height) == (300, 480)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("SadTalker", {}),
        ("SadTalker", {"preprocess_type": "resize"}),
        ("Wav2Lip", {}),
        ("Wav2Lipv2", {}),
    ],
)
def test_where_only_the_service_sees_no_face_it_is_no_face_too(
    method: str,
    options: dict[str, Any],
    talker: Service,
    sound: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from PIL import Image

    nobody = tmp_path / "nobody.png"
    Image.new("RGB", (256, 256), (128, 128, 128)).save(nobody)
    settings = {"talker": talker.address, "talker_method": method}
    with pytest.raises(RequestError, match="no face found"):
        make(tmp_path, settings, image=str(nobody), audio=str(sound), options=options)
    monkeypatch.setattr("pipeline.adapters.linly_talker.generator.refuse_without_face", lambda _: None)
    with pytest.raises(GenerationError, match="it found no face in the picture") as caught:
        make(tmp_path, settings, image=str(nobody), audio=str(sound), options=options)
    assert caught.value.kind == "no_face"


def test_sounds_of_21_frames_fail_in_sadtalker_and_are_refused(
    talker: Service, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = write_wav(tmp_path / "sound.wav", tone(1.07))
    parameters = {"image": str(portrait), "audio": str(sound)}
    with pytest.raises(RequestError, match="fails at 21 frames"):
        make(tmp_path, {"talker": talker.address}, **parameters)
    monkeypatch.setattr("pipeline.adapters.linly_talker.generator.refuse_length", lambda *_: None)
    with pytest.raises(GenerationError, match="Cannot choose from an empty sequence"):
        make(tmp_path, {"talker": talker.address}, **parameters)
    for length_s in (1.03, 1.12):
        write_wav(sound, tone(length_s))
        assert make(tmp_path, {"talker": talker.address}, **parameters).fps == pytest.approx(20)


def test_a_restart_in_the_middle_is_made_good(
    talker: Service, portrait: Path, sound: Path, tmp_path: Path
) -> None:
    generator = LinlyTalker(talker=talker.address, talker_method="Wav2Lip")
    request = generator.request(image=str(portrait), audio=str(sound))
    with generator:
        generator.generate(request, tmp_path / "before.mp4")
        talker.restart()
        result = generator.generate(request, tmp_path / "after.mp4")
    (note,) = [event.detail["text"] for event in result.events if event.name == "warning"]
    assert "had lost its model, as when it is started anew" in str(note)
    # and where somebody else had it load another one
    httpx2.post(f"{talker.address}/talker_change_model/", params={"model_name": "SadTalker"}, timeout=60)
    with generator:
        httpx2.post(f"{talker.address}/talker_change_model/", params={"model_name": "SadTalker"}, timeout=60)
        assert generator.generate(request, tmp_path / "again.mp4").fps == pytest.approx(25)


def test_a_service_that_ends_while_it_works_is_an_error_and_the_next_request_is_made(
    talker: Service, portrait: Path, tmp_path: Path
) -> None:
    long = write_wav(tmp_path / "long.wav", tone(60.0))
    short = write_wav(tmp_path / "short.wav", tone(2.0))

    def end(event: Event) -> None:
        if event.name == "sent":
            threading.Timer(0.5, talker.stop).start()

    with LinlyTalker(talker=talker.address) as generator:
        request = generator.request(image=str(portrait), audio=str(long))
        with pytest.raises(GenerationError, match="broke off") as caught:
            generator.generate(request, tmp_path / "out.mp4", end)
        assert caught.value.kind == "broken_off"
        with pytest.raises(GenerationError, match="start the service there") as caught:
            generator.generate(request, tmp_path / "out.mp4")
        assert caught.value.kind == "unreachable"
        talker.start()
        request = generator.request(image=str(portrait), audio=str(short))
        assert generator.generate(request, tmp_path / "out.mp4").duration_s == pytest.approx(2.0)


def test_a_service_that_lost_its_ffmpeg_gives_no_video(
    place: Path, their_python: str, programs: Path, portrait: Path, sound: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    (path / "ffmpeg").symlink_to((programs / "ffmpeg").resolve())
    talker = Service("talker", place, their_python, str(path))
    settings = {"talker": talker.address, "talker_method": "Wav2Lip"}
    parameters = {"image": str(portrait), "audio": str(sound)}
    longer = write_wav(tmp_path / "longer.wav", tone(4.0))
    talker.start()
    try:
        make(tmp_path, settings, **parameters)
        (path / "ffmpeg").unlink()
        (tmp_path / "out.mp4").write_bytes(b"old")
        for changes in ({}, {"audio": str(longer)}):
            with pytest.raises(GenerationError, match="ffmpeg is missing or failed") as caught:
                make(tmp_path, settings, **{**parameters, **changes})
            assert caught.value.kind == "stale_output"
        for lock in tmp_path.glob("*.lock"):
            lock.unlink()  # nobody here remembers the video before
        time.sleep(1.1)  # the service tells whole seconds
        with pytest.raises(GenerationError, match=r"a file that it wrote \d+ s before it was asked"):
            make(tmp_path, settings, **parameters)
        (place / "results" / "example_answer.mp4").unlink()
        with pytest.raises(GenerationError, match="its ffmpeg wrote no video") as caught:
            make(tmp_path, settings, **parameters)
        assert caught.value.kind == "no_output"
        with pytest.raises(GenerationError, match="install ffmpeg where the service runs") as caught:
            make(tmp_path, {**settings, "talker_method": "SadTalker"}, **parameters)
        assert caught.value.kind == "no_ffmpeg"
    finally:
        talker.stop()
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


ATTACKS = [
    "It costs $5 `touch {mark}`",
    "one $(touch {mark}) two",
    'one"; touch {mark}; echo "two',
    "one\ntouch {mark}\ntwo",
    "one \\`touch {mark}\\` two",
    "one'; touch {mark}; echo 'two",
    "one; touch {mark} & two | three > {mark}",
    "-f/etc/passwd",
    "--write-media {mark}",
    "one \uff02; touch {mark}; echo \uff02 two \uff04(touch {mark}) \uff40touch {mark}\uff40",
]


@pytest.mark.parametrize("method", ["EdgeTTS", "PaddleTTS"])
def test_no_text_is_run_by_the_speech_service(
    method: str, talker: Service, tts: Service, portrait: Path, spoken_words: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    settings = {
        "talker": talker.address,
        "talker_method": "Wav2Lip",
        "tts": tts.address,
        "tts_method": method,
    }
    n_spoken = 0
    for attack in ATTACKS:
        text = attack.format(mark=mark)
        with contextlib.suppress(RequestError):
            result = make(tmp_path, settings, image=str(portrait), text=text)
            n_spoken += 1
            words = json.loads(spoken_words.read_text().splitlines()[-1])
            said = words[words.index("--text" if method == "EdgeTTS" else "--input") + 1]
            assert said.split() == text.replace('"', "”").split()  # word for word
            assert result.audio_duration_s is not None
        assert not mark.exists(), attack
    assert n_spoken >= 3
    ran = [json.loads(line) for line in spoken_words.read_text().splitlines()]
    assert len(ran) == n_spoken


def test_without_the_driver_the_speech_service_runs_it(tts: Service, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for method, model in (("PaddleTTS", "PaddleTTS"), ("EdgeTTS", "EdgeTTS")):
        httpx2.post(f"{tts.address}/tts_change_model/", params={"model_name": model}, timeout=60)
        form = {
            "text": f"It costs $5 `touch {mark}`",
            "tts_method": method,
            "rate": "0",
            "volume": "100",
            "pitch": "0",
        }
        httpx2.post(f"{tts.address}/tts_response/", data=form, timeout=60)
        assert mark.exists()
        mark.unlink()


def test_voices_are_cloned_and_one_cosyvoice_is_kept(
    talker: Service, tts: Service, portrait: Path, tmp_path: Path
) -> None:
    voice = write_wav(tmp_path / "voice.wav", tone(4.0, rate_hz=8000), rate_hz=8000)
    settings = {"talker": talker.address, "talker_method": "Wav2Lip", "tts": tts.address}
    clone = {"ref_audio": str(voice), "ref_text": "Well then"}
    request = {"image": str(portrait), "text": "Good morning"}
    sovits = make(tmp_path, {**settings, **clone, "tts_method": "GPT-SoVITS克隆声音"}, **request)
    assert sovits.audio_duration_s == pytest.approx(4.0, abs=0.1)
    cosy = {**settings, **clone, "tts_method": "CosyVoice-克隆翻译模式"}
    make(tmp_path, cosy, **request)
    make(tmp_path, {**cosy, "ref_language": "cmn"}, **request)
    own = {**settings, "tts_method": "CosyVoice-SFT模式"}
    with pytest.raises(GenerationError, match="has loaded CosyVoice-克隆翻译模式 and keeps it"):
        make(tmp_path, own, **request)
    tts.restart()
    make(tmp_path, own, **request)
    with pytest.raises(GenerationError, match="has loaded CosyVoice-SFT模式 and keeps it") as caught:
        make(tmp_path, cosy, **request)
    assert caught.value.kind == "wrong_model"


def test_the_language_model_answers_also_after_a_restart(
    talker: Service, llm: Service, portrait: Path, tmp_path: Path
) -> None:
    settings = {
        "talker": talker.address,
        "talker_method": "Wav2Lip",
        "llm": llm.address,
        "llm_model": "Qwen2",
    }
    with LinlyTalker(**settings) as generator:
        for turn in range(2):
            question = {"question": f"What is new in {turn}?"}
            request = generator.request(image=str(portrait), options=question)
            result = generator.generate(request, tmp_path / "out.mp4")
            assert result.spoken is not None
            assert result.spoken.text == f"You asked: What is new in {turn}?"
            lost = [event for event in result.events if "had lost its model" in str(event.detail)]
            assert len(lost) == turn
            llm.restart()


def test_why_three_language_models_are_refused(llm: Service) -> None:
    keys = {"openai_apikey": "key-of-nobody", "gemini_apikey": "key-of-nobody"}
    told = {}
    for model in ("ChatGPT", "Gemini", "GPT4Free"):
        change = {"model_name": model, **keys}
        loaded = httpx2.post(f"{llm.address}/llm_change_model/", params=change, timeout=60)
        assert loaded.status_code == 200, loaded.text
        told[model] = httpx2.post(
            f"{llm.address}/llm_response/", json={"question": "Why?"}, timeout=60
        ).json()
    for model in ("ChatGPT", "Gemini"):
        assert "takes 2 positional arguments but 3 were given" in told[model]["detail"]
    assert "Why?" not in told["GPT4Free"]["answer"]
    assert "key-of-nobody" in llm.log  # and their server writes keys into its log
