"""`evalkit list`: what is installed, at a glance and one by one."""

from __future__ import annotations

import json
from importlib.metadata import entry_points

import pytest
from click.testing import CliRunner

from evalkit import registry
from evalkit.analysis.catalogue import known_metrics
from evalkit.cli import list as list_module
from evalkit.cli import main
from pipeline import extras

GROUPS = {
    "generators": "evalkit.generators",
    "evaluators": "evalkit.evaluators",
    "recognisers": "evalkit.recognisers",
    "answerers": "evalkit.answerers",
    "voices": "evalkit.speech_engines",
    "executors": "evalkit.executors",
    "reducers": "evalkit.reducers",
    "exporters": "evalkit.exporters",
}


def call(*words: str, columns: str = "80") -> str:
    done = CliRunner().invoke(main, ["list", *words], env={"COLUMNS": columns})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_overview_names_everything_within_eighty_columns() -> None:
    said = call()
    assert max(map(len, said.splitlines())) <= 80
    for kind, group in GROUPS.items():
        assert f"\n{kind}: " in f"\n{said}"
        assert all(f" {name}" in said.replace("\n", " ") for name in entry_points(group=group).names)
    assert "customer_service" in said
    assert "lip_sync (11)" in said


@pytest.mark.parametrize("kind", GROUPS)
def test_each_of_a_kind_has_a_line_that_says_what_it_is(kind: str) -> None:
    said = call(kind)
    assert max(map(len, said.splitlines())) <= 80
    names = [line.split()[0] for line in said.splitlines() if not line.startswith((" ", "cannot", "evalkit"))]
    assert names == sorted(entry_points(group=GROUPS[kind]).names)
    listed = json.loads(call(kind, "--json"))[kind]
    assert [item["name"] for item in listed] == names
    assert all(len(item["meaning"]) > 10 and "`" not in item["meaning"] for item in listed)


def test_every_metric_has_its_name_for_people_unit_and_meaning() -> None:
    said = " ".join(call("metrics").split())
    for name, metric in known_metrics().items():
        unit = "" if metric.unit == "1" else f" [{metric.unit}]"
        assert f"{name}{unit}: " in said
        assert metric.meaning in said
    assert "lip_sync.offset_ms [ms]: Lips follow the sound" in said
    listed = {item["name"]: item for item in json.loads(call("metrics", "--json"))["metrics"]}
    assert (listed["lip_sync.error"]["unit"], listed["lip_sync.error"]["better"]) == ("1", "lower")


def test_json_holds_every_kind() -> None:
    assert json.loads(call("--json")).keys() == {*GROUPS, "metrics", "policies"}


def test_a_policy_is_listed_with_its_title() -> None:
    assert "Customer-service avatar, release gates" in call("policies")


def test_what_is_missing_is_named_once_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.MODULES, "conversation", ("a_library_that_is_not_there",))
    cure = 'a_library_that_is_not_there is not installed: pip install "evalkit[conversation]"'
    said = call()
    assert said.count(cure.partition(": ")[2]) == 1
    assert " ".join(said.split()).count(cure) == 1
    (espeak,) = [one for one in json.loads(call("voices", "--json"))["voices"] if one["name"] == "espeak-ng"]
    assert espeak["obstacle"] == cure


def test_a_plug_in_that_does_not_load_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(group: str, name: str) -> None:
        raise registry.PluginError(f"{name} of {group} does not load: no such module")

    monkeypatch.setattr(registry, "load", fail)
    assert "cannot be used: recogniser pocketsphinx; pocketsphinx of" in " ".join(call("recognisers").split())


def test_a_narrow_terminal_is_respected() -> None:
    assert max(map(len, call("recognisers", columns="50").splitlines())) <= 62  # a command is not broken


def test_an_unknown_kind_is_told_with_those_that_there_are() -> None:
    done = CliRunner().invoke(main, ["list", "codecs"])
    assert done.exit_code == 2
    assert all(kind in done.stderr for kind in list_module._KINDS)
