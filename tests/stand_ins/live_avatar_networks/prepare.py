"""Writes small weights where Live Avatar seeks its own: ``python prepare.py CKPT_FOLDER``. Needs torch and transformers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)


def main(folder: Path) -> None:
    """Write wav2vec with few channels, whose layers are as long as the real one's, and a LoRA of the transformer."""
    speech = folder / "Wan2.2-S2V-14B" / "wav2vec2-large-xlsr-53-english"
    speech.mkdir(parents=True)
    (speech / "vocab.json").write_text(json.dumps({"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4}))
    config = Wav2Vec2Config(
        vocab_size=5,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2ForCTC(config).save_pretrained(speech)
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    Wav2Vec2Processor(extractor, Wav2Vec2CTCTokenizer(str(speech / "vocab.json"))).save_pretrained(speech)
    lora = folder / "LiveAvatar"
    lora.mkdir()
    tensors = {}
    for name in ("q", "k", "v", "o", "ffn.0", "ffn.2"):
        tensors[f"blocks.0.{name}.lora_A.default.weight"] = torch.zeros(128, 32)
        tensors[f"blocks.0.{name}.lora_B.default.weight"] = torch.zeros(32, 128)
    save_file(tensors, lora / "liveavatar.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
