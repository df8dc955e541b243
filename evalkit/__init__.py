"""evalkit measures talking avatars."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.api import compare, evaluate, signoff, sweep
    from evalkit.measuring.results import Report

__all__ = ["Report", "__version__", "compare", "evaluate", "signoff", "sweep"]
__version__ = "0.1.0"

_HOMES = {
    "Report": "evalkit.measuring.results",
    "compare": "evalkit.api",
    "evaluate": "evalkit.api",
    "signoff": "evalkit.api",
    "sweep": "evalkit.api",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: ``import evalkit`` stays instant."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'evalkit' has no attribute {name!r}")
