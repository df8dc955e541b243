"""What `evalkit init` writes: each sample works as it stands, and agrees with the schema beside it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from evalkit.brands.guidelines import read_brand
from evalkit.cli import main
from evalkit.cli.init import _NAMES
from evalkit.decisions.policy import Policy
from evalkit.samples import KINDS
from evalkit.samples.schemas import _groups_in
from evalkit.sweeps.config import SweepConfig

ROOT = Path(__file__).parents[2]


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which `evalkit init` was called."""
    monkeypatch.chdir(tmp_path)
    made = call("init")
    assert made.exit_code == 0, made.output
    return tmp_path


@pytest.fixture(scope="module")
def schemas() -> dict[str, dict[str, Any]]:
    return {name: kind.schema() for name, kind in KINDS.items()}


def is_valid(data: Any, schema: dict[str, Any]) -> bool:
    plain = json.loads(json.dumps(data, default=str))
    return jsonschema.Draft202012Validator(schema).is_valid(plain)


def uncommented(kind: str) -> list[Any]:
    """Return a sample once for each option that is left out by a ``#``, with that option in it.

    Words begin with a capital letter, options do not; what belongs to an option is further in.
    """
    lines = KINDS[kind].text().splitlines()[1:]
    found = []
    for start, line in enumerate(lines):
        if not re.match(r"\s*# [a-z-]", line):
            continue
        end = start + 1
        while end < len(lines) and re.match(r"#   ", lines[end]):
            end += 1
        option = [re.sub(r"^(\s*)# ", r"\1", one) for one in lines[start:end]]
        found.append(yaml.safe_load("\n".join([*lines[:start], *option, *lines[end:]])))
    return found


# --- the files -----------------------------------------------------------------------------------------------------------


def test_the_command_names_every_kind() -> None:
    assert list(KINDS) == list(_NAMES)


def test_everything_is_written_and_every_file_is_named(folder: Path, tmp_path: Path) -> None:
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {
        *(kind.file for kind in KINDS.values()),
        *(kind.schema_file for kind in KINDS.values()),
        "logo.svg",
        "faq/opening_hours.md",
    }
    told = call("init", tmp_path / "other").output
    assert all(name in told for name in written)


def test_the_sweep_can_be_done(folder: Path) -> None:
    told = call("sweep", folder / "sweep.yaml", "--dry-run")
    assert told.exit_code == 0, told.output
    assert "4 trials, 0 done, 4 pending" in told.output


@pytest.mark.usefixtures("folder")
def test_nothing_is_wrong_with_the_policy() -> None:
    told = call("policy", "check", "policy.yaml")
    assert (told.exit_code, "nothing is wrong with it" in told.output) == (0, True)


def test_the_brand_can_be_read_with_its_drawing(folder: Path) -> None:
    brand = read_brand(folder / "brand.yaml")
    assert (brand.name, len(brand.logos), len(brand.colors)) == ("Sample Brand", 1, 2)


@pytest.mark.usefixtures("folder")
def test_nothing_stops_the_conversation() -> None:
    told = call("doctor", "--generator", "conversation", "--settings", "conversation.yaml")
    assert told.exit_code == 0, told.output
    planned = call(
        *("generate", "--generator", "reference", "--conversation", "conversation.yaml"),
        *("--question", "When do you open?", "--out", "answer.mp4", "--dry-run"),
    )
    assert planned.exit_code == 0, planned.output
    assert "passages of documents" in planned.output


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_can_be_asked_for_by_another_name(kind: str, tmp_path: Path) -> None:
    told = call("init", kind, tmp_path / "new" / "mine.yml")
    assert told.exit_code == 0, told.output
    first = (tmp_path / "new" / "mine.yml").read_text("utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema=schemas/{kind}.json"
    assert json.loads((tmp_path / "new" / "schemas" / f"{kind}.json").read_text("utf-8"))["title"]


def test_a_file_alone_is_a_sweep(tmp_path: Path) -> None:
    assert call("init", tmp_path / "mine.yaml").exit_code == 0
    assert "generator:" in (tmp_path / "mine.yaml").read_text("utf-8")


def test_a_policy_begun_from_the_sample_has_its_guide_once(folder: Path) -> None:
    assert call("policy", "new", folder / "next.yaml", "--from", folder / "policy.yaml").exit_code == 0
    assert (folder / "next.yaml").read_text("utf-8").count("# A release policy") == 1


@pytest.mark.parametrize("name", ["brand.yaml", "logo.svg", "schemas/sweep.json"])
def test_nothing_of_the_users_is_overwritten(name: str, tmp_path: Path) -> None:
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine", "utf-8")
    told = call("init", tmp_path)
    assert (told.exit_code, mine.read_text("utf-8")) == (2, "mine")
    assert f"{name} is there already; nothing was written" in told.output.replace("\n", " ")
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1


def test_a_schema_of_an_older_evalkit_is_written_again(folder: Path) -> None:
    schema = folder / "schemas" / "sweep.json"
    schema.write_text(json.dumps({"$comment": "made by evalkit init"}), "utf-8")
    assert call("init", "sweep", folder / "second.yaml").exit_code == 0
    assert "properties" in json.loads(schema.read_text("utf-8"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("polcy", "x.yaml"), "is no kind of file"),
        (("polcy",), "did you mean policy? For a new folder of that name: evalkit init ./polcy"),
        (("--schema", "polcy"), "has no schema"),
        (("sweep", "/proc/none/x.yaml"), "cannot be written"),
    ],
)
def test_wrong_use_is_told(words: tuple[str, ...], said: str) -> None:
    told = call("init", *words)
    assert (told.exit_code, said in told.output) == (2, True)


