"""A sweep from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import evalkit
from evalkit.options import ConfigError


def test_a_file_and_its_plain_data_give_the_same_trials(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(stand_in), "utf-8")
    by_file = evalkit.sweep(tmp_path / "sweep.yaml", tmp_path / "file")
    by_data = evalkit.sweep(stand_in, tmp_path / "data")
    assert by_file.frame()["trial"].tolist() == by_data.frame()["trial"].tolist()
    assert by_file.frame()["param.sample_steps"].tolist() == [2, 3, 4]


def test_a_mistake_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'grid'"):
        evalkit.sweep({"gird": {}}, tmp_path / "run")
