"""``evalkit doctor`` from outside: what it prints, writes and returns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from evalkit import registry
from evalkit.cli import main
from evalkit.execution.executors import InProcess
from pipeline import extras, plugins
from pipeline.diagnosis import Diagnosis, fine, stop
from pipeline.errors import RequestError
from pipeline.generator import Description, Generator, Plan


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def doctor(*words: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *words])


class Ill(Generator):
    """A stand-in generator with problems."""

    name = "ill"
    version = "1"

    def __init__(self, **settings: Any) -> None:
        if settings.get("refuses"):
            raise RequestError("refuses is True; allowed: false")

    def describe(self) -> Any:
        """Say what it is."""
        return Description(name="ill", version="1", summary="always ill", parameters={})

    def check(self, _request: Any) -> None:
        """Do nothing."""

    def dry_run(self, _request: Any, _out_path: Path) -> Plan:
        """Do nothing."""
        return Plan()

    def load(self) -> None:
        """Do nothing."""

    def generate(self, _request: Any, _out_path: Path, _on_event: Any = None) -> Any:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def diagnose(self) -> list[Diagnosis]:
        """Have one of each."""
        return [
            Diagnosis(level="fine", about="pulse", found="70"),
            Diagnosis(level="warning", about="fever", found="38.2", cure="rest"),
            Diagnosis(level="stop", about="leg", found="broken [/bold] in two", cure="a splint"),
        ]


@pytest.fixture
def ill(monkeypatch: pytest.MonkeyPatch) -> type[Ill]:
    monkeypatch.setattr(plugins, "load_plugin", lambda *_: Ill)
    return Ill


@pytest.mark.usefixtures("ill")
def test_the_answer_comes_first_and_the_worst_before_the_rest() -> None:
    result = doctor("--generator", "ill")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "one thing stops ill here, 1 warning"
    assert lines[1].split() == ["✗", "stop", "leg", "broken", "[/bold]", "in", "two"]
    assert lines[2].strip() == "→ a splint"
    assert lines[3].startswith("! warning  fever")
    assert all(line.startswith("✓ fine") for line in lines[5:] if not line.startswith(" "))
    assert max(map(len, lines)) <= 80


@pytest.mark.usefixtures("ill")
def test_the_findings_as_data() -> None:
    result = doctor("--generator", "ill", "--json", "out/findings.json")
    report = json.loads(Path("out/findings.json").read_text("utf-8"))
    assert result.stdout.splitlines()[-1] == "wrote out/findings.json"
    assert (report["generator"], report["stops"]) == ("ill", 1)
    assert report["findings"][0] == {
        "level": "stop",
        "about": "leg",
        "found": "broken [/bold] in two",
        "cure": "a splint",
    }
    assert all(bool(finding["cure"]) == (finding["level"] != "fine") for finding in report["findings"])


@pytest.mark.usefixtures("ill")
def test_settings_that_are_refused_are_a_finding() -> None:
    result = doctor("--generator", "ill", "--set", "refuses=true")
    assert result.exit_code == 1
    assert "refuses is True; allowed: false" in result.stdout
    assert "pulse" not in result.stdout


def test_a_diagnosis_that_breaks_off_leaves_the_others(
    ill: type[Ill], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ill, "diagnose", lambda _: 1 / 0)
    result = doctor("--generator", "ill")
    assert result.exit_code == 0
    assert "ZeroDivisionError" in result.stdout
    assert "this folder" in result.stdout


def test_nothing_stops_the_reference_generator_here() -> None:
    result = doctor("--generator", "reference")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("nothing that was looked at stops reference here")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("reference", "--set", "devise=cpu"), "no setting 'devise'; did you mean 'device'"),
        (("reference", "--set", "self=1"), "no setting 'self'"),
        (("command", "--set", "self=1"), "no setting 'self'"),
    ],
)
def test_a_setting_that_there_is_not_is_a_finding(words: tuple[str, ...], message: str) -> None:
    result = doctor("--generator", *words)
    assert result.exit_code == 1, result.output
    assert message in " ".join(result.stdout.split())


def test_a_setting_whose_name_is_a_number_is_wrong_use() -> None:
    Path("settings.yaml").write_text("1: 2\n")
    result = doctor("--generator", "reference", "--settings", "settings.yaml")
    assert result.exit_code == 2
    assert "1 is not a name" in result.stderr


def test_an_unknown_generator_is_wrong_use() -> None:
    result = doctor("--generator", "referenc")
    assert result.exit_code == 2
    assert "did you mean 'reference'?" in result.stderr


def test_a_plug_in_that_does_not_load_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise plugins.PluginError("the generator 'x' (x:X) does not load: No module named 'decord'")

    monkeypatch.setattr(plugins, "load_plugin", fail)
    result = doctor("--generator", "x")
    assert result.exit_code == 1
    assert "No module named 'decord'" in " ".join(result.stdout.split())


def test_a_gpu_that_is_named_and_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.profiling.nvml import Gpus

    gpus = Gpus()
    n_gpus = len(gpus.described)
    gpus.close()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", str(n_gpus + 7))
    result = doctor("--generator", "reference")
    assert result.exit_code == 0
    assert f"no GPU {n_gpus + 7}" in " ".join(result.stdout.split())


def test_a_gpu_that_is_no_number_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "\N{SUPERSCRIPT TWO}")
    result = doctor("--generator", "reference")
    assert result.exit_code == 0, result.output
    assert "CUDA_VISIBLE_DEVICES is '\N{SUPERSCRIPT TWO}'" in " ".join(result.stdout.split())


def test_a_folder_in_which_nothing_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "nothing may be written" in " ".join(doctor("--generator", "reference").stdout.split())


def stops_of(*words: str) -> dict[str, str]:
    """Return what stops a generator, by what it is about."""
    result = doctor("--generator", *words, "--json", "findings.json")
    findings = json.loads(Path("findings.json").read_text("utf-8"))["findings"]
    stops = {finding["about"]: finding["found"] for finding in findings if finding["level"] == "stop"}
    assert result.exit_code == (1 if stops else 0), result.output
    return stops


@pytest.mark.parametrize("behind", ["live_avatar", "wav2lip", "sadtalker", "musetalk"])
def test_a_conversation_is_stopped_by_all_that_stops_the_one_behind(behind: str) -> None:
    settings = {"repository": "/nowhere", "python": "no-such-python"}
    alone = stops_of(behind, *(word for item in settings.items() for word in ("--set", "=".join(item))))
    assert len(alone) > 2
    words = (
        "conversation",
        "--set",
        f"generator={behind}",
        "--set",
        f"generator_settings={json.dumps(settings)}",
    )
    assert stops_of(*words) == alone


# --- where an executor works ---------------------------------------------------------------------------------------------


class Elsewhere(InProcess):
    """An executor whose machines are not here."""

    places_slots = True
    asked: tuple[Any, ...] = ()

    @classmethod
    def diagnose(cls, settings: Any, generator: str, generator_settings: Any) -> list[Diagnosis]:
        """Find one machine well and one ill."""
        cls.asked = settings, generator, generator_settings
        return [fine("node-1", "it is well"), stop("node-2", "it is ill", "heal it")]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> type[Elsewhere]:
    monkeypatch.setitem(registry._SESSION, registry.EXECUTORS, {"elsewhere": Elsewhere})
    return Elsewhere


def test_an_executor_looks_at_its_machines(elsewhere: type[Elsewhere]) -> None:
    result = doctor("--executor", "elsewhere", "--json", "findings.json")
    assert result.exit_code == 1
    assert result.stdout.startswith("one thing stops work with the executor elsewhere\n✗ stop  node-2")
    report = json.loads(Path("findings.json").read_text("utf-8"))
    assert (report["executor"], report["generator"], report["stops"]) == ("elsewhere", None, 1)
    assert [finding["about"] for finding in report["findings"]] == ["node-2", "node-1", "this folder"]
    assert elsewhere.asked[1:] == ("", {})


@pytest.mark.usefixtures("ill")
def test_a_generator_that_works_elsewhere_looks_there(elsewhere: type[Elsewhere]) -> None:
    """Here it only takes part in planning."""
    result = doctor("--executor", "elsewhere", "--generator", "ill", "--set", "depth=3")
    assert elsewhere.asked[1:] == ("ill", {"depth": 3})
    assert result.exit_code == 1
    assert "ill 1 loads" in result.stdout
    assert "leg" not in result.stdout
    assert "GPUs here" not in result.stdout


def test_an_executor_that_lacks_its_extra(
    elsewhere: type[Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.MODULES, "elsewhere", ("no_such_module",))
    monkeypatch.setattr(elsewhere, "extra", "elsewhere")
    result = doctor("--executor", "elsewhere")
    assert result.exit_code == 1
    assert 'no_such_module is not installed: pip install "evalkit[elsewhere]"' in " ".join(
        result.stdout.split()
    )
    assert "node-1" not in result.stdout


def test_the_executor_of_this_machine_says_how_many_videos_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    result = doctor("--executor", "processes")
    assert result.exit_code == 0, result.output
    assert "1 on cpu, 2 on cuda" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give --generator NAME, --executor NAME or both"),
        (("--executor", "proceses"), "did you mean 'processes'"),
        (("--executor", "processes", "--ray-address", "auto"), "--ray-address belongs to --executor ray"),
    ],
)
def test_an_executor_that_there_is_not_is_wrong_use(words: tuple[str, ...], message: str) -> None:
    result = doctor(*words)
    assert result.exit_code == 2
    assert message in result.stderr


# --- services --------------------------------------------------------------------------------------------------------------

SERVICE = {"name": "openai", "settings": {"base_url": "http://127.0.0.1:9/v1", "model": "m"}}
KEYLESS = {**SERVICE, "settings": {**SERVICE["settings"], "key_variable": "NO_SUCH_KEY_HERE"}}  # type: ignore[dict-item]
VOICE = {**SERVICE, "settings": {**SERVICE["settings"], "voice": "v"}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("setting", "backends", "about", "level", "words"),
    [
        ("answerers", [SERVICE], "who answers", "stop", "openai m: 127.0.0.1 does not answer"),
        (
            "answerers",
            [SERVICE, {"name": "documents"}],
            "who answers",
            "warning",
            "documents does it instead",
        ),
        (
            "answerers",
            [KEYLESS, {"name": "documents"}],
            "who answers",
            "warning",
            "NO_SUCH_KEY_HERE is not set",
        ),
        ("answerers", [{"name": "documents"}, SERVICE], "who answers", "warning", "openai m: 127.0.0.1"),
        ("answerers", [{"name": "documents"}], "who answers", "fine", "documents"),
        ("voices", [VOICE], "who speaks", "stop", "does not answer"),
        ("recognisers", [SERVICE], "who hears", "warning", "for spoken questions alone: openai m"),
    ],
)
def test_services_that_a_conversation_cannot_reach(
    setting: str, backends: list[Any], about: str, level: str, words: str
) -> None:
    doctor(
        *("--generator", "conversation", "--set", "generator=reference", "--json", "findings.json"),
        *("--set", f"{setting}={json.dumps(backends)}"),
    )
    findings = json.loads(Path("findings.json").read_text("utf-8"))["findings"]
    (found,) = [finding for finding in findings if finding["about"] == about]
    assert found["level"] == level, found
    assert words in found["found"]
