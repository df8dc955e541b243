"""A fictitious brand: a kite of two colours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

KITE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 40">
<path fill="#1456a0" d="M0 0h40l-20 40z"/><circle fill="#f2a900" cx="48" cy="28" r="12"/></svg>"""


@pytest.fixture
def write_brand(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a brand file beside a good drawing, with lines of YAML instead of the usual ones."""

    def write(**lines: str) -> Path:
        (tmp_path / "kite.svg").write_text(KITE, "utf-8")
        usual = {"name": "Kite", "logos": "[kite.svg]"}
        path = tmp_path / "kite.yaml"
        path.write_text("".join(f"{key}: {text}\n" for key, text in {**usual, **lines}.items()), "utf-8")
        return path

    return write
