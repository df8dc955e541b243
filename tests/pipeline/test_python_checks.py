"""A Python and its libraries, judged by versions, with Pythons made for it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from pipeline.diagnosis import Diagnosis
from pipeline.gpus import Gpu
from pipeline.python_checks import _PROBE, CV2, LIBROSA, TORCH, Module, Text, check_python
from tests.pipeline.adapters.set_ups import FakePython


@pytest.fixture
def python(tmp_path: Path) -> FakePython:
    """Give a Python with a torch, a numpy and no more."""
    made = FakePython(tmp_path / "python")
    made.install(torch="2.8.0+cu128", numpy="1.26.4")
    return made


def check(python: FakePython, *modules: Module, checkout: Path | None = None) -> dict[str, Diagnosis]:
    found = check_python(str(python.program), modules, checkout, "make a new one")
    assert len({finding.about for finding in found}) == len(found)
    return {finding.about: finding for finding in found}


def test_the_python_that_runs_this(tmp_path: Path) -> None:
    (good,) = check_python(sys.executable, [Module("json"), Module("wave")], tmp_path, "install them")
    assert good.level == "fine"
    assert ".".join(map(str, sys.version_info[:3])) in good.found
    (bad,) = check_python(sys.executable, [Module("json"), Module("no_such_module")], tmp_path, "get another")
    assert (bad.level, "has no no_such_module" in bad.found) == ("stop", True)
    assert bad.cure == f"{sys.executable} -m pip install no_such_module, or get another"
    (gone,) = check_python(str(tmp_path / "python"), [Module("json")], tmp_path, "install them")
    assert "does not run" in gone.found


def see_cuda(python: FakePython, torch: str, *gpus: Gpu, needs_gpu: bool = False) -> dict[str, Diagnosis]:
    python.install(torch=torch)
    found = check_python(
        str(python.program), [Module("torch")], None, "make a new one", gpus=gpus, needs_gpu=needs_gpu
    )
    return {finding.about: finding for finding in found}


H200, A100, B200 = (
    Gpu(0, name, 80000.0, 0.0, capability)
    for name, capability in (("NVIDIA H200", (9, 0)), ("NVIDIA A100", (8, 0)), ("NVIDIA B200", (10, 0)))
)
UNKNOWN = Gpu(1, "a new one", 80000.0, 0.0)


@pytest.mark.parametrize(
    ("torch", "gpus", "needs_gpu", "level"),
    [
        ("2.8.0+cpu", [], True, "stop"),
        ("2.8.0+cpu", [H200], True, "stop"),
        ("2.8.0+cpu", [H200], False, "warning"),
        ("2.8.0+cpu", [], False, None),
        ("2.8.0", [H200], True, None),  # what it was built for is not known
        ("2.8.0+rocm6.3", [H200], True, None),
        ("2.8.0+cu128", [H200, A100, B200], True, None),
        ("1.12.1+cu113", [A100], False, None),
        ("1.12.1+cu113", [H200], False, "stop"),
        ("1.12.1+cu113", [H200, A100], False, None),  # one of them does
        ("2.1.2+cu118", [H200], False, None),
        ("2.5.1+cu124", [B200], False, "stop"),
        ("1.12.1+cu102", [A100], False, "stop"),
        ("1.12.1+cu113", [UNKNOWN], False, None),
    ],
)
def test_what_torch_was_built_for(
    torch: str, gpus: list[Gpu], needs_gpu: bool, level: str | None, python: FakePython
) -> None:
    found = see_cuda(python, torch, *gpus, needs_gpu=needs_gpu).get("CUDA")
    assert (found and found.level) == level
    assert found is None or torch in found.found


def test_what_the_gpu_needs_is_said(python: FakePython) -> None:
    found = see_cuda(python, "1.12.1+cu113", H200)["CUDA"].found
    assert "was built for CUDA 11.3, and NVIDIA H200 is known since 11.8" in found


@pytest.mark.parametrize(
    ("torch", "cv2", "numpy", "reasons"),
    [
        ("2.2.2", "4.10.0.84", "2.1.0", ["torch before 2.3"]),
        ("2.3.0", "4.10.0.84", "2.1.0", []),
        ("2.3.0", "4.9.0.80", "2.1.0", ["OpenCV before 4.10"]),
        ("1.13.1", "4.7.0.72", "2.1.0", ["torch before 2.3", "OpenCV before 4.10"]),
        ("1.13.1", "4.7.0.72", "1.26.4", []),
    ],
)
def test_a_new_numpy_with_what_was_built_for_the_old_one(
    torch: str, cv2: str, numpy: str, reasons: list[str], python: FakePython
) -> None:
    python.install(torch=torch, cv2=cv2, numpy=numpy)
    found = check(python, *TORCH, *CV2).get("numpy")
    assert (found is not None) == bool(reasons)
    assert all(reason in found.found for reason in reasons if found)


def test_versions_are_told_by_the_name_that_was_installed(python: FakePython) -> None:
    python.install(PIL="9.5.0")
    pillow = Module("PIL", installed_as=("Pillow",))
    assert "PIL 9.5.0" in check(python, pillow)["Python"].found
    found = check(python, pillow, Module("PIL", ">=10", "it is old", installed_as=("Pillow",)))["PIL"]
    assert (found.level, found.found) == ("stop", "9.5.0: it is old (it needs >=10)")
    assert found.cure.endswith("-m pip install 'Pillow>=10'")


def test_several_reasons_are_one_finding(python: FakePython) -> None:
    needs = [Module("numpy", "<1.24", "np.float is gone"), Module("numpy", "<1.20", "so is this")]
    found = check(python, *needs)["numpy"]
    assert found.found == "1.26.4: np.float is gone (it needs <1.24); so is this (it needs <1.20)"
    assert found.cure.endswith("'numpy<1.24,<1.20'")


def test_what_only_a_list_of_requirements_asks_for_is_a_warning(python: FakePython) -> None:
    assert check(python, Module("numpy", "<1", "it asks", is_certain=False))["numpy"].level == "warning"


def test_a_missing_module_is_installed_in_a_version_that_does(python: FakePython) -> None:
    found = check(python, Module("librosa"), Module("librosa", "<0.10", "mel() takes no positions"))
    assert list(found) == ["Python"]
    assert "has no librosa (librosa: mel()" in found["Python"].found
    assert "pip install 'librosa<0.10', or make a new one" in found["Python"].cure


@pytest.mark.parametrize(("text", "asked_for"), [("np.float", True), ("float", False), (None, True)])
def test_a_need_rests_on_what_the_source_says(
    text: str | None, asked_for: bool, python: FakePython, tmp_path: Path
) -> None:
    need = Module("numpy", "<1.24", "np.float is gone", Text("a.py", "np.float"))
    if text is not None:
        (tmp_path / "a.py").write_text(f"x.astype({text})\n")
    assert ("numpy" in check(python, need, checkout=tmp_path)) == asked_for


@pytest.mark.parametrize(("text", "asked_for"), [("old_name", True), ("new", False), (None, True)])
def test_a_need_rests_on_what_an_installed_module_says(
    text: str | None, asked_for: bool, python: FakePython
) -> None:
    python.install(basicsr="1.4.2")
    if text is not None:
        python.write("basicsr", "data/a.py", f"from torchvision import {text}\n")
    python.install(torchvision="0.20")
    need = Module("torchvision", "<0.17", "the name is gone", Text("data/a.py", "old_name", "basicsr"))
    assert ("torchvision" in check(python, need)) == asked_for


@pytest.mark.parametrize(
    ("librosa", "numpy", "setuptools", "wrong"),
    [
        ("0.11.0", "2.1.0", None, set()),
        ("0.9.2", "2.1.0", "68.0", set()),
        ("0.9.2", "1.23.5", None, {"Python"}),  # no pkg_resources
        ("0.8.1", "1.26.4", "68.0", {"numpy"}),
        ("0.8.1", "1.23.5", "68.0", set()),
    ],
)
def test_what_older_librosas_need(
    librosa: str, numpy: str, setuptools: str | None, wrong: set[str], python: FakePython
) -> None:
    python.install(librosa=librosa, numpy=numpy)
    if setuptools is not None:
        python.install(pkg_resources=setuptools)
    found = check(python, *LIBROSA)
    assert {about for about, finding in found.items() if finding.level != "fine"} == wrong
    if wrong == {"Python"}:
        assert "has no pkg_resources" in found["Python"].found
        assert "'setuptools<82'" in found["Python"].cure


def test_either_of_two_modules_does(python: FakePython) -> None:
    need = Module("flash_attn", instead=("flash_attn_interface",), installed_as=("flash-attn",))
    assert "has no flash_attn and no flash_attn_interface" in check(python, need)["Python"].found
    python.install(flash_attn_interface="3.0")
    assert "flash_attn_interface 3.0" in check(python, need)["Python"].found


def test_a_folder_beside_the_program_is_no_module(python: FakePython, tmp_path: Path) -> None:
    (tmp_path / "gfpgan" / "weights").mkdir(parents=True)  # SadTalker keeps weights there
    assert "has no gfpgan" in check(python, Module("gfpgan"), checkout=tmp_path)["Python"].found


def test_the_variables_of_the_program_count(python: FakePython, tmp_path: Path) -> None:
    other = FakePython(tmp_path / "other")
    other.install(decord="0.6")
    modules = [Module("decord")]
    assert check(python, *modules)["Python"].level == "stop"
    found = check_python(str(python.program), modules, None, "-", environment={"PYTHONPATH": str(other.site)})
    assert found[0].level == "fine"


def test_a_python_that_cannot_read_the_code(python: FakePython) -> None:
    (found,) = check_python(str(python.program), [Module("torch")], None, "make a new one", versions=">=3.99")
    assert (found.level, found.cure) == ("stop", "make a new one")
    assert "its code needs Python >=3.99" in found.found


def test_a_version_that_cannot_be_read_is_not_judged(python: FakePython) -> None:
    python.install(numpy="unknown")
    assert set(check(python, Module("numpy", "<1", "old"))) == {"Python"}


@pytest.mark.usefixtures("python")
def test_a_path_is_meant_from_here_and_not_from_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (found,) = check_python("python/python", [Module("torch")], checkout, "-")
    assert found.level == "fine", found.found


def test_a_name_is_sought_on_the_path_that_the_program_is_given(python: FakePython) -> None:
    path = {"PATH": f"{python.folder}:/usr/bin:/bin"}
    (found,) = check_python("python", [Module("torch")], None, "-", environment=path)
    assert "torch 2.8.0+cu128" in found.found


def test_what_depends_on_a_version_that_is_not_known_is_not_asked_for(python: FakePython) -> None:
    python.install(torch="1.13.1", numpy="2.1.0")
    assert "numpy" in check(python, *TORCH)
    (record,) = python.site.glob("torch-*.dist-info")
    (record / "METADATA").unlink()
    record.rmdir()
    assert set(check(python, *TORCH)) == {"Python"}


def test_an_old_python_can_be_asked() -> None:
    assert ast.parse(_PROBE, feature_version=(3, 6)).body
