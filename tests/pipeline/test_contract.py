"""Our plain drivers keep the contract of all generators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.adapters.command.generator import Command
from pipeline.adapters.precomputed import Precomputed
from pipeline.testing import GeneratorContract

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.conftest import Program


class TestCommand(GeneratorContract):
    """A program that copies a finished video."""

    @pytest.fixture
    def generator(self, program: Program, video: Path) -> Command:
        """Give the driver."""
        body = f"import shutil\nprint('ready')\nshutil.copyfile({str(video)!r}, sys.argv[1])"
        picture = {"when": "image", "args": ["{image}"]}
        return Command(argv=[*program(body), "{out}", "{audio}", picture], events={"loaded": "ready"})

    @pytest.fixture
    def parameters(self) -> dict[str, Any]:
        """Give words to speak."""
        return {"text": "Good morning"}


class TestPrecomputed(GeneratorContract):
    """A folder of one video."""

    @pytest.fixture
    def generator(self, video: Path) -> Precomputed:
        """Give the driver."""
        video.with_name(f"{video.name}.json").write_text('{"sample_steps": 3}')
        return Precomputed(folder=str(video.parent))

    @pytest.fixture
    def parameters(self) -> dict[str, Any]:
        """Give what the video was made with."""
        return {"sample_steps": 3}
