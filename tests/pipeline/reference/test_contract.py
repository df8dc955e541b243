"""The reference generator keeps the contract of all generators."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.reference.generator import ReferenceGenerator
from pipeline.testing import GeneratorContract


class TestReference(GeneratorContract):
    """Half a second of speech."""

    @pytest.fixture
    def generator(self) -> ReferenceGenerator:
        """Give the generator."""
        return ReferenceGenerator()

    @pytest.fixture
    def parameters(self) -> dict[str, Any]:
        """Give a small picture and a short word."""
        return {
            "text": "Hello",
            "size": "96*96",
            "fps": 8,
            "infer_frames": 8,
            "sample_steps": 1,
            "num_clip": 1,
        }
