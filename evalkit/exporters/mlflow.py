"""MLflow: a run of ours is a run of theirs, and each of its configurations a run nested in it."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evalkit.errors import UsageError
from evalkit.exporters.base import Exporter, ExportOutcome, content_of, without_credentials
from pipeline.options import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evalkit.exporters.base import ExportedConfiguration, ExportedRun

_RUN, _CONFIGURATION, _CONTENT = "evalkit.run", "evalkit.configuration", "evalkit.content"
_PARENT, _NAME, _NOTE = "mlflow.parentRunId", "mlflow.runName", "mlflow.note.content"
_MOST_METRICS, _MOST_OTHERS = 1000, 100
"""What MLflow takes in a call."""
_LONGEST_PARAM = 6000
_N_RETRIES = "1"
_PER_TRIAL = "trial"
"""Before the name of a metric of single trials: its history has a step a trial."""
_NONE = "none"
"""In place of what there is not: a tag is written over and never taken away."""


@dataclass(frozen=True)
class Mlflow(Exporter):
    """Puts a run on an MLflow tracking server, or into a database or folder of MLflow's; parameters as of `Exporter`.

    `to` is the tracking URI: ``http://host:5000``, ``sqlite:///mlflow.db``; MLFLOW_TRACKING_URI unless given. Nothing but it is
    reached.
    """

    extra: ClassVar[str] = "mlflow"

    def export(self, run: ExportedRun, on_message: Callable[[str], None]) -> ExportOutcome:
        """Put a run there; what is there already and is the same is left as it is.

        Raises
        ------
        UsageError
            If the server cannot be reached or refuses, or no tracking URI is known.
        """
        to = self.to or os.environ.get("MLFLOW_TRACKING_URI")
        if not to:
            raise UsageError(
                "no tracking URI is known: name it with --to (http://host:5000, sqlite:///mlflow.db) or as MLFLOW_TRACKING_URI"
            )
        with _quiet(), _refusals(to):
            from mlflow.tracking import MlflowClient

            return _Export(MlflowClient(tracking_uri=to), self, run, without_credentials(to)).all(on_message)


class _Export:
    """One call."""

    def __init__(self, client: Any, exporter: Mlflow, run: ExportedRun, where: str) -> None:
        self._client = client
        self._exporter = exporter
        self._run = run
        self._where = where
        self._n_videos = 0
        self._experiment = self._find_experiment()

    def all(self, on_message: Callable[[str], None]) -> ExportOutcome:
        """Put everything there, the run itself last: its content says that all is there."""
        known = self._known()
        parent = known.get("") or self._create(self._run.name, {})
        parent_id = parent.info.run_id
        n_new = n_updated = n_unchanged = 0
        for place, configuration in enumerate(self._run.configurations, start=1):
            on_message(f"{place} of {len(self._run.configurations)}: {configuration.label}")
            content = content_of(self._exporter, self._run, configuration)
            there = known.get(configuration.key)
            if there is not None and there.data.tags.get(_CONTENT) == content:
                n_unchanged += 1
                continue
            n_new += there is None
            n_updated += there is not None
            self._put(configuration, there, parent_id, content)
        self._put_parent(parent)
        address = f"{self._where}/#/experiments/{self._experiment}/runs/{parent_id}"
        return ExportOutcome(
            address if self._where.startswith("http") else f"{self._where}, run {parent_id}",
            n_new,
            n_updated,
            n_unchanged,
            self._n_videos,
        )

    def _find_experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._exporter.project)
        if found is None:
            return str(self._client.create_experiment(self._exporter.project))
        if found.lifecycle_stage == "deleted":
            raise UsageError(
                f"the experiment {self._exporter.project!r} was deleted there; restore it, or name another with --project"
            )
        return str(found.experiment_id)

    def _known(self) -> dict[str, Any]:
        """Return what is there of this run: by the key of a configuration; the run itself by an empty one."""
        found: dict[str, Any] = {}
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.`{_RUN}` = '{self._run.id}'", page_token=token, max_results=1000
            )
            for one in page:
                found.setdefault(one.data.tags.get(_CONFIGURATION, ""), one)
            token = page.token
            if not token:
                return found

    def _create(self, name: str, tags: Mapping[str, str]) -> Any:
        own = {**self._run.tags, **self._exporter.tags, **tags, _NAME: name}
        return self._client.create_run(self._experiment, tags=own, run_name=name)

    def _put(self, configuration: ExportedConfiguration, there: Any, parent_id: str, content: str) -> None:
        tags = {
            _CONFIGURATION: configuration.key,
            _PARENT: parent_id,
            "evalkit.label": configuration.label,
            "evalkit.grade": configuration.grade or _NONE,
            "evalkit.recommended": "yes" if configuration.label == self._run.recommended else "no",
        }
        one = there or self._create(configuration.label, tags)
        run_id = one.info.run_id
        self._log(run_id, params=_params_of(configuration, one.data.params))
        self._log(run_id, metrics=self._points(configuration, run_id, is_new=there is None))
        if self._exporter.with_videos:
            known = (
                set()
                if there is None
                else {file.path for file in self._client.list_artifacts(run_id, "videos")}
            )
            for trial in configuration.trials:
                if trial.video is not None and f"videos/{trial.id}.mp4" not in known:
                    self._put_file(run_id, trial.video, f"{trial.id}.mp4", "videos")
                    self._n_videos += 1
        self._log(run_id, tags={**self._run.tags, **self._exporter.tags, **tags, _CONTENT: content})
        self._client.set_terminated(run_id)

    def _put_file(self, run_id: str, file: Path, name: str, folder: str) -> None:
        """Put a file there under another name."""
        with tempfile.TemporaryDirectory() as place:
            link = Path(place) / name
            link.symlink_to(file.absolute())
            self._client.log_artifact(run_id, str(link), folder)

    def _points(self, configuration: ExportedConfiguration, run_id: str, *, is_new: bool) -> list[Any]:
        """Return what is to be logged: values of trials by step, and means; less what is there as it is."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        wanted: dict[str, dict[int, float]] = {}
        for trial in configuration.trials:
            for name, value in trial.metrics.items():
                wanted.setdefault(_plain(f"{_PER_TRIAL}/{name}"), {})[trial.step] = value
        for name, mean in configuration.metrics.items():
            wanted[_plain(name)] = {0: mean.value}
            wanted[_plain(f"{name}/n")] = {0: float(mean.n)}
            if mean.interval is not None:
                wanted[_plain(f"{name}/low95")] = {0: mean.interval.low}
                wanted[_plain(f"{name}/high95")] = {0: mean.interval.high}
        points = []
        for key, steps in wanted.items():
            there: dict[int, float] = {}
            if not is_new:
                history = self._client.get_metric_history(run_id, key)
                there = {
                    point.step: point.value for point in sorted(history, key=lambda point: point.timestamp)
                }
            points += [
                Metric(key, value, now, step) for step, value in steps.items() if there.get(step) != value
            ]
        return points

    def _put_parent(self, parent: Any) -> None:
        run_id = parent.info.run_id
        own = {
            **self._run.tags,
            **self._exporter.tags,
            _NOTE: self._run.headline,
            "evalkit.recommended": self._run.recommended or _NONE,
        }
        content = hash_of([own, *(_digest(path) for path in self._run.reports)])
        if parent.data.tags.get(_CONTENT) == content:
            return
        for report in self._run.reports:
            self._client.log_artifact(run_id, str(report))
        self._log(run_id, tags={**own, _CONTENT: content})
        self._client.set_terminated(run_id)

    def _log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: list[Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log in as many calls as it takes."""
        from mlflow.entities import Param, RunTag

        pairs = [Param(name, value) for name, value in (params or {}).items()]
        labels = [RunTag(name, value) for name, value in (tags or {}).items()]
        points = metrics or []
        for start in range(0, len(points), _MOST_METRICS):
            self._client.log_batch(run_id, metrics=points[start : start + _MOST_METRICS])
        for start in range(0, max(len(pairs), len(labels)), _MOST_OTHERS):
            end = start + _MOST_OTHERS
            self._client.log_batch(run_id, params=pairs[start:end], tags=labels[start:end])


def _params_of(configuration: ExportedConfiguration, there: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that are not there: MLflow lets none be changed."""
    wanted = {_plain(name): value[:_LONGEST_PARAM] for name, value in configuration.params.items()}
    return {name: value for name, value in wanted.items() if name not in there}


def _plain(name: str) -> str:
    """Return a name as MLflow takes it.

    >>> _plain("options.größe")
    'options.gr__e'
    """
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)[:250]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow from reporting its use, and from waiting for minutes where nobody answers."""
    wanted = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": _N_RETRIES,
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: value for name, value in wanted.items() if before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


@contextmanager
def _refusals(to: str) -> Iterator[None]:
    """Tell what MLflow refuses in a line, without credentials."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        words = str(error).replace(to, without_credentials(to)).splitlines()
        raise UsageError(
            f"MLflow at {without_credentials(to)} took nothing more: {words[0] if words else type(error).__name__}; "
            f"export again to go on"
        ) from None
