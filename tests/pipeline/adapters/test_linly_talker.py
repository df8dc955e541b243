"""The Linly-Talker driver with a server that stands in for its services."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx2
import numpy as np
import pytest

from pipeline.adapters.linly_talker.generator import LinlyTalker
from pipeline.adapters.linly_talker.spoken_text import clean_text
from pipeline.errors import GenerationError, RequestError
from pipeline.result import Spoken
from pipeline.testing import GeneratorContract
from tests.pipeline.conftest import tone, write_wav

if TYPE_CHECKING:
    from pipeline.result import GenerationResult

STAND_IN = Path(__file__).parents[2] / "stand_ins" / "linly_talker.py"


@dataclass
class Services:
    """The stand-in: how it shall fail, and what it was asked."""

    address: str

    def fail(self, mode: str) -> None:
        """Choose how."""
        httpx2.post(f"{self.address}/stand_in", params={"mode": mode}).raise_for_status()

    def restart(self) -> None:
        """Lose the models, as where a service ends and is started again; files stay."""
        httpx2.post(f"{self.address}/stand_in", params={"restart": "1"}).raise_for_status()

    def start_anew(self) -> None:
        """Forget everything."""
        httpx2.post(f"{self.address}/stand_in").raise_for_status()

    @property
    def told(self) -> dict[str, Any]:
        """All that it tells."""
        return dict(httpx2.get(f"{self.address}/stand_in").json())

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Forms and models, in order."""
        return list(self.told["asked"])


