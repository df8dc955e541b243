"""The picture half of the bundled model, run by OpenVINO (card.md says what it was trained on).

The architecture is that of open_clip for ``evalkit-marks.json``: a ModifiedResNet (A. Radford et al., Learning
transferable visual models from natural language supervision, ICML 2021), whose last layer is a pooling by attention.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]

NAME = "evalkit-marks"
FOLDER = Path(__file__).parent
WEIGHTS_FILE = FOLDER / f"{NAME}.safetensors"
PREPROCESSING: Mapping[str, Any] = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "resize_mode": "shortest",
}
"""What open_clip does to a picture first, beside its size."""
_EPSILON = np.float32(1e-5)
"""Of torch's batch normalisation."""


class Shape(NamedTuple):
    """What decides the network's form.

    Parameters
    ----------
    size_px : int
        Side of the square pictures.
    n_blocks : tuple of int
        Blocks a layer.
    n_heads : int
        Of the attention.
    n_dimensions : int
        Of the vectors.
    """

    size_px: int
    n_blocks: tuple[int, ...]
    n_heads: int
    n_dimensions: int


@cache
def shape() -> Shape:
    """Return the form of the shipped network."""
    settings = json.loads((FOLDER / f"{NAME}.json").read_text("utf-8"))
    vision = settings["vision_cfg"]
    n_heads = vision["width"] * 32 // vision["head_width"]
    return Shape(vision["image_size"], tuple(vision["layers"]), n_heads, settings["embed_dim"])


@cache
def weights_hash() -> str:
    """Return the SHA-256 of all weights in single precision, words' too: the one that open_clip's model has."""
    digest = hashlib.sha256()
    for name, values in sorted(_read_weights().items()):
        digest.update(name.encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def embed(pictures: NDArray[np.float32], openvino: Any) -> NDArray[np.float32]:
    """Make vectors of pictures, not yet of unit length.

    Parameters
    ----------
    pictures : float32 array, shape (n, 3, size, size)
        Standardised as open_clip does it.
    openvino : module

    Returns
    -------
    float32 array, shape (n, dimensions)
    """
    vectors: NDArray[np.float32] = _network(openvino).create_infer_request().infer([pictures])[0]
    return vectors


def _read_weights() -> Weights:
    from safetensors.numpy import load_file

    return {name: np.asarray(values, np.float32) for name, values in load_file(WEIGHTS_FILE).items()}


@cache
def _network(openvino: Any) -> Any:
    """Return the compiled network: single precision everywhere, and one thread, for it is too small for two."""
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    return openvino.Core().compile_model(_build(_read_weights(), shape(), openvino), "CPU", settings)


def _build(weights: Weights, form: Shape, openvino: Any) -> Any:
    """Put the network together."""
    graph = _Graph(weights, openvino.opset13)
    pictures = graph.op.parameter([-1, 3, form.size_px, form.size_px], np.float32)
    seen = graph.convolve(pictures, "conv1", "bn1", stride=2)
    seen = graph.convolve(graph.convolve(seen, "conv2", "bn2"), "conv3", "bn3")
    seen = graph.halve(seen)
    for layer, n_blocks in enumerate(form.n_blocks, 1):
        for block in range(n_blocks):
            is_first = block == 0
            seen = graph.block(
                seen, f"layer{layer}.{block}", is_first=is_first, halves=is_first and layer > 1
            )
    return openvino.Model([graph.pool_by_attention(seen, form.n_heads)], [pictures], NAME)


@dataclass(frozen=True)
class _Graph:
    """Adds the layers of one network to each other.

    Parameters
    ----------
    weights : mapping of str to float32 arrays
    op : module
        OpenVINO's operations.
    """

    weights: Weights
    op: Any

    def convolve(self, x: Any, name: str, norm: str, *, stride: int = 1, rectify: bool = True) -> Any:
        """Convolve, with the batch normalisation that follows folded in."""
        kernel = self.weights[f"visual.{name}.weight"]
        gain, shift, mean, variance = (
            self.weights[f"visual.{norm}.{what}"]
            for what in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + _EPSILON)
        edges = [kernel.shape[2] // 2] * 2
        kernel = self.op.constant(kernel * scale[:, None, None, None])
        x = self.op.convolution(x, kernel, [stride] * 2, edges, edges, [1, 1])
        x = self.op.add(x, self.op.constant((shift - mean * scale)[:, None, None]))
        return self.op.relu(x) if rectify else x

    def halve(self, x: Any) -> Any:
        """Halve the resolution by means of 2 × 2 pixels."""
        return self.op.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=False)

    def block(self, x: Any, name: str, *, is_first: bool, halves: bool) -> Any:
        """Add a residual block of three convolutions; the first of a layer may halve the resolution."""
        changed = self.convolve(x, f"{name}.conv1", f"{name}.bn1")
        changed = self.convolve(changed, f"{name}.conv2", f"{name}.bn2")
        if halves:
            x, changed = self.halve(x), self.halve(changed)
        changed = self.convolve(changed, f"{name}.conv3", f"{name}.bn3", rectify=False)
        if is_first:
            x = self.convolve(x, f"{name}.downsample.0", f"{name}.downsample.1", rectify=False)
        return self.op.relu(self.op.add(x, changed))

    def pool_by_attention(self, x: Any, n_heads: int) -> Any:
        """Pool places into one vector: their mean asks, all of them and the mean answer."""
        places = self.weights["visual.attnpool.positional_embedding"]
        n_places, width = places.shape
        x = self.op.transpose(self.op.reshape(x, [0, width, n_places - 1], True), [0, 2, 1])
        mean = self.op.reduce_mean(x, [1], keep_dims=True)
        x = self.op.add(self.op.concat([mean, x], 1), self.op.constant(places))
        per_head = width // n_heads
        asked, keys, values = (
            self.op.transpose(
                self.op.reshape(self._linear(given, name), [0, -1, n_heads, per_head], True), [0, 2, 1, 3]
            )
            for given, name in (
                (self.op.slice(x, [0], [1], [1], [1]), "q_proj"),
                (x, "k_proj"),
                (x, "v_proj"),
            )
        )
        pooled = self.op.scaled_dot_product_attention(asked, keys, values)
        return self._linear(self.op.reshape(pooled, [0, width], True), "c_proj")

    def _linear(self, x: Any, name: str) -> Any:
        weight, bias = (
            self.op.constant(self.weights[f"visual.attnpool.{name}.{what}"]) for what in ("weight", "bias")
        )
        return self.op.add(self.op.matmul(x, weight, False, True), bias)
