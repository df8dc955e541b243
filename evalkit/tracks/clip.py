"""Any model of open_clip: pictures and words as unit vectors. The bundled one knows marks and needs no download.

The bundled one makes vectors of pictures without torch and open_clip, whose import takes longer than a clip.
"""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.models.brand import network as mark_network
from evalkit.tracks.base import load_library
from evalkit.tracks.network import load_openvino
from pipeline.extras import find_missing

BUNDLED = mark_network.NAME
BATCH = 64


@cache
def load_open_clip() -> Any:
    """Import open_clip and make the bundled architecture known to it.

    torchvision's Python part registers shapes for its compiled operators when it is imported, and fails on a torch
    for which they were not compiled. open_clip needs none of these operators, so naming them is enough.
    """
    torch = load_library("torch")
    if not hasattr(torch.ops.torchvision, "nms"):
        torch.library.define(
            "torchvision::nms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
        torch.library.define(
            "torchvision::qnms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
    open_clip = load_library("open_clip")
    open_clip.add_model_config(mark_network.FOLDER)
    return open_clip


@dataclass(frozen=True)
class ClipModel(ABC):
    """A model that makes vectors of pictures and words. Made by `load_clip`.

    Parameters
    ----------
    name
        Architecture and weights, as a result names them.
    weights_hash
        SHA-256 of all weights in single precision: the same for a checkpoint in any file format.
    general
        True if it aligns pictures of anything with words; the bundled one knows marks only.
    """

    name: str
    weights_hash: str
    general: bool

    def embed(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed pictures.

        Parameters
        ----------
        pictures
            RGB, each (height, width, 3) of its own size.

        Returns
        -------
        FloatArray, shape (n, dimensions)
            Of unit length; (0, dimensions) for no picture. Half precision on a GPU, `BATCH` pictures at a time.
        """
        settings = self._preprocessing()
        scale = 255 * np.asarray(settings["std"], np.float32)
        shift = np.asarray(settings["mean"], np.float32) / np.asarray(settings["std"], np.float32)
        rows = []
        for some in _batches(pictures):
            stack = np.stack([_fit(picture, settings) for picture in some]) / scale - shift
            rows.append(_as_units(self._encode(stack.transpose(0, 3, 1, 2))))
        return np.concatenate(rows) if rows else np.empty((0, self._n_dimensions()), np.float32)

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed words, as `embed` does pictures."""

    @abstractmethod
    def _preprocessing(self) -> Mapping[str, Any]:
        """Return open_clip's settings of what is done to a picture first."""

    @abstractmethod
    def _encode(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make vectors of standardised pictures, shape (n, 3, height, width)."""

    @abstractmethod
    def _n_dimensions(self) -> int: ...


class MarkModel(ClipModel):
    """The bundled model on the processor, by OpenVINO. Its words alone need open_clip."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed words; see `ClipModel.embed_texts`."""
        return load_clip(BUNDLED, weights=str(mark_network.WEIGHTS_FILE), device="cpu").embed_texts(texts)

    def _preprocessing(self) -> Mapping[str, Any]:
        return {**mark_network.PREPROCESSING, "size": mark_network.shape().size_px}

    def _encode(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        return mark_network.embed(pictures, load_openvino())

    def _n_dimensions(self) -> int:
        return mark_network.shape().n_dimensions


@dataclass(frozen=True)
class OpenClipModel(ClipModel):
    """A model that open_clip runs.

    Parameters
    ----------
    network, tokenizer, device
        What open_clip made, and where it runs.
    """

    network: Any
    tokenizer: Any
    device: str

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed words; see `ClipModel.embed_texts`."""
        torch = load_library("torch")
        with torch.inference_mode():
            rows = [
                _as_units(_numbers(self.network.encode_text(self.tokenizer(list(some)).to(self.device))))
                for some in _batches(texts)
            ]
        return np.concatenate(rows) if rows else np.empty((0, self._n_dimensions()), np.float32)

    def _preprocessing(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.network.visual.preprocess_cfg
        return settings

    def _encode(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        torch = load_library("torch")
        dtype = next(self.network.visual.parameters()).dtype
        with torch.inference_mode():
            return _numbers(self.network.encode_image(torch.from_numpy(pictures).to(self.device, dtype)))

    def _n_dimensions(self) -> int:
        return int(self.network.visual.output_dim)


def _numbers(tensor: Any) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = tensor.float().cpu().numpy()
    return numbers


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _as_units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, np.float32)


def _fit(picture: NDArray[np.uint8], settings: Mapping[str, Any]) -> NDArray[np.float32]:
    """Bring a picture to the model's size the way the model was trained: cut, squeezed or framed."""
    cv2 = load_library("cv2")
    size = settings["size"]
    height, width = (size, size) if isinstance(size, int) else size
    rows, columns = picture.shape[:2]
    if settings["resize_mode"] == "shortest":  # the largest part of the wanted proportions, from the middle
        part = min(rows / height, columns / width)
        tall, wide = max(1, round(height * part)), max(1, round(width * part))
        top, left = (rows - tall) // 2, (columns - wide) // 2
        picture = picture[top : top + tall, left : left + wide]
    elif settings["resize_mode"] == "longest":
        part = max(rows / height, columns / width)
        more_rows, more_columns = round(height * part) - rows, round(width * part) - columns
        edges = (
            more_rows // 2,
            more_rows - more_rows // 2,
            more_columns // 2,
            more_columns - more_columns // 2,
        )
        picture = cv2.copyMakeBorder(
            picture, *edges, cv2.BORDER_CONSTANT, value=(settings["fill_color"],) * 3
        )
    shrinks = picture.shape[0] > height
    fitted = cv2.resize(
        picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return np.asarray(fitted, np.float32)


@lru_cache(maxsize=2)
def load_clip(name: str = BUNDLED, *, weights: str | None = None, device: str | None = None) -> ClipModel:
    """Load an open_clip model; the two used last stay loaded.

    Parameters
    ----------
    name
        An architecture of open_clip, "architecture/tag", "local-dir:FOLDER", or the bundled one.
    weights
        A tag of open_clip's pretrained weights, or a file; needs none with the bundled model or a folder.
    device
        As torch names it; None is a GPU where there is one, and the processor for the bundled model, which is so small.

    Raises
    ------
    UsageError
        For an unknown architecture, tag, file or device, and for weights that are not here and cannot be fetched.
    """
    if weights is None and "/" in name and not name.startswith(("local-dir:", "hf-hub:")):
        name, weights = name.split("/", 1)
    if name == BUNDLED and weights is None and device in {None, "cpu"} and find_spec("openvino") is not None:
        return MarkModel(BUNDLED, mark_network.weights_hash(), general=False)
    if missing := find_missing("clip"):
        place = f" on {device}" if device else ""
        raise UsageError(f"the CLIP model {name} cannot be used{place}: {missing}")
    torch, open_clip = load_library("torch"), load_open_clip()
    device = _choose_device(torch, device)
    pretrained = str(mark_network.WEIGHTS_FILE) if name == BUNDLED and weights is None else weights
    _refuse_unknown(open_clip, name, pretrained)
    try:
        network = _create_quietly(open_clip, name, pretrained)
    except Exception as failure:
        raise UsageError(_how_to_get(name, weights, failure)) from failure
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(np.ascontiguousarray(value.float().numpy()).tobytes())
    network = network.eval().to(device)
    fast = {"dtype": torch.half} if device.startswith("cuda") else {"memory_format": torch.channels_last}
    network = network.to(**fast)  # channels last: convolutions on a CPU are three times as fast
    label = name if weights is None else f"{name}/{Path(weights).name}"
    general = name != BUNDLED
    return OpenClipModel(label, digest.hexdigest(), general, network, open_clip.get_tokenizer(name), device)


def _choose_device(torch: Any, device: str | None) -> str:
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as failure:
        reason = str(failure).splitlines()[0]
        raise UsageError(f"device {device!r} cannot be used here ({reason}); try cpu") from failure
    return device


def _refuse_unknown(open_clip: Any, name: str, pretrained: str | None) -> None:
    if name.startswith(("local-dir:", "hf-hub:")):
        return
    known = open_clip.list_models()
    if name not in known:
        near = [other for other in known if name.lower()[:5] in other.lower()] or known
        raise UsageError(f"open_clip knows no model {name!r}; it knows for example {', '.join(near[:6])}")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained is None:
        raise UsageError(f"{name} needs weights: a file, or one of {', '.join(tags) or 'no known tags'}")
    if pretrained not in tags and not Path(pretrained).is_file():
        raise UsageError(
            f"{pretrained!r} is neither a file nor weights of {name}; known: {', '.join(tags) or 'none'}"
        )


def _create_quietly(open_clip: Any, name: str, pretrained: str | None) -> Any:
    """Create the model without open_clip's own account of it on the root logger."""
    level = logging.root.level
    logging.disable(logging.ERROR)
    try:
        return open_clip.create_model(name, pretrained=pretrained, device="cpu", require_pretrained=True)
    finally:
        logging.disable(level if level < logging.DEBUG else logging.NOTSET)


def _how_to_get(name: str, weights: str | None, failure: Exception) -> str:
    reason = (str(failure) or type(failure).__name__).splitlines()[0][:160]
    if weights is None or Path(weights).is_file():
        return f"the weights of {name} cannot be loaded: {reason}"
    fetch = f"python -c \"import open_clip; open_clip.create_model('{name}', '{weights}')\""
    return (
        f"the weights {weights} of {name} are not on this machine and cannot be fetched ({reason}); where there is a "
        f"network run {fetch}, then copy ~/.cache/huggingface here, or give the weights as a local file"
    )
