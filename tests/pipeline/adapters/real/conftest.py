"""The real programs' sources, where they are at hand: nothing of them is part of this repository.

``EVALKIT_SOURCES`` names a folder with checkouts called LiveAvatar, Linly-Talker, Wav2Lip, SadTalker and MuseTalk, and
``EVALKIT_SOURCES_PYTHON`` a Python that has the libraries they import (by default the one that runs the tests).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.beliefs import Source, read_commit

Checkout = Callable[[Source], Path]


@pytest.fixture(scope="session")
def checkout() -> Checkout:
    """Give a function that finds the checkout of a program at the commit that was read, or skips."""

    def find(source: Source) -> Path:
        place = os.environ.get("EVALKIT_SOURCES")
        name = source.home.split("/")[1]
        if place is None:
            pytest.skip(f"no source of {name}: EVALKIT_SOURCES names no folder of checkouts")
        folder = Path(place) / name
        commit = read_commit(folder)
        if commit is None or not commit.startswith(source.commit):
            pytest.skip(f"no source of {name} at {source.commit}: {folder} is at {commit}")
        return folder

    return find


@pytest.fixture(scope="session")
def their_python() -> str:
    """Return a Python that has what the programs import."""
    return os.environ.get("EVALKIT_SOURCES_PYTHON", sys.executable)
