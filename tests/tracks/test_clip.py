"""Loading and using models of open_clip."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.models.brand import network as mark_network
from evalkit.tracks.clip import BATCH, BUNDLED, ClipModel, OpenClipModel, load_clip, load_open_clip


@pytest.fixture(scope="module")
def bundled() -> ClipModel:
    return load_clip(device="cpu")


def draw_pictures(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (int(rng.integers(20, 120)),) * 2 + (3,), np.uint8) for _ in range(n)]


def test_the_bundled_weights_are_small_and_carry_a_card() -> None:
    assert sum(file.stat().st_size for file in mark_network.FOLDER.iterdir()) < 15e6
    assert "not for" in (mark_network.FOLDER / "card.md").read_text("utf-8")


def test_the_bundled_model_knows_marks_only(bundled: ClipModel) -> None:
    assert (bundled.name, bundled.general, len(bundled.weights_hash)) == (BUNDLED, False, 64)


def test_embeddings_are_of_unit_length_and_do_not_depend_on_the_batch(bundled: ClipModel) -> None:
    pictures = draw_pictures(BATCH + 3)
    together = bundled.embed(pictures)
    alone = np.concatenate([bundled.embed([picture]) for picture in pictures[:3]])
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(pictures)), abs=1e-5)
    assert together[:3] == pytest.approx(alone, abs=1e-6)


def test_the_bundled_model_gives_what_open_clip_makes_of_its_weights(bundled: ClipModel) -> None:
    reference = load_clip(BUNDLED, weights=str(mark_network.WEIGHTS_FILE), device="cpu")
    pictures = draw_pictures(40)
    assert bundled.weights_hash == reference.weights_hash
    assert np.abs(bundled.embed(pictures) - reference.embed(pictures)).max() < 2e-6


def test_without_openvino_open_clip_runs_the_bundled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalkit.tracks.clip.find_spec", lambda _: None)
    model = load_clip.__wrapped__()
    assert isinstance(model, OpenClipModel)
    assert (model.name, model.general, model.weights_hash) == (BUNDLED, False, mark_network.weights_hash())


def test_threads_that_begin_at_once_get_a_whole_openvino() -> None:
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from evalkit.tracks.network import load_openvino\n"
        "with ThreadPoolExecutor(8) as threads:\n"
        "    print(set(threads.map(lambda _: hasattr(load_openvino(), 'Core'), range(8))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{True}"


def test_threads_share_the_bundled_model(bundled: ClipModel) -> None:
    pictures = draw_pictures(24)
    expected = bundled.embed(pictures)
    with ThreadPoolExecutor(4) as threads:
        alone = list(threads.map(lambda picture: bundled.embed([picture]), pictures))
    assert np.concatenate(alone) == pytest.approx(expected, abs=1e-6)


def test_the_bundled_model_travels_to_a_worker(bundled: ClipModel) -> None:
    bundled.embed(draw_pictures(1))
    assert len(pickle.dumps(bundled)) < 1000


def test_the_bundled_model_needs_neither_torch_nor_open_clip() -> None:
    code = (
        "import sys, numpy as np\n"
        "from evalkit.tracks.clip import load_clip\n"
        "load_clip().embed([np.zeros((9, 9, 3), np.uint8)])\n"
        "print(sorted({'torch', 'open_clip', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_picture_has_no_embedding(bundled: ClipModel) -> None:
    assert bundled.embed([]).shape == (0, bundled.embed_texts(["a mark"]).shape[1])


def test_words_and_pictures_share_their_space(bundled: ClipModel) -> None:
    words = bundled.embed_texts(["a red logo", "a blue logo"])
    assert words.shape == (2, bundled.embed(draw_pictures(1)).shape[1])
    assert np.linalg.norm(words, axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_weights_from_a_file_are_the_same_model(bundled: ClipModel, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    file = tmp_path / "copy.pt"
    torch.save(load_file(mark_network.WEIGHTS_FILE), file)
    loaded = load_clip(BUNDLED, weights=str(file), device="cpu")
    assert loaded.weights_hash == bundled.weights_hash
    assert loaded.embed(draw_pictures(2)) == pytest.approx(bundled.embed(draw_pictures(2)), abs=1e-5)


def test_a_folder_with_a_model_of_another_architecture(tmp_path: Path) -> None:
    import torch

    settings: dict[str, Any] = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": settings}))
    open_clip = load_open_clip()
    torch.manual_seed(0)
    torch.save(open_clip.CLIP(**settings).state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    model = load_clip(f"local-dir:{tmp_path}", device="cpu")
    assert model.general
    assert model.embed(draw_pictures(2)).shape == (2, 16)
    assert model.embed_texts(["a room"]).shape == (1, 16)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"open_clip knows no model 'ViT-B-33'; it knows for example .*ViT-B-32"
    ):
        load_clip("ViT-B-33/openai")


def test_unknown_weights_are_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"'laion3' is neither a file nor weights of ViT-B-32; known: .*laion2b"
    ):
        load_clip("ViT-B-32/laion3")


def test_a_general_model_needs_to_be_told_its_weights() -> None:
    with pytest.raises(UsageError, match=r"ViT-B-32 needs weights: a file, or one of openai"):
        load_clip("ViT-B-32")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "broken.pt"
    file.write_bytes(b"no weights")
    with pytest.raises(UsageError, match=r"the weights of evalkit-marks cannot be loaded"):
        load_clip(BUNDLED, weights=str(file), device="cpu")


def test_a_missing_download_says_what_to_run_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise FileNotFoundError("no route to host")

    load_open_clip()
    monkeypatch.setattr("open_clip.factory.download_pretrained", unreachable)
    with pytest.raises(UsageError, match=r"where there is a network run python -c .*laion2b_s34b_b79k"):
        load_clip("ViT-B-32/laion2b_s34b_b79k", device="cpu")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"device 'mps:7' cannot be used here .*try cpu"):
        load_clip(device="mps:7")


@pytest.mark.gpu
def test_half_precision_on_a_gpu_gives_nearly_the_same(bundled: ClipModel) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU on this machine")
    pictures = draw_pictures(5)
    half = load_clip(device="cuda")
    assert half.weights_hash == bundled.weights_hash
    assert (half.embed(pictures) * bundled.embed(pictures)).sum(1) == pytest.approx(np.ones(5), abs=5e-3)
