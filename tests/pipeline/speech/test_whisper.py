"""faster-whisper as a recogniser: what it is refused without, and what it is asked with."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import GenerationError, RequestError
from pipeline.recogniser import Word
from pipeline.speech.whisper import FasterWhisper

MODEL = bytes.fromhex("06000000 0c00") + b"WhisperSpec\0" + b"weights"
"""As CTranslate2 writes it: format, length and name of the kind, then the rest."""


class Model:
    """Stands in for the library's model, with its documented interface."""

    made: list[Model]
    loops = False
    length_s = 10.0

    def __init__(self, path: str, **settings: Any) -> None:
        if settings["device"] == "cuda":
            raise RuntimeError("CUDA driver version is insufficient")
        self.path, self.settings = path, settings
        self.model = SimpleNamespace(is_multilingual=not path.endswith(".en"))
        self.heard: list[tuple[int, dict[str, Any]]] = []
        Model.made.append(self)

    def transcribe(self, samples: Any, **options: Any) -> tuple[Any, None]:
        """Return two segments, lazily, as the library does."""
        self.heard.append((samples.size, options))
        loops = Model.loops and "no_repeat_ngram_size" not in options
        words = [
            SimpleNamespace(word=" 你", start=0.1, end=0.2),
            SimpleNamespace(word=" ", start=0.2, end=0.3),
        ]
        texts = (" beep" * 99,) if loops else (" 你好。", " 再见。")
        ratio = 9.0 if loops else 1.1
        return (
            SimpleNamespace(text=text, words=words, compression_ratio=ratio, start=0.0, end=Model.length_s)
            for text in texts
        ), None


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in in the library's place."""
    Model.made = []
    module = ModuleType("faster_whisper")
    module.WhisperModel = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    monkeypatch.setattr("pipeline.speech.whisper.version_of", lambda _: "1.2.1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the files of a model."""
    path = tmp_path / "small"
    path.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (path / name).write_text("x")
    (path / "model.bin").write_bytes(MODEL)
    return path


@pytest.mark.usefixtures("library")
def test_all_segments_are_written_down(folder: Path, spoken: Path) -> None:
    recogniser = FasterWhisper(model=str(folder), compute_type="int8")
    heard = recogniser.recognise(spoken, "cmn")
    assert (heard.text, heard.version) == ("你好。 再见。", recogniser.version)
    assert recogniser.version.startswith("1.2.1 small ")
    assert heard.duration_s == pytest.approx(2.0)
    (model,) = Model.made
    expected = {"device": "auto", "compute_type": "int8", "local_files_only": True, "files": None}
    assert (model.path, model.settings) == (str(folder), expected)
    ((n_samples, options),) = model.heard
    assert (n_samples, options["language"], options["word_timestamps"]) == (32000, "zh", True)
    assert options["temperature"] == 0.0  # nothing is drawn at random: the same sound gives the same words
    assert heard.words == (Word("你", 0.1, 0.2),) * 2
    recogniser.close()
    recogniser.close()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("length_s", "text"), [(0.05, "你好。 再见。"), (0.04, "")])
def test_what_nobody_could_say_so_fast_was_made_up(
    folder: Path, spoken: Path, length_s: float, text: str, monkeypatch
) -> None:
    """Three letters at 40 a second, and one that may be rounded off, take 0.05 s."""
    monkeypatch.setattr(Model, "length_s", length_s)
    assert FasterWhisper(model=str(folder)).recognise(spoken, "cmn").text == text


