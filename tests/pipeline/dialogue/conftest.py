"""A small bank that answers questions, and a model that says one sentence."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

FAQ = """\
# Northwind Bank

## What are your opening hours?
We are open from nine to five on weekdays, and from ten to one on Saturday.

## How do I open a savings account?
Congratulations on the decision! Bring your passport to any branch.

## I have lost my card. What shall I do?
Call the emergency line at once.
We block the card and send a new one within three days.

# About us
The bank was founded in 1898 in Leipzig. Today two thousand people work in forty branches. The chairwoman is Anna Weber.

储蓄账户的年利率是百分之二。外币账户没有利息。
"""
FEES = """\
question,answer
What is the monthly fee of the current account?,"It is free for students. Everybody else pays four euros a month."
"""
PAIRS = '[{"question": "Can I have a mortgage?", "answer": "Make an appointment with an adviser."}]'


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of documents of every kind."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "faq.md").write_text(FAQ, "utf-8")
    (folder / "more").mkdir()
    (folder / "more" / "fees.csv").write_text(FEES, "utf-8")
    (folder / "more" / "pairs.json").write_text(PAIRS, "utf-8")
    (folder / ".hidden.bin").write_bytes(b"\xff")
    return folder


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a language model whose weights are made by hand to say one sentence after any prompt.

    Each word follows from the one before: the output layer is a table of which comes next.
    """
    pytest.importorskip("transformers", reason="the extra transformers is not installed")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    try:
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    except ImportError as error:
        pytest.skip(f"transformers cannot be imported here (a torchvision that fits no torch?): {error}")

    words = ["We", "Ġopen", "Ġat", "Ġnine"]
    vocabulary = {
        sign: place for place, sign in enumerate(["</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])
    }
    merges = []
    for word in words:
        for end in range(1, len(word)):
            merges.append((word[:end], word[end]))
            vocabulary.setdefault(word[: end + 1], len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **dict.fromkeys(("eos_token", "pad_token"), "</s>")
    )
    wrapped.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
    )
    n = len(vocabulary)
    config = LlamaConfig(
        vocab_size=n,
        hidden_size=n + n % 2,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8192,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.model.norm.weight.fill_(1)
        model.model.embed_tokens.weight[:, :n] = torch.eye(n)
        chain = [":", *words, ".", "</s>"]
        for one, following in pairwise(chain):
            model.lm_head.weight[vocabulary[following], vocabulary[one]] = 1
    folder = tmp_path_factory.mktemp("model") / "says"
    model.save_pretrained(folder)
    wrapped.save_pretrained(folder)
    return folder
