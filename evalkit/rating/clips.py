"""The blind copies of a run's videos: made once for each content, under names that tell nothing."""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

from evalkit.errors import UsageError
from evalkit.rating.database import NotStoredError
from evalkit.runs.files import LOCK_NAME, only_writer, remove
from evalkit.runs.layout import VIDEO_FILE
from evalkit.tracks.cache import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from evalkit.rating.blind import BlindClip
    from evalkit.rating.database import Database
    from evalkit.rating.study import Clip
    from evalkit.runs import Run

_Copy: TypeAlias = tuple[str, bool]
"""Content of the video, and whether it is broken."""


def contents_of(run: Run) -> dict[str, str]:
    """Return the SHA-256 of the video of each trial that has one, by trial.

    Raises
    ------
    UsageError
        If a video is not what its record says.
    """
    contents = {}
    for trial in run.trials():
        video = run.video_of(trial.id)
        if trial.status != "ok" or video is None:
            continue
        contents[trial.id] = content_hash(str(video))
        if trial.content is not None and contents[trial.id] != trial.content:
            raise UsageError(
                f"{video} is not the video that was made and measured: its content was changed since. "
                "Put it back, or remove its folder and sweep again"
            )
    return contents


def make_copies(
    database: Database,
    run: Run,
    clips: Sequence[Clip],
    checks: Iterable[str],
    *,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Make the blind copies that are missing, several at once, each on record as soon as it is whole.

    Parameters
    ----------
    database : Database
    run : Run
    clips : sequence of Clip
    checks : iterable of str
        Contents of those that are needed broken as well.
    seed : int
        Of how they are broken.
    on_progress : callable, optional
        Takes the number of copies that are there, and that are needed.

    Returns
    -------
    dict of str to float
        Length of each clip in seconds, by content.

    Raises
    ------
    ClipError
        If a video cannot be shown.
    UsageError
        If another process makes copies of this run just now.
    NotStoredError
        If the disk is full.
    """
    videos = {clip.content: run.folder_of(clip.trial) / VIDEO_FILE for clip in clips}
    wanted = dict.fromkeys(
        [*((content, False) for content in videos), *((content, True) for content in checks)]
    )
    database.clips_folder.mkdir(parents=True, exist_ok=True)
    with only_writer(database.clips_folder):
        _remove_leftovers(database)
        there = _list_copies(database)
        missing = {copy: videos[copy[0]] for copy in wanted if copy not in there}
        with closing(_make_missing(database, missing, seed)) as making:
            for n_made, (copy, duration_s) in enumerate(making, 1):
                there[copy] = duration_s
                if on_progress is not None:
                    on_progress(len(wanted) - len(missing) + n_made, len(wanted))
    return {content: there[content, False] for content in videos}


def _make_missing(
    database: Database, missing: Mapping[_Copy, Path], seed: int
) -> Generator[tuple[_Copy, float]]:
    """Make copies of videos, and give each with its length as soon as it is on record."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        making = {
            pool.submit(make_copy, video, database.clips_folder, is_broken=is_broken, seed=seed): (
                content,
                is_broken,
            )
            for (content, is_broken), video in missing.items()
        }
        try:
            for made in as_completed(making):
                name, clip = made.result()
                _put_on_record(database, *making[made], name, clip)
                yield making[made], clip.duration_s
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, OSError):
                raise NotStoredError(
                    f"{database.clips_folder} cannot be written: {error.strerror or error}. Make room on the disk, or "
                    "look to who may write there; the copies that are made stay"
                ) from None
            raise


def make_copy(video: Path, folder: Path, *, is_broken: bool, seed: int) -> tuple[str, BlindClip]:
    """Make a blind copy in a folder, and return its name there and what it is.

    Raises
    ------
    ClipError
        If it is no video that can be shown.
    """
    from evalkit.rating.blind import make_blind_copy, make_broken_copy

    name = f"{secrets.token_hex(12)}.mp4"
    if is_broken:
        return name, make_broken_copy(video, folder / name, seed)
    return name, make_blind_copy(video, folder / name)


def _list_copies(database: Database) -> dict[_Copy, float]:
    """Return the length of each copy whose file is there, by content and whether it is broken."""
    with database.reading() as db:
        return {
            (row["content"], bool(row["is_broken"])): float(row["duration_s"])
            for row in db.execute("SELECT * FROM clips")
            if database.find_copy(row["file"]) is not None
        }


def _remove_leftovers(database: Database) -> None:
    """Remove what a process that was killed left half made, or whole and not on record."""
    with database.reading() as db:
        kept = {LOCK_NAME, *(row["file"] for row in db.execute("SELECT file FROM clips"))}
    for place in database.clips_folder.iterdir():
        if place.name not in kept:
            remove(place)


def _put_on_record(database: Database, content: str, is_broken: bool, name: str, clip: BlindClip) -> None:
    facts = (clip.duration_s, clip.fps, clip.width, clip.height, clip.has_sound)
    with database.writing() as db:
        db.execute(
            "INSERT OR REPLACE INTO clips VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (content, is_broken, name, *facts)
        )
