"""What was tried to get a bad release past sign-off, each on a run folder and by the command line."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from evalkit.analysis.table import rows_of_run
from evalkit.cli import main
from evalkit.decisions.policy import load_policy
from evalkit.decisions.waivers import waiver_lines
from evalkit.runs import MetricValue, Run, TrialFailure
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR, TOTAL

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.runs import Trial

RULES: list[dict[str, Any]] = [
    {"metric": "lip_sync.error", "at_most": 0.3},
    {"metric": "profile.error_rate", "at_most": 0.1},
]
CRASH = TrialFailure("generate", "crashed", "it crashed")


def trials_of(n: int = 30, level: float = 0.1) -> list[Trial]:
    return [
        make_trial(
            params={"steps": 4},
            portrait="ann",
            speech=f"text {index}",
            seed=1,
            values={"lip_sync.error": level + 0.003 * index, "profile.total_s": 5.0},
        )
        for index in range(n)
    ]


def crashed(trial: Trial) -> Trial:
    return replace(trial, status="failed", failure=CRASH, quality=None)


def with_value(trial: Trial, **changed: Any) -> Trial:
    assert trial.quality is not None
    value = replace(trial.quality.metrics["lip_sync.error"], **changed)
    return replace(trial, quality=replace(trial.quality, metrics={"lip_sync.error": value}))


def policy_at(folder: Path, rules: list[dict[str, Any]] | None = None, **fields: Any) -> Path:
    plain = {"name": "p", "title": "P", "quality": "lip_sync.error", "costs": ["profile.total_s"], **fields}
    plain["rules"] = [{"why": "a gate", **rule} for rule in rules or RULES]
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(plain), "utf-8")
    return path


def sign_off(folder: Path, policy: Path, *words: object) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Return the exit code, the gates that do not pass by name, and what was printed."""
    out = folder.parent / "out.json"
    arguments = [str(word) for word in ("signoff", folder, "--policy", policy, "--json", out, *words)]
    result = CliRunner().invoke(main, arguments)
    if result.exit_code == 2:
        return 2, {}, result.output
    gates = json.loads(out.read_text("utf-8"))["gates"]
    return (
        result.exit_code,
        {gate["metric"]: gate for gate in gates if gate["status"] != "pass"},
        result.output,
    )


def put(folder: Path, trials: list[Trial], **more: Any) -> Path:
    return write_run(folder / "run", trials, (ERROR, TOTAL), **more)


def test_an_honest_run_passes(tmp_path: Path) -> None:
    code, missed, _ = sign_off(put(tmp_path, trials_of()), policy_at(tmp_path))
    assert (code, missed) == (0, {})


def test_retries_hide_no_failure(tmp_path: Path) -> None:
    """--retries and --retry-failed: every video is there in the end, and 45 % of the attempts failed."""
    trials = [replace(one, attempts=[CRASH] * (2 * (index % 2))) for index, one in enumerate(trials_of())]
    code, missed, _ = sign_off(put(tmp_path, trials), policy_at(tmp_path))
    assert code == 1
    assert missed["profile.error_rate"]["grade"] == "fails"
    assert missed["profile.error_rate"]["figure"]["value"] == pytest.approx(0.5)  # 30 of 60 attempts


def test_the_seeds_that_failed_are_not_forgotten(tmp_path: Path) -> None:
    trials = trials_of(39)
    folder = put(tmp_path, trials[:30], earlier=[crashed(one) for one in trials[30:]])
    code, missed, _ = sign_off(folder, policy_at(tmp_path))
    assert code == 1
    assert {"run.plan", "profile.error_rate"} <= set(missed)
    assert "9 results of an earlier plan left out" in missed["run.plan"]["evidence"]


def test_the_bad_seeds_that_were_swept_are_not_forgotten(tmp_path: Path) -> None:
    folder = put(tmp_path, trials_of(), earlier=trials_of(39, level=0.9)[30:])
    code, missed, _ = sign_off(folder, policy_at(tmp_path))
    assert (code, set(missed)) == (1, {"run.plan"})


def test_one_portrait_and_one_text_two_hundred_times_is_little(tmp_path: Path) -> None:
    trials = [
        make_trial(
            params={"steps": 4}, portrait="ann", speech="text", seed=seed, values={"lip_sync.error": 0.1}
        )
        for seed in range(200)
    ]
    policy = policy_at(tmp_path, reach={"speech": 20})
    code, missed, _ = sign_off(put(tmp_path, trials), policy)
    assert code == 1
    assert "1 piece of speech, asked 20" in missed["run.reach"]["evidence"]


def test_one_clip_is_too_few(tmp_path: Path) -> None:
    rules = [{"metric": "lip_sync.error", "at_most": 0.3, "judged_by": "value"}]
    code, missed, _ = sign_off(put(tmp_path, trials_of(1)), policy_at(tmp_path, rules))
    assert (code, missed["lip_sync.error"]["grade"]) == (1, "too few clips")


def test_a_good_trial_copied_sixty_times_counts_once(tmp_path: Path) -> None:
    good = replace(trials_of(1)[0], content="ab" * 32)
    code, missed, _ = sign_off(
        put(tmp_path, [replace(good, id=f"{index:016x}") for index in range(60)]), policy_at(tmp_path)
    )
    assert code == 1
    assert {"run.plan", "run.duplicates", "lip_sync.error"} <= set(missed)
    assert missed["lip_sync.error"]["n"] == 1


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"value": -5.0, "ci95": None}, "run.values"),
        ({"coverage": 0.01}, "run.coverage"),
    ],
)
def test_a_value_that_cannot_be_relied_on_is_found(
    tmp_path: Path, changed: dict[str, Any], name: str
) -> None:
    trials = trials_of()
    trials[3] = with_value(trials[3], **changed)
    code, missed, _ = sign_off(put(tmp_path, trials), policy_at(tmp_path))
    assert code == 1
    assert name in missed


