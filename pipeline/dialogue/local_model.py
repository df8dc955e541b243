"""Answers of a language model on this machine, by transformers, from a folder of the user's."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.dialogue.prompt_text import read_answer, write_instructions
from pipeline.endpoint import ServiceError
from pipeline.errors import GenerationError, RequestError
from pipeline.fingerprint import fingerprint
from pipeline.options import PlainData

if TYPE_CHECKING:
    from pipeline.dialogue.base import Answer, Question


_DECISIVE = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}
"""Endings of the files that decide an answer: weights, configuration, tokenizer, chat template."""


class LocalModelSettings(PlainData):
    """Which model, where it runs, and its instructions beside the question.

    Attributes
    ----------
    model : str
        Folder as transformers saves it, with the tokenizer; nothing is downloaded and no code in it is run.
    device : str or None
        In torch's words; the first GPU where there is one, else the processor.
    dtype : str
        Of the weights in memory, in torch's words; ``auto`` for that of the file.
    max_tokens : int
        Length of an answer at most; a sentence that is cut off is left out.
    time_limit_s : float
        Seconds after which it stops writing, as when it reaches ``max_tokens``.
    instructions : str
        Said after the product's own.
    """

    model: str = Field(min_length=1, description="path of a folder")
    device: str | None = Field(default=None, min_length=1, description="as torch names it: cpu, cuda:0")
    dtype: str = Field(default="auto", min_length=1, description="auto, float32, bfloat16 or float16")
    max_tokens: int = Field(default=200, ge=1, le=4096, description="a whole number from 1 to 4096")
    time_limit_s: float = Field(default=60.0, gt=0, le=3600, description="seconds, above 0, at most 3600")
    instructions: str = Field(default="", description="text")


class LocalModel:
    """A causal language model that takes the likeliest word each time: the same question gives the same answer."""

    name = "transformers"
    extra = "transformers"
    Settings = LocalModelSettings

    def __init__(self, /, **settings: Any) -> None:
        self._settings = self.Settings.read(settings, "setting")
        try:
            library = version_of("transformers")
        except PackageNotFoundError:
            raise RequestError(
                "transformers is not installed; it comes with the extra: pip install 'evalkit[transformers]'"
            ) from None
        folder = Path(self._settings.model)
        if not (folder / "config.json").is_file():
            raise RequestError(
                f"model {self._settings.model!r}: there is no config.json; it must be a folder as transformers saves it"
            )
        content = fingerprint(
            path for path in folder.iterdir() if path.suffix in _DECISIVE and path.is_file()
        )
        self.version = f"{library} {folder.resolve().name} {content}"
        self._model: Any = None
        self._tokenizer: Any = None

    def check(self, language: str) -> None:
        """Take any language: which ones the model understands is not written in it."""

    def load(self) -> None:
        """Read tokenizer and weights."""
        if self._model is not None:
            return
        import torch

        settings = self._settings
        device = settings.device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(settings.model, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                settings.model, dtype=settings.dtype, local_files_only=True
            )
            self._model = model.to(device).eval()
        except torch.OutOfMemoryError as error:
            raise GenerationError(
                f"model {settings.model!r} does not fit into the memory of {device}: {error}", "out_of_memory"
            ) from error
        except Exception as error:  # whatever a file that is not a model makes a library raise
            raise GenerationError(
                f"model {settings.model!r} cannot be loaded: {error}", "load_failed"
            ) from error

    def close(self) -> None:
        """Forget the weights."""
        self._model = self._tokenizer = None

    def answer(self, question: Question) -> Answer:
        """Write an answer; see `Answerer.answer`."""
        self.load()
        import torch

        instructions = write_instructions(
            question.language,
            tuple(passage.text for passage in question.passages),
            self._settings.instructions,
        )
        try:
            inputs = self._read(instructions, question.text)
            with torch.inference_mode():
                tokens = self._model.generate(
                    **inputs,
                    do_sample=False,
                    max_new_tokens=self._settings.max_tokens,
                    max_time=self._settings.time_limit_s,
                    pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0,
                )
        except torch.OutOfMemoryError as error:
            raise GenerationError(
                f"there is not enough memory for an answer: {error}", "out_of_memory"
            ) from error
        new = tokens[0, inputs["input_ids"].shape[1] :]
        ends = self._model.generation_config.eos_token_id
        ended = bool(len(new)) and int(new[-1]) in (ends if isinstance(ends, list) else [ends])
        answer = read_answer(self._tokenizer.decode(new, skip_special_tokens=True), cut=not ended)
        if answer is None:
            raise ServiceError(f"{self._settings.model} wrote no words to speak", "bad_answer")
        return answer

    def _read(self, instructions: str, question: str) -> Any:
        """Return the prompt in tokens: by the model's own chat template, else as plain lines."""
        if self._tokenizer.chat_template is not None:
            prompt = self._tokenizer.apply_chat_template(
                [{"role": "system", "content": instructions}, {"role": "user", "content": question}],
                add_generation_prompt=True,
                tokenize=False,
            )
            inputs = self._tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        else:
            inputs = self._tokenizer(f"{instructions}\n\nQuestion: {question}\nAnswer:", return_tensors="pt")
        return inputs.to(self._model.device)
