"""Writing a run folder: each record whole or not there, by one process at a time."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from evalkit.errors import UsageError
from evalkit.formatting import encodable
from evalkit.runs.files import only_writer, put_folder, remove, replaced_name, write_atomically
from evalkit.runs.layout import (
    GENERATION_FILE,
    LOG_FILE,
    MEASUREMENTS_FOLDER,
    PROFILE_FILE,
    RUN_FILE,
    TIMELINE_FILE,
    VIDEO_FILE,
    VIDEOS_FOLDER,
    evidence_folder,
    measurement_name,
    record_file,
    samples_file,
)
from evalkit.runs.outcomes import outcome_file
from evalkit.runs.records import DamagedFileError, record_text, to_text, write_json
from evalkit.runs.run import LEGACY_SCHEMA, read_manifest
from evalkit.runs.schema import VideoProfile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from evalkit.runs.schema import (
        Json,
        MeasurementRecord,
        MetricResults,
        OutcomeRecord,
        RunManifest,
        Samples,
        SpillAlarm,
        VideoRecord,
    )

_PART = ".part"


class RunWriter:
    """The one process that writes a run folder; use it as a context manager.

    Every record appears whole: a reader needs no lock, and a writer that is killed at any moment loses nothing that was
    put and leaves nothing but hidden files, which the next one clears.

    Parameters
    ----------
    folder : Path
        Made when entered, if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = ExitStack()

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        UsageError
            If another process writes there, or the folder is of a schema that can only be read.
        OSError
            If the folder cannot be made.
        """
        refuse_legacy(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.enter_context(only_writer(self.folder))
        for name in (VIDEOS_FOLDER, MEASUREMENTS_FOLDER):
            (self.folder / name).mkdir(exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def write_manifest(self, manifest: RunManifest) -> None:
        """Write ``run.json``."""
        write_atomically(self.folder / RUN_FILE, record_text(manifest))

    def new_video_folder(self, video_id: str) -> Path:
        """Make a hidden folder in which a video can be made, and return it; `put_video` gives it its name."""
        return self._new_folder(self.folder / VIDEOS_FOLDER, video_id)

    def put_video(
        self,
        record: VideoRecord,
        part_folder: Path,
        *,
        profile: MetricResults,
        samples: Samples | None = None,
        spill: SpillAlarm | None = None,
        timeline: Mapping[str, Json] | None = None,
        log: str = "",
    ) -> None:
        """Write the records of a video beside it, and give its folder its name: from then on it is there.

        An older result of the same video goes when the new one is whole. Measurements of another content are kept, and
        shown no more.

        Parameters
        ----------
        record : VideoRecord
        part_folder : Path
            Of `new_video_folder`; with ``video.mp4``, exactly where `record` is ok.
        profile : MetricResults
            What it cost.
        samples : dict, optional
            Raw samples of the costs.
        spill : SpillAlarm, optional
        timeline : mapping, optional
            `evalkit.profiling.profile.Profile.to_dict`.
        log : str
            What happened, for people.

        Raises
        ------
        ValueError
            If there is a video where the record says that it failed, or none where it says that there is one.
        """
        if (part_folder / VIDEO_FILE).is_file() != (record.status == "ok"):
            raise ValueError(
                f"video {record.id}: the record says {record.status!r}, and {VIDEO_FILE} "
                f"{'is there' if record.status == 'failed' else 'is missing'}"
            )
        (part_folder / LOG_FILE).write_text(encodable(log), "utf-8")
        if timeline is not None:
            text = to_text({"profile": dict(timeline)}, indent=None)
            (part_folder / TIMELINE_FILE).write_text(text, "utf-8")
        for name, made in (
            (PROFILE_FILE, VideoProfile(profile, samples or {}, spill)),
            (GENERATION_FILE, record),
        ):
            (part_folder / name).write_text(record_text(made), "utf-8")
        put_folder(part_folder, self.folder / VIDEOS_FOLDER / record.id)

    def new_evidence_folder(self, video_id: str) -> Path:
        """Make a hidden folder for pictures of a measurement, and return it; `put_measurement` gives it its name."""
        return self._new_folder(self._measurements_of(video_id), "evidence")

    def put_measurement(
        self, record: MeasurementRecord, samples: Samples, evidence: Path | None = None
    ) -> None:
        """Write what an evaluator measured on a video: pictures, samples, and last the record that makes it count.

        Parameters
        ----------
        record : MeasurementRecord
        samples : dict
            Raw samples by metric.
        evidence : Path, optional
            Folder of pictures on the same file system, see `new_evidence_folder`; it is moved.
        """
        measurements = self._measurements_of(record.video_id)
        name = measurement_name(record.evaluator, record.content, record.version)
        if evidence is not None:
            put_folder(evidence, evidence_folder(measurements, name))
        if samples:
            write_json(samples_file(measurements, name), {"samples": samples}, indent=None)
        else:  # those of an earlier measurement are not of this one
            samples_file(measurements, name).unlink(missing_ok=True)
        write_atomically(record_file(measurements, name), record_text(record))

    def put_outcomes(self, record: OutcomeRecord) -> None:
        """Write what came of live trials, in place of what the same source said before."""
        path = outcome_file(self.folder, record.source)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, record_text(record))

    def clear_leftovers(self) -> None:
        """Remove what a killed process left half done; put back what it was about to replace."""
        for place in (self.folder / VIDEOS_FOLDER, *(self.folder / MEASUREMENTS_FOLDER).glob("*/")):
            for path in place.glob(".*"):
                place_of = replaced_name(path)
                if place_of is not None and not place_of.exists():
                    path.rename(place_of)
                elif place_of is not None or path.name.endswith(_PART):
                    remove(path)
        for path in self.folder.glob(f".*{_PART}"):
            remove(path)

    def _measurements_of(self, video_id: str) -> Path:
        place = self.folder / MEASUREMENTS_FOLDER / video_id
        place.mkdir(exist_ok=True)
        return place

    @staticmethod
    def _new_folder(parent: Path, name: str) -> Path:
        part = parent / f".{name}.{uuid.uuid4().hex}{_PART}"
        part.mkdir()
        return part


def refuse_legacy(folder: Path) -> None:
    """Refuse a run folder of a schema that can only be read.

    Raises
    ------
    UsageError
        With the cure.
    """
    path = folder / RUN_FILE
    try:
        schema = read_manifest(path)[1] if path.is_file() else None
    except DamagedFileError:
        return
    if schema is not None and schema <= LEGACY_SCHEMA:
        raise UsageError(
            f"{folder} is a run of schema {schema}, which can be read but not added to: measure its videos with "
            f"`evalkit evaluate`, or sweep into a new folder"
        )
