"""A brand as a YAML file: its name, the drawings of its mark, its colours, and where the mark should be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from evalkit.brands.logo import LogoError, load_logo
from evalkit.brands.written import BrandFile
from evalkit.options import ConfigError, read_group, read_yaml
from pipeline.options import hash_of


class BrandGuidelines:
    """A brand, read and checked.

    Parameters
    ----------
    name : str
    logos : list of uint8 arrays, shape (height, width, 4)
        RGBA, cut to what is visible, at most `evalkit.brands.logo.LONGEST_SIDE_PX` along the longer side.
    logo_files : list of Path
        Where they were read from.
    colors : list of BrandColor
    text : str or None
        Describes a picture with the mark, for a CLIP model that knows language.
    words : list of str
        What is written in the mark, beside what can be read in the drawings.
    place : Box or None
        Where the middle of the mark must be; anywhere when None.
    worn : bool
        Whether a mark on the person's clothes counts.
    content : str
        SHA-256 of everything above that decides a result: the content of the files, not their names.
    """

    def __init__(
        self, given: BrandFile, files: list[Path], logos: list[NDArray[Any]], contents: list[str]
    ) -> None:
        self.name = given.name
        self.logos = logos
        self.logo_files = files
        self.colors = given.colors
        self.text = given.text
        self.words = given.words
        self.place = given.place
        self.worn = given.worn
        self.content = hash_of({**given.model_dump(mode="json"), "logos": contents})

    @property
    def region(self) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom of `place`; None where the mark may be anywhere."""
        box = self.place
        return None if box is None else (box.left, box.top, box.right, box.bottom)


def read_brand(path: str | Path) -> BrandGuidelines:
    """Read a brand's YAML file and the drawings it names. Paths in it are relative to its folder.

    Raises
    ------
    ConfigError
        If it cannot be read, a value or a drawing cannot be used; a line a mistake.
    """
    path = Path(path)
    given = read_group(BrandFile, read_yaml(path), str(path))
    files = [path.parent / name for name in given.logos]
    loaded, mistakes = [], []
    for index, file in enumerate(files):
        try:
            loaded.append(load_logo(file))
        except LogoError as error:
            mistakes.append(f"{path}: logos.{index}: {error}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    contents = [logo.content for logo in loaded]
    twice = [str(files[index]) for index, content in enumerate(contents) if content in contents[:index]]
    if twice:
        raise ConfigError(f"{path}: logos: {twice[0]} has the same content as one before it")
    return BrandGuidelines(given, files, [logo.pixels for logo in loaded], contents)
