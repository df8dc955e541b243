"""What is in the folder that is served: cheap to look at, and looked at again when it may have changed."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import evalkit
from evalkit.app.live.places import is_inside, write_address
from evalkit.decisions.policy import bundled_policies
from evalkit.decisions.run_list import find_run_folders
from evalkit.errors import EvalkitError, UsageError
from evalkit.formatting import label
from evalkit.runs.layout import (
    DECISIONS_FOLDER,
    LEGACY_TRIALS_FOLDER,
    MEASUREMENTS_FOLDER,
    OUTCOMES_FOLDER,
    RATINGS_FOLDER,
    RUN_FILE,
    SEARCH_FILE,
    VIDEOS_FOLDER,
)
from evalkit.runs.looks import LOOKS_FILE
from evalkit.runs.notes import NOTES_FILE, Notes, read_notes
from evalkit.runs.ratings.schema import database_of
from evalkit.runs.run import read_manifest
from evalkit.sweeps.progress import RunProgress, read_progress

Stamp = tuple[int, int, int]
"""Time of change in ns, size, inode; all 0 of what is not there."""
_NOT_THERE: Stamp = (0, 0, 0)
_DIGEST_FORMAT = 2
_FRESH_S = 1.0
"""For so long at least a look at the folder holds."""
_SHARE = 10
"""And for so many times as long as it took, so that looking takes a tenth of one core at most."""


@dataclass(frozen=True)
class ListedRun:
    """A run of the folder, as far as its manifest and names of files tell.

    Parameters
    ----------
    address : str
        Its place in the folder, quoted.
    name : str
        The same for people.
    folder : Path
    problem : str
        Why nothing else is known of it; empty where it can be read. English.
    is_outside : bool
        Whether that is because a link leads out of the folder that is served.
    created_at, generator, policy : str
        Of its manifest.
    progress : RunProgress
    notes : Notes
    notes_problem : str
        Why notes cannot be read.
    key : str
        Changes with its results, and with what judges them.
    has_study : bool
        Whether people were asked about it.
    """

    address: str
    name: str
    folder: Path
    problem: str = ""
    is_outside: bool = False
    created_at: str = ""
    generator: str = ""
    policy: str = ""
    progress: RunProgress = field(default_factory=lambda: RunProgress(0, 0))
    notes: Notes = field(default_factory=Notes)
    notes_problem: str = ""
    key: str = ""
    has_study: bool = False

    @property
    def is_running(self) -> bool:
        """Whether a process writes into it."""
        return self.progress.is_running


@dataclass(frozen=True)
class Listing:
    """What was in the folder at one time.

    Parameters
    ----------
    runs : tuple of ListedRun
        The newest first; what cannot be read last.
    problem : str
        Why the folder itself cannot be read; empty where it can.
    version : str
        Changes with anything of it that a page shows.
    """

    runs: tuple[ListedRun, ...]
    problem: str = ""
    version: str = ""

    def find(self, address: str) -> ListedRun | None:
        """Return the run at an address, quoted or as people write it."""
        names = {address, write_address(Path(address))}
        return next((run for run in self.runs if run.address in names), None)


class Catalogue:
    """Looks at the folder; from any thread.

    Parameters
    ----------
    root : Path
        The folder, with all links followed.
    policies : iterable of Path
        Files that may judge beside the bundled policies and those in the folder.
    clock : callable
        Gives seconds that only grow.
    """

    def __init__(
        self, root: Path, policies: Iterable[Path] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.root = root
        self.policies = tuple(path.resolve() for path in policies)
        self._clock = clock
        self._looking = threading.Lock()
        self._manifests: dict[Path, tuple[Stamp, _Manifest]] = {}
        self._notes: dict[Path, tuple[Stamp, Notes, str]] = {}
        self._listing = Listing(())
        self._holds_until = float("-inf")

    def look(self, *, anew: bool = False) -> Listing:
        """Return what is in the folder; one thread looks, the others take what was there before or wait for the first.

        Parameters
        ----------
        anew : bool
            Look in any case, as something was written.
        """
        if not anew and self._clock() < self._holds_until:
            return self._listing
        is_first = self._holds_until == float("-inf")
        if not self._looking.acquire(blocking=anew or is_first):
            return self._listing
        try:
            begin = self._clock()
            if anew or begin >= self._holds_until:
                self._listing = self._look()
                end = self._clock()
                self._holds_until = end + max(_FRESH_S, _SHARE * (end - begin))
            return self._listing
        finally:
            self._looking.release()

    def look_at(self, run: ListedRun) -> ListedRun | None:
        """Return a run as it is at this moment; None where it is gone."""
        if not (run.folder / RUN_FILE).exists():
            return None
        return self._describe(run.folder)

    def may_judge(self, policy: str) -> bool:
        """Say whether a policy that a run names may be read: nothing outside the folder is, unless it was allowed."""
        return may_judge(policy, self.root, self.policies)

    def _look(self) -> Listing:
        try:
            folders = find_run_folders(self.root)
        except UsageError as error:
            return Listing((), str(error), hashlib.sha256(str(error).encode()).hexdigest())
        found = [self._describe(folder) for folder in folders]
        for folder in self._manifests.keys() - set(folders):
            self._manifests.pop(folder)
        for folder in self._notes.keys() - set(folders):
            self._notes.pop(folder)
        found.sort(key=lambda run: (not run.problem, run.created_at, run.address), reverse=True)
        shown = [
            (run.address, run.key, run.problem, str(run.progress), str(run.notes), run.notes_problem)
            for run in found
        ]
        return Listing(tuple(found), "", hashlib.sha256(repr(shown).encode()).hexdigest())

    def _describe(self, folder: Path) -> ListedRun:
        place = Path(folder.name) if folder == self.root else folder.relative_to(self.root)
        address, name = write_address(place), label(str(place))
        if not _leads_inside(folder, self.root):
            words = "a link in it leads out of the folder that is served, so nothing of it is read"
            return ListedRun(address, name, folder, words, is_outside=True)
        try:
            manifest = self._manifest_of(folder)
            progress = read_progress(folder, manifest.planned, manifest.skipped)
        except (EvalkitError, OSError) as error:
            return ListedRun(address, name, folder, _without_place(str(error), self.root))
        notes, notes_problem = self._notes_of(folder)
        return ListedRun(
            address=address,
            name=name,
            folder=folder,
            created_at=manifest.created_at,
            generator=manifest.generator,
            policy=manifest.policy,
            progress=progress,
            notes=notes,
            notes_problem=notes_problem,
            key=self._key_of(folder, manifest.policy),
            has_study=database_of(folder).is_file(),
        )

    def _manifest_of(self, folder: Path) -> _Manifest:
        path = folder / RUN_FILE
        stamp = stamp_of(path)
        known = self._manifests.get(folder)
        if known is None or known[0] != stamp:
            manifest, _ = read_manifest(path)
            known = (
                stamp,
                _Manifest(
                    manifest.created_at,
                    label(str(manifest.generator.get("name", ""))),
                    manifest.policy or "",
                    frozenset(manifest.planned),
                    frozenset(manifest.skipped),
                ),
            )
            self._manifests[folder] = known
        return known[1]

    def _notes_of(self, folder: Path) -> tuple[Notes, str]:
        stamp = stamp_of(folder / NOTES_FILE)
        known = self._notes.get(folder)
        if known is None or known[0] != stamp:
            try:
                known = stamp, read_notes(folder), ""
            except EvalkitError as error:
                known = stamp, Notes(), _without_place(str(error), self.root)
            self._notes[folder] = known
        return known[1], known[2]

    def _key_of(self, folder: Path, policy: str) -> str:
        """Return what changes with the results of a run: whoever adds to it writes its manifest before and after."""
        ratings = database_of(folder)
        paths = (
            folder / RUN_FILE,
            folder / VIDEOS_FOLDER,
            folder / LEGACY_TRIALS_FOLDER,
            folder / MEASUREMENTS_FOLDER,
            folder / SEARCH_FILE,
            folder / OUTCOMES_FOLDER,
            folder / DECISIONS_FOLDER,
            folder / DECISIONS_FOLDER / "ledger.jsonl",
            folder / "ledger.jsonl",
            folder / DECISIONS_FOLDER / LOOKS_FILE,
            ratings,
            ratings.with_name(f"{ratings.name}-wal"),
        )
        judge = stamp_of(Path(policy)) if policy and self.may_judge(policy) else _NOT_THERE
        parts = [_DIGEST_FORMAT, evalkit.__version__, str(folder), policy, judge, *map(stamp_of, paths)]
        return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What a list needs of a manifest."""

    created_at: str
    generator: str
    policy: str
    planned: frozenset[str]
    skipped: frozenset[str]


