"""One cluster a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures import ray_nodes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let waiting for the clusters of other files count for no test: the limit is for what a test itself does."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(func_only=True))


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ray_nodes.TwoNodes]:
    """Give two nodes that have none of this process's temporary files."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    with ray_nodes.two_nodes(tmp_path_factory.getbasetemp()) as nodes:
        yield nodes
