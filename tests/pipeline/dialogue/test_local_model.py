"""A language model on this machine: a real one of transformers, with weights made by hand."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from pipeline.dialogue.base import Passage, Question
from pipeline.dialogue.local_model import LocalModel
from pipeline.errors import GenerationError, RequestError

QUESTION = Question("When do you open?", "en", (Passage("We open at nine.", "a", 1.0, "…"),))


def test_it_answers(language_model: Path) -> None:
    model = LocalModel(model=str(language_model), device="cpu")
    model.check("en")
    for _ in range(2):
        model.load()
        answer = model.answer(QUESTION)
        assert (answer.text, answer.cut) == ("We open at nine.", False)
        model.close()
        model.close()
    assert " says " in model.version


def test_an_answer_without_a_whole_sentence_is_a_failure_that_has_a_kind(language_model: Path) -> None:
    with pytest.raises(GenerationError, match="no words to speak") as caught:
        LocalModel(model=str(language_model), device="cpu", max_tokens=3).answer(QUESTION)
    assert caught.value.kind == "bad_answer"


def test_weights_that_cannot_be_read_are_named(language_model: Path, tmp_path: Path) -> None:
    for path in language_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(GenerationError, match=str(tmp_path)) as caught:
        LocalModel(model=str(tmp_path), device="cpu").load()
    assert caught.value.kind == "load_failed"


@pytest.mark.usefixtures("language_model")
def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"there is no config\.json"):
        LocalModel(model=str(tmp_path))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("pipeline.dialogue.local_model.version_of", missing)
    with pytest.raises(RequestError, match=r"pip install 'evalkit\[transformers\]'"):
        LocalModel(model=str(tmp_path))


def test_the_module_needs_no_library() -> None:
    import subprocess

    code = "import sys, pipeline.dialogue.local_model; print('transformers' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_other_weights_in_a_folder_of_the_same_name_are_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.dialogue.local_model.version_of", lambda _: "5.1")
    (tmp_path / "config.json").write_text("{}")
    versions = set()
    for weights in ("a", "b", "b"):
        (tmp_path / "model.safetensors").write_text(weights)
        versions.add(LocalModel(model=str(tmp_path)).version)
    assert len(versions) == 2
    assert all(version.startswith(f"5.1 {tmp_path.name} ") for version in versions)
