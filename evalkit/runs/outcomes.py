"""What came of a live trial: ``RUN/outcomes/SOURCE.json``, one file for each tool that kept count.

A session (a dialogue with one person, an evening) is a sample of a configuration, not of a video.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evalkit.runs.layout import OUTCOMES_FOLDER
from evalkit.runs.records import DamagedFileError, find_record
from evalkit.runs.schema import OutcomeRecord

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All outcomes of a run.

    Parameters
    ----------
    records : tuple of OutcomeRecord
        One for each source, by its name.
    damage : tuple of str
        Files that cannot be read, one line each: what they hold is not known.
    """

    records: tuple[OutcomeRecord, ...] = ()
    damage: tuple[str, ...] = field(default=())


def outcome_file(folder: Path, source: str) -> Path:
    """Return the file of a source's outcomes in a run folder."""
    return folder / OUTCOMES_FOLDER / f"{source}.json"


def list_outcome_files(folder: Path) -> list[Path]:
    """List the files of outcomes of a run folder, by name."""
    return sorted(path for path in (folder / OUTCOMES_FOLDER).glob("*.json") if not path.name.startswith("."))


def read_outcomes(folder: Path) -> Outcomes:
    """Read the outcomes in a run folder; a file that is damaged costs no other.

    Raises
    ------
    UsageError
        If a newer evalkit wrote one.
    """
    records, damage = [], []
    for path in list_outcome_files(folder):
        try:
            record = find_record(path, OutcomeRecord)
        except DamagedFileError as error:
            damage.append(str(error))
        else:
            records += [] if record is None else [record]
    return Outcomes(tuple(records), tuple(damage))
