"""Runs in MLflow and in Weights & Biases: the real programs, in an environment of their own, and read back from them.

`make exporters` makes that environment; EVALKIT_EXPORTERS names the Python of another.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evalkit import registry
from evalkit.cli import main
from evalkit.exporters.base import ExportedRun, Exporter, ExportOutcome, content_of
from evalkit.exporters.content import describe_run
from evalkit.runs import Run
from evalkit.scores import Definitions, MetricDefinition, import_scores
from evalkit.testing.runs import write_grid

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("EVALKIT_EXPORTERS") or ROOT / ".venv-exporters" / "bin" / "python")
_START_S = 240

needs_them = pytest.mark.skipif(
    not PYTHON.exists(), reason="MLflow and W&B are not installed beside this; make exporters does"
)


def run_there(*arguments: str, code: int = 0, cwd: Path, **environment: str) -> str:
    """Run a command where MLflow and W&B are installed; return what it says on both streams."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "WANDB_"))}
    done = subprocess.run(
        [str(PYTHON), *arguments],
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


EXPORT = "import sys; from evalkit.api.exports import export_run; o = export_run(sys.argv[1], sys.argv[2], to=sys.argv[3], project=sys.argv[4], tags={'team': sys.argv[5]}); print(); print(o.n_new, o.n_updated, o.n_unchanged, o.n_videos, o.where)"
"""As `evalkit export`, without an entry point, which an environment of its own has none of."""
LOAD = "from evalkit import registry; from evalkit.exporters.{name} import {kind}; registry.add(registry.EXPORTERS, '{name}', {kind}) if '{name}' not in registry.names(registry.EXPORTERS) else None; "


def export(
    run: Path, name: str, to: str, cwd: Path, *, project: str = "talk", team: str = "faces"
) -> tuple[list[int], str]:
    """Export a run; return how many configurations are new, updated and as before, and videos; and where."""
    kind = {"mlflow": "Mlflow", "wandb": "Wandb"}[name]
    program = LOAD.format(name=name, kind=kind) + EXPORT
    said = run_there("-c", program, str(run), name, to, project, team, cwd=cwd)
    *numbers, where = said.splitlines()[-1].split(" ", 4)
    return [int(number) for number in numbers], where


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    video = tmp_path / "any.mp4"
    video.write_bytes(b"a video")
    return write_grid(tmp_path / "run", sizes=("384*256",), steps=(2, 4), portraits=("a", "b"), video=video)


def change_a_value(folder: Path, tmp_path: Path) -> str:
    """Give one configuration of a run a metric more; return the id of a trial that has it."""
    trial = next(one for one in Run.open(folder).trials() if one.params["sample_steps"] == 4)
    file = tmp_path / "scores.csv"
    file.write_text(f"trial,score\n{trial.id},0.625\n")
    said = MetricDefinition(better="higher", meaning="by another", column="score")
    import_scores(folder, file, definitions=Definitions(metrics={"other.score": said}))
    return trial.id


# --- what exporters get --------------------------------------------------------------------------------------------------


def test_a_run_is_described_as_its_report_has_it(folder: Path) -> None:
    described = describe_run(Run.open(folder))
    assert [one.label for one in described.configurations] == ["sample_steps 2", "sample_steps 4"]
    one = described.configurations[1]
    values = [trial.metrics["lip_sync.error"] for trial in one.trials]
    assert one.metrics["lip_sync.error"].value == pytest.approx(sum(values) / len(values))
    assert [trial.step for trial in one.trials] == [0, 1, 2, 3]
    assert one.params["sample_steps"] == "4"
    assert all(trial.video is not None for trial in one.trials)
    assert {path.name for path in described.reports} == {
        "report.html", "report.md", "results.csv", "results.parquet"
    }  # fmt: skip
    assert len({one.key for one in described.configurations}) == 2


def test_a_plugin_of_ones_own_is_called_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Noted(Exporter):
        def export(self, run: Any, on_message: Any) -> ExportOutcome:
            on_message("working")
            return ExportOutcome(f"{self.to} {self.project} {run.name}", len(run.configurations), 0, 0, 0)

    monkeypatch.setitem(registry._SESSION, registry.EXPORTERS, {"noted": Noted})
    said = CliRunner().invoke(main, ["export", "noted", str(folder), "--to", "there", "--project", "p"])
    assert said.exit_code == 0, said.output
    assert "2 new configurations, 0 updated, 0 as before" in said.output
    assert "there p run" in said.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("nobody",), "nobody"), (("mlflow", "--tag", "x"), "is not NAME=VALUE")],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], said: str, folder: Path) -> None:
    name, *options = arguments
    done = CliRunner().invoke(main, ["export", name, str(folder), *options])
    assert done.exit_code == 2
    assert said in done.output


