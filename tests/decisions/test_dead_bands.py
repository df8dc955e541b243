"""Dead bands that were measured, in a policy."""

from __future__ import annotations

import pytest
import yaml

from evalkit.decisions.dead_bands import widen_dead_bands
from evalkit.decisions.policy import Policy, load_policy, policy_text
from evalkit.options import read_group

HEAD = "name: mine\ntitle: Mine\nquality: lip_sync.error\ncosts: [profile.total_s]\n"


def widen(text: str, **bands: float):
    policy = read_group(Policy, yaml.safe_load(text), "mine.yaml")
    named = {"error": "lip_sync.error", "offset": "lip_sync.offset_ms", "sharpness": "technical.sharpness"}
    return widen_dead_bands(text, policy, {named[name]: band for name, band in bands.items()})


def test_the_bundled_policy_is_widened_where_a_metric_needs_it_and_keeps_its_comments() -> None:
    text, policy = policy_text("customer_service"), load_policy("customer_service")
    found = widen_dead_bands(text, policy, {"lip_sync.error": 0.04, "lip_sync.offset_ms": 12.0})
    assert found.changes == (
        "lip_sync.error: dead band 0 → 0.04",
        "lip_sync.offset_ms: dead band 0 → 12 ms",
    )
    assert found.doubts == ()
    assert set(text.splitlines()) < set(found.text.splitlines())  # nothing is lost, comments least of all
    assert len(found.text.splitlines()) == len(text.splitlines()) + 2
    again = read_group(Policy, yaml.safe_load(found.text), "again.yaml")
    assert again == found.policy
    bands = {(rule.name, rule.dead_band) for rule in again.rules if rule.dead_band}
    assert bands == {
        ("lip_sync.error", 0.04),
        ("lip_sync.offset_ms", 12.0),
    }  # the share of bad clips is no error


def test_a_value_too_near_to_the_limit_does_not_pass_any_more() -> None:
    found = widen(HEAD + "rules:\n  - {metric: lip_sync.error, at_most: 0.3, why: a}\n", error=0.05)
    (rule,) = found.policy.rules
    assert rule.overshoot(0.24) < 0 < rule.overshoot(0.26)
    assert rule.limits == (-float("inf"), 0.3)  # the limit itself stays


@pytest.mark.parametrize(
    "rules",
    [
        "rules:\n- metric: lip_sync.error\n  at_most: 0.3\n  dead_band: 0.01\n  why: a\n",
        "rules:\n  - dead_band: 0.01\n    metric: lip_sync.error\n    at_most: 0.3\n    why: a\n",
        "rules: [{metric: lip_sync.error, at_most: 0.3, why: a}]\n",
        "rules:\n  - {metric: lip_sync.error, at_most: 0.3, why: 'a - b: c'}\n",
        "rules:\n  - why: |\n      a\n      - b: c\n    metric: lip_sync.error\n    at_most: 0.3\n",
        "rules:\n  - why: a\n      and b\n    metric: lip_sync.error\n    at_most: 0.3\n",
    ],
)
def test_however_the_rules_are_written(rules: str) -> None:
    found = widen(HEAD + rules, error=0.02)
    again = read_group(Policy, yaml.safe_load(found.text), "again.yaml")
    assert [rule.dead_band for rule in again.rules] == [0.02]
    assert again == found.policy


def test_a_wider_band_stays_and_an_impossible_one_is_told() -> None:
    text = HEAD + (
        "rules:\n  - metric: lip_sync.error\n    at_most: 0.3\n    dead_band: 0.1\n    why: a\n"
        "  - metric: lip_sync.offset_ms\n    at_least: -20\n    at_most: 20\n    why: b\n"
    )
    found = widen(text, error=0.05, offset=25.0)
    assert (found.changes, found.text) == ((), text)
    (doubt,) = found.doubts
    assert "lip_sync.offset_ms keeps its dead band of 0" in doubt
