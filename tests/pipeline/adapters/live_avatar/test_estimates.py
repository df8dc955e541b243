"""What is known of Live Avatar's memory and time, checked by hand against the sources named."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.adapters.live_avatar.generator import LiveAvatar

SCRIPT = ["bash", "run.sh", "{image}", "{audio}", "{out}"]


def figures(settings: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    generator = LiveAvatar(repository="live", **(settings or {}))
    return generator.estimate(generator.request(**parameters)).to_dict()


def totals_gib(told: dict[str, Any], phase: str) -> list[tuple[float, float]]:
    """Give the sum of each account of a phase, in GiB."""
    accounts = [one["parts"] for one in told["memory"] if one["phase"] == phase]
    return [
        (
            round(sum(part["low_mib"] for part in parts) / 1024, 2),
            round(sum(part["high_mib"] for part in parts) / 1024, 2),
        )
        for parts in accounts
    ]


def test_gathering_the_shards_of_somebody_s_own_script() -> None:
    told = figures({"gpus": [0, 1, 2, 3], "script": SCRIPT}, size="704*384")
    assert told["n_gpus"] == 4
    assert totals_gib(told, "load") == [(25.65, 25.65)]  # 21.48 + 4.17
    assert (20.0, 22.0) in totals_gib(told, "run")


@pytest.mark.parametrize(("size", "range_gib"), [("384*256", (12.0, 15.0)), ("688*368", (18.0, 20.0))])
def test_what_operators_saw_by_size(size: str, range_gib: tuple[float, float]) -> None:
    assert range_gib in totals_gib(figures({"gpus": [0, 1, 2, 3], "script": SCRIPT}, size=size), "run")


def test_one_gpu_by_its_readme_and_by_its_code() -> None:
    told = figures(size="704*384", sample_steps=4)
    # a card of 48e9 bytes is 44.70 GiB; 14e9 bytes of weights are 13.04 GiB, four caches of 9.7 GiB are 38.8
    assert totals_gib(told, "run") == [(44.7, 44.7), (51.84, 51.84)]
    assert totals_gib(told, "load") == []
    plain = figures({"fp8": False}, size="704*384", sample_steps=4, options={"offload_kv_cache": True})
    # 80e9 bytes are 74.51 GiB; 28e9 bytes of weights are 26.08 GiB, one cache stays
    assert totals_gib(plain, "run") == [(74.51, 74.51), (35.78, 35.78)]


def test_times() -> None:
    factors = figures(sample_steps=3, offload_model=True, enable_online_decode=True)["time"]
    assert {one["factor"] for one in factors} == {0.75, 6.0, 1.15}
    assert figures(sample_steps=4)["time"] == []
    assert [rate["frames_per_s"] for rate in figures({"gpus": [0, 1, 2, 3, 4]})["rates"]] == [45.2, 18.0]
    assert [rate["frames_per_s"] for rate in figures({"gpus": [0, 1, 2, 3, 4], "fp8": False})["rates"]] == [
        36.0
    ]
    assert figures({"gpus": [0, 1, 2, 3], "script": SCRIPT})["rates"] == []


def test_every_figure_has_a_source() -> None:
    told = figures({"gpus": [0, 1, 2, 3], "script": SCRIPT}, size="704*384", sample_steps=3)
    sources = [part["source"] for one in told["memory"] for part in one["parts"]]
    sources += [one["source"] for one in told["time"]]
    assert all(sources)
