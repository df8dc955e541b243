"""Errors that people see: what happened, to which file, and what to do."""

from __future__ import annotations

from pipeline.formatting import label


class EvalkitError(Exception):
    """Base of every error this product raises on purpose."""


class UsageError(EvalkitError):
    """A request that cannot be carried out: an unknown name, a wrong unit, an impossible option."""


class ClipError(EvalkitError):
    """A clip that cannot be measured at all.

    Parameters
    ----------
    code : str
        Stable reason code for data (``missing_file``, ``not_media`` …).
    path : str
        The file.
    text : str
        One line for people, without the path.
    """

    def __init__(self, code: str, path: str, text: str) -> None:
        super().__init__(f"{label(path)}: {text}")
        self.code = code
        self.path = path
        self.text = text

    def __reduce__(self) -> tuple[type[ClipError], tuple[str, str, str]]:
        return ClipError, (self.code, self.path, self.text)
