"""Pandas, imported when it is first used: the import takes half a second, and `import evalkit` must not.

Modules whose methods return a ``pd.DataFrame`` take ``pd`` from here, so that the annotation resolves at run time.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _Pandas:
    """Stands for the module: its attributes are those of pandas."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("pandas"), name)


pd = _Pandas()