# --- MLflow --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a tracking server on loopback with SQLite, and give its address."""
    place = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(PYTHON), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--artifacts-destination", str(place / "artifacts"),
    ]  # fmt: skip
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (place / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=log, stderr=log, cwd=place, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", process, place / "log.txt")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own server on loopback
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.skip(f"the server of MLflow does not start here: {log.read_text()[-500:]}")


READ_BACK = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name("talk")
found = []
for run in client.search_runs([experiment.experiment_id], max_results=100):
    run_id = run.info.run_id
    history = {key: [[p.step, p.value] for p in client.get_metric_history(run_id, key)] for key in run.data.metrics}
    found.append({
        "id": run_id, "name": run.info.run_name, "status": run.info.status, "params": run.data.params,
        "metrics": run.data.metrics, "history": history, "tags": run.data.tags,
        "files": sorted(f.path for place in (None, "videos") for f in client.list_artifacts(run_id, place) if not f.is_dir),
    })
print(json.dumps(found))
"""


def read_mlflow(server: str, run_id: str, cwd: Path) -> list[dict[str, Any]]:
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    said = run_there("-c", READ_BACK, server, cwd=cwd, **environment).splitlines()[-1]
    return [one for one in json.loads(said) if one["tags"].get("evalkit.run") == run_id]


@needs_them
def test_a_run_is_in_mlflow_as_it_is_here(server: str, folder: Path, tmp_path: Path) -> None:
    numbers, where = export(folder, "mlflow", server, tmp_path)
    assert numbers == [2, 0, 0, 8]
    described = describe_run(Run.open(folder))
    found = read_mlflow(server, described.id, tmp_path)
    assert len(found) == 3
    (parent,) = [one for one in found if "evalkit.configuration" not in one["tags"]]
    assert (
        where == f"{server}/#/experiments/{where.split('/experiments/')[1].split('/')[0]}/runs/{parent['id']}"
    )
    assert {"report.html", "report.md", "results.csv", "results.parquet"} <= set(parent["files"])
    assert parent["tags"]["mlflow.note.content"] == described.headline
    assert parent["tags"]["team"] == "faces"
    by_key = {one["tags"].get("evalkit.configuration"): one for one in found}
    for configuration in described.configurations:
        there = by_key[configuration.key]
        assert (there["name"], there["status"]) == (configuration.label, "FINISHED")
        assert there["params"] == dict(configuration.params)
        assert there["tags"]["mlflow.parentRunId"] == parent["id"]
        assert there["files"] == sorted(f"videos/{trial.id}.mp4" for trial in configuration.trials)
        for name, mean in configuration.metrics.items():
            assert there["metrics"][name] == pytest.approx(mean.value, rel=1e-12)
            assert there["metrics"][f"{name}/n"] == mean.n
        for trial in configuration.trials:
            for name, value in trial.metrics.items():
                assert [trial.step, value] in there["history"][f"trial/{name}"]


@needs_them
def test_exporting_to_mlflow_again_updates_and_doubles_nothing(
    server: str, folder: Path, tmp_path: Path
) -> None:
    moved = Run.open(folder)  # a run of its own: the same grid was exported by the test above
    manifest = folder / "run.json"
    manifest.write_text(manifest.read_text().replace(moved.manifest.created_at, "2026-11-23T05:00:00+00:00"))
    assert export(folder, "mlflow", server, tmp_path)[0] == [2, 0, 0, 8]
    run_id = Run.open(folder).id
    before = read_mlflow(server, run_id, tmp_path)
    assert export(folder, "mlflow", server, tmp_path)[0] == [0, 0, 2, 0]
    assert read_mlflow(server, run_id, tmp_path) == before
    change_a_value(folder, tmp_path)
    assert export(folder, "mlflow", server, tmp_path)[0] == [0, 2, 0, 0]  # both are told who measured
    after = {one["id"]: one for one in read_mlflow(server, run_id, tmp_path)}
    assert after.keys() == {one["id"] for one in before}
    (changed,) = [one for one in after.values() if "other.score" in one["metrics"]]
    assert changed["metrics"]["other.score"] == 0.625
    for one in before:  # nothing that was there is there twice
        for key, points in one["history"].items():
            assert after[one["id"]]["history"][key] == points


@needs_them
def test_nobody_at_the_address_is_told_without_credentials(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    to = f"http://me:hidden@127.0.0.1:{port}"
    program = (
        LOAD.format(name="mlflow", kind="Mlflow")
        + "import sys; from evalkit.cli import main; main(sys.argv[1:])"
    )
    said = run_there(
        "-c", program, "export", "mlflow", str(folder), "--to", to, code=2, cwd=tmp_path,
        MLFLOW_HTTP_REQUEST_TIMEOUT="5",
    )  # fmt: skip
    assert f"MLflow at http://127.0.0.1:{port} took nothing more" in said
    assert "hidden" not in said
    assert "Traceback" not in said


def test_what_is_told_of_a_configuration_is_its_content(folder: Path) -> None:
    """Another tag, recommendation or value is put there; the same is left as it is."""
    run = describe_run(Run.open(folder))
    one = run.configurations[0]

    def content(run: ExportedRun = run, **settings: Any) -> str:
        return content_of(Noted(**settings), run, one)

    class Noted(Exporter):
        def export(self, run: Any, on_message: Any) -> ExportOutcome:
            raise NotImplementedError

    assert content() == content(project="another", to="elsewhere")
    others = [
        content(tags={"team": "faces"}),
        content(with_videos=False),
        content(replace(run, recommended=one.label if run.recommended != one.label else "")),
        content(replace(run, tags={**run.tags, "evalkit.policy": "another"})),
    ]
    assert len({content(), *others}) == 1 + len(others)


# --- Weights & Biases ----------------------------------------------------------------------------------------------------

READ_WANDB = """
import json, struct, sys
from pathlib import Path
from wandb.proto import wandb_internal_pb2 as proto

def records(path):
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", data[place:place + 7])
        whole += data[place + 7:place + 7 + size]
        place += 7 + size
        if kind in (1, 4):
            record = proto.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""

found = []
for path in sorted(Path(sys.argv[1]).glob("wandb/offline-run-*/*.wandb")):
    one = {"history": [], "summary": {}, "config": {}, "files": sorted(p.name for p in path.parent.rglob("*.mp4"))}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            one |= {"id": record.run.run_id, "name": record.run.display_name, "group": record.run.run_group,
                    "project": record.run.project, "tags": list(record.run.tags)}
            one["config"] |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
        elif kind == "history":
            one["history"].append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item})
        elif kind == "summary":
            one["summary"] |= {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.summary.update}
    found.append(one)
