"""A head that is gone: nothing is asked of Ray that would wait for it without a word."""

from __future__ import annotations

import socket

from evalkit.execution.ray.cluster import Connection


def test_a_connection_knows_at_once_whether_its_head_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        connection = Connection(f"127.0.0.1:{head.getsockname()[1]}", ours=False)
        assert connection.answers()
    assert not connection.answers()
