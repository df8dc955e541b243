"""Ratings that were collected elsewhere: tables, Label Studio, webMUSHRA, and evalkit's own pages without a server."""

from __future__ import annotations

from evalkit.rating.imports.importing import FORMATS, Imported, import_ratings

__all__ = ["FORMATS", "Imported", "import_ratings"]
