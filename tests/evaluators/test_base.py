"""Loading evaluators, their settings and their files, the reasons they declare, and what the pictures call passing."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit import registry
from evalkit.analysis.catalogue import reason_text
from evalkit.decisions.policy import load_policy
from evalkit.errors import UsageError
from evalkit.evaluators.base import Evaluator
from evalkit.evaluators.brand import Brand
from evalkit.evaluators.load import evaluator_class, make_evaluator
from evalkit.evaluators.technical import Technical
from evalkit.metrics import brand, lip_sync
from evalkit.profiling.reasons import REASONS
from evalkit.sweeps.config import build_sweep
from evalkit.types import GENERAL_REASONS


def test_files_and_names_among_settings_are_told_apart(tmp_path: Path) -> None:
    settings = {"file": "brand.yaml", "weights": "openai", "model": "ViT-B-32"}
    anchored = Brand.anchor(settings, tmp_path)
    assert anchored == {"file": str(tmp_path / "brand.yaml"), "weights": "openai", "model": "ViT-B-32"}
    (tmp_path / "openai").write_text("weights")
    assert Brand.anchor(settings, tmp_path)["weights"] == str(tmp_path / "openai")
    assert Brand.files_of(settings) == {"file": "brand.yaml"}
    assert Technical.anchor({"file": "a"}, tmp_path) == {"file": "a"}
    assert settings["file"] == "brand.yaml"  # the original is left alone


def test_a_sweep_takes_files_from_what_evaluators_declare(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"measuring\.brand\.file: there is no file {tmp_path}/gone\.yaml"):
        build_sweep({"measuring": {"brand": {"file": "gone.yaml"}}}, "config", base=tmp_path)
    with pytest.raises(UsageError, match="no evaluator is named 'brandd'; did you mean 'brand'"):
        build_sweep({"measuring": {"brandd": {"file": "gone.yaml"}}}, "config", base=tmp_path)


def test_a_setting_that_nobody_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'technical' has no setting 'fps' \(its settings: none\)"):
        make_evaluator(Technical, {"fps": 25})


def test_what_is_no_evaluator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", lambda _group, _name: Path)
    with pytest.raises(registry.PluginError, match=r"'mine' is .*Path.*does not subclass .*base\.Evaluator"):
        evaluator_class("mine")


def test_an_evaluator_that_does_not_measure_cannot_be_made() -> None:
    class Idle(Evaluator):
        name, version, metrics = "idle", 1, ()

    with pytest.raises(TypeError, match="measure"):
        Idle()


def test_every_reason_that_is_installed_has_words() -> None:
    for name in registry.names(registry.EVALUATORS):
        for reason in evaluator_class(name).reasons:
            assert reason_text(reason.code) == reason.text
    for reason in (*GENERAL_REASONS, *REASONS):
        assert reason_text(reason.code) == reason.text
    assert reason_text("of_the_future") == "of_the_future"


def test_no_two_reasons_share_a_code() -> None:
    codes = [reason.code for reason in (*GENERAL_REASONS, *REASONS)]
    for name in registry.names(registry.EVALUATORS):
        codes += [reason.code for reason in evaluator_class(name).reasons]
    assert len(set(codes)) == len(codes)


def test_pictures_call_passing_what_the_bundled_policy_lets_pass() -> None:
    rules = {rule.name: rule for rule in load_policy("customer_service").rules}
    assert rules["lip_sync.error"].at_most == lip_sync.PASS
    assert rules["brand.fidelity"].at_least == brand.PASS
