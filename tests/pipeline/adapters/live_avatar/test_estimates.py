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
    # a card of 48e9 bytes is 44.70 GiB; 14e9 bytes of weights are 13.04 GiB; four caches of 40 layers x keys and values x
    # 12 latents of 44 x 24 tokens x 5120 numbers x 2 bytes are 38.67 GiB, and one of 2800 tokens is 2.14 GiB
    assert totals_gib(told, "run") == [(44.7, 44.7), (53.85, 53.85)]
    assert totals_gib(told, "load") == [(26.08, 26.08)]  # 16 bits, before they become 8
    plain = figures({"fp8": False}, size="704*384", sample_steps=4, options={"offload_kv_cache": True})
    # 80e9 bytes are 74.51 GiB; 28e9 bytes of weights are 26.08 GiB, one cache of 9.67 GiB stays
    assert totals_gib(plain, "run") == [(74.51, 74.51), (37.88, 37.88)]


@pytest.mark.parametrize(
    ("parameters", "gib"),
    [
        ({"sample_steps": 4}, 38.67),
        ({"sample_steps": 2}, 38.67),  # there are four, whatever the steps
        ({"infer_frames": 96}, 77.34),
        ({"options": {"offload_kv_cache": True}}, 9.67),
    ],
)
def test_the_caches_of_one_gpu(parameters: dict[str, Any], gib: float) -> None:
    assert cache_gib(figures(size="704*384", **parameters)) == pytest.approx(gib, abs=0.01)


def test_each_of_several_gpus_has_the_cache_of_its_step() -> None:
    told = figures({"gpus": [0, 1, 2, 3, 4]}, size="704*384", infer_frames=96)
    assert cache_gib(told) == pytest.approx(19.34, abs=0.01)


def cache_gib(told: dict[str, Any]) -> float:
    (part,) = [
        part for one in told["memory"] for part in one["parts"] if "of a clip's frames" in part["name"]
    ]
    return float(part["low_mib"]) / 1024


def test_times() -> None:
    factors = figures(sample_steps=3, enable_online_decode=True)["time"]
    assert {one["factor"] for one in factors} == {0.75, 1.15}
    variant = figures({"script": SCRIPT}, offload_model=True)["time"]
    assert {one["factor"] for one in variant} == {6.0}
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