@pytest.fixture(scope="module")
def server(mp3: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("server")
    argv = [sys.executable, "-E", str(STAND_IN), str(mp3), str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield Services(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        process.kill()


@pytest.fixture
def services(server: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Give the stand-in as if it had just been started, and locks of this test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server.start_anew()
    yield server
    server.start_anew()  # nobody waits any more


@pytest.fixture(scope="session")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a second and a half of tone as MP3, what EdgeTTS writes whatever the file is called."""
    import av

    path = tmp_path_factory.mktemp("media") / "speech.mp3"
    with av.open(str(path), "w", format="mp3") as container:
        track = container.add_stream("libmp3lame", rate=24000, layout="mono")
        samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(36000) / 24000).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 24000, 0
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


@pytest.fixture(scope="session")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a picture of a face."""
    import cv2
    import skimage.data

    path = tmp_path_factory.mktemp("media") / "face.png"
    cv2.imwrite(str(path), skimage.data.astronaut()[:256, 96:352, ::-1])
    return path


@pytest.fixture(scope="session")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a picture without a face."""
    import cv2
    import skimage.data

    path = tmp_path_factory.mktemp("media") / "nobody.png"
    cv2.imwrite(str(path), skimage.data.coffee()[:256, :256, ::-1])
    return path


@pytest.fixture
def parameters(face: Path, spoken: Path) -> dict[str, Any]:
    return {"image": str(face), "audio": str(spoken)}


Make = Callable[..., "GenerationResult"]


@pytest.fixture
def make(services: Services, parameters: dict[str, Any], tmp_path: Path) -> Make:
    """Give a function that makes a video by a driver with these settings and changed parameters."""

    def run(settings: dict[str, Any] | None = None, **changes: Any) -> GenerationResult:
        with LinlyTalker(talker=services.address, **(settings or {})) as generator:
            return generator.generate(generator.request(**{**parameters, **changes}), tmp_path / "out.mp4")

    return run


class TestLinlyTalker(GeneratorContract):
    """Keeps the contract of all generators."""

    @pytest.fixture
    def generator(self, services: Services) -> LinlyTalker:
        """Give the driver."""
        return LinlyTalker(talker=services.address)


def test_the_talker_gets_picture_sound_and_form(make: Make, services: Services) -> None:
    options = {"size_of_image": 512, "preprocess_type": "full", "pose_style": 7}
    result = make(options=options)
    change, talk = services.asked
    assert change == {"model": "SadTalker"}
    assert talk == {
        "batch_size": "4",
        "preprocess_type": "full",
        "is_still_mode": "False",
        "enhancer": "False",
        "size_of_image": "512",
        "pose_style": "7",
        "exp_weight": "1.0",
        "blink_every": "True",
        "talker_method": "SadTalker",
        "fps": "20",
        "sound_starts": "RIFF",
    }
    assert result.fps == pytest.approx(20)
    assert [event.name for event in result.events] == [
        "loaded",
        "speech",
        "sent",
        "received",
        "first_frame",
        "saved",
    ]
    assert result.events[0].detail["load_s"] > 0
    assert result.events[1].detail == {"duration_s": 2.0}
    assert result.events[4].detail == {"at_end": True}


def test_its_frame_rate_is_the_service_s_own_unless_given(make: Make, services: Services) -> None:
    make()
    make({"talker_method": "Wav2Lip"})
    assert [asked["fps"] for asked in services.asked if "fps" in asked] == ["20", "25"]


def test_a_sound_that_is_no_wav_is_made_one(
    make: Make, services: Services, mp3: Path, tmp_path: Path
) -> None:
    misnamed = tmp_path / "called.wav"
    misnamed.write_bytes(mp3.read_bytes())
    result = make(audio=str(misnamed))
    assert services.asked[-1]["sound_starts"] == "RIFF"
    assert result.request.audio == str(misnamed)


def test_text_is_spoken_here_unless_there_is_a_service(make: Make, services: Services) -> None:
    result = make(audio=None, text="Good morning")
    assert result.versions == {"espeak-ng": "1.52.0"}
    assert [asked.get("text") for asked in services.asked] == [None, None]


def test_text_by_the_speech_service(make: Make, services: Services) -> None:
    result = make({"tts": services.address}, audio=None, text='Say "hello"')
    said = services.asked[-2]
    assert (said["rate"], said["volume"], said["pitch"]) == ("0", "100", "0")
    assert (said["voice"], said["tts_method"]) == ("en-US-AriaNeural", "EdgeTTS")
    assert said["text"] == "Say ”hello”"  # the service puts it between double quotes of a shell
    assert services.asked[-1]["sound_starts"] == "RIFF"
    assert result.events[1].detail["text"] == (
        "spoken as 'Say ”hello”': the service puts its text on a command line"
    )
    assert 1.4 < result.events[2].detail["duration_s"] < 1.7  # of the tone, and what MP3 adds
    told = services.told
    assert told["models"] == {"talker": "SadTalker", "llm": "直接回复 Direct Reply"}
    assert told["speakers"] == {"EdgeTTS": "EdgeTTS"}


def test_the_other_voices(make: Make, services: Services) -> None:
    make({"tts": services.address, "tts_method": "PaddleTTS"}, audio=None, text="你好", language="cmn")
    make(
        {"tts": services.address, "tts_method": "CosyVoice-SFT模式"}, audio=None, text="你好", language="cmn"
    )
    said = [asked for asked in services.asked if "text" in asked]
    assert [(one.get("lang"), one.get("male"), one.get("sft_dropdown")) for one in said] == [
        ("zh", "False", None),
        (None, None, "中文女"),
    ]


def test_a_question_is_answered_spoken_and_shown(make: Make, services: Services) -> None:
    settings = {"llm": services.address, "tts": services.address, "llm_model": "Qwen"}
    result = make(settings, audio=None, options={"question": "What is new?"})
    assert services.told["models"]["llm"] == "Qwen"
    names = [event.name for event in result.events if event.name != "warning"]
    assert names == ["loaded", "answered", "speech", "sent", "received", "first_frame", "saved"]
    warnings = [event.detail["text"] for event in result.events if event.name == "warning"]
    assert warnings == [
        "the language model remembers every question since it was loaded: its answer depends on those before",
        "spoken as 'You said ”What is new?”': the service puts its text on a command line",
    ]
    said = 'You said "What is new?"'
    assert result.events[1].detail == {"question": "What is new?", "text": said}
    assert result.spoken == Spoken(text=said, language="en", prompt="")
    assert services.asked[-2]["text"] == "You said ”What is new?”"


def test_an_answer_of_the_speech_service_is_never_a_former_one(make: Make, services: Services) -> None:
    make({"tts": services.address}, audio=None, text="One")
    services.fail("tts offline")
    with pytest.raises(GenerationError, match="answered 500: 处理TTS请求失败"):
        make({"tts": services.address}, audio=None, text="Two")


def test_models_are_loaded_once_and_again_when_somebody_changed_them(
    services: Services, parameters: dict[str, Any], tmp_path: Path
) -> None:
    with LinlyTalker(talker=services.address) as first:
        first.load()
        with LinlyTalker(talker=services.address, talker_method="Wav2Lip") as second:
            second.generate(second.request(**parameters), tmp_path / "b.mp4")
        result = first.generate(first.request(**parameters), tmp_path / "a.mp4")
    models = [asked["model"] for asked in services.asked if "model" in asked]
    assert models == ["SadTalker", "Wav2Lip", "SadTalker"]
    assert result.events[0].name == "loaded"


def run_together(generators: list[LinlyTalker], parameters: dict[str, Any], folder: Path) -> list[Exception]:
    errors: list[Exception] = []

    def work(place: int, generator: LinlyTalker) -> None:
        try:
            for turn in range(3):
                generator.generate(generator.request(**parameters), folder / f"{place}-{turn}.mp4")
        except GenerationError as error:
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(place, generator)) for place, generator in enumerate(generators)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_two_at_once_never_meet_in_the_service(
    services: Services, parameters: dict[str, Any], tmp_path: Path
) -> None:
    port = services.address.rpartition(":")[2]
    addresses = [services.address, f"http://localhost:{port}", f"{services.address}/"]
    generators = [LinlyTalker(talker=address) for address in addresses]
    assert run_together(generators, parameters, tmp_path) == []
    assert services.told["n_met"] == 0
    for generator in generators:
        generator.close()


def test_without_the_lock_they_would_meet(
    services: Services, parameters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_here, who = threading.Barrier(3), threading.local()

    def let_in(_handle: int) -> bool:
        if not hasattr(who, "was_here"):
            who.was_here = True
            all_here.wait()
        return True

    monkeypatch.setattr("pipeline.adapters.http_service._try_lock", let_in)
    generators = [LinlyTalker(talker=services.address) for _ in range(3)]
    run_together(generators, parameters, tmp_path)
    assert services.told["n_met"] > 0
    for generator in generators:
        generator.close()


def test_another_process_waits_for_its_turn(services: Services, make: Make, tmp_path: Path) -> None:
    hold = (
        "import sys, tempfile, time; tempfile.tempdir = sys.argv[2]\n"
        "from pipeline.adapters.http_service import HttpService\n"
        "with HttpService(sys.argv[1], time_limit_s=9, stall_limit_s=9, failures={}).alone(9):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", hold, services.address, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(GenerationError, match="in use by other work on this machine for more than"):
            make({"time_limit_s": 0.5})
        assert services.asked == []
        other.kill()  # the lock goes with it
        other.wait()
        make()


FAILURES = {
    "500": ("server_error", "talker_response/ answered 500: Video generation failed"),
    "no face, cropped": ("no_face", "must derive from BaseException: it found no face in the picture"),
    "no face, resized": ("no_face", "index 0 is out of bounds .*: it found no face in the picture"),
    "no face, Wav2Lip": ("no_face", "Face not detected!.*: it found no face"),
    "new numpy": ("wrong_installation", "inhomogeneous shape .*requirements_webui.txt"),
    "no weights": (
        "weights_missing",
        "Failed to load SadTalker model: .*checkpoints/mapping.*: run scripts/download_models.sh",
    ),
    "no ffmpeg": ("no_ffmpeg", "exit status 127.*install ffmpeg where the service runs"),
    "out of memory": ("out_of_memory", "CUDA out of memory"),
    "no model": ("out_of_memory", "talker_change_model/ answered 500: Failed to load SadTalker"),
    "silent": ("bad_output", "without an error, but .*no sound, and sound was asked for"),
    "html": ("bad_output", "without an error, but .*it begins with b'<html><title>504 Gateway"),
    "empty": ("no_output", "is empty"),
    "cut off": ("broken_off", "broke off"),
    "stalls": ("stalled", "was silent for 0.5 s and was given up; it may still be at work"),
    "hangs": ("stalled", "was silent for 0.5 s"),
    "other service": ("wrong_service", "is another service: it does not offer /talker_response/"),
}


@pytest.mark.parametrize(("mode", "kind", "message"), [(mode, *rest) for mode, rest in FAILURES.items()])
def test_every_failure_is_a_clear_error_and_the_old_video_stays(
    *, mode: str, kind: str, message: str, services: Services, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "out.mp4").write_bytes(b"old")
    before = set(tmp_path.iterdir())
    services.fail(mode)
    with pytest.raises(GenerationError, match=f"(?s){message}") as caught:
        make({"stall_limit_s": 0.5} if kind == "stalled" else {})
    assert caught.value.kind == kind
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert {path for path in tmp_path.iterdir() if path.suffix != ".lock"} == before


@pytest.mark.parametrize(
    ("mode", "kind", "message"),
    [
        ("tts html", "bad_sound", "answered with no sound .*<html>502"),
        ("tts offline", "no_sound", "answered 500: 处理TTS请求失败.*edge-tts or paddlespeech is missing"),
        ("llm truncated", "bad_answer", "answered with incomplete JSON"),
        ("llm failed", "bad_answer", "failed; it answered"),
        ("llm empty", "bad_answer", "gave an answer that cannot be spoken"),
        ("llm dollars", "bad_answer", "cannot be spoken: the text has '\\$', and the service"),
    ],
)
def test_failures_of_the_stages_before(
    mode: str, kind: str, message: str, services: Services, make: Make
) -> None:
    services.fail(mode)
    settings = {"llm": services.address, "llm_model": "Linly", "tts": services.address}
    with pytest.raises(GenerationError, match=f"(?s){message}") as caught:
        make(settings, audio=None, options={"question": "What is new?"})
    assert caught.value.kind == kind


def test_an_earlier_video_is_never_taken_for_this_one(services: Services, make: Make, mp3: Path) -> None:
    wav2lip = {"talker_method": "Wav2Lip"}
    make(wav2lip)
    services.fail("no ffmpeg")
    for changes in ({}, {"audio": str(mp3)}, {"options": {"batch_size": 2}}):
        with pytest.raises(
            GenerationError, match=r"very file of the answer before.* ffmpeg is miss"
        ) as caught:
            make(wav2lip, **changes)
        assert caught.value.kind == "stale_output"
    services.fail("good")
    make(wav2lip)


def test_a_file_written_before_it_was_asked_for_is_refused_whoever_had_it_made(
    services: Services, make: Make, tmp_path: Path
) -> None:
    make({"talker_method": "Wav2Lip"})
    for lock in tmp_path.glob("*.lock"):
        lock.unlink()  # as if nobody here had used the service
    services.fail("no ffmpeg, an hour later")
    with pytest.raises(GenerationError, match=r"a file that it wrote 36\d\d s before it was asked") as caught:
        make({"talker_method": "Wav2Lip"})
    assert caught.value.kind == "stale_output"


def test_bytes_of_another_request_are_refused_where_the_service_tells_nothing(
    services: Services, make: Make, tmp_path: Path
) -> None:
    wav2lip = {"talker_method": "Wav2Lip"}
    services.fail("no headers")
    first, again = (Path(make(wav2lip).video).read_bytes() for _ in range(2))
    assert first == again  # the same request may give the same bytes
    services.fail("no headers, no ffmpeg")
    make(wav2lip, options={"batch_size": 2})  # and so may one that differs in speed alone
    other = write_wav(tmp_path / "other.wav", tone(2.0, frequency_hz=300))
    with pytest.raises(GenerationError, match="the bytes of an earlier answer to another request") as caught:
        make(wav2lip, audio=str(other))
    assert caught.value.kind == "stale_output"


def test_a_video_of_another_length_is_refused(services: Services, make: Make) -> None:
    services.fail("half")
    with pytest.raises(
        GenerationError, match=r"its picture lasts 1.00 s and the sound that it was sent 2.00 s"
    ) as caught:
        make()
    assert caught.value.kind == "bad_output"


def test_after_a_restart_the_models_are_loaded_again_and_the_result_says_so(
    services: Services, parameters: dict[str, Any], tmp_path: Path
) -> None:
    del parameters["audio"]
    address = services.address
    with LinlyTalker(
        talker=address, tts=address, tts_method="PaddleTTS", llm=address, llm_model="Qwen2"
    ) as generator:
        for turn in range(3):
            request = generator.request(**parameters, options={"question": f"What is {turn}?"})
            result = generator.generate(request, tmp_path / f"{turn}.mp4")
            assert result.spoken is not None
            assert result.spoken.text == f'You said "What is {turn}?"'
            warnings = [event.detail["text"] for event in result.events if event.name == "warning"]
            lost = [
                text for text in warnings if "had lost its model, as when it is started anew" in str(text)
            ]
            assert len(lost) == (3 if turn else 0)
            assert [event.name for event in result.events].count("received") == 1
            services.restart()


def test_a_service_that_repeats_the_question_after_all_is_an_error(services: Services, make: Make) -> None:
    services.fail("echo")
    settings = {"llm": services.address, "llm_model": "Qwen2"}
    with pytest.raises(GenerationError, match="repeats the question, as it does without a language model"):
        make(settings, audio=None, options={"question": "What is new?"})
    direct = {"llm": services.address, "llm_model": "直接回复 Direct Reply"}
    result = make(direct, audio=None, options={"question": "What is new?"})
    assert result.spoken is not None
    assert result.spoken.text == "What is new?"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "voice.wav", tone(4.0, rate_hz=8000), rate_hz=8000)


def test_a_voice_is_cloned_from_a_recording(services: Services, make: Make, recording: Path) -> None:
    settings = {"tts": services.address, "ref_audio": str(recording), "ref_text": "Well then"}
    made = make({**settings, "tts_method": "GPT-SoVITS克隆声音"}, audio=None, text="Hello there")
    form = services.asked[-2]
    assert (form["prompt_text"], form["prompt_language"], form["ref_language"]) == (
        "Well then",
        "英文",
        "英文",
    )
    assert form["ref_audio"] == 44 + 2 * 4 * 24000  # WAV that CosyVoice reads too
    assert made.weights == {"ref_audio": hashlib.sha256(recording.read_bytes()).hexdigest()}
    cosy = {**settings, "tts_method": "CosyVoice-克隆翻译模式"}
    make(cosy, audio=None, text="Hello there")
    assert services.asked[-2]["cosyvoice_mode"] == "3s极速复刻"
    make({**cosy, "ref_language": "zh"}, audio=None, text="Hello there")
    assert services.asked[-2]["cosyvoice_mode"] == "跨语种复刻"


def test_a_service_that_keeps_another_cosyvoice_is_refused(
    services: Services, make: Make, recording: Path, tmp_path: Path
) -> None:
    own = {"tts": services.address, "tts_method": "CosyVoice-SFT模式"}
    clone = {**own, "tts_method": "CosyVoice-克隆翻译模式", "ref_audio": str(recording)}
    make(own, audio=None, text="Hello there")
    with pytest.raises(GenerationError, match=r"has loaded CosyVoice-SFT模式 and keeps it .* start it again"):
        make(clone, audio=None, text="Hello there")
    for lock in tmp_path.glob("*.lock"):
        lock.unlink()
    with pytest.raises(GenerationError, match=r"has loaded a CosyVoice that nobody here knows") as caught:
        make(clone, audio=None, text="Hello there")
    assert caught.value.kind == "wrong_model"
    services.restart()
    make(clone, audio=None, text="Hello there")
    assert services.asked[-2]["tts_method"] == "CosyVoice-克隆翻译模式"


@pytest.mark.parametrize(
    ("method", "length_s", "message"),
    [
        ("GPT-SoVITS克隆声音", 2.0, r"ref_audio .* lasts 2.0 s; GPT-SoVITS克隆声音 clones from 3 to 10 s"),
        ("GPT-SoVITS克隆声音", 11.0, "lasts 11.0 s"),
        ("CosyVoice-克隆翻译模式", 31.0, "clones from 1 to 30 s"),
    ],
)
def test_a_recording_that_cannot_be_cloned_is_refused(
    method: str, length_s: float, message: str, tmp_path: Path
) -> None:
    voice = write_wav(tmp_path / "voice.wav", tone(length_s))
    with pytest.raises(RequestError, match=message):
        LinlyTalker(tts="http://127.0.0.1:1", tts_method=method, ref_audio=str(voice), ref_text="Hi")


@pytest.mark.parametrize(
    ("method", "length_s", "message"),
    [
        ("SadTalker", 1.07, "fails at 21 frames, from 1.05 to 1.10 s: add a little silence"),
        ("SadTalker", 0.1, "needs 0.2 s at least"),
        ("Wav2Lip", 0.15, "needs 0.2 s at least"),
        ("Wav2Lip", 1.07, None),
    ],
)
def test_lengths_at_which_it_always_fails_are_refused(
    method: str, length_s: float, message: str | None, face: Path, tmp_path: Path
) -> None:
    sound = write_wav(tmp_path / "sound.wav", tone(length_s))
    generator = LinlyTalker(talker_method=method)
    request = generator.request(image=str(face), audio=str(sound))
    if message is None:
        generator.check(request)
        return
    with pytest.raises(RequestError, match=message):
        generator.check(request)


def test_the_version_is_the_commit_of_the_checkout(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("6342071900" + 30 * "0" + "\n")
    assert LinlyTalker(repository=str(tmp_path)).version == "6342071900"
    assert LinlyTalker(repository=str(tmp_path), version="mine").version == "mine"
    assert LinlyTalker().version == "unknown"


def test_the_doctor_looks_at_the_checkout_where_it_is_named(tmp_path: Path) -> None:
    def look(**settings: str) -> dict[str, tuple[str, str]]:
        generator = LinlyTalker(talker="http://127.0.0.1:9", repository=str(tmp_path), **settings)
        return {one.about: (one.level, one.found) for one in generator.diagnose()}

    assert look()["repository"] == ("stop", f"{tmp_path} has no api/talker_api.py")
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "talker_api.py").write_text("print()\n")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "wav2lip_gan.pth").write_text("not the weights")
    found = look(talker_method="Wav2Lip")
    assert found["its code"][0] == "warning"
    assert found["wav2lip_gan.pth"][0] == "stop"
    assert look()["mapping_00229-model.pth.tar"][0] == "stop"


def test_what_passes_means_nothing_to_a_shell_and_ordinary_writing_passes() -> None:
    generate = np.random.default_rng(0)
    signs = [
        *map(chr, range(32, 127)),
        "\n",
        "\t",
        *"éß你好，。？！…“”’—\uff5e\uff05😀🇩🇪\uff02\uff04\uff40\u200b\u202e",
    ]
    texts = ["".join(generate.choice(signs, size=generate.integers(1, 12))) for _ in range(4000)]
    texts += ["one $(id) two", "`id`", '"; id; "', "\\$(id)", "5%PATH%", "%PATH%", "5%PATH%, 7%X%"]
    passed = []
    for text in texts:
        with contextlib.suppress(RequestError):
            passed.append(clean_text(text))
    assert len(passed) > 200
    assert not any("%P" in text for text in passed)
    script = "\n".join(f'printf "%s\\0" "{text}"' for text in passed)  # as the service's command has its text
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, env={}).stdout
    assert said.decode().split("\0")[:-1] == passed
    ordinary = [
        "It’s 20% off: R&D, you & me (see www.example.com/a_b?c=d#e) — 3 + 4 = 7; really?! ~5 €",
        "今天天气很好，我们去公园吧\uff5e“好的”！（下午3：30）100\uff05",
        "¿Qué tal? Ça va, Grüße! Привет, мир. שלום नमस्ते สวัสดี 👩‍🦰 ☀️",
    ]
    for text in ordinary:
        assert clean_text(text) == text
    assert clean_text("- one\n- two\u200b") == " - one - two"


@pytest.mark.parametrize(
    ("text", "signs"),
    [("$5", "'$'"), ("a\\b", r"'\\'"), ("a|b<c", "'<', '|'"), ("50%off", "'%'"), ("\0", "x00")],
)
def test_what_does_not_pass_is_named(text: str, signs: str) -> None:
    with pytest.raises(RequestError, match=re.escape(signs)) as caught:
        clean_text(text)
    assert "puts it on a command line: write it in words" in str(caught.value)


def test_an_answer_that_drips_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(0, 10**6, 200))  # each look at the clock is 200 s after the one before
    clock = SimpleNamespace(monotonic=lambda: next(moments), sleep=time.sleep)
    monkeypatch.setattr("pipeline.adapters.http_service.time", clock)
    with pytest.raises(GenerationError, match="had not finished its answer after 150 s") as caught:
        make({"time_limit_s": 150})
    assert caught.value.kind == "timed_out"


def test_a_service_that_is_at_work_for_somebody_else(
    services: Services, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.adapters.http_service._IDLE_LIMIT_S", 0.3)
    services.fail("busy")
    with pytest.raises(GenerationError, match="accepts connections and does not answer for") as caught:
        make()
    assert caught.value.kind == "busy"


def test_nobody_there(parameters: dict[str, Any], tmp_path: Path) -> None:
    generator = LinlyTalker(talker="http://127.0.0.1:9")
    generator.check(generator.request(**parameters))  # which asks nobody
    with pytest.raises(
        GenerationError, match=r"nothing answers at http://127.0.0.1:9 .*start the service"
    ) as caught:
        generator.generate(generator.request(**parameters), tmp_path / "out.mp4")
    assert caught.value.kind == "unreachable"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"talker_method": "MuseTalk"},
            "talker_method is 'MuseTalk'; .*no MuseTalk, which the generator musetalk runs",
        ),
        (
            {"tts": "http://127.0.0.1:1", "tts_method": "GPT-SoVITS克隆声音"},
            "clones a voice: give ref_audio, a recording of it",
        ),
        ({"ref_text": "Hi"}, "ref_text makes no difference: only GPT-SoVITS克隆声音 and"),
        (
            {"llm": "http://127.0.0.1:1"},
            "llm is given without llm_model.* repeats the question: give llm_model",
        ),
        ({"llm": "http://127.0.0.1:1", "llm_model": "ChatGPT"}, "ChatGPT and Gemini fail at every question"),
        ({"llm": "http://127.0.0.1:1", "llm_model": "Gemini"}, "put the generator conversation in front"),
        ({"llm": "http://127.0.0.1:1", "llm_model": "GPT4Free"}, "GPT4Free is never told the question"),
        ({"llm": "http://127.0.0.1:1", "llm_model": "gpt-9"}, "llm_model is 'gpt-9'; allowed: Linly, Qwen"),
        ({"talker": "127.0.0.1:8003"}, "talker is '127.0.0.1:8003'; allowed: an address as in http://"),
        ({"stall_limit_s": 0}, "stall_limit_s is 0; allowed: seconds, above 0"),
        ({"talker_methods": "SadTalker"}, "no setting 'talker_methods'; did you mean 'talker_method'"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        LinlyTalker(**settings)


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({}, {"sample_steps": 3}, "sample_steps is 3, but SadTalker of Linly-Talker has no use for it"),
        ({}, {"sample_guide_scale": 2.0}, "sample_guide_scale is 2.0"),
        ({}, {"size": "512*512"}, "size is '512"),
        ({}, {"base_seed": 7}, "base_seed is 7"),
        ({}, {"prompt": "smiling"}, "prompt is 'smiling'"),
        ({}, {"fps": 30}, "fps is 30, and SadTalker of Linly-Talker writes 20 whatever is asked"),
        (
            {},
            {"options": {"blink_every": False}},
            "blink_every is False; allowed: true alone: its service loses",
        ),
        ({}, {"options": {"size_of_image": 384}}, "size_of_image is 384; allowed: 256 or 512"),
        ({}, {"options": {"preprocess_type": "none"}}, "preprocess_type is 'none'; allowed: crop, resize"),
        (
            {},
            {"options": {"is_still_mode": True, "pose_style": 3}},
            "with is_still_mode the pose is the portrait's",
        ),
        ({}, {"voice": "en-US-AriaNeural"}, "the sound is given: leave one out"),
        ({}, {"image": None}, "needs an image"),
        ({}, {"audio": None}, "give audio .*, text .* or the option question"),
        ({}, {"options": {"question": "Why?"}}, "give audio .* one of them"),
        (
            {},
            {"audio": None, "options": {"question": "Why?"}},
            "needs a language model: give the setting llm",
        ),
        ({"talker_method": "Wav2Lip"}, {"fps": 30}, "fps is 30, and Wav2Lip of Linly-Talker writes 25"),
        ({"talker_method": "Wav2Lip"}, {"options": {"size_of_image": 256}}, "no option 'size_of_image'"),
        ({"talker_method": "NeRFTalk"}, {}, "image is .*NeRFTalk of Linly-Talker has no use for it"),
        (
            {"tts": "http://127.0.0.1:1"},
            {"audio": None, "text": "Hej", "language": "sv"},
            "give voice, or one of",
        ),
        (
            {"tts": "http://127.0.0.1:1"},
            {"audio": None, "text": "Hi", "voice": "x; rm"},
            "not an EdgeTTS voice",
        ),
        (
            {"tts": "http://127.0.0.1:1"},
            {"audio": None, "text": "It costs $HOME"},
            "the text has '\\$', and the service puts it on a command line: write it in words",
        ),
        (
            {"tts": "http://127.0.0.1:1", "tts_method": "CosyVoice-SFT模式"},
            {"audio": None, "text": "Hi", "voice": "Anna"},
            "voice is 'Anna'; allowed for CosyVoice",
        ),
        (
            {"tts": "http://127.0.0.1:1", "tts_method": "PaddleTTS"},
            {"audio": None, "text": "Hi", "voice": "Anna"},
            "voice is 'Anna'; allowed for PaddleTTS",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_before_it_starts(
    settings: dict[str, Any],
    changes: dict[str, Any],
    message: str,
    parameters: dict[str, Any],
    tmp_path: Path,
) -> None:
    generator = LinlyTalker(talker="http://127.0.0.1:9", **settings)
    request = generator.request(**{**parameters, **changes})
    with pytest.raises(RequestError, match=message):
        generator.check(request)
    with pytest.raises(RequestError, match=message):
        generator.generate(request, tmp_path / "out.mp4")


def test_pictures_are_known_by_their_content(video: Path, face: Path, spoken: Path, tmp_path: Path) -> None:
    from PIL import Image

    generator = LinlyTalker()
    misnamed = tmp_path / "face.png"
    for content in (video.read_bytes(), b"<html>not found</html>"):
        misnamed.write_bytes(content)
        with pytest.raises(RequestError, match=r"face.png' cannot be read as a picture"):
            generator.check(generator.request(image=str(misnamed), audio=str(spoken)))
    with Image.open(face) as picture:
        picture.save(misnamed, format="GIF")
    with pytest.raises(RequestError, match=r"is GIF, which its service cannot read: save it as PNG or JPEG"):
        generator.check(generator.request(image=str(misnamed), audio=str(spoken)))


@pytest.mark.parametrize("method", ["SadTalker", "Wav2Lip", "Wav2Lipv2"])
def test_a_portrait_without_a_face_is_refused_before_anything_is_asked(
    method: str, services: Services, nobody: Path, spoken: Path, tmp_path: Path
) -> None:
    generator = LinlyTalker(talker=services.address, talker_method=method)
    request = generator.request(image=str(nobody), audio=str(spoken))
    for attempt in (generator.check, lambda request: generator.generate(request, tmp_path / "out.mp4")):
        with pytest.raises(RequestError, match="no face found") as caught:
            attempt(request)
        assert caught.value.kind == "no_face"
    assert services.asked == []


def test_nerf_is_sent_a_picture_that_it_does_not_look_at(make: Make, services: Services) -> None:
    make({"talker_method": "NeRFTalk"}, image=None)
    assert services.asked[-1]["talker_method"] == "NeRFTalk"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_plan_pasted_into_a_shell_makes_the_same_video(
    services: Services, parameters: dict[str, Any], make: Make, tmp_path: Path
) -> None:
    made = make()  # the service has its model
    generator = LinlyTalker(talker=services.address)
    out = tmp_path / "by hand.mp4"
    plan = generator.dry_run(generator.request(**parameters), out)
    assert plan.steps[0].startswith(f"has {services.address} load SadTalker")
    subprocess.run(["/bin/sh", "-c", f"{plan.text()} --silent"], check=True)
    assert out.read_bytes() == Path(made.video).read_bytes()
    by_hand, by_driver = services.asked[-1], services.asked[-2]
    assert by_hand == by_driver


def test_the_doctor_finds_services_up_and_tells_their_models(services: Services, make: Make) -> None:
    generator = LinlyTalker(talker=services.address, tts=services.address)
    before = {finding.about: finding for finding in generator.diagnose()}
    assert {before[about].level for about in ("talker", "tts", "talker model", "tts model")} == {"fine"}
    assert before["talker model"].found.startswith(
        "no model was loaded from this machine; SadTalker is loaded"
    )
    make({"talker_method": "Wav2Lip"})
    after = {finding.about: finding for finding in generator.diagnose()}
    assert after["talker model"].found.startswith(
        "Wav2Lip was the last that was loaded from this machine; SadTalker"
    )
    assert "ffmpeg" in after
    assert [asked for asked in services.asked if "fps" in asked] == services.asked[
        1:
    ]  # it asked for no video


def test_the_doctor_finds_what_is_down(services: Services) -> None:
    services.fail("other service")
    generator = LinlyTalker(talker="http://127.0.0.1:9", llm=services.address, llm_model="Qwen")
    found = {finding.about: finding for finding in generator.diagnose()}
    assert (found["talker"].level, found["llm"].level) == ("stop", "stop")
    assert "nothing answers at http://127.0.0.1:9" in found["talker"].found
    assert "is another service: it does not offer /llm_response/" in found["llm"].found
    assert found["talker"].cure == (
        "start it in its repository with `python api/talker_api.py`, or set talker to where it is"
    )
    assert found["speech"].found == "text is spoken by espeak-ng"


def test_what_is_known_of_its_memory_carries_its_source() -> None:
    request = LinlyTalker().request()
    (estimate,) = LinlyTalker().estimate(request).memory
    assert estimate.source == "FAQ 2.3 of Linly-Talker"
    assert LinlyTalker(talker_method="NeRFTalk").estimate(request).memory == ()
    assert LinlyTalker(talker="http://gpu-server:8003").estimate(request).memory == ()  # not of the GPUs here
