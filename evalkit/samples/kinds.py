"""The kinds of file that people write: what each is for, a sample of it, and its schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from evalkit.decisions.policy import new_policy_text
from evalkit.samples import schemas

SCHEMA_FOLDER = "schemas"
"""Folder of the schemas, beside the files that name them."""


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    name : str
        What ``evalkit init`` calls it.
    purpose : str
        What it decides, in a line.
    make_text : callable
        Gives the sample for the name of its file, without the line that names the schema.
    make_schema : callable
        Gives the JSON schema, from the models by which such files are read.
    beside : tuple of str
        Further files without which the sample does not work, by their paths beside it.
    next_step : str
        The command to try; ``{file}`` stands for the file.
    """

    name: str
    purpose: str
    make_text: Callable[[str], str]
    make_schema: Callable[[], dict[str, Any]]
    next_step: str
    beside: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The usual name of its file."""
        return f"{self.name}.yaml"

    @property
    def schema_file(self) -> str:
        """Where its schema is, from the folder of its file."""
        return f"{SCHEMA_FOLDER}/{self.name}.json"

    def text(self, stem: str = "") -> str:
        """Return the sample for a file of that name, its own unless given; the first line names the schema."""
        return f"# yaml-language-server: $schema={self.schema_file}\n" + self.make_text(stem or self.name)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema, with what it is for."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$comment": schemas.MADE_BY,
            **self.make_schema(),
            "title": f"{self.name} of evalkit",
            "description": self.purpose,
        }

    def files_beside(self) -> dict[str, str]:
        """Return the text of each further file."""
        return {path: _bundled(path) for path in self.beside}


def _bundled(path: str) -> str:
    return (files(__package__) / path).read_text("utf-8")


def _as_written(name: str) -> Callable[[str], str]:
    return lambda _stem: _bundled(f"{name}.yaml")


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "sweep",
            "what is tried: a generator, inputs, a grid of parameters, seeds",
            _as_written("sweep"),
            schemas.of_sweep,
            "evalkit sweep {file} --dry-run",
        ),
        Kind(
            "policy",
            "what a release has to pass",
            lambda stem: new_policy_text("customer_service", stem),
            schemas.of_policy,
            "evalkit policy check {file}",
        ),
        Kind(
            "brand",
            "what the brand looks like: drawings of its mark, its colours",
            _as_written("brand"),
            schemas.of_brand,
            "evalkit evaluate VIDEO --brand {file}",
            beside=("logo.svg",),
        ),
        Kind(
            "conversation",
            "who hears, answers and speaks before the video is made",
            _as_written("conversation"),
            schemas.of_conversation,
            "evalkit doctor --generator conversation --settings {file}",
            beside=("faq/opening_hours.md",),
        ),
    )
}
"""By name, in the order in which people need them."""
