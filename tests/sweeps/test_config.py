"""A configuration that makes sense is frozen plain data; every mistake is a line that names it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from evalkit.options import ConfigError
from evalkit.sweeps.config import build_sweep, read_sweep
from pipeline.options import canonical_json, hash_of


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"gird": {}}, r"there is no option 'gird'; did you mean 'grid'\?"),
        ({"generator": {"nam": "x"}}, r"no option 'generator\.nam'; did you mean 'name'\?"),
        ({"execution": {"worker": 2}}, "did you mean 'workers'"),
        ({"inputs": {"speech": [{"txt": "a"}]}}, r"'inputs\.speech\.0\.txt'; did you mean 'text'"),
        ({"generator": {"name": 3}}, "generator.name is 3; allowed: name of a generator"),
        ({"execution": {"workers": "two"}}, "execution.workers is 'two'; allowed: a whole number"),
        ({"execution": {"workers": 0}}, "execution.workers is 0; allowed: a whole number .* from 1"),
        (
            {"execution": {"workers": 2, "slots": [{}]}},
            "workers is 2, and slots lists 1: give one of the two options",
        ),
        (
            {"execution": {"slots": [{"device": "tpu"}]}},
            r"slots.0.device is 'tpu'; allowed: cpu, cuda or cuda:N",
        ),
        ({"execution": {"slots": [{"cores": 0}]}}, r"slots.0.cores is 0; allowed: a whole number"),
        ({"execution": {"slots": []}}, "slots is .*; allowed: a list of slots"),
        ({"execution": {"executor": {"nam": "x"}}}, r"'execution\.executor\.nam'; did you mean 'name'"),
        ({"execution": {"executor": 3}}, "execution.executor is 3; allowed: name of an executor"),
        ({"generator": {"device": "gpu"}}, "generator.device is 'gpu'; allowed: cpu, cuda or cuda:N"),
        ({"execution": {"time_limit_s": 0}}, "seconds, above 0"),
        ({"grid": 3}, "grid is 3; allowed: parameter names to lists"),
        ({"grid": {"size": "a"}}, "grid.size is 'a'; allowed: parameter names to lists"),
        ({"grid": {"size": []}}, r"grid.size is \[\]; allowed: .* at least one value"),
        ({"seeds": []}, r"seeds is \[\]"),
        ({"seeds": [1.5]}, "seeds.0 is 1.5"),
        ({"seeds": [7, 7]}, "seeds has the value 7 twice"),
        ({"grid": {"size": ["a", "a"]}}, 'size has the value "a" twice'),
        ({"grid": {"image": ["a"]}}, r"give it under inputs\.portraits"),
        ({"parameters": {"base_seed": 1}}, "give it under seeds"),
        ({"grid": {"fps": [25]}, "parameters": {"fps": 25}}, "fps is in grid and in parameters"),
        ({"inputs": [1]}, r"inputs is \[1\]; allowed: a group"),
        (
            {"inputs": {"speech": [{"text": "a", "path": "b"}]}},
            "give path, text, question or question_audio, one of them",
        ),
        ({"inputs": {"speech": [{}]}}, "give path, text, question or question_audio, one of them"),
        ({"inputs": {"speech": [{"path": "a.wav", "voice": "v"}]}}, "language and voice belong to text"),
        ({"inputs": {"portraits": ["x/a.png", "y/a.png"]}}, "two portraits are called 'a'"),
        ({"inputs": {"portraits": ["gone.png"]}}, r"inputs\.portraits\.0: there is no file gone\.png"),
        ({"inputs": {"speech": ["gone.wav"]}}, r"inputs\.speech\.0: there is no file gone\.wav"),
        ({"grid": {"brand_mark": ["gone.png"]}}, r"grid\.brand_mark\.0: there is no file gone\.png"),
        ({"measuring": {"brand": {"file": "gone"}}}, r"measuring\.brand\.file: there is no file /.*/gone"),
        ({"parameters": {"fps": float("nan")}}, r"parameters\.fps is nan; numbers must be finite"),
        ({"search": {"hours": float("nan")}}, r"search\.hours is nan; numbers must be finite"),
        ({"evaluators": "lip_sync"}, "evaluators is 'lip_sync'; allowed: a list"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_sweep(data, "sweep.yaml")


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build_sweep({"gird": {}, "seeds": []}, "sweep.yaml")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid: {size: [a]}\ngrid: {size: [b]}", "line 2: the key 'grid' is there twice"),
        ("grid: [", "is not valid YAML, line 1"),
        ("- a", "must be a mapping of option names"),
        ("", "is empty; it must be a mapping of option names"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=message):
        read_sweep(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml cannot be read: No such file"):
        read_sweep(tmp_path / "gone.yaml")


def test_paths_start_from_the_file(tmp_path: Path) -> None:
    for name in ("anna.png", "mark.png", "hello.wav"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sweep.yaml").write_text(
        "inputs: {portraits: [anna.png], speech: [{path: hello.wav, name: '<script>'}]}\n"
        "grid: {brand_mark: [mark.png]}\n"
        "measuring: {brand: {file: mark.png, model: small}}\n",
        "utf-8",
    )
    config = read_sweep(tmp_path / "sweep.yaml")
    assert [(item.path, item.name) for item in config.inputs.portraits] == [
        (str(tmp_path / "anna.png"), "anna")
    ]
    assert [item.name for item in config.inputs.speech] == ["<script>"]
    assert config.grid == {"brand_mark": [str(tmp_path / "mark.png")]}
    assert config.measuring == {"brand": {"file": str(tmp_path / "mark.png"), "model": "small"}}


def test_a_configuration_survives_being_plain_data() -> None:
    config = build_sweep({"grid": {"size": ["384*256"]}, "seeds": [1]}, "x")
    assert build_sweep(config.to_dict(), "y") == config


def test_a_hash_is_that_of_sorted_json_without_spaces() -> None:
    assert (
        canonical_json({"b": [1, 2.5, None], "a": {"d": True, "c": "ü"}})
        == '{"a":{"c":"ü","d":true},"b":[1,2.5,null]}'
    )
    assert hash_of({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_the_name_of_an_executor_is_enough() -> None:
    config = build_sweep({"execution": {"executor": "in_process"}}, "test")
    assert config.execution.executor.name == "in_process"
    assert config.execution.executor.settings == {}
    assert build_sweep(config.to_dict(), "test") == config


@pytest.mark.parametrize("base", [None, ".", "conf"])
def test_files_of_evaluators_are_absolute_so_that_a_run_finds_them_from_anywhere(
    base: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    brand = tmp_path / (base or ".") / "brand.yaml"
    brand.parent.mkdir(exist_ok=True)
    brand.write_text("name: any", "utf-8")
    data = {"measuring": {"brand": {"file": "brand.yaml"}}}
    config = build_sweep(data, "test", base=None if base is None else Path(base))
    assert config.measuring == {"brand": {"file": str(brand)}}
