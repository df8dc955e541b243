"""A process that asks a Ray cluster who it is, and says it as one line of JSON.

A process of its own, because Ray's client waits minutes for a host that does not answer, writes pages meanwhile, and
ends its process then. Whoever starts it sets a time limit.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def probe(address: str) -> dict[str, Any]:
    """Ask the cluster at an address.

    Parameters
    ----------
    address : str
        ``HOST:PORT`` of its head.

    Returns
    -------
    dict
        ``ray`` and ``python``, the versions that it runs, and ``nodes``, the addresses of the nodes that are alive.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # of its compiled part

    gcs = GcsClient(address=address)
    versions = json.loads(gcs.internal_kv_get(b"CLUSTER_METADATA", b"cluster", timeout=5))
    nodes = gcs.get_all_node_info(timeout=5).values()
    return {
        "ray": versions["ray_version"],
        "python": versions["python_version"],
        "nodes": sorted({node.node_manager_address for node in nodes if node.state == node.ALIVE}),
    }


def find() -> str:
    """Return the address of the cluster that was started last on this machine; empty where none was."""
    from ray._private.services import get_ray_address_from_environment

    try:
        return str(get_ray_address_from_environment("auto", None))
    except ConnectionError:
        return ""


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1]) if len(sys.argv) > 1 else {"address": find()}))  # noqa: T201
