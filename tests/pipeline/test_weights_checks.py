"""Files of weights, good and bad, written by the libraries that programs read them with."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline.reach import find_no_way
from pipeline.weights_checks import (
    check_fetched_weights,
    check_model_folder,
    check_s3fd,
    check_weights,
)

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 4265380512\n"
TENSORS = {"layer.weight": torch.arange(200_000, dtype=torch.float32)}
"""0.76 MiB."""


def test_weights_are_counted_and_weighed(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(bytes(3 * 1024 * 1024))
    (tmp_path / "config.json").write_text("{}")
    finding = check_weights("checkpoint", tmp_path, "fetch them")
    assert finding.level == "fine"
    assert "3 MiB in 2 files" in finding.found


@pytest.mark.parametrize("what", ["gone", "empty folder", "empty file"])
def test_no_weights(what: str, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    if what == "empty folder":
        path.mkdir()
    elif what == "empty file":
        path.touch()
    finding = check_weights("checkpoint", path, "fetch them")
    assert (finding.level, finding.cure) == ("stop", "fetch them")


def test_a_pointer_in_place_of_the_weights(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.safetensors").write_text(POINTER)
    (tmp_path / "vae.pth").write_bytes(bytes(5000))
    finding = check_weights("checkpoint", tmp_path, "fetch them")
    assert finding.level == "stop"
    assert "model.safetensors: a git-lfs pointer" in finding.found
    assert "git lfs pull" in finding.cure


def test_a_large_file_that_begins_like_a_pointer_is_none(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(POINTER.encode() + bytes(5000))
    assert check_weights("checkpoint", path, "fetch it").level == "fine"


def test_a_shard_that_the_index_names_and_is_not_there(tmp_path: Path) -> None:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (tmp_path / shards["a"]).write_bytes(bytes(5000))
    finding = check_weights("checkpoint", tmp_path, "fetch them")
    assert finding.level == "stop"
    assert shards["b"] in finding.found
    (tmp_path / shards["b"]).write_bytes(bytes(5000))
    assert check_weights("checkpoint", tmp_path, "fetch them").level == "fine"


# --- what is in the files


def save_zip(path: Path) -> None:
    torch.save(TENSORS, path)


def save_pickle(path: Path) -> None:
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)


def save_script(path: Path) -> None:
    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weight

    module = Double()
    module.weight = torch.nn.Parameter(TENSORS["layer.weight"])
    torch.jit.trace(module, (torch.ones(200_000),)).save(str(path))


def save_tensors(path: Path) -> None:
    """Write as https://huggingface.co/docs/safetensors has it: length, header, numbers."""
    numbers = TENSORS["layer.weight"].numpy().tobytes()
    header = {"w": {"dtype": "F32", "shape": [200_000], "data_offsets": [0, len(numbers)]}}
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + numbers)


SAVED: list[tuple[str, Callable[[Path], None]]] = [
    ("a.pth", save_zip),
    ("b.pth.tar", save_pickle),
    ("c.safetensors", save_tensors),
]


@pytest.mark.parametrize(("name", "save"), SAVED)
def test_whole_files_are_fine(name: str, save: Callable[[Path], None], tmp_path: Path) -> None:
    save(tmp_path / name)
    found = check_weights("checkpoint", tmp_path / name, "fetch it", least_mib=0.5)
    assert found.level == "fine", found.found


