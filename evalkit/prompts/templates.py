"""Templates of prompts: the four parts for a trade, with slots for what is one's own."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.options import parse_yaml
from evalkit.prompts.check import LANGUAGES, PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = files(__package__) / "templates"
_SUFFIX = ".yaml"


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with slots.

    Parameters
    ----------
    name, title : str
    slots : mapping of str to mapping of str to str
        Name of a slot to what stands in it unless filled, a language.
    parts : mapping of str to mapping of str to str
        A language to the texts of `PARTS`; ``{name}`` is a slot.
    """

    name: str
    title: str
    slots: Mapping[str, Mapping[str, str]]
    parts: Mapping[str, Mapping[str, str]]

    def fill(self, values: Mapping[str, str], language: str = "en") -> str:
        """Return the prompt in one line.

        Parameters
        ----------
        values : mapping of str to str
            What to put into slots; the others keep what the template says.
        language : {"en", "zh"}

        Raises
        ------
        UsageError
            For a slot that is not there, an empty value or another language.
        """
        if language not in LANGUAGES:
            raise UsageError(f"there is no template in {language!r} (there are: {', '.join(LANGUAGES)})")
        for name, value in values.items():
            if name not in self.slots:
                raise UsageError(_unknown("slot", name, list(self.slots)))
            if not value.strip():
                raise UsageError(f"the slot {name!r} is empty; say what stands in it, or leave it out")
        texts = {name: values.get(name, usual[language]) for name, usual in self.slots.items()}
        person, action, surroundings, style = (
            re.sub(r"\{(\w+)\}", lambda match: texts[match[1]], self.parts[language][part]) for part in PARTS
        )
        if language == "zh":
            return f"{person},{action},{surroundings}。{style}。"
        return f"{person}, {action}, {surroundings}. {style}."


def template_names() -> list[str]:
    """Return the names of the templates, sorted."""
    return sorted(
        file.name.removesuffix(_SUFFIX) for file in _FOLDER.iterdir() if file.name.endswith(_SUFFIX)
    )


def load_template(name: str) -> Template:
    """Return a template by name.

    Raises
    ------
    UsageError
        If there is none of that name; the message names the nearest.
    """
    if name not in template_names():
        raise UsageError(_unknown("template", name, template_names()))
    data = parse_yaml((_FOLDER / f"{name}{_SUFFIX}").read_text("utf-8"), f"{name}{_SUFFIX}")
    return Template(name, data["title"], data["slots"], {language: data[language] for language in LANGUAGES})


def _unknown(kind: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no {kind} is named {name!r}{hint} (there are: {', '.join(known)})"