# --- the schemas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_and_the_sample_agrees(kind: str, schemas: dict[str, dict[str, Any]]) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas[kind])
    jsonschema.validate(yaml.safe_load(KINDS[kind].text()), schemas[kind])
    printed = call("init", "--schema", kind)
    assert json.loads(printed.output) == schemas[kind]


@pytest.mark.parametrize(("kind", "fewest"), [("sweep", 9), ("brand", 5), ("conversation", 8)])
def test_every_option_behind_a_comment_is_one(
    kind: str, fewest: int, schemas: dict[str, dict[str, Any]]
) -> None:
    found = uncommented(kind)
    assert len(found) >= fewest
    for data in found:
        jsonschema.validate(data, schemas[kind])


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("sweep", "evalkit/sweeps/quickstart.yaml"),
        ("sweep", "notebooks/norrvik/sweep.yaml"),
        ("policy", "evalkit/decisions/policies/customer_service.yaml"),
        ("brand", "notebooks/norrvik/brand.yaml"),
    ],
)
def test_files_of_this_repository_agree(kind: str, path: str, schemas: dict[str, dict[str, Any]]) -> None:
    jsonschema.validate(yaml.safe_load((ROOT / path).read_text("utf-8")), schemas[kind])


BROKEN = [
    ("sweep", {"generater": {"name": "reference"}}),
    ("sweep", {"generator": "reference"}),
    ("sweep", {"generator": {"name": "reference", "settings": {"devise": "cpu"}}}),
    ("sweep", {"generator": {"device": "gpu"}}),
    ("sweep", {"inputs": {"speech": "hello.wav"}}),
    ("sweep", {"inputs": {"speech": [{"words": "hello"}]}}),
    ("sweep", {"parameters": {"sample_steps": "four"}}),
    ("sweep", {"grid": {"sample_steps": 4}}),
    ("sweep", {"grid": {"sample_steps": [0]}}),
    ("sweep", {"seeds": [-1]}),
    ("sweep", {"measuring": {"brand": {"fyle": "brand.yaml"}}}),
    ("sweep", {"execution": {"retries": 1.5}}),
    ("policy", {"primary": "lip_sync.error"}),
    ("policy", {"rules": []}),
    ("policy", {"rules": [{"metric": "lip_sync.error", "atmost": 0.3, "why": "x"}]}),
    ("policy", {"rules": [{"metric": "lip_sync.error", "at_most": "0.3", "why": "x"}]}),
    ("policy", {"given": ["voice"]}),
    ("brand", {"logos": []}),
    ("brand", {"colors": ["#0b5fff"], "colours": []}),
    ("brand", {"place": {"left": 0, "top": 0, "right": 2, "bottom": 1}}),
    ("conversation", {"answerers": ["documents"]}),
    ("conversation", {"answerers": [{"nam": "documents"}]}),
    ("conversation", {"answerers": [{"name": "openai", "settings": {"modle": "x"}}]}),
    ("conversation", {"n_passages": 0}),
    ("conversation", {"words": {"path": "a.txt", "action": "delete"}}),
    ("conversation", {"emotion": "yes"}),
]


@pytest.mark.parametrize(("kind", "change"), BROKEN, ids=[f"{kind} {change}" for kind, change in BROKEN])
def test_a_broken_file_does_not_agree(
    kind: str, change: dict[str, Any], schemas: dict[str, dict[str, Any]]
) -> None:
    data = copy.deepcopy(yaml.safe_load(KINDS[kind].text()))
    assert is_valid(data, schemas[kind])
    assert not is_valid({**data, **change}, schemas[kind])


def test_a_name_that_is_not_installed_here_may_be_elsewhere(schemas: dict[str, dict[str, Any]]) -> None:
    data = yaml.safe_load(KINDS["sweep"].text())
    data["generator"] = {"name": "ours", "settings": {"anything": 1}}
    assert is_valid(data, schemas["sweep"])
    policy = yaml.safe_load(KINDS["policy"].text())
    policy["rules"].append({"metric": "vbench.aesthetic", "at_least": 0.5, "why": "imported"})
    assert is_valid(policy, schemas["policy"])


def test_editors_are_told_every_option_of_the_models(schemas: dict[str, dict[str, Any]]) -> None:
    for kind, model in (("sweep", SweepConfig), ("policy", Policy)):
        found = {model.__name__: schemas[kind], **schemas[kind]["$defs"]}
        for group in _groups_in(model):
            assert found[group.__name__]["properties"].keys() == group.model_fields.keys()
    metrics = schemas["policy"]["$defs"]["Rule"]["properties"]["metric"]["anyOf"][0]["enum"]
    assert {"lip_sync.error", "rating.mos", "profile.error_rate"} <= set(metrics)
    settings = schemas["sweep"]["properties"]["measuring"]["properties"]["brand"]["properties"]
    assert "file" in settings
