"""Every belief of a driver stands in the source where it is said to stand."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pipeline.adapters
from pipeline.beliefs import Belief, Source, check_beliefs

if TYPE_CHECKING:
    from tests.pipeline.adapters.real.conftest import Checkout


def find_sources() -> list[Source]:
    """Return every source that a module of a driver names."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(pipeline.adapters.__path__, "pipeline.adapters.")
    ]
    named = {
        id(value): value for module in modules for value in vars(module).values() if isinstance(value, Source)
    }
    return sorted(named.values(), key=lambda source: source.home)


SOURCES = find_sources()
EACH = [(source, belief) for source in SOURCES for belief in source.beliefs]


@pytest.mark.parametrize(
    ("source", "belief"), EACH, ids=[f"{source.home}:{belief.file}:{belief.line}" for source, belief in EACH]
)
def test_it_stands_where_it_is_said_to(source: Source, belief: Belief, checkout: Checkout) -> None:
    lines = (checkout(source) / belief.file).read_text("utf-8").splitlines()
    assert belief.text in lines[belief.line - 1]


@pytest.fixture
def source() -> Source:
    return Source(
        "owner/program", "1234567", (Belief("write at 25 frames a second", "run.py", 2, "fps = 25"),)
    )


def test_a_checkout_that_says_it_on_another_line_is_fine(source: Source, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("# new\n\n\nfps = 25\n")
    found = check_beliefs(tmp_path, source)
    assert (found.level, found.found) == (
        "fine",
        "of an unknown commit, and all 1 thing relied on stand in it",
    )


def test_a_checkout_that_no_longer_says_it_is_a_warning_that_names_it(source: Source, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("fps = 30\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("abcdef0123456789\n")
    found = check_beliefs(tmp_path, source)
    assert found.level == "warning"
    assert found.found == (
        "at abcdef0123; at 1234567 it was read to write at 25 frames a second, and run.py no longer has 'fps = 25'"
    )
    assert "check out 1234567" in found.cure
