"""What stands in a brand's YAML file, checked; the drawings that it names are read by `evalkit.brands.guidelines`."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from pipeline.options import PlainData, also_text

USUAL_TOLERANCE = 5.0
"""ΔE00 that is seen at a glance."""

FEWEST_LETTERS = 2
"""Of a word that is looked for."""

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_ROWS = {"top": (0.0, 0.5), "middle": (0.25, 0.75), "bottom": (0.5, 1.0)}
_COLUMNS = {"left": (0.0, 0.5), "centre": (0.25, 0.75), "right": (0.5, 1.0)}
_ALL = (0.0, 1.0)
_PLACES = (
    "top left, top, top right, left, centre, right, bottom left, bottom, bottom right, or a box in shares"
)


class BrandColor(PlainData):
    """A standard colour of a brand.

    Attributes
    ----------
    hex : str
        sRGB, ``#rrggbb`` or ``#rgb``.
    name : str
        What people call it; the hexadecimal number unless given.
    tolerance : float
        ΔE00 up to which a colour passes for this one.
    """

    hex: str = Field(description='a colour in quotes, as in "#0b5fff"')
    name: str = Field(default="", description="what to call it")
    tolerance: float = Field(
        default=USUAL_TOLERANCE, gt=0, le=100, description="ΔE00, above 0 and at most 100"
    )

    @field_validator("hex")
    @classmethod
    def _is_a_colour(cls, value: str) -> str:
        if not _HEX.fullmatch(value):
            raise ValueError(f'{value!r} is not a colour; write it as in "#0b5fff"')
        digits = value[1:].lower()
        return "#" + ("".join(2 * digit for digit in digits) if len(digits) == 3 else digits)

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.hex[1:])
        return red, green, blue


class Box(PlainData):
    """A part of the picture, in shares of its width and height from the upper left corner."""

    left: float = Field(ge=0, le=1, description="a share from 0 to 1")
    top: float = Field(ge=0, le=1, description="a share from 0 to 1")
    right: float = Field(ge=0, le=1, description="a share from 0 to 1")
    bottom: float = Field(ge=0, le=1, description="a share from 0 to 1")

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.left >= self.right or self.top >= self.bottom:
            raise ValueError("the box is empty: left must be below right, and top below bottom")
        return self


class BrandFile(PlainData):
    """What stands in the YAML file."""

    name: str = Field(min_length=1, description="the brand's name")
    logos: list[str] = Field(min_length=1, max_length=16, description="a list of 1 to 16 picture files")
    colors: list[BrandColor] = Field(
        default_factory=list,
        max_length=16,
        description="a list of up to 16 colours",
        json_schema_extra=also_text,
    )
    text: str | None = Field(
        default=None, min_length=1, description="words that describe a picture with the mark"
    )
    words: list[str] = Field(
        default_factory=list,
        max_length=8,
        description="a list of up to 8 words or lines that are written in the mark",
    )
    place: Box | None = Field(default=None, description=_PLACES, json_schema_extra=also_text)
    worn: bool = Field(
        default=False, description="true or false: whether a mark on the person's clothes counts"
    )

    @field_validator("colors", mode="before")
    @classmethod
    def _a_text_is_a_colour(cls, items: Any) -> Any:
        if not isinstance(items, list):
            return items
        if None in items:
            raise ValueError('a colour is empty: put it in quotes, as in "#0b5fff", for # begins a comment')
        return [{"hex": item} if isinstance(item, str) else item for item in items]

    @field_validator("colors")
    @classmethod
    def _colours_differ(cls, items: list[BrandColor]) -> list[BrandColor]:
        codes = [item.hex for item in items]
        twice = [code for code in codes if codes.count(code) > 1]
        if twice:
            raise ValueError(f"{twice[0]} is there twice")
        names = [item.name or item.hex for item in items]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two colours are called {twice[0]!r}")
        return items

    @field_validator("words")
    @classmethod
    def _words_have_letters(cls, items: list[str]) -> list[str]:
        short = [item for item in items if sum(letter.isalnum() for letter in item) < FEWEST_LETTERS]
        if short:
            raise ValueError(
                f"{short[0]!r} has fewer than {FEWEST_LETTERS} letters or digits: it stands everywhere"
            )
        return items

    @field_validator("place", mode="before")
    @classmethod
    def _a_text_is_a_region(cls, value: Any) -> Any:
        return _named_region(value) if isinstance(value, str) else value


def _named_region(text: str) -> dict[str, float]:
    """Turn words into a box: halves of the picture that overlap in its middle.

    >>> _named_region("top left")
    {'left': 0.0, 'top': 0.0, 'right': 0.5, 'bottom': 0.5}
    """
    words = text.lower().replace("-", " ").replace("center", "centre").split()
    rows = [_ROWS[word] for word in words if word in _ROWS]
    columns = [_COLUMNS[word] for word in words if word in _COLUMNS]
    if not words or len(rows) > 1 or len(columns) > 1 or len(rows) + len(columns) < len(words):
        raise ValueError(f"{text!r} is not a place in the picture; allowed: {_PLACES}")
    top, bottom = rows[0] if rows else _ROWS["middle"] if words == ["centre"] else _ALL
    left, right = columns[0] if columns else _ALL
    return {"left": left, "top": top, "right": right, "bottom": bottom}
