"""Weights & Biases: each configuration of a run is a run of theirs, in a group of the run's name."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evalkit.errors import UsageError
from evalkit.exporters.base import Exporter, ExportOutcome, content_of
from evalkit.runs.files import write_atomically
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalkit.exporters.base import ExportedConfiguration, ExportedRun

_STATE = "evalkit-exported.json"
"""In the folder of offline runs: what was put there of each configuration of each project, and where."""
ONLINE = "online"


@dataclass(frozen=True)
class Wandb(Exporter):
    """Puts a run into a folder of W&B's offline runs, or on its server; parameters as of `Exporter`.

    `to` is a folder (``wandb`` beside you unless given), from which ``wandb sync`` sends the runs; or ``online``, for the
    server and the key that W&B itself is set up for.
    """

    extra: ClassVar[str] = "wandb"

    def export(self, run: ExportedRun, on_message: Callable[[str], None]) -> ExportOutcome:
        """Put a run there; an offline run of an earlier export that changed is replaced, one that did not is left.

        Raises
        ------
        UsageError
            If W&B refuses, or the folder cannot be written.
        """
        with _quiet():
            return _Export(self, run).all(on_message)


class _Export:
    """One call."""

    def __init__(self, exporter: Wandb, run: ExportedRun) -> None:
        self._exporter = exporter
        self._run = run
        self._is_online = exporter.to == ONLINE
        self._folder = Path("." if self._is_online else exporter.to or ".")
        self._n_videos = 0

    def all(self, on_message: Callable[[str], None]) -> ExportOutcome:
        from wandb.errors import Error

        n_new = n_updated = n_unchanged = 0
        state = self._read_state()
        for place, configuration in enumerate(self._run.configurations, start=1):
            on_message(f"{place} of {len(self._run.configurations)}: {configuration.label}")
            content = hash_of([self._run.headline, content_of(self._exporter, self._run, configuration)])
            key = f"{ONLINE if self._is_online else 'offline'}/{self._exporter.project}/{configuration.key}"
            old = state.get(key)
            if (
                old is not None
                and old["content"] == content
                and (self._is_online or Path(old["place"]).is_dir())
            ):
                n_unchanged += 1
                continue
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                written = self._put(configuration)
            except (Error, OSError) as error:
                raise UsageError(
                    f"W&B took nothing more: {str(error).splitlines()[0]}; export again to go on"
                ) from None
            if old is not None and not self._is_online and self._is_own(Path(old["place"]), written):
                shutil.rmtree(old["place"], ignore_errors=True)
            n_new += old is None
            n_updated += old is not None
            state[key] = {"content": content, "place": str(written)}
            self._write_state(state)
        notes = () if self._is_online else ("these are offline runs: wandb sync sends them to your server",)
        where = f"W&B, project {self._exporter.project}" if self._is_online else str(self._folder / "wandb")
        return ExportOutcome(where, n_new, n_updated, n_unchanged, self._n_videos, notes)

    def _put(self, configuration: ExportedConfiguration) -> Path:
        """Write one configuration; return the folder of its files."""
        import wandb

        settings = wandb.Settings(
            mode=ONLINE if self._is_online else "offline",
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
        )
        one = wandb.init(
            project=self._exporter.project,
            id=configuration.key,
            name=configuration.label,
            group=f"{self._run.name} ({self._run.id})",
            job_type="configuration",
            notes=self._run.headline,
            tags=[tag[:64] for tag in self._tags(configuration)],
            config={**configuration.params, **self._run.tags, **self._exporter.tags},
            dir=str(self._folder),
            resume="allow" if self._is_online else None,
            reinit="create_new",
            settings=settings,
        )
        place = Path(one.settings.sync_dir)
        try:
            for trial in configuration.trials:
                row: dict[str, Any] = {f"trial/{name}": value for name, value in trial.metrics.items()}
                row |= {"trial/id": trial.id, "trial/inputs": trial.label, "trial/status": trial.status}
                if self._exporter.with_videos and trial.video is not None:
                    row["video"] = wandb.Video(str(trial.video), caption=trial.label, format="mp4")
                    self._n_videos += 1
                one.log(row, step=trial.step)
            for name, mean in configuration.metrics.items():
                one.summary[name] = mean.value
                one.summary[f"{name}/n"] = mean.n
                if mean.interval is not None:
                    one.summary[f"{name}/low95"], one.summary[f"{name}/high95"] = mean.interval
            if configuration.grade:
                one.summary["evalkit.grade"] = configuration.grade
            if configuration is self._run.configurations[0]:
                for report in self._run.reports:
                    one.save(str(report.absolute()), base_path=str(report.absolute().parent), policy="now")
        finally:
            one.finish()
        return place

    def _tags(self, configuration: ExportedConfiguration) -> list[str]:
        tags = [f"evalkit {self._run.id}", *self._exporter.tags.values()]
        return [*tags, "recommended"] if configuration.label == self._run.recommended else tags

    def _is_own(self, place: Path, written: Path) -> bool:
        """Say whether a folder that the file of what was put there names is an earlier offline run, and may be replaced."""
        return (
            place.name.startswith("offline-run-")
            and place.resolve() != written.resolve()
            and place.resolve().parent == written.resolve().parent
        )

    @property
    def _state_file(self) -> Path:
        return self._folder / _STATE

    def _read_state(self) -> dict[str, dict[str, str]]:
        """Return what was exported by earlier calls; nothing where that is not known: it is exported again then."""
        try:
            known = json.loads(self._state_file.read_text("utf-8"))
            return {key: {"content": one["content"], "place": one["place"]} for key, one in known.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _write_state(self, state: dict[str, dict[str, str]]) -> None:
        write_atomically(self._state_file, json.dumps(state, indent=2) + "\n")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep W&B from reporting its errors and its use to anybody."""
    wanted = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true", "DO_NOT_TRACK": "true"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: value for name, value in wanted.items() if before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
