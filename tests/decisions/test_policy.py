"""Policies and waivers: what is read, and what is refused in words that help."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from evalkit.decisions.budget import ErrorBudget
from evalkit.decisions.policy import Policy, Rule, bundled_policies, load_policy
from evalkit.decisions.policy_checks import find_doubts
from evalkit.errors import UsageError
from evalkit.types import Metric

POLICY = """
name: mine
title: Mine
quality: lip_sync.error
costs: [profile.total_s]
rules:
  - metric: lip_sync.error
    at_most: 0.3
    why: a gate
  - metric: technical.loudness_lufs
    at_least: -24
    at_most: -22
    kind: soft
    why: EBU R 128
"""


def write(folder: Path, text: str) -> str:
    path = folder / "file.yaml"
    path.write_text(text, "utf-8")
    return str(path)


@pytest.mark.parametrize("name", bundled_policies())
def test_bundled_policies_load(name: str) -> None:
    assert load_policy(name).name == name


@pytest.mark.parametrize("name", bundled_policies())
def test_no_bundled_policy_gates_on_what_moves_with_the_encoding(name: str) -> None:
    assert not [rule for rule in load_policy(name).rules if rule.name.startswith("motion.jitter_ratio")]


def test_customer_service_holds_the_gates() -> None:
    """The release gates, with their numbers."""
    policy = load_policy("customer_service")
    hard = {rule.name: rule for rule in policy.rules if rule.kind == "hard"}
    assert hard["lip_sync.error"].at_most == 0.3
    assert (hard["rating.mos"].at_least, hard["rating.mos"].min_n) == (4.0, 20)
    assert hard["brand.fidelity"].at_least == 0.85
    assert {"brand.color_delta_e", "motion.sparc", "motion.amount_deg_s"} <= set(hard)
    assert (hard["profile.ttff_s"].at_most, hard["profile.ttff_s"].per) == (3.0, "clip")
    assert (hard["profile.error_rate"].at_most, hard["profile.error_rate"].fewest) == (0.005, 598)
    assert (hard["lip_sync.error.bad"].bad_beyond, hard["lip_sync.error.bad"].at_most) == (0.5, 0.1)
    assert hard["lip_sync.error.bad"].fewest == 29
    assert (policy.reach.speech, [metric.name for metric in policy.primary]) == (20, ["lip_sync.error"])
    assert hard["profile.peak_vram_share"].at_most == 0.95


def test_a_policy_is_read_from_a_file(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path, POLICY))
    assert [rule.text() for rule in policy.rules] == ["at most 0.3", "-24 to -22"]
    assert policy.metric_names() == ["lip_sync.error", "technical.loudness_lufs", "profile.total_s"]
    assert policy.rule_for("profile.total_s") is None


def test_the_hash_of_a_policy_is_that_of_what_it_says(tmp_path: Path) -> None:
    first = load_policy(write(tmp_path, POLICY))
    same = load_policy(write(tmp_path, "# a remark\n" + POLICY))
    other = load_policy(write(tmp_path, POLICY.replace("0.3", "0.31")))
    assert first.content_hash == same.content_hash != other.content_hash


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("at_most: 0.3", "at_mots: 0.3", r"no option 'rules\.0\.at_mots'; did you mean 'at_most'"),
        ("title: Mine", "titel: Mine", r"no option 'titel'; did you mean 'title'"),
        (
            "at_most: 0.3",
            "at_most: low",
            r"rules\.0\.at_most is 'low'; allowed: a number",
        ),
        ("at_most: 0.3", "at_most: .nan", "numbers must be finite"),
        ("    at_most: 0.3\n", "", "a rule needs at_most, at_least or both"),
        ("at_least: -24", "at_least: -20", "nothing lies between at_least and at_most"),
        ("kind: soft", "kind: weak", r"rules\.1\.kind is 'weak'; allowed: hard or soft"),
        ("why: a gate", "why: ' '", r"rules\.0\.why: must not be blank"),
        ("    why: a gate\n", "", r"rules\.0\.why is missing"),
        (
            "metric: lip_sync.error",
            "metric: lip_sync.eror",
            "unknown metric 'lip_sync.eror'; did you mean 'lip_sync",
        ),
        ("quality: lip_sync.error", "quality: beauty", "unknown metric 'beauty'"),
        (
            "metric: technical.loudness_lufs",
            "metric: lip_sync.error\n    dead_band: -1",
            "dead_band is -1; allowed: at least 0",
        ),
        (
            "technical.loudness_lufs",
            "lip_sync.error\n    min_n: 0",
            "min_n is 0; allowed: at least 1",
        ),
        ("kind: soft", "kind: hard\n    dead_band: 2", "nothing lies between"),
        (
            "kind: soft",
            "reducer: p91",
            "unknown reducer 'p91'; did you mean 'p90'.*installed: bad_share, mean, p10, p90",
        ),
        ("kind: soft", "reducer: p90\n    per: clip", "per: clip judges the worst clip, not p90"),
        (
            "metric: technical.loudness_lufs",
            "metric: profile.error_rate\n    per: clip",
            "profile.error_rate is a share of all attempts; leave out per, reducer and bad_beyond",
        ),
        ("    why: a gate\n", "    why: a gate\n    at_most: 0.9\n", "'at_most' is there twice"),
        ("rules:", "rules: []\nrules:", "'rules' is there twice"),
    ],
)
def test_wrong_policies_are_refused(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in POLICY
    with pytest.raises(UsageError, match=message):
        load_policy(write(tmp_path, POLICY.replace(before, after)))


def rule_of(**fields: Any) -> Rule:
    return Rule.model_validate({"metric": "lip_sync.error", "why": "a gate", **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"at_least": 0.3}, "at_least 0.3 alone: lip_sync.error is better when lower, .* write at_most"),
        (
            {"metric": "brand.fidelity", "at_most": 0.85},
            "at_most 0.85 alone: .* better when higher, .* write at_least",
        ),
        ({"at_most": 3}, "at_most 3: lip_sync.error lies between 0 and 1; write 0.03 for 3 %"),
        ({"at_most": 1}, "at most 1: everything passes, as lip_sync.error lies between 0 and 1"),
        ({"at_most": 0.3, "at_least": -1}, "at_least -1: lip_sync.error lies between 0 and 1"),
        ({"metric": "profile.ttff_s", "at_most": -1}, "at_most -1: profile.ttff_s lies above 0"),
        ({"metric": "rating.mos", "at_least": 1}, "at least 1: everything passes"),
        ({"metric": "profile.error_rate", "at_most": 0.5}, "at_most 0.5 .* is 50 %; write 0.005 for 0.5 %"),
        ({"metric": "profile.error_rate", "at_most": 5}, "at_most 5 .* is 500 %; write 0.005 for 0.5 %"),
        ({"at_most": 0.1, "bad_beyond": 1.0}, "bad_beyond 1: no clip is worse"),
        ({"at_most": 0.1, "bad_beyond": 5}, "bad_beyond 5: no clip is worse, as .* between 0 and 1"),
        ({"metric": "brand.fidelity", "at_most": 0.1, "bad_beyond": 0}, "bad_beyond 0: no clip is worse"),
        ({"at_most": 10, "bad_beyond": 0.5}, "at_most 10 is no share .*; write 0.1 for 10 %"),
        ({"at_least": 0.1, "bad_beyond": 0.5}, "the share of bad clips needs at_most, and no at_least"),
        ({"at_most": 0.1, "bad_beyond": 0.5, "margin": 0.1}, "a margin is for values"),
        ({"at_most": 0.1, "bad_beyond": 0.5, "per": "clip"}, "leave out per and reducer"),
        ({"at_most": 0.1, "reducer": "bad_share"}, "reducer: bad_share needs bad_beyond"),
        ({"metric": "technical.fps", "at_most": 0.1, "bad_beyond": 20}, "no end of technical.fps is bad"),
        ({"metric": "lip_sync.offset_ms", "at_most": 0.1, "bad_beyond": -125}, "write it above 0"),
        ({"at_most": 0.3, "margin": 0.3}, "margin 0.3 leaves no room: what passes lies between 0 and 0.3"),
        ({"at_most": 0.3, "dead_band": 0.4}, "dead_band 0.4 leaves no room"),
        (
            {"metric": "motion.amount_deg_s", "at_least": 2, "at_most": 30, "margin": 28},
            "margin 28 leaves no room: what passes lies between 2 and 30",
        ),
    ],
)
def test_nonsense_is_refused_with_its_cure(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule_of(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"at_most": 0.3, "at_least": 0.1},
        {"metric": "technical.freeze_ratio", "at_most": 0, "per": "clip"},
        {"metric": "lip_sync.offset_ms", "at_most": 0.1, "bad_beyond": 125},
        {"metric": "motion.sparc", "at_least": -5.0, "margin": 0.3},
        {"metric": "technical.loudness_lufs", "at_most": -10},
    ],
)
def test_what_is_unusual_but_means_something_is_allowed(fields: dict[str, Any]) -> None:
    assert rule_of(**fields).fewest >= 19


@pytest.mark.parametrize(
    ("fields", "fewest"),
    [
        ({"at_most": 0.3}, 19),
        ({"at_most": 0.3, "min_n": 30}, 30),
        ({"at_most": 0.3, "min_n": 5}, 19),
        ({"at_most": 0.3, "min_n": 5, "judged_by": "value"}, 5),
        ({"at_most": 0.3, "judged_by": "value"}, 19),
        ({"at_most": 0.3, "per": "clip", "min_n": 3}, 3),
        ({"at_most": 0.1, "bad_beyond": 0.5}, 29),  # 0.9^28 = 0.0523, 0.9^29 = 0.0471
        ({"at_most": 0.1, "bad_beyond": 0.5, "min_n": 40}, 40),
        ({"metric": "profile.error_rate", "at_most": 0.005}, 598),
        ({"metric": "profile.error_rate", "at_most": 0.01}, 299),
    ],
)
def test_how_many_clips_a_rule_needs(fields: dict[str, Any], fewest: int) -> None:
    assert rule_of(**fields).fewest == fewest


def test_a_share_needs_more_where_one_of_many_is_picked() -> None:
    rule = rule_of(at_most=0.1, bad_beyond=0.5)
    assert (
        rule.fewest_within(ErrorBudget(n_configurations=9)) == 50
    )  # 0.9^49 = .00573, 0.9^50 = .00515 < .05 / 9


def test_a_policy_of_soft_rules_alone_is_refused(tmp_path: Path) -> None:
    text = POLICY.replace("    why: a gate\n", "    why: a gate\n    kind: soft\n")
    with pytest.raises(UsageError, match="all rules are soft, so everything passes; write kind: hard"):
        load_policy(write(tmp_path, text))


def test_rules_that_mislead_are_warned_of(tmp_path: Path) -> None:
    assert load_policy(write(tmp_path, POLICY)).warnings == ()
    text = POLICY.replace("    why: a gate\n", "    why: a gate\n    min_n: 5\n")
    (warning,) = load_policy(write(tmp_path, text)).warnings
    assert warning.startswith("lip_sync.error: min_n 5 has no effect: nothing passes with fewer than 19")
    text = POLICY.replace("    why: a gate\n", "    why: a gate\n    judged_by: value\n")
    (warning,) = load_policy(write(tmp_path, text)).warnings
    assert "the mean of these clips alone is judged" in warning
    text = POLICY.replace("quality: lip_sync.error", "quality: motion.amount_deg_s")
    (warning,) = load_policy(write(tmp_path, text)).warnings
    assert warning.startswith("quality motion.amount_deg_s: neither more nor less of it is better")
    assert all(load_policy(name).warnings == () for name in bundled_policies())


def test_what_is_asked_first_is_quality_unless_said(tmp_path: Path) -> None:
    assert [metric.name for metric in load_policy(write(tmp_path, POLICY)).primary] == ["lip_sync.error"]
    text = POLICY + "primary: [brand.fidelity, lip_sync.error]\ngiven: [portrait]\nreach: {speech: 20}\n"
    policy = load_policy(write(tmp_path, text))
    assert [metric.name for metric in policy.primary] == ["brand.fidelity", "lip_sync.error"]
    assert (policy.given, policy.reach.speech, policy.reach.seeds) == (("portrait",), 20, 1)
    assert "brand.fidelity" in policy.metric_names()
    for wrong, message in (
        ("primary: [beauty]\n", "unknown metric 'beauty'"),
        ("primary: []\n", "primary is .*at least 1"),
        ("given: [voice]\n", "given.0 is 'voice'; .*portrait"),
        ("reach: {texts: 2}\n", "no option 'reach.texts'"),
        ("reach: {speech: 0}\n", "reach.speech is 0"),
    ):
        with pytest.raises(UsageError, match=message):
            load_policy(write(tmp_path, POLICY + wrong))


def test_a_share_rule_is_called_by_its_own_name_and_words(tmp_path: Path) -> None:
    text = POLICY + "  - {metric: lip_sync.error, bad_beyond: 0.5, at_most: 0.1, why: a gate}\n"
    policy = load_policy(write(tmp_path, text))
    rule = policy.rules[-1]
    assert (rule.name, rule.reduction, rule.requirement()) == (
        "lip_sync.error.bad",
        "bad_share",
        "at most 10 % of clips beyond 0.5",
    )
    assert policy.rule_for("lip_sync.error") is policy.rules[0]
    assert rule.clip_limits == (-math.inf, 0.5)
    assert rule_of(metric="brand.fidelity", at_most=0.1, bad_beyond=0.6).clip_limits == (0.6, math.inf)
    assert rule_of(metric="lip_sync.offset_ms", at_most=0.1, bad_beyond=125).clip_limits == (-125, 125)
    with pytest.raises(UsageError, match=r"lip_sync\.error\.bad has two hard rules"):
        load_policy(write(tmp_path, text + text.rsplit("\n", 2)[1] + "\n"))


def test_a_mistake_in_the_only_rule_is_one_line(tmp_path: Path) -> None:
    head = POLICY.split("rules:", maxsplit=1)[0]
    with pytest.raises(UsageError) as caught:
        load_policy(
            write(tmp_path, head + "rules:\n  - {metric: lip_sync.error, at_most: low, why: a gate}\n")
        )
    assert str(caught.value).count("\n") == 0
    assert "rules.0.at_most is 'low'" in str(caught.value)
    with pytest.raises(UsageError, match=r"rules is \[\]; allowed: at least 1 of them"):
        load_policy(write(tmp_path, head + "rules: []\n"))


def test_two_hard_rules_for_one_metric_are_refused(tmp_path: Path) -> None:
    text = POLICY + "  - {metric: lip_sync.error, at_most: 0.2, why: twice}\n"
    with pytest.raises(UsageError, match=r"lip_sync\.error has two hard rules"):
        load_policy(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1, 2", "YAML"), ("- 1", "mapping"), ("", "mapping"), ("\0", "YAML")],
)
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_policy(write(tmp_path, text))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'customer_service'"):
        load_policy("costumer_service")


def test_metrics_of_other_evaluators_may_be_named(tmp_path: Path) -> None:
    teeth = Metric("teeth.whiteness", "1", "higher", "of the teeth")
    text = POLICY.replace("technical.loudness_lufs", "teeth.whiteness")
    assert load_policy(write(tmp_path, text), [teeth]).rules[1].metric == teeth


def test_rules_are_frozen() -> None:
    rule = Rule.model_validate({"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate"})
    with pytest.raises(ValueError, match="frozen"):
        rule.at_most = 1.0
    assert Policy.model_fields["rules"].is_required()


@pytest.mark.parametrize(
    ("more", "reduction", "words"),
    [
        ({}, "mean", "at most 0.3"),
        ({"per": "clip"}, "worst", "at most 0.3 in every clip"),
        ({"per": "clip", "reducer": "worst"}, "worst", "at most 0.3 in every clip"),
        ({"reducer": "mean"}, "mean", "at most 0.3"),
        ({"reducer": "p90"}, "p90", "at most 0.3 (p90)"),
    ],
)
def test_a_rule_says_how_clips_become_one_value(more: dict[str, str], reduction: str, words: str) -> None:
    rule = Rule.model_validate({"metric": "lip_sync.error", "at_most": 0.3, "why": "a gate", **more})
    assert (rule.reduction, rule.requirement()) == (reduction, words)


def test_what_a_policy_does_not_say_is_not_in_its_hash(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path, POLICY))
    assert all("reducer" not in rule for rule in policy.model_dump()["rules"])
    median = load_policy(write(tmp_path, POLICY.replace("kind: soft", "kind: soft\n    reducer: mean")))
    assert median.content_hash != policy.content_hash


def test_a_policy_holds_its_metrics(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path, POLICY))
    assert (policy.quality.unit, policy.costs[0].unit, policy.rules[1].metric.better) == ("1", "s", "band")
    assert repr(policy) == "<Policy mine: 2 rules>"


def test_a_number_of_raters_is_not_held_against_that_of_clips() -> None:
    rule = {"metric": "rating.mos", "at_most": 0.1, "bad_beyond": 3, "min_n": 20, "why": "a gate"}
    assert not list(find_doubts(Rule.model_validate(rule)))
    (doubt,) = find_doubts(Rule.model_validate({**rule, "metric": "lip_sync.confidence", "bad_beyond": 0.5}))
    assert doubt == "min_n 20 has no effect: nothing passes with fewer than 29 anyway; leave it out"
