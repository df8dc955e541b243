"""A sweep on two nodes that share no folder gives the run that one machine gives, whatever is killed meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from evalkit.runs import Run
from tests.execution.ray import kills
from tests.execution.ray.kills import on, start, wait_for, wait_for_records, write_sweep
from tests.fixtures.ray_nodes import TwoNodes, head_for_clients

pytest.importorskip("ray", reason="the extra `ray` is not installed")


def test_the_run_is_that_of_processes_trial_by_trial(two_nodes: TwoNodes, tmp_path: Path) -> None:
    """By the reference generator, on slots of one core: how many there are bears on how a video is encoded."""
    data: dict[str, Any] = {
        "generator": {"name": "reference", "settings": {"device": "cpu"}},
        "inputs": {"speech": [{"name": "hello", "text": "Good morning.", "language": "en"}]},
        "grid": {"size": ["256*256"], "sample_steps": [1, 2]},
        "seeds": [1, 2],
        "evaluators": ["technical", "motion"],
        "execution": {"slots": [{"cores": 1}, {"cores": 1}]},
    }
    config = tmp_path / "sweep.yaml"
    config.write_text(yaml.safe_dump(data), "utf-8")
    here, there = tmp_path / "here", tmp_path / "there"
    assert start(config, here).wait() == 0
    assert start(config, there, *on(two_nodes)).wait() == 0
    kills.check_everything_is_there_once(there, here)
    wait_for(two_nodes.is_clean, "something is left")


def test_a_sweep_goes_on_with_another_executor_than_it_began_with(
    two_nodes: TwoNodes, tmp_path: Path
) -> None:
    config = write_sweep(tmp_path, two_nodes, 6)
    assert start(config, tmp_path / "here").wait() == 0
    for name, first, second in (("a", on(two_nodes), ()), ("b", (), on(two_nodes))):
        out = tmp_path / name
        driver = start(config, out, *first)
        wait_for_records(out, 2, driver)
        driver.send_signal(signal.SIGINT)
        assert driver.wait() == 130
        assert len(Run.open(out).trials()) < 6
        wait_for(two_nodes.is_idle, "a process is left")
        assert start(config, out, *second).wait() == 0
        kills.check_everything_is_there_once(out, tmp_path / "here")
    wait_for(two_nodes.is_clean, "something is left")


def test_what_is_killed_costs_nothing_but_time(two_nodes: TwoNodes, tmp_path: Path) -> None:
    config = write_sweep(tmp_path, two_nodes, 12)
    assert start(config, tmp_path / "undisturbed").wait() == 0
    done = kills.kill_over_a_sweep(
        config, tmp_path / "killed", two_nodes, list(kills.KINDS), np.random.default_rng(1)
    )
    assert done == dict.fromkeys(kills.KINDS, 1)
    kills.check_everything_is_there_once(tmp_path / "killed", tmp_path / "undisturbed")
    wait_for(two_nodes.is_idle, "a process is left")


@pytest.mark.slow
def test_a_driver_outside_of_the_cluster_gets_the_same(tmp_path: Path) -> None:
    """By Ray's client; the cluster takes half a minute to believe that one is gone."""
    with head_for_clients() as head:
        config = write_sweep(tmp_path, head, 8)
        assert start(config, tmp_path / "here").wait() == 0
        driver = start(config, tmp_path / "there", *on(head))
        wait_for_records(tmp_path / "there", 2, driver)
        driver.kill()
        driver.wait()
        wait_for(head.is_idle, "an actor is left")
        assert start(config, tmp_path / "there", *on(head)).wait() == 0
        kills.check_everything_is_there_once(tmp_path / "there", tmp_path / "here")
        wait_for(head.is_clean, "something is left")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_kills_cost_nothing_but_time() -> None:
    subprocess.run([sys.executable, "-m", "tests.execution.ray.kills", "20"], check=True)