@pytest.mark.usefixtures("library")
def test_what_repeats_itself_is_asked_again(folder: Path, spoken: Path, monkeypatch) -> None:
    monkeypatch.setattr(Model, "loops", True)
    assert FasterWhisper(model=str(folder)).recognise(spoken, "cmn").text == "你好。 再见。"
    (model,) = Model.made
    assert [options.get("no_repeat_ngram_size") for _, options in model.heard] == [None, 5]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("language", "served"), [("en", True), ("cmn", True), ("zh", True), ("pt-BR", True), ("xx", False)]
)
def test_it_serves_whisper_s_languages(folder: Path, language: str, served: bool) -> None:
    assert FasterWhisper(model=str(folder)).serves(language) is served


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("n_tokens", "german"), [(51864, False), (51865, True), (51866, True)])
@pytest.mark.parametrize("name", ["vocabulary.txt", "vocabulary.json"])
def test_the_vocabulary_says_whether_it_is_for_english_alone(
    folder: Path, name: str, n_tokens: int, german: bool
) -> None:
    tokens = list(map(str, range(n_tokens)))
    text = json.dumps(tokens) if name.endswith(".json") else "".join(f"{token}\n" for token in tokens)
    (folder / name).write_text(text.rstrip("\n") if n_tokens % 2 else text)
    recogniser = FasterWhisper(model=str(folder))
    assert (recogniser.serves("en-GB"), recogniser.serves("de")) == (True, german)
    assert Model.made == []


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytes.fromhex("06000000 1000") + b"TransformerSpec\0", "is a TransformerSpec and no Whisper model"),
        (b"PK\x03\x04 a file of torch", "is not in CTranslate2's format"),
        (b"", "is not in CTranslate2's format"),
    ],
)
def test_weights_of_another_kind_are_refused(folder: Path, content: bytes, words: str) -> None:
    (folder / "model.bin").write_bytes(content)
    with pytest.raises(RequestError, match=words):
        FasterWhisper(model=str(folder))


@pytest.mark.usefixtures("library")
def test_a_folder_of_transformers_is_told_what_converts_it(folder: Path) -> None:
    (folder / "model.bin").rename(folder / "model.safetensors")
    with pytest.raises(
        RequestError, match=r"no model\.bin; .*transformers' format: ct2-transformers-converter"
    ):
        FasterWhisper(model=str(folder))


@pytest.mark.usefixtures("library")
def test_a_model_for_english_alone_is_found_out_when_it_is_loaded(folder: Path, spoken: Path) -> None:
    english = folder.rename(folder.with_name("small.en"))
    recogniser = FasterWhisper(model=str(english))
    with pytest.raises(RequestError, match="does not understand the language 'de'"):
        recogniser.recognise(spoken, "de")


@pytest.mark.usefixtures("library")
def test_a_model_that_does_not_load_is_named(folder: Path) -> None:
    with pytest.raises(GenerationError, match="small' cannot be loaded: CUDA driver") as caught:
        FasterWhisper(model=str(folder), device="cuda").load()
    assert caught.value.kind == "load_failed"


@pytest.mark.usefixtures("library")
def test_a_name_that_would_be_downloaded_is_refused() -> None:
    with pytest.raises(RequestError, match=r"'large-v3': there is no config\.json"):
        FasterWhisper(model="large-v3")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("pipeline.speech.whisper.version_of", missing)
    with pytest.raises(RequestError, match=r"pip install 'evalkit\[faster-whisper\]'"):
        FasterWhisper(model=str(folder))


@pytest.mark.usefixtures("library")
def test_a_worker_that_is_ended_leaves_no_semaphore_behind(folder: Path, spoken: Path) -> None:
    """The library draws its progress with tqdm, whose own lock is one of the whole system."""
    tqdm = pytest.importorskip("tqdm").tqdm
    FasterWhisper(model=str(folder)).recognise(spoken, "en")
    assert isinstance(tqdm.get_lock(), type(threading.RLock()))


@pytest.mark.usefixtures("library")
def test_other_weights_in_a_folder_of_the_same_name_are_another_version(folder: Path) -> None:
    before = FasterWhisper(model=str(folder))
    assert FasterWhisper(model=str(folder)).version == before.version
    assert FasterWhisper(model=str(folder), compute_type="int8").version != before.version
    assert before.weights == {"whisper small": hashlib.sha256(MODEL).hexdigest()}
    (folder / "model.bin").write_bytes(MODEL + b"!")
    os.utime(folder / "model.bin", ns=(1, 1))  # clocks of file systems may be coarse
    after = FasterWhisper(model=str(folder))
    assert after.version != before.version
    assert after.weights == {"whisper small": hashlib.sha256(MODEL + b"!").hexdigest()}