print(json.dumps(found))
"""
"""Its files are a log of LevelDB's kind (blocks of 32 KiB; CRC, length and kind before each piece) of its own messages."""


def read_wandb(place: Path, cwd: Path) -> dict[str, dict[str, Any]]:
    return {
        one["id"]: one
        for one in json.loads(run_there("-c", READ_WANDB, str(place), cwd=cwd).splitlines()[-1])
    }


@needs_them
def test_a_run_is_in_the_files_of_wandb_and_not_twice(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "there"
    numbers, where = export(folder, "wandb", str(place), tmp_path)
    assert numbers == [2, 0, 0, 8]
    assert where == str(place / "wandb")
    described = describe_run(Run.open(folder))
    found = read_wandb(place, tmp_path)
    assert found.keys() == {one.key for one in described.configurations}
    for configuration in described.configurations:
        there = found[configuration.key]
        assert (there["name"], there["project"]) == (configuration.label, "talk")
        assert there["config"]["sample_steps"] == configuration.params["sample_steps"]
        assert len(there["files"]) == len(configuration.trials)
        for name, mean in configuration.metrics.items():
            assert there["summary"][name] == pytest.approx(mean.value, rel=1e-12)
        rows = [row for row in there["history"] if "trial/id" in row]
        assert [row["trial/id"] for row in rows] == [trial.id for trial in configuration.trials]
        assert [row["trial/lip_sync.error"] for row in rows] == pytest.approx(
            [trial.metrics["lip_sync.error"] for trial in configuration.trials]
        )
    assert export(folder, "wandb", str(place), tmp_path)[0] == [0, 0, 2, 0]
    change_a_value(folder, tmp_path)
    changed = export(folder, "wandb", str(place), tmp_path)[0]
    assert changed[0] == 0
    again = read_wandb(place, tmp_path)
    assert again.keys() == found.keys()
    assert sum("other.score" in one["summary"] for one in again.values()) == 1


@needs_them
def test_another_project_of_wandb_has_nothing_yet(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "there"
    assert export(folder, "wandb", str(place), tmp_path)[0] == [2, 0, 0, 8]
    assert export(folder, "wandb", str(place), tmp_path, project="another")[0] == [2, 0, 0, 8]
    assert export(folder, "wandb", str(place), tmp_path)[0] == [0, 0, 2, 0]
    assert export(folder, "wandb", str(place), tmp_path, team="voices")[0] == [0, 2, 0, 8]
    assert len(list(place.glob("wandb/offline-run-*"))) == 4


@needs_them
def test_no_folder_but_an_offline_run_is_ever_removed(folder: Path, tmp_path: Path) -> None:
    """The file of what was put there is a file like any other, and may name what it likes."""
    place, bystander = tmp_path / "there", tmp_path / "offline-run-of-somebody"
    export(folder, "wandb", str(place), tmp_path)
    bystander.mkdir()
    state = place / "evalkit-exported.json"
    known = {key: {"content": "x", "place": str(bystander)} for key in json.loads(state.read_text())}
    state.write_text(json.dumps(known))
    assert export(folder, "wandb", str(place), tmp_path)[0] == [0, 2, 0, 8]
    assert bystander.is_dir()
