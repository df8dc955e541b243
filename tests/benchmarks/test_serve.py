"""A folder of 200 runs of 100 trials: how long the list and the trend take, and 50 readers at once. Run with ``make bench``."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.testing.live_server import LiveServer
from evalkit.testing.runs import write_grid

N_RUNS = 200
N_READERS = 50
N_PAGES = 12
"""Of each reader."""
THINK_S = 1.0
"""Between two pages, about."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return 200 runs of 100 trials: one that is made, and copies of another time that share its files."""
    folder = tmp_path_factory.mktemp("many")
    first = write_grid(
        folder / "run-000", sizes=("688*368",), steps=(2, 4), seeds=tuple(range(25)), portraits=("anna",)
    )
    manifest = json.loads((first / "run.json").read_text("utf-8"))
    for number in range(1, N_RUNS):
        copy = folder / f"run-{number:03d}"
        shutil.copytree(first, copy, copy_function=os.link)
        (copy / "run.json").unlink()
        day = f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}"
        text = json.dumps({**manifest, "created_at": f"{day}T10:00:00+00:00"}, indent=2)
        (copy / "run.json").write_text(text, "utf-8")
    yield folder
    shutil.rmtree(folder)


def test_serve(benchmark: Any, folder: Path, tmp_path: Path) -> None:
    """Print the figures; wanted: list and trend within 1 s, 95 % of pages within 300 ms for 50 readers."""
    figures: dict[str, float] = {}
    with LiveServer(folder, tmp_path, "--no-token") as server:
        figures["first list, nothing kept"] = server.get("/runs/")[0]
        figures["first trend, nothing kept"] = server.get("/trend")[0]
        figures["all runs worked out"] = server.wait_for(
            "/runs/", lambda _, body: b"being worked out" not in body
        )
        figures["list again"] = server.get("/runs/")[0]
    with LiveServer(folder, tmp_path, "--no-token") as server:
        figures["first list after a restart"] = server.get("/runs/")[0]
        figures["first trend after a restart"], _, body = server.get("/trend?runs=all")
        assert b"<svg" in body
        figures["page of a run, first time"] = server.wait_for(
            "/runs/run-001/", lambda status, _: status == 200
        )
        paths = ["/runs/", "/trend?runs=all", "/runs/?text=run-01", "/notes/run-001/"]
        paths += [f"/runs/run-{number:03d}/" for number in range(8)]
        for path in paths:
            server.wait_for(path, lambda status, _: status == 200)
        took_s: list[float] = []

        def read(reader: int) -> list[float]:
            rng = np.random.default_rng(reader)
            own = []
            for _ in range(N_PAGES):
                time.sleep(rng.exponential(THINK_S))
                own.append(server.get(paths[rng.integers(len(paths))])[0])
            return own

        def all_read() -> None:
            with ThreadPoolExecutor(N_READERS) as pool:
                took_s.extend(one for own in pool.map(read, range(N_READERS)) for one in own)

        benchmark.pedantic(all_read, rounds=1, iterations=1)
        figures["50 readers, median"], figures["50 readers, 95 %"] = np.percentile(took_s, (50, 95))
    benchmark.extra_info.update({name: round(float(value), 3) for name, value in figures.items()})
    for name, value in figures.items():
        print(f"{name}: {1000 * value:.0f} ms")  # noqa: T201 - a figure
