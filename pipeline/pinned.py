"""Files in installed packages, pinned by their content.

The packages are other people's: they may be gone from the index tomorrow, and they are never imported. Their files are found
through their metadata and read as data.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import RequestError
from pipeline.extras import how_to_install

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file that is known.

    Parameters
    ----------
    parts : tuple of (str, str)
        Distribution, and path in it, of each part, in the order in which they are joined.
    sha256 : str
        Of the whole file.
    """

    parts: tuple[tuple[str, str], ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class PinnedFiles:
    """Files that come with packages.

    Parameters
    ----------
    title : str
        What errors call them.
    versions : mapping of str to str
        The one version of each distribution that is taken.
    files : mapping of str to PinnedFile
        By any name.
    extra : str
        The extra of evalkit that brings them.
    """

    title: str
    versions: Mapping[str, str]
    files: Mapping[str, PinnedFile]
    extra: str

    def find_obstacle(self) -> str:
        """Say what of the packages is missing, or there in another version; empty where nothing is. Reads no file."""
        for name, wanted in self.versions.items():
            try:
                version = distribution(name).version
            except PackageNotFoundError:
                return f"{name} is not installed: {how_to_install(self.extra)}"
            if version != wanted:
                return (
                    f"{name} is there as {version}, and {wanted} alone is known: {how_to_install(self.extra)}"
                )
        return ""

    def read(self, name: str) -> bytes:
        """Return a file whole; its parts are joined in memory and written nowhere.

        Raises
        ------
        RequestError
            If it cannot be read, or is not the one that is known.
        """
        file = self.files[name]
        try:
            content = b"".join(
                Path(str(distribution(package).locate_file(path))).read_bytes()
                for package, path in file.parts
            )
        except (OSError, PackageNotFoundError) as error:
            raise RequestError(
                f"{self.title}: its {name} cannot be read: {error}; install it anew: {how_to_install(self.extra)}"
            ) from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise RequestError(
                f"{self.title}: its {name} is not the one that is known (its SHA-256 is another), so it is not used; "
                f"install it anew: {how_to_install(self.extra)}"
            )
        return content
