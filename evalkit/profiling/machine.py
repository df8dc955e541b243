"""What is known of the machine that bears on cost."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Any


@cache
def describe_machine() -> dict[str, Any]:
    """Return system, Python, processor, cores and memory as plain data."""
    import psutil

    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": _processor(),
        "n_cores": psutil.cpu_count(),
        "memory_mib": round(psutil.virtual_memory().total / 2**20),
    }


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        for line in cpu_info.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
