"""Waivers: what is read, what they bind, and what is refused in words that help."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalkit.decisions.policy import Policy
from evalkit.decisions.waivers import Waiver, load_waivers, waiver_lines
from evalkit.errors import UsageError

POLICY = Policy.model_validate(
    {
        "name": "mine",
        "title": "Mine",
        "quality": "lip_sync.error",
        "costs": ["profile.total_s"],
        "rules": [
            {"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"},
            {"metric": "lip_sync.error", "bad_beyond": 0.5, "at_most": 0.1, "why": "a gate"},
            {
                "metric": "technical.loudness_lufs",
                "at_least": -24,
                "at_most": -22,
                "kind": "soft",
                "why": "EBU",
            },
        ],
    }
)
OTHER = Policy.model_validate({**POLICY.model_dump(), "title": "Other"})
RUN = "0123456789ab"
TODAY = dt.date(2026, 3, 1)
WAIVERS = f"""
waivers:
  - metric: lip_sync.error
    run: {RUN}
    policy: {POLICY.content_hash[:12]}
    value: 0.35
    name: Ann
    reason: pilot
    expires: 2026-03-01
"""


def load(folder: Path, text: str) -> tuple[Waiver, ...]:
    path = folder / "file.yaml"
    path.write_text(text, "utf-8")
    return load_waivers(path, POLICY, RUN, {"lip_sync.error": 0.3499999999})


def why_not(judged: float | None = 0.35, rule: int | None = 0, **changed: Any) -> str | None:
    """Judge a waiver of 0.35 by what is changed of the judgement."""
    fields = {"metric": "m", "run": RUN, "policy": POLICY.content_hash[:8], "value": 0.35}
    fields |= {"name": "Ann", "reason": "pilot", "expires": dt.date(2026, 3, 1)}
    fields |= {name: changed.pop(name) for name in tuple(changed) if name in fields}
    given: dict[str, Any] = {"run": RUN, "policy": POLICY, "today": TODAY} | {
        name.removeprefix("of_"): changed[name] for name in changed
    }
    return Waiver.model_validate(fields).why_not(
        judged, None if rule is None else POLICY.rules[rule], **given
    )


def test_waivers_are_read(tmp_path: Path) -> None:
    (waiver,) = load(tmp_path, WAIVERS)
    assert (waiver.name, waiver.reason, waiver.run, waiver.value) == ("Ann", "pilot", RUN, 0.35)


@pytest.mark.parametrize("value", [0.35, 0.2, 0.35 + 1e-12])
def test_a_waiver_holds_for_what_is_no_worse(value: float) -> None:
    assert why_not(value) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"today": TODAY + dt.timedelta(days=1)}, "it expired on 2026-03-01"),
        (
            {"expires": dt.date(2026, 5, 31)},
            "lasts until 2026-05-31, and the policy allows 90 days from today",
        ),
        ({"expires": dt.date(9999, 12, 31)}, "lasts until 9999-12-31"),
        ({"of_run": "ba9876543210"}, f"it is about run {RUN}, and this is ba9876543210"),
        (
            {"of_policy": OTHER},
            f"under policy {POLICY.content_hash[:8]}, and this is {OTHER.content_hash[:12]}",
        ),
        ({"value": 0.34}, "it accepts 0.34, and 0.35 is worse"),
        ({"value": None}, "it accepts nothing measured, and judged was 0.35"),
    ],
)
def test_a_waiver_binds(changed: dict[str, Any], message: str) -> None:
    assert message in str(why_not(**changed))


def test_nothing_measured_is_not_a_value_that_was_accepted() -> None:
    assert why_not(None) == "it accepts 0.35, and judged was nothing measured"
    assert why_not(None, value=None) is None


def test_worse_is_further_beyond_the_limits_on_either_side() -> None:
    band = {"rule": 2, "value": -21.0}
    assert why_not(-25.0, **band) is None  # one beyond, as -21 is
    assert "it accepts -21, and -25.5 is worse" in str(why_not(-25.5, **band))


def test_of_a_line_about_the_run_more_is_worse() -> None:
    assert why_not(3.0, rule=None, value=3.0) is None
    assert why_not(4.0, rule=None, value=3.0) == "it accepts 3, and 4 is worse"


def test_ninety_days_are_allowed_and_a_policy_may_say_otherwise() -> None:
    assert why_not(expires=TODAY + dt.timedelta(days=90)) is None
    longer = Policy.model_validate({**POLICY.model_dump(), "max_waiver_days": 365})
    hashed = {"policy": longer.content_hash[:8], "of_policy": longer}
    assert why_not(expires=TODAY + dt.timedelta(days=365), **hashed) is None
    assert "allows 365 days" in str(why_not(expires=TODAY + dt.timedelta(days=366), **hashed))


def test_a_waiver_of_before_is_refused_with_the_lines_to_add(tmp_path: Path) -> None:
    head, tail = WAIVERS.split("    run:", maxsplit=1)
    old = head + tail[tail.index("    name:") :]
    with pytest.raises(
        UsageError, match="does not say which run, policy and value it is about; add"
    ) as caught:
        load(tmp_path, old)
    lines = str(caught.value).split("\n", maxsplit=1)[1]
    assert lines == waiver_lines(POLICY, RUN, 0.3499999999)
    (waiver,) = load(tmp_path, old + lines)
    assert why_not(0.3499999999, value=waiver.value) is None


def test_the_lines_of_a_waiver_are_yaml_and_lose_no_digit() -> None:
    assert yaml.safe_load(waiver_lines(POLICY, RUN, 1 / 3))["value"] == 1 / 3
    assert yaml.safe_load(waiver_lines(POLICY, RUN, None))["value"] is None


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("    name: Ann\n", "", r"waivers\.0\.name is missing"),
        ("    reason: pilot\n", "", r"waivers\.0\.reason is missing"),
        ("    expires: 2026-03-01\n", "", r"waivers\.0\.expires is missing"),
        ("    value: 0.35\n", "", r"waivers\.0\.value is missing"),
        (f"    run: {RUN}\n", "", r"waivers\.0\.run is missing"),
        (POLICY.content_hash[:12], "12345", r"waivers\.0\.policy is 12345"),
        ("name: Ann", "name: ''", r"waivers\.0\.name: must not be blank"),
        ("expires: 2026-03-01", "expires: soon", r"waivers\.0\.expires is 'soon'; allowed: a date, as in"),
        ("expires:", "expire: 1\n    expires:", "no option 'waivers.0.expire'; did you mean 'expires'"),
        (
            "lip_sync.error",
            "lip_sync.eror",
            "no hard rule for 'lip_sync.eror'; did you mean 'lip_sync.error'",
        ),
        ("lip_sync.error", "technical.loudness_lufs", "no hard rule for 'technical.loudness_lufs'"),
        ("    name:", "    value: 0.4\n    name:", "'value' is there twice"),
        ("waivers:\n", "", "must be `waivers:` and under it a list of metric, run, policy, value"),
    ],
)
def test_wrong_waivers_are_refused(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in WAIVERS
    with pytest.raises(UsageError, match=message):
        load(tmp_path, WAIVERS.replace(before, after))


@pytest.mark.parametrize("name", ["lip_sync.error", "lip_sync.error.bad", "run.complete"])
def test_hard_rules_and_lines_about_the_run_may_be_waived(tmp_path: Path, name: str) -> None:
    (waiver,) = load(tmp_path, WAIVERS.replace("lip_sync.error", name))
    assert waiver.metric == name


def test_two_waivers_of_one_metric_are_refused(tmp_path: Path) -> None:
    twice = WAIVERS + WAIVERS.split("\n", 2)[2]
    with pytest.raises(UsageError, match=r"two waivers for 'lip_sync\.error'"):
        load(tmp_path, twice)


def test_a_missing_file_of_waivers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_waivers(tmp_path / "none.yaml", POLICY, RUN, {})
