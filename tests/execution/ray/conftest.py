"""One cluster a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures import ray_nodes


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ray_nodes.TwoNodes]:
    """Give two nodes that have none of this process's temporary files."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    with ray_nodes.two_nodes(tmp_path_factory.getbasetemp()) as nodes:
        yield nodes
