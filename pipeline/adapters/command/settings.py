"""How a program is started and how its output is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field, JsonValue, field_validator, model_validator

from pipeline.adapters.template import OUT, WORK, OptionalArguments, placeholders
from pipeline.events import EventName
from pipeline.options import PlainData
from pipeline.request import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

FILES = frozenset({"image", "audio", "brand_mark"})
"""Parameters that are paths of files."""

IN_WORK = f"{{{WORK}}}"


class CommandSettings(PlainData):
    r"""What to run and how to read its output.

    Attributes
    ----------
    argv : tuple
        Program and arguments. ``{name}`` stands for a parameter of the request, an option of its ``options``,
        ``{width}``, ``{height}``, or ``{out}``, the file to write. ``{audio}`` is a sound file also when the request
        has text, which is then spoken by espeak-ng; ``{num_clip}`` is counted from the sound. Paths are absolute. A
        list that stands alone in an argument becomes an argument an element.
    events : dict
        Name of an event to a regular expression searched in each line of output. Named groups become its detail;
        ``index`` counts its matches from 0.
    saved_path : str or None
        For a program that chooses its own file name: a regular expression with a group ``path``, searched in each
        line. Instead of ``{out}`` in ``argv``; the file is copied.
    output : str or None
        For a program that builds its file name from others: where the file will be, a template. Instead of
        ``{out}`` and ``saved_path``; the file is copied.
    copies : dict
        ``image``, ``audio``, ``brand_mark`` or an option that is a path, to a name: the file is copied into ``{work}``
        under that name, with its own suffix, and the placeholder is the copy. For programs that take names apart or
        hand them to a shell.
    needs_face : bool
        Whether ``image``, a picture or a video, must show a face; where none is found, a request is refused before
        anything starts.
    even_sides : bool
        Whether the copy of ``image`` loses its last row or column where their number is odd: encoders that halve the
        colours, as libx264 does, take even sides only. Needs ``image`` in ``copies``; videos of odd sides are refused.
    length_tolerance_s : float or None
        For a program that makes a video as long as the sound: by how much it may be longer or shorter. ``None``: not
        looked at.
    files : dict
        Name to plain data, its texts templates: written into ``{work}`` as JSON, which is YAML too.
    failures : dict
        Kind of failure to a regular expression; the first that is found in the output is the kind of the failure.
    endless : dict
        Kind of failure to a regular expression: a line that the program prints each time before it tries once more,
        for ever. At the second one it is ended.
    time_limit_s : float
        Seconds after which it is ended.
    folder : str or None
        Working folder. ``{work}``, which may stand in any template, is a new one in the system's folder for
        temporary files, taken away at the end; as the working folder, copies are named relative to it.
    environment : dict
        Variables set for it; templates too. Keys and tokens are refused: what is set where evalkit is started is
        inherited.
    version : str
        Of the program, for the results.
    """

    argv: tuple[str | OptionalArguments, ...] = Field(
        min_length=1, description='a list: program, arguments, {"when": name, "args": [...]}'
    )
    events: dict[EventName, str] = Field(
        default_factory=dict, description="event names (small letters, digits, _) to regular expressions"
    )
    saved_path: str | None = Field(
        default=None, description="a regular expression with a group (?P<path>...)"
    )
    output: str | None = Field(default=None, description="a path, a template")
    copies: dict[str, str] = Field(
        default_factory=dict, description="image, audio, brand_mark or an option to a name without a suffix"
    )
    needs_face: bool = Field(default=False, description="true or false")
    even_sides: bool = Field(default=False, description="true or false")
    length_tolerance_s: float | None = Field(default=None, gt=0, description="seconds, above 0")
    files: dict[str, JsonValue] = Field(default_factory=dict, description="names to plain data")
    failures: dict[str, str] = Field(
        default_factory=lambda: {"out_of_memory": r"(?i)out of memory|OutOfMemoryError"},
        description="kinds of failure to regular expressions",
    )
    endless: dict[str, str] = Field(
        default_factory=dict, description="kinds of failure to regular expressions"
    )
    time_limit_s: float = Field(default=3600.0, gt=0, description="seconds, above 0")
    folder: str | None = Field(default=None, description="path of a folder")
    environment: dict[str, str] = Field(default_factory=dict, description="variables to texts")
    version: str = Field(default="unknown", description="text")

    @field_validator("events", "failures", "endless")
    @classmethod
    def _patterns_compile(cls, patterns: dict[str, str]) -> dict[str, str]:
        for pattern in patterns.values():
            compile_pattern(pattern)
        return patterns

    @field_validator("copies")
    @classmethod
    def _are_of_files(cls, copies: dict[str, str]) -> dict[str, str]:
        others = sorted(copies.keys() & (GenerationRequest.model_fields.keys() - FILES))
        if others:
            raise ValueError(f"{others[0]} is no file")
        return copies

    @model_validator(mode="after")
    def _tells_where_the_video_is(self) -> Self:
        ways = (OUT in self.placeholders(), self.saved_path is not None, self.output is not None)
        if sum(ways) != 1:
            raise ValueError(
                "argv must say where to write with {out}, or saved_path or output where the file is; one of them"
            )
        if self.saved_path is not None and "path" not in compile_pattern(self.saved_path).groupindex:
            raise ValueError(f"saved_path is {self.saved_path!r}; it needs a group (?P<path>...)")
        return self

    @model_validator(mode="after")
    def _has_a_copy_to_cut(self) -> Self:
        if self.even_sides and "image" not in self.copies:
            raise ValueError("even_sides is about the copy of image, and copies has no image")
        return self

    def placeholders(self) -> set[str]:
        """Return every name used anywhere."""
        optional = [item for item in self.argv if isinstance(item, OptionalArguments)]
        names = {item.when for item in optional}
        return names.union(self.needed(), *(placeholders(text) for item in optional for text in item.args))

    def needed(self) -> set[str]:
        """Return every name without which nothing can be run."""
        templates = [item for item in self.argv if isinstance(item, str)]
        templates += [*self.environment.values(), *texts_of(self.files)]
        templates += [self.output] if self.output is not None else []
        return set[str]().union(*map(placeholders, templates))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression; raise `ValueError` on one that is not valid."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a valid regular expression: {error}") from error


def texts_of(data: JsonValue) -> Iterator[str]:
    """Yield every text in plain data."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from texts_of(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts_of(value)