def may_judge(policy: str, root: Path, allowed: Collection[Path]) -> bool:
    """Say whether a policy may be read: a bundled one, one in the folder that is served, or one that was allowed."""
    if not policy or policy in _bundled():
        return True
    path = Path(policy)
    return is_inside(path, root) or path.resolve() in allowed


@cache
def _bundled() -> frozenset[str]:
    return frozenset(bundled_policies())


def stamp_of(path: Path) -> Stamp:
    """Return what changes with a file, or with the names in a folder."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # no path can be written so
        return _NOT_THERE
    return found.st_mtime_ns, found.st_size, found.st_ino


def records_key(folder: Path) -> str:
    """Return what changes with any record of a run, also one that was written over by hand."""
    found: list[tuple[str, int, int, int]] = []
    for name in (VIDEOS_FOLDER, LEGACY_TRIALS_FOLDER, MEASUREMENTS_FOLDER):
        _add_stamps(f"{folder}/{name}", found)
    return hashlib.sha256(repr(sorted(found)).encode("utf-8", "surrogateescape")).hexdigest()


def _add_stamps(folder: str, found: list[tuple[str, int, int, int]]) -> None:
    """Add the stamp of every file below a folder; it is asked for with each page, so no path becomes an object."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it is not there, or is there no more
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _add_stamps(entry.path, found)
            continue
        try:
            stat = entry.stat()
        except OSError:
            found.append((entry.path, *_NOT_THERE))
        else:
            found.append((entry.path, stat.st_mtime_ns, stat.st_size, stat.st_ino))


def _leads_inside(folder: Path, root: Path) -> bool:
    """Say whether what is read of a run first lies in the folder that is served; what lies deeper is looked at later."""
    names = (
        RUN_FILE,
        VIDEOS_FOLDER,
        LEGACY_TRIALS_FOLDER,
        MEASUREMENTS_FOLDER,
        DECISIONS_FOLDER,
        OUTCOMES_FOLDER,
        RATINGS_FOLDER,
        NOTES_FILE,
    )
    paths = (folder, *(folder / name for name in names))
    return all(is_inside(path, root) for path in paths if path.is_symlink())


def _without_place(text: str, root: Path) -> str:
    """Return an error without the place of the folder on this machine."""
    return text.replace(f"{root}{os.sep}", "")