def test_another_unit_is_found(tmp_path: Path) -> None:
    folder = put(tmp_path, trials_of())
    (path, *_) = sorted(folder.glob("videos/*/profile.json"))
    plain = json.loads(path.read_text("utf-8"))
    assert MetricValue(**plain["results"]["metrics"]["profile.total_s"]).unit == "s"
    plain["results"]["metrics"]["profile.total_s"]["unit"] = "min"
    path.write_text(json.dumps({**plain, "digest": None}), "utf-8")
    code, missed, _ = sign_off(folder, policy_at(tmp_path))
    assert (code, set(missed)) == (1, {"run.values"})


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("videos/*/profile.json", ("results", "metrics", "profile.total_s", "value")),
        ("videos/*/generation.json", ("generate_s",)),
        ("measurements/*/lip_sync@*[0-9a-f].json", ("results", "metrics", "lip_sync.error", "value")),
    ],
)
def test_a_plausible_value_in_place_of_another_is_found(
    tmp_path: Path, file: str, place: tuple[str, ...]
) -> None:
    folder = put(tmp_path, trials_of())
    assert sign_off(folder, policy_at(tmp_path))[0] == 0
    path = min(folder.glob(file))
    plain = json.loads(path.read_text("utf-8"))
    *outer, last = place
    at = plain
    for name in outer:
        at = at[name]
    at[last] = 0.05
    path.write_text(json.dumps(plain), "utf-8")
    code, missed, _ = sign_off(folder, policy_at(tmp_path))
    assert code == 1
    assert "run.complete" in missed


def test_old_evaluators_are_found(tmp_path: Path) -> None:
    code, missed, _ = sign_off(put(tmp_path, trials_of(), evaluators={"lip_sync": 1}), policy_at(tmp_path))
    assert (code, set(missed)) == (1, {"run.versions"})


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"metric": "lip_sync.error", "at_least": 0.3}], "is better when lower"),
        ([{"metric": "lip_sync.error", "at_most": 3}], "lies between 0 and 1"),
        ([{"metric": "profile.error_rate", "at_most": 0.5}], "write 0.005 for 0.5 %"),
        ([{"metric": "lip_sync.error", "at_most": 0.3, "kind": "soft"}], "all rules are soft"),
    ],
)
def test_policies_that_are_nonsense_are_refused(
    tmp_path: Path, rules: list[dict[str, Any]], words: str
) -> None:
    code, _, output = sign_off(put(tmp_path, trials_of()), policy_at(tmp_path, rules))
    assert code == 2
    assert words in " ".join(output.split())


@pytest.mark.parametrize("doubled", ["rules: []\n", "title: Other\n"])
def test_a_key_twice_is_refused(tmp_path: Path, doubled: str) -> None:
    policy = policy_at(tmp_path)
    policy.write_text(policy.read_text("utf-8") + doubled, "utf-8")
    code, _, output = sign_off(put(tmp_path, trials_of()), policy)
    assert code == 2
    assert "is there twice" in output


def waivers_at(
    folder: Path, policy: Path, run: Path, values: dict[str, float | None], days: int = 30
) -> Path:
    table, expires = rows_of_run(Run.open(run)), dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
    rules = load_policy(str(policy))
    entries = [
        f"  - metric: {name}\n{waiver_lines(rules, table.run_id, value)}\n    name: x\n    reason: x\n    expires: {expires}\n"
        for name, value in values.items()
    ]
    path = folder / "waivers.yaml"
    path.write_text("waivers:\n" + "".join(entries), "utf-8")
    return path


def test_all_crashed_and_all_waived_is_no_pass(tmp_path: Path) -> None:
    folder, policy = put(tmp_path, [crashed(one) for one in trials_of(20)]), policy_at(tmp_path)
    granted = waivers_at(tmp_path, policy, folder, {"lip_sync.error": None, "profile.error_rate": 1.0})
    code, missed, output = sign_off(folder, policy, "--waivers", granted)
    assert (code, {gate["status"] for gate in missed.values()}) == (1, {"waived"})
    assert output.startswith("FAIL")


def test_a_waiver_for_ever_or_of_a_better_value_or_of_another_run_waives_nothing(tmp_path: Path) -> None:
    folder = put(tmp_path, trials_of(level=0.4))
    rules = [*RULES[:1], {"metric": "profile.total_s", "at_most": 9, "per": "clip"}]
    policy = policy_at(tmp_path, rules)
    value = 0.4 + 0.003 * 14.5
    for values, days, code in (
        ({"lip_sync.error": value}, 30, 0),
        ({"lip_sync.error": value}, 91, 1),
        ({"lip_sync.error": value}, -1, 1),
        ({"lip_sync.error": value - 0.01}, 30, 1),
    ):
        granted = waivers_at(tmp_path, policy, folder, dict(values), days)
        assert sign_off(folder, policy, "--waivers", granted)[0] == code
    granted = waivers_at(tmp_path, policy, folder, {"lip_sync.error": value})
    text = granted.read_text("utf-8")
    granted.write_text(text.replace(rows_of_run(Run.open(folder)).run_id, "0123456789ab"), "utf-8")
    code, missed, _ = sign_off(folder, policy, "--waivers", granted)
    assert code == 1
    assert "it is about run 0123456789ab" in missed["lip_sync.error"]["evidence"]
