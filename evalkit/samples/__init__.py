"""Files to start from, with the schemas by which editors complete and check them."""

from __future__ import annotations

from evalkit.samples.kinds import KINDS, Kind

__all__ = ["KINDS", "Kind"]
