"""Asks Live Avatar's own functions: ``python ask.py QUESTION < JSON``, in its repository; answers in JSON on the last line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pretend_cuda
import small_networks
import torch


def parse(argvs: list[list[str]]) -> list[dict[str, Any]]:
    """Parse command lines; each begins with the entry point."""
    import importlib

    parsed = []
    for argv in argvs:
        sys.argv = argv
        entry = importlib.import_module(argv[0].removesuffix(".py").replace("/", "."))
        parsed.append(vars(entry._parse_args()))
    return parsed


def clips(lengths: list[list[int]]) -> list[int]:
    """Count the clips of sounds: numbers of samples at 16 kHz, and of frames a clip."""
    from liveavatar.models.wan.causal_audio_encoder import AudioEncoder, linear_interpolation
    from transformers import Wav2Vec2ForCTC

    folder = "ckpt/Wan2.2-S2V-14B/wav2vec2-large-xlsr-53-english"
    network = Wav2Vec2ForCTC.from_pretrained(folder)
    encoder = object.__new__(AudioEncoder)
    encoder.video_rate = 30
    counted = []
    for n_samples, infer_frames in lengths:
        layers = torch.zeros(1, int(network._get_feat_extract_output_lengths(n_samples)), 1)
        features = linear_interpolation(layers, input_fps=50, output_fps=encoder.video_rate)
        counted.append(
            encoder.get_audio_embed_bucket_fps(features, fps=25, batch_frames=infer_frames, m=0)[1]
        )
    return counted


def sizes(portraits: list[list[int]]) -> list[list[int]]:
    """Compute what comes out: width and height of a portrait, and the area asked for."""
    from liveavatar.models.wan.causal_s2v_pipeline import WanS2V

    pipeline = object.__new__(WanS2V)
    found = [
        pipeline.get_size_less_than_area(height, width, target_area=area) for width, height, area in portraits
    ]
    return [[width, height] for height, width in found]


def caches(given: dict[str, Any]) -> int:
    """Count the bytes of the caches of one GPU, made as it makes them."""
    from liveavatar.models.wan.causal_s2v_pipeline import WanS2V

    pretend_cuda.PLACE["cuda"] = "meta"
    pipeline = object.__new__(WanS2V)
    pipeline.noise_model = type("Network", (), {"num_layers": 40})
    pipeline.single_gpu, pipeline.offload_kv_cache, pipeline.shared_cond_cache = True, False, None
    pipeline.kv_cache1 = {}
    for number in range(4):
        pipeline._initialize_kv_cache(1, torch.bfloat16, "cuda:0", number + 1, given["n_tokens"])
    layers = [layer for cache in pipeline.kv_cache1.values() for layer in cache]
    return sum(layer[name].nbytes for layer in layers for name in ("k", "v"))


QUESTIONS = {"parse": parse, "clips": clips, "sizes": sizes, "caches": caches}

if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    pretend_cuda.install()
    small_networks.install()
    print(json.dumps(QUESTIONS[sys.argv[1]](json.load(sys.stdin))))
