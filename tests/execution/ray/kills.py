"""kill -9 of a worker process, an actor, a node and the driver, at random moments of a sweep on two nodes.

``python -m tests.execution.ray.kills [N] [SEED]`` does it N times, and resumes after each kill of the driver. It ends with
an error unless everything is there once in the end and no process is left.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from evalkit.runs import Run, Trial
from evalkit.testing.media import write_clip
from tests.fixtures.processes import command_line
from tests.fixtures.ray_nodes import TwoNodes, two_nodes

KINDS = ("worker", "actor", "node", "driver")
_PATIENCE_S = 300.0
PROGRAM = """
import hashlib, shutil, sys, time
out, steps, image, clip = sys.argv[1:]
assert open(image, "rb").read() == b"a portrait"
print("clip", flush=True)
time.sleep(0.3)
shutil.copyfile(clip, out)
with open(out, "ab") as video:
    video.write(b"\\0\\0\\0\\x0cfree" + int(steps).to_bytes(4, "big"))
"""
"""A generator whose videos differ in a box that players skip. It needs its portrait and a clip that each node has."""


def write_sweep(folder: Path, nodes: TwoNodes, n_trials: int) -> Path:
    """Write the configuration of a sweep, and what it needs; return the path."""
    clip = nodes.folders[0].parent / "clip.mp4"  # what is installed on a node, not what a driver has
    frames = (np.full((64, 64, 3), index * 8, np.uint8) for index in range(25))
    sound = 0.3 * np.sin(2 * np.pi * 220 * np.arange(16000) / 16000)
    write_clip(clip, frames, fps=25, sound=sound.astype(np.float32), rate_hz=16000)
    (folder / "face.png").write_bytes(b"a portrait")
    argv = [sys.executable, "-S", "-E", "-c", PROGRAM, "{out}", "{sample_steps}", "{image}", str(clip)]
    data = {
        "generator": {"name": "command", "settings": {"argv": argv, "events": {"clip": "^clip"}}},
        "inputs": {"portraits": [{"path": str(folder / "face.png")}]},
        "grid": {"sample_steps": list(range(1, n_trials + 1))},
        "evaluators": ["technical"],
        "execution": {"retries": 5, "evidence": False},
    }
    config = folder / "sweep.yaml"
    config.write_text(yaml.safe_dump(data), "utf-8")
    return config


def start(config: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a sweep."""
    words = [sys.executable, "-m", "evalkit", "sweep", str(config), "--out", str(out), *options]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def on(nodes: TwoNodes) -> tuple[str, ...]:
    """Return the options that name a cluster."""
    return ("--executor", "ray", "--ray-address", nodes.address)


def finished(out: Path) -> dict[Path, bytes]:
    """Read the records under their final names."""
    paths = [*out.glob("videos/[!.]*/generation.json"), *out.glob("measurements/*/[!.]*.json")]
    return {path: path.read_bytes() for path in paths}


def plain(trial: Trial) -> dict[str, Any]:
    """Return what a trial is, less times, machines and what was tried in vain."""
    assert trial.generation is not None
    assert trial.quality is not None
    return {
        "id": trial.id,
        "params": trial.params,
        "status": trial.status,
        "content": trial.content,
        "quality": trial.quality.to_dict(),
        "generation": {**trial.generation, "events": []},
    }


def wait_for(condition: Any, what: str) -> None:
    """Wait for something, and give up after a while."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s, what
        time.sleep(0.02)


def kill(kind: str, nodes: TwoNodes, driver: subprocess.Popen[bytes], chance: Any) -> bool:
    """Kill something of a kind; return whether there was any."""
    if kind == "driver":
        driver.send_signal(signal.SIGKILL)
        return driver.wait() == -signal.SIGKILL
    if kind == "node":
        nodes.worker_node.kill_raylet()
        return True
    found = (
        nodes.actors()
        if kind == "actor"
        else [process for process in nodes.workers() if "spawn_main" in command_line(process)]
    )
    if not found:
        return False
    try:
        found[int(chance.integers(len(found)))].kill()
    except psutil.NoSuchProcess:
        return False
    return True


def wait_for_records(out: Path, n_records: int, driver: subprocess.Popen[bytes]) -> None:
    """Wait until a sweep has so many, or is over."""
    wait_for(
        lambda: driver.poll() is not None or len(finished(out)) >= n_records,
        f"{out} stands still at {len(finished(out))} records",
    )


def kill_over_a_sweep(
    config: Path, out: Path, nodes: TwoNodes, kinds: Iterator[str] | list[str], chance: Any
) -> Counter[str]:
    """Kill one of each kind after the other while a sweep goes on, start it again when it is over; return how many there were."""
    done: Counter[str] = Counter()
    driver = start(config, out, *on(nodes))
    try:
        for kind in kinds:
            nodes.worker_node  # noqa: B018 - started anew if it is gone
            while True:
                wanted = len(finished(out)) + int(chance.integers(1, 4))
                wait_for_records(out, wanted, driver)
                if driver.poll() is not None:
                    driver = start(config, out, *on(nodes))
                    continue
                records = finished(out)
                if kill(kind, nodes, driver, chance):
                    done[kind] += 1
                    assert records.items() <= finished(out).items(), "a record has changed"
                    break
            if kind == "driver":
                wait_for(nodes.is_idle, "the driver is gone, and its actors are not")
                driver = start(config, out, *on(nodes))
        nodes.worker_node  # noqa: B018 - as above
        wait_for(lambda: driver.poll() is not None, f"{out} does not end")
        if driver.returncode:
            assert start(config, out, *on(nodes)).wait() == 0
    finally:
        driver.kill()
        driver.wait()
    return done


def check_everything_is_there_once(out: Path, undisturbed: Path) -> None:
    """Hold a run to another, trial by trial."""
    run, other = Run.open(out), Run.open(undisturbed)
    assert run.damage() == []
    assert [plain(trial) for trial in run.trials()] == [plain(trial) for trial in other.trials()]
    for place in ("videos", "measurements"):
        assert sorted(path.name for path in (out / place).iterdir()) == sorted(run.manifest.planned)
    for trial in run.trials():
        video, same = run.video_of(trial.id), other.video_of(trial.id)
        assert video is not None
        assert same is not None
        assert video.read_bytes() == same.read_bytes()


def main(n_kills: int = 20, seed: int = 1) -> None:
    """Do it, and say what was done."""
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        chance = np.random.default_rng(seed)
        with two_nodes(folder) as nodes:
            config = write_sweep(folder, nodes, 4 * n_kills)
            assert start(config, folder / "undisturbed").wait() == 0
            kinds = [KINDS[place % len(KINDS)] for place in range(n_kills)]
            chance.shuffle(kinds)
            done = kill_over_a_sweep(config, folder / "killed", nodes, kinds, chance)
            check_everything_is_there_once(folder / "killed", folder / "undisturbed")
            wait_for(nodes.is_idle, "a process is left")
            wait_for(nodes.is_clean, "a folder is left")
            print(f"killed {dict(done)}: everything is there once, and nothing is left")  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
