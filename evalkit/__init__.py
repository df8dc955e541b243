"""evalkit measures talking avatars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.runner import Report, evaluate
    from evalkit.sweeps.facade import sweep

__all__ = ["Report", "__version__", "evaluate", "sweep"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: ``import evalkit`` stays instant."""
    if name in {"Report", "evaluate"}:
        from evalkit import runner  # noqa: PLC0415 - that is the point

        return getattr(runner, name)
    if name == "sweep":
        from evalkit.sweeps import facade  # noqa: PLC0415 - as above

        return facade.sweep
    raise AttributeError(f"module 'evalkit' has no attribute {name!r}")