@pytest.mark.parametrize(("name", "save"), [SAVED[0], SAVED[2]])
def test_a_file_that_is_cut_off(name: str, save: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / name
    save(path)
    path.write_bytes(path.read_bytes()[:-1000])
    found = check_weights("checkpoint", path, "fetch it", least_mib=0.5)
    assert found.level == "stop"
    assert "is cut off" in found.found
    assert found.cure == "remove it and fetch it"


def test_weights_of_26_bytes_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"abcdefghijklmnopqrstuvwxyz")
    found = check_weights("checkpoint", tmp_path / "x.pth", "fetch it", least_mib=100)
    assert (found.level, found.cure) == ("stop", "remove it and fetch it")
    assert "holds 2.5e-05 MiB, and such weights have 100 MiB at the least" in found.found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_archive_is_no_checkpoint(tmp_path: Path) -> None:
    save_script(tmp_path / "x.pth")
    found = check_weights("checkpoint", tmp_path / "x.pth", "fetch it", least_mib=0.5)
    assert found.level == "stop"
    assert "TorchScript" in found.found


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_page_of_the_web_in_place_of_the_weights(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"<!DOCTYPE html>" + bytes(1024 * 1024))
    found = check_weights("checkpoint", tmp_path / name, "fetch it", least_mib=0.5)
    assert found.level == "stop"
    assert "page of the web" in found.found


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_file_that_begins_as_none_of_them_may_fail(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nonsense" * 200_000)
    found = check_weights("checkpoint", tmp_path / name, "fetch it", least_mib=0.5)
    assert found.level == "warning"
    assert "does not begin as weights do" in found.found


# --- folders of models


def check_vae(folder: Path) -> tuple[str, str]:
    names = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
    found = check_model_folder("vae", folder, ("config.json",), names, "fetch it", least_mib=0.5)
    return found.level, found.found


def test_a_folder_of_a_model_in_either_form(tmp_path: Path) -> None:
    assert check_vae(tmp_path)[1].endswith("has no config.json")
    (tmp_path / "config.json").write_text("{}")
    level, found = check_vae(tmp_path)
    assert level == "stop"
    assert "has neither diffusion_pytorch_model.safetensors nor diffusion_pytorch_model.bin" in found
    save_zip(tmp_path / "diffusion_pytorch_model.bin")
    assert check_vae(tmp_path)[0] == "fine"
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"x")  # the one that is read first
    level, found = check_vae(tmp_path)
    assert level == "stop"
    assert "such weights have" in found


def test_shards_count_and_nothing_else_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    save_zip(tmp_path / "something_else.pth")
    index = {"weight_map": {"a": "model-1.safetensors"}}
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-1.safetensors: named in the index" in check_vae(tmp_path)[1]
    (tmp_path / "model-1.safetensors").write_bytes(b"x")
    assert "such weights have" in check_vae(tmp_path)[1]
    save_tensors(tmp_path / "model-1.safetensors")
    assert check_vae(tmp_path)[0] == "fine"


# --- what a program fetches by itself


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise OSError("no route to host")

    monkeypatch.setattr(socket, "create_connection", refuse)


def fetched(tmp_path: Path, environment: dict[str, str] | None = None) -> tuple[str, str]:
    places = [tmp_path / "here.pth", tmp_path / "cache.pth"]
    found = check_fetched_weights(
        "face finder", places, "https://example.org/x.pth", least_mib=0.5, environment=environment
    )
    return found.level, found.found


@pytest.mark.usefixtures("no_network")
def test_what_is_neither_there_nor_to_be_had(tmp_path: Path) -> None:
    level, found = fetched(tmp_path)
    assert level == "stop"
    assert "here.pth is not there, and its code fetches it at the start" in found
    assert "example.org does not answer (no route to host)" in found


@pytest.mark.usefixtures("no_network")
def test_what_was_fetched_before(tmp_path: Path) -> None:
    save_zip(tmp_path / "cache.pth")
    assert fetched(tmp_path)[0] == "fine"
    (tmp_path / "here.pth").write_bytes(b"26 bytes")
    assert fetched(tmp_path)[0] == "stop"  # it looks there first


def test_a_host_that_answers_leaves_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        level, found = fetched(tmp_path, {"HTTPS_PROXY": proxy})
        assert (level, "0.5 MiB or more" in found) == ("warning", True)
    assert "127.0.0.1 does not answer" in find_no_way("https://example.org", {"HTTPS_PROXY": proxy})


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        ("TORCH_HOME", "hub/checkpoints"),
        ("XDG_CACHE_HOME", "torch/hub/checkpoints"),
        ("HOME", ".cache/torch/hub/checkpoints"),
    ],
)
def test_the_cache_is_where_torch_has_it(
    variable: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    assert cache == tmp_path / folder  # torch itself says so
    cache.mkdir(parents=True)
    with (cache / "s3fd-619a316812.pth").open("wb") as stream:
        stream.write(b"\x80\x02")
        stream.truncate(80 * 1024 * 1024)
    monkeypatch.delenv(variable)
    assert check_s3fd(tmp_path / "s3fd.pth", {variable: str(tmp_path)}).level == "fine"
    assert check_s3fd(tmp_path / "s3fd.pth", {"HOME": str(tmp_path / "other")}).level == "stop"
